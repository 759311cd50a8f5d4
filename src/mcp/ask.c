/* Questions to the client. Up to 2025-11-25 they are requests of ours, and the call waits; from
 * 2026-07-28 on (basic/patterns/mrtr) the call is answered with them, and comes again as another
 * request with the answers. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/jtext.h"
#include "base/log.h"
#include "mcp/internal.h"

static const struct span none = {NULL, 0};

static const char *const methods[] = {
    [ASK_ELICITATION] = "elicitation/create",
    [ASK_SAMPLING] = "sampling/createMessage",
    [ASK_ROOTS] = "roots/list",
};

static const char *const capabilities[] = {
    [ASK_ELICITATION] = "{\"requiredCapabilities\":{\"elicitation\":{}}}",
    [ASK_SAMPLING] = "{\"requiredCapabilities\":{\"sampling\":{}}}",
    [ASK_ROOTS] = "{\"requiredCapabilities\":{\"roots\":{}}}",
};

bool call_can_ask(const struct mcp_call *call, enum mcp_ask kind)
{
    return call->can_answer[kind];
}

struct span call_kept(const struct mcp_call *call)
{
    return buf_span(&call->kept);
}

static struct asked *find_asked(const struct mcp_call *call, const char *key)
{
    for (unsigned i = 0; i < call->asked_count; i++) {
        if (strcmp(call->asked[i].key, key) == 0) {
            return &call->asked[i];
        }
    }
    return NULL;
}

bool call_reply(const struct mcp_call *call, const char *key, struct span *result)
{
    const struct asked *asked = find_asked(call, key);
    if (asked != NULL) {
        *result = buf_span(&asked->reply);
        return asked->is_answered && !asked->is_error;
    }
    return call->replies.len > 0 && jtext_find(call->replies, key, result) &&
           jtext_type(*result) == JTEXT_OBJECT;
}

bool call_reply_error(const struct mcp_call *call, const char *key, struct span *error)
{
    const struct asked *asked = find_asked(call, key);
    if (asked == NULL || !asked->is_error) {
        return false;
    }
    *error = buf_span(&asked->reply);
    return true;
}

/* What a state is bound to: the request that will carry it. */
static struct keep_scope scope_of(const struct mcp_call *call)
{
    static const char *const kinds[] = {[CALL_TOOL] = "tools/call",
                                        [CALL_RESOURCE] = "resources/read",
                                        [CALL_PROMPT] = "prompts/get"};
    struct keep_scope scope = {.key = call->session->server->key,
                               .principal = buf_span(&call->session->principal),
                               .method = span_of(kinds[call->kind]),
                               .arguments = call->arguments};
    if (!jtext_find(buf_span(&call->params), call->kind == CALL_RESOURCE ? "uri" : "name",
                    &scope.name)) {
        scope.name = none;
    }
    return scope;
}

static int refuse(const struct mcp_request *request, const char *text)
{
    request_refuse(request, RPC_INVALID_PARAMS, text);
    return -1;
}

static uint64_t now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

int ask_read(struct mcp_call *call, const struct mcp_request *request)
{
    struct span params = buf_span(&call->params);
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_REQUEST_STATE_BYTES_MAX * 2);
    if (!era_is_modern(call->era)) {
        return 0;
    }
    if (jtext_find(params, "inputResponses", &value)) {
        if (jtext_type(value) != JTEXT_OBJECT) {
            return refuse(request, "inputResponses must be an object");
        }
        call->replies = value;
    }
    if (!jtext_find(params, "requestState", &value)) {
        return 0;
    }
    struct keep_scope scope = scope_of(call);
    if (jtext_type(value) != JTEXT_STRING || jtext_string_decode(&text, value) != 0 ||
        keep_open(&call->kept, &scope, buf_span(&text), now_ms()) != 0) {
        return refuse(request, "requestState is not what this server gave out for this request, or "
                               "too old; send the request again without it");
    }
    return 0;
}

/* The new way. */

