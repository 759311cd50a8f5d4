/* What is done with open files: reading, writing, listing, measuring. */
#include <assert.h>

#include "guest/vfs/tree.h"

static uint32_t type_of(const struct vfs *vfs, const struct file *file)
{
    switch (file->kind) {
    case FILE_NODE: return vnode_mode(vfs, file->node) & VFS_S_IFMT;
    case FILE_HOST: return VFS_S_IFREG;
    case FILE_FREE:
    case FILE_PIPE_READ:
    case FILE_PIPE_WRITE: break;
    }
    return VFS_S_IFIFO;
}

static bool is_pipe(const struct file *file)
{
    return file->kind == FILE_PIPE_READ || file->kind == FILE_PIPE_WRITE;
}

static const struct vfs_device *device_of(const struct vfs *vfs, const struct file *file)
{
    return &vfs->devices[inode_get(vfs, file->node.index)->device];
}

static int64_t device_read(const struct vfs_device *device, char *bytes, size_t len)
{
    return device->read == NULL || len == 0 ? 0 : device->read(device->context, bytes, len);
}

static int64_t device_write(const struct vfs_device *device, const char *bytes, size_t len)
{
    return device->write == NULL || len == 0 ? (int64_t)len
                                             : device->write(device->context, bytes, len);
}

/* Reads from what is no pipe, at a given place. */
static int64_t read_at(struct vfs *vfs, const struct file *file, void *bytes, size_t len,
                       uint64_t offset)
{
    if (file->kind == FILE_HOST) {
        return granted_file_read(file, bytes, len, offset);
    }
    switch (type_of(vfs, file)) {
    case VFS_S_IFDIR: return -GUEST_EISDIR;
    case VFS_S_IFCHR: return device_read(device_of(vfs, file), bytes, len);
    default: return vnode_read(vfs, file->node, offset, bytes, len);
    }
}

static int64_t write_file(struct vfs *vfs, struct inode *inode, const char *bytes, size_t len,
                          uint64_t offset)
{
    if (len == 0) {
        return 0;
    }
    if (offset >= LIMIT_FILE_SIZE_BYTES_MAX) {
        return -GUEST_EFBIG;
    }
    if (len > LIMIT_FILE_SIZE_BYTES_MAX - offset) {
        len = (size_t)(LIMIT_FILE_SIZE_BYTES_MAX - offset);
    }
    int status = inode_own_contents(vfs, inode, UINT64_MAX);
    if (status != 0) {
        return status;
    }
    int64_t written = content_write(vfs, &inode->as.content, offset, bytes, len);
    if (written > 0) {
        uint64_t end = offset + (uint64_t)written;
        inode->size = end > inode->size ? end : inode->size;
        inode_modified(vfs, inode);
    }
    return written;
}

/* Writes to what is no pipe; *offset is where, and becomes the place after it. */
static int64_t write_at(struct vfs *vfs, const struct file *file, const void *bytes, size_t len,
                        uint64_t *offset)
{
    if (type_of(vfs, file) == VFS_S_IFCHR) {
        return device_write(device_of(vfs, file), bytes, len);
    }
    if (file->kind == FILE_HOST) {
        return granted_file_write(vfs, file, bytes, len, offset);
    }
    /* Only files and devices are ever opened for writing, and files have an inode then. */
    assert(file->node.layer == 0);
    struct inode *inode = inode_get(vfs, file->node.index);
    if ((file->flags & VFS_O_APPEND) != 0) {
        *offset = inode->size;
    }
    int64_t written = write_file(vfs, inode, bytes, len, *offset);
    *offset += written > 0 ? (uint64_t)written : 0;
    return written;
}

int64_t vfs_read(struct vfs *vfs, int fd, void *bytes, size_t len)
{
    struct file *file = files_get_for(vfs, fd, VFS_R_OK);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (is_pipe(file)) {
        return pipe_read(&vfs->pipes[file->pipe], bytes, len);
    }
    int64_t count = read_at(vfs, file, bytes, len, file->offset);
    assert(count <= (int64_t)len);
    if (count > 0) {
        file->offset += (uint64_t)count;
    }
    return count;
}

int64_t vfs_write(struct vfs *vfs, int fd, const void *bytes, size_t len)
{
    struct file *file = files_get_for(vfs, fd, VFS_W_OK);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (is_pipe(file)) {
        return pipe_write(&vfs->pipes[file->pipe], bytes, len);
    }
    return write_at(vfs, file, bytes, len, &file->offset);
}

/* Whether a file has places at all. */
static bool is_stream(const struct vfs *vfs, const struct file *file)
{
    return is_pipe(file) || (type_of(vfs, file) == VFS_S_IFCHR && device_of(vfs, file)->stream);
}

/* Why a descriptor cannot be used at an offset in the wanted way: what it is comes first. */
static int64_t no_access(struct vfs *vfs, int fd)
{
    const struct file *file = files_get_for(vfs, fd, 0);
    return file != NULL && is_stream(vfs, file) ? -GUEST_ESPIPE : -GUEST_EBADF;
}

int64_t vfs_pread(struct vfs *vfs, int fd, void *bytes, size_t len, int64_t offset)
{
    const struct file *file = files_get_for(vfs, fd, VFS_R_OK);
    if (offset < 0) {
        return -GUEST_EINVAL;
    }
    if (file == NULL) {
        return no_access(vfs, fd);
    }
    return is_stream(vfs, file) ? -GUEST_ESPIPE : read_at(vfs, file, bytes, len, (uint64_t)offset);
}

