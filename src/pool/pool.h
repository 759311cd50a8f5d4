/*
 * The pool: programs in, outcomes out. Runs in `vitrine` (and in whatever embeds it), on the
 * caller's libuv loop, single-threaded: every callback comes from that loop.
 *
 * Life: pool_new starts a zygote (vitrine-cell) and returns at once; pool_run may be called before
 * the zygote is ready and waits for it; pool_close ends everything and calls back when nothing is
 * left. A failed zygote is replaced with backoff; one that served for long, or whose cells did
 * suspicious things, without a gap: the next one boots while it serves.
 *
 * A run takes place in an environment: the base (the standard library alone), or a folder that
 * src/packages has made. Each environment has a zygote of its own, started when the first run asks
 * for it. The least recently used ones are let go when all of them together take more memory than
 * the budget, or are more than LIMIT_ENVIRONMENT_COUNT_MAX; the base always stays.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/span.h"
#include "pool/jail.h"
#include "pool/outcome.h"

struct pool;
struct pool_run;
struct pool_session; /* pool/session.h */

enum { POOL_CGROUP_TEXT_MAX = 256 };

/* A directory of the host that every program of the pool sees at `path`: absolute, without "." and
 * "..", and nothing that is in the guest already; programs start in POOL_WORK_DIR where something
 * is mounted there. `fd` is open with O_PATH | O_DIRECTORY, and is borrowed until pool_close calls
 * back. */
enum pool_mount_mode { POOL_MOUNT_RO, POOL_MOUNT_RW, POOL_MOUNT_OVERLAY };
#define POOL_WORK_DIR "/work"
struct pool_mount {
    int fd;
    const char *path;
    enum pool_mount_mode mode;
};

struct pool_config {
    const char *cell_path;     /* the vitrine-cell program */
    const char *guest_dir;     /* folder with core.cwasm and *.img */
    unsigned spare_cells;      /* forked ahead of need; 0 forks on demand */
    uint64_t spare_bytes_max;  /* memory of more, as many as recent load asks for; 0: none */
    unsigned cells_max;        /* running at once; more wait in a queue of LIMIT_QUEUE_MAX */
    unsigned client_cells_max; /* of them, of one client; 0: all, or half where it is_shared */
    unsigned client_queue_max; /* waiting, of one client; 0: all there may be, or
                                  LIMIT_CLIENT_QUEUE_SHARED where it is_shared */
    bool warm;                 /* the zygote imports ahead; false is for a single quick run */
    uint64_t memory_bytes_max; /* ceiling of any request's memory limit */
    enum pool_jail_level require_jail; /* a zygote whose jail is less is not used */
    uint64_t environment_memory_bytes; /* budget of all zygotes but the base; 0: the default */
    const char *cgroup;                /* "auto" or a folder: see pool/cgroup.h; NULL: none */
    uint64_t
        cgroup_memory_bytes;   /* of all processes together, where there is one; 0: the default */
    uint64_t zygote_forks_max; /* of one zygote, then another one takes over; 0: the default */
    unsigned sessions_max;     /* pool/session.h; 0: the default */
    unsigned client_sessions_max;    /* of them, of one client; 0: the default */
    uint64_t session_memory_bytes;   /* of all sessions together; 0: the default */
    bool is_lazy;                    /* no zygote is started before a run asks for it */
    const struct pool_mount *mounts; /* LIMIT_MOUNTS_MAX at most */
    unsigned mount_count;
    bool is_shared; /* several clients that must not learn of each other: no two zygotes have the
                       same hash secret, so none starts from a snapshot. Otherwise the first one of
                       an environment does, and those that take over do not */
};

/* A folder made by `vitrine-precompile environment`; see src/builder/environment.h. A file
 * `preload` in it, if there is one, holds a line of module names with commas between them: a warm
 * pool imports them ahead. When that hangs or ends the zygote, the pool goes on without. */
struct pool_environment {
    const char *id;  /* its name: letters, digits, '-'; at most 64 */
    const char *dir; /* where it is */
};

/* The client of Vitrine's own programs: it has its turn as others have, but no limits. */
#define POOL_CLIENT_OWN UINT64_MAX

struct run_limits {
    uint64_t wall_ms;
    uint64_t cpu_ms;          /* 0: the wall time limits it, and nothing else */
    uint64_t grace_ms;        /* between KeyboardInterrupt and SIGKILL when time is over */
    uint64_t cancel_grace_ms; /* the same after pool_run_cancel */
    uint64_t memory_bytes;
    uint64_t output_bytes;
    uint64_t result_bytes;
    uint64_t file_bytes;
    uint64_t file_count;
    uint64_t open_files;
    uint64_t display_count;
    uint64_t picture_bytes; /* of one picture as base64; larger ones are scaled down */
    uint64_t recursion;     /* calls in each other; the program may set it otherwise */
};

/* The defaults of base/limits.h. */
struct run_limits run_limits_default(void);

/* A file that a program gets: its name is a path below the working directory, of at most
 * LIMIT_GIVEN_NAME_BYTES_MAX, without "", ".", ".." or NUL in it; UTF-8. */
struct run_file {
    const char *name;
    struct span bytes;
};

/* One program to run. Everything is borrowed, and copied by pool_run before it returns. */
struct run_request {
    struct span code;
    const char *filename;     /* "main.py" when NULL */
    struct span globals_json; /* a JSON object, or empty */
    const char *const *argv;  /* NULL-terminated, argv[0] included; NULL gives {filename} */
    const char *const *env;   /* NULL-terminated NAME=VALUE; may be NULL */
    bool want_value;
    bool shows_value; /* instead: the program writes it to stdout, as at Python's prompt */
    struct run_limits limits;

