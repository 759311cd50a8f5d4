/*
 * Figures in Prometheus' text format, version 0.0.4. Names and labels are fixed: nothing that a
 * client sent is in them.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "serve/http.h"
#include "serve/reply.h"

enum { METRICS_BYTES_MAX = 64 * 1024 };

/* The text, and whether something did not fit. */
struct page {
    struct buf text;
    bool has_failed;
};

static void begin(struct page *page, const char *name, const char *type, const char *help)
{
    page->has_failed |=
        buf_append_format(&page->text, "# HELP vitrine_%s %s\n# TYPE vitrine_%s %s\n", name, help,
                          name, type) != 0;
}

/* `label` is "status=\"2xx\"", or empty. */
static void put(struct page *page, const char *name, const char *label, uint64_t value)
{
    bool has_label = *label != '\0';
    page->has_failed |=
        buf_append_format(&page->text, "vitrine_%s%s%s%s %" PRIu64 "\n", name, has_label ? "{" : "",
                          label, has_label ? "}" : "", value) != 0;
}

static void put_named(struct page *page, const char *name, const char *label, const char *what,
                      uint64_t value)
{
    char text[64];
    snprintf(text, sizeof text, "%s=\"%s\"", label, what);
    put(page, name, text, value);
}

static void put_one(struct page *page, const char *name, const char *type, const char *help,
                    uint64_t value)
{
    begin(page, name, type, help);
    put(page, name, "", value);
}

static void put_seconds(struct page *page, const char *name, uint64_t us)
{
    page->has_failed |= buf_append_format(&page->text, "vitrine_%s %" PRIu64 ".%06" PRIu64 "\n",
                                          name, us / 1000000, us % 1000000) != 0;
}

static void put_server(struct page *page, const struct http_serve *serve)
{
    struct pool_info info = pool_info(serve->core.pool);
    char label[96];
    snprintf(label, sizeof label, "version=\"%s\",python=\"%.31s\"", VITRINE_VERSION,
             info.python_version);
    begin(page, "build_info", "gauge", "Which Vitrine this is, and which Python it runs.");
    put(page, "build_info", label, 1);
    begin(page, "uptime_seconds", "gauge", "Time since the server began to listen.");
    put_seconds(page, "uptime_seconds", clock_monotonic_us() - serve->started_us);
    put_one(page, "ready", "gauge", "Whether programs are run.",
            info.ready && !serve->core.is_draining ? 1 : 0);
}

static void put_transport(struct page *page, const struct http_serve *serve)
{
    static const char *const methods[] = {"GET", "POST", "DELETE", "other"};
    struct http_counts counts = http_counts(serve->http);
    put_one(page, "http_connections", "gauge", "Connections that are open.",
            counts.open_connections);
    put_one(page, "http_requests_open", "gauge", "Requests whose answer is not complete.",
            counts.open_exchanges);
    put_one(page, "http_connections_total", "counter", "Connections that were accepted.",
            counts.accepted);
    begin(page, "http_requests_total", "counter", "Whole requests, by method.");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        put_named(page, "http_requests_total", "method", methods[i], counts.requests[i]);
    }
    begin(page, "http_answers_total", "counter", "Answers, by the first digit of their status.");
    for (size_t i = 1; i < sizeof counts.answers / sizeof *counts.answers; i++) {
        char status[] = {(char)('0' + i), 'x', 'x', '\0'};
        put_named(page, "http_answers_total", "status", status, counts.answers[i]);
    }
    begin(page, "http_refused_total", "counter", "Connections that were sent away, by reason.");
    for (int i = 0; i < HTTP_REFUSALS; i++) {
        put_named(page, "http_refused_total", "reason", http_refusal_name((enum http_refusal)i),
                  counts.refused[i]);
    }
    put_one(page, "http_gone_total", "counter",
            "Clients that went before their answer was complete.", counts.gone);
    put_one(page, "http_received_bytes_total", "counter", "Bytes received, without TLS.",
            counts.bytes_in);
    put_one(page, "http_sent_bytes_total", "counter", "Bytes sent, without TLS.", counts.bytes_out);
    put_one(page, "http_held_bytes", "gauge", "Bytes of bodies, and of what waits to be sent.",
            counts.bytes_held);
}

