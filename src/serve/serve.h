/*
 * The servers: they connect a transport, the protocol, the packages and their pool, and see to a
 * clean start and end. Runs in `vitrine`.
 *
 * A server prepares what --deps names, serves until it is told to end, and then gives the programs
 * that run their time (see serve/core.h).
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "packages/packages.h"
#include "pool/pool.h"
#include "result/render.h"

/* Borrowed until the server has ended. */
struct serve_config {
    struct pool_config pool;
    struct packages_config packages; /* its pool is the server's to fill */
    struct run_limits limits;        /* of each program */
    enum result_mode return_mode;
    uint64_t drain_ms; /* for programs that run at a SIGTERM */
};

/* Serves the client on standard input and output, to the end. 0, or -1 when it could not start. */
int serve_stdio(const struct serve_config *config, struct err *err);

#endif
