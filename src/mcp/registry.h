/*
 * What clients may use: tools, resources, families of resources, prompts. Runs in `vitrine`.
 *
 * Everything is a row. A server's capabilities and its lists are made from what is there, in the
 * order it was added; methods without a row do not exist for clients. Rows are copied, what they
 * point to is borrowed for the server's life. JSON in rows is ours, and correct.
 */
#ifndef MCP_REGISTRY_H
#define MCP_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "mcp/call.h"
#include "mcp/era.h"
#include "mcp/server.h"

struct mcp_registry;

/* What a client may show of a row. Each revision gets what it knows; NULL: there is none. */
struct mcp_words {
    const char *title;
    const char *description;
    const char *annotations; /* a JSON object */
    const char *icons;       /* a JSON array */
};

/* Values that begin with what somebody has typed so far; those that do not are left out. */
struct mcp_completions;
void completions_add(struct mcp_completions *completions, const char *value);
typedef void mcp_complete(struct mcp_completions *out, const char *argument, void *context);

struct mcp_tool {
    const char *name;
    struct mcp_words words;
    const char *input_schema;  /* a JSON object; properties may have x-mcp-header */
    const char *output_schema; /* or NULL */
    /* Appends the whole definition, in place of the words and schemas. May be NULL. */
    int (*append_definition)(struct buf *out, enum mcp_era era, const struct mcp_config *config);
    bool may_ask; /* it may use call_ask; then its arguments stay for the call's life */
    /* `arguments` is a JSON object, borrowed until it returns. Begins what call.h says. */
    void (*start)(struct mcp_call *call, struct span arguments);
    void *context;
};

struct mcp_resource {
    const char *uri;
    const char *name;
    struct mcp_words words;
    const char *mime_type;
    int64_t size;    /* bytes; 0: not known */
    bool is_watched; /* mcp_server_resource_updated says when it has changed */
    void (*start)(struct mcp_call *call, struct span uri); /* text */
    void *context;
};

/* Resources whose URIs follow a template. Their variables are read with call_variable. */
struct mcp_listing;
struct mcp_family {
    /* RFC 6570, level 1 and {+rest}: {name} is anything but a slash, {+name} anything. */
    const char *uri_template;
    const char *name;
    struct mcp_words words;
    const char *mime_type;
    bool is_watched;
    void (*start)(struct mcp_call *call, struct span uri);
    /* Calls listing_add for each that the client may see. NULL: they are not listed. */
    void (*list)(struct mcp_listing *listing, const struct mcp_client *client, void *context);
    mcp_complete *complete; /* or NULL */
    void *context;
};
/* The strings and the row are borrowed until it returns. */
void listing_add(struct mcp_listing *listing, const struct mcp_resource *resource);

struct mcp_prompt_argument {
    const char *name;
    const char *title;
    const char *description;
    bool is_required;
};

struct mcp_prompt {
    const char *name;
    struct mcp_words words;
    const struct mcp_prompt_argument *arguments;
    unsigned argument_count;
    void (*start)(struct mcp_call *call, struct span arguments);
    mcp_complete *complete; /* or NULL */
    void *context;
};

/* Each asserts that there is room and that the name is new. */
void registry_add_tool(struct mcp_registry *registry, const struct mcp_tool *tool);
void registry_add_resource(struct mcp_registry *registry, const struct mcp_resource *resource);
void registry_add_family(struct mcp_registry *registry, const struct mcp_family *family);
void registry_add_prompt(struct mcp_registry *registry, const struct mcp_prompt *prompt);

/* Says in the capabilities that this list can change while the server runs, which
 * mcp_server_list_changed then tells. */
void registry_may_change(struct mcp_registry *registry, enum mcp_list list);

/* Whose registry it is. */
struct mcp_server *registry_server(struct mcp_registry *registry);

#endif
