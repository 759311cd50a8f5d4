/*
 * One stream of messages to a client: the answer to a POST, a GET that listens, the one stream of
 * the old transport. It is what mcp/session.h calls a route. Runs in `vitrine`.
 *
 * The answer to a POST is one JSON text when nothing is sent before it; otherwise events, begun
 * with the first message, or after LIMIT_STREAM_BEGIN_MS.
 *
 *     WAITING --first message, or time--> BEGUN
 *        |                                 |  settled, and the client is there
 *        +-- settled: JSON, or 202 --+     v
 *                                    +--> ended (kept for LIMIT_RESUME_MS where it can be resumed)
 *
 * A client may go at any time. Streams of a session of the old revisions go on without it and keep
 * what they have for its return; all others end with it, and with them what they carry.
 */
#ifndef SERVE_STREAM_H
#define SERVE_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "mcp/session.h"
#include "serve/sse.h"
#include "transport/http.h"

struct session;

struct stream {
    TAILQ_ENTRY(stream) link; /* in its session */
    struct session *session;
    uint32_t number;                /* in its session */
    uint32_t last_event;            /* number of the last one */
    struct http_exchange *exchange; /* NULL: the client is away */
    bool is_begun;                  /* as events */
    bool is_standing;               /* belongs to no message: GET, or the old transport */
    bool is_receiving;              /* its message is being handled */
    bool is_let_go;                 /* the connection is to be closed when it has been handled */
    bool is_settled;                /* nothing more will be sent */
    bool names_session;             /* its answer tells the session's id */
    struct buf held;                /* an answer that came first */
    int held_status;
    uint64_t begun_ms;
    uint64_t sent_ms; /* something, last */
    uint64_t left_ms; /* when the client went, or the stream ended */
};
TAILQ_HEAD(stream_list, stream);

/* Makes one in its session, for a request that waits (NULL: none yet). NULL: no memory, or too
 * many. */
struct stream *stream_new(struct session *session, struct http_exchange *exchange);

/* Gives a POST's message to the session. The stream, and a session of one POST, may be gone when
 * this returns. */
void stream_receive(struct stream *stream, struct span message, struct mcp_envelope *envelope);

/* A client listens: from the event behind `after`, or (NULL) to what nobody has got yet. Another
 * request that listens there ends. */
void stream_listen(struct stream *stream, struct http_exchange *exchange,
                   const struct sse_id *after);

/* Sends an event as it is, which is not kept. Takes it. */
void stream_send_raw(struct stream *stream, struct buf *framed);

/* Its client went. True when its session ends with it. */
bool stream_left(struct stream *stream);

/* What time asks for: begins, comments, gives up. May free it. */
void stream_tick(struct stream *stream, uint64_t now_ms);

/* Ends and frees it. A request that waits is answered with 404. */
void stream_free(struct stream *stream);

/* Events of a session, for mcp_session_new; the context is the session. */
void stream_on_send(void *context, const struct mcp_message *about, struct buf *json);
bool stream_on_is_congested(void *context, void *route);
void stream_on_settled(void *context, void *route);
void stream_on_let_go(void *context, void *route);

#endif
