/* Runs of the tool: from tools/call to its result, with logs and progress on the way. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "base/log.h"
#include "mcp/internal.h"
#include "mcp/tool.h"

enum { PROGRESS_INTERVAL_MS = 1000 };

struct mcp_call {
    struct mcp_session *session;
    struct mcp_call *next;
    struct mcp_call **link;        /* what points to this one */
    struct mcp_delivery *delivery; /* held */
    enum mcp_era era;
    enum mcp_level level;
    struct buf id;             /* JSON text */
    struct buf progress_token; /* JSON text, or empty */
    uv_timer_t progress_timer; /* runs when there is a token */
    uint64_t started_us;
    struct packages_run *run;
    bool is_installing; /* what it waits for now */
    bool was_installing;
    bool is_cancelled; /* nothing is sent for it any more */
    struct transcript transcript;
};

static const struct mcp_config *config_of(const struct mcp_call *call)
{
    return &call->session->server->config;
}

static void send_notification(struct mcp_call *call, struct buf *message, int failed)
{
    if (failed != 0) {
        log_warning("a notification was dropped: out of memory");
        buf_free(message);
        return;
    }
    delivery_send(call->delivery, MCP_NOTIFICATION, message);
}

static bool may_notify(const struct mcp_call *call)
{
    return !call->is_cancelled && !delivery_is_congested(call->delivery);
}

static const char log_head[] =
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":";

static void send_log(struct mcp_call *call, enum mcp_level level, struct span line)
{
    if (level < call->level || !may_notify(call)) {
        return;
    }
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    int failed = buf_append_format(&message, "%s\"%s\",\"data\":", log_head, level_name(level));
    failed |= jtext_append_string(&message, line);
    failed |= buf_append_text(&message, "}}");
    send_notification(call, &message, failed);
}

/* A line of output as a log message: stdout is "info", stderr is "warning". */
static void on_line(void *context, enum run_stream stream, struct span line)
{
    send_log(context, stream == RUN_STDOUT ? LEVEL_INFO : LEVEL_WARNING, line);
}

static void on_log(void *context, enum packages_level level, struct span line)
{
    send_log(context,
             level == PACKAGES_DEBUG  ? LEVEL_DEBUG
             : level == PACKAGES_INFO ? LEVEL_INFO
                                      : LEVEL_WARNING,
             line);
}

static void on_progress(uv_timer_t *timer)
{
    struct mcp_call *call = timer->data;
    if (!may_notify(call)) {
        return;
    }
    struct buf message;
    buf_init(&message, 64 * KIB);
    struct span token = buf_span(&call->progress_token);
    int failed = buf_append_text(&message, "{\"jsonrpc\":\"2.0\",\"method\":"
                                           "\"notifications/progress\",\"params\":{"
                                           "\"progressToken\":");
    failed |= buf_append(&message, token.base, token.len);
    failed |= buf_append_format(&message, ",\"progress\":%.3f",
                                (double)(clock_monotonic_us() - call->started_us) / 1e6);
    if (call->was_installing) {
        /* How long that takes nobody knows, and the program's time begins after it. */
        bool has_text = call->era >= ERA_2025_03_26;
        failed |= buf_append_text(&message, !has_text             ? ""
                                            : call->is_installing ? ",\"message\":\"installing\""
                                                                  : ",\"message\":\"running\"");
    } else {
        failed |= buf_append_format(&message, ",\"total\":%.3f",
                                    (double)config_of(call)->limits.wall_ms / 1e3);
    }
    failed |= buf_append_text(&message, "}}");
    send_notification(call, &message, failed);
}

/* The first word of it is sent at once: the client may be about to lose patience. */
static void on_installing(void *context, bool is_installing)
{
    struct mcp_call *call = context;
    bool is_first = is_installing && !call->was_installing;
    call->is_installing = is_installing;
    call->was_installing |= is_installing;
    if (is_first && call->progress_token.len > 0) {
        on_progress(&call->progress_timer);
    }
}

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    struct mcp_call *call = context;
    transcript_add(&call->transcript, stream, bytes);
}

