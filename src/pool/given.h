/* Files that a request brings along: private to src/pool. */
#ifndef POOL_GIVEN_H
#define POOL_GIVEN_H

#include "base/buf.h"
#include "base/err.h"
#include "pool/pool.h"

/* Names, count and bytes. */
int given_check(const struct run_file *files, size_t count, struct err *err);

/* Appends WIRE_REQUEST_FILE fields, which have to be a request's last. */
int given_put(struct buf *out, const struct run_file *files, size_t count, struct err *err);

#endif
