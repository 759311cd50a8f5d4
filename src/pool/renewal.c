/*
 * Zygotes that are replaced while they serve: when many cells have been forked from them, and when
 * something about their cells was suspicious. All cells of a zygote share its hash secret and the
 * places of everything in memory; a zygote's replacement has others (docs/randomness.md).
 *
 * The next one boots while the old one serves; then new cells come from it, and the old one ends
 * with its last run, and with the last session that has its cell from it. Whoever can make cells
 * look suspicious could have interpreters boot without end, so there is a pause between two
 * replacements, which doubles when suspicions go on.
 */
#include "base/clock.h"
#include "base/log.h"
#include "pool/state.h"

static uint64_t age_ms(const struct environment *environment)
{
    return environment->renewed_us == 0 ? UINT64_MAX
                                        : (clock_monotonic_us() - environment->renewed_us) / 1000;
}

static uint64_t pause_ms(const struct environment *environment)
{
    uint64_t ms = environment->pool->patience.renewal_ms;
    for (unsigned i = 1; i < environment->renewals && ms < LIMIT_ZYGOTE_RENEWAL_MS_MAX; i++) {
        ms *= 2;
    }
    return ms < LIMIT_ZYGOTE_RENEWAL_MS_MAX ? ms : LIMIT_ZYGOTE_RENEWAL_MS_MAX;
}

static bool is_due(const struct environment *environment)
{
    const struct zygote *zygote = environment->zygote;
    return environment->state == ENVIRONMENT_READY && environment->next == NULL &&
           (zygote->is_suspect || zygote->fork_count >= environment->pool->zygote_forks_max);
}

static void renew(struct environment *environment)
{
    struct err err;
    bool was_quiet = age_ms(environment) > 2 * LIMIT_ZYGOTE_RENEWAL_MS_MAX;
    environment->renewals =
        environment->zygote->is_suspect ? (was_quiet ? 0 : environment->renewals) + 1 : 0;
    environment->renewed_us = clock_monotonic_us();
    log_debug("environment %s: another interpreter is to take over", environment->id);
    if (environment_spawn(environment, true, &environment->next, &err) != 0) {
        log_warning("environment %s: no interpreter can take over: %s", environment->id, err.text);
    }
}

/* Without those that only sessions keep; there are not more of them than sessions. */
static unsigned zygotes_of_use(const struct environment *environment)
{
    unsigned count = environment->zygote_count;
    const struct zygote *zygote;
    TAILQ_FOREACH(zygote, &environment->pool->zygotes, link)
    {
        count -= zygote->environment == environment && zygote->is_retired &&
                         zygote->running_count == 0 && zygote->session_count > 0
                     ? 1
                     : 0;
    }
    return count;
}

bool renewals_look(struct pool *pool)
{
    bool is_one_due = false;
    struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        if (pool->state != POOL_OPEN || pool->is_draining || !is_due(environment)) {
            continue;
        }
        is_one_due = true;
        if (age_ms(environment) >= pause_ms(environment) &&
            zygotes_of_use(environment) < LIMIT_ZYGOTES_MAX) {
            renew(environment);
        }
    }
    return is_one_due;
}

void renewal_suspect(struct zygote *zygote, const char *what)
{
    if (!zygote->is_suspect) {
        zygote->is_suspect = true;
        log_warning("environment %s: %s; another interpreter is to take over",
                    zygote->environment->id, what);
        pool_settle_soon(zygote->pool);
    }
}

void renewal_ready(struct environment *environment)
{
    struct zygote *old = environment->zygote;
    spares_retire(environment);
    environment->zygote = environment->next;
    environment->next = NULL;
    old->is_retired = true;
    zygote_let_go(old);
}

void renewal_failed(struct environment *environment, const struct zygote *zygote)
{
    environment->next = NULL;
    environment->renewals++; /* the next attempt waits for longer */
    log_warning("environment %s: no interpreter can take over: %s", environment->id, zygote->why);
    pool_settle_soon(environment->pool);
}
