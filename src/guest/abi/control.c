#include "guest/abi/control.h"

#include <string.h>

#include "base/limits.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"
#include "wire/wire.h"

int64_t control_read(struct guest *guest, void *bytes, size_t len)
{
    size_t left = guest->request.len - guest->request_consumed;
    size_t n = len < left ? len : left;
    if (n > 0) {
        memcpy(bytes, guest->request.base + guest->request_consumed, n);
        guest->request_consumed += n;
    }
    return (int64_t)n;
}

int64_t control_write(struct guest *guest, const void *bytes, size_t len)
{
    if (guest->sink == NULL) {
        return -GUEST_EBADF; /* not running yet */
    }
    if (guest->result_written) {
        return guest_stop(guest, WIRE_END_PROTOCOL, 1, "a second result was written");
    }
    if (len > LIMIT_RESULT_FRAME_BYTES_MAX) {
        return guest_stop(guest, WIRE_END_PROTOCOL, 1, "a result of %zu bytes was written", len);
    }
    guest->result_written = true;
    if (guest->sink->result(guest->sink->context, (struct span){bytes, len}) != 0) {
        return guest_stop(guest, WIRE_END_PROTOCOL, 1, "the result was not taken");
    }
    return (int64_t)len;
}
