/*
 * State that travels through a client and comes back unchanged (requestState of 2026-07-28,
 * basic/patterns/mrtr). Runs in `vitrine`.
 *
 * The client may read it. It cannot change it, nor use it with another request than the one it was
 * made for, nor for another principal, nor after LIMIT_REQUEST_STATE_MS: all that is under an
 * HMAC-SHA256 with a key of this process.
 */
#ifndef MCP_KEEP_H
#define MCP_KEEP_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { KEEP_MAC_BYTES = 32, KEEP_KEY_BYTES = 32 };

/* What a state belongs to. `arguments` is JSON; how it is laid out does not matter. */
struct keep_scope {
    const uint8_t *key; /* KEEP_KEY_BYTES */
    struct span principal;
    struct span method;
    struct span name; /* JSON */
    struct span arguments;
};

/* Appends the state as text (base64). 0 or -1 as buf_append. */
int keep_seal(struct buf *out, const struct keep_scope *scope, struct span state, uint64_t now_ms);

/* Appends what was sealed. 0; -1 when it is not ours, not for this, or too old. */
int keep_open(struct buf *out, const struct keep_scope *scope, struct span text, uint64_t now_ms);

/* HMAC-SHA256 (RFC 2104, FIPS 180-4) of parts, each with its length before it. */
int keep_mac(uint8_t out[KEEP_MAC_BYTES], const uint8_t key[KEEP_KEY_BYTES],
             const struct span *parts, unsigned count);

#endif
