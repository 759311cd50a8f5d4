/*
 * The guest's heap before its process forks: private to src/guest.
 *
 * What a program allocates first comes out of the holes that booting left all over the heap, and
 * each hole is on a page that a forked child has to copy before it can write. So the holes are
 * filled beforehand, for good; children then allocate from the heap's end, side by side.
 */
#ifndef GUEST_HEAP_H
#define GUEST_HEAP_H

#include <stdint.h>

#include "base/err.h"

struct guest;

/* What the guest's allocator says about itself. */
struct heap_state {
    uint32_t free_bytes;        /* in all */
    uint32_t free_at_end_bytes; /* of these, behind everything that is in use */
    uint32_t end;               /* address behind the heap */
};

/* Both run code of the guest's allocator, which it may have overwritten: what they give is
 * untrusted, and they do a bounded number of calls. -1: ERR_TRAP, or ERR_LIMIT when it gives no end
 * of holes. */
int heap_look(struct guest *guest, struct heap_state *out, struct err *err);
int heap_fill(struct guest *guest, struct err *err);

#endif
