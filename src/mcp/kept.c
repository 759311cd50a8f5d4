#include "mcp/kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "base/random.h"
#include "mcp/internal.h"

enum { HANDLE_RANDOM_BYTES = 16 };

static const char unknown[] =
    "there is no such session: session_id is what create_session, fork_session or list_sessions "
    "gave to this client";

/* ---- Whose ----------------------------------------------------------------------------------- */

/* The conversation of a call; 0 where requests stand alone. */
static uint64_t conversation_of(const struct mcp_call *call)
{
    const bool lasts = call->delivery->route == NULL || call->session->is_initialized;
    return lasts && !(call->delivery->route != NULL && call->era >= ERA_2026_07_28)
               ? call->session->serial
               : 0;
}

static bool is_of(const struct mcp_call *call, const struct kept_session *kept)
{
    const struct mcp_client client = call_client(call);
    if (kept->conversation != 0 || conversation_of(call) != 0) {
        return kept->conversation == conversation_of(call);
    }
    return kept->principal != NULL ? span_equal(client.principal, span_of(kept->principal))
                                   : client.principal.len == 0 && client.number == kept->client;
}

bool kept_is_listed(const struct mcp_call *call, const struct kept_session *kept)
{
    return kept->waiting == NULL && is_of(call, kept) &&
           (kept->conversation != 0 || kept->principal != NULL);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static void kept_free(struct kept_session *kept)
{
    TAILQ_REMOVE(&kept->sessions->list, kept, link);
    free(kept->principal);
    free(kept);
}

static int handle_make(struct kept_session *kept, struct err *err)
{
    const int at =
        snprintf(kept->handle, sizeof kept->handle, "%s-", kept->is_checkpoint ? "cp" : "py");
    if (random_id(kept->handle + at, HANDLE_RANDOM_BYTES) != 0) {
        return err_system(err, "cannot get random bytes");
    }
    return 0;
}

static struct kept_session *kept_new(struct mcp_call *call, bool is_checkpoint, struct err *err)
{
    const struct mcp_client client = call_client(call);
    struct kept_session *kept = calloc(1, sizeof *kept);
    if (kept == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a session");
        return NULL;
    }
    kept->sessions = &call_server(call)->kept;
    kept->is_checkpoint = is_checkpoint;
    kept->conversation = conversation_of(call);
    kept->client = client.number;
    kept->made_us = clock_monotonic_us();
    TAILQ_INSERT_TAIL(&kept->sessions->list, kept, link);
    if (client.principal.len > 0) {
        kept->principal = strndup(client.principal.base, client.principal.len);
    }
    if ((client.principal.len > 0 && kept->principal == NULL) || handle_make(kept, err) != 0) {
        kept_free(kept);
        return NULL;
    }
    return kept;
}

/* The oldest of those that have ended makes room. */
static void ended_trim(struct kept_sessions *sessions)
{
    struct kept_session *kept;
    struct kept_session *next;
    for (kept = TAILQ_FIRST(&sessions->list);
         kept != NULL && sessions->ended_count > LIMIT_KEPT_ENDED_MAX; kept = next) {
        next = TAILQ_NEXT(kept, link);
        if (kept->session == NULL) {
            sessions->ended_count--;
            kept_free(kept);
        }
    }
}

static void on_ended(void *context, enum pool_session_end end, const char *why)
{
    struct kept_session *kept = context;
    struct kept_sessions *sessions = kept->sessions;
    struct mcp_call *waiting = kept->waiting;
    (void)end;
    pool_session_close(kept->session);
    kept->session = NULL;
    snprintf(kept->why, sizeof kept->why, "%s", why);
    sessions->ended_count++;
    kept->waiting = NULL;
    if (waiting != NULL) {
        session_tools_forked(waiting, kept); /* a copy that is none is closed there */
    }
    ended_trim(sessions);
}

static void on_ready(void *context)
{
    struct kept_session *kept = context;
    struct mcp_call *waiting = kept->waiting;
    kept->waiting = NULL;
    if (waiting != NULL) {
        session_tools_forked(waiting, kept);
    }
}

static struct pool_session_config config_of(const struct kept_session *kept)
{
    return (struct pool_session_config){.client = kept->client,
                                        .memory_bytes = kept->sessions->memory_bytes,
                                        .idle_ms = kept->sessions->idle_ms,
                                        .life_ms = kept->sessions->life_ms};
}

static struct pool_session_events events_of(struct kept_session *kept)
{
    return (struct pool_session_events){.context = kept, .ready = on_ready, .ended = on_ended};
}

struct kept_session *kept_open(struct mcp_call *call, struct err *err)
{
    struct kept_session *kept = kept_new(call, false, err);
    if (kept != NULL && kept_reset(kept, err) != 0) {
        kept_free(kept);
        return NULL;
    }
    return kept;
}

int kept_reset(struct kept_session *kept, struct err *err)
{
    const struct pool_session_config config = config_of(kept);
    const struct pool_session_events events = events_of(kept);
    const bool had_ended = kept->session == NULL && *kept->why != '\0';
    if (kept->session != NULL) {
        pool_session_close(kept->session);
        kept->session = NULL;
    }
    if (pool_session_open(kept->sessions->pool, &config, &events, &kept->session, err) != 0) {
        kept->session = NULL;
        if (!had_ended && *kept->handle != '\0') {
            snprintf(kept->why, sizeof kept->why, "the session has ended: it could not begin anew");
        }
        return -1;
    }
    kept->sessions->ended_count -= had_ended ? 1 : 0;
    *kept->why = '\0';
    return 0;
}

struct kept_session *kept_fork(struct mcp_call *call, struct kept_session *from, bool is_checkpoint,
                               struct err *err)
{
    struct kept_session *kept = kept_new(call, is_checkpoint, err);
    if (kept == NULL) {
        return NULL;
    }
    const struct pool_session_config config = config_of(kept);
    const struct pool_session_events events = events_of(kept);
    if (pool_session_fork(from->session, &config, &events, &kept->session, err) != 0) {
        kept->session = NULL;
        kept_free(kept);
        return NULL;
    }
    snprintf(kept->parent, sizeof kept->parent, "%s", from->handle);
    return kept;
}

/* ---- Finding --------------------------------------------------------------------------------- */

/* Whether they are the same is not told by the time that it takes. */
static bool is_handle(struct span json, const char *handle)
{
    if (json.len != KEPT_HANDLE_CHARS + 2) {
        return false;
    }
    unsigned differs = 0;
    for (size_t i = 0; i < KEPT_HANDLE_CHARS; i++) {
        differs |= (unsigned)((unsigned char)json.base[i + 1] ^ (unsigned char)handle[i]);
    }
    return differs == 0;
}

struct kept_session *kept_find(const struct mcp_call *call, struct span handle, struct err *err)
{
    struct kept_session *kept;
    TAILQ_FOREACH(kept, &call_server(call)->kept.list, link)
    {
        if (is_handle(handle, kept->handle) && kept->waiting == NULL && is_of(call, kept)) {
            return kept;
        }
    }
    (void)err_set(err, ERR_MISSING, "%s", unknown);
    return NULL;
}

struct kept_session *kept_find_open(const struct mcp_call *call, struct span handle,
                                    struct err *err)
{
    struct kept_session *kept = kept_find(call, handle, err);
    if (kept == NULL) {
        return NULL;
    }
    if (kept->session == NULL) {
        (void)err_set(err, ERR_GONE,
                      "%s; its variables, imports and files are lost. reset_session lets it begin "
                      "anew",
                      kept->why);
        return NULL;
    }
    return kept;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

void kept_close(struct kept_session *kept)
{
    if (kept->session != NULL) {
        pool_session_close(kept->session);
    } else {
        kept->sessions->ended_count--;
    }
    kept_free(kept);
}

void kept_replace(struct kept_session *kept, struct kept_session *from)
{
    struct pool_session_events events = events_of(kept);
    if (kept->session != NULL) {
        pool_session_close(kept->session);
    } else {
        kept->sessions->ended_count--;
        *kept->why = '\0';
    }
    kept->session = from->session;
    pool_session_set_events(kept->session, &events);
    kept_free(from);
}

void kept_leave(struct kept_sessions *sessions, const struct mcp_session *session)
{
    struct kept_session *kept;
    struct kept_session *next;
    for (kept = TAILQ_FIRST(&sessions->list); kept != NULL; kept = next) {
        next = TAILQ_NEXT(kept, link);
        if (kept->conversation == session->serial) {
            kept_close(kept);
        }
    }
}

void kept_close_all(struct kept_sessions *sessions)
{
    struct kept_session *kept;
    while ((kept = TAILQ_FIRST(&sessions->list)) != NULL) {
        kept_close(kept);
    }
}
