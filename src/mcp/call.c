#include "mcp/call.h"

#include <assert.h>
#include <stdlib.h>

#include "base/jtext.h"
#include "base/log.h"
#include "mcp/internal.h"
#include "mcp/uri.h"

static const struct span none = {NULL, 0};

uv_loop_t *call_loop(const struct mcp_call *call)
{
    return call->session->server->config.loop;
}

enum mcp_era call_era(const struct mcp_call *call)
{
    return call->era;
}

struct depot *call_depot(const struct mcp_call *call)
{
    return call->session->server->depot;
}

struct mcp_server *call_server(const struct mcp_call *call)
{
    return call->session->server;
}

const struct mcp_config *call_config(const struct mcp_call *call)
{
    return &call->session->server->config;
}

struct mcp_client call_client(const struct mcp_call *call)
{
    return (struct mcp_client){.number = call->session->client_number,
                               .principal = buf_span(&call->session->principal)};
}

void *call_context(const struct mcp_call *call)
{
    switch (call->kind) {
    case CALL_TOOL: return call->tool->context;
    case CALL_PROMPT: return call->prompt->context;
    case CALL_RESOURCE: break;
    }
    return call->resource != NULL ? call->resource->context : call->family->context;
}

struct span call_variable(const struct mcp_call *call, const char *name)
{
    return uri_variable(&call->variables, name);
}

void call_hold(struct mcp_call *call, void *state, void (*cancel)(struct mcp_call *call))
{
    call->state = state;
    call->cancel = cancel;
}

void *call_state(const struct mcp_call *call)
{
    return call->state;
}

void call_set_installing(struct mcp_call *call, bool is_installing)
{
    call->is_installing = is_installing;
}

/* Its life. */

static void free_call(struct mcp_call *call)
{
    ask_free(call);
    buf_free(&call->id);
    buf_free(&call->progress_token);
    buf_free(&call->params);
    buf_free(&call->uri);
    buf_free(&call->variables);
    buf_free(&call->kept);
    free(call);
}

static void on_closed(uv_handle_t *timer)
{
    free_call(timer->data);
}

struct mcp_call *call_new(const struct mcp_request *request, enum call_kind kind)
{
    struct mcp_session *session = request->session;
    struct mcp_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
        return NULL;
    }
    *call = (struct mcp_call){.session = session,
                              .delivery = request->delivery,
                              .kind = kind,
                              .era = request->era,
                              .level = request->level,
                              .progress = -1};
    memcpy(call->can_answer, request->can_answer, sizeof call->can_answer);
    buf_init(&call->id, LIMIT_REQUEST_ID_CHARS_MAX);
    buf_init(&call->progress_token, LIMIT_REQUEST_ID_CHARS_MAX);
    buf_init(&call->params, LIMIT_MESSAGE_BYTES_MAX);
    buf_init(&call->uri, LIMIT_URI_BYTES_MAX);
    buf_init(&call->variables, 4 * LIMIT_URI_BYTES_MAX);
    buf_init(&call->kept, LIMIT_REQUEST_STATE_BYTES_MAX);
    struct span id = request->rpc.id;
    struct span token = request->progress_token;
    if (buf_append(&call->id, id.base, id.len) != 0 ||
        buf_append(&call->progress_token, token.base, token.len) != 0) {
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
        free_call(call);
        return NULL;
    }
    delivery_hold(call->delivery);
    TAILQ_INSERT_TAIL(&session->calls, call, link);
    session->call_count++;
    return call;
}

void call_run(struct mcp_call *call)
{
    switch (call->kind) {
    case CALL_TOOL: call->tool->start(call, call->arguments); return;
    case CALL_PROMPT: call->prompt->start(call, call->arguments); return;
    case CALL_RESOURCE: break;
    }
    void (*start)(struct mcp_call *, struct span) =
        call->resource != NULL ? call->resource->start : call->family->start;
    start(call, buf_span(&call->uri));
}

