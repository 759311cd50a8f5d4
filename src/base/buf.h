/*
 * A growing run of bytes that has a maximum from birth. Used by every program.
 *
 * Appending past the maximum, or without memory, fails and leaves the contents as they were; so
 * several appends can be made and checked one by one, or the first failure passed on.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct buf {
    char *base;       /* owned; NULL while empty */
    size_t len;       /* bytes in use */
    size_t capacity;  /* bytes allocated */
    size_t bytes_max; /* never more than this */
};

/* Makes an empty buffer that may hold up to bytes_max bytes. Allocates nothing yet. */
void buf_init(struct buf *buf, size_t bytes_max);

/* Appends; 0, or -1 when the maximum or memory does not allow it (contents unchanged). */
int buf_append(struct buf *buf, const void *bytes, size_t len);
int buf_append_text(struct buf *buf, const char *text);
int buf_append_char(struct buf *buf, char c);
int buf_append_u32(struct buf *buf, uint32_t value); /* little-endian */
int buf_append_u64(struct buf *buf, uint64_t value); /* little-endian */
int buf_append_format(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for `len` more bytes at buf->base + buf->len; the caller adds to buf->len what it filled.
 * Returns 0 or -1. */
int buf_reserve(struct buf *buf, size_t len);

/* Removes the first `len` bytes (len <= buf->len). */
void buf_consume(struct buf *buf, size_t len);

/* Empties without freeing; buf_free also frees. buf_free(buf) leaves an empty usable buffer. */
void buf_clear(struct buf *buf);
void buf_free(struct buf *buf);

/* Borrows the contents until the next change. */
struct span buf_span(const struct buf *buf);

#define cleanup_buf __attribute__((cleanup(buf_free)))

#endif
