/* Snapshots of booted guests (guest/guest.h): of the core at set-up, of an environment when it is
 * built. Whatever makes them also boots from them once before it is content. */
#ifndef BUILDER_SNAPSHOT_H
#define BUILDER_SNAPSHOT_H

#include "base/err.h"

#define SNAPSHOT_FILE "snapshot"

struct snapshot_environment {
    const char *out_dir;   /* the environment's, complete but for this file */
    const char *guest_dir; /* the core's */
    const char *preload;   /* as guest_config has it; NULL: none */
};

/* Makes the environment's snapshot in its folder. The code of its packages runs for that, in a
 * guest in a process that can make files in an empty folder and nowhere else, for
 * LIMIT_ENVIRONMENT_PRELOAD_MS at most. For a process without threads. -1 with no such file. */
int snapshot_make_environment(const struct snapshot_environment *environment, struct err *err);

#endif
