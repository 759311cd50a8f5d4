/*
 * Runs the part of a command that looks at wheels in a child process that has left the namespaces
 * of this one, and waits for it no longer than LIMIT_BUILD_MS.
 */
#ifndef BUILDER_SUPERVISE_H
#define BUILDER_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The same without leaving namespaces, for parts of such a part: in a child of this process that
 * `body` may jail, for no longer than `ms_max`. Threads of this process are not in the child. */
int supervise_part(int (*body)(void *context, struct err *err), void *context, uint64_t ms_max,
                   struct err *err);

/* This process must have no threads yet. Passes on what `body` returns and its error; a child that
 * was killed is ERR_LIMIT or ERR_SYSTEM with a reason. `body` enters the jail itself. */
int supervise(int (*body)(void *context, struct err *err), void *context, struct err *err);

/* From here on nothing is jailed. For tests alone, with sanitizers. */
void supervise_without_jail(void);
bool supervise_has_jail(void);

/* jail_build_enter, with or without a jail. */
int supervise_enter_jail(const char *out_dir, const char **out_path, struct err *err);

/* The processors that this process may use. */
unsigned supervise_cores(void);

#endif
