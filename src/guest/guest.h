/*
 * CPython on the wasm engine: boot, run one request, interrupt. Used by `vitrine-cell` and by
 * `vitrine-precompile`. Life: guest_load, guest_boot and guest_settle (zygote), then fork, then
 * perhaps guest_rehearse, then guest_run (cell): once, or for a session again and again. A boot is
 * quick where there is a snapshot of a guest that was booted before from the same files
 * (docs/decisions/0009-snapshots.md).
 *
 * A guest is one value: linear memory, globals, table, file system and open files hang from
 * `struct guest` alone. Nothing here opens a host file after guest_load has returned, and no code
 * of a guest's runs before that.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/flow.h"
#include "base/span.h"

struct guest;

#define GUEST_TRAMPOLINE_FILE "trampoline.cwasm"

#define GUEST_BUILD_FILE "build" /* which build the guest is of, the same on all machines */

#define GUEST_SYMBOLS_FILE                                                                         \
    "core.symbols" /* what the core offers to side modules; dylink/record.h */

struct guest_config {
    const char *core_path;          /* precompiled core; the other two files lie beside it */
    const char *const *image_paths; /* read-only image layers, lowest first, NULL-terminated */
    uint64_t memory_bytes_max;      /* linear memory never grows past this */
    int warm;                       /* import ahead what most programs need (a zygote does) */
    /* Side modules, precompiled: a text file with one module a line, "SHA256-IN-HEX PATH", the path
     * relative to the file's own folder. All are mapped at boot; a dlopen only instantiates. NULL:
     * none. */
    const char *modules_path;
    const char *snapshot_path; /* of a guest like this one, booted; NULL: none. One that is not
                                  there, or does not fit, is passed over */
    const char *preload; /* comma-separated modules to import ahead in a warm guest; NULL: none. One
                            that fails is left to the program */
};

/* Opens, checks and maps all the files, and makes the core's instance. On success *out is owned by
 * the caller until guest_free. */
int guest_load(const struct guest_config *config, struct guest **out, struct err *err);

/* Boots CPython up to an imported runner. Takes 20 to 30 ms; a warm guest about 100 ms; with a
 * snapshot 1 ms, and then it is as warm as the guest that the snapshot was made of. After -1 the
 * guest is good for guest_free alone. */
int guest_boot(struct guest *guest, struct err *err);

/* Whether it was the snapshot that it booted from. */
bool guest_is_restored(const struct guest *guest);

void guest_free(struct guest *guest);

/* For a guest whose process is about to fork, once, after guest_boot: lays its memory out so that
 * children are cheap. -1 when there is no memory for that; the guest is as good as before. */
int guest_settle(struct guest *guest, struct err *err);

/* What a program may do in a directory of the host: as enum vfs_grant (vfs/vfs.h). */
enum guest_grant { GUEST_GRANT_READ, GUEST_GRANT_WRITE, GUEST_GRANT_OVERLAY };

/* Where a program begins when a directory is mounted there. */
#define GUEST_WORK_DIR "/work"

/* After guest_boot: shows the directory that is open as `fd` as `path`. See vfs_grant. */
int guest_mount(struct guest *guest, int fd, const char *path, enum guest_grant how,
                struct err *err);

/* For a guest whose process may be forked after it has run, before its jail closes: what it will
 * allocate is cheap to share. */
void guest_prepare_copies(struct guest *guest);

/* "3.14.0" and "wasmtime 50.0.1"; borrowed, static. */
const char *guest_python_version(const struct guest *guest);
const char *guest_engine_version(void);

/* Where the guest's output goes. A sink returns 0, or -1 to stop the guest at once. */
struct guest_sink {
    void *context;
    int (*output)(void *context, int is_stderr, struct span bytes); /* at most 64 KiB a call */
    int (*result)(void *context, struct span record);               /* WIRE_RESULT, unchecked */
    int (*display)(void *context, struct span bundle); /* WIRE_DISPLAY, unchecked; may be NULL */
    void (*flush)(void *context);                      /* the guest is about to wait; may be NULL */
    /* Answers a record of enum wire_fetch_field (unchecked) with u32 status and bytes, appended to
     * `answer`. NULL where the program may not fetch. */
    int (*fetch)(void *context, struct span question, struct buf *answer);
};

/* How a run ended; `reason` and `limits` are those of wire.h. */
struct guest_end {
    uint32_t reason;
    uint32_t limits;
    int32_t exit_code;
    uint64_t memory_bytes;
    char detail[256];
};

