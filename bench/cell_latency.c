/*
 * bench-cell: request to result in a fresh cell each time, measured at the pool's own interface.
 *
 *   bench-cell CELL GUESTDIR COUNT SPARE PARALLEL PAUSE_MS CODE [ENVIRONMENT_DIR]
 *
 * Runs CODE COUNT times, PARALLEL at a time with a pause after each, each in a cell of its own, and
 * prints one line of JSON: milliseconds p50, p90, p99, those of the cell's CPU, and calls a second.
 * bench/run.py reads it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pool/pool.h"

enum { COUNT_MAX = 100000, WARM_UP = 20 };

struct bench {
    struct pool *pool;
    const char *code;
    const struct pool_environment *environment; /* NULL: the base */
    uint64_t pause_ms;
    unsigned count;
    unsigned started;
    unsigned finished;
    unsigned failed;
    uint64_t first_us;
    uint64_t last_us;
    uint64_t *times_us;
    uint64_t *cpu_us; /* of the cells, from request to result */
};

struct call {
    uv_timer_t pause;
    struct bench *bench;
    uint64_t start_us;
};

static void call_start(struct bench *bench);

/* The loop ends by itself when the pool has nothing left in it. */
static void pool_closed(void *context)
{
    (void)context;
}

static void call_free(uv_handle_t *handle)
{
    free(handle); /* the timer is the call's first member */
}

static void pause_done(uv_timer_t *timer)
{
    struct call *call = (struct call *)timer;
    struct bench *bench = call->bench;
    uv_close((uv_handle_t *)timer, call_free);
    if (bench->started < bench->count + WARM_UP) {
        call_start(bench);
    } else if (bench->finished == bench->started && bench->pool != NULL) {
        pool_close(bench->pool, pool_closed, NULL);
        bench->pool = NULL;
    }
}

static void call_done(void *context, const struct outcome *outcome)
{
    struct call *call = context;
    struct bench *bench = call->bench;
    uint64_t now = clock_monotonic_us();
    bench->failed += outcome->status != OUTCOME_SUCCESS ? 1 : 0;
    if (bench->finished >= WARM_UP) {
        bench->times_us[bench->finished - WARM_UP] = now - call->start_us;
        bench->cpu_us[bench->finished - WARM_UP] = outcome->cpu_us;
    }
    bench->finished++;
    if (bench->finished == WARM_UP) {
        bench->first_us = now;
    }
    bench->last_us = now;
    uv_timer_init(uv_default_loop(), &call->pause);
    uv_timer_start(&call->pause, pause_done, bench->pause_ms, 0);
}

static void call_start(struct bench *bench)
{
    struct call *call = malloc(sizeof *call);
    struct err err;
    struct pool_run *run;
    if (call == NULL) {
        abort();
    }
    *call = (struct call){.bench = bench, .start_us = clock_monotonic_us()};
    const struct run_request request = {
        .code = span_of(bench->code),
        .want_value = true,
        .limits = run_limits_default(),
        .environment = bench->environment,
    };
    const struct run_events events = {.context = call, .done = call_done};
    bench->started++;
    if (pool_run(bench->pool, &request, &events, &run, &err) != 0) {
        fprintf(stderr, "bench-cell: %s\n", err.text);
        exit(1);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Of `count` times in order. */
static double percentile_ms(const uint64_t *times_us, unsigned count, unsigned percent)
{
    return (double)times_us[(uint64_t)(count - 1) * percent / 100] / 1000.0;
}

static void report(struct bench *bench)
{
    const unsigned count = bench->count;
    qsort(bench->times_us, count, sizeof *bench->times_us, compare);
    qsort(bench->cpu_us, count, sizeof *bench->cpu_us, compare);
    const double seconds = (double)(bench->last_us - bench->first_us) / 1e6;
    printf("{\"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, \"cpu_p50_ms\": %.3f, "
           "\"calls_per_s\": %.0f, \"failed\": %u}\n",
           percentile_ms(bench->times_us, count, 50), percentile_ms(bench->times_us, count, 90),
           percentile_ms(bench->times_us, count, 99), percentile_ms(bench->cpu_us, count, 50),
           count / seconds, bench->failed);
}

int main(int argc, char **argv)
{
    if (argc != 8 && argc != 9) {
        fprintf(stderr, "usage: bench-cell CELL GUESTDIR COUNT SPARE PARALLEL PAUSE_MS CODE "
                        "[ENVIRONMENT_DIR]\n");
        return 2;
    }
    const struct pool_environment environment = {.id = "bench", .dir = argv[argc - 1]};
    struct bench bench = {.code = argv[7],
                          .environment = argc == 9 ? &environment : NULL,
                          .pause_ms = strtoul(argv[6], NULL, 10),
                          .count = (unsigned)strtoul(argv[3], NULL, 10)};
    unsigned parallel = (unsigned)strtoul(argv[5], NULL, 10);
    if (bench.count == 0 || bench.count > COUNT_MAX || parallel == 0) {
        fprintf(stderr, "bench-cell: COUNT is 1 to %d, PARALLEL at least 1\n", COUNT_MAX);
        return 2;
    }
    bench.times_us = calloc(bench.count, sizeof *bench.times_us);
    bench.cpu_us = calloc(bench.count, sizeof *bench.cpu_us);
    const struct pool_config config = {
        .require_jail = POOL_JAIL_SECCOMP,
        .cell_path = argv[1],
        .guest_dir = argv[2],
        .spare_cells = (unsigned)strtoul(argv[4], NULL, 10),
        .cells_max = parallel,
        .warm = true,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
    };
    uv_loop_t *loop = uv_default_loop();
    struct err err;
    if (bench.times_us == NULL || bench.cpu_us == NULL ||
        pool_new(loop, &config, &bench.pool, &err) != 0) {
        fprintf(stderr, "bench-cell: %s\n", err.text);
        return 1;
    }
    for (unsigned i = 0; i < parallel; i++) {
        call_start(&bench);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    report(&bench);
    free(bench.times_us);
    free(bench.cpu_us);
    return bench.failed == 0 ? 0 : 1;
}
