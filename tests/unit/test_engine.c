/* engine: what side modules and callbacks need of it, with two small modules. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "engine/engine.h"
#include "guest/run_on_stack.h"

/*
 * (module
 *   (type $ii (func (param i32 i32) (result i32)))
 *   (import "e" "twice" (func $twice (param i32) (result i32)))
 *   (table (export "table") 2 funcref)
 *   (memory (export "memory") 1)
 *   (global (export "number") (mut i32) (i32.const 7))
 *   (tag (export "tag") (param i32))
 *   (func $add (export "add") (type $ii) (i32.add (local.get 0) (local.get 1)))
 *   (elem (i32.const 1) $add)
 *   (func (export "call") (param i32 i32 i32) (result i32)
 *     (call_indirect (type $ii) (local.get 1) (local.get 2) (local.get 0)))
 *   (func (export "through") (param i32) (result i32) (call $twice (local.get 0))))
 */
/* clang-format off */
static const uint8_t main_wasm[] = {
    0x00, 0x61, 0x73, 0x6D, 0x01, 0x00, 0x00, 0x00, 0x01, 0x17, 0x04, 0x60, 0x01, 0x7F, 0x01,
    0x7F, 0x60, 0x02, 0x7F, 0x7F, 0x01, 0x7F, 0x60, 0x01, 0x7F, 0x00, 0x60, 0x03, 0x7F, 0x7F,
    0x7F, 0x01, 0x7F, 0x02, 0x0B, 0x01, 0x01, 0x65, 0x05, 0x74, 0x77, 0x69, 0x63, 0x65, 0x00,
    0x00, 0x03, 0x04, 0x03, 0x01, 0x03, 0x00, 0x04, 0x04, 0x01, 0x70, 0x00, 0x02, 0x05, 0x03,
    0x01, 0x00, 0x01, 0x0D, 0x03, 0x01, 0x00, 0x02, 0x06, 0x06, 0x01, 0x7F, 0x01, 0x41, 0x07,
    0x0B, 0x07, 0x38, 0x07, 0x05, 0x74, 0x61, 0x62, 0x6C, 0x65, 0x01, 0x00, 0x06, 0x6D, 0x65,
    0x6D, 0x6F, 0x72, 0x79, 0x02, 0x00, 0x06, 0x6E, 0x75, 0x6D, 0x62, 0x65, 0x72, 0x03, 0x00,
    0x03, 0x74, 0x61, 0x67, 0x04, 0x00, 0x03, 0x61, 0x64, 0x64, 0x00, 0x01, 0x04, 0x63, 0x61,
    0x6C, 0x6C, 0x00, 0x02, 0x07, 0x74, 0x68, 0x72, 0x6F, 0x75, 0x67, 0x68, 0x00, 0x03, 0x09,
    0x07, 0x01, 0x00, 0x41, 0x01, 0x0B, 0x01, 0x01, 0x0A, 0x1C, 0x03, 0x07, 0x00, 0x20, 0x00,
    0x20, 0x01, 0x6A, 0x0B, 0x0B, 0x00, 0x20, 0x01, 0x20, 0x02, 0x20, 0x00, 0x11, 0x01, 0x00,
    0x0B, 0x06, 0x00, 0x20, 0x00, 0x10, 0x00, 0x0B,
};

/*
 * (module
 *   (type $dd (func (param f64 i64) (result f64)))
 *   (import "e" "table" (table 0 funcref))
 *   (import "e" "memory_base" (global i32))
 *   (import "e" "tag" (tag (param i32)))
 *   (import "e" "slot" (global (mut i32)))
 *   (func (export "call") (param i32 f64 i64) (result f64)
 *     (call_indirect (type $dd) (local.get 1) (local.get 2) (local.get 0)))
 *   (func (export "base") (result i32) (i32.add (global.get 0) (global.get 1))))
 */
