/* The table of inodes, and what can be asked of a vnode whichever layer it lives in. */
#include <assert.h>
#include <stdlib.h>

#include "guest/vfs/tree.h"

enum { FILESYSTEM_DEVICE = 0x10, BLOCK_BYTES = 4096, STAT_BLOCK_BYTES = 512 };

/* A hostile image may say any time; nanoseconds since 1970 must fit 63 bits. */
#define TIME_S_MAX 9000000000ULL

struct inode *inode_get(const struct vfs *vfs, uint32_t number)
{
    assert(number != INODE_NONE && number / INODE_BLOCK_COUNT < vfs->block_count);
    return &vfs->blocks[number / INODE_BLOCK_COUNT][number % INODE_BLOCK_COUNT];
}

static int add_block(struct vfs *vfs)
{
    struct inode *block = calloc(INODE_BLOCK_COUNT, sizeof *block);
    struct inode **blocks = reallocarray(vfs->blocks, (size_t)vfs->block_count + 1, sizeof *blocks);
    if (blocks != NULL) {
        vfs->blocks = blocks;
    }
    if (block == NULL || blocks == NULL) {
        free(block);
        return -GUEST_ENOMEM;
    }
    blocks[vfs->block_count] = block;
    uint32_t first = vfs->block_count * INODE_BLOCK_COUNT;
    for (uint32_t i = INODE_BLOCK_COUNT; i-- > 0;) {
        if (first + i != INODE_NONE) {
            block[i].as.next_free = vfs->inode_free;
            vfs->inode_free = first + i;
        }
    }
    vfs->block_count++;
    return 0;
}

uint32_t inode_new(struct vfs *vfs, uint32_t mode)
{
    if (vfs->inode_free == INODE_NONE && add_block(vfs) != 0) {
        return INODE_NONE;
    }
    uint32_t number = vfs->inode_free;
    struct inode *inode = inode_get(vfs, number);
    vfs->inode_free = inode->as.next_free;
    int64_t now = vfs_now(vfs);
    *inode = (struct inode){.mode = mode,
                            .uid = VFS_UID,
                            .gid = VFS_GID,
                            .written = true,
                            .epoch = vfs->epoch,
                            .ino = vfs->next_ino++,
                            .atime_ns = now,
                            .mtime_ns = now,
                            .ctime_ns = now};
    return number;
}

uint32_t inode_new_dir(struct vfs *vfs, uint32_t mode, uint32_t parent)
{
    struct dir *dir = dir_new(parent);
    uint32_t number = dir == NULL ? INODE_NONE : inode_new(vfs, VFS_S_IFDIR | mode);
    if (number == INODE_NONE) {
        dir_free(dir);
        return INODE_NONE;
    }
    inode_get(vfs, number)->as.dir = dir;
    if (parent != number) {
        inode_hold(vfs, parent);
    }
    return number;
}

void inode_hold(struct vfs *vfs, uint32_t number)
{
    inode_get(vfs, number)->refs++;
}

void inode_release(struct vfs *vfs, uint32_t number)
{
    struct inode *inode = inode_get(vfs, number);
    assert(inode->refs > 0);
    inode->refs--;
    inode_settle(vfs, number);
}

void inode_unname(struct vfs *vfs, uint32_t number)
{
    struct inode *inode = inode_get(vfs, number);
    assert(inode->nlink > 0);
    inode->nlink--;
    inode_settle(vfs, number);
}

static void free_insides(struct vfs *vfs, struct inode *inode)
{
    if ((inode->mode & VFS_S_IFMT) == VFS_S_IFDIR) {
        granted_forget(vfs, inode);
        dir_free(inode->as.dir);
    } else {
        content_cut(vfs, &inode->as.content, 0);
    }
}

void inode_settle(struct vfs *vfs, uint32_t number)
{
    while (number != INODE_NONE) {
        struct inode *inode = inode_get(vfs, number);
        if (inode->nlink > 0 || inode->refs > 0) {
            return;
        }
        bool is_dir = (inode->mode & VFS_S_IFMT) == VFS_S_IFDIR;
        uint32_t parent = is_dir ? inode->as.dir->parent : INODE_NONE;
        free_insides(vfs, inode);
        *inode = (struct inode){.as.next_free = vfs->inode_free};
        vfs->inode_free = number;
        if (parent != INODE_NONE) {
            inode_get(vfs, parent)->refs--;
        }
        number = parent;
    }
}

