/* pool and cell together: errors, and what each limit makes of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/limits.h"
#include "pool/state.h"
#include "pool_fixture.h"
#include "wire/wire.h"

static void errors_keep_their_words(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    cleanup_seen struct seen seen;
    run_whole("print a\nraise ValueError", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_RUN_ERROR);
    assert_int_equal(seen.outcome.exit_code, 1);
    assert_string_equal(seen.type, "ValueError");
    assert_string_equal(seen.message, "it failed");
    assert_string_equal(seen.traceback, "Traceback (most recent call last):\nValueError\n");
    assert_int_equal(seen.outcome.error_line, 7);
    seen_free(&seen);
    run_whole("junk-text\nraise ValueError", &seen);
    assert_string_equal(seen.message, "a\xEF\xBF\xBDz");
    pool_end();
}

static void exceptions_that_limits_cause_are_limits(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        enum outcome_status status;
        const char *text;
    } rows[] = {
        {"raise MemoryError", OUTCOME_RUN_ERROR, "it failed"},
        {"limits 1\nraise MemoryError", OUTCOME_LIMIT,
         "the memory limit of 512 MiB was reached (see --memory)"},
        {"limits 1\nraise ValueError", OUTCOME_RUN_ERROR, "it failed"},
        {"limits 4\nraise OSError", OUTCOME_LIMIT,
         "the file size limit of 268435456 bytes in all was reached"},
        {"limits 8\nraise OSError", OUTCOME_LIMIT, "the file count limit of 20000 files"},
        {"limits 16\nraise OSError", OUTCOME_LIMIT,
         "the open files limit of 256 files was reached (see --open-files)"},
        {"limits 4\nvalue 1", OUTCOME_SUCCESS, ""},
        {"raise RecursionError", OUTCOME_RUN_ERROR, "it failed"},
    };
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_seen struct seen seen;
        run_whole(rows[i].code, &seen);
        assert_int_equal(seen.outcome.status, rows[i].status);
        assert_int_equal(seen.outcome.exit_code, rows[i].status == OUTCOME_SUCCESS ? 0 : 1);
        assert_contains(seen.message, rows[i].text);
    }
    pool_end();
}

static void time_limit_interrupts(void **state)
{
    (void)state;
    static const char *const codes[] = {"print a\nspin", "print a\nsleep 10000"};
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < 2; i++) {
        struct run_request request = request_make(codes[i]);
        request.limits.wall_ms = 100;
        cleanup_seen struct seen seen;
        run_request_whole(&request, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
        assert_int_equal(seen.outcome.limits, WIRE_LIMIT_TIME);
        assert_int_equal(seen.outcome.exit_code, 124);
        assert_string_equal(seen.message, "the time limit of 0.1 s was reached (see --timeout)");
        assert_string_equal(seen.traceback, "Traceback (most recent call last):\n"
                                            "KeyboardInterrupt\n"
                                            "the time limit of 0.1 s was reached (see --timeout)");
        assert_text(&seen.out, "a\n");
        assert_in_range(seen.outcome.wall_us, 100000, 100000 + LIMIT_GRACE_MS * 1000);
    }
    pool_end();
}

static void time_limit_kills_after_the_grace(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    struct run_request request = request_make("print a\nhang");
    request.limits.wall_ms = 1000;
    request.limits.grace_ms = 100;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
    assert_int_equal(seen.outcome.exit_code, 124);
    assert_string_equal(seen.traceback, "the time limit of 1 s was reached (see --timeout)");
    assert_text(&seen.out, "a\n");
    assert_in_range(seen.outcome.wall_us, 1100000, 1600000);
    assert_next_run_is_clean();
    pool_end();
}

/* CPU time: first an interrupt, then the end; what was written before is there. */
static void cpu_limit_ends_a_program(void **state)
{
    (void)state;
    static const char *const codes[] = {"print a\nspin", "print a\nhang"};
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < 2; i++) {
        struct run_request request = request_make(codes[i]);
        request.limits.cpu_ms = 100;
        cleanup_seen struct seen seen;
        run_request_whole(&request, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
        assert_int_equal(seen.outcome.limits, WIRE_LIMIT_CPU);
        assert_int_equal(seen.outcome.exit_code, 124);
        assert_string_equal(seen.message, "the CPU time limit of 0.1 s was reached "
                                          "(see --cpu-time)");
        assert_text(&seen.out, "a\n");
        assert_in_range(seen.outcome.wall_us, 90000, 20000000);
    }
    assert_next_run_is_clean();
    pool_end();
}

static void waiting_costs_no_cpu_time(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    struct run_request request = request_make("sleep 400\nprint a");
    request.limits.cpu_ms = 200;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_int_equal(seen.outcome.limits, 0);
    assert_text(&seen.out, "a\n");
    pool_end();
}

