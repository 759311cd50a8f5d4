/* Programs with packages, end to end: the pool, vitrine-fetch and vitrine-precompile are fakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "fake_pool.h"
#include "packages/packages.h"
#include "packages_fixture.h"
#include "wire/wire.h"

#define NEED_ALPHA "{\"guesses\":[\"alpha\"],\"requirements\":[]}"
#define PACKAGE(name, version, sum, requested)                                                     \
    "{\"name\":\"" name "\",\"version\":\"" version "\",\"sha256\":\"" sum                         \
    "\",\"filename\":\"" name "-" version "-py3-none-any.whl\",\"requested\":" requested "}"
#define PLAN_ALPHA                                                                                 \
    "{\"packages\":[" PACKAGE("beta", "2", SUM_B, "false") "," PACKAGE(                            \
        "alpha", "1.0", SUM_A, "true") "],\"dropped\":[],\"log\":[\"pip says\"]}"

struct told {
    bool done;
    enum outcome_status status;
    int exit_code;
    uint64_t retry_after_ms;
    char message[1024];
    char traceback[1024];
    char log[8192];
    char packages[1024]; /* "NAME VERSION\n" each */
    char install_log[8192];
    unsigned line_count;
    int installing; /* begun minus over */
    unsigned installations;
    struct packages_run *run;
};

struct state {
    struct fixture fixture;
    uv_loop_t loop;
    struct packages_config config;
    struct packages *packages;
    bool closed;
};

static void keep(char *out, size_t size, struct span text)
{
    (void)snprintf(out, size, "%.*s", (int)text.len, text.base);
}

static void on_log(void *context, enum packages_level level, struct span line)
{
    struct told *told = context;
    size_t len = strlen(told->log);
    (void)snprintf(told->log + len, sizeof told->log - len, "%d %.*s\n", (int)level, (int)line.len,
                   line.base);
    told->line_count++;
}

static void on_installing(void *context, bool is_installing)
{
    struct told *told = context;
    told->installing += is_installing ? 1 : -1;
    told->installations += is_installing ? 1 : 0;
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct told *told = context;
    assert_false(told->done);
    told->done = true;
    told->status = outcome->status;
    told->exit_code = outcome->exit_code;
    told->retry_after_ms = outcome->retry_after_ms;
    keep(told->message, sizeof told->message, outcome->error_message);
    keep(told->traceback, sizeof told->traceback, outcome->error_traceback);
    keep(told->install_log, sizeof told->install_log, outcome->install_log);
    for (size_t i = 0; i < outcome->package_count; i++) {
        size_t len = strlen(told->packages);
        (void)snprintf(told->packages + len, sizeof told->packages - len, "%s %s\n",
                       outcome->packages[i].name, outcome->packages[i].version);
    }
}

static struct packages_events events_of(struct told *told)
{
    *told = (struct told){0};
    return (struct packages_events){
        .context = told, .log = on_log, .installing = on_installing, .done = on_done};
}

static void open_packages(struct state *state)
{
    struct err err;
    state->config.pool = fake_pool_reset();
    state->config.fetch_path = state->fixture.fetch;
    state->config.precompile_path = state->fixture.precompile;
    state->config.guest_dir = state->fixture.guest;
    state->config.cache_dir = state->fixture.cache;
    assert_int_equal(packages_new(&state->loop, &state->config, &state->packages, &err), 0);
    state->closed = false;
}

static void on_closed(void *context)
{
    ((struct state *)context)->closed = true;
}

static void close_packages(struct state *state)
{
    packages_close(state->packages, on_closed, state);
    fixture_run_ms(&state->loop, 20);
    for (unsigned i = 0; i < fake_run_count; i++) { /* the pool ends what was cancelled */
        if (!fake_runs[i].done) {
            assert_true(fake_runs[i].cancelled);
            fake_end(i, &(struct outcome){.status = OUTCOME_CANCELLED});
        }
    }
    fixture_wait(&state->loop, &state->closed);
}

