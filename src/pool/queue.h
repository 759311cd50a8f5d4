/*
 * Runs that wait, and whose turn it is: private to src/pool.
 *
 * Each client has a queue of its own, and exists while it has runs. The next run is one of the
 * client that has the fewest running; among equals, of the one that was served longest ago. So a
 * thousand waiting runs of one client delay another's by one at most, and long programs of one do
 * not keep all cells from the others.
 */
#ifndef POOL_QUEUE_H
#define POOL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"

struct pool_run;
TAILQ_HEAD(run_list, pool_run);

struct client {
    TAILQ_ENTRY(client) link; /* in queue->clients */
    uint64_t number;
    struct run_list waiting; /* in the order in which they came */
    unsigned waiting_count;
    unsigned running_count;
    unsigned run_count; /* all that are not freed */
};
TAILQ_HEAD(client_list, client);

struct queue {
    struct client_list clients; /* who was served longest ago is first */
    unsigned client_running_max;
    unsigned client_waiting_max;
    unsigned count; /* runs that wait, of all clients */
    size_t bytes;   /* their requests */
    /* How fast it moves: the smoothed time between two runs that left it, and the last one. */
    uint64_t turn_us;
    uint64_t moved_us;
};

void queue_init(struct queue *queue, unsigned client_running_max, unsigned client_waiting_max);

/* A run of the client with this number comes into being, and ends. -1 without memory. */
int queue_join(struct queue *queue, struct pool_run *run, uint64_t client, struct err *err);
void queue_leave(struct queue *queue, struct pool_run *run);

/* Whether its client may run another one now. */
bool queue_client_has_room(const struct queue *queue, const struct client *client);

/* Whether there is room for one more to wait; else ERR_BUSY, with when to try again. */
int queue_check(const struct queue *queue, const struct pool_run *run, struct err *err);

void queue_put(struct queue *queue, struct pool_run *run);

/* The one whose turn it is, of those whose environment is ready and whose client has room; or
 * NULL. It stays in the queue. */
struct pool_run *queue_next(const struct queue *queue);

/* Takes one out: because it has got its cell, or because it never will. */
void queue_take(struct queue *queue, struct pool_run *run);
void queue_served(struct queue *queue, struct pool_run *run);

#endif
