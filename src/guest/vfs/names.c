/* Calls that make, take away or move names. */
#include "guest/vfs/tree.h"

enum { PERMISSIONS = 07777 };

static bool is_dir(const struct vfs *vfs, struct vnode node)
{
    return (vnode_mode(vfs, node) & VFS_S_IFMT) == VFS_S_IFDIR;
}

/* Part of the sandbox, as a mount point is. */
static bool is_fixed(const struct vfs *vfs, struct vnode node)
{
    return vnode_exists(node) && node.layer == 0 &&
           (inode_get(vfs, node.index)->fixed || granted_is_root(vfs, node.index));
}

/* Gives a fresh inode its first name, or lets it go again. */
static int name_new(struct vfs *vfs, const struct lookup *lookup, uint32_t number)
{
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    int status = layers_link(vfs, lookup->parent, lookup_name(lookup), number);
    if (status != 0) {
        inode_settle(vfs, number);
    }
    return status;
}

int vfs_mkdir(struct vfs *vfs, int dirfd, struct span path, uint32_t mode)
{
    struct lookup lookup;
    int status = path_new_name(vfs, dirfd, path, true, &lookup);
    if (status != 0) {
        return status;
    }
    mode &= PERMISSIONS & ~vfs->umask;
    if (granted_is_written(vfs, lookup.parent)) {
        return granted_mkdir(vfs, &lookup, mode);
    }
    return name_new(vfs, &lookup, inode_new_dir(vfs, mode, lookup.parent));
}

int vfs_mknod(struct vfs *vfs, int dirfd, struct span path, uint32_t mode)
{
    uint32_t type = mode & VFS_S_IFMT;
    struct lookup lookup;
    int status = path_new_name(vfs, dirfd, path, false, &lookup);
    if (status != 0) {
        return status;
    }
    if (type != 0 && type != VFS_S_IFREG) {
        return -GUEST_EPERM;
    }
    mode &= PERMISSIONS & ~vfs->umask;
    if (granted_is_written(vfs, lookup.parent)) {
        return granted_mknod(vfs, &lookup, mode);
    }
    return name_new(vfs, &lookup, inode_new(vfs, VFS_S_IFREG | mode));
}

int vfs_symlink(struct vfs *vfs, struct span target, int dirfd, struct span path)
{
    if (target.len == 0) {
        return -GUEST_ENOENT;
    }
    if (target.len >= LIMIT_PATH_BYTES_MAX) {
        return -GUEST_ENAMETOOLONG;
    }
    struct lookup lookup;
    int status = path_new_name(vfs, dirfd, path, false, &lookup);
    if (status == 0 && granted_is_written(vfs, lookup.parent)) {
        status = -GUEST_EPERM; /* it would lead somewhere on the host */
    }
    if (status != 0) {
        return status;
    }
    uint32_t number = inode_new(vfs, VFS_S_IFLNK | 0777U);
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    struct inode *inode = inode_get(vfs, number);
    int64_t written = content_write(vfs, &inode->as.content, 0, target.base, target.len);
    if (written < 0 || (size_t)written < target.len) {
        inode_settle(vfs, number);
        return written < 0 ? (int)written : -GUEST_ENOSPC;
    }
    inode->size = target.len;
    return name_new(vfs, &lookup, number);
}

static int remove_dir(struct vfs *vfs, const struct lookup *lookup)
{
    switch (lookup->kind) {
    case LAST_ROOT: return -GUEST_EBUSY;
    case LAST_DOT: return -GUEST_EINVAL;
    case LAST_DOT_DOT: return -GUEST_ENOTEMPTY;
    case LAST_NAME: break;
    }
    if (!vnode_exists(lookup->node)) {
        return -GUEST_ENOENT;
    }
    int status = path_may_change(vfs, lookup->parent);
    if (status != 0) {
        return status;
    }
    if (!is_dir(vfs, lookup->node)) {
        return -GUEST_ENOTDIR;
    }
    if (is_fixed(vfs, lookup->node)) {
        return -GUEST_EBUSY;
    }
    if (granted_is_written(vfs, lookup->parent)) {
        return granted_remove(vfs, lookup);
    }
    int empty = layers_is_empty(vfs, lookup->node.index);
    if (empty <= 0) {
        return empty < 0 ? empty : -GUEST_ENOTEMPTY;
    }
    return layers_unlink(vfs, lookup->parent, lookup_name(lookup), lookup->node);
}

static int remove_file(struct vfs *vfs, const struct lookup *lookup)
{
    if (lookup->kind != LAST_NAME) {
        return -GUEST_EISDIR;
    }
    if (!vnode_exists(lookup->node)) {
        return -GUEST_ENOENT;
    }
    if (lookup->slash) {
        return is_dir(vfs, lookup->node) ? -GUEST_EISDIR : -GUEST_ENOTDIR;
    }
    int status = path_may_change(vfs, lookup->parent);
    if (status != 0) {
        return status;
    }
    if (is_dir(vfs, lookup->node)) {
        return -GUEST_EISDIR;
    }
    if (granted_is_written(vfs, lookup->parent)) {
        return granted_remove(vfs, lookup);
    }
    return layers_unlink(vfs, lookup->parent, lookup_name(lookup), lookup->node);
}

