/*
 * State as bytes: numbers and texts one after the other, in an order that whoever saves and whoever
 * loads have agreed on. Used by `vitrine-cell` and `vitrine-precompile` for snapshots of a guest.
 *
 * Both ends remember their first failure, so that a list of steps is checked once, at its end.
 * Integers are little-endian; bytes come behind their u32 length.
 */
#ifndef BASE_SAVE_H
#define BASE_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

struct saving {
    struct buf bytes; /* the caller's, initialized with a maximum */
    bool is_full;     /* the maximum or memory did not allow something */
};

void save_u32(struct saving *saving, uint32_t value);
void save_u64(struct saving *saving, uint64_t value);
void save_bytes(struct saving *saving, struct span bytes);

struct loading {
    struct span rest; /* borrowed */
    bool is_bad;      /* something was cut off, or too large; everything read since is 0 */
};

uint32_t load_u32(struct loading *loading);
uint64_t load_u64(struct loading *loading);
/* Borrowed from what is read; empty when there are more than len_max. */
struct span load_bytes(struct loading *loading, size_t len_max);
/* A number that is at most `max`. */
uint32_t load_count(struct loading *loading, uint32_t max);

#endif
