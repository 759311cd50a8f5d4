/*
 * What the files of this folder share. A message is received (session.c), taken apart and given to
 * its method (dispatch.c) once its revision and headers are known to be in order (envelope.c). What
 * takes time is a call (call.c).
 */
#ifndef MCP_INTERNAL_H
#define MCP_INTERNAL_H

#include <sys/queue.h>

#include "mcp/era.h"
#include "mcp/rpc.h"
#include "mcp/server.h"
#include "mcp/session.h"

struct mcp_server {
    struct mcp_config config;
    TAILQ_HEAD(, mcp_session) sessions;
};

/* One message as it was received, for as long as something of it is open: its requests, or the
 * reading of it. */
struct mcp_delivery {
    TAILQ_ENTRY(mcp_delivery) link; /* in session->deliveries */
    struct mcp_session *session;
    void *route;
    bool has_left;  /* the route is not to be used any more */
    bool is_modern; /* a request in it is */
    bool is_batch;  /* one array, answered by one array (2025-03-26) */
    struct buf answers;
    unsigned open;
};

struct mcp_session {
    TAILQ_ENTRY(mcp_session) link; /* in server->sessions */
    struct mcp_server *server;
    uint64_t client_number;
    struct buf principal;
    struct mcp_events events;
    bool is_initialized;
    enum mcp_era era;       /* for requests that name none */
    enum mcp_level level;   /* of logs, for requests that name none */
    struct mcp_call *calls; /* under way */
    unsigned call_count;
    TAILQ_HEAD(, mcp_delivery) deliveries;
    unsigned entered; /* our functions that are on the stack and use it afterwards */
    bool is_freed;    /* nothing is told any more; the memory stays while it is used */
};

/* A request with what its params._meta said. */
struct mcp_request {
    struct mcp_session *session;
    struct mcp_delivery *delivery;
    const struct mcp_envelope *envelope;
    struct rpc_message rpc;
    enum mcp_era era;
    enum mcp_level level;
    struct span progress_token; /* or empty */
};

/* session.c: a delivery is held by whoever will still send for it. */
void delivery_hold(struct mcp_delivery *delivery);
void delivery_release(struct mcp_delivery *delivery);
bool delivery_is_congested(const struct mcp_delivery *delivery);

/* Each takes the message's contents. An answer goes into its batch, if there is one. */
void delivery_send(struct mcp_delivery *delivery, enum mcp_sent kind, struct buf *message);
void delivery_answer(struct mcp_delivery *delivery, struct buf *message);
void delivery_answer_error(struct mcp_delivery *delivery, struct span id, int code, int http_status,
                           const char *text, struct span data);

/* dispatch.c: one message, checked to be JSON. */
void dispatch_message(struct mcp_session *session, struct mcp_delivery *delivery,
                      const struct mcp_envelope *envelope, struct span value);

/* envelope.c: reads params._meta and compares the headers with it. 0; or -1, and the request has
 * been answered. */
int envelope_read(struct mcp_request *request);

/* Answers with an error; the status is what the revision wants for this code. */
void request_refuse(const struct mcp_request *request, int code, const char *text);

/* The same for what is wrong before a method is found: HTTP says 400 in every revision. */
void request_refuse_malformed(const struct mcp_request *request, int code, const char *text,
                              struct span data);

/* Appends "{" and what every result of the revision begins with; `has_more` says that members
 * follow. The caller appends them and "}". */
int result_append_head(struct buf *out, enum mcp_era era, struct span id, bool has_more);

/* tools/call. */
void call_start(const struct mcp_request *request);

/* notifications/cancelled: ends the call with this id; nothing is sent for it any more. */
void call_cancel(struct mcp_session *session, struct span id);
bool call_is_running(const struct mcp_session *session, struct span id);
void call_cancel_of(struct mcp_session *session, const struct mcp_delivery *delivery);

#define MCP_META "io.modelcontextprotocol/"

#endif
