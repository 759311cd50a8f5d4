/* System calls on open files. */
#include <string.h>

#include "guest/abi/abi.h"
#include "guest/abi/control.h"
#include "guest/abi/outside.h"
#include "guest/abi/stat.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"
#include "guest/vfs/vfs.h"

enum {
    IOVEC_COUNT_MAX = 1024, /* musl's IOV_MAX */
    IOVEC_BYTES = 8,
    POLL_COUNT_MAX = 1024,
    POLLFD_BYTES = 8,
    POLL_STEP_NS = 1000000,
};

/* One transfer of a vector: at the file's own position, or at an offset. */
enum transfer { TRANSFER_READ, TRANSFER_WRITE, TRANSFER_PREAD, TRANSFER_PWRITE };

static int64_t transfer_one(struct guest *guest, enum transfer kind, int fd, void *bytes,
                            size_t len, int64_t offset)
{
    switch (kind) {
    case TRANSFER_READ: return vfs_read(guest->vfs, fd, bytes, len);
    case TRANSFER_WRITE: return vfs_write(guest->vfs, fd, bytes, len);
    case TRANSFER_PREAD: return vfs_pread(guest->vfs, fd, bytes, len, offset);
    case TRANSFER_PWRITE: return vfs_pwrite(guest->vfs, fd, bytes, len, offset);
    }
    return -GUEST_EINVAL;
}

/* A stream of bytes has no positions. */
static int64_t transfer_control(struct guest *guest, enum transfer kind, void *bytes, size_t len)
{
    switch (kind) {
    case TRANSFER_READ: return control_read(guest, bytes, len);
    case TRANSFER_WRITE: return control_write(guest, bytes, len);
    case TRANSFER_PREAD:
    case TRANSFER_PWRITE: break;
    }
    return -GUEST_ESPIPE;
}

static int64_t transfer_fetch(struct guest *guest, enum transfer kind, void *bytes, size_t len)
{
    switch (kind) {
    case TRANSFER_READ: return fetch_read(guest, bytes, len);
    case TRANSFER_WRITE: return fetch_write(guest, bytes, len);
    case TRANSFER_PREAD:
    case TRANSFER_PWRITE: break;
    }
    return -GUEST_ESPIPE;
}

/* Some descriptors are no files (control.h). */
static int64_t transfer_any(struct guest *guest, enum transfer kind, int fd, void *bytes,
                            size_t len, int64_t offset)
{
    if (fd == GUEST_CONTROL_FD) {
        return transfer_control(guest, kind, bytes, len);
    }
    if (fd == GUEST_FETCH_FD) {
        return transfer_fetch(guest, kind, bytes, len);
    }
    if (fd == GUEST_DISPLAY_FD) {
        return kind == TRANSFER_WRITE ? display_write(guest, bytes, len) : -GUEST_ESPIPE;
    }
    return transfer_one(guest, kind, fd, bytes, len, offset);
}

/*
 * Walks the guest's iovecs: stops at the first short transfer, and reports an error only when
 * nothing was transferred before it. Each pointer is checked where it is used, because the guest's
 * own memory can hold the vector and be overwritten by what is read.
 */
static int64_t transfer_vector(struct guest *guest, enum transfer kind, int fd,
                               struct guest_addr vector, uint32_t count, int64_t offset)
{
    int64_t total = 0;
    if (count > IOVEC_COUNT_MAX) {
        return -GUEST_EINVAL;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t pair[2]; /* address, length */
        int64_t n = -GUEST_EFAULT;
        struct guest_addr at = guest_addr(vector.at + IOVEC_BYTES * i);
        if (guest_memory_read(guest, at, pair, sizeof pair) == 0) {
            void *bytes = guest_memory_at(guest, guest_addr(pair[0]), pair[1]);
            if (pair[1] == 0) {
                continue;
            }
            if (bytes != NULL) {
                n = transfer_any(guest, kind, fd, bytes, pair[1], offset + total);
            }
        }
        if (n < 0) {
            return total > 0 && !guest->ended ? total : n;
        }
        total += n;
        if ((uint64_t)n < pair[1]) {
            break;
        }
    }
    return total;
}

