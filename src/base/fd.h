/* File descriptors: owned, closed on every path, read and written whole. Used by every program. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Closes *fd when it is not negative. For `cleanup_fd int fd = -1;`. */
void fd_close(int *fd);
#define cleanup_fd __attribute__((cleanup(fd_close)))

/* Hands a descriptor over: returns it and leaves -1 behind. */
static inline int steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Reads exactly len bytes, going on after EINTR and short reads. Returns len, fewer at the end of
 * the file, or -1 with errno set. */
ssize_t fd_read_full(int fd, void *bytes, size_t len);

/* Writes all of it, going on after EINTR and short writes; waits when the descriptor is
 * non-blocking and full. 0, or -1 with errno set. */
int fd_write_full(int fd, const void *bytes, size_t len);

/* Appends the rest of the descriptor to `out`; ERR_LIMIT past out->bytes_max. */
int fd_read_all(int fd, struct buf *out, struct err *err);

/* Appends a whole regular file or pipe at `path`. ERR_MISSING when there is none. */
int fd_read_file(const char *path, struct buf *out, struct err *err);

/* Writes a file beside `path`, syncs it, and renames it into place: readers see the old one or
 * the new one, and a mapped old one stays intact. */
int fd_write_file(const char *path, struct span bytes, struct err *err);

/* The same for a file whose bytes lie in several places, one after the other. */
int fd_write_file_parts(const char *path, const struct span *parts, size_t count, struct err *err);

/* Maps a file read-only and private; *out borrows pages until munmap. An empty file is ERR_FORMAT.
 */
int fd_map_file(const char *path, struct span *out, struct err *err);

#endif
