#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FD_READ_CHUNK = 65536, FD_WRITE_CHUNK = 65536, FD_PATH_MAX = 4096 };

void fd_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

ssize_t fd_read_full(int fd, void *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = read(fd, (char *)bytes + done, len - done);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fd_write_full(int fd, const void *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(fd, (const char *)bytes + done, len - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

int fd_read_all(int fd, struct buf *out, struct err *err)
{
    for (;;) {
        size_t room = out->bytes_max - out->len;
        size_t want = room < FD_READ_CHUNK ? room : FD_READ_CHUNK;
        if (want == 0) {
            char extra;
            ssize_t more = fd_read_full(fd, &extra, 1);
            return more == 0 ? 0 : err_set(err, ERR_LIMIT, "more than %zu bytes", out->bytes_max);
        }
        if (buf_reserve(out, want) != 0) {
            return err_set(err, ERR_MEMORY, "no memory for %zu bytes", out->len + want);
        }
        ssize_t n = fd_read_full(fd, out->base + out->len, want);
        if (n < 0) {
            return err_system(err, "read");
        }
        out->len += (size_t)n;
        if ((size_t)n < want) {
            return 0;
        }
    }
}

int fd_read_file(const char *path, struct buf *out, struct err *err)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        enum err_code code = errno == ENOENT ? ERR_MISSING : ERR_SYSTEM;
        err_system(err, "open %s", path);
        if (err != NULL) {
            err->code = code;
        }
        return -1;
    }
    if (fd_read_all(fd, out, err) != 0) {
        return err_prefix(err, "%s", path);
    }
    return 0;
}

/* Small parts are gathered, large ones written from where they are. */
static int write_parts(int fd, const struct span *parts, size_t count)
{
    char chunk[FD_WRITE_CHUNK];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > sizeof chunk - len) {
            if (fd_write_full(fd, chunk, len) != 0) {
                return -1;
            }
            len = 0;
        }
        if (parts[i].len > sizeof chunk) {
            if (fd_write_full(fd, parts[i].base, parts[i].len) != 0) {
                return -1;
            }
        } else if (parts[i].len > 0) {
            memcpy(chunk + len, parts[i].base, parts[i].len);
            len += parts[i].len;
        }
    }
    return fd_write_full(fd, chunk, len);
}

int fd_write_file_parts(const char *path, const struct span *parts, size_t count, struct err *err)
{
    char temporary[FD_PATH_MAX];
    int len = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (len < 0 || (size_t)len >= sizeof temporary) {
        return err_set(err, ERR_USAGE, "the path %s is too long", path);
    }
    cleanup_fd int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return err_system(err, "create a file beside %s", path);
    }
    if (write_parts(fd, parts, count) != 0 || fchmod(fd, 0644) != 0 || fsync(fd) != 0 ||
        rename(temporary, path) != 0) {
        err_system(err, "write %s", path);
        unlink(temporary);
        return -1;
    }
    return 0;
}

int fd_write_file(const char *path, struct span bytes, struct err *err)
{
    return fd_write_file_parts(path, &bytes, 1, err);
}

int fd_map_file(const char *path, struct span *out, struct err *err)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return err_system(err, "open %s", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        return err_set(err, ERR_FORMAT, "%s is not a regular file with contents", path);
    }
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        return err_system(err, "map %s", path);
    }
    *out = (struct span){base, (size_t)st.st_size};
    return 0;
}