void call_finish(struct mcp_call *call)
{
    struct mcp_session *session = call->session;
    struct mcp_delivery *delivery = call->delivery;
    TAILQ_REMOVE(&session->calls, call, link);
    if (call->has_timer) {
        uv_close((uv_handle_t *)&call->timer, on_closed);
    } else {
        free_call(call);
    }
    if (--session->call_count == 0 && !session->is_freed && session->events.idle != NULL) {
        session->events.idle(session->events.context);
    }
    delivery_release(delivery);
}

/* Its notifications. */

static bool may_notify(const struct mcp_call *call)
{
    return !call->is_cancelled && !delivery_is_congested(call->delivery);
}

static void notify(struct mcp_call *call, struct buf *message, int failed)
{
    if (failed != 0) {
        log_warning("a notification was dropped: out of memory");
        buf_free(message);
        return;
    }
    delivery_send(call->delivery, MCP_NOTIFICATION, message);
}

void call_log(struct mcp_call *call, enum mcp_level level, const char *logger, struct span text)
{
    if (level < call->level || !may_notify(call)) {
        return;
    }
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    int failed = buf_append_format(&message,
                                   "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\","
                                   "\"params\":{\"level\":\"%s\",\"logger\":\"%s\",\"data\":",
                                   level_name(level), logger);
    failed |= jtext_append_string(&message, text);
    failed |= buf_append_text(&message, "}}");
    notify(call, &message, failed);
}

bool call_wants_progress(const struct mcp_call *call)
{
    return call->progress_token.len > 0;
}

void call_progress(struct mcp_call *call, double progress, double total, const char *text)
{
    if (!call_wants_progress(call) || progress < call->progress + 0.001 || !may_notify(call)) {
        return;
    }
    struct buf message;
    struct span token = buf_span(&call->progress_token);
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    int failed = buf_append_text(&message, "{\"jsonrpc\":\"2.0\",\"method\":"
                                           "\"notifications/progress\",\"params\":{"
                                           "\"progressToken\":");
    failed |= buf_append(&message, token.base, token.len);
    failed |= buf_append_format(&message, ",\"progress\":%.3f", progress);
    if (total > 0) {
        failed |= buf_append_format(&message, ",\"total\":%.3f", total);
    }
    if (text != NULL && call->era >= ERA_2025_03_26) {
        failed |= buf_append_text(&message, ",\"message\":");
        failed |= jtext_append_string(&message, span_of(text));
    }
    failed |= buf_append_text(&message, "}}");
    call->progress = progress;
    notify(call, &message, failed);
}

void call_let_go(struct mcp_call *call)
{
    const struct mcp_session *session = call->session;
    if (!era_is_modern(call->era) && !session->is_freed && !call->delivery->has_left &&
        call->delivery->route != NULL && session->events.let_go != NULL) {
        session->events.let_go(session->events.context, call->delivery->route);
    }
}

/* Its end. */

static int append_tool_members(struct buf *out, const struct content *content)
{
    int failed = buf_append_text(out, "\"content\":[");
    failed |= buf_append(out, content->items.base, content->items.len);
    failed |= buf_append_char(out, ']');
    if (content->structured.len > 0) {
        failed |= buf_append_text(out, ",\"structuredContent\":");
        failed |= buf_append(out, content->structured.base, content->structured.len);
    }
    failed |= buf_append_format(out, ",\"isError\":%s", content->is_error ? "true" : "false");
    return failed;
}

static int append_prompt_members(struct buf *out, const struct content *content)
{
    int failed = 0;
    if (content->description != NULL) {
        failed |= buf_append_text(out, "\"description\":");
        failed |= jtext_append_string(out, span_of(content->description));
        failed |= buf_append_char(out, ',');
    }
    failed |= buf_append_text(out, "\"messages\":[");
    failed |= buf_append(out, content->items.base, content->items.len);
    failed |= buf_append_char(out, ']');
    return failed;
}

static int append_resource_members(struct buf *out, const struct content *content)
{
    int failed = buf_append_text(out, "\"contents\":[");
    failed |= buf_append(out, content->items.base, content->items.len);
    failed |= buf_append_char(out, ']');
    if (era_is_modern(content->era)) {
        failed |= buf_append_format(out, ",\"ttlMs\":%llu,\"cacheScope\":\"%s\"",
                                    (unsigned long long)content->ttl_ms,
                                    content->is_shared ? "public" : "private");
    }
    return failed;
}

