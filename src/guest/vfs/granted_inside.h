/* What granted.c and granted_files.c share: private to them. */
#ifndef GUEST_VFS_GRANTED_INSIDE_H
#define GUEST_VFS_GRANTED_INSIDE_H

#include "guest/vfs/granted.h"
#include "guest/vfs/tree.h"

/* Nodes that one call may look up: two paths, and every symlink on the way. */
enum { SEEN_COUNT = 2 * (LIMIT_SYMLINKS_MAX + 2), GRANTED_DEVICE = 0x20 };

struct grant {
    int fd;
    enum vfs_grant how;
    uint32_t root;   /* its inode */
    uint64_t gained; /* bytes that files have gained in size */
    uint64_t made;   /* names that were made */
};

struct seen {
    uint32_t dir;
    struct vfs_stat stat;
    uint8_t name_len;
    char name[LIMIT_NAME_BYTES_MAX + 1];
};

struct granted {
    struct grant grants[LIMIT_MOUNTS_MAX];
    uint32_t count;
    struct seen seen[SEEN_COUNT];
    uint32_t seen_next;
    uint32_t looks;
    uint32_t dir_count;
};

/* The grant of a granted directory. */
struct grant *grant_of(const struct vfs *vfs, const struct inode *dir);

/* Where something in a granted directory is on the host, with its grant; a name of no length is the
 * directory itself. */
struct place {
    int root;
    const char *path; /* in `bytes` */
    char bytes[LIMIT_PATH_BYTES_MAX];
};

int place_find(const struct vfs *vfs, uint32_t dir, struct span name, struct place *out);
int place_of_lookup(const struct vfs *vfs, const struct lookup *lookup, struct place *out);

/* The host has something else under the name, or nothing. Who has the directory open keeps it. */
void entry_drop(struct vfs *vfs, uint32_t dir, struct entry *entry);

const struct seen *seen_of(const struct vfs *vfs, struct vnode node);

static inline struct span seen_name(const struct seen *seen)
{
    return (struct span){seen->name, seen->name_len};
}

#endif
