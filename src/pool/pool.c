/* Admission, and the end of it all. */
#include "pool/pool.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/args.h"
#include "pool/run.h"
#include "pool/state.h"

/* ---- The queue ------------------------------------------------------------------------------- */

/* Takes a run out of the queue that will never run; its `done` comes from the loop. */
static void end_queued(struct pool *pool, struct pool_run *run)
{
    queue_take(&pool->queue, run);
    TAILQ_INSERT_TAIL(&pool->ended, run, link);
    pool_settle_soon(pool);
}

static bool has_cell(const struct pool_run *run)
{
    return run->session != NULL && run->session->cell != NULL;
}

/* Whether a run is in need of the environment, which cannot start; a session that has a cell is
 * not. */
static bool needs(const struct pool_run *run, const struct environment *environment)
{
    return run->environment == environment && !has_cell(run);
}

/* Those of an environment, or all when it is NULL. */
static void end_all_queued(struct pool *pool, const struct environment *environment,
                           const char *refusal)
{
    struct client *client;
    TAILQ_FOREACH(client, &pool->queue.clients, link)
    {
        struct pool_run *run;
        struct pool_run *next;
        for (run = TAILQ_FIRST(&client->waiting); run != NULL; run = next) {
            next = TAILQ_NEXT(run, link);
            if (environment == NULL || needs(run, environment)) {
                run->refusal = refusal;
                run->is_cancelled = refusal == NULL;
                end_queued(pool, run);
            }
        }
    }
}

static void end_session_queued(struct pool *pool, const struct pool_session *session,
                               const char *refusal)
{
    struct client *client;
    TAILQ_FOREACH(client, &pool->queue.clients, link)
    {
        struct pool_run *run;
        struct pool_run *next;
        for (run = TAILQ_FIRST(&client->waiting); run != NULL; run = next) {
            next = TAILQ_NEXT(run, link);
            if (run->session == session) {
                run->refusal = refusal;
                run->is_cancelled = refusal == NULL;
                end_queued(pool, run);
            }
        }
    }
}

void pool_refuse_session(struct pool *pool, const struct pool_session *session, const char *refusal)
{
    end_session_queued(pool, session, refusal);
}

