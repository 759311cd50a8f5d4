/* What the guest has written, as bytes: paths with contents, put back through the same calls that
 * the guest would make. So a hostile list can do nothing that a hostile guest could not. */
#include "guest/vfs/tree.h"

#define PERMISSIONS 07777U

struct saver {
    struct vfs *vfs;
    struct saving *out;
    struct err *err;
    uint32_t count;
};

static int unsaved(struct err *err, const char *what)
{
    return err_set(err, ERR_USAGE, "the guest's file system cannot be saved: %s", what);
}

/* Only what a list of files can hold is saved; the rest nobody leaves behind who merely boots and
 * imports. */
static int check_files(const struct vfs *vfs, struct err *err)
{
    for (uint32_t fd = 0; fd < LIMIT_OPEN_FILES_MAX; fd++) {
        const bool is_open = vfs->descriptors[fd].file != 0;
        if (is_open != (fd < VFS_STANDARD_FILES)) {
            return unsaved(err, is_open ? "a file is open" : "a standard stream is closed");
        }
        if (is_open && vfs->descriptors[fd].file != fd + 1) {
            return unsaved(err, "a standard stream was replaced");
        }
    }
    return 0;
}

static int check_inodes(const struct vfs *vfs, struct err *err)
{
    for (uint32_t i = 1; i < vfs->block_count * INODE_BLOCK_COUNT; i++) {
        const struct inode *inode = inode_get(vfs, i);
        if (inode->mode == 0) {
            continue;
        }
        const bool is_dir = (inode->mode & VFS_S_IFMT) == VFS_S_IFDIR;
        if (!is_dir && inode->nlink != 1) {
            return unsaved(err, "a file has not exactly one name");
        }
        for (uint32_t j = 0; is_dir && j < inode->as.dir->count; j++) {
            const struct entry *entry = &inode->as.dir->entries[j];
            if ((entry->flags & ENTRY_DEAD) == 0 && entry->inode == INODE_NONE) {
                return unsaved(err, "a file of an image was removed");
            }
        }
    }
    return 0;
}

static int check_surroundings(struct vfs *vfs, struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    const int64_t len = vfs_getcwd(vfs, path, sizeof path);
    if (len < 1 || !span_equal((struct span){path, (size_t)len - 1}, span_of(VFS_HOME))) {
        return unsaved(err, "the working directory is another");
    }
    return vfs->umask == VFS_UMASK ? 0 : unsaved(err, "the umask is another");
}

static int save_contents(const struct saver *saver, struct span path, uint32_t type)
{
    char target[LIMIT_PATH_BYTES_MAX];
    cleanup_buf struct buf bytes;
    buf_init(&bytes, LIMIT_SNAPSHOT_RECORD_BYTES_MAX);
    switch (type) {
    case VFS_S_IFDIR: break;
    case VFS_S_IFREG:
        if (vfs_load(saver->vfs, path, &bytes) != 0) {
            return unsaved(saver->err, "a file cannot be read");
        }
        break;
    case VFS_S_IFLNK: {
        const int64_t len = vfs_readlink(saver->vfs, VFS_AT_FDCWD, path, target, sizeof target);
        if (len < 0 || buf_append(&bytes, target, (size_t)len) != 0) {
            return unsaved(saver->err, "a symbolic link cannot be read");
        }
        break;
    }
    default: return unsaved(saver->err, "a device was changed");
    }
    save_bytes(saver->out, buf_span(&bytes));
    return 0;
}

static int save_entry(void *context, const struct vfs_walk_entry *entry)
{
    struct saver *saver = context;
    if (!entry->written) {
        return 0;
    }
    saver->count++;
    save_bytes(saver->out, entry->path);
    save_u32(saver->out, entry->stat.mode);
    save_u64(saver->out, (uint64_t)entry->stat.mtime_ns);
    return save_contents(saver, entry->path, entry->stat.mode & VFS_S_IFMT);
}

int vfs_save_state(struct vfs *vfs, struct saving *out, struct err *err)
{
    struct saver saver = {.vfs = vfs, .err = err};
    struct saving entries = {.is_full = false};
    if (check_files(vfs, err) != 0 || check_inodes(vfs, err) != 0 ||
        check_surroundings(vfs, err) != 0) {
        return -1;
    }
    buf_init(&entries.bytes, LIMIT_SNAPSHOT_RECORD_BYTES_MAX);
    saver.out = &entries;
    int status = vfs_walk(vfs, span_of("/"), save_entry, &saver);
    if (status < -1) {
        (void)unsaved(err, "it cannot be walked");
    }
    save_u32(out, saver.count);
    save_bytes(out, buf_span(&entries.bytes));
    out->is_full |= entries.is_full;
    buf_free(&entries.bytes);
    return status == 0 ? 0 : -1;
}

/* One entry of the list, where `*in` is now. */
struct saved {
    struct span path;
    uint32_t mode;
    int64_t mtime_ns;
    struct span contents;
};

static struct saved entry_read(struct loading *in)
{
    struct saved entry;
    entry.path = load_bytes(in, LIMIT_PATH_BYTES_MAX - 1);
    entry.mode = load_u32(in);
    entry.mtime_ns = (int64_t)load_u64(in);
    entry.contents = load_bytes(in, LIMIT_SNAPSHOT_RECORD_BYTES_MAX);
    return entry;
}

