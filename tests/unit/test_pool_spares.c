/* Spare cells: the policy, and that the pool follows it. */
#include "pool_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "pool/measure.h"
#include "pool/state.h"

enum { BURST = 8 };

#define MS             1000ULL
#define HALF_LIFE      (LIMIT_SPARE_HALF_LIFE_MS * MS)
#define LONG_AFTER_ALL (100 * HALF_LIFE)

/* ---- The policy ------------------------------------------------------------------------------ */

static void runs_that_begin_together_are_a_peak(void **state)
{
    (void)state;
    struct spares_demand demand = {0};
    uint64_t now = LONG_AFTER_ALL;
    assert_int_equal(spares_demand_peak(&demand, now), 0);
    for (unsigned i = 1; i <= BURST; i++) {
        spares_demand_note(&demand, now += MS, i);
    }
    assert_int_equal(spares_demand_peak(&demand, now), BURST);
}

static void runs_one_after_the_other_are_none(void **state)
{
    (void)state;
    struct spares_demand demand = {0};
    uint64_t now = LONG_AFTER_ALL;
    for (unsigned i = 0; i < 1000; i++) { /* quickly, but each ends before the next */
        spares_demand_note(&demand, now += MS / 2, 1);
    }
    assert_int_equal(spares_demand_peak(&demand, now), 1);
    for (unsigned i = 1; i < 100; i++) { /* all at the same time, but begun one by one */
        spares_demand_note(&demand, now += 2 * LIMIT_SPARE_WINDOW_MS * MS, i);
    }
    assert_int_equal(spares_demand_peak(&demand, now), 1);
}

static void a_peak_decays_by_halves(void **state)
{
    (void)state;
    struct spares_demand demand = {.peak = 16, .peak_us = LONG_AFTER_ALL};
    static const struct {
        uint64_t halvings_percent;
        unsigned peak;
    } rows[] = {{0, 16}, {99, 16}, {100, 8}, {200, 4}, {450, 1}, {500, 0}, {5000, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t now = LONG_AFTER_ALL + HALF_LIFE / 100 * rows[i].halvings_percent;
        assert_int_equal(spares_demand_peak(&demand, now), rows[i].peak);
    }
    /* A lower one takes its place when it is no longer lower; an equal one makes it young again. */
    spares_demand_note(&demand, LONG_AFTER_ALL + HALF_LIFE, 1);
    assert_int_equal(demand.peak, 16);
    spares_demand_note(&demand, LONG_AFTER_ALL + 4 * HALF_LIFE, 1);
    assert_int_equal(spares_demand_peak(&demand, LONG_AFTER_ALL + 4 * HALF_LIFE), 1);
    assert_int_equal(demand.peak, 1);
}

static void memory_bounds_what_is_wanted(void **state)
{
    (void)state;
    static const struct {
        unsigned floor;
        unsigned peak;
        uint64_t bytes_left;
        unsigned wanted;
    } rows[] = {
        {2, 0, 64 * MIB, 2},       {2, 1, 64 * MIB, 2},       {2, 8, 64 * MIB, 8},     {2, 8, 0, 2},
        {2, 8, 3 * MIB, 5},        {2, 8, MIB - 1, 2},        {0, 8, 64 * MIB, 0},     {8, 2, 0, 8},
        {2, 1000, 1000 * MIB, 64}, {2, 8, UINT64_MAX / 2, 8}, {100, 8, 64 * MIB, 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(spares_wanted(rows[i].floor, rows[i].peak, rows[i].bytes_left, MIB),
                         rows[i].wanted);
    }
}

/* ---- The pool -------------------------------------------------------------------------------- */

static char folders[2][96];
static char ids[2][8];
static struct pool_environment environments[2];

static void folder_make(unsigned number)
{
    char path[256];
    struct err err;
    snprintf(ids[number], sizeof ids[number], "e%u", number);
    snprintf(folders[number], sizeof folders[number], "%s/%s", guest_dir, ids[number]);
    assert_int_equal(mkdir(folders[number], 0700), 0);
    static const char *const names[] = {"packages.img", "modules"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folders[number], names[i]);
        assert_int_equal(fd_write_file(path, span_of("ok\n"), &err), 0);
    }
    environments[number] = (struct pool_environment){ids[number], folders[number]};
}

static int folders_remove(void **state)
{
    int result = nothing_is_left(state);
    for (unsigned i = 0; i < 2; i++) {
        char path[256];
        static const char *const names[] = {"packages.img", "modules"};
        for (size_t j = 0; j < 2; j++) {
            snprintf(path, sizeof path, "%s/%s", folders[i], names[j]);
            (void)unlink(path);
        }
        (void)rmdir(folders[i]);
    }
    return result;
}

static void pool_start_sparing(uint64_t bytes)
{
    struct err err = {0};
    core_write("ok");
    struct pool_config config = config_make(2, 32);
    config.spare_bytes_max = bytes;
    if (pool_new(&loop, &config, &pool, &err) != 0) {
        fail_msg("%s", err.text);
    }
    pool->patience.tick_ms = 10;
    pool->processors = 2;
    assert_next_run_is_clean();
}

static struct environment *environment_of(const char *id)
{
    struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        if (strcmp(environment->id, id) == 0) {
            return environment;
        }
    }
    fail_msg("there is no environment %s", id);
    return NULL;
}