/* The result is an errno; the count goes to *done. A sink that has had enough stops the guest. */
static int transfer_call(struct guest *guest, enum transfer kind, union engine_value *values,
                         int64_t offset, uint32_t done)
{
    if (offset < 0) {
        return abi_return(values, GUEST_EINVAL);
    }
    int64_t n = transfer_vector(guest, kind, abi_i32(values[0]), guest_addr(values[1].i32),
                                values[2].i32, offset);
    if (guest->ended) {
        return -1;
    }
    if (n >= 0 && guest_memory_write_u32(guest, guest_addr(done), (uint32_t)n) != 0) {
        n = -GUEST_EFAULT;
    }
    return abi_return(values, n < 0 ? -n : 0);
}

static int fd_read(void *context, union engine_value *values)
{
    return transfer_call(context, TRANSFER_READ, values, 0, values[3].i32);
}

static int fd_write(void *context, union engine_value *values)
{
    return transfer_call(context, TRANSFER_WRITE, values, 0, values[3].i32);
}

static int fd_pread(void *context, union engine_value *values)
{
    return transfer_call(context, TRANSFER_PREAD, values, (int64_t)values[3].i64, values[4].i32);
}

static int fd_pwrite(void *context, union engine_value *values)
{
    return transfer_call(context, TRANSFER_PWRITE, values, (int64_t)values[3].i64, values[4].i32);
}

static int fd_close(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, -vfs_close(guest->vfs, abi_i32(values[0])));
}

/* fd_seek(fd, offset, whence, *new_offset) */
static int fd_seek(void *context, union engine_value *values)
{
    struct guest *guest = context;
    int64_t at =
        vfs_seek(guest->vfs, abi_i32(values[0]), (int64_t)values[1].i64, abi_i32(values[2]));
    if (at >= 0 && guest_memory_write_u64(guest, guest_addr(values[3].i32), (uint64_t)at) != 0) {
        at = -GUEST_EFAULT;
    }
    return abi_return(values, at < 0 ? -at : 0);
}

static int fd_sync(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, -vfs_fsync(guest->vfs, abi_i32(values[0])));
}

/* fd_fdstat_get(fd, *stat): isatty() looks whether the type is a character device that cannot
 * seek. Nothing here is a terminal, so such devices say "unknown". WASI preview 1, fdstat. */
static int fd_fdstat_get(void *context, union engine_value *values)
{
    enum { FILETYPE_UNKNOWN = 0, FILETYPE_DIRECTORY = 3, FILETYPE_REGULAR = 4, FDSTAT_BYTES = 24 };
    struct guest *guest = context;
    struct vfs_stat stat;
    unsigned char bytes[FDSTAT_BYTES] = {0};
    int result = vfs_fstat(guest->vfs, abi_i32(values[0]), &stat);
    if (result == 0) {
        uint32_t type = stat.mode & VFS_S_IFMT;
        bytes[0] = type == VFS_S_IFDIR   ? FILETYPE_DIRECTORY
                   : type == VFS_S_IFREG ? FILETYPE_REGULAR
                                         : FILETYPE_UNKNOWN;
        if (guest_memory_write(guest, guest_addr(values[1].i32), bytes, sizeof bytes) != 0) {
            result = -GUEST_EFAULT;
        }
    }
    return abi_return(values, -result);
}

static int file_dup(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, vfs_dup(guest->vfs, abi_i32(values[0])));
}

static int file_dup3(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(
        values, vfs_dup3(guest->vfs, abi_i32(values[0]), abi_i32(values[1]), abi_i32(values[2])));
}

/* The third argument points at the variadic ones: an int, or a struct flock whose first field,
 * l_type, is answered with "unlocked". */
