/* The HTTP server: what every request has to pass, the paths, and the server's life. */
#include "serve/http.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "serve/reply.h"

/* ---- Requests -------------------------------------------------------------------------------- */

typedef void handler(struct http_serve *serve, struct http_exchange *exchange);

static const struct route {
    const char *path; /* NULL: the configured one */
    const char *allowed;
    handler *get;
    handler *post;
    handler *remove;
} routes[] = {
    {NULL, "GET, POST, DELETE, OPTIONS", mcp_endpoint_get, mcp_endpoint_post, mcp_endpoint_delete},
    {"/sse", "GET, OPTIONS", sse_endpoint_get, NULL, NULL},
    {"/messages", "POST, OPTIONS", NULL, sse_endpoint_post, NULL},
    {"/healthz", "GET, HEAD, OPTIONS", health_get, NULL, NULL},
    {"/metrics", "GET, HEAD, OPTIONS", metrics_get, NULL, NULL},
};

/* A slash behind it makes no difference: both spellings are common in clients' settings. */
static bool is_path(struct span path, const char *wanted)
{
    if (path.len > 1 && path.base[path.len - 1] == '/') {
        path.len--;
    }
    return span_equal(path, span_of(wanted));
}

static const struct route *find_route(const struct http_serve *serve, struct span path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const char *wanted = routes[i].path == NULL ? serve->config->path : routes[i].path;
        bool is_there = routes[i].get != metrics_get || serve->config->has_metrics;
        if (is_there && is_path(path, wanted)) {
            return &routes[i];
        }
    }
    return NULL;
}

/* Fields that mean nothing when there are two of them: whoever stands between us and the client
 * may have looked at the other. */
static bool has_doubles(const struct http_exchange *exchange)
{
    static const char *const names[] = {
        "host",       "origin",         "content-type",  "mcp-name",
        "mcp-method", "mcp-session-id", "last-event-id", "mcp-protocol-version"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (http_header_count(exchange, names[i]) > 1) {
            return true;
        }
    }
    return false;
}

/* Answers a request that came from where none may come from. An error must not tell a page more
 * than it may know, so it names no origin. */
static bool check_source(const struct http_serve *serve, struct http_exchange *exchange)
{
    struct span origin = http_header(exchange, "origin");
    if (!guard_allows_host(&serve->guard, http_header(exchange, "host"))) {
        reply_refusal(exchange, 403, "Host names no host of ours (see --allow-host)");
    } else if (!guard_allows_origin(&serve->guard, origin)) {
        reply_refusal(exchange, 403, "Origin is not allowed (see --allow-origin)");
    } else if (origin.base == NULL && !guard_allows_site(http_header(exchange, "sec-fetch-site"))) {
        reply_refusal(exchange, 403, "A page of another site may not use this server");
    } else {
        return true;
    }
    return false;
}

void http_serve_request(void *context, struct http_exchange *exchange)
{
    struct http_serve *serve = context;
    struct span method = http_method(exchange);
    if (has_doubles(exchange)) {
        reply_refusal(exchange, 400, "A field that may be there once is there twice");
        return;
    }
    if (!check_source(serve, exchange)) {
        return;
    }
    const struct route *route = find_route(serve, http_path(exchange));
    if (route == NULL) {
        reply_error(exchange, 404, REPLY_ERROR, "There is nothing at this address");
        return;
    }
    bool is_head = span_equal(method, span_of("HEAD")) && strstr(route->allowed, "HEAD") != NULL;
    handler *handle = is_head || span_equal(method, span_of("GET")) ? route->get
                      : span_equal(method, span_of("POST"))         ? route->post
                      : span_equal(method, span_of("DELETE"))       ? route->remove
                                                                    : NULL;
    if (handle != NULL) {
        handle(serve, exchange);
    } else if (span_equal(method, span_of("OPTIONS"))) {
        reply_preflight(exchange, route->allowed);
    } else {
        reply_wrong_method(exchange, route->allowed);
    }
}

void http_serve_gone(void *context, struct http_exchange *exchange)
{
    struct stream *stream = http_context(exchange);
    (void)context;
    if (stream != NULL && stream_left(stream)) {
        session_close(stream->session);
    }
}

/* ---- The server's life ----------------------------------------------------------------------- */

static unsigned running(void *context)
{
    const struct http_serve *serve = context;
    return sessions_running(&serve->sessions);
}

static void stop_all(void *context)
{
    struct http_serve *serve = context;
    sessions_stop_all(&serve->sessions);
}

static void cancel_all(void *context)
{
    struct http_serve *serve = context;
    sessions_cancel_all(&serve->sessions);
}

static void on_idle(void *context)
{
    struct http_serve *serve = context;
    if (sessions_running(&serve->sessions) == 0) {
        serve_core_idle(&serve->core);
    }
}

static void on_closed(void *context)
{
    struct http_serve *serve = context;
    serve_core_closed(&serve->core);
}

