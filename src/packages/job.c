#include "packages/job.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "packages/index.h"
#include "packages/resolve.h"

enum job_stage {
    JOB_NEW,
    JOB_INDEX,    /* pip is asked for its index */
    JOB_RESOLVE,  /* pip resolves */
    JOB_WHEELS,   /* wheels are fetched and built */
    JOB_ASSEMBLY, /* they are put together */
    JOB_OVER,
};

/* A package on its way to its folder. */
struct part {
    struct job *job;
    const struct plan_package *package;
    char dir[PATH_MAX];
    struct fetch *fetch; /* at most one of these two */
    struct build *build;
    bool is_there;
};

struct job {
    TAILQ_ENTRY(job) link;
    struct packages *packages;
    uint8_t key[SUM_BYTES];
    struct need need;
    TAILQ_HEAD(waiter_list, job_waiter) waiters;
    enum job_stage stage;
    bool is_listed; /* in packages->jobs: may be joined */
    uv_timer_t timer;
    struct index_waiter index_waiter;
    struct resolve *resolve;
    struct plan plan;
    bool is_temporary; /* what it comes to is not to be remembered for long */
    struct buf preload;
    char id[SUM_HEX_SIZE];
    char dir[PATH_MAX];
    struct part *parts;
    size_t parts_left;
    struct build *assembly;
    struct environment *environment;
    time_t until; /* how long it may be used */
    char *reason;
    char *hint;
    struct buf log;
    unsigned line_count;
    uint64_t started_us;
};

/* ---- The log --------------------------------------------------------------------------------- */

static void job_log(struct job *job, enum packages_level level, struct span text)
{
    char *line = plan_text(text, LIMIT_INSTALL_LINE_BYTES_MAX, false);
    if (line == NULL || job->line_count == LIMIT_INSTALL_LINES_MAX) {
        free(line);
        return;
    }
    job->line_count++;
    struct span span = span_of(line);
    if (buf_append(&job->log, span.base, span.len) == 0) {
        (void)buf_append_char(&job->log, '\n');
    }
    struct job_waiter *waiter = TAILQ_FIRST(&job->waiters);
    while (waiter != NULL) {
        struct job_waiter *next = TAILQ_NEXT(waiter, link);
        if (waiter->log != NULL) {
            waiter->log(waiter->context, level, span);
        }
        waiter = next;
    }
    free(line);
}

__attribute__((format(printf, 3, 4))) static void say(struct job *job, enum packages_level level,
                                                      const char *format, ...)
{
    char line[LIMIT_INSTALL_LINE_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (len > 0) {
        job_log(job, level, span_of(line));
    }
}

static double seconds_since(uint64_t us)
{
    return (double)(clock_monotonic_us() - us) / 1e6;
}

/* ---- Its end --------------------------------------------------------------------------------- */

static void parts_leave(struct job *job)
{
    for (size_t i = 0; job->parts != NULL && i < job->plan.package_count; i++) {
        struct part *part = &job->parts[i];
        if (part->fetch != NULL) {
            fetcher_cancel(part->fetch);
            part->fetch = NULL;
        }
        if (part->build != NULL) {
            build_leave(part->build);
            part->build = NULL;
        }
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct job *job = handle->data;
    struct packages *packages = job->packages;
    TAILQ_REMOVE(&packages->jobs, job, link);
    need_free(&job->need);
    plan_free(&job->plan);
    buf_free(&job->preload);
    buf_free(&job->log);
    free(job->parts);
    free(job->reason);
    free(job->hint);
    store_environment_unref(job->environment);
    free(job);
    packages_part_freed(packages);
}

/* Stops what it does. */
static void job_stop(struct job *job)
{
    if (job->stage == JOB_INDEX) {
        index_leave(job->packages, &job->index_waiter);
    }
    if (job->resolve != NULL) {
        resolve_cancel(job->resolve);
        job->resolve = NULL;
    }
    parts_leave(job);
    if (job->assembly != NULL) {
        build_leave(job->assembly);
        job->assembly = NULL;
    }
    job->stage = JOB_OVER;
    job->is_listed = false;
}

/* Tells everybody, in a step of its own: what was called last may still use the job. */
static void on_over(uv_timer_t *timer)
{
    struct job *job = timer->data;
    struct job_result result = {
        .reason = job->reason,
        .hint = job->hint != NULL ? job->hint : "",
        .log = buf_span(&job->log),
        .environment = job->environment,
        .until = job->until,
    };
    struct job_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&job->waiters)) != NULL) {
        TAILQ_REMOVE(&job->waiters, waiter, link);
        waiter->job = NULL;
        waiter->done(waiter->context, &result);
    }
    uv_close((uv_handle_t *)&job->timer, on_timer_closed);
}

