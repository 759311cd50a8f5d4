/*
 * bench-soak: many calls of four clients through one pool, a tenth of them hostile.
 *
 *   bench-soak CELL GUESTDIR CALLS PARALLEL
 *
 * Each call computes what no other does; each answer is compared with what its own call should say.
 * Twice, after a tenth of the calls and at the end, the pool comes to rest: a line "rest" is
 * printed, and a line of input is waited for, so that somebody can look at memory and descriptors.
 * Cells may be killed from outside at any time; those runs are counted as "killed". The last line
 * is JSON. tests/attack/soak.py drives it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "pool/pool.h"

enum {
    CALLS_MAX = 1000000,
    PARALLEL_MAX = 64,
    CLIENTS = 4,
    HOSTILE_SHARE = 10, /* one in so many */
    REST_MS = 1500,
    HANG_WALL_MS = 150,
    HANG_GRACE_MS = 50,
    FLOOD_OUTPUT_BYTES = 65536,
    CODE_BYTES_MAX = 512,
};

enum kind { KIND_GOOD, KIND_ABORT, KIND_TRAP, KIND_HANG, KIND_STUBBORN, KIND_FLOOD, KIND_COUNT };

static const struct {
    const char *name;
    const char *code; /* "%u" is the call's number */
    enum outcome_status status;
} kinds[KIND_COUNT] = {
    [KIND_GOOD] = {"good", "", OUTCOME_SUCCESS},
    [KIND_ABORT] = {"abort", "print(%u)\nimport os\nos.abort()", OUTCOME_CRASH},
    [KIND_TRAP] = {"trap", "print(%u)\nimport json\njson.loads('[' * 300000)", OUTCOME_CRASH},
    [KIND_HANG] = {"hang", "print(%u)\nwhile True: pass", OUTCOME_LIMIT},
    [KIND_STUBBORN] = {"stubborn",
                       "print(%u)\nwhile True:\n try:\n  while True: pass\n"
                       " except BaseException: pass",
                       OUTCOME_LIMIT},
    [KIND_FLOOD] = {"flood", "print(%u)\nwhile True: print('x' * 1000)", OUTCOME_LIMIT},
};

struct soak {
    uv_loop_t *loop;
    struct pool *pool;
    uv_timer_t rest;
    unsigned calls;
    unsigned parallel;
    unsigned started;
    unsigned finished;
    unsigned rest_at; /* nothing is started past it until there was a rest */
    unsigned by_kind[KIND_COUNT];
    unsigned killed;
    unsigned wrong;
    uint64_t working_us;
    uint64_t since_us;
    uint64_t *times_us;
    size_t times_count;
};

struct call {
    struct soak *soak;
    unsigned number;
    unsigned client;
    enum kind kind;
    uint64_t start_us;
    struct buf output;
};

static void calls_start(struct soak *soak);
static void on_rest(uv_timer_t *timer);

/* ---- One call -------------------------------------------------------------------------------- */

static enum kind kind_of(unsigned number)
{
    return number % HOSTILE_SHARE != HOSTILE_SHARE - 1
               ? KIND_GOOD
               : (enum kind)(1 + number / HOSTILE_SHARE % (KIND_COUNT - 1));
}

static void code_write(const struct call *call, char *out, size_t len)
{
    unsigned n = call->number;
    if (call->kind == KIND_GOOD) {
        snprintf(out, len, "[%u, %u, %u * %u %% 1000003]", n, call->client, n, n);
        return;
    }
    const char *code = kinds[call->kind].code;
    const char *place = strstr(code, "%u");
    snprintf(out, len, "%.*s%u%s", (int)(place - code), code, n, place + 2);
}

/* Whether the value is the call's own; spaces do not count. */
static bool is_own_value(const struct call *call, struct span json)
{
    char wanted[64];
    char found[64];
    size_t len = 0;
    uint64_t n = call->number;
    for (size_t i = 0; i < json.len && len + 1 < sizeof found; i++) {
        if (json.base[i] != ' ' && json.base[i] != '\n') {
            found[len++] = json.base[i];
        }
    }
    found[len] = '\0';
    snprintf(wanted, sizeof wanted, "[%" PRIu64 ",%u,%" PRIu64 "]", n, call->client,
             n * n % 1000003u);
    return strcmp(found, wanted) == 0;
}

/* Its number on the first line; a run that was killed, or had little time, may not have come so
 * far. */
static bool is_own_output(const struct call *call, bool may_be_empty)
{
    char wanted[32];
    int len = snprintf(wanted, sizeof wanted, "%u\n", call->number);
    if (call->output.len == 0) {
        return may_be_empty;
    }
    return call->output.len >= (size_t)len && memcmp(call->output.base, wanted, (size_t)len) == 0;
}

static bool is_kill(const struct outcome *outcome)
{
    static const char word[] = "SIGKILL";
    struct span text = outcome->error_message;
    return outcome->status == OUTCOME_CRASH &&
           memmem(text.base, text.len, word, sizeof word - 1) != NULL;
}

static void outcome_count(struct call *call, const struct outcome *outcome)
{
    struct soak *soak = call->soak;
    if (is_kill(outcome)) {
        soak->killed++;
        soak->wrong += call->kind == KIND_GOOD ? 0 : !is_own_output(call, true);
        return;
    }
    bool had_little_time = call->kind == KIND_HANG || call->kind == KIND_STUBBORN;
    bool is_right = outcome->status == kinds[call->kind].status &&
                    (call->kind == KIND_GOOD ? is_own_value(call, outcome->value_json)
                                             : is_own_output(call, had_little_time));
    soak->by_kind[call->kind]++;
    if (!is_right) {
        soak->wrong++;
        fprintf(stderr, "bench-soak: call %u (%s) of client %u: %s, %.*s, value %.*s\n",
                call->number, kinds[call->kind].name, call->client,
                outcome_status_name(outcome->status), (int)outcome->error_message.len,
                outcome->error_message.base, (int)outcome->value_json.len,
                outcome->value_json.base);
    }
}

