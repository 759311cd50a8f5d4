#include "packages/survey.h"

#include <stdlib.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "packages/state.h"

static const char program[] = "from vitrine import survey\nsurvey.survey(source, dependencies)\n";

struct survey {
    struct survey_events events;
    struct pool_run *run;
    bool installs;
    bool is_cancelled;
};

/* ---- The answer ------------------------------------------------------------------------------ */

/* Appends the texts of an array, with commas between them; *count is their number. */
static int append_names(struct buf *out, struct span names, unsigned *count)
{
    struct span key;
    struct span name;
    struct jtext_cursor cursor = jtext_open(names);
    for (*count = 0; jtext_next(&cursor, &key, &name); (*count)++) {
        if (jtext_type(name) != JTEXT_STRING || (*count > 0 && buf_append_text(out, ", ") != 0) ||
            jtext_string_decode(out, name) != 0) {
            return -1;
        }
    }
    return 0;
}

/* "numpy, sklearn (scikit-learn)": a module, and its project where that has another name. */
static int append_packages(struct buf *out, struct span packages, unsigned *count)
{
    struct span key;
    struct span package;
    struct span module;
    struct span project;
    struct jtext_cursor cursor = jtext_open(packages);
    for (*count = 0; jtext_next(&cursor, &key, &package); (*count)++) {
        if (!jtext_find(package, "module", &module) || !jtext_find(package, "project", &project) ||
            jtext_type(module) != JTEXT_STRING || jtext_type(project) != JTEXT_STRING ||
            (*count > 0 && buf_append_text(out, ", ") != 0) ||
            jtext_string_decode(out, module) != 0) {
            return -1;
        }
        bool is_other = !jtext_string_is(project, "") && !jtext_string_equal(module, project);
        if (is_other &&
            (buf_append_text(out, " (") != 0 || jtext_string_decode(out, project) != 0 ||
             buf_append_char(out, ')') != 0)) {
            return -1;
        }
    }
    return 0;
}

/* One line, left out where the list is empty. */
static int append_line(struct buf *out, struct span report, const char *member, const char *label,
                       int (*append)(struct buf *out, struct span list, unsigned *count))
{
    struct span list;
    unsigned count;
    const size_t before = out->len;
    if (!jtext_find(report, member, &list) || jtext_type(list) != JTEXT_ARRAY ||
        buf_append_text(out, label) != 0 || append(out, list, &count) != 0 ||
        buf_append_char(out, '\n') != 0) {
        return -1;
    }
    if (count == 0) {
        out->len = before;
    }
    return 0;
}

static int append_error(struct buf *out, struct span report)
{
    struct span error;
    if (!jtext_find(report, "error", &error) || jtext_type(error) != JTEXT_STRING) {
        return -1;
    }
    if (jtext_string_is(error, "")) {
        return 0;
    }
    return buf_append_text(out, "not all of it is known: ") != 0 ||
                   jtext_string_decode(out, error) != 0 || buf_append_char(out, '\n') != 0
               ? -1
               : 0;
}

static int append_report(struct buf *out, struct span report, bool installs)
{
    const char *packages = installs ? "packages it would install for its imports: "
                                    : "imports that nothing here provides: ";
    const size_t before = out->len;
    if (append_line(out, report, "standard", "imports of the standard library: ", append_names) !=
            0 ||
        append_line(out, report, "packages", packages, append_packages) != 0 ||
        append_line(out, report, "requirements", "packages it requires by name: ", append_names) !=
            0) {
        return -1;
    }
    if (out->len == before && buf_append_text(out, "imports: none\n") != 0) {
        return -1;
    }
    return append_error(out, report);
}

static int take_answer(struct buf *lines, const struct outcome *outcome, bool installs,
                       struct err *err)
{
    struct span report;
    if (outcome->status != OUTCOME_SUCCESS) {
        const struct span why = outcome->error_message;
        return err_set(err, ERR_FORMAT, "the program could not be looked at (%s): %.*s",
                       outcome_status_name(outcome->status), (int)(why.len < 300 ? why.len : 300),
                       why.base);
    }
    if (jtext_check(outcome->value_json, JTEXT_LONE_SURROGATES, &report, err) != 0 ||
        append_report(lines, report, installs) != 0) {
        return err_set(err, ERR_FORMAT, "the program could not be looked at: no report came of it");
    }
    return 0;
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct survey *survey = context;
    const struct survey_events events = survey->events;
    const bool is_cancelled = survey->is_cancelled;
    struct err err;
    cleanup_buf struct buf lines;
    buf_init(&lines, LIMIT_SURVEY_TEXT_BYTES_MAX);
    const int failed = take_answer(&lines, outcome, survey->installs, &err);
    free(survey);
    if (!is_cancelled) {
        events.done(events.context, buf_span(&lines), failed != 0 ? &err : NULL);
    }
}

/* ---- The question ---------------------------------------------------------------------------- */

static int append_question(struct buf *out, struct span code, const char *const *dependencies)
{
    if (buf_append_text(out, "{\"source\":") != 0 || jtext_append_string(out, code) != 0 ||
        buf_append_text(out, ",\"dependencies\":[") != 0) {
        return -1;
    }
    for (size_t i = 0; dependencies != NULL && dependencies[i] != NULL; i++) {
        if ((i > 0 && buf_append_char(out, ',') != 0) ||
            jtext_append_string(out, span_of(dependencies[i])) != 0) {
            return -1;
        }
    }
    return buf_append_text(out, "]}");
}

struct survey *survey_start(struct packages *packages, struct span code,
                            const char *const *dependencies, uint64_t client,
                            const struct survey_events *events, struct err *err)
{
    cleanup_buf struct buf question;
    buf_init(&question, LIMIT_GLOBALS_BYTES_MAX);
    if (append_question(&question, code, dependencies) != 0) {
        (void)err_set(err, ERR_LIMIT, "the program is too large to be looked at");
        return NULL;
    }
    struct survey *survey = calloc(1, sizeof *survey);
    if (survey == NULL) {
        (void)err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    survey->events = *events;
    survey->installs = packages->installs;
    struct run_request request = {.code = span_of(program),
                                  .filename = "<survey>",
                                  .globals_json = buf_span(&question),
                                  .want_value = true,
                                  .limits = run_limits_default(),
                                  .client = client};
    request.limits.wall_ms = LIMIT_SURVEY_MS;
    const struct run_events run_events = {.context = survey, .done = on_done};
    if (pool_run(packages->pool, &request, &run_events, &survey->run, err) != 0) {
        free(survey);
        (void)err_prefix(err, "the program could not be looked at");
        return NULL;
    }
    return survey;
}

void survey_cancel(struct survey *survey)
{
    survey->is_cancelled = true;
    pool_run_cancel(survey->run);
}
