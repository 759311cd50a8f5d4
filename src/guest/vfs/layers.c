/* The layers as one tree: the writable layer's names over those of the images. */
#include <assert.h>
#include <stdlib.h>

#include "guest/vfs/tree.h"

/* Positions in a directory: 0 and 1 are "." and "..", then the images' names from the top image
 * down, each at a fixed place whatever becomes of it; then the names of the writable layer that no
 * image has. So a listing goes on rightly while entries are changed, removed or copied up. */
#define POSITION_IMAGES 2ULL
#define POSITION_HOST   (1ULL << 39)

enum { DT_CHAR = 2, DT_DIR = 4, DT_REGULAR = 8, DT_LINK = 10, ORIGINS_FIRST = 64 };

static struct dir *dir_of(const struct vfs *vfs, uint32_t number)
{
    struct inode *inode = inode_get(vfs, number);
    assert((inode->mode & VFS_S_IFMT) == VFS_S_IFDIR);
    return inode->as.dir;
}

/* The directory's entry in image `layer`; false when that image does not have it. */
static bool origin_of(const struct vfs *vfs, const struct inode *dir, uint32_t layer,
                      uint32_t *index)
{
    if (dir->origin == 0) {
        return false;
    }
    uint32_t stored = vfs->origins[(size_t)(dir->origin - 1) * vfs->image_count + (layer - 1)];
    *index = stored - 1;
    return stored != 0;
}

/* Finds a name in one layer of a directory: 1, 0 or -EIO. */
static int find_in_image(const struct vfs *vfs, const struct inode *dir, uint32_t layer,
                         struct span name, struct vnode *out)
{
    uint32_t at;
    if (!origin_of(vfs, dir, layer, &at)) {
        return 0;
    }
    uint32_t index;
    int found = image_lookup(&vfs->images[layer - 1], at, name, &index);
    if (found > 0) {
        *out = (struct vnode){layer, index};
    }
    return found < 0 ? -GUEST_EIO : found;
}

/* Images that share children between directories could ask for any number of records: there is a
 * maximum. */
uint32_t layers_new_origin(struct vfs *vfs)
{
    if (vfs->origin_count == vfs->origin_capacity) {
        uint32_t capacity = vfs->origin_capacity == 0 ? ORIGINS_FIRST : vfs->origin_capacity * 2;
        uint32_t *origins =
            reallocarray(vfs->origins, (size_t)capacity * vfs->image_count, sizeof *origins);
        if (origins == NULL) {
            return 0;
        }
        vfs->origins = origins;
        vfs->origin_capacity = capacity;
    }
    if (vfs->origin_count >= vfs->origin_count_max) {
        return 0;
    }
    memset(vfs->origins + (size_t)vfs->origin_count * vfs->image_count, 0,
           vfs->image_count * sizeof *vfs->origins);
    return ++vfs->origin_count;
}

/* Fills a new record: the directory `top` and those of the same name in lower images, down to the
 * first image that has something else there. */
static uint32_t merge_origins(struct vfs *vfs, const struct inode *parent, struct span name,
                              struct vnode top)
{
    uint32_t record = layers_new_origin(vfs);
    if (record == 0) {
        return 0;
    }
    uint32_t *numbers = vfs->origins + (size_t)(record - 1) * vfs->image_count;
    numbers[top.layer - 1] = top.index + 1;
    for (uint32_t layer = top.layer - 1; layer >= 1; layer--) {
        struct vnode lower;
        int found = find_in_image(vfs, parent, layer, name, &lower);
        if (found < 0 || (found > 0 && (vnode_mode(vfs, lower) & VFS_S_IFMT) != VFS_S_IFDIR)) {
            break;
        }
        if (found > 0) {
            numbers[layer - 1] = lower.index + 1;
        }
    }
    return record;
}

