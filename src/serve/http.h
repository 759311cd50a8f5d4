/*
 * The HTTP server's parts, private to src/serve. Runs in `vitrine`.
 *
 *     request --> http.c: guard.c, the path's row --+--> mcp_endpoint.c --> sessions.c, stream.c
 *                                                   +--> sse_endpoint.c --> the same
 *                                                   +--> health.c, metrics.c
 */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include "mcp/server.h"
#include "serve/core.h"
#include "serve/guard.h"
#include "serve/sessions.h"
#include "transport/http.h"

struct http_serve {
    struct serve_core core;
    const struct serve_http_config *config;
    struct guard guard;
    struct http_server *http;
    struct mcp_server *mcp;
    struct sessions sessions;
    uv_timer_t tick;
    uint64_t started_us;
};

/* Opens everything but the pool and the packages, which `core` has. */
int http_serve_open(struct http_serve *serve, const struct serve_config *config, struct err *err);

/* Answers a request, now or later; for http_events, the context is the server. */
void http_serve_request(void *context, struct http_exchange *exchange);
void http_serve_gone(void *context, struct http_exchange *exchange);

/* The endpoint of streamable HTTP, by method; and the two of the transport before it. */
void mcp_endpoint_post(struct http_serve *serve, struct http_exchange *exchange);
void mcp_endpoint_get(struct http_serve *serve, struct http_exchange *exchange);
void mcp_endpoint_delete(struct http_serve *serve, struct http_exchange *exchange);
void sse_endpoint_get(struct http_serve *serve, struct http_exchange *exchange);
void sse_endpoint_post(struct http_serve *serve, struct http_exchange *exchange);

/* Whether a field of the request has this media type, or takes it. */
bool request_has_json(const struct http_exchange *exchange);
bool request_accepts(const struct http_exchange *exchange, const char *type);

void health_get(struct http_serve *serve, struct http_exchange *exchange);
void metrics_get(struct http_serve *serve, struct http_exchange *exchange);

#endif
