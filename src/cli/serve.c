/* vitrine stdio: the Model Context Protocol on standard input and output. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/jail_line.h"
#include "cli/parts.h"
#include "cli/progress.h"
#include "mcp/session.h"
#include "transport/stdio.h"

enum { SIGNAL_COUNT = 3 };

/*
 * The end comes in steps: the client hangs up (calls that run get LIMIT_EOF_GRACE_MS to finish,
 * from when the pool is ready and packages are installed), or SIGTERM comes (calls that run get
 * --drain-time, those that wait and new ones are refused), or another signal or a second SIGTERM
 * (they get nothing); then packages and pool end, the transport writes what waits, and we exit. A
 * client that does not read is given up after twice the grace.
 */
struct server {
    uv_loop_t loop;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t grace;
    struct pool *pool;
    struct packages *packages;
    struct progress progress; /* of what is prepared ahead */
    struct stdio *stdio;
    struct mcp_session *session;
    bool has_hung_up;
    uint64_t hung_up_us;
    uint64_t drain_ms;
    bool is_draining;
    bool is_ending;
};

static void close_rest(void *context)
{
    struct server *server = context;
    server->stdio = NULL;
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    }
    uv_close((uv_handle_t *)&server->grace, NULL);
}

static void close_transport(void *context)
{
    struct server *server = context;
    stdio_close(server->stdio, close_rest, server);
}

static void close_pool(void *context)
{
    struct server *server = context;
    pool_close(server->pool, close_transport, server);
}

static void give_up(uv_timer_t *timer)
{
    (void)timer;
    log_warning("the client does not read: what waited for it is lost");
    _exit(0);
}

static void begin_end(struct server *server)
{
    if (server->is_ending) {
        return;
    }
    server->is_ending = true;
    mcp_session_cancel_all(server->session);
    uv_timer_start(&server->grace, give_up, 2 * LIMIT_EOF_GRACE_MS, 0);
    packages_close(server->packages, close_pool, server);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t waited_ms = (clock_monotonic_us() - server->hung_up_us) / 1000;
    if (server->has_hung_up && waited_ms < LIMIT_INSTALL_GRACE_MS &&
        mcp_session_is_installing(server->session)) {
        uv_timer_start(timer, on_grace_over, LIMIT_EOF_GRACE_MS, 0);
        return;
    }
    begin_end(server);
}

/* What still runs is ended, and answered. */
static void on_drain_over(uv_timer_t *timer)
{
    struct server *server = timer->data;
    log_warning("%u programs still ran when the time to finish was over",
                mcp_session_running(server->session));
    mcp_session_stop_all(server->session);
    uv_timer_start(timer, on_grace_over, LIMIT_EOF_GRACE_MS, 0);
}

