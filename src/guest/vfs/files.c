/* Descriptors and open files: making, sharing, closing them. */
#include <assert.h>

#include "guest/vfs/host.h"
#include "guest/vfs/tree.h"

enum { PERMISSIONS = 07777 };

/* Flags that fcntl(F_GETFL) shows; the others have done their work when the file is open. */
#define FLAGS_KEPT                                                                                 \
    (VFS_O_ACCMODE | VFS_O_APPEND | VFS_O_NONBLOCK | VFS_O_DIRECTORY | VFS_O_NOFOLLOW | VFS_O_PATH)
#define FLAGS_WITH_PATH (VFS_O_PATH | VFS_O_DIRECTORY | VFS_O_NOFOLLOW | VFS_O_CLOEXEC)

/* The tables. */

struct file *files_get(const struct vfs *vfs, int fd)
{
    if (fd < 0 || (unsigned)fd >= LIMIT_OPEN_FILES_MAX || vfs->descriptors[fd].file == 0) {
        return NULL;
    }
    return (struct file *)&vfs->files[vfs->descriptors[fd].file - 1];
}

struct file *files_get_for(const struct vfs *vfs, int fd, unsigned bits)
{
    struct file *file = files_get(vfs, fd);
    if (file == NULL || (file->flags & VFS_O_PATH) != 0) {
        return NULL;
    }
    int access = file->flags & VFS_O_ACCMODE;
    if (((bits & VFS_R_OK) != 0 && access == VFS_O_WRONLY) ||
        ((bits & VFS_W_OK) != 0 && access == VFS_O_RDONLY)) {
        return NULL;
    }
    return file;
}

int files_start_dir(const struct vfs *vfs, int dirfd, uint32_t *dir)
{
    if (dirfd == VFS_AT_FDCWD) {
        *dir = vfs->cwd;
        return 0;
    }
    const struct file *file = files_get(vfs, dirfd);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (file->kind != FILE_NODE || (vnode_mode(vfs, file->node) & VFS_S_IFMT) != VFS_S_IFDIR) {
        return -GUEST_ENOTDIR;
    }
    *dir = file->node.index;
    return 0;
}

/* The lowest closed descriptor from `first` on; -1 when the quota has no more. */
static int lowest_free(const struct vfs *vfs, uint32_t first)
{
    for (uint32_t fd = first; fd < vfs->quota.open_files_max; fd++) {
        if (vfs->descriptors[fd].file == 0) {
            return (int)fd;
        }
    }
    return -1;
}

int files_room(struct vfs *vfs, uint32_t count)
{
    int fd = -1;
    for (uint32_t i = 0; i < count; i++) {
        fd = lowest_free(vfs, (uint32_t)(fd + 1));
        if (fd < 0) {
            vfs->limits_hit |= VFS_LIMIT_OPEN_FILES;
            return -GUEST_EMFILE;
        }
    }
    return 0;
}

/* Lets a closed descriptor share an open file. */
static void share(struct vfs *vfs, int fd, struct file *file, bool close_on_exec)
{
    file->refs++;
    vfs->descriptors[fd] = (struct descriptor){(uint16_t)(file - vfs->files + 1), close_on_exec};
}

static void hold(struct vfs *vfs, const struct file *file)
{
    switch (file->kind) {
    case FILE_NODE: inode_hold(vfs, file->node.layer == 0 ? file->node.index : file->parent); break;
    case FILE_PIPE_READ: vfs->pipes[file->pipe].readers++; break;
    case FILE_PIPE_WRITE: vfs->pipes[file->pipe].writers++; break;
    case FILE_HOST:
    case FILE_FREE: break;
    }
}

static void drop(struct vfs *vfs, struct file *file)
{
    assert(file->refs > 0);
    if (--file->refs > 0) {
        return;
    }
    struct file last = *file;
    *file = (struct file){.kind = FILE_FREE};
    granted_listing_free(last.listing);
    switch (last.kind) {
    case FILE_NODE: inode_release(vfs, last.node.layer == 0 ? last.node.index : last.parent); break;
    case FILE_PIPE_READ:
    case FILE_PIPE_WRITE: pipe_close(&vfs->pipes[last.pipe], last.kind == FILE_PIPE_WRITE); break;
    case FILE_HOST: host_close(last.host_fd); break;
    case FILE_FREE: break;
    }
}

void files_put(struct vfs *vfs, struct file *place, const struct file *file)
{
    *place = *file;
    place->refs = 0;
    hold(vfs, file);
}

