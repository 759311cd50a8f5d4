/* Several images become one. Runs in the jail of a build; the images may be damaged. */
#ifndef BUILDER_MERGE_H
#define BUILDER_MERGE_H

#include "base/err.h"
#include "base/span.h"

struct merge_source {
    const char *name; /* for messages */
    struct span bytes;
};

/* Writes the image of all files to `path`. ERR_FORMAT when two sources have the same file with
 * other contents, or a file where another has a folder. */
int merge_write(const struct merge_source *sources, size_t count, const char *path,
                struct err *err);

#endif
