#include "wire/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "base/limits.h"
#include "base/little.h"

enum { FIELD_HEADER_BYTES = 5 };

#define CONTROL_MAX LIMIT_CONTROL_FRAME_BYTES_MAX

static const struct wire_frame_rule wire_frames[] = {
    {WIRE_REQUEST, WIRE_TO_CELL, LIMIT_REQUEST_FRAME_BYTES_MAX, "request"},
    {WIRE_FETCHED, WIRE_TO_CELL, LIMIT_FETCH_ANSWER_BYTES_MAX, "fetched"},
    {WIRE_SAVE, WIRE_TO_CELL, 0, "save"},
    {WIRE_RESTORE, WIRE_TO_CELL, CONTROL_MAX, "restore"},
    {WIRE_STATE_PART, WIRE_TO_CELL, LIMIT_STATE_PIECE_BYTES, "state part"},
    {WIRE_SPLIT, WIRE_TO_CELL, 0, "split"},
    {WIRE_STDOUT, WIRE_FROM_CELL, LIMIT_OUTPUT_FRAME_BYTES_MAX, "stdout"},
    {WIRE_STDERR, WIRE_FROM_CELL, LIMIT_OUTPUT_FRAME_BYTES_MAX, "stderr"},
    {WIRE_RESULT, WIRE_FROM_CELL, LIMIT_RESULT_FRAME_BYTES_MAX, "result"},
    {WIRE_END, WIRE_FROM_CELL, CONTROL_MAX, "end"},
    {WIRE_FETCH, WIRE_FROM_CELL, LIMIT_FETCH_ASK_BYTES_MAX, "fetch"},
    {WIRE_DISPLAY, WIRE_FROM_CELL, LIMIT_DISPLAY_ITEM_BYTES_MAX, "display"},
    {WIRE_FILE, WIRE_FROM_CELL, LIMIT_PATH_BYTES_MAX + CONTROL_MAX, "file"},
    {WIRE_FILE_DATA, WIRE_FROM_CELL, LIMIT_OUTPUT_FRAME_BYTES_MAX, "file data"},
    {WIRE_STATE, WIRE_FROM_CELL, LIMIT_STATE_PIECE_BYTES, "state"},
    {WIRE_STATE_END, WIRE_FROM_CELL, CONTROL_MAX, "state end"},
    {WIRE_SPLIT_DONE, WIRE_FROM_CELL, 4, "split done"},
    {WIRE_FORK, WIRE_TO_ZYGOTE, 4, "fork"},
    {WIRE_INTERRUPT, WIRE_TO_ZYGOTE, 4, "interrupt"},
    {WIRE_KILL, WIRE_TO_ZYGOTE, 4, "kill"},
    {WIRE_FORK_SESSION, WIRE_TO_ZYGOTE, 4, "fork session"},
    {WIRE_SPLIT_CELL, WIRE_TO_ZYGOTE, 8, "split cell"},
    {WIRE_READY, WIRE_FROM_ZYGOTE, CONTROL_MAX, "ready"},
    {WIRE_FATAL, WIRE_FROM_ZYGOTE, CONTROL_MAX, "fatal"},
    {WIRE_EXITED, WIRE_FROM_ZYGOTE, 8, "exited"},
    {WIRE_JAILED, WIRE_FROM_ZYGOTE, CONTROL_MAX, "jailed"},
    {WIRE_INTERRUPTED, WIRE_FROM_ZYGOTE, 4, "interrupted"},
    {WIRE_BORN, WIRE_FROM_ZYGOTE, 4, "born"},
    {WIRE_FETCH_CONFIG, WIRE_TO_FETCH, LIMIT_FETCH_ASK_BYTES_MAX, "fetch config"},
    {WIRE_FETCH_ASK, WIRE_TO_FETCH, LIMIT_FETCH_ASK_BYTES_MAX, "fetch ask"},
    {WIRE_FETCH_CANCEL, WIRE_TO_FETCH, 4, "fetch cancel"},
    {WIRE_FETCH_ANSWER, WIRE_FROM_FETCH, LIMIT_FETCH_ANSWER_BYTES_MAX, "fetch answer"},
    {WIRE_FETCH_LOG, WIRE_FROM_FETCH, CONTROL_MAX, "fetch log"},
};

const struct wire_frame_rule *wire_rule(uint8_t type)
{
    for (size_t i = 0; i < sizeof wire_frames / sizeof *wire_frames; i++) {
        if ((uint8_t)wire_frames[i].type == type) {
            return &wire_frames[i];
        }
    }
    return NULL;
}

static void write_u32(char *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (char)(unsigned char)(value >> (8 * i));
    }
}

void wire_set_payload_bytes(char header[WIRE_HEADER_BYTES], uint32_t payload_bytes)
{
    write_u32(header, payload_bytes);
}

static void header_write(char bytes[WIRE_HEADER_BYTES], enum wire_type type, uint32_t payload_bytes)
{
    memset(bytes, 0, WIRE_HEADER_BYTES);
    write_u32(bytes, payload_bytes);
    bytes[4] = (char)type;
}

