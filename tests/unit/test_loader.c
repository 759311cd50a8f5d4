/*
 * guest/dylink/loader: side modules prepared and compiled here, loaded into a booted guest; and
 * records that lie (attack 5).
 */
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

#include "base/fd.h"
#include "base/limits.h"
#include "guest/dylink/loader.h"
#include "guest/dylink/modules.h"
#include "guest/dylink/prepare.h"
#include "guest/dylink/record_layout.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"
#include "guest/state.h"
#include "side_modules.h"

enum { MODULES_COUNT = 7, PATH_MAX_OF_TEST = 4096 };

/* A module, what its dylink.0 says, and what preparing made of it. */
struct side {
    const char *name;
    const uint8_t *wasm;
    size_t len;
    unsigned char memory_bytes;
    const char *needed;
    const char *runpath;
    const char *weak;
    struct buf record;
};

static struct side sides[MODULES_COUNT] = {
    {.name = "base", .wasm = wasm_base, .len = sizeof wasm_base, .memory_bytes = 16},
    {.name = "side",
     .wasm = wasm_side,
     .len = sizeof wasm_side,
     .memory_bytes = 32,
     .needed = "libbase.so",
     .runpath = "$ORIGIN/../libs",
     .weak = "nobody_weak"},
    {.name = "undefined", .wasm = wasm_undefined, .len = sizeof wasm_undefined},
    {.name = "wrong_type", .wasm = wasm_wrong_type, .len = sizeof wasm_wrong_type},
    {.name = "start_traps", .wasm = wasm_start_traps, .len = sizeof wasm_start_traps},
    {.name = "ctors_trap", .wasm = wasm_ctors_trap, .len = sizeof wasm_ctors_trap},
    {.name = "segment", .wasm = wasm_segment, .len = sizeof wasm_segment},
};

static char folder[] = "/tmp/test_loader.XXXXXX";
static char modules_path[PATH_MAX_OF_TEST];
static struct guest *guest;
/* The engine's handlers; cmocka puts its own before them. */
static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
static struct sigaction trap_handlers[sizeof trap_signals / sizeof *trap_signals];

/* ---- Making side modules ----------------------------------------------------------------------
 */

static void text_put(struct buf *out, const char *text)
{
    buf_append_char(out, (char)strlen(text));
    buf_append_text(out, text);
}

static void subsection_put(struct buf *out, char id, const struct buf *bytes)
{
    buf_append_char(out, id);
    buf_append_char(out, (char)bytes->len);
    buf_append(out, bytes->base, bytes->len);
}

/* tool-conventions, DynamicLinking.md; everything here is shorter than 128 bytes. */
static void dylink_put(const struct side *side, struct buf *out)
{
    static const char memory_info = 1, needed = 2, import_info = 4, runtime_path = 5;
    struct buf section, part;
    buf_init(&section, KIB);
    buf_init(&part, KIB);
    text_put(&section, "dylink.0");
    const char sizes[] = {(char)side->memory_bytes, 2, 0, 0};
    buf_append(&part, sizes, sizeof sizes);
    subsection_put(&section, memory_info, &part);
    if (side->needed != NULL) {
        buf_clear(&part);
        buf_append_char(&part, 1);
        text_put(&part, side->needed);
        subsection_put(&section, needed, &part);
    }
    if (side->weak != NULL) {
        buf_clear(&part);
        buf_append_char(&part, 1);
        text_put(&part, "GOT.mem");
        text_put(&part, side->weak);
        buf_append_char(&part, 1); /* WASM_SYMBOL_BINDING_WEAK */
        subsection_put(&section, import_info, &part);
    }
    if (side->runpath != NULL) {
        buf_clear(&part);
        buf_append_char(&part, 1);
        text_put(&part, side->runpath);
        subsection_put(&section, runtime_path, &part);
    }
    buf_append_char(out, 0);
    buf_append_char(out, (char)section.len);
    buf_append(out, section.base, section.len);
    buf_free(&section);
    buf_free(&part);
}