void pool_cancel_session(struct pool_session *session)
{
    end_session_queued(session->pool, session, NULL);
    if (session->run != NULL) {
        pool_run_cancel(session->run);
    }
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* A process whose run is over takes a processor until it ends, and one that was broken into need
 * not end at once: so there are not many of these either. */
static bool has_room(const struct pool *pool)
{
    unsigned lingering_max =
        pool->cells_max > LIMIT_LINGERING_CELLS ? pool->cells_max : LIMIT_LINGERING_CELLS;
    return pool->state == POOL_OPEN && !pool->is_held && pool->running_count < pool->cells_max &&
           pool->lingering_count < lingering_max;
}

/* Gives a run its cell. A request may be on its way before its cell is forked: the socket keeps it.
 */
static void dispatch_run(struct pool *pool, struct pool_run *run)
{
    struct environment *environment = run->environment;
    while (run->is_queued) {
        struct cell *cell = run->session != NULL ? session_cell(run->session, environment)
                                                 : environment_spare(environment);
        if (cell == NULL && run->session == NULL) {
            cell = cell_new(pool, environment->zygote);
        }
        if (cell == NULL) {
            run->refusal = "the system has no descriptors or no memory left for another cell";
            end_queued(pool, run);
        } else if (cell_give(cell, run)) {
            queue_served(&pool->queue, run);
        }
    }
}

static void dispatch(struct pool *pool)
{
    struct pool_run *run;
    while (has_room(pool) && (run = queue_next(&pool->queue)) != NULL) {
        dispatch_run(pool, run);
    }
    spares_refill(pool, true);
}

void pool_hold(struct pool *pool, bool is_held)
{
    const bool goes_on = pool->is_held && !is_held;
    pool->is_held = is_held;
    if (goes_on) {
        dispatch(pool);
    }
}

void pool_run_ended(struct pool *pool)
{
    dispatch(pool);
    spares_refill(pool, false);
    environments_trim(pool);
}

void pool_environment_ready(struct environment *environment)
{
    struct pool *pool = environment->pool;
    dispatch(pool);
    spares_refill(pool, false);
    environments_trim(pool);
    pool_settle_soon(pool);
}

void pool_environment_failed(struct environment *environment)
{
    struct pool *pool = environment->pool;
    if (environment->is_base && pool->state == POOL_OPEN) {
        pool->state = POOL_FAILED;
        pool->failure = environment->failure;
    }
    end_all_queued(pool, environment, environment->failure.text);
    pool_settle_soon(pool);
}

/* ---- Settling -------------------------------------------------------------------------------- */

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

static void tell_drained(struct pool *pool)
{
    void (*on_drained)(void *) = pool->on_drained;
    if (on_drained != NULL && pool->run_count == 0 && pool->state != POOL_CLOSING) {
        pool->on_drained = NULL;
        on_drained(pool->on_drained_context);
    }
}

/* Everything is told to end; what is still running ends with its zygote. */
static void close_parts(struct pool *pool)
{
    struct cell *cell;
    TAILQ_FOREACH(cell, &pool->cells, link)
    {
        if (cell->state == CELL_RUNNING) {
            cell->run->is_cancelled = true;
        }
    }
    sessions_end(pool, SESSION_POOL_ENDS);
    struct environment *environment;
    while ((environment = TAILQ_FIRST(&pool->environments)) != NULL) {
        environment_close(environment);
    }
    pool->is_settled = true;
}

/* What has no hurry, and what waits for its time. */
static void on_tick(uv_timer_t *timer)
{
    struct pool *pool = timer->data;
    bool is_over = !renewals_look(pool);
    is_over = !spares_trim(pool) && is_over;
    if (is_over) {
        (void)uv_timer_stop(timer);
    }
}

void pool_tick_soon(struct pool *pool)
{
    if (!uv_is_active((uv_handle_t *)&pool->tick) && !uv_is_closing((uv_handle_t *)&pool->tick)) {
        (void)uv_timer_start(&pool->tick, on_tick, pool->patience.tick_ms, pool->patience.tick_ms);
    }
}

/* What cannot be done inside a call of the user or a callback, done from the loop. */
static void on_soon(uv_timer_t *timer)
{
    struct pool *pool = timer->data;
    if (pool->state == POOL_CLOSING) {
        end_all_queued(pool, NULL, NULL);
        close_parts(pool);
    } else if (pool->state == POOL_FAILED) {
        end_all_queued(pool, NULL, pool->failure.text);
    } else if (pool->is_draining) {
        end_all_queued(pool, NULL, POOL_DRAINING_TEXT);
        sessions_end(pool, SESSION_POOL_ENDS);
    }
    tell_ready(pool);
    finish_ended(pool);
    tell_drained(pool);
    dispatch(pool);
    spares_refill(pool, false);
    if (renewals_look(pool)) {
        pool_tick_soon(pool);
    }
    pool_part_freed(pool);
}

void pool_settle_soon(struct pool *pool)
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
    cgroup_end(pool->cgroup);
    free(pool);
    on_closed(context);
}

