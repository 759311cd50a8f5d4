/*
 * A file system out of what whole_save.c wrote of one, which may be anybody's words. What the rest
 * of this folder takes for granted is checked here: that each directory has one place and hangs
 * from the root, that inodes are there as often as they are named, that nothing is open for writing
 * that cannot be written.
 */
#include <stdlib.h>

#include "guest/vfs/tree.h"
#include "guest/vfs/whole.h"

enum {
    PERMISSIONS = 07777,
    ENTRIES_OF_LAYOUT = 32, /* names that are nobody's: vfs.c */
};

/* Places of names that no guest could have got to by making so many; they are given anew. */
#define COOKIE_MAX (1ULL << 40)

#define FLAGS_OF_FILES                                                                             \
    (VFS_O_ACCMODE | VFS_O_APPEND | VFS_O_NONBLOCK | VFS_O_DIRECTORY | VFS_O_NOFOLLOW | VFS_O_PATH)

static int damaged(struct err *err)
{
    return err_set(err, ERR_FORMAT, "the state of the guest's files is damaged");
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "no memory for the guest's files");
}

static int other_image(struct span path, struct err *err)
{
    const int len = (int)(path.len < 200 ? path.len : 200);
    return err_set(err, ERR_FORMAT, "this environment has no such /%.*s", len, path.base);
}

static uint32_t type_of(const struct inode *inode)
{
    return inode->mode & VFS_S_IFMT;
}

static uint32_t inode_count(const struct vfs *vfs)
{
    return (uint32_t)vfs->next_ino - 1;
}

/* The number of an inode that exists, or INODE_NONE and in->is_bad. */
static uint32_t load_inode_number(const struct vfs *vfs, struct loading *in)
{
    const uint32_t number = load_count(in, inode_count(vfs));
    in->is_bad |= number == INODE_NONE;
    return in->is_bad ? INODE_NONE : number;
}

/* Of a directory; INODE_NONE otherwise. */
static uint32_t load_dir_number(const struct vfs *vfs, struct loading *in)
{
    const uint32_t number = load_inode_number(vfs, in);
    if (number != INODE_NONE && type_of(inode_get(vfs, number)) != VFS_S_IFDIR) {
        in->is_bad = true;
    }
    return in->is_bad ? INODE_NONE : number;
}

/* ---- Places in images ------------------------------------------------------------------------ */

/* The next component of a path without "." and "..". */
static struct span path_next(struct span *path)
{
    const char *slash = memchr(path->base, '/', path->len);
    const size_t len = slash == NULL ? path->len : (size_t)(slash - path->base);
    const struct span name = {path->base, len};
    const size_t used = len + (slash == NULL ? 0 : 1);
    path->base += used;
    path->len -= used;
    return name;
}

static int image_find(const struct image *image, struct span path, uint32_t *index)
{
    *index = IMAGE_ROOT;
    while (path.len > 0) {
        if (image_lookup(image, *index, path_next(&path), index) <= 0) {
            return -1;
        }
    }
    return 0;
}

/* One step down for all layers at once: those below something that is no directory do not show. */
static int step_down(const struct vfs *vfs, uint32_t numbers[LIMIT_IMAGE_COUNT_MAX],
                     struct span name)
{
    bool is_covered = false;
    bool found = false;
    for (uint32_t layer = vfs->image_count; layer >= 1; layer--) {
        const struct image *image = &vfs->images[layer - 1];
        const uint32_t at = numbers[layer - 1];
        struct image_entry entry;
        uint32_t index;
        numbers[layer - 1] = 0;
        if (is_covered || at == 0 || image_lookup(image, at - 1, name, &index) <= 0 ||
            image_entry(image, index, &entry) != 0) {
            continue;
        }
        is_covered = (entry.mode & VFS_S_IFMT) != VFS_S_IFDIR;
        if (!is_covered) {
            numbers[layer - 1] = index + 1;
            found = true;
        }
    }
    return found ? 0 : -1;
}

