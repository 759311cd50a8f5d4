/* Calls that ask for or change what a file is, by path and by descriptor. */
#include "guest/vfs/tree.h"

enum { PERMISSIONS = 07777, STATFS_TYPE_TMPFS = 0x01021994, STATFS_BLOCK_BYTES = 4096 };

/* The node that a path names; the caller has dealt with a descriptor that is itself meant. */
static int find_node(struct vfs *vfs, int dirfd, struct span path, int flags, int flags_allowed,
                     struct lookup *out)
{
    if ((flags & ~flags_allowed) != 0) {
        return -GUEST_EINVAL;
    }
    if (path.len == 0 && (flags & VFS_AT_EMPTY_PATH) != 0) {
        /* No descriptor either (see is_descriptor): the working directory, without a look-up. */
        *out =
            (struct lookup){.kind = LAST_DOT, .parent = vfs->cwd, .node = vnode_of_inode(vfs->cwd)};
        return 0;
    }
    unsigned follow = (flags & VFS_AT_SYMLINK_NOFOLLOW) != 0 ? 0 : LOOKUP_FOLLOW;
    return path_find(vfs, dirfd, path, follow, out);
}

/* Whether the call is about the descriptor `dirfd` and not about a path. */
static bool is_descriptor(int dirfd, struct span path, int flags)
{
    return path.len == 0 && (flags & VFS_AT_EMPTY_PATH) != 0 && dirfd != VFS_AT_FDCWD;
}

int vfs_stat(struct vfs *vfs, int dirfd, struct span path, int flags, struct vfs_stat *out)
{
    if (is_descriptor(dirfd, path, flags)) {
        return vfs_fstat(vfs, dirfd, out);
    }
    struct lookup lookup;
    int status =
        find_node(vfs, dirfd, path, flags, VFS_AT_SYMLINK_NOFOLLOW | VFS_AT_EMPTY_PATH, &lookup);
    return status != 0 ? status : vnode_stat(vfs, lookup.node, out);
}

int vfs_fstat(struct vfs *vfs, int fd, struct vfs_stat *out)
{
    const struct file *file = files_get(vfs, fd);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (file->kind == FILE_HOST) {
        return granted_file_stat(file, out);
    }
    if (file->kind != FILE_NODE) {
        pipe_stat(&vfs->pipes[file->pipe], out);
        return 0;
    }
    return vnode_stat(vfs, file->node, out);
}

int vfs_access(struct vfs *vfs, int dirfd, struct span path, int mode, int flags)
{
    /* The guest's real and effective ids are the same, so AT_EACCESS changes nothing. */
    const int eaccess = 0x200;
    if ((mode & ~(VFS_R_OK | VFS_W_OK | VFS_X_OK)) != 0) {
        return -GUEST_EINVAL;
    }
    if (is_descriptor(dirfd, path, flags)) {
        const struct file *file = files_get(vfs, dirfd);
        bool allowed =
            file != NULL && (file->kind != FILE_NODE || vnode_may(vfs, file->node, (unsigned)mode));
        return file == NULL ? -GUEST_EBADF : allowed ? 0 : -GUEST_EACCES;
    }
    struct lookup lookup;
    int status = find_node(vfs, dirfd, path, flags,
                           VFS_AT_SYMLINK_NOFOLLOW | VFS_AT_EMPTY_PATH | eaccess, &lookup);
    if (status == 0 && (mode & VFS_W_OK) != 0) {
        status = granted_may_write(vfs, lookup.node);
    }
    if (status != 0) {
        return status;
    }
    return vnode_may(vfs, lookup.node, (unsigned)mode) ? 0 : -GUEST_EACCES;
}

enum { CHANGE_FLAGS = VFS_AT_SYMLINK_NOFOLLOW | VFS_AT_EMPTY_PATH };

/* The inode to change of what was looked up; EPERM for what belongs to the sandbox. */
static int own_found(struct vfs *vfs, const struct lookup *lookup, struct inode **inode)
{
    uint32_t number;
    const int status = path_own(vfs, lookup, &number);
    if (status != 0) {
        return status;
    }
    *inode = inode_get(vfs, number);
    return (*inode)->fixed ? -GUEST_EPERM : 0;
}

/* The same by descriptor; *inode is NULL for a pipe, which has nothing to change. */
static int own_by_fd(struct vfs *vfs, int fd, struct inode **inode)
{
    struct file *file = files_get(vfs, fd);
    if (file == NULL || (file->flags & VFS_O_PATH) != 0) {
        return -GUEST_EBADF;
    }
    *inode = NULL;
    if (file->kind != FILE_NODE) {
        return 0;
    }
    uint32_t number;
    int status = files_own(vfs, file, &number);
    if (status != 0) {
        return status;
    }
    *inode = inode_get(vfs, number);
    return (*inode)->fixed ? -GUEST_EPERM : 0;
}

