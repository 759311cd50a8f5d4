/*
 * What a model is told of run_python_code: how to use it well, and what this server allows. Runs
 * in `vitrine`.
 *
 * Everything comes from the server's configuration, so nothing is promised that it does not hold.
 * It begins with mcp-run-python's own words. Models pay for each word of it, at each turn: a test
 * keeps it below 2,500 characters.
 */
#ifndef MCP_DESCRIBE_H
#define MCP_DESCRIBE_H

#include "base/buf.h"
#include "mcp/server.h"

/* The guest's Python as the description names it; a test holds it against the guest's own word. */
#define DESCRIBE_PYTHON_SERIES "3.14"

/* Each appends and returns 0, or -1 as buf_append. */

/* A JSON string. */
int describe_append_tool(struct buf *out, const struct mcp_config *config);

/* A JSON object: what the tool may do to the world. */
int describe_append_annotations(struct buf *out, const struct mcp_config *config);

#endif