static int set_up(void **out)
{
    struct state *state = calloc(1, sizeof *state);
    fixture_make(&state->fixture);
    uv_loop_init(&state->loop);
    state->config.installs = true;
    open_packages(state);
    *out = state;
    return 0;
}

static int tear_down(void **out)
{
    struct state *state = *out;
    close_packages(state);
    assert_int_equal(uv_loop_close(&state->loop), 0);
    fixture_remove(&state->fixture);
    free(state);
    return 0;
}

static void restart(struct state *state)
{
    close_packages(state);
    open_packages(state);
}

static void begin(struct state *state, struct told *told, const char *code)
{
    struct err err;
    struct packages_events events = events_of(told);
    struct run_request request = {.code = span_of(code), .limits = run_limits_default()};
    assert_int_equal(packages_run(state->packages, &request, &events, &told->run, &err), 0);
}

static void end_with(unsigned run, enum outcome_status status, const char *value)
{
    fake_end(run, &(struct outcome){.status = status, .value_json = span_of(value)});
}

static void end_with_need(unsigned run, const char *need)
{
    fake_end(run, &(struct outcome){.status = OUTCOME_NEED, .need_json = span_of(need)});
}

/* Waits until the pool has been given so many runs. */
static void wait_for_run(struct state *state, unsigned run)
{
    for (unsigned i = 0; i < 500 && fake_run_count <= run; i++) {
        fixture_run_ms(&state->loop, 10);
    }
    assert_true(fake_run_count > run);
}

static const char settings[] =
    "{\"index_urls\":[\"https://index.test/simple\"],\"cert\":null,\"proxy\":null}";

/* From a need of run 0 to the resolver's cell, whose number is given back. */
static unsigned go_to_resolver(struct state *state)
{
    wait_for_run(state, 1);
    assert_non_null(strstr(fake_runs[1].code, "index_settings"));
    assert_string_equal(fake_runs[1].environment, "resolver");
    assert_false(fake_runs[1].may_fetch);
    end_with(1, OUTCOME_SUCCESS, settings);
    wait_for_run(state, 2);
    assert_non_null(strstr(fake_runs[2].code, "resolve.main(job)"));
    assert_true(fake_runs[2].may_fetch);
    assert_false(fake_runs[2].finds_needs);
    return 2;
}

static void test_no_need(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "import math");
    assert_true(fake_runs[0].finds_needs);
    assert_string_equal(fake_runs[0].environment, "");
    end_with(0, OUTCOME_SUCCESS, "1");
    assert_true(told.done);
    assert_int_equal(told.status, OUTCOME_SUCCESS);
    assert_int_equal(told.installations, 0);
    assert_int_equal(fake_run_count, 1);
}

