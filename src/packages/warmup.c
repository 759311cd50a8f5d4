/* Environments, and wheels, made ahead of need. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "packages/index.h"
#include "packages/run.h"

/* ---- One environment ------------------------------------------------------------------------- */

static void on_log(void *context, enum packages_level level, struct span line)
{
    struct packages_run *run = context;
    if (run->events.log != NULL && !run->is_cancelled) {
        run->events.log(run->events.context, level, line);
    }
}

static void warm(struct packages_run *run, struct environment *environment)
{
    struct err err;
    run->environment = store_environment_ref(environment);
    if (environment != NULL && !run->packages->is_closing) {
        struct pool_environment there = {environment->id, environment->dir};
        if (pool_warm(run->packages->pool, &there, &err) != 0) {
            on_log(run, PACKAGES_WARNING, span_of(err.text));
        }
    }
    packages_run_end(run);
}

static void on_job_done(void *context, const struct job_result *result)
{
    struct packages_run *run = context;
    if (result->reason != NULL) {
        packages_run_fail(run, result->reason, result->hint, result->log);
    } else {
        warm(run, result->environment);
    }
}

static int prepare(struct packages_run *run, const char *const *requirements, struct err *err)
{
    struct packages *packages = run->packages;
    uint8_t key[SUM_BYTES];
    struct environment *environment;
    time_t until;
    cleanup_need struct need need = {0};
    if (need_add_requirements(&need, requirements, err) != 0 ||
        store_open(&packages->store, err) != 0) {
        return -1;
    }
    if (job_key(packages, &need, key) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for an installation");
    }
    if (need_is_empty(&need)) {
        packages_run_end(run);
        return 0;
    }
    if (job_remembered(packages, &need, key, &environment, &until)) {
        warm(run, environment);
        store_environment_unref(environment);
        return 0;
    }
    run->waiter = (struct job_waiter){.context = run, .log = on_log, .done = on_job_done};
    packages_run_installing(run, true);
    return job_join(packages, &need, key, &run->waiter, err);
}

int packages_prepare(struct packages *packages, const char *const *requirements,
                     const struct packages_events *events, struct packages_run **out,
                     struct err *err)
{
    if (packages->is_closing) {
        return err_set(err, ERR_GONE, "the packages are closing");
    }
    struct packages_run *run = packages_run_new(packages, events);
    if (run == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a preparation");
    }
    run->is_preparation = true;
    *out = run;
    const char *const *wanted =
        requirements != NULL ? requirements : (const char *const *)packages->dependencies;
    if (prepare(run, wanted, err) != 0) {
        packages_run_free(run);
        return -1;
    }
    return 0;
}

/* ---- Every wheel ----------------------------------------------------------------------------- */

enum { UNDER_WAY_MAX = 12 }; /* more than can be built at once, so that builders never wait */

/* One wheel that is under way. */
struct item {
    struct warmup *warmup;
    const struct plan_package *package; /* NULL: the place is free */
    struct fetch *fetch;
    struct build *build;
    char dir[PATH_MAX];
};

struct warmup {
    struct packages_run *run; /* NULL when it was cancelled */
    struct packages *packages;
    struct index_waiter index_waiter;
    bool waits_for_index;
    uv_timer_t timer;
    size_t next; /* of the lock's packages */
    size_t ready_count;
    size_t missing_count;
    size_t under_way;
    struct item items[UNDER_WAY_MAX];
};

static void on_step(uv_timer_t *timer);

static void step_soon(struct warmup *warmup)
{
    (void)uv_timer_start(&warmup->timer, on_step, 0, 0);
}

__attribute__((format(printf, 4, 5))) static void say(struct warmup *warmup,
                                                      enum packages_level level,
                                                      const struct plan_package *package,
                                                      const char *format, ...)
{
    char text[LIMIT_INSTALL_LINE_BYTES_MAX];
    va_list values;
    int len = snprintf(text, sizeof text, "%s %s: ", package->name, package->version);
    va_start(values, format);
    (void)vsnprintf(text + len, sizeof text - (size_t)len, format, values);
    va_end(values);
    char *line = plan_text(span_of(text), sizeof text, false);
    if (line != NULL) {
        on_log(warmup->run, level, span_of(line));
    }
    free(line);
}

static void item_end(struct item *item, bool is_ready)
{
    struct warmup *warmup = item->warmup;
    item->package = NULL;
    warmup->under_way--;
    warmup->ready_count += is_ready ? 1 : 0;
    warmup->missing_count += is_ready ? 0 : 1;
    step_soon(warmup);
}

static void on_built(void *context, const struct err *err, uint64_t ms)
{
    struct item *item = context;
    item->build = NULL;
    if (err != NULL) {
        say(item->warmup, PACKAGES_WARNING, item->package, "%s", err->text);
    } else {
        say(item->warmup, PACKAGES_INFO, item->package, "built in %.1f s", (double)ms / 1000);
    }
    item_end(item, err == NULL);
}

