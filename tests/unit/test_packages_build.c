/* Folders that appear whole: two builders at once, one that is killed, a damaged cache. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "packages/build.h"
#include "packages/store.h"
#include "packages_fixture.h"

struct told {
    bool done;
    bool has_failed;
    char text[ERR_TEXT_MAX];
    unsigned here;
    unsigned elsewhere;
    struct build *build;
};

struct state {
    struct fixture fixture;
    struct store store;
    uv_loop_t loop;
    struct builder *builders[2]; /* as in two processes: they know nothing of each other */
    char dir[PATH_MAX];
    unsigned open_count;
    bool closed;
};

static int set_up(void **out)
{
    struct err err;
    struct state *state = calloc(1, sizeof *state);
    fixture_make(&state->fixture);
    uv_loop_init(&state->loop);
    assert_int_equal(store_init(&state->store, state->fixture.guest, state->fixture.cache, &err),
                     0);
    assert_int_equal(store_open(&state->store, &err), 0);
    assert_int_equal(store_built_path(&state->store, SUM_A, state->dir, &err), 0);
    for (unsigned i = 0; i < 2; i++) {
        state->builders[i] = builder_new(&state->loop, state->fixture.precompile);
        assert_non_null(state->builders[i]);
    }
    *out = state;
    return 0;
}

static void on_closed(void *context)
{
    struct state *state = context;
    state->closed = --state->open_count == 0;
}

static void close_builder(struct state *state, unsigned i)
{
    if (state->builders[i] != NULL) {
        state->open_count = 1;
        state->closed = false;
        builder_close(state->builders[i], on_closed, state);
        fixture_wait(&state->loop, &state->closed);
        state->builders[i] = NULL;
    }
}

static int tear_down(void **out)
{
    struct state *state = *out;
    close_builder(state, 0);
    close_builder(state, 1);
    assert_int_equal(uv_loop_close(&state->loop), 0);
    store_free(&state->store);
    fixture_remove(&state->fixture);
    free(state);
    return 0;
}

static void on_started(void *context, bool is_elsewhere)
{
    struct told *told = context;
    told->here += is_elsewhere ? 0 : 1;
    told->elsewhere += is_elsewhere ? 1 : 0;
}

static void on_done(void *context, const struct err *err, uint64_t ms)
{
    struct told *told = context;
    (void)ms;
    assert_false(told->done);
    told->done = true;
    told->has_failed = err != NULL;
    (void)snprintf(told->text, sizeof told->text, "%s", err == NULL ? "" : err->text);
}

static void begin(struct state *state, unsigned builder, const char *sum, struct told *told)
{
    struct err err;
    const char *const args[] = {"wheel",    "/a/wheel.whl", "",  "--guest",
                                "/a/guest", "--sha256",     sum, NULL};
    struct build_order order = {.dir = state->dir, .args = args};
    *told = (struct told){0};
    struct build_events events = {.context = told, .started = on_started, .done = on_done};
    told->build = build_start(state->builders[builder], &order, &events, &err);
    assert_non_null(told->build);
}

static void hold(const struct state *state, bool is_held)
{
    char path[PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/wait", state->fixture.root);
    if (is_held) {
        fixture_write(&state->fixture, "wait", "");
    } else {
        assert_int_equal(unlink(path), 0);
    }
}

static void test_two_builders(void **context)
{
    struct state *state = *context;
    struct told first;
    struct told second;
    hold(state, true);
    begin(state, 0, SUM_A, &first);
    begin(state, 1, SUM_A, &second);
    fixture_run_ms(&state->loop, 300);
    assert_int_equal(first.here + second.here, 1);
    assert_int_equal(first.elsewhere + second.elsewhere, 1);
    assert_false(store_is_whole(state->dir));
    hold(state, false);
    fixture_wait(&state->loop, &first.done);
    fixture_wait(&state->loop, &second.done);
    assert_false(first.has_failed || second.has_failed);
    assert_int_equal(fixture_count(&state->fixture, "built", "wheel"), 1);
    assert_true(store_is_whole(state->dir));
}

/* The builder that was first is killed, program and all: the other one starts over. */
static void test_first_is_killed(void **context)
{
    struct state *state = *context;
    struct told first;
    struct told second;
    hold(state, true);
    begin(state, 0, SUM_A, &first);
    fixture_run_ms(&state->loop, 100);
    begin(state, 1, SUM_A, &second);
    fixture_run_ms(&state->loop, 100);
    assert_int_equal(second.elsewhere, 1);
    long pid = strtol(fixture_read(&state->fixture, "built") + strlen("wheel "), NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    fixture_wait(&state->loop, &first.done);
    assert_true(first.has_failed);
    assert_non_null(strstr(first.text, "signal 9"));
    assert_false(store_is_whole(state->dir));
    hold(state, false);
    fixture_wait(&state->loop, &second.done);
    assert_false(second.has_failed);
    assert_int_equal(fixture_count(&state->fixture, "built", "wheel"), 2);
    assert_true(store_is_whole(state->dir));
}

/* What a process that died left behind does not stand in the way. */
static void test_left_over(void **context)
{
    struct state *state = *context;
    struct told told;
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s.tmp-1-1", state->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "cache/built/" SUM_A "-%s.tmp-1-1/half.cwasm",
                   state->store.key);
    fixture_write(&state->fixture, path, "half");
    assert_int_equal(mkdir(state->dir, 0700), 0); /* without contents: not whole */
    begin(state, 0, SUM_A, &told);
    fixture_wait(&state->loop, &told.done);
    assert_false(told.has_failed);
    assert_true(store_is_whole(state->dir));
    assert_false(fixture_has(&state->fixture, path));
}

static void test_failure_leaves_nothing(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, 0, "f000000000000000000000000000000000000000000000000000000000000000", &told);
    fixture_wait(&state->loop, &told.done);
    assert_true(told.has_failed);
    assert_string_equal(told.text, "a bad wheel");
    assert_int_equal(fixture_entries(&state->fixture, "cache/built"), 1); /* the lock */
}

