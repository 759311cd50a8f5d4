/* The methods of the protocol, and who may call them. */
#include <stdio.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "mcp/internal.h"
#include "mcp/tool.h"

/* How long a client may keep our lists: they change only with the program. */
enum { LIST_TTL_MS = 3600000 };

static const char server_info[] = "{\"name\":\"vitrine\",\"version\":\"" VITRINE_VERSION "\"}";
static const char server_info_titled[] =
    "{\"name\":\"vitrine\",\"title\":\"Vitrine\",\"version\":\"" VITRINE_VERSION "\"}";
static const char capabilities[] = "{\"logging\":{},\"tools\":{\"listChanged\":false}}";
static const char instructions[] =
    "Call the \\\"run_python_code\\\" tool with the Python code to run.";

int result_append_head(struct buf *out, enum mcp_era era, struct span id, bool has_more)
{
    if (rpc_append_result_head(out, id) != 0) {
        return -1;
    }
    if (!era_is_modern(era)) {
        return buf_append_char(out, '{');
    }
    return buf_append_format(
        out, "{\"resultType\":\"complete\",\"_meta\":{\"" MCP_META "serverInfo\":%s}%s",
        server_info_titled, has_more ? "," : "");
}

/* Answers with a result of these members: JSON text, without braces. */
static void answer_members(const struct mcp_request *request, const char *members)
{
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    if (result_append_head(&message, request->era, request->rpc.id, *members != '\0') != 0 ||
        buf_append_text(&message, members) != 0 || buf_append_text(&message, "}}") != 0) {
        buf_free(&message);
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    delivery_answer(request->delivery, &message);
}

static void answer_members_buf(const struct mcp_request *request, struct buf *members, int failed)
{
    if (failed != 0 || buf_append_char(members, '\0') != 0) {
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
    } else {
        answer_members(request, members->base);
    }
    buf_free(members);
}

/* A revision we do not know is answered with the latest that has this handshake. */
static void handle_initialize(const struct mcp_request *request)
{
    struct span version;
    enum mcp_era era;
    if (!jtext_find(request->rpc.params, "protocolVersion", &version) ||
        jtext_type(version) != JTEXT_STRING) {
        request_refuse(request, RPC_INVALID_PARAMS, "protocolVersion must be a string");
        return;
    }
    if (!era_from_string(version, &era) || era_is_modern(era)) {
        era = ERA_LATEST_LEGACY;
    }
    request->session->era = era;
    request->session->is_initialized = true;
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed = buf_append_format(
        &members, "\"protocolVersion\":\"%s\",\"capabilities\":%s,\"serverInfo\":%s", era_name(era),
        capabilities, era >= ERA_2025_06_18 ? server_info_titled : server_info);
    failed |= buf_append_format(&members, ",\"instructions\":\"%s\"", instructions);
    answer_members_buf(request, &members, failed);
}

static void handle_discover(const struct mcp_request *request)
{
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed =
        buf_append_format(&members,
                          "\"supportedVersions\":%s,\"capabilities\":%s,\"instructions\":\"%s\","
                          "\"ttlMs\":%d,\"cacheScope\":\"public\"",
                          era_modern_json, capabilities, instructions, LIST_TTL_MS);
    answer_members_buf(request, &members, failed);
}

static void handle_ping(const struct mcp_request *request)
{
    answer_members(request, "");
}

static void handle_set_level(const struct mcp_request *request)
{
    struct span level = {NULL, 0};
    jtext_find(request->rpc.params, "level", &level);
    if (!level_from_value(level, &request->session->level)) {
        request_refuse(
            request, RPC_INVALID_PARAMS,
            "level must be debug, info, notice, warning, error, critical, alert or emergency");
        return;
    }
    answer_members(request, "");
}

static void handle_list_tools(const struct mcp_request *request)
{
    const struct mcp_config *config = &request->session->server->config;
    struct span cursor;
    if (jtext_find(request->rpc.params, "cursor", &cursor)) {
        request_refuse(request, RPC_INVALID_PARAMS, "There is no such page; all is on the first");
        return;
    }
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed = buf_append_text(&members, "\"tools\":[");
    failed |= tool_append_definition(&members, request->era, config);
    failed |= buf_append_char(&members, ']');
    if (era_is_modern(request->era)) {
        failed |=
            buf_append_format(&members, ",\"ttlMs\":%d,\"cacheScope\":\"public\"", LIST_TTL_MS);
    }
    answer_members_buf(request, &members, failed);
}

/* The methods, and the revisions that have them. */
static const struct method {
    const char *name;
    enum mcp_era first;
    enum mcp_era last;
    void (*handle)(const struct mcp_request *request);
} methods[] = {
    {"initialize", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_initialize},
    {"ping", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_ping},
    {"logging/setLevel", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_set_level},
    {"server/discover", ERA_FIRST_MODERN, ERA_LATEST, handle_discover},
    {"tools/list", ERA_2024_11_05, ERA_LATEST, handle_list_tools},
    {"tools/call", ERA_2024_11_05, ERA_LATEST, call_start},
};

static void dispatch_request(struct mcp_request *request)
{
    if (envelope_read(request) != 0) {
        return;
    }
    if (call_is_running(request->session, request->rpc.id)) {
        request_refuse(request, RPC_INVALID_REQUEST, "A request with this id is still running");
        return;
    }
    bool is_known = false;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct method *method = &methods[i];
        if (!jtext_string_is(request->rpc.method, method->name)) {
            continue;
        }
        if (request->era >= method->first && request->era <= method->last) {
            method->handle(request);
            return;
        }
        is_known = true;
    }
    if (is_known && jtext_string_is(request->rpc.method, "server/discover")) {
        request_refuse_malformed(request, RPC_INVALID_PARAMS,
                                 "params._meta must name " MCP_META "protocolVersion",
                                 (struct span){NULL, 0});
        return;
    }
    request_refuse(request, RPC_METHOD_NOT_FOUND,
                   is_known ? "This protocol version has no such method" : "Method not found");
}

static void dispatch_notification(struct mcp_session *session, const struct rpc_message *rpc)
{
    struct span id;
    if (jtext_string_is(rpc->method, "notifications/cancelled") &&
        jtext_find(rpc->params, "requestId", &id)) {
        call_cancel(session, id);
    }
}

void dispatch_message(struct mcp_session *session, struct mcp_delivery *delivery,
                      const struct mcp_envelope *envelope, struct span value)
{
    struct err err;
    struct mcp_request request = {.session = session,
                                  .delivery = delivery,
                                  .envelope = envelope,
                                  .era = session->era,
                                  .level = session->level};
    int code = rpc_read(value, &request.rpc, &err);
    if (code == RPC_INVALID_PARAMS && request.rpc.kind == RPC_NOTIFICATION) {
        return; /* a notification is never answered */
    }
    if (code != 0) {
        request_refuse_malformed(&request, code, err.text, (struct span){NULL, 0});
    } else if (request.rpc.kind == RPC_REQUEST) {
        dispatch_request(&request);
    } else if (request.rpc.kind == RPC_NOTIFICATION) {
        dispatch_notification(session, &request.rpc);
    }
}
