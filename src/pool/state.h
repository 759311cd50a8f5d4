/*
 * The pool's parts, private to src/pool. Who calls whom: pool.c (admission, the end) uses queue.c
 * (whose turn it is) and
 * environment.c (one zygote after another, spare cells, who is let go), which uses zygote.c
 * (process, control socket); cells.c is one child and its one run. What happens to zygotes goes up
 * through the environment_* functions, what happens to runs through the pool_* functions at the end
 * of this file.
 *
 * Everything lives on one loop. Objects with libuv handles are freed when libuv has let go of all
 * their handles, never earlier: so what a callback was called with is there until it returns.
 */
#ifndef POOL_STATE_H
#define POOL_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"
#include "base/limits.h"
#include "pool/cgroup.h"
#include "pool/pool.h"
#include "pool/queue.h"
#include "pool/session.h"
#include "pool/spares.h"
#include "wire/wire.h"

/* One read: the largest output frame fits. */
#define POOL_CHUNK_BYTES (WIRE_HEADER_BYTES + LIMIT_OUTPUT_FRAME_BYTES_MAX)

enum { ZYGOTE_LINE_MAX = 512 };

/* ---- A run ----------------------------------------------------------------------------------- */

/* A file that the cell is telling. */
struct made_file {
    struct buf name; /* UTF-8 */
    uint64_t size;
    bool has_content;
    struct buf content;
    uint64_t left; /* bytes of the content that are still to come */
    unsigned count;
    uint64_t bytes_left; /* that may come in all */
};

/*
 * Whose turn it is between the pool and the cell of a run:
 *
 *     the pool's, until `down` is sent whole --> the cell's --FETCH--> the pool's: is_fetching
 *                     ^                                                        |
 *                     +---------------------- pool_run_fetched ----------------+
 *
 * A cell that says anything when it is not its turn breaks the protocol.
 */
struct transfer;

struct pool_run {
    TAILQ_ENTRY(pool_run) link; /* in the queue, or in the list of those that end next */
    struct pool *pool;
    struct environment *environment;
    struct client *client;
    struct pool_session *session; /* NULL: it has a cell for itself */
    struct transfer *transfer;    /* NULL: it is a program; else the session's state (transfer.h) */
    struct cell *cell;            /* NULL before it is sent */
    struct run_events events;
    struct run_limits limits;
    bool finds_needs;
    bool may_fetch;
    struct buf down;      /* a frame for the cell, the request first; freed when it is sent */
    size_t request_bytes; /* of the request, also afterwards */
    size_t down_sent_bytes;
    bool is_fetching;     /* asked, and not answered */
    unsigned fetch_count; /* questions so far */
    struct buf result;    /* payload of RESULT */
    bool has_result;
    uint64_t output_bytes; /* seen so far */
    uint64_t display_count;
    uint64_t display_bytes;
    bool wants_files;
    struct made_file made;
    uint64_t queued_us;
    uint64_t sent_us; /* 0 before it is sent */
    bool is_queued;
    bool is_cancelled;
    bool is_out_of_time;
    const char *refusal; /* static, or the pool's own text */
};

/* ---- A cell ---------------------------------------------------------------------------------- */

enum cell_state {
    CELL_SPARE,   /* waits for a request */
    CELL_RUNNING, /* has one */
    CELL_RESTING, /* a session's, between two */
    CELL_UNBORN,  /* a session's, that is to be a copy of another's and is not there yet */
    CELL_ENDING,  /* has nothing to say any more; its process is not reaped yet */
};

