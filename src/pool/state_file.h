/*
 * The file that a saved session is in. Runs in `vitrine`, which never looks into the state itself:
 * cells pack and unpack it (guest/guest.h).
 *
 * All integers are little-endian: magic "VITRSES" and NUL, u32 version, u32 length of what is said
 * about the state, and that (text of whoever saves); pieces, each behind its u32 length of 1 to
 * LIMIT_STATE_PIECE_BYTES; u32 0; the SHA-256 of everything before it. Nothing follows.
 */
#ifndef POOL_STATE_FILE_H
#define POOL_STATE_FILE_H

#include <openssl/sha.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct state_file {
    int fd; /* borrowed */
    SHA256_CTX sum;
    uint64_t bytes;     /* so far */
    uint64_t bytes_max; /* when it is written */
};

/* Writing, to a descriptor that is at the beginning of an empty file. -1: ERR_SYSTEM, or ERR_LIMIT
 * past bytes_max; the file is of no use then. */
int state_file_begin(struct state_file *file, int fd, uint64_t bytes_max, struct span about,
                     struct err *err);
int state_file_put(struct state_file *file, struct span piece, struct err *err);
/* The file is whole when this has returned 0; it is on the disk. */
int state_file_end(struct state_file *file, struct err *err);

/* Reading, from the beginning. What it says about the state is appended to `about`, and is not
 * known to be true: the sum is checked at the end. -1: ERR_SYSTEM, ERR_FORMAT with the reason. */
int state_file_open(struct state_file *file, int fd, struct buf *about, struct err *err);
/* The next piece, appended: 1; 0 when there was none and the sum is right. */
int state_file_next(struct state_file *file, struct buf *out, struct err *err);

#endif
