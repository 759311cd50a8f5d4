/*
 * A job gets one environment: which index, which packages (pip), their wheels, their builds, all
 * put together. Those who need the same wait for one job; each may leave. A job for which nobody
 * waits any more is given up, but what is being built then is finished, for the next time.
 */
#ifndef PACKAGES_JOB_H
#define PACKAGES_JOB_H

#include <sys/queue.h>

#include "packages/state.h"

/* What a job came to; borrowed until `done` returns. */
struct job_result {
    const char *reason;              /* NULL: it went well; otherwise why not, maybe in lines */
    const char *hint;                /* what to do next; "" when there is nothing to say */
    struct span log;                 /* lines */
    struct environment *environment; /* NULL: the base will do */
    time_t until;                    /* how long the result may be used */
};

struct job_waiter {
    TAILQ_ENTRY(job_waiter) link;
    struct job *job; /* NULL while it waits for none */
    void *context;
    void (*log)(void *context, enum packages_level level, struct span line);
    void (*done)(void *context, const struct job_result *result); /* from the loop */
};

/* The digest of a need, together with all else that a resolution depends on. -1: no memory. */
int job_key(const struct packages *packages, const struct need *need, uint8_t key[SUM_BYTES]);

/* The same for programs of one kind (hint.h). */
int job_program_key(const struct packages *packages, const uint8_t hint[SUM_BYTES],
                    uint8_t key[SUM_BYTES]);

/* What an earlier job came to, here or in another process: true, and *out has a reference of its
 * own (NULL: the base), to be used until *until_time. */
bool job_remembered(struct packages *packages, const struct need *need,
                    const uint8_t key[SUM_BYTES], struct environment **out, time_t *until_time);

/* Joins the job for this need, which takes what is in *need; starts one when there is none. */
int job_join(struct packages *packages, struct need *need, const uint8_t key[SUM_BYTES],
             struct job_waiter *waiter, struct err *err);
void job_leave(struct job_waiter *waiter);

/* The command line that builds a wheel; places in `order` and `args` borrow the other texts. */
enum { JOB_WHEEL_ARGS = 8 };
void job_wheel_order(const struct packages *packages, const char *wheel_path, const char *sum,
                     const char *dir, const char *args[JOB_WHEEL_ARGS], struct build_order *order);

#endif