int64_t vfs_pwrite(struct vfs *vfs, int fd, const void *bytes, size_t len, int64_t offset)
{
    const struct file *file = files_get_for(vfs, fd, VFS_W_OK);
    if (offset < 0) {
        return -GUEST_EINVAL;
    }
    if (file == NULL) {
        return no_access(vfs, fd);
    }
    uint64_t place = (uint64_t)offset;
    return is_stream(vfs, file) ? -GUEST_ESPIPE : write_at(vfs, file, bytes, len, &place);
}

static uint64_t size_of(const struct vfs *vfs, const struct file *file)
{
    struct vfs_stat stat;
    const int status = file->kind == FILE_HOST ? granted_file_stat(file, &stat)
                                               : vnode_stat(vfs, file->node, &stat);
    return status == 0 ? stat.size : 0;
}

int64_t vfs_seek(struct vfs *vfs, int fd, int64_t offset, int whence)
{
    struct file *file = files_get_for(vfs, fd, 0);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (is_stream(vfs, file)) {
        return -GUEST_ESPIPE;
    }
    uint32_t type = type_of(vfs, file);
    if (type == VFS_S_IFCHR) {
        return 0;
    }
    int64_t base;
    switch (whence) {
    case VFS_SEEK_SET: base = 0; break;
    case VFS_SEEK_CUR: base = (int64_t)file->offset; break;
    case VFS_SEEK_END:
        if (type == VFS_S_IFDIR) {
            return -GUEST_EINVAL;
        }
        base = (int64_t)size_of(vfs, file);
        break;
    default: return -GUEST_EINVAL;
    }
    int64_t place;
    if (__builtin_add_overflow(base, offset, &place)) {
        return -GUEST_EOVERFLOW;
    }
    if (place < 0 || (type != VFS_S_IFDIR && (uint64_t)place > LIMIT_FILE_SIZE_BYTES_MAX)) {
        return -GUEST_EINVAL;
    }
    file->offset = (uint64_t)place;
    return place;
}

int vfs_ftruncate(struct vfs *vfs, int fd, int64_t size)
{
    if (size < 0) {
        return -GUEST_EINVAL;
    }
    const struct file *file = files_get_for(vfs, fd, 0);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (files_get_for(vfs, fd, VFS_W_OK) == NULL || type_of(vfs, file) != VFS_S_IFREG) {
        return -GUEST_EINVAL;
    }
    return file->kind == FILE_HOST
               ? granted_file_truncate(vfs, file, (uint64_t)size)
               : inode_truncate(vfs, inode_get(vfs, file->node.index), (uint64_t)size);
}

int vfs_fallocate(struct vfs *vfs, int fd, int mode, int64_t offset, int64_t len)
{
    const struct file *file = files_get_for(vfs, fd, 0);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (offset < 0 || len <= 0) {
        return -GUEST_EINVAL;
    }
    if (mode != 0) {
        return -GUEST_ENOTSUP;
    }
    if (files_get_for(vfs, fd, VFS_W_OK) == NULL) {
        return -GUEST_EBADF;
    }
    uint32_t type = type_of(vfs, file);
    if (type != VFS_S_IFREG) {
        return type == VFS_S_IFIFO ? -GUEST_ESPIPE : -GUEST_ENODEV;
    }
    uint64_t end = (uint64_t)offset + (uint64_t)len;
    if (end > LIMIT_FILE_SIZE_BYTES_MAX) {
        return -GUEST_EFBIG;
    }
    if (file->kind == FILE_HOST) { /* the C library then writes what is missing */
        return -GUEST_ENOTSUP;
    }
    struct inode *inode = inode_get(vfs, file->node.index);
    int status = inode_own_contents(vfs, inode, UINT64_MAX);
    if (status == 0) {
        status = content_allocate(vfs, &inode->as.content, (uint64_t)offset, (uint64_t)len);
    }
    if (status == 0 && end > inode->size) {
        inode->size = end;
    }
    inode_modified(vfs, inode);
    return status;
}

int vfs_fsync(struct vfs *vfs, int fd)
{
    const struct file *file = files_get_for(vfs, fd, 0);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (file->kind == FILE_HOST) {
        return granted_file_sync(file);
    }
    uint32_t type = type_of(vfs, file);
    return type == VFS_S_IFREG || type == VFS_S_IFDIR ? 0 : -GUEST_EINVAL;
}

int vfs_readdir(struct vfs *vfs, int fd, struct vfs_dirent *out)
{
    struct file *file = files_get_for(vfs, fd, 0);
    if (file == NULL) {
        return -GUEST_EBADF;
    }
    if (type_of(vfs, file) != VFS_S_IFDIR) {
        return -GUEST_ENOTDIR;
    }
    if (inode_get(vfs, file->node.index)->nlink == 0) {
        return -GUEST_ENOENT;
    }
    return layers_next(vfs, file->node.index, &file->offset, &file->listing, out);
}

unsigned vfs_poll(struct vfs *vfs, int fd)
{
    const struct file *file = files_get_for(vfs, fd, 0);
    if (file == NULL) {
        return VFS_POLLNVAL;
    }
    if (is_pipe(file)) {
        return pipe_poll(&vfs->pipes[file->pipe], file->kind == FILE_PIPE_WRITE);
    }
    if (type_of(vfs, file) == VFS_S_IFCHR) {
        const struct vfs_device *device = device_of(vfs, file);
        if (device->poll != NULL) {
            return device->poll(device->context);
        }
    }
    return VFS_POLLIN | VFS_POLLOUT;
}
