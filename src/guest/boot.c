/* From a precompiled module to a Python that has imported the runner. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "guest/abi/abi.h"
#include "guest/abi/ffi.h"
#include "guest/abi/outside.h"
#include "guest/abi/timezone.h"
#include "guest/boot.h"
#include "guest/dylink/exports.h"
#include "guest/dylink/loader.h"
#include "guest/guest.h"
#include "guest/heap.h"
#include "guest/run.h"
#include "guest/snapshot.h"
#include "guest/state.h"
#include "guest/trampoline.h"

#define PYTHON_LIB "/lib/python3.14"

/* Of the names of modules, and the commas between them. */
#define PRELOAD_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,"

enum { IMAGES_MAX = 8, PATH_BYTES_MAX = 4096, VARIABLE_DIGITS = 20, REHEARSALS = 4 };

static const char *const exports[GUEST_FUNCTION_COUNT] = {
    [GUEST_CALL_CTORS] = "__wasm_call_ctors",
    [GUEST_MALLOC] = "malloc",
    [GUEST_FREE] = "free",
    [GUEST_MEMALIGN] = "memalign",
    [GUEST_MALLINFO] = "mallinfo",
    [GUEST_SBRK] = "sbrk",
    [GUEST_DL_SETERR] = "__dl_seterr",
    [GUEST_PYINITCONFIG_CREATE] = "PyInitConfig_Create",
    [GUEST_PYINITCONFIG_FREE] = "PyInitConfig_Free",
    [GUEST_PYINITCONFIG_SETINT] = "PyInitConfig_SetInt",
    [GUEST_PYINITCONFIG_SETSTR] = "PyInitConfig_SetStr",
    [GUEST_PYINITCONFIG_SETSTRLIST] = "PyInitConfig_SetStrList",
    [GUEST_PYINITCONFIG_GETERROR] = "PyInitConfig_GetError",
    [GUEST_PY_INITIALIZE] = "Py_InitializeFromInitConfig",
    [GUEST_PYIMPORT_IMPORTMODULE] = "PyImport_ImportModule",
    [GUEST_PYOBJECT_GETATTRSTRING] = "PyObject_GetAttrString",
    [GUEST_PYOBJECT_CALLNOARGS] = "PyObject_CallNoArgs",
    [GUEST_PYOBJECT_CALLONEARG] = "PyObject_CallOneArg",
    [GUEST_PYBOOL_FROMLONG] = "PyBool_FromLong",
    [GUEST_PYERR_PRINT] = "PyErr_Print",
    [GUEST_PY_GETVERSION] = "Py_GetVersion",
    [GUEST_PYRUN_SIMPLESTRING] = "PyRun_SimpleString",
    [GUEST_PYLIST_NEW] = "PyList_New",
    [GUEST_PYLIST_SETITEM] = "PyList_SetItem",
    [GUEST_PYERR_GETRAISEDEXCEPTION] = "PyErr_GetRaisedException",
    [GUEST_PY_DECREF] = "Py_DecRef",
    [GUEST_PYERR_SETINTERRUPTEX] = "PyErr_SetInterruptEx",
};

/* A mutable global, which the core shares with side modules. */
#define STACK_POINTER "__stack_pointer"

/* Exported data symbols: globals that hold an address. */
enum guest_datum {
    DATUM_ENVIRON,
    DATUM_NONE,
    DATUM_SIGNALS,
    DATUM_RUNTIME,
    DATUM_TRAMPOLINE,
    DATA
};

static const char *const data_names[DATA] = {
    [DATUM_ENVIRON] = "environ",
    [DATUM_NONE] = "_Py_NoneStruct",
    [DATUM_SIGNALS] = "Py_EMSCRIPTEN_SIGNAL_HANDLING",
    [DATUM_RUNTIME] = "_PyRuntime",
    [DATUM_TRAMPOLINE] = "_PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET",
};

