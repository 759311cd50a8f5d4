/* Sessions of the pool: what lives on in their cell, what ends them, and what is left then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "pool/session.h"
#include "pool/state.h"
#include "pool_fixture.h"

enum { MANY_SESSIONS = 200 };

struct watched {
    struct pool_session *session;
    bool has_ended;
    bool is_ready;
    unsigned ended_count;
    enum pool_session_end end;
    char why[TEXT_MAX];
};

static void on_ended(void *context, enum pool_session_end end, const char *why)
{
    struct watched *watched = context;
    watched->end = end;
    watched->ended_count++;
    snprintf(watched->why, sizeof watched->why, "%s", why);
    flag_set(&watched->has_ended);
}

static void on_ready(void *context)
{
    struct watched *watched = context;
    flag_set(&watched->is_ready);
}

static struct pool_session_config config_of_session(void)
{
    return (struct pool_session_config){.client = 7, .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT};
}

static int session_try(const struct pool_session_config *config, struct watched *watched,
                       struct err *err)
{
    const struct pool_session_events events = {.context = watched, .ended = on_ended};
    *watched = (struct watched){0};
    return pool_session_open(pool, config, &events, &watched->session, err);
}

static void session_open(struct watched *watched)
{
    struct err err;
    const struct pool_session_config config = config_of_session();
    if (session_try(&config, watched, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void in_session(struct watched *watched, const char *code, struct seen *seen)
{
    struct run_request request = request_make(code);
    request.session = watched->session;
    run_request_whole(&request, seen);
}

/* One more run, of which only the output matters. */
static void assert_prints(struct watched *watched, const char *code, const char *text)
{
    cleanup_seen struct seen seen;
    in_session(watched, code, &seen);
    assert_string_equal(seen.message, "");
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_text(&seen.out, text);
}

static void assert_lost(struct watched *watched, const char *code, const char *part)
{
    cleanup_seen struct seen seen;
    in_session(watched, code, &seen);
    assert_int_not_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_contains(seen.message, part);
    assert_contains(seen.message, "its variables, imports and files are lost");
    assert_contains(seen.traceback, "its variables, imports and files are lost");
    assert_true(watched->has_ended);
    assert_int_equal(watched->ended_count, 1);
    assert_int_equal(watched->end, SESSION_LOST);
    assert_true(pool_session_has_ended(watched->session));
    struct err err;
    struct run_request request = request_make("print a");
    request.session = watched->session;
    assert_int_equal(run_request_start(&request, &seen, &err), -1);
    assert_int_equal(err.code, ERR_GONE);
    pool_session_close(watched->session);
}

/* ---- What lives on --------------------------------------------------------------------------- */

static void runs_follow_each_other_in_one_cell(void **state)
{
    (void)state;
    struct watched a;
    struct watched b;
    pool_start("ok", 1, 2);
    session_open(&a);
    session_open(&b);
    assert_null(pool_session_environment(a.session));
    assert_false(pool_session_has_state(a.session));
    assert_prints(&a, "remember of a", "");
    assert_prints(&b, "remember of b", "");
    assert_string_equal(pool_session_environment(a.session), "base");
    assert_true(pool_session_has_state(a.session));
    for (unsigned i = 0; i < 20; i++) {
        assert_prints(&a, "recall", "of a\n");
        assert_prints(&b, "recall", "of b\n");
    }
    assert_int_equal(pool->running_count, 0);
    assert_next_run_is_clean();
    pool_session_close(a.session);
    assert_prints(&b, "recall", "of b\n");
    pool_session_close(b.session);
    assert_false(a.has_ended || b.has_ended);
    pool_end();
}

