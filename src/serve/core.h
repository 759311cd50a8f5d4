/*
 * What every server has: its loop, pool and packages, the signals, and the end in steps. Runs in
 * `vitrine`.
 *
 * The end: the server says that there is nothing more to do, or SIGTERM comes (calls that run get
 * --drain-time, those that wait and new ones are refused), or another signal or a second SIGTERM
 * (they get nothing); then packages and pool end, the transport writes what waits, and the loop is
 * empty. A client that does not read is given up after twice LIMIT_EOF_GRACE_MS.
 */
#ifndef SERVE_CORE_H
#define SERVE_CORE_H

#include <uv.h>

#include "base/limits.h"
#include "serve/serve.h"

enum { SERVE_SIGNAL_COUNT = 3 };

/* What a server does in each step. */
struct serve_events {
    void *context;
    bool needs_pool; /* the server ends when the pool cannot start */
    /* The pool is ready, or has failed for good: its calls are answered with that. May be NULL. */
    void (*ready)(void *context);
    /* Whether the end should wait a little longer for programs that run. May be NULL. */
    bool (*is_patient)(void *context);
    unsigned (*running)(void *context); /* calls */
    void (*stop_all)(void *context);    /* ends them; they are answered */
    void (*cancel_all)(void *context);  /* the same, without an answer */
    /* Writes what waits and closes; calls serve_core_closed when nothing is left. */
    void (*close)(void *context);
};

struct serve_core {
    uv_loop_t loop;
    uv_signal_t signals[SERVE_SIGNAL_COUNT];
    uv_timer_t grace;
    const struct serve_config *config;
    struct serve_events events;
    struct pool *pool;
    struct packages *packages;
    char last_warning[LIMIT_INSTALL_LINE_BYTES_MAX]; /* about what is prepared ahead */
    struct err failure;                              /* why the pool could not start */
    bool is_draining;
    bool is_ending;
};

/* Starts the pool and the packages; borrows the configuration. */
int serve_core_start(struct serve_core *core, const struct serve_config *config,
                     const struct serve_events *events, struct err *err);

/* Prepares packages, listens to signals and runs the loop until the server has ended. -1 when that
 * was because the pool could not start. */
int serve_core_run(struct serve_core *core, struct err *err);

/* Ends by itself after `grace_ms`, unless is_patient; for a server whose client has gone. */
void serve_core_end_after(struct serve_core *core, uint64_t grace_ms);

/* No call runs any more: the end need not wait. */
void serve_core_idle(struct serve_core *core);

/* The transport is closed. */
void serve_core_closed(struct serve_core *core);

#endif
