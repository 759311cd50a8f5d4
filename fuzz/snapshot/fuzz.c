/*
 * What a snapshot says of the files that a guest has written, under libFuzzer: put back over an
 * image into a new file system, which is then walked, saved, and loaded once more. What must hold:
 * no crash; what could be loaded and saved can be loaded again. (The rest of a record needs a
 * booted guest: tests/unit/test_snapshot.c damages whole files.)
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/save.h"
#include "guest/vfs/image.h"
#include "guest/vfs/vfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static uint64_t no_time(void *context)
{
    (void)context;
    return 0;
}

static void image_make(struct buf *out)
{
    struct image_writer *writer = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    buf_init(out, MIB);
    REQUIRE(writer != NULL);
    REQUIRE(image_writer_add_file(writer, span_of("lib/os.py"), span_of("x"), 0644, NULL) == 0);
    REQUIRE(image_writer_add_symlink(writer, span_of("lib64"), span_of("/lib"), NULL) == 0);
    REQUIRE(image_writer_finish(writer, out, NULL) == 0);
    image_writer_free(writer);
}

/* A file system with what `bytes` say in it, or NULL. */
static struct vfs *loaded(struct span bytes, const struct span *image)
{
    struct loading in = {.rest = bytes};
    struct vfs *vfs;
    const struct vfs_config config = {
        .images = image, .image_count = 1, .quota = vfs_quota_default(), .now_ns = no_time};
    REQUIRE(vfs_new(&config, &vfs, NULL) == 0);
    if (vfs_load_state(vfs, &in, NULL) != 0 || in.is_bad) {
        vfs_free(vfs);
        return NULL;
    }
    return vfs;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct buf image;
    if (image.base == NULL) {
        image_make(&image);
    }
    const struct span layer = buf_span(&image);
    struct vfs *vfs = loaded((struct span){(const char *)data, size}, &layer);
    if (vfs == NULL) {
        return 0;
    }
    struct saving out = {.is_full = false};
    buf_init(&out.bytes, LIMIT_SNAPSHOT_RECORD_BYTES_MAX);
    if (vfs_save_state(vfs, &out, NULL) == 0 && !out.is_full) {
        struct vfs *again = loaded(buf_span(&out.bytes), &layer);
        REQUIRE(again != NULL);
        vfs_free(again);
    }
    buf_free(&out.bytes);
    vfs_free(vfs);
    return 0;
}