void guest_core_exports(const char *names[GUEST_CORE_EXPORTS_MAX])
{
    size_t count = 0;
    _Static_assert(GUEST_FUNCTION_COUNT + DATA + 1 < GUEST_CORE_EXPORTS_MAX,
                   "the list must hold all");
    for (size_t i = 0; i < GUEST_FUNCTION_COUNT; i++) {
        names[count++] = exports[i];
    }
    for (size_t i = 0; i < DATA; i++) {
        names[count++] = data_names[i];
    }
    names[count++] = STACK_POINTER;
    names[count] = NULL;
}

/* ---- The instance ------------------------------------------------------------------------- */

/* One extern for each import: a row of the platform, a stub that names itself, or a GOT entry
 * (which no side module has filled yet). */
static int import_make(struct guest *guest, size_t index, struct engine_extern *out,
                       struct err *err)
{
    struct engine_item item = engine_import_at(guest->core, index);
    if (item.kind == ENGINE_GLOBAL) {
        return engine_global_for_import(guest->store, guest->core, index, 0, out, err);
    }
    if (item.kind != ENGINE_FUNC) {
        return err_set(err, ERR_FORMAT, "the core imports %.*s, which is no function or global",
                       (int)item.name.len, item.name.base);
    }
    const struct abi_row *row = abi_find(item.name);
    if (row == NULL) {
        struct abi_missing *missing = &guest->missing[index];
        size_t len =
            item.name.len < sizeof missing->name - 1 ? item.name.len : sizeof missing->name - 1;
        missing->guest = guest;
        memcpy(missing->name, item.name.base, len);
        return engine_func_for_import(guest->store, guest->core, index, abi_call_missing, missing,
                                      out, err);
    }
    if (strcmp(row->signature, item.signature) != 0) {
        return err_set(err, ERR_FORMAT, "the core declares %s as %s, not %s", row->name,
                       item.signature, row->signature);
    }
    return engine_func_for_import(guest->store, guest->core, index, row->fn, guest, out, err);
}

static int core_instantiate(struct guest *guest, size_t *instance, struct err *err)
{
    size_t count = engine_import_count(guest->core);
    struct engine_extern *imports = calloc(count + 1, sizeof *imports);
    guest->missing = calloc(count + 1, sizeof *guest->missing);
    int result = imports == NULL || guest->missing == NULL
                     ? err_set(err, ERR_MEMORY, "no memory for %zu imports", count)
                     : 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = import_make(guest, i, &imports[i], err);
    }
    if (result == 0) {
        result = engine_instantiate(guest->store, guest->core, imports, instance, err);
    }
    free(imports);
    return result;
}

static int exports_find(struct guest *guest, size_t instance, struct err *err)
{
    if (!engine_export(guest->store, instance, "memory", ENGINE_MEMORY, &guest->memory) ||
        !engine_export(guest->store, instance, "__indirect_function_table", ENGINE_TABLE,
                       &guest->table) ||
        !engine_export(guest->store, instance, STACK_POINTER, ENGINE_GLOBAL,
                       &guest->stack_pointer)) {
        return err_set(err, ERR_FORMAT, "the core does not export its memory, table and stack");
    }
    for (size_t i = 0; i < GUEST_FUNCTION_COUNT; i++) {
        if (!engine_export(guest->store, instance, exports[i], ENGINE_FUNC, &guest->functions[i])) {
            return err_set(err, ERR_FORMAT, "the core does not export %s", exports[i]);
        }
    }
    return 0;
}

/* In the order of their numbers, as many as there are. */
static int variables_find(struct guest *guest, size_t instance, struct err *err)
{
    guest->variable_count = 0;
    for (;;) {
        struct engine_extern variable;
        char name[sizeof EXPORTS_VARIABLE + VARIABLE_DIGITS];
        snprintf(name, sizeof name, "%s%zu", EXPORTS_VARIABLE, guest->variable_count);
        if (!engine_export(guest->store, instance, name, ENGINE_GLOBAL, &variable)) {
            return 0;
        }
        if (guest->variable_count == LIMIT_CORE_VARIABLES_MAX) {
            return err_set(err, ERR_LIMIT, "the core has more than %u variables",
                           LIMIT_CORE_VARIABLES_MAX);
        }
        guest->variables[guest->variable_count++] = variable;
    }
}