static int file_fcntl(void *context, union engine_value *values)
{
    enum { GUEST_F_UNLCK = 2 };
    struct guest *guest = context;
    int command = abi_i32(values[1]);
    uint32_t argument = 0;
    if (values[2].i32 != 0 &&
        guest_memory_read_u32(guest, guest_addr(values[2].i32), &argument) != 0) {
        return abi_return(values, -GUEST_EFAULT);
    }
    int result = vfs_fcntl(guest->vfs, abi_i32(values[0]), command, (int32_t)argument);
    if (result == 0 && (command == VFS_F_GETLK || command == VFS_F_GETLK64)) {
        int16_t unlocked = GUEST_F_UNLCK;
        if (guest_memory_write(guest, guest_addr(argument), &unlocked, sizeof unlocked) != 0) {
            result = -GUEST_EFAULT;
        }
    }
    return abi_return(values, result);
}

/* Nothing here is a terminal or has a window size. */
static int file_ioctl(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    int result = vfs_fd_check(guest->vfs, abi_i32(values[0]));
    return abi_return(values, result < 0 ? result : -GUEST_ENOTTY);
}

static int file_fstat(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct vfs_stat stat;
    int result = vfs_fstat(guest->vfs, abi_i32(values[0]), &stat);
    return abi_return(values, result < 0 ? result
                                         : abi_stat_write(guest, guest_addr(values[1].i32), &stat));
}

static int file_ftruncate(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values,
                      vfs_ftruncate(guest->vfs, abi_i32(values[0]), (int64_t)values[1].i64));
}

static int file_fallocate(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, vfs_fallocate(guest->vfs, abi_i32(values[0]), abi_i32(values[1]),
                                            (int64_t)values[2].i64, (int64_t)values[3].i64));
}

/* Advice about a file in memory: taken, and of no use. */
static int file_fadvise(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, vfs_fd_check(guest->vfs, abi_i32(values[0])));
}

static int file_fdatasync(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, vfs_fsync(guest->vfs, abi_i32(values[0])));
}

static int file_fchmod(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, vfs_fchmod(guest->vfs, abi_i32(values[0]), values[1].i32));
}

static int file_fchown(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values,
                      vfs_fchown(guest->vfs, abi_i32(values[0]), values[1].i32, values[2].i32));
}

static int file_fchdir(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, vfs_fchdir(guest->vfs, abi_i32(values[0])));
}

static int file_fstatfs(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct vfs_statfs stat;
    int result = vfs_fstatfs(guest->vfs, abi_i32(values[0]), &stat);
    return abi_return(
        values, result < 0 ? result : abi_statfs_write(guest, guest_addr(values[2].i32), &stat));
}

/* Emscripten's struct dirent: u64 ino, i64 off, u16 reclen, u8 type, name; always 280 bytes. */
static int file_getdents(void *context, union engine_value *values)
{
    enum { DIRENT_BYTES = 280, DIRENT_NAME_AT = 19, DIRENT_NAME_BYTES = 256 };
    struct guest *guest = context;
    uint32_t room = values[2].i32;
    uint32_t used = 0;
    if (room < DIRENT_BYTES) {
        return abi_return(values, -GUEST_EINVAL);
    }
    while (room - used >= DIRENT_BYTES) {
        struct vfs_dirent entry;
        int more = vfs_readdir(guest->vfs, abi_i32(values[0]), &entry);
        if (more <= 0) {
            return abi_return(values, more < 0 && used == 0 ? more : (int64_t)used);
        }
        unsigned char bytes[DIRENT_BYTES] = {0};
        uint16_t len = DIRENT_BYTES;
        memcpy(bytes, &entry.ino, 8);
        memcpy(bytes + 8, &entry.cookie, 8);
        memcpy(bytes + 16, &len, 2);
        bytes[18] = entry.type;
        memcpy(bytes + DIRENT_NAME_AT, entry.name, DIRENT_NAME_BYTES);
        if (guest_memory_write(guest, guest_addr(values[1].i32 + used), bytes, sizeof bytes) != 0) {
            return abi_return(values, -GUEST_EFAULT);
        }
        used += DIRENT_BYTES;
    }
    return abi_return(values, used);
}

