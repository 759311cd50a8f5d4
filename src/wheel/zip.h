/*
 * The directory of a zip archive, read strictly: private to src/wheel, and the first half of the
 * rules in wheel.h. An archive is taken only if its entries lie one after the other from the first
 * byte to the directory, the directory ends where the only end record begins, and that record ends
 * the file; so every byte has one meaning, and nothing hides between.
 */
#ifndef WHEEL_ZIP_H
#define WHEEL_ZIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct zip_entry {
    struct span name; /* without the final slash of a directory; borrows the archive, as `packed` */
    struct span packed;
    uint64_t local_at;
    uint32_t bytes; /* unpacked */
    uint32_t packed_bytes;
    uint32_t crc;
    uint16_t flags;
    uint16_t method;
    bool is_directory;
    bool is_executable;
};

struct zip {
    struct zip_entry *entries; /* sorted by name, as memcmp */
    size_t count;
};

/* `bytes` are borrowed until zip_close. -1: ERR_FORMAT, ERR_LIMIT, ERR_MEMORY; nothing to close. */
int zip_open(struct span bytes, struct zip *out, struct err *err);
void zip_close(struct zip *zip);

/* The entry with that name, or NULL. */
const struct zip_entry *zip_find(const struct zip *zip, struct span name);

/* Appends an entry's contents, checked by size and CRC. On failure `out` is as it was. */
int zip_read(const struct zip_entry *entry, struct buf *out, struct err *err);

/* A name as it may stand in a message: printable ASCII, not too long. */
enum { ZIP_SHOWN_CHARS = 120 };
const char *zip_show(struct span name, char shown[ZIP_SHOWN_CHARS]);

#endif
