#include "pool/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/report.h"
#include "pool/run.h"
#include "pool/state.h"
#include "pool/transfer.h"

static void on_timer(uv_timer_t *timer);

/* ---- References ------------------------------------------------------------------------------ */

static void free_unused(struct pool_session *session)
{
    if (session->references == 0 && !session->is_timer_open) {
        free(session);
    }
}

void pool_session_ref(struct pool_session *session)
{
    session->references++;
}

void pool_session_unref(struct pool_session *session)
{
    assert(session->references > 0);
    session->references--;
    free_unused(session);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct pool_session *session = handle->data;
    struct pool *pool = session->pool;
    session->is_timer_open = false;
    pool->session_parts--;
    free_unused(session);
    pool_part_freed(pool);
}

/* ---- The cell -------------------------------------------------------------------------------- */

void session_attach(struct pool_session *session, struct cell *cell)
{
    session->cell = cell;
    session->environment = cell->environment;
    cell->session = session;
    cell->environment->session_count++;
    cell->zygote->session_count++;
}

/* The cell is on its own from here on; who calls sees to its end. */
static void detach(struct pool_session *session)
{
    struct cell *cell = session->cell;
    struct zygote *zygote = cell->zygote;
    cell->session = NULL;
    session->cell = NULL;
    session->environment = NULL;
    session->memory_bytes = 0;
    cell->environment->session_count--;
    zygote->session_count--;
    zygote_let_go(zygote);
}

bool session_is_free(const struct pool_session *session)
{
    const struct cell *cell = session->cell;
    return session->run == NULL && !session->is_moving &&
           (cell == NULL || (cell->state == CELL_RESTING && !cell->wants_interrupt &&
                             cell->interrupts_under_way == 0 && !cell->is_splitting));
}

struct cell *session_cell(const struct pool_session *session, struct environment *environment)
{
    return session->cell != NULL ? session->cell
                                 : cell_new_session(session->pool, environment->zygote);
}

/* The same for a state on its way. A cell that could not become the session's ends; the session is
 * as new then. */
static bool transfer_keeps_cell(struct pool_session *session, const struct transfer *transfer,
                                bool *is_over)
{
    const struct cell *cell = session->cell;
    const enum transfer_end end =
        cell->is_gone || cell->is_killed ? TRANSFER_BROKEN : transfer_end(transfer);
    const bool is_restore = transfer_is_restore(transfer);
    session->run = NULL;
    *is_over = end == TRANSFER_BROKEN && !is_restore;
    if (end == TRANSFER_DONE || (end == TRANSFER_REFUSED && !is_restore)) {
        session->has_state = true;
        return true;
    }
    detach(session);
    return false;
}

bool session_keeps_cell(struct pool_session *session, const struct pool_run *run,
                        const struct run_end *how, bool *is_over)
{
    const struct cell *cell = session->cell;
    if (run->transfer != NULL) {
        return transfer_keeps_cell(session, run->transfer, is_over);
    }
    struct end_facts end;
    const bool goes_on = how->end != NULL && outcome_end_read(*how->end, &end) == 0 &&
                         !cell->is_gone && !cell->is_killed;
    const enum result_kind kind =
        run->has_result ? outcome_result_kind(buf_span(&run->result), run->finds_needs)
                        : RESULT_INVALID;
    session->run = NULL;
    *is_over = false;
    if (goes_on && end.has_returned && kind == RESULT_NEED && !session->has_state) {
        detach(session); /* it is to be somewhere else */
        return false;
    }
    if (goes_on && (end.has_not_run || (end.has_returned && kind != RESULT_INVALID))) {
        session->has_state = session->has_state || (end.has_returned && kind == RESULT_RAN);
        session->memory_bytes = end.memory_bytes;
        return true;
    }
    detach(session);
    *is_over = true;
    return false;
}

/* ---- The end --------------------------------------------------------------------------------- */

static const char *end_text(enum pool_session_end end)
{
    static const char *const texts[] = {
        [SESSION_LOST] = "the session has ended: its process has",
        [SESSION_IDLE] = "the session has ended: it was not used for too long",
        [SESSION_EXPIRED] = "the session has ended: it has reached the age that one may have",
        [SESSION_DISPLACED] = "the session has ended: its memory was needed for other sessions",
        [SESSION_POOL_ENDS] = "the session has ended, because Vitrine ends",
    };
    return texts[end];
}

/* Nothing runs in it any more. */
static void finish(struct pool_session *session, enum pool_session_end end, const char *why)
{
    struct pool *pool = session->pool;
    struct cell *cell = session->cell;
    if (session->is_ended) {
        return;
    }
    assert(session->run == NULL);
    session->is_ended = true;
    TAILQ_REMOVE(&pool->sessions, session, link);
    pool->session_count--;
    if (cell != NULL) {
        detach(session);
        if (cell->state == CELL_RESTING || cell->state == CELL_UNBORN) {
            cell_retire(cell);
        }
    }
    pool_refuse_session(pool, session, end_text(end));
    uv_close((uv_handle_t *)&session->timer, on_timer_closed);
    if (!session->is_silent && session->events.ended != NULL) {
        session->events.ended(session->events.context, end, why != NULL ? why : end_text(end));
    }
    pool_session_unref(session); /* the pool's */
}

