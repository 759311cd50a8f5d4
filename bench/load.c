/*
 * bench-load: how a pool behaves under load that is not even, at its own interface.
 *
 *   bench-load CELL GUESTDIR bursts SPARE[+MIB] SIZE EVERY_MS COUNT CODE
 *   bench-load CELL GUESTDIR fair CELLS WAITING EVERY_MS COUNT CODE
 *
 * bursts: SIZE runs at once, every EVERY_MS, COUNT times, with SPARE cells ahead and MIB for more.
 * fair: one client keeps WAITING runs in the queue of a pool with CELLS cells, and another has one
 * run every EVERY_MS, COUNT times. Prints one line of JSON: how long a run of the bursts, or of the
 * other client, took from request to result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pool/pool.h"

enum { ROUNDS_MAX = 10000, SIZE_MAX_RUNS = 64, ROUNDS_COLD = 5, CELLS_OF_BURSTS = 64 };

static struct {
    struct pool *pool;
    const char *code;
    bool is_fair;
    unsigned size;    /* of a burst */
    unsigned waiting; /* of the first client */
    unsigned rounds;
    unsigned round;
    unsigned open; /* runs that are measured */
    unsigned failed;
    unsigned others; /* runs of the first client that have ended */
    uint64_t *times_us;
    size_t count;
    uv_timer_t timer;
} load;

struct run {
    uint64_t start_us;
    unsigned round;
};

static void on_closed(void *context)
{
    (void)context;
}

static void end_when_over(void)
{
    if (load.round == load.rounds && load.open == 0 && load.pool != NULL) {
        uv_close((uv_handle_t *)&load.timer, NULL);
        pool_close(load.pool, on_closed, NULL);
        load.pool = NULL;
    }
}

static int start(uint64_t client, void (*done)(void *, const struct outcome *), void *context)
{
    struct err err;
    struct pool_run *run;
    const struct run_request request = {.code = span_of(load.code),
                                        .want_value = true,
                                        .limits = run_limits_default(),
                                        .client = client};
    const struct run_events events = {.context = context, .done = done};
    return pool_run(load.pool, &request, &events, &run, &err);
}

static void on_measured(void *context, const struct outcome *outcome)
{
    struct run *run = context;
    load.failed += outcome->status != OUTCOME_SUCCESS ? 1 : 0;
    if (run->round >= ROUNDS_COLD) {
        load.times_us[load.count++] = clock_monotonic_us() - run->start_us;
    }
    free(run);
    load.open--;
    end_when_over();
}

/* The first client always has as many as it had. */
static void on_other(void *context, const struct outcome *outcome)
{
    (void)context;
    (void)outcome;
    load.others++;
    if (load.pool != NULL && start(1, on_other, NULL) != 0) {
        exit(1);
    }
}

static void on_time(uv_timer_t *timer)
{
    (void)timer;
    for (unsigned i = 0; i < load.size && load.round < load.rounds; i++) {
        struct run *run = malloc(sizeof *run);
        if (run == NULL) {
            exit(1);
        }
        *run = (struct run){clock_monotonic_us(), load.round};
        load.open++;
        if (start(2, on_measured, run) != 0) {
            exit(1);
        }
    }
    load.round += load.round < load.rounds ? 1 : 0;
    if (load.round == load.rounds) {
        (void)uv_timer_stop(&load.timer);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static double percentile_ms(unsigned percent)
{
    size_t at = load.count == 0 ? 0 : (load.count - 1) * percent / 100;
    return (double)load.times_us[at] / 1000.0;
}

static void on_ready(void *context, const struct err *err)
{
    uint64_t every_ms = *(const uint64_t *)context;
    if (err != NULL) {
        fprintf(stderr, "bench-load: %s\n", err->text);
        exit(1);
    }
    for (unsigned i = 0; i < load.waiting; i++) {
        (void)start(1, on_other, NULL);
    }
    (void)uv_timer_start(&load.timer, on_time, every_ms, every_ms);
}

int main(int argc, char **argv)
{
    if (argc != 9) {
        fprintf(stderr, "usage: see bench/load.c\n");
        return 2;
    }
    load.is_fair = strcmp(argv[3], "fair") == 0;
    char *more;
    unsigned cells = (unsigned)strtoul(argv[4], &more, 10);
    uint64_t more_mib = *more == '+' ? strtoul(more + 1, NULL, 10) : 0;
    unsigned size = (unsigned)strtoul(argv[5], NULL, 10);
    uint64_t every_ms = strtoul(argv[6], NULL, 10);
    load.rounds = (unsigned)strtoul(argv[7], NULL, 10);
    load.code = argv[8];
    load.size = load.is_fair ? 1 : size;
    load.waiting = load.is_fair ? size : 0;
    if (load.rounds > ROUNDS_MAX || load.size > SIZE_MAX_RUNS || load.waiting > LIMIT_QUEUE_MAX) {
        fprintf(stderr, "bench-load: too many\n");
        return 2;
    }
    load.times_us = calloc((size_t)load.rounds * load.size, sizeof *load.times_us);
    const struct pool_config config = {
        .cell_path = argv[1],
        .guest_dir = argv[2],
        .spare_cells = load.is_fair ? LIMIT_SPARE_CELLS_DEFAULT : cells,
        .spare_bytes_max = more_mib * MIB,
        .cells_max = load.is_fair ? cells : CELLS_OF_BURSTS,
        .warm = true,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
    };
    uv_loop_t *loop = uv_default_loop();
    struct err err;
    (void)uv_timer_init(loop, &load.timer);
    if (load.times_us == NULL || pool_new(loop, &config, &load.pool, &err) != 0) {
        fprintf(stderr, "bench-load: %s\n", err.text);
        return 1;
    }
    pool_on_ready(load.pool, on_ready, &every_ms);
    uv_run(loop, UV_RUN_DEFAULT);
    qsort(load.times_us, load.count, sizeof *load.times_us, compare);
    printf("{\"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f, \"others\": %u, \"failed\": "
           "%u}\n",
           percentile_ms(50), percentile_ms(90), percentile_ms(99), load.others, load.failed);
    free(load.times_us);
    return load.failed == 0 ? 0 : 1;
}
