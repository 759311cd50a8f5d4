/*
 * A strict reader of wheels. Whoever made the wheel is not trusted: what two readers might read in
 * two ways is refused whole, and nothing is handed out before the whole directory has been checked.
 * Used by `vitrine-precompile` (jailed) and by `vitrine-fetch` (METADATA alone).
 *
 * Refused: more than one end record, bytes before the first or after the last record, local headers
 * that differ from the central directory, overlapping entries, zip64 that is not needed or wraps,
 * encryption, methods other than stored and deflate, more entries or bytes than limits.h allows
 * (counted while inflating), names that are absolute, have "..", ".", empty parts, backslashes,
 * drive letters, control characters or invalid UTF-8, are twice there (also by case folding), or
 * are a file here and a directory there; links, devices, set-user-id bits; a RECORD that is
 * missing, incomplete, names what is not there, or whose SHA-256 sums or sizes are wrong; a WHEEL
 * or METADATA that is missing or does not fit the file's name; a wheel with a tag that this guest
 * does not take.
 *
 * Sources: PKWARE's APPNOTE.TXT 6.3; PyPA's binary distribution format (PEP 427, 491) and
 * recording installed projects (PEP 376, 627).
 */
#ifndef WHEEL_WHEEL_H
#define WHEEL_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct wheel;

/* Does ahead what a process that is jailed before it opens a wheel could not do there: the crypto
 * library reads its settings, the C library asks for the size of memory before it first sorts. */
int wheel_prepare(struct err *err);

/* Opens a wheel that lies in memory (a mapped file); `bytes` and `filename` (its last path
 * component) are borrowed. Checks everything that can be checked without inflating. *out is owned
 * by the caller until wheel_close. -1: ERR_FORMAT (refused; the text names the rule), ERR_LIMIT. */
int wheel_open(struct span bytes, const char *filename, struct wheel **out, struct err *err);
void wheel_close(struct wheel *wheel);

/* From the file's name, checked against METADATA; borrowed. The version as METADATA spells it. */
struct span wheel_name(const struct wheel *wheel);
struct span wheel_version(const struct wheel *wheel);

/* The file METADATA, at most LIMIT_WHEEL_METADATA_BYTES_MAX; borrowed. */
struct span wheel_metadata(const struct wheel *wheel);

/* Regular files, in the order of their names. */
size_t wheel_file_count(const struct wheel *wheel);
struct wheel_file {
    struct span name; /* as in the archive; borrowed */
    uint64_t size;
    bool is_executable;
};
struct wheel_file wheel_file_at(const struct wheel *wheel, size_t index);

/* Where a file is installed, relative to site-packages: the same name, but for NAME.data/purelib/
 * and platlib/, which are taken off. False: not installed in a guest (scripts, headers, data). */
bool wheel_install_path(const struct wheel *wheel, size_t index, struct span *out);

/* Inflates one file into `out` (appended) and checks its CRC and its sum in RECORD. */
int wheel_read(const struct wheel *wheel, size_t index, struct buf *out, struct err *err);

/* Reads METADATA of a wheel of which nothing else is wanted. As wheel_open and wheel_close. */
int wheel_read_metadata(struct span bytes, const char *filename, struct buf *out, struct err *err);

#endif
