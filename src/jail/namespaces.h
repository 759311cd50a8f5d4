/* Out of the host's namespaces: private to src/jail. */
#ifndef JAIL_NAMESPACES_H
#define JAIL_NAMESPACES_H

#include <stddef.h>

#include "jail/report.h"

/* For a process with one thread: leaves the user, mount, network, IPC, UTS and cgroup namespaces,
 * and the pid namespace for its children, each as far as the system allows. */
void namespaces_leave(struct jail_report *report);

/*
 * In a mount namespace of its own: makes a root that holds nothing but `folders` (absolute paths
 * without links), read-only, under their own names, and an empty folder JAIL_EMPTY_FOLDER. -1 with
 * errno; then the old root is still there.
 */
int root_replace(const char *const *folders, size_t count);

/*
 * Before root_replace: makes of a directory that is open as `fd` a mount of its own, in no tree and
 * with nothing above it, which `fd` is then of; read-only unless it is writable. -1 with errno, and
 * `fd` is as it was.
 */
int granted_isolate(int fd, bool is_writable);

#define JAIL_EMPTY_FOLDER "/empty"

enum { JAIL_FOLDERS_MAX = 8 };

#endif
