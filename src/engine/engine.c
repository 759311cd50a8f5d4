#include "engine/engine.h"

#include <assert.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/limits.h"
#include "engine/pages.h"
#include "wasmtime_c.h"

enum { WASM_PAGE_BYTES = 65536 };

struct engine {
    wasm_engine_t *engine;
};

struct engine_module {
    wasmtime_module_t *module;
    wasm_importtype_vec_t imports;
};

struct host_call {
    engine_host_fn fn;
    void *context;
};

struct engine_store {
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    unsigned call_depth;  /* engine_calls under way, each from a host function of the one before */
    struct buf instances; /* of wasmtime_instance_t */
};

_Static_assert(sizeof(union engine_value) == sizeof(wasmtime_val_raw_t), "one value, one shape");
_Static_assert(sizeof(struct engine_extern) >= sizeof(wasmtime_extern_t), "an extern must fit");

const char *engine_version(void)
{
    return WASMTIME_C_ORIGIN;
}

/* The caller's struct is storage for the engine's own; both sides copy it whole. */
static wasmtime_extern_t extern_get(const struct engine_extern *hidden)
{
    wasmtime_extern_t value;
    memcpy(&value, hidden, sizeof value);
    return value;
}

static void extern_put(struct engine_extern *hidden, const wasmtime_extern_t *value)
{
    memset(hidden, 0, sizeof *hidden);
    memcpy(hidden, value, sizeof *value);
}

static int engine_fail(struct err *err, const char *what, wasmtime_error_t *error)
{
    wasm_byte_vec_t message;
    wasmtime_error_message(error, &message);
    err_set(err, ERR_ENGINE, "%s: %.*s", what, (int)(message.size < 400 ? message.size : 400),
            (const char *)message.data);
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
    return -1;
}

/* The first line of a message says what happened, unless a wasm backtrace comes before it. */
static int trap_fail_text(struct err *err, const wasm_byte_vec_t *message)
{
    struct span text = {(const char *)message->data, message->size};
    static const char cause[] = "Caused by:";
    for (size_t i = 0; i + sizeof cause - 1 <= text.len; i++) {
        if (memcmp(text.base + i, cause, sizeof cause - 1) == 0) {
            text.base += i + sizeof cause - 1;
            text.len -= i + sizeof cause - 1;
            i = 0;
        }
    }
    while (text.len > 0 && (*text.base == ' ' || *text.base == '\n')) {
        text.base++;
        text.len--;
    }
    const char *end = memchr(text.base, '\n', text.len);
    return err_set(err, ERR_TRAP, "%.*s",
                   (int)(end != NULL ? (size_t)(end - text.base) : strnlen(text.base, text.len)),
                   text.base);
}

/* A trap's code is what callers act on; its text is for people. */
static int trap_fail(struct err *err, wasm_trap_t *trap)
{
    wasmtime_trap_code_t code;
    wasm_byte_vec_t message;
    wasm_trap_message(trap, &message);
    if (wasmtime_trap_code(trap, &code) && code == WASMTIME_TRAP_CODE_STACK_OVERFLOW) {
        err_set(err, ERR_TRAP, "C stack overflow");
    } else {
        trap_fail_text(err, &message);
    }
    wasm_byte_vec_delete(&message);
    wasm_trap_delete(trap);
    return -1;
}

/* What a host function stopped, and an exception that nobody caught, come as errors. */
static int call_fail(struct err *err, wasmtime_error_t *error)
{
    wasm_byte_vec_t message;
    wasmtime_error_message(error, &message);
    trap_fail_text(err, &message);
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
    return -1;
}

int engine_new(bool parallel, struct engine **out, struct err *err)
{
    struct engine *engine = calloc(1, sizeof *engine);
    wasm_config_t *config = wasm_config_new();
    if (engine == NULL || config == NULL) {
        free(engine);
        return err_set(err, ERR_MEMORY, "no memory for the engine");
    }
    wasmtime_config_wasm_exceptions_set(config, true);
    wasmtime_config_wasm_reference_types_set(config, true);
    wasmtime_config_wasm_function_references_set(config, true);
    wasmtime_config_gc_support_set(config, true);
    wasmtime_config_wasm_gc_set(config, true);
    wasmtime_config_wasm_tail_call_set(config, true);
    wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_SPEED);
    wasmtime_config_parallel_compilation_set(config, parallel);
    wasmtime_config_native_unwind_info_set(config, false);
    /* The engine insists that the async stack be no smaller, though nothing here is async. */
    wasmtime_config_async_stack_size_set(config, LIMIT_GUEST_STACK_BYTES);
    wasmtime_config_max_wasm_stack_set(config, LIMIT_GUEST_STACK_BYTES);
    engine->engine = wasm_engine_new_with_config(config);
    if (engine->engine == NULL) {
        free(engine);
        return err_set(err, ERR_ENGINE, "the engine does not start with these settings");
    }
    *out = engine;
    return 0;
}

