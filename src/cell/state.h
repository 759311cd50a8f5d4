/*
 * The state of a session's guest, on the way out of the cell and into one. Runs in a cell, in its
 * jail: all it needs is the socket.
 */
#ifndef CELL_STATE_H
#define CELL_STATE_H

#include "base/buf.h"
#include "guest/guest.h"

/* After a SAVE: sends the state and STATE_END. -1 when the pool is gone. */
int state_save(struct guest *guest);

/* After a RESTORE: takes the state and answers with STATE_END. `in` has what came behind RESTORE,
 * and is empty afterwards. -1: the guest is not one that could go on. */
int state_restore(struct guest *guest, const struct guest_state_room *room, struct buf *in);

#endif
