/*
 * The pool's parts, private to src/pool. Who calls whom: pool.c (admission, queue, the end) uses
 * zygote.c (process, control socket) and cell.c (one child, one run); both report back through
 * the pool_* functions at the end of this file.
 *
 * Everything lives on one loop. Objects with libuv handles are freed when libuv has let go of all
 * their handles, never earlier.
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
#include "pool/pool.h"
#include "wire/wire.h"

/* One read: the largest output frame fits. */
#define POOL_CHUNK_BYTES (WIRE_HEADER_BYTES + LIMIT_OUTPUT_FRAME_BYTES_MAX)

enum { ZYGOTE_LINE_MAX = 512 };

/* ---- A run ----------------------------------------------------------------------------------- */

struct pool_run {
    TAILQ_ENTRY(pool_run) link; /* in the queue, or in the list of those that end next */
    struct pool *pool;
    struct cell *cell; /* NULL before it is sent */
    struct run_events events;
    struct run_limits limits;
    struct buf request;   /* the frame; freed when it is sent */
    size_t request_bytes; /* its size, also afterwards */
    size_t request_sent_bytes;
    struct buf result; /* payload of RESULT */
    bool has_result;
    uint64_t output_bytes; /* seen so far */
    uint64_t queued_us;
    uint64_t sent_us; /* 0 before it is sent */
    bool is_queued;
    bool is_cancelled;
    bool is_out_of_time;
    const char *refusal; /* static, or the pool's own text */
};
TAILQ_HEAD(run_list, pool_run);

/* ---- A cell ---------------------------------------------------------------------------------- */

enum cell_state {
    CELL_SPARE,   /* waits for a request */
    CELL_RUNNING, /* has one */
    CELL_ENDING,  /* has nothing to say any more; its process is not reaped yet */
};

struct cell {
    TAILQ_ENTRY(cell) link; /* in pool->cells, oldest first */
    struct pool *pool;
    struct zygote *zygote;
    uint32_t number;
    enum cell_state state;
    struct pool_run *run; /* while RUNNING */
    int fd;               /* our end; -1 when closed */
    int child_fd;         /* the cell's end, until FORK is sent */
    struct buf in;        /* a frame that has not arrived whole */
    uv_poll_t poll;
    uv_timer_t timer; /* the deadline, then the grace, then patience with a process that ends */
    unsigned handles; /* not closed yet */
    bool is_interrupted;
    bool is_killed;
    bool is_gone; /* the process is reaped, or never was */
    /* Commands that the control socket has not taken yet. */
    bool wants_interrupt;
    bool wants_kill;
};
TAILQ_HEAD(cell_list, cell);

/* Asks the zygote for a child. NULL when the system has no descriptors or memory left. */
struct cell *cell_new(struct pool *pool, struct zygote *zygote);

/* Sends a run to a spare cell and starts its deadline. False when the cell turns out to be dead:
 * then the run is untouched. */
bool cell_give(struct cell *cell, struct pool_run *run);

/* Interrupts the run and kills the cell after its grace. */
void cell_stop(struct cell *cell);

/* The process is reaped (wait_status), or died with its zygote (breakage), or could not be made
 * (neither). A run that it had ends now. */
void cell_gone(struct cell *cell, const int *wait_status, const char *breakage);

/* Lets a spare cell go: it exits. */
void cell_retire(struct cell *cell);

/* Reads once; true when there may be more. */
bool cell_read(struct cell *cell);

/* Sends the commands that wait for room in the control socket; as zygote_command. */
int cell_flush_commands(struct cell *cell);

/* ---- A zygote -------------------------------------------------------------------------------- */

struct zygote {
    TAILQ_ENTRY(zygote) link;
    struct pool *pool;
    uv_process_t process;
    uv_poll_t control;
    uv_pipe_t log;
    uv_timer_t timer; /* patience with its start, then with its end */
    int fd;           /* our end of the control socket */
    unsigned handles; /* not closed yet */
    bool is_ready;
    bool is_stopped;        /* by us */
    bool is_gone;           /* the process is reaped */
    uint64_t ready_us;      /* when */
    bool is_fatal;          /* it cannot start, and said why */
    char why[ERR_TEXT_MAX]; /* why it ended */
    char line[ZYGOTE_LINE_MAX];
    size_t line_len;
    unsigned lines; /* logged so far */
};
TAILQ_HEAD(zygote_list, zygote);

/* Starts a process. NULL when the system refuses. */
struct zygote *zygote_new(struct pool *pool, struct err *err);

/* Sends one command: 1, or 0 when the socket is full (zygote_flush is called again when it is
 * not), or -1 when it is broken. */
int zygote_command(struct zygote *zygote, enum wire_type type, uint32_t number, int attached_fd);

/* Ends the process and its cells: gently at first, with patience. */
void zygote_stop(struct zygote *zygote);

/* Ends it now; something is wrong with it. */
void zygote_kill(struct zygote *zygote);

/* ---- The pool -------------------------------------------------------------------------------- */

enum pool_state {
    POOL_STARTING, /* a zygote boots, or one will when the backoff is over */
    POOL_READY,
    POOL_FAILED, /* for good */
    POOL_CLOSING,
};

struct pool {
    uv_loop_t *loop;
    enum pool_state state;
    char **args; /* the zygote's command line, owned */
    unsigned spare_cells;
    unsigned cells_max;
    uint64_t memory_bytes_max;
    struct pool_info info;

    struct zygote *zygote; /* the one that new cells come from; NULL in between */
    struct zygote_list zygotes;
    struct cell_list cells;
    unsigned spare_count;
    unsigned running_count;
    uint32_t cell_number;  /* of the last cell made */
    unsigned spare_deaths; /* in a row */

    struct run_list queue;
    unsigned queue_count;
    size_t queue_bytes;
    struct run_list ended; /* whose `done` is due */

    uv_timer_t soon;    /* runs pool_settle from the loop */
    uv_timer_t backoff; /* until the next zygote */
    bool is_settled;    /* closing, and everything has been told to end */
    unsigned handles;   /* of these two, not closed yet */
    unsigned failures;  /* zygotes in a row that never were ready */
    unsigned deaths;    /* zygotes in a row that did not last */
    struct err failure; /* why POOL_FAILED */

    void (*on_ready)(void *context, const struct err *err);
    void *on_ready_context;
    void (*on_closed)(void *context);
    void *on_closed_context;

    char chunk[POOL_CHUNK_BYTES]; /* what was read last */
};

/* What happened to the parts; called by zygote.c and cells.c. */
void pool_zygote_ready(struct pool *pool);
void pool_zygote_ended(struct pool *pool, struct zygote *zygote);
void pool_spare_died(struct pool *pool);
void pool_run_ended(struct pool *pool);

/* Something has been freed; when the pool is closing and nothing is left, it frees itself. */
void pool_part_freed(struct pool *pool);

#endif
