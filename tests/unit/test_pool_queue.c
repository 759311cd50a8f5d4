/* Whose turn it is: fairness between clients, their limits, and what a busy pool answers. */
#include "pool_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pool/state.h"

enum { MANY = 1000, FEW = 4 };

static void pool_start_limited(unsigned cells_max, unsigned client_cells, unsigned client_queue)
{
    struct err err = {0};
    core_write("ok");
    struct pool_config config = config_make(1, cells_max);
    config.client_cells_max = client_cells;
    config.client_queue_max = client_queue;
    if (pool_new(&loop, &config, &pool, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_next_run_is_clean();
}

static int client_start(uint64_t client, const char *code, struct seen *seen, struct err *err)
{
    struct run_request request = request_make(code);
    request.client = client;
    seen_init(seen);
    return run_request_start(&request, seen, err);
}

static void client_run(uint64_t client, const char *code, struct seen *seen)
{
    struct err err = {0};
    if (client_start(client, code, seen, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

/* ---- Fairness -------------------------------------------------------------------------------- */

static unsigned many_done;
static unsigned many_done_before_other; /* the other client's last run that ended */

static void count_many(struct seen *seen)
{
    (void)seen;
    many_done++;
}

/* The loop may turn once more before a test looks. */
static void note_other(struct seen *seen)
{
    (void)seen;
    many_done_before_other = many_done;
}

static void a_thousand_runs_delay_another_by_one(void **state)
{
    (void)state;
    static struct seen many[MANY];
    static struct seen few[FEW];
    pool_start_limited(1, 0, 0);
    many_done = 0;
    for (unsigned i = 0; i < MANY; i++) {
        client_run(1, "print a", &many[i]);
        many[i].then = count_many;
    }
    for (unsigned i = 0; i < FEW; i++) { /* one after the other, and all at once */
        client_run(2, "print b", &few[i]);
        few[i].then = note_other;
        if (i == 0) {
            loop_until(&few[0].is_done);
            assert_in_range(many_done_before_other, 1, 2); /* what ran, and one in turn */
        }
    }
    unsigned before = many_done;
    loop_until(&few[FEW - 1].is_done);
    assert_in_range(many_done_before_other - before, 1, FEW);
    for (unsigned i = 0; i < MANY; i++) {
        loop_until(&many[i].is_done);
        assert_text(&many[i].out, "a\n");
        seen_free(&many[i]);
    }
    assert_true(TAILQ_EMPTY(&pool->queue.clients)); /* nobody is remembered */
    pool_end();
}

static void who_has_fewest_running_is_next(void **state)
{
    (void)state;
    static struct seen many[8];
    cleanup_seen struct seen other;
    pool_start_limited(4, 0, 0);
    for (unsigned i = 0; i < 8; i++) {
        client_run(1, "hang", &many[i]);
    }
    client_run(2, "print b", &other);
    pool_run_cancel(many[2].run);
    loop_until(&other.is_done);
    assert_text(&other.out, "b\n");
    assert_int_equal(pool->running_count, 3 + 1); /* and the first that waited took its place */
    pool_end();
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(many[i].done_count, 1);
        seen_free(&many[i]);
    }
}

/* ---- Limits of a client ---------------------------------------------------------------------- */

static void a_client_has_its_own_limits(void **state)
{
    (void)state;
    static struct seen first[4];
    cleanup_seen struct seen second;
    cleanup_seen struct seen own;
    struct err err = {0};
    pool_start_limited(4, 2, 1);
    for (unsigned i = 0; i < 3; i++) {
        client_run(1, "hang", &first[i]);
    }
    assert_int_equal(client_start(1, "hang", &first[3], &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_contains(err.text, "busy: 1 programs of this client wait already, which is the most; "
                              "try again after ");
    assert_in_range(err.retry_after_ms, LIMIT_RETRY_MS_MIN, LIMIT_RETRY_MS_MAX);
    client_run(2, "print b", &second); /* two cells are free: for others */
    loop_until(&second.is_done);
    assert_int_equal(pool->running_count, 2);
    client_run(POOL_CLIENT_OWN, "print own", &own);
    loop_until(&own.is_done);
    pool_end();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(first[i].done_count, i < 3 ? 1 : 0);
        seen_free(&first[i]);
    }
}

static void where_clients_share_a_pool_none_takes_it_all(void **state)
{
    (void)state;
    static struct seen seen[LIMIT_CLIENT_QUEUE_SHARED + 2];
    struct seen refused;
    struct err err = {0};
    cleanup_seen struct seen other;
    core_write("ok");
    struct pool_config config = config_make(1, 3);
    config.is_shared = true;
    assert_int_equal(pool_new(&loop, &config, &pool, &err), 0);
    assert_next_run_is_clean();
    for (unsigned i = 0; i < LIMIT_CLIENT_QUEUE_SHARED + 2; i++) {
        client_run(1, "hang", &seen[i]);
    }
    assert_int_equal(client_start(1, "hang", &refused, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(pool->running_count, 2);
    client_run(2, "print b", &other);
    loop_until(&other.is_done);
    assert_text(&other.out, "b\n");
    pool_end();
    for (unsigned i = 0; i < LIMIT_CLIENT_QUEUE_SHARED + 2; i++) {
        seen_free(&seen[i]);
    }
}

static void own_programs_have_no_limits(void **state)
{
    (void)state;
    static struct seen own[8];
    pool_start_limited(8, 1, 1);
    for (unsigned i = 0; i < 8; i++) {
        client_run(POOL_CLIENT_OWN, "sleep 20", &own[i]);
    }
    for (unsigned i = 0; i < 8; i++) {
        loop_until(&own[i].is_done);
        assert_int_equal(own[i].outcome.status, OUTCOME_SUCCESS);
        seen_free(&own[i]);
    }
    pool_end();
}

/* ---- Busy ------------------------------------------------------------------------------------ */

/* The time that is told is about the time it takes until all that waits has run. */
static void busy_says_when_to_try_again(void **state)
{
    (void)state;
    struct err err = {0};
    unsigned count = 0;
    struct seen *seen = calloc(2 * LIMIT_QUEUE_MAX, sizeof *seen);
    assert_non_null(seen);
    pool_start_limited(1, 0, 0);
    for (unsigned refused = 0; refused < 2;) {
        if (client_start(count % 3, "sleep 1", &seen[count], &err) == 0) {
            count++;
        } else if (++refused == 1) {
            loop_until(&seen[50].is_done); /* now it is known how fast the queue moves */
        }
    }
    uint64_t start_us = clock_monotonic_us();
    assert_int_equal(err.code, ERR_BUSY);
    assert_contains(err.text, "busy: 1024 programs wait already, which is the most; try again "
                              "after ");
    loop_until(&seen[count - 1].is_done);
    uint64_t took_ms = (clock_monotonic_us() - start_us) / 1000;
    assert_in_range(err.retry_after_ms, took_ms / 4, took_ms * 4);
    pool_end();
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(seen[i].done_count, 1);
        seen_free(&seen[i]);
    }
    free(seen);
}

static void a_queue_that_stands_still_promises_nothing_soon(void **state)
{
    (void)state;
    struct err err = {0};
    static struct seen hung;
    static struct seen waiting;
    struct seen refused;
    pool_start_limited(1, 0, 1);
    client_run(1, "hang", &hung);
    client_run(1, "print a", &waiting);
    assert_int_equal(client_start(1, "print b", &refused, &err), -1);
    assert_int_equal(err.retry_after_ms, LIMIT_RETRY_MS_MIN);
    loop_for(1500);
    assert_int_equal(client_start(1, "print b", &refused, &err), -1);
    assert_in_range(err.retry_after_ms, 1500, 2000);
    assert_contains(err.text, "; try again after 2 s");
    pool_end();
    seen_free(&hung);
    seen_free(&waiting);
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(a_thousand_runs_delay_another_by_one),
        pool_test(who_has_fewest_running_is_next),
        pool_test(a_client_has_its_own_limits),
        pool_test(where_clients_share_a_pool_none_takes_it_all),
        pool_test(own_programs_have_no_limits),
        pool_test(busy_says_when_to_try_again),
        pool_test(a_queue_that_stands_still_promises_nothing_soon),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
