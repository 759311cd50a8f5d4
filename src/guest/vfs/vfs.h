/*
 * The guest's file system: everything under "/", and the guest's descriptors. Used by
 * `vitrine-cell` and `vitrine-precompile`, through guest/abi. All of it is in memory but for
 * directories of the host that were granted: for those alone system calls are made (host.c).
 * Nothing here reads a clock or knows the engine.
 *
 * The tree is a stack: read-only images (image.h), lowest first, and a writable layer over them.
 * A file of an image is copied up when it is first written; a deleted one is hidden by a whiteout.
 * The writable layer has quotas for bytes and for names.
 *
 * The caller has already checked guest pointers: paths and buffers here are host memory, borrowed
 * for the call. Paths are spans without a NUL. Functions return 0 or a count, or a negated
 * enum guest_errno. The numbers of flags, modes and commands are those of the guest's musl (the
 * generic Linux ones), repeated below so that the host's headers never decide what a guest means.
 *
 * Life: vfs_new, the calls, vfs_free. Inodes, image entries, devices, pipes and open files refer
 * to each other by number only, so that a file system can be written out and read back.
 */
#ifndef GUEST_VFS_VFS_H
#define GUEST_VFS_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/flow.h"
#include "base/save.h"
#include "base/span.h"
#include "guest/vfs/errno.h"

struct vfs;

/* The guest's own user and group; images belong to root (0). */
#define VFS_UID 1000U
#define VFS_GID 1000U

/* Where the guest starts: its home directory and first working directory. */
#define VFS_HOME "/home/vitrine"

/* Create. */

/* Called with the device's context; they return what the guest's read or write returns. */
struct vfs_device {
    void *context;
    int64_t (*read)(void *context, char *bytes, size_t len);        /* NULL: always at the end */
    int64_t (*write)(void *context, const char *bytes, size_t len); /* NULL: bytes vanish */
    unsigned (*poll)(void *context); /* bits of VFS_POLL*; NULL: always ready for both */
    bool stream;                     /* seeking gives ESPIPE, as on a pipe or terminal */
};

struct vfs_quota {
    uint64_t bytes_max;      /* contents in the writable layer, as allocated */
    uint64_t count_max;      /* names in the writable layer */
    uint32_t open_files_max; /* descriptors; at most LIMIT_OPEN_FILES_MAX */
};

/* The defaults of base/limits.h. */
struct vfs_quota vfs_quota_default(void);

struct vfs_config {
    const struct span *images; /* lowest first; their bytes are borrowed until vfs_free */
    size_t image_count;        /* at most LIMIT_IMAGE_COUNT_MAX */
    struct vfs_quota quota;
    uint64_t (*now_ns)(void *context); /* nanoseconds since 1970; asked at each change */
    void *now_context;
    struct vfs_device random;      /* /dev/random and /dev/urandom */
    struct vfs_device standard[3]; /* /dev/stdin, /dev/stdout, /dev/stderr; open as 0, 1, 2 */
};

/*
 * Makes a file system with /tmp, /home/vitrine and /dev over the images, and descriptors 0, 1, 2
 * open. *out is owned by the caller until vfs_free. ERR_FORMAT when an image is not one.
 */
int vfs_new(const struct vfs_config *config, struct vfs **out, struct err *err);
void vfs_free(struct vfs *vfs);

/* What a program may do in a directory of the host. */
enum vfs_grant {
    VFS_GRANT_READ,    /* read; EROFS for all else */
    VFS_GRANT_WRITE,   /* also make, change, rename and remove files and directories */
    VFS_GRANT_OVERLAY, /* changes stay in the writable layer, and count against its quotas */
};

/*
 * Shows the directory that `fd` refers to (borrowed until vfs_free) as `path`, which is absolute,
 * without "." and "..", and not there yet; directories above it are made. In it are regular files,
 * directories and symbolic links, which are followed within the guest's tree; nothing else of what
 * the host has there can be seen or opened. What is named otherwise than on Linux:
 * - links cannot be made in a directory that can be written (EPERM); a file that has other names
 *   already is not written to (EPERM);
 * - files belong to the guest's own user, and what may be done with them is the host's to say;
 * - in an overlay a directory of the host cannot be renamed (EXDEV); a file that was opened for
 *   reading goes on showing the host's contents when it is changed;
 * - what a file gains in size counts against the quota of bytes, what is made against that of
 *   names, apart from those of the writable layer.
 */
