/*
 * The record of a guest's files in a state, under libFuzzer: loaded over an image, then everything
 * is used that could not hang together, saved, and loaded once more. What must hold: no crash; what
 * could be loaded can be saved, and that can be loaded. (The rest of a state needs a guest:
 * tests/unit/test_durable.c damages whole ones.)
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

enum { WALK_MAX = 1000, LIST_MAX = 100, DESCRIPTORS = 64 };

static uint64_t no_time(void *context)
{
    (void)context;
    return 0;
}

/* Contents of files are all zeros. */
static int zeros_read(void *context, char *bytes, size_t len, struct err *err)
{
    (void)context;
    (void)err;
    memset(bytes, 0, len);
    return 0;
}

static void image_make(struct buf *out)
{
    struct image_writer *writer = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    buf_init(out, MIB);
    REQUIRE(writer != NULL);
    REQUIRE(image_writer_add_file(writer, span_of("lib/os.py"), span_of("x"), 0644, NULL) == 0);
    REQUIRE(image_writer_add_file(writer, span_of("lib/a/b"), span_of("y"), 0644, NULL) == 0);
    REQUIRE(image_writer_add_symlink(writer, span_of("lib64"), span_of("/lib"), NULL) == 0);
    REQUIRE(image_writer_finish(writer, out, NULL) == 0);
    image_writer_free(writer);
}

/* A file system with what `bytes` say in it, or NULL. */
static struct vfs *loaded(struct span bytes, const struct span *image)
{
    struct loading in = {.rest = bytes};
    struct vfs *vfs;
    const struct flow_in zeros = {NULL, zeros_read};
    const struct vfs_config config = {
        .images = image,
        .image_count = 1,
        .quota = {.bytes_max = MIB, .count_max = 1000, .open_files_max = LIMIT_OPEN_FILES_MAX},
        .now_ns = no_time};
    REQUIRE(vfs_new(&config, &vfs, NULL) == 0);
    if (vfs_load_whole(vfs, &in, NULL) != 0 || in.is_bad ||
        vfs_read_contents(vfs, &zeros, NULL) != 0) {
        vfs_free(vfs);
        return NULL;
    }
    return vfs;
}

static struct vfs *again(struct vfs *vfs, const struct span *image)
{
    struct saving out = {.is_full = false};
    buf_init(&out.bytes, LIMIT_STATE_RECORD_BYTES_MAX);
    REQUIRE(vfs_save_whole(vfs, &out, NULL) == 0 && !out.is_full);
    vfs_free(vfs);
    vfs = loaded(buf_span(&out.bytes), image);
    REQUIRE(vfs != NULL);
    buf_free(&out.bytes);
    return vfs;
}

static int visit(void *context, const struct vfs_walk_entry *entry)
{
    unsigned *count = context;
    (void)entry;
    return ++*count > WALK_MAX ? 1 : 0;
}

static void names_use(struct vfs *vfs)
{
    unsigned count = 0;
    char bytes[LIMIT_PATH_BYTES_MAX];
    (void)vfs_walk(vfs, span_of("/"), visit, &count);
    (void)vfs_getcwd(vfs, bytes, sizeof bytes);
    (void)vfs_store(vfs, span_of("/tmp/new/file"), span_of("new"), 0600);
    (void)vfs_store(vfs, span_of("here"), span_of("new"), 0600);
    (void)vfs_rename(vfs, VFS_AT_FDCWD, span_of("/tmp/a"), VFS_AT_FDCWD, span_of("/lib/a/c"));
    (void)vfs_rename(vfs, VFS_AT_FDCWD, span_of("/lib/a"), VFS_AT_FDCWD, span_of("/tmp/b"));
    (void)vfs_unlink(vfs, VFS_AT_FDCWD, span_of("/lib/os.py"), 0);
    (void)vfs_unlink(vfs, VFS_AT_FDCWD, span_of("/lib64"), 0);
}

static void files_use(struct vfs *vfs)
{
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        char bytes[16];
        struct vfs_dirent entry;
        (void)vfs_write(vfs, fd, "written", 7);
        (void)vfs_read(vfs, fd, bytes, sizeof bytes);
        (void)vfs_seek(vfs, fd, -1, VFS_SEEK_END);
        (void)vfs_ftruncate(vfs, fd, 2);
        (void)vfs_fchmod(vfs, fd, 0600);
        for (unsigned i = 0; i < LIST_MAX && vfs_readdir(vfs, fd, &entry) > 0; i++) {
        }
        if (fd % 2 == 0) {
            (void)vfs_close(vfs, fd);
        }
    }
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
    vfs = again(vfs, &layer);
    names_use(vfs);
    files_use(vfs);
    vfs = again(vfs, &layer);
    vfs_free(vfs);
    return 0;
}
