/*
 * A hostile image: read entry by entry, then mounted as two layers at once, walked and changed. The
 * work is capped, because an image whose directories share children has any number of paths.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "guest/vfs/image.h"
#include "guest/vfs/vfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES_MAX = 300, LOAD_BYTES_MAX = 4096 };

static uint64_t no_time(void *context)
{
    (void)context;
    return 0;
}

static void touch(struct span bytes)
{
    volatile char sink = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        sink = (char)(sink ^ bytes.base[i]);
    }
}

static void read_entries(const struct image *image)
{
    for (uint32_t i = 0; i < image->entry_count && i < ENTRIES_MAX; i++) {
        struct image_entry entry;
        if (image_entry(image, i, &entry) != 0) {
            continue;
        }
        touch(entry.name);
        touch(entry.contents);
        uint32_t child;
        if (image_lookup(image, i, span_of("os.py"), &child) == 1) {
            assert(child > i);
        }
    }
}

struct visit {
    struct vfs *vfs;
    unsigned count;
};

/* Reads what is there; then makes and takes away names, which copies up and hides. */
static int visit_entry(void *context, const struct vfs_walk_entry *entry)
{
    struct visit *visit = context;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, LOAD_BYTES_MAX);
    struct vfs_stat stat;
    char target[64];
    vfs_load(visit->vfs, entry->path, &bytes);
    vfs_stat(visit->vfs, VFS_AT_FDCWD, entry->path, 0, &stat);
    vfs_readlink(visit->vfs, VFS_AT_FDCWD, entry->path, target, sizeof target);
    switch (visit->count % 4) {
    case 0: vfs_chmod(visit->vfs, VFS_AT_FDCWD, entry->path, 0600, 0); break;
    case 1:
        vfs_rename(visit->vfs, VFS_AT_FDCWD, entry->path, VFS_AT_FDCWD, span_of("/tmp/moved"));
        break;
    case 2: vfs_store(visit->vfs, entry->path, span_of("new"), 0644); break;
    default: vfs_unlink(visit->vfs, VFS_AT_FDCWD, entry->path, 0); break;
    }
    return ++visit->count >= ENTRIES_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size};
    struct image image;
    if (image_open(bytes, &image, NULL) == 0) {
        read_entries(&image);
    }
    const struct span images[] = {bytes, bytes};
    struct vfs_config config = {
        .images = images, .image_count = 2, .quota = vfs_quota_default(), .now_ns = no_time};
    struct visit visit = {.count = 0};
    if (vfs_new(&config, &visit.vfs, NULL) == 0) {
        vfs_walk(visit.vfs, span_of("/"), visit_entry, &visit);
        vfs_walk(visit.vfs, span_of("/tmp"), visit_entry, &visit);
        vfs_free(visit.vfs);
    }
    return 0;
}