/* The record of the directories that the images have at a path; the root's is there. */
static int origin_make(struct vfs *vfs, struct span path, uint32_t *origin, struct err *err)
{
    uint32_t numbers[LIMIT_IMAGE_COUNT_MAX];
    struct span rest = path;
    for (uint32_t i = 0; i < vfs->image_count; i++) {
        numbers[i] = IMAGE_ROOT + 1;
    }
    while (rest.len > 0) {
        if (step_down(vfs, numbers, path_next(&rest)) != 0) {
            return other_image(path, err);
        }
    }
    *origin = layers_new_origin(vfs);
    if (*origin == 0) {
        return no_memory(err);
    }
    memcpy(vfs->origins + (size_t)(*origin - 1) * vfs->image_count, numbers,
           vfs->image_count * sizeof *numbers);
    return 0;
}

static int load_backing(const struct vfs *vfs, struct inode *inode, uint32_t layer,
                        struct loading *in, struct err *err)
{
    const struct span path = load_bytes(in, LIMIT_PATH_BYTES_MAX);
    struct image_entry entry;
    uint32_t index;
    if (in->is_bad || layer > vfs->image_count) {
        return damaged(err);
    }
    const struct image *image = &vfs->images[layer - 1];
    if (image_find(image, path, &index) != 0 || image_entry(image, index, &entry) != 0 ||
        (entry.mode & VFS_S_IFMT) != type_of(inode) || entry.contents.len != inode->size) {
        return other_image(path, err);
    }
    inode->backing = (struct vnode){layer, index};
    return 0;
}

/* ---- Inodes ---------------------------------------------------------------------------------- */

/* Makes the chunks; their bytes come later. */
static int load_chunks(struct vfs *vfs, struct inode *inode, struct loading *in, struct err *err)
{
    const uint32_t count = load_u32(in);
    uint64_t floor = 0;
    for (uint32_t i = 0; i < count && !in->is_bad; i++) {
        const uint64_t index = load_u64(in);
        const uint32_t capacity = load_count(in, CHUNK_BYTES);
        if (in->is_bad || index < floor || capacity == 0 ||
            index >= LIMIT_FILE_SIZE_BYTES_MAX / CHUNK_BYTES) {
            return damaged(err);
        }
        floor = index + 1;
        const int status = content_add(vfs, &inode->as.content, index, capacity);
        if (status != 0) {
            return status == -GUEST_ENOMEM
                       ? no_memory(err)
                       : err_set(err, ERR_LIMIT, "the files are more than the quota allows");
        }
    }
    return 0;
}

static int load_insides(struct vfs *vfs, struct inode *inode, struct loading *in, struct err *err)
{
    uint32_t layer;
    switch (type_of(inode)) {
    case VFS_S_IFDIR: {
        struct dir *dir = inode->as.dir = dir_new(load_u32(in)); /* checked when all are there */
        if (dir == NULL) {
            return no_memory(err);
        }
        dir->next_cookie = load_u64(in);
        return load_count(in, 1) == 0
                   ? 0
                   : origin_make(vfs, load_bytes(in, LIMIT_PATH_BYTES_MAX), &inode->origin, err);
    }
    case VFS_S_IFCHR:
        inode->device = load_u32(in);
        inode->rdev = load_u32(in);
        return inode->device < vfs->device_count ? 0 : damaged(err);
    case VFS_S_IFLNK:
        if (inode->size == 0 || inode->size >= LIMIT_PATH_BYTES_MAX) {
            return damaged(err);
        }
        break;
    case VFS_S_IFREG: break;
    default: return damaged(err);
    }
    layer = load_u32(in);
    return layer != 0 ? load_backing(vfs, inode, layer, in, err) : load_chunks(vfs, inode, in, err);
}

