/* What image.c and writer.c agree on; image.h says what the fields mean. */
#ifndef GUEST_VFS_IMAGE_FORMAT_H
#define GUEST_VFS_IMAGE_FORMAT_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define IMAGE_MAGIC       "VITRIMG"
#define IMAGE_MAGIC_BYTES 8U
#define IMAGE_VERSION     1U
#define IMAGE_ALIGN       16U

enum {
    IMAGE_HEADER_BYTES = 64,
    IMAGE_HEADER_VERSION = 8,
    IMAGE_HEADER_COUNT = 12,
    IMAGE_HEADER_ENTRIES = 16,
    IMAGE_HEADER_NAMES = 24,
    IMAGE_HEADER_NAMES_BYTES = 32,
    IMAGE_HEADER_DATA = 40,
    IMAGE_HEADER_DATA_BYTES = 48,
    IMAGE_HEADER_MTIME = 56,
};

enum {
    IMAGE_ENTRY_BYTES = 32,
    IMAGE_ENTRY_OFFSET = 0,
    IMAGE_ENTRY_SIZE = 8,
    IMAGE_ENTRY_NAME = 16,
    IMAGE_ENTRY_NAME_LEN = 20,
    IMAGE_ENTRY_MODE = 22,
    IMAGE_ENTRY_CHILD = 24,
    IMAGE_ENTRY_CHILD_COUNT = 28,
};

#define IMAGE_MODE_TYPE 0170000U
#define IMAGE_MODE_DIR  0040000U
#define IMAGE_MODE_FILE 0100000U
#define IMAGE_MODE_LINK 0120000U

static inline uint16_t image_get_u16(const char *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return le16toh(value);
}

static inline uint32_t image_get_u32(const char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

static inline uint64_t image_get_u64(const char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return le64toh(value);
}

static inline void image_put_u16(char *bytes, uint16_t value)
{
    value = htole16(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void image_put_u32(char *bytes, uint32_t value)
{
    value = htole32(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void image_put_u64(char *bytes, uint64_t value)
{
    value = htole64(value);
    memcpy(bytes, &value, sizeof value);
}

#endif
