/* The command line of `vitrine-cell`: private to src/cell. */
#ifndef CELL_OPTIONS_H
#define CELL_OPTIONS_H

#include "base/err.h"
#include "base/limits.h"
#include "guest/guest.h"

struct cell_options {
    struct guest_config guest; /* image_paths is `images` */
    const char *images[LIMIT_IMAGE_COUNT_MAX + 1];
};

/* Fills *out, which must stay where it is; paths are borrowed from argv. */
int cell_options_parse(int argc, char **argv, struct cell_options *out, struct err *err);

#endif
