/*
 * Programs with packages: stands before the pool, with the pool's own words. Runs in `vitrine`, on
 * the caller's libuv loop.
 *
 * packages_run gives a program to the pool. When its environment lacks something (OUTCOME_NEED),
 * the need is resolved by pip in a cell of its own, the wheels are fetched by `vitrine-fetch`,
 * built by `vitrine-precompile`, put together as an environment, and the program is run there.
 * Environments are named by what they consist of and live in the cache; two runs that need the same
 * one wait for one build. Programs with the same imports and dependencies as an earlier one go to
 * its environment at once.
 */
#ifndef PACKAGES_PACKAGES_H
#define PACKAGES_PACKAGES_H

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "pool/pool.h"

struct packages;
struct packages_run;

struct packages_config {
    struct pool *pool;           /* borrowed; outlives the packages */
    const char *fetch_path;      /* the program vitrine-fetch */
    const char *precompile_path; /* the program vitrine-precompile */
    const char *guest_dir; /* folder with core.cwasm, stdlib.img, resolver/, pyodide-lock.json */
    const char *cache_dir; /* made when it is missing */
    const char *const *mirrors;    /* NULL-terminated, asked before the default ones; may be NULL */
    const char *const *index_urls; /* NULL-terminated, asked before pip's own; may be NULL */
    const char *const
        *dependencies;         /* NULL-terminated requirements of every program; may be NULL */
    const char *allow_file;    /* --allow-packages, or NULL */
    const char *exclude_newer; /* RFC 3339 date or time, or NULL */
    bool is_offline;
    bool installs; /* false: --no-install, programs get the standard library alone */
};

/* Checks the configuration; nothing is started before it is needed. *out is owned by the caller
 * until packages_close. */
int packages_new(uv_loop_t *loop, const struct packages_config *config, struct packages **out,
                 struct err *err);

enum packages_level { PACKAGES_DEBUG, PACKAGES_INFO, PACKAGES_WARNING };

struct packages_events {
    void *context;
    void (*output)(void *context, enum run_stream stream, struct span bytes); /* as run_events */
    void (*file)(void *context, const struct run_made *file); /* as run_events; may be NULL */
    /* One line about the installation, without a newline; UTF-8. May be NULL. */
    void (*log)(void *context, enum packages_level level, struct span line);
    /* An installation that this run waits for has begun (true), or is over (false). May be NULL. */
    void (*installing)(void *context, bool is_installing);
    /* Exactly once, last; the outcome is borrowed until it returns. Its `packages` are filled. */
    void (*done)(void *context, const struct outcome *outcome);
};

/* As pool_run; request->environment, finds_needs, resolved and may_fetch are ours to set. */
int packages_run(struct packages *packages, const struct run_request *request,
                 const struct packages_events *events, struct packages_run **out, struct err *err);

/* As pool_run_cancel, in every stage. A build that others wait for too goes on. */
void packages_run_cancel(struct packages_run *run);

/* Makes an environment ahead of need (requirements NULL-terminated; NULL: those of the
 * configuration) and starts its zygote. `done` gets an outcome with SUCCESS or INSTALL_ERROR. */
int packages_prepare(struct packages *packages, const char *const *requirements,
                     const struct packages_events *events, struct packages_run **out,
                     struct err *err);

/* Fetches and builds every package of the lock file that a source delivers; one log line each. */
int packages_prepare_all(struct packages *packages, const struct packages_events *events,
                         struct packages_run **out, struct err *err);

/* As pool_drain, which it calls; programs that wait for packages end with OUTCOME_REFUSED too. */
void packages_drain(struct packages *packages);

/* How programs ended, how long they took, and what was installed; for metrics. These only grow. */
enum { PACKAGES_OUTCOMES = OUTCOME_NEED, PACKAGES_DURATIONS = 12 };
struct packages_counts {
    uint64_t ended[PACKAGES_OUTCOMES]; /* programs, by enum outcome_status */
    /* Those that ran, by how long, installation and waiting excepted: of durations[i], all that
     * took up to packages_duration_ms[i], and not up to the one before it. */
    uint64_t durations[PACKAGES_DURATIONS];
    uint64_t duration_count;
    uint64_t duration_us;
    uint64_t installs; /* of environments */
    uint64_t failed_installs;
};
extern const uint64_t packages_duration_ms[PACKAGES_DURATIONS];
struct packages_counts packages_counts(const struct packages *packages);

/* Ends everything that is under way (each `done` comes), then calls `closed`. Before pool_close. */
void packages_close(struct packages *packages, void (*closed)(void *context), void *context);

#endif
