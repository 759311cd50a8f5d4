/* Where the other parts of Vitrine lie, and the pool made of them. Runs in `vitrine`. */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include <limits.h>

#include "base/err.h"
#include "cli/options.h"
#include "packages/packages.h"

struct parts {
    char cell_path[PATH_MAX];
    char guest_dir[PATH_MAX];
    char fetch_path[PATH_MAX];
    char precompile_path[PATH_MAX];
    char cache_dir[PATH_MAX]; /* as tools/cache.py has it */
};

/*
 * Looks, if the options do not say where: for the programs beside the running program, then in
 * ../libexec/vitrine; for the guest in guest/ beside the program, then in ../share/vitrine/guest.
 * ERR_MISSING says what to do. vitrine-fetch and vitrine-precompile may be missing as long as
 * nothing has to be installed: their paths are then where they should be.
 */
int parts_find(const struct options *options, struct parts *out, struct err *err);

/* What the options say of packages. Borrows from all three. */
struct packages_config parts_packages_config(const struct options *options,
                                             const struct parts *parts, struct pool *pool);

/* What --cgroup asks of the pool: NULL for "off". */
const char *parts_cgroup(const struct options *options);

/* The largest memory limit that the pool has to allow: that of the user's programs, and that of our
 * own where packages may be installed. */
uint64_t parts_memory_bytes_max(const struct options *options);

#endif
