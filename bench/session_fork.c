/*
 * bench-fork: how long a session's copy takes, with the state that a program has made.
 *
 *   bench-fork CELL GUESTDIR COUNT CODE [ENVIRONMENT_DIR]
 *
 * Runs CODE in a session, then forks the session COUNT times. Prints one line of JSON, milliseconds
 * p50, p90, p99: of the fork (ready), of the first program in the copy (`1 + 1`, first), and of
 * going back (fork, and one program in the copy: back).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pool/pool.h"
#include "pool/session.h"

enum { COUNT_MAX = 10000 };

static struct pool *pool;
static struct pool_environment environment;

static void on_ready(void *context)
{
    *(uint64_t *)context = clock_monotonic_us();
}

static void on_ended(void *context, enum pool_session_end end, const char *why)
{
    (void)context;
    (void)end;
    fprintf(stderr, "bench-fork: %s\n", why);
    exit(1);
}

static void on_done(void *context, const struct outcome *outcome)
{
    if (outcome->status != OUTCOME_SUCCESS) {
        fprintf(stderr, "bench-fork: %.*s\n", (int)outcome->error_traceback.len,
                outcome->error_traceback.base);
        exit(1);
    }
    *(uint64_t *)context = clock_monotonic_us();
}

static void fail_at(int result, const struct err *err)
{
    if (result != 0) {
        fprintf(stderr, "bench-fork: %s\n", err->text);
        exit(1);
    }
}

static void loop_until(const uint64_t *time_us)
{
    while (*time_us == 0) {
        (void)uv_run(uv_default_loop(), UV_RUN_ONCE);
    }
}

static uint64_t run(struct pool_session *session, const char *code)
{
    uint64_t done_us = 0;
    struct err err;
    struct pool_run *out;
    const struct run_request request = {
        .code = span_of(code),
        .want_value = true,
        .limits = run_limits_default(),
        .environment = environment.dir != NULL ? &environment : NULL,
        .session = session,
    };
    const struct run_events events = {.context = &done_us, .done = on_done};
    fail_at(pool_run(pool, &request, &events, &out, &err), &err);
    loop_until(&done_us);
    return done_us;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static void print(const char *name, uint64_t *times_us, unsigned count, const char *end)
{
    qsort(times_us, count, sizeof *times_us, compare);
    printf("\"%s_p50_ms\": %.3f, \"%s_p90_ms\": %.3f, \"%s_p99_ms\": %.3f%s", name,
           (double)times_us[(count - 1) / 2] / 1000, name,
           (double)times_us[(count - 1) * 90 / 100] / 1000, name,
           (double)times_us[(count - 1) * 99 / 100] / 1000, end);
}

static void measure(struct pool_session *session, const struct pool_session_config *config,
                    unsigned count)
{
    static uint64_t ready_us[COUNT_MAX];
    static uint64_t first_us[COUNT_MAX];
    static uint64_t back_us[COUNT_MAX];
    for (unsigned i = 0; i < count; i++) {
        uint64_t is_ready_us = 0;
        struct err err;
        struct pool_session *copy;
        const struct pool_session_events events = {
            .context = &is_ready_us, .ready = on_ready, .ended = on_ended};
        uint64_t start_us = clock_monotonic_us();
        fail_at(pool_session_fork(session, config, &events, &copy, &err), &err);
        loop_until(&is_ready_us);
        ready_us[i] = is_ready_us - start_us;
        uint64_t end_us = run(copy, "1 + 1");
        first_us[i] = end_us - is_ready_us;
        back_us[i] = end_us - start_us;
        (void)run(session, "1 + 1"); /* pages that it shares now are copied */
        pool_session_close(copy);
    }
    printf("{");
    print("ready", ready_us, count, ", ");
    print("first", first_us, count, ", ");
    print("back", back_us, count, "}\n");
}

static void on_closed(void *context)
{
    (void)context;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: bench-fork CELL GUESTDIR COUNT CODE [ENVIRONMENT_DIR]\n");
        return 2;
    }
    const unsigned count = (unsigned)strtoul(argv[3], NULL, 10);
    if (count == 0 || count > COUNT_MAX) {
        fprintf(stderr, "bench-fork: COUNT is 1 to %d\n", COUNT_MAX);
        return 2;
    }
    environment = (struct pool_environment){.id = "bench", .dir = argc == 6 ? argv[5] : NULL};
    const struct pool_config config = {
        .require_jail = POOL_JAIL_SECCOMP,
        .cell_path = argv[1],
        .guest_dir = argv[2],
        .cells_max = 2,
        .warm = true,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
    };
    const struct pool_session_config wanted = {.client = POOL_CLIENT_OWN,
                                               .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT};
    const struct pool_session_events events = {.ended = on_ended};
    struct pool_session *session;
    struct err err;
    fail_at(pool_new(uv_default_loop(), &config, &pool, &err), &err);
    fail_at(pool_session_open(pool, &wanted, &events, &session, &err), &err);
    (void)run(session, argv[4]);
    measure(session, &wanted, count);
    pool_session_close(session);
    pool_close(pool, on_closed, NULL);
    (void)uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return 0;
}