int files_add(struct vfs *vfs, const struct file *file, bool close_on_exec)
{
    int fd = lowest_free(vfs, 0);
    uint32_t place = 0;
    while (place < LIMIT_OPEN_FILES_MAX && vfs->files[place].kind != FILE_FREE) {
        place++;
    }
    /* Every open file has a descriptor, so where a descriptor is free an open file is too. */
    assert(fd >= 0 && place < LIMIT_OPEN_FILES_MAX);
    files_put(vfs, &vfs->files[place], file);
    share(vfs, fd, &vfs->files[place], close_on_exec);
    return fd;
}

bool files_have(const struct vfs *vfs, struct vnode node)
{
    for (uint32_t i = 0; i < LIMIT_OPEN_FILES_MAX; i++) {
        if (vfs->files[i].kind == FILE_NODE && vnode_equal(vfs->files[i].node, node)) {
            return true;
        }
    }
    return false;
}

void files_redirect(struct vfs *vfs, struct vnode from, uint32_t number)
{
    for (uint32_t i = 0; i < LIMIT_OPEN_FILES_MAX; i++) {
        struct file *file = &vfs->files[i];
        if (file->kind != FILE_NODE || !vnode_equal(file->node, from)) {
            continue;
        }
        inode_hold(vfs, number);
        file->node = vnode_of_inode(number);
        inode_release(vfs, file->parent);
        file->parent = INODE_NONE;
    }
}

int files_own(struct vfs *vfs, struct file *file, uint32_t *number)
{
    if (file->node.layer == 0) {
        *number = file->node.index;
        return 0;
    }
    /* An image's file that loses its name gets an inode at that moment, so this one has its. */
    struct image_entry entry;
    if (image_entry(&vfs->images[file->node.layer - 1], file->node.index, &entry) != 0) {
        return -GUEST_EIO;
    }
    return layers_copy_up(vfs, file->parent, entry.name, file->node, number);
}

static void close_descriptor(struct vfs *vfs, int fd, struct file *file)
{
    vfs->descriptors[fd] = (struct descriptor){0, false};
    drop(vfs, file);
}

/* Opening. */

static int open_vnode(struct vfs *vfs, struct vnode node, uint32_t parent, int flags)
{
    struct file file = {
        .kind = FILE_NODE,
        .flags = flags & FLAGS_KEPT,
        .node = node,
        .parent = node.layer == 0 ? INODE_NONE : parent,
    };
    return files_add(vfs, &file, (flags & VFS_O_CLOEXEC) != 0);
}

/* A file of a granted directory, opened or made on the host. */
static int open_on_host(struct vfs *vfs, const struct lookup *lookup, int flags,
                        const uint32_t *mode)
{
    struct file file = {.flags = flags & FLAGS_KEPT};
    const int status = mode == NULL ? granted_open(vfs, lookup, flags, &file)
                                    : granted_create(vfs, lookup, flags, *mode, &file);
    return status != 0 ? status : files_add(vfs, &file, (flags & VFS_O_CLOEXEC) != 0);
}

static int open_new(struct vfs *vfs, const struct lookup *lookup, int flags, uint32_t mode)
{
    int status = path_may_change(vfs, lookup->parent);
    if (status != 0) {
        return status;
    }
    mode &= PERMISSIONS & ~vfs->umask;
    if (granted_is_written(vfs, lookup->parent)) {
        return open_on_host(vfs, lookup, flags, &mode);
    }
    uint32_t number = inode_new(vfs, VFS_S_IFREG | mode);
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    status = layers_link(vfs, lookup->parent, lookup_name(lookup), number);
    if (status != 0) {
        inode_settle(vfs, number);
        return status;
    }
    return open_vnode(vfs, vnode_of_inode(number), lookup->parent, flags);
}

static unsigned follow_flag(int flags)
{
    return (flags & VFS_O_NOFOLLOW) != 0 ? 0 : LOOKUP_FOLLOW;
}

