#include "cell/state.h"

#include <errno.h>
#include <unistd.h>

#include "base/limits.h"
#include "jail/jail.h"
#include "wire/wire.h"

enum { CHUNK_BYTES = 65536 };

static int end_send(const struct err *err)
{
    cleanup_buf struct buf payload;
    buf_init(&payload, LIMIT_CONTROL_FRAME_BYTES_MAX);
    const struct span text = span_of(err == NULL ? "" : err->text);
    return buf_append_u32(&payload, err == NULL ? (uint32_t)ERR_NONE : (uint32_t)err->code) != 0 ||
                   buf_append(&payload, text.base, text.len) != 0
               ? -1
               : wire_send(JAIL_SOCKET_FD, WIRE_STATE_END, buf_span(&payload));
}

/* ---- Out ------------------------------------------------------------------------------------- */

static int piece_send(void *context, struct span bytes, struct err *err)
{
    (void)context;
    return wire_send(JAIL_SOCKET_FD, WIRE_STATE, bytes) == 0 ? 0 : err_system(err, "the socket");
}

int state_save(struct guest *guest)
{
    struct err err;
    const struct flow_out out = {NULL, piece_send};
    return end_send(guest_state_write(guest, &out, &err) == 0 ? NULL : &err);
}

/* ---- In -------------------------------------------------------------------------------------- */

struct inflow {
    struct buf *in;
    size_t frame_bytes; /* of the piece that was given out */
};

static int more_read(struct buf *in, struct err *err)
{
    ssize_t n;
    if (buf_reserve(in, CHUNK_BYTES) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for a piece of the state");
    }
    do {
        n = read(JAIL_SOCKET_FD, in->base + in->len, CHUNK_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return err_set(err, ERR_GONE, "the pool is gone");
    }
    in->len += (size_t)n;
    return 0;
}

static int piece_next(void *context, struct span *piece, struct err *err)
{
    struct inflow *flow = context;
    struct wire_frame frame;
    int taken;
    buf_consume(flow->in, flow->frame_bytes);
    flow->frame_bytes = 0;
    while ((taken = wire_take(buf_span(flow->in), WIRE_TO_CELL, &frame, &flow->frame_bytes, err)) ==
           0) {
        if (more_read(flow->in, err) != 0) {
            return -1;
        }
    }
    if (taken < 0) {
        return -1;
    }
    if (frame.type != WIRE_STATE_PART) {
        return err_set(err, ERR_PROTOCOL, "this is no part of a state");
    }
    *piece = frame.payload;
    return 0;
}

int state_restore(struct guest *guest, const struct guest_state_room *room, struct buf *in)
{
    struct err err;
    struct inflow flow = {.in = in};
    const struct flow_pieces pieces = {&flow, piece_next};
    if (guest_state_read(guest, &pieces, room, &err) != 0) {
        (void)end_send(&err);
        return -1;
    }
    buf_consume(in, flow.frame_bytes);
    return in->len != 0 ? -1 : end_send(NULL);
}
