/* Pipes: rings of LIMIT_PIPE_BYTES. Nobody else runs in the guest, so nothing ever waits. */
#include <stdlib.h>

#include "guest/vfs/tree.h"

/* As Linux: writes of up to this many bytes happen whole or not at all. */
enum { PIPE_ATOMIC_BYTES = 4096, PIPE_DEVICE = 0xd };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int64_t pipe_read(struct pipe *pipe, char *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (pipe->len == 0) {
        return pipe->writers > 0 ? -GUEST_EAGAIN : 0;
    }
    size_t part = smaller(len, pipe->len);
    size_t straight = smaller(part, LIMIT_PIPE_BYTES - pipe->start);
    memcpy(bytes, pipe->bytes + pipe->start, straight);
    memcpy(bytes + straight, pipe->bytes, part - straight);
    pipe->start = (uint32_t)((pipe->start + part) % LIMIT_PIPE_BYTES);
    pipe->len -= (uint32_t)part;
    return (int64_t)part;
}

int64_t pipe_write(struct pipe *pipe, const char *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (pipe->readers == 0) {
        return -GUEST_EPIPE;
    }
    size_t room = LIMIT_PIPE_BYTES - pipe->len;
    if (room == 0 || (len <= PIPE_ATOMIC_BYTES && room < len)) {
        return -GUEST_EAGAIN;
    }
    if (pipe->bytes == NULL) {
        pipe->bytes = malloc(LIMIT_PIPE_BYTES);
        if (pipe->bytes == NULL) {
            return -GUEST_ENOMEM;
        }
    }
    size_t part = smaller(len, room);
    size_t end = (pipe->start + pipe->len) % LIMIT_PIPE_BYTES;
    size_t straight = smaller(part, LIMIT_PIPE_BYTES - end);
    memcpy(pipe->bytes + end, bytes, straight);
    memcpy(pipe->bytes, bytes + straight, part - straight);
    pipe->len += (uint32_t)part;
    return (int64_t)part;
}

unsigned pipe_poll(const struct pipe *pipe, bool is_writer)
{
    if (is_writer) {
        unsigned ready = LIMIT_PIPE_BYTES - pipe->len >= PIPE_ATOMIC_BYTES ? VFS_POLLOUT : 0;
        return pipe->readers == 0 ? ready | VFS_POLLERR : ready;
    }
    unsigned ready = pipe->len > 0 ? VFS_POLLIN : 0;
    return pipe->writers == 0 ? ready | VFS_POLLHUP : ready;
}

void pipe_stat(const struct pipe *pipe, struct vfs_stat *out)
{
    *out = (struct vfs_stat){.dev = PIPE_DEVICE,
                             .ino = pipe->ino,
                             .mode = VFS_S_IFIFO | 0600U,
                             .nlink = 1,
                             .uid = VFS_UID,
                             .gid = VFS_GID,
                             .blksize = PIPE_ATOMIC_BYTES,
                             .atime_ns = pipe->made_ns,
                             .mtime_ns = pipe->made_ns,
                             .ctime_ns = pipe->made_ns};
}

void pipe_close(struct pipe *pipe, bool is_writer)
{
    if (is_writer) {
        pipe->writers--;
    } else {
        pipe->readers--;
    }
    if (pipe->readers == 0 && pipe->writers == 0) {
        free(pipe->bytes);
        *pipe = (struct pipe){0};
    }
}