static int side_make(struct side *side, size_t number, const struct record *core,
                     struct engine *engine, FILE *list, struct err *err)
{
    struct buf wasm, module, code;
    char path[PATH_MAX_OF_TEST];
    unsigned char sum[RECORD_SUM_BYTES];
    buf_init(&wasm, MIB);
    buf_init(&module, MIB);
    buf_init(&code, 16 * MIB);
    buf_init(&side->record, MIB);
    memset(sum, (int)(0xA0 + number), sizeof sum);
    buf_append(&wasm, side->wasm, 8);
    dylink_put(side, &wasm);
    buf_append(&wasm, side->wasm + 8, side->len - 8);
    snprintf(path, sizeof path, "%s/%s.cwasm", folder, side->name);
    int result = prepare_side(buf_span(&wasm), core, (struct span){(char *)sum, sizeof sum},
                              &module, &side->record, err) != 0 ||
                         engine_compile(engine, buf_span(&module), &code, err) != 0 ||
                         fd_write_file(path, buf_span(&code), err) != 0
                     ? err_prefix(err, "%s", side->name)
                     : 0;
    for (size_t i = 0; i < sizeof sum; i++) {
        fprintf(list, "%02x", sum[i]);
    }
    fprintf(list, " %s.cwasm\n", side->name);
    buf_free(&wasm);
    buf_free(&module);
    buf_free(&code);
    return result;
}

static int sides_make(const char *guest_dir, struct err *err)
{
    struct buf core_bytes;
    struct record core;
    struct engine *engine = NULL;
    char symbols[PATH_MAX_OF_TEST];
    buf_init(&core_bytes, LIMIT_RECORD_BYTES_MAX);
    snprintf(symbols, sizeof symbols, "%s/core.symbols", guest_dir);
    snprintf(modules_path, sizeof modules_path, "%s/modules", folder);
    FILE *list = fopen(modules_path, "w");
    assert_non_null(list);
    int result = fd_read_file(symbols, &core_bytes, err) != 0 ||
                         record_open(buf_span(&core_bytes), &core, err) != 0 ||
                         engine_new(false, &engine, err) != 0
                     ? -1
                     : 0;
    for (size_t i = 0; result == 0 && i < MODULES_COUNT; i++) {
        result = side_make(&sides[i], i, &core, engine, list, err);
    }
    fclose(list);
    engine_free(engine);
    buf_free(&core_bytes);
    return result;
}

/* ---- The guest --------------------------------------------------------------------------------
 */

static struct span record_of(const char *name)
{
    for (size_t i = 0; i < MODULES_COUNT; i++) {
        if (strcmp(sides[i].name, name) == 0) {
            return buf_span(&sides[i].record);
        }
    }
    fail_msg("no module %s", name);
    return (struct span){NULL, 0};
}

static void file_put(const char *path, struct span bytes)
{
    assert_int_equal(vfs_store(guest->vfs, span_of(path), bytes, 0644), 0);
}

static int set_up(void **state)
{
    (void)state;
    char core[PATH_MAX_OF_TEST];
    char image[PATH_MAX_OF_TEST];
    struct err err;
    const char *dir = getenv("VITRINE_GUEST_DIR");
    snprintf(core, sizeof core, "%s/core.cwasm", dir);
    snprintf(image, sizeof image, "%s/stdlib.img", dir);
    const char *const images[] = {image, NULL};
    const struct guest_config config = {.core_path = core,
                                        .image_paths = images,
                                        .memory_bytes_max = 128 * MIB,
                                        .modules_path = modules_path};
    if (guest_load(&config, &guest, &err) != 0 || guest_boot_bare(guest, &err) != 0) {
        fail_msg("%s", err.text);
    }
    file_put("/tmp/pack/libs/libbase.so", record_of("base"));
    file_put("/tmp/pack/mod/side.so", record_of("side"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_free(guest);
    guest = NULL;
    return 0;
}

static void traps_catch(void)
{
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], &trap_handlers[i], NULL);
    }
}

static uint32_t open_well(const char *path, bool global)
{
    struct err err;
    uint32_t library = 0;
    if (loader_open(guest, span_of(path), global, &library, &err) != 0) {
        fail_msg("%s: %s", path, err.text);
    }
    return library;
}

static struct err open_badly(const char *path)
{
    struct err err = {0};
    uint32_t library = 0;
    assert_int_equal(loader_open(guest, span_of(path), false, &library, &err), -1);
    return err;
}

static uint32_t call_number(uint32_t library, const char *name)
{
    struct err err;
    uint32_t address = 0;
    union engine_value value = {.i64 = 0};
    assert_true(loader_find(guest, library, span_of(name), &address));
    if (engine_call_table(guest->store, &guest->table, address, ":i", &value, &err) != 0) {
        fail_msg("%s: %s", name, err.text);
    }
    return value.i32;
}