/* O_TMPFILE: a file that never has a name. */
static int open_nameless(struct vfs *vfs, int dirfd, struct span path, int flags, uint32_t mode)
{
    if ((flags & VFS_O_ACCMODE) == VFS_O_RDONLY || (flags & VFS_O_CREAT) != 0) {
        return -GUEST_EINVAL;
    }
    struct lookup lookup;
    int status = path_find(vfs, dirfd, path, follow_flag(flags), &lookup);
    if (status != 0) {
        return status;
    }
    if ((vnode_mode(vfs, lookup.node) & VFS_S_IFMT) != VFS_S_IFDIR) {
        return -GUEST_ENOTDIR;
    }
    status = path_may_change(vfs, lookup.node.index);
    if (status == 0 && granted_is_written(vfs, lookup.node.index)) {
        status = -GUEST_ENOTSUP;
    }
    if (status != 0) {
        return status;
    }
    uint32_t number = inode_new(vfs, VFS_S_IFREG | (mode & PERMISSIONS & ~vfs->umask));
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    return open_vnode(vfs, vnode_of_inode(number), lookup.parent, flags & ~VFS_O_DIRECTORY);
}

/* What forbids opening something that exists. */
static int check_open(const struct vfs *vfs, struct vnode node, int flags)
{
    uint32_t type = vnode_mode(vfs, node) & VFS_S_IFMT;
    bool writes = (flags & VFS_O_ACCMODE) != VFS_O_RDONLY || (flags & VFS_O_TRUNC) != 0;
    if ((flags & VFS_O_DIRECTORY) != 0 && type != VFS_S_IFDIR) {
        return -GUEST_ENOTDIR;
    }
    if ((flags & VFS_O_PATH) != 0) {
        return 0;
    }
    if (type == VFS_S_IFLNK) {
        return -GUEST_ELOOP;
    }
    if (type == VFS_S_IFDIR && (writes || (flags & VFS_O_CREAT) != 0)) {
        return -GUEST_EISDIR;
    }
    unsigned bits = (flags & VFS_O_ACCMODE) == VFS_O_WRONLY ? 0 : VFS_R_OK;
    return vnode_may(vfs, node, bits | (writes ? VFS_W_OK : 0)) ? 0 : -GUEST_EACCES;
}

static int open_existing(struct vfs *vfs, const struct lookup *lookup, int flags)
{
    int status = check_open(vfs, lookup->node, flags);
    if (status != 0) {
        return status;
    }
    struct vnode node = lookup->node;
    bool is_file = (vnode_mode(vfs, node) & VFS_S_IFMT) == VFS_S_IFREG;
    bool truncates = (flags & VFS_O_TRUNC) != 0;
    bool changes = is_file && (truncates || (flags & VFS_O_ACCMODE) != VFS_O_RDONLY);
    if (node.layer == LAYER_GRANTED && (!changes || !granted_is_overlaid(vfs, lookup->parent))) {
        return open_on_host(vfs, lookup, flags, NULL);
    }
    if (changes) {
        uint32_t number;
        status = node.layer == LAYER_GRANTED && truncates ? granted_copy_up(vfs, node, 0, &number)
                                                          : path_own(vfs, lookup, &number);
        if (status == 0 && truncates) {
            status = inode_truncate(vfs, inode_get(vfs, number), 0);
        }
        if (status != 0) {
            return status;
        }
        node = vnode_of_inode(number);
    }
    return open_vnode(vfs, node, lookup->parent, flags);
}

static int open_or_create(struct vfs *vfs, int dirfd, struct span path, int flags, uint32_t mode)
{
    bool exclusive = (flags & VFS_O_EXCL) != 0;
    unsigned follow = exclusive ? 0 : follow_flag(flags);
    struct lookup lookup;
    int status = path_lookup(vfs, dirfd, path, LOOKUP_CREATE | follow, &lookup);
    if (status != 0) {
        return status;
    }
    if (!vnode_exists(lookup.node)) {
        return open_new(vfs, &lookup, flags, mode);
    }
    return exclusive ? -GUEST_EEXIST : open_existing(vfs, &lookup, flags);
}

int vfs_open(struct vfs *vfs, int dirfd, struct span path, int flags, uint32_t mode)
{
    if ((flags & VFS_O_PATH) != 0) {
        flags &= FLAGS_WITH_PATH;
    }
    if ((flags & VFS_O_ACCMODE) == VFS_O_ACCMODE ||
        ((flags & VFS_O_CREAT) != 0 && (flags & VFS_O_DIRECTORY) != 0)) {
        return -GUEST_EINVAL;
    }
    int status = files_room(vfs, 1);
    if (status != 0) {
        return status;
    }
    if ((flags & VFS_O_TMPFILE) == VFS_O_TMPFILE) {
        return open_nameless(vfs, dirfd, path, flags, mode);
    }
    if ((flags & VFS_O_CREAT) != 0) {
        return open_or_create(vfs, dirfd, path, flags, mode);
    }
    struct lookup lookup;
    status = path_find(vfs, dirfd, path, follow_flag(flags), &lookup);
    return status != 0 ? status : open_existing(vfs, &lookup, flags);
}

