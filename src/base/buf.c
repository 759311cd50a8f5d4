#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_CAPACITY = 256 };

void buf_init(struct buf *buf, size_t bytes_max)
{
    *buf = (struct buf){.bytes_max = bytes_max};
}

int buf_reserve(struct buf *buf, size_t len)
{
    if (len > buf->bytes_max || buf->len > buf->bytes_max - len) {
        return -1;
    }
    size_t needed = buf->len + len;
    if (needed <= buf->capacity) {
        return 0;
    }
    size_t capacity = buf->capacity == 0 ? BUF_FIRST_CAPACITY : buf->capacity;
    while (capacity < needed) {
        capacity = capacity > buf->bytes_max / 2 ? buf->bytes_max : capacity * 2;
        if (capacity < needed && capacity == buf->bytes_max) {
            return -1;
        }
    }
    char *base = realloc(buf->base, capacity);
    if (base == NULL) {
        return -1;
    }
    buf->base = base;
    buf->capacity = capacity;
    return 0;
}

int buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (buf_reserve(buf, len) != 0) {
        return -1;
    }
    memcpy(buf->base + buf->len, bytes, len);
    buf->len += len;
    return 0;
}

int buf_append_text(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

int buf_append_char(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

int buf_append_u32(struct buf *buf, uint32_t value)
{
    unsigned char bytes[4];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    return buf_append(buf, bytes, sizeof bytes);
}

int buf_append_u64(struct buf *buf, uint64_t value)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    return buf_append(buf, bytes, sizeof bytes);
}

int buf_append_format(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int result = -1;
    if (len >= 0 && buf_reserve(buf, (size_t)len + 1) == 0) {
        vsnprintf(buf->base + buf->len, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
        result = 0;
    }
    va_end(again);
    return result;
}

void buf_consume(struct buf *buf, size_t len)
{
    assert(len <= buf->len);
    if (len == 0) {
        return;
    }
    memmove(buf->base, buf->base + len, buf->len - len);
    buf->len -= len;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

void buf_free(struct buf *buf)
{
    free(buf->base);
    *buf = (struct buf){.bytes_max = buf->bytes_max};
}

struct span buf_span(const struct buf *buf)
{
    return (struct span){buf->base, buf->len};
}
