/* tools/call, resources/read and prompts/get: from a request to its row's call. */
#include <stdio.h>

#include "base/jtext.h"
#include "mcp/internal.h"

static const struct span none = {NULL, 0};

static void refuse_unknown(const struct mcp_request *request, const char *what, struct span name)
{
    char text[160];
    snprintf(text, sizeof text, "Unknown %s: %.*s", what, name.len > 100 ? 100 : (int)name.len,
             name.base);
    request_refuse(request, RPC_INVALID_PARAMS, text);
}

/* A string of params; or -1, and the request has been answered. */
static int read_string(const struct mcp_request *request, const char *key, struct span *out)
{
    char text[64];
    if (jtext_find(request->rpc.params, key, out) && jtext_type(*out) == JTEXT_STRING) {
        return 0;
    }
    snprintf(text, sizeof text, "%s must be a string", key);
    request_refuse(request, RPC_INVALID_PARAMS, text);
    return -1;
}

/* params.arguments, or an empty object; or -1, and the request has been answered. */
static int read_arguments(const struct mcp_request *request, struct span *out)
{
    if (!jtext_find(request->rpc.params, "arguments", out)) {
        *out = span_of("{}");
        return 0;
    }
    if (jtext_type(*out) == JTEXT_OBJECT) {
        return 0;
    }
    request_refuse(request, RPC_INVALID_PARAMS, "arguments must be an object");
    return -1;
}

/* Keeps a copy of params, which a call needs that may ask; then its arguments lie in that. */
static int keep_params(struct mcp_call *call, const struct mcp_request *request)
{
    struct span params = request->rpc.params;
    if (buf_append(&call->params, params.base, params.len) != 0) {
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
        return -1;
    }
    if (!jtext_find(buf_span(&call->params), "arguments", &call->arguments)) {
        call->arguments = span_of("{}");
    }
    return ask_read(call, request);
}

void handle_call_tool(const struct mcp_request *request)
{
    struct span name;
    struct span arguments;
    if (read_string(request, "name", &name) != 0) {
        return;
    }
    const struct mcp_tool *tool = registry_tool(&request->session->server->registry, name);
    if (tool == NULL) {
        refuse_unknown(request, "tool", name);
        return;
    }
    if (read_arguments(request, &arguments) != 0 ||
        envelope_compare_arguments(request, tool, arguments) != 0) {
        return;
    }
    struct mcp_call *call = call_new(request, CALL_TOOL);
    if (call == NULL) {
        return;
    }
    call->tool = tool;
    call->arguments = arguments;
    if (tool->may_ask && keep_params(call, request) != 0) {
        call_finish(call);
        return;
    }
    call_run(call);
}

static void refuse_resource(const struct mcp_request *request, struct span uri)
{
    cleanup_buf struct buf data;
    buf_init(&data, LIMIT_MESSAGE_BYTES_MAX);
    int failed = buf_append_text(&data, "{\"uri\":");
    failed |= jtext_append_compact(&data, uri);
    failed |= buf_append_char(&data, '}');
    request_refuse_with(request, resource_not_found_code(request->era), "Resource not found",
                        failed != 0 ? none : buf_span(&data));
}

void handle_read_resource(const struct mcp_request *request)
{
    const struct mcp_registry *registry = &request->session->server->registry;
    struct span uri;
    if (read_string(request, "uri", &uri) != 0) {
        return;
    }
    struct mcp_call *call = call_new(request, CALL_RESOURCE);
    if (call == NULL) {
        return;
    }
    if (jtext_string_decode(&call->uri, uri) == 0) {
        call->resource = registry_resource(registry, buf_span(&call->uri));
        call->family = call->resource != NULL
                           ? NULL
                           : registry_family(registry, buf_span(&call->uri), &call->variables);
    }
    if (call->resource == NULL && call->family == NULL) {
        refuse_resource(request, uri);
        call_finish(call);
    } else if (keep_params(call, request) != 0) {
        call_finish(call);
    } else {
        call_run(call);
    }
}

/* The arguments of a prompt are strings, and some must be there. */
static int check_prompt_arguments(const struct mcp_request *request,
                                  const struct mcp_prompt *prompt, struct span arguments)
{
    char text[160];
    struct span key;
    struct span value;
    struct jtext_cursor cursor = jtext_open(arguments);
    while (jtext_next(&cursor, &key, &value)) {
        if (jtext_type(value) != JTEXT_STRING) {
            request_refuse(request, RPC_INVALID_PARAMS, "A prompt's arguments must be strings");
            return -1;
        }
    }
    for (unsigned i = 0; i < prompt->argument_count; i++) {
        const char *name = prompt->arguments[i].name;
        if (prompt->arguments[i].is_required && !jtext_find(arguments, name, &value)) {
            snprintf(text, sizeof text, "The argument %s is missing", name);
            request_refuse(request, RPC_INVALID_PARAMS, text);
            return -1;
        }
    }
    return 0;
}

void handle_get_prompt(const struct mcp_request *request)
{
    struct span name;
    struct span arguments;
    if (read_string(request, "name", &name) != 0) {
        return;
    }
    const struct mcp_prompt *prompt = registry_prompt(&request->session->server->registry, name);
    if (prompt == NULL) {
        refuse_unknown(request, "prompt", name);
        return;
    }
    if (read_arguments(request, &arguments) != 0 ||
        check_prompt_arguments(request, prompt, arguments) != 0) {
        return;
    }
    struct mcp_call *call = call_new(request, CALL_PROMPT);
    if (call == NULL) {
        return;
    }
    call->prompt = prompt;
    if (keep_params(call, request) != 0) {
        call_finish(call);
    } else {
        call_run(call);
    }
}
