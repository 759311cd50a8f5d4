/* Where the other parts of Vitrine lie, and the pool made of them. Runs in `vitrine`. */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include <limits.h>

#include "base/err.h"
#include "cli/options.h"

struct parts {
    char cell_path[PATH_MAX];
    char guest_dir[PATH_MAX];
};

/*
 * Looks, if the options do not say where: for vitrine-cell beside the running program, then in
 * ../libexec/vitrine; for the guest in guest/ beside the program, then in ../share/vitrine/guest.
 * ERR_MISSING says what to do.
 */
int parts_find(const struct options *options, struct parts *out, struct err *err);

#endif
