/* The limits of a run in words: private to src/pool, but for the names in outcome.h. */
#ifndef POOL_LIMIT_H
#define POOL_LIMIT_H

#include <stdint.h>

#include "base/buf.h"
#include "pool/pool.h"

/* The limit that is told first, of those in `bits` (enum wire_limit); 0 when there is none. */
uint32_t limit_first(uint32_t bits);

/* Appends "the memory limit of 512 MiB was reached (see --memory)", for one bit. 0, or -1 as
 * buf_append. */
int limit_append(struct buf *out, uint32_t bit, const struct run_limits *limits);

/* The same for every bit in `bits`, on lines of their own. */
int limit_append_all(struct buf *out, uint32_t bits, const struct run_limits *limits);

#endif
