/*
 * Bytes that come or go piece by piece, because all of them are more than one would keep in memory.
 * Used by `vitrine-cell` for the state of a guest.
 */
#ifndef BASE_FLOW_H
#define BASE_FLOW_H

#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

struct flow_out {
    void *context;
    /* Takes all of them (borrowed for the call), or -1. */
    int (*write)(void *context, struct span bytes, struct err *err);
};

struct flow_in {
    void *context;
    /* Fills all of `len` bytes, or -1: also when there are not so many. */
    int (*read)(void *context, char *bytes, size_t len, struct err *err);
};

/* Bytes that come in pieces of whoever sends them. */
struct flow_pieces {
    void *context;
    /* The next piece, borrowed until the next call; an empty one at the end. */
    int (*next)(void *context, struct span *piece, struct err *err);
};

static inline int flow_write(const struct flow_out *flow, struct span bytes, struct err *err)
{
    return flow->write(flow->context, bytes, err);
}

static inline int flow_read(const struct flow_in *flow, char *bytes, size_t len, struct err *err)
{
    return flow->read(flow->context, bytes, len, err);
}

#endif
