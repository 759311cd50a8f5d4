#include "mcp/registry.h"

#include <assert.h>

#include "base/jtext.h"
#include "mcp/internal.h"
#include "mcp/uri.h"

struct mcp_server *registry_server(struct mcp_registry *registry)
{
    return registry->server;
}

void registry_add_tool(struct mcp_registry *registry, const struct mcp_tool *tool)
{
    assert(registry->tool_count < LIMIT_TOOLS_MAX);
    for (unsigned i = 0; i < registry->tool_count; i++) {
        assert(strcmp(registry->tools[i].name, tool->name) != 0);
    }
    registry->tools[registry->tool_count++] = *tool;
}

void registry_add_resource(struct mcp_registry *registry, const struct mcp_resource *resource)
{
    assert(registry->resource_count < LIMIT_RESOURCES_MAX);
    assert(registry_resource(registry, span_of(resource->uri)) == NULL);
    registry->resources[registry->resource_count++] = *resource;
}

void registry_add_family(struct mcp_registry *registry, const struct mcp_family *family)
{
    assert(registry->family_count < LIMIT_FAMILIES_MAX);
    registry->families[registry->family_count++] = *family;
}

void registry_add_prompt(struct mcp_registry *registry, const struct mcp_prompt *prompt)
{
    assert(registry->prompt_count < LIMIT_PROMPTS_MAX);
    for (unsigned i = 0; i < registry->prompt_count; i++) {
        assert(strcmp(registry->prompts[i].name, prompt->name) != 0);
    }
    registry->prompts[registry->prompt_count++] = *prompt;
}

void registry_may_change(struct mcp_registry *registry, enum mcp_list list)
{
    registry->may_change[list] = true;
}

const struct mcp_tool *registry_tool(const struct mcp_registry *registry, struct span name)
{
    for (unsigned i = 0; i < registry->tool_count; i++) {
        if (jtext_string_is(name, registry->tools[i].name)) {
            return &registry->tools[i];
        }
    }
    return NULL;
}

const struct mcp_prompt *registry_prompt(const struct mcp_registry *registry, struct span name)
{
    for (unsigned i = 0; i < registry->prompt_count; i++) {
        if (jtext_string_is(name, registry->prompts[i].name)) {
            return &registry->prompts[i];
        }
    }
    return NULL;
}

const struct mcp_resource *registry_resource(const struct mcp_registry *registry, struct span uri)
{
    for (unsigned i = 0; i < registry->resource_count; i++) {
        if (span_equal(uri, span_of(registry->resources[i].uri))) {
            return &registry->resources[i];
        }
    }
    return NULL;
}

const struct mcp_family *registry_family(const struct mcp_registry *registry, struct span uri,
                                         struct buf *variables)
{
    for (unsigned i = 0; i < registry->family_count; i++) {
        buf_clear(variables);
        if (uri_matches(registry->families[i].uri_template, uri, variables)) {
            return &registry->families[i];
        }
    }
    buf_clear(variables);
    return NULL;
}

bool registry_has_watched(const struct mcp_registry *registry)
{
    for (unsigned i = 0; i < registry->resource_count; i++) {
        if (registry->resources[i].is_watched) {
            return true;
        }
    }
    for (unsigned i = 0; i < registry->family_count; i++) {
        if (registry->families[i].is_watched) {
            return true;
        }
    }
    return false;
}

bool registry_is_watched(const struct mcp_registry *registry, struct span uri)
{
    cleanup_buf struct buf variables;
    buf_init(&variables, LIMIT_URI_BYTES_MAX * 2);
    const struct mcp_resource *resource = registry_resource(registry, uri);
    if (resource != NULL) {
        return resource->is_watched;
    }
    const struct mcp_family *family = registry_family(registry, uri, &variables);
    return family != NULL && family->is_watched;
}