static void close_transport(void *context)
{
    struct http_serve *serve = context;
    uv_close((uv_handle_t *)&serve->tick, NULL);
    sessions_close_all(&serve->sessions);
    http_close(serve->http, on_closed, serve);
}

static void on_tick(uv_timer_t *timer)
{
    struct http_serve *serve = timer->data;
    sessions_tick(&serve->sessions, uv_now(&serve->core.loop));
}

static int listen_on(struct http_serve *serve, struct err *err)
{
    const struct serve_http_config *http = serve->config;
    struct http_config config = {.host = http->host,
                                 .port = http->port,
                                 .tls_cert = http->tls_cert,
                                 .tls_key = http->tls_key,
                                 .head_ms = http->request_ms < LIMIT_HTTP_HEAD_MS_DEFAULT
                                                ? http->request_ms
                                                : LIMIT_HTTP_HEAD_MS_DEFAULT,
                                 .body_ms = http->request_ms,
                                 .stall_ms = http->stall_ms,
                                 .body_bytes_max = LIMIT_MESSAGE_BYTES_MAX,
                                 .connections_max = http->connections_max,
                                 .client_connections_max = http->client_connections_max};
    struct http_events events = {
        .context = serve, .request = http_serve_request, .gone = http_serve_gone};
    return http_open(&serve->core.loop, &config, &events, &serve->http, err);
}

int http_serve_open(struct http_serve *serve, const struct serve_config *config, struct err *err)
{
    struct mcp_config mcp = {.loop = &serve->core.loop,
                             .packages = serve->core.packages,
                             .installs = config->packages.installs,
                             .is_offline = config->packages.is_offline,
                             .has_allow_list = config->packages.allow_file != NULL,
                             .approves = config->approves,
                             .sessions = config->has_sessions ? serve->core.pool : NULL,
                             .session_dir = config->session_dir,
                             .session_idle_ms = config->python_session_idle_ms,
                             .session_life_ms = config->python_session_life_ms,
                             .dependencies = config->packages.dependencies,
                             .limits = config->limits,
                             .return_mode = config->return_mode,
                             .register_more = config->register_more,
                             .register_context = config->register_context};
    serve->config = &config->http;
    serve->started_us = clock_monotonic_us();
    serve->guard = (struct guard){.hosts = config->http.allow_hosts,
                                  .origins = config->http.allow_origins,
                                  .is_loopback = guard_is_loopback(config->http.host)};
    if (mcp_server_new(&mcp, &serve->mcp, err) != 0) {
        return -1;
    }
    serve->sessions = (struct sessions){.loop = &serve->core.loop,
                                        .mcp = serve->mcp,
                                        .sessions_max = config->http.sessions_max,
                                        .client_sessions_max = config->http.client_sessions_max,
                                        .idle_ms = config->http.session_idle_ms,
                                        .idle = on_idle,
                                        .context = serve};
    sessions_init(&serve->sessions);
    uv_timer_init(&serve->core.loop, &serve->tick);
    serve->tick.data = serve;
    uv_timer_start(&serve->tick, on_tick, LIMIT_SERVE_TICK_MS, LIMIT_SERVE_TICK_MS);
    return listen_on(serve, err);
}

/* A server that nobody watches says where it is, and what is dangerous about that. */
static void say_address(const struct http_serve *serve)
{
    const struct serve_http_config *http = serve->config;
    bool is_ipv6 = strchr(http->host, ':') != NULL;
    char address[320];
    snprintf(address, sizeof address, "%s://%s%s%s:%u", http->tls_cert != NULL ? "https" : "http",
             is_ipv6 ? "[" : "", http->host, is_ipv6 ? "]" : "", http_port(serve->http));
    log_warning("serving at %s%s%s (%s: %s%s)", address, http->is_sse ? "/sse" : http->path,
                http->is_stateless ? ", without sessions" : "",
                http->is_sse ? "streamable HTTP" : "older clients", address,
                http->is_sse ? http->path : "/sse");
    if (!serve->guard.is_loopback && http->tls_cert == NULL) {
        log_warning(
            "%s is no address of this machine alone, and there is no TLS: whoever can reach "
            "it may run programs here, and whoever stands in between reads them "
            "(--tls-cert, or a proxy in front; see the guide)",
            http->host);
    }
}

int serve_http(const struct serve_config *config, struct err *err)
{
    static struct http_serve serve;
    struct serve_events events = {.context = &serve,
                                  .needs_pool = true,
                                  .running = running,
                                  .stop_all = stop_all,
                                  .cancel_all = cancel_all,
                                  .close = close_transport};
    if (serve_core_start(&serve.core, config, &events, err) != 0 ||
        http_serve_open(&serve, config, err) != 0) {
        return -1;
    }
    say_address(&serve);
    int failed = serve_core_run(&serve.core, err);
    mcp_server_free(serve.mcp);
    uv_loop_close(&serve.core.loop);
    return failed;
}
