/*
 * Environments in a pool: whose zygote a run gets, what one that cannot start does to the others,
 * and who is let go when there are too many or too large ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "pool/state.h"
#include "pool_fixture.h"

enum { ENVIRONMENTS_MAX = LIMIT_ENVIRONMENT_COUNT_MAX + 2, IDLE_COUNT = 10 };

/* ---- Folders --------------------------------------------------------------------------------- */

static struct folder {
    char id[16];
    char dir[96];
} folders[ENVIRONMENTS_MAX];
static struct pool_environment environments[ENVIRONMENTS_MAX];

static void file_write(unsigned i, const char *name, const char *text)
{
    char path[128];
    struct err err;
    snprintf(path, sizeof path, "%s/%s", folders[i].dir, name);
    assert_int_equal(fd_write_file(path, span_of(text), &err), 0);
}

static void file_remove(unsigned i, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folders[i].dir, name);
    (void)unlink(path);
}

/* Number `i`, whose image holds a line for fake_guest.c; `preload` may be NULL. */
static const struct pool_environment *folder_make(unsigned i, const char *image,
                                                  const char *preload)
{
    snprintf(folders[i].id, sizeof folders[i].id, "e%u", i);
    snprintf(folders[i].dir, sizeof folders[i].dir, "%s/e%u", guest_dir, i);
    assert_true(mkdir(folders[i].dir, 0700) == 0 || errno == EEXIST);
    file_write(i, "packages.img", image);
    file_write(i, "modules", "none\n");
    if (preload != NULL) {
        file_write(i, "preload", preload);
    }
    environments[i] = (struct pool_environment){.id = folders[i].id, .dir = folders[i].dir};
    return &environments[i];
}

static int folders_remove(void **state)
{
    for (unsigned i = 0; i < ENVIRONMENTS_MAX; i++) {
        if (environments[i].id != NULL) {
            file_remove(i, "packages.img");
            file_remove(i, "modules");
            file_remove(i, "preload");
            (void)rmdir(folders[i].dir);
        }
    }
    memset(environments, 0, sizeof environments);
    return nothing_is_left(state);
}

/* ---- Looking into the pool ------------------------------------------------------------------- */

static struct environment *look(const char *id)
{
    struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        if (strcmp(environment->id, id) == 0) {
            return environment;
        }
    }
    return NULL;
}

static unsigned spares_of(const char *id)
{
    const struct environment *environment = look(id);
    return environment != NULL ? environment->spare_count : 0;
}

static bool is_ready(const char *id)
{
    const struct environment *environment = look(id);
    return environment != NULL && environment->state == ENVIRONMENT_READY;
}

static void until_ready(const char *id)
{
    for (unsigned i = 0; i < 500 && !is_ready(id); i++) {
        loop_for(10);
    }
    assert_true(is_ready(id));
}

/* Processes, with those that are just ending. */
static unsigned zygotes_alive(void)
{
    unsigned count = 0;
    const struct zygote *zygote;
    TAILQ_FOREACH(zygote, &pool->zygotes, link)
    {
        count++;
    }
    return count;
}

static void until_alive(unsigned count)
{
    for (unsigned i = 0; i < 500 && zygotes_alive() != count; i++) {
        loop_for(10);
    }
    assert_int_equal(zygotes_alive(), count);
}

static void zygote_kill_of(const char *id)
{
    assert_int_equal(kill(look(id)->zygote->process.pid, SIGKILL), 0);
}

static void run_in(const struct pool_environment *environment, const char *code, struct seen *seen)
{
    struct run_request request = request_make(code);
    request.environment = environment;
    run_request_whole(&request, seen);
}

static void assert_runs_in(const struct pool_environment *environment)
{
    cleanup_seen struct seen seen;
    run_in(environment, "print ran\nvalue 1", &seen);
    if (seen.outcome.status != OUTCOME_SUCCESS) {
        fail_msg("%s", seen.message);
    }
    assert_text(&seen.out, "ran\n");
}

/* ---- Whose zygote ---------------------------------------------------------------------------- */

