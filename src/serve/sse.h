/*
 * Server-sent events (WHATWG HTML, "Server-sent events") as MCP uses them: framing, and the ids by
 * which a stream is resumed. Runs in `vitrine`.
 */
#ifndef SERVE_SSE_H
#define SERVE_SSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

/* Names one event of a session: which stream, and which of its events, from 1 on. 0 is the place
 * before the first. */
struct sse_id {
    uint32_t stream;
    uint32_t event;
};

/* "STREAM-EVENT" in decimal, no more and no less; false otherwise. */
bool sse_read_id(struct span text, struct sse_id *out);

/* Each appends and returns 0, or -1 as buf_append. `id` and `name` may be NULL; `data` is one line.
 */
int sse_append_event(struct buf *out, const struct sse_id *id, const char *name, struct span data);

/* An event without data: it tells where the stream begins, and how long to wait before a client
 * that lost its connection comes back (MCP 2025-11-25, basic/transports). */
int sse_append_priming(struct buf *out, const struct sse_id *id, uint64_t retry_ms);

/* A comment, which keeps the connection from looking idle. */
int sse_append_comment(struct buf *out);

#endif