void engine_free(struct engine *engine)
{
    if (engine != NULL) {
        wasm_engine_delete(engine->engine);
        free(engine);
    }
}

static int module_take(wasmtime_module_t *raw, struct engine_module **out, struct err *err)
{
    struct engine_module *module = calloc(1, sizeof *module);
    if (module == NULL) {
        wasmtime_module_delete(raw);
        return err_set(err, ERR_MEMORY, "no memory for a module");
    }
    module->module = raw;
    wasmtime_module_imports(raw, &module->imports);
    *out = module;
    return 0;
}

int engine_compile(struct engine *engine, struct span wasm, struct buf *out, struct err *err)
{
    wasmtime_module_t *raw = NULL;
    wasmtime_error_t *error =
        wasmtime_module_new(engine->engine, (const uint8_t *)wasm.base, wasm.len, &raw);
    if (error != NULL) {
        return engine_fail(err, "the module does not compile", error);
    }
    wasm_byte_vec_t bytes;
    error = wasmtime_module_serialize(raw, &bytes);
    wasmtime_module_delete(raw);
    if (error != NULL) {
        return engine_fail(err, "the compiled module cannot be stored", error);
    }
    int result = buf_append(out, bytes.data, bytes.size);
    wasm_byte_vec_delete(&bytes);
    return result == 0 ? 0 : err_set(err, ERR_MEMORY, "no room for the compiled module");
}

int engine_module_open(struct engine *engine, const char *path, struct engine_module **out,
                       struct err *err)
{
    wasmtime_module_t *raw = NULL;
    wasmtime_error_t *error = wasmtime_module_deserialize_file(engine->engine, path, &raw);
    if (error != NULL) {
        engine_fail(err, "the precompiled module cannot be used (run `make build` again)", error);
        return err_prefix(err, "%s", path);
    }
    return module_take(raw, out, err);
}

void engine_module_free(struct engine_module *module)
{
    if (module != NULL) {
        wasm_importtype_vec_delete(&module->imports);
        wasmtime_module_delete(module->module);
        free(module);
    }
}

/* Finds the machine code in a module's image, which is an ELF file. */
static bool code_find(const char *image, size_t len, struct span *code)
{
    Elf64_Ehdr file;
    Elf64_Shdr section;
    if (len < sizeof file) {
        return false;
    }
    memcpy(&file, image, sizeof file);
    for (size_t i = 0; i < file.e_shnum; i++) {
        const uint64_t at = file.e_shoff + i * sizeof section;
        if (file.e_shoff > len || at + sizeof section > len) {
            return false;
        }
        memcpy(&section, image + at, sizeof section);
        if ((section.sh_flags & SHF_EXECINSTR) != 0) {
            *code = (struct span){image + section.sh_offset, section.sh_size};
            return section.sh_offset <= len && section.sh_size <= len - section.sh_offset;
        }
    }
    return false;
}

int engine_module_settle(struct engine_module *module, struct err *err)
{
    void *image;
    void *end;
    struct span code;
    wasmtime_module_image_range(module->module, &image, &end);
    if (!code_find(image, (size_t)((char *)end - (char *)image), &code)) {
        return err_set(err, ERR_FORMAT, "the module has no machine code that can be found");
    }
    return pages_settle((void *)(uintptr_t)code.base, code.len, PROT_READ | PROT_EXEC, true, err);
}

size_t engine_import_count(const struct engine_module *module)
{
    return module->imports.size;
}

static char type_letter(wasm_valtype_t *type)
{
    switch (wasm_valtype_kind(type)) {
    case WASM_I32: return 'i';
    case WASM_I64: return 'j';
    case WASM_F32: return 'f';
    case WASM_F64: return 'd';
    case WASM_EXTERNREF: return 'e';
    default: return 'x';
    }
}