static int file_pipe(void *context, union engine_value *values)
{
    struct guest *guest = context;
    int fds[2];
    int result = vfs_pipe(guest->vfs, fds, 0);
    if (result == 0 && guest_memory_write(guest, guest_addr(values[0].i32), fds, sizeof fds) != 0) {
        (void)vfs_close(guest->vfs, fds[0]);
        (void)vfs_close(guest->vfs, fds[1]);
        result = -GUEST_EFAULT;
    }
    return abi_return(values, result);
}

/* One look at every descriptor: the count of those that are ready, or a negative errno. */
static int64_t poll_once(struct guest *guest, struct guest_addr list, uint32_t count)
{
    int64_t ready = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct {
            int32_t fd;
            uint16_t events;
            uint16_t revents;
        } entry;
        struct guest_addr at = guest_addr(list.at + POLLFD_BYTES * i);
        if (guest_memory_read(guest, at, &entry, sizeof entry) != 0) {
            return -GUEST_EFAULT;
        }
        entry.revents = 0;
        if (entry.fd >= 0) {
            unsigned bits = vfs_poll(guest->vfs, entry.fd);
            entry.revents =
                (uint16_t)(bits & (entry.events | VFS_POLLERR | VFS_POLLHUP | VFS_POLLNVAL));
        }
        ready += entry.revents != 0 ? 1 : 0;
        (void)guest_memory_write(guest, at, &entry, sizeof entry);
    }
    return ready;
}

/* poll(*list, count, timeout_ms): nobody else can make a descriptor ready, so a wait is only a
 * wait: until its time, or until a signal. A signal looks like the end of the time, because the
 * guest's C library loses the errno of this call; the interpreter sees the signal next. */
static int file_poll(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct guest_addr list = guest_addr(values[0].i32);
    uint32_t count = values[1].i32;
    int32_t timeout_ms = abi_i32(values[2]);
    if (count > POLL_COUNT_MAX) {
        return abi_return(values, -GUEST_EINVAL);
    }
    int64_t ready = poll_once(guest, list, count);
    uint64_t start = outside_clock_ns(OUTSIDE_MONOTONIC);
    uint64_t wait_ns = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000000u;
    guest_flush(guest);
    while (ready == 0 && !guest_take_interrupt(guest)) {
        uint64_t waited = outside_clock_ns(OUTSIDE_MONOTONIC) - start;
        if (waited >= wait_ns) {
            return abi_return(values, 0);
        }
        uint64_t left = wait_ns - waited;
        outside_sleep_ns(left < POLL_STEP_NS ? left : POLL_STEP_NS);
    }
    return abi_return(values, ready);
}

const struct abi_row abi_files[] = {
    {"fd_read", "iiii:i", fd_read},
    {"fd_write", "iiii:i", fd_write},
    {"fd_pread", "iiiji:i", fd_pread},
    {"fd_pwrite", "iiiji:i", fd_pwrite},
    {"fd_close", "i:i", fd_close},
    {"fd_seek", "ijii:i", fd_seek},
    {"fd_sync", "i:i", fd_sync},
    {"fd_fdstat_get", "ii:i", fd_fdstat_get},
    {"__syscall_dup", "i:i", file_dup},
    {"__syscall_dup3", "iii:i", file_dup3},
    {"__syscall_fcntl64", "iii:i", file_fcntl},
    {"__syscall_ioctl", "iii:i", file_ioctl},
    {"__syscall_fstat64", "ii:i", file_fstat},
    {"__syscall_ftruncate64", "ij:i", file_ftruncate},
    {"__syscall_fallocate", "iijj:i", file_fallocate},
    {"__syscall_fadvise64", "ijji:i", file_fadvise},
    {"__syscall_fdatasync", "i:i", file_fdatasync},
    {"__syscall_fchmod", "ii:i", file_fchmod},
    {"__syscall_fchown32", "iii:i", file_fchown},
    {"__syscall_fchdir", "i:i", file_fchdir},
    {"__syscall_fstatfs64", "iii:i", file_fstatfs},
    {"__syscall_getdents64", "iii:i", file_getdents},
    {"__syscall_pipe", "i:i", file_pipe},
    {"__syscall_poll", "iii:i", file_poll},
    {NULL, NULL, NULL},
};
