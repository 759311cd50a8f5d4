/* System calls on paths. */
#include <string.h>

#include "guest/abi/abi.h"
#include "guest/abi/stat.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"
#include "guest/vfs/vfs.h"

enum { PATH_BYTES_MAX = 4096 };

/* A path argument: 0 and a span that borrows guest memory, or a negated errno. */
static int path_at(const struct guest *guest, union engine_value value, struct span *out)
{
    if (guest_memory_text(guest, guest_addr(value.i32), PATH_BYTES_MAX, out) == 0) {
        return 0;
    }
    bool inside = guest_memory_at(guest, guest_addr(value.i32), PATH_BYTES_MAX) != NULL;
    return inside ? -GUEST_ENAMETOOLONG : -GUEST_EFAULT;
}

/* openat(dirfd, path, flags, *varargs): the mode is the first variadic argument. */
static int path_open(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    uint32_t mode = 0;
    int result = path_at(guest, values[1], &path);
    if (result == 0 && values[3].i32 != 0) {
        (void)guest_memory_read_u32(guest, guest_addr(values[3].i32), &mode);
    }
    return abi_return(values, result < 0 ? result
                                         : vfs_open(guest->vfs, abi_i32(values[0]), path,
                                                    abi_i32(values[2]), mode));
}

static int64_t stat_path(struct guest *guest, int dirfd, union engine_value path_value, int flags,
                         union engine_value out)
{
    struct span path;
    struct vfs_stat stat;
    int result = path_at(guest, path_value, &path);
    if (result == 0) {
        result = vfs_stat(guest->vfs, dirfd, path, flags, &stat);
    }
    return result < 0 ? result : abi_stat_write(guest, guest_addr(out.i32), &stat);
}

static int path_stat(void *context, union engine_value *values)
{
    return abi_return(values, stat_path(context, VFS_AT_FDCWD, values[0], 0, values[1]));
}

static int path_lstat(void *context, union engine_value *values)
{
    return abi_return(
        values, stat_path(context, VFS_AT_FDCWD, values[0], VFS_AT_SYMLINK_NOFOLLOW, values[1]));
}

/* newfstatat(dirfd, path, *stat, flags) */
static int path_fstatat(void *context, union engine_value *values)
{
    return abi_return(
        values, stat_path(context, abi_i32(values[0]), values[1], abi_i32(values[3]), values[2]));
}

/* faccessat(dirfd, path, mode, flags) */
static int path_access(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[1], &path);
    return abi_return(values, result < 0 ? result
                                         : vfs_access(guest->vfs, abi_i32(values[0]), path,
                                                      abi_i32(values[2]), abi_i32(values[3])));
}

static int path_chdir(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[0], &path);
    return abi_return(values, result < 0 ? result : vfs_chdir(guest->vfs, path));
}

static int path_chmod(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[0], &path);
    return abi_return(
        values, result < 0 ? result : vfs_chmod(guest->vfs, VFS_AT_FDCWD, path, values[1].i32, 0));
}

/* fchmodat2(dirfd, path, mode, flags) */
static int path_fchmodat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[1], &path);
    return abi_return(values, result < 0 ? result
                                         : vfs_chmod(guest->vfs, abi_i32(values[0]), path,
                                                     values[2].i32, abi_i32(values[3])));
}

/* fchownat(dirfd, path, uid, gid, flags) */
static int path_fchownat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[1], &path);
    return abi_return(values, result < 0
                                  ? result
                                  : vfs_chown(guest->vfs, abi_i32(values[0]), path, values[2].i32,
                                              values[3].i32, abi_i32(values[4])));
}

static int path_getcwd(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    uint32_t len = values[1].i32;
    char *bytes = guest_memory_at(guest, guest_addr(values[0].i32), len);
    if (bytes == NULL) {
        return abi_return(values, -GUEST_EFAULT);
    }
    return abi_return(values, len == 0 ? -GUEST_EINVAL : vfs_getcwd(guest->vfs, bytes, len));
}

static int path_mkdirat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[1], &path);
    return abi_return(values, result < 0
                                  ? result
                                  : vfs_mkdir(guest->vfs, abi_i32(values[0]), path, values[2].i32));
}

static int path_mknodat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[1], &path);
    return abi_return(values, result < 0
                                  ? result
                                  : vfs_mknod(guest->vfs, abi_i32(values[0]), path, values[2].i32));
}

static int path_unlinkat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[1], &path);
    return abi_return(
        values,
        result < 0 ? result : vfs_unlink(guest->vfs, abi_i32(values[0]), path, abi_i32(values[2])));
}

static int path_rmdir(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[0], &path);
    return abi_return(
        values, result < 0 ? result : vfs_unlink(guest->vfs, VFS_AT_FDCWD, path, VFS_AT_REMOVEDIR));
}

/* renameat(old_dirfd, old_path, new_dirfd, new_path) */
static int path_renameat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span from;
    struct span to;
    int result = path_at(guest, values[1], &from);
    if (result == 0) {
        result = path_at(guest, values[3], &to);
    }
    return abi_return(values, result < 0 ? result
                                         : vfs_rename(guest->vfs, abi_i32(values[0]), from,
                                                      abi_i32(values[2]), to));
}