int vfs_grant(struct vfs *vfs, int fd, struct span path, enum vfs_grant grant, struct err *err);

/* Quotas. */

enum vfs_limit {
    VFS_LIMIT_BYTES = 1 << 0,
    VFS_LIMIT_COUNT = 1 << 1,
    VFS_LIMIT_OPEN_FILES = 1 << 2,
};

/* Sets the quotas of the next request and forgets which limits were hit. What is already stored
 * stays, even when it is more than the new quota. */
void vfs_set_quota(struct vfs *vfs, const struct vfs_quota *quota);

/* Bits of enum vfs_limit: which quota has refused something since the last vfs_set_quota. */
uint32_t vfs_limits_hit(const struct vfs *vfs);

/* Numbers that the guest's C library uses. */

#define VFS_AT_FDCWD            (-100)
#define VFS_AT_SYMLINK_NOFOLLOW 0x100
#define VFS_AT_REMOVEDIR        0x200
#define VFS_AT_SYMLINK_FOLLOW   0x400
#define VFS_AT_EMPTY_PATH       0x1000

#define VFS_O_ACCMODE   03
#define VFS_O_RDONLY    00
#define VFS_O_WRONLY    01
#define VFS_O_RDWR      02
#define VFS_O_CREAT     0100
#define VFS_O_EXCL      0200
#define VFS_O_TRUNC     01000
#define VFS_O_APPEND    02000
#define VFS_O_NONBLOCK  04000
#define VFS_O_DIRECTORY 0200000
#define VFS_O_NOFOLLOW  0400000
#define VFS_O_CLOEXEC   02000000
#define VFS_O_PATH      010000000
#define VFS_O_TMPFILE   020200000

#define VFS_S_IFMT  0170000U
#define VFS_S_IFIFO 0010000U
#define VFS_S_IFCHR 0020000U
#define VFS_S_IFDIR 0040000U
#define VFS_S_IFREG 0100000U
#define VFS_S_IFLNK 0120000U

#define VFS_R_OK 4
#define VFS_W_OK 2
#define VFS_X_OK 1

#define VFS_SEEK_SET 0
#define VFS_SEEK_CUR 1
#define VFS_SEEK_END 2

#define VFS_F_DUPFD         0
#define VFS_F_GETFD         1
#define VFS_F_SETFD         2
#define VFS_F_GETFL         3
#define VFS_F_SETFL         4
#define VFS_F_GETLK         5
#define VFS_F_SETLK         6
#define VFS_F_SETLKW        7
#define VFS_F_GETLK64       12
#define VFS_F_SETLK64       13
#define VFS_F_SETLKW64      14
#define VFS_F_DUPFD_CLOEXEC 1030
#define VFS_FD_CLOEXEC      1

#define VFS_POLLIN   0x001U
#define VFS_POLLOUT  0x004U
#define VFS_POLLERR  0x008U
#define VFS_POLLHUP  0x010U
#define VFS_POLLNVAL 0x020U

/* Plain values. */

struct vfs_stat {
    uint64_t dev;
    uint64_t ino;
    uint32_t mode; /* VFS_S_IF* and permissions */
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint64_t rdev; /* as makedev(3): major << 8 | minor */
    uint64_t size;
    uint32_t blksize;
    uint64_t blocks;  /* of 512 bytes */
    int64_t atime_ns; /* since 1970; may be negative */
    int64_t mtime_ns;
    int64_t ctime_ns;
};

struct vfs_dirent {
    uint64_t ino;
    uint64_t cookie; /* d_off: seek here to go on after this entry */
    uint8_t type;    /* d_type, as DT_*: 2 char, 4 directory, 8 regular, 10 symlink */
    uint8_t name_len;
    char name[256]; /* with a NUL */
};

struct vfs_statfs {
    uint64_t type; /* f_type: tmpfs */
    uint32_t block_bytes;
    uint64_t blocks;
    uint64_t blocks_free;
    uint64_t files;
    uint64_t files_free;
    uint32_t name_bytes_max;
};

enum vfs_time_kind { VFS_TIME_SET, VFS_TIME_NOW, VFS_TIME_OMIT };

struct vfs_time {
    enum vfs_time_kind kind;
    int64_t ns; /* for VFS_TIME_SET: since 1970 */
};

/* Open files: `fd` is a guest descriptor, the lowest free one is always taken. */