static void a_run_gets_its_environment(void **state)
{
    (void)state;
    char line[512];
    pool_start("ok", 1, 2);
    for (unsigned i = 0; i < 2; i++) {
        cleanup_seen struct seen seen;
        run_in(folder_make(i, "ok", i == 1 ? "numpy,pandas.core\nmore\n" : NULL), "environment",
               &seen);
        snprintf(line, sizeof line, "image=%s/packages.img modules=%s/modules preload=%s\n",
                 folders[i].dir, folders[i].dir, i == 1 ? "numpy,pandas.core" : "");
        assert_text(&seen.out, line);
    }
    cleanup_seen struct seen seen;
    run_whole("environment", &seen);
    assert_text(&seen.out, "image= modules= preload=\n");
    pool_end();
}

static void what_is_no_list_of_names_is_not_preloaded(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "\nnumpy", "a;b", "--core /x", "numpy\xFF"};
    pool_start("ok", 1, 2);
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        cleanup_seen struct seen seen;
        run_in(folder_make(i, "ok", lines[i]), "environment", &seen);
        (void)buf_append_char(&seen.out, '\0');
        assert_contains(seen.out.base, "preload=\n");
    }
    pool_end();
}

static void whoever_boots_lets_others_pass(void **state)
{
    (void)state;
    pool_start("ok", 1, 2);
    assert_next_run_is_clean();
    cleanup_seen struct seen slow;
    cleanup_seen struct seen quick;
    seen_init(&slow);
    seen_init(&quick);
    struct run_request request = request_make("print slow");
    request.environment = folder_make(0, "slow 400", NULL);
    run_start(&request, &slow);
    request = request_make("print quick");
    request.environment = folder_make(1, "ok", NULL);
    run_start(&request, &quick);
    assert_next_run_is_clean();
    loop_until(&quick.is_done);
    assert_text(&quick.out, "quick\n");
    assert_false(slow.is_done);
    loop_until(&slow.is_done);
    assert_text(&slow.out, "slow\n");
    assert_true(slow.outcome.queue_us >= 400000);
    pool_end();
}

static unsigned done_count;
static char done_order[16];

static void note_order(struct seen *seen)
{
    done_order[done_count++] = seen->out.base[0];
}

static void runs_of_all_environments_are_in_one_queue(void **state)
{
    (void)state;
    struct seen seen[6];
    pool_start("ok", 1, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_runs_in(folder_make(i, "ok", NULL));
    }
    done_count = 0;
    memset(done_order, 0, sizeof done_order);
    for (unsigned i = 0; i < 6; i++) {
        char code[32];
        snprintf(code, sizeof code, "print %u\nsleep 5", i);
        struct run_request request = request_make(code);
        request.environment = i % 3 == 2 ? NULL : &environments[i % 3];
        seen_init(&seen[i]);
        seen[i].then = note_order;
        run_start(&request, &seen[i]);
    }
    loop_until(&seen[5].is_done);
    assert_string_equal(done_order, "012345");
    for (unsigned i = 0; i < 6; i++) {
        seen_free(&seen[i]);
    }
    pool_end();
}

static void warm_starts_ahead(void **state)
{
    (void)state;
    struct err err;
    pool_start("ok", 1, 1);
    assert_int_equal(pool_warm(pool, folder_make(0, "ok", NULL), &err), 0);
    assert_int_equal(pool_warm(pool, &environments[0], &err), 0);
    until_ready("e0");
    loop_for(50);
    assert_int_equal(zygotes_alive(), 2);
    assert_int_equal(spares_of("e0"), 1);
    assert_runs_in(&environments[0]);
    zygote_kill_of("e0"); /* nobody waits for it, so nothing is started */
    until_alive(1);
    loop_for(100);
    assert_int_equal(look("e0")->state, ENVIRONMENT_IDLE);
    assert_int_equal(zygotes_alive(), 1);
    assert_runs_in(&environments[0]);
    pool_end();
}

static void names_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",   "a/b",  "a b",
        "..", "\xFF", "0123456789012345678901234567890123456789012345678901234567890123a"};
    pool_start("ok", 0, 1);
    folder_make(0, "ok", NULL);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err;
        struct pool_environment environment = {.id = bad[i], .dir = folders[0].dir};
        assert_int_equal(pool_warm(pool, &environment, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
    }
    pool_end();
}

/* ---- Those that cannot start ----------------------------------------------------------------- */