static void put_sessions(struct page *page, const struct http_serve *serve)
{
    const struct sessions *sessions = &serve->sessions;
    const struct sessions_counts *counts = &sessions->counts;
    put_one(page, "sessions", "gauge", "Sessions that are open.", sessions->count);
    put_one(page, "sessions_total", "counter", "Sessions that were begun.", counts->begun);
    begin(page, "sessions_ended_total", "counter", "Sessions that ended, by whose doing.");
    put_named(page, "sessions_ended_total", "by", "client", counts->ended);
    put_named(page, "sessions_ended_total", "by", "time", counts->expired);
    put_one(page, "sessions_refused_total", "counter", "Sessions that there was no room for.",
            counts->refused);
    put_one(page, "stateless_requests_total", "counter", "Requests that belong to no session.",
            counts->stateless);
    put_one(page, "streams_resumed_total", "counter", "Streams that a client came back for.",
            counts->resumed);
    put_one(page, "streams_abandoned_total", "counter",
            "Requests that were cancelled because their client did not come back.",
            counts->abandoned);
    put_one(page, "kept_event_bytes", "gauge", "Bytes of events that are kept for such clients.",
            sessions->budget.bytes);
}

static void put_durations(struct page *page, const struct packages_counts *counts)
{
    static const char name[] = "call_duration_seconds";
    uint64_t total = 0;
    begin(page, name, "histogram", "How long programs ran.");
    for (size_t i = 0; i < PACKAGES_DURATIONS; i++) {
        uint64_t ms = packages_duration_ms[i];
        total += counts->durations[i];
        page->has_failed |=
            buf_append_format(&page->text,
                              "vitrine_%s_bucket{le=\"%" PRIu64 ".%03" PRIu64 "\"} %" PRIu64 "\n",
                              name, ms / 1000, ms % 1000, total) != 0;
    }
    put(page, "call_duration_seconds_bucket", "le=\"+Inf\"", counts->duration_count);
    put_seconds(page, "call_duration_seconds_sum", counts->duration_us);
    put(page, "call_duration_seconds_count", "", counts->duration_count);
}

static void put_programs(struct page *page, const struct http_serve *serve)
{
    struct pool_counts pool = pool_counts(serve->core.pool);
    struct packages_counts counts = packages_counts(serve->core.packages);
    begin(page, "calls_total", "counter", "Programs that ended, by status.");
    for (int i = 0; i < PACKAGES_OUTCOMES; i++) {
        put_named(page, "calls_total", "status", outcome_status_name((enum outcome_status)i),
                  counts.ended[i]);
    }
    put_durations(page, &counts);
    put_one(page, "running", "gauge", "Programs that run.", pool.running);
    put_one(page, "queued", "gauge", "Programs that wait for a cell.", pool.queued);
    put_one(page, "spare_cells", "gauge", "Interpreters that wait for a program.", pool.spares);
    put_one(page, "zygotes", "gauge", "Processes that interpreters are copied from.", pool.zygotes);
    put_one(page, "environments", "gauge", "Sets of packages that are in use.", pool.environments);
    begin(page, "installs_total", "counter", "Sets of packages that were put together, or not.");
    put_named(page, "installs_total", "result", "success", counts.installs);
    put_named(page, "installs_total", "result", "failure", counts.failed_installs);
}

void metrics_get(struct http_serve *serve, struct http_exchange *exchange)
{
    struct page page = {.has_failed = false};
    buf_init(&page.text, METRICS_BYTES_MAX);
    put_server(&page, serve);
    put_transport(&page, serve);
    put_sessions(&page, serve);
    put_programs(&page, serve);
    if (page.has_failed) {
        buf_free(&page.text);
        reply_error(exchange, 500, REPLY_ERROR, "Out of memory");
        return;
    }
    reply_text(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", &page.text);
}
