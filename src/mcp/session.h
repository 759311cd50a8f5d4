/*
 * One client's conversation: messages in, messages out, whatever carries them. Runs in `vitrine`,
 * on the loop of its packages and their pool.
 *
 * All revisions are served at once: a request that names a modern revision in params._meta is
 * served statelessly, everything else by what `initialize` agreed on (the latest of the old
 * revisions where a client skips it, as mcp-run-python's own does). Calls of the tool run side by
 * side; everything else is answered before mcp_session_receive returns.
 */
#ifndef MCP_SESSION_H
#define MCP_SESSION_H

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "base/span.h"
#include "packages/packages.h"
#include "result/render.h"

struct mcp_session;

/* Borrowed for the session's life. */
struct mcp_config {
    uv_loop_t *loop;
    struct packages *packages;
    bool installs; /* whether they install anything, which the tool's description says */
    struct run_limits limits;
    uint64_t client; /* its number for the pool, which serves clients in turn */
    enum result_mode return_mode;
};

struct mcp_events {
    void *context;
    /* One message, a single line of JSON without its end; takes the contents. */
    void (*send)(void *context, struct buf *message);
    /* Whether what can be left out (logs, progress) should be. */
    bool (*is_congested)(void *context);
    /* The last running call has ended. */
    void (*idle)(void *context);
};

/* NULL when there is no memory. The caller owns it until mcp_session_free. */
struct mcp_session *mcp_session_new(const struct mcp_config *config,
                                    const struct mcp_events *events);

/* Handles one message, or answers it with an error. */
void mcp_session_receive(struct mcp_session *session, struct span message);

/* Answers a message that was too long to be received. */
void mcp_session_refuse_oversized(struct mcp_session *session);

/* Calls under way; and their cancellation, after which nothing is sent for them. */
unsigned mcp_session_running(const struct mcp_session *session);
bool mcp_session_is_installing(const struct mcp_session *session); /* for one of them */
void mcp_session_cancel_all(struct mcp_session *session);
/* The same, but each is answered as cancelled. */
void mcp_session_stop_all(struct mcp_session *session);

/* No call may be running. Its timers need one more turn of the loop to be gone. */
void mcp_session_free(struct mcp_session *session);

#endif
