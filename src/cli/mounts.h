/* --mount: directories of the host for programs. Runs in `vitrine`. */
#ifndef CLI_MOUNTS_H
#define CLI_MOUNTS_H

#include "cli/options.h"

struct mounts {
    struct pool_mount items[LIMIT_MOUNTS_MAX]; /* the descriptors stay open */
    char *hosts[LIMIT_MOUNTS_MAX];             /* each one's path, absolute and without links */
    unsigned count;
};

/*
 * Opens the directories of HOST[:GUEST][:ro|rw|overlay]. GUEST is what begins with a slash behind a
 * colon, and POOL_WORK_DIR where it is left out; what comes before it is HOST, colons included.
 */
int mounts_open(const struct option_list *options, struct mounts *out, struct err *err);

/* Appends "no files of yours", or the options: "the directories .:rw, data:/data". */
int mounts_describe(const struct option_list *options, struct buf *out);

/* Where a program finds the file `path` (relative to our working directory): appends that to `out`,
 * or nothing when it is in none of the directories. */
int mounts_find(const struct mounts *mounts, const char *path, struct buf *out);

#endif
