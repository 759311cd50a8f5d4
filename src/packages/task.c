#include "packages/task.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

struct task {
    struct packages *packages;
    struct pool_run *run;
    struct task_events events;
    bool is_cancelled;
};

static void on_fetch(void *context, struct pool_run *run, struct span question)
{
    struct task *task = context;
    if (task->is_cancelled || task->events.fetch == NULL) {
        pool_run_fetched(run, WIRE_FETCH_REFUSED, span_of("nobody waits for this any more"));
        return;
    }
    task->run = run;
    task->events.fetch(task->events.context, question);
}

/* What a person should read when our own program did not come to its end. */
static void explain(const struct outcome *outcome, struct err *err)
{
    struct span message = outcome->error_message;
    int len = (int)(message.len < 300 ? message.len : 300);
    if (outcome->status == OUTCOME_LIMIT && (outcome->limits & WIRE_LIMIT_TIME) != 0) {
        (void)err_set(err, ERR_LIMIT, "the resolution took longer than %llu s",
                      LIMIT_RESOLVE_MS / 1000);
    } else if (outcome->status == OUTCOME_RUN_ERROR) {
        (void)err_set(err, ERR_FORMAT, "the resolver failed: %.*s: %.*s",
                      (int)(outcome->error_type.len < 80 ? outcome->error_type.len : 80),
                      outcome->error_type.base, len, message.base);
    } else {
        (void)err_set(err, ERR_FORMAT, "the resolver ended early (%s): %.*s",
                      outcome_status_name(outcome->status), len, message.base);
    }
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct task *task = context;
    struct packages *packages = task->packages;
    struct task_events events = task->events;
    bool is_cancelled = task->is_cancelled;
    struct err err;
    free(task);
    packages->task_count--;
    if (!is_cancelled) {
        if (outcome->status == OUTCOME_SUCCESS && outcome->value_note.len == 0) {
            events.done(events.context, outcome->value_json, NULL);
        } else {
            if (outcome->status == OUTCOME_SUCCESS) {
                (void)err_set(&err, ERR_FORMAT, "the resolver's answer is not JSON");
            } else {
                explain(outcome, &err);
            }
            events.done(events.context, (struct span){0}, &err);
        }
    }
    packages_part_freed(packages);
}

struct task *task_start(struct packages *packages, const char *code, struct span globals_json,
                        const struct task_events *events, struct err *err)
{
    char dir[PATH_MAX];
    int len = snprintf(dir, sizeof dir, "%s/resolver", packages->store.guest_dir);
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL || len < 0 || (size_t)len >= sizeof dir) {
        free(task);
        (void)err_set(err, ERR_MEMORY, "no memory for the resolver");
        return NULL;
    }
    task->packages = packages;
    task->events = *events;
    struct pool_environment environment = {.id = "resolver", .dir = dir};
    struct run_request request = {
        .code = span_of(code),
        .filename = "<resolver>",
        .globals_json = globals_json,
        .want_value = true,
        .limits = run_limits_default(),
        .environment = &environment,
        .may_fetch = events->fetch != NULL,
        .client = POOL_CLIENT_OWN,
    };
    request.limits.wall_ms = LIMIT_RESOLVE_MS;
    request.limits.result_bytes = LIMIT_PLAN_BYTES_MAX;
    struct run_events run_events = {
        .context = task, .fetch = events->fetch != NULL ? on_fetch : NULL, .done = on_done};
    if (pool_run(packages->pool, &request, &run_events, &task->run, err) != 0) {
        free(task);
        (void)err_prefix(err, "the resolver cannot run");
        return NULL;
    }
    packages->task_count++;
    return task;
}

void task_fetched(struct task *task, enum wire_fetch_status status, struct span bytes)
{
    pool_run_fetched(task->run, (uint32_t)status, bytes);
}

void task_cancel(struct task *task)
{
    task->is_cancelled = true;
    pool_run_cancel(task->run);
}
