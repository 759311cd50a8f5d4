/* Environments: one zygote after another, spare cells, and who is let go when memory is short. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "pool/args.h"
#include "pool/measure.h"
#include "pool/state.h"

static void on_timer(uv_timer_t *timer);

/* ---- Life ------------------------------------------------------------------------------------ */

static void on_timer_closed(uv_handle_t *handle)
{
    struct environment *environment = handle->data;
    environment->is_closed = true;
    environment_part_freed(environment);
}

static struct environment *new_listed(struct pool *pool)
{
    struct environment *environment = calloc(1, sizeof *environment);
    if (environment == NULL) {
        return NULL;
    }
    environment->pool = pool;
    (void)uv_timer_init(pool->loop, &environment->timer);
    environment->timer.data = environment;
    environment->is_listed = true;
    TAILQ_INSERT_TAIL(&pool->environments, environment, link);
    pool->environment_parts++;
    return environment;
}

struct environment *environment_new_base(struct pool *pool)
{
    struct environment *base = new_listed(pool);
    if (base != NULL) {
        base->is_base = true;
        snprintf(base->id, sizeof base->id, "base");
    }
    return base;
}

/* Takes its zygotes from it. Cells that run go on until the zygote ends them. */
static void zygotes_drop(struct environment *environment)
{
    struct cell *cell;
    struct zygote *zygote;
    TAILQ_FOREACH(cell, &environment->pool->cells, link)
    {
        if (cell->environment == environment && cell->state == CELL_SPARE) {
            cell_retire(cell);
        }
    }
    TAILQ_FOREACH(zygote, &environment->pool->zygotes, link)
    {
        if (zygote->environment == environment) {
            zygote_stop(zygote);
        }
    }
    environment->zygote = environment->next = NULL;
    (void)uv_timer_stop(&environment->timer);
    environment->state = ENVIRONMENT_IDLE;
    environment->memory_bytes = 0;
    environment->deaths = 0;
}

void environment_close(struct environment *environment)
{
    struct pool *pool = environment->pool;
    zygotes_drop(environment);
    if (environment->is_listed) {
        environment->is_listed = false;
        TAILQ_REMOVE(&pool->environments, environment, link);
        pool->environment_count -= environment->is_base ? 0 : 1;
        uv_close((uv_handle_t *)&environment->timer, on_timer_closed);
    }
}

void environment_part_freed(struct environment *environment)
{
    struct pool *pool = environment->pool;
    if (environment->is_closed && environment->zygote_count == 0 && environment->run_count == 0 &&
        environment->session_count == 0) {
        free(environment->dir);
        free(environment);
        pool->environment_parts--;
    }
    pool_part_freed(pool);
}

/* ---- Zygotes --------------------------------------------------------------------------------- */

int environment_spawn(struct environment *environment, bool is_fresh, struct zygote **out,
                      struct err *err)
{
    struct pool *pool = environment->pool;
    const struct pool_patience *patience = &pool->patience;
    const struct args_zygote wanted = {
        .dir = environment->dir,
        .ahead = environment->is_bare ? 0
                                      : (pool->is_warm ? ARGS_AHEAD_IMPORTS : 0u) |
                                            (pool->is_shared ? 0u : ARGS_AHEAD_SNAPSHOT),
        .is_fresh = is_fresh,
    };
    char **args;
    if (args_new_zygote(pool->args, &wanted, &args, &environment->has_preload, err) != 0) {
        return -1;
    }
    uint64_t boot_ms_max = environment->has_preload ? patience->preload_ms : patience->boot_ms;
    *out = zygote_new(environment, args, boot_ms_max, err);
    args_free(args);
    if (*out == NULL) {
        environment->has_preload = false; /* which is not to blame */
        return -1;
    }
    return 0;
}