/* Run 3 is the program in its environment. */
static void install_alpha(struct state *state, struct told *told)
{
    begin(state, told, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    unsigned resolver = go_to_resolver(state);
    assert_non_null(strstr(fake_runs[resolver].globals, "\"guesses\":[\"alpha\"]"));
    assert_non_null(strstr(fake_runs[resolver].globals, "\"allow\":null"));
    end_with(resolver, OUTCOME_SUCCESS, PLAN_ALPHA);
    wait_for_run(state, 3);
    assert_int_equal(strlen(fake_runs[3].environment), 64);
    assert_string_equal(fake_runs[3].resolved, NEED_ALPHA);
    assert_string_equal(fake_runs[3].code, "import alpha\n");
    assert_int_equal(told->installing, 0);
    end_with(3, OUTCOME_SUCCESS, "1");
    assert_true(told->done);
}

static void test_from_need_to_environment(void **context)
{
    struct state *state = *context;
    struct fixture *fixture = &state->fixture;
    struct told told;
    install_alpha(state, &told);
    assert_int_equal(told.status, OUTCOME_SUCCESS);
    assert_string_equal(told.packages, "alpha 1.0\nbeta 2\n");
    assert_int_equal(told.installations, 1);
    assert_true(told.line_count >= 10);
    assert_non_null(strstr(told.log, "1 resolving alpha\n"));
    assert_non_null(strstr(told.log, "0 pip says\n"));
    assert_non_null(strstr(told.log, "1 half of it is here [31m\n"));
    assert_non_null(strstr(told.log, "1 alpha 1.0 from the distribution\n"));
    assert_non_null(strstr(told.log, "built alpha 1.0 in"));
    assert_non_null(strstr(told.log, "environment with 2 packages ready in"));
    assert_int_equal(fixture_count(fixture, "built", "wheel"), 2);
    assert_int_equal(fixture_count(fixture, "built", "environment"), 1);
    /* Only asked-for packages of the lock are imported ahead, and only what is a name. */
    char name[FAKE_TEXT_MAX + 64];
    (void)snprintf(name, sizeof name, "cache/environments/%s/preload", fake_runs[3].environment);
    assert_string_equal(fixture_read(fixture, name), "alpha,_alpha.x\n");
    /* Mirrors and indexes in their order. */
    assert_non_null(strstr(fixture_read(fixture, "cache/asked"),
                           "mirror https://cdn.test/\nmirror index:one\n"
                           "index https://index.test/simple\n"));
}

static void test_remembered_programs_go_straight(void **context)
{
    struct state *state = *context;
    struct told told;
    install_alpha(state, &told);
    begin(state, &told, "import alpha\nprint(2)");
    assert_string_equal(fake_runs[4].environment, fake_runs[3].environment);
    assert_string_equal(fake_runs[4].resolved, NEED_ALPHA);
    end_with(4, OUTCOME_SUCCESS, "");
    assert_string_equal(told.packages, "alpha 1.0\nbeta 2\n");
    /* Other lines, the same need: once to the base, and on without a resolution. */
    begin(state, &told, "if True: import alpha");
    assert_string_equal(fake_runs[5].environment, "");
    end_with_need(5, NEED_ALPHA);
    assert_string_equal(fake_runs[6].environment, fake_runs[3].environment);
    end_with(6, OUTCOME_SUCCESS, "");
    assert_int_equal(told.installations, 0);
}

static void test_remembered_on_disk(void **context)
{
    struct state *state = *context;
    struct told told;
    char id[FAKE_TEXT_MAX];
    install_alpha(state, &told);
    (void)snprintf(id, sizeof id, "%s", fake_runs[3].environment);
    restart(state);
    /* The same imports go straight to the environment. */
    begin(state, &told, "import alpha\nprint(3)");
    assert_string_equal(fake_runs[0].environment, id);
    assert_string_equal(fake_runs[0].resolved, NEED_ALPHA);
    end_with(0, OUTCOME_SUCCESS, "");
    assert_string_equal(told.packages, "alpha 1.0\nbeta 2\n");
    /* Other lines with the same need do it in two steps, without a resolution. */
    begin(state, &told, "import alpha # too");
    assert_string_equal(fake_runs[1].environment, "");
    end_with_need(1, NEED_ALPHA);
    assert_string_equal(fake_runs[2].environment, id);
    end_with(2, OUTCOME_SUCCESS, "");
    /* What was imported is what somebody may ask for by name. */
    begin(state, &told, "import alpha # by name");
    end_with_need(3, "{\"guesses\":[],\"requirements\":[\"alpha\"]}");
    assert_string_equal(fake_runs[4].environment, id);
    end_with(4, OUTCOME_SUCCESS, "");
}

/* The cache of an environment is damaged while nobody runs: it is not used. */
static void test_damaged_before_start(void **context)
{
    struct state *state = *context;
    struct told told;
    char name[FAKE_TEXT_MAX + 64];
    install_alpha(state, &told);
    (void)snprintf(name, sizeof name, "cache/environments/%s/packages.img",
                   fake_runs[3].environment);
    fixture_write(&state->fixture, name, "cut");
    restart(state);
    begin(state, &told, "import alpha\n");
    assert_string_equal(fake_runs[0].environment, "");
    assert_string_equal(fake_runs[0].resolved, "");
    end_with_need(0, NEED_ALPHA);
    end_with(go_to_resolver(state), OUTCOME_SUCCESS, PLAN_ALPHA);
    wait_for_run(state, 3);
    assert_string_equal(fixture_read(&state->fixture, name), "whole\n");
    end_with(3, OUTCOME_SUCCESS, "");
}

static void test_two_wait_for_one(void **context)
{
    struct state *state = *context;
    struct told first;
    struct told second;
    begin(state, &first, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    wait_for_run(state, 1);
    end_with(1, OUTCOME_SUCCESS, settings);
    wait_for_run(state, 2);
    begin(state, &second, "import alpha\n");
    end_with_need(3, NEED_ALPHA);
    end_with(2, OUTCOME_SUCCESS, PLAN_ALPHA);
    wait_for_run(state, 5);
    assert_string_equal(fake_runs[4].environment, fake_runs[5].environment);
    assert_int_equal(fixture_count(&state->fixture, "built", "wheel"), 2);
    end_with(4, OUTCOME_SUCCESS, "");
    end_with(5, OUTCOME_SUCCESS, "");
    assert_true(first.done && second.done);
}

/* One of two leaves during a build: the other one gets the environment. */
static void test_cancel_one_of_two(void **context)
{
    struct state *state = *context;
    struct told first;
    struct told second;
    begin(state, &first, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    end_with(go_to_resolver(state), OUTCOME_SUCCESS, PLAN_ALPHA);
    begin(state, &second, "import alpha\n");
    end_with_need(3, NEED_ALPHA);
    fixture_write(&state->fixture, "wait", "");
    fixture_run_ms(&state->loop, 100);
    packages_run_cancel(first.run);
    assert_false(first.done);
    fixture_wait(&state->loop, &first.done);
    assert_int_equal(first.status, OUTCOME_CANCELLED);
    assert_int_equal(first.installing, 0);
    char path[PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/wait", state->fixture.root);
    assert_int_equal(unlink(path), 0);
    wait_for_run(state, 4);
    end_with(4, OUTCOME_SUCCESS, "");
    assert_int_equal(second.status, OUTCOME_SUCCESS);
}

/* Nobody waits any more: the resolver's cell is cancelled. */
static void test_cancel_last(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    unsigned resolver = go_to_resolver(state);
    packages_run_cancel(told.run);
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_CANCELLED);
    assert_true(fake_runs[resolver].cancelled);
    end_with(resolver, OUTCOME_CANCELLED, "");
}

static void test_install_error(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    end_with(go_to_resolver(state), OUTCOME_SUCCESS,
             "{\"error\":\"no alpha\\nfor you\\u001b\",\"hint\":\"ask for beta\",\"log\":[\"x\"]}");
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_INSTALL_ERROR);
    assert_int_equal(told.exit_code, 125);
    assert_string_equal(told.message, "no alpha\nfor you ");
    assert_string_equal(told.traceback, "no alpha\nfor you \nask for beta");
    assert_non_null(strstr(told.install_log, "resolving alpha\n"));
    assert_int_equal(told.installing, 0);
}

static void expect_failure(struct state *state, const char *plan, const char *words)
{
    struct told told;
    unsigned before = fake_run_count;
    begin(state, &told, "import alpha\n");
    end_with_need(before, NEED_ALPHA);
    if (before == 0) {
        end_with(go_to_resolver(state), OUTCOME_SUCCESS, plan);
    } else {
        wait_for_run(state, before + 1);
        end_with(before + 1, OUTCOME_SUCCESS, plan);
    }
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_INSTALL_ERROR);
    if (strstr(told.message, words) == NULL) {
        fail_msg("'%s' is not in '%s'", words, told.message);
    }
}

#define PLAN_OF(sum) "{\"packages\":[" PACKAGE("alpha", "1.0", sum, "true") "],\"log\":[]}"
#define ZEROS        "00000000000000000000000000000000000000000000000000000000000000"

static void test_failures(void **context)
{
    struct state *state = *context;
    expect_failure(state, PLAN_OF("e0" ZEROS), "alpha 1.0 cannot be had: the folder and");
    expect_failure(state, PLAN_OF("e1" ZEROS), "the network is down");
    expect_failure(state, PLAN_OF("e2" ZEROS), "the test wants me to die");
    expect_failure(state, PLAN_OF("f0" ZEROS), "alpha 1.0 cannot be installed: a bad wheel");
    expect_failure(state, "[]", "not an object");
    expect_failure(state, "{\"packages\":[{\"name\":\"../x\"}],\"log\":[]}", "proper name");
    expect_failure(state, PLAN_OF("zz" ZEROS), "proper SHA-256");
    assert_false(fixture_has(&state->fixture, "cache/built/f0" ZEROS "-0123456789abcdef"));
    assert_int_equal(fixture_entries(&state->fixture, "cache/built"), 1); /* its lock */
}

static void test_forged_needs(void **context)
{
    struct state *state = *context;
    static const char *const forged[][2] = {
        {"", "what the program needs"},
        {"{}", "lacks a member"},
        {"{\"guesses\":[],\"requirements\":[\"x @ http://h/x.whl\"]}", "names an address"},
        {"{\"guesses\":[],\"requirements\":[\"-r /etc/passwd\"]}", "an option"},
        {"{\"guesses\":[\"../../x\"],\"requirements\":[]}", "a path"},
        {"{\"guesses\":[1],\"requirements\":[]}", "not a text"},
    };
    for (unsigned i = 0; i < sizeof forged / sizeof *forged; i++) {
        struct told told;
        begin(state, &told, "import alpha\n");
        end_with_need(i, forged[i][0]);
        fixture_wait(&state->loop, &told.done);
        assert_int_equal(told.status, OUTCOME_INSTALL_ERROR);
        assert_non_null(strstr(told.message, forged[i][1]));
    }
}

/* A guest that needs something else each time is not followed for ever. */
static void test_endless_needs(void **context)
{
    struct state *state = *context;
    struct told told;
    install_alpha(state, &told);
    begin(state, &told, "import alpha\nagain\n");
    end_with_need(4, NEED_ALPHA);
    end_with_need(5, NEED_ALPHA);
    end_with_need(6, NEED_ALPHA);
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_INSTALL_ERROR);
    assert_int_equal(fake_run_count, 7);
}