static int data_find(struct guest *guest, size_t instance, struct guest_addr data[DATA],
                     struct err *err)
{
    for (size_t i = 0; i < DATA; i++) {
        struct engine_extern global;
        if (!engine_export(guest->store, instance, data_names[i], ENGINE_GLOBAL, &global)) {
            return err_set(err, ERR_FORMAT, "the core does not export %s", data_names[i]);
        }
        data[i] = guest_addr(engine_global_get_i32(guest->store, &global));
    }
    guest->environ_at = data[DATUM_ENVIRON];
    guest->none = data[DATUM_NONE];
    guest->signal_switch_at = data[DATUM_SIGNALS];
    return 0;
}

/* CPython calls functions of the wrong arity through this; its index goes where
 * _PyEM_InitTrampoline would have put it (CPython, Python/emscripten_trampoline.c). */
static int trampoline_install(struct guest *guest, const struct guest_addr data[DATA],
                              struct err *err)
{
    uint32_t offset;
    uint32_t index;
    size_t instance;
    struct engine_extern function;
    const struct engine_extern imports[] = {guest->memory, guest->table};
    if (engine_instantiate(guest->store, guest->trampoline, imports, &instance, err) != 0) {
        return err_prefix(err, "the call trampoline");
    }
    if (!engine_export(guest->store, instance, "call", ENGINE_FUNC, &function)) {
        return err_set(err, ERR_FORMAT, "the call trampoline does not export its function");
    }
    if (engine_table_append(guest->store, &guest->table, &function, &index, err) != 0) {
        return -1;
    }
    if (guest_memory_read_u32(guest, data[DATUM_TRAMPOLINE], &offset) != 0 ||
        guest_memory_write_u32(guest, guest_addr(data[DATUM_RUNTIME].at + offset), index) != 0) {
        return err_set(err, ERR_FORMAT, "the core's trampoline slot is outside its memory");
    }
    return 0;
}

/* Makes the path of a file that lies beside the core. */
static int path_beside(const char *core_path, const char *name, char path[PATH_BYTES_MAX],
                       struct err *err)
{
    const char *slash = strrchr(core_path, '/');
    int dir_len = slash == NULL ? 0 : (int)(slash - core_path + 1);
    int len = snprintf(path, PATH_BYTES_MAX, "%.*s%s", dir_len, core_path, name);
    return len < 0 || len >= PATH_BYTES_MAX
               ? err_set(err, ERR_USAGE, "the path %s is too long", core_path)
               : 0;
}

/* Which build the guest's folder is of, by the sum of what it was made from (tools/guest.py). While
 * it is being made, there is no such file. */
static int build_read(struct guest *guest, const char *core_path, struct err *err)
{
    char path[PATH_BYTES_MAX];
    cleanup_buf struct buf text;
    buf_init(&text, sizeof guest->build);
    if (path_beside(core_path, GUEST_BUILD_FILE, path, err) != 0) {
        return -1;
    }
    if (fd_read_file(path, &text, NULL) == 0 && text.len < sizeof guest->build) {
        memcpy(guest->build, text.base, text.len);
        guest->build[strcspn(guest->build, "\n")] = '\0';
    }
    return 0;
}

/* The trampoline is a file too: compiling even its 100 bytes at boot costs 3 ms. */
static int modules_map(struct guest *guest, const struct guest_config *config, struct err *err)
{
    char trampoline[PATH_BYTES_MAX];
    char symbols[PATH_BYTES_MAX];
    return build_read(guest, config->core_path, err) != 0 ||
                   path_beside(config->core_path, GUEST_TRAMPOLINE_FILE, trampoline, err) != 0 ||
                   path_beside(config->core_path, GUEST_SYMBOLS_FILE, symbols, err) != 0 ||
                   engine_module_open(guest->engine, config->core_path, &guest->core, err) != 0 ||
                   engine_module_open(guest->engine, trampoline, &guest->trampoline, err) != 0 ||
                   loader_new(guest->engine, symbols, config->modules_path, &guest->loader, err) !=
                       0
               ? -1
               : 0;
}

