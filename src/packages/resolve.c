#include "packages/resolve.h"

#include <stdlib.h>

#include "base/limits.h"
#include "packages/task.h"

static const char code[] = "from vitrine import resolve\nresolve.main(job)\n";

struct resolve {
    struct packages *packages;
    struct resolve_events events;
    struct task *task;
    struct fetch *fetch; /* what it waits for, or NULL */
    unsigned fetch_count;
    bool is_temporary;
};

/* ---- Its questions --------------------------------------------------------------------------- */

static void on_answered(void *context, uint32_t status, struct span bytes)
{
    struct resolve *resolve = context;
    resolve->fetch = NULL;
    resolve->is_temporary |= status == WIRE_FETCH_FAILED || status == WIRE_FETCH_OFFLINE;
    task_fetched(resolve->task, (enum wire_fetch_status)status, bytes);
}

static void on_fetch_log(void *context, uint32_t level, struct span line)
{
    struct resolve *resolve = context;
    resolve->events.log(resolve->events.context,
                        level < PACKAGES_WARNING ? (enum packages_level)level : PACKAGES_WARNING,
                        line);
}

struct question {
    uint32_t what;
    bool has_what;
    struct span names[LIMIT_RECORD_FIELDS_MAX];
    size_t count;
};

/* Projects and sums, nothing else: a guest may name no address, and gets no wheel. */
static const char *question_read(struct question *out, struct span record)
{
    struct wire_field field;
    int more;
    while ((more = wire_next(&record, &field)) > 0) {
        if (field.number == WIRE_FETCH_WHAT && !out->has_what &&
            wire_get_u32(field.value, &out->what) == 0) {
            out->has_what = true;
        } else if (field.number == WIRE_FETCH_NAME && out->count < LIMIT_RECORD_FIELDS_MAX) {
            out->names[out->count++] = field.value;
        } else {
            return "the question is no question";
        }
    }
    if (more < 0 || !out->has_what || out->count == 0) {
        return "the question is no question";
    }
    if (out->what != WIRE_FETCH_PAGE && out->what != WIRE_FETCH_METADATA) {
        return "a program may ask for pages and METADATA alone";
    }
    for (size_t i = 0; i < out->count; i++) {
        bool is_proper = out->what == WIRE_FETCH_PAGE ? name_is_project(out->names[i])
                                                      : name_is_sum(out->names[i]);
        if (!is_proper) {
            return out->what == WIRE_FETCH_PAGE ? "this is no name of a project"
                                                : "this is no SHA-256";
        }
    }
    return NULL;
}

/* Names that the policy does not know are not asked for, nor fetched ahead. */
static int question_restrict(const struct resolve *resolve, struct question *question,
                             struct err *err)
{
    const struct policy *policy = resolve->packages->policy;
    if (question->what != WIRE_FETCH_PAGE || policy == NULL) {
        return 0;
    }
    if (policy_check_project(policy, question->names[0], err) != 0) {
        return -1;
    }
    size_t kept = 1;
    for (size_t i = 1; i < question->count; i++) {
        if (policy_check_project(policy, question->names[i], NULL) == 0) {
            question->names[kept++] = question->names[i];
        }
    }
    question->count = kept;
    return 0;
}

static void on_fetch(void *context, struct span record)
{
    static struct question question; /* too large for the stack; used within this call alone */
    struct resolve *resolve = context;
    struct err err;
    struct fetch_events events = {.context = resolve, .answered = on_answered, .log = on_fetch_log};
    question = (struct question){0};
    const char *mistake = question_read(&question, record);
    if (mistake == NULL && ++resolve->fetch_count > LIMIT_RESOLVE_FETCHES_MAX) {
        mistake = "one resolution asked for too many pages";
    }
    if (mistake != NULL) {
        task_fetched(resolve->task, WIRE_FETCH_REFUSED, span_of(mistake));
        return;
    }
    if (question_restrict(resolve, &question, &err) != 0) {
        task_fetched(resolve->task, WIRE_FETCH_REFUSED, span_of(err.text));
        return;
    }
    resolve->fetch = fetcher_ask(resolve->packages->fetcher, (enum wire_fetch_what)question.what,
                                 question.names, question.count, &events, &err);
    if (resolve->fetch == NULL) {
        resolve->is_temporary = true;
        task_fetched(resolve->task, WIRE_FETCH_FAILED, span_of(err.text));
    }
}

/* ---- Its end --------------------------------------------------------------------------------- */

static void resolve_free(struct resolve *resolve)
{
    if (resolve->fetch != NULL) {
        fetcher_cancel(resolve->fetch);
    }
    free(resolve);
}

static int plan_take(const struct resolve *resolve, struct plan *plan, struct span json,
                     struct err *err)
{
    if (plan_parse(plan, json, err) != 0) {
        return err_prefix(err, "the resolver's answer");
    }
    for (size_t i = 0; i < plan->package_count; i++) {
        if (policy_check_package(resolve->packages->policy, &plan->packages[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

static void on_done(void *context, struct span value_json, const struct err *err)
{
    struct resolve *resolve = context;
    struct resolve_events events = resolve->events;
    struct plan plan = {0};
    struct err own;
    if (err == NULL && plan_take(resolve, &plan, value_json, &own) != 0) {
        plan_free(&plan);
        err = &own;
    }
    bool is_temporary = resolve->is_temporary;
    for (size_t i = 0; i < plan.dropped_count; i++) {
        is_temporary |= plan.dropped[i].is_temporary;
    }
    resolve_free(resolve);
    events.done(events.context, err == NULL ? &plan : NULL, is_temporary, err);
}

/* ---- Its start ------------------------------------------------------------------------------- */

static int job_append(struct buf *out, const struct need *need, const struct policy *policy)
{
    if (buf_append_text(out, "{\"job\":") != 0 || need_append_json(out, need) != 0) {
        return -1;
    }
    out->len--; /* the object goes on */
    if (buf_append_text(out, ",\"constraints\":[],\"use_lock\":true,\"allow\":") != 0 ||
        policy_append_json(out, policy) != 0) {
        return -1;
    }
    return buf_append_text(out, "}}");
}

struct resolve *resolve_start(struct packages *packages, const struct need *need,
                              const struct resolve_events *events, struct err *err)
{
    cleanup_buf struct buf globals;
    buf_init(&globals, LIMIT_GLOBALS_BYTES_MAX);
    struct resolve *resolve = calloc(1, sizeof *resolve);
    if (resolve == NULL || job_append(&globals, need, packages->policy) != 0) {
        free(resolve);
        (void)err_set(err, ERR_MEMORY, "no memory for a resolution");
        return NULL;
    }
    resolve->packages = packages;
    resolve->events = *events;
    struct task_events task_events = {.context = resolve, .fetch = on_fetch, .done = on_done};
    resolve->task = task_start(packages, code, buf_span(&globals), &task_events, err);
    if (resolve->task == NULL) {
        free(resolve);
        return NULL;
    }
    return resolve;
}

void resolve_cancel(struct resolve *resolve)
{
    task_cancel(resolve->task);
    resolve_free(resolve);
}
