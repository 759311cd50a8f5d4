/*
 * Pictures that a program shows, as base64 that a guest wrote: not trusted. Runs in `vitrine`.
 *
 * A client passes pictures on to viewers and to a model's service, and such a service may refuse a
 * whole conversation because of one broken picture. So a picture goes on only if its base64 is
 * strict (RFC 4648, section 4: the standard alphabet, padded, no blanks), its bytes begin and are
 * put together as its media type says, and its sides are within LIMIT_PICTURE_SIDE_MAX. Nothing is
 * unpacked here.
 */
#ifndef RESULT_PICTURE_H
#define RESULT_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum picture_kind { PICTURE_PNG, PICTURE_JPEG, PICTURE_WEBP, PICTURE_GIF, PICTURE_KINDS };

/* "image/png", "image/jpeg", ...: in the order in which a value's forms are preferred. */
const char *picture_media_type(enum picture_kind kind);

struct picture {
    uint32_t width; /* pixels */
    uint32_t height;
    size_t bytes; /* decoded */
};

/* NULL when it is such a picture; else why it is none, as the end of a sentence. */
const char *picture_check(enum picture_kind kind, struct span base64, struct picture *out);

#endif
