#include "pool/queue.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pool/state.h"

enum { TURN_SMOOTHING = 8 };

void queue_init(struct queue *queue, unsigned client_running_max, unsigned client_waiting_max)
{
    *queue = (struct queue){
        .client_running_max = client_running_max != 0 ? client_running_max : UINT_MAX,
        .client_waiting_max = client_waiting_max != 0 ? client_waiting_max : UINT_MAX,
    };
    TAILQ_INIT(&queue->clients);
}

/* ---- Clients --------------------------------------------------------------------------------- */

int queue_join(struct queue *queue, struct pool_run *run, uint64_t number, struct err *err)
{
    struct client *client;
    TAILQ_FOREACH(client, &queue->clients, link)
    {
        if (client->number == number) {
            break;
        }
    }
    if (client == NULL) {
        client = calloc(1, sizeof *client);
        if (client == NULL) {
            return err_set(err, ERR_MEMORY, "no memory for a client");
        }
        client->number = number;
        TAILQ_INIT(&client->waiting);
        TAILQ_INSERT_TAIL(&queue->clients, client, link);
    }
    client->run_count++;
    run->client = client;
    return 0;
}

void queue_leave(struct queue *queue, struct pool_run *run)
{
    struct client *client = run->client;
    run->client = NULL;
    if (client != NULL && --client->run_count == 0) {
        assert(client->running_count == 0 && client->waiting_count == 0);
        TAILQ_REMOVE(&queue->clients, client, link);
        free(client);
    }
}

bool queue_client_has_room(const struct queue *queue, const struct client *client)
{
    return client->number == POOL_CLIENT_OWN || client->running_count < queue->client_running_max;
}

/* ---- Busy ------------------------------------------------------------------------------------ */

static unsigned waiting_clients(const struct queue *queue)
{
    unsigned count = 0;
    const struct client *client;
    TAILQ_FOREACH(client, &queue->clients, link)
    {
        count += client->waiting_count > 0 ? 1 : 0;
    }
    return count;
}

/* When so many turns will be over: a queue that has stood still is thought to do so for as long
 * again, and then to move as it did. */
static uint64_t turns_ms(const struct queue *queue, uint64_t turns)
{
    uint64_t still_us = clock_monotonic_us() - queue->moved_us;
    uint64_t turn_us = queue->turn_us != 0 ? queue->turn_us : LIMIT_TURN_GUESS_US;
    uint64_t ms = (still_us + turns * turn_us) / 1000;
    return ms < LIMIT_RETRY_MS_MIN   ? LIMIT_RETRY_MS_MIN
           : ms > LIMIT_RETRY_MS_MAX ? LIMIT_RETRY_MS_MAX
                                     : ms;
}

int queue_check(const struct queue *queue, const struct pool_run *run, struct err *err)
{
    const struct client *client = run->client;
    if (client->number != POOL_CLIENT_OWN && client->waiting_count >= queue->client_waiting_max) {
        uint64_t turns = (uint64_t)client->waiting_count * waiting_clients(queue);
        return err_set_busy(err, turns_ms(queue, turns),
                            "busy: %u programs of this client wait already, which is the most",
                            client->waiting_count);
    }
    if (queue->count >= LIMIT_QUEUE_MAX) {
        return err_set_busy(err, turns_ms(queue, queue->count),
                            "busy: %u programs wait already, which is the most", queue->count);
    }
    if (queue->bytes + run->request_bytes > LIMIT_QUEUE_BYTES_MAX) {
        return err_set_busy(err, turns_ms(queue, queue->count),
                            "busy: the %u programs that wait have %zu bytes already, of %llu",
                            queue->count, queue->bytes, LIMIT_QUEUE_BYTES_MAX);
    }
    return 0;
}

/* ---- Turns ----------------------------------------------------------------------------------- */

void queue_put(struct queue *queue, struct pool_run *run)
{
    if (queue->count == 0) {
        queue->moved_us = clock_monotonic_us();
    }
    TAILQ_INSERT_TAIL(&run->client->waiting, run, link);
    run->is_queued = true;
    run->environment->queued_count++;
    run->client->waiting_count++;
    queue->count++;
    queue->bytes += run->request_bytes;
}

void queue_take(struct queue *queue, struct pool_run *run)
{
    assert(run->is_queued);
    TAILQ_REMOVE(&run->client->waiting, run, link);
    run->is_queued = false;
    run->environment->queued_count--;
    run->client->waiting_count--;
    queue->count--;
    queue->bytes -= run->request_bytes;
}

void queue_served(struct queue *queue, struct pool_run *run)
{
    struct client *client = run->client;
    queue_take(queue, run);
    TAILQ_REMOVE(&queue->clients, client, link);
    TAILQ_INSERT_TAIL(&queue->clients, client, link);
    if (queue->count > 0) {
        uint64_t now_us = clock_monotonic_us();
        uint64_t turn_us = now_us - queue->moved_us;
        queue->turn_us = queue->turn_us == 0
                             ? turn_us
                             : (queue->turn_us * (TURN_SMOOTHING - 1) + turn_us) / TURN_SMOOTHING;
        queue->moved_us = now_us;
    }
}

/* A session has one cell, once it has begun, and its runs come one after another. */
static bool is_ready(const struct pool_run *run)
{
    const struct pool_session *session = run->session;
    return session == NULL || session->cell == NULL
               ? run->environment->state == ENVIRONMENT_READY &&
                     (session == NULL || session_is_free(session))
               : session_is_free(session);
}

/* First come, first served; but whose environment boots, lets the others pass. */
static struct pool_run *first_ready(const struct client *client)
{
    struct pool_run *run;
    TAILQ_FOREACH(run, &client->waiting, link)
    {
        if (is_ready(run)) {
            return run;
        }
    }
    return NULL;
}

struct pool_run *queue_next(const struct queue *queue)
{
    struct pool_run *found = NULL;
    const struct client *client;
    TAILQ_FOREACH(client, &queue->clients, link)
    {
        bool is_before = found == NULL || client->running_count < found->client->running_count;
        struct pool_run *run =
            is_before && queue_client_has_room(queue, client) ? first_ready(client) : NULL;
        found = run != NULL ? run : found;
    }
    return found;
}
