#include "guest/vfs/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"

enum { LIST_CHUNK_BYTES = 32768, NS_PER_S = 1000000000, PERMISSIONS = 0777 };

enum { DT_UNKNOWN_TYPE = 0, DT_DIRECTORY = 4, DT_REGULAR = 8, DT_SYMLINK = 10 };

/* ---- Errors ---------------------------------------------------------------------------------- */

static int error_of(int host)
{
    static const struct {
        int host;
        int guest;
    } rows[] = {
        {EACCES, GUEST_EACCES},   {EAGAIN, GUEST_EAGAIN},       {EBUSY, GUEST_EBUSY},
        {EDQUOT, GUEST_EDQUOT},   {EEXIST, GUEST_EEXIST},       {EFBIG, GUEST_EFBIG},
        {EINTR, GUEST_EINTR},     {EINVAL, GUEST_EINVAL},       {EISDIR, GUEST_EISDIR},
        {EMFILE, GUEST_EMFILE},   {EMLINK, GUEST_EMLINK},       {ENAMETOOLONG, GUEST_ENAMETOOLONG},
        {ENFILE, GUEST_ENFILE},   {ENOENT, GUEST_ENOENT},       {ENOMEM, GUEST_ENOMEM},
        {ENOSPC, GUEST_ENOSPC},   {ENOSYS, GUEST_ENOSYS},       {ENOTDIR, GUEST_ENOTDIR},
        {ENOTSUP, GUEST_ENOTSUP}, {ENOTEMPTY, GUEST_ENOTEMPTY}, {EPERM, GUEST_EPERM},
        {EROFS, GUEST_EROFS},     {ESTALE, GUEST_ESTALE},       {ETXTBSY, GUEST_ETXTBSY},
        {EXDEV, GUEST_EXDEV},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].host == host) {
            return -rows[i].guest;
        }
    }
    return -GUEST_EIO;
}

/* ---- Paths ----------------------------------------------------------------------------------- */

