/*
 * The transport of 2024-11-05 (basic/transports, "HTTP with SSE"): GET opens a stream whose first
 * event says where to POST messages, and all answers come on the stream. The session lasts as long
 * as the stream does.
 */
#include "serve/http.h"
#include "serve/reply.h"

enum { ENDPOINT_BYTES_MAX = 256 };

static const char id_prefix[] = "sessionId=";

/* The value of sessionId in a query, or an empty span. An id of ours has nothing to decode. */
static struct span read_id(struct span query)
{
    while (query.len > 0) {
        const char *end = memchr(query.base, '&', query.len);
        size_t len = end == NULL ? query.len : (size_t)(end - query.base);
        size_t prefix = sizeof id_prefix - 1;
        if (len > prefix && memcmp(query.base, id_prefix, prefix) == 0) {
            return (struct span){query.base + prefix, len - prefix};
        }
        size_t step = end == NULL ? len : len + 1;
        query = (struct span){query.base + step, query.len - step};
    }
    return (struct span){NULL, 0};
}

static void send_endpoint(struct session *session)
{
    char address[ENDPOINT_BYTES_MAX];
    struct buf framed;
    int len = snprintf(address, sizeof address, "/messages?%s%s", id_prefix, session->id);
    buf_init(&framed, 2 * ENDPOINT_BYTES_MAX);
    if (sse_append_event(&framed, NULL, "endpoint", (struct span){address, (size_t)len}) == 0) {
        stream_send_raw(session->standing, &framed);
    }
}

void sse_endpoint_get(struct http_serve *serve, struct http_exchange *exchange)
{
    if (!request_accepts(exchange, "text/event-stream")) {
        reply_error(exchange, 406, REPLY_ERROR, "Accept must name text/event-stream");
        return;
    }
    if (serve->core.is_draining) {
        reply_error(exchange, 503, REPLY_ERROR, "The server is about to end");
        return;
    }
    struct session *session = NULL;
    int status =
        session_open(&serve->sessions, SESSION_SSE, guard_client(http_peer(exchange)), &session);
    if (status != 0) {
        reply_error(exchange, status, REPLY_ERROR, "There are too many sessions; try again later");
        return;
    }
    stream_listen(session->standing, exchange, NULL);
    send_endpoint(session);
}

void sse_endpoint_post(struct http_serve *serve, struct http_exchange *exchange)
{
    struct span id = read_id(http_query(exchange));
    struct session *session =
        sessions_find(&serve->sessions, SESSION_SSE, id, guard_client(http_peer(exchange)));
    struct buf text;
    buf_init(&text, 64);
    if (!request_has_json(exchange)) {
        reply_error(exchange, 415, REPLY_ERROR, "Content-Type must be application/json");
    } else if (id.base == NULL) {
        reply_error(exchange, 400, REPLY_ERROR, "sessionId is missing in the address");
    } else if (session == NULL) {
        reply_error(exchange, 404, REPLY_NO_SESSION, "There is no such session, or it has ended");
    } else {
        mcp_session_receive(session->mcp, http_body(exchange), NULL);
        (void)buf_append_text(&text, "Accepted");
        reply_text(exchange, 202, "text/plain", &text);
    }
}
