/* vitrine-precompile bytecode: boots a guest on images, runs a script in it, and packs what is
 * there then. */
#include <getopt.h>
#include <stddef.h>

#include "base/fd.h"
#include "base/limits.h"
#include "builder/commands.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"
#include "guest/vfs/image.h"
#include "guest/vfs/vfs.h"

enum { IMAGES_MAX = 8 };

#define FILE_BYTES_MAX (64 * MIB)

struct repack {
    struct vfs *vfs;
    struct image_writer *writer;
    struct err *err;
};

static int repack_entry(void *context, const struct vfs_walk_entry *entry)
{
    struct repack *repack = context;
    switch (entry->stat.mode & VFS_S_IFMT) {
    case VFS_S_IFDIR: return image_writer_add_dir(repack->writer, entry->path, 0755, repack->err);
    case VFS_S_IFREG: {
        cleanup_buf struct buf bytes;
        buf_init(&bytes, FILE_BYTES_MAX);
        if (vfs_load(repack->vfs, entry->path, &bytes) < 0) {
            return err_set(repack->err, ERR_FORMAT, "cannot read the guest's %.*s",
                           (int)entry->path.len, entry->path.base);
        }
        return image_writer_add_file(repack->writer, entry->path, buf_span(&bytes), 0644,
                                     repack->err);
    }
    default: return 0;
    }
}

struct bytecode_job {
    const char *out;
    const char *core;
    const char *images[IMAGES_MAX + 1];
    const char *script;
    const char *root;
};

static int bytecode_make(void *context, struct err *err)
{
    const struct bytecode_job *job = context;
    const struct guest_config config = {
        .core_path = job->core,
        .image_paths = job->images,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
    };
    cleanup_buf struct buf script;
    buf_init(&script, FILE_BYTES_MAX);
    struct guest *guest = NULL;
    if (fd_read_file(job->script, &script, err) != 0 || buf_append_char(&script, '\0') != 0 ||
        guest_load(&config, &guest, err) != 0) {
        return -1;
    }
    if (guest_boot_bare(guest, err) != 0) {
        guest_free(guest);
        return -1;
    }
    struct repack repack = {guest_files(guest), image_writer_new(IMAGE_MTIME_DEFAULT_S), err};
    int result = repack.writer == NULL ? err_set(err, ERR_MEMORY, "no memory for an image")
                                       : guest_execute(guest, script.base, err);
    if (result == 0) {
        result = vfs_walk(repack.vfs, span_of(job->root), repack_entry, &repack);
        if (result < -1) {
            err_set(err, ERR_MISSING, "the guest has no %s (error %d)", job->root, -result);
        }
    }
    if (result == 0) {
        result = image_writer_write(repack.writer, job->out, err);
    }
    image_writer_free(repack.writer);
    guest_free(guest);
    return result == 0 ? 0 : -1;
}

int command_bytecode(int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"core", required_argument, NULL, 'c'},
        {"image", required_argument, NULL, 'i'},
        {"script", required_argument, NULL, 's'},
        {"root", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    struct bytecode_job job = {0};
    size_t images = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c': job.core = optarg; break;
        case 'i':
            if (images == IMAGES_MAX) {
                return err_set(err, ERR_LIMIT, "more than %d images", IMAGES_MAX);
            }
            job.images[images++] = optarg;
            break;
        case 's': job.script = optarg; break;
        case 'r': job.root = optarg; break;
        default: return err_set(err, ERR_USAGE, "unknown option");
        }
    }
    if (optind + 1 != argc || job.core == NULL || images == 0 || job.script == NULL ||
        job.root == NULL) {
        return err_set(err, ERR_USAGE,
                       "usage: vitrine-precompile bytecode OUT.img --core CORE.cwasm "
                       "--image IN.img... --script S.py --root GUESTDIR");
    }
    job.out = argv[optind];
    return run_on_stack(bytecode_make, &job, err);
}