/* Makes a store with an instance of the core in it, whose code does not run yet, and the call
 * trampoline in its table. */
static int instantiate(struct guest *guest, struct err *err)
{
    struct guest_addr data[DATA];
    if (engine_store_new(guest->engine, guest->memory_bytes_max, &guest->store, err) != 0 ||
        core_instantiate(guest, &guest->core_instance, err) != 0 ||
        exports_find(guest, guest->core_instance, err) != 0 ||
        variables_find(guest, guest->core_instance, err) != 0 ||
        data_find(guest, guest->core_instance, data, err) != 0 ||
        trampoline_install(guest, data, err) != 0) {
        return -1;
    }
    guest->table_own = engine_table_size(guest->store, &guest->table);
    return 0;
}

/* ---- The file system ------------------------------------------------------------------------ */

static uint64_t realtime_ns(void *context)
{
    (void)context;
    return outside_clock_ns(OUTSIDE_REALTIME);
}

static int64_t device_random(void *context, char *bytes, size_t len)
{
    (void)context;
    outside_random(bytes, len);
    return (int64_t)len;
}

static int images_map(struct guest *guest, const char *const *paths, struct err *err)
{
    for (size_t i = 0; paths[i] != NULL; i++) {
        if (i == IMAGES_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d images", IMAGES_MAX);
        }
        if (fd_map_file(paths[i], &guest->images[i], err) != 0) {
            return -1;
        }
        guest->image_count = i + 1;
    }
    return 0;
}

static int files_new(struct guest *guest, struct err *err)
{
    struct vfs_config files = {
        .images = guest->images,
        .image_count = guest->image_count,
        .quota = vfs_quota_default(),
        .now_ns = realtime_ns,
        .random = {.read = device_random},
        .standard =
            {
                {.context = guest, .stream = true},
                {.context = guest, .write = guest_write_stdout, .stream = true},
                {.context = guest, .write = guest_write_stderr, .stream = true},
            },
    };
    return vfs_new(&files, &guest->vfs, err);
}

static int files_map(struct guest *guest, const struct guest_config *config, struct err *err)
{
    guest->images = calloc(IMAGES_MAX, sizeof *guest->images);
    if (guest->images == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the image list");
    }
    return images_map(guest, config->image_paths, err) != 0 ? -1 : files_new(guest, err);
}

/* ---- Python -----------------------------------------------------------------------------------
 */

/* Copies a text into the guest's heap; 0 when the heap is full. Small texts at boot: not freed. */
static uint32_t text_new(struct guest *guest, const char *text)
{
    uint32_t len = (uint32_t)strlen(text) + 1;
    uint32_t at = 0;
    struct err err;
    if (guest_call(guest, GUEST_MALLOC, &len, 1, &at, &err) != 0 || at == 0 ||
        guest_memory_write(guest, guest_addr(at), text, len) != 0) {
        return 0;
    }
    return at;
}

/* Options of PEP 741; what is not named has the value of an isolated configuration. The module site
 * costs a third of a cold start; what programs want of it the runner gives them (execute.py). */
static const struct config_int {
    const char *name;
    uint64_t value;
} config_ints[] = {
    {"utf8_mode", 1},       {"install_signal_handlers", 1}, {"write_bytecode", 0},
    {"use_environment", 0}, {"user_site_directory", 0},     {"pathconfig_warnings", 0},
    {"site_import", 0},     {"buffered_stdio", 1},
};

static const struct config_text {
    const char *name;
    const char *value;
} config_texts[] = {
    {"home", "/"},
    {"program_name", "/usr/bin/python3"},
    {"executable", "/usr/bin/python3"},
    {"base_executable", "/usr/bin/python3"},
    {"stdlib_dir", PYTHON_LIB},
};

static const char *const search_paths[] = {PYTHON_LIB, PYTHON_LIB "/site-packages"};

