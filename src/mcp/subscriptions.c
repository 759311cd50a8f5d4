/* Who wants to know of changes: by resources/subscribe and by having said `initialize` up to
 * 2025-11-25; by subscriptions/listen from 2026-07-28 on (basic/patterns/subscriptions). */
#include <stdlib.h>

#include "base/jtext.h"
#include "base/log.h"
#include "mcp/internal.h"

struct mcp_subscription {
    TAILQ_ENTRY(mcp_subscription) link; /* in session->subscriptions */
    struct mcp_session *session;
    struct mcp_delivery *delivery; /* held */
    struct buf id;                 /* JSON */
    bool wants[MCP_LIST_COUNT];
    struct uri_set uris;
};

static const char *const list_methods[] = {
    [MCP_TOOLS] = "notifications/tools/list_changed",
    [MCP_PROMPTS] = "notifications/prompts/list_changed",
    [MCP_RESOURCES] = "notifications/resources/list_changed",
};

static const char *const list_filters[] = {
    [MCP_TOOLS] = "toolsListChanged",
    [MCP_PROMPTS] = "promptsListChanged",
    [MCP_RESOURCES] = "resourcesListChanged",
};

/* Sets of URIs. */

static char *find_uri(const struct uri_set *set, struct span uri)
{
    char *at = set->texts.base;
    char *end = at == NULL ? NULL : at + set->texts.len;
    for (; at != end; at += strlen(at) + 1) {
        if (span_equal(span_of(at), uri)) {
            return at;
        }
    }
    return NULL;
}

bool uri_set_has(const struct uri_set *set, struct span uri)
{
    return find_uri(set, uri) != NULL;
}

bool uri_set_add(struct uri_set *set, struct span uri)
{
    if (uri_set_has(set, uri)) {
        return true;
    }
    if (set->count == LIMIT_WATCHED_URIS_MAX || uri.len >= LIMIT_URI_BYTES_MAX ||
        buf_append(&set->texts, uri.base, uri.len) != 0) {
        return false;
    }
    if (buf_append_char(&set->texts, '\0') != 0) {
        set->texts.len -= uri.len;
        return false;
    }
    set->count++;
    return true;
}

void uri_set_remove(struct uri_set *set, struct span uri)
{
    char *at = find_uri(set, uri);
    if (at != NULL) {
        size_t rest = set->texts.len - (size_t)(at - set->texts.base) - uri.len - 1;
        memmove(at, at + uri.len + 1, rest);
        set->texts.len -= uri.len + 1;
        set->count--;
    }
}

/* Up to 2025-11-25. */

/* params.uri as text; or -1, and the request has been answered. */
static int read_uri(const struct mcp_request *request, struct buf *uri)
{
    struct span value;
    if (!jtext_find(request->rpc.params, "uri", &value) || jtext_type(value) != JTEXT_STRING) {
        request_refuse(request, RPC_INVALID_PARAMS, "uri must be a string");
        return -1;
    }
    if (jtext_string_decode(uri, value) != 0 || memchr(uri->base, '\0', uri->len) != NULL) {
        request_refuse(request, RPC_INVALID_PARAMS, "uri is too long, or has a NUL in it");
        return -1;
    }
    return 0;
}

void handle_subscribe(const struct mcp_request *request)
{
    struct mcp_session *session = request->session;
    cleanup_buf struct buf uri;
    buf_init(&uri, LIMIT_URI_BYTES_MAX);
    if (read_uri(request, &uri) != 0) {
        return;
    }
    if (!registry_is_watched(&session->server->registry, buf_span(&uri))) {
        request_refuse(request, RPC_RESOURCE_NOT_FOUND, "No resource to subscribe to has this uri");
    } else if (!uri_set_add(&session->watched, buf_span(&uri))) {
        request_refuse(request, RPC_INVALID_REQUEST, "There are too many subscriptions");
    } else {
        request_answer_empty(request);
    }
}

void handle_unsubscribe(const struct mcp_request *request)
{
    cleanup_buf struct buf uri;
    buf_init(&uri, LIMIT_URI_BYTES_MAX);
    if (read_uri(request, &uri) == 0) {
        uri_set_remove(&request->session->watched, buf_span(&uri));
        request_answer_empty(request);
    }
}

/* From 2026-07-28 on. */

static void free_subscription(struct mcp_subscription *subscription)
{
    buf_free(&subscription->id);
    buf_free(&subscription->uris.texts);
    free(subscription);
}

static void end_subscription(struct mcp_subscription *subscription)
{
    struct mcp_delivery *delivery = subscription->delivery;
    TAILQ_REMOVE(&subscription->session->subscriptions, subscription, link);
    subscription->session->subscription_count--;
    free_subscription(subscription);
    delivery_release(delivery);
}

/* Appends a notification of the subscription up to its last "}}". */
static int begin_notification(struct buf *out, const struct mcp_subscription *subscription,
                              const char *method)
{
    struct span id = buf_span(&subscription->id);
    int failed = buf_append_format(out,
                                   "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"_meta\":{"
                                   "\"" MCP_META "subscriptionId\":",
                                   method);
    failed |= buf_append(out, id.base, id.len);
    return failed | buf_append_char(out, '}');
}