/* Gives a directory of the images its inode, with the looks of its topmost image. */
static int enter_dir(struct vfs *vfs, uint32_t parent, struct span name, struct vnode top,
                     struct vnode *out)
{
    uint32_t origin = merge_origins(vfs, inode_get(vfs, parent), name, top);
    if (origin == 0) {
        return -GUEST_ENOMEM;
    }
    uint32_t number = inode_new_dir(vfs, vnode_mode(vfs, top) & 07777U, parent);
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    struct inode *inode = inode_get(vfs, number);
    inode->uid = inode->gid = 0;
    inode->origin = origin;
    inode->written = false;
    inode->ino = vnode_ino(top);
    inode->atime_ns = inode->mtime_ns = inode->ctime_ns = image_time_ns(vfs, top.layer);
    const struct entry *entry = dir_put(dir_of(vfs, parent), name, number, 0);
    if (entry == NULL) {
        inode_settle(vfs, number);
        return -GUEST_ENOMEM;
    }
    inode->as.dir->cookie = entry->cookie;
    inode->nlink = 1;
    *out = vnode_of_inode(number);
    return 0;
}

/* What the images have under a name, the topmost first; directories are not entered. */
static int find_in_images(const struct vfs *vfs, const struct inode *dir, struct span name,
                          struct vnode *out)
{
    *out = (struct vnode){0, INODE_NONE};
    if (dir->origin == 0) {
        return 0;
    }
    for (uint32_t layer = vfs->image_count; layer >= 1; layer--) {
        int found = find_in_image(vfs, dir, layer, name, out);
        if (found != 0) {
            return found;
        }
    }
    return 0;
}

int layers_lookup(struct vfs *vfs, uint32_t dir, struct span name, struct vnode *out)
{
    const struct inode *inode = inode_get(vfs, dir);
    if (inode->granted != 0) {
        return granted_lookup(vfs, dir, name, out);
    }
    const struct entry *entry = dir_find(inode->as.dir, name);
    if (entry != NULL) {
        *out = vnode_of_inode(entry->inode);
        return 0;
    }
    int found = find_in_images(vfs, inode, name, out);
    if (found <= 0) {
        return found;
    }
    uint32_t mode = vnode_mode(vfs, *out);
    if (mode == 0) {
        return -GUEST_EIO;
    }
    return (mode & VFS_S_IFMT) == VFS_S_IFDIR ? enter_dir(vfs, dir, name, *out, out) : 0;
}

bool layers_have(const struct vfs *vfs, uint32_t dir, struct span name)
{
    const struct inode *inode = inode_get(vfs, dir);
    struct vnode node;
    return inode->granted != 0 ? granted_has(vfs, dir, name)
                               : find_in_images(vfs, inode, name, &node) != 0;
}

static uint8_t dirent_type(uint32_t mode)
{
    switch (mode & VFS_S_IFMT) {
    case VFS_S_IFDIR: return DT_DIR;
    case VFS_S_IFCHR: return DT_CHAR;
    case VFS_S_IFLNK: return DT_LINK;
    default: return DT_REGULAR;
    }
}

static int fill_dirent(struct vfs_dirent *out, struct span name, uint64_t ino, uint32_t mode,
                       uint64_t next)
{
    out->ino = ino;
    out->cookie = next;
    out->type = dirent_type(mode);
    out->name_len = (uint8_t)name.len;
    memcpy(out->name, name.base, name.len);
    out->name[name.len] = '\0';
    return 1;
}

static int fill_from_inode(const struct vfs *vfs, struct vfs_dirent *out, struct span name,
                           uint32_t number, uint64_t next)
{
    const struct inode *inode = inode_get(vfs, number);
    return fill_dirent(out, name, inode->ino, inode->mode, next);
}

/* Whether a higher image than `layer` has the name in this directory too. */
static bool is_covered(const struct vfs *vfs, const struct inode *dir, uint32_t layer,
                       struct span name)
{
    for (uint32_t above = vfs->image_count; above > layer; above--) {
        struct vnode node;
        if (find_in_image(vfs, dir, above, name, &node) != 0) {
            return true;
        }
    }
    return false;
}

