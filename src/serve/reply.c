#include "serve/reply.h"

#include <stdio.h>
#include <strings.h>

#include "base/jtext.h"
#include "base/limits.h"

enum {
    FIELDS_MAX = 12,
    ERROR_BYTES_MAX = 4096,
    HEADERS_BYTES_MAX = 2048, /* of what a page may send */
};

struct fields {
    struct http_field items[FIELDS_MAX];
    size_t count;
};

static void add_span(struct fields *fields, const char *name, struct span value)
{
    if (fields->count < FIELDS_MAX) {
        fields->items[fields->count++] = (struct http_field){name, value};
    }
}

static void add(struct fields *fields, const char *name, const char *value)
{
    add_span(fields, name, span_of(value));
}

/* Vary even where no page asks: a cache must not give one's answer to another. */
static struct fields fields_for(const struct http_exchange *exchange)
{
    struct fields fields = {.count = 0};
    struct span origin = http_header(exchange, "origin");
    add(&fields, "Vary", "Origin");
    if (origin.base != NULL) {
        add_span(&fields, "Access-Control-Allow-Origin", origin);
        add(&fields, "Access-Control-Expose-Headers", "Mcp-Session-Id");
    }
    return fields;
}

static void answer(struct http_exchange *exchange, int status, const struct fields *fields,
                   struct buf *body)
{
    http_answer(exchange, status, fields->items, fields->count, body);
}

void reply_json(struct http_exchange *exchange, int status, struct buf *json,
                const char *session_id)
{
    struct fields fields = fields_for(exchange);
    add(&fields, "Content-Type", "application/json");
    add(&fields, "Cache-Control", "no-store");
    if (session_id != NULL) {
        add(&fields, "Mcp-Session-Id", session_id);
    }
    answer(exchange, status, &fields, json);
}

static void answer_error(struct http_exchange *exchange, int status, struct fields *fields,
                         int code, const char *text)
{
    char seconds[16];
    struct buf body;
    buf_init(&body, ERROR_BYTES_MAX);
    if (buf_append_format(
            &body, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":", code) !=
            0 ||
        jtext_append_string(&body, span_of(text)) != 0 || buf_append_text(&body, "}}") != 0) {
        buf_free(&body);
    }
    add(fields, "Content-Type", "application/json");
    add(fields, "Cache-Control", "no-store");
    if (status == 429 || status == 503) {
        snprintf(seconds, sizeof seconds, "%u", LIMIT_SERVE_RETRY_S);
        add(fields, "Retry-After", seconds);
    }
    answer(exchange, status, fields, &body);
}

void reply_error(struct http_exchange *exchange, int status, int code, const char *text)
{
    struct fields fields = fields_for(exchange);
    answer_error(exchange, status, &fields, code, text);
}

void reply_refusal(struct http_exchange *exchange, int status, const char *text)
{
    struct fields fields = {.count = 0};
    answer_error(exchange, status, &fields, REPLY_ERROR, text);
}

void reply_empty(struct http_exchange *exchange, int status)
{
    struct fields fields = fields_for(exchange);
    answer(exchange, status, &fields, NULL);
}

void reply_wrong_method(struct http_exchange *exchange, const char *allowed)
{
    struct fields fields = fields_for(exchange);
    struct buf body;
    buf_init(&body, ERROR_BYTES_MAX);
    add(&fields, "Allow", allowed);
    add(&fields, "Content-Type", "application/json");
    if (buf_append_format(&body,
                          "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,"
                          "\"message\":\"Only %s may be used here\"}}",
                          REPLY_ERROR, allowed) != 0) {
        buf_free(&body);
    }
    answer(exchange, 405, &fields, &body);
}

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Appends the fields Mcp-Param-NAME that a page asks for: their names come with the tools. */
static int append_asked(struct buf *out, struct span asked)
{
    static const char prefix[] = "mcp-param-";
    for (size_t at = 0; at < asked.len;) {
        size_t start = at;
        while (at < asked.len && is_token_char(asked.base[at])) {
            at++;
        }
        if (at - start >= sizeof prefix &&
            strncasecmp(asked.base + start, prefix, sizeof prefix - 1) == 0 &&
            (buf_append_text(out, ", ") != 0 ||
             buf_append(out, asked.base + start, at - start) != 0)) {
            return -1;
        }
        at += at == start || at < asked.len ? 1 : 0;
    }
    return 0;
}

void reply_preflight(struct http_exchange *exchange, const char *allowed)
{
    static const char known[] =
        "Accept, Authorization, Content-Type, Last-Event-ID, Mcp-Method, Mcp-Name, "
        "MCP-Protocol-Version, Mcp-Session-Id";
    struct fields fields = fields_for(exchange);
    cleanup_buf struct buf headers;
    buf_init(&headers, HEADERS_BYTES_MAX);
    add(&fields, "Allow", allowed);
    if (http_header(exchange, "origin").base != NULL) {
        add(&fields, "Access-Control-Allow-Methods", allowed);
        add(&fields, "Access-Control-Max-Age", "600");
        if (buf_append_text(&headers, known) == 0) {
            (void)append_asked(&headers, http_header(exchange, "access-control-request-headers"));
        }
        add_span(&fields, "Access-Control-Allow-Headers", buf_span(&headers));
    }
    answer(exchange, 204, &fields, NULL);
}

void reply_text(struct http_exchange *exchange, int status, const char *type, struct buf *text)
{
    struct fields fields = fields_for(exchange);
    add(&fields, "Content-Type", type);
    add(&fields, "Cache-Control", "no-store");
    answer(exchange, status, &fields, text);
}

void reply_begin_stream(struct http_exchange *exchange, const char *session_id)
{
    struct fields fields = fields_for(exchange);
    add(&fields, "Content-Type", "text/event-stream");
    add(&fields, "Cache-Control", "no-cache");
    add(&fields, "X-Accel-Buffering", "no");
    if (session_id != NULL) {
        add(&fields, "Mcp-Session-Id", session_id);
    }
    http_stream_begin(exchange, 200, fields.items, fields.count);
}