static int config_fill(struct guest *guest, uint32_t config, struct err *err)
{
    uint32_t failed = 0;
    int result = 0;
    for (size_t i = 0; result == 0 && failed == 0 && i < sizeof config_ints / sizeof *config_ints;
         i++) {
        union engine_value values[3] = {{.i32 = config},
                                        {.i32 = text_new(guest, config_ints[i].name)},
                                        {.i64 = config_ints[i].value}};
        result =
            engine_call(guest->store, &guest->functions[GUEST_PYINITCONFIG_SETINT], values, 3, err);
        failed = values[0].i32;
    }
    for (size_t i = 0; result == 0 && failed == 0 && i < sizeof config_texts / sizeof *config_texts;
         i++) {
        const uint32_t args[] = {config, text_new(guest, config_texts[i].name),
                                 text_new(guest, config_texts[i].value)};
        result = guest_call(guest, GUEST_PYINITCONFIG_SETSTR, args, 3, &failed, err);
    }
    if (result == 0 && failed == 0) {
        const uint32_t list_bytes = sizeof search_paths / sizeof *search_paths * 4;
        uint32_t list = 0;
        result = guest_call(guest, GUEST_MALLOC, &list_bytes, 1, &list, err);
        for (uint32_t i = 0; result == 0 && i < list_bytes / 4; i++) {
            (void)guest_memory_write_u32(guest, guest_addr(list + 4 * i),
                                         text_new(guest, search_paths[i]));
        }
        const uint32_t args[] = {config, text_new(guest, "module_search_paths"), list_bytes / 4,
                                 list};
        if (result == 0) {
            result = guest_call(guest, GUEST_PYINITCONFIG_SETSTRLIST, args, 4, &failed, err);
        }
    }
    return result != 0 ? -1 : (failed != 0 ? 1 : 0);
}

/* Puts the guest's own words about a refused configuration into `err`. */
static int config_fail(struct guest *guest, uint32_t config, struct err *err)
{
    uint32_t slot_bytes = 4;
    uint32_t slot = 0;
    uint32_t failed = 0;
    uint32_t at = 0;
    struct span text = span_of("unknown reason");
    if (guest_call(guest, GUEST_MALLOC, &slot_bytes, 1, &slot, err) != 0) {
        return -1;
    }
    const uint32_t args[] = {config, slot};
    if (guest_call(guest, GUEST_PYINITCONFIG_GETERROR, args, 2, &failed, err) != 0) {
        return -1;
    }
    if (guest_memory_read_u32(guest, guest_addr(slot), &at) == 0) {
        (void)guest_memory_text(guest, guest_addr(at), ERR_TEXT_MAX, &text);
    }
    return err_set(err, ERR_FORMAT, "Python does not start: %.*s", (int)text.len, text.base);
}

static int python_start(struct guest *guest, struct err *err)
{
    uint32_t config = 0;
    uint32_t failed = 0;
    if (guest_call(guest, GUEST_PYINITCONFIG_CREATE, NULL, 0, &config, err) != 0) {
        return -1;
    }
    int filled = config_fill(guest, config, err);
    if (filled < 0) {
        return -1;
    }
    if (filled == 0 && guest_call(guest, GUEST_PY_INITIALIZE, &config, 1, &failed, err) != 0) {
        return -1;
    }
    if (filled != 0 || failed != 0) {
        return config_fail(guest, config, err);
    }
    return guest_call(guest, GUEST_PYINITCONFIG_FREE, &config, 1, NULL, err);
}

/* module.name as a new reference, or an error that says what Python printed nothing about. */
static int attribute_get(struct guest *guest, uint32_t object, const char *name, uint32_t *out,
                         struct err *err)
{
    const uint32_t args[] = {object, text_new(guest, name)};
    if (guest_call(guest, GUEST_PYOBJECT_GETATTRSTRING, args, 2, out, err) != 0) {
        return -1;
    }
    return *out != 0 ? 0 : err_set(err, ERR_FORMAT, "the runner has no function %s", name);
}