static int append_questions(struct buf *out, const struct mcp_question *questions, unsigned count)
{
    int failed = buf_append_text(out, ",\"inputRequests\":{");
    for (unsigned i = 0; i < count; i++) {
        failed |=
            buf_append_format(out, "%s\"%s\":{\"method\":\"%s\",\"params\":", i == 0 ? "" : ",",
                              questions[i].key, methods[questions[i].kind]);
        failed |= buf_append_text(out, questions[i].params);
        failed |= buf_append_char(out, '}');
    }
    return failed | buf_append_char(out, '}');
}

static void answer_with_questions(struct mcp_call *call, const struct mcp_question *questions,
                                  unsigned count, struct span kept)
{
    struct buf message;
    struct keep_scope scope = scope_of(call);
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    int failed = result_begin(&message, call->era, buf_span(&call->id), "input_required", none);
    failed |= append_questions(&message, questions, count);
    if (kept.len > 0) {
        failed |= buf_append_text(&message, ",\"requestState\":\"");
        failed |= keep_seal(&message, &scope, kept, now_ms());
        failed |= buf_append_char(&message, '"');
    }
    failed |= buf_append_text(&message, "}}");
    if (failed != 0) {
        buf_free(&message);
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", none);
        return;
    }
    if (!call->is_cancelled) {
        delivery_answer(call->delivery, &message);
    } else {
        buf_free(&message);
    }
    call_finish(call);
}

/* The old way. */

static void forget(struct mcp_call *call)
{
    for (unsigned i = 0; i < call->asked_count; i++) {
        buf_free(&call->asked[i].reply);
    }
    call->asked_count = 0;
}

void ask_free(struct mcp_call *call)
{
    forget(call);
    free(call->asked);
}

static bool is_waiting(const struct mcp_call *call)
{
    for (unsigned i = 0; i < call->asked_count; i++) {
        if (!call->asked[i].is_answered) {
            return true;
        }
    }
    return false;
}

static void withdraw(struct mcp_call *call, const struct asked *asked)
{
    struct buf message;
    buf_init(&message, 4 * KIB);
    if (buf_append_format(&message,
                          "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
                          "\"params\":{\"requestId\":\"ask-%u\"}}",
                          asked->number) == 0) {
        delivery_send(call->delivery, MCP_NOTIFICATION, &message);
    } else {
        buf_free(&message);
    }
}

void ask_withdraw(struct mcp_call *call)
{
    for (unsigned i = 0; i < call->asked_count; i++) {
        if (!call->asked[i].is_answered) {
            call->asked[i].is_answered = true;
            withdraw(call, &call->asked[i]);
        }
    }
    if (call->has_timer) {
        uv_timer_stop(&call->timer);
    }
}

/* Nobody has answered: the question goes back as an error, and the call decides. */
static void on_late(uv_timer_t *timer)
{
    struct mcp_call *call = timer->data;
    static const char error[] =
        "{\"code\":-32603,\"message\":\"The client did not answer in time\"}";
    for (unsigned i = 0; i < call->asked_count; i++) {
        struct asked *asked = &call->asked[i];
        if (!asked->is_answered) {
            asked->is_error = true;
            buf_clear(&asked->reply);
            buf_append_text(&asked->reply, error);
        }
    }
    ask_withdraw(call);
    call_run(call);
}

static int send_question(struct mcp_call *call, const struct mcp_question *question)
{
    struct asked *asked = &call->asked[call->asked_count];
    struct buf message;
    assert(strlen(question->key) < sizeof asked->key);
    *asked = (struct asked){.number = ++call->session->asked_count};
    snprintf(asked->key, sizeof asked->key, "%s", question->key);
    buf_init(&asked->reply, LIMIT_MESSAGE_BYTES_MAX);
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    if (buf_append_format(&message,
                          "{\"jsonrpc\":\"2.0\",\"id\":\"ask-%u\",\"method\":\"%s\",\"params\":",
                          asked->number, methods[question->kind]) != 0 ||
        buf_append_text(&message, question->params) != 0 || buf_append_char(&message, '}') != 0) {
        buf_free(&message);
        return -1;
    }
    call->asked_count++;
    delivery_send(call->delivery, MCP_REQUEST, &message);
    return 0;
}