int vfs_unlink(struct vfs *vfs, int dirfd, struct span path, int flags)
{
    if ((flags & ~VFS_AT_REMOVEDIR) != 0) {
        return -GUEST_EINVAL;
    }
    struct lookup lookup;
    int status = path_lookup(vfs, dirfd, path, LOOKUP_NAME, &lookup);
    if (status != 0) {
        return status;
    }
    return (flags & VFS_AT_REMOVEDIR) != 0 ? remove_dir(vfs, &lookup) : remove_file(vfs, &lookup);
}

/* Whether directory `above` is `dir` or one of those it lies in. */
static bool contains(const struct vfs *vfs, uint32_t above, uint32_t dir)
{
    while (dir != above && dir != INODE_ROOT) {
        dir = inode_get(vfs, dir)->as.dir->parent;
    }
    return dir == above;
}

/* What forbids a rename by the shape of the tree alone. */
static int check_shape(const struct vfs *vfs, const struct lookup *from, const struct lookup *to)
{
    if (!vnode_exists(from->node)) {
        return -GUEST_ENOENT;
    }
    if (!is_dir(vfs, from->node)) {
        if (from->slash || to->slash) {
            return -GUEST_ENOTDIR;
        }
    } else if (contains(vfs, from->node.index, to->parent)) {
        return -GUEST_EINVAL;
    }
    if (vnode_exists(to->node) && is_dir(vfs, to->node) &&
        contains(vfs, to->node.index, from->parent)) {
        return -GUEST_ENOTEMPTY;
    }
    return 0;
}

/* What forbids a rename by permission or by what would be replaced. */
static int check_rename(struct vfs *vfs, const struct lookup *from, const struct lookup *to)
{
    int status = path_may_change(vfs, from->parent);
    if (status == 0) {
        status = path_may_change(vfs, to->parent);
    }
    if (status != 0) {
        return status;
    }
    if (is_fixed(vfs, from->node) || is_fixed(vfs, to->node)) {
        return -GUEST_EBUSY;
    }
    if (granted_around(vfs, from->parent) != granted_around(vfs, to->parent)) {
        return -GUEST_EXDEV;
    }
    bool from_dir = is_dir(vfs, from->node);
    if (from_dir && granted_is_overlaid(vfs, from->node.index)) {
        return -GUEST_EXDEV; /* the host has its contents under that name alone */
    }
    if (vnode_exists(to->node)) {
        if (from_dir != is_dir(vfs, to->node)) {
            return from_dir ? -GUEST_ENOTDIR : -GUEST_EISDIR;
        }
    }
    if (from_dir && from->parent != to->parent && !vnode_may(vfs, from->node, VFS_W_OK)) {
        return -GUEST_EACCES;
    }
    if (from_dir && vnode_exists(to->node) && !granted_is_written(vfs, to->parent)) {
        int empty = layers_is_empty(vfs, to->node.index);
        return empty < 0 ? empty : empty == 0 ? -GUEST_ENOTEMPTY : 0;
    }
    return 0;
}

int vfs_rename(struct vfs *vfs, int old_dirfd, struct span old_path, int new_dirfd,
               struct span new_path)
{
    struct lookup from;
    struct lookup to;
    int status = path_lookup(vfs, old_dirfd, old_path, LOOKUP_NAME, &from);
    if (status == 0) {
        status = path_lookup(vfs, new_dirfd, new_path, LOOKUP_NAME, &to);
    }
    if (status != 0) {
        return status;
    }
    if (from.kind != LAST_NAME || to.kind != LAST_NAME) {
        return -GUEST_EBUSY;
    }
    status = check_shape(vfs, &from, &to);
    if (status != 0) {
        return status;
    }
    if (vnode_equal(from.node, to.node)) {
        return 0;
    }
    status = check_rename(vfs, &from, &to);
    if (status == 0 && granted_is_written(vfs, from.parent)) {
        return granted_rename(vfs, &from, &to);
    }
    uint32_t number = INODE_NONE;
    if (status == 0) {
        status = path_own(vfs, &from, &number);
    }
    if (status != 0) {
        return status;
    }
    return layers_move(vfs, from.parent, lookup_name(&from), number, to.parent, lookup_name(&to),
                       to.node);
}

int vfs_link(struct vfs *vfs, int old_dirfd, struct span old_path, int new_dirfd,
             struct span new_path, int flags)
{
    if ((flags & ~VFS_AT_SYMLINK_FOLLOW) != 0) {
        return -GUEST_EINVAL;
    }
    unsigned follow = (flags & VFS_AT_SYMLINK_FOLLOW) != 0 ? LOOKUP_FOLLOW : 0;
    struct lookup from;
    struct lookup to;
    int status = path_find(vfs, old_dirfd, old_path, follow, &from);
    if (status == 0) {
        status = path_new_name(vfs, new_dirfd, new_path, false, &to);
    }
    if (status != 0) {
        return status;
    }
    if (is_dir(vfs, from.node)) {
        return -GUEST_EPERM;
    }
    if (granted_around(vfs, from.parent) != granted_around(vfs, to.parent)) {
        return -GUEST_EXDEV;
    }
    if (granted_is_written(vfs, to.parent)) {
        return -GUEST_EPERM;
    }
    uint32_t number;
    status = path_own(vfs, &from, &number);
    if (status != 0) {
        return status;
    }
    struct inode *inode = inode_get(vfs, number);
    if (inode->fixed) {
        return -GUEST_EPERM;
    }
    if (inode->nlink >= LIMIT_LINKS_MAX) {
        return -GUEST_EMLINK;
    }
    status = layers_link(vfs, to.parent, lookup_name(&to), number);
    if (status == 0) {
        inode_changed(vfs, inode);
    }
    return status;
}
