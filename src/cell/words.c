#include "cell/words.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "jail/jail.h"

int words_send(enum wire_type type, struct span payload)
{
    cleanup_buf struct buf packet;
    buf_init(&packet, WIRE_HEADER_BYTES + LIMIT_CONTROL_FRAME_BYTES_MAX);
    if (wire_append_frame(&packet, type, payload) != 0) {
        return -1;
    }
    ssize_t n;
    do {
        n = send(CONTROL_FD, packet.base, packet.len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

int words_number(enum wire_type type, uint32_t number)
{
    cleanup_buf struct buf payload;
    buf_init(&payload, sizeof number);
    return buf_append_u32(&payload, number) == 0 ? words_send(type, buf_span(&payload)) : -1;
}

int words_exited(uint32_t number, uint32_t status)
{
    cleanup_buf struct buf payload;
    buf_init(&payload, 2 * sizeof(uint32_t));
    if (buf_append_u32(&payload, number) != 0 || buf_append_u32(&payload, status) != 0) {
        return -1;
    }
    return words_send(WIRE_EXITED, buf_span(&payload));
}