struct cell {
    TAILQ_ENTRY(cell) link; /* in pool->cells, oldest first */
    struct pool *pool;
    struct environment *environment;
    struct zygote *zygote; /* while the process is not gone */
    uint32_t number;
    enum cell_state state;
    struct pool_run *run;         /* while RUNNING */
    struct pool_session *session; /* whose it is; NULL: nobody's, or no longer */
    bool stays;                   /* it was forked for a session */
    uint32_t copy_of;             /* number of the cell that it is a copy of; 0: of none */
    bool is_splitting;            /* RESTING: it makes a copy of itself */
    int fd;                       /* our end; -1 when closed */
    int child_fd;                 /* the cell's end, until FORK is sent */
    struct buf in;                /* a frame that has not arrived whole */
    uv_poll_t poll;
    uv_timer_t timer; /* the deadline, then the grace, then patience with a process that ends */
    unsigned handles; /* not closed yet */
    bool is_interrupted;
    bool is_cancelled;
    bool is_killed;
    bool is_gone; /* the process is reaped, or never was */
    bool lingers; /* its run is over, and its process is not: counted by the pool */
    /* Commands that the control socket has not taken yet. */
    bool wants_interrupt;
    bool wants_kill;
    bool is_reminded;              /* interrupted a second time */
    uint32_t turn;                 /* how many runs it has been given */
    unsigned interrupts_under_way; /* that have not reached a session's cell yet */
};
TAILQ_HEAD(cell_list, cell);

/* Asks the zygote for a child. NULL when the system has no descriptors or memory left. */
struct cell *cell_new(struct pool *pool, struct zygote *zygote);

/* The same for a session: it stays after its first run. */
struct cell *cell_new_session(struct pool *pool, struct zygote *zygote);

/* A copy of a session's cell that rests; it is asked for by cell_begin_copy, when it has its
 * session. */
struct cell *cell_new_copy(struct cell *original);
void cell_begin_copy(struct cell *copy);

/* The zygote says that it is there. */
void cell_born(struct cell *cell);

/* Sends a run to a spare cell, or to a session's that rests, and starts its deadline. False when
 * the cell turns out to be dead: then the run is untouched. */
bool cell_give(struct cell *cell, struct pool_run *run);

/* Sends what its run has in `down`, as much as the socket takes now; the rest follows. */
void cell_send_down(struct cell *cell);

/* Interrupts the run, which nobody wants any more, and kills the cell soon. */
void cell_cancel(struct cell *cell);

/* The process is reaped (wait_status), or died with its zygote (breakage), or could not be made
 * (neither). A run that it had ends now. */
void cell_gone(struct cell *cell, const int *wait_status, const char *breakage);

/* Lets a spare cell go, or one that rests: it exits. */
void cell_retire(struct cell *cell);

/* Reads once; true when there may be more. */
bool cell_read(struct cell *cell);

/* Sends the commands that wait for room in the control socket; as zygote_command. */
int cell_flush_commands(struct cell *cell);

/* ---- A session (session.c) ------------------------------------------------------------------- */

struct pool_session {
    TAILQ_ENTRY(pool_session) link; /* in pool->sessions until it ends */
    struct pool *pool;
    struct pool_session_config config;
    struct pool_session_events events;
    struct cell *cell;               /* NULL: none yet, or no more */
    struct environment *environment; /* of the cell; NULL without */
    struct pool_run *run;            /* that its cell runs */
    unsigned run_count;              /* that wait or run */
    unsigned references;             /* of the users, and one of each run */
    bool has_state;                  /* a program has run in the cell */
    bool is_moving;                  /* its state is on the way into another one (move.c) */
    bool is_ended;
    bool is_closing;           /* it ends when its run does */
    enum pool_session_end end; /* then, for this reason */
    bool is_silent;            /* nobody is told */
    bool is_timer_open;
    uint64_t opened_us;
    uint64_t used_us;
    uint64_t memory_bytes; /* as its cell said at the end of the last run */
    uv_timer_t timer;      /* the idle and the absolute lifetime */
};
TAILQ_HEAD(session_list, pool_session);

/* Whether a run of the session could start: its cell has nothing else to do. */
bool session_is_free(const struct pool_session *session);

/* A cell for the next run: its own, or a new one that stays. NULL as cell_new. */
struct cell *session_cell(const struct pool_session *session, struct environment *environment);

/* That new one has its first run, so it is the session's. */
void session_attach(struct pool_session *session, struct cell *cell);

/* A session of the same client and limits, past all that limits their number: for a moment. */
int session_open_beside(const struct pool_session *session,
                        const struct pool_session_events *events, struct pool_session **out,
                        struct err *err);

