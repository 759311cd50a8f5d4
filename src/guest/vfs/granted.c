/* Granted directories as part of the tree: granting, looking, listing. */
#include "guest/vfs/granted_inside.h"

#include <assert.h>
#include <stdlib.h>

#include "guest/vfs/host.h"
#include "guest/vfs/tree.h"

enum { LISTED_HEAD_BYTES = 10 };

/* A directory that was passed so many paths ago is nobody's any more who holds no reference: one
 * call looks up two. */
enum { LOOKS_OLD = 4 };

/* ---- Which ----------------------------------------------------------------------------------- */

struct grant *grant_of(const struct vfs *vfs, const struct inode *dir)
{
    assert(dir->granted > 0 && dir->granted <= vfs->granted->count);
    return &vfs->granted->grants[dir->granted - 1];
}

enum vfs_grant granted_how(const struct vfs *vfs, const struct inode *dir)
{
    return grant_of(vfs, dir)->how;
}

bool granted_is_root(const struct vfs *vfs, uint32_t dir)
{
    const struct inode *inode = inode_get(vfs, dir);
    return inode->granted != 0 && grant_of(vfs, inode)->root == dir;
}

uint32_t granted_around(const struct vfs *vfs, uint32_t dir)
{
    while (vfs->granted != NULL && dir != INODE_ROOT) {
        const struct inode *inode = inode_get(vfs, dir);
        if (inode->granted != 0) {
            return inode->granted;
        }
        dir = inode->as.dir->parent;
    }
    return 0;
}

bool granted_is_written(const struct vfs *vfs, uint32_t dir)
{
    const struct inode *inode = inode_get(vfs, dir);
    return inode->granted != 0 && granted_how(vfs, inode) == VFS_GRANT_WRITE;
}

bool granted_is_overlaid(const struct vfs *vfs, uint32_t dir)
{
    const struct inode *inode = inode_get(vfs, dir);
    return inode->granted != 0 && granted_how(vfs, inode) == VFS_GRANT_OVERLAY;
}

/* ---- Paths ----------------------------------------------------------------------------------- */

/* Puts a component in front; the first one is the last of the path. */
static int place_prepend(struct place *place, struct span name)
{
    const size_t room = (size_t)(place->path - place->bytes);
    const size_t slash = *place->path == '\0' ? 0 : 1;
    if (name.len + slash > room) {
        return -GUEST_ENAMETOOLONG;
    }
    char *start = place->bytes + room - slash - name.len;
    memcpy(start, name.base, name.len);
    if (slash == 1) {
        start[name.len] = '/';
    }
    place->path = start;
    return 0;
}

int place_find(const struct vfs *vfs, uint32_t dir, struct span name, struct place *out)
{
    const struct grant *grant = grant_of(vfs, inode_get(vfs, dir));
    out->root = grant->fd;
    out->bytes[sizeof out->bytes - 1] = '\0';
    out->path = out->bytes + sizeof out->bytes - 1;
    int status = name.len > 0 ? place_prepend(out, name) : 0;
    while (status == 0 && dir != grant->root) {
        const struct inode *inode = inode_get(vfs, dir);
        if (inode->nlink == 0) {
            return -GUEST_ENOENT;
        }
        const struct dir *names = inode_get(vfs, inode->as.dir->parent)->as.dir;
        status = place_prepend(out, dir_name(names, dir_from_cookie(names, inode->as.dir->cookie)));
        dir = inode->as.dir->parent;
    }
    return status;
}

int place_of_lookup(const struct vfs *vfs, const struct lookup *lookup, struct place *out)
{
    return place_find(vfs, lookup->parent, lookup_name(lookup), out);
}

/* ---- Granting -------------------------------------------------------------------------------- */

static int directory_make(struct vfs *vfs, struct span path, uint32_t *number)
{
    for (size_t i = 1; i < path.len; i++) {
        if (path.base[i] == '/') {
            const int status = vfs_mkdir(vfs, VFS_AT_FDCWD, (struct span){path.base, i}, 0755);
            if (status != 0 && status != -GUEST_EEXIST) {
                return status;
            }
        }
    }
    struct lookup lookup;
    int status = vfs_mkdir(vfs, VFS_AT_FDCWD, path, 0755);
    if (status == 0) {
        status = path_find(vfs, VFS_AT_FDCWD, path, 0, &lookup);
    }
    if (status == 0) {
        *number = lookup.node.index;
        inode_get(vfs, *number)->written = false;
    }
    return status;
}

