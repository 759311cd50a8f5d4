/* The heap's growth, and file mappings, which are copies in the guest's own heap. */
#include <string.h>

#include "base/limits.h"
#include "guest/abi/abi.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"
#include "wire/wire.h"

enum { GUEST_PAGE_BYTES = 65536, GUEST_PROT_WRITE = 2, GUEST_MAP_PRIVATE = 2 };

static int heap_max(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    values[0].i32 = (uint32_t)guest->memory_bytes_max;
    return 0;
}

/* Grows by at least a tenth at a time, as long as the limit allows, so that a heap that grows in
 * small steps does not come here for each of them. The result is 1 or 0. */
static int heap_resize(void *context, union engine_value *values)
{
    struct guest *guest = context;
    uint64_t wanted = values[0].i32;
    uint64_t now = engine_memory(guest->store, &guest->memory).len;
    uint64_t generous = now + now / 10;
    if (generous > guest->memory_bytes_max) {
        generous = guest->memory_bytes_max;
    }
    if (wanted > guest->memory_bytes_max) {
        guest->limits_hit |= WIRE_LIMIT_MEMORY;
        return abi_return(values, 0);
    }
    uint64_t target = wanted > generous ? wanted : generous;
    if (engine_memory_grow(guest->store, &guest->memory, target) != 0) {
        guest->limits_hit |= WIRE_LIMIT_MEMORY;
        return abi_return(values, 0);
    }
    return abi_return(values, 1);
}

/* Reads the mapped part of a file into `to`; the rest of the last page stays zero. */
static int64_t mapping_fill(struct guest *guest, int32_t fd, struct guest_addr to, uint32_t len,
                            int64_t offset)
{
    char *base = guest_memory_at(guest, to, len);
    if (base == NULL) {
        return -GUEST_EFAULT;
    }
    memset(base, 0, len);
    int64_t n = vfs_pread(guest->vfs, fd, base, len, offset);
    return n < 0 ? n : 0;
}

/* _mmap_js(len, prot, flags, fd, offset, *allocated, *addr) */
static int map_file(void *context, union engine_value *values)
{
    struct guest *guest = context;
    uint32_t len = values[0].i32;
    int32_t fd = abi_i32(values[3]);
    int64_t offset = (int64_t)values[4].i64;
    struct guest_addr allocated = guest_addr(values[5].i32);
    struct guest_addr addr = guest_addr(values[6].i32);
    uint32_t base = 0;
    if (len == 0 || offset < 0) {
        return abi_return(values, -GUEST_EINVAL);
    }
    if (len > UINT32_MAX - GUEST_PAGE_BYTES) {
        return abi_return(values, -GUEST_ENOMEM);
    }
    uint32_t room = (len + GUEST_PAGE_BYTES - 1) / GUEST_PAGE_BYTES * GUEST_PAGE_BYTES;
    const uint32_t args[] = {GUEST_PAGE_BYTES, room};
    struct err err;
    if (guest_call(guest, GUEST_MEMALIGN, args, 2, &base, &err) != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    if (base == 0) {
        return abi_return(values, -GUEST_ENOMEM);
    }
    int64_t result = mapping_fill(guest, fd, guest_addr(base), room, offset);
    if (result == 0 && (guest_memory_write_u32(guest, allocated, 1) != 0 ||
                        guest_memory_write_u32(guest, addr, base) != 0)) {
        result = -GUEST_EFAULT;
    }
    if (result != 0 && guest_call(guest, GUEST_FREE, &base, 1, NULL, &err) != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    return abi_return(values, result);
}

/* Shared mappings are written back here: (addr, len, prot, flags, fd, offset). */
static int64_t mapping_write_back(struct guest *guest, const union engine_value *values)
{
    uint32_t len = values[1].i32;
    const void *from = guest_memory_at(guest, guest_addr(values[0].i32), len);
    if (from == NULL) {
        return -GUEST_EFAULT;
    }
    if ((values[3].i32 & GUEST_MAP_PRIVATE) != 0) {
        return 0;
    }
    int64_t n = vfs_pwrite(guest->vfs, abi_i32(values[4]), from, len, (int64_t)values[5].i64);
    return n < 0 ? n : 0;
}

static int sync_mapping(void *context, union engine_value *values)
{
    return abi_return(values, mapping_write_back(context, values));
}

static int unmap_file(void *context, union engine_value *values)
{
    if ((values[2].i32 & GUEST_PROT_WRITE) == 0) {
        return abi_return(values, 0);
    }
    return abi_return(values, mapping_write_back(context, values));
}

const struct abi_row abi_memory[] = {
    {"emscripten_get_heap_max", ":i", heap_max}, {"emscripten_resize_heap", "i:i", heap_resize},
    {"_mmap_js", "iiiijii:i", map_file},         {"_msync_js", "iiiiij:i", sync_mapping},
    {"_munmap_js", "iiiiij:i", unmap_file},      {NULL, NULL, NULL},
};
