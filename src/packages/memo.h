/*
 * What is remembered in memory: keys (digests) and the environment each led to, the most recently
 * used LIMIT_REMEMBERED_MAX of them. Used for needs and for programs (hint.h).
 */
#ifndef PACKAGES_MEMO_H
#define PACKAGES_MEMO_H

#include <stdint.h>
#include <time.h>

#include "packages/store.h"
#include "packages/sum.h"

struct memo;

struct memo_entry {
    struct environment *environment; /* a reference; NULL: the base */
    struct span resolved;            /* the need it was made for, as the guest wrote it */
    time_t until;                    /* not to be used afterwards */
};

/* NULL without memory. */
struct memo *memo_new(void);
void memo_free(struct memo *memo);

/* Borrowed until the next change; NULL when there is none, or its time is over. */
const struct memo_entry *memo_find(struct memo *memo, const uint8_t key[SUM_BYTES], time_t now);

/* Copies the entry and takes a reference of its own. Without memory nothing is remembered. */
void memo_put(struct memo *memo, const uint8_t key[SUM_BYTES], const struct memo_entry *entry);

/* Forgets every entry of an environment that turned out to be broken. */
void memo_forget(struct memo *memo, const struct environment *environment);

#endif