static void job_end(struct job *job)
{
    job_stop(job);
    (void)uv_timer_start(&job->timer, on_over, 0, 0);
}

static void job_fail(struct job *job, const char *reason, const char *hint)
{
    if (job->stage == JOB_OVER) {
        return;
    }
    job->packages->counts.failed_installs++;
    job->reason = strdup(reason);
    job->hint = strdup(hint);
    if (job->reason == NULL) {
        abort(); /* without memory for a sentence nothing can be said any more */
    }
    job_end(job);
}

/* How long a resolution may be used: where nothing new can come, for good. */
static time_t until(const struct packages *packages, const struct need *need, time_t resolved)
{
    bool is_lasting = packages->is_offline || need_is_pinned(need);
    return resolved + (time_t)(is_lasting ? LIMIT_NEED_LASTING_S : LIMIT_NEED_FRESH_S);
}

static void remember_as(struct job *job, const uint8_t key[SUM_BYTES], time_t now)
{
    struct packages *packages = job->packages;
    struct memo_entry entry = {.environment = job->environment, .until = job->until};
    memo_put(packages->needs, key, &entry);
    if (!job->is_temporary) {
        struct store_need stored = {.time = now};
        (void)snprintf(stored.id, sizeof stored.id, "%s",
                       job->environment != NULL ? job->environment->id : "base");
        store_need_write(&packages->store, key, &stored);
    }
}

/* What was prepared by name is what imports of the same names lead to, and the other way round. */
static void remember(struct job *job)
{
    uint8_t key[SUM_BYTES];
    struct need other;
    time_t now = time(NULL);
    job->until = job->is_temporary ? now + (time_t)LIMIT_NEED_RETRY_S
                                   : until(job->packages, &job->need, now);
    remember_as(job, job->key, now);
    if (job->plan.dropped_count == 0 && need_swap(&other, &job->need) &&
        job_key(job->packages, &other, key) == 0) {
        remember_as(job, key, now);
    }
}

static void job_succeed(struct job *job)
{
    remember(job);
    if (job->environment == NULL) {
        say(job, PACKAGES_INFO, "no packages to install");
    } else {
        job->packages->counts.installs++;
        say(job, PACKAGES_INFO, "environment with %zu package%s ready in %.1f s",
            job->environment->package_count, job->environment->package_count == 1 ? "" : "s",
            seconds_since(job->started_us));
    }
    job_end(job);
}

/* ---- Putting together ------------------------------------------------------------------------ */

static void on_assembled(void *context, const struct err *err, uint64_t ms)
{
    struct job *job = context;
    char reason[2 * ERR_TEXT_MAX];
    job->assembly = NULL;
    if (err != NULL) {
        (void)snprintf(reason, sizeof reason, "the packages cannot be put together: %s", err->text);
        job_fail(job, reason, "");
        return;
    }
    job->environment = store_environment(&job->packages->store, job->id);
    if (job->environment == NULL) {
        job_fail(job, "the environment was made, but cannot be read",
                 "look whether the disk is full, or remove the cache");
        return;
    }
    say(job, PACKAGES_DEBUG, "put together in %.1f s", (double)ms / 1000);
    job_succeed(job);
}

