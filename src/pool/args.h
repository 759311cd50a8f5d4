/* The zygote's command line: private to src/pool. */
#ifndef POOL_ARGS_H
#define POOL_ARGS_H

#include "base/err.h"
#include "pool/cgroup.h"
#include "pool/pool.h"

/* Looks for the program, the core module and the images. `cgroup` may be NULL. *out is
 * NULL-terminated and owned. */
int args_new(const struct pool_config *config, const struct cgroup *cgroup, char ***out,
             struct err *err);

/* Whether the folder of an environment has its files; ERR_MISSING. */
int args_check_environment(const char *dir, struct err *err);

/* What may be imported before there is a program, as bits: what the folder names, and what its
 * snapshot has. */
enum { ARGS_AHEAD_IMPORTS = 1, ARGS_AHEAD_SNAPSHOT = 2 };

/* A copy of `base` for a zygote of the environment in the folder `dir`, checked as above; for the
 * base's own where that is NULL. With `is_fresh` it boots, and has a hash secret of its own,
 * although there is a snapshot. *has_ahead says whether it has code of packages run before it is
 * ready. */
struct args_zygote {
    const char *dir;
    unsigned ahead;
    bool is_fresh;
};
int args_new_zygote(char *const *base, const struct args_zygote *zygote, char ***out,
                    bool *has_ahead, struct err *err);

void args_free(char **args);

#endif