static const uint8_t side_wasm[] = {
    0x00, 0x61, 0x73, 0x6D, 0x01, 0x00, 0x00, 0x00, 0x01, 0x16, 0x04, 0x60, 0x01, 0x7F, 0x00,
    0x60, 0x03, 0x7F, 0x7C, 0x7E, 0x01, 0x7C, 0x60, 0x02, 0x7C, 0x7E, 0x01, 0x7C, 0x60, 0x00,
    0x01, 0x7F, 0x02, 0x31, 0x04, 0x01, 0x65, 0x05, 0x74, 0x61, 0x62, 0x6C, 0x65, 0x01, 0x70,
    0x00, 0x00, 0x01, 0x65, 0x0B, 0x6D, 0x65, 0x6D, 0x6F, 0x72, 0x79, 0x5F, 0x62, 0x61, 0x73,
    0x65, 0x03, 0x7F, 0x00, 0x01, 0x65, 0x04, 0x73, 0x6C, 0x6F, 0x74, 0x03, 0x7F, 0x01, 0x01,
    0x65, 0x03, 0x74, 0x61, 0x67, 0x04, 0x00, 0x00, 0x03, 0x03, 0x02, 0x01, 0x03, 0x07, 0x0F,
    0x02, 0x04, 0x63, 0x61, 0x6C, 0x6C, 0x00, 0x00, 0x04, 0x62, 0x61, 0x73, 0x65, 0x00, 0x01,
    0x0A, 0x15, 0x02, 0x0B, 0x00, 0x20, 0x01, 0x20, 0x02, 0x20, 0x00, 0x11, 0x02, 0x00, 0x0B,
    0x07, 0x00, 0x23, 0x00, 0x23, 0x01, 0x6A, 0x0B,
};
/* clang-format on */

/* The engine's handlers, which turn a bad instruction or access of a guest's into a trap; cmocka
 * puts its own before them. */
static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
static struct sigaction trap_handlers[sizeof trap_signals / sizeof *trap_signals];

static struct engine *engine;
static struct engine_module *main_module;
static struct engine_module *side_module;
static struct engine_store *store;
static size_t main_instance;
static struct engine_extern table;

static int twice(void *context, union engine_value *values)
{
    (void)context;
    values[0].i32 *= 2;
    return 0;
}

static int add_100(void *context, union engine_value *values)
{
    values[0].i32 = values[0].i32 + values[1].i32 + 100;
    ++*(int *)context;
    return 0;
}

static int add_real(void *context, union engine_value *values)
{
    values[0].f64 += (double)(int64_t)values[1].i64;
    ++*(int *)context;
    return 0;
}

/* Compiled into a file and mapped from it, as the guest's modules are. */
static struct engine_module *module_make(const uint8_t *wasm, size_t len)
{
    char path[] = "/tmp/test_engine.XXXXXX";
    struct err err;
    struct engine_module *module = NULL;
    struct buf code;
    buf_init(&code, MIB);
    if (engine_compile(engine, (struct span){(const char *)wasm, len}, &code, &err) != 0) {
        fail_msg("%s", err.text);
    }
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, code.base, code.len), code.len);
    close(fd);
    buf_free(&code);
    assert_int_equal(engine_module_open(engine, path, &module, &err), 0);
    unlink(path);
    return module;
}

static int set_up(void **state)
{
    struct err err;
    struct engine_extern import;
    (void)state;
    assert_int_equal(engine_store_new(engine, MIB, &store, &err), 0);
    assert_int_equal(engine_func_for_import(store, main_module, 0, twice, NULL, &import, &err), 0);
    assert_int_equal(engine_instantiate(store, main_module, &import, &main_instance, &err), 0);
    assert_true(engine_export(store, main_instance, "table", ENGINE_TABLE, &table));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    engine_store_free(store);
    return 0;
}

/* ---- The tests --------------------------------------------------------------------------------
 */

static void traps_catch(void)
{
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], &trap_handlers[i], NULL);
    }
}

static int call_entry(uint32_t index, uint32_t a, uint32_t b, uint32_t *sum, struct err *err)
{
    struct engine_extern call;
    union engine_value values[3] = {{.i32 = index}, {.i32 = a}, {.i32 = b}};
    assert_true(engine_export(store, main_instance, "call", ENGINE_FUNC, &call));
    int result = engine_call(store, &call, values, 3, err);
    *sum = values[0].i32;
    return result;
}

static int side_instantiate(size_t *instance, struct err *err)
{
    struct engine_extern imports[4];
    assert_int_equal(engine_import_count(side_module), 4);
    for (size_t i = 0; i < 4; i++) {
        struct engine_item item = engine_import_at(side_module, i);
        if (item.kind == ENGINE_TABLE) {
            imports[i] = table;
        } else if (item.kind == ENGINE_TAG) {
            assert_true(engine_export(store, main_instance, "tag", ENGINE_TAG, &imports[i]));
        } else {
            assert_int_equal(item.kind, ENGINE_GLOBAL);
            uint32_t value = span_equal(item.name, span_of("slot")) ? 5 : 4000;
            assert_int_equal(
                engine_global_for_import(store, side_module, i, value, &imports[i], err), 0);
        }
    }
    return engine_instantiate(store, side_module, imports, instance, err);
}