static void send_notification(const struct mcp_subscription *subscription, struct buf *message,
                              int failed)
{
    if (failed != 0 || buf_append_text(message, "}}") != 0) {
        log_warning("a notification was dropped: out of memory");
        buf_free(message);
        return;
    }
    delivery_send(subscription->delivery, MCP_NOTIFICATION, message);
}

/* The filter as far as we keep it. */
static void acknowledge(const struct mcp_subscription *subscription)
{
    struct buf message;
    const char *comma = "";
    buf_init(&message, LIMIT_MESSAGE_BYTES_MAX);
    int failed =
        begin_notification(&message, subscription, "notifications/subscriptions/acknowledged");
    failed |= buf_append_text(&message, ",\"notifications\":{");
    for (unsigned i = 0; i < MCP_LIST_COUNT; i++) {
        if (subscription->wants[i]) {
            failed |= buf_append_format(&message, "%s\"%s\":true", comma, list_filters[i]);
            comma = ",";
        }
    }
    if (subscription->uris.count > 0) {
        failed |= buf_append_format(&message, "%s\"resourceSubscriptions\":[", comma);
        const char *at = subscription->uris.texts.base;
        for (unsigned i = 0; i < subscription->uris.count; i++, at += strlen(at) + 1) {
            failed |= i > 0 ? buf_append_char(&message, ',') : 0;
            failed |= jtext_append_string(&message, span_of(at));
        }
        failed |= buf_append_char(&message, ']');
    }
    failed |= buf_append_char(&message, '}');
    send_notification(subscription, &message, failed);
}

/* The URIs of the filter that name something to watch. False when the filter is no filter. */
static bool read_uris(struct mcp_subscription *subscription, struct span list)
{
    const struct mcp_registry *registry = &subscription->session->server->registry;
    struct span key;
    struct span item;
    cleanup_buf struct buf uri;
    buf_init(&uri, LIMIT_URI_BYTES_MAX);
    if (jtext_type(list) != JTEXT_ARRAY) {
        return false;
    }
    struct jtext_cursor cursor = jtext_open(list);
    while (jtext_next(&cursor, &key, &item)) {
        buf_clear(&uri);
        if (jtext_type(item) != JTEXT_STRING) {
            return false;
        }
        if (jtext_string_decode(&uri, item) == 0 && memchr(uri.base, '\0', uri.len) == NULL &&
            registry_is_watched(registry, buf_span(&uri))) {
            uri_set_add(&subscription->uris, buf_span(&uri));
        }
    }
    return true;
}

static bool read_filter(struct mcp_subscription *subscription, struct span filter)
{
    const struct mcp_registry *registry = &subscription->session->server->registry;
    struct span value;
    for (unsigned i = 0; i < MCP_LIST_COUNT; i++) {
        if (!jtext_find(filter, list_filters[i], &value)) {
            continue;
        }
        if (jtext_type(value) != JTEXT_BOOLEAN) {
            return false;
        }
        subscription->wants[i] = value.len == 4 && registry->may_change[i];
    }
    return !jtext_find(filter, "resourceSubscriptions", &value) || read_uris(subscription, value);
}

static struct mcp_subscription *new_subscription(const struct mcp_request *request)
{
    struct mcp_subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL) {
        return NULL;
    }
    subscription->session = request->session;
    subscription->delivery = request->delivery;
    buf_init(&subscription->id, LIMIT_REQUEST_ID_CHARS_MAX);
    buf_init(&subscription->uris.texts, LIMIT_WATCHED_URIS_MAX * LIMIT_URI_BYTES_MAX);
    if (buf_append(&subscription->id, request->rpc.id.base, request->rpc.id.len) != 0) {
        free_subscription(subscription);
        return NULL;
    }
    return subscription;
}

