/* All of a file system but its images, as bytes: what whole_load.c makes one of again. Inodes get
 * new numbers, 1 for the root and so on without gaps, which the guest does not see. */
#include <stdlib.h>

#include "guest/vfs/tree.h"
#include "guest/vfs/whole.h"

struct whole {
    const struct vfs *vfs;
    struct saving *out;
    uint32_t *ranks;                          /* by inode: its new number */
    uint32_t *parents[LIMIT_IMAGE_COUNT_MAX]; /* of an image's entries; NULL: not asked for yet */
};

/* ---- Numbers --------------------------------------------------------------------------------- */

static uint32_t inode_end(const struct vfs *vfs)
{
    return vfs->block_count * INODE_BLOCK_COUNT;
}

static bool is_used(const struct vfs *vfs, uint32_t number)
{
    return number != INODE_NONE && inode_get(vfs, number)->mode != 0;
}

static bool is_dir(const struct inode *inode)
{
    return (inode->mode & VFS_S_IFMT) == VFS_S_IFDIR;
}

static uint32_t ranks_fill(const struct vfs *vfs, uint32_t *ranks)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < inode_end(vfs); i++) {
        ranks[i] = is_used(vfs, i) ? ++count : INODE_NONE;
    }
    return count;
}

/* ---- Places in images ------------------------------------------------------------------------ */

/* Which directory each entry of an image is in: made at one go, when the first one is asked for.
 * Directories have smaller numbers than what is in them, so every way up ends at the root. */
static const uint32_t *parents_of(struct whole *whole, uint32_t layer)
{
    const struct image *image = &whole->vfs->images[layer - 1];
    uint32_t *parents = whole->parents[layer - 1];
    if (parents != NULL || (parents = calloc(image->entry_count, sizeof *parents)) == NULL) {
        return parents;
    }
    whole->parents[layer - 1] = parents;
    for (uint32_t i = 0; i < image->entry_count; i++) {
        struct image_entry entry;
        for (uint32_t j = 0; image_entry(image, i, &entry) == 0 && j < entry.child_count; j++) {
            parents[entry.first_child + j] = i;
        }
    }
    return parents;
}

/* Saves the path of an image's entry, without a slash before it; it is written from its end on. */
static int save_image_path(struct whole *whole, struct vnode node)
{
    char path[LIMIT_PATH_BYTES_MAX];
    size_t at = sizeof path;
    const struct image *image = &whole->vfs->images[node.layer - 1];
    const uint32_t *parents = parents_of(whole, node.layer);
    if (parents == NULL || node.index >= image->entry_count) {
        return -1;
    }
    for (uint32_t index = node.index; index != IMAGE_ROOT; index = parents[index]) {
        struct image_entry entry;
        if (image_entry(image, index, &entry) != 0 || entry.name.len + 1 > at) {
            return -1;
        }
        if (at < sizeof path) {
            path[--at] = '/';
        }
        at -= entry.name.len;
        memcpy(path + at, entry.name.base, entry.name.len);
    }
    save_bytes(whole->out, (struct span){path + at, sizeof path - at});
    return 0;
}

/* ---- Inodes ---------------------------------------------------------------------------------- */

/* All layers have a directory at the same path; the topmost tells it. */
static int save_origin(struct whole *whole, const struct inode *inode)
{
    const struct vfs *vfs = whole->vfs;
    save_u32(whole->out, inode->origin != 0);
    if (inode->origin == 0) {
        return 0;
    }
    const uint32_t *numbers = vfs->origins + (size_t)(inode->origin - 1) * vfs->image_count;
    for (uint32_t layer = vfs->image_count; layer >= 1; layer--) {
        if (numbers[layer - 1] != 0) {
            return save_image_path(whole, (struct vnode){layer, numbers[layer - 1] - 1});
        }
    }
    return -1;
}

static int save_file_insides(struct whole *whole, const struct inode *inode)
{
    save_u32(whole->out, inode->backing.layer);
    if (vnode_exists(inode->backing)) {
        return save_image_path(whole, inode->backing);
    }
    save_u32(whole->out, inode->as.content.count);
    for (uint32_t i = 0; i < inode->as.content.count; i++) {
        save_u64(whole->out, inode->as.content.chunks[i].index);
        save_u32(whole->out, inode->as.content.chunks[i].capacity);
    }
    return 0;
}

static int save_inode(struct whole *whole, const struct inode *inode)
{
    struct saving *out = whole->out;
    save_u32(out, inode->mode);
    save_u32(out, inode->uid);
    save_u32(out, inode->gid);
    save_u32(out, (inode->fixed ? WHOLE_FIXED : 0u) | (inode->written ? WHOLE_WRITTEN : 0u));
    save_u64(out, inode->ino);
    save_u64(out, inode->size);
    save_u64(out, (uint64_t)inode->atime_ns);
    save_u64(out, (uint64_t)inode->mtime_ns);
    save_u64(out, (uint64_t)inode->ctime_ns);
    switch (inode->mode & VFS_S_IFMT) {
    case VFS_S_IFDIR:
        save_u32(out, whole->ranks[inode->as.dir->parent]);
        save_u64(out, inode->as.dir->next_cookie);
        return save_origin(whole, inode);
    case VFS_S_IFCHR:
        save_u32(out, inode->device);
        save_u32(out, inode->rdev);
        return 0;
    default: return save_file_insides(whole, inode);
    }
}