static void burst(const struct pool_environment *environment, unsigned size, const char *code)
{
    struct seen seen[32];
    for (unsigned i = 0; i < size; i++) {
        struct run_request request = request_make(code);
        request.environment = environment;
        seen_init(&seen[i]);
        run_start(&request, &seen[i]);
    }
    /* On a busy machine it may have taken longer to start them than the window is. */
    environment_of(environment == NULL ? "base" : environment->id)->demand.peak = size;
    for (unsigned i = 0; i < size; i++) {
        loop_until(&seen[i].is_done);
        assert_int_equal(seen[i].outcome.status, OUTCOME_SUCCESS);
        seen_free(&seen[i]);
    }
    loop_for(20);
}

static void a_burst_finds_its_cells_the_next_time(void **state)
{
    (void)state;
    pool_start_sparing(64 * MIB);
    loop_for(20);
    assert_int_equal(pool->base->spare_count, 2);
    burst(NULL, BURST, "print a");
    assert_int_equal(pool->base->spare_count, BURST);
    loop_for(50);
    assert_int_equal(pool->base->spare_count, BURST);
    pool->base->demand.peak_us -= HALF_LIFE;
    loop_for(50);
    assert_int_equal(pool->base->spare_count, BURST / 2);
    pool->base->demand.peak_us -= LONG_AFTER_ALL;
    loop_for(50);
    assert_int_equal(pool->base->spare_count, 2);
    assert_next_run_is_clean();
    pool_end();
}

static void without_memory_there_are_no_more(void **state)
{
    (void)state;
    pool_start_sparing(0);
    burst(NULL, BURST, "print a");
    assert_int_equal(pool->base->spare_count, 2);
    pool_end();
}

/* While programs keep the processors busy, and while others wait for cells, none is made that they
 * do not need. */
static void none_is_made_while_processors_are_needed(void **state)
{
    (void)state;
    static struct seen hung[4];
    pool_start_sparing(64 * MIB);
    burst(NULL, BURST, "print a");
    for (unsigned i = 0; i < 4; i++) {
        struct run_request request = request_make("sleep 5000");
        seen_init(&hung[i]);
        run_start(&request, &hung[i]);
    }
    loop_for(50);
    assert_int_equal(pool->base->spare_count, BURST - 4);
    pool->cells_max = 4;
    struct seen waiting;
    struct run_request request = request_make("print b");
    seen_init(&waiting);
    run_start(&request, &waiting);
    pool->processors = 1000; /* now it is the one that waits */
    pool_settle_soon(pool);
    loop_for(50);
    assert_int_equal(pool->base->spare_count, BURST - 4);
    pool_run_cancel(waiting.run);
    loop_for(50);
    assert_int_equal(pool->base->spare_count, BURST);
    pool_end();
    seen_free(&waiting);
    for (unsigned i = 0; i < 4; i++) {
        seen_free(&hung[i]);
    }
}

static void who_was_used_last_has_its_cells_first(void **state)
{
    (void)state;
    folder_make(0);
    folder_make(1);
    pool_start_sparing(6 * MIB);
    for (unsigned i = 0; i < 2; i++) {
        burst(&environments[i], BURST, "print a");
        assert_int_equal(environment_of(ids[i])->spare_count, BURST);
        environment_of(ids[i])->cell_bytes = MIB;
    }
    loop_for(50); /* the budget is for six beyond two each, and the second has them all */
    assert_int_equal(environment_of("e1")->spare_count, BURST);
    assert_int_equal(environment_of("e0")->spare_count, 2);
    burst(&environments[0], BURST, "print a");
    loop_for(50);
    assert_int_equal(environment_of("e0")->spare_count, BURST);
    assert_int_equal(environment_of("e1")->spare_count, 2);
    pool_end();
}

static void a_spare_cell_is_measured(void **state)
{
    (void)state;
    pool_start_sparing(64 * MIB);
    loop_for(50);
    assert_int_equal(pool->base->cell_bytes, 0);
    loop_for(LIMIT_SPARE_MEASURE_MS + 100);
    assert_in_range(pool->base->cell_bytes, 4096, 32 * MIB);
    struct zygote nobody = {.pid = 0};
    assert_int_equal(measure_newest_cell(&nobody), LIMIT_SPARE_BYTES_GUESS);
    assert_int_equal(measure_zygote(&nobody), LIMIT_ENVIRONMENT_MEMORY_GUESS);
    assert_false(uv_is_active((uv_handle_t *)&pool->tick)); /* at rest */
    pool_end();
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_that_begin_together_are_a_peak),
        cmocka_unit_test(runs_one_after_the_other_are_none),
        cmocka_unit_test(a_peak_decays_by_halves),
        cmocka_unit_test(memory_bounds_what_is_wanted),
        pool_test(a_burst_finds_its_cells_the_next_time),
        pool_test(without_memory_there_are_no_more),
        pool_test(none_is_made_while_processors_are_needed),
        cmocka_unit_test_teardown(who_was_used_last_has_its_cells_first, folders_remove),
        pool_test(a_spare_cell_is_measured),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