/* A function of a module of the runner's, imported by its name, as a new reference. */
static int function_find(struct guest *guest, const char *module_name, const char *name,
                         uint32_t *out, struct err *err)
{
    uint32_t text = text_new(guest, module_name);
    uint32_t module = 0;
    if (guest_call(guest, GUEST_PYIMPORT_IMPORTMODULE, &text, 1, &module, err) != 0) {
        return -1;
    }
    if (module == 0) {
        (void)guest_call(guest, GUEST_PYERR_PRINT, NULL, 0, NULL, err);
        return err_set(err, ERR_MISSING, "the guest's images have no %s", module_name);
    }
    return attribute_get(guest, module, name, out, err);
}

/* Tells the runner what to import ahead (python/vitrine/preload.py). */
static int preload_name(struct guest *guest, struct err *err)
{
    char source[LIMIT_PRELOAD_BYTES_MAX + 128];
    snprintf(source, sizeof source, "__import__('vitrine.preload').preload.names = '%s'",
             guest->preload);
    return guest_execute(guest, source, err);
}

static int runner_start(struct guest *guest, struct err *err)
{
    uint32_t prepare = 0;
    uint32_t is_warm = guest->is_warm ? 1 : 0;
    uint32_t flag = 0;
    uint32_t done = 0;
    if (function_find(guest, "vitrine.runner", "step", &guest->step_function, err) != 0 ||
        function_find(guest, "vitrine.runner", "prepare", &prepare, err) != 0 ||
        (guest->is_warm &&
         function_find(guest, "vitrine.rehearsal", "rewind", &guest->rewind_function, err) != 0) ||
        guest_call(guest, GUEST_PYBOOL_FROMLONG, &is_warm, 1, &flag, err) != 0) {
        return -1;
    }
    const uint32_t args[] = {prepare, flag};
    if (guest_call(guest, GUEST_PYOBJECT_CALLONEARG, args, 2, &done, err) != 0) {
        return -1;
    }
    if (done == 0) {
        (void)guest_call(guest, GUEST_PYERR_PRINT, NULL, 0, NULL, err);
        return err_set(err, ERR_FORMAT, "the runner cannot prepare itself");
    }
    return 0;
}

/* Calls a function of the rehearsal's that takes nothing. */
static int rehearsal_call(struct guest *guest, const char *name, struct err *err)
{
    uint32_t function = 0;
    uint32_t done = 0;
    if (function_find(guest, "vitrine.rehearsal", name, &function, err) != 0 ||
        guest_call(guest, GUEST_PYOBJECT_CALLNOARGS, &function, 1, &done, err) != 0) {
        return -1;
    }
    if (done == 0) {
        (void)guest_call(guest, GUEST_PYERR_PRINT, NULL, 0, NULL, err);
        return err_set(err, ERR_FORMAT, "the runner fails at vitrine.rehearsal.%s", name);
    }
    return 0;
}

static int rehearse_often(struct guest *guest, int count, struct err *err)
{
    int result = 0;
    for (int i = 0; result == 0 && i < count; i++) {
        result = guest_rehearse(guest, true, err);
    }
    return result;
}

/* What children will find done. The first runs fill caches, and the interpreter rewrites the code
 * that it runs until it is settled; after that, what is there is made cheap to share. */
static int share_prepare(struct guest *guest, struct err *err)
{
    return rehearse_often(guest, 1, err) != 0 || rehearsal_call(guest, "look_at_code", err) != 0 ||
                   rehearse_often(guest, 1, err) != 0 || heap_fill(guest, err) != 0 ||
                   rehearsal_call(guest, "gather_code", err) != 0 || heap_fill(guest, err) != 0 ||
                   rehearse_often(guest, REHEARSALS, err) != 0 ||
                   rehearsal_call(guest, "share", err) != 0
               ? -1
               : heap_fill(guest, err);
}

