/*
 * How many cells are kept ready ahead of need: private to src/pool.
 *
 * Each environment that is in use keeps as many as are configured, and beyond them as many as runs
 * lately began at nearly the same time: a burst finds its cells ready. Those beyond cost memory,
 * which has a budget, and processor time, which runs need first: they are made when a processor is
 * idle, and go when the demand has decayed. Where memory is short, the environments that were used
 * last have theirs first.
 */
#ifndef POOL_SPARES_H
#define POOL_SPARES_H

#include <stdbool.h>
#include <stdint.h>

struct environment;
struct pool;

/* ---- The policy: functions of their arguments alone ------------------------------------------ */

struct spares_demand {
    uint64_t window_us; /* when it began */
    unsigned starts;    /* of runs, in the window */
    unsigned peak;      /* most runs that began at nearly the same time */
    uint64_t peak_us;   /* when that was */
};

/* A run has come; so many are under way with it. */
void spares_demand_note(struct spares_demand *demand, uint64_t now_us, unsigned under_way);

/* The peak as it counts now: half of it after each LIMIT_SPARE_HALF_LIFE_MS. */
unsigned spares_demand_peak(const struct spares_demand *demand, uint64_t now_us);

/* `floor` are kept in any case; 0 is none at all. */
unsigned spares_wanted(unsigned floor, unsigned peak, uint64_t bytes_left, uint64_t cell_bytes);

/* ---- The pool's ------------------------------------------------------------------------------ */

/* Forks ahead of need; with `only_bare`, where there is no spare cell at all. */
void spares_refill(struct pool *pool, bool only_bare);

/* Lets go of those that are not wanted any more, and measures the others. True when it has to be
 * called again after a while. */
bool spares_trim(struct pool *pool);

/* Lets go of all of an environment. */
void spares_retire(struct environment *environment);

/* One has died before it was used. */
void spares_died(struct environment *environment);

#endif
