/*
 * One client's conversation: messages in, messages out, whatever carries them. Runs in `vitrine`,
 * on the loop of its packages and their pool.
 *
 * All revisions are served at once: a request that names a modern revision in params._meta is
 * served statelessly, everything else by what `initialize` agreed on (where a client skips it: the
 * latest of the old revisions on stdio, as mcp-run-python's own does; over HTTP what the header
 * MCP-Protocol-Version says). Calls run side by side; everything else is answered before
 * mcp_session_receive returns.
 *
 * stdio has one session. HTTP has one for each session of the old revisions, and one for each POST
 * that belongs to none.
 */
#ifndef MCP_SESSION_H
#define MCP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "mcp/era.h"
#include "mcp/server.h"

struct mcp_session;

/* How a message came. Borrowed until mcp_session_receive returns, but for `route`. */
struct mcp_envelope {
    /* The caller's: where what belongs to this message is to be sent. NULL: there is one way
     * (stdio). */
    void *route;
    bool is_http; /* the rules of HTTP headers hold */
    /* The headers MCP-Protocol-Version, Mcp-Method and Mcp-Name; base NULL: absent. */
    struct span protocol_version;
    struct span method;
    struct span name;
    /* Any other header by its lower-case name, as http_header(); for Mcp-Param-NAME. May be NULL:
     * there are none. */
    struct span (*header)(void *carrier, const char *name);
    void *carrier;
};

enum mcp_sent { MCP_ANSWER, MCP_NOTIFICATION, MCP_REQUEST };

struct mcp_message {
    enum mcp_sent kind;
    void *route;     /* of the message it belongs to; NULL: to none (a list has changed, ...) */
    int error_code;  /* of an answer that is an error, else 0 */
    int http_status; /* of an answer that is the first thing sent: 200, 400 or 404 */
};

struct mcp_events {
    void *context;
    /* One message, a single line of JSON without its end; takes the contents. */
    void (*send)(void *context, const struct mcp_message *about, struct buf *json);
    /* Whether what can be left out (logs, progress) should be. */
    bool (*is_congested)(void *context, void *route);
    /* Once for each message received with a route, unless that was left before: nothing will be
     * sent for it any more. May come from inside mcp_session_receive. May be NULL. */
    void (*settled)(void *context, void *route);
    /* The client's stream may be closed: it will come back for what else belongs to this message
     * (2025-11-25, "polling"). May be NULL. */
    void (*let_go)(void *context, void *route);
    /* The last running call has ended. May be NULL. */
    void (*idle)(void *context);
};

struct mcp_client {
    uint64_t number; /* for the pool, which serves clients in turn */
    /* Who has been authenticated, or empty. What is kept for one (request states, sessions) is not
     * given to another. Copied. */
    struct span principal;
};

/* NULL when there is no memory. The caller owns it until mcp_session_free. */
struct mcp_session *mcp_session_new(struct mcp_server *server, const struct mcp_client *client,
                                    const struct mcp_events *events);

/* Handles one message, or answers it with an error. `envelope` NULL: stdio, no route. */
void mcp_session_receive(struct mcp_session *session, struct span message,
                         const struct mcp_envelope *envelope);

/* Answers a message that was too long to be received. */
void mcp_session_refuse_oversized(struct mcp_session *session, void *route);

/* The client has closed the stream that is `route`. Nothing is sent there any more, and it is not
 * `settled`. From 2026-07-28 on this cancels its requests; earlier ones go on, unheard. */
void mcp_session_leave(struct mcp_session *session, void *route);

/* The same, and its requests are cancelled whatever their revision: nobody will come for them. */
void mcp_session_abandon(struct mcp_session *session, void *route);

/* Calls under way; and their cancellation, after which nothing is sent for them. Subscriptions end
 * too, and are answered. */
unsigned mcp_session_running(const struct mcp_session *session);
bool mcp_session_is_installing(const struct mcp_session *session); /* for one of them */
void mcp_session_cancel_all(struct mcp_session *session);
/* The same, but each call is answered as well, as cancelled. */
void mcp_session_stop_all(struct mcp_session *session);

/* Whether `initialize` has been answered, and with which revision. */
bool mcp_session_is_initialized(const struct mcp_session *session, enum mcp_era *era);

/* May be called at any time, from inside its own events too: cancels what runs; no event comes any
 * more. Its memory is freed when the last call has ended; mcp_server_free waits for none. */
void mcp_session_free(struct mcp_session *session);

/*
 * A look at a message before it is known which session it belongs to. is_valid: it is JSON and an
 * object or array; otherwise any session will refuse it. is_modern: its body names a revision in
 * params._meta, or its header names a modern one (or one we do not know), so that it belongs to no
 * session. has_request: something in it will be answered; else there are notifications and
 * responses alone, which are answered only when they come as a batch where there are none.
 */
struct mcp_peek {
    bool is_valid;
    bool is_modern;
    bool is_initialize;
    bool has_request;
};
struct mcp_peek mcp_peek(struct span message, const struct mcp_envelope *envelope);

#endif