static int load_inode(struct vfs *vfs, struct loading *in, struct err *err)
{
    const uint32_t mode = load_u32(in);
    if (in->is_bad || (mode & ~(VFS_S_IFMT | (uint32_t)PERMISSIONS)) != 0 ||
        (mode & VFS_S_IFMT) == 0) {
        return damaged(err);
    }
    const uint32_t number = inode_new(vfs, mode);
    if (number == INODE_NONE) {
        return no_memory(err);
    }
    struct inode *inode = inode_get(vfs, number);
    inode->uid = load_u32(in);
    inode->gid = load_u32(in);
    const uint32_t flags = load_count(in, WHOLE_FIXED | WHOLE_WRITTEN);
    inode->fixed = (flags & WHOLE_FIXED) != 0;
    inode->written = (flags & WHOLE_WRITTEN) != 0;
    inode->ino = load_u64(in);
    inode->size = load_u64(in);
    inode->atime_ns = (int64_t)load_u64(in);
    inode->mtime_ns = (int64_t)load_u64(in);
    inode->ctime_ns = (int64_t)load_u64(in);
    if (inode->size > LIMIT_FILE_SIZE_BYTES_MAX) {
        return damaged(err);
    }
    return load_insides(vfs, inode, in, err) != 0 ? -1 : in->is_bad ? damaged(err) : 0;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool name_is_plain(struct span name)
{
    return name.len > 0 && name.len <= LIMIT_NAME_BYTES_MAX &&
           memchr(name.base, '/', name.len) == NULL && memchr(name.base, '\0', name.len) == NULL &&
           !span_equal(name, span_of(".")) && !span_equal(name, span_of(".."));
}

/* Counts the name for what it names; a directory has one, in the directory that it knows. */
static int inode_name(const struct vfs *vfs, uint32_t dir, uint32_t number, uint64_t cookie)
{
    struct inode *inode = inode_get(vfs, number);
    if (type_of(inode) != VFS_S_IFDIR) {
        return ++inode->nlink <= LIMIT_LINKS_MAX ? 0 : -1;
    }
    inode->as.dir->cookie = cookie;
    return number != INODE_ROOT && inode->as.dir->parent == dir && ++inode->nlink == 1 ? 0 : -1;
}

static int load_entry(struct vfs *vfs, uint32_t number, struct loading *in, struct err *err)
{
    struct dir *dir = inode_get(vfs, number)->as.dir;
    const uint64_t cookie = load_u64(in);
    const uint32_t child = load_count(in, inode_count(vfs));
    const uint32_t flags = load_count(in, ENTRY_CHARGED);
    const struct span name = load_bytes(in, LIMIT_NAME_BYTES_MAX);
    if (in->is_bad || (flags & ~(uint32_t)ENTRY_CHARGED) != 0 || cookie < dir->next_cookie ||
        !name_is_plain(name) || dir_find(dir, name) != NULL ||
        (child == INODE_NONE && flags != 0)) {
        return damaged(err);
    }
    dir->next_cookie = cookie < COOKIE_MAX ? cookie : dir->next_cookie;
    const struct entry *entry = dir_put(dir, name, child, (uint8_t)flags);
    if (entry == NULL) {
        return no_memory(err);
    }
    if (child != INODE_NONE && inode_name(vfs, number, child, entry->cookie) != 0) {
        return damaged(err);
    }
    if (flags != 0 && vfs_take_count(vfs) != 0) {
        return err_set(err, ERR_LIMIT, "the files are more than the quota allows");
    }
    return 0;
}

static int load_entries(struct vfs *vfs, uint32_t number, uint64_t *left, struct loading *in,
                        struct err *err)
{
    struct dir *dir = inode_get(vfs, number)->as.dir;
    const uint64_t next_cookie = dir->next_cookie;
    const uint32_t count = load_u32(in);
    if (in->is_bad || count > *left) {
        return damaged(err);
    }
    *left -= count;
    dir->next_cookie = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (load_entry(vfs, number, in, err) != 0) {
            return -1;
        }
    }
    if (next_cookie < dir->next_cookie) {
        return damaged(err);
    }
    dir->next_cookie = next_cookie < COOKIE_MAX ? next_cookie : dir->next_cookie;
    return 0;
}

