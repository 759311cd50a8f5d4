/* The command line of `vitrine-cell`: private to src/cell. */
#ifndef CELL_OPTIONS_H
#define CELL_OPTIONS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/limits.h"
#include "guest/guest.h"
#include "jail/jail.h"

enum { CELL_GROUPS_MAX = 3, CELL_FOLDERS_MAX = 8 };

struct cell_options {
    struct guest_config guest; /* image_paths is `images`; all paths are free of links */
    const char *images[LIMIT_IMAGE_COUNT_MAX + 1];
    const char *folders[CELL_FOLDERS_MAX]; /* in which these files lie */
    size_t folder_count;
    const char *groups[CELL_GROUPS_MAX]; /* cgroup.procs of each control group to enter */
    size_t group_count;
    struct jail_grants grants; /* directories of the host, and */
    struct {
        const char *path; /* where the guest has each, */
        enum guest_grant how;
    } mounts[JAIL_GRANTS_MAX];
    bool is_fresh; /* no snapshot is used, because all guests of one have the same hash secret */
};

/* Fills *out, which must stay where it is and is never freed. */
int cell_options_parse(int argc, char **argv, struct cell_options *out, struct err *err);

#endif
