#include "base/save.h"

#include "base/little.h"

void save_u32(struct saving *saving, uint32_t value)
{
    saving->is_full |= buf_append_u32(&saving->bytes, value) != 0;
}

void save_u64(struct saving *saving, uint64_t value)
{
    saving->is_full |= buf_append_u64(&saving->bytes, value) != 0;
}

void save_bytes(struct saving *saving, struct span bytes)
{
    if (bytes.len > UINT32_MAX) {
        saving->is_full = true;
        return;
    }
    save_u32(saving, (uint32_t)bytes.len);
    saving->is_full |= buf_append(&saving->bytes, bytes.base, bytes.len) != 0;
}

/* The next `len` bytes, or false. */
static bool take(struct loading *loading, size_t len, const char **bytes)
{
    if (loading->is_bad || len > loading->rest.len) {
        loading->is_bad = true;
        return false;
    }
    *bytes = loading->rest.base;
    loading->rest.base += len;
    loading->rest.len -= len;
    return true;
}

uint32_t load_u32(struct loading *loading)
{
    const char *bytes;
    return take(loading, sizeof(uint32_t), &bytes) ? get_u32(bytes) : 0;
}

uint64_t load_u64(struct loading *loading)
{
    const char *bytes;
    return take(loading, sizeof(uint64_t), &bytes) ? get_u64(bytes) : 0;
}

struct span load_bytes(struct loading *loading, size_t len_max)
{
    const char *bytes;
    const size_t len = load_u32(loading);
    if (len > len_max || !take(loading, len, &bytes)) {
        loading->is_bad = true;
        return (struct span){"", 0};
    }
    return (struct span){bytes, len};
}

uint32_t load_count(struct loading *loading, uint32_t max)
{
    const uint32_t value = load_u32(loading);
    if (value > max) {
        loading->is_bad = true;
        return 0;
    }
    return value;
}