void pool_part_freed(struct pool *pool)
{
    if (pool->is_settled && TAILQ_EMPTY(&pool->cells) && TAILQ_EMPTY(&pool->zygotes) &&
        TAILQ_EMPTY(&pool->ended) && pool->environment_parts == 0 && pool->session_parts == 0 &&
        !uv_is_closing((uv_handle_t *)&pool->soon)) {
        uv_close((uv_handle_t *)&pool->soon, on_handle_closed);
        uv_close((uv_handle_t *)&pool->tick, on_handle_closed);
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

static int cgroup_prepare(struct pool *pool, const struct pool_config *config, struct err *err)
{
    struct pool_cgroup *info = &pool->info.cgroup;
    if (cgroup_make(config->cgroup, config->cgroup_memory_bytes, &pool->cgroup, err) != 0) {
        return -1;
    }
    info->limits = cgroup_limits(pool->cgroup);
    snprintf(info->where, sizeof info->where, "%s", cgroup_where(pool->cgroup));
    snprintf(info->reason, sizeof info->reason, "%s", cgroup_reason(pool->cgroup));
    return 0;
}

/* One client of several may not take all there is, unless that was wanted. */
static void clients_limit(struct pool *pool, const struct pool_config *config)
{
    unsigned cells = config->client_cells_max;
    unsigned waiting = config->client_queue_max;
    if (config->is_shared) {
        cells = cells != 0 ? cells : (config->cells_max + 1) / 2;
        waiting = waiting != 0 ? waiting : LIMIT_CLIENT_QUEUE_SHARED;
    }
    queue_init(&pool->queue, cells, waiting);
    pool->sessions_max =
        config->sessions_max != 0 ? config->sessions_max : LIMIT_POOL_SESSIONS_DEFAULT;
    pool->client_sessions_max = config->client_sessions_max != 0
                                    ? config->client_sessions_max
                                    : LIMIT_POOL_CLIENT_SESSIONS_DEFAULT;
    pool->session_bytes_max = config->session_memory_bytes != 0 ? config->session_memory_bytes
                                                                : LIMIT_POOL_SESSION_MEMORY_DEFAULT;
}

static void mounts_note(struct pool *pool, const struct pool_config *config)
{
    for (unsigned i = 0; i < config->mount_count; i++) {
        const struct pool_mount *mount = &config->mounts[i];
        pool->mount_fds[pool->mount_count++] = mount->fd;
        pool->is_work_fixed |=
            mount->mode == POOL_MOUNT_RO && strcmp(mount->path, POOL_WORK_DIR) == 0;
    }
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
    if ((config->cgroup != NULL && cgroup_prepare(pool, config, err) != 0) ||
        args_new(config, pool->cgroup, &pool->args, err) != 0) {
        cgroup_end(pool->cgroup);
        free(pool);
        return -1;
    }
    pool->loop = loop;
    mounts_note(pool, config);
    pool->spare_cells = config->spare_cells;
    pool->cells_max = config->cells_max;
    pool->is_warm = config->warm;
    pool->is_shared = config->is_shared;
    pool->require_jail = config->require_jail;
    pool->memory_bytes_max = config->memory_bytes_max;
    pool->spare_bytes_max = config->spare_bytes_max;
    pool->processors = uv_available_parallelism();
    pool->zygote_forks_max =
        config->zygote_forks_max != 0 ? config->zygote_forks_max : LIMIT_ZYGOTE_FORKS_DEFAULT;
    pool->environment_bytes_max = config->environment_memory_bytes != 0
                                      ? config->environment_memory_bytes
                                      : LIMIT_ENVIRONMENT_MEMORY_DEFAULT;
    pool->patience = (struct pool_patience){
        .boot_ms = LIMIT_ZYGOTE_BOOT_MS,
        .preload_ms = LIMIT_ENVIRONMENT_PRELOAD_MS,
        .spare_keep_ms = LIMIT_ENVIRONMENT_SPARE_MS,
        .renewal_ms = LIMIT_ZYGOTE_RENEWAL_MS_MIN,
        .tick_ms = LIMIT_POOL_TICK_MS,
    };
    TAILQ_INIT(&pool->environments);
    TAILQ_INIT(&pool->zygotes);
    TAILQ_INIT(&pool->cells);
    TAILQ_INIT(&pool->sessions);
    clients_limit(pool, config);
    TAILQ_INIT(&pool->ended);
    pool->base = environment_new_base(pool);
    if (pool->base == NULL) {
        args_free(pool->args);
        cgroup_end(pool->cgroup);
        free(pool);
        return err_set(err, ERR_MEMORY, "no memory for a pool");
    }
    (void)uv_timer_init(loop, &pool->soon);
    (void)uv_timer_init(loop, &pool->tick);
    pool->soon.data = pool->tick.data = pool;
    pool->handles = 2;
    if (!config->is_lazy) {
        environment_start(pool->base);
    }
    *out = pool;
    return 0;
}

int pool_check(const struct pool *pool, struct err *err)
{
    if (pool->state == POOL_CLOSING) {
        return err_set(err, ERR_GONE, "the pool is closing");
    }
    if (pool->is_draining) {
        return err_set(err, ERR_GONE, "%s", POOL_DRAINING_TEXT);
    }
    if (pool->state == POOL_FAILED) {
        *err = pool->failure;
        return -1;
    }
    return 0;
}

/* Whether it may start at once, or wait. */
static int admit(const struct pool *pool, const struct pool_run *run, struct err *err)
{
    bool has_to_wait = !has_room(pool) ||
                       (run->environment->state != ENVIRONMENT_READY && !has_cell(run)) ||
                       !queue_client_has_room(&pool->queue, run->client);
    return has_to_wait ? queue_check(&pool->queue, run, err) : 0;
}

/* What a run has of its session. */
static int session_apply(struct run_request *request, struct err *err)
{
    const struct pool_session *session = request->session;
    if (session == NULL) {
        return 0;
    }
    if (session->is_ended || session->is_closing || session->is_silent) {
        return err_set(err, ERR_GONE, "the session has ended");
    }
    if (session->run_count >= LIMIT_POOL_SESSION_QUEUE_MAX) {
        return err_set_busy(err, LIMIT_POOL_SESSION_RETRY_MS,
                            "busy: %u programs of this session wait already, which is the most",
                            session->run_count);
    }
    request->client = session->config.client;
    request->limits.memory_bytes = session->config.memory_bytes;
    if (request->limits.cancel_grace_ms < request->limits.grace_ms) {
        request->limits.cancel_grace_ms =
            request->limits.grace_ms; /* its state is worth the wait */
    }
    return 0;
}

/* Where it runs: -1 when that cannot be. */
static int environment_choose(struct pool_run *run, const struct run_request *request,
                              struct err *err)
{
    if (has_cell(run)) {
        run->environment = run->session->environment;
        return 0;
    }
    run->environment = environment_get(run->pool, request->environment, err);
    return run->environment == NULL ? -1 : 0;
}

/* Starts or queues it; frees it when it cannot be taken. */
static int start(struct pool *pool, struct pool_run *run, const struct run_request *request,
                 struct err *err)
{
    if (environment_choose(run, request, err) != 0 ||
        queue_join(&pool->queue, run, request->client, err) != 0 || admit(pool, run, err) != 0 ||
        (!has_cell(run) && environment_want(run->environment, err) != 0)) {
        run_free(run);
        return -1;
    }
    run->environment->run_count++;
    pool->run_count++;
    spares_demand_note(&run->environment->demand, run->queued_us, run->environment->run_count);
    queue_put(&pool->queue, run);
    dispatch(pool);
    return 0;
}

int pool_run(struct pool *pool, const struct run_request *asked, const struct run_events *events,
             struct pool_run **out, struct err *err)
{
    struct run_request request = *asked;
    assert(!request.may_fetch || events->fetch != NULL);
    if (pool->is_work_fixed && request.file_count > 0) {
        return err_set(err, ERR_USAGE,
                       "files cannot be given: programs start in " POOL_WORK_DIR
                       ", which is mounted to be read alone (see --mount)");
    }
    return pool_check(pool, err) != 0 || session_apply(&request, err) != 0 ||
                   run_new(pool, &request, events, out, err) != 0
               ? -1
               : start(pool, *out, &request, err);
}

int pool_run_transfer(struct pool *pool, const struct run_request *asked,
                      const struct run_events *events, struct transfer *transfer, struct span frame,
                      struct err *err)
{
    struct pool_run *run;
    struct run_request request = *asked;
    if (pool_check(pool, err) != 0 || session_apply(&request, err) != 0) {
        free(transfer);
        return -1;
    }
    return run_new_transfer(pool, &request, events, transfer, frame, &run, err) != 0
               ? -1
               : start(pool, run, &request, err);
}

int pool_warm(struct pool *pool, const struct pool_environment *wanted, struct err *err)
{
    if (pool_check(pool, err) != 0) {
        return -1;
    }
    struct environment *environment = environment_get(pool, wanted, err);
    return environment == NULL ? -1 : environment_want(environment, err);
}

void pool_run_cancel(struct pool_run *run)
{
    run->is_cancelled = true;
    if (run->cell != NULL) {
        cell_cancel(run->cell);
    } else if (run->is_queued) {
        end_queued(run->pool, run);
    }
}

struct pool_info pool_info(const struct pool *pool)
{
    return pool->info;
}

struct pool_counts pool_counts(const struct pool *pool)
{
    struct pool_counts counts = {.running = pool->running_count,
                                 .queued = pool->queue.count,
                                 .spares = pool->spare_count,
                                 .environments = pool->environment_count};
    const struct zygote *zygote;
    TAILQ_FOREACH(zygote, &pool->zygotes, link)
    {
        counts.zygotes++;
    }
    return counts;
}

void pool_on_ready(struct pool *pool, void (*ready)(void *context, const struct err *err),
                   void *context)
{
    pool->on_ready = ready;
    pool->on_ready_context = context;
    pool_settle_soon(pool);
}

void pool_drain(struct pool *pool, void (*drained)(void *context), void *context)
{
    pool->is_draining = true;
    pool->on_drained = drained;
    pool->on_drained_context = context;
    pool_settle_soon(pool);
}

void pool_close(struct pool *pool, void (*closed)(void *context), void *context)
{
    assert(pool->state != POOL_CLOSING);
    pool->state = POOL_CLOSING;
    pool->on_closed = closed;
    pool->on_closed_context = context;
    pool_settle_soon(pool);
}
