#include "fake_http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"

struct http_server {
    struct http_events events;
};

static struct http_server the_server;
static struct http_exchange *exchanges[FAKE_EXCHANGES_MAX];
static unsigned exchange_count;
bool fake_http_is_drained;
bool fake_http_is_closed;

void fake_http_reset(void)
{
    for (unsigned i = 0; i < exchange_count; i++) {
        buf_free(&exchanges[i]->head);
        buf_free(&exchanges[i]->body);
        free(exchanges[i]);
    }
    exchange_count = 0;
    fake_http_is_drained = false;
    fake_http_is_closed = false;
}

struct http_exchange *fake_http_ask(const struct fake_request *request)
{
    assert(exchange_count < FAKE_EXCHANGES_MAX);
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    assert(exchange != NULL);
    exchange->request = *request;
    exchange->is_open = true;
    exchange->has_body = true;
    buf_init(&exchange->head, 64 * KIB);
    buf_init(&exchange->body, 512 * MIB);
    exchanges[exchange_count++] = exchange;
    the_server.events.request(the_server.events.context, exchange);
    return exchange;
}

void fake_http_hang_up(struct http_exchange *exchange)
{
    assert(exchange->is_open);
    the_server.events.gone(the_server.events.context, exchange);
    exchange->is_open = false;
}

const char *fake_http_field(const struct http_exchange *exchange, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);
    const char *end = exchange->head.base + exchange->head.len;
    value[0] = '\0';
    for (const char *line = exchange->head.base; line != NULL && line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)(newline - line - (ptrdiff_t)len - 2),
                     line + len + 2);
        }
        line = newline + 1;
    }
    return value;
}

const char *fake_http_text(struct http_exchange *exchange)
{
    assert(buf_append_char(&exchange->body, '\0') == 0);
    exchange->body.len--;
    return exchange->body.base;
}

/* ---- transport/http.h ------------------------------------------------------------------------ */

int http_open(uv_loop_t *loop, const struct http_config *config, const struct http_events *events,
              struct http_server **out, struct err *err)
{
    (void)loop;
    (void)config;
    (void)err;
    the_server.events = *events;
    *out = &the_server;
    return 0;
}

uint16_t http_port(const struct http_server *server)
{
    (void)server;
    return 3001;
}

void http_drain(struct http_server *server)
{
    (void)server;
    fake_http_is_drained = true;
}

void http_close(struct http_server *server, void (*closed)(void *context), void *context)
{
    (void)server;
    fake_http_is_closed = true;
    closed(context);
}

struct span http_method(const struct http_exchange *exchange)
{
    return span_of(exchange->request.method);
}

struct span http_path(const struct http_exchange *exchange)
{
    return span_of(exchange->request.path);
}

struct span http_query(const struct http_exchange *exchange)
{
    return span_of(exchange->request.query);
}

struct span http_body(const struct http_exchange *exchange)
{
    assert(exchange->is_open);
    return exchange->has_body ? exchange->request.body : (struct span){NULL, 0};
}

struct span http_peer(const struct http_exchange *exchange)
{
    return span_of(exchange->request.peer == NULL ? "127.0.0.1" : exchange->request.peer);
}

struct span http_header(const struct http_exchange *exchange, const char *name)
{
    for (const struct fake_field *field = exchange->request.fields; field->name != NULL; field++) {
        if (strcmp(field->name, name) == 0) {
            return span_of(field->value);
        }
    }
    return (struct span){NULL, 0};
}

size_t http_header_count(const struct http_exchange *exchange, const char *name)
{
    size_t count = 0;
    for (const struct fake_field *field = exchange->request.fields; field->name != NULL; field++) {
        count += strcmp(field->name, name) == 0 ? 1 : 0;
    }
    return count;
}

void http_release_body(struct http_exchange *exchange)
{
    exchange->has_body = false;
}

void *http_context(const struct http_exchange *exchange)
{
    return exchange->context;
}

void http_set_context(struct http_exchange *exchange, void *context)
{
    exchange->context = context;
}

static void keep_head(struct http_exchange *exchange, int status, const struct http_field *fields,
                      size_t count)
{
    assert(exchange->is_open && exchange->status == 0 && status >= 200 && status < 600);
    exchange->status = status;
    for (size_t i = 0; i < count; i++) {
        struct span value = fields[i].value;
        for (size_t k = 0; k < value.len; k++) {
            assert((unsigned char)value.base[k] >= 0x20 && value.base[k] != 0x7F);
        }
        assert(buf_append_format(&exchange->head, "%s: %.*s\n", fields[i].name, (int)value.len,
                                 value.base == NULL ? "" : value.base) == 0);
    }
}

static void keep_body(struct http_exchange *exchange, struct buf *body)
{
    if (body != NULL) {
        assert(buf_append(&exchange->body, body->base, body->len) == 0);
        buf_free(body);
    }
}

void http_answer(struct http_exchange *exchange, int status, const struct http_field *fields,
                 size_t count, struct buf *body)
{
    keep_head(exchange, status, fields, count);
    keep_body(exchange, body);
    exchange->is_open = false;
}

void http_stream_begin(struct http_exchange *exchange, int status, const struct http_field *fields,
                       size_t count)
{
    keep_head(exchange, status, fields, count);
    exchange->is_stream = true;
}

void http_stream_send(struct http_exchange *exchange, struct buf *bytes)
{
    assert(exchange->is_open && exchange->is_stream);
    keep_body(exchange, bytes);
}

bool http_stream_is_congested(const struct http_exchange *exchange)
{
    assert(exchange->is_open && exchange->is_stream);
    return exchange->is_congested;
}

void http_stream_end(struct http_exchange *exchange)
{
    assert(exchange->is_open && exchange->is_stream);
    exchange->is_open = false;
}

const char *http_refusal_name(enum http_refusal refusal)
{
    return refusal == HTTP_REFUSED_STALL ? "stall" : "other";
}

struct http_counts http_counts(const struct http_server *server)
{
    (void)server;
    return (struct http_counts){.open_connections = 3, .answers = {0, 0, 7}};
}