static void call_output(void *context, enum run_stream stream, struct span bytes)
{
    struct call *call = context;
    (void)stream;
    if (call->output.len + bytes.len < CODE_BYTES_MAX) { /* the first line is enough */
        (void)buf_append(&call->output, bytes.base, bytes.len);
    } else if (call->output.len == 0) {
        (void)buf_append(&call->output, bytes.base, CODE_BYTES_MAX);
    }
}

static void call_done(void *context, const struct outcome *outcome)
{
    struct call *call = context;
    struct soak *soak = call->soak;
    outcome_count(call, outcome);
    if (call->kind == KIND_GOOD) {
        soak->times_us[soak->times_count++] = clock_monotonic_us() - call->start_us;
    }
    buf_free(&call->output);
    free(call);
    soak->finished++;
    if (soak->finished == soak->rest_at) {
        soak->working_us += clock_monotonic_us() - soak->since_us;
        (void)uv_timer_start(&soak->rest, on_rest, REST_MS, 0);
    } else {
        calls_start(soak);
    }
}

static void call_start(struct soak *soak)
{
    struct call *call = calloc(1, sizeof *call);
    struct err err;
    struct pool_run *run;
    char code[CODE_BYTES_MAX];
    if (call == NULL) {
        abort();
    }
    call->soak = soak;
    call->number = soak->started++;
    call->client = call->number % CLIENTS;
    call->kind = kind_of(call->number);
    call->start_us = clock_monotonic_us();
    buf_init(&call->output, 2 * CODE_BYTES_MAX);
    code_write(call, code, sizeof code);
    struct run_request request = {
        .code = span_of(code),
        .want_value = call->kind == KIND_GOOD,
        .limits = run_limits_default(),
        .client = call->client + 1,
    };
    if (call->kind == KIND_HANG || call->kind == KIND_STUBBORN) {
        request.limits.wall_ms = HANG_WALL_MS;
        request.limits.grace_ms = HANG_GRACE_MS;
    }
    request.limits.output_bytes = FLOOD_OUTPUT_BYTES;
    const struct run_events events = {.context = call, .output = call_output, .done = call_done};
    if (pool_run(soak->pool, &request, &events, &run, &err) != 0) {
        fprintf(stderr, "bench-soak: %s\n", err.text);
        exit(1);
    }
}

static void calls_start(struct soak *soak)
{
    while (soak->started < soak->rest_at && soak->started - soak->finished < soak->parallel) {
        call_start(soak);
    }
}

/* ---- Rests and the end ----------------------------------------------------------------------- */

static void pool_closed(void *context)
{
    (void)context;
}

static void on_rest(uv_timer_t *timer)
{
    struct soak *soak = uv_loop_get_data(timer->loop);
    char line[8];
    printf("rest\n");
    (void)fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) {
        exit(1);
    }
    if (soak->finished == soak->calls) {
        uv_close((uv_handle_t *)timer, NULL);
        pool_close(soak->pool, pool_closed, NULL);
        return;
    }
    soak->rest_at = soak->calls;
    soak->since_us = clock_monotonic_us();
    calls_start(soak);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static double percentile_ms(const struct soak *soak, size_t percent)
{
    size_t at = (soak->times_count - 1) * percent / 100;
    return (double)soak->times_us[at] / 1000.0;
}

static void report(const struct soak *soak)
{
    qsort(soak->times_us, soak->times_count, sizeof *soak->times_us, compare);
    printf("{\"calls\": %u, \"wrong\": %u, \"killed\": %u", soak->finished, soak->wrong,
           soak->killed);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        printf(", \"%s\": %u", kinds[i].name, soak->by_kind[i]);
    }
    printf(", \"calls_per_s\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f}\n",
           soak->finished * 1e6 / (double)soak->working_us, percentile_ms(soak, 50),
           percentile_ms(soak, 99));
}

int main(int argc, char **argv)
{
    static struct soak soak;
    struct err err;
    soak.calls = argc == 5 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    soak.parallel = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    if (soak.calls < 2 * HOSTILE_SHARE || soak.calls > CALLS_MAX || soak.parallel == 0 ||
        soak.parallel > PARALLEL_MAX) {
        fprintf(stderr,
                "usage: bench-soak CELL GUESTDIR CALLS PARALLEL\n"
                "CALLS is 20 to %d, PARALLEL 1 to %d\n",
                CALLS_MAX, PARALLEL_MAX);
        return 2;
    }
    soak.times_us = calloc(soak.calls, sizeof *soak.times_us);
    soak.loop = uv_default_loop();
    const struct pool_config config = {
        .require_jail = POOL_JAIL_SECCOMP,
        .cell_path = argv[1],
        .guest_dir = argv[2],
        .spare_cells = 4,
        .cells_max = soak.parallel,
        .warm = true,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
        .is_shared = true,
    };
    if (soak.times_us == NULL || pool_new(soak.loop, &config, &soak.pool, &err) != 0) {
        fprintf(stderr, "bench-soak: %s\n", err.text);
        return 1;
    }
    (void)uv_timer_init(soak.loop, &soak.rest);
    uv_loop_set_data(soak.loop, &soak);
    soak.rest_at = soak.calls / 10;
    soak.since_us = clock_monotonic_us();
    calls_start(&soak);
    uv_run(soak.loop, UV_RUN_DEFAULT);
    report(&soak);
    free(soak.times_us);
    return soak.wrong == 0 ? 0 : 1;
}
