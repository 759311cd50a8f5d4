/* The host's own way in: whole files and whole trees. */
#include <stdlib.h>

#include "guest/vfs/tree.h"

static int load(struct vfs *vfs, struct span path, struct buf *out)
{
    struct lookup lookup;
    int status = path_find(vfs, VFS_AT_FDCWD, path, LOOKUP_FOLLOW, &lookup);
    if (status != 0) {
        return status;
    }
    uint32_t type = vnode_mode(vfs, lookup.node) & VFS_S_IFMT;
    if (type != VFS_S_IFREG) {
        return type == VFS_S_IFDIR ? -GUEST_EISDIR : -GUEST_EINVAL;
    }
    struct vfs_stat stat;
    status = vnode_stat(vfs, lookup.node, &stat);
    if (status != 0) {
        return status;
    }
    if (buf_reserve(out, (size_t)stat.size) != 0) {
        return -GUEST_ENOMEM;
    }
    int64_t count = stat.size == 0
                        ? 0
                        : vnode_read(vfs, lookup.node, 0, out->base + out->len, (size_t)stat.size);
    if (count < 0) {
        return (int)count;
    }
    out->len += (size_t)count;
    return 0;
}

int vfs_load(struct vfs *vfs, struct span path, struct buf *out)
{
    bool by_host = vfs->by_host;
    vfs->by_host = true;
    int status = load(vfs, path, out);
    vfs->by_host = by_host;
    return status;
}

static int make_parents(struct vfs *vfs, struct span path)
{
    for (size_t i = 1; i < path.len; i++) {
        if (path.base[i] != '/') {
            continue;
        }
        int status = vfs_mkdir(vfs, VFS_AT_FDCWD, (struct span){path.base, i}, 0755);
        if (status != 0 && status != -GUEST_EEXIST) {
            return status;
        }
    }
    return 0;
}

static int store(struct vfs *vfs, struct span path, struct span bytes, uint32_t mode)
{
    int status = make_parents(vfs, path);
    if (status != 0) {
        return status;
    }
    const int flags = VFS_O_WRONLY | VFS_O_CREAT | VFS_O_TRUNC;
    int fd = vfs_open(vfs, VFS_AT_FDCWD, path, flags, mode);
    if (fd < 0) {
        return fd;
    }
    size_t done = 0;
    while (done < bytes.len && status == 0) {
        int64_t count = vfs_write(vfs, fd, bytes.base + done, bytes.len - done);
        if (count > 0) {
            done += (size_t)count;
        } else {
            status = count < 0 ? (int)count : -GUEST_ENOSPC;
        }
    }
    vfs_close(vfs, fd);
    return status;
}

int vfs_store(struct vfs *vfs, struct span path, struct span bytes, uint32_t mode)
{
    bool by_host = vfs->by_host;
    vfs->by_host = true;
    int status = store(vfs, path, bytes, mode);
    vfs->by_host = by_host;
    return status;
}

/* Walking. */

/* Paths still to be visited, the next one last. */
struct pending {
    char **paths; /* each owned */
    size_t count;
    size_t capacity;
};

static void pending_free(struct pending *pending)
{
    for (size_t i = 0; i < pending->count; i++) {
        free(pending->paths[i]);
    }
    free(pending->paths);
}

static int pending_push(struct pending *pending, struct span dir, struct span name)
{
    size_t slash = dir.len > 0 && dir.base[dir.len - 1] == '/' ? 0 : 1;
    size_t len = dir.len + slash + name.len;
    if (len >= LIMIT_PATH_BYTES_MAX) {
        return -GUEST_ENAMETOOLONG;
    }
    if (pending->count == pending->capacity) {
        size_t capacity = pending->capacity == 0 ? 64 : pending->capacity * 2;
        char **paths = reallocarray(pending->paths, capacity, sizeof *paths);
        if (paths == NULL) {
            return -GUEST_ENOMEM;
        }
        pending->paths = paths;
        pending->capacity = capacity;
    }
    char *path = malloc(len + 1);
    if (path == NULL) {
        return -GUEST_ENOMEM;
    }
    memcpy(path, dir.base, dir.len);
    path[dir.len] = '/';
    memcpy(path + dir.len + slash, name.base, name.len);
    path[len] = '\0';
    pending->paths[pending->count++] = path;
    return 0;
}

