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

/* A copy of `base` for the environment in the folder `dir`, checked as above. *has_preload says
 * whether its zygote is told to import something ahead. */
int args_new_environment(char *const *base, const char *dir, bool wants_preload, char ***out,
                         bool *has_preload, struct err *err);

void args_free(char **args);

#endif
