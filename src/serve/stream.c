#include "serve/stream.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "serve/reply.h"
#include "serve/sessions.h"

enum { FRAME_BYTES_MAX = 128 }; /* of an event, beside its data */

static uint64_t now_ms(const struct stream *stream)
{
    return uv_now(stream->session->sessions->loop);
}

static void release(struct stream *stream)
{
    struct session *session = stream->session;
    TAILQ_REMOVE(&session->streams, stream, link);
    session->stream_count--;
    events_drop(&session->events, stream->number);
    buf_free(&stream->held);
    free(stream);
}

/* Of streams that are only kept to be resumed, the oldest goes when there are too many. */
static bool make_room(struct session *session)
{
    struct stream *stream = TAILQ_FIRST(&session->streams);
    while (stream != NULL && !stream->is_settled) {
        stream = TAILQ_NEXT(stream, link);
    }
    if (session->stream_count >= LIMIT_SESSION_STREAMS_MAX && stream != NULL) {
        release(stream);
    }
    return session->stream_count < LIMIT_SESSION_STREAMS_MAX;
}

struct stream *stream_new(struct session *session, struct http_exchange *exchange)
{
    struct stream *stream = make_room(session) ? calloc(1, sizeof *stream) : NULL;
    if (stream == NULL) {
        return NULL;
    }
    stream->session = session;
    stream->number = session->last_stream++;
    stream->exchange = exchange;
    stream->begun_ms = now_ms(stream);
    stream->left_ms = stream->begun_ms;
    buf_init(&stream->held, LIMIT_RESPONSE_BYTES_MAX);
    TAILQ_INSERT_TAIL(&session->streams, stream, link);
    session->stream_count++;
    if (exchange != NULL) {
        http_set_context(exchange, stream);
    }
    return stream;
}

/* The exchange ends by our own doing: its client is not heard of any more. */
static struct http_exchange *take_exchange(struct stream *stream)
{
    struct http_exchange *exchange = stream->exchange;
    stream->exchange = NULL;
    stream->left_ms = now_ms(stream);
    http_set_context(exchange, NULL);
    return exchange;
}

void stream_free(struct stream *stream)
{
    if (stream->exchange != NULL && stream->is_begun) {
        http_stream_end(take_exchange(stream));
    } else if (stream->exchange != NULL) {
        http_release_body(stream->exchange);
        reply_error(take_exchange(stream), 404, REPLY_NO_SESSION, "The session has ended");
    }
    release(stream);
}

/* Only a client of a session knows how to come back. */
static bool is_kept(const struct stream *stream)
{
    return stream->session->kind == SESSION_STREAMABLE;
}

void stream_send_raw(struct stream *stream, struct buf *framed)
{
    if (stream->exchange == NULL) {
        buf_free(framed);
        return;
    }
    stream->sent_ms = now_ms(stream);
    http_stream_send(stream->exchange, framed);
}

/* Sends a message as an event; takes it. */
static void send_event(struct stream *stream, struct buf *json)
{
    struct sse_id id = {stream->number, ++stream->last_event};
    struct buf framed;
    buf_init(&framed, json->len + FRAME_BYTES_MAX);
    int failed = sse_append_event(&framed, is_kept(stream) ? &id : NULL, "message", buf_span(json));
    buf_free(json);
    if (failed != 0) {
        log_error("a message was dropped: out of memory");
        buf_free(&framed);
        return;
    }
    bool is_there = stream->exchange != NULL;
    if (is_kept(stream) &&
        !events_keep(&stream->session->events, id, buf_span(&framed), is_there) && !is_there) {
        log_warning("a message was dropped: its client is away, and too much is kept for it");
    }
    stream_send_raw(stream, &framed);
}

/* Where the session speaks a revision whose clients take an event without data for what it is. */
static bool wants_priming(const struct stream *stream)
{
    enum mcp_era era;
    return is_kept(stream) && mcp_session_is_initialized(stream->session->mcp, &era) &&
           era >= ERA_2025_11_25;
}

/* Begins the answer as a stream. `at` is where a client is that comes back. */
static void begin(struct stream *stream, uint32_t at)
{
    struct sse_id id = {stream->number, at};
    struct buf priming;
    const struct session *session = stream->session;
    stream->is_begun = true;
    stream->sent_ms = now_ms(stream);
    reply_begin_stream(stream->exchange, stream->names_session ? session->id : NULL);
    buf_init(&priming, FRAME_BYTES_MAX);
    if (wants_priming(stream) && sse_append_priming(&priming, &id, LIMIT_RESUME_RETRY_MS) == 0) {
        stream_send_raw(stream, &priming);
    }
    if (stream->held.len > 0) {
        struct buf held = stream->held;
        buf_init(&stream->held, LIMIT_RESPONSE_BYTES_MAX);
        send_event(stream, &held);
    }
}

void stream_on_send(void *context, const struct mcp_message *about, struct buf *json)
{
    struct session *session = context;
    struct stream *stream = about->route != NULL ? about->route : session->standing;
    bool is_lost = stream == NULL || (!stream->is_begun && stream->exchange == NULL);
    if (is_lost) {
        buf_free(json); /* nobody can ask for it any more */
    } else if (stream->is_begun) {
        send_event(stream, json);
    } else if (about->kind == MCP_ANSWER && stream->held.len == 0) {
        stream->held = *json;
        stream->held_status = about->http_status;
        buf_init(json, 0);
    } else {
        begin(stream, 0);
        send_event(stream, json);
    }
}

