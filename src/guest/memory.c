#include "guest/memory.h"

#include <string.h>

#include "guest/state.h"

void *guest_memory_at(const struct guest *guest, struct guest_addr addr, size_t len)
{
    struct span memory = engine_memory(guest->store, &guest->memory);
    if (len > memory.len || addr.at > memory.len - len) {
        return NULL;
    }
    return (char *)memory.base + addr.at;
}

int guest_memory_read(const struct guest *guest, struct guest_addr addr, void *out, size_t len)
{
    const void *from = guest_memory_at(guest, addr, len);
    if (from == NULL) {
        return -1;
    }
    memcpy(out, from, len);
    return 0;
}

int guest_memory_write(const struct guest *guest, struct guest_addr addr, const void *bytes,
                       size_t len)
{
    void *to = guest_memory_at(guest, addr, len);
    if (to == NULL) {
        return -1;
    }
    memcpy(to, bytes, len);
    return 0;
}

int guest_memory_read_u32(const struct guest *guest, struct guest_addr addr, uint32_t *out)
{
    return guest_memory_read(guest, addr, out, sizeof *out);
}

int guest_memory_write_u32(const struct guest *guest, struct guest_addr addr, uint32_t value)
{
    return guest_memory_write(guest, addr, &value, sizeof value);
}

int guest_memory_write_u64(const struct guest *guest, struct guest_addr addr, uint64_t value)
{
    return guest_memory_write(guest, addr, &value, sizeof value);
}

int guest_memory_text(const struct guest *guest, struct guest_addr addr, size_t len_max,
                      struct span *out)
{
    struct span memory = engine_memory(guest->store, &guest->memory);
    if (addr.at >= memory.len) {
        return -1;
    }
    size_t room = memory.len - addr.at;
    if (len_max < room) {
        room = len_max + 1;
    }
    const char *start = memory.base + addr.at;
    const char *end = memchr(start, '\0', room);
    if (end == NULL) {
        return -1;
    }
    *out = (struct span){start, (size_t)(end - start)};
    return 0;
}