static void table_entries_are_read_and_written(void **state)
{
    (void)state;
    struct err err;
    struct engine_extern function;
    char signature[8];
    uint32_t base = 0;
    assert_int_equal(engine_table_size(store, &table), 2);
    assert_false(engine_table_get(store, &table, 0, &function));
    assert_false(engine_table_get(store, &table, 2, &function));
    assert_false(engine_table_get(store, &table, UINT32_MAX, &function));
    assert_true(engine_table_get(store, &table, 1, &function));
    assert_true(engine_func_signature(store, &function, signature, sizeof signature));
    assert_string_equal(signature, "ii:i");
    assert_false(engine_func_signature(store, &function, signature, 4));
    assert_int_equal(engine_table_grow(store, &table, 3, &base, &err), 0);
    assert_int_equal(base, 2);
    assert_int_equal(engine_table_size(store, &table), 5);
    assert_int_equal(engine_table_set(store, &table, 4, &function, &err), 0);
    assert_true(engine_table_get(store, &table, 4, &function));
    assert_int_equal(engine_table_set(store, &table, 4, NULL, &err), 0);
    assert_false(engine_table_get(store, &table, 4, &function));
    assert_int_equal(engine_table_set(store, &table, 5, NULL, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(engine_table_grow(store, &table, UINT32_MAX, &base, &err), -1);
    assert_int_equal(engine_table_grow(store, &table, LIMIT_GUEST_TABLE_ENTRIES_MAX, &base, &err),
                     -1);
    assert_int_equal(err.code, ERR_LIMIT);
}

static void host_function_is_called_from_the_table(void **state)
{
    (void)state;
    struct err err;
    struct engine_extern function;
    uint32_t index = 0;
    uint32_t sum = 0;
    int calls = 0;
    assert_int_equal(engine_func_new(store, "ii:i", add_100, &calls, &function, &err), 0);
    assert_int_equal(engine_table_append(store, &table, &function, &index, &err), 0);
    assert_int_equal(call_entry(index, 20, 3, &sum, &err), 0);
    assert_int_equal(sum, 123);
    assert_int_equal(calls, 1);
    union engine_value values[2] = {{.i32 = 1}, {.i32 = 2}};
    assert_int_equal(engine_call_table(store, &table, index, "ii:i", values, &err), 0);
    assert_int_equal(values[0].i32, 103);
}

/* No module has the machine code that would enter a function of that type; so none has a call that
 * could reach it, and the one who tries another type gets a trap. */
static void host_function_of_a_type_that_nobody_calls_is_a_trap(void **state)
{
    (void)state;
    traps_catch();
    struct err err;
    struct engine_extern function;
    uint32_t index = 0;
    uint32_t sum = 0;
    int calls = 0;
    assert_int_equal(engine_func_new(store, "dj:d", add_real, &calls, &function, &err), 0);
    assert_int_equal(engine_table_append(store, &table, &function, &index, &err), 0);
    assert_int_equal(call_entry(index, 1, 2, &sum, &err), -1);
    assert_int_equal(err.code, ERR_TRAP);
    /* The host calls it all the same. */
    union engine_value values[2] = {{.f64 = 0.5}, {.i64 = 2}};
    assert_int_equal(engine_call_table(store, &table, index, "dj:d", values, &err), 0);
    assert_true(values[0].f64 == 2.5);
    assert_int_equal(calls, 1);
    /* A module that is instantiated later and has such calls can make them. */
    size_t side = 0;
    struct engine_extern call;
    assert_int_equal(side_instantiate(&side, &err), 0);
    assert_true(engine_export(store, side, "call", ENGINE_FUNC, &call));
    union engine_value more[3] = {{.i32 = index}, {.f64 = 1.25}, {.i64 = (uint64_t)-3}};
    assert_int_equal(engine_call(store, &call, more, 3, &err), 0);
    assert_true(more[0].f64 == -1.75);
}

static void host_function_made_after_all_modules_is_called(void **state)
{
    (void)state;
    traps_catch();
    struct err err;
    struct engine_extern function;
    struct engine_extern call;
    size_t side = 0;
    uint32_t index = 0;
    int calls = 0;
    assert_int_equal(side_instantiate(&side, &err), 0);
    assert_int_equal(engine_func_new(store, "dj:d", add_real, &calls, &function, &err), 0);
    assert_int_equal(engine_table_append(store, &table, &function, &index, &err), 0);
    assert_true(engine_export(store, side, "call", ENGINE_FUNC, &call));
    union engine_value values[3] = {{.i32 = index}, {.f64 = 1.25}, {.i64 = 3}};
    assert_int_equal(engine_call(store, &call, values, 3, &err), 0);
    assert_true(values[0].f64 == 4.25);
    /* A hole and another type trap. */
    values[0].i32 = 0;
    assert_int_equal(engine_call(store, &call, values, 3, &err), -1);
    values[0].i32 = 1;
    assert_int_equal(engine_call(store, &call, values, 3, &err), -1);
    assert_int_equal(err.code, ERR_TRAP);
}

static void signatures_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "i", "ix:i", "i:x", "i:i:", "e:", "i i:", "I:i"};
    struct err err;
    struct engine_extern function;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(engine_func_new(store, bad[i], twice, NULL, &function, &err), -1);
        assert_int_equal(err.code, ERR_FORMAT);
    }
    char *many = calloc(1, LIMIT_WASM_PARAMS_MAX + 3);
    assert_non_null(many);
    memset(many, 'i', LIMIT_WASM_PARAMS_MAX + 1);
    many[LIMIT_WASM_PARAMS_MAX + 1] = ':';
    assert_int_equal(engine_func_new(store, many, twice, NULL, &function, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(engine_func_new(store, many + 1, twice, NULL, &function, &err), 0);
    free(many);
}

static void globals_are_as_the_import_wants_them(void **state)
{
    (void)state;
    struct err err;
    struct engine_extern global;
    struct engine_extern base;
    size_t side = 0;
    assert_true(engine_export(store, main_instance, "number", ENGINE_GLOBAL, &global));
    assert_int_equal(engine_global_get_i32(store, &global), 7);
    engine_global_set_i32(store, &global, UINT32_MAX);
    assert_int_equal(engine_global_get_i32(store, &global), UINT32_MAX);
    assert_int_equal(side_instantiate(&side, &err), 0);
    assert_true(engine_export(store, side, "base", ENGINE_FUNC, &base));
    union engine_value value = {.i32 = 0};
    assert_int_equal(engine_call(store, &base, &value, 1, &err), 0);
    assert_int_equal(value.i32, 4005);
    /* An import of another kind takes no global. */
    assert_int_equal(engine_global_for_import(store, main_module, 0, 1, &global, &err), -1);
    assert_int_equal(err.code, ERR_FORMAT);
}

static void settled_code_runs_and_is_never_writable(void **state)
{
    (void)state;
    struct err err;
    struct engine_extern import;
    struct engine_extern call;
    size_t instance = 0;
    struct engine_module *module = module_make(main_wasm, sizeof main_wasm);
    assert_int_equal(engine_module_settle(module, &err), 0);
    assert_int_equal(engine_func_for_import(store, module, 0, twice, NULL, &import, &err), 0);
    assert_int_equal(engine_instantiate(store, module, &import, &instance, &err), 0);
    assert_true(engine_export(store, instance, "through", ENGINE_FUNC, &call));
    union engine_value value = {.i32 = 21};
    assert_int_equal(engine_call(store, &call, &value, 1, &err), 0);
    assert_int_equal(value.i32, 42);
    assert_true(engine_export(store, instance, "call", ENGINE_FUNC, &call));
    traps_catch();
    union engine_value values[] = {{.i32 = 0}, {.i32 = 1}, {.i32 = 2}};
    assert_int_equal(engine_call(store, &call, values, 3, &err), -1); /* entry 0 is empty: a trap */
    assert_int_equal(err.code, ERR_TRAP);

    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        assert_null(strstr(line, " rwx"));
    }
    fclose(maps);
    engine_module_free(module);
}

