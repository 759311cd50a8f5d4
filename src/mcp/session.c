#include "mcp/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "base/log.h"
#include "mcp/internal.h"
#include "mcp/tool.h"

#define META "io.modelcontextprotocol/"

/* How long a client may keep our lists: they change only with the program. */
enum { LIST_TTL_MS = 3600000 };

static const char server_info[] = "{\"name\":\"vitrine\",\"version\":\"" VITRINE_VERSION "\"}";
static const char server_info_titled[] =
    "{\"name\":\"vitrine\",\"title\":\"Vitrine\",\"version\":\"" VITRINE_VERSION "\"}";
static const char capabilities[] = "{\"logging\":{},\"tools\":{\"listChanged\":false}}";
static const char instructions[] =
    "Call the \\\"run_python_code\\\" tool with the Python code to run.";

struct mcp_session *mcp_session_new(const struct mcp_config *config,
                                    const struct mcp_events *events)
{
    struct mcp_session *session = calloc(1, sizeof *session);
    if (session != NULL) {
        session->config = *config;
        session->events = *events;
        session->era = ERA_LATEST_LEGACY;
        session->level = LEVEL_SILENT;
    }
    return session;
}

void mcp_session_free(struct mcp_session *session)
{
    free(session);
}

unsigned mcp_session_running(const struct mcp_session *session)
{
    return session->call_count;
}

void session_release_batch(struct mcp_session *session, struct mcp_batch *batch)
{
    if (batch == NULL || --batch->open > 0) {
        return;
    }
    if (batch->answers.len > 0 && buf_append_char(&batch->answers, ']') == 0) {
        session->events.send(session->events.context, &batch->answers);
    }
    buf_free(&batch->answers);
    free(batch);
}

void session_answer(struct mcp_session *session, struct mcp_batch *batch, struct buf *message)
{
    if (batch == NULL) {
        session->events.send(session->events.context, message);
        return;
    }
    size_t before = batch->answers.len;
    if (buf_append_char(&batch->answers, before == 0 ? '[' : ',') != 0 ||
        buf_append(&batch->answers, message->base, message->len) != 0) {
        batch->answers.len = before;
        log_warning("an answer did not fit into its batch and was dropped");
    }
    buf_free(message);
    session_release_batch(session, batch);
}

void session_answer_error(struct mcp_session *session, struct mcp_batch *batch, struct span id,
                          int code, const char *text, struct span data)
{
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    if (rpc_append_error(&message, id, code, text, data) != 0) {
        log_error("out of memory");
        buf_free(&message);
        session_release_batch(session, batch);
        return;
    }
    session_answer(session, batch, &message);
}

static void refuse(struct mcp_session *session, const struct mcp_request *request, int code,
                   const char *text)
{
    session_answer_error(session, request->batch, request->rpc.id, code, text,
                         (struct span){NULL, 0});
}

int session_append_result_head(struct buf *out, enum mcp_era era, struct span id, bool has_more)
{
    if (rpc_append_result_head(out, id) != 0) {
        return -1;
    }
    if (!era_is_modern(era)) {
        return buf_append_char(out, '{');
    }
    return buf_append_format(out,
                             "{\"resultType\":\"complete\",\"_meta\":{\"" META "serverInfo\":%s}%s",
                             server_info_titled, has_more ? "," : "");
}