static int grant_add(struct vfs *vfs, int fd, struct span path, enum vfs_grant how)
{
    struct vfs_stat stat;
    uint32_t number;
    int status = host_stat(fd, "", &stat);
    if (status == 0 && (stat.mode & VFS_S_IFMT) != VFS_S_IFDIR) {
        status = -GUEST_ENOTDIR;
    }
    if (status == 0 && vfs->granted == NULL) {
        vfs->granted = calloc(1, sizeof *vfs->granted);
        status = vfs->granted == NULL ? -GUEST_ENOMEM : 0;
    }
    if (status == 0 && vfs->granted->count == LIMIT_MOUNTS_MAX) {
        status = -GUEST_ENFILE;
    }
    if (status == 0) {
        const bool by_host = vfs->by_host;
        vfs->by_host = true;
        status = directory_make(vfs, path, &number);
        vfs->by_host = by_host;
    }
    if (status != 0) {
        return status;
    }
    inode_hold(vfs, number);
    vfs->granted->grants[vfs->granted->count++] =
        (struct grant){.fd = fd, .how = how, .root = number};
    vfs->granted->dir_count++;
    inode_get(vfs, number)->granted = (uint8_t)vfs->granted->count;
    return 0;
}

int vfs_grant(struct vfs *vfs, int fd, struct span path, enum vfs_grant grant, struct err *err)
{
    const struct vfs_quota quota = vfs->quota;
    const struct vfs_quota enough = {.bytes_max = quota.bytes_max,
                                     .count_max = LIMIT_FILE_COUNT_MAX,
                                     .open_files_max = quota.open_files_max};
    vfs_set_quota(vfs, &enough);
    const int status = grant_add(vfs, fd, path, grant);
    vfs_set_quota(vfs, &quota);
    switch (-status) {
    case 0: return 0;
    case GUEST_EEXIST:
    case GUEST_ENOTDIR:
        return err_set(err, ERR_USAGE,
                       "nothing can be mounted at %.*s: it is there already, or no directory",
                       (int)path.len, path.base);
    case GUEST_ENOSYS:
        return err_set(err, ERR_SYSTEM,
                       "this kernel has no openat2, without which nothing can be "
                       "mounted: it is older than Linux 5.6");
    default:
        return err_set(err, ERR_SYSTEM, "the directory for %.*s cannot be mounted (guest errno %d)",
                       (int)path.len, path.base, -status);
    }
}

void granted_free(struct vfs *vfs)
{
    if (vfs->granted == NULL) {
        return;
    }
    for (uint32_t i = 0; i < LIMIT_OPEN_FILES_MAX; i++) {
        if (vfs->files[i].kind == FILE_HOST) {
            host_close(vfs->files[i].host_fd);
        }
        granted_listing_free(vfs->files[i].listing);
    }
    free(vfs->granted);
    vfs->granted = NULL;
}

/* ---- Remembered directories ------------------------------------------------------------------ */

void granted_forget(struct vfs *vfs, const struct inode *dir)
{
    if (dir->granted != 0) {
        vfs->granted->dir_count--;
    }
}

void entry_drop(struct vfs *vfs, uint32_t dir, struct entry *entry)
{
    const uint32_t number = entry->inode;
    dir_remove(inode_get(vfs, dir)->as.dir, entry);
    inode_unname(vfs, number);
}

static bool is_idle(const struct vfs *vfs, uint32_t number)
{
    const struct inode *inode = inode_get(vfs, number);
    return inode->mode != 0 && inode->granted != 0 && inode->refs == 0 && inode->nlink > 0 &&
           !inode->written && inode->as.dir->count == inode->as.dir->dead &&
           vfs->granted->looks - inode->used > LOOKS_OLD;
}

/* Forgets directories that nobody has passed for long: their names come back with the next look. */
static void sweep(struct vfs *vfs)
{
    for (uint32_t i = 1; i < vfs->block_count * INODE_BLOCK_COUNT; i++) {
        if (!is_idle(vfs, i)) {
            continue;
        }
        const struct dir *own = inode_get(vfs, i)->as.dir;
        const struct dir *names = inode_get(vfs, own->parent)->as.dir;
        const struct entry *entry = dir_from_cookie(names, own->cookie);
        entry_drop(vfs, own->parent, dir_find(names, dir_name(names, entry)));
    }
}

static void looks_set(struct inode *inode, const struct vfs_stat *stat)
{
    if (inode->written) {
        return; /* the guest has changed its looks, in an overlay */
    }
    inode->mode = stat->mode;
    inode->ino = stat->ino;
    inode->atime_ns = stat->atime_ns;
    inode->mtime_ns = stat->mtime_ns;
    inode->ctime_ns = stat->ctime_ns;
}