/* environment OUTDIR --wheel DIR... --about FILE --guest DIR [--preload NAMES] */
static struct build *assembly_start(struct job *job, struct err *err)
{
    size_t count = job->plan.package_count;
    const char **args = calloc(2 * count + 9, sizeof *args);
    cleanup_buf struct buf about;
    cleanup_buf struct buf names;
    buf_init(&about, LIMIT_PACKAGES_MAX * KIB);
    buf_init(&names, LIMIT_PRELOAD_BYTES_MAX + 1);
    if (args == NULL || store_environment_json(&job->plan, &about) != 0 ||
        buf_append(&names, job->preload.base, job->preload.len) != 0 ||
        buf_append_char(&names, '\0') != 0) {
        free(args);
        (void)err_set(err, ERR_MEMORY, "no memory for an environment");
        return NULL;
    }
    size_t n = 0;
    args[n++] = "environment";
    args[n++] = "";
    for (size_t i = 0; i < count; i++) {
        args[n++] = "--wheel";
        args[n++] = job->parts[i].dir;
    }
    args[n++] = "--about";
    args[n++] = BUILD_ABOUT;
    args[n++] = "--guest";
    args[n++] = job->packages->store.guest_dir;
    if (job->preload.len > 0) {
        names.base[job->preload.len - 1] = '\0'; /* the end of the line */
        args[n++] = "--preload";
        args[n++] = names.base;
    }
    struct build_order order = {.dir = job->dir,
                                .args = args,
                                .about = buf_span(&about),
                                .preload = buf_span(&job->preload)};
    struct build_events events = {.context = job, .done = on_assembled};
    struct build *build = build_start(job->packages->builder, &order, &events, err);
    free(args);
    return build;
}

static void assemble(struct job *job)
{
    struct err err;
    say(job, PACKAGES_INFO, "putting %zu package%s together", job->plan.package_count,
        job->plan.package_count == 1 ? "" : "s");
    job->stage = JOB_ASSEMBLY;
    job->assembly = assembly_start(job, &err);
    if (job->assembly == NULL) {
        job_fail(job, err.text, "");
    }
}

/* ---- Wheels ---------------------------------------------------------------------------------- */

static void part_done(struct part *part)
{
    part->is_there = true;
    if (--part->job->parts_left == 0) {
        assemble(part->job);
    }
}

static void on_build_started(void *context, bool is_elsewhere)
{
    struct part *part = context;
    say(part->job, PACKAGES_INFO, is_elsewhere ? "another process builds %s %s" : "building %s %s",
        part->package->name, part->package->version);
}

static void on_built(void *context, const struct err *err, uint64_t ms)
{
    struct part *part = context;
    char reason[2 * ERR_TEXT_MAX];
    part->build = NULL;
    if (err != NULL) {
        (void)snprintf(reason, sizeof reason, "%s %s cannot be installed: %s", part->package->name,
                       part->package->version, err->text);
        job_fail(part->job, reason, "another version of it may do");
        return;
    }
    say(part->job, PACKAGES_INFO, "built %s %s in %.1f s", part->package->name,
        part->package->version, (double)ms / 1000);
    part_done(part);
}

void job_wheel_order(const struct packages *packages, const char *wheel_path, const char *sum,
                     const char *dir, const char *args[JOB_WHEEL_ARGS], struct build_order *order)
{
    const char *const texts[JOB_WHEEL_ARGS] = {
        "wheel", wheel_path, "", "--guest", packages->store.guest_dir, "--sha256", sum, NULL};
    memcpy(args, texts, sizeof texts);
    *order = (struct build_order){.dir = dir, .args = args};
}

static void part_build(struct part *part, const char *wheel_path)
{
    struct job *job = part->job;
    struct err err;
    struct build_order order;
    const char *args[JOB_WHEEL_ARGS];
    struct build_events events = {.context = part, .started = on_build_started, .done = on_built};
    job_wheel_order(job->packages, wheel_path, part->package->sum, part->dir, args, &order);
    part->build = build_start(job->packages->builder, &order, &events, &err);
    if (part->build == NULL) {
        job_fail(job, err.text, "");
    }
}

