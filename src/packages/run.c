/* Runs: to an environment that may do, back with a need, on to the environment that is made. */
#include "packages/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "packages/hint.h"
#include "pool/durable.h"
#include "pool/session.h"

static const char hint_requirements[] =
    "a requirement is a name with versions, such as numpy or pandas>=2,<3";

/* ---- Ends ------------------------------------------------------------------------------------ */

struct packages_run *packages_run_new(struct packages *packages,
                                      const struct packages_events *events)
{
    struct packages_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return NULL;
    }
    run->packages = packages;
    run->events = *events;
    buf_init(&run->resolved, LIMIT_NEED_BYTES_MAX);
    buf_init(&run->reason, 4 * LIMIT_INSTALL_REASON_BYTES_MAX);
    buf_init(&run->report, 8 * LIMIT_INSTALL_REASON_BYTES_MAX);
    buf_init(&run->log, LIMIT_INSTALL_LOG_BYTES_MAX);
    TAILQ_INSERT_TAIL(&packages->runs, run, link);
    return run;
}

/* It is in no list any more. */
static void run_dispose(struct packages_run *run)
{
    struct packages *packages = run->packages;
    store_environment_unref(run->environment);
    if (run->holds_session) {
        pool_session_unref(run->kept.request.session);
    }
    kept_free(&run->kept);
    buf_free(&run->resolved);
    buf_free(&run->reason);
    buf_free(&run->report);
    buf_free(&run->log);
    free(run);
    packages_part_freed(packages);
}

void packages_run_free(struct packages_run *run)
{
    TAILQ_REMOVE(&run->packages->runs, run, link);
    run_dispose(run);
}

void packages_run_installing(struct packages_run *run, bool is_installing)
{
    if (run->is_installing == is_installing) {
        return;
    }
    run->is_installing = is_installing;
    if (is_installing) {
        run->installing_us = clock_monotonic_us();
    } else {
        run->install_us += clock_monotonic_us() - run->installing_us;
    }
    if (run->events.installing != NULL) {
        run->events.installing(run->events.context, is_installing);
    }
}

/* A guess that led to nothing shows as the program's own ImportError; whoever reads it should not
 * have to guess in turn. Appends to the traceback why, where it is known. */
static void explain_missing(struct packages_run *run, struct outcome *outcome)
{
    static const char unknown[] =
        "Not all that this program imports could be installed. To see why, name the package as a "
        "dependency.\n";
    const struct span traceback = outcome->error_traceback;
    if (outcome->status != OUTCOME_RUN_ERROR || run->resolved.len == 0 ||
        !span_equal(outcome->error_type, span_of("ModuleNotFoundError"))) {
        return;
    }
    buf_clear(&run->report);
    if (buf_append(&run->report, traceback.base, traceback.len) == 0 &&
        buf_append(&run->report, run->log.base, run->log.len) == 0 &&
        (run->log.len > 0 || buf_append_text(&run->report, unknown) == 0)) {
        outcome->error_traceback = buf_span(&run->report);
    }
}

const uint64_t packages_duration_ms[PACKAGES_DURATIONS] = {1,   2,   5,    10,   25,    50,
                                                           100, 250, 1000, 5000, 15000, 60000};

static void count(struct packages_counts *counts, const struct outcome *outcome)
{
    if ((int)outcome->status < (int)PACKAGES_OUTCOMES) {
        counts->ended[outcome->status]++;
    }
    if (outcome->wall_us == 0) {
        return; /* it never ran */
    }
    counts->duration_count++;
    counts->duration_us += outcome->wall_us;
    for (size_t i = 0; i < PACKAGES_DURATIONS; i++) {
        if (outcome->wall_us <= packages_duration_ms[i] * 1000) {
            counts->durations[i]++;
            return;
        }
    }
}

static void done(struct packages_run *run, const struct outcome *outcome)
{
    if (!run->is_preparation && run->warmup == NULL) {
        count(&run->packages->counts, outcome);
    }
    struct outcome whole = *outcome;
    struct packages_events events = run->events;
    whole.install_us = run->install_us;
    explain_missing(run, &whole);
    if (run->environment != NULL) {
        whole.packages = run->environment->packages;
        whole.package_count = run->environment->package_count;
    }
    events.done(events.context, &whole);
    run_dispose(run);
}

void packages_run_end(struct packages_run *run)
{
    struct packages *packages = run->packages;
    TAILQ_REMOVE(&packages->runs, run, link);
    TAILQ_INSERT_TAIL(&packages->ended, run, link);
    packages_settle_soon(packages);
}