/* Child `place` of the directory in one image: 1, 0 when it does not show, or an error. */
static int image_child(const struct vfs *vfs, const struct inode *dir, struct vnode child,
                       uint64_t next, struct vfs_dirent *out)
{
    struct image_entry entry;
    if (image_entry(&vfs->images[child.layer - 1], child.index, &entry) != 0) {
        return -GUEST_EIO;
    }
    if (is_covered(vfs, dir, child.layer, entry.name)) {
        return 0;
    }
    const struct entry *own = dir_find(dir->as.dir, entry.name);
    if (own == NULL) {
        return fill_dirent(out, entry.name, vnode_ino(child), entry.mode, next);
    }
    return own->inode == INODE_NONE ? 0 : fill_from_inode(vfs, out, entry.name, own->inode, next);
}

/* The rest of the images' stage of a listing. */
static int next_in_images(const struct vfs *vfs, const struct inode *dir, uint64_t *position,
                          struct vfs_dirent *out)
{
    uint64_t first = POSITION_IMAGES; /* position of the layer's first child */
    for (uint32_t layer = vfs->image_count; layer >= 1; layer--) {
        uint32_t at;
        struct image_entry own;
        if (!origin_of(vfs, dir, layer, &at)) {
            continue;
        }
        if (image_entry(&vfs->images[layer - 1], at, &own) != 0) {
            return -GUEST_EIO;
        }
        while (*position - first < own.child_count) {
            uint32_t index = own.first_child + (uint32_t)(*position - first);
            ++*position;
            int status = image_child(vfs, dir, (struct vnode){layer, index}, *position, out);
            if (status != 0) {
                return status;
            }
        }
        first += own.child_count;
    }
    *position = POSITION_WRITTEN;
    return 0;
}

/* What the host has; of names that the guest has too, the guest's. */
static int next_on_host(struct vfs *vfs, uint32_t number, uint64_t *position,
                        struct granted_listing **listing, struct vfs_dirent *out)
{
    const struct dir *own_names = inode_get(vfs, number)->as.dir;
    for (;;) {
        const int status = granted_next(vfs, number, *position - POSITION_HOST, listing, out);
        if (status <= 0) {
            *position = status == 0 ? POSITION_WRITTEN : *position;
            return status;
        }
        out->cookie = ++*position;
        const struct span name = {out->name, out->name_len};
        const struct entry *own = dir_find(own_names, name);
        if (own == NULL || (own->inode != INODE_NONE && inode_get(vfs, own->inode)->granted != 0)) {
            return 1;
        }
        if (own->inode != INODE_NONE) {
            return fill_from_inode(vfs, out, name, own->inode, *position);
        }
    }
}

/* Whether a listing has shown the name already, or never will: of directories that are only
 * remembered it is the host that says whether they are there. */
static bool is_shown(const struct vfs *vfs, uint32_t number, const struct granted_listing *listing,
                     const struct entry *entry, struct span name)
{
    if (inode_get(vfs, number)->granted == 0) {
        return layers_have(vfs, number, name);
    }
    return inode_get(vfs, entry->inode)->granted != 0 || granted_listing_has(listing, name);
}

static int next_written(const struct vfs *vfs, uint32_t number, uint64_t *position,
                        const struct granted_listing *listing, struct vfs_dirent *out)
{
    const struct dir *names = inode_get(vfs, number)->as.dir;
    for (;;) {
        const struct entry *entry = dir_from_cookie(names, *position - POSITION_WRITTEN);
        if (entry == NULL) {
            return 0;
        }
        *position = POSITION_WRITTEN + entry->cookie + 1;
        struct span name = dir_name(names, entry);
        if (entry->inode != INODE_NONE && !is_shown(vfs, number, listing, entry, name)) {
            return fill_from_inode(vfs, out, name, entry->inode, *position);
        }
    }
}