/* What can be done about a wheel that is not to be had. */
static const char *hint_for(uint32_t status)
{
    switch ((enum wire_fetch_status)status) {
    case WIRE_FETCH_MISSING:
        return "name a source that has it with --mirror, or ask for another version";
    case WIRE_FETCH_FAILED: return "try again; proxies are taken from HTTPS_PROXY";
    case WIRE_FETCH_OFFLINE: return "run `vitrine warmup` with a network first, or go online";
    case WIRE_FETCH_REFUSED:
    case WIRE_FETCH_OK: break;
    }
    return "";
}

static void on_fetched(void *context, uint32_t status, struct span bytes)
{
    struct part *part = context;
    char path[PATH_MAX];
    char reason[2 * ERR_TEXT_MAX];
    part->fetch = NULL;
    if (status != WIRE_FETCH_OK) {
        (void)snprintf(reason, sizeof reason, "%s %s cannot be had: %.*s", part->package->name,
                       part->package->version, (int)(bytes.len < 600 ? bytes.len : 600),
                       bytes.base);
        job_fail(part->job, reason, hint_for(status));
        return;
    }
    if (bytes.len == 0 || bytes.len >= sizeof path || bytes.base[0] != '/' ||
        memchr(bytes.base, '\0', bytes.len) != NULL) {
        job_fail(part->job, "vitrine-fetch gave no path of a wheel", "");
        return;
    }
    memcpy(path, bytes.base, bytes.len);
    path[bytes.len] = '\0';
    say(part->job, PACKAGES_DEBUG, "have %s", part->package->filename);
    part_build(part, path);
}

static void on_fetch_log(void *context, uint32_t level, struct span line)
{
    struct part *part = context;
    job_log(part->job, level < PACKAGES_WARNING ? (enum packages_level)level : PACKAGES_WARNING,
            line);
}

static int part_start(struct part *part, struct err *err)
{
    struct job *job = part->job;
    const struct plan_package *package = part->package;
    if (store_built_path(&job->packages->store, package->sum, part->dir, err) != 0) {
        return -1;
    }
    if (store_is_whole(part->dir)) {
        say(job, PACKAGES_DEBUG, "%s %s was built before", package->name, package->version);
        part->is_there = true;
        job->parts_left--;
        return 0;
    }
    say(job, PACKAGES_INFO, "fetching %s", package->filename);
    struct span sum = span_of(package->sum);
    struct fetch_events events = {.context = part, .answered = on_fetched, .log = on_fetch_log};
    part->fetch = fetcher_ask(job->packages->fetcher, WIRE_FETCH_WHEEL, &sum, 1, &events, err);
    return part->fetch != NULL ? 0 : -1;
}

static void wheels_start(struct job *job)
{
    struct err err;
    size_t count = job->plan.package_count;
    job->stage = JOB_WHEELS;
    job->parts = calloc(count + 1, sizeof *job->parts);
    if (job->parts == NULL) {
        job_fail(job, "no memory for an environment", "");
        return;
    }
    job->parts_left = count;
    for (size_t i = 0; i < count; i++) {
        struct part *part = &job->parts[i];
        part->job = job;
        part->package = &job->plan.packages[i];
        if (part_start(part, &err) != 0) {
            job_fail(job, err.text, "");
            return;
        }
    }
    if (job->parts_left == 0) {
        assemble(job);
    }
}

/* ---- The plan -------------------------------------------------------------------------------- */

static const char dropped_words[] = "not installed: "; /* as python/vitrine/resolve.py says it */

static void plan_say(struct job *job)
{
    for (size_t i = 0; i < job->plan.log_count; i++) {
        /* What was dropped is said below, as a warning. */
        if (strncmp(job->plan.log[i], dropped_words, sizeof dropped_words - 1) != 0) {
            job_log(job, PACKAGES_DEBUG, span_of(job->plan.log[i]));
        }
    }
    for (size_t i = 0; i < job->plan.dropped_count; i++) {
        say(job, PACKAGES_WARNING, "%s%s: %s", dropped_words, job->plan.dropped[i].name,
            job->plan.dropped[i].reason);
    }
    for (size_t i = 0; i < job->plan.package_count; i++) {
        const struct plan_package *package = &job->plan.packages[i];
        say(job, PACKAGES_INFO, "%s %s from the %s", package->name, package->version,
            lock_has_sum(job->packages->lock, package->sum) ? "distribution" : "package index");
    }
}