static int change_mode(struct vfs *vfs, struct inode *inode, uint32_t mode)
{
    if ((inode->mode & VFS_S_IFMT) == VFS_S_IFLNK) {
        return -GUEST_ENOTSUP;
    }
    inode->mode = (inode->mode & VFS_S_IFMT) | (mode & PERMISSIONS);
    inode_changed(vfs, inode);
    return 0;
}

int vfs_chmod(struct vfs *vfs, int dirfd, struct span path, uint32_t mode, int flags)
{
    if (is_descriptor(dirfd, path, flags)) {
        return vfs_fchmod(vfs, dirfd, mode);
    }
    struct lookup lookup;
    struct inode *inode;
    int status = find_node(vfs, dirfd, path, flags, CHANGE_FLAGS, &lookup);
    if (status == 0) {
        status = granted_chmod(vfs, &lookup, mode);
    }
    if (status != 0) {
        return status > 0 ? 0 : status;
    }
    status = own_found(vfs, &lookup, &inode);
    return status != 0 ? status : change_mode(vfs, inode, mode);
}

int vfs_fchmod(struct vfs *vfs, int fd, uint32_t mode)
{
    struct inode *inode;
    int status = granted_fchmod(vfs, files_get(vfs, fd), mode);
    if (status != 0) {
        return status > 0 ? 0 : status;
    }
    status = own_by_fd(vfs, fd, &inode);
    return status != 0 || inode == NULL ? status : change_mode(vfs, inode, mode);
}

static bool is_own_id(uint32_t uid, uint32_t gid)
{
    return (uid == VFS_UID || uid == UINT32_MAX) && (gid == VFS_GID || gid == UINT32_MAX);
}

int vfs_chown(struct vfs *vfs, int dirfd, struct span path, uint32_t uid, uint32_t gid, int flags)
{
    struct vfs_stat stat;
    int status = vfs_stat(vfs, dirfd, path, flags, &stat);
    return status != 0 ? status : is_own_id(uid, gid) ? 0 : -GUEST_EPERM;
}

int vfs_fchown(struct vfs *vfs, int fd, uint32_t uid, uint32_t gid)
{
    const struct file *file = files_get(vfs, fd);
    if (file == NULL || (file->flags & VFS_O_PATH) != 0) {
        return -GUEST_EBADF;
    }
    return is_own_id(uid, gid) ? 0 : -GUEST_EPERM;
}

static void change_time(struct vfs *vfs, int64_t *time_ns, struct vfs_time change)
{
    switch (change.kind) {
    case VFS_TIME_SET: *time_ns = change.ns; break;
    case VFS_TIME_NOW: *time_ns = vfs_now(vfs); break;
    case VFS_TIME_OMIT: break;
    }
}

static void change_times(struct vfs *vfs, struct inode *inode, struct vfs_time atime,
                         struct vfs_time mtime)
{
    change_time(vfs, &inode->atime_ns, atime);
    change_time(vfs, &inode->mtime_ns, mtime);
    inode_changed(vfs, inode);
}

int vfs_utimens(struct vfs *vfs, int dirfd, struct span path, struct vfs_time atime,
                struct vfs_time mtime, int flags)
{
    if (is_descriptor(dirfd, path, flags)) {
        return vfs_futimens(vfs, dirfd, atime, mtime);
    }
    struct lookup lookup;
    struct inode *inode;
    int status = find_node(vfs, dirfd, path, flags, CHANGE_FLAGS, &lookup);
    if (status == 0) {
        status = granted_utimens(vfs, &lookup, atime, mtime);
    }
    if (status != 0) {
        return status > 0 ? 0 : status;
    }
    status = own_found(vfs, &lookup, &inode);
    if (status == 0) {
        change_times(vfs, inode, atime, mtime);
    }
    return status;
}

int vfs_futimens(struct vfs *vfs, int fd, struct vfs_time atime, struct vfs_time mtime)
{
    struct inode *inode;
    int status = granted_futimens(vfs, files_get(vfs, fd), atime, mtime);
    if (status != 0) {
        return status > 0 ? 0 : status;
    }
    status = own_by_fd(vfs, fd, &inode);
    if (status == 0 && inode != NULL) {
        change_times(vfs, inode, atime, mtime);
    }
    return status;
}