void session_lost(struct pool_session *session, const char *why)
{
    finish(session, session->is_closing ? session->end : SESSION_LOST,
           session->is_closing ? NULL : why);
}

/* Now, or when its run is over. */
static void end_when_idle(struct pool_session *session, enum pool_session_end end)
{
    if (session->run == NULL) {
        finish(session, end, NULL);
    } else if (!session->is_closing) {
        session->is_closing = true;
        session->end = end;
    }
}

void sessions_end(struct pool *pool, enum pool_session_end end)
{
    struct pool_session *session;
    struct pool_session *next;
    for (session = TAILQ_FIRST(&pool->sessions); session != NULL; session = next) {
        next = TAILQ_NEXT(session, link);
        end_when_idle(session, end);
    }
}

void pool_session_close(struct pool_session *session)
{
    session->is_silent = true;
    if (!session->is_ended) {
        pool_cancel_session(session);
        end_when_idle(session, SESSION_LOST);
    }
    pool_session_unref(session);
}

/* ---- Time and memory ------------------------------------------------------------------------- */

static uint64_t ms_left(uint64_t since_us, uint64_t ms)
{
    uint64_t gone_ms = (clock_monotonic_us() - since_us) / 1000;
    return gone_ms < ms ? ms - gone_ms : 0;
}