/* openat(2): a descriptor. `mode` is for files it creates, before the umask. */
int vfs_open(struct vfs *vfs, int dirfd, struct span path, int flags, uint32_t mode);
int vfs_close(struct vfs *vfs, int fd);
/* The count read or written, which may be less than `len`; 0 at the end of the file. */
int64_t vfs_read(struct vfs *vfs, int fd, void *bytes, size_t len);
int64_t vfs_write(struct vfs *vfs, int fd, const void *bytes, size_t len);
int64_t vfs_pread(struct vfs *vfs, int fd, void *bytes, size_t len, int64_t offset);
int64_t vfs_pwrite(struct vfs *vfs, int fd, const void *bytes, size_t len, int64_t offset);
/* The new offset. On a directory: 0, or a cookie of vfs_readdir. */
int64_t vfs_seek(struct vfs *vfs, int fd, int64_t offset, int whence);
int vfs_dup(struct vfs *vfs, int fd);
/* dup3(2): EINVAL when both are the same, which dup2(2) treats otherwise. */
int vfs_dup3(struct vfs *vfs, int fd, int new_fd, int flags);
/* fcntl(2) with an integer argument. For the *GETLK* commands 0 means "unlocked": the caller sets
 * l_type to F_UNLCK; the *SETLK* commands succeed, because nobody else can ever hold a lock. */
int vfs_fcntl(struct vfs *vfs, int fd, int command, int64_t argument);
int vfs_ftruncate(struct vfs *vfs, int fd, int64_t size);
int vfs_fallocate(struct vfs *vfs, int fd, int mode, int64_t offset, int64_t len);
int vfs_fsync(struct vfs *vfs, int fd);
int vfs_fstat(struct vfs *vfs, int fd, struct vfs_stat *out);
int vfs_fchmod(struct vfs *vfs, int fd, uint32_t mode);
int vfs_fchown(struct vfs *vfs, int fd, uint32_t uid, uint32_t gid);
int vfs_futimens(struct vfs *vfs, int fd, struct vfs_time atime, struct vfs_time mtime);
int vfs_fchdir(struct vfs *vfs, int fd);
/* One entry of an open directory, "." and ".." first: 1, or 0 at the end. A caller whose buffer
 * is full asks no further; the position is after the last entry that was returned. */
int vfs_readdir(struct vfs *vfs, int fd, struct vfs_dirent *out);
/* Bits of VFS_POLL*, of which the caller masks what it asked for; VFS_POLLNVAL for a bad fd. */
unsigned vfs_poll(struct vfs *vfs, int fd);
/* pipe2(2): fds[0] to read, fds[1] to write. Reading an empty pipe whose writer is open, and
 * writing a full one, give EAGAIN: there is nobody to wait for. */
int vfs_pipe(struct vfs *vfs, int fds[2], int flags);
/* 0 when the descriptor is open (nothing here is a terminal), EBADF otherwise. */
int vfs_fd_check(const struct vfs *vfs, int fd);

/* Paths, relative to a directory descriptor or VFS_AT_FDCWD. As on Linux, but for one thing:
 * symlinks whose targets add up to a path of 4096 bytes or more give ENAMETOOLONG. */

/* fstatat(2): flags VFS_AT_SYMLINK_NOFOLLOW, VFS_AT_EMPTY_PATH. */
int vfs_stat(struct vfs *vfs, int dirfd, struct span path, int flags, struct vfs_stat *out);
int vfs_access(struct vfs *vfs, int dirfd, struct span path, int mode, int flags);
int vfs_mkdir(struct vfs *vfs, int dirfd, struct span path, uint32_t mode);
/* Regular files only; EPERM for devices and FIFOs. */
int vfs_mknod(struct vfs *vfs, int dirfd, struct span path, uint32_t mode);
/* unlinkat(2): with VFS_AT_REMOVEDIR it is rmdir. */
int vfs_unlink(struct vfs *vfs, int dirfd, struct span path, int flags);
int vfs_rename(struct vfs *vfs, int old_dirfd, struct span old_path, int new_dirfd,
               struct span new_path);
/* linkat(2): flags VFS_AT_SYMLINK_FOLLOW. Each name counts against the quota. */
int vfs_link(struct vfs *vfs, int old_dirfd, struct span old_path, int new_dirfd,
             struct span new_path, int flags);