/* "3.14.0 (main, ...)": the first word. */
int boot_read_version(struct guest *guest, struct err *err)
{
    uint32_t at = 0;
    struct span text;
    if (guest_call(guest, GUEST_PY_GETVERSION, NULL, 0, &at, err) != 0) {
        return -1;
    }
    if (guest_memory_text(guest, guest_addr(at), ERR_TEXT_MAX, &text) != 0) {
        return err_set(err, ERR_FORMAT, "Python does not say its version");
    }
    size_t len = 0;
    while (len < text.len && text.base[len] != ' ' && len + 1 < sizeof guest->python_version) {
        guest->python_version[len] = text.base[len];
        len++;
    }
    return 0;
}

int boot_look_again(struct guest *guest, struct err *err)
{
    static const char *const names[] = {"importlib", "invalidate_caches"};
    uint32_t texts[] = {text_new(guest, names[0]), text_new(guest, names[1])};
    uint32_t objects[2] = {0};
    uint32_t done = 0;
    if (guest_call(guest, GUEST_PYIMPORT_IMPORTMODULE, &texts[0], 1, &objects[0], err) != 0) {
        return -1;
    }
    const uint32_t args[] = {objects[0], texts[1]};
    if ((objects[0] != 0 &&
         guest_call(guest, GUEST_PYOBJECT_GETATTRSTRING, args, 2, &objects[1], err) != 0) ||
        (objects[1] != 0 &&
         guest_call(guest, GUEST_PYOBJECT_CALLNOARGS, &objects[1], 1, &done, err) != 0)) {
        return -1;
    }
    if (done == 0 && guest_call(guest, GUEST_PYERR_GETRAISEDEXCEPTION, NULL, 0, &done, err) != 0) {
        return -1;
    }
    const uint32_t owned[] = {done, objects[0], objects[1]};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        if (owned[i] != 0 && guest_call(guest, GUEST_PY_DECREF, &owned[i], 1, NULL, err) != 0) {
            return -1;
        }
    }
    return guest_call(guest, GUEST_FREE, &texts[0], 1, NULL, err) != 0
               ? -1
               : guest_call(guest, GUEST_FREE, &texts[1], 1, NULL, err);
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static int preload_copy(struct guest *guest, const char *names, struct err *err)
{
    if (names == NULL) {
        return 0;
    }
    const size_t len = strlen(names);
    if (len > LIMIT_PRELOAD_BYTES_MAX || strspn(names, PRELOAD_CHARACTERS) != len) {
        return err_set(err, ERR_USAGE, "no list of modules to import ahead: %.100s", names);
    }
    guest->preload = strdup(names);
    return guest->preload != NULL ? 0 : err_set(err, ERR_MEMORY, "no memory");
}

int guest_load(const struct guest_config *config, struct guest **out, struct err *err)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (guest == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a guest");
    }
    guest->zone = zone_utc();
    guest->memory_bytes_max = config->memory_bytes_max;
    guest->is_warm = config->warm != 0;
    buf_init(&guest->handles, LIMIT_HANDLES_BYTES_MAX);
    if (preload_copy(guest, config->preload, err) != 0 || files_map(guest, config, err) != 0 ||
        engine_new(false, &guest->engine, err) != 0 || modules_map(guest, config, err) != 0 ||
        snapshot_map(guest, config, err) != 0 || instantiate(guest, err) != 0) {
        guest_free(guest);
        return err_prefix(err, "loading the guest");
    }
    if (guest->is_warm && engine_module_settle(guest->core, err) != 0) {
        guest_free(guest);
        return err_prefix(err, "loading the guest");
    }
    *out = guest;
    return 0;
}

int guest_boot_bare(struct guest *guest, struct err *err)
{
    return guest_call(guest, GUEST_CALL_CTORS, NULL, 0, NULL, err) != 0 ||
                   python_start(guest, err) != 0 || boot_read_version(guest, err) != 0
               ? err_prefix(err, "starting the guest")
               : 0;
}

int guest_boot_runner(struct guest *guest, struct err *err)
{
    if ((guest->preload != NULL && preload_name(guest, err) != 0) ||
        runner_start(guest, err) != 0) {
        return err_prefix(err, "starting the runner");
    }
    return guest->is_warm ? share_prepare(guest, err) : 0;
}