int layers_next(struct vfs *vfs, uint32_t dir, uint64_t *position, struct granted_listing **listing,
                struct vfs_dirent *out)
{
    const struct inode *inode = inode_get(vfs, dir);
    if (*position < POSITION_IMAGES) {
        bool is_self = *position == 0;
        ++*position;
        return fill_from_inode(vfs, out, span_of(is_self ? "." : ".."),
                               is_self ? dir : inode->as.dir->parent, *position);
    }
    if (*position < POSITION_WRITTEN && inode->granted != 0) {
        if (*position < POSITION_HOST) {
            *position = POSITION_HOST;
        }
        const int status = next_on_host(vfs, dir, position, listing, out);
        if (status != 0) {
            return status;
        }
    } else if (*position < POSITION_WRITTEN) {
        int status = next_in_images(vfs, inode, position, out);
        if (status != 0) {
            return status;
        }
    }
    return next_written(vfs, dir, position, *listing, out);
}

int layers_next_written(struct vfs *vfs, uint32_t dir, uint64_t *position, struct vfs_dirent *out)
{
    const struct dir *names = inode_get(vfs, dir)->as.dir;
    for (;;) {
        const struct entry *entry = dir_from_cookie(names, *position - POSITION_WRITTEN);
        if (entry == NULL) {
            return 0;
        }
        *position = POSITION_WRITTEN + entry->cookie + 1;
        if (entry->inode != INODE_NONE) {
            return fill_from_inode(vfs, out, dir_name(names, entry), entry->inode, *position);
        }
    }
}

int layers_is_empty(struct vfs *vfs, uint32_t dir)
{
    uint64_t position = POSITION_IMAGES;
    struct granted_listing *listing = NULL;
    struct vfs_dirent entry;
    int status = layers_next(vfs, dir, &position, &listing, &entry);
    granted_listing_free(listing);
    return status < 0 ? status : status == 0;
}

/* An inode that reads from the image, without a name yet. */
static uint32_t new_backed(struct vfs *vfs, struct vnode node)
{
    struct vfs_stat stat;
    if (vnode_stat(vfs, node, &stat) != 0) {
        return INODE_NONE;
    }
    uint32_t number = inode_new(vfs, stat.mode);
    if (number == INODE_NONE) {
        return INODE_NONE;
    }
    struct inode *inode = inode_get(vfs, number);
    inode->uid = inode->gid = 0;
    inode->ino = stat.ino;
    inode->size = stat.size;
    inode->atime_ns = stat.atime_ns;
    inode->mtime_ns = stat.mtime_ns;
    inode->backing = node;
    return number;
}

int layers_copy_up(struct vfs *vfs, uint32_t dir, struct span name, struct vnode node,
                   uint32_t *number)
{
    assert(node.layer != 0);
    int status = vfs_take_count(vfs);
    if (status != 0) {
        return status;
    }
    *number = new_backed(vfs, node);
    if (*number == INODE_NONE) {
        vfs->count_used--;
        return -GUEST_ENOMEM;
    }
    if (dir_put(dir_of(vfs, dir), name, *number, ENTRY_CHARGED) == NULL) {
        vfs->count_used--;
        inode_settle(vfs, *number);
        return -GUEST_ENOMEM;
    }
    inode_get(vfs, *number)->nlink = 1;
    files_redirect(vfs, node, *number);
    return 0;
}

/* Puts the entry and lets a directory know where its entry is. The caller has made room. */
static void put_entry(struct vfs *vfs, uint32_t dir, struct span name, uint32_t number)
{
    const struct entry *entry = dir_put(dir_of(vfs, dir), name, number, ENTRY_CHARGED);
    assert(entry != NULL);
    struct inode *inode = inode_get(vfs, number);
    if ((inode->mode & VFS_S_IFMT) == VFS_S_IFDIR) {
        inode->as.dir->cookie = entry->cookie;
    }
}