static int put_file(struct vfs *vfs, const struct saved *entry)
{
    const int flags = VFS_O_WRONLY | VFS_O_CREAT | VFS_O_TRUNC | VFS_O_NOFOLLOW;
    const int fd = vfs_open(vfs, VFS_AT_FDCWD, entry->path, flags, 0600);
    if (fd < 0) {
        return fd;
    }
    const int64_t written = vfs_write(vfs, fd, entry->contents.base, entry->contents.len);
    const int status = vfs_close(vfs, fd);
    if (written < 0) {
        return (int)written;
    }
    return (size_t)written == entry->contents.len ? status : -GUEST_ENOSPC;
}

/* Directories can be written to until all is there. */
static int put_dir(struct vfs *vfs, const struct saved *entry)
{
    struct vfs_stat stat;
    const int status = vfs_mkdir(vfs, VFS_AT_FDCWD, entry->path, 0700);
    return status == -GUEST_EEXIST &&
                   vfs_stat(vfs, VFS_AT_FDCWD, entry->path, VFS_AT_SYMLINK_NOFOLLOW, &stat) == 0 &&
                   (stat.mode & VFS_S_IFMT) == VFS_S_IFDIR
               ? 0
               : status;
}

/* One of an image is there already when its time alone was changed. */
static int put_link(struct vfs *vfs, const struct saved *entry)
{
    char target[LIMIT_PATH_BYTES_MAX];
    const int status = vfs_symlink(vfs, entry->contents, VFS_AT_FDCWD, entry->path);
    if (status != -GUEST_EEXIST) {
        return status;
    }
    const int64_t len = vfs_readlink(vfs, VFS_AT_FDCWD, entry->path, target, sizeof target);
    return len >= 0 && span_equal((struct span){target, (size_t)len}, entry->contents) ? 0 : status;
}

static int put_back(struct vfs *vfs, const struct saved *entry)
{
    switch (entry->mode & VFS_S_IFMT) {
    case VFS_S_IFDIR: return put_dir(vfs, entry);
    case VFS_S_IFREG: return put_file(vfs, entry);
    case VFS_S_IFLNK: return put_link(vfs, entry);
    default: return -GUEST_EINVAL;
    }
}

static int set_looks(struct vfs *vfs, const struct saved *entry)
{
    const struct vfs_time omit = {.kind = VFS_TIME_OMIT};
    const struct vfs_time mtime = {.kind = VFS_TIME_SET, .ns = entry->mtime_ns};
    const bool is_link = (entry->mode & VFS_S_IFMT) == VFS_S_IFLNK;
    const int status =
        vfs_utimens(vfs, VFS_AT_FDCWD, entry->path, omit, mtime, VFS_AT_SYMLINK_NOFOLLOW);
    return status != 0 || is_link
               ? status
               : vfs_chmod(vfs, VFS_AT_FDCWD, entry->path, entry->mode & PERMISSIONS, 0);
}

static int unloaded(struct err *err, int status)
{
    return err_set(err, ERR_FORMAT, "a file cannot be put back (guest errno %d)", -status);
}

/* `places` gets where each entry begins. */
static int put_all_back(struct vfs *vfs, struct span entries, uint32_t count, struct buf *places,
                        struct err *err)
{
    struct loading in = {.rest = entries};
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = (uint32_t)(entries.len - in.rest.len);
        const struct saved entry = entry_read(&in);
        if (in.is_bad || buf_append(places, &place, sizeof place) != 0) {
            return err_set(err, ERR_FORMAT, "the list of files is cut off");
        }
        const int status = put_back(vfs, &entry);
        if (status != 0) {
            return unloaded(err, status);
        }
    }
    return 0;
}

/* The last one first: what is in a directory comes before the directory, which may be closed then,
 * and gets its time when nothing changes it any more. */
static int set_all_looks(struct vfs *vfs, struct span entries, const struct buf *places,
                         struct err *err)
{
    for (size_t at = places->len; at > 0; at -= sizeof(uint32_t)) {
        uint32_t place;
        memcpy(&place, places->base + at - sizeof place, sizeof place);
        struct loading in = {.rest = {entries.base + place, entries.len - place}};
        const struct saved entry = entry_read(&in);
        const int status = in.is_bad ? -GUEST_EIO : set_looks(vfs, &entry);
        if (status != 0) {
            return unloaded(err, status);
        }
    }
    return 0;
}

int vfs_load_state(struct vfs *vfs, struct loading *in, struct err *err)
{
    const uint32_t count = load_count(in, LIMIT_FILE_COUNT_DEFAULT);
    const struct span entries = load_bytes(in, LIMIT_SNAPSHOT_RECORD_BYTES_MAX);
    cleanup_buf struct buf places;
    buf_init(&places, LIMIT_FILE_COUNT_DEFAULT * sizeof(uint32_t));
    if (in->is_bad) {
        return err_set(err, ERR_FORMAT, "the list of files is cut off");
    }
    return put_all_back(vfs, entries, count, &places, err) != 0
               ? -1
               : set_all_looks(vfs, entries, &places, err);
}