/* The environment of a plan: there already, or to be made. */
static void plan_follow(struct job *job)
{
    struct err err;
    struct packages *packages = job->packages;
    if (job->plan.package_count == 0) {
        job_succeed(job);
        return;
    }
    if (store_preload(&job->plan, packages->lock, &job->preload) != 0 ||
        (job->preload.len > 0 && buf_append_char(&job->preload, '\n') != 0)) {
        buf_clear(&job->preload); /* too many names: none is imported ahead */
    }
    if (store_environment_id(&packages->store, &job->plan, buf_span(&job->preload), job->id) != 0 ||
        store_path(&packages->store, "environments", job->id, job->dir, &err) != 0) {
        job_fail(job, "no memory for an environment", "");
        return;
    }
    job->environment = store_environment(&packages->store, job->id);
    if (job->environment != NULL) {
        job_succeed(job);
    } else {
        wheels_start(job);
    }
}

static void on_resolved(void *context, struct plan *plan, bool is_temporary, const struct err *err)
{
    struct job *job = context;
    job->resolve = NULL;
    job->is_temporary = is_temporary;
    if (plan == NULL) {
        job_fail(job, err->text, "");
        return;
    }
    job->plan = *plan;
    plan_say(job);
    if (job->plan.error != NULL) {
        job_fail(job, job->plan.error, job->plan.hint != NULL ? job->plan.hint : "");
        return;
    }
    say(job, PACKAGES_DEBUG, "resolved in %.1f s", seconds_since(job->started_us));
    plan_follow(job);
}

static void on_resolve_log(void *context, enum packages_level level, struct span line)
{
    job_log(context, level, line);
}

/* ---- Its start ------------------------------------------------------------------------------- */

static void resolution_start(struct job *job)
{
    struct err err;
    struct resolve_events events = {.context = job, .log = on_resolve_log, .done = on_resolved};
    job->stage = JOB_RESOLVE;
    job->resolve = resolve_start(job->packages, &job->need, &events, &err);
    if (job->resolve == NULL) {
        job_fail(job, err.text, "");
    }
}

static void on_index_known(void *context, const struct err *err)
{
    struct job *job = context;
    job->stage = JOB_RESOLVE;
    if (err != NULL) {
        job_fail(job, err->text, "");
    } else {
        resolution_start(job);
    }
}

/* "numpy, pandas>=2 ..." */
static void say_what(struct job *job)
{
    const struct text_list *const lists[] = {&job->need.requirements, &job->need.guesses};
    char text[256] = "";
    size_t len = 0;
    for (unsigned k = 0; k < 2; k++) {
        for (size_t i = 0; i < lists[k]->count && len < sizeof text - 8; i++) {
            int n = snprintf(text + len, sizeof text - len, "%s%.64s", len == 0 ? "" : ", ",
                             lists[k]->items[i]);
            len += n > 0 ? (size_t)n : 0;
        }
    }
    say(job, PACKAGES_INFO, "resolving %s", text);
}

static void on_begin(uv_timer_t *timer)
{
    struct job *job = timer->data;
    struct err err;
    say_what(job);
    if (packages_open(job->packages, &err) != 0) {
        job_fail(job, err.text, "");
        return;
    }
    job->index_waiter = (struct index_waiter){.context = job, .done = on_index_known};
    switch (index_configure(job->packages, &job->index_waiter, &err)) {
    case 1: resolution_start(job); break;
    case 0: job->stage = JOB_INDEX; break;
    default: job_fail(job, err.text, "");
    }
}

