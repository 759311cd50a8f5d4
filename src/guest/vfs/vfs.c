/* Making and ending a file system, its quotas, and its devices. */
#include <assert.h>
#include <stdlib.h>

#include "guest/vfs/tree.h"

struct vfs_quota vfs_quota_default(void)
{
    return (struct vfs_quota){.bytes_max = LIMIT_FILE_BYTES_DEFAULT,
                              .count_max = LIMIT_FILE_COUNT_DEFAULT,
                              .open_files_max = LIMIT_OPEN_FILES_MAX};
}

void vfs_set_quota(struct vfs *vfs, const struct vfs_quota *quota)
{
    vfs->quota = *quota;
    if (vfs->quota.open_files_max > LIMIT_OPEN_FILES_MAX) {
        vfs->quota.open_files_max = LIMIT_OPEN_FILES_MAX;
    }
    vfs->limits_hit = 0;
}

void vfs_mark(struct vfs *vfs)
{
    vfs->epoch++;
}

uint32_t vfs_limits_hit(const struct vfs *vfs)
{
    return vfs->limits_hit;
}

int64_t vfs_now(const struct vfs *vfs)
{
    return (int64_t)vfs->now_ns(vfs->now_context);
}

uint64_t vfs_bytes_left(const struct vfs *vfs)
{
    return vfs->quota.bytes_max > vfs->bytes_used ? vfs->quota.bytes_max - vfs->bytes_used : 0;
}

int vfs_take_count(struct vfs *vfs)
{
    if (vfs->count_used >= vfs->quota.count_max) {
        vfs->limits_hit |= VFS_LIMIT_COUNT;
        return -GUEST_ENOSPC;
    }
    vfs->count_used++;
    return 0;
}

/* Devices that need nobody. */

static int64_t zero_read(void *context, char *bytes, size_t len)
{
    (void)context;
    memset(bytes, 0, len);
    return (int64_t)len;
}

static int64_t full_write(void *context, const char *bytes, size_t len)
{
    (void)context;
    (void)bytes;
    (void)len;
    return -GUEST_ENOSPC;
}

/* The first layout. */

/* Part of the layout: names that count against nobody's quota. */
static int place(struct vfs *vfs, uint32_t parent, const char *name, uint32_t number)
{
    struct inode *inode = inode_get(vfs, number);
    const struct entry *entry = dir_put(inode_get(vfs, parent)->as.dir, span_of(name), number, 0);
    if (entry == NULL) {
        inode_settle(vfs, number);
        return -GUEST_ENOMEM;
    }
    if ((inode->mode & VFS_S_IFMT) == VFS_S_IFDIR) {
        inode->as.dir->cookie = entry->cookie;
    }
    inode->nlink = 1;
    inode->written = false;
    return 0;
}

/* Finds a directory of the images or makes it, with the given looks in both cases. */
static int place_dir(struct vfs *vfs, uint32_t parent, const char *name, uint32_t mode,
                     uint32_t owner, uint32_t *number)
{
    struct vnode node;
    int status = layers_lookup(vfs, parent, span_of(name), &node);
    if (status != 0) {
        return status;
    }
    if (!vnode_exists(node)) {
        node.index = inode_new_dir(vfs, mode, parent);
        status = node.index == INODE_NONE ? -GUEST_ENOMEM : place(vfs, parent, name, node.index);
    } else if ((vnode_mode(vfs, node) & VFS_S_IFMT) != VFS_S_IFDIR) {
        status = -GUEST_ENOTDIR;
    }
    if (status != 0) {
        return status;
    }
    struct inode *inode = inode_get(vfs, node.index);
    inode->mode = VFS_S_IFDIR | mode;
    inode->uid = inode->gid = owner;
    *number = node.index;
    return 0;
}

