#include "guest/heap.h"

#include <string.h>

#include "base/limits.h"
#include "guest/memory.h"
#include "guest/state.h"

/* The fields of `struct mallinfo` (the C library's malloc.h), each an int. */
enum { INFO_FIELDS = 10, INFO_FREE = 8, INFO_FREE_AT_END = 9 };

/* Between the last free piece and the heap's end: what the allocator notes there. */
enum { END_NOTE_BYTES = 40 };

/* Of a free piece: its size, and those of its neighbours. */
enum { HEADER_BYTES = 16 };

/* Pieces are asked for from large to small; a smaller one than the smallest fills no hole that a
 * program could use. */
enum { PIECE_BYTES_MAX = 64 * 1024, PIECE_BYTES_MIN = 8 };

static int look_into(struct guest *guest, uint32_t info_at, struct heap_state *out, struct err *err)
{
    uint32_t info[INFO_FIELDS];
    const uint32_t nothing = 0;
    if (guest_call(guest, GUEST_MALLINFO, &info_at, 1, NULL, err) != 0 ||
        guest_call(guest, GUEST_SBRK, &nothing, 1, &out->end, err) != 0) {
        return -1;
    }
    if (guest_memory_read(guest, guest_addr(info_at), info, sizeof info) != 0) {
        return err_set(err, ERR_TRAP, "the guest's allocator gives what is not there");
    }
    out->free_bytes = info[INFO_FREE];
    out->free_at_end_bytes = info[INFO_FREE_AT_END];
    return 0;
}

int heap_look(struct guest *guest, struct heap_state *out, struct err *err)
{
    const uint32_t bytes = INFO_FIELDS * sizeof(uint32_t);
    uint32_t at = 0;
    return guest_call(guest, GUEST_MALLOC, &bytes, 1, &at, err) != 0 ||
                   look_into(guest, at, out, err) != 0
               ? -1
               : guest_call(guest, GUEST_FREE, &at, 1, NULL, err);
}

/* Fills the holes of `bytes` and more. The allocator takes the smallest that fits, and the heap's
 * end when none does. */
static int fill(struct guest *guest, uint32_t bytes, uint32_t end_at, uint32_t *count,
                struct err *err)
{
    for (;;) {
        uint32_t at = 0;
        if (guest_call(guest, GUEST_MALLOC, &bytes, 1, &at, err) != 0) {
            return -1;
        }
        if (at >= end_at) {
            return guest_call(guest, GUEST_FREE, &at, 1, NULL, err);
        }
        if (at == 0) {
            return 0;
        }
        if (++*count == LIMIT_HEAP_HOLES_MAX) {
            return err_set(err, ERR_LIMIT, "the guest's heap has no end of holes");
        }
    }
}

/* What is free at the end is made empty, so that it need not lie on any page before it is used. */
static void clear_end(struct guest *guest, uint32_t from, uint32_t to)
{
    if (from < to) {
        void *free_bytes = guest_memory_at(guest, guest_addr(from), to - from);
        if (free_bytes != NULL) {
            memset(free_bytes, 0, to - from);
        }
    }
}

int heap_fill(struct guest *guest, struct err *err)
{
    struct heap_state heap;
    uint32_t count = 0;
    if (heap_look(guest, &heap, err) != 0) {
        return -1;
    }
    const uint32_t end_at = heap.end - heap.free_at_end_bytes - END_NOTE_BYTES;
    for (uint32_t bytes = PIECE_BYTES_MAX; bytes >= PIECE_BYTES_MIN; bytes /= 2) {
        if (fill(guest, bytes, end_at, &count, err) != 0) {
            return -1;
        }
    }
    clear_end(guest, end_at + HEADER_BYTES, heap.end - END_NOTE_BYTES);
    return 0;
}