static void one_that_cannot_start_fails_its_runs_alone(void **state)
{
    (void)state;
    static const struct {
        const char *image;
        const char *text;
    } rows[] = {
        {"fatal the image is stale", "the environment e0 cannot start: the image is stale"},
        {"exit a library is missing",
         "the environment e0 cannot start: the sandbox process died (status 3); its last words: "
         "a library is missing"},
    };
    pool_start("ok", 1, 4);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen seen[2];
        struct run_request request = request_make("print a");
        request.environment = folder_make(0, rows[i].image, NULL);
        for (unsigned j = 0; j < 2; j++) {
            seen_init(&seen[j]);
            run_start(&request, &seen[j]);
        }
        for (unsigned j = 0; j < 2; j++) {
            loop_until(&seen[j].is_done);
            assert_int_equal(seen[j].outcome.status, OUTCOME_REFUSED);
            assert_string_equal(seen[j].message, rows[i].text);
            seen_free(&seen[j]);
        }
        assert_next_run_is_clean();
    }
    assert_runs_in(folder_make(0, "ok", NULL)); /* it is not given up */
    pool_end();
}

static void a_removed_folder_is_a_clear_error(void **state)
{
    (void)state;
    struct err err;
    struct seen refused;
    pool_start("ok", 1, 2);
    struct run_request request = request_make("print a\nhang");
    request.environment = folder_make(0, "ok", NULL);
    assert_runs_in(&environments[0]);

    /* What runs and what waits when the folder goes, and the zygote with it. */
    cleanup_seen struct seen running;
    seen_init(&running);
    run_start(&request, &running);
    while (running.out.len == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    file_remove(0, "packages.img");
    assert_runs_in(&environments[0]); /* the zygote has it mapped */
    zygote_kill_of("e0");
    loop_until(&running.is_done);
    assert_int_equal(running.outcome.status, OUTCOME_CRASH);
    loop_for(50);

    assert_int_equal(run_request_start(&request, &refused, &err), -1);
    assert_int_equal(err.code, ERR_MISSING);
    assert_contains(err.text, "the environment e0 cannot start: ");
    assert_contains(err.text, "/e0/packages.img cannot be read");
    assert_int_equal(pool_warm(pool, &environments[0], &err), -1);
    file_write(0, "packages.img", "ok");
    file_remove(0, "modules");
    assert_int_equal(pool_warm(pool, &environments[0], &err), -1);
    assert_contains(err.text, "/e0/modules cannot be read");
    assert_next_run_is_clean();
    pool_end();
}

static void a_folder_removed_while_runs_wait_is_a_clear_error(void **state)
{
    (void)state;
    pool_start("ok", 1, 2);
    struct run_request request = request_make("print a");
    request.environment = folder_make(0, "slow 5000", NULL);
    cleanup_seen struct seen seen;
    seen_init(&seen);
    run_start(&request, &seen);
    loop_for(50);
    file_remove(0, "packages.img");
    zygote_kill_of("e0");
    loop_until(&seen.is_done);
    assert_int_equal(seen.outcome.status, OUTCOME_REFUSED);
    assert_contains(seen.message, "the environment e0 cannot start: ");
    assert_contains(seen.message, "/e0/packages.img");
    pool_end();
}

static void a_killed_zygote_is_replaced_for_those_that_wait(void **state)
{
    (void)state;
    pool_start("ok", 1, 1);
    assert_runs_in(folder_make(0, "ok", NULL));
    cleanup_seen struct seen running;
    cleanup_seen struct seen waiting;
    seen_init(&running);
    seen_init(&waiting);
    struct run_request request = request_make("print a\nhang");
    request.environment = &environments[0];
    run_start(&request, &running);
    request.code = span_of("print b");
    run_start(&request, &waiting);
    while (running.out.len == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    zygote_kill_of("e0");
    loop_until(&waiting.is_done);
    assert_int_equal(running.outcome.status, OUTCOME_CRASH);
    assert_int_equal(waiting.outcome.status, OUTCOME_SUCCESS);
    assert_text(&waiting.out, "b\n");
    pool_end();
}

/* ---- Imports ahead --------------------------------------------------------------------------- */

static void bad_imports_ahead_are_left_out_for_good(void **state)
{
    (void)state;
    static const char *const preloads[] = {"hang", "good,crash", "noise,hang"};
    pool_start("ok", 1, 2);
    pool->patience.preload_ms = 300;
    for (unsigned i = 0; i < sizeof preloads / sizeof *preloads; i++) {
        for (unsigned j = 0; j < 2; j++) { /* it is remembered */
            cleanup_seen struct seen seen;
            run_in(folder_make(i, "ok", preloads[i]), "environment", &seen);
            (void)buf_append_char(&seen.out, '\0');
            assert_contains(seen.out.base, "preload=\n");
            assert_true(look(folders[i].id)->is_bare);
            zygote_kill_of(folders[i].id);
            loop_for(50);
        }
    }
    assert_next_run_is_clean();
    pool_end();
}

static void noise_while_importing_does_no_harm(void **state)
{
    (void)state;
    pool_start("ok", 1, 2);
    cleanup_seen struct seen seen;
    run_in(folder_make(0, "ok", "noise"), "environment", &seen);
    (void)buf_append_char(&seen.out, '\0');
    assert_contains(seen.out.base, "preload=noise\n");
    pool_end();
}

static void a_boot_that_hangs_without_imports_fails(void **state)
{
    (void)state;
    pool_start("ok", 1, 2);
    assert_next_run_is_clean();
    pool->patience.boot_ms = 200;
    cleanup_seen struct seen seen;
    run_in(folder_make(0, "slow 60000", NULL), "print a", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_REFUSED);
    assert_contains(seen.message, "the environment e0 cannot start: it was not ready within");
    assert_next_run_is_clean();
    pool_end();
}

/* ---- Who is let go --------------------------------------------------------------------------- */

static uint64_t memory_of_zygotes(unsigned *count)
{
    uint64_t sum = 0;
    *count = 0;
    const struct environment *environment;
    TAILQ_FOREACH(environment, &pool->environments, link)
    {
        if (!environment->is_base && environment->state == ENVIRONMENT_READY) {
            sum += environment->memory_bytes;
            (*count)++;
        }
    }
    return sum;
}

static void idle_environments_stay_within_the_budget(void **state)
{
    (void)state;
    struct err err;
    struct pool_config config = config_make(1, 2);
    unsigned count;
    core_write("ok");
    config.environment_memory_bytes = 100 * MIB;
    assert_int_equal(pool_new(&loop, &config, &pool, &err), 0);
    for (unsigned i = 0; i < IDLE_COUNT; i++) {
        assert_runs_in(folder_make(i, "memory 20971520", NULL));
        assert_true(memory_of_zygotes(&count) <= 100 * MIB);
    }
    assert_in_range(count, 2, 4);
    for (unsigned i = 0; i < IDLE_COUNT; i++) { /* the last ones are there, and only they */
        assert_int_equal(is_ready(folders[i].id), i >= IDLE_COUNT - count);
    }
    until_alive(1 + count);
    assert_runs_in(&environments[0]); /* one that was let go comes back */
    assert_next_run_is_clean();
    pool_end();
}

static void who_has_runs_is_not_let_go(void **state)
{
    (void)state;
    struct err err;
    struct pool_config config = config_make(1, 4);
    unsigned count;
    core_write("ok");
    config.environment_memory_bytes = 30 * MIB;
    assert_int_equal(pool_new(&loop, &config, &pool, &err), 0);
    cleanup_seen struct seen seen;
    seen_init(&seen);
    struct run_request request = request_make("print a\nsleep 50000\nprint b");
    request.environment = folder_make(0, "memory 20971520", NULL);
    run_start(&request, &seen);
    assert_runs_in(folder_make(1, "memory 20971520", NULL));
    assert_runs_in(folder_make(2, "memory 20971520", NULL));
    assert_true(is_ready("e0"));
    pool_run_cancel(seen.run);
    loop_until(&seen.is_done);
    assert_text(&seen.out, "a\n");
    loop_for(20);
    assert_true(memory_of_zygotes(&count) <= 30 * MIB);

    /* One that is larger than the budget all by itself works, and goes when it is idle. */
    assert_runs_in(folder_make(3, "memory 41943040", NULL));
    loop_for(20);
    assert_false(is_ready("e3"));
    pool_end();
}

static void there_are_not_too_many(void **state)
{
    (void)state;
    struct err err;
    pool_start("ok", 0, 1);
    for (unsigned i = 0; i < ENVIRONMENTS_MAX; i++) {
        assert_runs_in(folder_make(i, "ok", NULL));
        assert_true(pool->environment_count <= LIMIT_ENVIRONMENT_COUNT_MAX);
    }
    until_alive(1 + LIMIT_ENVIRONMENT_COUNT_MAX);
    assert_null(look("e0"));
    assert_true(is_ready("e2"));

    struct seen *seen = calloc(ENVIRONMENTS_MAX, sizeof *seen);
    assert_non_null(seen);
    for (unsigned i = 0; i < LIMIT_ENVIRONMENT_COUNT_MAX; i++) {
        struct run_request request = request_make("sleep 1");
        request.environment = &environments[i];
        seen_init(&seen[i]);
        run_start(&request, &seen[i]);
    }
    struct seen refused;
    struct run_request request = request_make("print a");
    request.environment = &environments[LIMIT_ENVIRONMENT_COUNT_MAX];
    seen_init(&refused);
    assert_int_equal(run_request_start(&request, &refused, &err), -1);
    assert_string_equal(err.text,
                        "busy: 64 environments are in use, which is the most; try again after 2 s");
    for (unsigned i = 0; i < LIMIT_ENVIRONMENT_COUNT_MAX; i++) {
        loop_until(&seen[i].is_done);
        assert_int_equal(seen[i].outcome.status, OUTCOME_SUCCESS);
        seen_free(&seen[i]);
    }
    free(seen);
    pool_end();
}

static void spare_cells_go_after_a_while(void **state)
{
    (void)state;
    pool_start("ok", 2, 2);
    pool->patience.spare_keep_ms = 400;
    pool->patience.tick_ms = 20;
    assert_runs_in(folder_make(0, "ok", NULL));
    loop_for(20);
    assert_int_equal(spares_of("e0"), 2);
    loop_for(240);
    assert_runs_in(&environments[0]); /* used again: kept again */
    loop_for(240);
    assert_int_equal(spares_of("e0"), 2);
    loop_for(700);
    assert_int_equal(spares_of("e0"), 0);
    assert_true(is_ready("e0"));
    assert_int_equal(spares_of("base"), 2);
    assert_runs_in(&environments[0]);
    loop_for(20);
    assert_int_equal(spares_of("e0"), 2);
    pool_end();
}

/* ---- The end --------------------------------------------------------------------------------- */

static void the_pool_closes_with_all_of_them(void **state)
{
    (void)state;
    struct seen seen[4];
    pool_start("ok", 2, 2);
    assert_runs_in(folder_make(0, "ok", NULL));
    folder_make(1, "slow 10000", "hang");
    for (unsigned i = 0; i < 4; i++) {
        struct run_request request = request_make("hang");
        request.environment = i == 3 ? NULL : &environments[i % 2];
        seen_init(&seen[i]);
        run_start(&request, &seen[i]);
    }
    loop_for(50);
    pool_end();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(seen[i].done_count, 1);
        assert_int_equal(seen[i].outcome.status, OUTCOME_CANCELLED);
        seen_free(&seen[i]);
    }
}

#define environment_test(test) cmocka_unit_test_teardown(test, folders_remove)

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        environment_test(a_run_gets_its_environment),
        environment_test(what_is_no_list_of_names_is_not_preloaded),
        environment_test(whoever_boots_lets_others_pass),
        environment_test(runs_of_all_environments_are_in_one_queue),
        environment_test(warm_starts_ahead),
        environment_test(names_are_checked),
        environment_test(one_that_cannot_start_fails_its_runs_alone),
        environment_test(a_removed_folder_is_a_clear_error),
        environment_test(a_folder_removed_while_runs_wait_is_a_clear_error),
        environment_test(a_killed_zygote_is_replaced_for_those_that_wait),
        environment_test(bad_imports_ahead_are_left_out_for_good),
        environment_test(noise_while_importing_does_no_harm),
        environment_test(a_boot_that_hangs_without_imports_fails),
        environment_test(idle_environments_stay_within_the_budget),
        environment_test(who_has_runs_is_not_let_go),
        environment_test(there_are_not_too_many),
        environment_test(spare_cells_go_after_a_while),
        environment_test(the_pool_closes_with_all_of_them),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
