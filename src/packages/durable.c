#include "packages/durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "packages/need.h"
#include "packages/run.h"
#include "packages/state.h"

/* ---- Saving ---------------------------------------------------------------------------------- */

static int add_pinned(struct need *need, const struct outcome_package *package, struct err *err)
{
    char text[LIMIT_REQUIREMENT_BYTES_MAX];
    const char *const texts[] = {text, NULL};
    const int len = snprintf(text, sizeof text, "%s==%s", package->name, package->version);
    return len < 0 || (size_t)len >= sizeof text
               ? err_set(err, ERR_LIMIT, "the name of a package is too long")
               : need_add_requirements(need, texts, err);
}

int packages_session_about(struct packages *packages, const struct pool_session *session,
                           struct buf *out, struct err *err)
{
    cleanup_need struct need need = {0};
    const char *here = pool_session_environment(session);
    if (here == NULL) {
        return err_set(err, ERR_USAGE, "nothing has run in the session yet, so there is no state");
    }
    if (strcmp(here, "base") != 0) {
        struct environment *environment = store_environment(&packages->store, here);
        if (environment == NULL) {
            return err_set(err, ERR_MISSING, "the packages of the session are kept no more");
        }
        int result = 0;
        for (size_t i = 0; result == 0 && i < environment->package_count; i++) {
            result = add_pinned(&need, &environment->packages[i], err);
        }
        store_environment_unref(environment);
        if (result != 0) {
            return -1;
        }
    }
    return need_append_json(out, &need) == 0 ? 0 : err_set(err, ERR_MEMORY, "no memory");
}

/* ---- Restoring ------------------------------------------------------------------------------- */

struct restoring {
    struct pool_session *session; /* a reference */
    struct packages_restore how;
    struct packages_run *run; /* that makes the environment */
};

static void finish(struct restoring *restoring, const struct err *err)
{
    const struct packages_restore how = restoring->how;
    pool_session_unref(restoring->session);
    free(restoring);
    how.done(how.context, err);
}

static void on_restored(void *context, const struct err *err)
{
    finish(context, err);
}

static int restore_in(struct restoring *restoring, const struct environment *environment,
                      struct err *err)
{
    struct pool_environment where = {.id = NULL};
    struct pool_restore restore = {.fd = restoring->how.fd,
                                   .file_bytes = restoring->how.file_bytes,
                                   .file_count = restoring->how.file_count,
                                   .context = restoring,
                                   .done = on_restored};
    if (environment != NULL) {
        where = (struct pool_environment){environment->id, environment->dir};
        restore.environment = &where;
    }
    return pool_session_restore(restoring->session, &restore, NULL, err);
}

static void on_prepared(void *context, const struct outcome *outcome)
{
    struct restoring *restoring = context;
    struct err err;
    if (outcome->status != OUTCOME_SUCCESS) {
        const struct span text = outcome->error_message;
        (void)err_set(&err, ERR_MISSING, "its packages cannot be had: %.*s", (int)text.len,
                      text.base);
    } else if (pool_session_has_ended(restoring->session)) {
        (void)err_set(&err, ERR_GONE, "the session was closed meanwhile");
    } else if (restore_in(restoring, restoring->run->environment, &err) == 0) {
        return;
    }
    finish(restoring, &err);
}

/* For an environment that is there already this is done at once, from the loop. */
static int prepare(struct packages *packages, struct restoring *restoring, const struct need *need,
                   struct err *err)
{
    const char *texts[LIMIT_REQUIREMENTS_MAX + 1] = {NULL};
    const struct packages_events events = {.context = restoring, .done = on_prepared};
    for (size_t i = 0; i < need->requirements.count; i++) {
        texts[i] = need->requirements.items[i];
    }
    return packages_prepare(packages, texts, &events, &restoring->run, err);
}

int packages_session_restore(struct packages *packages, struct pool_session *session,
                             const struct packages_restore *how, struct err *err)
{
    cleanup_need struct need need = {0};
    cleanup_buf struct buf about;
    buf_init(&about, LIMIT_STATE_ABOUT_BYTES_MAX + 1);
    if (pool_state_about(how->fd, &about, err) != 0 ||
        need_parse(&need, buf_span(&about), err) != 0) {
        return -1;
    }
    struct restoring *restoring = calloc(1, sizeof *restoring);
    if (restoring == NULL) {
        return err_set(err, ERR_MEMORY, "no memory");
    }
    restoring->session = session;
    restoring->how = *how;
    pool_session_ref(session);
    if ((need.requirements.count == 0 ? restore_in(restoring, NULL, err)
                                      : prepare(packages, restoring, &need, err)) != 0) {
        pool_session_unref(session);
        free(restoring);
        return -1;
    }
    return 0;
}
