/* From a run_request to the frame that a cell takes: private to src/pool. */
#ifndef POOL_REQUEST_H
#define POOL_REQUEST_H

#include "base/buf.h"
#include "base/err.h"
#include "pool/pool.h"

/* Checks everything that has a limit or a form, and appends one REQUEST frame to `out`. */
int request_encode(const struct run_request *request, uint64_t memory_bytes_max, struct buf *out,
                   struct err *err);

/* How many bytes of files that the program makes may come along. */
uint64_t request_made_bytes(const struct run_request *request);

#endif
