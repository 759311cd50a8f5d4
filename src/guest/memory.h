/*
 * The guest's linear memory, checked. Every address and length that comes from the guest goes
 * through here; nothing else in the tree turns a guest address into a host pointer.
 *
 * A pointer or span got here is good until the guest runs or its memory grows: read once, check,
 * use. Integers in memory are little-endian, as WebAssembly has them.
 */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct guest;

/* An address in the guest's memory. A struct, so that it is not mistaken for a number. */
struct guest_addr {
    uint32_t at;
};

static inline struct guest_addr guest_addr(uint32_t at)
{
    return (struct guest_addr){at};
}

/* `len` bytes at `addr` for reading and writing, or NULL when they are not all inside. A length
 * of 0 gives a pointer that must not be followed. */
void *guest_memory_at(const struct guest *guest, struct guest_addr addr, size_t len);

/* Copies; 0, or -1 when not all inside (nothing is copied then). */
int guest_memory_read(const struct guest *guest, struct guest_addr addr, void *out, size_t len);
int guest_memory_write(const struct guest *guest, struct guest_addr addr, const void *bytes,
                       size_t len);
int guest_memory_read_u32(const struct guest *guest, struct guest_addr addr, uint32_t *out);
int guest_memory_write_u32(const struct guest *guest, struct guest_addr addr, uint32_t value);
int guest_memory_write_u64(const struct guest *guest, struct guest_addr addr, uint64_t value);

/* The NUL-terminated text at `addr`, without its NUL: 0; -1 when it runs out of memory or is
 * longer than len_max. */
int guest_memory_text(const struct guest *guest, struct guest_addr addr, size_t len_max,
                      struct span *out);

#endif
