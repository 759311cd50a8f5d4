/*
 * The distribution's lock file: which wheels it consists of. Used by `vitrine-fetch`, which serves
 * their sums from the mirrors.
 */
#ifndef FETCH_LOCK_H
#define FETCH_LOCK_H

#include "base/err.h"
#include "base/span.h"
#include "fetch/name.h"

struct lock_wheel {
    struct name_sum sum;
    char filename[256];
    char project[256]; /* normalized */
};

struct lock {
    struct lock_wheel *wheels; /* owned */
    size_t count;
};

/* Reads the text of pyodide-lock.json; entries that are not wheels are passed over. */
int lock_read(struct span text, struct lock *out, struct err *err);
void lock_free(struct lock *lock);

/* The wheel with this sum, or NULL. */
const struct lock_wheel *lock_find(const struct lock *lock, const char *sum);

#endif