/* Follows the parents from each directory up. What was seen on an earlier way leads to the root. */
static bool reaches_root(const struct vfs *vfs, bool *seen, uint32_t number)
{
    uint32_t at = number;
    for (uint32_t steps = 0; !seen[at]; steps++) {
        if (steps > inode_count(vfs)) {
            return false;
        }
        at = inode_get(vfs, at)->as.dir->parent;
    }
    for (at = number; !seen[at]; at = inode_get(vfs, at)->as.dir->parent) {
        seen[at] = true;
    }
    return true;
}

/* Before that, each parent must be a directory at all; and it is held by what is in it. */
static bool parents_hold(const struct vfs *vfs)
{
    for (uint32_t i = 1; i <= inode_count(vfs); i++) {
        const struct inode *inode = inode_get(vfs, i);
        if (type_of(inode) != VFS_S_IFDIR) {
            continue;
        }
        const uint32_t parent = inode->as.dir->parent;
        if (parent == INODE_NONE || parent > inode_count(vfs) ||
            type_of(inode_get(vfs, parent)) != VFS_S_IFDIR || (i == INODE_ROOT) != (parent == i)) {
            return false;
        }
        inode_get(vfs, parent)->refs += i == INODE_ROOT ? 0 : 1;
    }
    return true;
}

static int check_parents(const struct vfs *vfs, struct err *err)
{
    bool *seen = calloc((size_t)inode_count(vfs) + 1, sizeof *seen);
    if (seen == NULL) {
        return no_memory(err);
    }
    bool is_tree = type_of(inode_get(vfs, INODE_ROOT)) == VFS_S_IFDIR && parents_hold(vfs);
    seen[INODE_ROOT] = true;
    for (uint32_t i = 1; is_tree && i <= inode_count(vfs); i++) {
        is_tree = type_of(inode_get(vfs, i)) != VFS_S_IFDIR || reaches_root(vfs, seen, i);
    }
    free(seen);
    return is_tree ? 0 : damaged(err);
}

static int load_tree(struct vfs *vfs, struct loading *in, struct err *err)
{
    const uint32_t count = load_count(in, LIMIT_STATE_INODES_MAX);
    uint64_t entries = vfs->quota.count_max + vfs->origin_count_max + ENTRIES_OF_LAYOUT;
    for (uint32_t i = 0; i < count; i++) {
        if (load_inode(vfs, in, err) != 0) {
            return -1;
        }
    }
    if (in->is_bad || count == 0 || check_parents(vfs, err) != 0) {
        return count == 0 || in->is_bad ? damaged(err) : -1;
    }
    for (uint32_t i = 1; i <= count; i++) {
        if (type_of(inode_get(vfs, i)) == VFS_S_IFDIR &&
            load_entries(vfs, i, &entries, in, err) != 0) {
            return -1;
        }
    }
    inode_get(vfs, INODE_ROOT)->nlink = 1;
    return 0;
}

/* ---- Open files ------------------------------------------------------------------------------ */

static int load_pipes(struct vfs *vfs, struct loading *in, struct err *err)
{
    uint32_t number;
    while ((number = load_count(in, PIPES_MAX - 1)) != PIPE_NONE) {
        struct pipe *pipe = &vfs->pipes[number];
        if (pipe->bytes != NULL) {
            return damaged(err);
        }
        pipe->ino = load_u64(in);
        pipe->made_ns = (int64_t)load_u64(in);
        const struct span bytes = load_bytes(in, LIMIT_PIPE_BYTES);
        pipe->bytes = malloc(LIMIT_PIPE_BYTES);
        if (pipe->bytes == NULL) {
            return no_memory(err);
        }
        memcpy(pipe->bytes, bytes.base, bytes.len);
        pipe->len = (uint32_t)bytes.len;
    }
    return in->is_bad ? damaged(err) : 0;
}