/* ---- Loading ----------------------------------------------------------------------------------
 */

/* Every kind of import, relocations and constructors: one decimal digit each; side_modules.h. */
#define EVERYTHING_LINKED 215565542u

static void library_is_linked_with_what_it_needs(void **state)
{
    (void)state;
    uint32_t side = open_well("/tmp/pack/mod/side.so", false);
    assert_int_equal(call_number(side, "side_check"), EVERYTHING_LINKED);
}

static void same_file_is_one_library(void **state)
{
    (void)state;
    uint32_t side = open_well("/tmp/pack/mod/side.so", false);
    assert_int_equal(
        vfs_symlink(guest->vfs, span_of("mod/side.so"), VFS_AT_FDCWD, span_of("/tmp/pack/link.so")),
        0);
    assert_int_equal(open_well("/tmp/pack/link.so", false), side);
    assert_int_equal(open_well("/tmp/pack/libs/../mod/side.so", false), side);
    assert_int_equal(vfs_chdir(guest->vfs, span_of("/tmp/pack/mod")), 0);
    assert_int_equal(open_well("side.so", false), side);
}

static void relative_path_has_an_origin(void **state)
{
    (void)state;
    assert_int_equal(vfs_chdir(guest->vfs, span_of("/tmp/pack/mod")), 0);
    assert_int_equal(call_number(open_well("side.so", false), "side_check"), EVERYTHING_LINKED);
}

static void symbols_are_found_where_they_may_be(void **state)
{
    (void)state;
    uint32_t at = 0;
    uint32_t word = 0;
    uint32_t side = open_well("/tmp/pack/mod/side.so", false);
    assert_true(loader_find(guest, side, span_of("base_number"), &at));
    assert_int_equal(guest_memory_read_u32(guest, guest_addr(at), &word), 0);
    assert_int_equal(word, 21);
    assert_false(loader_find(guest, side, span_of("nobody"), &at));
    assert_false(loader_find(guest, side, span_of(""), &at));
    /* The main program has the core's, the platform's, and those of global libraries. */
    assert_true(loader_find(guest, LOADER_MAIN, span_of("strlen"), &at));
    assert_true(loader_find(guest, LOADER_MAIN, span_of("_Py_NoneStruct"), &at));
    assert_int_equal(at, guest->none.at);
    assert_true(loader_find(guest, LOADER_MAIN, span_of("exit"), &at));
    assert_true(loader_find(guest, LOADER_MAIN, span_of("exit"), &word));
    assert_int_equal(at, word);
    assert_false(loader_find(guest, LOADER_MAIN, span_of("side_own"), &at));
    assert_false(loader_find(guest, LOADER_MAIN, span_of("base_number"), &at));
    assert_int_equal(open_well("/tmp/pack/mod/side.so", true), side);
    assert_true(loader_find(guest, LOADER_MAIN, span_of("side_own"), &at));
    assert_true(loader_find(guest, LOADER_MAIN, span_of("base_number"), &at));
}

static void undefined_function_names_itself_when_called(void **state)
{
    (void)state;
    struct err err;
    struct guest_end end = {0};
    uint32_t at = 0;
    union engine_value value = {.i32 = 1};
    traps_catch();
    uint32_t side = open_well("/tmp/pack/mod/side.so", false);
    guest->end = &end;
    assert_true(loader_find(guest, side, span_of("side_nobody"), &at));
    assert_int_equal(engine_call_table(guest->store, &guest->table, at, "i:i", &value, &err), -1);
    assert_non_null(strstr(end.detail, "nobody_function"));
}

static void memory_of_a_failed_library_is_given_back(void **state)
{
    (void)state;
    struct err err;
    traps_catch();
    file_put("/tmp/w.so", record_of("wrong_type"));
    for (int i = 0; i < 1000; i++) {
        err = open_badly("/tmp/w.so");
        assert_int_equal(err.code, ERR_ENGINE);
        assert_non_null(strstr(err.text, "/tmp/w.so"));
    }
    assert_int_equal(call_number(open_well("/tmp/pack/mod/side.so", false), "side_check"),
                     EVERYTHING_LINKED);
}

/* ---- Refusals ---------------------------------------------------------------------------------
 */

