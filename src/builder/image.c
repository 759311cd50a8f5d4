/* vitrine-precompile image: packs folders of this machine into a read-only image. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "builder/commands.h"
#include "guest/vfs/image.h"

enum { PATH_BYTES_MAX = 4096, DEPTH_MAX = 32 };

#define FILE_BYTES_MAX (64 * MIB)

static int pack_file(struct image_writer *writer, int dir, const char *name, const char *guest_path,
                     struct err *err)
{
    cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    cleanup_buf struct buf bytes;
    buf_init(&bytes, FILE_BYTES_MAX);
    if (fd < 0) {
        return err_system(err, "open %s", name);
    }
    if (fd_read_all(fd, &bytes, err) != 0) {
        return err_prefix(err, "%s", name);
    }
    return image_writer_add_file(writer, span_of(guest_path), buf_span(&bytes), 0644, err);
}

/* Takes `dir`. Folders of bytecode are left out: it is made in the guest, for the guest's Python.
 */
static int pack_dir(struct image_writer *writer, int dir, const char *guest_path, unsigned depth,
                    struct err *err)
{
    if (depth > DEPTH_MAX) {
        close(dir);
        return err_set(err, ERR_LIMIT, "%s is nested more than %d deep", guest_path, DEPTH_MAX);
    }
    DIR *entries = fdopendir(dir);
    if (entries == NULL) {
        close(dir);
        return err_system(err, "list %s", guest_path);
    }
    int result = image_writer_add_dir(writer, span_of(guest_path), 0755, err);
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(entries)) != NULL) {
        char path[PATH_BYTES_MAX];
        struct stat st;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "__pycache__") == 0) {
            continue;
        }
        if ((size_t)snprintf(path, sizeof path, "%s/%s", guest_path, name) >= sizeof path) {
            result = err_set(err, ERR_LIMIT, "the path %s/%s is too long", guest_path, name);
        } else if (fstatat(dirfd(entries), name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            result = err_system(err, "stat %s", name);
        } else if (S_ISDIR(st.st_mode)) {
            int child = openat(dirfd(entries), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            result = child < 0 ? err_system(err, "open %s", name)
                               : pack_dir(writer, child, path, depth + 1, err);
        } else if (S_ISREG(st.st_mode)) {
            result = pack_file(writer, dirfd(entries), name, path, err);
        }
    }
    closedir(entries);
    return result;
}

int command_image(int argc, char **argv, struct err *err)
{
    if (argc < 3) {
        return err_set(err, ERR_USAGE,
                       "usage: vitrine-precompile image OUT.img GUESTDIR=HOSTDIR...");
    }
    struct image_writer *writer = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    int result = writer == NULL ? err_set(err, ERR_MEMORY, "no memory for an image") : 0;
    for (int i = 2; result == 0 && i < argc; i++) {
        char *host = strchr(argv[i], '=');
        if (host == NULL) {
            result = err_set(err, ERR_USAGE, "%s is not GUESTDIR=HOSTDIR", argv[i]);
            break;
        }
        *host++ = '\0';
        int dir = open(host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        result =
            dir < 0 ? err_system(err, "open %s", host) : pack_dir(writer, dir, argv[i], 0, err);
    }
    if (result == 0) {
        result = image_writer_write(writer, argv[1], err);
    }
    image_writer_free(writer);
    return result;
}