int vfs_truncate(struct vfs *vfs, int dirfd, struct span path, int64_t size)
{
    if (size < 0) {
        return -GUEST_EINVAL;
    }
    struct lookup lookup;
    int status = path_find(vfs, dirfd, path, LOOKUP_FOLLOW, &lookup);
    if (status != 0) {
        return status;
    }
    uint32_t type = vnode_mode(vfs, lookup.node) & VFS_S_IFMT;
    if (type != VFS_S_IFREG) {
        return type == VFS_S_IFDIR ? -GUEST_EISDIR : -GUEST_EINVAL;
    }
    if (!vnode_may(vfs, lookup.node, VFS_W_OK)) {
        return -GUEST_EACCES;
    }
    if (lookup.node.layer == LAYER_GRANTED && !granted_is_overlaid(vfs, lookup.parent)) {
        return granted_truncate(vfs, &lookup, (uint64_t)size);
    }
    uint32_t number;
    status = path_own(vfs, &lookup, &number);
    return status != 0 ? status : inode_truncate(vfs, inode_get(vfs, number), (uint64_t)size);
}

int64_t vfs_readlink(struct vfs *vfs, int dirfd, struct span path, char *bytes, size_t len)
{
    if (len == 0) {
        return -GUEST_EINVAL;
    }
    struct lookup lookup;
    int status = path_find(vfs, dirfd, path, 0, &lookup);
    if (status != 0) {
        return status;
    }
    if ((vnode_mode(vfs, lookup.node) & VFS_S_IFMT) != VFS_S_IFLNK) {
        return -GUEST_EINVAL;
    }
    return vnode_read(vfs, lookup.node, 0, bytes, len);
}

static void fill_statfs(const struct vfs *vfs, struct vfs_statfs *out)
{
    uint64_t count_left =
        vfs->quota.count_max > vfs->count_used ? vfs->quota.count_max - vfs->count_used : 0;
    *out = (struct vfs_statfs){.type = STATFS_TYPE_TMPFS,
                               .block_bytes = STATFS_BLOCK_BYTES,
                               .blocks = vfs->quota.bytes_max / STATFS_BLOCK_BYTES,
                               .blocks_free = vfs_bytes_left(vfs) / STATFS_BLOCK_BYTES,
                               .files = vfs->quota.count_max,
                               .files_free = count_left,
                               .name_bytes_max = LIMIT_NAME_BYTES_MAX};
}

int vfs_statfs(struct vfs *vfs, int dirfd, struct span path, struct vfs_statfs *out)
{
    struct lookup lookup;
    int status = path_find(vfs, dirfd, path, LOOKUP_FOLLOW, &lookup);
    if (status == 0) {
        fill_statfs(vfs, out);
    }
    return status;
}

int vfs_fstatfs(struct vfs *vfs, int fd, struct vfs_statfs *out)
{
    if (files_get(vfs, fd) == NULL) {
        return -GUEST_EBADF;
    }
    fill_statfs(vfs, out);
    return 0;
}

/* The working directory. */

static int change_cwd(struct vfs *vfs, struct vnode node)
{
    if ((vnode_mode(vfs, node) & VFS_S_IFMT) != VFS_S_IFDIR) {
        return -GUEST_ENOTDIR;
    }
    if (!vnode_may(vfs, node, VFS_X_OK)) {
        return -GUEST_EACCES;
    }
    inode_hold(vfs, node.index);
    inode_release(vfs, vfs->cwd);
    vfs->cwd = node.index;
    return 0;
}

int vfs_chdir(struct vfs *vfs, struct span path)
{
    struct lookup lookup;
    int status = path_find(vfs, VFS_AT_FDCWD, path, LOOKUP_FOLLOW, &lookup);
    return status != 0 ? status : change_cwd(vfs, lookup.node);
}

int vfs_fchdir(struct vfs *vfs, int fd)
{
    const struct file *file = files_get(vfs, fd);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    return file->kind != FILE_NODE ? -GUEST_ENOTDIR : change_cwd(vfs, file->node);
}

int64_t vfs_getcwd(struct vfs *vfs, char *bytes, size_t len)
{
    char path[LIMIT_PATH_BYTES_MAX];
    size_t start = sizeof path;
    path[--start] = '\0';
    for (uint32_t dir = vfs->cwd; dir != INODE_ROOT;) {
        const struct inode *inode = inode_get(vfs, dir);
        if (inode->nlink == 0) {
            return -GUEST_ENOENT;
        }
        uint32_t parent = inode->as.dir->parent;
        const struct dir *names = inode_get(vfs, parent)->as.dir;
        struct span name = dir_name(names, dir_from_cookie(names, inode->as.dir->cookie));
        if (name.len + 1 > start) {
            return -GUEST_ENAMETOOLONG;
        }
        start -= name.len;
        memcpy(path + start, name.base, name.len);
        path[--start] = '/';
        dir = parent;
    }
    if (start == sizeof path - 1) {
        path[--start] = '/';
    }
    if (sizeof path - start > len) {
        return -GUEST_ERANGE;
    }
    memcpy(bytes, path + start, sizeof path - start);
    return (int64_t)(sizeof path - start);
}

uint32_t vfs_umask(struct vfs *vfs, uint32_t mask)
{
    uint32_t old = vfs->umask;
    vfs->umask = mask & 0777U;
    return old;
}