static int place_device(struct vfs *vfs, uint32_t dir, const char *name, uint32_t rdev,
                        const struct vfs_device *device)
{
    assert(vfs->device_count < LIMIT_DEVICES_MAX);
    uint32_t number = inode_new(vfs, VFS_S_IFCHR | 0666U);
    if (number == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    struct inode *inode = inode_get(vfs, number);
    inode->uid = inode->gid = 0;
    inode->fixed = true;
    inode->rdev = rdev;
    inode->device = vfs->device_count;
    vfs->devices[vfs->device_count++] = *device;
    return place(vfs, dir, name, number);
}

/* major << 8 | minor; Linux's own numbers for those that it has. */
enum {
    RDEV_NULL = 0x103,
    RDEV_ZERO = 0x105,
    RDEV_FULL = 0x107,
    RDEV_RANDOM = 0x108,
    RDEV_URANDOM = 0x109,
    RDEV_STANDARD = 0xa00,
};

static int place_devices(struct vfs *vfs, const struct vfs_config *config, uint32_t dir)
{
    const struct vfs_device null = {0};
    const struct vfs_device zero = {.read = zero_read};
    const struct vfs_device full = {.read = zero_read, .write = full_write};
    const struct {
        const char *name;
        uint32_t rdev;
        const struct vfs_device *device;
    } all[] = {
        {"null", RDEV_NULL, &null},
        {"zero", RDEV_ZERO, &zero},
        {"full", RDEV_FULL, &full},
        {"random", RDEV_RANDOM, &config->random},
        {"urandom", RDEV_URANDOM, &config->random},
        {"stdin", RDEV_STANDARD + 0, &config->standard[0]},
        {"stdout", RDEV_STANDARD + 1, &config->standard[1]},
        {"stderr", RDEV_STANDARD + 2, &config->standard[2]},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int status = place_device(vfs, dir, all[i].name, all[i].rdev, all[i].device);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

static int place_root(struct vfs *vfs)
{
    uint32_t root = inode_new_dir(vfs, 0755, INODE_ROOT);
    if (root == INODE_NONE) {
        return -GUEST_ENOMEM;
    }
    assert(root == INODE_ROOT);
    struct inode *inode = inode_get(vfs, root);
    inode->nlink = 1;
    inode->uid = inode->gid = 0;
    inode->written = false;
    if (vfs->image_count > 0) {
        vfs->origins = calloc(vfs->image_count, sizeof *vfs->origins);
        if (vfs->origins == NULL) {
            return -GUEST_ENOMEM;
        }
        for (uint32_t i = 0; i < vfs->image_count; i++) {
            vfs->origins[i] = IMAGE_ROOT + 1;
        }
        vfs->origin_count = vfs->origin_capacity = inode->origin = 1;
    }
    return 0;
}

static int place_all(struct vfs *vfs, const struct vfs_config *config)
{
    uint32_t tmp;
    uint32_t home;
    uint32_t own_home = INODE_NONE;
    uint32_t dev = INODE_NONE;
    int status = place_root(vfs);
    if (status == 0) {
        status = place_dir(vfs, INODE_ROOT, "tmp", 01777, 0, &tmp);
    }
    if (status == 0) {
        status = place_dir(vfs, INODE_ROOT, "home", 0755, 0, &home);
    }
    if (status == 0) {
        status = place_dir(vfs, home, "vitrine", 0755, VFS_UID, &own_home);
    }
    if (status == 0) {
        status = place_dir(vfs, INODE_ROOT, "dev", 0755, 0, &dev);
    }
    if (status == 0) {
        status = place_devices(vfs, config, dev);
    }
    if (status != 0) {
        return status;
    }
    inode_get(vfs, dev)->fixed = true;
    vfs->cwd = own_home;
    inode_hold(vfs, own_home);
    return 0;
}

static int open_standard(struct vfs *vfs)
{
    const char *const paths[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    for (int i = 0; i < VFS_STANDARD_FILES; i++) {
        int flags = i == 0 ? VFS_O_RDONLY : VFS_O_WRONLY;
        int fd = vfs_open(vfs, VFS_AT_FDCWD, span_of(paths[i]), flags, 0);
        if (fd != i) {
            return fd < 0 ? fd : -GUEST_EMFILE;
        }
    }
    return 0;
}

/* Life. */

static int open_images(struct vfs *vfs, const struct vfs_config *config, struct err *err)
{
    if (config->image_count > LIMIT_IMAGE_COUNT_MAX) {
        return err_set(err, ERR_LIMIT, "%zu images, more than %u", config->image_count,
                       LIMIT_IMAGE_COUNT_MAX);
    }
    vfs->origin_count_max = 1;
    for (size_t i = 0; i < config->image_count; i++) {
        if (image_open(config->images[i], &vfs->images[i], err) != 0) {
            return err_prefix(err, "image %zu", i);
        }
        vfs->origin_count_max += vfs->images[i].entry_count;
        vfs->image_count++;
    }
    return 0;
}

int vfs_new(const struct vfs_config *config, struct vfs **out, struct err *err)
{
    assert(config->now_ns != NULL);
    struct vfs *vfs = calloc(1, sizeof *vfs);
    if (vfs == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the guest's file system");
    }
    vfs->now_ns = config->now_ns;
    vfs->now_context = config->now_context;
    vfs->umask = VFS_UMASK;
    vfs->next_ino = 1;
    const struct vfs_quota none = {.open_files_max = LIMIT_OPEN_FILES_MAX};
    vfs_set_quota(vfs, &none);
    int failed = open_images(vfs, config, err);
    if (failed == 0) {
        int status = place_all(vfs, config);
        if (status == 0) {
            status = open_standard(vfs);
        }
        if (status != 0) {
            failed = err_set(err, status == -GUEST_ENOMEM ? ERR_MEMORY : ERR_FORMAT,
                             "cannot lay out the guest's file system (guest errno %d)", -status);
        }
    }
    if (failed != 0) {
        vfs_free(vfs);
        return -1;
    }
    vfs_set_quota(vfs, &config->quota);
    *out = vfs;
    return 0;
}

void vfs_free(struct vfs *vfs)
{
    if (vfs == NULL) {
        return;
    }
    for (uint32_t i = 0; i < PIPES_MAX; i++) {
        free(vfs->pipes[i].bytes);
    }
    inode_free_all(vfs);
    granted_free(vfs);
    free(vfs->origins);
    free(vfs);
}