static void ask(unsigned run, enum wire_fetch_what what, const char *const *names)
{
    struct buf record;
    buf_init(&record, 4096);
    assert_int_equal(wire_put_u32(&record, WIRE_FETCH_WHAT, (uint32_t)what), 0);
    for (size_t i = 0; names[i] != NULL; i++) {
        assert_int_equal(wire_put(&record, WIRE_FETCH_NAME, span_of(names[i])), 0);
    }
    fake_ask(run, buf_span(&record));
    buf_free(&record);
}

static void wait_for_answer(struct state *state, unsigned run, unsigned count)
{
    for (unsigned i = 0; i < 500 && fake_runs[run].fetched_count < count; i++) {
        fixture_run_ms(&state->loop, 10);
    }
    assert_int_equal(fake_runs[run].fetched_count, count);
}

static void test_questions(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    unsigned run = go_to_resolver(state);
    ask(run, WIRE_FETCH_PAGE, (const char *const[]){"alpha", "beta", "gamma", NULL});
    wait_for_answer(state, run, 1);
    assert_int_equal(fake_runs[run].fetched_status, WIRE_FETCH_OK);
    assert_string_equal(fake_runs[run].fetched, "page of alpha, 2 wanted next");
    ask(run, WIRE_FETCH_PAGE, (const char *const[]){"missing", NULL});
    wait_for_answer(state, run, 2);
    assert_int_equal(fake_runs[run].fetched_status, WIRE_FETCH_MISSING);
    ask(run, WIRE_FETCH_PAGE, (const char *const[]){"dying", NULL});
    wait_for_answer(state, run, 3);
    assert_int_equal(fake_runs[run].fetched_status, WIRE_FETCH_FAILED);
    ask(run, WIRE_FETCH_PAGE, (const char *const[]){"alpha", NULL}); /* of a new process */
    wait_for_answer(state, run, 4);
    assert_int_equal(fake_runs[run].fetched_status, WIRE_FETCH_OK);
    assert_int_equal(fixture_count(&state->fixture, "cache/asked", "configured"), 2);
    /* Never a wheel, never an address, never a path. */
    ask(run, WIRE_FETCH_WHEEL, (const char *const[]){SUM_A, NULL});
    ask(run, WIRE_FETCH_PAGE, (const char *const[]){"https://evil.test/", NULL});
    ask(run, WIRE_FETCH_PAGE, (const char *const[]){"alpha", "../x", NULL});
    ask(run, WIRE_FETCH_METADATA, (const char *const[]){"alpha", NULL});
    ask(run, (enum wire_fetch_what)77, (const char *const[]){"alpha", NULL});
    fake_ask(run, span_of("nonsense"));
    assert_int_equal(fake_runs[run].fetched_count, 10);
    assert_int_equal(fake_runs[run].fetched_status, WIRE_FETCH_REFUSED);
    assert_int_equal(fixture_count(&state->fixture, "cache/asked", "wheel"), 0);
    packages_run_cancel(told.run);
    fixture_wait(&state->loop, &told.done);
    end_with(run, OUTCOME_CANCELLED, "");
}

