/* The zygote's command line: private to src/pool. */
#ifndef POOL_ARGS_H
#define POOL_ARGS_H

#include "base/err.h"
#include "pool/pool.h"

/* Looks for the program, the core module and the images. *out is NULL-terminated and owned. */
int args_new(const struct pool_config *config, char ***out, struct err *err);
void args_free(char **args);

#endif
