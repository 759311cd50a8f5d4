/* The seccomp filter of a build: private to src/jail. */
#ifndef JAIL_BUILD_FILTER_H
#define JAIL_BUILD_FILTER_H

#include "base/err.h"

/* From here on this process makes the calls of the table alone. */
int jail_build_filter_load(struct err *err);

#endif
