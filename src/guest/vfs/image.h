/*
 * A read-only tree of files in one run of bytes, made to be mapped and used in place. Written by
 * `vitrine-precompile` (writer.c), read by `vitrine-cell` (image.c).
 *
 * Nothing is unpacked and nothing is copied at start: opening checks the header alone, and every
 * offset is checked at the moment it is used. A damaged or hostile image gives errors, never a read
 * outside its bytes.
 *
 * Layout, all integers little-endian:
 *   header, 64 bytes: magic "VITRIMG" and NUL, u32 version, u32 entry count, u64 offset of the
 *     entries, u64 offset and u64 size of the names, u64 offset and u64 size of the data,
 *     u64 time of all files in seconds since 1970;
 *   entries, 32 bytes each: u64 offset (in the data), u64 size, u32 offset of the name (in the
 *     names), u16 length of the name, u16 mode (type and permissions), u32 first child, u32 count
 *     of children. Entry 0 is the root. The children of a directory lie together, sorted by name
 *     (as memcmp), at greater numbers than the directory itself, so that no loop can be made;
 *   names; data, each file at a multiple of 16 bytes.
 */
#ifndef GUEST_VFS_IMAGE_H
#define GUEST_VFS_IMAGE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Reading. */

struct image {
    struct span bytes; /* borrowed */
    struct span names;
    struct span data;
    const char *entries;
    uint32_t entry_count;
    uint64_t mtime_s;
};

struct image_entry {
    struct span name;     /* empty for the root; borrows the image, as do the contents */
    struct span contents; /* of a file or symlink */
    uint32_t mode;        /* type and permissions, numbered as VFS_S_IF* */
    uint32_t first_child; /* of a directory */
    uint32_t child_count;
};

#define IMAGE_ROOT 0U

/* Checks the header; `bytes` are borrowed for the life of *out. 0, or -1 with ERR_FORMAT. */
int image_open(struct span bytes, struct image *out, struct err *err);

/* Reads entry `index`; 0, or -1 when it does not exist or points outside the image. */
int image_entry(const struct image *image, uint32_t index, struct image_entry *out);

/* Finds a child of directory `dir` by name: 1 and its index, 0 when there is none, -1 when the
 * image is damaged. */
int image_lookup(const struct image *image, uint32_t dir, struct span name, uint32_t *index);

/* Writing. */

struct image_writer;

/* An empty tree whose files all have the given time. NULL without memory; owned by the caller. */
struct image_writer *image_writer_new(uint64_t mtime_s);
void image_writer_free(struct image_writer *writer);

/* The time of files when nobody has a better one: 1980-01-01, the oldest that a zip can say. */
#define IMAGE_MTIME_DEFAULT_S 315532800ULL

/*
 * Add to the tree. A path is absolute or relative to the root, without "." and ".."; directories
 * above it are made as needed (mode 0755). Bytes are copied, but by the
 * borrowing one, which needs them until the writer is freed. `mode` is permissions only. Adding a
 * directory that is there changes its mode; adding anything else twice is ERR_USAGE.
 */
int image_writer_add_dir(struct image_writer *writer, struct span path, uint32_t mode,
                         struct err *err);
int image_writer_add_file(struct image_writer *writer, struct span path, struct span bytes,
                          uint32_t mode, struct err *err);
int image_writer_borrow_file(struct image_writer *writer, struct span path, struct span bytes,
                             uint32_t mode, struct err *err);
int image_writer_add_symlink(struct image_writer *writer, struct span path, struct span target,
                             struct err *err);

/* Appends the finished image (the same tree gives the same bytes), or puts it in place as a file
 * by rename. The writer can be finished again after more has been added. */
int image_writer_finish(struct image_writer *writer, struct buf *out, struct err *err);
int image_writer_write(struct image_writer *writer, const char *path, struct err *err);

#endif
