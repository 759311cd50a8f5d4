/* One run from its making to its `done`: private to src/pool. */
#ifndef POOL_RUN_H
#define POOL_RUN_H

#include "pool/state.h"

/* Copies the request. */
int run_new(struct pool *pool, const struct run_request *request, const struct run_events *events,
            struct pool_run **out, struct err *err);
/* The same for a state: `frame` is what is sent first. Takes the transfer, also when it fails. */
int run_new_transfer(struct pool *pool, const struct run_request *request,
                     const struct run_events *events, struct transfer *transfer, struct span frame,
                     struct pool_run **out, struct err *err);
void run_free(struct pool_run *run);

/* How it ended, beyond what the run knows itself. All of it may be absent. */
struct run_end {
    const struct span *end; /* payload of END */
    const int *wait_status; /* of the process, when there was no END */
    const char *breakage;   /* what the sandbox did wrong */
    bool ends_session;      /* its session is over with it */
};

/* Composes the outcome, calls `done`, and frees the run. */
void run_finish(struct pool_run *run, const struct run_end *how);

#endif