void packages_run_fail(struct packages_run *run, const char *reason, const char *hint,
                       struct span log)
{
    (void)buf_append_text(&run->reason, reason);
    (void)buf_append_text(&run->report, reason);
    if (*hint != '\0' && buf_append_char(&run->report, '\n') == 0) {
        (void)buf_append_text(&run->report, hint);
    }
    buf_clear(&run->log);
    (void)buf_append(&run->log, log.base, log.len);
    store_environment_unref(run->environment);
    run->environment = NULL;
    packages_run_end(run);
}

void packages_run_refuse(struct packages_run *run, const struct err *err)
{
    run->is_refused = true;
    run->retry_after_ms = err->retry_after_ms;
    packages_run_fail(run, err->text, "", (struct span){0});
}

void packages_run_turn_away(struct packages_run *run)
{
    struct err err;
    (void)err_set(&err, ERR_GONE, "%s", POOL_DRAINING_TEXT);
    job_leave(&run->waiter);
    packages_run_refuse(run, &err);
}

void packages_run_finish(struct packages_run *run)
{
    struct outcome outcome = {.status = OUTCOME_SUCCESS};
    packages_run_installing(run, false);
    if (run->is_cancelled) {
        outcome.status = OUTCOME_CANCELLED;
        outcome.exit_code = 130;
        outcome.error_message = span_of("the run was cancelled while packages were installed");
        outcome.error_traceback = outcome.error_message;
    } else if (run->reason.len > 0) {
        outcome.status = run->is_refused ? OUTCOME_REFUSED : OUTCOME_INSTALL_ERROR;
        outcome.retry_after_ms = run->retry_after_ms;
        outcome.exit_code = 125;
        outcome.error_message = buf_span(&run->reason);
        outcome.error_traceback = buf_span(&run->report);
        outcome.install_log = buf_span(&run->log);
    }
    done(run, &outcome);
}

void packages_run_withdraw(struct packages_run *run)
{
    if (run->is_moving) {
        return; /* it ends when that is over */
    }
    job_leave(&run->waiter);
    if (run->warmup != NULL) {
        warmup_cancel(run->warmup);
        run->warmup = NULL;
    }
    packages_run_end(run);
}

/* ---- Attempts -------------------------------------------------------------------------------- */

static void need_begin(struct packages_run *run, struct span need_json);
static void attempt_again(struct packages_run *run);

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    struct packages_run *run = context;
    if (run->events.output != NULL) {
        run->events.output(run->events.context, stream, bytes);
    }
}

static void on_file(void *context, const struct run_made *file)
{
    struct packages_run *run = context;
    if (run->events.file != NULL) {
        run->events.file(run->events.context, file);
    }
}

static void environment_forget(struct packages_run *run)
{
    memo_forget(run->packages->needs, run->environment);
    memo_forget(run->packages->programs, run->environment);
    store_environment_unref(run->environment);
    run->environment = NULL;
    buf_clear(&run->resolved);
}

/* Whether a refusal came of a folder that somebody has removed or changed: it is made anew. */
static bool is_broken(const struct packages_run *run)
{
    return run->environment != NULL && !store_is_whole(run->environment->dir);
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct packages_run *run = context;
    run->current = NULL;
    if (outcome->status == OUTCOME_NEED && run->packages->is_draining && !run->is_cancelled) {
        packages_run_turn_away(run);
        return;
    }
    if (outcome->status == OUTCOME_NEED && !run->is_cancelled) {
        need_begin(run, outcome->need_json);
        return;
    }
    if (outcome->status == OUTCOME_REFUSED && is_broken(run) && !run->is_cancelled &&
        ++run->need_count <= LIMIT_NEEDS_PER_RUN) {
        environment_forget(run);
        attempt_again(run);
        return;
    }
    TAILQ_REMOVE(&run->packages->runs, run, link);
    done(run, outcome);
}

/* Gives the program to the pool, in the environment that was chosen. */
static int attempt(struct packages_run *run, struct err *err)
{
    struct run_request request = run->kept.request;
    struct pool_environment environment;
    struct run_events events = {
        .context = run, .output = on_output, .file = on_file, .done = on_done};
    if (run->environment != NULL) {
        environment = (struct pool_environment){run->environment->id, run->environment->dir};
        request.environment = &environment;
    }
    request.finds_needs = run->packages->installs;
    request.resolved = buf_span(&run->resolved);
    request.may_fetch = false;
    return pool_run(run->packages->pool, &request, &events, &run->current, err);
}

/* As attempt, when there is nobody left to give an error to. */
static void attempt_again(struct packages_run *run)
{
    struct err err;
    packages_run_installing(run, false);
    if (run->packages->is_closing) {
        run->is_cancelled = true;
        packages_run_end(run);
    } else if (attempt(run, &err) != 0) {
        packages_run_refuse(run, &err);
    }
}

/* ---- Needs ----------------------------------------------------------------------------------- */