/* Another way than beneath the root, through a link or into another file system is refused. */
static int open_beneath(int root, const char *path, int flags, uint32_t mode)
{
    const struct open_how how = {
        .flags = (unsigned)flags | (unsigned)O_CLOEXEC,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    long fd;
    do {
        fd = syscall(SYS_openat2, root, *path == '\0' ? "." : path, &how, sizeof how);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0) {
        return (int)fd;
    }
    return errno == EXDEV || errno == ELOOP ? -GUEST_EACCES : error_of(errno);
}

void host_close(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* The directory that a path's last component is in, and that component. */
static int open_parent(int root, const char *path, const char **name)
{
    char parent[LIMIT_PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    *name = slash == NULL ? path : slash + 1;
    if (len >= sizeof parent) {
        return -GUEST_ENAMETOOLONG;
    }
    memcpy(parent, path, len);
    parent[len] = '\0';
    return **name == '\0' ? -GUEST_EBUSY : open_beneath(root, parent, O_PATH | O_DIRECTORY, 0);
}

/* ---- What is there --------------------------------------------------------------------------- */

static int64_t time_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

int host_fstat(int fd, struct vfs_stat *out)
{
    struct stat stat;
    /* By number: the C library's asks with a path, and a path could be another one. */
    if (syscall(SYS_fstat, fd, &stat) != 0) {
        return error_of(errno);
    }
    if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode) && !S_ISLNK(stat.st_mode)) {
        return -GUEST_EACCES;
    }
    *out = (struct vfs_stat){
        .ino = stat.st_ino,
        .mode = (stat.st_mode & S_IFMT) | (stat.st_mode & PERMISSIONS),
        .nlink = (uint32_t)stat.st_nlink,
        .uid = VFS_UID,
        .gid = VFS_GID,
        .size = (uint64_t)stat.st_size,
        .blksize = (uint32_t)stat.st_blksize,
        .blocks = (uint64_t)stat.st_blocks,
        .atime_ns = time_of(&stat.st_atim),
        .mtime_ns = time_of(&stat.st_mtim),
        .ctime_ns = time_of(&stat.st_ctim),
    };
    return 0;
}

int host_stat(int root, const char *path, struct vfs_stat *out)
{
    const int fd = open_beneath(root, path, O_PATH | O_NOFOLLOW, 0);
    if (fd < 0) {
        return fd;
    }
    const int status = host_fstat(fd, out);
    host_close(fd);
    return status;
}

int64_t host_readlink(int root, const char *path, char *out, size_t len)
{
    const int fd = open_beneath(root, path, O_PATH | O_NOFOLLOW, 0);
    if (fd < 0) {
        return fd;
    }
    const long count = syscall(SYS_readlinkat, fd, "", out, len);
    const int status = count < 0 ? error_of(errno) : 0;
    host_close(fd);
    return count < 0 ? status : count;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int flags_of(enum host_access access)
{
    switch (access) {
    case HOST_PATH: return O_PATH;
    case HOST_READ: return O_RDONLY;
    case HOST_WRITE: return O_WRONLY;
    case HOST_READ_WRITE: return O_RDWR;
    }
    return O_PATH;
}

/* It may have been swapped for another since it was looked at. */
static int check_opened(int fd, enum host_access access)
{
    struct vfs_stat stat;
    int status = host_fstat(fd, &stat);
    if (status == 0 && (stat.mode & VFS_S_IFMT) != VFS_S_IFREG) {
        status = -GUEST_EACCES;
    }
    if (status == 0 && access >= HOST_WRITE && stat.nlink > 1) {
        status = -GUEST_EPERM;
    }
    if (status != 0) {
        host_close(fd);
        return status;
    }
    return fd;
}

int host_open(int root, const char *path, enum host_access access)
{
    /* Not to wait for the other end of a pipe, should it have become one. */
    const int guard = access == HOST_PATH ? O_NOFOLLOW : O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    const int fd = open_beneath(root, path, flags_of(access) | guard, 0);
    return fd < 0 ? fd : check_opened(fd, access);
}

int host_create(int root, const char *path, enum host_access access, uint32_t mode)
{
    const int flags = flags_of(access) | O_CREAT | O_EXCL | O_NOFOLLOW;
    const int fd = open_beneath(root, path, flags, mode & PERMISSIONS);
    return fd < 0 ? fd : check_opened(fd, access);
}

int64_t host_read(int fd, void *bytes, size_t len, uint64_t offset)
{
    ssize_t count;
    do {
        count = pread(fd, bytes, len, (off_t)offset);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? error_of(errno) : count;
}

int64_t host_write(int fd, const void *bytes, size_t len, uint64_t offset)
{
    ssize_t count;
    do {
        count = pwrite(fd, bytes, len, (off_t)offset);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? error_of(errno) : count;
}

int host_truncate(int fd, uint64_t size)
{
    return ftruncate(fd, (off_t)size) != 0 ? error_of(errno) : 0;
}

int host_sync(int fd)
{
    return fsync(fd) != 0 ? error_of(errno) : 0;
}

int host_fchmod(int fd, uint32_t mode)
{
    return fchmod(fd, mode & PERMISSIONS) != 0 ? error_of(errno) : 0;
}

static struct timespec timespec_of(struct vfs_time time)
{
    switch (time.kind) {
    case VFS_TIME_NOW: return (struct timespec){.tv_nsec = UTIME_NOW};
    case VFS_TIME_OMIT: return (struct timespec){.tv_nsec = UTIME_OMIT};
    case VFS_TIME_SET: break;
    }
    int64_t seconds = time.ns / NS_PER_S;
    int64_t rest = time.ns % NS_PER_S;
    if (rest < 0) {
        seconds--;
        rest += NS_PER_S;
    }
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)rest};
}

int host_futimens(int fd, struct vfs_time atime, struct vfs_time mtime)
{
    const struct timespec times[] = {timespec_of(atime), timespec_of(mtime)};
    return futimens(fd, times) != 0 ? error_of(errno) : 0;
}

/* A descriptor through which a thing's looks can be changed. */
static int open_to_change(int root, const char *path)
{
    struct vfs_stat stat;
    const int fd = open_beneath(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    int status = fd < 0 ? fd : host_fstat(fd, &stat);
    if (status == 0 && (stat.mode & VFS_S_IFMT) == VFS_S_IFREG && stat.nlink > 1) {
        status = -GUEST_EPERM;
    }
    if (fd >= 0 && status != 0) {
        host_close(fd);
    }
    return status != 0 ? status : fd;
}

int host_chmod(int root, const char *path, uint32_t mode)
{
    const int fd = open_to_change(root, path);
    const int status = fd < 0 ? fd : host_fchmod(fd, mode);
    host_close(fd);
    return status;
}

int host_utimens(int root, const char *path, struct vfs_time atime, struct vfs_time mtime)
{
    const int fd = open_to_change(root, path);
    const int status = fd < 0 ? fd : host_futimens(fd, atime, mtime);
    host_close(fd);
    return status;
}

/* ---- Names ----------------------------------------------------------------------------------- */

int host_mkdir(int root, const char *path, uint32_t mode)
{
    const char *name;
    const int parent = open_parent(root, path, &name);
    if (parent < 0) {
        return parent;
    }
    const int status = mkdirat(parent, name, mode & PERMISSIONS) != 0 ? error_of(errno) : 0;
    host_close(parent);
    return status;
}

int host_unlink(int root, const char *path, bool is_dir)
{
    const char *name;
    const int parent = open_parent(root, path, &name);
    if (parent < 0) {
        return parent;
    }
    const int status = unlinkat(parent, name, is_dir ? AT_REMOVEDIR : 0) != 0 ? error_of(errno) : 0;
    host_close(parent);
    return status;
}

int host_rename(int root, const char *from, const char *to)
{
    const char *from_name;
    const char *to_name;
    const int from_parent = open_parent(root, from, &from_name);
    const int to_parent = from_parent < 0 ? -1 : open_parent(root, to, &to_name);
    int status = from_parent < 0 ? from_parent : to_parent < 0 ? to_parent : 0;
    if (status == 0 && renameat(from_parent, from_name, to_parent, to_name) != 0) {
        status = error_of(errno);
    }
    host_close(from_parent);
    host_close(to_parent);
    return status;
}

/* ---- Listing --------------------------------------------------------------------------------- */

/* As getdents64(2) writes them. */
struct linux_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

static bool is_shown(int root, const char *dir, const char *name, uint8_t *type)
{
    if (*type == DT_UNKNOWN_TYPE) {
        char path[LIMIT_PATH_BYTES_MAX];
        struct vfs_stat stat;
        const int len = snprintf(path, sizeof path, "%s%s%s", dir, *dir == '\0' ? "" : "/", name);
        if (len < 0 || (size_t)len >= sizeof path || host_stat(root, path, &stat) != 0) {
            return false;
        }
        *type = (uint8_t)((stat.mode & VFS_S_IFMT) >> 12);
    }
    return *type == DT_DIRECTORY || *type == DT_REGULAR || *type == DT_SYMLINK;
}

static int list_chunk(int root, const char *dir, struct span chunk, struct buf *out,
                      uint32_t *count)
{
    for (size_t at = 0; at < chunk.len;) {
        const struct linux_dirent *entry = (const void *)(chunk.base + at);
        const size_t len = strlen(entry->name);
        uint8_t type = entry->type;
        at += entry->reclen;
        if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0 ||
            len > LIMIT_NAME_BYTES_MAX || !is_shown(root, dir, entry->name, &type)) {
            continue;
        }
        const char head[] = {(char)type, (char)len};
        if (++*count > LIMIT_GRANTED_NAMES_MAX ||
            buf_append(out, &entry->ino, sizeof entry->ino) != 0 ||
            buf_append(out, head, sizeof head) != 0 || buf_append(out, entry->name, len) != 0) {
            return -GUEST_EOVERFLOW;
        }
    }
    return 0;
}

int host_list(int root, const char *path, struct buf *out, uint32_t *count)
{
    _Alignas(struct linux_dirent) char chunk[LIST_CHUNK_BYTES];
    const int fd = open_beneath(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    int status = fd < 0 ? fd : 0;
    *count = 0;
    while (status == 0) {
        const long len = syscall(SYS_getdents64, fd, chunk, sizeof chunk);
        if (len <= 0) {
            status = len < 0 ? error_of(errno) : 0;
            break;
        }
        status = list_chunk(root, path, (struct span){chunk, (size_t)len}, out, count);
    }
    host_close(fd);
    return status;
}