/* A status that a process may have for other reasons. */
static void a_status_alone_is_no_limit(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    cleanup_seen struct seen seen;
    run_whole("print a\nend-process 152", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
    assert_contains(seen.message, "ended with status 152 before the program did");
    pool_end();
}

/* A limit that did not decide the outcome is told all the same. */
static void limits_on_the_way_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        uint32_t limits;
        const char *text;
    } rows[] = {
        {"value 1", 0, ""},
        {"limits 12\nvalue 1", WIRE_LIMIT_FILE_BYTES | WIRE_LIMIT_FILE_COUNT,
         "the file size limit of 268435456 bytes in all was reached (see --file-bytes)\n"
         "the file count limit of 20000 files was reached (see --file-count)"},
        {"limits 1\nraise ValueError", WIRE_LIMIT_MEMORY,
         "the memory limit of 512 MiB was reached (see --memory)"},
        {"limits 17\nraise MemoryError", WIRE_LIMIT_MEMORY | WIRE_LIMIT_OPEN_FILES,
         "the open files limit of 256 files was reached (see --open-files)"},
        {"raise RecursionError", WIRE_LIMIT_RECURSION,
         "the recursion limit, 1000 calls at the start, was reached (see --recursion-limit)"},
        {"limits 256\nvalue 1", WIRE_LIMIT_DISPLAY,
         "the display limit of 100 items and 16 MiB was reached (see --display-count)"},
    };
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_seen struct seen seen;
        run_whole(rows[i].code, &seen);
        assert_int_equal(seen.outcome.limits, rows[i].limits);
        assert_string_equal(seen.limits, rows[i].text);
    }
    pool_end();
}

static void displays_come_in_order(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    cleanup_seen struct seen seen;
    run_whole("print a\ndisplay {}\nstderr b\ndisplay x\nprint c", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_text(&seen.order, "oa\nd{}eb\ndxoc\n");
    pool_end();
}

/* The platform keeps to the limit; a cell that does not is no cell of ours. */
static void more_displays_than_the_limit_are_a_breach(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    struct run_request request = request_make("display a\ndisplay b\ndisplay c");
    request.limits.display_count = 2;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
    assert_contains(seen.message, "it sent more to display than its limit allows");
    assert_text(&seen.out, "ab");
    assert_next_run_is_clean();
    pool_end();
}

static void output_stops_at_its_limit(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    struct run_request request = request_make("print 0123\nflood 1000000000\nprint never");
    request.limits.output_bytes = 100000;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
    assert_int_equal(seen.outcome.limits, WIRE_LIMIT_OUTPUT);
    assert_int_equal(seen.outcome.exit_code, 1);
    assert_true(seen.outcome.output_truncated);
    assert_string_equal(seen.message,
                        "the output limit of 100000 bytes was reached (see --output-limit)");
    assert_int_equal(seen.out.len, 100000);
    assert_next_run_is_clean();
    pool_end();
}

static void value_stops_at_its_limit(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    struct run_request request = request_make("value-of 1001");
    request.limits.result_bytes = 1000;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_string_equal(seen.value, "");
    assert_string_equal(seen.note, "truncated");
    assert_int_equal(seen.outcome.limits, WIRE_LIMIT_RESULT);
    pool_end();
}

/* Whoever broke out of the glass can say that a run is over and go on. */
static void whose_process_stays_takes_room(void **state)
{
    (void)state;
    static struct seen seen[LIMIT_LINGERING_CELLS];
    cleanup_seen struct seen next;
    struct run_request request = request_make("stay-after-end");
    pool_start("ok", 1, 2);
    for (unsigned i = 0; i < LIMIT_LINGERING_CELLS; i++) {
        seen_init(&seen[i]);
        run_start(&request, &seen[i]);
    }
    for (unsigned i = 0; i < LIMIT_LINGERING_CELLS; i++) {
        loop_until(&seen[i].is_done);
        seen_free(&seen[i]);
    }
    seen_init(&next);
    request = request_make("print b");
    run_start(&request, &next);
    assert_in_range(pool->lingering_count, 0, LIMIT_LINGERING_CELLS);
    assert_int_equal(next.run->is_queued, pool->lingering_count == LIMIT_LINGERING_CELLS);
    loop_until(&next.is_done);
    assert_text(&next.out, "b\n");
    loop_for(LIMIT_CELL_END_MS + 500); /* by then they were killed */
    assert_int_equal(pool->lingering_count, 0);
    pool_end();
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(whose_process_stays_takes_room),
        pool_test(cpu_limit_ends_a_program),
        pool_test(waiting_costs_no_cpu_time),
        pool_test(a_status_alone_is_no_limit),
        pool_test(limits_on_the_way_are_told),
        pool_test(displays_come_in_order),
        pool_test(more_displays_than_the_limit_are_a_breach),
        pool_test(errors_keep_their_words),
        pool_test(exceptions_that_limits_cause_are_limits),
        pool_test(time_limit_interrupts),
        pool_test(time_limit_kills_after_the_grace),
        pool_test(output_stops_at_its_limit),
        pool_test(value_stops_at_its_limit),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
