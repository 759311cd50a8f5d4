/* Zygotes that are replaced while they serve. */
#include "pool_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "pool/state.h"

enum { FORKS = 10, RENEWAL_MS = 150 };

static void pool_start_renewing(const char *core, uint64_t forks_max)
{
    struct err err = {0};
    core_write(core);
    struct pool_config config = config_make(2, 4);
    config.zygote_forks_max = forks_max;
    if (pool_new(&loop, &config, &pool, &err) != 0) {
        fail_msg("%s", err.text);
    }
    pool->patience.renewal_ms = RENEWAL_MS;
    pool->patience.tick_ms = 10;
    assert_next_run_is_clean();
}

static pid_t current(void)
{
    return pool->base->zygote->pid;
}

/* How many zygotes take over while the loop turns for so long. */
static unsigned renewals_within(uint64_t ms)
{
    unsigned count = 0;
    pid_t before = current();
    for (uint64_t at = 0; at < ms; at += 10) {
        loop_for(10);
        count += pool->base->zygote != NULL && current() != before ? 1 : 0;
        before = pool->base->zygote != NULL ? current() : before;
    }
    return count;
}

static void wait_alone(void)
{
    for (unsigned i = 0; i < 500 && (pool->base->zygote_count > 1 || pool->base->next); i++) {
        loop_for(10);
    }
    assert_int_equal(pool->base->zygote_count, 1);
}

/* ---- After many forks ------------------------------------------------------------------------ */

static void a_used_zygote_is_replaced_without_a_gap(void **state)
{
    (void)state;
    cleanup_seen struct seen long_one;
    pool_start_renewing("ok", FORKS);
    core_write("slow 1000");
    pid_t first = current();
    seen_init(&long_one);
    struct run_request request = request_make("sleep 4000\nprint long");
    run_start(&request, &long_one);
    while (current() == first) {
        cleanup_seen struct seen seen;
        run_whole("print a", &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
        assert_in_range(seen.outcome.queue_us, 0, 900000); /* nobody waits for a boot */
        loop_for(10);
    }
    assert_false(long_one.is_done); /* its zygote has not ended */
    loop_until(&long_one.is_done);
    assert_text(&long_one.out, "long\n");
    pool->zygote_forks_max = UINT64_MAX;
    wait_alone();
    assert_next_run_is_clean();
    pool_end();
}

static void not_many_zygotes_live_at_once(void **state)
{
    (void)state;
    static struct seen hung[4];
    pool_start_renewing("ok", FORKS);
    unsigned most = 0;
    for (unsigned i = 0; i < 4; i++) { /* each keeps a zygote alive */
        struct run_request request = request_make("hang");
        seen_init(&hung[i]);
        run_start(&request, &hung[i]);
        pool->cells_max = 8;
        for (unsigned j = 0; j < 2 * FORKS; j++) {
            assert_next_run_is_clean();
            loop_for(10);
            most = pool->base->zygote_count > most ? pool->base->zygote_count : most;
        }
    }
    assert_int_equal(most, LIMIT_ZYGOTES_MAX);
    pool_end();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(hung[i].done_count, 1);
        seen_free(&hung[i]);
    }
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

static void snapshot_write(char path[128])
{
    struct err err;
    snprintf(path, 128, "%s/snapshot", guest_dir);
    assert_int_equal(fd_write_file(path, span_of("a snapshot"), &err), 0);
}

/* All guests of a snapshot have the same hash secret: who takes over has to have another. */
static void who_takes_over_does_not_start_from_a_snapshot(void **state)
{
    (void)state;
    char path[128];
    snapshot_write(path);
    pool_start_renewing("ok", FORKS);
    assert_true(pool_info(pool).has_snapshot);
    pid_t first = current();
    for (unsigned i = 0; i < 500 && current() == first; i++) {
        assert_next_run_is_clean();
        loop_for(10);
    }
    assert_false(pool_info(pool).has_snapshot);
    pool_end();
    assert_int_equal(unlink(path), 0);
}

/* ---- On suspicion ---------------------------------------------------------------------------- */

static void run_and_forget(const char *code)
{
    cleanup_seen struct seen seen;
    struct run_request request = request_make(code);
    request.limits.wall_ms = 100;
    request.limits.grace_ms = 50;
    run_request_whole(&request, &seen);
}

static void a_suspicious_end_replaces_the_zygote(void **state)
{
    (void)state;
    static const char *const codes[] = {"junk", "twice", "more-after-end", "sleep 1\nsegv",
                                        "sleep 1\nconnect"};
    size_t count = sizeof codes / sizeof *codes - (is_jailed ? 0 : 2);
    for (size_t i = 0; i < count; i++) {
        pool_start_renewing("ok", 0);
        run_and_forget(codes[i]);
        assert_int_equal(renewals_within(300), 1);
        wait_alone();
        assert_next_run_is_clean();
        pool_end();
    }
}

static void ordinary_ends_replace_nothing(void **state)
{
    (void)state;
    static const char *const codes[] = {"print a",   "exit 1", "trap x",         "raise ValueError",
                                        "no-record", "hang",   "end-process 152"};
    pool_start_renewing("ok", 0);
    pid_t first = current();
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        run_and_forget(codes[i]);
    }
    loop_for(50);
    pid_t spare = oldest_cell_pid();
    assert_true(spare > 0);
    assert_int_equal(kill(spare, SIGKILL), 0); /* as the system does when memory is short */
    assert_int_equal(renewals_within(300), 0);
    assert_int_equal(current(), first);
    pool_end();
}