bool stream_on_is_congested(void *context, void *route)
{
    const struct session *session = context;
    const struct stream *stream = route != NULL ? route : session->standing;
    if (stream == NULL || (!stream->is_begun && stream->exchange == NULL)) {
        return true;
    }
    if (stream->exchange == NULL) {
        return session->events.bytes > LIMIT_SESSION_EVENT_BYTES_MAX / 2 ||
               session->events.count > LIMIT_SESSION_EVENTS_MAX / 2;
    }
    return stream->is_begun && http_stream_is_congested(stream->exchange);
}

static void answer(struct stream *stream)
{
    enum mcp_era era;
    struct session *session = stream->session;
    bool is_named = stream->names_session && mcp_session_is_initialized(session->mcp, &era);
    struct http_exchange *exchange = take_exchange(stream);
    if (stream->held.len > 0) {
        reply_json(exchange, stream->held_status, &stream->held, is_named ? session->id : NULL);
    } else {
        reply_empty(exchange, 202);
    }
}

/* Nothing more will be sent. */
static void finish(struct stream *stream)
{
    struct session *session = stream->session;
    bool is_kept_on = is_kept(stream) && stream->is_begun;
    if (stream->exchange != NULL && stream->is_begun) {
        http_stream_end(take_exchange(stream));
    } else if (stream->exchange != NULL) {
        answer(stream);
    }
    if (session->kind == SESSION_ONCE) {
        session_close(session);
    } else if (!is_kept_on) {
        release(stream);
    }
}

void stream_on_settled(void *context, void *route)
{
    struct stream *stream = route;
    (void)context;
    stream->is_settled = true;
    if (!stream->is_receiving) {
        finish(stream);
    }
}

/* The client has, or gets, the event it comes back with; one that does not know how to is kept. */
void stream_on_let_go(void *context, void *route)
{
    struct stream *stream = route;
    (void)context;
    if (stream->exchange == NULL || !wants_priming(stream)) {
        return;
    }
    if (stream->is_receiving) {
        stream->is_let_go = true; /* the message that is being read is the exchange's */
        return;
    }
    if (!stream->is_begun) {
        begin(stream, 0);
    }
    http_stream_end(take_exchange(stream));
}

void stream_receive(struct stream *stream, struct span message, struct mcp_envelope *envelope)
{
    envelope->route = stream;
    stream->is_receiving = true;
    mcp_session_receive(stream->session->mcp, message, envelope);
    stream->is_receiving = false;
    if (stream->is_settled) {
        finish(stream);
    } else if (stream->is_let_go) {
        stream_on_let_go(stream->session, stream);
    } else if (stream->exchange != NULL) {
        http_release_body(stream->exchange);
    }
}

static void replay(struct stream *stream, const struct sse_id *after)
{
    struct event *event;
    TAILQ_FOREACH(event, &stream->session->events.list, link)
    {
        bool is_wanted = event->id.stream == stream->number &&
                         (after == NULL ? !event->is_given : event->id.event > after->event);
        struct buf copy;
        buf_init(&copy, event->bytes.len);
        if (is_wanted && buf_append(&copy, event->bytes.base, event->bytes.len) == 0) {
            event->is_given = true;
            stream_send_raw(stream, &copy);
        }
    }
}

void stream_listen(struct stream *stream, struct http_exchange *exchange,
                   const struct sse_id *after)
{
    if (stream->exchange != NULL) {
        http_stream_end(take_exchange(stream));
    }
    stream->exchange = exchange;
    http_set_context(exchange, stream);
    begin(stream, after == NULL ? 0 : after->event);
    replay(stream, after);
    if (stream->is_settled) {
        http_stream_end(take_exchange(stream));
    }
}

bool stream_left(struct stream *stream)
{
    stream->exchange = NULL;
    stream->left_ms = now_ms(stream);
    return stream->session->kind != SESSION_STREAMABLE;
}

static void tick_connected(struct stream *stream, uint64_t now)
{
    if (!stream->is_begun) {
        if (now - stream->begun_ms >= LIMIT_STREAM_BEGIN_MS) {
            begin(stream, 0);
        }
        return;
    }
    struct buf comment;
    buf_init(&comment, FRAME_BYTES_MAX);
    if (now - stream->sent_ms >= LIMIT_STREAM_COMMENT_MS && sse_append_comment(&comment) == 0) {
        stream_send_raw(stream, &comment);
    }
}

void stream_tick(struct stream *stream, uint64_t now)
{
    struct session *session = stream->session;
    if (stream->exchange != NULL) {
        tick_connected(stream, now);
    } else if (!stream->is_standing && now - stream->left_ms >= LIMIT_RESUME_MS) {
        if (!stream->is_settled) {
            session->sessions->counts.abandoned++;
            mcp_session_abandon(session->mcp, stream);
        }
        release(stream);
    }
}