/* Whether something of this type can be open so. */
static bool flags_fit(uint32_t type, int flags)
{
    const bool writes = (flags & VFS_O_ACCMODE) != VFS_O_RDONLY;
    if ((flags & VFS_O_ACCMODE) == VFS_O_ACCMODE || (flags & ~FLAGS_OF_FILES) != 0) {
        return false;
    }
    if ((flags & VFS_O_PATH) != 0) {
        return !writes;
    }
    return type == VFS_S_IFREG || type == VFS_S_IFCHR || (type == VFS_S_IFDIR && !writes);
}

/* A file of an image that is open, and that nobody has changed: as its directory shows it. */
static int load_image_file(struct vfs *vfs, struct file *file, struct loading *in, struct err *err)
{
    const uint32_t dir = load_dir_number(vfs, in);
    (void)load_u32(in); /* that it is one */
    const struct span name = load_bytes(in, LIMIT_NAME_BYTES_MAX);
    const uint64_t size = load_u64(in);
    struct vfs_stat stat;
    if (in->is_bad || !name_is_plain(name) || (file->flags & VFS_O_ACCMODE) != VFS_O_RDONLY) {
        return damaged(err);
    }
    if (layers_lookup(vfs, dir, name, &file->node) != 0 || file->node.layer == 0 ||
        vnode_stat(vfs, file->node, &stat) != 0 || stat.size != size) {
        return other_image(name, err);
    }
    file->parent = dir;
    return flags_fit(stat.mode & VFS_S_IFMT, file->flags) ? 0 : damaged(err);
}

static int load_node_file(struct vfs *vfs, struct file *file, struct loading *in, struct err *err)
{
    struct loading ahead = *in;
    (void)load_u32(&ahead);
    if (load_count(&ahead, 1) != 0) {
        return load_image_file(vfs, file, in, err);
    }
    const uint32_t number = load_inode_number(vfs, in);
    (void)load_u32(in);
    if (in->is_bad) {
        return damaged(err);
    }
    file->node = vnode_of_inode(number);
    const uint32_t type = type_of(inode_get(vfs, number));
    return flags_fit(type, file->flags) &&
                   (type == VFS_S_IFDIR || file->offset <= LIMIT_FILE_SIZE_BYTES_MAX)
               ? 0
               : damaged(err);
}

static int load_pipe_file(struct vfs *vfs, struct file *file, struct loading *in, struct err *err)
{
    const int access = file->kind == FILE_PIPE_WRITE ? VFS_O_WRONLY : VFS_O_RDONLY;
    file->pipe = load_count(in, PIPES_MAX - 1);
    return !in->is_bad && file->pipe != PIPE_NONE && vfs->pipes[file->pipe].bytes != NULL &&
                   (file->flags & ~(VFS_O_APPEND | VFS_O_NONBLOCK)) == access
               ? 0
               : damaged(err);
}

static int load_file(struct vfs *vfs, struct file *file, struct loading *in, struct err *err)
{
    struct file loaded = {.kind = (enum file_kind)load_count(in, FILE_PIPE_WRITE)};
    loaded.flags = (int)load_count(in, FLAGS_OF_FILES);
    loaded.offset = load_u64(in);
    if (in->is_bad || file->kind != FILE_FREE || loaded.kind == FILE_FREE ||
        loaded.offset > INT64_MAX) {
        return damaged(err);
    }
    const int result = loaded.kind == FILE_NODE ? load_node_file(vfs, &loaded, in, err)
                                                : load_pipe_file(vfs, &loaded, in, err);
    if (result != 0) {
        return -1;
    }
    files_put(vfs, file, &loaded);
    return 0;
}

static int load_descriptors(struct vfs *vfs, struct loading *in, struct err *err)
{
    uint32_t fd;
    while ((fd = load_count(in, LIMIT_OPEN_FILES_MAX)) != 0) {
        struct descriptor *descriptor = &vfs->descriptors[fd - 1];
        const uint32_t file = load_count(in, LIMIT_OPEN_FILES_MAX);
        const bool close_on_exec = load_count(in, 1) != 0;
        if (in->is_bad || file == 0 || descriptor->file != 0 ||
            vfs->files[file - 1].kind == FILE_FREE) {
            return damaged(err);
        }
        vfs->files[file - 1].refs++;
        *descriptor = (struct descriptor){(uint16_t)file, close_on_exec};
    }
    return in->is_bad ? damaged(err) : 0;
}

