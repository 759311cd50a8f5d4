/* What a server says of itself, and the small methods. */
#include "base/jtext.h"
#include "mcp/icon.h"
#include "mcp/internal.h"

/* How long a client may keep what does not change while the program runs. */
enum { DISCOVER_TTL_MS = 3600000 };

#define NAME_AND_VERSION "\"name\":\"vitrine\",\"version\":\"" VITRINE_VERSION "\""
#define TITLE            "\"title\":\"Vitrine\""

static const char server_info[] = "{" NAME_AND_VERSION "}";
static const char server_info_titled[] = "{" NAME_AND_VERSION "," TITLE "}";
static const char server_info_full[] =
    "{" NAME_AND_VERSION "," TITLE ",\"description\":\"Runs Python code in a sandbox: full CPython "
    "with packages, a fresh process for each call\",\"icons\":" MCP_ICONS "}";
static const char instructions[] =
    "Call the \\\"run_python_code\\\" tool with the Python code to run.";

int result_begin(struct buf *out, enum mcp_era era, struct span id, const char *result_type,
                 struct span meta)
{
    int failed = rpc_append_result_head(out, id);
    if (era_is_modern(era)) {
        failed |= buf_append_format(
            out, "{\"resultType\":\"%s\",\"_meta\":{\"" MCP_META "serverInfo\":%s%s", result_type,
            server_info_titled, meta.len > 0 ? "," : "");
        failed |= buf_append(out, meta.base, meta.len);
        return failed | buf_append_char(out, '}');
    }
    failed |= buf_append_char(out, '{');
    if (meta.len > 0) {
        failed |= buf_append_text(out, "\"_meta\":{");
        failed |= buf_append(out, meta.base, meta.len);
        failed |= buf_append_char(out, '}');
    }
    return failed;
}

int result_next(struct buf *out)
{
    return out->len > 0 && out->base[out->len - 1] != '{' ? buf_append_char(out, ',') : 0;
}

void request_answer(const struct mcp_request *request, struct buf *members, int failed)
{
    struct buf message;
    buf_init(&message, LIMIT_RESPONSE_BYTES_MAX);
    if (failed == 0) {
        failed = result_begin(&message, request->era, request->rpc.id, "complete",
                              (struct span){NULL, 0});
        failed |= members->len > 0 ? result_next(&message) : 0;
        failed |= buf_append(&message, members->base, members->len);
        failed |= buf_append_text(&message, "}}");
    }
    buf_free(members);
    if (failed != 0) {
        buf_free(&message);
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    delivery_answer(request->delivery, &message);
}

void request_answer_empty(const struct mcp_request *request)
{
    struct buf members;
    buf_init(&members, 1);
    request_answer(request, &members, 0);
}

bool read_numbered(struct span text, const char *head, unsigned *number)
{
    const size_t head_len = strlen(head);
    *number = 0;
    if (text.len <= head_len || text.len > head_len + 9 || memcmp(text.base, head, head_len) != 0) {
        return false;
    }
    for (size_t i = head_len; i < text.len; i++) {
        if (text.base[i] < '0' || text.base[i] > '9') {
            return false;
        }
        *number = *number * 10 + (unsigned)(text.base[i] - '0');
    }
    return true;
}

/* By what is registered. */
static int append_capabilities(struct buf *out, const struct mcp_registry *registry)
{
    static const char *const words[] = {"false", "true"};
    int failed = buf_append_format(out, "{\"logging\":{},\"tools\":{\"listChanged\":%s}",
                                   words[registry->may_change[MCP_TOOLS]]);
    if (registry->resource_count + registry->family_count > 0) {
        failed |= buf_append_format(out, ",\"resources\":{\"subscribe\":%s,\"listChanged\":%s}",
                                    words[registry_has_watched(registry)],
                                    words[registry->may_change[MCP_RESOURCES]]);
    }
    if (registry->prompt_count > 0) {
        failed |= buf_append_format(out, ",\"prompts\":{\"listChanged\":%s}",
                                    words[registry->may_change[MCP_PROMPTS]]);
    }
    if (registry_has_completions(registry)) {
        failed |= buf_append_text(out, ",\"completions\":{}");
    }
    return failed | buf_append_char(out, '}');
}

/* A revision we do not know is answered with the latest that has this handshake. */
void handle_initialize(const struct mcp_request *request)
{
    struct mcp_session *session = request->session;
    struct span value;
    enum mcp_era era;
    if (!jtext_find(request->rpc.params, "protocolVersion", &value) ||
        jtext_type(value) != JTEXT_STRING) {
        request_refuse(request, RPC_INVALID_PARAMS, "protocolVersion must be a string");
        return;
    }
    if (!era_from_string(value, &era) || era_is_modern(era)) {
        era = ERA_LATEST_LEGACY;
    }
    session->era = era;
    session->is_initialized = true;
    if (jtext_find(request->rpc.params, "capabilities", &value)) {
        envelope_read_capabilities(value, session->can_answer);
    }
    if (era < ERA_2025_06_18) {
        session->can_answer[ASK_ELICITATION] = false; /* which did not know how it is asked */
    }
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed =
        buf_append_format(&members, "\"protocolVersion\":\"%s\",\"capabilities\":", era_name(era));
    failed |= append_capabilities(&members, &session->server->registry);
    failed |= buf_append_format(&members, ",\"serverInfo\":%s,\"instructions\":\"%s\"",
                                era >= ERA_2025_11_25   ? server_info_full
                                : era >= ERA_2025_06_18 ? server_info_titled
                                                        : server_info,
                                instructions);
    request_answer(request, &members, failed);
}

void handle_discover(const struct mcp_request *request)
{
    struct buf members;
    buf_init(&members, 64 * KIB);
    int failed =
        buf_append_format(&members, "\"supportedVersions\":%s,\"capabilities\":", era_modern_json);
    failed |= append_capabilities(&members, &request->session->server->registry);
    failed |= buf_append_format(&members,
                                ",\"instructions\":\"%s\",\"ttlMs\":%d,\"cacheScope\":\"public\"",
                                instructions, DISCOVER_TTL_MS);
    request_answer(request, &members, failed);
}

void handle_ping(const struct mcp_request *request)
{
    request_answer_empty(request);
}

void handle_set_level(const struct mcp_request *request)
{
    struct span level;
    if (!jtext_find(request->rpc.params, "level", &level) ||
        !level_from_value(level, &request->session->level)) {
        request_refuse(request, RPC_INVALID_PARAMS,
                       "level must be debug, info, notice, warning, error, critical, alert or "
                       "emergency");
        return;
    }
    request_answer_empty(request);
}
