/*
 * One request that may take its time, as the one who serves it sees it: tools/call, resources/read,
 * prompts/get. Runs in `vitrine`.
 *
 * A row's `start` begins it. It ends, sooner or later, with exactly one of call_answer, call_fail
 * and call_end, or with call_ask; afterwards the call is not touched any more. Until then its
 * holder may log and show progress.
 */
#ifndef MCP_CALL_H
#define MCP_CALL_H

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "base/span.h"
#include "mcp/content.h"
#include "mcp/era.h"
#include "mcp/rpc.h"
#include "mcp/session.h"

struct mcp_call;

uv_loop_t *call_loop(const struct mcp_call *call);
enum mcp_era call_era(const struct mcp_call *call);
struct mcp_server *call_server(const struct mcp_call *call);
const struct mcp_config *call_config(const struct mcp_call *call);
struct mcp_client call_client(const struct mcp_call *call); /* borrowed */
void *call_context(const struct mcp_call *call);            /* the row's */

/* Files that are kept for clients (mcp/depot.h). */
struct depot;
struct depot *call_depot(const struct mcp_call *call);

/* A variable of the family's template: text, decoded; empty when there is none. */
struct span call_variable(const struct mcp_call *call, const char *name);

/*
 * What the holder keeps for it while it runs, and who is told that nobody wants it any more (the
 * client cancelled it, or has gone, or the server ends). `cancel` may end the call at once or see
 * to it that it ends soon. Without a `cancel` (NULL) it is ended.
 */
void call_hold(struct mcp_call *call, void *state, void (*cancel)(struct mcp_call *call));
void *call_state(const struct mcp_call *call);

/* Notifications: dropped when they are not wanted, or the client does not keep up. */
void call_log(struct mcp_call *call, enum mcp_level level, const char *logger, struct span text);
/* Dropped as well unless `progress` is more than the last. A total of 0: nobody knows. `message`
 * may be NULL. */
void call_progress(struct mcp_call *call, double progress, double total, const char *message);
bool call_wants_progress(const struct mcp_call *call);

/* Lets the client's stream be closed while the call goes on; the client comes back for the rest
 * (2025-11-25, streamable HTTP). */
void call_let_go(struct mcp_call *call);

/* The end. call_answer takes the content; call_fail is an error of the protocol, with `data` JSON
 * or empty; call_end is for a call that was cancelled: whoever still listens hears that. */
void call_answer(struct mcp_call *call, struct content *content);
void call_fail(struct mcp_call *call, int code, const char *text, struct span data);
void call_end(struct mcp_call *call);

/*
 * Asking the client, or through it the person or the model. The same for every revision:
 *
 *     if (!call_reply(call, "name", &reply)) {
 *         call_ask(call, &question, 1, kept);
 *         return;
 *     }
 *
 * When the answers are there, `start` is called again from its beginning with the same arguments
 * (from 2026-07-28 on by a new request, in a new call). `kept` comes back as it was from call_kept:
 * it travels through the client, who can read but not change it, nor use it for other arguments,
 * for another principal or after LIMIT_REQUEST_STATE_MS. So a reply counts for what was asked only
 * beside a `kept` that is there. What a client cannot be asked is answered for it with an error.
 * What call_hold said holds no more.
 */
enum mcp_ask { ASK_ELICITATION, ASK_SAMPLING, ASK_ROOTS };

struct mcp_question {
    const char *key; /* unique within the call */
    enum mcp_ask kind;
    const char *params; /* a JSON object, as elicitation/create, sampling/createMessage or
                           roots/list have it */
};

bool call_can_ask(const struct mcp_call *call, enum mcp_ask kind);
void call_ask(struct mcp_call *call, const struct mcp_question *questions, unsigned count,
              struct span kept);

/* The client's result (a JSON object), or `error` of the old revisions: what it was refused with.
 * Borrowed for the call's life. False when there is none. */
bool call_reply(const struct mcp_call *call, const char *key, struct span *result);
bool call_reply_error(const struct mcp_call *call, const char *key, struct span *error);
struct span call_kept(const struct mcp_call *call);

/* What a resource that is not there is answered with: from 2026-07-28 on as any wrong parameter. */
static inline int resource_not_found_code(enum mcp_era era)
{
    return era_is_modern(era) ? RPC_INVALID_PARAMS : RPC_RESOURCE_NOT_FOUND;
}

#endif
