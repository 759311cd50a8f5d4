/*
 * vitrine-precompile: makes what vitrine-cell maps at run time.
 *
 * At set-up, of pinned files:
 *   core IN.wasm OUTDIR
 *       prepares Pyodide's core (guest/dylink/prepare.h) and compiles it and the call trampoline
 *       for this machine: core.cwasm, trampoline.cwasm; its link record is core.symbols
 *   image OUT.img GUESTDIR=HOSTDIR...
 *       packs folders of this machine into a read-only image
 *   bytecode OUT.img --core CORE.cwasm --image IN.img... --script S.py --root GUESTDIR
 *       boots a guest on the images, runs the script in it (which writes bytecode beside the
 *       sources), and packs GUESTDIR as it is then
 *   snapshot OUT --core CORE.cwasm --image IN.img...
 *       boots a guest on the images, imports ahead what most programs need, and saves it; leaves a
 *       file alone that a guest can boot from
 *
 * Later, of wheels that nobody vouches for (environment.h):
 *   wheel WHEEL.whl OUTDIR --guest GUESTDIR [--sha256 HEX]
 *   environment OUTDIR --wheel WHEELDIR... [--about FILE.json]
 */
#include <string.h>

#include "base/log.h"
#include "builder/commands.h"

int builder_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv, struct err *err);
    } commands[] = {
        {"core", command_core},         {"image", command_image},
        {"bytecode", command_bytecode}, {"snapshot", command_snapshot},
        {"wheel", command_wheel},       {"environment", command_environment},
    };
    log_set_program("vitrine-precompile");
    struct err err = {0};
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int result = commands[i].run(argc - 1, argv + 1, &err);
            if (result != 0) {
                log_error("%s: %s", argv[1], err.text);
            }
            return result == 0 ? 0 : err.code == ERR_USAGE ? 2 : 1;
        }
    }
    log_error("usage: vitrine-precompile core|image|bytecode|snapshot|wheel|environment ...");
    return 2;
}
