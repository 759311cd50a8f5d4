#include "fake_packages.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "packages/durable.h"
#include "packages/survey.h"

struct fake_run fake_runs[FAKE_RUNS_MAX];
unsigned fake_run_count;
bool fake_is_full;

struct packages *fake_packages_reset(void)
{
    memset(fake_runs, 0, sizeof fake_runs);
    fake_run_count = 0;
    fake_is_full = false;
    return (struct packages *)fake_runs;
}

void fake_print(unsigned run, enum run_stream stream, const char *text)
{
    fake_runs[run].events.output(fake_runs[run].events.context, stream, span_of(text));
}

void fake_log(unsigned run, enum packages_level level, const char *line)
{
    fake_runs[run].events.log(fake_runs[run].events.context, level, span_of(line));
}

void fake_install(unsigned run, bool is_installing)
{
    fake_runs[run].events.installing(fake_runs[run].events.context, is_installing);
}

void fake_end(unsigned run, const struct outcome *outcome)
{
    assert(!fake_runs[run].done);
    fake_runs[run].done = true;
    fake_runs[run].events.done(fake_runs[run].events.context, outcome);
}

static void keep(char *out, struct span text)
{
    size_t before = strlen(out);
    assert(before + text.len < FAKE_TEXT_MAX);
    if (text.len > 0) {
        memcpy(out + before, text.base, text.len);
    }
    out[before + text.len] = '\0';
}

int packages_run(struct packages *packages, const struct run_request *request,
                 const struct packages_events *events, struct packages_run **out, struct err *err)
{
    assert(packages == (struct packages *)fake_runs && fake_run_count < FAKE_RUNS_MAX);
    if (fake_is_full) {
        return err_set_busy(err, 2500, "busy: the queue is full");
    }
    struct fake_run *run = &fake_runs[fake_run_count++];
    keep(run->code, request->code);
    keep(run->globals, request->globals_json);
    for (const char *const *item = request->dependencies; item != NULL && *item != NULL; item++) {
        size_t used = strlen(run->dependencies);
        run->dependency_count++;
        snprintf(run->dependencies + used, FAKE_TEXT_MAX - used, "%s\n", *item);
    }
    run->events = *events;
    run->limits = request->limits;
    run->want_value = request->want_value;
    *out = (struct packages_run *)run;
    return 0;
}

void packages_run_cancel(struct packages_run *run)
{
    ((struct fake_run *)run)->cancelled = true;
}

/* Nothing is looked at here; tests/system/test_approve.py has the real thing. */
struct survey *survey_start(struct packages *packages, struct span code,
                            const char *const *dependencies, uint64_t client,
                            const struct survey_events *events, struct err *err)
{
    (void)packages;
    (void)code;
    (void)dependencies;
    (void)client;
    (void)events;
    (void)err_set(err, ERR_GONE, "this pool looks at no programs");
    return NULL;
}

void survey_cancel(struct survey *survey)
{
    (void)survey;
}

int packages_session_about(struct packages *packages, const struct pool_session *session,
                           struct buf *out, struct err *err)
{
    (void)packages;
    (void)session;
    (void)out;
    return err_set(err, ERR_USAGE, "there are no packages here");
}

int packages_session_restore(struct packages *packages, struct pool_session *session,
                             const struct packages_restore *how, struct err *err)
{
    (void)packages;
    (void)session;
    (void)how;
    return err_set(err, ERR_USAGE, "there are no packages here");
}
