/*
 * A small HTTP server for tests and measurements of src/transport alone.
 *
 *     http_echo PORT [CERTIFICATE KEY]     prints its port; ends at SIGTERM
 *
 * /echo gives the body back; /hang never answers; /big?BYTES answers with so many; /stream?BYTES
 * sends as many in pieces while it is not congested, /flood?BYTES even then; /counts says
 * http_counts.
 */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/limits.h"
#include "transport/http.h"

enum { PIECE_BYTES = 16 * 1024 };

static struct http_server *server;

struct stream {
    size_t left;
    bool is_flood;
};

static size_t number_of(const struct http_exchange *exchange)
{
    char digits[24] = "0";
    struct span query = http_query(exchange);
    memcpy(digits, query.base, query.len < sizeof digits ? query.len : 0);
    return strtoull(digits, NULL, 10);
}

static void fill(struct buf *buf, size_t bytes)
{
    buf_init(buf, bytes);
    int failed = buf_reserve(buf, bytes);
    assert(failed == 0);
    memset(buf->base, 'x', bytes);
    buf->len = bytes;
}

static void send_on(struct http_exchange *exchange)
{
    struct stream *stream = http_context(exchange);
    while (stream->left > 0 && (stream->is_flood || !http_stream_is_congested(exchange))) {
        struct buf piece;
        fill(&piece, stream->left < PIECE_BYTES ? stream->left : PIECE_BYTES);
        stream->left -= piece.len;
        http_stream_send(exchange, &piece);
    }
    if (stream->left == 0) {
        free(stream);
        http_stream_end(exchange);
    }
}

static void append_counts(struct buf *out)
{
    struct http_counts counts = http_counts(server);
    buf_init(out, 64 * KIB);
    buf_append_format(out,
                      "{\"open_connections\": %" PRIu64 ", \"open_exchanges\": %" PRIu64
                      ", \"gone\": %" PRIu64 ", \"bytes_held\": %" PRIu64,
                      counts.open_connections, counts.open_exchanges, counts.gone,
                      counts.bytes_held);
    for (enum http_refusal i = 0; i < HTTP_REFUSALS; i++) {
        buf_append_format(out, ", \"%s\": %" PRIu64, http_refusal_name(i), counts.refused[i]);
    }
    buf_append_text(out, "}\n");
}

static void on_request(void *context, struct http_exchange *exchange)
{
    static const struct http_field plain[] = {{"Content-Type", {"text/plain", 10}}};
    (void)context;
    struct span path = http_path(exchange);
    struct buf body;
    if (span_equal(path, span_of("/hang"))) {
        return;
    }
    if (span_equal(path, span_of("/stream")) || span_equal(path, span_of("/flood"))) {
        struct stream *stream = calloc(1, sizeof *stream);
        assert(stream != NULL);
        *stream = (struct stream){number_of(exchange), path.base[1] == 'f'};
        http_set_context(exchange, stream);
        http_stream_begin(exchange, 200, plain, 1);
        send_on(exchange);
        return;
    }
    if (span_equal(path, span_of("/big"))) {
        fill(&body, number_of(exchange));
    } else if (span_equal(path, span_of("/counts"))) {
        append_counts(&body);
    } else {
        buf_init(&body, LIMIT_MESSAGE_BYTES_MAX);
        buf_append(&body, http_body(exchange).base, http_body(exchange).len);
    }
    http_answer(exchange, 200, plain, 1, &body);
}

static void on_gone(void *context, struct http_exchange *exchange)
{
    (void)context;
    free(http_context(exchange));
}

static void on_congested(void *context, struct http_exchange *exchange, bool is_congested)
{
    (void)context;
    if (!is_congested) {
        send_on(exchange);
    }
}

static void on_closed(void *context)
{
    uv_close(context, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    http_close(server, on_closed, handle);
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    uv_signal_t term;
    struct err err = {.text = ""};
    const struct http_events events = {NULL, on_request, on_gone, on_congested};
    const char *idle = getenv("HTTP_ECHO_MS"); /* all deadlines */
    uint64_t ms = idle == NULL ? 0 : strtoull(idle, NULL, 10);
    struct http_config config = {.port = (uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0),
                                 .tls_cert = argc > 3 ? argv[2] : NULL,
                                 .tls_key = argc > 3 ? argv[3] : NULL,
                                 .head_ms = ms,
                                 .body_ms = ms,
                                 .idle_ms = ms,
                                 .stall_ms = ms};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop);
    if (http_open(&loop, &config, &events, &server, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uv_signal_init(&loop, &term);
    uv_signal_start(&term, on_signal, SIGTERM);
    printf("%u\n", (unsigned)http_port(server));
    fflush(stdout);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return 0;
}
