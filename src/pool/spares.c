#include "pool/spares.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/measure.h"
#include "pool/state.h"

/* ---- The policy ------------------------------------------------------------------------------ */

unsigned spares_demand_peak(const struct spares_demand *demand, uint64_t now_us)
{
    uint64_t halvings = (now_us - demand->peak_us) / (LIMIT_SPARE_HALF_LIFE_MS * 1000);
    return halvings < 32 ? demand->peak >> halvings : 0;
}

void spares_demand_note(struct spares_demand *demand, uint64_t now_us, unsigned under_way)
{
    if (now_us - demand->window_us > LIMIT_SPARE_WINDOW_MS * 1000) {
        demand->window_us = now_us;
        demand->starts = 0;
    }
    demand->starts++;
    unsigned at_once = demand->starts < under_way ? demand->starts : under_way;
    if (at_once >= spares_demand_peak(demand, now_us)) {
        demand->peak = at_once;
        demand->peak_us = now_us;
    }
}

unsigned spares_wanted(unsigned floor, unsigned peak, uint64_t bytes_left, uint64_t cell_bytes)
{
    if (floor == 0 || peak <= floor) {
        return floor;
    }
    unsigned most = peak < LIMIT_SPARE_CELLS_MAX ? peak : LIMIT_SPARE_CELLS_MAX;
    uint64_t affordable = floor + bytes_left / cell_bytes;
    return affordable < most ? (unsigned)affordable : most;
}

/* ---- What is wanted now ---------------------------------------------------------------------- */

/* How long the spare cells of an environment are still to be kept. */
static uint64_t keep_ms(const struct environment *environment)
{
    uint64_t idle_ms = (clock_monotonic_us() - environment->used_us) / 1000;
    uint64_t keep = environment->pool->patience.spare_keep_ms;
    return environment->run_count > 0 ? keep : idle_ms < keep ? keep - idle_ms : 0;
}

/* The base has as many as are configured, always. The others have them while they are in use. */
static unsigned floor_of(const struct environment *environment)
{
    return environment->is_base || keep_ms(environment) > 0 ? environment->pool->spare_cells : 0;
}

static uint64_t cell_bytes(const struct environment *environment)
{
    return environment->cell_bytes != 0 ? environment->cell_bytes : LIMIT_SPARE_BYTES_GUESS;
}

/* How many it is to have, and what of the budget is left for the next. */
static unsigned plan(const struct environment *environment, uint64_t *bytes_left)
{
    unsigned floor = floor_of(environment);
    unsigned peak = spares_demand_peak(&environment->demand, clock_monotonic_us());
    unsigned wanted = spares_wanted(floor, peak, *bytes_left, cell_bytes(environment));
    *bytes_left -= (wanted - floor) * cell_bytes(environment);
    return wanted;
}

/* ---- More ------------------------------------------------------------------------------------ */

/* All but the base's are together not more than a pool may be told to keep. */
static bool may_have_more(const struct environment *environment)
{
    const struct pool *pool = environment->pool;
    return environment->spare_deaths < LIMIT_SPARE_DEATHS_MAX &&
           (environment->is_base || pool->spare_count < LIMIT_SPARE_CELLS_MAX);
}

static void make(struct environment *environment, unsigned wanted)
{
    while (environment->spare_count < wanted && may_have_more(environment) &&
           cell_new(environment->pool, environment->zygote) != NULL) {
        environment->spared_us = clock_monotonic_us();
        pool_tick_soon(environment->pool);
    }
}

/* The environments that were used last come first, after the base. */
void spares_refill(struct pool *pool, bool only_bare)
{
    uint64_t bytes_left = pool->spare_bytes_max;
    bool is_full = pool->running_count >= pool->cells_max && pool->queue.count > 0;
    if (pool->state != POOL_OPEN || pool->is_draining || is_full) {
        return; /* what waits needs the processors first */
    }
    struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        unsigned wanted = plan(environment, &bytes_left);
        if (pool->running_count >= pool->processors) {
            wanted = floor_of(environment);
        }
        if (environment->state == ENVIRONMENT_READY &&
            (!only_bare || environment->spare_count == 0)) {
            make(environment, wanted);
        }
    }
}

/* ---- Fewer ----------------------------------------------------------------------------------- */

static void retire_down_to(struct environment *environment, unsigned wanted)
{
    struct cell *cell;
    while (environment->spare_count > wanted && (cell = environment_spare(environment)) != NULL) {
        cell_retire(cell);
    }
}

void spares_retire(struct environment *environment)
{
    retire_down_to(environment, 0);
}

/* Once for each zygote, when its cells wait and have had the time to rehearse. */
static void measure(struct environment *environment)
{
    uint64_t age_us = clock_monotonic_us() - environment->spared_us;
    if (environment->zygote->running_count == 0 && environment->zygote->session_count == 0 &&
        age_us > LIMIT_SPARE_MEASURE_MS * 1000) {
        environment->cell_bytes = measure_newest_cell(environment->zygote);
        log_debug("environment %s: a spare cell has %llu KiB", environment->id,
                  (unsigned long long)environment->cell_bytes / 1024);
    }
}

bool spares_trim(struct pool *pool)
{
    uint64_t bytes_left = pool->spare_bytes_max;
    bool is_at_rest = true;
    struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        unsigned wanted = plan(environment, &bytes_left);
        if (environment->state != ENVIRONMENT_READY) {
            continue;
        }
        retire_down_to(environment, wanted);
        bool has_more = environment->spare_count > (environment->is_base ? pool->spare_cells : 0);
        if (environment->cell_bytes == 0 && environment->spare_count > 0) {
            measure(environment);
            has_more = true;
        }
        is_at_rest = is_at_rest && !has_more;
    }
    return !is_at_rest;
}

void spares_died(struct environment *environment)
{
    environment->spare_deaths++;
    if (environment->spare_deaths == LIMIT_SPARE_DEATHS_MAX) {
        log_warning("spare sandbox processes die before they are used; none are made ahead now");
    }
    pool_settle_soon(environment->pool);
}