/* False, and an empty text, when it does not fit. */
static bool signature_write(wasm_functype_t *type, char *out, size_t size)
{
    wasm_valtype_vec_t *params = wasm_functype_params(type);
    wasm_valtype_vec_t *results = wasm_functype_results(type);
    size_t at = 0;
    out[0] = '\0';
    if (params->size + results->size + 2 > size) {
        return false;
    }
    for (size_t i = 0; i < params->size; i++) {
        out[at++] = type_letter(params->data[i]);
    }
    out[at++] = ':';
    for (size_t i = 0; i < results->size; i++) {
        out[at++] = type_letter(results->data[i]);
    }
    out[at] = '\0';
    return true;
}

static struct span name_span(const wasm_name_t *name)
{
    return (struct span){(const char *)name->data, name->size};
}

struct engine_item engine_import_at(const struct engine_module *module, size_t index)
{
    assert(index < module->imports.size);
    wasm_importtype_t *import = module->imports.data[index];
    wasm_externtype_t *type = wasm_importtype_type(import);
    struct engine_item item = {
        .module = name_span(wasm_importtype_module(import)),
        .name = name_span(wasm_importtype_name(import)),
    };
    switch (wasm_externtype_kind(type)) {
    case WASM_EXTERN_FUNC:
        item.kind = ENGINE_FUNC;
        (void)signature_write(wasm_externtype_as_functype(type), item.signature,
                              sizeof item.signature);
        break;
    case WASM_EXTERN_GLOBAL: item.kind = ENGINE_GLOBAL; break;
    case WASM_EXTERN_TABLE: item.kind = ENGINE_TABLE; break;
    case WASM_EXTERN_MEMORY: item.kind = ENGINE_MEMORY; break;
    case WASM_EXTERN_TAG: item.kind = ENGINE_TAG; break;
    default: item.kind = ENGINE_OTHER; break;
    }
    return item;
}

int engine_store_new(struct engine *engine, uint64_t memory_bytes_max, struct engine_store **out,
                     struct err *err)
{
    struct engine_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a store");
    }
    store->store = wasmtime_store_new(engine->engine, NULL, NULL);
    store->context = wasmtime_store_context(store->store);
    wasmtime_store_limiter(store->store, (int64_t)memory_bytes_max, LIMIT_GUEST_TABLE_ENTRIES_MAX,
                           LIMIT_INSTANCES_MAX, -1, -1);
    buf_init(&store->instances, LIMIT_INSTANCES_MAX * sizeof(wasmtime_instance_t));
    *out = store;
    return 0;
}

void engine_store_free(struct engine_store *store)
{
    if (store != NULL) {
        wasmtime_store_delete(store->store);
        buf_free(&store->instances);
        free(store);
    }
}

/* The engine calls this for every host function. */
static wasm_trap_t *host_call_enter(void *env, wasmtime_caller_t *caller,
                                    wasmtime_val_raw_t *values, size_t count)
{
    (void)caller;
    (void)count;
    const struct host_call *call = env;
    if (call->fn(call->context, (union engine_value *)values) == 0) {
        return NULL;
    }
    static const char text[] = "stopped by the host";
    return wasmtime_trap_new(text, sizeof text - 1);
}

static int func_make(struct engine_store *store, wasm_functype_t *type, engine_host_fn fn,
                     void *context, struct engine_extern *out, struct err *err)
{
    struct host_call *call = malloc(sizeof *call);
    if (call == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a function");
    }
    *call = (struct host_call){fn, context};
    wasmtime_extern_t value = {.kind = WASMTIME_EXTERN_FUNC};
    wasmtime_func_new_unchecked(store->context, type, host_call_enter, call, free, &value.of.func);
    extern_put(out, &value);
    return 0;
}

int engine_func_for_import(struct engine_store *store, const struct engine_module *module,
                           size_t index, engine_host_fn fn, void *context,
                           struct engine_extern *out, struct err *err)
{
    assert(index < module->imports.size);
    wasm_externtype_t *type = wasm_importtype_type(module->imports.data[index]);
    return func_make(store, wasm_externtype_as_functype(type), fn, context, out, err);
}

/* ---- Functions and globals made at run time ---------------------------------------------------
 */

static wasm_valtype_t *letter_type(char letter)
{
    switch (letter) {
    case 'i': return wasm_valtype_new(WASM_I32);
    case 'j': return wasm_valtype_new(WASM_I64);
    case 'f': return wasm_valtype_new(WASM_F32);
    default: return wasm_valtype_new(WASM_F64);
    }
}

