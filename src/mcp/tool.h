/*
 * The tool run_python_code: what a client is told of it, and its arguments. Runs in `vitrine`.
 *
 * Name, title and the arguments that mcp-run-python has are its own, to the letter: its clients'
 * stored approvals and prompts go on working. `dependencies` is there where packages are.
 */
#ifndef MCP_TOOL_H
#define MCP_TOOL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "mcp/era.h"
#include "mcp/server.h"

extern const char tool_name[];

/* Appends the tool's definition as the revision knows it (mcp/describe.h has the words). 0 or -1 as
 * buf_append. */
int tool_append_definition(struct buf *out, enum mcp_era era, const struct mcp_config *config);

struct tool_arguments {
    struct buf code;     /* decoded; owned */
    struct span session; /* a JSON string inside `arguments`, or empty */
    struct span globals; /* a JSON object inside `arguments`, or empty */
    struct buf texts;    /* of the dependencies; owned */
    const char *dependencies[LIMIT_REQUIREMENTS_MAX + 1]; /* NULL-terminated, in `texts` */
    unsigned dependency_count;
    struct buf contents;                          /* of the files; owned */
    struct run_file files[LIMIT_GIVEN_COUNT_MAX]; /* names in `names`, bytes in `contents` */
    unsigned file_count;
    struct buf names; /* owned */
};

/* Reads params.arguments (JSON, or empty). 0, or -1 and a sentence for the model. Either way the
 * caller calls tool_arguments_free. */
int tool_read_arguments(struct span arguments, const struct mcp_config *config,
                        struct tool_arguments *out, struct err *err);
void tool_arguments_free(struct tool_arguments *arguments);

#endif