/* What the store's own memory refers to goes with it. */
static void instance_free(struct guest *guest)
{
    engine_store_free(guest->store);
    guest->store = NULL;
    buf_free(&guest->handles);
    free(guest->missing);
    guest->missing = NULL;
    ffi_free(guest->ffi);
    guest->ffi = NULL;
}

/* All that is neither the store's nor mapped. */
static int surroundings_reset(struct guest *guest, struct err *err)
{
    loader_reset(guest->loader);
    guest->zone = zone_utc();
    guest->zone_text[0] = '\0';
    guest->zone_names_at[0] = guest->zone_names_at[1] = guest_addr(0);
    guest->step_function = guest->rewind_function = 0;
    guest->is_restored = guest->ended = false;
    guest->sink = NULL;
    guest->end = NULL;
    vfs_free(guest->vfs);
    guest->vfs = NULL;
    return files_new(guest, err);
}

/* As after guest_load, but for the snapshot. */
static int reset(struct guest *guest, struct err *err)
{
    instance_free(guest);
    return surroundings_reset(guest, err) != 0 ? -1 : instantiate(guest, err);
}

int boot_clear(struct guest *guest, struct err *err)
{
    const uint32_t size = engine_table_size(guest->store, &guest->table);
    for (uint32_t i = guest->table_own; i < size; i++) {
        if (engine_table_set(guest->store, &guest->table, i, NULL, err) != 0) {
            return -1;
        }
    }
    buf_free(&guest->handles);
    ffi_free(guest->ffi);
    guest->ffi = NULL;
    return surroundings_reset(guest, err);
}

/* What the engine makes when it is first used is in no snapshot: references to functions. So a
 * guest that is to be shared rehearses once more. */
static int restore(struct guest *guest, struct err *err)
{
    if (snapshot_restore(guest, err) != 0) {
        return -1;
    }
    return guest->is_warm ? (guest_rehearse(guest, true, err) != 0 ? -1 : heap_fill(guest, err))
                          : 0;
}

int guest_boot(struct guest *guest, struct err *err)
{
    if (guest->snapshot.base != NULL) {
        if (restore(guest, err) == 0) {
            return 0;
        }
        log_debug("booting without a snapshot: %s", err->text);
        if (reset(guest, err) != 0) {
            return err_prefix(err, "starting the guest anew");
        }
    }
    return guest_boot_bare(guest, err) != 0 ? -1 : guest_boot_runner(guest, err);
}

bool guest_is_restored(const struct guest *guest)
{
    return guest->is_restored;
}

int guest_settle(struct guest *guest, struct err *err)
{
    engine_table_settle(guest->store, &guest->table);
    return engine_memory_settle(guest->store, &guest->memory, err);
}

void guest_prepare_copies(struct guest *guest)
{
    engine_memory_prepare(guest->store, &guest->memory, guest->memory_bytes_max);
}

void guest_free(struct guest *guest)
{
    if (guest == NULL) {
        return;
    }
    instance_free(guest);
    loader_free(guest->loader);
    snapshot_unmap(guest);
    engine_module_free(guest->trampoline);
    engine_module_free(guest->core);
    engine_free(guest->engine);
    vfs_free(guest->vfs);
    for (size_t i = 0; i < guest->image_count; i++) {
        munmap((void *)(uintptr_t)guest->images[i].base, guest->images[i].len);
    }
    free(guest->images);
    free(guest->preload);
    buf_free(&guest->answer);
    free(guest);
}

int guest_execute(struct guest *guest, const char *source, struct err *err)
{
    uint32_t text = text_new(guest, source);
    uint32_t failed = 0;
    if (guest_call(guest, GUEST_PYRUN_SIMPLESTRING, &text, 1, &failed, err) != 0) {
        return err_prefix(err, "executing Python");
    }
    return failed == 0 ? 0 : err_set(err, ERR_FORMAT, "the Python code raised an exception");
}

struct vfs *guest_files(struct guest *guest)
{
    return guest->vfs;
}

const char *guest_python_version(const struct guest *guest)
{
    return guest->python_version;
}

const char *guest_engine_version(void)
{
    return engine_version();
}