/* Starts one now. */
static int start(struct environment *environment, struct err *err)
{
    if (environment_spawn(environment, false, &environment->zygote, err) != 0) {
        return -1;
    }
    environment->state = ENVIRONMENT_STARTING;
    return 0;
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

static void start_later(struct environment *environment)
{
    environment->state = ENVIRONMENT_STARTING;
    (void)uv_timer_start(&environment->timer, on_timer, backoff_ms(environment->deaths), 0);
}

/* The list has the base, then the others, those used last first. */
static void touch(struct environment *environment)
{
    struct pool *pool = environment->pool;
    environment->used_us = clock_monotonic_us();
    if (!environment->is_base) {
        TAILQ_REMOVE(&pool->environments, environment, link);
        TAILQ_INSERT_AFTER(&pool->environments, pool->base, environment, link);
    }
}

int environment_want(struct environment *environment, struct err *err)
{
    touch(environment);
    if (environment->state != ENVIRONMENT_IDLE) {
        return 0;
    }
    int result = environment->is_base ? 0 : args_check_environment(environment->dir, err);
    if (result == 0 && backoff_ms(environment->deaths) > 0) {
        start_later(environment);
    } else if (result == 0) {
        result = start(environment, err);
    }
    return result == 0 ? 0 : err_prefix(err, "the environment %s cannot start", environment->id);
}

static void fail(struct environment *environment, const char *why)
{
    environment->state = ENVIRONMENT_IDLE;
    environment->failures = 0;
    if (environment->is_base) {
        (void)err_set(&environment->failure, ERR_SYSTEM, "the sandbox cannot start: %s", why);
    } else {
        (void)err_set(&environment->failure, ERR_SYSTEM, "the environment %s cannot start: %s",
                      environment->id, why);
    }
    pool_environment_failed(environment);
}

/* A zygote that says why it cannot start is believed, if there never was a better one. */
static void lost(struct environment *environment, bool was_ready, bool is_fatal, const char *why)
{
    environment->deaths++;
    environment->failures = was_ready ? 0 : environment->failures + 1;
    if (!was_ready && environment->has_preload) {
        log_warning("environment %s: %s; nothing is imported ahead in it from now on",
                    environment->id, why);
        environment->is_bare = true;
        environment->deaths = environment->failures = 0;
        start_later(environment);
    } else if (!was_ready && ((is_fatal && !environment->was_ready) ||
                              environment->failures >= LIMIT_ZYGOTE_FAILURES_MAX)) {
        fail(environment, why);
    } else if (environment->is_base || environment->queued_count > 0) {
        log_warning("%s; another one is started", why);
        start_later(environment);
    } else {
        log_warning("environment %s: %s", environment->id, why);
        environment->state = ENVIRONMENT_IDLE;
    }
}

void environment_start(struct environment *environment)
{
    struct err err;
    if (start(environment, &err) != 0) {
        lost(environment, false, err.code == ERR_MISSING, err.text);
    }
}

void environment_zygote_ended(struct environment *environment, struct zygote *zygote)
{
    if (environment->next == zygote) {
        renewal_failed(environment, zygote);
        return;
    }
    if (environment->zygote != zygote) {
        return; /* it was let go */
    }
    environment->zygote = NULL;
    environment->memory_bytes = 0;
    (void)uv_timer_stop(&environment->timer);
    if (environment->pool->state == POOL_CLOSING) {
        return;
    }
    if (zygote->is_ready &&
        clock_monotonic_us() - zygote->ready_us > LIMIT_ZYGOTE_STABLE_MS * 1000) {
        environment->deaths = 0;
    }
    if (environment->next != NULL) {
        log_warning("%s; another one is about to take over", zygote->why);
        environment->deaths++;
        environment->state = ENVIRONMENT_STARTING;
        environment->zygote = environment->next;
        environment->next = NULL;
        return;
    }
    lost(environment, zygote->is_ready, zygote->is_fatal, zygote->why);
}

/* ---- Spare cells ----------------------------------------------------------------------------- */

struct cell *environment_spare(const struct environment *environment)
{
    struct cell *cell;
    TAILQ_FOREACH(cell, &environment->pool->cells, link)
    {
        if (cell->state == CELL_SPARE && !cell->stays && cell->environment == environment &&
            cell->zygote == environment->zygote) {
            return cell;
        }
    }
    return NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct environment *environment = timer->data;
    if (environment->state == ENVIRONMENT_STARTING) {
        environment_start(environment);
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* How much all have that can be let go, in principle. */
static uint64_t memory_of_all(const struct pool *pool)
{
    uint64_t sum = 0;
    const struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        sum += environment->is_base ? 0 : environment->memory_bytes;
    }
    return sum;
}

/* A zygote does not grow any more when it is ready, so a sum within the budget stays so. */
static void memory_measure(struct pool *pool)
{
    struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        if (environment->state == ENVIRONMENT_READY) {
            environment->memory_bytes = measure_zygote(environment->zygote);
        }
    }
}

/* The one that nobody has used for longest; with a zygote that is ready if `holds_memory`. */
static struct environment *least_used(const struct pool *pool, bool holds_memory)
{
    struct environment *environment;
    struct environment *found = NULL;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        bool may_go = !environment->is_base && environment->run_count == 0 &&
                      environment->session_count == 0 &&
                      (!holds_memory || environment->memory_bytes > 0);
        if (may_go && (found == NULL || environment->used_us < found->used_us)) {
            found = environment;
        }
    }
    return found;
}

