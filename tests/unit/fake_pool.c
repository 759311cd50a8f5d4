#include "fake_pool.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "pool/durable.h"
#include "pool/session.h"

struct fake_run fake_runs[FAKE_RUNS_MAX];
unsigned fake_run_count;
bool fake_is_full;
bool fake_is_drained;
char fake_warmed[FAKE_TEXT_MAX];

struct pool *fake_pool_reset(void)
{
    memset(fake_runs, 0, sizeof fake_runs);
    fake_run_count = 0;
    fake_is_full = false;
    fake_is_drained = false;
    fake_warmed[0] = '\0';
    return (struct pool *)fake_runs;
}

void fake_print(unsigned run, enum run_stream stream, const char *text)
{
    fake_runs[run].events.output(fake_runs[run].events.context, stream, span_of(text));
}

void fake_ask(unsigned run, struct span question)
{
    struct fake_run *fake = &fake_runs[run];
    fake->events.fetch(fake->events.context, (struct pool_run *)fake, question);
}

void fake_end(unsigned run, const struct outcome *outcome)
{
    assert(!fake_runs[run].done);
    fake_runs[run].done = true;
    fake_runs[run].events.done(fake_runs[run].events.context, outcome);
}

static void keep(char *out, struct span text)
{
    assert(text.len < FAKE_TEXT_MAX);
    if (text.len > 0) {
        memcpy(out, text.base, text.len);
    }
    out[text.len] = '\0';
}

static void add_line(char *out, const char *text)
{
    size_t len = strlen(out);
    int added = snprintf(out + len, FAKE_TEXT_MAX - len, "%s\n", text);
    assert(added > 0 && (size_t)added < FAKE_TEXT_MAX - len);
}

int pool_run(struct pool *pool, const struct run_request *request, const struct run_events *events,
             struct pool_run **out, struct err *err)
{
    assert(pool == (struct pool *)fake_runs && fake_run_count < FAKE_RUNS_MAX);
    if (fake_is_full) {
        return err_set_busy(err, 2500, "busy: the queue is full");
    }
    struct fake_run *run = &fake_runs[fake_run_count++];
    keep(run->code, request->code);
    keep(run->globals, request->globals_json);
    run->events = *events;
    run->limits = request->limits;
    run->want_value = request->want_value;
    run->finds_needs = request->finds_needs;
    run->may_fetch = request->may_fetch;
    keep(run->resolved, request->resolved);
    keep(run->environment, span_of(request->environment == NULL ? "" : request->environment->id));
    for (size_t i = 0; request->dependencies != NULL && request->dependencies[i] != NULL; i++) {
        add_line(run->dependencies, request->dependencies[i]);
    }
    *out = (struct pool_run *)run;
    return 0;
}

void pool_run_cancel(struct pool_run *run)
{
    ((struct fake_run *)run)->cancelled = true;
}

void pool_run_fetched(struct pool_run *run, uint32_t status, struct span bytes)
{
    struct fake_run *fake = (struct fake_run *)run;
    keep(fake->fetched, bytes);
    fake->fetched_status = status;
    fake->fetched_count++;
}

int pool_warm(struct pool *pool, const struct pool_environment *environment, struct err *err)
{
    (void)err;
    assert(pool == (struct pool *)fake_runs);
    add_line(fake_warmed, environment->id);
    return 0;
}

void pool_hold(struct pool *pool, bool is_held)
{
    (void)pool;
    (void)is_held;
}

void pool_drain(struct pool *pool, void (*drained)(void *context), void *context)
{
    (void)context;
    assert(pool == (struct pool *)fake_runs && drained == NULL);
    fake_is_drained = true;
}

struct pool_info pool_info(const struct pool *pool)
{
    (void)pool;
    return (struct pool_info){.python_version = "3.14.0", .ready = true};
}

struct run_limits run_limits_default(void)
{
    return (struct run_limits){
        .wall_ms = LIMIT_WALL_MS_DEFAULT,
        .grace_ms = LIMIT_GRACE_MS,
        .cancel_grace_ms = LIMIT_CANCEL_GRACE_MS,
        .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT,
        .output_bytes = LIMIT_OUTPUT_BYTES_DEFAULT,
        .result_bytes = LIMIT_RESULT_BYTES_DEFAULT,
        .file_bytes = LIMIT_FILE_BYTES_DEFAULT,
        .file_count = LIMIT_FILE_COUNT_DEFAULT,
        .open_files = LIMIT_OPEN_FILES_DEFAULT,
        .display_count = LIMIT_DISPLAY_COUNT_DEFAULT,
        .picture_bytes = LIMIT_PICTURE_BYTES_DEFAULT,
        .recursion = LIMIT_RECURSION_DEFAULT,
    };
}

const char *outcome_status_name(enum outcome_status status)
{
    static const char *const names[] = {"success", "run-error", "install-error", "limit",
                                        "crash",   "refused",   "cancelled",     "need"};
    return names[status];
}

void pool_session_ref(struct pool_session *session)
{
    (void)session;
}

void pool_session_unref(struct pool_session *session)
{
    (void)session;
}

const char *pool_session_environment(const struct pool_session *session)
{
    (void)session;
    return NULL;
}

bool pool_session_has_state(const struct pool_session *session)
{
    (void)session;
    return false;
}

int pool_session_move(struct pool_session *session, const struct pool_move *how, struct err *err)
{
    (void)session;
    (void)how;
    return err_set(err, ERR_SYSTEM, "there are no sessions here");
}

int pool_session_restore(struct pool_session *session, const struct pool_restore *how,
                         struct buf *about, struct err *err)
{
    (void)session;
    (void)how;
    (void)about;
    return err_set(err, ERR_SYSTEM, "there are no sessions here");
}

int pool_state_about(int fd, struct buf *about, struct err *err)
{
    (void)fd;
    (void)about;
    return err_set(err, ERR_SYSTEM, "there are no sessions here");
}