void handle_listen(const struct mcp_request *request)
{
    struct mcp_session *session = request->session;
    struct span filter;
    if (!jtext_find(request->rpc.params, "notifications", &filter) ||
        jtext_type(filter) != JTEXT_OBJECT) {
        request_refuse(request, RPC_INVALID_PARAMS, "notifications must be an object");
        return;
    }
    if (session->subscription_count == LIMIT_SUBSCRIPTIONS_MAX) {
        request_refuse(request, RPC_INVALID_PARAMS, "There are too many subscriptions");
        return;
    }
    struct mcp_subscription *subscription = new_subscription(request);
    if (subscription == NULL) {
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    if (!read_filter(subscription, filter)) {
        request_refuse(request, RPC_INVALID_PARAMS,
                       "notifications has flags, and resourceSubscriptions is a list of strings");
        free_subscription(subscription);
        return;
    }
    delivery_hold(subscription->delivery);
    TAILQ_INSERT_TAIL(&session->subscriptions, subscription, link);
    session->subscription_count++;
    acknowledge(subscription);
}

static struct mcp_subscription *find_subscription(const struct mcp_session *session, struct span id)
{
    struct mcp_subscription *subscription;
    TAILQ_FOREACH(subscription, &session->subscriptions, link)
    {
        if (rpc_id_equal(buf_span(&subscription->id), id)) {
            return subscription;
        }
    }
    return NULL;
}

bool subscription_is_open(const struct mcp_session *session, struct span id)
{
    return find_subscription(session, id) != NULL;
}

void subscription_cancel(struct mcp_session *session, struct span id)
{
    struct mcp_subscription *subscription = find_subscription(session, id);
    if (subscription != NULL) {
        end_subscription(subscription);
    }
}

void subscription_cancel_of(struct mcp_session *session, const struct mcp_delivery *delivery)
{
    struct mcp_subscription *next;
    for (struct mcp_subscription *at = TAILQ_FIRST(&session->subscriptions); at != NULL;
         at = next) {
        next = TAILQ_NEXT(at, link);
        if (at->delivery == delivery) {
            end_subscription(at);
        }
    }
}

/* On stdio a stream that we end is named once more (basic/patterns/cancellation). */
static void name_ended(struct mcp_subscription *subscription)
{
    struct buf message;
    struct span id = buf_span(&subscription->id);
    buf_init(&message, 8 * KIB);
    int failed = buf_append_text(&message, "{\"jsonrpc\":\"2.0\",\"method\":"
                                           "\"notifications/cancelled\",\"params\":{"
                                           "\"requestId\":");
    failed |= buf_append(&message, id.base, id.len);
    failed |= buf_append_text(&message, "}}");
    if (failed == 0) {
        delivery_send(subscription->delivery, MCP_NOTIFICATION, &message);
    } else {
        buf_free(&message);
    }
}

/* "Graceful Closure": the request is answered after all. */
static void complete(struct mcp_subscription *subscription)
{
    struct buf message;
    struct buf meta;
    struct span id = buf_span(&subscription->id);
    buf_init(&message, 8 * KIB);
    buf_init(&meta, 4 * KIB);
    int failed = buf_append_text(&meta, "\"" MCP_META "subscriptionId\":");
    failed |= buf_append(&meta, id.base, id.len);
    failed |= result_begin(&message, ERA_LATEST, id, "complete", buf_span(&meta));
    failed |= buf_append_text(&message, "}}");
    buf_free(&meta);
    if (failed == 0) {
        delivery_answer(subscription->delivery, &message);
    } else {
        buf_free(&message);
    }
}

void subscription_end_all(struct mcp_session *session)
{
    struct mcp_subscription *subscription;
    while ((subscription = TAILQ_FIRST(&session->subscriptions)) != NULL) {
        complete(subscription);
        if (subscription->delivery->route == NULL) {
            name_ended(subscription);
        }
        end_subscription(subscription);
    }
}

/* What has changed. */

static void tell_lists(struct mcp_session *session, enum mcp_list list)
{
    struct mcp_subscription *subscription;
    struct buf message;
    if (session->is_ready) {
        buf_init(&message, 4 * KIB);
        buf_append_format(&message, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"}", list_methods[list]);
        session_notify(session, &message);
    }
    TAILQ_FOREACH(subscription, &session->subscriptions, link)
    {
        if (subscription->wants[list]) {
            buf_init(&message, 8 * KIB);
            int failed = begin_notification(&message, subscription, list_methods[list]);
            send_notification(subscription, &message, failed);
        }
    }
}

static void tell_uri(struct mcp_session *session, struct span uri)
{
    static const char method[] = "notifications/resources/updated";
    struct mcp_subscription *subscription;
    struct buf message;
    if (uri_set_has(&session->watched, uri)) {
        buf_init(&message, 8 * LIMIT_URI_BYTES_MAX);
        int failed = buf_append_format(
            &message, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"uri\":", method);
        failed |= jtext_append_string(&message, uri);
        failed |= buf_append_text(&message, "}}");
        if (failed == 0) {
            session_notify(session, &message);
        } else {
            buf_free(&message);
        }
    }
    TAILQ_FOREACH(subscription, &session->subscriptions, link)
    {
        if (uri_set_has(&subscription->uris, uri)) {
            buf_init(&message, 8 * LIMIT_URI_BYTES_MAX);
            int failed = begin_notification(&message, subscription, method);
            failed |= buf_append_text(&message, ",\"uri\":");
            failed |= jtext_append_string(&message, uri);
            send_notification(subscription, &message, failed);
        }
    }
}

/* The next session; this one may have been given up on being told. */
static struct mcp_session *next_session(struct mcp_session *session)
{
    struct mcp_session *next = TAILQ_NEXT(session, link);
    session_leave(session);
    return next;
}

void mcp_server_list_changed(struct mcp_server *server, enum mcp_list list)
{
    struct mcp_session *session = TAILQ_FIRST(&server->sessions);
    while (session != NULL) {
        session_enter(session);
        tell_lists(session, list);
        session = next_session(session);
    }
}

void mcp_server_resource_updated(struct mcp_server *server, const char *uri)
{
    struct mcp_session *session = TAILQ_FIRST(&server->sessions);
    while (session != NULL) {
        session_enter(session);
        tell_uri(session, span_of(uri));
        session = next_session(session);
    }
}