int vfs_symlink(struct vfs *vfs, struct span target, int dirfd, struct span path);
/* The count of bytes, cut at `len`, no NUL. */
int64_t vfs_readlink(struct vfs *vfs, int dirfd, struct span path, char *bytes, size_t len);
/* flags: VFS_AT_SYMLINK_NOFOLLOW (ENOTSUP on a symlink, as on Linux), VFS_AT_EMPTY_PATH. */
int vfs_chmod(struct vfs *vfs, int dirfd, struct span path, uint32_t mode, int flags);
/* Accepts the guest's own ids and -1; EPERM for any other. */
int vfs_chown(struct vfs *vfs, int dirfd, struct span path, uint32_t uid, uint32_t gid, int flags);
int vfs_utimens(struct vfs *vfs, int dirfd, struct span path, struct vfs_time atime,
                struct vfs_time mtime, int flags);
int vfs_truncate(struct vfs *vfs, int dirfd, struct span path, int64_t size);
int vfs_chdir(struct vfs *vfs, struct span path);
/* Writes the path and a NUL; returns the length with the NUL, ERANGE when `len` is too small,
 * ENOENT when the directory has been removed. */
int64_t vfs_getcwd(struct vfs *vfs, char *bytes, size_t len);
/* The numbers of the quota; the same for every path and descriptor that exists. */
int vfs_statfs(struct vfs *vfs, int dirfd, struct span path, struct vfs_statfs *out);
int vfs_fstatfs(struct vfs *vfs, int fd, struct vfs_statfs *out);
/* umask(2): the old mask. It starts as 022. */
uint32_t vfs_umask(struct vfs *vfs, uint32_t mask);

/* For the host's own use: permissions are not asked. */

/* Appends a whole regular file; ENOMEM when it does not fit out->bytes_max. */
int vfs_load(struct vfs *vfs, struct span path, struct buf *out);
/* Creates or replaces a regular file and the directories above it; quotas apply. */
int vfs_store(struct vfs *vfs, struct span path, struct span bytes, uint32_t mode);

/* From here on what is made or changed is fresh (struct vfs_walk_entry), and nothing else is. */
void vfs_mark(struct vfs *vfs);

/*
 * What the guest has written, for a snapshot: files, directories and symlinks with their modes and
 * times of change. Saving fails with ERR_USAGE when there is more than that: a file that is open or
 * has two names, an image's file that was removed, another working directory or umask.
 * Loading is for a new file system over the same images; after -1 it is good for vfs_free alone.
 * ERR_FORMAT, or in->is_bad.
 */
int vfs_save_state(struct vfs *vfs, struct saving *out, struct err *err);
int vfs_load_state(struct vfs *vfs, struct loading *in, struct err *err);

/*
 * All of it but the images: the writable layer, with what has been removed, names and numbers as
 * the guest knows them, open files, pipes, the working directory. It is saved in two parts: a
 * record of everything but the contents of files, and these, which may be more than one would keep
 * in memory. Loading is for a file system over the same images, or over others that have at the
 * same places at least what is referred to; what was in it is dropped. What is loaded is checked as
 * outside bytes are, and has to fit the quotas. After -1 the file system is good for vfs_free
 * alone. ERR_FORMAT, ERR_LIMIT, ERR_MEMORY, in->is_bad, and what the flow says.
 */
int vfs_save_whole(const struct vfs *vfs, struct saving *out, struct err *err);
int vfs_write_contents(const struct vfs *vfs, const struct flow_out *flow, struct err *err);
int vfs_load_whole(struct vfs *vfs, struct loading *in, struct err *err);
int vfs_read_contents(struct vfs *vfs, const struct flow_in *flow, struct err *err);

struct vfs_walk_entry {
    struct span path; /* absolute, without a final slash; borrowed for the call */
    struct vfs_stat stat;
    bool written; /* made or changed by the guest, and not only part of an image */
    bool fresh;   /* the same since the last vfs_mark */
};

/*
 * Visits `path` and everything below it, a directory before its contents, names in byte order.
 * Symlinks are visited, not followed; vfs_readlink and vfs_load may be called from `visit`, which
 * stops the walk by returning other than 0 (passed on). Paths of 4096 bytes or more give
 * ENAMETOOLONG.
 */
int vfs_walk(struct vfs *vfs, struct span path,
             int (*visit)(void *context, const struct vfs_walk_entry *entry), void *context);

#endif