/* For the next program of this kind, here or in another process. */
static void program_remember(struct packages_run *run, time_t until)
{
    struct packages *packages = run->packages;
    uint8_t key[SUM_BYTES];
    struct store_need stored = {.time = until};
    memo_put(packages->programs, run->program_key,
             &(struct memo_entry){run->environment, buf_span(&run->resolved), until});
    if (until - time(NULL) <= (time_t)LIMIT_NEED_RETRY_S ||
        job_program_key(packages, run->program_key, key) != 0) {
        return;
    }
    (void)snprintf(stored.id, sizeof stored.id, "%s",
                   run->environment != NULL ? run->environment->id : "base");
    store_program_write(&packages->store, key, &stored, buf_span(&run->resolved));
}

/* A cell gains no executable memory after its jail has closed, so what a session has cannot be
 * added to where it is. */
static bool is_elsewhere(const struct packages_run *run, const struct environment *environment)
{
    const struct pool_session *session = run->kept.request.session;
    const char *here = session != NULL ? pool_session_environment(session) : NULL;
    return here != NULL && pool_session_has_state(session) &&
           strcmp(here, environment != NULL ? environment->id : "base") != 0;
}

static void on_moved(void *context, const struct err *err)
{
    struct packages_run *run = context;
    run->is_moving = false;
    if (run->is_cancelled) {
        packages_run_end(run);
    } else if (err != NULL && err->code != ERR_NONE) {
        packages_run_fail(run, err->text,
                          "The session could not be given the packages that this program needs; it "
                          "is as it was.",
                          (struct span){0});
    } else {
        attempt_again(run);
    }
}

/* So its state moves into a cell of the larger environment, and goes on there. */
static void session_move(struct packages_run *run, struct environment *environment)
{
    struct err err;
    struct pool_environment wanted;
    struct pool_move how = {.file_bytes = run->kept.request.limits.file_bytes,
                            .file_count = run->kept.request.limits.file_count,
                            .context = run,
                            .done = on_moved};
    if (environment != NULL) {
        wanted = (struct pool_environment){environment->id, environment->dir};
        how.environment = &wanted;
    }
    store_environment_unref(run->environment);
    run->environment = store_environment_ref(environment);
    run->is_moving = pool_session_move(run->kept.request.session, &how, &err) == 0;
    if (!run->is_moving) {
        packages_run_refuse(run, &err);
    }
}

static void go_on_in(struct packages_run *run, struct environment *environment, time_t until)
{
    if (is_elsewhere(run, environment)) {
        session_move(run, environment);
        return;
    }
    store_environment_unref(run->environment);
    run->environment = store_environment_ref(environment);
    if (run->has_program_key) {
        program_remember(run, until);
    }
    attempt_again(run);
}

static void on_job_done(void *context, const struct job_result *result)
{
    struct packages_run *run = context;
    if (result->reason != NULL) {
        packages_run_fail(run, result->reason, result->hint, result->log);
    } else {
        go_on_in(run, result->environment, result->until);
    }
}

static void on_job_log(void *context, enum packages_level level, struct span line)
{
    struct packages_run *run = context;
    if (level == PACKAGES_WARNING && buf_append(&run->log, line.base, line.len) == 0) {
        (void)buf_append_char(&run->log, '\n');
    }
    if (run->events.log != NULL && !run->is_cancelled) {
        run->events.log(run->events.context, level, line);
    }
}

/* The environment for a need that was read: remembered, or made. */
static int need_follow(struct packages_run *run, struct need *need, struct err *err)
{
    struct packages *packages = run->packages;
    uint8_t key[SUM_BYTES];
    struct environment *environment;
    time_t until;
    if (store_open(&packages->store, err) != 0) {
        return -1;
    }
    if (job_key(packages, need, key) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for an installation");
    }
    if (job_remembered(packages, need, key, &environment, &until)) {
        go_on_in(run, environment, until);
        store_environment_unref(environment);
        return 0;
    }
    run->waiter = (struct job_waiter){.context = run, .log = on_job_log, .done = on_job_done};
    packages_run_installing(run, true);
    return job_join(packages, need, key, &run->waiter, err);
}

