/* What the caller sees of a request, and how it answers. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "transport/http_server.h"

enum { HEAD_BYTES_MAX = 64 * 1024, STREAM_PREFIX_CHARS = 24 };

static const struct span nothing = {"", 0};

static struct http_connection *connection_of(struct http_exchange *exchange)
{
    return (struct http_connection *)exchange;
}

static const struct http_connection *connection_in(const struct http_exchange *exchange)
{
    return (const struct http_connection *)exchange;
}

static struct span part(const struct http_exchange *exchange, struct http_part part)
{
    return http_reader_part(&connection_in(exchange)->reader, part);
}

struct span http_method(const struct http_exchange *exchange)
{
    return part(exchange, connection_in(exchange)->reader.method);
}

struct span http_path(const struct http_exchange *exchange)
{
    return part(exchange, connection_in(exchange)->reader.path);
}

struct span http_query(const struct http_exchange *exchange)
{
    struct http_part query = connection_in(exchange)->reader.query;
    return query.at == 0 ? (struct span){NULL, 0} : part(exchange, query);
}

struct span http_body(const struct http_exchange *exchange)
{
    return buf_span(&connection_in(exchange)->reader.body);
}

struct span http_peer(const struct http_exchange *exchange)
{
    return span_of(connection_in(exchange)->peer);
}

struct span http_header(const struct http_exchange *exchange, const char *name)
{
    const struct http_reader *reader = &connection_in(exchange)->reader;
    size_t i = http_reader_find(reader, name, 0);
    return i == reader->line_count ? (struct span){NULL, 0}
                                   : part(exchange, reader->lines[i].value);
}

size_t http_header_count(const struct http_exchange *exchange, const char *name)
{
    const struct http_reader *reader = &connection_in(exchange)->reader;
    size_t count = 0;
    size_t i = http_reader_find(reader, name, 0);
    while (i < reader->line_count) {
        count++;
        i = http_reader_find(reader, name, i + 1);
    }
    return count;
}

void http_release_body(struct http_exchange *exchange)
{
    struct http_connection *connection = connection_of(exchange);
    buf_free(&connection->reader.body);
    connection->server->counts.bytes_held -= connection->body_held;
    connection->body_held = 0;
}

void *http_context(const struct http_exchange *exchange)
{
    return exchange->context;
}

void http_set_context(struct http_exchange *exchange, void *context)
{
    exchange->context = context;
}

void http_exchange_begin(struct http_connection *connection)
{
    static const char *const counted[] = {"GET", "POST", "DELETE"};
    struct http_server *server = connection->server;
    connection->exchange = (struct http_exchange){.is_open = true};
    struct span method = http_method(&connection->exchange);
    connection->exchange.has_no_body = span_equal(method, span_of("HEAD"));
    size_t i = 0;
    while (i < sizeof counted / sizeof *counted && !span_equal(method, span_of(counted[i]))) {
        i++;
    }
    server->counts.requests[i]++;
    server->counts.open_exchanges++;
    server->events.request(server->events.context, &connection->exchange);
}

/* Heads. */

/* RFC 9110, 5.6.7; made once a second. */
static const char *date_now(struct http_server *server)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm parts;
    if (now != server->date_s && gmtime_r(&now, &parts) != NULL) {
        server->date_s = now;
        (void)snprintf(server->date, sizeof server->date, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                       days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon],
                       (parts.tm_year + 1900) % 10000, parts.tm_hour, parts.tm_min, parts.tm_sec);
    }
    return server->date;
}

