/*
 * Which package index there is: the options' first, then the one that pip itself would use on this
 * machine. pip is asked, in a cell without a network, with copies of its configuration files and
 * variables (python/vitrine/index.py); nobody's address stands in our source. Asked once, when the
 * first resolution needs it.
 */
#ifndef PACKAGES_INDEX_H
#define PACKAGES_INDEX_H

#include <stdint.h>
#include <sys/queue.h>

#include "packages/state.h"

struct index_waiter {
    TAILQ_ENTRY(index_waiter) link;
    void *context;
    /* Once, from the loop: NULL, or why pip could not be asked. */
    void (*done)(void *context, const struct err *err);
};

/* Reads pip's files and variables. NULL without memory. */
struct index *index_new(void);
void index_free(struct index *index);

/* All that the answer depends on, into a digest: known without asking. */
void index_sum(struct sum *sum, const struct index *index);

/* Has the fetcher configured. 1 when it is, 0 when the waiter will be told, -1 with *err. */
int index_configure(struct packages *packages, struct index_waiter *waiter, struct err *err);
void index_leave(struct packages *packages, struct index_waiter *waiter);

/* Ends the question that is under way; nobody may wait for it. */
void index_cancel(struct index *index);

#endif