static wasm_valtype_vec_t letter_types(const char *letters, size_t count)
{
    wasm_valtype_vec_t types;
    wasm_valtype_vec_new_uninitialized(&types, count);
    for (size_t i = 0; i < count; i++) {
        types.data[i] = letter_type(letters[i]);
    }
    return types;
}

static wasm_functype_t *signature_read(const char *signature, struct err *err)
{
    static const char letters[] = "ijfd";
    size_t param_count = strspn(signature, letters);
    const char *results_at = signature + param_count + (signature[param_count] == ':' ? 1 : 0);
    size_t result_count = strspn(results_at, letters);
    if (signature[param_count] != ':' || results_at[result_count] != '\0') {
        err_set(err, ERR_FORMAT, "%.60s is not a signature", signature);
        return NULL;
    }
    if (param_count > LIMIT_WASM_PARAMS_MAX || result_count > LIMIT_WASM_PARAMS_MAX) {
        err_set(err, ERR_LIMIT, "a function of more than %u parameters", LIMIT_WASM_PARAMS_MAX);
        return NULL;
    }
    wasm_valtype_vec_t params = letter_types(signature, param_count);
    wasm_valtype_vec_t results = letter_types(results_at, result_count);
    return wasm_functype_new(&params, &results); /* takes both */
}

int engine_func_new(struct engine_store *store, const char *signature, engine_host_fn fn,
                    void *context, struct engine_extern *out, struct err *err)
{
    wasm_functype_t *type = signature_read(signature, err);
    if (type == NULL) {
        return -1;
    }
    int result = func_make(store, type, fn, context, out, err);
    wasm_functype_delete(type);
    return result;
}

bool engine_func_signature(struct engine_store *store, const struct engine_extern *function,
                           char *out, size_t size)
{
    wasmtime_extern_t value = extern_get(function);
    assert(value.kind == WASMTIME_EXTERN_FUNC);
    wasm_functype_t *type = wasmtime_func_type(store->context, &value.of.func);
    bool fits = signature_write(type, out, size);
    wasm_functype_delete(type);
    return fits;
}

int engine_global_for_import(struct engine_store *store, const struct engine_module *module,
                             size_t index, uint32_t value, struct engine_extern *out,
                             struct err *err)
{
    assert(index < module->imports.size);
    wasm_externtype_t *wanted = wasm_importtype_type(module->imports.data[index]);
    wasm_globaltype_t *type = wasm_externtype_as_globaltype(wanted);
    if (type == NULL || wasm_valtype_kind(wasm_globaltype_content(type)) != WASM_I32) {
        return err_set(err, ERR_FORMAT, "an imported global is no 32-bit number");
    }
    wasmtime_val_t initial = {.kind = WASMTIME_I32, .of.i32 = (int32_t)value};
    wasmtime_extern_t global = {.kind = WASMTIME_EXTERN_GLOBAL};
    wasmtime_error_t *error =
        wasmtime_global_new(store->context, type, &initial, &global.of.global);
    if (error != NULL) {
        return engine_fail(err, "a global cannot be made", error);
    }
    extern_put(out, &global);
    return 0;
}

uint32_t engine_global_get_i32(struct engine_store *store, const struct engine_extern *global)
{
    wasmtime_extern_t value = extern_get(global);
    assert(value.kind == WASMTIME_EXTERN_GLOBAL);
    wasmtime_val_t got;
    wasmtime_global_get(store->context, &value.of.global, &got);
    assert(got.kind == WASMTIME_I32);
    return (uint32_t)got.of.i32;
}

void engine_global_set_i32(struct engine_store *store, const struct engine_extern *global,
                           uint32_t value)
{
    wasmtime_extern_t to = extern_get(global);
    assert(to.kind == WASMTIME_EXTERN_GLOBAL);
    wasmtime_val_t number = {.kind = WASMTIME_I32, .of.i32 = (int32_t)value};
    wasmtime_error_t *error = wasmtime_global_set(store->context, &to.of.global, &number);
    assert(error == NULL); /* the caller knows the global */
}

/* ---- Instances and calls -----------------------------------------------------------------------
 */

