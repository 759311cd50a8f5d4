/* From a path to a vnode: one component at a time, symlinks spliced into the rest, no recursion.
 * Which error comes when follows path_resolution(7) and what Linux does. */
#include "guest/vfs/tree.h"

struct walk {
    struct vfs *vfs;
    unsigned flags;
    uint32_t dir;     /* where the next component is looked up */
    struct span rest; /* borrows the caller's path or one of the buffers */
    unsigned links;   /* symlinks followed so far */
    unsigned buffer;  /* which one the next symlink is written to */
    char buffers[2][LIMIT_PATH_BYTES_MAX];
};

static struct span skip_slashes(struct span path)
{
    while (path.len > 0 && path.base[0] == '/') {
        path.base++;
        path.len--;
    }
    return path;
}

static struct span cut_component(struct span *path)
{
    const char *slash = memchr(path->base, '/', path->len);
    size_t len = slash == NULL ? path->len : (size_t)(slash - path->base);
    struct span name = {path->base, len};
    path->base += len;
    path->len -= len;
    return name;
}

/* Puts the symlink's target in front of what is left. */
static int follow_link(struct walk *walk, struct vnode link)
{
    if (++walk->links > LIMIT_SYMLINKS_MAX) {
        return -GUEST_ELOOP;
    }
    char *buffer = walk->buffers[walk->buffer];
    int64_t len = vnode_read(walk->vfs, link, 0, buffer, LIMIT_PATH_BYTES_MAX);
    if (len < 0) {
        return (int)len;
    }
    if ((size_t)len + walk->rest.len >= LIMIT_PATH_BYTES_MAX) {
        return -GUEST_ENAMETOOLONG;
    }
    memcpy(buffer + len, walk->rest.base, walk->rest.len);
    walk->rest = (struct span){buffer, (size_t)len + walk->rest.len};
    walk->buffer = 1 - walk->buffer;
    if (walk->rest.len > 0 && walk->rest.base[0] == '/') {
        walk->dir = INODE_ROOT;
    }
    return 0;
}

static bool must_follow(const struct walk *walk, struct vnode node, bool is_last, bool slash)
{
    if (!vnode_exists(node) || (vnode_mode(walk->vfs, node) & VFS_S_IFMT) != VFS_S_IFLNK) {
        return false;
    }
    return !is_last || (walk->flags & LOOKUP_FOLLOW) != 0 ||
           (slash && (walk->flags & LOOKUP_NAME) == 0);
}

/* Looks one component up in walk->dir. `slashed`: the last one, with a slash after it. */
static int look_up_component(struct walk *walk, struct span name, bool slashed,
                             enum last_kind *kind, struct vnode *node)
{
    const struct inode *dir = inode_get(walk->vfs, walk->dir);
    if (!inode_may(walk->vfs, dir, VFS_X_OK)) {
        return -GUEST_EACCES;
    }
    if (span_equal(name, span_of("."))) {
        *kind = LAST_DOT;
        *node = vnode_of_inode(walk->dir);
        return 0;
    }
    if (span_equal(name, span_of(".."))) {
        *kind = LAST_DOT_DOT;
        *node = vnode_of_inode(dir->as.dir->parent);
        return 0;
    }
    if (slashed && (walk->flags & LOOKUP_CREATE) != 0) {
        return -GUEST_EISDIR;
    }
    if (name.len > LIMIT_NAME_BYTES_MAX) {
        return -GUEST_ENAMETOOLONG;
    }
    *kind = LAST_NAME;
    return layers_lookup(walk->vfs, walk->dir, name, node);
}

static void finish(const struct walk *walk, struct span name, struct vnode node, struct lookup *out)
{
    out->parent = walk->dir;
    out->node = node;
    out->name_len = out->kind == LAST_NAME ? (uint8_t)name.len : 0;
    memcpy(out->name, name.base, out->name_len);
    out->name[out->name_len] = '\0';
}

