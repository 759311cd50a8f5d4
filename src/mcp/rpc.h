/*
 * JSON-RPC 2.0 as MCP has it: one message taken apart, and answers put together. Runs in `vitrine`.
 *
 * Strict where the standard is: the version, the type of `method`, ids that are strings or integers
 * (MCP allows no null, and fractions cannot be told apart by every client). An id is kept as the
 * text it came in and echoed so. Members that are not known are let through.
 */
#ifndef MCP_RPC_H
#define MCP_RPC_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum rpc_code {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_METHOD_NOT_FOUND = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL_ERROR = -32603,
    RPC_RESOURCE_NOT_FOUND = -32002, /* up to 2025-11-25 */
    /* MCP 2026-07-28, basic/index, "Error Codes" */
    RPC_HEADER_MISMATCH = -32020,
    RPC_MISSING_CAPABILITY = -32021,
    RPC_UNSUPPORTED_VERSION = -32022,
};

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

/* All spans lie in the message; JSON text. Those that were not there are empty. */
struct rpc_message {
    enum rpc_kind kind;
    struct span id;
    struct span method; /* with its quotes */
    struct span params; /* an object */
    struct span result; /* of a response */
    struct span error;
};

/*
 * Takes a checked JSON value apart. 0; or an enum rpc_code, with *err saying why and out->id
 * filled when it could be read.
 */
int rpc_read(struct span value, struct rpc_message *out, struct err *err);

/* Whether `id` is a string or an integer, and not too long to be kept. */
bool rpc_id_is_valid(struct span id);
bool rpc_id_equal(struct span a, struct span b);

/* Each appends and returns 0, or -1 as buf_append. The caller appends the result, then '}'. */
int rpc_append_result_head(struct buf *out, struct span id);

/* A whole answer. An empty id gives null; `data` is JSON, or empty. */
int rpc_append_error(struct buf *out, struct span id, int code, const char *message,
                     struct span data);

#endif