static void free_call(uv_handle_t *timer)
{
    struct mcp_call *call = timer->data;
    transcript_free(&call->transcript);
    buf_free(&call->id);
    buf_free(&call->progress_token);
    free(call);
}

/* Takes the call out of the session; its memory follows when the loop has let go of its timer. */
static void end_call(struct mcp_call *call)
{
    struct mcp_session *session = call->session;
    *call->link = call->next;
    if (call->next != NULL) {
        call->next->link = call->link;
    }
    uv_close((uv_handle_t *)&call->progress_timer, free_call);
    if (--session->call_count == 0 && !session->is_freed && session->events.idle != NULL) {
        session->events.idle(session->events.context);
    }
    delivery_release(call->delivery);
}

static int append_result(struct buf *out, const struct mcp_call *call,
                         const struct outcome *outcome)
{
    struct result result;
    result_open(&result, outcome, &call->transcript);
    result.picture_bytes_max = config_of(call)->limits.picture_bytes;
    if (result_append_head(out, call->era, buf_span(&call->id), true) != 0 ||
        buf_append_text(out, "\"content\":[") != 0 ||
        result_append_content(out, config_of(call)->return_mode, &result) != 0 ||
        buf_append_char(out, ']') != 0) {
        return -1;
    }
    if (call->era >= ERA_2025_06_18 && (buf_append_text(out, ",\"structuredContent\":") != 0 ||
                                        result_append_structured(out, &result) != 0)) {
        return -1;
    }
    return buf_append_format(out, ",\"isError\":%s}}",
                             outcome->status == OUTCOME_SUCCESS ? "false" : "true");
}

static void answer_call(struct mcp_call *call, const struct outcome *outcome)
{
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    transcript_finish(&call->transcript);
    if (outcome->status == OUTCOME_INSTALL_ERROR) {
        send_log(call, LEVEL_ERROR, outcome->error_message);
    }
    if (append_result(&message, call, outcome) == 0) {
        delivery_answer(call->delivery, &message);
        return;
    }
    buf_free(&message);
    delivery_answer_error(call->delivery, buf_span(&call->id), RPC_INTERNAL_ERROR, 200,
                          "The result is too large; run the server with a lower --output-limit",
                          (struct span){NULL, 0});
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct mcp_call *call = context;
    if (!call->is_cancelled) {
        answer_call(call, outcome);
    }
    end_call(call);
}

/* An answer without a run, in the form that every result of the tool has. */
static void answer_refused(struct mcp_call *call, const struct err *err)
{
    struct outcome outcome = {.status = OUTCOME_REFUSED,
                              .exit_code = 125,
                              .error_message = span_of(err->text),
                              .retry_after_ms = err->retry_after_ms};
    answer_call(call, &outcome);
    end_call(call);
}

static struct mcp_call *new_call(const struct mcp_request *request)
{
    struct mcp_session *session = request->session;
    struct mcp_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    struct span id = request->rpc.id;
    struct span token = request->progress_token;
    call->session = session;
    call->delivery = request->delivery;
    call->era = request->era;
    call->level = request->level;
    buf_init(&call->id, LIMIT_REQUEST_ID_CHARS_MAX);
    buf_init(&call->progress_token, LIMIT_REQUEST_ID_CHARS_MAX);
    transcript_init(&call->transcript,
                    session->server->config.limits.output_bytes + LIMIT_OUTPUT_FRAME_BYTES_MAX);
    if (buf_append(&call->id, id.base, id.len) != 0 ||
        buf_append(&call->progress_token, token.base, token.len) != 0) {
        buf_free(&call->id);
        free(call);
        return NULL;
    }
    call->transcript.line = on_line;
    call->transcript.context = call;
    call->started_us = clock_monotonic_us();
    uv_timer_init(session->server->config.loop, &call->progress_timer);
    call->progress_timer.data = call;
    return call;
}

static void link_call(struct mcp_call *call)
{
    struct mcp_session *session = call->session;
    delivery_hold(call->delivery);
    call->next = session->calls;
    call->link = &session->calls;
    if (call->next != NULL) {
        call->next->link = &call->next;
    }
    session->calls = call;
    session->call_count++;
}

