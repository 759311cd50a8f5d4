/*
 * The parts that stand before the pool, private to src/packages. Who calls whom: packages.c (life,
 * runs) and warmup.c (environments ahead of need) join jobs; job.c gets one environment, with
 * index.c (which package index), resolve.c (pip, in a cell), fetcher.c (vitrine-fetch) and build.c
 * (vitrine-precompile). task.c runs our own Python in a cell for index.c and resolve.c.
 *
 * Everything lives on one loop. What has libuv handles is freed when libuv has let go of them.
 */
#ifndef PACKAGES_STATE_H
#define PACKAGES_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "packages/build.h"
#include "packages/fetcher.h"
#include "packages/lock.h"
#include "packages/memo.h"
#include "packages/need.h"
#include "packages/packages.h"
#include "packages/policy.h"
#include "packages/store.h"

struct index;
struct job;
struct warmup;

TAILQ_HEAD(run_list, packages_run);
TAILQ_HEAD(job_list, job);

struct packages {
    uv_loop_t *loop;
    struct pool *pool;
    struct store store;
    struct fetcher *fetcher;
    struct builder *builder;
    struct policy *policy; /* NULL: everything is allowed */
    struct lock *lock;     /* NULL until it is needed */
    struct index *index;
    char **mirrors; /* owned, NULL-terminated, as the next two */
    char **index_urls;
    char **dependencies;
    char *exclude_newer; /* or NULL */
    bool is_offline;
    bool installs;
    bool is_configured; /* the fetcher knows its indexes */

    struct packages_counts counts;
    struct memo *needs;    /* by what is needed */
    struct memo *programs; /* by hint_key */
    struct run_list runs;
    struct run_list ended; /* their `done` comes from the loop */
    struct job_list jobs;
    unsigned task_count; /* our own programs in cells, and preparations */

    uv_timer_t soon;
    bool is_draining;
    bool is_closing;
    bool is_settled; /* everything was told to end */
    unsigned closing_parts;
    void (*closed)(void *context);
    void *closed_context;
};

/* Something was freed: packages that close may be at their end. */
void packages_part_freed(struct packages *packages);

/* Has what is done outside of the user's calls done soon. */
void packages_settle_soon(struct packages *packages);

/* Reads what the guest's folder has to say, once. */
int packages_open(struct packages *packages, struct err *err);

#endif
