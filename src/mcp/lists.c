/* tools/list, resources/list, resources/templates/list, prompts/list: pages of what is registered,
 * in the order it was (server/utilities/pagination, server/utilities/caching). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jtext.h"
#include "mcp/internal.h"

/* How long a client may keep a list. What can change is told, but not to everybody. */
enum { FIXED_TTL_MS = 3600000, CHANGING_TTL_MS = 5000 };

struct mcp_listing {
    struct buf *out;
    enum mcp_era era;
    unsigned start; /* the first that is on this page */
    unsigned seen;  /* so far, of all pages */
    int failed;
};

/* Whether the next item is on this page; then a comma is there if it needs one. */
static bool take_item(struct mcp_listing *listing)
{
    unsigned index = listing->seen++;
    if (index < listing->start || index - listing->start >= LIMIT_PAGE_ITEMS) {
        return false;
    }
    if (index > listing->start) {
        listing->failed |= buf_append_char(listing->out, ',');
    }
    return true;
}

/* A cursor is the number of the first item of its page, in text. */
static int read_cursor(const struct mcp_request *request, unsigned *start)
{
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, 64);
    *start = 0;
    if (!jtext_find(request->rpc.params, "cursor", &value)) {
        return 0;
    }
    if (jtext_type(value) == JTEXT_STRING && jtext_string_decode(&text, value) == 0 &&
        read_numbered(buf_span(&text), "page-at-", start) && *start % LIMIT_PAGE_ITEMS == 0) {
        return 0;
    }
    request_refuse(request, RPC_INVALID_PARAMS, "There is no such page: cursor is not ours");
    return -1;
}

/* "key":[ ... items ... ]; the caller has opened and filled it. */
static void answer_page(const struct mcp_request *request, struct mcp_listing *listing,
                        bool is_changing, bool is_private)
{
    struct buf *out = listing->out;
    int failed = listing->failed | buf_append_char(out, ']');
    if (listing->start > 0 && listing->seen <= listing->start) {
        buf_free(out);
        request_refuse(request, RPC_INVALID_PARAMS, "There is no such page: the list is shorter");
        return;
    }
    if (listing->seen > listing->start + LIMIT_PAGE_ITEMS) {
        failed |= buf_append_format(out, ",\"nextCursor\":\"page-at-%u\"",
                                    listing->start + LIMIT_PAGE_ITEMS);
    }
    if (era_is_modern(request->era)) {
        failed |= buf_append_format(out, ",\"ttlMs\":%d,\"cacheScope\":\"%s\"",
                                    is_changing ? CHANGING_TTL_MS : FIXED_TTL_MS,
                                    is_private ? "private" : "public");
    }
    request_answer(request, out, failed);
}

/* False when the request has been answered. */
static bool begin_page(const struct mcp_request *request, struct mcp_listing *listing,
                       struct buf *out, const char *key)
{
    *listing = (struct mcp_listing){.out = out, .era = request->era};
    if (read_cursor(request, &listing->start) != 0) {
        return false;
    }
    buf_init(out, LIMIT_RESPONSE_BYTES_MAX);
    listing->failed = buf_append_format(out, "\"%s\":[", key);
    return true;
}

static int append_text(struct buf *out, const char *key, const char *text)
{
    if (text == NULL) {
        return 0;
    }
    int failed = buf_append_format(out, ",\"%s\":", key);
    return failed | jtext_append_string(out, span_of(text));
}

static int append_json(struct buf *out, const char *key, const char *json)
{
    return json == NULL ? 0 : buf_append_format(out, ",\"%s\":%s", key, json);
}

/* Members after the first, each as its revision brought it. */
static int append_words(struct buf *out, enum mcp_era era, const struct mcp_words *words)
{
    int failed = 0;
    if (era >= ERA_2025_06_18) {
        failed |= append_text(out, "title", words->title);
    }
    failed |= append_text(out, "description", words->description);
    if (era >= ERA_2025_11_25) {
        failed |= append_json(out, "icons", words->icons);
    }
    return failed;
}

static int append_tool(struct buf *out, enum mcp_era era, const struct mcp_tool *tool)
{
    int failed = buf_append_text(out, "{\"name\":");
    failed |= jtext_append_string(out, span_of(tool->name));
    failed |= append_words(out, era, &tool->words);
    failed |= append_json(out, "inputSchema", tool->input_schema);
    if (era >= ERA_2025_06_18) {
        failed |= append_json(out, "outputSchema", tool->output_schema);
    }
    if (era >= ERA_2025_03_26) {
        failed |= append_json(out, "annotations", tool->words.annotations);
    }
    return failed | buf_append_char(out, '}');
}