static struct job *job_new(struct packages *packages, struct need *need,
                           const uint8_t key[SUM_BYTES])
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->packages = packages;
    memcpy(job->key, key, SUM_BYTES);
    job->need = *need;
    *need = (struct need){0};
    job->started_us = clock_monotonic_us();
    TAILQ_INIT(&job->waiters);
    buf_init(&job->log, LIMIT_INSTALL_LOG_BYTES_MAX);
    buf_init(&job->preload, LIMIT_PRELOAD_BYTES_MAX);
    (void)uv_timer_init(packages->loop, &job->timer);
    job->timer.data = job;
    job->is_listed = true;
    TAILQ_INSERT_TAIL(&packages->jobs, job, link);
    (void)uv_timer_start(&job->timer, on_begin, 0, 0);
    return job;
}

int job_join(struct packages *packages, struct need *need, const uint8_t key[SUM_BYTES],
             struct job_waiter *waiter, struct err *err)
{
    struct job *job;
    TAILQ_FOREACH(job, &packages->jobs, link)
    {
        if (job->is_listed && memcmp(job->key, key, SUM_BYTES) == 0) {
            break;
        }
    }
    if (job == NULL) {
        job = job_new(packages, need, key);
    } else if (waiter->log != NULL) {
        waiter->log(waiter->context, PACKAGES_INFO,
                    span_of("waiting for an installation of the same packages"));
    }
    if (job == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for an installation");
    }
    waiter->job = job;
    TAILQ_INSERT_TAIL(&job->waiters, waiter, link);
    return 0;
}

void job_leave(struct job_waiter *waiter)
{
    struct job *job = waiter->job;
    if (job == NULL) {
        return;
    }
    waiter->job = NULL;
    TAILQ_REMOVE(&job->waiters, waiter, link);
    if (TAILQ_EMPTY(&job->waiters) && job->stage != JOB_OVER) {
        job_end(job);
    }
}

/* ---- What is remembered ---------------------------------------------------------------------- */

static void settings_sum(struct sum *sum, const struct packages *packages)
{
    sum_add(sum, span_of(packages->store.key));
    sum_add(sum, span_of(packages->store.id));
    for (size_t i = 0; packages->index_urls[i] != NULL; i++) {
        sum_add(sum, span_of(packages->index_urls[i]));
    }
    sum_add(sum, span_of("")); /* no address is empty: here the list ends */
    index_sum(sum, packages->index);
    policy_sum(sum, packages->policy);
    sum_add(sum, span_of(packages->exclude_newer));
}

int job_key(const struct packages *packages, const struct need *need, uint8_t key[SUM_BYTES])
{
    struct sum sum;
    sum_begin(&sum);
    settings_sum(&sum, packages);
    need_sum(&sum, need);
    return sum_end(&sum, key);
}

int job_program_key(const struct packages *packages, const uint8_t hint[SUM_BYTES],
                    uint8_t key[SUM_BYTES])
{
    struct sum sum;
    sum_begin(&sum);
    settings_sum(&sum, packages);
    sum_add(&sum, (struct span){(const char *)hint, SUM_BYTES});
    return sum_end(&sum, key);
}

bool job_remembered(struct packages *packages, const struct need *need,
                    const uint8_t key[SUM_BYTES], struct environment **out, time_t *until_time)
{
    struct store_need stored;
    time_t now = time(NULL);
    const struct memo_entry *found = memo_find(packages->needs, key, now);
    if (found != NULL) {
        *out = store_environment_ref(found->environment);
        *until_time = found->until;
        return true;
    }
    if (!store_need_read(&packages->store, key, &stored)) {
        return false;
    }
    *until_time = until(packages, need, stored.time);
    if (now >= *until_time || now + (time_t)LIMIT_NEED_FRESH_S < stored.time) {
        return false;
    }
    bool is_base = strcmp(stored.id, "base") == 0;
    *out = is_base ? NULL : store_environment(&packages->store, stored.id);
    if (!is_base && *out == NULL) {
        return false;
    }
    memo_put(packages->needs, key, &(struct memo_entry){.environment = *out, .until = *until_time});
    return true;
}
