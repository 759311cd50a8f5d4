/* Admission, the queue, zygotes one after another, and the end of it all. */
#include "pool/pool.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/args.h"
#include "pool/run.h"
#include "pool/state.h"

static void settle_soon(struct pool *pool);

/* ---- The queue ------------------------------------------------------------------------------- */

static void enqueue(struct pool *pool, struct pool_run *run)
{
    TAILQ_INSERT_TAIL(&pool->queue, run, link);
    run->is_queued = true;
    pool->queue_count++;
    pool->queue_bytes += run->request_bytes;
}

static void dequeue(struct pool *pool, struct pool_run *run)
{
    assert(run->is_queued);
    TAILQ_REMOVE(&pool->queue, run, link);
    run->is_queued = false;
    pool->queue_count--;
    pool->queue_bytes -= run->request_bytes;
}

/* Takes a run out of the queue that will never run; its `done` comes from the loop. */
static void end_queued(struct pool *pool, struct pool_run *run)
{
    dequeue(pool, run);
    TAILQ_INSERT_TAIL(&pool->ended, run, link);
    settle_soon(pool);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

static struct cell *oldest_spare(const struct pool *pool)
{
    struct cell *cell;
    TAILQ_FOREACH(cell, &pool->cells, link)
    {
        if (cell->state == CELL_SPARE && cell->zygote == pool->zygote) {
            return cell;
        }
    }
    return NULL;
}

/* Forks ahead of need, unless cells have lately died before they were used. */
static void refill(struct pool *pool)
{
    while (pool->state == POOL_READY && pool->spare_count < pool->spare_cells &&
           pool->spare_deaths < LIMIT_SPARE_DEATHS_MAX) {
        if (cell_new(pool, pool->zygote) == NULL) {
            return;
        }
    }
}

static bool has_room(const struct pool *pool)
{
    return pool->state == POOL_READY && pool->running_count < pool->cells_max;
}

/* A request may be on its way before its cell is forked: the socket keeps it. */
static void dispatch(struct pool *pool)
{
    struct pool_run *run;
    while (has_room(pool) && (run = TAILQ_FIRST(&pool->queue)) != NULL) {
        struct cell *cell = oldest_spare(pool);
        if (cell == NULL) {
            cell = cell_new(pool, pool->zygote);
        }
        if (cell == NULL) {
            run->refusal = "the system has no descriptors or no memory left for another cell";
            end_queued(pool, run);
            continue;
        }
        if (cell_give(cell, run)) {
            dequeue(pool, run);
        }
    }
    if (pool->spare_count == 0) {
        refill(pool);
    }
}

void pool_run_ended(struct pool *pool)
{
    dispatch(pool);
    refill(pool);
}

void pool_spare_died(struct pool *pool)
{
    pool->spare_deaths++;
    if (pool->spare_deaths == LIMIT_SPARE_DEATHS_MAX) {
        log_warning("spare sandbox processes die before they are used; none are made ahead now");
    }
    settle_soon(pool);
}

/* ---- Zygotes --------------------------------------------------------------------------------- */

static void fail(struct pool *pool, const char *why)
{
    pool->state = POOL_FAILED;
    (void)err_set(&pool->failure, ERR_SYSTEM, "the sandbox cannot start: %s", why);
    settle_soon(pool);
}

static void zygote_start(struct pool *pool);

static void on_backoff_over(uv_timer_t *timer)
{
    zygote_start(timer->data);
}

/* The first replacement comes at once; if that does not last, each next one waits twice as long. */
static uint64_t backoff_ms(unsigned deaths)
{
    if (deaths <= 1) {
        return 0;
    }
    uint64_t ms = LIMIT_ZYGOTE_BACKOFF_MS_MIN;
    for (unsigned i = 2; i < deaths && ms < LIMIT_ZYGOTE_BACKOFF_MS_MAX; i++) {
        ms *= 2;
    }
    return ms < LIMIT_ZYGOTE_BACKOFF_MS_MAX ? ms : LIMIT_ZYGOTE_BACKOFF_MS_MAX;
}

/* A zygote that says why it cannot start is believed, if there never was a better one. */
static void zygote_lost(struct pool *pool, bool was_ready, bool is_fatal, const char *why)
{
    pool->state = POOL_STARTING;
    pool->deaths++;
    pool->failures = was_ready ? 0 : pool->failures + 1;
    if (!was_ready &&
        ((is_fatal && !pool->info.ready) || pool->failures >= LIMIT_ZYGOTE_FAILURES_MAX)) {
        fail(pool, why);
        return;
    }
    log_warning("%s; another one is started", why);
    (void)uv_timer_start(&pool->backoff, on_backoff_over, backoff_ms(pool->deaths), 0);
}

static void zygote_start(struct pool *pool)
{
    struct err err;
    pool->zygote = zygote_new(pool, &err);
    if (pool->zygote == NULL) {
        zygote_lost(pool, false, false, err.text);
    }
}

void pool_zygote_ready(struct pool *pool)
{
    if (pool->state == POOL_CLOSING) {
        return;
    }
    pool->state = POOL_READY;
    pool->failures = 0;
    pool->spare_deaths = 0;
    pool->info.ready = true;
    dispatch(pool);
    refill(pool);
    settle_soon(pool);
}

void pool_zygote_ended(struct pool *pool, struct zygote *zygote)
{
    if (pool->zygote == zygote) {
        pool->zygote = NULL;
    }
    if (pool->state == POOL_CLOSING) {
        return;
    }
    if (zygote->is_ready &&
        clock_monotonic_us() - zygote->ready_us > LIMIT_ZYGOTE_STABLE_MS * 1000) {
        pool->deaths = 0;
    }
    zygote_lost(pool, zygote->is_ready, zygote->is_fatal, zygote->why);
}

/* ---- Settling -------------------------------------------------------------------------------- */

static void end_all_queued(struct pool *pool, bool is_cancelled, const char *refusal)
{
    struct pool_run *run;
    while ((run = TAILQ_FIRST(&pool->queue)) != NULL) {
        run->is_cancelled = is_cancelled;
        run->refusal = refusal;
        end_queued(pool, run);
    }
}

static void finish_ended(struct pool *pool)
{
    struct pool_run *run;
    while ((run = TAILQ_FIRST(&pool->ended)) != NULL) {
        TAILQ_REMOVE(&pool->ended, run, link);
        run_finish(run, &(struct run_end){0});
    }
}

/* Tells once how the start went. */
static void tell_ready(struct pool *pool)
{
    void (*on_ready)(void *, const struct err *) = pool->on_ready;
    if (on_ready != NULL && (pool->info.ready || pool->state == POOL_FAILED)) {
        pool->on_ready = NULL;
        on_ready(pool->on_ready_context, pool->info.ready ? NULL : &pool->failure);
    }
}

/* Everything is told to end; what is still running ends with its zygote. */
static void close_parts(struct pool *pool)
{
    struct cell *cell;
    TAILQ_FOREACH(cell, &pool->cells, link)
    {
        if (cell->state == CELL_SPARE) {
            cell_retire(cell);
        } else if (cell->state == CELL_RUNNING) {
            cell->run->is_cancelled = true;
        }
    }
    struct zygote *zygote;
    TAILQ_FOREACH(zygote, &pool->zygotes, link)
    {
        zygote_stop(zygote);
    }
    pool->is_settled = true;
}

/* What cannot be done inside a call of the user or a callback, done from the loop. */
static void on_soon(uv_timer_t *timer)
{
    struct pool *pool = timer->data;
    if (pool->state == POOL_CLOSING) {
        end_all_queued(pool, true, NULL);
        close_parts(pool);
    } else if (pool->state == POOL_FAILED) {
        end_all_queued(pool, false, pool->failure.text);
    }
    tell_ready(pool);
    finish_ended(pool);
    dispatch(pool);
    refill(pool);
    pool_part_freed(pool);
}

static void settle_soon(struct pool *pool)
{
    if (!uv_is_closing((uv_handle_t *)&pool->soon)) {
        (void)uv_timer_start(&pool->soon, on_soon, 0, 0);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void on_handle_closed(uv_handle_t *handle)
{
    struct pool *pool = handle->data;
    if (--pool->handles > 0) {
        return;
    }
    void (*on_closed)(void *) = pool->on_closed;
    void *context = pool->on_closed_context;
    args_free(pool->args);
    free(pool);
    on_closed(context);
}

void pool_part_freed(struct pool *pool)
{
    if (pool->is_settled && TAILQ_EMPTY(&pool->cells) && TAILQ_EMPTY(&pool->zygotes) &&
        TAILQ_EMPTY(&pool->ended) && !uv_is_closing((uv_handle_t *)&pool->soon)) {
        uv_close((uv_handle_t *)&pool->soon, on_handle_closed);
        uv_close((uv_handle_t *)&pool->backoff, on_handle_closed);
    }
}

static int config_check(const struct pool_config *config, struct err *err)
{
    if (config->cells_max < 1 || config->cells_max > LIMIT_CELLS_MAX) {
        return err_set(err, ERR_USAGE, "the number of cells is not from 1 to %u", LIMIT_CELLS_MAX);
    }
    if (config->spare_cells > LIMIT_SPARE_CELLS_MAX) {
        return err_set(err, ERR_USAGE, "the number of spare cells is above %u",
                       LIMIT_SPARE_CELLS_MAX);
    }
    if (config->memory_bytes_max < LIMIT_MEMORY_BYTES_MIN ||
        config->memory_bytes_max > LIMIT_MEMORY_BYTES_MAX) {
        return err_set(err, ERR_USAGE,
                       "the memory ceiling of %" PRIu64 " bytes is not from %llu to %llu",
                       config->memory_bytes_max, LIMIT_MEMORY_BYTES_MIN, LIMIT_MEMORY_BYTES_MAX);
    }
    return 0;
}

int pool_new(uv_loop_t *loop, const struct pool_config *config, struct pool **out, struct err *err)
{
    if (config_check(config, err) != 0) {
        return -1;
    }
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a pool");
    }
    if (args_new(config, &pool->args, err) != 0) {
        free(pool);
        return -1;
    }
    pool->loop = loop;
    pool->spare_cells = config->spare_cells;
    pool->cells_max = config->cells_max;
    pool->memory_bytes_max = config->memory_bytes_max;
    TAILQ_INIT(&pool->zygotes);
    TAILQ_INIT(&pool->cells);
    TAILQ_INIT(&pool->queue);
    TAILQ_INIT(&pool->ended);
    (void)uv_timer_init(loop, &pool->soon);
    (void)uv_timer_init(loop, &pool->backoff);
    pool->soon.data = pool->backoff.data = pool;
    pool->handles = 2;
    zygote_start(pool);
    *out = pool;
    return 0;
}

int pool_run(struct pool *pool, const struct run_request *request, const struct run_events *events,
             struct pool_run **out, struct err *err)
{
    struct pool_run *run;
    if (pool->state == POOL_CLOSING) {
        return err_set(err, ERR_GONE, "the pool is closing");
    }
    if (pool->state == POOL_FAILED) {
        *err = pool->failure;
        return -1;
    }
    if (run_new(pool, request, events, &run, err) != 0) {
        return -1;
    }
    bool has_to_wait = !has_room(pool) || pool->queue_count > 0;
    if (has_to_wait && (pool->queue_count >= LIMIT_QUEUE_MAX ||
                        pool->queue_bytes + run->request_bytes > LIMIT_QUEUE_BYTES_MAX)) {
        run_free(run);
        return err_set(err, ERR_LIMIT, "busy: %u programs run and %u wait; try again later",
                       pool->running_count, pool->queue_count);
    }
    *out = run;
    enqueue(pool, run);
    dispatch(pool);
    return 0;
}

void pool_run_cancel(struct pool_run *run)
{
    run->is_cancelled = true;
    if (run->cell != NULL) {
        cell_stop(run->cell);
    } else if (run->is_queued) {
        end_queued(run->pool, run);
    }
}

struct pool_info pool_info(const struct pool *pool)
{
    return pool->info;
}

void pool_on_ready(struct pool *pool, void (*ready)(void *context, const struct err *err),
                   void *context)
{
    pool->on_ready = ready;
    pool->on_ready_context = context;
    settle_soon(pool);
}

void pool_close(struct pool *pool, void (*closed)(void *context), void *context)
{
    assert(pool->state != POOL_CLOSING);
    pool->state = POOL_CLOSING;
    pool->on_closed = closed;
    pool->on_closed_context = context;
    (void)uv_timer_stop(&pool->backoff);
    settle_soon(pool);
}
