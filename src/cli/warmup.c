/* vitrine warmup: packages into the cache ahead of need, one environment after another. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/first_needs.h"
#include "cli/parts.h"
#include "cli/progress.h"
#include "result/render.h"

enum { SIGNAL_COUNT = 3, NAMES_BYTES_MAX = 1 << 20 };

enum task_kind {
    TASK_ALL,   /* every package of the distribution */
    TASK_DEPS,  /* what --deps names, in one environment */
    TASK_FIRST, /* one of the first needs */
};

struct task {
    enum task_kind kind;
    const char *const *requirements; /* NULL-terminated; NULL for TASK_ALL */
};

enum { TASKS_MAX = 16 };

struct warmup {
    const struct options *options;
    uv_loop_t loop;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_idle_t next; /* starts the next task from the loop, not from inside the packages */
    struct pool *pool;
    struct packages *packages;
    struct packages_run *current;
    struct progress progress;
    struct task tasks[TASKS_MAX];
    unsigned task_count;
    unsigned task_index;
    unsigned environment_count; /* made */
    unsigned failed_count;
    struct buf names; /* of the packages that are ready: "\nNAME==VERSION\n", each once */
    unsigned package_count;
    char last_line[160]; /* of the log: with --all it is the sum */
    int exit_status;
};

/* "matplotlib, numpy, pandas" */
static void describe(const struct task *task, char *out, size_t size)
{
    if (task->kind == TASK_ALL) {
        snprintf(out, size, "all packages");
        return;
    }
    size_t len = 0;
    *out = '\0';
    for (size_t i = 0; task->requirements[i] != NULL && len < size; i++) {
        int added =
            snprintf(out + len, size - len, "%s%s", i == 0 ? "" : ", ", task->requirements[i]);
        len += added > 0 ? (size_t)added : 0;
    }
}

static void count_packages(struct warmup *warmup, const struct outcome *outcome)
{
    for (size_t i = 0; i < outcome->package_count; i++) {
        char name[512];
        int len = snprintf(name, sizeof name, "\n%s==%s\n", outcome->packages[i].name,
                           outcome->packages[i].version);
        if (len < 0 || (size_t)len >= sizeof name ||
            (warmup->names.len > 0 &&
             memmem(warmup->names.base, warmup->names.len, name, (size_t)len) != NULL)) {
            continue;
        }
        if (buf_append(&warmup->names, name, (size_t)len) == 0) {
            warmup->package_count++;
        }
    }
}

static void print_line(struct warmup *warmup, const char *line)
{
    progress_clear(&warmup->progress);
    if (warmup->options->verbosity >= 0 && (puts(line) < 0 || fflush(stdout) != 0)) {
        warmup->exit_status = EXIT_UNREAD;
    }
}

/* Takes the first line off *rest; false when there is none. */
static bool next_line(struct span *rest, struct span *line)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->base, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->base);
    size_t used = end == NULL ? len : len + 1;
    *line = (struct span){rest->base, len};
    *rest = (struct span){rest->base + used, rest->len - used};
    return used > 0;
}

/* Why, and what can be done; both may quote a package. */
static void tell_failure(struct warmup *warmup, const char *what, const struct outcome *outcome)
{
    struct span rest = result_error_text(outcome);
    struct span line;
    progress_clear(&warmup->progress);
    log_error("%s: not prepared", what);
    while (next_line(&rest, &line)) {
        if (progress_has_said(&warmup->progress, line)) {
            continue;
        }
        cleanup_buf struct buf text;
        buf_init(&text, 64 * KIB);
        if (progress_append_line(&text, line, ERR_TEXT_MAX) == 0) {
            log_error("  %.*s", (int)text.len, text.base);
        }
    }
}

static void on_log(void *context, enum packages_level level, struct span line)
{
    struct warmup *warmup = context;
    if (level == PACKAGES_INFO) {
        int len = line.len < sizeof warmup->last_line ? (int)line.len : 0;
        snprintf(warmup->last_line, sizeof warmup->last_line, "%.*s", len, line.base);
    }
    progress_log(&warmup->progress, level, line);
}

static void on_closed(void *context)
{
    struct warmup *warmup = context;
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_close((uv_handle_t *)&warmup->signals[i], NULL);
    }
    uv_close((uv_handle_t *)&warmup->next, NULL);
}

static void close_pool(void *context)
{
    struct warmup *warmup = context;
    pool_close(warmup->pool, on_closed, warmup);
}

static void finish(struct warmup *warmup)
{
    char line[240];
    bool is_all = warmup->tasks[warmup->task_count - 1].kind == TASK_ALL;
    if (warmup->exit_status == 0 && warmup->failed_count > 0) {
        warmup->exit_status = 1;
        log_error("%u of %u could not be prepared", warmup->failed_count, warmup->task_count);
    } else if (warmup->exit_status == 0 && is_all) {
        snprintf(line, sizeof line, "Cache is warm: %s", warmup->last_line);
        print_line(warmup, line);
    } else if (warmup->exit_status == 0) {
        snprintf(line, sizeof line, "Cache is warm: %u package%s, %u environment%s",
                 warmup->package_count, warmup->package_count == 1 ? "" : "s",
                 warmup->environment_count, warmup->environment_count == 1 ? "" : "s");
        print_line(warmup, line);
    }
    packages_close(warmup->packages, close_pool, warmup);
}

