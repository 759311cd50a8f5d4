/*
 * Base64 (RFC 4648, section 4: with + and /, padded) and its URL-safe form without padding
 * (section 5). Used by `vitrine`.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"
#include "base/span.h"

/* Each appends; 0, or -1 as buf_append. */
int base64_encode(struct buf *out, struct span bytes);
int base64_encode_url(struct buf *out, struct span bytes);

/* Appends what the text means. 0; -1 when it is anything but what the encoder above it writes
 * (padding, bits that are left over), or as buf_append. */
int base64_decode(struct buf *out, struct span text);
int base64_decode_url(struct buf *out, struct span text);

#endif
