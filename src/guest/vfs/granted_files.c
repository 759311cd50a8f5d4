/* What is done with files and names of granted directories. */
#include <stdlib.h>

#include "guest/vfs/granted_inside.h"
#include "guest/vfs/host.h"

/* ---- Files ----------------------------------------------------------------------------------- */

/* Reads the host's file into an inode's contents, at most `size` bytes of it. */
static int contents_copy(struct vfs *vfs, const struct place *place, uint64_t size,
                         struct inode *inode)
{
    char *bytes = size > 0 ? malloc(CHUNK_BYTES) : NULL;
    const int fd = bytes == NULL ? -1 : host_open(place->root, place->path, HOST_READ);
    int status = size == 0 ? 0 : bytes == NULL ? -GUEST_ENOMEM : fd < 0 ? fd : 0;
    while (status == 0 && inode->size < size) {
        const uint64_t left = size - inode->size;
        const int64_t count =
            host_read(fd, bytes, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES, inode->size);
        if (count <= 0) {
            status = (int)count;
            break;
        }
        const int64_t written =
            content_write(vfs, &inode->as.content, inode->size, bytes, (size_t)count);
        if (written < count) {
            status = written < 0 ? (int)written : -GUEST_ENOSPC;
        } else {
            inode->size += (uint64_t)count;
        }
    }
    host_close(fd);
    free(bytes);
    return status;
}

int granted_copy_up(struct vfs *vfs, struct vnode node, uint64_t size, uint32_t *number)
{
    const struct seen seen = *seen_of(vfs, node);
    const struct span name = seen_name(&seen);
    struct place place;
    if (granted_how(vfs, inode_get(vfs, seen.dir)) != VFS_GRANT_OVERLAY) {
        return -GUEST_EROFS;
    }
    int status = place_find(vfs, seen.dir, name, &place);
    if (status == 0 && dir_reserve(inode_get(vfs, seen.dir)->as.dir, name.len) != 0) {
        status = -GUEST_ENOMEM;
    }
    *number = status == 0 ? inode_new(vfs, seen.stat.mode) : INODE_NONE;
    if (*number == INODE_NONE) {
        return status != 0 ? status : -GUEST_ENOMEM;
    }
    struct inode *inode = inode_get(vfs, *number);
    inode->atime_ns = seen.stat.atime_ns;
    inode->mtime_ns = seen.stat.mtime_ns;
    if ((seen.stat.mode & VFS_S_IFMT) == VFS_S_IFLNK) {
        char target[LIMIT_PATH_BYTES_MAX];
        const int64_t len = host_readlink(place.root, place.path, target, sizeof target);
        const int64_t written =
            len <= 0 ? len : content_write(vfs, &inode->as.content, 0, target, (size_t)len);
        status = written == len ? (len < 0 ? (int)len : 0) : -GUEST_ENOSPC;
        inode->size = len > 0 ? (uint64_t)len : 0;
    } else {
        status = contents_copy(vfs, &place, size < seen.stat.size ? size : seen.stat.size, inode);
    }
    if (status == 0) {
        status = vfs_take_count(vfs);
    }
    if (status != 0) {
        inode_settle(vfs, *number);
        return status;
    }
    (void)dir_put(inode_get(vfs, seen.dir)->as.dir, name, *number, ENTRY_CHARGED);
    inode->nlink = 1;
    return 0;
}

static enum host_access access_of(int flags)
{
    if ((flags & VFS_O_PATH) != 0) {
        return HOST_PATH;
    }
    switch (flags & VFS_O_ACCMODE) {
    case VFS_O_WRONLY: return HOST_WRITE;
    case VFS_O_RDWR: return HOST_READ_WRITE;
    default: return HOST_READ;
    }
}

static void file_fill(const struct vfs *vfs, uint32_t dir, int fd, struct file *file)
{
    file->kind = FILE_HOST;
    file->host_fd = fd;
    file->grant = (uint8_t)(inode_get(vfs, dir)->granted - 1);
}

int granted_open(struct vfs *vfs, const struct lookup *lookup, int flags, struct file *file)
{
    const bool truncates = (flags & VFS_O_TRUNC) != 0 && (flags & VFS_O_PATH) == 0;
    enum host_access access = access_of(flags);
    struct place place;
    if (truncates && access == HOST_READ) {
        access = HOST_READ_WRITE;
    }
    if (access >= HOST_WRITE && !granted_is_written(vfs, lookup->parent)) {
        return -GUEST_EROFS;
    }
    int status = place_of_lookup(vfs, lookup, &place);
    if (status != 0) {
        return status;
    }
    const int fd = host_open(place.root, place.path, access);
    if (fd < 0) {
        return fd;
    }
    file_fill(vfs, lookup->parent, fd, file);
    status = truncates ? granted_file_truncate(vfs, file, 0) : 0;
    if (status != 0) {
        host_close(fd);
    }
    return status;
}