static void missing_files_are_named(void **state)
{
    (void)state;
    struct err err = open_badly("/tmp/none.so");
    assert_int_equal(err.code, ERR_MISSING);
    assert_non_null(strstr(err.text, "/tmp/none.so: cannot open shared object file"));
    err = open_badly("");
    assert_int_equal(err.code, ERR_MISSING);
    err = open_badly("/tmp");
    assert_int_equal(err.code, ERR_FORMAT);
    err = open_badly("/dev/zero");
    assert_int_equal(err.code, ERR_FORMAT);
    assert_int_equal(vfs_unlink(guest->vfs, VFS_AT_FDCWD, span_of("/tmp/pack/libs/libbase.so"), 0),
                     0);
    err = open_badly("/tmp/pack/mod/side.so");
    assert_int_equal(err.code, ERR_MISSING);
    assert_non_null(strstr(err.text, "it needs libbase.so"));
    /* Beside the library, and in the system's folder, it is found too. */
    file_put("/tmp/pack/mod/libbase.so", record_of("base"));
    (void)open_well("/tmp/pack/mod/side.so", false);
}

static void undefined_data_is_named(void **state)
{
    (void)state;
    traps_catch();
    file_put("/tmp/u.so", record_of("undefined"));
    struct err err = open_badly("/tmp/u.so");
    assert_string_equal(err.text, "/tmp/u.so: undefined symbol: nobody_data");
}

static void module_that_traps_before_its_constructors_is_an_error(void **state)
{
    (void)state;
    static const char *const names[] = {"start_traps", "segment"};
    traps_catch();
    for (size_t i = 0; i < 2; i++) {
        file_put("/tmp/t.so", record_of(names[i]));
        struct err err = open_badly("/tmp/t.so");
        assert_int_equal(err.code, ERR_FORMAT);
        assert_int_equal(vfs_unlink(guest->vfs, VFS_AT_FDCWD, span_of("/tmp/t.so"), 0), 0);
    }
    assert_int_equal(call_number(open_well("/tmp/pack/mod/side.so", false), "side_check"),
                     EVERYTHING_LINKED);
}

static void constructor_that_traps_ends_the_guest(void **state)
{
    (void)state;
    traps_catch();
    file_put("/tmp/c.so", record_of("ctors_trap"));
    struct err err = open_badly("/tmp/c.so");
    assert_int_equal(err.code, ERR_TRAP);
}

/* Writes a number into a copy of the record of "side" and opens it. */
static struct err open_changed(size_t at, uint32_t number)
{
    struct buf copy;
    buf_init(&copy, MIB);
    struct span record = record_of("side");
    buf_append(&copy, record.base, record.len);
    memcpy(copy.base + at, &number, sizeof number);
    (void)vfs_unlink(guest->vfs, VFS_AT_FDCWD, span_of("/tmp/pack/mod/changed.so"), 0);
    file_put("/tmp/pack/mod/changed.so", buf_span(&copy));
    buf_free(&copy);
    struct err err = {0};
    uint32_t library = 0;
    if (loader_open(guest, span_of("/tmp/pack/mod/changed.so"), false, &library, &err) == 0) {
        err.code = ERR_NONE;
    }
    return err;
}

static void records_that_lie_are_errors(void **state)
{
    (void)state;
    traps_catch();
    file_put("/tmp/raw.so", (struct span){(const char *)wasm_side, sizeof wasm_side});
    struct err err = open_badly("/tmp/raw.so");
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, "not a side module prepared for this guest"));
    err = open_changed(RECORD_AT_SUM, 0xDEADBEEF);
    assert_int_equal(err.code, ERR_MISSING);
    err = open_changed(RECORD_AT_MEMORY, 512 * MIB); /* more than the guest may have */
    assert_int_equal(err.code, ERR_MEMORY);
    err = open_changed(RECORD_AT_MEMORY, UINT32_MAX);
    assert_int_equal(err.code, ERR_FORMAT);
    err = open_changed(RECORD_AT_MEMORY + 4, 31);
    assert_int_equal(err.code, ERR_FORMAT);
    err = open_changed(RECORD_AT_TABLE, 0); /* then it has none of its functions */
    assert_int_equal(err.code, ERR_MISSING);
    err = open_changed(RECORD_AT_TABLE, 1); /* its segment of functions does not fit */
    assert_int_equal(err.code, ERR_FORMAT);
    err = open_changed(RECORD_AT_TABLE, UINT32_MAX);
    assert_int_equal(err.code, ERR_FORMAT);
    err = open_changed(RECORD_AT_SIZE, 5);
    assert_int_equal(err.code, ERR_FORMAT);
}

