/* Life, and runs: what a program goes through from its request to its outcome. */
#include "packages/packages.h"

#include <stdlib.h>

#include "base/limits.h"

struct packages {
    uv_loop_t *loop;
    struct pool *pool;
    uv_timer_t soon; /* what must not happen inside a call of the user */
    void (*on_closed)(void *context);
    void *on_closed_context;
};

struct packages_run {
    struct packages *packages;
    struct packages_events events;
    struct pool_run *current;
};

int packages_new(uv_loop_t *loop, const struct packages_config *config, struct packages **out,
                 struct err *err)
{
    struct packages *packages = calloc(1, sizeof *packages);
    if (packages == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for packages");
    }
    packages->loop = loop;
    packages->pool = config->pool;
    (void)uv_timer_init(loop, &packages->soon);
    uv_unref((uv_handle_t *)&packages->soon);
    packages->soon.data = packages;
    *out = packages;
    return 0;
}

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    struct packages_run *run = context;
    run->events.output(run->events.context, stream, bytes);
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct packages_run *run = context;
    run->events.done(run->events.context, outcome);
    free(run);
}

int packages_run(struct packages *packages, const struct run_request *request,
                 const struct packages_events *events, struct packages_run **out, struct err *err)
{
    struct packages_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a run");
    }
    run->packages = packages;
    run->events = *events;
    struct run_events pool_events = {
        .context = run,
        .output = events->output != NULL ? on_output : NULL,
        .done = on_done,
    };
    if (pool_run(packages->pool, request, &pool_events, &run->current, err) != 0) {
        free(run);
        return -1;
    }
    *out = run;
    return 0;
}

void packages_run_cancel(struct packages_run *run)
{
    pool_run_cancel(run->current);
}

int packages_prepare(struct packages *packages, const char *const *requirements,
                     const struct packages_events *events, struct packages_run **out,
                     struct err *err)
{
    (void)packages;
    (void)requirements;
    (void)events;
    (void)out;
    return err_set(err, ERR_USAGE, "no packages can be installed yet");
}

int packages_prepare_all(struct packages *packages, const struct packages_events *events,
                         struct packages_run **out, struct err *err)
{
    return packages_prepare(packages, NULL, events, out, err);
}

static void on_soon_closed(uv_handle_t *handle)
{
    struct packages *packages = handle->data;
    void (*on_closed)(void *) = packages->on_closed;
    void *context = packages->on_closed_context;
    free(packages);
    on_closed(context);
}

void packages_close(struct packages *packages, void (*closed)(void *context), void *context)
{
    packages->on_closed = closed;
    packages->on_closed_context = context;
    uv_close((uv_handle_t *)&packages->soon, on_soon_closed);
}