void inode_free_all(struct vfs *vfs)
{
    for (uint32_t i = 0; i < vfs->block_count; i++) {
        for (uint32_t j = 0; j < INODE_BLOCK_COUNT; j++) {
            if (vfs->blocks[i][j].mode != 0) {
                free_insides(vfs, &vfs->blocks[i][j]);
            }
        }
        free(vfs->blocks[i]);
    }
    free(vfs->blocks);
}

void inode_changed(struct vfs *vfs, struct inode *inode)
{
    inode->ctime_ns = vfs_now(vfs);
    inode->written = true;
    inode->epoch = vfs->epoch;
}

void inode_modified(struct vfs *vfs, struct inode *inode)
{
    inode->mtime_ns = inode->ctime_ns = vfs_now(vfs);
    inode->written = true;
    inode->epoch = vfs->epoch;
}

bool inode_may(const struct vfs *vfs, const struct inode *inode, unsigned bits)
{
    if (vfs->by_host) {
        return true;
    }
    if (inode->granted != 0) { /* the host will say, and path_may_change */
        return true;
    }
    bool is_dir = (inode->mode & VFS_S_IFMT) == VFS_S_IFDIR;
    if (inode->fixed && is_dir && (bits & VFS_W_OK) != 0) {
        return false;
    }
    return ((inode->mode >> 6) & bits) == bits;
}

/* The entry behind an image's vnode. */
static int image_of(const struct vfs *vfs, struct vnode node, struct image_entry *entry)
{
    assert(node.layer >= 1 && node.layer <= vfs->image_count);
    return image_entry(&vfs->images[node.layer - 1], node.index, entry) == 0 ? 0 : -GUEST_EIO;
}

int inode_own_contents(struct vfs *vfs, struct inode *inode, uint64_t size)
{
    if (!vnode_exists(inode->backing)) {
        return 0;
    }
    struct image_entry entry;
    int status = size == 0 ? 0 : image_of(vfs, inode->backing, &entry);
    if (status != 0) {
        return status;
    }
    if (size > 0) {
        size_t len = entry.contents.len < size ? entry.contents.len : (size_t)size;
        int64_t written = content_write(vfs, &inode->as.content, 0, entry.contents.base, len);
        if (written < 0 || (size_t)written < len) {
            content_cut(vfs, &inode->as.content, 0);
            return written < 0 ? (int)written : -GUEST_ENOSPC;
        }
    }
    inode->backing = (struct vnode){0, INODE_NONE};
    return 0;
}

int inode_truncate(struct vfs *vfs, struct inode *inode, uint64_t size)
{
    if (size > LIMIT_FILE_SIZE_BYTES_MAX) {
        return -GUEST_EFBIG;
    }
    int status = inode_own_contents(vfs, inode, size);
    if (status != 0) {
        return status;
    }
    if (size < inode->size) {
        content_cut(vfs, &inode->as.content, size);
    }
    inode->size = size;
    inode_modified(vfs, inode);
    return 0;
}

uint32_t vnode_mode(const struct vfs *vfs, struct vnode node)
{
    if (node.layer == 0) {
        return inode_get(vfs, node.index)->mode;
    }
    if (node.layer == LAYER_GRANTED) {
        return granted_seen(vfs, node)->mode;
    }
    struct image_entry entry;
    return image_of(vfs, node, &entry) == 0 ? entry.mode : 0;
}

bool vnode_may(const struct vfs *vfs, struct vnode node, unsigned bits)
{
    if (node.layer == 0) {
        return inode_may(vfs, inode_get(vfs, node.index), bits);
    }
    if (node.layer == LAYER_GRANTED) {
        return true;
    }
    return vfs->by_host || ((vnode_mode(vfs, node) >> 6) & bits) == bits;
}

