/* A program (run.c), or what is prepared ahead of one (warmup.c), as its caller holds it. Private
 * to src/packages. */
#ifndef PACKAGES_RUN_H
#define PACKAGES_RUN_H

#include "packages/job.h"
#include "packages/kept.h"
#include "packages/state.h"

struct packages_run {
    TAILQ_ENTRY(packages_run) link; /* in packages->runs or packages->ended */
    struct packages *packages;
    struct packages_events events;
    struct kept kept;
    struct pool_run *current; /* while the pool has it */
    struct job_waiter waiter; /* while it waits for a job */
    struct warmup *warmup;    /* with packages_prepare_all */
    bool is_preparation;      /* an environment is all that is wanted */

    struct environment *environment; /* of the attempt that runs; NULL: the base */
    struct buf resolved;             /* the need it is for, as the guest wrote it */
    unsigned need_count;
    bool has_program_key;
    bool holds_session;
    bool is_moving; /* its session is, to another environment */
    uint8_t program_key[SUM_BYTES];

    bool is_cancelled;
    bool is_refused; /* for the reason */
    uint64_t retry_after_ms;
    bool is_installing;
    uint64_t installing_us; /* when it began to wait */
    uint64_t install_us;    /* waited for so far */
    struct buf reason;      /* why it has failed, for runs that ended without the pool */
    struct buf report;      /* the same, with what to do */
    struct buf log;
};

/* NULL without memory. Listed in packages->runs. */
struct packages_run *packages_run_new(struct packages *packages,
                                      const struct packages_events *events);
void packages_run_free(struct packages_run *run);

/* The run ends soon, from the loop: with INSTALL_ERROR when there is a reason, else with SUCCESS
 * (a preparation), or CANCELLED. */
void packages_run_end(struct packages_run *run);
void packages_run_fail(struct packages_run *run, const char *reason, const char *hint,
                       struct span log);

/* The same with REFUSED: the pool does not take it. */
void packages_run_refuse(struct packages_run *run, const struct err *err);

/* Calls `done` of a run that was ended, and frees it. */
void packages_run_finish(struct packages_run *run);

/* The same where no more are taken. */
void packages_run_turn_away(struct packages_run *run);

/* Takes back a run that the pool does not have; it ends. */
void packages_run_withdraw(struct packages_run *run);

/* Tells the client of a run whether it waits for an installation. */
void packages_run_installing(struct packages_run *run, bool is_installing);

/* packages_prepare_all's part. */
int warmup_start(struct packages_run *run, struct err *err);
void warmup_cancel(struct warmup *warmup);

#endif