/* symlinkat(target, dirfd, path) */
static int path_symlinkat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span target;
    struct span path;
    int result = path_at(guest, values[0], &target);
    if (result == 0) {
        result = path_at(guest, values[2], &path);
    }
    return abi_return(
        values, result < 0 ? result : vfs_symlink(guest->vfs, target, abi_i32(values[1]), path));
}

/* readlinkat(dirfd, path, *bytes, len) */
static int path_readlinkat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    uint32_t len = values[3].i32;
    char *bytes = guest_memory_at(guest, guest_addr(values[2].i32), len);
    int result = path_at(guest, values[1], &path);
    if (result == 0 && (bytes == NULL || len == 0)) {
        result = bytes == NULL ? -GUEST_EFAULT : -GUEST_EINVAL;
    }
    return abi_return(values, result < 0
                                  ? result
                                  : vfs_readlink(guest->vfs, abi_i32(values[0]), path, bytes, len));
}

/* statfs64(path, size, *stat) */
static int path_statfs(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct span path;
    struct vfs_statfs stat;
    int result = path_at(guest, values[0], &path);
    if (result == 0) {
        result = vfs_statfs(guest->vfs, VFS_AT_FDCWD, path, &stat);
    }
    return abi_return(
        values, result < 0 ? result : abi_statfs_write(guest, guest_addr(values[2].i32), &stat));
}

static int path_truncate(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct span path;
    int result = path_at(guest, values[0], &path);
    return abi_return(
        values,
        result < 0 ? result : vfs_truncate(guest->vfs, VFS_AT_FDCWD, path, (int64_t)values[1].i64));
}

/* Two struct timespec of 16 bytes; UTIME_NOW and UTIME_OMIT as musl numbers them. */
static int times_read(const struct guest *guest, struct guest_addr addr, struct vfs_time out[2])
{
    enum { UTIME_NOW_NS = 0x3fffffff, UTIME_OMIT_NS = 0x3ffffffe };
    struct {
        int64_t seconds;
        int32_t nanoseconds;
        int32_t padding;
    } raw[2];
    if (addr.at == 0) {
        out[0] = out[1] = (struct vfs_time){.kind = VFS_TIME_NOW};
        return 0;
    }
    if (guest_memory_read(guest, addr, raw, sizeof raw) != 0) {
        return -GUEST_EFAULT;
    }
    for (int i = 0; i < 2; i++) {
        if (raw[i].nanoseconds == UTIME_NOW_NS || raw[i].nanoseconds == UTIME_OMIT_NS) {
            out[i] = (struct vfs_time){.kind = raw[i].nanoseconds == UTIME_NOW_NS ? VFS_TIME_NOW
                                                                                  : VFS_TIME_OMIT};
        } else if (raw[i].nanoseconds < 0 || raw[i].nanoseconds > 999999999 ||
                   raw[i].seconds > INT64_MAX / 1000000000 - 1 ||
                   raw[i].seconds < INT64_MIN / 1000000000 + 1) {
            return -GUEST_EINVAL;
        } else {
            out[i] = (struct vfs_time){.kind = VFS_TIME_SET,
                                       .ns = raw[i].seconds * 1000000000 + raw[i].nanoseconds};
        }
    }
    return 0;
}

/* utimensat(dirfd, path, times, flags): a NULL path means the descriptor itself. */
static int path_utimensat(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    struct vfs_time times[2];
    struct span path;
    int result = times_read(guest, guest_addr(values[2].i32), times);
    if (result == 0 && values[1].i32 == 0) {
        return abi_return(values, vfs_futimens(guest->vfs, abi_i32(values[0]), times[0], times[1]));
    }
    if (result == 0) {
        result = path_at(guest, values[1], &path);
    }
    return abi_return(values, result < 0 ? result
                                         : vfs_utimens(guest->vfs, abi_i32(values[0]), path,
                                                       times[0], times[1], abi_i32(values[3])));
}

const struct abi_row abi_paths[] = {
    {"__syscall_openat", "iiii:i", path_open},
    {"__syscall_stat64", "ii:i", path_stat},
    {"__syscall_lstat64", "ii:i", path_lstat},
    {"__syscall_newfstatat", "iiii:i", path_fstatat},
    {"__syscall_faccessat", "iiii:i", path_access},
    {"__syscall_chdir", "i:i", path_chdir},
    {"__syscall_chmod", "ii:i", path_chmod},
    {"__syscall_fchmodat2", "iiii:i", path_fchmodat},
    {"__syscall_fchownat", "iiiii:i", path_fchownat},
    {"__syscall_getcwd", "ii:i", path_getcwd},
    {"__syscall_mkdirat", "iii:i", path_mkdirat},
    {"__syscall_mknodat", "iiii:i", path_mknodat},
    {"__syscall_unlinkat", "iii:i", path_unlinkat},
    {"__syscall_rmdir", "i:i", path_rmdir},
    {"__syscall_renameat", "iiii:i", path_renameat},
    {"__syscall_symlinkat", "iii:i", path_symlinkat},
    {"__syscall_readlinkat", "iiii:i", path_readlinkat},
    {"__syscall_statfs64", "iii:i", path_statfs},
    {"__syscall_truncate64", "ij:i", path_truncate},
    {"__syscall_utimensat", "iiii:i", path_utimensat},
    {NULL, NULL, NULL},
};