static void begin_drain(struct server *server)
{
    server->is_draining = true;
    packages_drain(server->packages);
    uint64_t ms = mcp_session_running(server->session) > 0 ? server->drain_ms : 0;
    uv_timer_start(&server->grace, ms > 0 ? on_drain_over : on_grace_over, ms, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (number == SIGTERM && !server->is_draining && !server->has_hung_up) {
        begin_drain(server);
    } else {
        begin_end(server);
    }
}

static void on_message(void *context, struct span line)
{
    struct server *server = context;
    if (!server->is_ending) {
        mcp_session_receive(server->session, line);
    }
}

static void on_oversized(void *context)
{
    struct server *server = context;
    mcp_session_refuse_oversized(server->session);
}

static void on_ended(void *context, bool has_failed)
{
    struct server *server = context;
    server->has_hung_up = true;
    server->hung_up_us = has_failed ? 0 : clock_monotonic_us(); /* 0: long ago */
    if (server->is_ending) {
        return;
    }
    uint64_t grace_ms = LIMIT_EOF_GRACE_MS;
    if (has_failed || mcp_session_running(server->session) == 0) {
        grace_ms = 0;
    } else if (!pool_info(server->pool).ready) {
        grace_ms = LIMIT_START_GRACE_MS;
    }
    uv_timer_start(&server->grace, on_grace_over, grace_ms, 0);
}

static void on_idle(void *context)
{
    struct server *server = context;
    if ((server->has_hung_up || server->is_draining) && !server->is_ending) {
        /* By the timer, because this is said from inside the pool. */
        uv_timer_start(&server->grace, on_grace_over, 0, 0);
    }
}

static void send_message(void *context, struct buf *message)
{
    struct server *server = context;
    stdio_send(server->stdio, message);
}

static bool is_congested(void *context)
{
    struct server *server = context;
    return stdio_is_congested(server->stdio);
}

/* A program whose answer nobody reads would only fill this process's memory. */
static void on_congested(void *context, bool is_congested)
{
    struct server *server = context;
    pool_hold(server->pool, is_congested);
}

static void on_ready(void *context, const struct err *err)
{
    struct server *server = context;
    if (err != NULL && err->code != ERR_NONE) {
        log_error("%s", err->text); /* calls are answered with it; the client may still ask */
    } else {
        struct pool_info info = pool_info(server->pool);
        jail_line_say(&info.jail, true);
        log_info("Python %s is ready after %llu ms", info.python_version,
                 (unsigned long long)info.boot_us / 1000);
    }
    if (server->has_hung_up && !server->is_ending && mcp_session_running(server->session) > 0) {
        uv_timer_start(&server->grace, on_grace_over, LIMIT_EOF_GRACE_MS, 0);
    }
}

static void on_prepare_log(void *context, enum packages_level level, struct span line)
{
    struct server *server = context;
    progress_log(&server->progress, level, line);
}

static void on_prepared(void *context, const struct outcome *outcome)
{
    struct server *server = context;
    if (outcome->status == OUTCOME_SUCCESS) {
        progress_log(&server->progress, PACKAGES_INFO, span_of("the packages of --deps are ready"));
    } else if (outcome->status != OUTCOME_CANCELLED) {
        if (!progress_has_said(&server->progress, outcome->error_message)) {
            progress_log(&server->progress, PACKAGES_WARNING, result_error_text(outcome));
        }
    }
}

/* What every program gets is made ready now rather than in the first call. When that fails, the
 * calls say so. */
static void prepare(struct server *server, const struct options *options)
{
    struct packages_events events = {.context = server, .log = on_prepare_log, .done = on_prepared};
    struct packages_run *run;
    struct err err;
    progress_init(&server->progress, options);
    server->progress.fd = -1; /* a log, even on a terminal: there is no end to it */
    if (options->dependencies.count > 0 &&
        packages_prepare(server->packages, NULL, &events, &run, &err) != 0) {
        log_warning("%s", err.text);
    }
}

static void watch_signals(struct server *server)
{
    static const int numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGHUP};
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&server->loop, &server->grace);
    server->grace.data = server;
}

static int start_pool(struct server *server, const struct options *options, struct err *err)
{
    static struct parts parts; /* the packages go on using its paths */
    if (parts_find(options, &parts, err) != 0) {
        return -1;
    }
    struct pool_config config = {.cell_path = parts.cell_path,
                                 .guest_dir = parts.guest_dir,
                                 .spare_cells = (unsigned)options->spare_cells,
                                 .cells_max = (unsigned)options->cells_max,
                                 .client_cells_max = (unsigned)options->client_cells,
                                 .client_queue_max = (unsigned)options->client_queue,
                                 .warm = true,
                                 .spare_bytes_max = options->spare_bytes,
                                 .zygote_forks_max = options->zygote_forks,
                                 .memory_bytes_max = parts_memory_bytes_max(options),
                                 .require_jail = (enum pool_jail_level)options->require_jail,
                                 .cgroup = parts_cgroup(options),
                                 .cgroup_memory_bytes = options->total_memory_bytes,
                                 .environment_memory_bytes = options->environment_memory_bytes};
    if (pool_new(&server->loop, &config, &server->pool, err) != 0) {
        return -1;
    }
    pool_on_ready(server->pool, on_ready, server);
    struct packages_config packages = parts_packages_config(options, &parts, server->pool);
    return packages_new(&server->loop, &packages, &server->packages, err);
}

static int start(struct server *server, const struct options *options, struct err *err)
{
    struct mcp_events events = {
        .context = server, .send = send_message, .is_congested = is_congested, .idle = on_idle};
    struct stdio_events transport = {.context = server,
                                     .message = on_message,
                                     .oversized = on_oversized,
                                     .congested = on_congested,
                                     .ended = on_ended};
    if (start_pool(server, options, err) != 0) {
        return -1;
    }
    struct mcp_config config = {.loop = &server->loop,
                                .packages = server->packages,
                                .installs = !options->no_install,
                                .limits = options->limits,
                                .return_mode = (enum result_mode)options->return_mode};
    server->drain_ms = options->drain_ms;
    server->session = mcp_session_new(&config, &events);
    if (server->session == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    return stdio_open(&server->loop, STDIN_FILENO, STDOUT_FILENO, &transport, &server->stdio, err);
}

int command_stdio(const struct options *options)
{
    static struct server server;
    struct err err;
    uv_loop_init(&server.loop);
    if (start(&server, options, &err) != 0) {
        log_error("%s", err.text);
        return EXIT_OURS;
    }
    watch_signals(&server);
    prepare(&server, options);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    mcp_session_free(server.session);
    uv_loop_close(&server.loop);
    return 0;
}
