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

/* What a server over HTTP has beside. 0 and NULL are the defaults of limits.h where it says so. */
struct serve_http_config {
    const char *host;     /* to listen on */
    uint16_t port;        /* 0: one that is free */
    const char *path;     /* of the endpoint, "/mcp" */
    bool is_stateless;    /* the old revisions get no sessions either */
    bool is_sse;          /* the old transport's address is the one to tell */
    const char *tls_cert; /* files; NULL: no TLS */
    const char *tls_key;
    const char *const *allow_hosts;   /* NULL-terminated, or NULL; see serve/guard.h */
    const char *const *allow_origins; /* the same */
    uint64_t session_idle_ms;
    unsigned sessions_max;
    unsigned client_sessions_max;
    unsigned connections_max;        /* 0: the default */
    unsigned client_connections_max; /* 0: the default */
    uint64_t request_ms;             /* for a request's body */
    uint64_t stall_ms;               /* of a client that does not take its answer */
    bool has_metrics;
};

struct mcp_registry;

/* Borrowed until the server has ended. */
struct serve_config {
    struct pool_config pool;
    struct packages_config packages; /* its pool is the server's to fill */
    struct run_limits limits;        /* of each program */
    enum result_mode return_mode;
    bool approves;           /* a person is asked before each program */
    bool has_sessions;       /* of Python; see mcp/kept.h. 0: the default lifetimes */
    const char *session_dir; /* where they can be saved, or NULL */
    uint64_t python_session_idle_ms;
    uint64_t python_session_life_ms;
    uint64_t drain_ms; /* for programs that run at a SIGTERM */
    struct serve_http_config http;
    /* As in mcp_config. */
    void (*register_more)(struct mcp_registry *registry, void *context);
    void *register_context;
};

/* Serves the client on standard input and output, to the end. 0, or -1 when it could not start. */
int serve_stdio(const struct serve_config *config, struct err *err);

/* Shows what a client does and gets: one call, its result on standard output. -1 also when the
 * program did not succeed. */
int serve_example(const struct serve_config *config, struct err *err);

/* Serves clients over HTTP, by all transports that there have been, until a signal ends it. 0, or
 * -1 when it could not start, or the pool could not. */
int serve_http(const struct serve_config *config, struct err *err);

#endif