/* A name that is made on the host counts as one in the writable layer would. */
static int name_charge(struct vfs *vfs, uint32_t dir)
{
    struct grant *grant = grant_of(vfs, inode_get(vfs, dir));
    if (grant->made >= vfs->quota.count_max) {
        vfs->limits_hit |= VFS_LIMIT_COUNT;
        return -GUEST_ENOSPC;
    }
    grant->made++;
    return 0;
}

static void name_refund(struct vfs *vfs, uint32_t dir)
{
    struct grant *grant = grant_of(vfs, inode_get(vfs, dir));
    grant->made -= grant->made > 0 ? 1 : 0;
}

int granted_create(struct vfs *vfs, const struct lookup *lookup, int flags, uint32_t mode,
                   struct file *file)
{
    struct place place;
    int status = place_of_lookup(vfs, lookup, &place);
    if (status == 0) {
        status = name_charge(vfs, lookup->parent);
    }
    if (status != 0) {
        return status;
    }
    const int fd = host_create(place.root, place.path, access_of(flags), mode);
    if (fd < 0) {
        name_refund(vfs, lookup->parent);
        return fd;
    }
    file_fill(vfs, lookup->parent, fd, file);
    return 0;
}

int64_t granted_file_read(const struct file *file, char *bytes, size_t len, uint64_t offset)
{
    return host_read(file->host_fd, bytes, len, offset);
}

/* What was only read has nothing to be written. */
int granted_file_sync(const struct file *file)
{
    return (file->flags & VFS_O_ACCMODE) == VFS_O_RDONLY ? 0 : host_sync(file->host_fd);
}

int granted_file_stat(const struct file *file, struct vfs_stat *out)
{
    const int status = host_fstat(file->host_fd, out);
    out->dev = GRANTED_DEVICE + (uint64_t)file->grant + 1;
    return status;
}

/* How much a file of `size` bytes may gain on its way to `end`: all of it, or what is left. */
static uint64_t gain_limit(struct vfs *vfs, const struct grant *grant, uint64_t size, uint64_t end)
{
    const uint64_t left =
        vfs->quota.bytes_max > grant->gained ? vfs->quota.bytes_max - grant->gained : 0;
    if (end <= size || end - size <= left) {
        return end;
    }
    vfs->limits_hit |= VFS_LIMIT_BYTES;
    return size + left;
}

static void gain_note(struct grant *grant, uint64_t before, uint64_t after)
{
    if (after >= before) {
        grant->gained += after - before;
    } else {
        const uint64_t lost = before - after;
        grant->gained -= lost < grant->gained ? lost : grant->gained;
    }
}

int64_t granted_file_write(struct vfs *vfs, const struct file *file, const char *bytes, size_t len,
                           uint64_t *offset)
{
    struct grant *grant = &vfs->granted->grants[file->grant];
    struct vfs_stat stat;
    const int status = host_fstat(file->host_fd, &stat);
    if (status != 0 || len == 0) {
        return status;
    }
    if ((file->flags & VFS_O_APPEND) != 0) {
        *offset = stat.size;
    }
    if (*offset >= LIMIT_FILE_SIZE_BYTES_MAX) {
        return -GUEST_EFBIG;
    }
    const uint64_t room = LIMIT_FILE_SIZE_BYTES_MAX - *offset;
    const uint64_t wanted = *offset + (len < room ? len : room);
    const uint64_t end = gain_limit(vfs, grant, stat.size, wanted);
    if (end <= *offset) {
        return -GUEST_ENOSPC;
    }
    const int64_t count = host_write(file->host_fd, bytes, (size_t)(end - *offset), *offset);
    if (count > 0) {
        *offset += (uint64_t)count;
        gain_note(grant, stat.size, *offset > stat.size ? *offset : stat.size);
    }
    return count;
}

int granted_file_truncate(struct vfs *vfs, const struct file *file, uint64_t size)
{
    struct grant *grant = &vfs->granted->grants[file->grant];
    struct vfs_stat stat;
    int status = host_fstat(file->host_fd, &stat);
    if (status == 0 && size > LIMIT_FILE_SIZE_BYTES_MAX) {
        status = -GUEST_EFBIG;
    }
    if (status == 0 && gain_limit(vfs, grant, stat.size, size) < size) {
        status = -GUEST_ENOSPC;
    }
    if (status == 0) {
        status = host_truncate(file->host_fd, size);
    }
    if (status == 0) {
        gain_note(grant, stat.size, size);
    }
    return status;
}