static void timer_set(struct pool_session *session)
{
    uint64_t life_ms = ms_left(session->opened_us, session->config.life_ms);
    uint64_t idle_ms = ms_left(session->used_us, session->config.idle_ms);
    uint64_t ms = session->run_count == 0 && idle_ms < life_ms ? idle_ms : life_ms;
    uv_update_time(session->pool->loop);
    (void)uv_timer_start(&session->timer, on_timer, ms + 1, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct pool_session *session = timer->data;
    if (ms_left(session->opened_us, session->config.life_ms) == 0) {
        end_when_idle(session, SESSION_EXPIRED);
    } else if (session->run_count == 0 && ms_left(session->used_us, session->config.idle_ms) == 0) {
        finish(session, SESSION_IDLE, NULL);
    } else {
        timer_set(session);
    }
}

static uint64_t memory_of_all(const struct pool *pool)
{
    uint64_t sum = 0;
    const struct pool_session *session;
    TAILQ_FOREACH(session, &pool->sessions, link)
    {
        sum += session->memory_bytes;
    }
    return sum;
}

/* The one that was not used for longest, but not the last one that is left. */
static struct pool_session *least_used(const struct pool *pool)
{
    struct pool_session *session;
    TAILQ_FOREACH(session, &pool->sessions, link)
    {
        if (session->cell != NULL && session->run_count == 0 && TAILQ_NEXT(session, link) != NULL) {
            return session;
        }
    }
    return NULL;
}

static void trim(struct pool *pool)
{
    struct pool_session *session;
    while (memory_of_all(pool) > pool->session_bytes_max && (session = least_used(pool)) != NULL) {
        finish(session, SESSION_DISPLACED, NULL);
    }
}

/* ---- Runs ------------------------------------------------------------------------------------ */

void session_run_joins(struct pool_session *session)
{
    session->run_count++;
    session->references++;
}

void session_run_leaves(struct pool_session *session)
{
    struct pool *pool = session->pool;
    session->run_count--;
    if (!session->is_ended) {
        session->used_us = clock_monotonic_us();
        TAILQ_REMOVE(&pool->sessions, session, link);
        TAILQ_INSERT_TAIL(&pool->sessions, session, link);
        timer_set(session);
    }
    pool_session_unref(session);
}

void session_look(struct pool_session *session)
{
    struct pool *pool = session->pool;
    if (!session->is_ended && session->is_closing && session->run == NULL) {
        finish(session, session->end, NULL);
    }
    trim(pool);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static unsigned count_of_client(const struct pool *pool, uint64_t client)
{
    unsigned count = 0;
    const struct pool_session *session;
    TAILQ_FOREACH(session, &pool->sessions, link)
    {
        count += session->config.client == client ? 1 : 0;
    }
    return count;
}

static int admit(const struct pool *pool, const struct pool_session_config *config, struct err *err)
{
    if (config->idle_ms > LIMIT_POOL_SESSION_MS_MAX ||
        config->life_ms > LIMIT_POOL_SESSION_MS_MAX) {
        return err_set(err, ERR_USAGE, "a session's lifetime is not above %llu ms",
                       LIMIT_POOL_SESSION_MS_MAX);
    }
    if (config->memory_bytes < LIMIT_MEMORY_BYTES_MIN ||
        config->memory_bytes > pool->memory_bytes_max) {
        return err_set(err, ERR_USAGE,
                       "the memory limit of %" PRIu64 " bytes is not from %llu to %" PRIu64,
                       config->memory_bytes, LIMIT_MEMORY_BYTES_MIN, pool->memory_bytes_max);
    }
    if (pool->session_count >= pool->sessions_max) {
        return err_set_busy(err, LIMIT_POOL_SESSION_RETRY_MS,
                            "busy: there are %u sessions, which is the most", pool->session_count);
    }
    unsigned own = count_of_client(pool, config->client);
    if (config->client != POOL_CLIENT_OWN && own >= pool->client_sessions_max) {
        return err_set_busy(err, LIMIT_POOL_SESSION_RETRY_MS,
                            "this client has %u sessions already, which is the most: close one",
                            own);
    }
    return 0;
}

static int session_new(struct pool *pool, const struct pool_session_config *config,
                       const struct pool_session_events *events, struct pool_session **out,
                       struct err *err)
{
    struct pool_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a session");
    }
    session->pool = pool;
    session->config = *config;
    session->events = *events;
    if (config->idle_ms == 0) {
        session->config.idle_ms = LIMIT_POOL_SESSION_IDLE_MS_DEFAULT;
    }
    if (config->life_ms == 0) {
        session->config.life_ms = LIMIT_POOL_SESSION_LIFE_MS_DEFAULT;
    }
    session->opened_us = session->used_us = clock_monotonic_us();
    session->references = 2; /* the caller's and the pool's */
    (void)uv_timer_init(pool->loop, &session->timer);
    session->timer.data = session;
    session->is_timer_open = true;
    TAILQ_INSERT_TAIL(&pool->sessions, session, link);
    pool->session_count++;
    pool->session_parts++;
    timer_set(session);
    *out = session;
    return 0;
}

int pool_session_open(struct pool *pool, const struct pool_session_config *config,
                      const struct pool_session_events *events, struct pool_session **out,
                      struct err *err)
{
    return pool_check(pool, err) != 0 || admit(pool, config, err) != 0
               ? -1
               : session_new(pool, config, events, out, err);
}

static int fork_check(const struct pool_session *session, struct err *err)
{
    if (session->is_ended || session->is_closing || session->is_silent) {
        return err_set(err, ERR_GONE, "the session has ended");
    }
    if (session->run_count > 0 || !session_is_free(session)) {
        return err_set_busy(err, LIMIT_RETRY_MS_MIN,
                            "busy: a program runs in the session, or it is being copied");
    }
    return 0;
}

int pool_session_fork(struct pool_session *session, const struct pool_session_config *config,
                      const struct pool_session_events *events, struct pool_session **out,
                      struct err *err)
{
    struct pool *pool = session->pool;
    struct pool_session_config wanted = *config;
    wanted.memory_bytes = session->config.memory_bytes;
    if (fork_check(session, err) != 0 || pool_check(pool, err) != 0 ||
        admit(pool, &wanted, err) != 0 || session_new(pool, &wanted, events, out, err) != 0) {
        return -1;
    }
    if (session->cell == NULL) {
        return 0;
    }
    struct cell *copy = cell_new_copy(session->cell);
    if (copy == NULL) {
        pool_session_close(*out);
        return err_set(err, ERR_SYSTEM, "no descriptors or no memory left for another session");
    }
    session_attach(*out, copy);
    (*out)->has_state = session->has_state;
    (*out)->memory_bytes = session->memory_bytes;
    cell_begin_copy(copy);
    return 0;
}

void session_born(struct pool_session *session)
{
    pool_settle_soon(session->pool); /* a run may wait for it */
    if (!session->is_silent && session->events.ready != NULL) {
        session->events.ready(session->events.context);
    }
}

int session_open_beside(const struct pool_session *session,
                        const struct pool_session_events *events, struct pool_session **out,
                        struct err *err)
{
    return pool_check(session->pool, err) != 0
               ? -1
               : session_new(session->pool, &session->config, events, out, err);
}

void session_take_cell(struct pool_session *session, struct pool_session *other)
{
    struct cell *cell = other->cell;
    struct cell *old = session->cell;
    assert(cell->state == CELL_RESTING && session->run == NULL);
    if (old != NULL) {
        const uint64_t memory_bytes = session->memory_bytes;
        detach(session);
        cell_retire(old);
        session->memory_bytes = memory_bytes;
    }
    other->cell = NULL;
    other->environment = NULL;
    cell->session = session;
    session->cell = cell;
    session->environment = cell->environment;
}

bool pool_session_has_ended(const struct pool_session *session)
{
    return session->is_ended;
}

bool pool_session_has_state(const struct pool_session *session)
{
    return session->has_state;
}

const char *pool_session_environment(const struct pool_session *session)
{
    return session->environment != NULL ? session->environment->id : NULL;
}

void pool_session_set_events(struct pool_session *session, const struct pool_session_events *events)
{
    session->events = *events;
}