int layers_link(struct vfs *vfs, uint32_t dir, struct span name, uint32_t number)
{
    if (dir_reserve(dir_of(vfs, dir), name.len) != 0) {
        return -GUEST_ENOMEM;
    }
    int status = vfs_take_count(vfs);
    if (status != 0) {
        return status;
    }
    put_entry(vfs, dir, name, number);
    inode_get(vfs, number)->nlink++;
    inode_modified(vfs, inode_get(vfs, dir));
    return 0;
}

/* Takes the name of an inode out of a directory, leaving a whiteout where an image has the name.
 * The inode keeps its count of names. */
static void drop_entry(struct vfs *vfs, uint32_t dir, struct span name)
{
    struct inode *parent = inode_get(vfs, dir);
    struct entry *entry = dir_find(parent->as.dir, name);
    assert(entry != NULL && entry->inode != INODE_NONE);
    if ((entry->flags & ENTRY_CHARGED) != 0) {
        vfs->count_used--;
    }
    if (!granted_is_written(vfs, dir) && layers_have(vfs, dir, name)) {
        entry->inode = INODE_NONE;
        entry->flags = 0;
    } else {
        dir_remove(parent->as.dir, entry);
    }
    inode_modified(vfs, parent);
}

/* Those who have an image's file open keep it when its name goes, through an inode without one. */
static int keep_for_files(struct vfs *vfs, struct vnode node)
{
    if (!files_have(vfs, node)) {
        return 0;
    }
    uint32_t number = new_backed(vfs, node);
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    files_redirect(vfs, node, number);
    return 0;
}

int layers_unlink(struct vfs *vfs, uint32_t dir, struct span name, struct vnode node)
{
    if (node.layer != 0) {
        struct dir *names = dir_of(vfs, dir);
        int status = dir_reserve(names, name.len) != 0 ? -GUEST_ENOMEM : keep_for_files(vfs, node);
        if (status != 0) {
            return status;
        }
        dir_put(names, name, INODE_NONE, 0);
        inode_modified(vfs, inode_get(vfs, dir));
        return 0;
    }
    drop_entry(vfs, dir, name);
    inode_changed(vfs, inode_get(vfs, node.index));
    inode_unname(vfs, node.index);
    return 0;
}

/* Whether the name's present entry counts against the quota. */
static bool is_charged(const struct vfs *vfs, uint32_t dir, struct span name)
{
    const struct entry *entry = dir_find(dir_of(vfs, dir), name);
    return entry != NULL && (entry->flags & ENTRY_CHARGED) != 0;
}

static void change_parent(struct vfs *vfs, uint32_t number, uint32_t parent)
{
    struct inode *inode = inode_get(vfs, number);
    if ((inode->mode & VFS_S_IFMT) != VFS_S_IFDIR) {
        return;
    }
    uint32_t old = inode->as.dir->parent;
    inode->as.dir->parent = parent;
    inode_hold(vfs, parent);
    inode_release(vfs, old);
}

int layers_move(struct vfs *vfs, uint32_t old_dir, struct span old_name, uint32_t number,
                uint32_t new_dir, struct span new_name, struct vnode target)
{
    int status = dir_reserve(dir_of(vfs, new_dir), new_name.len);
    if (status == 0 && !is_charged(vfs, old_dir, old_name) && !is_charged(vfs, new_dir, new_name)) {
        status = vfs_take_count(vfs);
        vfs->count_used -= status == 0 ? 1 : 0;
    }
    if (status == 0 && vnode_exists(target)) {
        status = layers_unlink(vfs, new_dir, new_name, target);
    }
    if (status != 0) {
        return status;
    }
    /* The target's entry is gone or a whiteout, so there is room still: it was reserved first. */
    drop_entry(vfs, old_dir, old_name);
    vfs->count_used++;
    put_entry(vfs, new_dir, new_name, number);
    change_parent(vfs, number, new_dir);
    inode_modified(vfs, inode_get(vfs, new_dir));
    inode_changed(vfs, inode_get(vfs, number));
    return 0;
}