/* The folder of an environment that is in use is damaged: it is made anew. */
static void test_damaged_cache(void **context)
{
    struct state *state = *context;
    struct told told;
    char name[FAKE_TEXT_MAX + 64];
    install_alpha(state, &told);
    (void)snprintf(name, sizeof name, "cache/environments/%s/packages.img",
                   fake_runs[3].environment);
    fixture_write(&state->fixture, name, "damaged, and longer");
    begin(state, &told, "import alpha\n");
    fake_end(4, &(struct outcome){.status = OUTCOME_REFUSED});
    assert_string_equal(fake_runs[5].environment, "");
    end_with_need(5, NEED_ALPHA);
    wait_for_run(state, 6);
    end_with(6, OUTCOME_SUCCESS, PLAN_ALPHA); /* it is resolved anew */
    wait_for_run(state, 7);
    assert_string_equal(fixture_read(&state->fixture, name), "whole\n");
    assert_int_equal(fixture_count(&state->fixture, "built", "wheel"), 2); /* those were whole */
    end_with(7, OUTCOME_SUCCESS, "");
    assert_int_equal(told.status, OUTCOME_SUCCESS);
}

static void test_all_dropped(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "try:\n  import nothing\nexcept ImportError: pass\n");
    end_with_need(0, "{\"guesses\":[\"nothing\"],\"requirements\":[]}");
    end_with(go_to_resolver(state), OUTCOME_SUCCESS,
             "{\"packages\":[],\"dropped\":[{\"name\":\"nothing\",\"reason\":\"no such "
             "project\"}],\"log\":[]}");
    wait_for_run(state, 3);
    assert_string_equal(fake_runs[3].environment, "");
    assert_string_equal(fake_runs[3].resolved, "{\"guesses\":[\"nothing\"],\"requirements\":[]}");
    assert_non_null(strstr(told.log, "2 not installed: nothing: no such project\n"));
    end_with(3, OUTCOME_SUCCESS, "");
    assert_string_equal(told.packages, "");
}