static void run_call(struct mcp_call *call, const struct tool_arguments *arguments)
{
    const struct mcp_config *config = config_of(call);
    struct err err;
    struct run_request request = {
        .code = buf_span(&arguments->code),
        .filename = "main.py",
        .globals_json = arguments->globals,
        .want_value = true,
        .dependencies = arguments->dependency_count == 0 ? NULL : arguments->dependencies,
        .limits = config->limits,
        .client = call->session->client_number};
    struct packages_events events = {.context = call,
                                     .output = on_output,
                                     .log = on_log,
                                     .installing = on_installing,
                                     .done = on_done};
    if (call->progress_token.len > 0) {
        uv_timer_start(&call->progress_timer, on_progress, PROGRESS_INTERVAL_MS,
                       PROGRESS_INTERVAL_MS);
    }
    if (packages_run(config->packages, &request, &events, &call->run, &err) != 0) {
        answer_refused(call, &err);
    }
}

/* Whether the request names our tool and has its arguments in an object; else answers it. */
static bool find_tool(const struct mcp_request *request, struct span *arguments)
{
    struct span name;
    *arguments = (struct span){NULL, 0};
    if (!jtext_find(request->rpc.params, "name", &name) || jtext_type(name) != JTEXT_STRING) {
        request_refuse(request, RPC_INVALID_PARAMS, "name must be a string");
        return false;
    }
    if (!jtext_string_is(name, tool_name)) {
        char text[160];
        int shown = name.len > 100 ? 100 : (int)name.len;
        snprintf(text, sizeof text, "Unknown tool: %.*s", shown, name.base);
        request_refuse(request, RPC_INVALID_PARAMS, text);
        return false;
    }
    if (jtext_find(request->rpc.params, "arguments", arguments) &&
        jtext_type(*arguments) != JTEXT_OBJECT) {
        request_refuse(request, RPC_INVALID_PARAMS, "arguments must be an object");
        return false;
    }
    return true;
}

void call_start(const struct mcp_request *request)
{
    struct span members;
    struct tool_arguments arguments;
    struct err err;
    if (!find_tool(request, &members)) {
        return;
    }
    int failed =
        tool_read_arguments(members, request->session->server->config.installs, &arguments, &err);
    struct mcp_call *call = NULL;
    if (failed != 0 && request->era < ERA_2025_11_25) {
        request_refuse(request, RPC_INVALID_PARAMS, err.text);
    } else if ((call = new_call(request)) == NULL) {
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
    } else {
        link_call(call);
        if (failed != 0) {
            answer_refused(call, &err); /* the model reads it, and can do better */
        } else {
            run_call(call, &arguments);
        }
    }
    tool_arguments_free(&arguments);
}

static struct mcp_call *find_call(const struct mcp_session *session, struct span id)
{
    for (struct mcp_call *call = session->calls; call != NULL; call = call->next) {
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

static void cancel(struct mcp_call *call)
{
    if (!call->is_cancelled) {
        call->is_cancelled = true;
        packages_run_cancel(call->run);
    }
}

void call_cancel_of(struct mcp_session *session, const struct mcp_delivery *delivery)
{
    struct mcp_call *next;
    for (struct mcp_call *call = session->calls; call != NULL; call = next) {
        next = call->next;
        if (call->delivery == delivery) {
            cancel(call);
        }
    }
}

void call_cancel(struct mcp_session *session, struct span id)
{
    struct mcp_call *call = find_call(session, id);
    if (call != NULL) {
        cancel(call);
    }
}

bool mcp_session_is_installing(const struct mcp_session *session)
{
    for (const struct mcp_call *call = session->calls; call != NULL; call = call->next) {
        if (call->is_installing && !call->is_cancelled) {
            return true;
        }
    }
    return false;
}

void mcp_session_cancel_all(struct mcp_session *session)
{
    struct mcp_call *next;
    for (struct mcp_call *call = session->calls; call != NULL; call = next) {
        next = call->next; /* the pool may end a run that has not begun at once */
        cancel(call);
    }
}

void mcp_session_stop_all(struct mcp_session *session)
{
    struct mcp_call *next;
    for (struct mcp_call *call = session->calls; call != NULL; call = next) {
        next = call->next;
        packages_run_cancel(call->run);
    }
}
