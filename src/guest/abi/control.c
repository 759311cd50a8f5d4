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

/* CPython's Include/refcount.h, for 32-bit builds: what counts as immortal, and what to write. */
#define IMMORTAL_MINIMUM 0x40000000u
#define IMMORTAL_INITIAL 0x50000000u

/* Before a program runs, the runner writes the addresses of objects whose reference counts, their
 * first word, are to be made immortal (python/vitrine/immortal.py). */
static int64_t immortal_set(struct guest *guest, const char *addresses, size_t len)
{
    for (size_t i = 0; i + sizeof(uint32_t) <= len; i += sizeof(uint32_t)) {
        uint32_t at;
        uint32_t count;
        memcpy(&at, addresses + i, sizeof at);
        if (guest_memory_read_u32(guest, guest_addr(at), &count) != 0) {
            return -GUEST_EFAULT;
        }
        if (count < IMMORTAL_MINIMUM) {
            (void)guest_memory_write_u32(guest, guest_addr(at), IMMORTAL_INITIAL);
        }
    }
    return (int64_t)len;
}

int64_t control_write(struct guest *guest, const void *bytes, size_t len)
{
    if (guest->sink == NULL) {
        return immortal_set(guest, bytes, len);
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

/* ---- Questions ------------------------------------------------------------------------------- */

static bool may_fetch(const struct guest *guest)
{
    return guest->sink != NULL && guest->sink->fetch != NULL && !guest->ended;
}

int64_t fetch_read(struct guest *guest, void *bytes, size_t len)
{
    if (!may_fetch(guest)) {
        return -GUEST_EPERM;
    }
    size_t left = guest->answer.len - guest->answer_consumed;
    size_t n = len < left ? len : left;
    if (n > 0) {
        memcpy(bytes, guest->answer.base + guest->answer_consumed, n);
        guest->answer_consumed += n;
    }
    if (n == left) { /* an answer can be large, and nobody else frees it */
        buf_free(&guest->answer);
        guest->answer_consumed = 0;
    }
    return (int64_t)n;
}

int64_t fetch_write(struct guest *guest, const void *bytes, size_t len)
{
    if (!may_fetch(guest)) {
        return -GUEST_EPERM;
    }
    if (len > LIMIT_FETCH_ASK_BYTES_MAX) {
        return -GUEST_EMSGSIZE;
    }
    buf_free(&guest->answer);
    buf_init(&guest->answer, LIMIT_FETCH_ANSWER_BYTES_MAX);
    guest->answer_consumed = 0;
    if (guest->sink->fetch(guest->sink->context, (struct span){bytes, len}, &guest->answer) != 0) {
        return guest_stop(guest, WIRE_END_PROTOCOL, 1, "a question was not answered");
    }
    return (int64_t)len;
}

/* ---- Display --------------------------------------------------------------------------------- */

int64_t display_write(struct guest *guest, const void *bytes, size_t len)
{
    if (guest->sink == NULL || guest->sink->display == NULL || guest->ended) {
        return -GUEST_EPERM;
    }
    if (len > LIMIT_DISPLAY_ITEM_BYTES_MAX) {
        return -GUEST_EMSGSIZE;
    }
    if (guest->display_count_left == 0 || len > guest->display_bytes_left) {
        guest->limits_hit |= WIRE_LIMIT_DISPLAY;
        return -GUEST_ENOSPC;
    }
    guest->display_count_left--;
    guest->display_bytes_left -= len;
    if (guest->sink->display(guest->sink->context, (struct span){bytes, len}) != 0) {
        return guest_stop(guest, WIRE_END_PROTOCOL, 1, "what was displayed was not taken");
    }
    return (int64_t)len;
}
