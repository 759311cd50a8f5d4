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

/* A copy of `base` for the environment in the folder `dir`, checked as above. *has_ahead says
 * whether its zygote has code of packages run before it is ready. */
int args_new_environment(char *const *base, const char *dir, unsigned ahead, char ***out,
                         bool *has_ahead, struct err *err);

void args_free(char **args);

#endif
