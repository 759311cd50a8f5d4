/*
 * The conversations of an HTTP server. Runs in `vitrine`.
 *
 * A session of the old revisions is begun by `initialize`, found by an id that nobody can guess,
 * used from the address that began it alone, and ended by DELETE, by silence, or by its age. What
 * belongs to no session, a stateless POST, is one for itself and ends with its answer.
 */
#ifndef SERVE_SESSIONS_H
#define SERVE_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/span.h"
#include "mcp/session.h"
#include "serve/events.h"
#include "serve/stream.h"

enum session_kind {
    SESSION_ONCE,       /* one POST */
    SESSION_STREAMABLE, /* 2025-03-26 to 2025-11-25 */
    SESSION_SSE,        /* the transport with two endpoints of 2024-11-05 */
};

enum { SESSION_ID_BYTES = 24, SESSION_BUCKETS = 1024 };

struct session {
    TAILQ_ENTRY(session) link;
    LIST_ENTRY(session) bucket; /* of those with an id */
    struct sessions *sessions;
    enum session_kind kind;
    char id[2 * SESSION_ID_BYTES + 1]; /* hex; empty: SESSION_ONCE */
    uint64_t client;                   /* guard_client of its address */
    struct mcp_session *mcp;
    struct events events;
    struct stream_list streams;
    unsigned stream_count;
    uint32_t last_stream;
    struct stream *standing; /* NULL: SESSION_ONCE */
    uint64_t begun_ms;
    uint64_t used_ms;
};
TAILQ_HEAD(session_list, session);
LIST_HEAD(session_bucket, session);

/* For metrics; these only grow. */
struct sessions_counts {
    uint64_t begun;
    uint64_t ended;   /* by the client */
    uint64_t expired; /* by silence or age */
    uint64_t refused;
    uint64_t stateless;
    uint64_t resumed;   /* streams */
    uint64_t abandoned; /* streams that nobody came back for */
};

struct sessions {
    uv_loop_t *loop;
    struct mcp_server *mcp;
    unsigned sessions_max;
    unsigned client_sessions_max;
    uint64_t idle_ms;
    void (*idle)(void *context); /* no call runs any more */
    void *context;
    struct session_list list;
    struct session_bucket buckets[SESSION_BUCKETS];
    unsigned count;  /* with an id */
    uint64_t number; /* of the last one */
    struct events_budget budget;
    struct sessions_counts counts;
};

/* The caller has filled what stands before `list`. */
void sessions_init(struct sessions *sessions);

/* 0, or the status to answer with: 429 or 503. */
int session_open(struct sessions *sessions, enum session_kind kind, uint64_t client,
                 struct session **out);

/* NULL when there is none of this kind with this id that this client may use. */
struct session *sessions_find(struct sessions *sessions, enum session_kind kind, struct span id,
                              uint64_t client);

struct stream *session_stream(const struct session *session, uint32_t number);

/* Ends it: calls are cancelled, streams end, its id is forgotten. */
void session_close(struct session *session);

/* What time asks for; every LIMIT_SERVE_TICK_MS. */
void sessions_tick(struct sessions *sessions, uint64_t now_ms);

/* Over all of them, as mcp/session.h has it. */
unsigned sessions_running(const struct sessions *sessions);
void sessions_stop_all(struct sessions *sessions);
void sessions_cancel_all(struct sessions *sessions);
void sessions_close_all(struct sessions *sessions);

#endif