static void on_next(uv_idle_t *idle);

static void on_done(void *context, const struct outcome *outcome)
{
    struct warmup *warmup = context;
    const struct task *task = &warmup->tasks[warmup->task_index++];
    char what[256];
    char line[480];
    describe(task, what, sizeof what);
    warmup->current = NULL;
    if (outcome->status == OUTCOME_CANCELLED) {
        warmup->task_index = warmup->task_count;
    } else if (outcome->status == OUTCOME_SUCCESS) {
        warmup->environment_count += task->kind == TASK_ALL ? 0 : 1;
        count_packages(warmup, outcome);
        if (task->kind != TASK_ALL || warmup->task_count > 1) {
            snprintf(line, sizeof line, "%s: %s", what,
                     task->kind == TASK_ALL ? warmup->last_line : "ready");
            print_line(warmup, line);
        }
    } else {
        warmup->failed_count++;
        count_packages(warmup, outcome);
        tell_failure(warmup, what, outcome);
    }
    uv_idle_start(&warmup->next, on_next);
}

/* What --deps names are the packages' own requirements, as every program gets them. */
static int start_task(struct warmup *warmup, const struct task *task, struct err *err)
{
    struct packages_events events = {.context = warmup, .log = on_log, .done = on_done};
    if (task->kind == TASK_ALL) {
        return packages_prepare_all(warmup->packages, &events, &warmup->current, err);
    }
    const char *const *requirements = task->kind == TASK_DEPS ? NULL : task->requirements;
    return packages_prepare(warmup->packages, requirements, &events, &warmup->current, err);
}

static void on_next(uv_idle_t *idle)
{
    struct warmup *warmup = idle->data;
    struct err err;
    uv_idle_stop(idle);
    if (warmup->task_index == warmup->task_count) {
        finish(warmup);
        return;
    }
    if (start_task(warmup, &warmup->tasks[warmup->task_index], &err) != 0) {
        log_error("%s", err.text);
        warmup->exit_status = EXIT_OURS;
        finish(warmup);
    }
}

/* The first signal ends what is under way in order; the second does not wait for it. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct warmup *warmup = handle->data;
    bool is_first = warmup->exit_status == 0;
    warmup->exit_status = number == SIGINT ? EXIT_INTERRUPTED : 128 + number;
    progress_clear(&warmup->progress);
    if (!is_first) {
        _exit(warmup->exit_status);
    }
    if (warmup->current != NULL) {
        packages_run_cancel(warmup->current);
    }
}

static void watch(struct warmup *warmup)
{
    static const int numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGHUP};
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&warmup->loop, &warmup->signals[i]);
        warmup->signals[i].data = warmup;
        uv_signal_start(&warmup->signals[i], on_signal, numbers[i]);
    }
    uv_idle_init(&warmup->loop, &warmup->next);
    warmup->next.data = warmup;
    uv_idle_start(&warmup->next, on_next);
}

static void plan(struct warmup *warmup)
{
    const struct options *options = warmup->options;
    struct task *tasks = warmup->tasks;
    if (options->all) {
        tasks[warmup->task_count++] = (struct task){.kind = TASK_ALL};
    }
    if (options->dependencies.count > 0) {
        tasks[warmup->task_count++] =
            (struct task){.kind = TASK_DEPS, .requirements = options->dependencies.items};
    }
    if (warmup->task_count > 0) {
        return;
    }
    for (size_t i = 0; i < first_need_count && warmup->task_count < TASKS_MAX; i++) {
        tasks[warmup->task_count++] =
            (struct task){.kind = TASK_FIRST, .requirements = first_needs[i].requirements};
    }
}

static int start(struct warmup *warmup, struct err *err)
{
    static struct parts parts; /* the packages go on using its paths */
    const struct options *options = warmup->options;
    if (parts_find(options, &parts, err) != 0) {
        return -1;
    }
    struct pool_config config = {.cell_path = parts.cell_path,
                                 .guest_dir = parts.guest_dir,
                                 .cells_max = 1,
                                 .require_jail = (enum pool_jail_level)options->require_jail,
                                 .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT};
    if (pool_new(&warmup->loop, &config, &warmup->pool, err) != 0) {
        return -1;
    }
    struct packages_config packages = parts_packages_config(options, &parts, warmup->pool);
    return packages_new(&warmup->loop, &packages, &warmup->packages, err);
}

int command_warmup(const struct options *options)
{
    static struct warmup warmup;
    struct err err;
    warmup = (struct warmup){.options = options};
    buf_init(&warmup.names, NAMES_BYTES_MAX);
    progress_init(&warmup.progress, options);
    if (options->verbosity == 0) {
        log_set_level(LOG_LEVEL_INFO); /* it is long, and nothing else is said */
    }
    plan(&warmup);
    uv_loop_init(&warmup.loop);
    if (start(&warmup, &err) != 0) {
        log_error("%s", err.text);
        return EXIT_OURS;
    }
    watch(&warmup);
    uv_run(&warmup.loop, UV_RUN_DEFAULT);
    uv_loop_close(&warmup.loop);
    buf_free(&warmup.names);
    return warmup.exit_status;
}