static int append_answer(struct buf *out, const struct mcp_call *call,
                         const struct content *content)
{
    if (content->has_failed ||
        result_begin(out, call->era, buf_span(&call->id), "complete", buf_span(&content->meta)) !=
            0 ||
        result_next(out) != 0) {
        return -1;
    }
    int failed = call->kind == CALL_TOOL     ? append_tool_members(out, content)
                 : call->kind == CALL_PROMPT ? append_prompt_members(out, content)
                                             : append_resource_members(out, content);
    failed |= buf_append_text(out, "}}");
    return failed;
}

static void send_error(struct mcp_call *call, int code, const char *text, struct span data)
{
    if (!call->is_cancelled) {
        delivery_answer_error(call->delivery, buf_span(&call->id), code,
                              envelope_status(call->era, code), text, data);
    }
}

void call_answer(struct mcp_call *call, struct content *content)
{
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    if (call->is_cancelled) {
        buf_free(&message);
    } else if (append_answer(&message, call, content) == 0) {
        delivery_answer(call->delivery, &message);
    } else {
        buf_free(&message);
        send_error(call, RPC_INTERNAL_ERROR,
                   "The result is too large; run the server with a lower --output-limit", none);
    }
    content_free(content);
    call_finish(call);
}

void call_fail(struct mcp_call *call, int code, const char *text, struct span data)
{
    send_error(call, code, text, data);
    call_finish(call);
}

void call_end(struct mcp_call *call)
{
    static const char text[] = "The call was stopped, because the server ends";
    if (call->is_cancelled || call->kind != CALL_TOOL) {
        call_fail(call, RPC_INTERNAL_ERROR, text, none);
        return;
    }
    struct content content;
    content_init(&content, call);
    content.is_error = true;
    content_text(&content, span_of(text));
    call_answer(call, &content);
}

/* Its cancellation. */

static void tell(struct mcp_call *call)
{
    if (call->is_told) {
        return;
    }
    call->is_told = true;
    ask_withdraw(call);
    if (call->cancel != NULL) {
        call->cancel(call);
    } else {
        call_end(call);
    }
}

static void cancel(struct mcp_call *call)
{
    call->is_cancelled = true;
    tell(call);
}

static struct mcp_call *find_call(const struct mcp_session *session, struct span id)
{
    struct mcp_call *call;
    TAILQ_FOREACH(call, &session->calls, link)
    {
        if (!call->is_cancelled && rpc_id_equal(buf_span(&call->id), id)) {
            return call;
        }
    }
    return NULL;
}

bool call_is_running(const struct mcp_session *session, struct span id)
{
    return find_call(session, id) != NULL;
}

void call_cancel(struct mcp_session *session, struct span id)
{
    struct mcp_call *call = find_call(session, id);
    if (call != NULL) {
        cancel(call);
    }
}

/* Whoever is told may end its call at once, which leaves the others in the list. */
void call_cancel_of(struct mcp_session *session, const struct mcp_delivery *delivery)
{
    struct mcp_call *next;
    for (struct mcp_call *call = TAILQ_FIRST(&session->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->delivery == delivery) {
            cancel(call);
        }
    }
}

bool mcp_session_is_installing(const struct mcp_session *session)
{
    const struct mcp_call *call;
    TAILQ_FOREACH(call, &session->calls, link)
    {
        if (call->is_installing && !call->is_cancelled) {
            return true;
        }
    }
    return false;
}

void mcp_session_cancel_all(struct mcp_session *session)
{
    struct mcp_call *next;
    session_enter(session);
    for (struct mcp_call *call = TAILQ_FIRST(&session->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        cancel(call);
    }
    subscription_end_all(session);
    session_leave(session);
}

void mcp_session_stop_all(struct mcp_session *session)
{
    struct mcp_call *next;
    session_enter(session);
    for (struct mcp_call *call = TAILQ_FIRST(&session->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        tell(call);
    }
    subscription_end_all(session);
    session_leave(session);
}
