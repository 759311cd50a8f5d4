/* Life: what is configured, what is made when it is needed, and the end of it all. */
#include "packages/packages.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "packages/index.h"
#include "packages/run.h"

/* ---- What is done soon ----------------------------------------------------------------------- */

static bool is_waiting(const struct packages_run *run)
{
    return run->waiter.job != NULL || run->warmup != NULL;
}

/* Ends the runs that wait for an installation, and that were cancelled or may not run any more. */
static void withdraw(struct packages *packages)
{
    struct packages_run *run = TAILQ_FIRST(&packages->runs);
    while (run != NULL) {
        struct packages_run *next = TAILQ_NEXT(run, link);
        if (run->is_cancelled && is_waiting(run)) {
            packages_run_withdraw(run);
        } else if (packages->is_draining && is_waiting(run)) {
            packages_run_turn_away(run);
        }
        run = next;
    }
}

static void on_soon(uv_timer_t *timer)
{
    struct packages *packages = timer->data;
    struct packages_run *run;
    if (packages->is_closing && !packages->is_settled) {
        TAILQ_FOREACH(run, &packages->runs, link)
        {
            packages_run_cancel(run);
        }
    }
    withdraw(packages);
    while ((run = TAILQ_FIRST(&packages->ended)) != NULL) {
        TAILQ_REMOVE(&packages->ended, run, link);
        packages_run_finish(run);
    }
    if (packages->is_closing && !packages->is_settled) {
        packages->is_settled = true;
        index_cancel(packages->index);
    }
    packages_part_freed(packages);
}

void packages_settle_soon(struct packages *packages)
{
    if (!uv_is_closing((const uv_handle_t *)&packages->soon)) {
        (void)uv_timer_start(&packages->soon, on_soon, 0, 0);
    }
}

/* ---- When it is needed ----------------------------------------------------------------------- */

int packages_open(struct packages *packages, struct err *err)
{
    char path[PATH_MAX];
    if (store_open(&packages->store, err) != 0) {
        return -1;
    }
    if (packages->lock != NULL) {
        return 0;
    }
    int len = snprintf(path, sizeof path, "%s/pyodide-lock.json", packages->store.guest_dir);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", packages->store.guest_dir);
    }
    return lock_load(path, &packages->lock, err);
}

/* ---- Start ----------------------------------------------------------------------------------- */

static void texts_free(char **texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        free(texts[i]);
    }
    free(texts);
}

/* A list of one's own; NULL gives an empty one. NULL without memory. */
static char **texts_copy(const char *const *texts)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(texts[i]);
        if (copy[i] == NULL) {
            texts_free(copy);
            return NULL;
        }
    }
    return copy;
}

static int copies_make(struct packages *packages, const struct packages_config *config,
                       struct err *err)
{
    packages->mirrors = texts_copy(config->mirrors);
    packages->index_urls = texts_copy(config->index_urls);
    packages->dependencies = texts_copy(config->dependencies);
    packages->exclude_newer = config->exclude_newer == NULL ? NULL : strdup(config->exclude_newer);
    packages->needs = memo_new();
    packages->programs = memo_new();
    packages->index = index_new();
    bool has_all = packages->mirrors != NULL && packages->index_urls != NULL &&
                   packages->dependencies != NULL && packages->needs != NULL &&
                   packages->programs != NULL && packages->index != NULL &&
                   (config->exclude_newer == NULL || packages->exclude_newer != NULL);
    if (!has_all) {
        return err_set(err, ERR_MEMORY, "no memory for packages");
    }
    return store_init(&packages->store, config->guest_dir, config->cache_dir, err);
}

static void packages_free(struct packages *packages)
{
    memo_free(packages->needs);
    memo_free(packages->programs);
    index_free(packages->index);
    policy_free(packages->policy);
    lock_free(packages->lock);
    store_free(&packages->store);
    texts_free(packages->mirrors);
    texts_free(packages->index_urls);
    texts_free(packages->dependencies);
    free(packages->exclude_newer);
    free(packages);
}

static int config_check(const struct packages_config *config, struct packages *packages,
                        struct err *err)
{
    if (need_check_requirements(config->dependencies, err) != 0) {
        return -1;
    }
    return config->allow_file == NULL ? 0 : policy_load(config->allow_file, &packages->policy, err);
}

int packages_new(uv_loop_t *loop, const struct packages_config *config, struct packages **out,
                 struct err *err)
{
    struct packages *packages = calloc(1, sizeof *packages);
    if (packages == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for packages");
    }
    packages->loop = loop;
    packages->pool = config->pool;
    packages->is_offline = config->is_offline;
    packages->installs = config->installs;
    TAILQ_INIT(&packages->runs);
    TAILQ_INIT(&packages->ended);
    TAILQ_INIT(&packages->jobs);
    if (copies_make(packages, config, err) != 0 || config_check(config, packages, err) != 0) {
        packages_free(packages);
        return -1;
    }
    /* These have handles: nothing may fail after them. */
    packages->fetcher = fetcher_new(loop, config->fetch_path);
    packages->builder =
        packages->fetcher == NULL ? NULL : builder_new(loop, config->precompile_path);
    if (packages->builder == NULL) {
        abort(); /* a few hundred bytes at the start of a process */
    }
    (void)uv_timer_init(loop, &packages->soon);
    packages->soon.data = packages;
    *out = packages;
    return 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void on_part_closed(void *context)
{
    struct packages *packages = context;
    if (--packages->closing_parts > 0) {
        return;
    }
    void (*closed)(void *) = packages->closed;
    void *closed_context = packages->closed_context;
    packages_free(packages);
    closed(closed_context);
}

static void on_soon_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void close_parts(struct packages *packages)
{
    packages->closing_parts = 3;
    fetcher_close(packages->fetcher, on_part_closed, packages);
    builder_close(packages->builder, on_part_closed, packages);
    uv_close((uv_handle_t *)&packages->soon, on_soon_closed);
}

void packages_part_freed(struct packages *packages)
{
    if (packages->is_settled && packages->closing_parts == 0 && packages->task_count == 0 &&
        TAILQ_EMPTY(&packages->runs) && TAILQ_EMPTY(&packages->ended) &&
        TAILQ_EMPTY(&packages->jobs)) {
        close_parts(packages);
    }
}

void packages_drain(struct packages *packages)
{
    struct packages_run *run;
    packages->is_draining = true;
    TAILQ_FOREACH(run, &packages->runs, link)
    {
        if (run->is_preparation) {
            packages_run_cancel(run);
        }
    }
    packages_settle_soon(packages);
    pool_drain(packages->pool, NULL, NULL);
}

void packages_close(struct packages *packages, void (*closed)(void *context), void *context)
{
    assert(!packages->is_closing);
    packages->is_closing = true;
    packages->closed = closed;
    packages->closed_context = context;
    packages_settle_soon(packages);
}