int granted_truncate(struct vfs *vfs, const struct lookup *lookup, uint64_t size)
{
    struct file file = {.kind = FILE_FREE};
    int status = granted_open(vfs, lookup, VFS_O_WRONLY, &file);
    if (status == 0) {
        status = granted_file_truncate(vfs, &file, size);
        host_close(file.host_fd);
    }
    return status;
}

/* ---- Names ----------------------------------------------------------------------------------- */

int granted_mkdir(struct vfs *vfs, const struct lookup *lookup, uint32_t mode)
{
    struct place place;
    int status = place_of_lookup(vfs, lookup, &place);
    if (status == 0) {
        status = name_charge(vfs, lookup->parent);
    }
    if (status != 0) {
        return status;
    }
    status = host_mkdir(place.root, place.path, mode);
    if (status != 0) {
        name_refund(vfs, lookup->parent);
    }
    return status;
}

int granted_mknod(struct vfs *vfs, const struct lookup *lookup, uint32_t mode)
{
    struct file file = {.kind = FILE_FREE};
    const int status = granted_create(vfs, lookup, VFS_O_WRONLY, mode, &file);
    if (status == 0) {
        host_close(file.host_fd);
    }
    return status;
}

/* A name is gone from the host. Its room is the guest's again where nobody holds the file open. */
static void room_refund(struct vfs *vfs, const struct lookup *lookup)
{
    name_refund(vfs, lookup->parent);
    if (lookup->node.layer != LAYER_GRANTED) {
        return;
    }
    const struct vfs_stat *gone = granted_seen(vfs, lookup->node);
    struct grant *grant = grant_of(vfs, inode_get(vfs, lookup->parent));
    for (uint32_t i = 0; i < LIMIT_OPEN_FILES_MAX; i++) {
        struct vfs_stat stat;
        if (vfs->files[i].kind == FILE_HOST &&
            &vfs->granted->grants[vfs->files[i].grant] == grant &&
            (host_fstat(vfs->files[i].host_fd, &stat) != 0 || stat.ino == gone->ino)) {
            return;
        }
    }
    if ((gone->mode & VFS_S_IFMT) == VFS_S_IFREG && gone->nlink == 1) {
        gain_note(grant, gone->size, 0);
    }
}

/* What is remembered of a name is no longer so. */
static void name_forget(struct vfs *vfs, const struct lookup *lookup)
{
    struct entry *entry = dir_find(inode_get(vfs, lookup->parent)->as.dir, lookup_name(lookup));
    if (entry != NULL) {
        entry_drop(vfs, lookup->parent, entry);
    }
}

int granted_remove(struct vfs *vfs, const struct lookup *lookup)
{
    struct place place;
    const bool is_dir = lookup->node.layer == 0;
    int status = place_of_lookup(vfs, lookup, &place);
    if (status == 0) {
        status = host_unlink(place.root, place.path, is_dir);
    }
    if (status == 0) {
        name_forget(vfs, lookup);
        room_refund(vfs, lookup);
    }
    return status;
}

/* A directory that is remembered goes on under its new name, and so does what is open in it. */
static int dir_move(struct vfs *vfs, const struct lookup *from, const struct lookup *to)
{
    const uint32_t number = from->node.index;
    struct inode *inode = inode_get(vfs, number);
    struct dir *old_names = inode_get(vfs, from->parent)->as.dir;
    struct entry *old = dir_find(old_names, lookup_name(from));
    const struct entry *entry =
        dir_put(inode_get(vfs, to->parent)->as.dir, lookup_name(to), number, 0);
    if (entry == NULL || old == NULL) {
        return -GUEST_ENOMEM;
    }
    inode->as.dir->cookie = entry->cookie;
    old = dir_find(old_names, lookup_name(from));
    dir_remove(old_names, old);
    const uint32_t old_parent = inode->as.dir->parent;
    inode->as.dir->parent = to->parent;
    inode_hold(vfs, to->parent);
    inode_release(vfs, old_parent);
    return 0;
}

int granted_rename(struct vfs *vfs, const struct lookup *from, const struct lookup *to)
{
    struct place from_place;
    struct place to_place;
    int status = place_of_lookup(vfs, from, &from_place);
    if (status == 0) {
        status = place_of_lookup(vfs, to, &to_place);
    }
    if (status == 0 && dir_reserve(inode_get(vfs, to->parent)->as.dir, lookup_name(to).len) != 0) {
        status = -GUEST_ENOMEM;
    }
    if (status == 0) {
        status = host_rename(from_place.root, from_place.path, to_place.path);
    }
    if (status != 0) {
        return status;
    }
    name_forget(vfs, to);
    if (vnode_exists(to->node)) {
        room_refund(vfs, to);
    }
    return from->node.layer == 0 ? dir_move(vfs, from, to) : 0;
}