/* One component: 1 when it was the last, 0 to go on, or an error. */
static int step(struct walk *walk, struct lookup *out)
{
    struct span name = cut_component(&walk->rest);
    struct span after = skip_slashes(walk->rest);
    bool is_last = after.len == 0;
    bool slash = walk->rest.len > 0;
    struct vnode node;
    int status = look_up_component(walk, name, is_last && slash, &out->kind, &node);
    if (status != 0) {
        return status;
    }
    if (must_follow(walk, node, is_last, slash)) {
        return follow_link(walk, node);
    }
    if (is_last) {
        out->slash = slash;
        finish(walk, name, node, out);
        return 1;
    }
    if (!vnode_exists(node)) {
        return -GUEST_ENOENT;
    }
    if ((vnode_mode(walk->vfs, node) & VFS_S_IFMT) != VFS_S_IFDIR) {
        return -GUEST_ENOTDIR;
    }
    walk->dir = node.index;
    return 0;
}

int path_lookup(struct vfs *vfs, int dirfd, struct span path, unsigned flags, struct lookup *out)
{
    if (path.len == 0) {
        return -GUEST_ENOENT;
    }
    if (path.len >= LIMIT_PATH_BYTES_MAX) {
        return -GUEST_ENAMETOOLONG;
    }
    if (memchr(path.base, '\0', path.len) != NULL) {
        return -GUEST_EINVAL;
    }
    granted_begin(vfs);
    struct walk walk;
    walk.vfs = vfs;
    walk.flags = flags;
    walk.rest = path;
    walk.links = 0;
    walk.buffer = 0;
    walk.dir = INODE_ROOT;
    if (path.base[0] != '/') {
        int status = files_start_dir(vfs, dirfd, &walk.dir);
        if (status != 0) {
            return status;
        }
    }
    int status = 0;
    while (status == 0) {
        walk.rest = skip_slashes(walk.rest);
        if (walk.rest.len == 0) {
            out->kind = LAST_ROOT;
            out->slash = true;
            finish(&walk, walk.rest, vnode_of_inode(walk.dir), out);
            return 0;
        }
        status = step(&walk, out);
    }
    return status < 0 ? status : 0;
}

int path_find(struct vfs *vfs, int dirfd, struct span path, unsigned flags, struct lookup *out)
{
    int status = path_lookup(vfs, dirfd, path, flags, out);
    if (status != 0) {
        return status;
    }
    if (!vnode_exists(out->node)) {
        return -GUEST_ENOENT;
    }
    if (out->slash && (vnode_mode(vfs, out->node) & VFS_S_IFMT) != VFS_S_IFDIR) {
        return -GUEST_ENOTDIR;
    }
    return 0;
}

int path_may_change(const struct vfs *vfs, uint32_t dir)
{
    const struct inode *inode = inode_get(vfs, dir);
    if (inode->nlink == 0) {
        return -GUEST_ENOENT;
    }
    if (inode->granted != 0 && granted_how(vfs, inode) == VFS_GRANT_READ) {
        return -GUEST_EROFS;
    }
    return inode_may(vfs, inode, VFS_W_OK | VFS_X_OK) ? 0 : -GUEST_EACCES;
}

int path_new_name(struct vfs *vfs, int dirfd, struct span path, bool is_dir, struct lookup *out)
{
    int status = path_lookup(vfs, dirfd, path, LOOKUP_NAME, out);
    if (status != 0) {
        return status;
    }
    if (vnode_exists(out->node)) {
        return -GUEST_EEXIST;
    }
    if (out->slash && !is_dir) {
        return -GUEST_ENOENT;
    }
    return path_may_change(vfs, out->parent);
}

int path_own(struct vfs *vfs, const struct lookup *lookup, uint32_t *number)
{
    if (lookup->node.layer == LAYER_GRANTED) {
        return granted_copy_up(vfs, lookup->node, UINT64_MAX, number);
    }
    if (lookup->node.layer != 0) {
        return layers_copy_up(vfs, lookup->parent, lookup_name(lookup), lookup->node, number);
    }
    *number = lookup->node.index;
    return 0;
}
