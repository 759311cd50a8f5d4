/* about.json of a built wheel; environment.h says what is in it. */
#ifndef BUILDER_ABOUT_H
#define BUILDER_ABOUT_H

#include "base/buf.h"
#include "guest/vfs/image.h"
#include "wheel/wheel.h"

struct about {
    const struct wheel *wheel;
    const struct image *library;
    const char *sha256;
    const char *filename;
    size_t files;
    size_t modules;
};

/* Appends the text. 0, or -1 without room. */
int about_write(const struct about *about, struct buf *out);

#endif