int64_t image_time_ns(const struct vfs *vfs, uint32_t layer)
{
    uint64_t seconds = vfs->images[layer - 1].mtime_s;
    return (int64_t)(seconds < TIME_S_MAX ? seconds : TIME_S_MAX) * 1000000000;
}

static uint64_t blocks_of(const struct inode *inode)
{
    if ((inode->mode & VFS_S_IFMT) == VFS_S_IFDIR) {
        return 0;
    }
    uint64_t bytes =
        vnode_exists(inode->backing) ? inode->size : content_charge(&inode->as.content);
    return (bytes + STAT_BLOCK_BYTES - 1) / STAT_BLOCK_BYTES;
}

static void stat_inode(const struct inode *inode, struct vfs_stat *out)
{
    *out = (struct vfs_stat){.dev = FILESYSTEM_DEVICE,
                             .ino = inode->ino,
                             .mode = inode->mode,
                             .nlink = inode->nlink,
                             .uid = inode->uid,
                             .gid = inode->gid,
                             .rdev = inode->rdev,
                             .size = inode->size,
                             .blksize = BLOCK_BYTES,
                             .blocks = blocks_of(inode),
                             .atime_ns = inode->atime_ns,
                             .mtime_ns = inode->mtime_ns,
                             .ctime_ns = inode->ctime_ns};
    if ((inode->mode & VFS_S_IFMT) == VFS_S_IFDIR && inode->nlink > 0) {
        out->nlink = 2;
    }
}

/* A directory that is open, or the working directory, may have changed on the host since it was
 * looked up, or be gone from there. */
static int dir_stat_again(const struct vfs *vfs, uint32_t number, struct vfs_stat *out)
{
    struct vfs_stat now;
    const int status = granted_dir_stat(vfs, number, &now);
    if (status == 0) {
        *out = now;
    }
    return status == -GUEST_ENOENT ? 0 : status;
}

int vnode_stat(const struct vfs *vfs, struct vnode node, struct vfs_stat *out)
{
    if (node.layer == 0) {
        const struct inode *inode = inode_get(vfs, node.index);
        stat_inode(inode, out);
        return inode->granted == 0 || inode->written ? 0 : dir_stat_again(vfs, node.index, out);
    }
    if (node.layer == LAYER_GRANTED) {
        *out = *granted_seen(vfs, node);
        return 0;
    }
    struct image_entry entry;
    int status = image_of(vfs, node, &entry);
    if (status != 0) {
        return status;
    }
    int64_t time = image_time_ns(vfs, node.layer);
    *out =
        (struct vfs_stat){.dev = FILESYSTEM_DEVICE,
                          .ino = vnode_ino(node),
                          .mode = entry.mode,
                          .nlink = 1,
                          .size = entry.contents.len,
                          .blksize = BLOCK_BYTES,
                          .blocks = (entry.contents.len + STAT_BLOCK_BYTES - 1) / STAT_BLOCK_BYTES,
                          .atime_ns = time,
                          .mtime_ns = time,
                          .ctime_ns = time};
    return 0;
}

/* How many of `len` bytes at `offset` a file of `size` bytes has. */
static size_t part_at(uint64_t size, uint64_t offset, size_t len)
{
    if (offset >= size) {
        return 0;
    }
    return size - offset < len ? (size_t)(size - offset) : len;
}

int64_t vnode_read(const struct vfs *vfs, struct vnode node, uint64_t offset, char *out, size_t len)
{
    if (node.layer == 0) {
        const struct inode *inode = inode_get(vfs, node.index);
        if (!vnode_exists(inode->backing)) {
            size_t part = part_at(inode->size, offset, len);
            content_read(&inode->as.content, offset, out, part);
            return (int64_t)part;
        }
        node = inode->backing;
    }
    if (node.layer == LAYER_GRANTED) {
        return granted_read(vfs, node, offset, out, len);
    }
    struct image_entry entry;
    int status = image_of(vfs, node, &entry);
    if (status != 0) {
        return status;
    }
    size_t part = part_at(entry.contents.len, offset, len);
    if (part > 0) {
        memcpy(out, entry.contents.base + offset, part);
    }
    return (int64_t)part;
}
