#include "serve/sse.h"

#include <inttypes.h>

/* Digits without a leading zero, up to 2^32 - 1. */
static bool read_number(struct span text, uint32_t *out)
{
    uint64_t number = 0;
    if (text.len == 0 || text.len > 10 || (text.base[0] == '0' && text.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] < '0' || text.base[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text.base[i] - '0');
    }
    *out = (uint32_t)number;
    return number <= UINT32_MAX;
}

bool sse_read_id(struct span text, struct sse_id *out)
{
    const char *dash = text.len == 0 ? NULL : memchr(text.base, '-', text.len);
    if (dash == NULL) {
        return false;
    }
    size_t len = (size_t)(dash - text.base);
    return read_number((struct span){text.base, len}, &out->stream) &&
           read_number((struct span){dash + 1, text.len - len - 1}, &out->event);
}

static int append_id(struct buf *out, const struct sse_id *id)
{
    return id == NULL
               ? 0
               : buf_append_format(out, "id: %" PRIu32 "-%" PRIu32 "\n", id->stream, id->event);
}

int sse_append_event(struct buf *out, const struct sse_id *id, const char *name, struct span data)
{
    if (append_id(out, id) != 0 ||
        (name != NULL && buf_append_format(out, "event: %s\n", name) != 0) ||
        buf_append_text(out, "data: ") != 0 || buf_append(out, data.base, data.len) != 0) {
        return -1;
    }
    return buf_append_text(out, "\n\n");
}

int sse_append_priming(struct buf *out, const struct sse_id *id, uint64_t retry_ms)
{
    return append_id(out, id) != 0
               ? -1
               : buf_append_format(out, "retry: %" PRIu64 "\ndata: \n\n", retry_ms);
}

int sse_append_comment(struct buf *out)
{
    return buf_append_text(out, ":\n\n");
}