    const struct pool_environment *environment; /* NULL: the base */
    bool finds_needs;                           /* may end with OUTCOME_NEED instead of running */
    const char *const
        *dependencies;    /* NULL-terminated requirements given beside the code, or NULL */
    struct span resolved; /* the need that `environment` was made for, or empty */
    bool may_fetch;       /* the program may ask through run_events.fetch */
    /* Put into the working directory first: LIMIT_GIVEN_COUNT_MAX, LIMIT_GIVEN_BYTES_MAX. */
    const struct run_file *files;
    size_t file_count;
    bool wants_files;        /* run_events.file is told what the program has made */
    uint64_t made_bytes_max; /* contents of them, together; 0: LIMIT_MADE_BYTES_MAX */

    uint64_t client; /* whose it is: runs that wait are served in turn, client by client */
    bool is_aside;   /* with `session`: a program of our own that leaves the session's as it was */
    struct pool_session *session; /* NULL: a fresh cell. Else `client` and `limits.memory_bytes` are
                                     the session's, and `environment` counts while it has no cell */
};

struct run_events {
    void *context;
    /* With may_fetch: a record of enum wire_fetch_field, not trusted, borrowed until it returns.
     * Each is answered by one pool_run_fetched, now or later, unless `done` comes before. There is
     * one at a time, and LIMIT_RESOLVE_FETCHES_MAX in all. May be NULL without may_fetch. */
    void (*fetch)(void *context, struct pool_run *run, struct span question);
    /* As the guest writes; bytes may be cut anywhere and need not be UTF-8. RUN_DISPLAY has one
     * whole bundle, which should be a JSON object of texts by MIME type. May be NULL. */
    void (*output)(void *context, enum run_stream stream, struct span bytes);
    /* With wants_files, when the program has ended: a file below its working directory that it
     * made or changed, borrowed until it returns. LIMIT_MADE_COUNT_MAX at most;
     * outcome.files_left_out tells of more. May be NULL. */
    void (*file)(void *context, const struct run_made *file);
    /* Exactly once, last. The outcome is borrowed until it returns. */
    void (*done)(void *context, const struct outcome *outcome);
};

struct pool_cgroup {
    unsigned limits; /* bits of enum cgroup_limit (pool/cgroup.h) that hold */
    char where[POOL_CGROUP_TEXT_MAX];
    char reason[POOL_CGROUP_TEXT_MAX]; /* why the others do not */
};

/* What the base's zygote, or the first one of all, said of itself; empty strings until it is ready.
 * `jail` is known a little earlier, and also where it is not enough. */
struct pool_info {
    char python_version[32];
    char engine_version[64];
    uint64_t boot_us;
    uint32_t has_snapshot; /* 1 when it booted from one */
    struct pool_jail jail;
    struct pool_cgroup cgroup;
    bool ready;
};

/* *out is owned by the caller until pool_close. */
int pool_new(uv_loop_t *loop, const struct pool_config *config, struct pool **out, struct err *err);

/* Starts or queues a run. *out is valid until `done` has been called. Refusals (bad limits, queue
 * full, request too large) come back as -1 and `done` is not called. ERR_BUSY says that the same
 * may be taken later, and when: err->retry_after_ms. */
int pool_run(struct pool *pool, const struct run_request *request, const struct run_events *events,
             struct pool_run **out, struct err *err);

/* Answers the fetch under way; a run whose `done` has been called has none. `status` is of enum
 * wire_fetch_status; bytes are copied. What is larger than LIMIT_FETCH_ANSWER_BYTES_MAX becomes
 * WIRE_FETCH_FAILED. */
void pool_run_fetched(struct pool_run *run, uint32_t status, struct span bytes);

/* Starts the zygote of an environment ahead of need, as a run would. */
int pool_warm(struct pool *pool, const struct pool_environment *environment, struct err *err);

/* Ends a run early: KeyboardInterrupt, then SIGKILL after limits.cancel_grace_ms. `done` still
 * comes, with status OUTCOME_CANCELLED. */
void pool_run_cancel(struct pool_run *run);

/* While a pool is held no run is started, and those that have started go on. For a caller that
 * cannot pass outcomes on at the moment. */
void pool_hold(struct pool *pool, bool is_held);

/* Takes no new runs from now on (pool_run answers -1 with ERR_GONE), ends those that wait with
 * OUTCOME_REFUSED, and calls `drained` (may be NULL) once, from the loop, when none runs any more.
 * After pool_close it is not called. */
#define POOL_DRAINING_TEXT "no more programs are taken: Vitrine is about to end"
void pool_drain(struct pool *pool, void (*drained)(void *context), void *context);

struct pool_info pool_info(const struct pool *pool);

/* What there is of everything now, for metrics. */
struct pool_counts {
    unsigned running; /* programs, our own too */
    unsigned queued;
    unsigned spares;       /* cells */
    unsigned zygotes;      /* with those that start or end */
    unsigned environments; /* with packages; each may have a zygote */
};
struct pool_counts pool_counts(const struct pool *pool);

/* Called once when the zygote is ready, or when it has failed for good (err set). */
void pool_on_ready(struct pool *pool, void (*ready)(void *context, const struct err *err),
                   void *context);

/* Kills what still runs (their `done` comes with OUTCOME_CANCELLED), reaps all, frees the pool,
 * then calls `closed`. */
void pool_close(struct pool *pool, void (*closed)(void *context), void *context);

#endif