int wire_append_header(struct buf *out, enum wire_type type, uint32_t payload_bytes)
{
    char header[WIRE_HEADER_BYTES];
    header_write(header, type, payload_bytes);
    return buf_append(out, header, sizeof header);
}

int wire_append_frame(struct buf *out, enum wire_type type, struct span payload)
{
    if (payload.len > UINT32_MAX || buf_reserve(out, WIRE_HEADER_BYTES + payload.len) != 0 ||
        wire_append_header(out, type, (uint32_t)payload.len) != 0) {
        return -1;
    }
    return buf_append(out, payload.base, payload.len);
}

/* Takes `done` bytes off the front of the two parts. */
static void parts_advance(struct iovec parts[2], size_t done)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t here = done < parts[i].iov_len ? done : parts[i].iov_len;
        parts[i].iov_base = (char *)parts[i].iov_base + here;
        parts[i].iov_len -= here;
        done -= here;
    }
}

int wire_send(int fd, enum wire_type type, struct span payload)
{
    if (payload.len > UINT32_MAX) {
        errno = EMSGSIZE;
        return -1;
    }
    char header[WIRE_HEADER_BYTES];
    header_write(header, type, (uint32_t)payload.len);
    struct iovec parts[2] = {
        {.iov_base = header, .iov_len = sizeof header},
        {.iov_base = (void *)(uintptr_t)payload.base, .iov_len = payload.len},
    };
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t n = writev(fd, parts, 2);
        if (n >= 0) {
            parts_advance(parts, (size_t)n);
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

int wire_take(struct span in, enum wire_direction direction, struct wire_frame *out,
              size_t *frame_bytes, struct err *err)
{
    if (in.len < WIRE_HEADER_BYTES) {
        return 0;
    }
    uint32_t payload_bytes = get_u32(in.base);
    uint8_t type = (uint8_t)in.base[4];
    const struct wire_frame_rule *rule = wire_rule(type);
    if (rule == NULL || rule->direction != direction) {
        return err_set(err, ERR_PROTOCOL, "a frame of type %u, which has no place here", type);
    }
    if (in.base[5] != 0 || in.base[6] != 0 || in.base[7] != 0) {
        return err_set(err, ERR_PROTOCOL, "a frame '%s' with junk in its header", rule->name);
    }
    if (payload_bytes > rule->payload_bytes_max) {
        return err_set(err, ERR_PROTOCOL, "a frame '%s' of %u bytes, %u at most", rule->name,
                       payload_bytes, rule->payload_bytes_max);
    }
    if (in.len - WIRE_HEADER_BYTES < payload_bytes) {
        return 0;
    }
    *out = (struct wire_frame){rule->type, {in.base + WIRE_HEADER_BYTES, payload_bytes}};
    *frame_bytes = WIRE_HEADER_BYTES + (size_t)payload_bytes;
    return 1;
}

int wire_put(struct buf *out, uint8_t field, struct span value)
{
    if (value.len > UINT32_MAX - FIELD_HEADER_BYTES ||
        buf_reserve(out, FIELD_HEADER_BYTES + value.len) != 0) {
        return -1;
    }
    char header[FIELD_HEADER_BYTES] = {(char)field};
    write_u32(header + 1, (uint32_t)value.len);
    (void)buf_append(out, header, sizeof header); /* reserved above, as is the next */
    return buf_append(out, value.base, value.len);
}

int wire_put_u32(struct buf *out, uint8_t field, uint32_t value)
{
    char bytes[4];
    write_u32(bytes, value);
    return wire_put(out, field, (struct span){bytes, sizeof bytes});
}

int wire_put_u64(struct buf *out, uint8_t field, uint64_t value)
{
    char bytes[8];
    write_u32(bytes, (uint32_t)value);
    write_u32(bytes + 4, (uint32_t)(value >> 32));
    return wire_put(out, field, (struct span){bytes, sizeof bytes});
}

int wire_next(struct span *cursor, struct wire_field *out)
{
    if (cursor->len == 0) {
        return 0;
    }
    if (cursor->len < FIELD_HEADER_BYTES) {
        return -1;
    }
    uint32_t value_bytes = get_u32(cursor->base + 1);
    if (value_bytes > cursor->len - FIELD_HEADER_BYTES) {
        return -1;
    }
    out->number = (uint8_t)cursor->base[0];
    out->value = (struct span){cursor->base + FIELD_HEADER_BYTES, value_bytes};
    cursor->base += FIELD_HEADER_BYTES + value_bytes;
    cursor->len -= FIELD_HEADER_BYTES + value_bytes;
    return 1;
}

int wire_get_u32(struct span value, uint32_t *out)
{
    if (value.len != 4) {
        return -1;
    }
    *out = get_u32(value.base);
    return 0;
}

int wire_get_u64(struct span value, uint64_t *out)
{
    if (value.len != 8) {
        return -1;
    }
    *out = get_u64(value.base);
    return 0;
}
