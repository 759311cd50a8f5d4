/*
 * pool and cell together: programs that need packages, and programs that ask questions. Both are
 * hostile, so the most of this is about who may say what, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "base/limits.h"
#include "pool_fixture.h"
#include "wire/wire.h"

enum { LARGE_ANSWER_BYTES = 20000000, ANSWER_DELAY_MS = 30 };

/* ---- Needs ----------------------------------------------------------------------------------- */

static void packages_fields_arrive(void **state)
{
    (void)state;
    static const char *const dependencies[] = {"numpy>=2", "rich", NULL};
    pool_start("ok", 0, 1);
    struct run_request request = request_make("request");
    request.finds_needs = true;
    request.dependencies = dependencies;
    request.resolved = span_of("{\"guesses\":[]}");
    request.may_fetch = true;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    (void)buf_append_char(&seen.out, '\0');
    assert_contains(seen.out.base, "13=1\n15={\"guesses\":[]}\n16=1\n14=numpy>=2\n14=rich\n");
    pool_end();
}

static void a_need_is_an_outcome(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    struct run_request request = request_make("need {\"requirements\": [\"numpy\"]}");
    request.finds_needs = true;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_NEED);
    assert_string_equal(seen.need, "{\"requirements\": [\"numpy\"]}");
    assert_string_equal(seen.message, "");
    assert_int_equal(seen.outcome.exit_code, 125);
    seen_free(&seen);
    run_whole("print a\nvalue 1", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_string_equal(seen.need, "");
    pool_end();
}

static void a_need_that_may_not_be_is_a_crash(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        bool finds_needs;
    } rows[] = {
        {"need {}", false},  {"print a\nneed {}", true}, /* something was run */
        {"need \xFF", true}, {"need-of 524289", true},   {"need {}\nsilent", true},
    };
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_request request = request_make(rows[i].code);
        request.finds_needs = rows[i].finds_needs;
        cleanup_seen struct seen seen;
        run_request_whole(&request, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
        assert_contains(seen.message, "without a result");
        assert_string_equal(seen.need, "");
    }
    struct run_request request = request_make("need {}\nraise ValueError");
    request.finds_needs = true;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_RUN_ERROR);
    assert_string_equal(seen.need, "");
    pool_end();
}

