/* Files that a run made, as its cell tells them: private to src/pool. */
#ifndef POOL_MADE_H
#define POOL_MADE_H

#include "pool/state.h"

/* Each takes one frame's payload, calls run_events.file when a file is whole, and returns NULL; or
 * says what it was that the cell may not have sent. */
const char *made_take_file(struct pool_run *run, struct span record);
const char *made_take_data(struct pool_run *run, struct span bytes);

/* Whether the cell owes bytes of a file: it may send nothing else then. */
bool made_is_open(const struct pool_run *run);

#endif
