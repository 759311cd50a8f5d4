/*
 * What a session keeps of its streams' events, so that a client that lost its connection gets what
 * it missed. Runs in `vitrine`.
 *
 * It is bounded in events and bytes for each session, and in bytes for all of them. Past a bound
 * the oldest events that were given to a connection go first; what was never given to one stays
 * while it can.
 */
#ifndef SERVE_EVENTS_H
#define SERVE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "serve/sse.h"

/* Shared by all sessions of a server. */
struct events_budget {
    size_t bytes;
    size_t bytes_max;
};

struct event {
    TAILQ_ENTRY(event) link;
    struct sse_id id;
    bool is_given;    /* to a connection */
    struct buf bytes; /* framed */
};
TAILQ_HEAD(event_list, event);

struct events {
    struct event_list list; /* oldest first */
    struct events_budget *budget;
    size_t bytes;
    unsigned count;
};

/* Borrows the budget, which outlives it. */
void events_init(struct events *events, struct events_budget *budget);
void events_free(struct events *events);

/* Keeps a copy. False when there is no room even without what was given. */
bool events_keep(struct events *events, struct sse_id id, struct span framed, bool is_given);

/* Drops all of one stream. */
void events_drop(struct events *events, uint32_t stream);

/* The first event of the stream behind `id`, or NULL; with `only_new`, the first that was not
 * given. */
struct event *events_after(const struct events *events, struct sse_id id, bool only_new);

#endif