/* Lets go of its own cell, which rests, and takes that of the other one, which rests too. */
void session_take_cell(struct pool_session *session, struct pool_session *other);

/* A run has joined, or left. */
void session_run_joins(struct pool_session *session);
void session_run_leaves(struct pool_session *session);

/* How the run ended that its cell had, which is to be finished after this. True when the cell is to
 * rest now. Otherwise it is no longer the session's; *is_over is set when the session ends with it,
 * and session_lost is to be called when the run is finished. */
struct run_end;
bool session_keeps_cell(struct pool_session *session, const struct pool_run *run,
                        const struct run_end *how, bool *is_over);

/* The cell that rested is gone, or the run that took it along is finished. `why` may be NULL. */
void session_lost(struct pool_session *session, const char *why);

/* Its cell, a copy of another session's, is there. */
void session_born(struct pool_session *session);

/* A run is finished: the session may have waited for that to end, or another one may have to. */
void session_look(struct pool_session *session);

/* Ends all, those with a run when that is over. */
void sessions_end(struct pool *pool, enum pool_session_end end);

/* ---- A zygote -------------------------------------------------------------------------------- */

struct zygote {
    TAILQ_ENTRY(zygote) link;
    struct pool *pool;
    struct environment *environment;
    uint64_t boot_ms_max;
    uv_process_t process; /* its launcher */
    pid_t pid;            /* its own; 0 before it has said a word */
    uv_poll_t control;
    uv_pipe_t log;
    uv_timer_t timer; /* patience with its start, then with its end */
    int fd;           /* our end of the control socket */
    unsigned handles; /* not closed yet */
    bool is_jailed;   /* it said so, and it is enough */
    bool is_ready;
    bool is_suspect;        /* of its cells one did what none does */
    bool is_retired;        /* another has taken over: it ends with its last run */
    bool is_stopped;        /* by us */
    bool is_gone;           /* the process is reaped */
    uint64_t ready_us;      /* when */
    bool is_fatal;          /* it cannot start, and said why */
    char why[ERR_TEXT_MAX]; /* why it ended */
    char line[ZYGOTE_LINE_MAX];
    size_t line_len;
    unsigned lines; /* logged so far */
    uint64_t fork_count;
    unsigned running_count; /* cells with a run */
    unsigned session_count; /* cells of sessions */
};
TAILQ_HEAD(zygote_list, zygote);

/* A run, or a session's cell, has ended: if it is retired, and that was the last, it ends too. */
void zygote_let_go(struct zygote *zygote);

/* Starts a process. NULL when the system refuses. */
struct zygote *zygote_new(struct environment *environment, char **args, uint64_t boot_ms_max,
                          struct err *err);

/* Sends one command: 1, or 0 when the socket is full (zygote_flush is called again when it is
 * not), or -1 when it is broken. */
int zygote_command(struct zygote *zygote, enum wire_type type, uint32_t number, int attached_fd);

/* The same with a second number. */
int zygote_command_pair(struct zygote *zygote, enum wire_type type, uint32_t number,
                        uint32_t second, int attached_fd);

/* Ends the process and its cells: gently at first, with patience. */
void zygote_stop(struct zygote *zygote);

/* Ends it now; something is wrong with it. */
void zygote_kill(struct zygote *zygote);

/* ---- An environment -------------------------------------------------------------------------- */

/*
 *            want                      READY
 *     IDLE -----------> STARTING ------------------> READY
 *      ^ ^                 |  ^                       |  |
 *      | |   cannot start  |  |  zygote died, and     |  |
 *      | +-----------------+  |  runs wait (the base: |  |
 *      |   its runs are       |  always)              |  |
 *      |   refused            +-----------------------+  |
 *      |                                                 |
 *      +-------------------------------------------------+
 *         zygote died and nothing waits, or it was let go
 *
 * "Cannot start" is: it said why it cannot, or it was not ready in time, or died some times in a
 * row before it was ready. All three are held against its imports ahead first: it is started once
 * more without them, and never again with them. For the base, "cannot start" is the pool's end.
 */
