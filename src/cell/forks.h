/*
 * Copies of sessions' cells, in the zygote: private to src/cell. The pool orders one (SPLIT), with
 * the number and the socket of the copy to be; the cell is told by the pool, and calls
 * jail_ask_fork; the kernel asks here. The copy asks to be taken in, gets its socket, and is a
 * child like any from then on. Whoever asks for what was not ordered is killed.
 */
#ifndef CELL_FORKS_H
#define CELL_FORKS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "cell/children.h"

/* An order that is not carried out yet. */
struct birth {
    uint32_t number; /* of the copy */
    uint32_t parent;
    int socket_fd;     /* the copy's */
    int listener;      /* where its parent was let fork; -1 before */
    uint64_t until_us; /* patience */
};

struct forks {
    struct children *children;
    bool has_handover;
    int listeners[LIMIT_ZYGOTE_CHILDREN_MAX]; /* one for each session's cell that was not a copy */
    size_t listener_count;
    struct birth births[LIMIT_BIRTHS_MAX];
    size_t birth_count;
};

/* `socket_fd` is taken. -1 when the pool is gone. */
int forks_order(struct forks *forks, uint32_t number, uint32_t parent, int socket_fd);

/* The pool does not want it any more, or knows that it failed; nothing where there is none. -1 when
 * the pool is gone. */
int forks_drop(struct forks *forks, uint32_t number);

/* What poll is to look at: fills `watched`, of LIMIT_ZYGOTE_CHILDREN_MAX + 1, and returns how many.
 * *timeout_ms becomes less when an order waits. */
size_t forks_watch(const struct forks *forks, struct pollfd *watched, int *timeout_ms);

/* Does what poll has found. -1 when the pool is gone. */
int forks_serve(struct forks *forks, const struct pollfd *watched, size_t count);

#endif
