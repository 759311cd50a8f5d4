/*
 * The jail of a build, in `vitrine-precompile`: a process that looks at wheels. It may use memory
 * and processors, and make files in one folder; it never runs anything, sees no other file and no
 * network.
 *
 * Life: jail_build_isolate in a process without threads; fork; in the child whatever has to be
 * opened, then jail_build_enter, also without threads yet.
 */
#ifndef JAIL_BUILD_H
#define JAIL_BUILD_H

#include <stdint.h>

#include "base/err.h"

/* Leaves the user, network, IPC and host name namespaces, as far as the system allows, and the pid
 * namespace for children: the first child then takes all its descendants with it when it ends. */
void jail_build_isolate(void);

/* First thing in a child: dies with its parent, whose pid is `parent`, and gains no privileges. */
int jail_build_follow(int parent, struct err *err);

struct jail_build_limits {
    uint64_t data_bytes; /* private writable memory */
    uint64_t cpu_s;
    uint64_t file_bytes; /* of one file that is written */
};

/*
 * From the return on files can be made in `out_dir` alone, which is then called *out_path
 * ("." when it has become the root, else as given); descriptors above 2 are closed. A system call
 * outside the table in build_filter.c ends the process. What the kernel or the container does not
 * offer (Landlock, a root of its own) is gone without: the table stands alone then.
 */
int jail_build_enter(const char *out_dir, const struct jail_build_limits *limits,
                     const char **out_path, struct err *err);

#endif