static void test_policy(void **context)
{
    struct state *state = *context;
    char path[PATH_MAX + 8];
    fixture_write(&state->fixture, "allow", "alpha==1.0 --hash=sha256:" SUM_A "\n");
    (void)snprintf(path, sizeof path, "%s/allow", state->fixture.root);
    state->config.allow_file = path;
    restart(state);
    expect_failure(state, PLAN_ALPHA, "beta is not allowed: ");
    expect_failure(state, PLAN_OF("aa" ZEROS), "is not allowed: ");
    struct told told;
    begin(state, &told, "import alpha\n");
    end_with_need(5, NEED_ALPHA);
    wait_for_run(state, 6);
    assert_non_null(strstr(fake_runs[6].globals, "\"allow\":[{\"name\":\"alpha\",\"versions\":["
                                                 "\"1.0\"],\"sha256\":[\"" SUM_A "\"]}]"));
    ask(6, WIRE_FETCH_PAGE, (const char *const[]){"beta", NULL});
    assert_int_equal(fake_runs[6].fetched_status, WIRE_FETCH_REFUSED);
    assert_non_null(strstr(fake_runs[6].fetched, "beta is not allowed"));
    end_with(6, OUTCOME_SUCCESS, PLAN_OF(SUM_A));
    wait_for_run(state, 7);
    end_with(7, OUTCOME_SUCCESS, "");
    assert_string_equal(told.packages, "alpha 1.0\n");
}