/* Lets the path at `at` sink to its place in a heap whose first is the least. */
static void sink(char **paths, size_t count, size_t at)
{
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && strcmp(paths[child + 1], paths[child]) < 0) {
            child++;
        }
        if (strcmp(paths[at], paths[child]) <= 0) {
            return;
        }
        char *path = paths[at];
        paths[at] = paths[child];
        paths[child] = path;
        at = child;
    }
}

/* The last one by name first. (The C library's qsort asks the system how much memory there is, and
 * a cell may not.) */
static void sort_down(char **paths, size_t count)
{
    for (size_t at = count / 2; at-- > 0;) {
        sink(paths, count, at);
    }
    for (size_t last = count; last-- > 1;) {
        char *path = paths[0];
        paths[0] = paths[last];
        paths[last] = path;
        sink(paths, last, 0);
    }
}

/* Adds the children of a directory, so that the first by name is visited next. */
static int push_children(struct vfs *vfs, struct pending *pending, uint32_t dir, struct span path)
{
    size_t first = pending->count;
    /* What the host has is no business of these walks. */
    const bool is_granted = inode_get(vfs, dir)->granted != 0;
    uint64_t position = is_granted ? POSITION_WRITTEN : 0;
    struct granted_listing *none = NULL;
    struct vfs_dirent entry;
    int status = is_granted ? layers_next_written(vfs, dir, &position, &entry)
                            : layers_next(vfs, dir, &position, &none, &entry);
    while (status > 0) {
        struct span name = {entry.name, entry.name_len};
        if (!span_equal(name, span_of(".")) && !span_equal(name, span_of(".."))) {
            status = pending_push(pending, path, name);
            if (status != 0) {
                return status;
            }
        }
        status = is_granted ? layers_next_written(vfs, dir, &position, &entry)
                            : layers_next(vfs, dir, &position, &none, &entry);
    }
    if (pending->count > first) {
        sort_down(pending->paths + first, pending->count - first);
    }
    return status;
}

static int visit_one(struct vfs *vfs, struct pending *pending, struct span path,
                     int (*visit)(void *context, const struct vfs_walk_entry *entry), void *context)
{
    struct lookup lookup;
    struct vfs_walk_entry entry = {.path = path};
    int status = path_find(vfs, VFS_AT_FDCWD, path, 0, &lookup);
    if (status == 0) {
        status = vnode_stat(vfs, lookup.node, &entry.stat);
    }
    if (status != 0) {
        return status;
    }
    entry.written = lookup.node.layer == 0 && inode_get(vfs, lookup.node.index)->written;
    entry.fresh = entry.written && inode_get(vfs, lookup.node.index)->epoch == vfs->epoch;
    bool is_dir = (entry.stat.mode & VFS_S_IFMT) == VFS_S_IFDIR;
    if (is_dir) {
        status = push_children(vfs, pending, lookup.node.index, path);
    }
    return status != 0 ? status : visit(context, &entry);
}

int vfs_walk(struct vfs *vfs, struct span path,
             int (*visit)(void *context, const struct vfs_walk_entry *entry), void *context)
{
    while (path.len > 1 && path.base[path.len - 1] == '/') {
        path.len--;
    }
    struct pending pending = {0};
    bool by_host = vfs->by_host;
    vfs->by_host = true;
    int status = visit_one(vfs, &pending, path, visit, context);
    while (status == 0 && pending.count > 0) {
        char *next = pending.paths[--pending.count];
        status = visit_one(vfs, &pending, span_of(next), visit, context);
        free(next);
    }
    vfs->by_host = by_host;
    pending_free(&pending);
    return status;
}
