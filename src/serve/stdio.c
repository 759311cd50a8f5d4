/* The Model Context Protocol on standard input and output: one client, one conversation. */
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "mcp/session.h"
#include "serve/core.h"
#include "transport/stdio.h"

/*
 * The client may hang up: calls that run get LIMIT_EOF_GRACE_MS to finish, from when the pool is
 * ready and packages are installed.
 */
struct server {
    struct serve_core core;
    struct stdio *stdio;
    struct mcp_server *mcp;
    struct mcp_session *session;
    bool has_hung_up;
    uint64_t hung_up_us;
};

static void on_closed(void *context)
{
    struct server *server = context;
    server->stdio = NULL;
    serve_core_closed(&server->core);
}

static void close_transport(void *context)
{
    struct server *server = context;
    stdio_close(server->stdio, on_closed, server);
}

static bool is_patient(void *context)
{
    struct server *server = context;
    uint64_t waited_ms = (clock_monotonic_us() - server->hung_up_us) / 1000;
    return server->has_hung_up && waited_ms < LIMIT_INSTALL_GRACE_MS &&
           mcp_session_is_installing(server->session);
}

static unsigned running(void *context)
{
    const struct server *server = context;
    return mcp_session_running(server->session);
}

static void stop_all(void *context)
{
    struct server *server = context;
    mcp_session_stop_all(server->session);
}

static void cancel_all(void *context)
{
    struct server *server = context;
    mcp_session_cancel_all(server->session);
}

static void on_ready(void *context)
{
    struct server *server = context;
    if (server->has_hung_up && mcp_session_running(server->session) > 0) {
        serve_core_end_after(&server->core, LIMIT_EOF_GRACE_MS);
    }
}

static void on_message(void *context, struct span line)
{
    struct server *server = context;
    if (!server->core.is_ending) {
        mcp_session_receive(server->session, line, NULL);
    }
}

static void on_oversized(void *context)
{
    struct server *server = context;
    mcp_session_refuse_oversized(server->session, NULL);
}

static void on_ended(void *context, bool has_failed)
{
    struct server *server = context;
    server->has_hung_up = true;
    server->hung_up_us = has_failed ? 0 : clock_monotonic_us(); /* 0: long ago */
    uint64_t grace_ms = LIMIT_EOF_GRACE_MS;
    if (has_failed || mcp_session_running(server->session) == 0) {
        grace_ms = 0;
    } else if (!pool_info(server->core.pool).ready) {
        grace_ms = LIMIT_START_GRACE_MS;
    }
    serve_core_end_after(&server->core, grace_ms);
}

static void on_idle(void *context)
{
    struct server *server = context;
    if (server->has_hung_up) {
        serve_core_end_after(&server->core, 0); /* by the timer: said from inside the pool */
    }
    serve_core_idle(&server->core);
}

static void send_message(void *context, const struct mcp_message *about, struct buf *message)
{
    struct server *server = context;
    (void)about;
    stdio_send(server->stdio, message);
}

static bool is_congested(void *context, void *route)
{
    struct server *server = context;
    (void)route;
    return stdio_is_congested(server->stdio);
}

/* A program whose answer nobody reads would only fill this process's memory. */
static void on_congested(void *context, bool is_congested)
{
    struct server *server = context;
    pool_hold(server->core.pool, is_congested);
}

static int start(struct server *server, const struct serve_config *config, struct err *err)
{
    struct serve_events serve = {.context = server,
                                 .ready = on_ready,
                                 .is_patient = is_patient,
                                 .running = running,
                                 .stop_all = stop_all,
                                 .cancel_all = cancel_all,
                                 .close = close_transport};
    struct mcp_events events = {
        .context = server, .send = send_message, .is_congested = is_congested, .idle = on_idle};
    struct stdio_events transport = {.context = server,
                                     .message = on_message,
                                     .oversized = on_oversized,
                                     .congested = on_congested,
                                     .ended = on_ended};
    if (serve_core_start(&server->core, config, &serve, err) != 0) {
        return -1;
    }
    struct mcp_config mcp = {.loop = &server->core.loop,
                             .packages = server->core.packages,
                             .installs = config->packages.installs,
                             .is_offline = config->packages.is_offline,
                             .has_allow_list = config->packages.allow_file != NULL,
                             .approves = config->approves,
                             .sessions = config->has_sessions ? server->core.pool : NULL,
                             .session_dir = config->session_dir,
                             .session_idle_ms = config->python_session_idle_ms,
                             .session_life_ms = config->python_session_life_ms,
                             .dependencies = config->packages.dependencies,
                             .mounts = config->pool.mounts,
                             .mount_count = config->pool.mount_count,
                             .limits = config->limits,
                             .return_mode = config->return_mode,
                             .register_more = config->register_more,
                             .register_context = config->register_context};
    if (mcp_server_new(&mcp, &server->mcp, err) != 0) {
        return -1;
    }
    struct mcp_client client = {.number = 0};
    server->session = mcp_session_new(server->mcp, &client, &events);
    if (server->session == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    return stdio_open(&server->core.loop, STDIN_FILENO, STDOUT_FILENO, &transport, &server->stdio,
                      err);
}

int serve_stdio(const struct serve_config *config, struct err *err)
{
    static struct server server;
    if (start(&server, config, err) != 0) {
        return -1;
    }
    int failed = serve_core_run(&server.core, err);
    mcp_session_free(server.session);
    mcp_server_free(server.mcp);
    uv_loop_close(&server.core.loop);
    return failed;
}
