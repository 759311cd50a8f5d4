/*
 * The endpoint of streamable HTTP (MCP 2025-03-26 to 2026-07-28, basic/transports): POST takes one
 * message, GET listens or takes up a stream again, DELETE ends a session. Sessions, GET and DELETE
 * are of the old revisions alone.
 */
#include "mcp/era.h"
#include "serve/http.h"
#include "serve/reply.h"

static struct span find_header(void *carrier, const char *name)
{
    return http_header(carrier, name);
}

static struct mcp_envelope envelope_of(struct http_exchange *exchange)
{
    return (struct mcp_envelope){.is_http = true,
                                 .protocol_version = http_header(exchange, "mcp-protocol-version"),
                                 .method = http_header(exchange, "mcp-method"),
                                 .name = http_header(exchange, "mcp-name"),
                                 .header = find_header,
                                 .carrier = exchange};
}

/* The session that the request names; answers when there is none. */
static struct session *find_session(struct http_serve *serve, struct http_exchange *exchange)
{
    struct span id = http_header(exchange, "mcp-session-id");
    if (id.base == NULL) {
        reply_error(exchange, 400, REPLY_ERROR,
                    "The field Mcp-Session-Id is missing: begin with initialize");
        return NULL;
    }
    struct session *session =
        sessions_find(&serve->sessions, SESSION_STREAMABLE, id, guard_client(http_peer(exchange)));
    if (session == NULL) {
        reply_error(exchange, 404, REPLY_NO_SESSION, "There is no such session, or it has ended");
    }
    return session;
}

/* Answers when there is no room for another one. */
static struct session *open_session(struct http_serve *serve, struct http_exchange *exchange,
                                    enum session_kind kind)
{
    struct session *session = NULL;
    int status = session_open(&serve->sessions, kind, guard_client(http_peer(exchange)), &session);
    if (status != 0) {
        reply_error(exchange, status, REPLY_ERROR, "There are too many sessions; try again later");
    }
    return session;
}

/* Which session a message belongs to; answers when it is refused. */
static struct session *session_of(struct http_serve *serve, struct http_exchange *exchange,
                                  const struct mcp_peek *peek)
{
    bool has_id = http_header(exchange, "mcp-session-id").base != NULL;
    if (peek->is_modern || !peek->is_valid || serve->config->is_stateless) {
        return open_session(serve, exchange, SESSION_ONCE);
    }
    if (!peek->is_initialize || has_id) {
        struct session *session = find_session(serve, exchange);
        if (session != NULL && peek->is_initialize) {
            reply_error(exchange, 400, REPLY_ERROR, "The session has been initialized before");
            return NULL;
        }
        return session;
    }
    return open_session(serve, exchange, SESSION_STREAMABLE);
}

static bool check_post(struct http_exchange *exchange)
{
    if (!request_has_json(exchange) || http_header(exchange, "content-encoding").len > 0) {
        reply_error(exchange, 415, REPLY_ERROR, "Content-Type must be application/json");
    } else if (!request_accepts(exchange, "application/json") ||
               !request_accepts(exchange, "text/event-stream")) {
        reply_error(exchange, 406, REPLY_ERROR,
                    "Accept must name both application/json and text/event-stream");
    } else {
        return true;
    }
    return false;
}

void mcp_endpoint_post(struct http_serve *serve, struct http_exchange *exchange)
{
    struct mcp_envelope envelope = envelope_of(exchange);
    if (!check_post(exchange)) {
        return;
    }
    struct mcp_peek peek = mcp_peek(http_body(exchange), &envelope);
    if (serve->core.is_draining && peek.has_request) {
        reply_error(exchange, 503, REPLY_ERROR, "The server is about to end");
        return;
    }
    struct session *session = session_of(serve, exchange, &peek);
    if (session == NULL) {
        return;
    }
    struct stream *stream = stream_new(session, exchange);
    if (stream == NULL) {
        reply_error(exchange, 429, REPLY_ERROR, "The session has too many requests under way");
        return;
    }
    bool is_new = session->kind == SESSION_STREAMABLE && peek.is_initialize;
    enum mcp_era era;
    stream->names_session = is_new;
    stream_receive(stream, http_body(exchange), &envelope);
    if (is_new && !mcp_session_is_initialized(session->mcp, &era)) {
        session_close(session); /* it was refused, and nobody knows the session's id */
    }
}

/* GET and DELETE belong to sessions, which the modern revisions do not have. */
static bool check_version(struct http_exchange *exchange)
{
    struct span version = http_header(exchange, "mcp-protocol-version");
    if (version.base == NULL) {
        return true;
    }
    enum mcp_era era;
    if (!era_from_text(version, &era)) {
        reply_error(exchange, 400, REPLY_ERROR, "MCP-Protocol-Version names no revision of ours");
        return false;
    }
    if (era_is_modern(era)) {
        reply_wrong_method(exchange, "POST");
        return false;
    }
    return true;
}

static bool check_session_method(struct http_serve *serve, struct http_exchange *exchange)
{
    if (serve->config->is_stateless) {
        reply_wrong_method(exchange, "POST");
        return false;
    }
    return check_version(exchange);
}

void mcp_endpoint_get(struct http_serve *serve, struct http_exchange *exchange)
{
    if (!check_session_method(serve, exchange)) {
        return;
    }
    if (!request_accepts(exchange, "text/event-stream")) {
        reply_error(exchange, 406, REPLY_ERROR, "Accept must name text/event-stream");
        return;
    }
    struct session *session = find_session(serve, exchange);
    if (session == NULL) {
        return;
    }
    struct span last = http_header(exchange, "last-event-id");
    struct sse_id id;
    struct stream *stream = session->standing;
    bool is_resumed = last.len > 0;
    if (is_resumed) {
        stream = sse_read_id(last, &id) ? session_stream(session, id.stream) : NULL;
    }
    if (stream == NULL || (is_resumed && (!stream->is_begun || id.event > stream->last_event))) {
        reply_error(exchange, 400, REPLY_ERROR, "Last-Event-ID names no stream that is kept");
    } else if (!is_resumed && stream->exchange != NULL) {
        reply_error(exchange, 409, REPLY_ERROR, "The session has a stream that listens already");
    } else {
        serve->sessions.counts.resumed += is_resumed ? 1 : 0;
        stream_listen(stream, exchange, is_resumed ? &id : NULL);
    }
}

void mcp_endpoint_delete(struct http_serve *serve, struct http_exchange *exchange)
{
    if (!check_session_method(serve, exchange)) {
        return;
    }
    struct session *session = find_session(serve, exchange);
    if (session != NULL) {
        serve->sessions.counts.ended++;
        session_close(session);
        reply_empty(exchange, 204);
    }
}
