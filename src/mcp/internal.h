/* What session.c (the protocol) and call.c (runs of the tool) share. */
#ifndef MCP_INTERNAL_H
#define MCP_INTERNAL_H

#include "mcp/era.h"
#include "mcp/rpc.h"
#include "mcp/session.h"

/* Messages that came as one array, and are answered by one (2025-03-26). */
struct mcp_batch {
    struct buf answers;
    unsigned open; /* requests without answer, and one while the array is being read */
};

struct mcp_session {
    struct mcp_config config;
    struct mcp_events events;
    enum mcp_era era;       /* for requests that name none */
    enum mcp_level level;   /* of logs, for requests that name none */
    struct mcp_call *calls; /* under way */
    unsigned call_count;
};

/* A request with what its params._meta said. */
struct mcp_request {
    struct rpc_message rpc;
    enum mcp_era era;
    enum mcp_level level;
    struct span progress_token; /* or empty */
    struct mcp_batch *batch;    /* or NULL */
};

/* Sends an answer, or puts it into its batch. Takes the contents. */
void session_answer(struct mcp_session *session, struct mcp_batch *batch, struct buf *message);
void session_answer_error(struct mcp_session *session, struct mcp_batch *batch, struct span id,
                          int code, const char *text, struct span data);

/* One answer of a batch will not come, or has come. */
void session_release_batch(struct mcp_session *session, struct mcp_batch *batch);

/* Appends "{" and what every result of the revision begins with; `has_more` says that members
 * follow. The caller appends them and "}". */
int session_append_result_head(struct buf *out, enum mcp_era era, struct span id, bool has_more);

/* tools/call. */
void call_start(struct mcp_session *session, const struct mcp_request *request);

/* notifications/cancelled: ends the call with this id; nothing is sent for it any more. */
void call_cancel(struct mcp_session *session, struct span id);
bool call_is_running(const struct mcp_session *session, struct span id);

#endif