static void test_dependencies(void **context)
{
    struct state *state = *context;
    struct told told;
    struct err err;
    static const char *const configured[] = {"alpha", NULL};
    static const char *const given[] = {"beta>=2", NULL};
    state->config.dependencies = configured;
    restart(state);
    struct packages_events events = events_of(&told);
    struct run_request request = {
        .code = span_of("1"), .limits = run_limits_default(), .dependencies = given};
    assert_int_equal(packages_run(state->packages, &request, &events, &told.run, &err), 0);
    assert_string_equal(fake_runs[0].dependencies, "alpha\nbeta>=2\n");
    end_with(0, OUTCOME_SUCCESS, "");
    static const char *const bad[] = {"x @ http://h/x.whl", NULL};
    request.dependencies = bad;
    events = events_of(&told);
    assert_int_equal(packages_run(state->packages, &request, &events, &told.run, &err), 0);
    assert_false(told.done);
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_INSTALL_ERROR);
    assert_int_equal(fake_run_count, 1);
}

/* The packages are there, and the pool has no room: that is no failed installation. */
static void test_busy_after_installing(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    wait_for_run(state, 1);
    end_with(1, OUTCOME_SUCCESS, settings);
    wait_for_run(state, 2);
    fake_is_full = true;
    end_with(2, OUTCOME_SUCCESS, PLAN_ALPHA);
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_REFUSED);
    assert_int_equal(told.retry_after_ms, 2500);
    assert_string_equal(told.message, "busy: the queue is full; try again after 3 s");
}

/* What waits for packages is turned away; so is what finds out only now that it needs some. */
static void test_drain(void **context)
{
    struct state *state = *context;
    struct told first;
    struct told second;
    struct told third;
    struct err err;
    begin(state, &first, "import alpha\n");
    begin(state, &second, "import alpha, beta\n");
    begin(state, &third, "1\n");
    end_with_need(0, NEED_ALPHA);
    wait_for_run(state, 3);
    end_with(3, OUTCOME_SUCCESS, settings);
    wait_for_run(state, 4);
    packages_drain(state->packages);
    assert_true(fake_is_drained);
    fixture_wait(&state->loop, &first.done);
    assert_int_equal(first.status, OUTCOME_REFUSED);
    assert_string_equal(first.message, POOL_DRAINING_TEXT);
    assert_true(fake_runs[4].cancelled);
    end_with_need(1, NEED_ALPHA);
    fixture_wait(&state->loop, &second.done);
    assert_int_equal(second.status, OUTCOME_REFUSED);
    end_with(2, OUTCOME_SUCCESS, "");
    assert_int_equal(third.status, OUTCOME_SUCCESS);
    struct packages_events events = events_of(&third);
    struct run_request request = {.code = span_of("1"), .limits = run_limits_default()};
    assert_int_equal(packages_run(state->packages, &request, &events, &third.run, &err), -1);
    assert_int_equal(err.code, ERR_GONE);
}

static void test_no_install(void **context)
{
    struct state *state = *context;
    struct told told;
    state->config.installs = false;
    restart(state);
    begin(state, &told, "import alpha\n");
    assert_false(fake_runs[0].finds_needs);
    end_with(0, OUTCOME_RUN_ERROR, "");
    assert_int_equal(told.status, OUTCOME_RUN_ERROR);
}

