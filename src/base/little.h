/* Little-endian integers in bytes that need not be aligned. Whoever reads has checked the length.
 */
#ifndef BASE_LITTLE_H
#define BASE_LITTLE_H

#include <stdint.h>

static inline uint16_t get_u16(const char *bytes)
{
    const unsigned char *at = (const unsigned char *)bytes;
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t get_u32(const char *bytes)
{
    return get_u16(bytes) | (uint32_t)get_u16(bytes + 2) << 16;
}

static inline uint64_t get_u64(const char *bytes)
{
    return get_u32(bytes) | (uint64_t)get_u32(bytes + 4) << 32;
}

#endif