static int enter_dir(struct vfs *vfs, uint32_t parent, struct span name, struct vnode *out)
{
    if (vfs->granted->dir_count >= LIMIT_GRANTED_DIRS_MAX) {
        sweep(vfs);
        if (vfs->granted->dir_count >= LIMIT_GRANTED_DIRS_MAX) {
            return -GUEST_ENFILE;
        }
    }
    const uint32_t number = inode_new_dir(vfs, 0755, parent);
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    struct inode *inode = inode_get(vfs, number);
    const struct entry *entry = dir_put(inode_get(vfs, parent)->as.dir, name, number, 0);
    if (entry == NULL) {
        inode_settle(vfs, number);
        return -GUEST_ENOMEM;
    }
    inode->as.dir->cookie = entry->cookie;
    inode->nlink = 1;
    inode->written = false;
    inode->granted = inode_get(vfs, parent)->granted;
    vfs->granted->dir_count++;
    *out = vnode_of_inode(number);
    return 0;
}

/* ---- Looking --------------------------------------------------------------------------------- */

void granted_begin(struct vfs *vfs)
{
    if (vfs->granted != NULL) {
        vfs->granted->looks++;
    }
}

static uint64_t device_of(const struct inode *dir)
{
    return GRANTED_DEVICE + (uint64_t)dir->granted;
}

static struct vnode see(struct vfs *vfs, uint32_t dir, struct span name,
                        const struct vfs_stat *stat)
{
    struct granted *granted = vfs->granted;
    const uint32_t place = granted->seen_next++ % SEEN_COUNT;
    struct seen *seen = &granted->seen[place];
    seen->dir = dir;
    seen->stat = *stat;
    seen->stat.dev = device_of(inode_get(vfs, dir));
    seen->name_len = (uint8_t)name.len;
    memcpy(seen->name, name.base, name.len);
    return (struct vnode){LAYER_GRANTED, place};
}

int granted_lookup(struct vfs *vfs, uint32_t dir, struct span name, struct vnode *out)
{
    struct entry *entry = dir_find(inode_get(vfs, dir)->as.dir, name);
    *out = (struct vnode){0, INODE_NONE};
    inode_get(vfs, dir)->used = vfs->granted->looks;
    if (entry != NULL &&
        (entry->inode == INODE_NONE || inode_get(vfs, entry->inode)->granted == 0)) {
        *out = vnode_of_inode(entry->inode);
        return 0;
    }
    struct place place;
    struct vfs_stat stat = {0};
    int status = place_find(vfs, dir, name, &place);
    if (status == 0) {
        status = host_stat(place.root, place.path, &stat);
    }
    const bool is_dir = status == 0 && (stat.mode & VFS_S_IFMT) == VFS_S_IFDIR;
    if (entry != NULL && !is_dir) {
        entry_drop(vfs, dir, entry);
        entry = NULL;
    }
    if (status != 0) {
        return status == -GUEST_ENOENT ? 0 : status;
    }
    if (!is_dir) {
        *out = see(vfs, dir, name, &stat);
        return 0;
    }
    *out = vnode_of_inode(entry != NULL ? entry->inode : INODE_NONE);
    status = entry != NULL ? 0 : enter_dir(vfs, dir, name, out);
    if (status == 0) {
        struct inode *inode = inode_get(vfs, out->index);
        inode->used = vfs->granted->looks;
        looks_set(inode, &stat);
    }
    return status;
}

bool granted_has(const struct vfs *vfs, uint32_t dir, struct span name)
{
    struct place place;
    struct vfs_stat stat;
    return place_find(vfs, dir, name, &place) == 0 &&
           host_stat(place.root, place.path, &stat) != -GUEST_ENOENT;
}

const struct seen *seen_of(const struct vfs *vfs, struct vnode node)
{
    assert(node.layer == LAYER_GRANTED && node.index < SEEN_COUNT);
    return &vfs->granted->seen[node.index];
}

const struct vfs_stat *granted_seen(const struct vfs *vfs, struct vnode node)
{
    return &seen_of(vfs, node)->stat;
}

int64_t granted_read(const struct vfs *vfs, struct vnode node, uint64_t offset, char *out,
                     size_t len)
{
    const struct seen *seen = seen_of(vfs, node);
    struct place place;
    const int status = place_find(vfs, seen->dir, seen_name(seen), &place);
    if (status != 0) {
        return status;
    }
    if ((seen->stat.mode & VFS_S_IFMT) == VFS_S_IFLNK) {
        return host_readlink(place.root, place.path, out, len);
    }
    const int fd = host_open(place.root, place.path, HOST_READ);
    const int64_t count = fd < 0 ? fd : host_read(fd, out, len, offset);
    host_close(fd);
    return count;
}