int engine_instantiate(struct engine_store *store, const struct engine_module *module,
                       const struct engine_extern *imports, size_t *instance, struct err *err)
{
    const size_t instance_count = store->instances.len / sizeof(wasmtime_instance_t);
    if (instance_count == LIMIT_INSTANCES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u instances", LIMIT_INSTANCES_MAX);
    }
    size_t count = module->imports.size;
    wasmtime_extern_t *externs = calloc(count + 1, sizeof *externs);
    if (externs == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for %zu imports", count);
    }
    for (size_t i = 0; i < count; i++) {
        externs[i] = extern_get(&imports[i]);
    }
    wasm_trap_t *trap = NULL;
    wasmtime_instance_t made;
    wasmtime_error_t *error =
        wasmtime_instance_new(store->context, module->module, externs, count, &made, &trap);
    free(externs);
    if (error != NULL) {
        return engine_fail(err, "the module cannot be instantiated", error);
    }
    if (trap != NULL) {
        return trap_fail(err, trap);
    }
    if (buf_append(&store->instances, &made, sizeof made) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for an instance");
    }
    *instance = instance_count;
    return 0;
}

bool engine_export(struct engine_store *store, size_t instance, const char *name,
                   enum engine_kind kind, struct engine_extern *out)
{
    static const wasmtime_extern_kind_t kinds[] = {
        [ENGINE_FUNC] = WASMTIME_EXTERN_FUNC,   [ENGINE_GLOBAL] = WASMTIME_EXTERN_GLOBAL,
        [ENGINE_TABLE] = WASMTIME_EXTERN_TABLE, [ENGINE_MEMORY] = WASMTIME_EXTERN_MEMORY,
        [ENGINE_TAG] = WASMTIME_EXTERN_TAG,
    };
    assert((instance + 1) * sizeof(wasmtime_instance_t) <= store->instances.len &&
           kind != ENGINE_OTHER);
    wasmtime_instance_t from;
    wasmtime_extern_t value;
    memcpy(&from, store->instances.base + instance * sizeof from, sizeof from);
    if (!wasmtime_instance_export_get(store->context, &from, name, strlen(name), &value) ||
        value.kind != kinds[kind]) {
        return false;
    }
    extern_put(out, &value);
    return true;
}

int engine_call(struct engine_store *store, const struct engine_extern *function,
                union engine_value *values, size_t count, struct err *err)
{
    wasmtime_extern_t value = extern_get(function);
    assert(value.kind == WASMTIME_EXTERN_FUNC);
    if (store->call_depth == LIMIT_HOST_CALL_DEPTH) {
        return err_set(err, ERR_TRAP, "more than %u calls through the host in each other",
                       LIMIT_HOST_CALL_DEPTH);
    }
    wasm_trap_t *trap = NULL;
    store->call_depth++;
    wasmtime_error_t *error = wasmtime_func_call_unchecked(
        store->context, &value.of.func, (wasmtime_val_raw_t *)values, count, &trap);
    store->call_depth--;
    if (error != NULL) {
        return call_fail(err, error);
    }
    return trap == NULL ? 0 : trap_fail(err, trap);
}

/* ---- Tables ------------------------------------------------------------------------------------
 */

bool engine_table_get(struct engine_store *store, const struct engine_extern *table, uint32_t index,
                      struct engine_extern *out)
{
    wasmtime_extern_t from = extern_get(table);
    assert(from.kind == WASMTIME_EXTERN_TABLE);
    wasmtime_val_t entry;
    if (!wasmtime_table_get(store->context, &from.of.table, index, &entry) ||
        entry.kind != WASMTIME_FUNCREF || entry.of.funcref.store_id == 0) {
        return false;
    }
    wasmtime_extern_t function = {.kind = WASMTIME_EXTERN_FUNC, .of.func = entry.of.funcref};
    extern_put(out, &function);
    return true;
}

int engine_call_table(struct engine_store *store, const struct engine_extern *table, uint32_t index,
                      const char *signature, union engine_value *values, struct err *err)
{
    struct engine_extern function;
    if (!engine_table_get(store, table, index, &function)) {
        return err_set(err, ERR_TRAP, "indirect call to a function that is not there");
    }
    char actual[ENGINE_SIGNATURE_MAX];
    if (!engine_func_signature(store, &function, actual, sizeof actual) ||
        strcmp(actual, signature) != 0) {
        return err_set(err, ERR_TRAP, "indirect call type mismatch");
    }
    return engine_call(store, &function, values, strlen(signature), err);
}

