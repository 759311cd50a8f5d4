/*
 * What is asked of the host for a granted directory: the only file of this folder that makes system
 * calls, and private to it. Runs in `vitrine-cell`.
 *
 * A path is one below a directory `root` that was opened before the jail closed: components with a
 * slash between them, none of them "." or ".."; the empty path is the root itself. The kernel
 * resolves it beneath that directory, without following a single symbolic link and without leaving
 * its file system (openat2(2)). Symbolic links are told as such; whoever follows them begins anew,
 * in the guest's own tree. Only regular files, directories and symbolic links exist: another thing
 * gives EACCES. What is opened is looked at once more when it is open.
 *
 * Functions return 0 or a count, or a negated enum guest_errno.
 */
#ifndef GUEST_VFS_HOST_H
#define GUEST_VFS_HOST_H

#include "base/buf.h"
#include "guest/vfs/vfs.h"

/* What is there; `dev` is left to the caller, and who it belongs to is not told. */
int host_stat(int root, const char *path, struct vfs_stat *out);
int host_fstat(int fd, struct vfs_stat *out);

int64_t host_readlink(int root, const char *path, char *out, size_t len);

enum host_access { HOST_PATH, HOST_READ, HOST_WRITE, HOST_READ_WRITE };

/* A descriptor of a regular file. One that has other names is not opened for writing (EPERM):
 * they may lie anywhere. The caller closes it with host_close. */
int host_open(int root, const char *path, enum host_access access);
/* The same for a file that is made for it; EEXIST when anything is there. */
int host_create(int root, const char *path, enum host_access access, uint32_t mode);
void host_close(int fd);

int64_t host_read(int fd, void *bytes, size_t len, uint64_t offset);
int64_t host_write(int fd, const void *bytes, size_t len, uint64_t offset);
int host_truncate(int fd, uint64_t size);
int host_sync(int fd);

/* Changes of what a path names, a file or a directory; permissions without special bits. */
int host_chmod(int root, const char *path, uint32_t mode);
int host_utimens(int root, const char *path, struct vfs_time atime, struct vfs_time mtime);
int host_fchmod(int fd, uint32_t mode);
int host_futimens(int fd, struct vfs_time atime, struct vfs_time mtime);

/* Names. */
int host_mkdir(int root, const char *path, uint32_t mode);
int host_unlink(int root, const char *path, bool is_dir);
int host_rename(int root, const char *from, const char *to);

/*
 * Appends the directory's entries, in no order: u64 inode number, u8 d_type (only of those things
 * that exist, as above), u8 length of the name, the name. Native byte order. EOVERFLOW when there
 * are more than LIMIT_GRANTED_NAMES_MAX, or when they do not fit.
 */
int host_list(int root, const char *path, struct buf *out, uint32_t *count);

#endif
