/* Resources: text, bytes, one that is watched, and a family. */
#include <stdio.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "fixtures.h"

static void answer(struct mcp_call *call, const struct content_resource *resource)
{
    struct content content;
    content_init(&content, call);
    content.ttl_ms = 1000;
    content.is_shared = true;
    content_resource(&content, resource);
    call_answer(call, &content);
}

static void start_text(struct mcp_call *call, struct span uri)
{
    struct content_resource resource = {
        .uri = uri,
        .mime_type = "text/plain",
        .text = span_of("This is the content of the static text resource.")};
    answer(call, &resource);
}

static void start_binary(struct mcp_call *call, struct span uri)
{
    struct content_resource resource = {
        .uri = uri, .mime_type = "image/png", .bytes = conformance_png()};
    answer(call, &resource);
}

static void start_watched(struct mcp_call *call, struct span uri)
{
    struct content_resource resource = {
        .uri = uri, .mime_type = "text/plain", .text = span_of("Watched resource content")};
    answer(call, &resource);
}

static void start_template(struct mcp_call *call, struct span uri)
{
    cleanup_buf struct buf text;
    struct span id = call_variable(call, "id");
    buf_init(&text, LIMIT_MESSAGE_BYTES_MAX);
    int failed = buf_append_text(&text, "{\"id\":");
    failed |= jtext_append_string(&text, id);
    failed |= buf_append_text(&text, ",\"templateTest\":true}");
    struct content_resource resource = {
        .uri = uri, .mime_type = "application/json", .text = buf_span(&text)};
    if (failed != 0) {
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
        return;
    }
    answer(call, &resource);
}

static void complete(struct mcp_completions *out, const char *argument, void *context)
{
    (void)context;
    (void)argument;
    completions_add(out, "123");
    completions_add(out, "124");
}

/* So many that a list of them has pages. */
static void list(struct mcp_listing *listing, const struct mcp_client *client, void *context)
{
    (void)client;
    (void)context;
    for (unsigned i = 0; i < 120; i++) {
        char uri[64];
        char name[32];
        snprintf(uri, sizeof uri, "test://template/%u/data", i);
        snprintf(name, sizeof name, "member-%u", i);
        struct mcp_resource resource = {.uri = uri, .name = name, .mime_type = "application/json"};
        listing_add(listing, &resource);
    }
}

void conformance_add_resources(struct mcp_registry *registry)
{
    static const struct mcp_resource resources[] = {
        {.uri = "test://static-text",
         .name = "static-text",
         .words = {.title = "Static Text Resource",
                   .description = "A static text resource for testing"},
         .mime_type = "text/plain",
         .size = 48,
         .start = start_text},
        {.uri = "test://static-binary",
         .name = "static-binary",
         .words = {.title = "Static Binary Resource",
                   .description = "A static binary resource (image) for testing"},
         .mime_type = "image/png",
         .start = start_binary},
        {.uri = "test://watched-resource",
         .name = "watched-resource",
         .words = {.title = "Watched Resource", .description = "A resource that changes"},
         .mime_type = "text/plain",
         .is_watched = true,
         .start = start_watched},
    };
    static const struct mcp_family family = {
        .uri_template = "test://template/{id}/data",
        .name = "template",
        .words = {.title = "Resource Template",
                  .description = "A resource template with parameter substitution"},
        .mime_type = "application/json",
        .start = start_template,
        .list = list,
        .complete = complete};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        registry_add_resource(registry, &resources[i]);
    }
    registry_add_family(registry, &family);
}