void environments_trim(struct pool *pool)
{
    if (memory_of_all(pool) <= pool->environment_bytes_max) {
        return;
    }
    memory_measure(pool);
    struct environment *environment;
    while (memory_of_all(pool) > pool->environment_bytes_max &&
           (environment = least_used(pool, true)) != NULL) {
        log_debug("environment %s is let go: memory is for others", environment->id);
        zygotes_drop(environment);
    }
}

void environment_zygote_ready(struct environment *environment, struct zygote *zygote)
{
    struct pool *pool = environment->pool;
    if (pool->state == POOL_CLOSING) {
        return;
    }
    if (environment->next == zygote) {
        renewal_ready(environment);
    }
    environment->state = ENVIRONMENT_READY;
    environment->was_ready = true;
    environment->failures = 0;
    environment->spare_deaths = 0;
    environment->cell_bytes = 0;
    if (!environment->is_base) {
        environment->memory_bytes = measure_zygote(environment->zygote);
    }
    pool_environment_ready(environment);
}

/* ---- Finding --------------------------------------------------------------------------------- */

static bool is_id(const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; i < len; i++) {
        bool is_letter = (id[i] >= 'a' && id[i] <= 'z') || (id[i] >= 'A' && id[i] <= 'Z');
        if (!is_letter && !(id[i] >= '0' && id[i] <= '9') && id[i] != '-') {
            return false;
        }
    }
    return len > 0 && len <= ENVIRONMENT_ID_BYTES_MAX;
}

static struct environment *find(const struct pool *pool, const struct pool_environment *wanted)
{
    struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        if (!environment->is_base && strcmp(environment->id, wanted->id) == 0 &&
            strcmp(environment->dir, wanted->dir) == 0) {
            return environment;
        }
    }
    return NULL;
}

static struct environment *make(struct pool *pool, const struct pool_environment *wanted,
                                struct err *err)
{
    struct environment *oldest = least_used(pool, false);
    if (pool->environment_count >= LIMIT_ENVIRONMENT_COUNT_MAX && oldest == NULL) {
        (void)err_set_busy(err, LIMIT_ENVIRONMENT_RETRY_MS,
                           "busy: %u environments are in use, which is the most",
                           pool->environment_count);
        return NULL;
    }
    char *dir = strdup(wanted->dir);
    struct environment *environment = dir != NULL ? new_listed(pool) : NULL;
    if (environment == NULL) {
        free(dir);
        (void)err_set(err, ERR_MEMORY, "no memory for an environment");
        return NULL;
    }
    environment->dir = dir;
    snprintf(environment->id, sizeof environment->id, "%s", wanted->id);
    pool->environment_count++;
    if (pool->environment_count > LIMIT_ENVIRONMENT_COUNT_MAX) {
        environment_close(oldest);
    }
    return environment;
}

struct environment *environment_get(struct pool *pool, const struct pool_environment *wanted,
                                    struct err *err)
{
    if (wanted == NULL) {
        return pool->base;
    }
    if (!is_id(wanted->id)) {
        (void)err_set(err, ERR_USAGE, "'%.80s' is no name of an environment", wanted->id);
        return NULL;
    }
    struct environment *environment = find(pool, wanted);
    return environment != NULL ? environment : make(pool, wanted, err);
}