int vfs_pipe(struct vfs *vfs, int fds[2], int flags)
{
    if ((flags & ~(VFS_O_CLOEXEC | VFS_O_NONBLOCK)) != 0) {
        return -GUEST_EINVAL;
    }
    int status = files_room(vfs, 2);
    if (status != 0) {
        return status;
    }
    uint32_t number = PIPE_NONE + 1;
    while (vfs->pipes[number].readers + vfs->pipes[number].writers > 0) {
        number++;
        assert(number < PIPES_MAX);
    }
    vfs->pipes[number] = (struct pipe){.ino = vfs->next_ino++, .made_ns = vfs_now(vfs)};
    bool close_on_exec = (flags & VFS_O_CLOEXEC) != 0;
    struct file end = {.kind = FILE_PIPE_READ, .flags = flags & VFS_O_NONBLOCK, .pipe = number};
    fds[0] = files_add(vfs, &end, close_on_exec);
    end.kind = FILE_PIPE_WRITE;
    end.flags |= VFS_O_WRONLY;
    fds[1] = files_add(vfs, &end, close_on_exec);
    return 0;
}

/* Closing, sharing, flags. */

int vfs_close(struct vfs *vfs, int fd)
{
    struct file *file = files_get(vfs, fd);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    close_descriptor(vfs, fd, file);
    return 0;
}

static int dup_from(struct vfs *vfs, int fd, int64_t first, bool close_on_exec)
{
    struct file *file = files_get(vfs, fd);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (first < 0 || first >= vfs->quota.open_files_max) {
        return -GUEST_EINVAL;
    }
    int new_fd = lowest_free(vfs, (uint32_t)first);
    if (new_fd < 0) {
        vfs->limits_hit |= VFS_LIMIT_OPEN_FILES;
        return -GUEST_EMFILE;
    }
    share(vfs, new_fd, file, close_on_exec);
    return new_fd;
}

int vfs_dup(struct vfs *vfs, int fd)
{
    return dup_from(vfs, fd, 0, false);
}

int vfs_dup3(struct vfs *vfs, int fd, int new_fd, int flags)
{
    if (fd == new_fd || (flags & ~VFS_O_CLOEXEC) != 0) {
        return -GUEST_EINVAL;
    }
    struct file *file = files_get(vfs, fd);
    if (file == NULL || new_fd < 0 || (uint32_t)new_fd >= vfs->quota.open_files_max) {
        return -GUEST_EBADF;
    }
    struct file *old = files_get(vfs, new_fd);
    if (old != NULL) {
        close_descriptor(vfs, new_fd, old);
    }
    share(vfs, new_fd, file, (flags & VFS_O_CLOEXEC) != 0);
    return new_fd;
}

static int set_flags(struct file *file, int64_t flags)
{
    const int changeable = VFS_O_APPEND | VFS_O_NONBLOCK;
    if ((file->flags & VFS_O_PATH) != 0) {
        return -GUEST_EBADF;
    }
    file->flags = (file->flags & ~changeable) | ((int)flags & changeable);
    return 0;
}

int vfs_fcntl(struct vfs *vfs, int fd, int command, int64_t argument)
{
    struct file *file = files_get(vfs, fd);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    switch (command) {
    case VFS_F_DUPFD: return dup_from(vfs, fd, argument, false);
    case VFS_F_DUPFD_CLOEXEC: return dup_from(vfs, fd, argument, true);
    case VFS_F_GETFD: return vfs->descriptors[fd].close_on_exec ? VFS_FD_CLOEXEC : 0;
    case VFS_F_SETFD:
        vfs->descriptors[fd].close_on_exec = (argument & VFS_FD_CLOEXEC) != 0;
        return 0;
    case VFS_F_GETFL: return file->flags;
    case VFS_F_SETFL: return set_flags(file, argument);
    case VFS_F_GETLK:
    case VFS_F_SETLK:
    case VFS_F_SETLKW:
    case VFS_F_GETLK64:
    case VFS_F_SETLK64:
    case VFS_F_SETLKW64: return (file->flags & VFS_O_PATH) != 0 ? -GUEST_EBADF : 0;
    default: return -GUEST_EINVAL;
    }
}

int vfs_fd_check(const struct vfs *vfs, int fd)
{
    return files_get(vfs, fd) == NULL ? -GUEST_EBADF : 0;
}
