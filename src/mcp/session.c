#include "mcp/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "base/log.h"
#include "mcp/internal.h"

struct mcp_session *mcp_session_new(struct mcp_server *server, const struct mcp_client *client,
                                    const struct mcp_events *events)
{
    struct mcp_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return NULL;
    }
    buf_init(&session->principal, LIMIT_PRINCIPAL_BYTES_MAX);
    if (buf_append(&session->principal, client->principal.base, client->principal.len) != 0) {
        free(session);
        return NULL;
    }
    session->server = server;
    session->serial = ++server->session_serial;
    session->client_number = client->number;
    session->events = *events;
    session->era = ERA_LATEST_LEGACY;
    session->level = LEVEL_SILENT;
    buf_init(&session->watched.texts, LIMIT_WATCHED_URIS_MAX * LIMIT_URI_BYTES_MAX);
    TAILQ_INIT(&session->calls);
    TAILQ_INIT(&session->subscriptions);
    TAILQ_INIT(&session->deliveries);
    TAILQ_INSERT_TAIL(&server->sessions, session, link);
    return session;
}

void session_enter(struct mcp_session *session)
{
    session->entered++;
}

void session_leave(struct mcp_session *session)
{
    if (--session->entered == 0 && session->is_freed && TAILQ_EMPTY(&session->deliveries)) {
        TAILQ_REMOVE(&session->server->sessions, session, link);
        buf_free(&session->principal);
        buf_free(&session->watched.texts);
        free(session);
    }
}

void mcp_session_free(struct mcp_session *session)
{
    if (session == NULL) {
        return;
    }
    assert(!session->is_freed);
    session_enter(session);
    session->is_freed = true;
    mcp_session_cancel_all(session);
    kept_leave(&session->server->kept, session);
    session_leave(session);
}

unsigned mcp_session_running(const struct mcp_session *session)
{
    return session->call_count;
}

bool mcp_session_is_initialized(const struct mcp_session *session, enum mcp_era *era)
{
    *era = session->era;
    return session->is_initialized;
}

/* Held once by the caller. NULL without memory. */
static struct mcp_delivery *new_delivery(struct mcp_session *session, void *route)
{
    struct mcp_delivery *delivery = calloc(1, sizeof *delivery);
    if (delivery != NULL) {
        delivery->session = session;
        delivery->route = route;
        delivery->open = 1;
        buf_init(&delivery->answers, LIMIT_RESPONSE_BYTES_MAX);
        TAILQ_INSERT_TAIL(&session->deliveries, delivery, link);
    }
    return delivery;
}

void delivery_hold(struct mcp_delivery *delivery)
{
    delivery->open++;
}

static void send_now(struct mcp_delivery *delivery, const struct mcp_message *about,
                     struct buf *message)
{
    struct mcp_session *session = delivery->session;
    if (session->is_freed || delivery->has_left) {
        buf_free(message);
        return;
    }
    session->events.send(session->events.context, about, message);
}

void delivery_release(struct mcp_delivery *delivery)
{
    struct mcp_session *session = delivery->session;
    if (--delivery->open > 0) {
        return;
    }
    session_enter(session);
    if (delivery->answers.len > 0 && buf_append_char(&delivery->answers, ']') == 0) {
        struct mcp_message about = {
            .kind = MCP_ANSWER, .route = delivery->route, .http_status = 200};
        send_now(delivery, &about, &delivery->answers);
    }
    TAILQ_REMOVE(&session->deliveries, delivery, link);
    if (delivery->route != NULL && !delivery->has_left && !session->is_freed &&
        session->events.settled != NULL) {
        session->events.settled(session->events.context, delivery->route);
    }
    buf_free(&delivery->answers);
    free(delivery);
    session_leave(session);
}

bool delivery_is_congested(const struct mcp_delivery *delivery)
{
    const struct mcp_session *session = delivery->session;
    return session->is_freed || delivery->has_left ||
           session->events.is_congested(session->events.context, delivery->route);
}

void delivery_send(struct mcp_delivery *delivery, enum mcp_sent kind, struct buf *message)
{
    struct mcp_message about = {.kind = kind, .route = delivery->route, .http_status = 200};
    send_now(delivery, &about, message);
}

void session_notify(struct mcp_session *session, struct buf *message)
{
    static const struct mcp_message about = {.kind = MCP_NOTIFICATION, .http_status = 200};
    if (session->is_freed) {
        buf_free(message);
        return;
    }
    session->events.send(session->events.context, &about, message);
}

static void answer(struct mcp_delivery *delivery, int code, int http_status, struct buf *message)
{
    if (!delivery->is_batch) {
        struct mcp_message about = {.kind = MCP_ANSWER,
                                    .route = delivery->route,
                                    .error_code = code,
                                    .http_status = http_status};
        send_now(delivery, &about, message);
        return;
    }
    size_t before = delivery->answers.len;
    if (buf_append_char(&delivery->answers, before == 0 ? '[' : ',') != 0 ||
        buf_append(&delivery->answers, message->base, message->len) != 0) {
        delivery->answers.len = before;
        log_warning("an answer did not fit into its batch and was dropped");
    }
    buf_free(message);
}

