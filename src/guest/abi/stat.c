#include "guest/abi/stat.h"

#include <string.h>

#include "guest/vfs/errno.h"

#define NS_PER_S 1000000000LL

struct stat_time {
    int64_t seconds;
    int32_t nanoseconds;
    int32_t padding;
};

struct stat_layout {
    uint32_t dev;
    uint32_t mode;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint32_t rdev;
    uint64_t size;
    uint32_t blksize;
    uint32_t blocks;
    struct stat_time atime;
    struct stat_time mtime;
    struct stat_time ctime;
    uint64_t ino;
};
_Static_assert(sizeof(struct stat_layout) == 96, "Emscripten's struct stat");

struct statfs_layout {
    uint32_t type;
    uint32_t bsize;
    uint64_t blocks;
    uint64_t bfree;
    uint64_t bavail;
    uint64_t files;
    uint64_t ffree;
    uint32_t fsid[2];
    uint32_t namelen;
    uint32_t frsize;
    uint32_t flags;
    uint32_t spare;
};
_Static_assert(sizeof(struct statfs_layout) == 72, "Emscripten's struct statfs");

static struct stat_time time_of(int64_t ns)
{
    int64_t seconds = ns / NS_PER_S;
    int64_t rest = ns % NS_PER_S;
    if (rest < 0) {
        seconds--;
        rest += NS_PER_S;
    }
    return (struct stat_time){.seconds = seconds, .nanoseconds = (int32_t)rest};
}

int abi_stat_write(struct guest *guest, struct guest_addr addr, const struct vfs_stat *stat)
{
    struct stat_layout out = {
        .dev = (uint32_t)stat->dev,
        .mode = stat->mode,
        .nlink = stat->nlink,
        .uid = stat->uid,
        .gid = stat->gid,
        .rdev = (uint32_t)stat->rdev,
        .size = stat->size,
        .blksize = stat->blksize,
        .blocks = (uint32_t)stat->blocks,
        .atime = time_of(stat->atime_ns),
        .mtime = time_of(stat->mtime_ns),
        .ctime = time_of(stat->ctime_ns),
        .ino = stat->ino,
    };
    return guest_memory_write(guest, addr, &out, sizeof out) == 0 ? 0 : -GUEST_EFAULT;
}

int abi_statfs_write(struct guest *guest, struct guest_addr addr, const struct vfs_statfs *stat)
{
    struct statfs_layout out = {
        .type = (uint32_t)stat->type,
        .bsize = stat->block_bytes,
        .blocks = stat->blocks,
        .bfree = stat->blocks_free,
        .bavail = stat->blocks_free,
        .files = stat->files,
        .ffree = stat->files_free,
        .namelen = stat->name_bytes_max,
        .frsize = stat->block_bytes,
    };
    return guest_memory_write(guest, addr, &out, sizeof out) == 0 ? 0 : -GUEST_EFAULT;
}