/* Whatever a record says: the guest's own memory may suffer, the host's does not. */
static void records_with_any_word_changed_harm_nobody(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 2, 7, 0x7FFFFFFF, 0x80000000u, 0xFFFFFFFFu};
    const size_t len = record_of("side").len;
    traps_catch();
    for (size_t at = 0; at + 4 <= len; at += 4) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            (void)open_changed(at, numbers[i]);
        }
    }
    assert_int_equal(call_number(open_well("/tmp/pack/mod/side.so", false), "side_check"),
                     EVERYTHING_LINKED);
}

/* A library under the name of the one it needs needs itself, and lacks what that one has. */
static void library_that_needs_itself_ends(void **state)
{
    (void)state;
    traps_catch();
    file_put("/tmp/pack/libs/libbase.so", record_of("side"));
    struct err err = open_badly("/tmp/pack/libs/libbase.so");
    assert_non_null(strstr(err.text, "undefined symbol: base_number"));
}

/* ---- The list of modules ----------------------------------------------------------------------
 */

static void lists_that_are_wrong_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
    } lists[] = {
        {"\n", ERR_FORMAT},
        {"a0a0 base.cwasm\n", ERR_FORMAT},
        {"G0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0 base.cwasm\n",
         ERR_FORMAT},
        {"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0 \n", ERR_FORMAT},
        {"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0 none\n", ERR_ENGINE},
        {"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0 list", ERR_ENGINE},
    };
    struct engine *engine = NULL;
    struct modules *modules = NULL;
    char path[PATH_MAX_OF_TEST];
    struct err err;
    assert_int_equal(engine_new(false, &engine, &err), 0);
    snprintf(path, sizeof path, "%s/list", folder);
    assert_int_equal(modules_open(engine, path, &modules, &err), -1);
    assert_int_equal(err.code, ERR_MISSING);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        assert_int_equal(fd_write_file(path, span_of(lists[i].text), &err), 0);
        assert_int_equal(modules_open(engine, path, &modules, &err), -1);
        assert_int_equal(err.code, lists[i].code);
        assert_non_null(strstr(err.text, "list: "));
    }
    assert_int_equal(fd_write_file(path, span_of(""), &err), 0);
    assert_int_equal(modules_open(engine, path, &modules, &err), 0);
    modules_free(modules);
    unlink(path);
    engine_free(engine);
}

/* ---- Everything -------------------------------------------------------------------------------
 */

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int body(void *context, struct err *err)
{
    const struct CMUnitTest tests[] = {
        TEST(library_is_linked_with_what_it_needs),
        TEST(same_file_is_one_library),
        TEST(relative_path_has_an_origin),
        TEST(symbols_are_found_where_they_may_be),
        TEST(undefined_function_names_itself_when_called),
        TEST(memory_of_a_failed_library_is_given_back),
        TEST(missing_files_are_named),
        TEST(undefined_data_is_named),
        TEST(module_that_traps_before_its_constructors_is_an_error),
        TEST(constructor_that_traps_ends_the_guest),
        TEST(records_that_lie_are_errors),
        TEST(records_with_any_word_changed_harm_nobody),
        TEST(library_that_needs_itself_ends),
        cmocka_unit_test(lists_that_are_wrong_are_named),
    };
    if (sides_make(context, err) != 0) {
        return -1;
    }
    set_up(NULL); /* the first guest puts the engine's handlers in place */
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], NULL, &trap_handlers[i]);
    }
    tear_down(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static void folder_remove(void)
{
    char path[PATH_MAX_OF_TEST];
    for (size_t i = 0; i < MODULES_COUNT; i++) {
        snprintf(path, sizeof path, "%s/%s.cwasm", folder, sides[i].name);
        unlink(path);
        buf_free(&sides[i].record);
    }
    unlink(modules_path);
    rmdir(folder);
}

int main(void)
{
    char *dir = getenv("VITRINE_GUEST_DIR");
    struct err err = {0};
    if (dir == NULL || mkdtemp(folder) == NULL) {
        fprintf(stderr, "test_loader: VITRINE_GUEST_DIR names no folder with the guest\n");
        return 1;
    }
    int result = run_on_stack(body, dir, &err);
    if (result < 0) {
        fprintf(stderr, "test_loader: %s\n", err.text);
    }
    folder_remove();
    return result == 0 ? 0 : 1;
}