static void each_run_has_its_own_limits(void **state)
{
    (void)state;
    struct watched watched;
    cleanup_seen struct seen seen;
    pool_start("ok", 0, 1);
    session_open(&watched);
    assert_prints(&watched, "remember kept", "");
    struct run_request request = request_make("flood 100000\nrecall");
    request.session = watched.session;
    request.limits.output_bytes = 1000;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.out.len, 1000);
    assert_true(seen.outcome.output_truncated);
    assert_contains(seen.limits, "the output limit of 1000 bytes");
    assert_prints(&watched, "recall", "kept\n");
    assert_prints(&watched, "request",
                  "2=main.py\n4=main.py\n32=1\n6=1\n7=60000\n8=536870912\n"
                  "9=1048576\n10=1048576\n11=268435456\n12=20000\n17=60000\n"
                  "18=256\n19=100\n30=131072\n20=1000\n");
    pool_session_close(watched.session);
    pool_end();
}

static void an_interrupt_keeps_it(void **state)
{
    (void)state;
    struct watched watched;
    pool_start("ok", 0, 1);
    session_open(&watched);
    assert_prints(&watched, "remember kept", "");
    for (unsigned i = 0; i < 10; i++) {
        cleanup_seen struct seen seen;
        struct run_request request = request_make(i % 2 == 0 ? "sleep 10000" : "spin");
        request.session = watched.session;
        request.limits.wall_ms = 20;
        run_request_whole(&request, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
        assert_contains(seen.message, "the time limit of 0.02 s was reached");
        assert_prints(&watched, "recall", "kept\n");
    }
    assert_false(watched.has_ended);
    pool_session_close(watched.session);
    pool_end();
}

/* The interrupt is sent as the run ends by itself: it must not end the next. */
static void an_interrupt_that_comes_too_late_is_nobodys(void **state)
{
    (void)state;
    struct watched watched;
    pool_start("ok", 0, 1);
    session_open(&watched);
    for (unsigned ms = 0; ms < 60; ms++) {
        cleanup_seen struct seen first;
        cleanup_seen struct seen second;
        seen_init(&first);
        seen_init(&second);
        struct run_request request = request_make("sleep 5");
        request.session = watched.session;
        request.limits.wall_ms = 3 + ms % 6;
        run_start(&request, &first);
        struct run_request next = request_make("sleep 20\nprint whole");
        next.session = watched.session;
        run_start(&next, &second);
        loop_until(&second.is_done);
        assert_true(first.is_done);
        assert_int_equal(second.outcome.status, OUTCOME_SUCCESS);
        assert_text(&second.out, "whole\n");
    }
    pool_session_close(watched.session);
    pool_end();
}

static void a_cancelled_run_keeps_it(void **state)
{
    (void)state;
    struct watched watched;
    cleanup_seen struct seen seen;
    pool_start("ok", 0, 1);
    session_open(&watched);
    assert_prints(&watched, "remember kept", "");
    seen_init(&seen);
    struct run_request request = request_make("sleep 10000");
    request.session = watched.session;
    run_start(&request, &seen);
    loop_for(20);
    pool_run_cancel(seen.run);
    loop_until(&seen.is_done);
    assert_int_equal(seen.outcome.status, OUTCOME_CANCELLED);
    assert_prints(&watched, "recall", "kept\n");
    pool_session_close(watched.session);
    pool_end();
}

static void runs_of_one_wait_for_each_other(void **state)
{
    (void)state;
    struct watched watched;
    struct seen seen[LIMIT_POOL_SESSION_QUEUE_MAX];
    struct err err;
    pool_start("ok", 1, 4);
    session_open(&watched);
    for (unsigned i = 0; i < LIMIT_POOL_SESSION_QUEUE_MAX; i++) {
        char code[64];
        snprintf(code, sizeof code, "recall\nsleep 2\nremember %u", i);
        struct run_request request = request_make(code);
        request.session = watched.session;
        seen_init(&seen[i]);
        run_start(&request, &seen[i]);
    }
    struct run_request request = request_make("recall");
    request.session = watched.session;
    cleanup_seen struct seen one_more;
    seen_init(&one_more);
    assert_int_equal(run_request_start(&request, &one_more, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_next_run_is_clean(); /* others need not wait */
    for (unsigned i = 0; i < LIMIT_POOL_SESSION_QUEUE_MAX; i++) {
        char text[16];
        loop_until(&seen[i].is_done);
        snprintf(text, sizeof text, "%.0u\n", i == 0 ? 0 : i - 1);
        assert_text(&seen[i].out, i == 1 ? "0\n" : text);
        seen_free(&seen[i]);
    }
    pool_session_close(watched.session);
    pool_end();
}

/* A first program that needs more has not run: the next one may be somewhere else. */
static void a_need_leaves_no_state(void **state)
{
    (void)state;
    struct watched watched;
    cleanup_seen struct seen seen;
    pool_start("ok", 0, 1);
    session_open(&watched);
    struct run_request request =
        request_make("remember x\nneed {\"requirements\":[\"six\"],\"guesses\":[]}");
    request.session = watched.session;
    request.finds_needs = true;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_NEED);
    assert_false(watched.has_ended || pool_session_has_state(watched.session));
    assert_null(pool_session_environment(watched.session));
    assert_prints(&watched, "recall", "\n");
    assert_true(pool_session_has_state(watched.session));
    assert_prints(&watched, "remember kept", "");
    seen_free(&seen);
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_NEED);
    assert_prints(&watched, "recall", "x\n"); /* the same cell, whatever it has done */
    pool_session_close(watched.session);
    pool_end();
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static int fork_try(const struct watched *from, struct watched *copy, struct err *err)
{
    const struct pool_session_events events = {
        .context = copy, .ready = on_ready, .ended = on_ended};
    const struct pool_session_config config = config_of_session();
    *copy = (struct watched){0};
    return pool_session_fork(from->session, &config, &events, &copy->session, err);
}

static void session_fork(const struct watched *from, struct watched *copy)
{
    struct err err;
    if (fork_try(from, copy, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void a_copy_goes_on_alone(void **state)
{
    (void)state;
    struct watched first;
    struct watched copies[3];
    if (!is_jailed) {
        return; /* copies are asked for by a filter */
    }
    pool_start("ok", 1, 4);
    session_open(&first);
    assert_prints(&first, "remember first", "");
    for (unsigned i = 0; i < 3; i++) {
        session_fork(i == 2 ? &copies[1] : &first, &copies[i]);
        assert_true(pool_session_has_state(copies[i].session));
        loop_until(&copies[i].is_ready);
        loop_for(2);
        assert_prints(&copies[i], "recall", i == 2 ? "copy\n" : "first\n");
        assert_prints(&copies[i], "remember copy", "");
        assert_prints(&first, "recall", "first\n");
    }
    assert_int_equal(pool->session_count, 4);
    assert_lost(&copies[1], "exit 1", "os._exit(1)");
    pool_session_close(first.session);
    assert_prints(&copies[0], "recall", "copy\n");
    assert_prints(&copies[2], "recall", "copy\n");
    assert_next_run_is_clean();
    assert_int_equal(kill(zygote_pid(), SIGKILL), 0); /* and its cells die with it */
    loop_until(&copies[0].has_ended);
    loop_until(&copies[2].has_ended);
    pool_session_close(copies[0].session);
    pool_session_close(copies[2].session);
    pool_end();
}

static void runs_wait_for_the_copy(void **state)
{
    (void)state;
    struct watched first;
    struct watched copy;
    cleanup_seen struct seen a;
    cleanup_seen struct seen b;
    struct err err;
    if (!is_jailed) {
        return;
    }
    pool_start("ok", 0, 2);
    session_open(&first);
    session_fork(&first, &copy); /* of nothing: it has no cell either */
    assert_null(pool_session_environment(copy.session));
    pool_session_close(copy.session);
    assert_prints(&first, "remember first", "");
    session_fork(&first, &copy);
    struct watched other;
    assert_int_equal(fork_try(&first, &other, &err), -1); /* while it is under way */
    assert_int_equal(err.code, ERR_BUSY);
    seen_init(&a);
    seen_init(&b);
    struct run_request request = request_make("recall\nsleep 20");
    request.session = copy.session;
    run_start(&request, &a);
    request.session = first.session;
    run_start(&request, &b);
    loop_until(&a.is_done);
    loop_until(&b.is_done);
    assert_text(&a.out, "first\n");
    assert_text(&b.out, "first\n");
    seen_free(&b);
    seen_init(&b);
    run_start(&request, &b);
    assert_int_equal(fork_try(&first, &other, &err), -1); /* while a program runs */
    assert_int_equal(err.code, ERR_BUSY);
    loop_until(&b.is_done);
    pool_session_close(first.session);
    pool_session_close(copy.session);
    pool_end();
}

/* Interrupts and kills find a copy, whose number the zygote knows by the kernel's word. */
static void a_copy_obeys(void **state)
{
    (void)state;
    struct watched first;
    struct watched copy;
    if (!is_jailed) {
        return;
    }
    pool_start("ok", 0, 2);
    session_open(&first);
    assert_prints(&first, "remember first", "");
    session_fork(&first, &copy);
    cleanup_seen struct seen seen;
    struct run_request request = request_make("spin");
    request.session = copy.session;
    request.limits.wall_ms = 20;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
    assert_prints(&copy, "recall", "first\n");
    seen_free(&seen);
    request.code = span_of("hang");
    request.limits.grace_ms = 20;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
    assert_int_equal(copy.end, SESSION_LOST);
    assert_prints(&first, "recall", "first\n");
    pool_session_close(first.session);
    pool_session_close(copy.session);
    pool_end();
}

/* A cell that was broken into, and wants to fork without an order, or to be what it is not. */
static void who_forks_unasked_is_ended(void **state)
{
    (void)state;
    static const char *const codes[] = {"fork", "join"};
    if (!is_jailed) {
        return;
    }
    pool_start("ok", 1, 2);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct watched watched;
        struct watched copy;
        session_open(&watched);
        assert_prints(&watched, "print a", "a\n");
        session_fork(&watched, &copy);
        assert_prints(&copy, "print b", "b\n");
        assert_lost(&copy, codes[i], "SIGSYS");
        assert_lost(&watched, codes[i], "SIGSYS");
        cleanup_seen struct seen seen;
        run_whole(codes[i], &seen); /* and in a cell of no session */
        assert_contains(seen.message, "SIGSYS");
    }
    assert_true(pool->base->zygote->is_suspect);
    assert_next_run_is_clean();
    pool_end();
}

static void many_copies_leave_nothing(void **state)
{
    (void)state;
    struct watched first;
    if (!is_jailed) {
        return;
    }
    pool_start("ok", 0, 2);
    session_open(&first);
    assert_prints(&first, "remember first", "");
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < MANY_SESSIONS; i++) {
        struct watched copy;
        session_fork(&first, &copy);
        if (i % 4 == 0) {
            assert_prints(&copy, "recall", "first\n");
        } else if (i % 4 == 1) {
            loop_until(&copy.is_ready);
        } else {
            bool is_free = false; /* it is closed while it is made */
            while (!is_free) {
                loop_for(1);
                is_free = session_is_free(first.session);
            }
        }
        pool_session_close(copy.session);
        while (!session_is_free(first.session)) {
            loop_for(1);
        }
    }
    loop_for(300);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(pool->session_parts, 1);
    assert_prints(&first, "recall", "first\n");
    pool_session_close(first.session);
    pool_end();
}

/* ---- What ends it ---------------------------------------------------------------------------- */

static void crashes_end_it(void **state)
{
    (void)state;
    const struct {
        const char *code;
        const char *part;
    } rows[] = {
        {"exit 3", "os._exit(3)"},
        {"trap call stack exhausted", "the program crashed: call stack exhausted"},
        {"end-process 5", "ended with status 5"},
        {"silent", "without a result"},
        {"no-record", "without a result"},
        {"twice", "a second result"},
        {"junk", "broke the protocol"},
        {"more-after-end", "more after its end"},
    };
    pool_start("ok", 1, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct watched watched;
        session_open(&watched);
        assert_prints(&watched, "print a", "a\n");
        assert_lost(&watched, rows[i].code, rows[i].part);
        assert_int_equal(pool->session_count, 0);
    }
    assert_next_run_is_clean();
    pool_end();
}

static void a_program_that_cannot_be_interrupted_ends_it(void **state)
{
    (void)state;
    struct watched watched;
    cleanup_seen struct seen seen;
    pool_start("ok", 0, 1);
    session_open(&watched);
    struct run_request request = request_make("hang");
    request.session = watched.session;
    request.limits.wall_ms = 20;
    request.limits.grace_ms = 20;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_LIMIT);
    assert_contains(seen.message, "the time limit of 0.02 s was reached");
    assert_contains(seen.message, "The session has ended with it");
    assert_int_equal(watched.end, SESSION_LOST);
    pool_session_close(watched.session);
    pool_end();
}

static void who_speaks_between_two_runs_is_ended(void **state)
{
    (void)state;
    struct watched watched;
    pool_start("ok", 0, 1);
    session_open(&watched);
    assert_prints(&watched, "false-rest", "");
    assert_false(watched.has_ended);
    loop_until(&watched.has_ended);
    assert_contains(watched.why, "broke the protocol");
    assert_true(pool->base->zygote->is_suspect);
    pool_session_close(watched.session);
    pool_end();
}

static void who_dies_between_two_runs_is_missed(void **state)
{
    (void)state;
    struct watched watched;
    pool_start("ok", 0, 1);
    session_open(&watched);
    assert_prints(&watched, "print a", "a\n");
    assert_int_equal(kill(oldest_cell_pid(), SIGKILL), 0);
    loop_until(&watched.has_ended);
    assert_int_equal(watched.end, SESSION_LOST);
    assert_contains(watched.why, "died between two programs");
    pool_session_close(watched.session);

    session_open(&watched);
    assert_prints(&watched, "print a", "a\n");
    assert_int_equal(kill(zygote_pid(), SIGKILL), 0);
    loop_until(&watched.has_ended);
    pool_session_close(watched.session);
    loop_for(50); /* until it is known that the zygote has died as well */
    assert_next_run_is_clean();
    pool_end();
}

static void time_ends_it(void **state)
{
    (void)state;
    struct watched idle;
    struct watched old;
    struct err err;
    struct pool_session_config config = config_of_session();
    pool_start("ok", 0, 2);
    config.idle_ms = 60;
    assert_int_equal(session_try(&config, &idle, &err), 0);
    config.idle_ms = 0;
    config.life_ms = 250;
    assert_int_equal(session_try(&config, &old, &err), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_prints(&idle, "sleep 80", ""); /* it is not idle then */
    }
    assert_false(idle.has_ended);
    loop_until(&idle.has_ended);
    assert_int_equal(idle.end, SESSION_IDLE);
    loop_until(&old.has_ended);
    assert_int_equal(old.end, SESSION_EXPIRED);
    assert_int_equal(pool->session_count, 0);
    pool_session_close(idle.session);
    pool_session_close(old.session);
    pool_end();
}

static void a_run_may_end_after_the_sessions_time(void **state)
{
    (void)state;
    struct watched watched;
    struct err err;
    struct pool_session_config config = config_of_session();
    config.life_ms = 1000; /* within which its run must have begun, on any machine */
    pool_start("ok", 0, 2);
    assert_int_equal(session_try(&config, &watched, &err), 0);
    assert_prints(&watched, "sleep 1200\nprint whole", "whole\n");
    assert_true(watched.has_ended);
    assert_int_equal(watched.end, SESSION_EXPIRED);
    pool_session_close(watched.session);
    pool_end();
}

static void memory_of_all_is_limited(void **state)
{
    (void)state;
    struct watched first;
    struct watched second;
    pool_start("ok", 0, 2);
    pool->session_bytes_max = 20 * MIB; /* each has 12345678 */
    session_open(&first);
    session_open(&second);
    assert_prints(&first, "print a", "a\n");
    assert_false(first.has_ended);
    assert_prints(&second, "print a", "a\n");
    assert_true(first.has_ended);
    assert_int_equal(first.end, SESSION_DISPLACED);
    assert_prints(&second, "print b", "b\n");
    pool_session_close(first.session);
    pool_session_close(second.session);
    pool_end();
}

/* ---- How many -------------------------------------------------------------------------------- */

static void there_are_not_too_many(void **state)
{
    (void)state;
    struct watched watched[4];
    struct err err;
    struct pool_session_config config = config_of_session();
    pool_start("ok", 0, 1);
    pool->sessions_max = 3;
    pool->client_sessions_max = 2;
    assert_int_equal(session_try(&config, &watched[0], &err), 0);
    assert_int_equal(session_try(&config, &watched[1], &err), 0);
    assert_int_equal(session_try(&config, &watched[2], &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_contains(err.text, "this client has 2 sessions already");
    config.client = 8;
    assert_int_equal(session_try(&config, &watched[2], &err), 0);
    assert_int_equal(session_try(&config, &watched[3], &err), -1);
    assert_contains(err.text, "there are 3 sessions");
    pool_session_close(watched[0].session);
    assert_int_equal(session_try(&config, &watched[3], &err), 0);
    config.life_ms = LIMIT_POOL_SESSION_MS_MAX + 1;
    assert_int_equal(session_try(&config, &watched[0], &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    for (unsigned i = 1; i < 4; i++) {
        pool_session_close(watched[i].session);
    }
    pool_end();
}

static void many_leave_nothing(void **state)
{
    (void)state;
    pool_start("ok", 1, 2);
    assert_next_run_is_clean();
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < MANY_SESSIONS; i++) {
        struct watched watched;
        session_open(&watched);
        assert_prints(&watched, "remember it\nrecall", "it\n");
        if (i % 3 == 0) {
            assert_lost(&watched, "exit 1", "os._exit");
        } else {
            pool_session_close(watched.session);
        }
    }
    loop_for(300);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(pool->session_count, 0);
    assert_int_equal(pool->session_parts, 0);
    assert_int_equal(pool->base->session_count, 0);
    assert_int_equal(pool->base->zygote->session_count, 0);
    pool_end();
}

/* ---- Ends of others -------------------------------------------------------------------------- */

static void closing_ends_its_runs(void **state)
{
    (void)state;
    struct watched watched;
    cleanup_seen struct seen running;
    cleanup_seen struct seen waiting;
    pool_start("ok", 0, 4);
    session_open(&watched);
    seen_init(&running);
    seen_init(&waiting);
    struct run_request request = request_make("sleep 10000");
    request.session = watched.session;
    run_start(&request, &running);
    run_start(&request, &waiting);
    loop_for(30);
    pool_session_close(watched.session);
    loop_until(&running.is_done);
    loop_until(&waiting.is_done);
    assert_int_equal(running.outcome.status, OUTCOME_CANCELLED);
    assert_int_equal(waiting.outcome.status, OUTCOME_CANCELLED);
    loop_for(50);
    assert_false(watched.has_ended);
    assert_int_equal(pool->session_parts, 0);
    pool_end();
}

static struct watched *to_close;

static void close_now(struct seen *seen)
{
    (void)seen;
    pool_session_close(to_close->session);
}

static void it_may_be_closed_as_a_run_ends(void **state)
{
    (void)state;
    static const char *const codes[] = {"print a", "exit 1"};
    pool_start("ok", 0, 4);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct watched watched;
        cleanup_seen struct seen seen;
        session_open(&watched);
        seen_init(&seen);
        seen.then = close_now;
        to_close = &watched;
        struct run_request request = request_make(codes[i]);
        request.session = watched.session;
        run_start(&request, &seen);
        loop_until(&seen.is_done);
        loop_for(50);
        assert_false(watched.has_ended);
        assert_int_equal(pool->session_parts, 0);
    }
    pool_end();
}

static void the_pools_end_is_theirs(void **state)
{
    (void)state;
    struct watched resting;
    struct watched busy;
    cleanup_seen struct seen seen;
    pool_start("ok", 0, 4);
    session_open(&resting);
    session_open(&busy);
    assert_prints(&resting, "print a", "a\n");
    seen_init(&seen);
    struct run_request request = request_make("sleep 100\nprint whole");
    request.session = busy.session;
    run_start(&request, &seen);
    loop_for(20);
    bool is_drained = false;
    pool_drain(pool, on_closed, &is_drained);
    loop_until(&is_drained);
    assert_text(&seen.out, "whole\n");
    loop_until(&busy.has_ended);
    assert_int_equal(resting.end, SESSION_POOL_ENDS);
    assert_int_equal(busy.end, SESSION_POOL_ENDS);
    pool_session_close(resting.session);
    pool_session_close(busy.session);
    pool_end();

    pool_start("ok", 0, 4);
    session_open(&resting);
    session_open(&busy);
    assert_prints(&resting, "print a", "a\n");
    seen_free(&seen);
    seen_init(&seen);
    request.session = busy.session;
    run_start(&request, &seen);
    loop_for(20);
    pool_end();
    assert_int_equal(seen.outcome.status, OUTCOME_CANCELLED);
    assert_true(resting.has_ended && busy.has_ended);
    pool_session_close(resting.session);
    pool_session_close(busy.session);
}

static void a_renewed_zygote_keeps_its_sessions(void **state)
{
    (void)state;
    struct watched watched;
    cleanup_seen struct seen seen;
    pool_start("ok", 0, 4);
    pool->patience.renewal_ms = 100;
    pool->patience.tick_ms = 10;
    session_open(&watched);
    assert_prints(&watched, "remember kept", "");
    struct zygote *first = pool->base->zygote;
    run_whole("junk", &seen); /* suspicious */
    loop_for(400);
    assert_ptr_not_equal(pool->base->zygote, first);
    assert_prints(&watched, "recall", "kept\n");
    assert_int_equal(pool->base->zygote_count, 2);
    pool_session_close(watched.session);
    loop_for(300);
    assert_int_equal(pool->base->zygote_count, 1);
    pool_end();
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(runs_follow_each_other_in_one_cell),
        pool_test(each_run_has_its_own_limits),
        pool_test(an_interrupt_keeps_it),
        pool_test(an_interrupt_that_comes_too_late_is_nobodys),
        pool_test(a_cancelled_run_keeps_it),
        pool_test(runs_of_one_wait_for_each_other),
        pool_test(a_need_leaves_no_state),
        pool_test(a_copy_goes_on_alone),
        pool_test(runs_wait_for_the_copy),
        pool_test(a_copy_obeys),
        pool_test(who_forks_unasked_is_ended),
        pool_test(many_copies_leave_nothing),
        pool_test(crashes_end_it),
        pool_test(a_program_that_cannot_be_interrupted_ends_it),
        pool_test(who_speaks_between_two_runs_is_ended),
        pool_test(who_dies_between_two_runs_is_missed),
        pool_test(time_ends_it),
        pool_test(a_run_may_end_after_the_sessions_time),
        pool_test(memory_of_all_is_limited),
        pool_test(there_are_not_too_many),
        pool_test(many_leave_nothing),
        pool_test(closing_ends_its_runs),
        pool_test(it_may_be_closed_as_a_run_ends),
        pool_test(the_pools_end_is_theirs),
        pool_test(a_renewed_zygote_keeps_its_sessions),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