void delivery_answer(struct mcp_delivery *delivery, struct buf *message)
{
    answer(delivery, 0, 200, message);
}

void delivery_answer_error(struct mcp_delivery *delivery, struct span id, int code, int http_status,
                           const char *text, struct span data)
{
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    if (rpc_append_error(&message, id, code, text, data) != 0) {
        log_error("out of memory");
        buf_free(&message);
        return;
    }
    answer(delivery, code, http_status, &message);
}

static void refuse_message(struct mcp_delivery *delivery, int code, const char *text)
{
    struct span none = {NULL, 0};
    delivery_answer_error(delivery, none, code, 400, text, none);
}

/* Only one revision has batches. Over HTTP a client may use it without a session. */
static bool has_batches(const struct mcp_session *session, const struct mcp_envelope *envelope)
{
    if (session->is_initialized || !envelope->is_http) {
        return session->era == ERA_2025_03_26;
    }
    return envelope->protocol_version.base == NULL ||
           span_equal(envelope->protocol_version, span_of(era_name(ERA_2025_03_26)));
}

static void receive_batch(struct mcp_session *session, struct mcp_delivery *delivery,
                          const struct mcp_envelope *envelope, struct span value)
{
    struct span key;
    struct span item;
    unsigned count = 0;
    struct jtext_cursor cursor = jtext_open(value);
    while (jtext_next(&cursor, &key, &item)) {
        count++;
    }
    if (!has_batches(session, envelope)) {
        refuse_message(delivery, RPC_INVALID_REQUEST,
                       "Only protocol version 2025-03-26 has batches; send one message at a time");
        return;
    }
    if (count == 0 || count > LIMIT_BATCH_MESSAGES_MAX) {
        refuse_message(delivery, RPC_INVALID_REQUEST, "A batch has 1 to 64 messages");
        return;
    }
    delivery->is_batch = true;
    cursor = jtext_open(value);
    while (jtext_next(&cursor, &key, &item)) {
        dispatch_message(session, delivery, envelope, item);
    }
}

static void receive(struct mcp_session *session, struct mcp_delivery *delivery,
                    const struct mcp_envelope *envelope, struct span message)
{
    struct span value;
    struct err err;
    if (jtext_check(message, JTEXT_STRICT, &value, &err) != 0) {
        char text[ERR_TEXT_MAX + 32];
        snprintf(text, sizeof text, "Parse error: %s", err.text);
        refuse_message(delivery, RPC_PARSE_ERROR, text);
    } else if (jtext_type(value) == JTEXT_ARRAY) {
        receive_batch(session, delivery, envelope, value);
    } else {
        dispatch_message(session, delivery, envelope, value);
    }
}

/* Without memory nobody can be told; the route is settled all the same. */
static void drop(struct mcp_session *session, void *route)
{
    log_error("out of memory: a message was dropped");
    if (route != NULL && session->events.settled != NULL) {
        session->events.settled(session->events.context, route);
    }
}

void mcp_session_receive(struct mcp_session *session, struct span message,
                         const struct mcp_envelope *envelope)
{
    static const struct mcp_envelope plain = {0};
    assert(!session->is_freed);
    envelope = envelope == NULL ? &plain : envelope;
    struct mcp_delivery *delivery = new_delivery(session, envelope->route);
    if (delivery == NULL) {
        drop(session, envelope->route);
        return;
    }
    session_enter(session);
    receive(session, delivery, envelope, message);
    delivery_release(delivery);
    session_leave(session);
}

void mcp_session_refuse_oversized(struct mcp_session *session, void *route)
{
    char text[96];
    struct mcp_delivery *delivery = new_delivery(session, route);
    if (delivery == NULL) {
        drop(session, route);
        return;
    }
    snprintf(text, sizeof text, "A message may have at most %llu bytes", LIMIT_MESSAGE_BYTES_MAX);
    refuse_message(delivery, RPC_INVALID_REQUEST, text);
    delivery_release(delivery);
}

static void leave_route(struct mcp_session *session, void *route, bool is_abandoned)
{
    struct mcp_delivery *delivery;
    struct mcp_delivery *next;
    session_enter(session);
    for (delivery = TAILQ_FIRST(&session->deliveries); delivery != NULL; delivery = next) {
        next = TAILQ_NEXT(delivery, link);
        if (delivery->route != route || delivery->has_left) {
            continue;
        }
        delivery->has_left = true;
        if (delivery->is_modern || is_abandoned) {
            delivery_hold(delivery);
            call_cancel_of(session, delivery);
            subscription_cancel_of(session, delivery);
            next = TAILQ_NEXT(delivery, link);
            delivery_release(delivery);
        }
    }
    session_leave(session);
}

void mcp_session_leave(struct mcp_session *session, void *route)
{
    leave_route(session, route, false);
}

void mcp_session_abandon(struct mcp_session *session, void *route)
{
    leave_route(session, route, true);
}