static void suspicions_do_not_boot_without_end(void **state)
{
    (void)state;
    pool_start_renewing("ok", 0);
    unsigned count = 0;
    for (unsigned i = 0; i < 100; i++) { /* 1.5 s: at 0, 150, 450 and 1,050 ms */
        run_and_forget("junk");
        count += renewals_within(10);
    }
    assert_in_range(count, 2, 4);
    assert_next_run_is_clean();
    pool_end();
}

/* ---- Successors that fail -------------------------------------------------------------------- */

static void the_old_one_goes_on_when_the_next_fails(void **state)
{
    (void)state;
    pool_start_renewing("ok", 0);
    pid_t first = current();
    core_write("fatal the images are stale");
    run_and_forget("junk");
    assert_int_equal(renewals_within(400), 0);
    assert_int_equal(current(), first);
    assert_next_run_is_clean();
    core_write("ok");
    assert_int_equal(renewals_within(1500), 1);
    wait_alone();
    assert_next_run_is_clean();
    pool_end();
}

static void the_next_takes_over_when_the_old_one_dies(void **state)
{
    (void)state;
    cleanup_seen struct seen seen;
    pool_start_renewing("ok", 0);
    pid_t first = current();
    core_write("slow 300");
    run_and_forget("junk");
    loop_for(50);
    assert_non_null(pool->base->next);
    assert_int_equal(kill(first, SIGKILL), 0);
    loop_for(50);
    assert_null(pool->base->next);
    run_whole("print a", &seen); /* waits for the boot */
    assert_text(&seen.out, "a\n");
    assert_int_not_equal(current(), first);
    wait_alone();
    pool_end();
}

static void a_pool_closes_while_one_takes_over(void **state)
{
    (void)state;
    pool_start_renewing("ok", 0);
    core_write("slow 10000");
    run_and_forget("junk");
    loop_for(100);
    assert_non_null(pool->base->next);
    pool_end();
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(a_used_zygote_is_replaced_without_a_gap),
        pool_test(not_many_zygotes_live_at_once),
        pool_test(who_takes_over_does_not_start_from_a_snapshot),
        pool_test(a_suspicious_end_replaces_the_zygote),
        pool_test(ordinary_ends_replace_nothing),
        pool_test(suspicions_do_not_boot_without_end),
        pool_test(the_old_one_goes_on_when_the_next_fails),
        pool_test(the_next_takes_over_when_the_old_one_dies),
        pool_test(a_pool_closes_while_one_takes_over),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
