/* These functions of OpenSSL's are deprecated for being bound to one algorithm. That is what is
 * wanted: the general ones look for providers and read a configuration first. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "pool/state_file.h"

#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/little.h"

enum { VERSION = 1, HEADER_BYTES = 16 };

static const char magic[8] = "VITRSES";

/* ---- Writing --------------------------------------------------------------------------------- */

static int put(struct state_file *file, const void *bytes, size_t len, struct err *err)
{
    if (len > file->bytes_max - file->bytes) {
        return err_set(err, ERR_LIMIT, "the session's state is more than %llu bytes",
                       (unsigned long long)file->bytes_max);
    }
    if (fd_write_full(file->fd, bytes, len) != 0) {
        return err_system(err, "writing the session's state");
    }
    file->bytes += len;
    return SHA256_Update(&file->sum, bytes, len) == 1 ? 0 : err_set(err, ERR_MEMORY, "no SHA-256");
}

static int put_u32(struct state_file *file, uint32_t value, struct err *err)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, sizeof value);
    return buf_append_u32(&bytes, value) != 0 ? err_set(err, ERR_MEMORY, "no memory")
                                              : put(file, bytes.base, bytes.len, err);
}

int state_file_begin(struct state_file *file, int fd, uint64_t bytes_max, struct span about,
                     struct err *err)
{
    *file = (struct state_file){.fd = fd, .bytes_max = bytes_max};
    if (about.len > LIMIT_STATE_ABOUT_BYTES_MAX || SHA256_Init(&file->sum) != 1) {
        return err_set(err, ERR_LIMIT, "too much is said about a state");
    }
    return put(file, magic, sizeof magic, err) != 0 || put_u32(file, VERSION, err) != 0 ||
                   put_u32(file, (uint32_t)about.len, err) != 0
               ? -1
               : put(file, about.base, about.len, err);
}

int state_file_put(struct state_file *file, struct span piece, struct err *err)
{
    if (piece.len == 0) {
        return 0;
    }
    return put_u32(file, (uint32_t)piece.len, err) != 0 ? -1
                                                        : put(file, piece.base, piece.len, err);
}

int state_file_end(struct state_file *file, struct err *err)
{
    unsigned char sum[SHA256_DIGEST_LENGTH];
    if (put_u32(file, 0, err) != 0) {
        return -1;
    }
    if (SHA256_Final(sum, &file->sum) != 1 || fd_write_full(file->fd, sum, sizeof sum) != 0 ||
        fsync(file->fd) != 0) {
        return err_system(err, "writing the session's state");
    }
    file->bytes += sizeof sum;
    return 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int take(struct state_file *file, void *bytes, size_t len, struct err *err)
{
    const ssize_t n = fd_read_full(file->fd, bytes, len);
    if (n < 0) {
        return err_system(err, "reading the saved session");
    }
    if ((size_t)n != len) {
        return err_set(err, ERR_FORMAT, "the saved session is cut off");
    }
    return SHA256_Update(&file->sum, bytes, len) == 1 ? 0 : err_set(err, ERR_MEMORY, "no SHA-256");
}

int state_file_open(struct state_file *file, int fd, struct buf *about, struct err *err)
{
    char header[HEADER_BYTES];
    *file = (struct state_file){.fd = fd};
    if (SHA256_Init(&file->sum) != 1 || take(file, header, sizeof header, err) != 0) {
        return -1;
    }
    if (memcmp(header, magic, sizeof magic) != 0) {
        return err_set(err, ERR_FORMAT, "this is no saved session");
    }
    if (get_u32(header + sizeof magic) != VERSION) {
        return err_set(err, ERR_FORMAT, "the session was saved in form %u; this program reads %d",
                       get_u32(header + sizeof magic), VERSION);
    }
    const uint32_t len = get_u32(header + sizeof magic + sizeof(uint32_t));
    if (len > LIMIT_STATE_ABOUT_BYTES_MAX || buf_reserve(about, len + 1) != 0) {
        return err_set(err, ERR_FORMAT, "the saved session is damaged");
    }
    if (take(file, about->base + about->len, len, err) != 0) {
        return -1;
    }
    about->len += len;
    return 0;
}

/* What is left is the sum. */
static int check_end(struct state_file *file, struct err *err)
{
    unsigned char sum[SHA256_DIGEST_LENGTH];
    unsigned char said[SHA256_DIGEST_LENGTH + 1];
    const ssize_t n = fd_read_full(file->fd, said, sizeof said);
    if (n < 0) {
        return err_system(err, "reading the saved session");
    }
    if (SHA256_Final(sum, &file->sum) != 1 || n != SHA256_DIGEST_LENGTH ||
        memcmp(sum, said, sizeof sum) != 0) {
        return err_set(err, ERR_FORMAT, "the saved session is damaged: its checksum is another");
    }
    return 0;
}

int state_file_next(struct state_file *file, struct buf *out, struct err *err)
{
    char length[sizeof(uint32_t)];
    if (take(file, length, sizeof length, err) != 0) {
        return -1;
    }
    const uint32_t len = get_u32(length);
    if (len == 0) {
        return check_end(file, err);
    }
    if (len > LIMIT_STATE_PIECE_BYTES) {
        return err_set(err, ERR_FORMAT, "the saved session is damaged");
    }
    if (buf_reserve(out, len) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for a piece of a saved session");
    }
    if (take(file, out->base + out->len, len, err) != 0) {
        return -1;
    }
    out->len += len;
    return 1;
}
