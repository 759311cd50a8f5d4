/*
 * The protocol's revisions, and what differs between them. Runs in `vitrine`.
 *
 * Up to 2025-11-25 a revision is agreed on by `initialize`; from 2026-07-28 on each request names
 * its own in params._meta. One server speaks all of them, decided for each request.
 */
#ifndef MCP_ERA_H
#define MCP_ERA_H

#include <stdbool.h>

#include "base/span.h"

enum mcp_era {
    ERA_2024_11_05,
    ERA_2025_03_26, /* batches (only here); tool annotations */
    ERA_2025_06_18, /* titles, output schemas, structured content */
    ERA_2025_11_25, /* wrong tool arguments are a tool's result; server descriptions */
    ERA_2026_07_28, /* stateless */
    ERA_LATEST_LEGACY = ERA_2025_11_25,
    ERA_FIRST_MODERN = ERA_2026_07_28,
    ERA_LATEST = ERA_2026_07_28,
};

const char *era_name(enum mcp_era era);

/* `version` is a JSON string; false when it is none of ours. */
bool era_from_string(struct span version, enum mcp_era *out);

static inline bool era_is_modern(enum mcp_era era)
{
    return era >= ERA_FIRST_MODERN;
}

/* The same for text. */
bool era_from_text(struct span version, enum mcp_era *out);

/* The modern revisions as a JSON array, for server/discover and for error -32022. */
extern const char era_modern_json[];

/* RFC 5424's severities, in the order of their weight. */
enum mcp_level {
    LEVEL_DEBUG,
    LEVEL_INFO,
    LEVEL_NOTICE,
    LEVEL_WARNING,
    LEVEL_ERROR,
    LEVEL_CRITICAL,
    LEVEL_ALERT,
    LEVEL_EMERGENCY,
    LEVEL_SILENT, /* no client asked for anything */
};

const char *level_name(enum mcp_level level);

/* `name` is any JSON value; false when it names no level. */
bool level_from_value(struct span name, enum mcp_level *out);

#endif
