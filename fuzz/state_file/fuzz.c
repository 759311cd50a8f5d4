/*
 * The file of a saved session, under libFuzzer: read to its end. What must hold: no crash; what is
 * taken as whole is what comes out when the same pieces are written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "pool/state_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static int file_of(const void *bytes, size_t len)
{
    const int fd = memfd_create("state", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && fd_write_full(fd, bytes, len) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_file in;
    struct state_file out;
    struct err err;
    cleanup_buf struct buf about;
    cleanup_buf struct buf again;
    cleanup_fd int fd = file_of(data, size);
    cleanup_fd int copy = file_of("", 0);
    buf_init(&about, LIMIT_STATE_ABOUT_BYTES_MAX + 1);
    buf_init(&again, size + 1);
    if (state_file_open(&in, fd, &about, &err) != 0) {
        return 0;
    }
    REQUIRE(state_file_begin(&out, copy, GIB, buf_span(&about), &err) == 0);
    int more = 1;
    while (more > 0) {
        cleanup_buf struct buf piece;
        buf_init(&piece, LIMIT_STATE_PIECE_BYTES);
        more = state_file_next(&in, &piece, &err);
        REQUIRE(more != 0 || piece.len == 0);
        REQUIRE(more <= 0 || state_file_put(&out, buf_span(&piece), &err) == 0);
    }
    if (more == 0) {
        REQUIRE(state_file_end(&out, &err) == 0 && lseek(copy, 0, SEEK_SET) == 0);
        REQUIRE(fd_read_all(copy, &again, &err) == 0 && again.len == size);
        REQUIRE(memcmp(again.base, data, size) == 0);
    }
    return 0;
}