/*
 * Runs one request (a WIRE_REQUEST record, checked by wire_next but not trusted further) to its
 * end. Reseeds the guest's randomness first. The limits are read from the record. Always fills
 * *end; afterwards the guest may be run again only if the request was one of a session and the end
 * is WIRE_END_RETURNED.
 */
void guest_run(struct guest *guest, struct span request, const struct guest_sink *sink,
               struct guest_end *end);

/* A file that a run made or changed. */
struct guest_made {
    struct span name; /* its path below the working directory that the run began in */
    uint64_t size;
    bool has_content;
    struct span content;
};

struct guest_made_events {
    void *context;
    int (*file)(void *context, const struct guest_made *file); /* -1 ends it */
};

/*
 * After guest_run: tells of the regular files below the working directory that the run made or
 * changed, in the order of their names; hidden ones and Python's caches are left out. Those that
 * fit into bytes_max, all together, come with their contents. *left_out says how many more there
 * are than LIMIT_MADE_COUNT_MAX, at least. -1 when `file` said so.
 */
int guest_made_files(struct guest *guest, uint64_t bytes_max,
                     const struct guest_made_events *events, uint32_t *left_out);

/*
 * Runs a small program of the host's own and throws what it says away, so that the first run finds
 * its pages and caches warm. For a warm guest that has time before its request. The run need not
 * reseed randomness then, unless the process will fork. -1 when the guest is not fit to be used any
 * more.
 */
int guest_rehearse(struct guest *guest, bool will_fork, struct err *err);

/* Asks for a KeyboardInterrupt as soon as the interpreter looks. Async-signal-safe; callable from
 * a signal handler while guest_run is under way. */
void guest_interrupt(struct guest *guest);

/* ---- The state of a guest that has run --------------------------------------------------------
 */

/*
 * Writes all that the guest is, packed, in pieces of at most LIMIT_STATE_PIECE_BYTES: memory, its
 * libraries, its files with those that are open, its clocks. Between two runs, never during one.
 * The guest's hash secret and its random generators are in it. The guest stays as it is, whatever
 * comes of it. ERR_LIMIT, ERR_MISSING when the guest's folder has no GUEST_BUILD_FILE, and what
 * `out` says.
 */
int guest_state_write(struct guest *guest, const struct flow_out *out, struct err *err);

/* What a guest may have that comes out of a state. */
struct guest_state_room {
    uint64_t memory_bytes_max; /* and never more than guest_config says */
    uint64_t file_bytes_max;
    uint64_t file_count_max;
};

/*
 * Makes this guest the one whose state comes in pieces; whatever it was goes. For a guest that has
 * been loaded, booted or not, of the same build and engine, with all the side modules and files of
 * packages that the state refers to; where there are more, the guest sees them. The state may be
 * anybody's words: it is checked, and its memory is what its author could have written there as a
 * guest. That it is whole is the caller's to find out, if he did not make it. The guest's clocks go
 * on from where they were. After -1 it is good for guest_free alone. ERR_FORMAT with the reason,
 * ERR_LIMIT, ERR_MEMORY, ERR_TRAP, and what `in` says.
 */
int guest_state_read(struct guest *guest, const struct flow_pieces *in,
                     const struct guest_state_room *room, struct err *err);

/* ---- For set-up (vitrine-precompile) ----------------------------------------------------------
 */

struct vfs;

/* The names of the core's functions and data that a guest uses; the others need not be exported.
 * Fills `names`, NULL-terminated; static texts. */
enum { GUEST_CORE_EXPORTS_MAX = 64 };
void guest_core_exports(const char *names[GUEST_CORE_EXPORTS_MAX]);

/* As guest_boot, without a runner: for images that have none yet. `warm` is ignored. */
int guest_boot_bare(struct guest *guest, struct err *err);

/* The rest of guest_boot after guest_boot_bare: from here on code of packages runs. */
int guest_boot_runner(struct guest *guest, struct err *err);

/* Writes a snapshot of a guest that has booted and not run, beside `path`, and renames it into
 * place. The guest's own randomness is in it, so who can read it can guess the hash secret of
 * guests that boot from it. ERR_USAGE when the guest holds something that a snapshot cannot. */
int guest_snapshot_write(struct guest *guest, const char *path, struct err *err);

/* Executes Python source in __main__; its output goes to this process's standard error. -1 when it
 * raised (the traceback has been printed) or trapped. */
int guest_execute(struct guest *guest, const char *source, struct err *err);

/* The guest's file system; borrowed. */
struct vfs *guest_files(struct guest *guest);

#endif
