#include "serve/core.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "pool/jail_line.h"

void serve_core_closed(struct serve_core *core)
{
    for (unsigned i = 0; i < SERVE_SIGNAL_COUNT; i++) {
        uv_close((uv_handle_t *)&core->signals[i], NULL);
    }
    uv_close((uv_handle_t *)&core->grace, NULL);
}

static void close_transport(void *context)
{
    struct serve_core *core = context;
    core->events.close(core->events.context);
}

static void close_pool(void *context)
{
    struct serve_core *core = context;
    pool_close(core->pool, close_transport, core);
}

static void give_up(uv_timer_t *timer)
{
    (void)timer;
    log_warning("the client does not read: what waited for it is lost");
    _exit(0);
}

static void begin_end(struct serve_core *core)
{
    if (core->is_ending) {
        return;
    }
    core->is_ending = true;
    core->events.cancel_all(core->events.context);
    uv_timer_start(&core->grace, give_up, 2 * LIMIT_EOF_GRACE_MS, 0);
    packages_close(core->packages, close_pool, core);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct serve_core *core = timer->data;
    if (core->events.is_patient != NULL && core->events.is_patient(core->events.context)) {
        uv_timer_start(timer, on_grace_over, LIMIT_EOF_GRACE_MS, 0);
        return;
    }
    if (core->is_draining && !core->is_ending) {
        core->events.stop_all(core->events.context); /* what is no program is answered too */
    }
    begin_end(core);
}

void serve_core_end_after(struct serve_core *core, uint64_t grace_ms)
{
    if (!core->is_ending) {
        uv_timer_start(&core->grace, on_grace_over, grace_ms, 0);
    }
}

void serve_core_idle(struct serve_core *core)
{
    if (core->is_draining) {
        serve_core_end_after(core, 0); /* by the timer: this is said from inside the pool */
    }
}

/* What still runs is ended, and answered. */
static void on_drain_over(uv_timer_t *timer)
{
    struct serve_core *core = timer->data;
    log_warning("%u programs still ran when the time to finish was over",
                core->events.running(core->events.context));
    core->events.stop_all(core->events.context);
    uv_timer_start(timer, on_grace_over, LIMIT_EOF_GRACE_MS, 0);
}

static void begin_drain(struct serve_core *core)
{
    core->is_draining = true;
    packages_drain(core->packages);
    uint64_t ms = core->events.running(core->events.context) > 0 ? core->config->drain_ms : 0;
    uv_timer_start(&core->grace, ms > 0 ? on_drain_over : on_grace_over, ms, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct serve_core *core = handle->data;
    if (number == SIGTERM && !core->is_draining && !uv_is_active((uv_handle_t *)&core->grace)) {
        begin_drain(core);
    } else {
        begin_end(core);
    }
}

static void watch_signals(struct serve_core *core)
{
    static const int numbers[SERVE_SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGHUP};
    for (unsigned i = 0; i < SERVE_SIGNAL_COUNT; i++) {
        uv_signal_init(&core->loop, &core->signals[i]);
        core->signals[i].data = core;
        uv_signal_start(&core->signals[i], on_signal, numbers[i]);
    }
}

static void on_ready(void *context, const struct err *err)
{
    struct serve_core *core = context;
    bool has_failed = err != NULL && err->code != ERR_NONE;
    if (has_failed && core->events.needs_pool) {
        core->failure = *err;
        serve_core_end_after(core, 0);
    } else if (has_failed) {
        log_error("%s", err->text); /* calls are answered with it; the client may still ask */
    } else {
        struct pool_info info = pool_info(core->pool);
        jail_line_say(&info.jail, true);
        log_info("Python %s is ready after %llu ms", info.python_version,
                 (unsigned long long)info.boot_us / 1000);
    }
    if (core->events.ready != NULL) {
        core->events.ready(core->events.context);
    }
}

static void on_prepare_log(void *context, enum packages_level level, struct span line)
{
    struct serve_core *core = context;
    int len =
        line.len > LIMIT_INSTALL_LINE_BYTES_MAX ? (int)LIMIT_INSTALL_LINE_BYTES_MAX : (int)line.len;
    if (level == PACKAGES_WARNING) {
        log_warning("%.*s", len, line.base);
        snprintf(core->last_warning, sizeof core->last_warning, "%.*s", len, line.base);
    } else {
        log_info("%.*s", len, line.base);
    }
}

static void on_prepared(void *context, const struct outcome *outcome)
{
    struct serve_core *core = context;
    if (outcome->status == OUTCOME_SUCCESS) {
        log_info("the packages of --deps are ready");
    } else if (outcome->status != OUTCOME_CANCELLED &&
               !span_equal(span_of(core->last_warning), outcome->error_message)) {
        on_prepare_log(core, PACKAGES_WARNING, result_error_text(outcome));
    }
}

/* What every program gets is made ready now rather than in the first call. When that fails, the
 * calls say so. */
static void prepare(struct serve_core *core)
{
    struct packages_events events = {.context = core, .log = on_prepare_log, .done = on_prepared};
    struct packages_run *run;
    struct err err;
    if (core->config->packages.dependencies != NULL &&
        packages_prepare(core->packages, NULL, &events, &run, &err) != 0) {
        log_warning("%s", err.text);
    }
}

int serve_core_start(struct serve_core *core, const struct serve_config *config,
                     const struct serve_events *events, struct err *err)
{
    core->config = config;
    core->events = *events;
    uv_loop_init(&core->loop);
    uv_timer_init(&core->loop, &core->grace);
    core->grace.data = core;
    watch_signals(core); /* before anybody is told where we are */
    if (pool_new(&core->loop, &config->pool, &core->pool, err) != 0) {
        return -1;
    }
    pool_on_ready(core->pool, on_ready, core);
    struct packages_config packages = config->packages;
    packages.pool = core->pool;
    return packages_new(&core->loop, &packages, &core->packages, err);
}

int serve_core_run(struct serve_core *core, struct err *err)
{
    prepare(core);
    uv_run(&core->loop, UV_RUN_DEFAULT);
    if (core->failure.code != ERR_NONE) {
        *err = core->failure;
        return -1;
    }
    return 0;
}