static void settled_memory_keeps_its_contents_and_grows_up_to_its_limit(void **state)
{
    (void)state;
    struct err err;
    struct engine_extern memory;
    assert_true(engine_export(store, main_instance, "memory", ENGINE_MEMORY, &memory));
    char *base = (char *)(uintptr_t)engine_memory(store, &memory).base;
    base[100] = 'x';
    assert_int_equal(engine_memory_settle(store, &memory, &err), 0);
    const struct span settled = engine_memory(store, &memory);
    assert_ptr_equal(settled.base, base);
    assert_int_equal(settled.len, 64 * KIB);
    assert_int_equal(base[100], 'x');
    assert_int_equal(engine_memory_grow(store, &memory, 512 * KIB), 0);
    assert_int_equal(engine_memory_grow(store, &memory, MIB), 0);
    assert_int_equal(engine_memory(store, &memory).len, MIB);
    memset(base, 'y', MIB);
    assert_int_equal(engine_memory_grow(store, &memory, MIB + 1), -1);
}

static void an_import_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct err err;
    struct engine_extern imports[4] = {table, table, table, table};
    size_t side = 0;
    assert_int_equal(engine_instantiate(store, side_module, imports, &side, &err), -1);
    assert_int_equal(err.code, ERR_ENGINE);
    assert_int_equal(side_instantiate(&side, &err), 0);
}

