#include "serve/sessions.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/random.h"

/* A client of the pool is a session; who has none is known by its address, in numbers of its own.
 */
#define CLIENT_STATELESS (1ULL << 63)

void sessions_init(struct sessions *sessions)
{
    TAILQ_INIT(&sessions->list);
    for (size_t i = 0; i < SESSION_BUCKETS; i++) {
        LIST_INIT(&sessions->buckets[i]);
    }
    sessions->count = 0;
    sessions->number = 0;
    sessions->budget = (struct events_budget){.bytes_max = LIMIT_EVENT_BYTES_MAX};
    sessions->counts = (struct sessions_counts){0};
}

static struct session_bucket *bucket_of(struct sessions *sessions, struct span id)
{
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a: ids are random, so any hash spreads them */
    for (size_t i = 0; i < id.len; i++) {
        hash = (hash ^ (unsigned char)id.base[i]) * 0x100000001B3u;
    }
    return &sessions->buckets[hash % SESSION_BUCKETS];
}

static unsigned count_of(const struct sessions *sessions, uint64_t client)
{
    unsigned count = 0;
    const struct session *session;
    TAILQ_FOREACH(session, &sessions->list, link)
    {
        count += session->client == client && session->kind != SESSION_ONCE ? 1 : 0;
    }
    return count;
}

static void on_idle(void *context)
{
    const struct session *session = context;
    session->sessions->idle(session->sessions->context);
}

static struct session *session_new(struct sessions *sessions, enum session_kind kind,
                                   uint64_t client)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL ||
        (kind != SESSION_ONCE && random_id(session->id, SESSION_ID_BYTES) != 0)) {
        free(session);
        return NULL;
    }
    struct mcp_client who = {.number = kind == SESSION_ONCE ? client | CLIENT_STATELESS
                                                            : ++sessions->number};
    if (who.number == POOL_CLIENT_OWN) {
        who.number--; /* that one has no limits */
    }
    struct mcp_events events = {.context = session,
                                .send = stream_on_send,
                                .is_congested = stream_on_is_congested,
                                .settled = stream_on_settled,
                                .let_go = stream_on_let_go,
                                .idle = on_idle};
    session->mcp = mcp_session_new(sessions->mcp, &who, &events);
    if (session->mcp == NULL) {
        free(session);
        return NULL;
    }
    session->sessions = sessions;
    session->kind = kind;
    session->client = client;
    session->begun_ms = uv_now(sessions->loop);
    session->used_ms = session->begun_ms;
    events_init(&session->events, &sessions->budget);
    TAILQ_INIT(&session->streams);
    return session;
}

/* The stream that belongs to no message; of the old transport it is the only one. */
static int add_standing(struct session *session)
{
    session->standing = stream_new(session, NULL);
    if (session->standing == NULL) {
        return -1;
    }
    session->standing->is_standing = true;
    session->standing->is_begun = true;
    return 0;
}

static int check_room(struct sessions *sessions, enum session_kind kind, uint64_t client)
{
    if (kind == SESSION_ONCE) {
        return 0; /* as many as there are connections */
    }
    int status = sessions->count >= sessions->sessions_max                     ? 503
                 : count_of(sessions, client) >= sessions->client_sessions_max ? 429
                                                                               : 0;
    sessions->counts.refused += status == 0 ? 0 : 1;
    return status;
}

int session_open(struct sessions *sessions, enum session_kind kind, uint64_t client,
                 struct session **out)
{
    int status = check_room(sessions, kind, client);
    struct session *session = status == 0 ? session_new(sessions, kind, client) : NULL;
    if (session == NULL) {
        return status == 0 ? 503 : status;
    }
    TAILQ_INSERT_TAIL(&sessions->list, session, link);
    if (kind == SESSION_ONCE) {
        sessions->counts.stateless++;
    } else {
        LIST_INSERT_HEAD(bucket_of(sessions, span_of(session->id)), session, bucket);
        sessions->count++;
        sessions->counts.begun++;
        if (add_standing(session) != 0) {
            session_close(session);
            return 503;
        }
    }
    *out = session;
    return 0;
}

struct session *sessions_find(struct sessions *sessions, enum session_kind kind, struct span id,
                              uint64_t client)
{
    struct session *session;
    LIST_FOREACH(session, bucket_of(sessions, id), bucket)
    {
        if (span_equal(span_of(session->id), id)) {
            bool is_theirs = session->kind == kind && session->client == client;
            session->used_ms = is_theirs ? uv_now(sessions->loop) : session->used_ms;
            return is_theirs ? session : NULL;
        }
    }
    return NULL;
}

struct stream *session_stream(const struct session *session, uint32_t number)
{
    struct stream *stream;
    TAILQ_FOREACH(stream, &session->streams, link)
    {
        if (stream->number == number) {
            return stream;
        }
    }
    return NULL;
}

void session_close(struct session *session)
{
    struct sessions *sessions = session->sessions;
    mcp_session_free(session->mcp);
    while (!TAILQ_EMPTY(&session->streams)) {
        stream_free(TAILQ_FIRST(&session->streams));
    }
    events_free(&session->events);
    TAILQ_REMOVE(&sessions->list, session, link);
    if (session->kind != SESSION_ONCE) {
        LIST_REMOVE(session, bucket);
        sessions->count--;
    }
    free(session);
}

static bool is_used(const struct session *session)
{
    const struct stream *stream;
    TAILQ_FOREACH(stream, &session->streams, link)
    {
        if (stream->exchange != NULL) {
            return true;
        }
    }
    return mcp_session_running(session->mcp) > 0;
}

static bool is_over(struct session *session, uint64_t now_ms)
{
    if (session->kind == SESSION_ONCE) {
        return false;
    }
    if (is_used(session)) {
        session->used_ms = now_ms;
    }
    return now_ms - session->used_ms >= session->sessions->idle_ms ||
           now_ms - session->begun_ms >= LIMIT_SESSION_LIFE_MS;
}

void sessions_tick(struct sessions *sessions, uint64_t now_ms)
{
    struct session *next;
    for (struct session *session = TAILQ_FIRST(&sessions->list); session != NULL; session = next) {
        struct stream *next_stream;
        for (struct stream *stream = TAILQ_FIRST(&session->streams); stream != NULL;
             stream = next_stream) {
            next_stream = TAILQ_NEXT(stream, link);
            stream_tick(stream, now_ms);
        }
        next = TAILQ_NEXT(session, link);
        if (is_over(session, now_ms)) {
            sessions->counts.expired++;
            session_close(session);
        }
    }
}

unsigned sessions_running(const struct sessions *sessions)
{
    unsigned count = 0;
    const struct session *session;
    TAILQ_FOREACH(session, &sessions->list, link)
    {
        count += mcp_session_running(session->mcp);
    }
    return count;
}

/* One that is stopped may end, and free itself, before this returns: the next is looked up before.
 * Ending is of itself alone. */
static void for_each(struct sessions *sessions, void (*act)(struct mcp_session *mcp))
{
    struct session *next;
    for (struct session *session = TAILQ_FIRST(&sessions->list); session != NULL; session = next) {
        next = TAILQ_NEXT(session, link);
        act(session->mcp);
    }
}

void sessions_stop_all(struct sessions *sessions)
{
    for_each(sessions, mcp_session_stop_all);
}

void sessions_cancel_all(struct sessions *sessions)
{
    for_each(sessions, mcp_session_cancel_all);
}

void sessions_close_all(struct sessions *sessions)
{
    while (!TAILQ_EMPTY(&sessions->list)) {
        session_close(TAILQ_FIRST(&sessions->list));
    }
}
