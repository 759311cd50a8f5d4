/* vitrine-precompile core: prepares Pyodide's core and compiles it, with the call trampoline. */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/limits.h"
#include "builder/commands.h"
#include "engine/engine.h"
#include "guest/dylink/prepare.h"
#include "guest/guest.h"
#include "guest/trampoline.h"

enum { PATH_BYTES_MAX = 4096, PATH_ROOM = 32 };

#define WASM_BYTES_MAX   (256 * MIB)
#define NATIVE_BYTES_MAX (1 * GIB)

static int compile_to(struct engine *engine, struct span wasm, const char *path, struct err *err)
{
    cleanup_buf struct buf native;
    buf_init(&native, NATIVE_BYTES_MAX);
    if (engine_compile(engine, wasm, &native, err) != 0) {
        return err_prefix(err, "%s", path);
    }
    return fd_write_file(path, buf_span(&native), err);
}

/* Prepares the core and writes its link record; `module` gets the module to be compiled. */
static int core_prepare(const char *in, const char *symbols, struct buf *module, struct err *err)
{
    const char *names[GUEST_CORE_EXPORTS_MAX];
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf record;
    buf_init(&wasm, WASM_BYTES_MAX);
    buf_init(&record, LIMIT_RECORD_BYTES_MAX);
    guest_core_exports(names);
    if (fd_read_file(in, &wasm, err) != 0 ||
        prepare_core(buf_span(&wasm), names, module, &record, err) != 0) {
        return err_prefix(err, "%s", in);
    }
    return fd_write_file(symbols, buf_span(&record), err);
}

static int core_make(const char *in, const char *core, const char *trampoline, const char *symbols,
                     struct err *err)
{
    cleanup_buf struct buf module;
    buf_init(&module, WASM_BYTES_MAX);
    struct engine *engine = NULL;
    if (core_prepare(in, symbols, &module, err) != 0 || engine_new(true, &engine, err) != 0) {
        return -1;
    }
    int result = compile_to(engine, buf_span(&module), core, err);
    if (result == 0) {
        result = compile_to(engine, guest_trampoline, trampoline, err);
    }
    engine_free(engine);
    return result;
}

int command_core(int argc, char **argv, struct err *err)
{
    char core[PATH_BYTES_MAX];
    char trampoline[PATH_BYTES_MAX];
    char symbols[PATH_BYTES_MAX];
    if (argc != 3 || strlen(argv[2]) > sizeof core - PATH_ROOM) {
        return err_set(err, ERR_USAGE, "usage: vitrine-precompile core IN.wasm OUTDIR");
    }
    snprintf(core, sizeof core, "%s/core.cwasm", argv[2]);
    snprintf(trampoline, sizeof trampoline, "%s/" GUEST_TRAMPOLINE_FILE, argv[2]);
    snprintf(symbols, sizeof symbols, "%s/" GUEST_SYMBOLS_FILE, argv[2]);
    return core_make(argv[1], core, trampoline, symbols, err);
}
