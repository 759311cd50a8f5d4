#include "serve_fixture.h"
#include "pool/durable.h"
#include "pool/session.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct http_serve fixture_serve;
struct serve_config fixture_config;
bool fixture_is_ready;

void fixture_init(void)
{
    fixture_is_ready = true;
    fixture_config =
        (struct serve_config){.limits = run_limits_default(),
                              .packages = {.installs = true},
                              .http = {.host = "127.0.0.1",
                                       .path = "/mcp",
                                       .session_idle_ms = LIMIT_SESSION_IDLE_MS_DEFAULT,
                                       .sessions_max = LIMIT_SESSIONS_DEFAULT,
                                       .client_sessions_max = LIMIT_CLIENT_SESSIONS_DEFAULT,
                                       .has_metrics = true}};
}

void fixture_open(void)
{
    struct err err;
    memset(&fixture_serve, 0, sizeof fixture_serve);
    uv_loop_init(&fixture_serve.core.loop);
    uv_timer_init(&fixture_serve.core.loop, &fixture_serve.core.grace);
    fixture_serve.core.config = &fixture_config;
    fixture_serve.core.packages = fake_packages_reset();
    assert(http_serve_open(&fixture_serve, &fixture_config, &err) == 0);
}

void fixture_close(void)
{
    for (unsigned i = 0; i < fake_run_count; i++) {
        if (!fake_runs[i].done) {
            struct outcome outcome = {.status = OUTCOME_CANCELLED};
            fake_end(i, &outcome);
        }
    }
    sessions_close_all(&fixture_serve.sessions);
    uv_close((uv_handle_t *)&fixture_serve.tick, NULL);
    uv_close((uv_handle_t *)&fixture_serve.core.grace, NULL);
    uv_run(&fixture_serve.core.loop, UV_RUN_DEFAULT);
    mcp_server_free(fixture_serve.mcp);
    assert(uv_loop_close(&fixture_serve.core.loop) == 0);
    fake_http_reset();
}

/* ---- pool/pool.h ----------------------------------------------------------------------------- */

int pool_new(uv_loop_t *loop, const struct pool_config *config, struct pool **out, struct err *err)
{
    (void)loop;
    (void)config;
    (void)out;
    return err_set(err, ERR_USAGE, "there is no pool here");
}

void pool_on_ready(struct pool *pool, void (*ready)(void *context, const struct err *err),
                   void *context)
{
    (void)pool;
    (void)ready;
    (void)context;
}

void pool_close(struct pool *pool, void (*closed)(void *context), void *context)
{
    (void)pool;
    closed(context);
}

struct pool_info pool_info(const struct pool *pool)
{
    (void)pool;
    struct pool_info info = {.ready = fixture_is_ready};
    snprintf(info.python_version, sizeof info.python_version, "3.14.0");
    return info;
}

struct pool_counts pool_counts(const struct pool *pool)
{
    (void)pool;
    return (struct pool_counts){.running = 2, .spares = 5};
}

/* ---- packages/packages.h, what is not in fake_packages.c ------------------------------------- */

const uint64_t packages_duration_ms[PACKAGES_DURATIONS] = {1,   2,   5,    10,   25,    50,
                                                           100, 250, 1000, 5000, 15000, 60000};

int packages_new(uv_loop_t *loop, const struct packages_config *config, struct packages **out,
                 struct err *err)
{
    (void)loop;
    (void)config;
    (void)out;
    return err_set(err, ERR_USAGE, "there are no packages here");
}

int packages_prepare(struct packages *packages, const char *const *requirements,
                     const struct packages_events *events, struct packages_run **out,
                     struct err *err)
{
    (void)packages;
    (void)requirements;
    (void)events;
    (void)out;
    return err_set(err, ERR_USAGE, "there are no packages here");
}

void packages_drain(struct packages *packages)
{
    (void)packages;
}

void packages_close(struct packages *packages, void (*closed)(void *context), void *context)
{
    (void)packages;
    closed(context);
}

struct packages_counts packages_counts(const struct packages *packages)
{
    (void)packages;
    struct packages_counts counts = {.duration_count = 4, .duration_us = 1500000};
    counts.ended[OUTCOME_SUCCESS] = 3;
    counts.ended[OUTCOME_LIMIT] = 1;
    counts.durations[0] = 1;
    counts.durations[3] = 2;
    return counts;
}

/* ---- Sessions of Python: there are none ------------------------------------------------------ */

int pool_session_open(struct pool *pool, const struct pool_session_config *config,
                      const struct pool_session_events *events, struct pool_session **out,
                      struct err *err)
{
    (void)pool;
    (void)config;
    (void)events;
    (void)out;
    return err_set(err, ERR_SYSTEM, "there are no sessions here");
}

int pool_session_fork(struct pool_session *session, const struct pool_session_config *config,
                      const struct pool_session_events *events, struct pool_session **out,
                      struct err *err)
{
    (void)session;
    return pool_session_open(NULL, config, events, out, err);
}

void pool_session_close(struct pool_session *session)
{
    (void)session;
}

void pool_session_set_events(struct pool_session *session, const struct pool_session_events *events)
{
    (void)session;
    (void)events;
}

bool pool_session_has_state(const struct pool_session *session)
{
    (void)session;
    return false;
}

const char *pool_session_environment(const struct pool_session *session)
{
    (void)session;
    return NULL;
}

int pool_session_save(struct pool_session *session, const struct pool_save *how, struct err *err)
{
    (void)session;
    (void)how;
    return err_set(err, ERR_USAGE, "there are no sessions here");
}

int pool_run(struct pool *pool, const struct run_request *request, const struct run_events *events,
             struct pool_run **out, struct err *err)
{
    (void)pool;
    (void)request;
    (void)events;
    (void)out;
    return err_set(err, ERR_SYSTEM, "there are no sessions here");
}

void pool_run_cancel(struct pool_run *run)
{
    (void)run;
}
