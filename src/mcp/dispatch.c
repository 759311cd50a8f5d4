/* The methods of the protocol, and the revisions that have them. */
#include "base/jtext.h"
#include "mcp/internal.h"

static bool has_resources(const struct mcp_registry *registry)
{
    return registry->resource_count + registry->family_count > 0;
}

static bool has_prompts(const struct mcp_registry *registry)
{
    return registry->prompt_count > 0;
}

static const struct method {
    const char *name;
    enum mcp_era first;
    enum mcp_era last;
    void (*handle)(const struct mcp_request *request);
    /* Whether a server has it; NULL: every one. */
    bool (*is_there)(const struct mcp_registry *registry);
} methods[] = {
    {"initialize", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_initialize, NULL},
    {"ping", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_ping, NULL},
    {"logging/setLevel", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_set_level, NULL},
    {"server/discover", ERA_FIRST_MODERN, ERA_LATEST, handle_discover, NULL},
    {"tools/list", ERA_2024_11_05, ERA_LATEST, handle_list_tools, NULL},
    {"tools/call", ERA_2024_11_05, ERA_LATEST, handle_call_tool, NULL},
    {"resources/list", ERA_2024_11_05, ERA_LATEST, handle_list_resources, has_resources},
    {"resources/templates/list", ERA_2024_11_05, ERA_LATEST, handle_list_templates, has_resources},
    {"resources/read", ERA_2024_11_05, ERA_LATEST, handle_read_resource, has_resources},
    {"resources/subscribe", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_subscribe,
     registry_has_watched},
    {"resources/unsubscribe", ERA_2024_11_05, ERA_LATEST_LEGACY, handle_unsubscribe,
     registry_has_watched},
    {"prompts/list", ERA_2024_11_05, ERA_LATEST, handle_list_prompts, has_prompts},
    {"prompts/get", ERA_2024_11_05, ERA_LATEST, handle_get_prompt, has_prompts},
    {"completion/complete", ERA_2024_11_05, ERA_LATEST, handle_complete, registry_has_completions},
    {"subscriptions/listen", ERA_FIRST_MODERN, ERA_LATEST, handle_listen, NULL},
};

static bool serves(const struct mcp_request *request, const struct method *method)
{
    return request->era >= method->first && request->era <= method->last &&
           (method->is_there == NULL || method->is_there(&request->session->server->registry));
}

static void dispatch_request(struct mcp_request *request)
{
    bool is_known = false;
    if (envelope_read(request) != 0) {
        return;
    }
    if (call_is_running(request->session, request->rpc.id) ||
        subscription_is_open(request->session, request->rpc.id)) {
        request_refuse(request, RPC_INVALID_REQUEST, "A request with this id is still running");
        return;
    }
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct method *method = &methods[i];
        if (!jtext_string_is(request->rpc.method, method->name)) {
            continue;
        }
        if (serves(request, method)) {
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
                   is_known ? "This protocol version or this server has no such method"
                            : "Method not found");
}

static void dispatch_notification(struct mcp_session *session, const struct rpc_message *rpc)
{
    struct span id;
    if (jtext_string_is(rpc->method, "notifications/initialized")) {
        session->is_ready = session->is_initialized;
    } else if (jtext_string_is(rpc->method, "notifications/cancelled") &&
               jtext_find(rpc->params, "requestId", &id)) {
        call_cancel(session, id);
        subscription_cancel(session, id);
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
    memcpy(request.can_answer, session->can_answer, sizeof request.can_answer);
    int code = rpc_read(value, &request.rpc, &err);
    if (code == RPC_INVALID_PARAMS && request.rpc.kind == RPC_NOTIFICATION) {
        return; /* a notification is never answered */
    }
    if (code != 0) {
        request_refuse_malformed(&request, code, err.text, (struct span){NULL, 0});
        return;
    }
    switch (request.rpc.kind) {
    case RPC_REQUEST: dispatch_request(&request); break;
    case RPC_NOTIFICATION: dispatch_notification(session, &request.rpc); break;
    case RPC_RESPONSE: ask_receive(session, &request.rpc); break;
    }
}