static void on_fetched(void *context, uint32_t status, struct span bytes)
{
    struct item *item = context;
    char path[PATH_MAX];
    struct err err;
    struct build_order order;
    const char *args[JOB_WHEEL_ARGS];
    item->fetch = NULL;
    int len =
        snprintf(path, sizeof path, "%.*s", (int)(bytes.len < 4096 ? bytes.len : 4096), bytes.base);
    if (status != WIRE_FETCH_OK || len <= 0 || (size_t)len >= sizeof path || path[0] != '/') {
        say(item->warmup, PACKAGES_WARNING, item->package, "%s", path);
        item_end(item, false);
        return;
    }
    struct build_events events = {.context = item, .done = on_built};
    job_wheel_order(item->warmup->packages, path, item->package->sum, item->dir, args, &order);
    item->build = build_start(item->warmup->packages->builder, &order, &events, &err);
    if (item->build == NULL) {
        say(item->warmup, PACKAGES_WARNING, item->package, "%s", err.text);
        item_end(item, false);
    }
}

static void item_start(struct item *item, const struct plan_package *package)
{
    struct warmup *warmup = item->warmup;
    struct packages *packages = warmup->packages;
    struct err err;
    struct span sum = span_of(package->sum);
    struct fetch_events events = {.context = item, .answered = on_fetched};
    item->package = package;
    warmup->under_way++;
    if (store_built_path(&packages->store, package->sum, item->dir, &err) != 0) {
        item_end(item, false);
        return;
    }
    if (store_is_whole(item->dir)) {
        say(warmup, PACKAGES_INFO, package, "built before");
        item_end(item, true);
        return;
    }
    item->fetch = fetcher_ask(packages->fetcher, WIRE_FETCH_WHEEL, &sum, 1, &events, &err);
    if (item->fetch == NULL) {
        say(warmup, PACKAGES_WARNING, package, "%s", err.text);
        item_end(item, false);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct warmup *warmup = handle->data;
    struct packages *packages = warmup->packages;
    free(warmup);
    packages->task_count--;
    packages_part_freed(packages);
}

static void warmup_end(struct warmup *warmup, const char *reason)
{
    struct packages_run *run = warmup->run;
    run->warmup = NULL;
    warmup->run = NULL;
    uv_close((uv_handle_t *)&warmup->timer, on_timer_closed);
    if (reason != NULL) {
        packages_run_fail(run, reason, "", (struct span){0});
    } else {
        packages_run_end(run);
    }
}

static void finish(struct warmup *warmup)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%zu packages are ready, %zu are not to be had",
                   warmup->ready_count, warmup->missing_count);
    on_log(warmup->run, PACKAGES_INFO, span_of(text));
    warmup_end(warmup, warmup->ready_count > 0 ? NULL : "no source delivers any package");
}

/* Starts what there is room for. */
static void on_step(uv_timer_t *timer)
{
    struct warmup *warmup = timer->data;
    const struct lock *lock = warmup->packages->lock;
    for (size_t i = 0; i < UNDER_WAY_MAX && warmup->next < lock_count(lock); i++) {
        if (warmup->items[i].package == NULL) {
            item_start(&warmup->items[i], lock_package(lock, warmup->next++));
        }
    }
    if (warmup->under_way == 0 && warmup->next == lock_count(lock)) {
        finish(warmup);
    }
}

static void on_index_known(void *context, const struct err *err)
{
    struct warmup *warmup = context;
    warmup->waits_for_index = false;
    if (err != NULL) {
        warmup_end(warmup, err->text);
    } else {
        step_soon(warmup);
    }
}

int warmup_start(struct packages_run *run, struct err *err)
{
    struct packages *packages = run->packages;
    if (packages_open(packages, err) != 0) {
        return -1;
    }
    struct warmup *warmup = calloc(1, sizeof *warmup);
    if (warmup == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a preparation");
    }
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        warmup->items[i].warmup = warmup;
    }
    warmup->run = run;
    warmup->packages = packages;
    warmup->index_waiter = (struct index_waiter){.context = warmup, .done = on_index_known};
    int known = index_configure(packages, &warmup->index_waiter, err);
    if (known < 0) {
        free(warmup);
        return -1;
    }
    (void)uv_timer_init(packages->loop, &warmup->timer);
    warmup->timer.data = warmup;
    packages->task_count++;
    run->warmup = warmup;
    warmup->waits_for_index = known == 0;
    if (known == 1) {
        step_soon(warmup);
    }
    return 0;
}

/* The run is ended by the caller. */
void warmup_cancel(struct warmup *warmup)
{
    if (warmup->waits_for_index) {
        index_leave(warmup->packages, &warmup->index_waiter);
    }
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        struct item *item = &warmup->items[i];
        if (item->fetch != NULL) {
            fetcher_cancel(item->fetch);
        }
        if (item->build != NULL) {
            build_leave(item->build);
        }
    }
    warmup->run = NULL;
    uv_close((uv_handle_t *)&warmup->timer, on_timer_closed);
}

int packages_prepare_all(struct packages *packages, const struct packages_events *events,
                         struct packages_run **out, struct err *err)
{
    if (packages->is_closing) {
        return err_set(err, ERR_GONE, "the packages are closing");
    }
    struct packages_run *run = packages_run_new(packages, events);
    if (run == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a preparation");
    }
    run->is_preparation = true;
    *out = run;
    if (warmup_start(run, err) != 0) {
        packages_run_free(run);
        return -1;
    }
    packages_run_installing(run, true);
    return 0;
}
