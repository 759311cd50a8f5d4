/*
 * The central directory of a zip archive that lies elsewhere: enough to fetch one member by its
 * range of bytes. Used by `vitrine-fetch` for a wheel that carries other wheels; each member is
 * checked by its own sum afterwards, so this has to be safe and plain, not complete. The strict
 * reader of wheels is wheel/wheel.h.
 *
 * Refused: zip64, several disks, encryption, directories that do not end where the end record
 * begins, members that overlap it.
 *
 * Source: PKWARE's APPNOTE.TXT 6.3.
 */
#ifndef FETCH_ZIPDIR_H
#define FETCH_ZIPDIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* An end record and the longest comment behind it. */
enum { ZIPDIR_TAIL_BYTES_MAX = 22 + 65535 };

struct zipdir_place {
    uint64_t at;
    uint64_t len;
    size_t count;
};

/* Finds the directory's place in the last bytes of an archive of `total` bytes. */
int zipdir_find(struct span tail, uint64_t total, struct zipdir_place *out, struct err *err);

struct zipdir_member {
    struct span name; /* borrows the directory's bytes */
    uint64_t at;      /* of its local header */
    uint64_t range;   /* bytes up to the next member or the directory */
    uint32_t packed;
    uint32_t unpacked;
    uint16_t method;
};

struct zipdir {
    struct zipdir_member *members; /* owned; in the order of the archive */
    size_t count;
};

/* Reads the directory's bytes (borrowed as long as *out is used). */
int zipdir_read(struct span directory, const struct zipdir_place *place, struct zipdir *out,
                struct err *err);
void zipdir_free(struct zipdir *dir);

/* The member FOLDER/NAME, or NULL. */
const struct zipdir_member *zipdir_member(const struct zipdir *dir, const char *folder,
                                          const char *name);

/* Takes the bytes of a member's range apart and appends what it holds. */
int zipdir_unpack(const struct zipdir_member *member, struct span range, struct buf *out,
                  struct err *err);

#endif