static void test_prepare(void **context)
{
    struct state *state = *context;
    struct told told;
    struct err err;
    static const char *const wanted[] = {"Alpha", NULL};
    struct packages_events events = events_of(&told);
    assert_int_equal(packages_prepare(state->packages, wanted, &events, &told.run, &err), 0);
    wait_for_run(state, 0);
    end_with(0, OUTCOME_SUCCESS, settings);
    wait_for_run(state, 1);
    assert_non_null(strstr(fake_runs[1].globals, "\"requirements\":[\"alpha\"]"));
    end_with(1, OUTCOME_SUCCESS, PLAN_ALPHA);
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_SUCCESS);
    assert_string_equal(told.packages, "alpha 1.0\nbeta 2\n");
    assert_int_equal(strlen(fake_warmed), 65);
    /* A program that imports it finds it. */
    begin(state, &told, "import alpha\n");
    end_with_need(2, NEED_ALPHA);
    assert_int_equal(strncmp(fake_runs[3].environment, fake_warmed, 64), 0);
    end_with(3, OUTCOME_SUCCESS, "");
}

static void test_prepare_all(void **context)
{
    struct state *state = *context;
    struct told told;
    struct err err;
    struct packages_events events = events_of(&told);
    assert_int_equal(packages_prepare_all(state->packages, &events, &told.run, &err), 0);
    wait_for_run(state, 0);
    end_with(0, OUTCOME_SUCCESS, settings);
    fixture_wait(&state->loop, &told.done);
    assert_int_equal(told.status, OUTCOME_SUCCESS);
    assert_non_null(strstr(told.log, "alpha 1.0: built in"));
    assert_non_null(strstr(told.log, "Beta 2: built in"));
    assert_non_null(strstr(told.log, "2 packages are ready, 0 are not to be had"));
}

/* Closing in every stage: each `done` comes, and no process is left. */
static void test_close_while_building(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    fixture_write(&state->fixture, "wait", "");
    end_with(go_to_resolver(state), OUTCOME_SUCCESS, PLAN_ALPHA);
    fixture_run_ms(&state->loop, 200);
    restart(state);
    assert_true(told.done);
    assert_int_equal(told.status, OUTCOME_CANCELLED);
    assert_false(fixture_has(&state->fixture, "cache/built/" SUM_A "-0123456789abcdef"));
    assert_int_equal(fixture_entries(&state->fixture, "cache/built"), 2); /* two locks */
}

static void test_close_while_fetching(void **context)
{
    struct state *state = *context;
    struct told told;
    begin(state, &told, "import alpha\n");
    end_with_need(0, NEED_ALPHA);
    end_with(go_to_resolver(state), OUTCOME_SUCCESS, PLAN_OF("e3" ZEROS));
    fixture_run_ms(&state->loop, 100);
    restart(state);
    assert_int_equal(told.status, OUTCOME_CANCELLED);
}

static void test_bad_configuration(void **context)
{
    struct state *state = *context;
    struct err err;
    struct packages *packages;
    struct packages_config config = state->config;
    static const char *const bad[] = {"--index-url=http://x", NULL};
    config.dependencies = bad;
    assert_int_equal(packages_new(&state->loop, &config, &packages, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    config.dependencies = NULL;
    config.allow_file = "/nowhere/at/all";
    assert_int_equal(packages_new(&state->loop, &config, &packages, &err), -1);
    assert_int_equal(err.code, ERR_MISSING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_need),
        TEST(test_from_need_to_environment),
        TEST(test_remembered_programs_go_straight),
        TEST(test_remembered_on_disk),
        TEST(test_damaged_before_start),
        TEST(test_two_wait_for_one),
        TEST(test_cancel_one_of_two),
        TEST(test_cancel_last),
        TEST(test_install_error),
        TEST(test_failures),
        TEST(test_forged_needs),
        TEST(test_endless_needs),
        TEST(test_questions),
        TEST(test_damaged_cache),
        TEST(test_all_dropped),
        TEST(test_policy),
        TEST(test_dependencies),
        TEST(test_busy_after_installing),
        TEST(test_drain),
        TEST(test_no_install),
        TEST(test_prepare),
        TEST(test_prepare_all),
        TEST(test_close_while_building),
        TEST(test_close_while_fetching),
        TEST(test_bad_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