/* Nobody waits any more: the work is finished for the next one. */
static void test_left_build_goes_on(void **context)
{
    struct state *state = *context;
    struct told told;
    hold(state, true);
    begin(state, 0, SUM_A, &told);
    fixture_run_ms(&state->loop, 100);
    build_leave(told.build);
    hold(state, false);
    fixture_run_ms(&state->loop, 300);
    assert_false(told.done);
    assert_true(store_is_whole(state->dir));
}

static void test_closed_build_is_killed(void **context)
{
    struct state *state = *context;
    struct told told;
    hold(state, true);
    begin(state, 0, SUM_A, &told);
    fixture_run_ms(&state->loop, 100);
    build_leave(told.build);
    close_builder(state, 0);
    long pid = strtol(fixture_read(&state->fixture, "built") + strlen("wheel "), NULL, 10);
    assert_int_equal(kill((pid_t)pid, 0), -1);
    assert_int_equal(fixture_entries(&state->fixture, "cache/built"), 1); /* the lock */
}

static void build_one(struct state *state)
{
    struct told told;
    begin(state, 0, SUM_A, &told);
    fixture_wait(&state->loop, &told.done);
    assert_true(store_is_whole(state->dir));
}

static void test_damage_is_seen(void **context)
{
    struct state *state = *context;
    char image[64 + 128];
    char contents[64 + 128];
    (void)snprintf(image, sizeof image, "cache/built/" SUM_A "-%s/wheel.img", state->store.key);
    (void)snprintf(contents, sizeof contents, "cache/built/" SUM_A "-%s/contents",
                   state->store.key);
    build_one(state);
    fixture_write(&state->fixture, image, "whale\n"); /* the same size, another time */
    assert_false(store_is_whole(state->dir));
    build_one(state);
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/modules", state->dir);
    assert_int_equal(unlink(path), 0);
    assert_false(store_is_whole(state->dir));
    build_one(state);
    static const char *const damaged[] = {"",
                                          "\n",
                                          "nonsense\n",
                                          "1 2 3\n",
                                          "99999 0 0 wheel.img\n",
                                          "0 0 0 ../../x\n",
                                          "5 0 0 wheel.img"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        fixture_write(&state->fixture, contents, damaged[i]);
        assert_false(store_is_whole(state->dir));
    }
    build_one(state);
}

/* A cache that went through an archive has whole seconds. */
static void test_copied_cache(void **context)
{
    struct state *state = *context;
    build_one(state);
    static const char *const names[] = {"wheel.img", "modules"};
    for (unsigned i = 0; i < 2; i++) {
        char path[PATH_MAX + 32];
        struct stat about;
        (void)snprintf(path, sizeof path, "%s/%s", state->dir, names[i]);
        assert_int_equal(stat(path, &about), 0);
        struct timespec times[2] = {{.tv_sec = about.st_mtim.tv_sec},
                                    {.tv_sec = about.st_mtim.tv_sec}};
        assert_int_equal(utimensat(0, path, times, 0), 0);
    }
    assert_true(store_is_whole(state->dir));
}

static void test_needs_on_disk(void **context)
{
    struct state *state = *context;
    uint8_t key[SUM_BYTES] = {7};
    struct store_need need = {.id = "base", .time = 1000};
    struct store_need read;
    assert_false(store_need_read(&state->store, key, &read));
    store_need_write(&state->store, key, &need);
    assert_true(store_need_read(&state->store, key, &read));
    assert_string_equal(read.id, "base");
    assert_int_equal(read.time, 1000);
    char name[256];
    char hex[SUM_HEX_SIZE];
    sum_hex(key, hex);
    (void)snprintf(name, sizeof name, "cache/needs/%s", hex);
    static const char *const damaged[] = {"", "base", "../../x\n1\n", "\n1\n", "/etc\n1\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        fixture_write(&state->fixture, name, damaged[i]);
        assert_false(store_need_read(&state->store, key, &read));
    }
}

static void test_no_key(void **context)
{
    struct state *state = *context;
    struct err err;
    struct store store;
    fixture_write(&state->fixture, "guest/key", "0123456789abcdeX\n");
    assert_int_equal(store_init(&store, state->fixture.guest, state->fixture.cache, &err), 0);
    assert_int_equal(store_open(&store, &err), -1);
    assert_int_equal(err.code, ERR_FORMAT);
    store_free(&store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_builders),       TEST(test_first_is_killed),
        TEST(test_left_over),          TEST(test_failure_leaves_nothing),
        TEST(test_left_build_goes_on), TEST(test_closed_build_is_killed),
        TEST(test_damage_is_seen),     TEST(test_copied_cache),
        TEST(test_needs_on_disk),      TEST(test_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
