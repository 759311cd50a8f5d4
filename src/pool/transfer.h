/* A state on its way between a session's cell and a file: private to src/pool. It is a run of the
 * session's, without a program. */
#ifndef POOL_TRANSFER_H
#define POOL_TRANSFER_H

#include "pool/state.h"

/* A frame of the cell's. Returns what it did wrong, or NULL; *is_over when that was the end. */
const char *transfer_take(struct pool_run *run, const struct wire_frame *frame, bool *is_over);

/* Puts the next pieces into run->down, which is empty; nothing when there are none. -1 when they
 * cannot be had: the cell is to be given up. */
int transfer_refill(struct pool_run *run);

/* How it stands with the cell, when the run is concluded. */
enum transfer_end {
    TRANSFER_BROKEN,  /* it has not said how it went */
    TRANSFER_REFUSED, /* it did not work, and the cell is what it was */
    TRANSFER_DONE,
};
enum transfer_end transfer_end(const struct transfer *transfer);
bool transfer_is_restore(const struct transfer *transfer);

#endif
