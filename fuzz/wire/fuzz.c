/*
 * The pool's view of a hostile cell: the first byte picks the direction, the rest is what the peer
 * sent. Frames are taken to the end; each payload is read as a record, and put together again it
 * must be the same bytes.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A payload that reads as a record to its end is rebuilt byte for byte. */
static void check_record(struct span payload)
{
    cleanup_buf struct buf again;
    buf_init(&again, payload.len);
    struct span cursor = payload;
    struct wire_field field;
    int more;
    while ((more = wire_next(&cursor, &field)) > 0) {
        uint32_t u32;
        uint64_t u64;
        int put;
        if (wire_get_u32(field.value, &u32) == 0) {
            put = wire_put_u32(&again, field.number, u32);
        } else if (wire_get_u64(field.value, &u64) == 0) {
            put = wire_put_u64(&again, field.number, u64);
        } else {
            put = wire_put(&again, field.number, field.value);
        }
        assert(put == 0);
    }
    assert(more < 0 || span_equal(buf_span(&again), payload));
}

static void check_frame(struct span bytes, const struct wire_frame *frame)
{
    cleanup_buf struct buf again;
    buf_init(&again, bytes.len);
    int appended = wire_append_frame(&again, frame->type, frame->payload);
    assert(appended == 0 && span_equal(buf_span(&again), bytes));
    check_record(frame->payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum wire_direction direction = (enum wire_direction)(data[0] % 4);
    struct span in = {(const char *)data + 1, size - 1};
    struct wire_frame frame;
    struct err err;
    size_t frame_bytes;
    while (wire_take(in, direction, &frame, &frame_bytes, &err) > 0) {
        check_frame((struct span){in.base, frame_bytes}, &frame);
        in.base += frame_bytes;
        in.len -= frame_bytes;
    }
    check_record(in);
    return 0;
}