static void send_questions(struct mcp_call *call, const struct mcp_question *questions,
                           unsigned count, struct span kept)
{
    struct buf copy;
    buf_init(&copy, LIMIT_REQUEST_STATE_BYTES_MAX);
    int failed = buf_append(&copy, kept.base, kept.len); /* it may lie in what there is */
    buf_free(&call->kept);
    call->kept = copy;
    forget(call);
    if (call->asked == NULL) {
        call->asked = calloc(LIMIT_QUESTIONS_MAX, sizeof *call->asked);
    }
    if (call->asked == NULL || failed != 0) {
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", none);
        return;
    }
    if (!call->has_timer) {
        call->has_timer = true;
        uv_timer_init(call_loop(call), &call->timer);
        call->timer.data = call;
    }
    for (unsigned i = 0; i < count && failed == 0; i++) {
        failed = send_question(call, &questions[i]);
    }
    if (failed != 0) {
        ask_withdraw(call);
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", none);
        return;
    }
    uv_timer_start(&call->timer, on_late, LIMIT_ASK_MS, 0);
}

/* What cannot be asked: the model is told, and the protocol has an error for it now. */
static void answer_unable(struct mcp_call *call, enum mcp_ask kind)
{
    char text[128];
    snprintf(text, sizeof text, "This needs a client that answers %s, and this one does not",
             methods[kind]);
    if (era_is_modern(call->era)) {
        call_fail(call, RPC_MISSING_CAPABILITY, text, span_of(capabilities[kind]));
        return;
    }
    if (call->kind != CALL_TOOL) {
        call_fail(call, RPC_INVALID_REQUEST, text, none);
        return;
    }
    struct content content;
    content_init(&content, call);
    content.is_error = true;
    content_text(&content, span_of(text));
    call_answer(call, &content);
}

void call_ask(struct mcp_call *call, const struct mcp_question *questions, unsigned count,
              struct span kept)
{
    assert(count > 0 && count <= LIMIT_QUESTIONS_MAX);
    assert(call->params.len > 0); /* the row says that it asks */
    call_hold(call, NULL, NULL);  /* nobody holds it while the client thinks */
    for (unsigned i = 0; i < count; i++) {
        if (!call->can_answer[questions[i].kind]) {
            answer_unable(call, questions[i].kind);
            return;
        }
    }
    if (call->is_told) {
        call_end(call);
    } else if (era_is_modern(call->era)) {
        answer_with_questions(call, questions, count, kept);
    } else {
        send_questions(call, questions, count, kept);
    }
}

/* The id of a question, or 0. */
static unsigned number_of(struct span id)
{
    cleanup_buf struct buf text;
    unsigned number;
    buf_init(&text, LIMIT_REQUEST_ID_CHARS_MAX);
    return id.len > 0 && jtext_type(id) == JTEXT_STRING && jtext_string_decode(&text, id) == 0 &&
                   read_numbered(buf_span(&text), "ask-", &number)
               ? number
               : 0;
}

static struct asked *find_number(struct mcp_call *call, unsigned number)
{
    for (unsigned i = 0; i < call->asked_count; i++) {
        if (call->asked[i].number == number && !call->asked[i].is_answered) {
            return &call->asked[i];
        }
    }
    return NULL;
}

void ask_receive(struct mcp_session *session, const struct rpc_message *response)
{
    unsigned number = number_of(response->id);
    struct asked *asked = NULL;
    struct mcp_call *call;
    TAILQ_FOREACH(call, &session->calls, link)
    {
        asked = number == 0 ? NULL : find_number(call, number);
        if (asked != NULL) {
            break;
        }
    }
    if (asked == NULL) {
        return; /* to nothing that we have asked, or too late */
    }
    bool is_result = response->error.len == 0 && jtext_type(response->result) == JTEXT_OBJECT;
    struct span reply = is_result ? response->result : response->error;
    if (reply.len == 0) {
        reply = span_of("{\"code\":-32603,\"message\":\"The client's result is no object\"}");
    }
    asked->is_answered = true;
    asked->is_error = !is_result;
    if (buf_append(&asked->reply, reply.base, reply.len) != 0) {
        log_error("out of memory: a client's answer was lost");
        asked->is_error = true;
    }
    if (!is_waiting(call)) {
        uv_timer_stop(&call->timer);
        call_run(call);
    }
}