/* What a session's environment has is to be in the larger one too, as it is. */
static int need_add_own(const struct packages_run *run, struct need *need, struct err *err)
{
    const struct pool_session *session = run->kept.request.session;
    if (session == NULL || !pool_session_has_state(session) || run->environment == NULL) {
        return 0;
    }
    for (size_t i = 0; i < run->environment->package_count; i++) {
        const struct outcome_package *package = &run->environment->packages[i];
        char text[LIMIT_REQUIREMENT_BYTES_MAX];
        const char *const texts[] = {text, NULL};
        snprintf(text, sizeof text, "%s==%s", package->name, package->version);
        if (need_add_requirements(need, texts, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The program was not run: its environment lacks something. A guest may forge needs, so there are
 * not many in one run. */
static void need_begin(struct packages_run *run, struct span need_json)
{
    struct err err;
    cleanup_need struct need need = {0};
    if (++run->need_count > LIMIT_NEEDS_PER_RUN) {
        packages_run_fail(run, "the program asks for other packages each time it is tried", "",
                          (struct span){0});
        return;
    }
    buf_clear(&run->resolved);
    if (need_parse(&need, need_json, &err) != 0 || need_add_own(run, &need, &err) != 0) {
        packages_run_fail(run, err.text, err.code == ERR_USAGE ? hint_requirements : "",
                          (struct span){0});
        return;
    }
    if (buf_append(&run->resolved, need_json.base, need_json.len) != 0) {
        packages_run_fail(run, "no memory for an installation", "", (struct span){0});
        return;
    }
    if (need_follow(run, &need, &err) != 0) {
        packages_run_fail(run, err.text, "", (struct span){0});
    }
}

/* ---- Start ----------------------------------------------------------------------------------- */

/* What another process remembered, for this one too. */
static void program_recall(struct packages_run *run)
{
    struct packages *packages = run->packages;
    uint8_t key[SUM_BYTES];
    struct store_need stored;
    if (store_open(&packages->store, NULL) != 0 ||
        job_program_key(packages, run->program_key, key) != 0 ||
        !store_program_read(&packages->store, key, &stored, &run->resolved)) {
        return;
    }
    bool is_base = strcmp(stored.id, "base") == 0;
    if (time(NULL) < stored.time && !is_base) {
        run->environment = store_environment(&packages->store, stored.id);
    }
    if (time(NULL) >= stored.time || (!is_base && run->environment == NULL)) {
        buf_clear(&run->resolved);
        return;
    }
    memo_put(packages->programs, run->program_key,
             &(struct memo_entry){run->environment, buf_span(&run->resolved), stored.time});
}

/* Where a program like this one went before. */
static void choose_environment(struct packages_run *run)
{
    const struct run_request *request = &run->kept.request;
    run->has_program_key = hint_key(request->code, request->dependencies, run->program_key);
    if (!run->has_program_key) {
        return;
    }
    const struct memo_entry *found =
        memo_find(run->packages->programs, run->program_key, time(NULL));
    if (found == NULL) {
        program_recall(run);
    } else if (buf_append(&run->resolved, found->resolved.base, found->resolved.len) == 0) {
        run->environment = store_environment_ref(found->environment);
    }
}

/* A session stays where it is. */
static void session_follow(struct packages_run *run)
{
    struct pool_session *session = run->kept.request.session;
    if (session == NULL) {
        return;
    }
    pool_session_ref(session); /* it may end while packages are waited for */
    run->holds_session = true;
    const char *here = pool_session_environment(session);
    if (here == NULL || !pool_session_has_state(session)) {
        return;
    }
    if (run->environment != NULL && strcmp(run->environment->id, here) == 0) {
        return; /* a program like it went there before, and `resolved` is what it needed */
    }
    store_environment_unref(run->environment);
    run->environment = store_environment(&run->packages->store, here);
    run->has_program_key = false; /* that it ran here says nothing of where others should */
    buf_clear(&run->resolved);
}

static int start(struct packages_run *run, struct err *err)
{
    if (attempt(run, err) == 0) {
        return 0;
    }
    if (!is_broken(run)) {
        return -1;
    }
    environment_forget(run);
    return attempt(run, err);
}

int packages_run(struct packages *packages, const struct run_request *request,
                 const struct packages_events *events, struct packages_run **out, struct err *err)
{
    struct err mistake;
    if (packages->is_closing || packages->is_draining) {
        return err_set(err, ERR_GONE, "%s", POOL_DRAINING_TEXT);
    }
    struct packages_run *run = packages_run_new(packages, events);
    if (run == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a run");
    }
    char *const *more = packages->installs ? packages->dependencies : NULL;
    if (kept_copy(&run->kept, request, more, err) != 0) {
        packages_run_free(run);
        return -1;
    }
    *out = run;
    if (!packages->installs) {
        run->kept.request.dependencies = NULL;
    } else if (need_check_requirements(run->kept.request.dependencies, &mistake) != 0) {
        packages_run_fail(run, mistake.text, hint_requirements, (struct span){0});
        return 0;
    } else {
        choose_environment(run);
    }
    session_follow(run);
    if (start(run, err) != 0) {
        packages_run_free(run);
        packages->counts.ended[OUTCOME_REFUSED]++;
        return -1;
    }
    return 0;
}

struct packages_counts packages_counts(const struct packages *packages)
{
    return packages->counts;
}

void packages_run_cancel(struct packages_run *run)
{
    if (run->is_cancelled) {
        return;
    }
    run->is_cancelled = true;
    if (run->current != NULL) {
        pool_run_cancel(run->current);
    } else {
        packages_settle_soon(run->packages); /* not here: a log line may have led to this call */
    }
}