enum environment_state {
    ENVIRONMENT_IDLE,     /* no zygote, and none is needed */
    ENVIRONMENT_STARTING, /* a zygote boots, or one will when the backoff is over */
    ENVIRONMENT_READY,
};

enum { ENVIRONMENT_ID_BYTES_MAX = 64 };

struct environment {
    TAILQ_ENTRY(environment) link; /* in pool->environments: the base, then who was used last */
    struct pool *pool;
    bool is_base;
    bool is_listed; /* in pool->environments */
    char id[ENVIRONMENT_ID_BYTES_MAX + 1];
    char *dir;    /* owned; NULL for the base */
    bool is_bare; /* its zygote does not import ahead any more */
    bool was_ready;
    enum environment_state state;
    struct zygote *zygote;  /* the one that new cells come from; NULL in between */
    struct zygote *next;    /* boots, to take over; or NULL */
    uint64_t renewed_us;    /* when the last of those was started; 0: never */
    unsigned renewals;      /* on suspicion, in a row */
    bool has_preload;       /* that zygote imports ahead */
    uint64_t memory_bytes;  /* of that zygote, once it is ready */
    unsigned zygote_count;  /* processes, with those that end */
    unsigned run_count;     /* runs that wait or run here */
    unsigned queued_count;  /* of them, in the queue */
    unsigned session_count; /* that have their cell here */
    unsigned spare_count;
    unsigned spare_deaths; /* in a row */
    unsigned failures;     /* zygotes in a row that never were ready */
    unsigned deaths;       /* zygotes in a row that did not last */
    struct spares_demand demand;
    uint64_t spared_us;  /* when the last spare cell was made */
    uint64_t cell_bytes; /* of a spare cell; 0: not measured yet */
    uint64_t used_us;    /* when it was last asked for */
    uv_timer_t timer;    /* STARTING: the backoff */
    bool is_closed;      /* the timer is */
    struct err failure;  /* why it could not start */
};
TAILQ_HEAD(environment_list, environment);

/* The base, to be started next. NULL: no memory. */
struct environment *environment_new_base(struct pool *pool);

/* Starts a zygote now. One that cannot be started counts as one that died. */
void environment_start(struct environment *environment);

/* As that, but it is only made: whose place it takes is the caller's affair. With `is_fresh` it
 * does not start from a snapshot, whose hash secret is always the same. */
int environment_spawn(struct environment *environment, bool is_fresh, struct zygote **out,
                      struct err *err);

/* Finds or makes one; the base for NULL. NULL when it is ill-named, or all there may be are in use.
 */
struct environment *environment_get(struct pool *pool, const struct pool_environment *wanted,
                                    struct err *err);

/* It is needed: starts a zygote, perhaps after a while, if there is none. -1 when it cannot. */
int environment_want(struct environment *environment, struct err *err);

/* Its oldest spare cell, or NULL. */
struct cell *environment_spare(const struct environment *environment);

/* Lets go of the least recently used ones, until the rest are within the budget. */
void environments_trim(struct pool *pool);

/* For the end of the pool: no zygote any more; it frees itself. */
void environment_close(struct environment *environment);

/* What happened to its parts; called by zygote.c and cells.c. */
void environment_zygote_ready(struct environment *environment, struct zygote *zygote);
void environment_zygote_ended(struct environment *environment, struct zygote *zygote);
void environment_part_freed(struct environment *environment);

/* ---- Renewal (renewal.c) --------------------------------------------------------------------- */

/* Starts successors of the zygotes that are to be replaced, where it may be now. True when it has
 * to be called again after a while. */
bool renewals_look(struct pool *pool);

/* A cell of the zygote did what none should be able to do. */
void renewal_suspect(struct zygote *zygote, const char *what);

/* The successor takes over; or has ended instead. */
void renewal_ready(struct environment *environment);
void renewal_failed(struct environment *environment, const struct zygote *zygote);

/* ---- The pool -------------------------------------------------------------------------------- */

enum pool_state {
    POOL_OPEN,
    POOL_FAILED, /* the base cannot start */
    POOL_CLOSING,
};