/* ---- Looks ----------------------------------------------------------------------------------- */

/* Whether the host is to be asked: 1, and where; 0, or an error. */
static int looks_place(struct vfs *vfs, const struct lookup *lookup, struct place *place)
{
    const bool is_inode = lookup->node.layer == 0;
    const struct inode *inode = is_inode ? inode_get(vfs, lookup->node.index) : NULL;
    if (is_inode ? inode->granted == 0 : lookup->node.layer != LAYER_GRANTED) {
        return 0;
    }
    const uint32_t dir = is_inode ? lookup->node.index : seen_of(vfs, lookup->node)->dir;
    if (is_inode && granted_is_root(vfs, dir)) {
        return -GUEST_EPERM;
    }
    switch (granted_how(vfs, inode_get(vfs, dir))) {
    case VFS_GRANT_READ: return -GUEST_EROFS;
    case VFS_GRANT_OVERLAY: return 0;
    case VFS_GRANT_WRITE: break;
    }
    struct span name = {0}; /* none: the directory itself */
    if (!is_inode) {
        name = seen_name(seen_of(vfs, lookup->node));
    }
    const int status = place_find(vfs, dir, name, place);
    return status != 0 ? status : 1;
}

int granted_chmod(struct vfs *vfs, const struct lookup *lookup, uint32_t mode)
{
    struct place place;
    int status = looks_place(vfs, lookup, &place);
    if (status > 0) {
        status = host_chmod(place.root, place.path, mode);
        return status != 0 ? status : 1;
    }
    return status;
}

int granted_utimens(struct vfs *vfs, const struct lookup *lookup, struct vfs_time atime,
                    struct vfs_time mtime)
{
    struct place place;
    int status = looks_place(vfs, lookup, &place);
    if (status > 0) {
        status = host_utimens(place.root, place.path, atime, mtime);
        return status != 0 ? status : 1;
    }
    return status;
}

/* For an open file: as looks_place, but a file of the host is at hand. */
static int looks_of_file(struct vfs *vfs, const struct file *file, struct place *place, int *fd)
{
    *fd = -1;
    if (file == NULL || (file->flags & VFS_O_PATH) != 0) {
        return 0; /* the caller says what is wrong */
    }
    if (file->kind == FILE_NODE) {
        const struct lookup lookup = {.kind = LAST_DOT, .node = file->node};
        return file->node.layer == 0 ? looks_place(vfs, &lookup, place) : 0;
    }
    struct vfs_stat stat;
    if (file->kind != FILE_HOST) {
        return 0;
    }
    if (vfs->granted->grants[file->grant].how != VFS_GRANT_WRITE) {
        return -GUEST_EROFS;
    }
    *fd = file->host_fd;
    const int status = host_fstat(file->host_fd, &stat);
    return status != 0 ? status : stat.nlink > 1 ? -GUEST_EPERM : 1;
}

int granted_fchmod(struct vfs *vfs, const struct file *file, uint32_t mode)
{
    struct place place;
    int fd;
    int status = looks_of_file(vfs, file, &place, &fd);
    if (status > 0) {
        status = fd >= 0 ? host_fchmod(fd, mode) : host_chmod(place.root, place.path, mode);
        return status != 0 ? status : 1;
    }
    return status;
}

int granted_futimens(struct vfs *vfs, const struct file *file, struct vfs_time atime,
                     struct vfs_time mtime)
{
    struct place place;
    int fd;
    int status = looks_of_file(vfs, file, &place, &fd);
    if (status > 0) {
        status = fd >= 0 ? host_futimens(fd, atime, mtime)
                         : host_utimens(place.root, place.path, atime, mtime);
        return status != 0 ? status : 1;
    }
    return status;
}

int granted_may_write(const struct vfs *vfs, struct vnode node)
{
    const uint32_t dir = node.layer == LAYER_GRANTED ? seen_of(vfs, node)->dir : node.index;
    const struct inode *inode =
        node.layer == LAYER_GRANTED || node.layer == 0 ? inode_get(vfs, dir) : NULL;
    return inode != NULL && inode->granted != 0 && granted_how(vfs, inode) == VFS_GRANT_READ
               ? -GUEST_EROFS
               : 0;
}