void handle_list_tools(const struct mcp_request *request)
{
    const struct mcp_server *server = request->session->server;
    const struct mcp_registry *registry = &server->registry;
    struct mcp_listing listing;
    struct buf out;
    if (!begin_page(request, &listing, &out, "tools")) {
        return;
    }
    for (unsigned i = 0; i < registry->tool_count; i++) {
        const struct mcp_tool *tool = &registry->tools[i];
        if (take_item(&listing)) {
            listing.failed |= tool->append_definition != NULL
                                  ? tool->append_definition(&out, request->era, &server->config)
                                  : append_tool(&out, request->era, tool);
        }
    }
    answer_page(request, &listing, registry->may_change[MCP_TOOLS], false);
}

void listing_add(struct mcp_listing *listing, const struct mcp_resource *resource)
{
    struct buf *out = listing->out;
    if (!take_item(listing)) {
        return;
    }
    int failed = buf_append_text(out, "{\"uri\":");
    failed |= jtext_append_string(out, span_of(resource->uri));
    failed |= append_text(out, "name", resource->name);
    failed |= append_words(out, listing->era, &resource->words);
    failed |= append_text(out, "mimeType", resource->mime_type);
    failed |= append_json(out, "annotations", resource->words.annotations);
    if (resource->size > 0) {
        failed |= buf_append_format(out, ",\"size\":%" PRId64, resource->size);
    }
    listing->failed |= failed | buf_append_char(out, '}');
}

void handle_list_resources(const struct mcp_request *request)
{
    const struct mcp_registry *registry = &request->session->server->registry;
    struct mcp_client client = {.number = request->session->client_number,
                                .principal = buf_span(&request->session->principal)};
    struct mcp_listing listing;
    struct buf out;
    bool is_private = false;
    if (!begin_page(request, &listing, &out, "resources")) {
        return;
    }
    for (unsigned i = 0; i < registry->resource_count; i++) {
        listing_add(&listing, &registry->resources[i]);
    }
    for (unsigned i = 0; i < registry->family_count; i++) {
        const struct mcp_family *family = &registry->families[i];
        if (family->list != NULL) {
            is_private = true;
            family->list(&listing, &client, family->context);
        }
    }
    answer_page(request, &listing, is_private || registry->may_change[MCP_RESOURCES], is_private);
}

void handle_list_templates(const struct mcp_request *request)
{
    const struct mcp_registry *registry = &request->session->server->registry;
    struct mcp_listing listing;
    struct buf out;
    if (!begin_page(request, &listing, &out, "resourceTemplates")) {
        return;
    }
    for (unsigned i = 0; i < registry->family_count; i++) {
        const struct mcp_family *family = &registry->families[i];
        if (!take_item(&listing)) {
            continue;
        }
        int failed = buf_append_text(&out, "{\"uriTemplate\":");
        failed |= jtext_append_string(&out, span_of(family->uri_template));
        failed |= append_text(&out, "name", family->name);
        failed |= append_words(&out, request->era, &family->words);
        failed |= append_text(&out, "mimeType", family->mime_type);
        failed |= append_json(&out, "annotations", family->words.annotations);
        listing.failed |= failed | buf_append_char(&out, '}');
    }
    answer_page(request, &listing, false, false);
}

static int append_arguments(struct buf *out, enum mcp_era era, const struct mcp_prompt *prompt)
{
    int failed = buf_append_text(out, ",\"arguments\":[");
    for (unsigned i = 0; i < prompt->argument_count; i++) {
        const struct mcp_prompt_argument *argument = &prompt->arguments[i];
        failed |= buf_append_text(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        failed |= jtext_append_string(out, span_of(argument->name));
        if (era >= ERA_2025_06_18) {
            failed |= append_text(out, "title", argument->title);
        }
        failed |= append_text(out, "description", argument->description);
        failed |=
            buf_append_format(out, ",\"required\":%s}", argument->is_required ? "true" : "false");
    }
    return failed | buf_append_char(out, ']');
}

void handle_list_prompts(const struct mcp_request *request)
{
    const struct mcp_registry *registry = &request->session->server->registry;
    struct mcp_listing listing;
    struct buf out;
    if (!begin_page(request, &listing, &out, "prompts")) {
        return;
    }
    for (unsigned i = 0; i < registry->prompt_count; i++) {
        const struct mcp_prompt *prompt = &registry->prompts[i];
        if (!take_item(&listing)) {
            continue;
        }
        int failed = buf_append_text(&out, "{\"name\":");
        failed |= jtext_append_string(&out, span_of(prompt->name));
        failed |= append_words(&out, request->era, &prompt->words);
        failed |= prompt->argument_count > 0 ? append_arguments(&out, request->era, prompt) : 0;
        listing.failed |= failed | buf_append_char(&out, '}');
    }
    answer_page(request, &listing, registry->may_change[MCP_PROMPTS], false);
}
