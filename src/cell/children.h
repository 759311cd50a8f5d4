/* The processes that were forked from a zygote and are not reaped: private to src/cell. */
#ifndef CELL_CHILDREN_H
#define CELL_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"

struct child {
    uint32_t number; /* the pool's */
    pid_t pid;       /* not reaped yet, so it can be nobody else's */
    bool stays;      /* it is a session's */
    bool is_rogue;   /* it asked for what nobody has ordered, and was killed */
};

struct children {
    struct child list[LIMIT_ZYGOTE_CHILDREN_MAX]; /* dense, in no order */
    size_t count;
};

/* NULL when there is none. Valid until one is added or removed. */
struct child *children_find(struct children *children, uint32_t number);
struct child *children_find_pid(struct children *children, pid_t pid);

/* -1 when there are as many as there may be. */
int children_add(struct children *children, const struct child *child);

/* Tells the pool of all that have ended, and forgets them. -1 when the pool is gone. */
int children_reap(struct children *children);

/* Kills all and waits for their ends. */
void children_kill(struct children *children);

#endif