/* Answers with a result of these members: JSON text, without braces. */
static void answer_members(struct mcp_session *session, const struct mcp_request *request,
                           const char *members)
{
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    if (session_append_result_head(&message, request->era, request->rpc.id, *members != '\0') !=
            0 ||
        buf_append_text(&message, members) != 0 || buf_append_text(&message, "}}") != 0) {
        buf_free(&message);
        refuse(session, request, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    session_answer(session, request->batch, &message);
}

static void answer_members_buf(struct mcp_session *session, const struct mcp_request *request,
                               struct buf *members, int failed)
{
    if (failed != 0 || buf_append_char(members, '\0') != 0) {
        refuse(session, request, RPC_INTERNAL_ERROR, "Out of memory");
    } else {
        answer_members(session, request, members->base);
    }
    buf_free(members);
}

/* A revision we do not know is answered with the latest that has this handshake. */
static void handle_initialize(struct mcp_session *session, const struct mcp_request *request)
{
    struct span version;
    enum mcp_era era;
    if (!jtext_find(request->rpc.params, "protocolVersion", &version) ||
        jtext_type(version) != JTEXT_STRING) {
        refuse(session, request, RPC_INVALID_PARAMS, "protocolVersion must be a string");
        return;
    }
    if (!era_from_string(version, &era) || era_is_modern(era)) {
        era = ERA_LATEST_LEGACY;
    }
    session->era = era;
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed = buf_append_format(
        &members, "\"protocolVersion\":\"%s\",\"capabilities\":%s,\"serverInfo\":%s", era_name(era),
        capabilities, era >= ERA_2025_06_18 ? server_info_titled : server_info);
    failed |= buf_append_format(&members, ",\"instructions\":\"%s\"", instructions);
    answer_members_buf(session, request, &members, failed);
}

static void handle_discover(struct mcp_session *session, const struct mcp_request *request)
{
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed =
        buf_append_format(&members,
                          "\"supportedVersions\":%s,\"capabilities\":%s,\"instructions\":\"%s\","
                          "\"ttlMs\":%d,\"cacheScope\":\"public\"",
                          era_modern_json, capabilities, instructions, LIST_TTL_MS);
    answer_members_buf(session, request, &members, failed);
}

static void handle_ping(struct mcp_session *session, const struct mcp_request *request)
{
    answer_members(session, request, "");
}

static void handle_set_level(struct mcp_session *session, const struct mcp_request *request)
{
    struct span level = {NULL, 0};
    jtext_find(request->rpc.params, "level", &level);
    if (!level_from_value(level, &session->level)) {
        refuse(session, request, RPC_INVALID_PARAMS,
               "level must be debug, info, notice, warning, error, critical, alert or emergency");
        return;
    }
    answer_members(session, request, "");
}

static void handle_list_tools(struct mcp_session *session, const struct mcp_request *request)
{
    struct span cursor;
    if (jtext_find(request->rpc.params, "cursor", &cursor)) {
        refuse(session, request, RPC_INVALID_PARAMS, "There is no such page; all is on the first");
        return;
    }
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed = buf_append_text(&members, "\"tools\":[");
    failed |= tool_append_definition(&members, request->era, &session->config.limits,
                                     session->config.installs);
    failed |= buf_append_char(&members, ']');
    if (era_is_modern(request->era)) {
        failed |=
            buf_append_format(&members, ",\"ttlMs\":%d,\"cacheScope\":\"public\"", LIST_TTL_MS);
    }
    answer_members_buf(session, request, &members, failed);
}

/* The methods, and the revisions that have them. */
static const struct method {
    const char *name;
    enum mcp_era first;
    enum mcp_era last;
    void (*handle)(struct mcp_session *session, const struct mcp_request *request);
} methods[] = {
    {"initialize", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_initialize},
    {"ping", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_ping},
    {"logging/setLevel", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_set_level},
    {"server/discover", ERA_FIRST_MODERN, ERA_LATEST, handle_discover},
    {"tools/list", ERA_2024_11_05, ERA_LATEST, handle_list_tools},
    {"tools/call", ERA_2024_11_05, ERA_LATEST, call_start},
};

/* The rules of 2026-07-28, basic/index, for params._meta. 0 when the request may be served. */
static int read_modern_meta(struct mcp_session *session, struct mcp_request *request,
                            struct span meta, struct span version)
{
    struct span value;
    if (jtext_type(version) != JTEXT_STRING) {
        refuse(session, request, RPC_INVALID_PARAMS, META "protocolVersion must be a string");
        return -1;
    }
    if (!era_from_string(version, &request->era) || !era_is_modern(request->era)) {
        cleanup_buf struct buf data;
        buf_init(&data, LIMIT_MESSAGE_BYTES_MAX);
        buf_append_format(&data, "{\"supported\":%s,\"requested\":", era_modern_json);
        if (jtext_append_compact(&data, version) == 0 && buf_append_char(&data, '}') == 0) {
            session_answer_error(session, request->batch, request->rpc.id, RPC_UNSUPPORTED_VERSION,
                                 "Unsupported protocol version", buf_span(&data));
        } else {
            refuse(session, request, RPC_INTERNAL_ERROR, "Out of memory");
        }
        return -1;
    }
    if (!jtext_find(meta, META "clientCapabilities", &value) || jtext_type(value) != JTEXT_OBJECT) {
        refuse(session, request, RPC_INVALID_PARAMS, META "clientCapabilities must be an object");
        return -1;
    }
    request->level = LEVEL_SILENT;
    if (jtext_find(meta, META "logLevel", &value) && !level_from_value(value, &request->level)) {
        refuse(session, request, RPC_INVALID_PARAMS, META "logLevel is no log level");
        return -1;
    }
    return 0;
}

static int read_meta(struct mcp_session *session, struct mcp_request *request)
{
    struct span meta;
    struct span value;
    if (!jtext_find(request->rpc.params, "_meta", &meta)) {
        return 0;
    }
    if (jtext_type(meta) != JTEXT_OBJECT) {
        refuse(session, request, RPC_INVALID_PARAMS, "_meta must be an object");
        return -1;
    }
    if (jtext_find(meta, "progressToken", &value) && rpc_id_is_valid(value)) {
        request->progress_token = value;
    }
    if (jtext_find(meta, META "protocolVersion", &value)) {
        return read_modern_meta(session, request, meta, value);
    }
    return 0;
}

static void handle_request(struct mcp_session *session, struct mcp_request *request)
{
    if (read_meta(session, request) != 0) {
        return;
    }
    if (call_is_running(session, request->rpc.id)) {
        refuse(session, request, RPC_INVALID_REQUEST, "A request with this id is still running");
        return;
    }
    bool is_known = false;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct method *method = &methods[i];
        if (!jtext_string_is(request->rpc.method, method->name)) {
            continue;
        }
        if (request->era >= method->first && request->era <= method->last) {
            method->handle(session, request);
            return;
        }
        is_known = true;
    }
    if (is_known && jtext_string_is(request->rpc.method, "server/discover")) {
        refuse(session, request, RPC_INVALID_PARAMS,
               "params._meta must name " META "protocolVersion");
        return;
    }
    refuse(session, request, RPC_METHOD_NOT_FOUND,
           is_known ? "This protocol version has no such method" : "Method not found");
}

static void handle_notification(struct mcp_session *session, const struct rpc_message *rpc)
{
    struct span id;
    if (jtext_string_is(rpc->method, "notifications/cancelled") &&
        jtext_find(rpc->params, "requestId", &id)) {
        call_cancel(session, id);
    }
}

static void handle_message(struct mcp_session *session, struct span value, struct mcp_batch *batch)
{
    struct err err;
    struct mcp_request request = {.era = session->era, .level = session->level, .batch = batch};
    int code = rpc_read(value, &request.rpc, &err);
    bool is_request = code != 0 || request.rpc.kind == RPC_REQUEST;
    if (batch != NULL && is_request) {
        batch->open++;
    }
    if (code == RPC_INVALID_PARAMS && request.rpc.kind == RPC_NOTIFICATION) {
        session_release_batch(session, batch); /* a notification is never answered */
    } else if (code != 0) {
        refuse(session, &request, code, err.text);
    } else if (request.rpc.kind == RPC_REQUEST) {
        handle_request(session, &request);
    } else if (request.rpc.kind == RPC_NOTIFICATION) {
        handle_notification(session, &request.rpc);
    }
}

static void refuse_message(struct mcp_session *session, int code, const char *text)
{
    struct span none = {NULL, 0};
    session_answer_error(session, NULL, none, code, text, none);
}

static void handle_batch(struct mcp_session *session, struct span value)
{
    struct span key;
    struct span item;
    unsigned count = 0;
    struct jtext_cursor cursor = jtext_open(value);
    while (jtext_next(&cursor, &key, &item)) {
        count++;
    }
    if (session->era != ERA_2025_03_26) {
        refuse_message(session, RPC_INVALID_REQUEST,
                       "Only protocol version 2025-03-26 has batches; send one message a line");
        return;
    }
    if (count == 0 || count > LIMIT_BATCH_MESSAGES_MAX) {
        refuse_message(session, RPC_INVALID_REQUEST, "A batch has 1 to 64 messages");
        return;
    }
    struct mcp_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        refuse_message(session, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    buf_init(&batch->answers, LIMIT_RESPONSE_BYTES_MAX);
    batch->open = 1;
    cursor = jtext_open(value);
    while (jtext_next(&cursor, &key, &item)) {
        handle_message(session, item, batch);
    }
    session_release_batch(session, batch);
}

void mcp_session_receive(struct mcp_session *session, struct span message)
{
    struct span value;
    struct err err;
    if (jtext_check(message, JTEXT_STRICT, &value, &err) != 0) {
        char text[ERR_TEXT_MAX + 32];
        snprintf(text, sizeof text, "Parse error: %s", err.text);
        refuse_message(session, RPC_PARSE_ERROR, text);
        return;
    }
    if (jtext_type(value) == JTEXT_ARRAY) {
        handle_batch(session, value);
    } else {
        handle_message(session, value, NULL);
    }
}

void mcp_session_refuse_oversized(struct mcp_session *session)
{
    char text[96];
    snprintf(text, sizeof text, "A message may have at most %llu bytes", LIMIT_MESSAGE_BYTES_MAX);
    refuse_message(session, RPC_INVALID_REQUEST, text);
}