static void bad_dependencies_are_refused(void **state)
{
    (void)state;
    static char long_name[LIMIT_REQUIREMENT_BYTES_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    static const char *many[LIMIT_REQUIREMENTS_MAX + 2];
    for (size_t i = 0; i <= LIMIT_REQUIREMENTS_MAX; i++) {
        many[i] = "numpy";
    }
    static const char *const no_text[] = {"numpy", "\xFF", NULL};
    static const char *const too_long[] = {long_name, NULL};
    const struct {
        const char *const *dependencies;
        const char *text;
    } rows[] = {
        {no_text, "dependency 1 is not UTF-8"},
        {too_long, "dependency 0 has 1025 bytes, 1024 at most"},
        {many, "dependency 256 is one too many"},
    };
    pool_start("ok", 0, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err;
        struct seen seen;
        struct run_request request = request_make("print a");
        request.dependencies = rows[i].dependencies;
        assert_int_equal(run_request_start(&request, &seen, &err), -1);
        assert_string_equal(err.text, rows[i].text);
    }
    pool_end();
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void answer_now(struct seen *seen)
{
    pool_run_fetched(seen->run, WIRE_FETCH_OK, span_of("page"));
}

static void answer_nothing(struct seen *seen)
{
    pool_run_fetched(seen->run, WIRE_FETCH_OFFLINE, (struct span){0});
}

static uv_timer_t delay;

static void on_delay(uv_timer_t *timer)
{
    struct seen *seen = timer->data;
    uv_close((uv_handle_t *)timer, NULL);
    char *answer = test_malloc(LARGE_ANSWER_BYTES);
    memset(answer, 'm', LARGE_ANSWER_BYTES);
    answer[0] = 'a';
    answer[LARGE_ANSWER_BYTES - 1] = 'z';
    pool_run_fetched(seen->run, WIRE_FETCH_OK, (struct span){answer, LARGE_ANSWER_BYTES});
    test_free(answer);
}

static void answer_much_later(struct seen *seen)
{
    (void)uv_timer_init(&loop, &delay);
    delay.data = seen;
    (void)uv_timer_start(&delay, on_delay, ANSWER_DELAY_MS, 0);
}

static void answer_never(struct seen *seen)
{
    (void)seen;
}

static void cancel_instead(struct seen *seen)
{
    pool_run_cancel(seen->run);
}

static void kill_zygote_instead(struct seen *seen)
{
    (void)seen;
    assert_int_equal(kill(zygote_pid(), SIGKILL), 0);
}

static void ask(const char *code, void (*on_fetch)(struct seen *), struct seen *seen)
{
    struct run_request request = request_make(code);
    request.may_fetch = true;
    if (on_fetch == answer_never) {
        request.limits.wall_ms = 1000;
        request.limits.grace_ms = 100;
    }
    seen_init(seen);
    seen->on_fetch = on_fetch;
    run_start(&request, seen);
    loop_until(&seen->is_done);
    assert_int_equal(seen->done_count, 1);
}

static void questions_are_answered(void **state)
{
    (void)state;
    static const struct {
        void (*on_fetch)(struct seen *seen);
        const char *out;
    } rows[] = {
        {answer_now, "before\n0 page\nafter\n"},
        {answer_nothing, "before\n4 \nafter\n"},
        {answer_much_later, "before\n0 20000000 bytes\nafter\n"},
    };
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_seen struct seen seen;
        ask("print before\nask numpy\nprint after\nvalue 1", rows[i].on_fetch, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
        assert_string_equal(seen.question, "numpy");
        assert_int_equal(seen.fetch_count, 1);
        assert_text(&seen.out, rows[i].out);
        seen_free(&seen);
        ask("ask a\nask b\nask c", rows[i].on_fetch, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
        assert_string_equal(seen.question, "c");
        assert_int_equal(seen.fetch_count, 3);
    }
    pool_end();
}

static void an_answer_too_large_is_said_to_be(void **state)
{
    (void)state;
    cleanup_seen struct seen seen;
    struct run_request request = request_make("ask numpy");
    request.may_fetch = true;
    pool_start("ok", 1, 1);
    seen_init(&seen);
    seen.on_fetch = answer_never;
    run_start(&request, &seen);
    while (seen.fetch_count == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    pool_run_fetched(seen.run, WIRE_FETCH_OK, (struct span){"", LIMIT_FETCH_ANSWER_BYTES_MAX - 3});
    loop_until(&seen.is_done);
    assert_text(&seen.out, "3 the answer is too large\n");
    pool_end();
}

static void who_may_not_ask_is_told_or_killed(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    cleanup_seen struct seen seen;
    run_whole("ask numpy", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_text(&seen.out, "not permitted\n");
    seen_free(&seen);
    run_whole("print a\nforge-ask numpy", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
    assert_contains(seen.message, "it sent a question that it may not ask");
    assert_text(&seen.out, "a\n");
    assert_next_run_is_clean();
    pool_end();
}

static void whoever_does_not_wait_is_killed(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    cleanup_seen struct seen seen;
    ask("ask-twice numpy", answer_never, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
    assert_contains(seen.message, "it sent more before its question was answered");
    assert_int_equal(seen.fetch_count, 0);
    seen_free(&seen);
    ask("ask-and-print numpy", answer_never, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
    assert_contains(seen.message, "it sent something when it was to listen");
    assert_int_equal(seen.fetch_count, 1);
    assert_text(&seen.out, "");
    assert_next_run_is_clean();
    pool_end();
}

static void questions_are_counted(void **state)
{
    (void)state;
    cleanup_buf struct buf code;
    buf_init(&code, MIB);
    for (unsigned i = 0; i <= LIMIT_RESOLVE_FETCHES_MAX; i++) {
        assert_int_equal(buf_append_text(&code, "ask x\n"), 0);
    }
    assert_int_equal(buf_append_char(&code, '\0'), 0);
    pool_start("ok", 1, 1);
    cleanup_seen struct seen seen;
    struct run_request request = request_make(code.base);
    request.may_fetch = true;
    seen_init(&seen);
    seen.on_fetch = answer_now;
    run_start(&request, &seen);
    loop_until(&seen.is_done);
    assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
    assert_contains(seen.message, "it sent more questions than there may be");
    assert_int_equal(seen.fetch_count, LIMIT_RESOLVE_FETCHES_MAX);
    pool_end();
}

static void a_run_may_end_before_its_answer(void **state)
{
    (void)state;
    static const struct {
        void (*on_fetch)(struct seen *seen);
        enum outcome_status status;
        const char *text;
    } rows[] = {
        {answer_never, OUTCOME_LIMIT, "the time limit of 1 s was reached"},
        {cancel_instead, OUTCOME_CANCELLED, "the run was cancelled"},
        {kill_zygote_instead, OUTCOME_CRASH, "the sandbox process died (signal 9)"},
    };
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup_seen struct seen seen;
        ask("print a\nask numpy\nprint b", rows[i].on_fetch, &seen);
        assert_int_equal(seen.outcome.status, rows[i].status);
        assert_contains(seen.message, rows[i].text);
        assert_text(&seen.out, "a\n");
        assert_next_run_is_clean();
    }
    pool_end();
}

/* An interrupt does not break the wait; it is there when the answer is. */
static void an_interrupt_waits_for_the_answer(void **state)
{
    (void)state;
    struct run_request request = request_make("ask numpy\nspin");
    request.may_fetch = true;
    request.limits.cancel_grace_ms = LIMIT_GRACE_MS_MAX;
    cleanup_seen struct seen seen;
    pool_start("ok", 1, 1);
    seen_init(&seen);
    seen.on_fetch = cancel_instead;
    run_start(&request, &seen);
    while (seen.fetch_count == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    loop_for(50);
    assert_false(seen.is_done);
    pool_run_fetched(seen.run, WIRE_FETCH_OK, span_of("page"));
    loop_until(&seen.is_done);
    assert_text(&seen.out, "0 page\n");
    assert_contains(seen.traceback, "KeyboardInterrupt");
    assert_int_equal(seen.outcome.status, OUTCOME_CANCELLED);
    pool_end();
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(packages_fields_arrive),
        pool_test(a_need_is_an_outcome),
        pool_test(a_need_that_may_not_be_is_a_crash),
        pool_test(bad_dependencies_are_refused),
        pool_test(questions_are_answered),
        pool_test(an_answer_too_large_is_said_to_be),
        pool_test(who_may_not_ask_is_told_or_killed),
        pool_test(whoever_does_not_wait_is_killed),
        pool_test(questions_are_counted),
        pool_test(a_run_may_end_before_its_answer),
        pool_test(an_interrupt_waits_for_the_answer),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