uint32_t engine_table_size(struct engine_store *store, const struct engine_extern *table)
{
    wasmtime_extern_t of = extern_get(table);
    assert(of.kind == WASMTIME_EXTERN_TABLE);
    return (uint32_t)wasmtime_table_size(store->context, &of.of.table);
}

void engine_table_settle(struct engine_store *store, const struct engine_extern *table)
{
    wasmtime_extern_t of = extern_get(table);
    assert(of.kind == WASMTIME_EXTERN_TABLE);
    const uint64_t size = wasmtime_table_size(store->context, &of.of.table);
    for (uint64_t i = 0; i < size; i++) {
        wasmtime_val_t entry;
        (void)wasmtime_table_get(store->context, &of.of.table, i, &entry);
    }
}

int engine_table_set(struct engine_store *store, const struct engine_extern *table, uint32_t index,
                     const struct engine_extern *function, struct err *err)
{
    wasmtime_extern_t to = extern_get(table);
    wasmtime_val_t entry = {.kind = WASMTIME_FUNCREF};
    assert(to.kind == WASMTIME_EXTERN_TABLE);
    if (function != NULL) {
        wasmtime_extern_t from = extern_get(function);
        assert(from.kind == WASMTIME_EXTERN_FUNC);
        entry.of.funcref = from.of.func;
    }
    wasmtime_error_t *error = wasmtime_table_set(store->context, &to.of.table, index, &entry);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return err_set(err, ERR_LIMIT, "the table has no entry %u", index);
    }
    return 0;
}

int engine_table_grow(struct engine_store *store, const struct engine_extern *table, uint32_t count,
                      uint32_t *base, struct err *err)
{
    wasmtime_extern_t to = extern_get(table);
    assert(to.kind == WASMTIME_EXTERN_TABLE);
    wasmtime_val_t nothing = {.kind = WASMTIME_FUNCREF};
    uint64_t before = 0;
    wasmtime_error_t *error =
        wasmtime_table_grow(store->context, &to.of.table, count, &nothing, &before);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return err_set(err, ERR_LIMIT, "the table does not grow by %u entries", count);
    }
    *base = (uint32_t)before;
    return 0;
}

int engine_table_append(struct engine_store *store, const struct engine_extern *table,
                        const struct engine_extern *function, uint32_t *index, struct err *err)
{
    return engine_table_grow(store, table, 1, index, err) != 0
               ? -1
               : engine_table_set(store, table, *index, function, err);
}

/* ---- Memory ------------------------------------------------------------------------------------
 */

struct span engine_memory(struct engine_store *store, const struct engine_extern *memory)
{
    wasmtime_extern_t value = extern_get(memory);
    assert(value.kind == WASMTIME_EXTERN_MEMORY);
    return (struct span){
        (const char *)wasmtime_memory_data(store->context, &value.of.memory),
        wasmtime_memory_data_size(store->context, &value.of.memory),
    };
}

int engine_memory_grow(struct engine_store *store, const struct engine_extern *memory,
                       uint64_t bytes)
{
    wasmtime_extern_t value = extern_get(memory);
    assert(value.kind == WASMTIME_EXTERN_MEMORY);
    uint64_t now = wasmtime_memory_size(store->context, &value.of.memory);
    uint64_t want = (bytes + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES;
    if (want <= now) {
        return 0;
    }
    uint64_t before = 0;
    wasmtime_error_t *error =
        wasmtime_memory_grow(store->context, &value.of.memory, want - now, &before);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return -1;
    }
    return 0;
}

int engine_memory_settle(struct engine_store *store, const struct engine_extern *memory,
                         struct err *err)
{
    wasmtime_extern_t value = extern_get(memory);
    assert(value.kind == WASMTIME_EXTERN_MEMORY);
    return pages_settle(wasmtime_memory_data(store->context, &value.of.memory),
                        wasmtime_memory_data_size(store->context, &value.of.memory),
                        PROT_READ | PROT_WRITE, false, err);
}

void engine_memory_prepare(struct engine_store *store, const struct engine_extern *memory,
                           uint64_t bytes)
{
    wasmtime_extern_t value = extern_get(memory);
    assert(value.kind == WASMTIME_EXTERN_MEMORY);
    const size_t len = wasmtime_memory_data_size(store->context, &value.of.memory);
    if (bytes > len) { /* the addresses of all that may come are reserved */
        pages_prefer_huge(wasmtime_memory_data(store->context, &value.of.memory) + len,
                          (size_t)(bytes - len));
    }
}