static int load_files(struct vfs *vfs, struct loading *in, struct err *err)
{
    uint32_t number;
    while ((number = load_count(in, LIMIT_OPEN_FILES_MAX)) != 0) {
        if (load_file(vfs, &vfs->files[number - 1], in, err) != 0) {
            return -1;
        }
    }
    return in->is_bad ? damaged(err) : load_descriptors(vfs, in, err);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Takes everything away that a new file system begins with, but devices and the images. */
static void clear(struct vfs *vfs)
{
    inode_free_all(vfs);
    vfs->blocks = NULL;
    vfs->block_count = 0;
    vfs->inode_free = INODE_NONE;
    for (uint32_t i = 0; i < PIPES_MAX; i++) {
        free(vfs->pipes[i].bytes);
        vfs->pipes[i] = (struct pipe){0};
    }
    memset(vfs->files, 0, sizeof vfs->files);
    memset(vfs->descriptors, 0, sizeof vfs->descriptors);
    vfs->bytes_used = vfs->count_used = 0;
    vfs->limits_hit = 0;
    vfs->origin_count = 0;
    vfs->cwd = INODE_NONE;
    vfs->next_ino = 1;
}

/* Whatever nobody holds should have gone long ago; and a directory goes only when it is empty. */
static int check_needed(struct vfs *vfs, struct err *err)
{
    for (uint32_t i = 1; i <= inode_count(vfs); i++) {
        const struct inode *inode = inode_get(vfs, i);
        if (inode->nlink == 0 &&
            (inode->refs == 0 || (type_of(inode) == VFS_S_IFDIR && layers_is_empty(vfs, i) != 1))) {
            return damaged(err);
        }
    }
    for (uint32_t i = 0; i < LIMIT_OPEN_FILES_MAX; i++) {
        if (vfs->files[i].kind != FILE_FREE && vfs->files[i].refs == 0) {
            return damaged(err);
        }
    }
    for (uint32_t i = 0; i < PIPES_MAX; i++) {
        const struct pipe *pipe = &vfs->pipes[i];
        if (pipe->bytes != NULL && pipe->readers + pipe->writers == 0) {
            return damaged(err);
        }
    }
    return 0;
}

int vfs_load_whole(struct vfs *vfs, struct loading *in, struct err *err)
{
    clear(vfs);
    const uint64_t next_ino = load_u64(in);
    vfs->umask = load_count(in, PERMISSIONS);
    if (in->is_bad || load_tree(vfs, in, err) != 0) {
        return in->is_bad ? damaged(err) : -1;
    }
    const uint32_t cwd = load_dir_number(vfs, in);
    if (in->is_bad) {
        return damaged(err);
    }
    vfs->cwd = cwd;
    inode_hold(vfs, cwd);
    if (load_pipes(vfs, in, err) != 0 || load_files(vfs, in, err) != 0 ||
        check_needed(vfs, err) != 0) {
        return -1;
    }
    vfs->next_ino = next_ino;
    return 0;
}

int vfs_read_contents(struct vfs *vfs, const struct flow_in *flow, struct err *err)
{
    for (uint32_t i = 1; i < vfs->block_count * INODE_BLOCK_COUNT; i++) {
        struct inode *inode = inode_get(vfs, i);
        if (type_of(inode) != VFS_S_IFREG && type_of(inode) != VFS_S_IFLNK) {
            continue;
        }
        for (uint32_t j = 0; j < inode->as.content.count; j++) {
            struct chunk *chunk = &inode->as.content.chunks[j];
            if (flow_read(flow, chunk->bytes, chunk->capacity, err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
