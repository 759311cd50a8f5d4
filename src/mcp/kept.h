/*
 * Sessions of Python that clients keep (create_session and the other tools), and their handles.
 * Runs in `vitrine`; private to src/mcp.
 *
 * A handle is 128 random bits. It works for the conversation that made it, and for nobody else. A
 * client whose requests belong to no conversation (HTTP without a session) is known by its
 * principal, or else by its address and by knowing the handle: such sessions are listed only for a
 * principal. When a conversation ends, its sessions are closed.
 *
 * A session that has ended stays listed with the reason until it is closed, or many others have
 * ended. A checkpoint is one as well, in which nothing is run.
 */
#ifndef MCP_KEPT_H
#define MCP_KEPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/span.h"
#include "pool/session.h"

enum { KEPT_HANDLE_CHARS = 35 }; /* "py-" or "cp-", and 32 hexadecimal digits */

struct mcp_call;
struct mcp_session;

struct kept_session {
    TAILQ_ENTRY(kept_session) link;
    struct kept_sessions *sessions;
    char handle[KEPT_HANDLE_CHARS + 1];
    char parent[KEPT_HANDLE_CHARS + 1]; /* what it is a copy of; or empty */
    bool is_checkpoint;
    uint64_t conversation; /* whose; 0: of none, but of */
    uint64_t client;       /* this client, */
    char *principal;       /* owned; NULL: nobody in particular */
    uint64_t made_us;
    struct pool_session *session; /* NULL when it has ended */
    char why[ERR_TEXT_MAX];       /* then */
    struct mcp_call *waiting;     /* for the copy to be there: it is nobody's until then */
};

struct kept_sessions {
    TAILQ_HEAD(kept_list, kept_session) list;
    struct pool *pool;
    uint64_t memory_bytes;
    uint64_t idle_ms;
    uint64_t life_ms;
    unsigned ended_count;
};

/* NULL without memory, or where there are as many as there may be: *err says so. */
struct kept_session *kept_open(struct mcp_call *call, struct err *err);
struct kept_session *kept_fork(struct mcp_call *call, struct kept_session *from, bool is_checkpoint,
                               struct err *err);

/* By its handle, JSON text. NULL when it is none of the client's: that there is none, and that it
 * is another's, is not told apart. */
struct kept_session *kept_find(const struct mcp_call *call, struct span handle, struct err *err);

/* The same, but one that can run programs; with its end in *err where it has ended. */
struct kept_session *kept_find_open(const struct mcp_call *call, struct span handle,
                                    struct err *err);

/* Whether the client of the call is told of it. */
bool kept_is_listed(const struct mcp_call *call, const struct kept_session *kept);

/* Gives it up: its programs are cancelled. */
void kept_close(struct kept_session *kept);

/* Another one's state in the place of its own: `from` is no more. */
void kept_replace(struct kept_session *kept, struct kept_session *from);

/* It begins anew. */
int kept_reset(struct kept_session *kept, struct err *err);

/* The conversation has ended. */
void kept_leave(struct kept_sessions *sessions, const struct mcp_session *session);

void kept_close_all(struct kept_sessions *sessions);

#endif