/* What a value may hold, so that no answer can be split. */
static bool is_value(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.base[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static int append_field(struct buf *out, const struct http_field *field)
{
    assert(http_is_token(span_of(field->name)) && is_value(field->value));
    int failed = buf_append_text(out, field->name);
    failed = failed != 0 ? failed : buf_append_text(out, ": ");
    failed = failed != 0 ? failed : buf_append(out, field->value.base, field->value.len);
    return failed != 0 ? failed : buf_append_text(out, "\r\n");
}

int http_append_head(struct http_connection *connection, struct buf *out, int status,
                     const struct http_field *fields, size_t count)
{
    assert(status >= 200 && status <= 599);
    int failed =
        buf_append_format(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status,
                          http_status_str((enum http_status)status), date_now(connection->server));
    for (size_t i = 0; i < count && failed == 0; i++) {
        failed = append_field(out, &fields[i]);
    }
    connection->ends = connection->ends || connection->server->is_draining;
    if (failed == 0 && connection->ends) {
        failed = buf_append_text(out, "Connection: close\r\n");
    }
    return failed;
}

/* Answers. */

static void count_answer(struct http_connection *connection, int status)
{
    connection->server->counts.answers[status / 100]++;
}

/* The exchange is the caller's no more. */
static void end_exchange(struct http_connection *connection)
{
    connection->exchange.is_open = false;
    connection->server->counts.open_exchanges--;
    if (connection->phase == HTTP_PHASE_ANSWERING) {
        connection->phase = HTTP_PHASE_FLUSHING;
        if (connection->writes == 0 && !connection->is_giving) {
            http_connection_look_soon(connection); /* everything is written already */
        }
    }
}

void http_answer(struct http_exchange *exchange, int status, const struct http_field *fields,
                 size_t count, struct buf *body)
{
    struct http_connection *connection = connection_of(exchange);
    assert(exchange->is_open && !exchange->is_stream);
    bool is_bodiless = status == 204 || status == 304;
    size_t len = body == NULL ? 0 : body->len;
    struct buf head;
    buf_init(&head, HEAD_BYTES_MAX);
    int failed = http_append_head(connection, &head, status, fields, count);
    if (failed == 0 && !is_bodiless) {
        failed = buf_append_format(&head, "Content-Length: %zu\r\n", len);
    }
    failed = failed != 0 ? failed : buf_append_text(&head, "\r\n");
    assert(!is_bodiless || len == 0);
    if (body != NULL && (exchange->has_no_body || failed != 0)) {
        buf_free(body);
    }
    if (failed != 0) {
        http_connection_break(connection);
    } else {
        count_answer(connection, status);
        http_send(connection, buf_span(&head), body, nothing);
    }
    buf_free(&head);
    end_exchange(connection);
}

void http_stream_begin(struct http_exchange *exchange, int status, const struct http_field *fields,
                       size_t count)
{
    struct http_connection *connection = connection_of(exchange);
    assert(exchange->is_open && !exchange->is_stream);
    exchange->is_stream = true;
    exchange->is_chunked = !connection->reader.is_1_0;
    struct buf head;
    buf_init(&head, HEAD_BYTES_MAX);
    int failed = http_append_head(connection, &head, status, fields, count);
    if (failed == 0 && exchange->is_chunked) {
        failed = buf_append_text(&head, "Transfer-Encoding: chunked\r\n");
    }
    failed = failed != 0 ? failed : buf_append_text(&head, "\r\n");
    if (failed != 0) {
        http_connection_break(connection);
    } else {
        count_answer(connection, status);
        http_send(connection, buf_span(&head), NULL, nothing);
    }
    buf_free(&head);
}

static bool is_given_up(const struct http_connection *connection)
{
    return http_waiting_bytes(connection) > LIMIT_HTTP_WAITING_BYTES_MAX;
}

void http_stream_send(struct http_exchange *exchange, struct buf *bytes)
{
    struct http_connection *connection = connection_of(exchange);
    assert(exchange->is_open && exchange->is_stream);
    bool is_lost = connection->phase != HTTP_PHASE_ANSWERING; /* `gone` is about to be told */
    if (is_lost || bytes->len == 0 || exchange->has_no_body) {
        buf_free(bytes);
        return;
    }
    if (is_given_up(connection)) {
        connection->server->counts.refused[HTTP_REFUSED_STALL]++;
        connection->is_reset = true;
        buf_free(bytes);
        http_connection_break(connection);
        return;
    }
    char size[STREAM_PREFIX_CHARS];
    (void)snprintf(size, sizeof size, "%zx\r\n", bytes->len);
    http_send(connection, exchange->is_chunked ? span_of(size) : nothing, bytes,
              exchange->is_chunked ? span_of("\r\n") : nothing);
    if (http_stream_is_congested(exchange) && !exchange->was_congested) {
        exchange->was_congested = true;
        http_connection_look_soon(connection);
    }
}

void http_exchange_tell_congestion(struct http_connection *connection)
{
    struct http_exchange *exchange = &connection->exchange;
    struct http_server *server = connection->server;
    if (!exchange->is_open || !exchange->was_congested ||
        connection->phase != HTTP_PHASE_ANSWERING) {
        return;
    }
    /* Congestion that is over before anybody was told still has an end. */
    bool is_congested = http_stream_is_congested(exchange);
    if (is_congested && exchange->has_told_congestion) {
        return;
    }
    exchange->was_congested = is_congested;
    exchange->has_told_congestion = is_congested;
    if (server->events.congested != NULL) {
        server->events.congested(server->events.context, exchange, is_congested);
    }
}

bool http_stream_is_congested(const struct http_exchange *exchange)
{
    return http_waiting_bytes(connection_in(exchange)) > LIMIT_HTTP_CONGESTED_BYTES;
}

void http_stream_end(struct http_exchange *exchange)
{
    struct http_connection *connection = connection_of(exchange);
    assert(exchange->is_open && exchange->is_stream);
    if (exchange->is_chunked && !exchange->has_no_body) {
        http_send(connection, span_of("0\r\n\r\n"), NULL, nothing);
    }
    end_exchange(connection);
}