/* Limits that tests make shorter. */
struct pool_patience {
    uint64_t boot_ms;       /* LIMIT_ZYGOTE_BOOT_MS */
    uint64_t preload_ms;    /* LIMIT_ENVIRONMENT_PRELOAD_MS, for the start of one that preloads */
    uint64_t spare_keep_ms; /* LIMIT_ENVIRONMENT_SPARE_MS */
    uint64_t renewal_ms;    /* LIMIT_ZYGOTE_RENEWAL_MS_MIN */
    uint64_t tick_ms;       /* LIMIT_POOL_TICK_MS */
};

struct pool {
    uv_loop_t *loop;
    enum pool_state state;
    char **args;                     /* the base's command line, owned */
    int mount_fds[LIMIT_MOUNTS_MAX]; /* that each zygote inherits, in the order of its --mount */
    unsigned mount_count;
    bool is_work_fixed;    /* programs start in a directory that they cannot write to */
    struct cgroup *cgroup; /* owned; NULL: none */
    unsigned spare_cells;
    unsigned cells_max;
    bool is_warm;
    bool is_shared;
    enum pool_jail_level require_jail;
    uint64_t memory_bytes_max;
    uint64_t zygote_forks_max;
    uint64_t spare_bytes_max; /* of spare cells beyond spare_cells */
    unsigned processors;
    uint64_t environment_bytes_max; /* of all zygotes but the base's */
    struct pool_patience patience;
    struct pool_info info;

    struct environment *base;
    struct environment_list environments; /* with the base */
    unsigned environment_count;           /* without it */
    unsigned environment_parts;           /* objects not freed yet, with the base */
    struct zygote_list zygotes;
    struct cell_list cells;
    unsigned spare_count; /* of all environments */
    unsigned running_count;
    unsigned lingering_count; /* cells that linger */
    unsigned run_count;       /* whose `done` has not been called */
    uint32_t cell_number;     /* of the last cell made */

    struct session_list sessions; /* that have not ended, in the order in which they were used */
    unsigned session_count;       /* of them */
    unsigned session_parts;       /* with those whose timers are not closed yet */
    unsigned sessions_max;
    unsigned client_sessions_max;
    uint64_t session_bytes_max;

    struct queue queue;    /* of all environments */
    struct run_list ended; /* whose `done` is due */

    uv_timer_t soon;    /* runs on_soon from the loop */
    uv_timer_t tick;    /* runs on_tick now and then, while something waits for its time */
    unsigned handles;   /* not closed yet */
    bool is_settled;    /* closing, and everything has been told to end */
    struct err failure; /* why POOL_FAILED */

    void (*on_ready)(void *context, const struct err *err);
    void *on_ready_context;
    bool is_draining;                  /* no new runs */
    bool is_held;                      /* no run leaves the queue */
    void (*on_drained)(void *context); /* NULL when it was told */
    void *on_drained_context;
    void (*on_closed)(void *context);
    void *on_closed_context;

    char chunk[POOL_CHUNK_BYTES]; /* what was read last */
};

/* Whether it takes anything new. */
int pool_check(const struct pool *pool, struct err *err);

/* A run of a session's that sends a frame instead of a program. Takes the transfer, also when it
 * fails; of the events only `done` is called. */
int pool_run_transfer(struct pool *pool, const struct run_request *asked,
                      const struct run_events *events, struct transfer *transfer, struct span frame,
                      struct err *err);

/* What of a session's runs waits is refused, or cancelled; the latter goes for the one that runs
 * too. */
void pool_refuse_session(struct pool *pool, const struct pool_session *session,
                         const char *refusal);
void pool_cancel_session(struct pool_session *session);

/* What happened to the parts; called by environment.c, zygote.c and cells.c. */
void pool_environment_ready(struct environment *environment);
void pool_environment_failed(struct environment *environment); /* `failure` says why */
void pool_run_ended(struct pool *pool);

/* What has no hurry is looked at after a while, and again until nothing is left to do. */
void pool_tick_soon(struct pool *pool);

/* Looks after everything from the loop, soon. */
void pool_settle_soon(struct pool *pool);

/* Something has been freed; when the pool is closing and nothing is left, it frees itself. */
void pool_part_freed(struct pool *pool);

#endif
