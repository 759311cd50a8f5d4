/*
 * Names as Python's packaging standards have them, checked before anything is done with them. Used
 * by `vitrine-fetch`.
 *
 * Sources: the name format of PEP 508 and normalization of PEP 503; file names of wheels, PEP 427;
 * times, RFC 3339.
 */
#ifndef FETCH_NAME_H
#define FETCH_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { NAME_SUM_CHARS = 64 };

/* A SHA-256 sum as 64 lower-case hexadecimal digits and a NUL. */
struct name_sum {
    char hex[NAME_SUM_CHARS + 1];
};

/* Takes a sum in either case. False: it is none. */
bool name_read_sum(struct span text, struct name_sum *out);

/* Takes 32 bytes. */
struct name_sum name_sum_of(const unsigned char digest[32]);

/* Writes the normalized name and a NUL. False when `text` is not a project's name, or is longer
 * than `out`. */
bool name_read_project(struct span text, char *out, size_t out_bytes);

enum name_kind {
    NAME_WHEEL,
    NAME_WHEEL_NATIVE, /* a wheel whose platform tags are all of real machines */
    NAME_SDIST,
    NAME_OTHER,
};

/* What a file is by its name; a wheel of another project is NAME_OTHER. `project` is normalized. */
enum name_kind name_file_kind(struct span filename, const char *project);

/* A wheel's file name that is safe as one component of a path. */
bool name_is_wheel(struct span filename);

/* Microseconds since 1970 of an RFC 3339 time, or of a date (its first moment, UTC). */
bool name_read_time(struct span text, int64_t *out_us);

#endif
