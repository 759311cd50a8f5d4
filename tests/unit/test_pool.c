/*
 * pool and cell together, with a guest of our own (fake_guest.c): every way in which a run can
 * end, what it leaves behind, and what the next run sees of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "pool_fixture.h"

enum { PARALLEL_RUNS = 200, PARALLEL_CELLS = 8 };

/* ---- Good ends ------------------------------------------------------------------------------- */

static void success_has_output_and_value(void **state)
{
    (void)state;
    pool_start("ok", 2, 4);
    cleanup_seen struct seen seen;
    run_whole("print hello\nvalue {\"a\": 1}", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_int_equal(seen.outcome.exit_code, 0);
    assert_text(&seen.out, "hello\n");
    assert_text(&seen.err, "");
    assert_string_equal(seen.value, "{\"a\": 1}");
    assert_string_equal(seen.message, "");
    assert_int_equal(seen.outcome.limits, 0);
    assert_int_equal(seen.outcome.memory_bytes, 12345678);
    struct pool_info info = pool_info(pool);
    assert_true(info.ready);
    assert_string_equal(info.python_version, "0.0.1");
    assert_string_equal(info.engine_version, "fake 1.0");
    pool_end();
}

static void streams_stay_in_order(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    cleanup_seen struct seen seen;
    run_whole("print 1\nstderr 2\nprint 3\nstderr 4\nprint 5", &seen);
    assert_text(&seen.out, "1\n3\n5\n");
    assert_text(&seen.err, "2\n4\n");
    assert_text(&seen.order, "o1\ne2\no3\ne4\no5\n");
    pool_end();
}

static void request_arrives_whole(void **state)
{
    (void)state;
    pool_start("ok", 0, 1);
    static const char *const argv[] = {"x.py", "--flag", "", NULL};
    static const char *const env[] = {"A=b=c", NULL};
    struct run_request request = request_make("request");
    request.filename = "x.py";
    request.globals_json = span_of("{\"n\":1}");
    request.argv = argv;
    request.env = env;
    request.limits.wall_ms = 1234;
    request.limits.file_count = 77;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_text(&seen.out, "2=x.py\n3={\"n\":1}\n4=x.py\n4=--flag\n4=\n5=A=b=c\n6=1\n7=1234\n"
                           "8=536870912\n9=1048576\n10=1048576\n11=268435456\n12=77\n"
                           "17=1234\n18=256\n19=100\n30=131072\n20=1000\n");
    pool_end();
}

static void large_requests_and_results_pass(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    cleanup_buf struct buf code;
    buf_init(&code, LIMIT_CODE_BYTES_MAX + 1);
    assert_int_equal(buf_append_text(&code, "value-of 900000\nflood 1000000\n# "), 0);
    while (code.len < LIMIT_CODE_BYTES_MAX) {
        assert_int_equal(buf_append_char(&code, 'x'), 0);
    }
    struct run_request request = request_make("");
    request.code = buf_span(&code);
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_int_equal(seen.outcome.value_json.len, 900000);
    assert_int_equal(seen.out.len, 1000000);

    struct err err;
    assert_int_equal(buf_append_char(&code, 'x'), 0);
    request.code = buf_span(&code);
    assert_int_equal(run_request_start(&request, &seen, &err), -1);
    assert_contains(err.text, "the code has 8388609 bytes");
    pool_end();
}

/* ---- Crashes --------------------------------------------------------------------------------- */

static void crashes_say_what_happened(void **state)
{
    (void)state;
    const char *abort_text = is_jailed ? "SIGSYS" : "SIGABRT";
    const struct {
        const char *code;
        int exit_code;
        const char *text;
    } rows[] = {
        {"print a\nexit 0", 0, "the program ended itself with os._exit(0) before it returned"},
        {"print a\nexit -3", -3, "os._exit(-3)"},
        {"print a\ntrap call stack exhausted", 134, "the program crashed: call stack exhausted"},
        {"print a\nsilent", 125, "without a result"},
        {"print a\nno-record", 125, "without a result"},
        {"print a\ntwice", 125, "broke the protocol: it sent a second result"},
        {"print a\njunk", 125, "broke the protocol: it sent a frame"},
        {"print a\nmore-after-end", 125, "broke the protocol: it sent more after its end"},
        {"print a\nsleep 1\nabort", is_jailed ? 128 + SIGSYS : 128 + SIGABRT, abort_text},
    };
    pool_start("ok", 2, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_seen struct seen seen;
        run_whole(rows[i].code, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
        assert_contains(seen.message, rows[i].text);
        assert_string_equal(seen.traceback, seen.message);
        assert_int_equal(seen.outcome.exit_code, rows[i].exit_code);
        assert_text(&seen.out, "a\n");
        assert_next_run_is_clean();
    }
    pool_end();
}

/* A sanitizer catches SIGSEGV itself, and without the jail nothing is forbidden. */
static void crimes_are_killed(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        const char *text;
    } rows[] = {
        {"print a\nsleep 1\nsegv", "killed by SIGSEGV"},
        {"print a\nsleep 1\nconnect", "killed by SIGSYS, for a system call that the jail forbids"},
        {"print a\nsleep 1\nopen", "killed by SIGSYS, for a system call that the jail forbids"},
    };
    pool_start("ok", 2, 2);
    for (size_t i = 0; is_jailed && i < sizeof rows / sizeof *rows; i++) {
        cleanup_seen struct seen seen;
        run_whole(rows[i].code, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
        assert_contains(seen.message, rows[i].text);
        assert_text(&seen.out, "a\n");
    }
    assert_next_run_is_clean();
    pool_end();
}

static void a_thousand_crashes_leak_nothing(void **state)
{
    (void)state;
    pool_start("ok", 2, 2);
    assert_next_run_is_clean();
    loop_for(200);
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < 1000; i++) {
        cleanup_seen struct seen seen;
        run_whole("exit 1", &seen);
    }
    loop_for(200);
    assert_int_equal(open_descriptors(), before);
    assert_next_run_is_clean();
    pool_end();
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

static void cancel_at_first_output(struct seen *seen)
{
    pool_run_cancel(seen->run);
}

static void cancel_ends_a_run(void **state)
{
    (void)state;
    static const char *const codes[] = {"print a\nspin", "print a\nhang"};
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < 2; i++) {
        struct run_request request = request_make(codes[i]);
        request.limits.grace_ms = LIMIT_GRACE_MS_MAX; /* is another one */
        cleanup_seen struct seen seen;
        seen_init(&seen);
        seen.on_output = cancel_at_first_output;
        run_start(&request, &seen);
        loop_until(&seen.is_done);
        assert_int_equal(seen.outcome.status, OUTCOME_CANCELLED);
        assert_int_equal(seen.outcome.exit_code, 130);
        assert_contains(seen.message, "the run was cancelled");
        assert_in_range(seen.outcome.wall_us, 0, 200000);
    }
    assert_next_run_is_clean();
    pool_end();
}

/* A run whose time is over has half a second; when it is cancelled then, it has no longer. */
static void cancel_ends_a_grace(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    struct run_request request = request_make("hang");
    request.limits.wall_ms = 50;
    request.limits.grace_ms = LIMIT_GRACE_MS_MAX;
    cleanup_seen struct seen seen;
    seen_init(&seen);
    run_start(&request, &seen);
    loop_for(200);
    assert_false(seen.is_done);
    pool_run_cancel(seen.run);
    uint64_t start_us = clock_monotonic_us();
    loop_until(&seen.is_done);
    assert_in_range(clock_monotonic_us() - start_us, 0, 200000);
    assert_int_equal(seen.outcome.status, OUTCOME_CANCELLED);
    pool_end();
}

static void cancel_takes_a_run_from_the_queue(void **state)
{
    (void)state;
    pool_start("slow 50", 1, 1);
    struct run_request request = request_make("print a");
    cleanup_seen struct seen seen;
    seen_init(&seen);
    run_start(&request, &seen);
    pool_run_cancel(seen.run);
    pool_run_cancel(seen.run);
    assert_false(seen.is_done); /* never from inside the call */
    loop_until(&seen.is_done);
    assert_int_equal(seen.done_count, 1);
    assert_int_equal(seen.outcome.status, OUTCOME_CANCELLED);
    assert_text(&seen.out, "");
    assert_next_run_is_clean();
    pool_end();
}

static void a_held_pool_starts_nothing(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    assert_next_run_is_clean();
    pool_hold(pool, true);
    struct run_request request = request_make("print a");
    cleanup_seen struct seen seen;
    cleanup_seen struct seen cancelled;
    seen_init(&seen);
    seen_init(&cancelled);
    run_start(&request, &seen);
    run_start(&request, &cancelled);
    loop_for(100);
    assert_false(seen.is_done);
    pool_run_cancel(cancelled.run);
    loop_until(&cancelled.is_done);
    assert_int_equal(cancelled.outcome.status, OUTCOME_CANCELLED);
    pool_hold(pool, false);
    loop_until(&seen.is_done);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_text(&seen.out, "a\n");
    pool_end();
}

/* ---- Many runs ------------------------------------------------------------------------------- */

static unsigned runs_done;
static unsigned runs_going;
static unsigned runs_going_max;
static bool are_all_done;

static void count_going(struct seen *seen)
{
    if (seen->out.len == strlen("start\n")) {
        runs_going++;
        runs_going_max = runs_going > runs_going_max ? runs_going : runs_going_max;
    }
}

static void count_done(struct seen *seen)
{
    (void)seen;
    runs_going--;
    runs_done++;
    are_all_done = runs_done == PARALLEL_RUNS;
}

static void many_runs_share_few_cells(void **state)
{
    (void)state;
    static struct seen seen[PARALLEL_RUNS];
    pool_start("ok", 2, PARALLEL_CELLS);
    runs_done = runs_going = runs_going_max = 0;
    are_all_done = false;
    for (unsigned i = 0; i < PARALLEL_RUNS; i++) {
        char code[64];
        snprintf(code, sizeof code, "print start\nsleep 3\nprint %u\nvalue %u", i, i);
        struct run_request request = request_make(code);
        seen_init(&seen[i]);
        seen[i].on_output = count_going;
        seen[i].then = count_done;
        run_start(&request, &seen[i]);
    }
    loop_until(&are_all_done);
    assert_in_range(runs_going_max, 2, PARALLEL_CELLS);
    for (unsigned i = 0; i < PARALLEL_RUNS; i++) {
        char text[64];
        snprintf(text, sizeof text, "start\n%u\n", i);
        assert_int_equal(seen[i].outcome.status, OUTCOME_SUCCESS);
        assert_text(&seen[i].out, text);
        seen_free(&seen[i]);
    }
    pool_end();
}

static void queue_is_bounded(void **state)
{
    (void)state;
    struct seen *seen = calloc(LIMIT_QUEUE_MAX + 1, sizeof *seen);
    assert_non_null(seen);
    pool_start("ok", 1, 1);
    assert_next_run_is_clean();
    struct run_request request = request_make("hang");
    struct err err;
    for (unsigned i = 0; i <= LIMIT_QUEUE_MAX; i++) {
        seen_init(&seen[i]);
        run_start(&request, &seen[i]);
    }
    struct seen refused;
    seen_init(&refused);
    assert_int_equal(run_request_start(&request, &refused, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_contains(err.text, "busy: 1024 programs wait already");
    pool_end();
    for (unsigned i = 0; i <= LIMIT_QUEUE_MAX; i++) {
        assert_int_equal(seen[i].done_count, 1);
        assert_int_equal(seen[i].outcome.status, OUTCOME_CANCELLED);
        seen_free(&seen[i]);
    }
    assert_false(refused.is_done);
    free(seen);
}

/* ---- Broken processes ------------------------------------------------------------------------ */

static void kill_zygote(struct seen *seen)
{
    seen->on_output = NULL;
    assert_int_equal(kill(zygote_pid(), SIGKILL), 0);
}

static void a_killed_zygote_is_replaced(void **state)
{
    (void)state;
    pool_start("ok", 2, 2);
    for (int i = 0; i < 2; i++) {
        cleanup_seen struct seen seen;
        seen_init(&seen);
        seen.on_output = kill_zygote;
        struct run_request request = request_make("print a\nhang");
        run_start(&request, &seen);
        loop_until(&seen.is_done);
        assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
        assert_string_equal(seen.message, "the sandbox process died (signal 9)");
        assert_text(&seen.out, "a\n");
        assert_next_run_is_clean();
    }
    pool_end();
}

static void a_dead_spare_cell_is_replaced(void **state)
{
    (void)state;
    pool_start("ok", 2, 2);
    assert_next_run_is_clean();
    loop_for(100);
    pid_t pid = oldest_cell_pid();
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (kill(pid, 0) == 0) {
        usleep(1000);
    }
    assert_next_run_is_clean(); /* the pool has not looked yet, and does not know */
    loop_for(100);
    assert_next_run_is_clean();
    pool_end();
}

struct start {
    bool is_told;
    bool has_failed;
    char text[ERR_TEXT_MAX];
};

static void on_ready(void *context, const struct err *err)
{
    struct start *start = context;
    flag_set(&start->is_told);
    start->has_failed = err != NULL;
    snprintf(start->text, sizeof start->text, "%s", err != NULL ? err->text : "");
}

static void ready_is_told_once(void **state)
{
    (void)state;
    struct start start = {0};
    pool_start("slow 30", 1, 1);
    pool_on_ready(pool, on_ready, &start);
    assert_false(start.is_told);
    loop_until(&start.is_told);
    assert_false(start.has_failed);
    struct start late = {0};
    pool_on_ready(pool, on_ready, &late);
    loop_until(&late.is_told);
    assert_false(late.has_failed);
    pool_end();
}

static void a_zygote_that_cannot_boot_fails_the_pool(void **state)
{
    (void)state;
    static const struct {
        const char *core;
        const char *text;
    } rows[] = {
        {"fatal the images are stale: run `make build`",
         "the sandbox cannot start: the images are stale: run `make build`"},
        {"exit a library is missing", "the sandbox cannot start: the sandbox process died "
                                      "(status 3); its last words: a library is missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct start start = {0};
        struct run_request request = request_make("print a");
        cleanup_seen struct seen seen;
        seen_init(&seen);
        pool_start(rows[i].core, 1, 1);
        pool_on_ready(pool, on_ready, &start);
        run_start(&request, &seen);
        loop_until(&seen.is_done);
        assert_int_equal(seen.outcome.status, OUTCOME_REFUSED);
        assert_string_equal(seen.message, rows[i].text);
        assert_true(start.is_told && start.has_failed);
        assert_string_equal(start.text, rows[i].text);
        struct err err;
        assert_int_equal(run_request_start(&request, &seen, &err), -1);
        assert_string_equal(err.text, rows[i].text);
        pool_end();
    }
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    struct err err;
    struct pool *none = NULL;
    core_write("ok");
    struct pool_config config = config_make(1, 1);
    config.cell_path = "/nonexistent/vitrine-cell";
    assert_int_equal(pool_new(&loop, &config, &none, &err), -1);
    assert_int_equal(err.code, ERR_MISSING);
    config = config_make(1, 0);
    assert_int_equal(pool_new(&loop, &config, &none, &err), -1);
    config = config_make(1, 1);
    config.guest_dir = "/nonexistent";
    assert_int_equal(pool_new(&loop, &config, &none, &err), -1);
    assert_contains(err.text, "/nonexistent/core.cwasm");
    assert_null(none);

    static const char *const bad_env[] = {"=x", NULL};
    static const char *const bad_argv[] = {"a", "\xFF", NULL};
    struct run_request requests[5];
    for (size_t i = 0; i < 5; i++) {
        requests[i] = request_make("");
    }
    requests[0].limits.wall_ms = 0;
    requests[1].limits.memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT + 1;
    requests[2].env = bad_env;
    requests[3].argv = bad_argv;
    requests[4].limits.output_bytes = LIMIT_OUTPUT_BYTES_MAX + 1;
    static const char *const texts[] = {"time limit", "memory limit", "NAME=VALUE", "argument 1",
                                        "output limit"};
    pool_start("ok", 0, 1);
    for (size_t i = 0; i < 5; i++) {
        struct seen seen;
        seen_init(&seen);
        assert_int_equal(run_request_start(&requests[i], &seen, &err), -1);
        assert_contains(err.text, texts[i]);
    }
    pool_end();
}

/* ---- Calls from callbacks, and the end ------------------------------------------------------- */

static struct seen second;

static void start_second(struct seen *seen)
{
    (void)seen;
    struct run_request request = request_make("print second");
    run_start(&request, &second);
}

static void a_run_may_start_the_next(void **state)
{
    (void)state;
    pool_start("ok", 0, 1);
    cleanup_seen struct seen seen;
    seen_init(&seen);
    seen_init(&second);
    seen.then = start_second;
    struct run_request request = request_make("print first");
    run_start(&request, &seen);
    loop_until(&second.is_done);
    assert_text(&second.out, "second\n");
    seen_free(&second);
    pool_end();
}

static void close_now(struct seen *seen)
{
    (void)seen;
    pool_close(pool, on_closed, &is_closed);
    pool = NULL;
}

static void a_run_may_close_the_pool(void **state)
{
    (void)state;
    pool_start("ok", 2, 2);
    cleanup_seen struct seen ended;
    cleanup_seen struct seen hung;
    seen_init(&ended);
    seen_init(&hung);
    ended.then = close_now;
    is_closed = false;
    struct run_request request = request_make("hang");
    run_start(&request, &hung);
    request = request_make("print a");
    run_start(&request, &ended);
    loop_until(&is_closed);
    assert_int_equal(hung.done_count, 1);
    assert_int_equal(hung.outcome.status, OUTCOME_CANCELLED);
}

static void on_drained(void *context)
{
    flag_set(context);
}

static void a_draining_pool_ends_what_it_has(void **state)
{
    (void)state;
    struct err err;
    struct seen refused;
    bool is_drained = false;
    cleanup_seen struct seen running;
    cleanup_seen struct seen waiting;
    seen_init(&running);
    seen_init(&waiting);
    pool_start("ok", 1, 1);
    struct run_request request = request_make("sleep 200\nprint a");
    run_start(&request, &running);
    run_start(&request, &waiting);
    while (!pool_info(pool).ready) {
        loop_for(10);
    }
    pool_drain(pool, on_drained, &is_drained);
    assert_int_equal(run_request_start(&request, &refused, &err), -1);
    assert_int_equal(err.code, ERR_GONE);
    loop_until(&is_drained);
    assert_text(&running.out, "a\n");
    assert_int_equal(waiting.outcome.status, OUTCOME_REFUSED);
    assert_string_equal(waiting.message, POOL_DRAINING_TEXT);
    pool_end();

    pool_start("ok", 1, 1); /* an idle one, at once; and one that is closed, never */
    is_drained = false;
    pool_drain(pool, on_drained, &is_drained);
    loop_until(&is_drained);
    pool_end();
    pool_start("ok", 1, 1);
    is_drained = false;
    pool_drain(pool, on_drained, &is_drained);
    pool_end();
    assert_false(is_drained);
}

/* Where clients share a server they are not to share what a snapshot has fixed. */
static void a_snapshot_is_used_where_there_is_one_client(void **state)
{
    (void)state;
    char path[128];
    struct err err;
    snprintf(path, sizeof path, "%s/snapshot", guest_dir);
    for (int i = 0; i < 3; i++) {
        const bool has_snapshot = i > 0;
        const bool is_shared = i > 1;
        core_write("ok");
        assert_int_equal(has_snapshot ? fd_write_file(path, span_of("ok"), &err) : 0, 0);
        struct pool_config config = config_make(0, 1);
        config.is_shared = is_shared;
        assert_int_equal(pool_new(&loop, &config, &pool, &err), 0);
        assert_next_run_is_clean();
        assert_int_equal(pool_info(pool).has_snapshot, has_snapshot && !is_shared);
        pool_end();
    }
    assert_int_equal(unlink(path), 0);
}

static void a_lazy_pool_waits_for_a_run(void **state)
{
    (void)state;
    struct err err;
    core_write("ok");
    struct pool_config config = config_make(0, 1);
    config.is_lazy = true;
    assert_int_equal(pool_new(&loop, &config, &pool, &err), 0);
    loop_for(100);
    assert_false(pool_info(pool).ready);
    assert_next_run_is_clean();
    assert_true(pool_info(pool).ready);
    pool_end();
}

static void a_pool_closes_while_it_starts(void **state)
{
    (void)state;
    pool_start("slow 10000", 2, 2);
    uint64_t start_us = clock_monotonic_us();
    pool_end();
    assert_in_range(clock_monotonic_us() - start_us, 0, 1000000);
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(success_has_output_and_value),
        pool_test(streams_stay_in_order),
        pool_test(request_arrives_whole),
        pool_test(large_requests_and_results_pass),
        pool_test(crashes_say_what_happened),
        pool_test(crimes_are_killed),
        pool_test(a_thousand_crashes_leak_nothing),
        pool_test(cancel_ends_a_run),
        pool_test(cancel_ends_a_grace),
        pool_test(cancel_takes_a_run_from_the_queue),
        pool_test(a_held_pool_starts_nothing),
        pool_test(many_runs_share_few_cells),
        pool_test(queue_is_bounded),
        pool_test(a_killed_zygote_is_replaced),
        pool_test(a_dead_spare_cell_is_replaced),
        pool_test(ready_is_told_once),
        pool_test(a_zygote_that_cannot_boot_fails_the_pool),
        pool_test(bad_arguments_are_refused),
        pool_test(a_run_may_start_the_next),
        pool_test(a_run_may_close_the_pool),
        pool_test(a_draining_pool_ends_what_it_has),
        pool_test(a_snapshot_is_used_where_there_is_one_client),
        pool_test(a_lazy_pool_waits_for_a_run),
        pool_test(a_pool_closes_while_it_starts),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