int granted_dir_stat(const struct vfs *vfs, uint32_t dir, struct vfs_stat *out)
{
    struct place place;
    int status = place_find(vfs, dir, (struct span){0}, &place);
    if (status == 0) {
        status = host_stat(place.root, place.path, out);
    }
    if (status == 0 && (out->mode & VFS_S_IFMT) != VFS_S_IFDIR) {
        status = -GUEST_ENOENT; /* it was swapped for something else */
    }
    out->dev = device_of(inode_get(vfs, dir));
    return status;
}

/* ---- Listing --------------------------------------------------------------------------------- */

struct granted_listing {
    struct buf bytes; /* as host_list has them */
    uint32_t *places; /* of the entries, in the order of their names */
    uint32_t count;
};

void granted_listing_free(struct granted_listing *listing)
{
    if (listing != NULL) {
        buf_free(&listing->bytes);
        free(listing->places);
        free(listing);
    }
}

static struct span listed_name(const struct granted_listing *listing, uint32_t at)
{
    const char *entry = listing->bytes.base + listing->places[at];
    return (struct span){entry + LISTED_HEAD_BYTES, (unsigned char)entry[LISTED_HEAD_BYTES - 1]};
}

static int compare(struct span a, struct span b)
{
    const int order = memcmp(a.base, b.base, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len ? 1 : 0;
}

static void swap(uint32_t *a, uint32_t *b)
{
    const uint32_t kept = *a;
    *a = *b;
    *b = kept;
}

static void sink(struct granted_listing *listing, uint32_t count, uint32_t at)
{
    for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count &&
            compare(listed_name(listing, child + 1), listed_name(listing, child)) > 0) {
            child++;
        }
        if (compare(listed_name(listing, at), listed_name(listing, child)) >= 0) {
            return;
        }
        swap(&listing->places[at], &listing->places[child]);
        at = child;
    }
}

/* By heap: it needs no memory, and asks the system nothing, as qsort does. */
static void sort(struct granted_listing *listing)
{
    for (uint32_t at = listing->count / 2; at-- > 0;) {
        sink(listing, listing->count, at);
    }
    for (uint32_t last = listing->count; last-- > 1;) {
        swap(&listing->places[0], &listing->places[last]);
        sink(listing, last, 0);
    }
}

static int listing_fill(const struct vfs *vfs, uint32_t dir, struct granted_listing *listing)
{
    struct place place;
    int status = place_find(vfs, dir, (struct span){0}, &place);
    if (status == 0) {
        status = host_list(place.root, place.path, &listing->bytes, &listing->count);
    }
    if (status != 0) {
        return status;
    }
    listing->places = calloc((size_t)listing->count + 1, sizeof *listing->places);
    if (listing->places == NULL) {
        return -GUEST_ENOMEM;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < listing->count; i++) {
        listing->places[i] = at;
        at += LISTED_HEAD_BYTES + (unsigned char)listing->bytes.base[at + LISTED_HEAD_BYTES - 1];
    }
    sort(listing);
    return 0;
}

static int listing_make(const struct vfs *vfs, uint32_t dir, struct granted_listing **out)
{
    granted_listing_free(*out);
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return -GUEST_ENOMEM;
    }
    buf_init(&(*out)->bytes, LIMIT_GRANTED_LIST_BYTES);
    const int status = listing_fill(vfs, dir, *out);
    if (status != 0) {
        granted_listing_free(*out);
        *out = NULL;
    }
    return status;
}

int granted_next(struct vfs *vfs, uint32_t dir, uint64_t at, struct granted_listing **listing,
                 struct vfs_dirent *out)
{
    const int status = at == 0 || *listing == NULL ? listing_make(vfs, dir, listing) : 0;
    if (status != 0 || at >= (*listing)->count) {
        return status;
    }
    const char *entry = (*listing)->bytes.base + (*listing)->places[at];
    const struct span name = listed_name(*listing, (uint32_t)at);
    memcpy(&out->ino, entry, sizeof out->ino);
    out->type = (uint8_t)entry[LISTED_HEAD_BYTES - 2];
    out->name_len = (uint8_t)name.len;
    memcpy(out->name, name.base, name.len);
    out->name[name.len] = '\0';
    return 1;
}

bool granted_listing_has(const struct granted_listing *listing, struct span name)
{
    uint32_t low = 0;
    uint32_t high = listing == NULL ? 0 : listing->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = compare(listed_name(listing, middle), name);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}