static void save_entries(const struct whole *whole, const struct dir *dir)
{
    save_u32(whole->out, dir->count - dir->dead);
    for (uint32_t i = 0; i < dir->count; i++) {
        const struct entry *entry = &dir->entries[i];
        if ((entry->flags & ENTRY_DEAD) == 0) {
            save_u64(whole->out, entry->cookie);
            save_u32(whole->out,
                     entry->inode == INODE_NONE ? INODE_NONE : whole->ranks[entry->inode]);
            save_u32(whole->out, entry->flags & ENTRY_CHARGED);
            save_bytes(whole->out, dir_name(dir, entry));
        }
    }
}

static int save_tree(struct whole *whole, uint32_t count)
{
    const struct vfs *vfs = whole->vfs;
    save_u32(whole->out, count);
    for (uint32_t i = 1; i < inode_end(vfs); i++) {
        if (is_used(vfs, i) && save_inode(whole, inode_get(vfs, i)) != 0) {
            return -1;
        }
    }
    for (uint32_t i = 1; i < inode_end(vfs); i++) {
        if (is_used(vfs, i) && is_dir(inode_get(vfs, i))) {
            save_entries(whole, inode_get(vfs, i)->as.dir);
        }
    }
    return 0;
}

/* ---- Open files ------------------------------------------------------------------------------ */

static void save_pipes(const struct whole *whole)
{
    for (uint32_t i = PIPE_NONE + 1; i < PIPES_MAX; i++) {
        const struct pipe *pipe = &whole->vfs->pipes[i];
        if (pipe->readers + pipe->writers == 0) {
            continue;
        }
        char bytes[LIMIT_PIPE_BYTES];
        struct pipe copy = *pipe;
        const int64_t len = pipe->len == 0 ? 0 : pipe_read(&copy, bytes, sizeof bytes);
        save_u32(whole->out, i);
        save_u64(whole->out, pipe->ino);
        save_u64(whole->out, (uint64_t)pipe->made_ns);
        save_bytes(whole->out, (struct span){bytes, (size_t)len});
    }
    save_u32(whole->out, PIPE_NONE);
}

/* A file of an image is told by the directory and the name that it has. */
static int save_file(const struct whole *whole, const struct file *file)
{
    save_u32(whole->out, (uint32_t)file->kind);
    save_u32(whole->out, (uint32_t)file->flags);
    save_u64(whole->out, file->offset);
    if (file->kind != FILE_NODE) {
        save_u32(whole->out, file->pipe);
        return 0;
    }
    const bool is_of_image = file->node.layer != 0;
    save_u32(whole->out, whole->ranks[is_of_image ? file->parent : file->node.index]);
    save_u32(whole->out, is_of_image);
    if (is_of_image) {
        struct image_entry entry;
        if (image_entry(&whole->vfs->images[file->node.layer - 1], file->node.index, &entry) != 0) {
            return -1;
        }
        save_bytes(whole->out, entry.name);
        save_u64(whole->out, entry.contents.len);
    }
    return 0;
}

static int save_files(const struct whole *whole)
{
    const struct vfs *vfs = whole->vfs;
    for (uint32_t i = 0; i < LIMIT_OPEN_FILES_MAX; i++) {
        if (vfs->files[i].kind != FILE_FREE) {
            save_u32(whole->out, i + 1);
            if (save_file(whole, &vfs->files[i]) != 0) {
                return -1;
            }
        }
    }
    save_u32(whole->out, 0);
    for (uint32_t fd = 0; fd < LIMIT_OPEN_FILES_MAX; fd++) {
        if (vfs->descriptors[fd].file != 0) {
            save_u32(whole->out, fd + 1);
            save_u32(whole->out, vfs->descriptors[fd].file);
            save_u32(whole->out, vfs->descriptors[fd].close_on_exec);
        }
    }
    save_u32(whole->out, 0);
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

int vfs_save_whole(const struct vfs *vfs, struct saving *out, struct err *err)
{
    if (vfs->granted != NULL) {
        return err_set(err, ERR_USAGE,
                       "what has a directory of the host mounted cannot be saved: the directory "
                       "would not come along");
    }
    struct whole whole = {.vfs = vfs, .out = out};
    whole.ranks = calloc(inode_end(vfs) + 1, sizeof *whole.ranks);
    if (whole.ranks == NULL) {
        return err_set(err, ERR_MEMORY, "no memory to save the guest's files");
    }
    const uint32_t count = ranks_fill(vfs, whole.ranks);
    save_u64(out, vfs->next_ino);
    save_u32(out, vfs->umask);
    const int status = save_tree(&whole, count);
    save_u32(out, whole.ranks[vfs->cwd]);
    save_pipes(&whole);
    const int failed = status != 0 || save_files(&whole) != 0;
    free(whole.ranks);
    for (uint32_t i = 0; i < vfs->image_count; i++) {
        free(whole.parents[i]);
    }
    return failed ? err_set(err, ERR_FORMAT, "an image of the guest's is damaged") : 0;
}

int vfs_write_contents(const struct vfs *vfs, const struct flow_out *flow, struct err *err)
{
    for (uint32_t i = 1; i < inode_end(vfs); i++) {
        const struct inode *inode = inode_get(vfs, i);
        const uint32_t type = inode->mode & VFS_S_IFMT;
        if (type != VFS_S_IFREG && type != VFS_S_IFLNK) {
            continue;
        }
        for (uint32_t j = 0; j < inode->as.content.count; j++) {
            const struct chunk *chunk = &inode->as.content.chunks[j];
            if (flow_write(flow, (struct span){chunk->bytes, chunk->capacity}, err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