static void instances_are_limited_and_not_few(void **state)
{
    (void)state;
    struct err err;
    size_t side = 0;
    for (int i = 0; i < 400; i++) {
        assert_int_equal(side_instantiate(&side, &err), 0);
    }
    assert_int_equal(side, main_instance + 400);
}

/* Calls back into the guest, which calls it again, and so on. */
struct descent {
    struct engine_store *store_of_test;
    struct engine_extern through;
    unsigned depth;
    struct err err;
};

static int descend(void *context, union engine_value *values)
{
    struct descent *descent = context;
    union engine_value again = values[0];
    descent->depth++;
    return engine_call(descent->store_of_test, &descent->through, &again, 1, &descent->err);
}

static void recursion_through_the_host_ends(void **state)
{
    (void)state;
    traps_catch();
    struct err err;
    struct engine_extern import;
    struct engine_store *deep = NULL;
    struct descent descent = {.depth = 0};
    size_t instance = 0;
    assert_int_equal(engine_store_new(engine, MIB, &deep, &err), 0);
    descent.store_of_test = deep;
    assert_int_equal(engine_func_for_import(deep, main_module, 0, descend, &descent, &import, &err),
                     0);
    assert_int_equal(engine_instantiate(deep, main_module, &import, &instance, &err), 0);
    assert_true(engine_export(deep, instance, "through", ENGINE_FUNC, &descent.through));
    union engine_value value = {.i32 = 1};
    assert_int_equal(engine_call(deep, &descent.through, &value, 1, &err), -1);
    assert_int_equal(err.code, ERR_TRAP);
    assert_int_equal(descent.depth, LIMIT_HOST_CALL_DEPTH);
    /* The count is of calls under way, not of all. */
    descent.depth = 0;
    assert_int_equal(engine_call(deep, &descent.through, &value, 1, &err), -1);
    assert_int_equal(descent.depth, LIMIT_HOST_CALL_DEPTH);
    engine_store_free(deep);
}

static int body(void *context, struct err *err)
{
    (void)context;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(table_entries_are_read_and_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(host_function_is_called_from_the_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(host_function_of_a_type_that_nobody_calls_is_a_trap, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(host_function_made_after_all_modules_is_called, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(signatures_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(globals_are_as_the_import_wants_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settled_code_runs_and_is_never_writable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settled_memory_keeps_its_contents_and_grows_up_to_its_limit,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_import_that_does_not_fit_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instances_are_limited_and_not_few, set_up, tear_down),
        cmocka_unit_test(recursion_through_the_host_ends),
    };
    if (engine_new(false, &engine, err) != 0) {
        return -1;
    }
    main_module = module_make(main_wasm, sizeof main_wasm);
    side_module = module_make(side_wasm, sizeof side_wasm);
    assert_int_equal(set_up(NULL), 0); /* the first store puts the handlers in place */
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], NULL, &trap_handlers[i]);
    }
    tear_down(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    engine_module_free(main_module);
    engine_module_free(side_module);
    engine_free(engine);
    return failed;
}

int main(void)
{
    struct err err = {0};
    int result = run_on_stack(body, NULL, &err);
    if (result < 0) {
        fprintf(stderr, "test_engine: %s\n", err.text);
    }
    return result != 0;
}
