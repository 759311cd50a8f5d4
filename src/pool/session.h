/*
 * Sessions: programs that run one after another in the same cell, each in what those before have
 * left: variables, imports, files, the event loop. Runs in `vitrine`, on the pool's loop.
 *
 * Life: pool_session_open; then pool_run with run_request.session, one run at a time (more wait in
 * turn); pool_session_close, always, also after `ended`. The cell is made when the first run
 * begins, in that run's environment. A first program that needs another environment (OUTCOME_NEED)
 * has not run: the session has no state yet, and the next run may name the larger one.
 *
 * A session can be forked: a second one goes on from the same state, by fork() of the cell itself.
 *
 * A run that is interrupted keeps the session. One that crashes, ends its process, or has to be
 * killed takes the session with it, and its outcome says so. So do the lifetimes, the pool's end,
 * and memory that others need.
 */
#ifndef POOL_SESSION_H
#define POOL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pool;
struct pool_session;

struct pool_session_config {
    uint64_t client;       /* whose it is, as run_request.client */
    uint64_t memory_bytes; /* ceiling of all its runs together: run_limits.memory_bytes */
    uint64_t idle_ms;      /* it ends when it was not used for so long; 0: the default */
    uint64_t life_ms;      /* or is so old; 0: the default */
};

enum pool_session_end {
    SESSION_LOST,      /* a run, or the system, has ended its process */
    SESSION_IDLE,      /* it was not used for long */
    SESSION_EXPIRED,   /* its time is over */
    SESSION_DISPLACED, /* others needed its memory */
    SESSION_POOL_ENDS, /* the pool drains, or closes */
};

struct pool_session_events {
    void *context;
    /* After pool_session_fork: the copy is there; before that, runs of it wait. Once, from the
     * loop. May be NULL. */
    void (*ready)(void *context);
    /* The session is no more, not by pool_session_close: once, from the loop, after the `done` of a
     * run that it ended with. `why` is a sentence, borrowed. Runs that wait are refused. May be
     * NULL. */
    void (*ended)(void *context, enum pool_session_end end, const char *why);
};

/* *out is owned until pool_session_close. ERR_BUSY when there are as many as there may be. */
int pool_session_open(struct pool *pool, const struct pool_session_config *config,
                      const struct pool_session_events *events, struct pool_session **out,
                      struct err *err);

/* A second session with the state of the first, which rests; the memory limit stays the same, so
 * config->memory_bytes is not looked at. It may be used at once, and runs of both wait until the
 * copy is made; if that fails it ends, as SESSION_LOST. ERR_BUSY while a program runs in the first.
 * One without state gives one without state. */
int pool_session_fork(struct pool_session *session, const struct pool_session_config *config,
                      const struct pool_session_events *events, struct pool_session **out,
                      struct err *err);

/* Cancels its runs (their `done` comes), ends its cell, and gives up the session; `ended` is not
 * called any more. After pool_close it may still be called, once. */
void pool_session_close(struct pool_session *session);

/* From now on others are told. */
void pool_session_set_events(struct pool_session *session,
                             const struct pool_session_events *events);

/* For others who keep a pointer meanwhile: it stays valid until each has let go. */
void pool_session_ref(struct pool_session *session);
void pool_session_unref(struct pool_session *session);

bool pool_session_has_ended(const struct pool_session *session);

/* Whether a program has run in it. */
bool pool_session_has_state(const struct pool_session *session);

/* The name of the environment that its cell is in: "base", or pool_environment.id; NULL while there
 * is no cell. Borrowed, until the session ends. */
const char *pool_session_environment(const struct pool_session *session);

#endif
