/*
 * The jail of `vitrine-cell`: what the operating system holds back even if a guest should break
 * out of the engine. Each part stands for itself; what the system does not offer is noted in a
 * report, and the pool decides whether the rest is enough.
 *
 * Life: in main, jail_begin, then jail_leave_host, which returns in a child; there jail_restrict,
 * after which nothing but the guest's files can be read; when these have been loaded, jail_close.
 * Code of a guest runs only then. In each cell jail_enter_cell, then jail_lower_limits when the
 * request's own limits are known.
 */
#ifndef JAIL_JAIL_H
#define JAIL_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "jail/report.h"

/* The one descriptor through which a cell speaks; the filter knows it by number. */
#define JAIL_SOCKET_FD 3

/*
 * Directories of the host that cells may use (--mount). Each is open as JAIL_GRANT_FD and its
 * place, from before jail_begin; jail_restrict makes of it a mount of its own, which has no parent,
 * where namespaces allow that. NULL stands for none in all the functions below.
 */
enum { JAIL_GRANTS_MAX = 8 };
#define JAIL_GRANT_FD (JAIL_SOCKET_FD + 1)
struct jail_grants {
    unsigned count;
    bool is_writable[JAIL_GRANTS_MAX];
};

/* The seccomp filters of a closed zygote and of its cells as BPF, built once, before jail_restrict;
 * a cell then loads its own in 60 microseconds. */
struct jail_filter;
int jail_filter_build(const struct jail_grants *grants, struct jail_filter **out, struct err *err);
void jail_filter_free(struct jail_filter *filter);

/* Enters a control group through its file cgroup.procs, with all children to come. */
int jail_join(const char *procs_path, struct err *err);

/* Dies with its parent, leaves no core; descriptors above JAIL_SOCKET_FD and the grants' are closed
 * and the environment is empty. */
int jail_begin(const struct jail_grants *grants, struct err *err);

/*
 * Leaves the host's namespaces, as far as the system allows, and returns in a child: the first
 * process of a pid namespace of its own. The caller's process stays outside without descriptors or
 * rights, waits, and ends as the child ends; each dies with the other. For a process with one
 * thread.
 */
int jail_leave_host(struct jail_report *report, struct err *err);

/* From the return on, no files are in reach but the grants' and those in `folders` (absolute paths
 * without links), to be read; nothing can be started; privileges are few and cannot grow; a system
 * call outside of the table in zygote_filter.c ends the process. For a process with one thread. */
int jail_restrict(struct jail_report *report, const char *const *folders, size_t count,
                  const struct jail_grants *grants, struct err *err);

/* From the return on, no file but the grants' is in reach, there are no privileges, and a system
 * call outside of the table in closed_filter.c ends the process. `filter` is NULL where the system
 * has none. */
int jail_close(struct jail_report *report, const struct jail_filter *filter,
               const struct jail_grants *grants, struct err *err);

/* Gives up every capability, for good. Files of other users can no longer be opened by root. */
int jail_drop_privileges(struct err *err);

/* Backstops behind the limits that the guest's platform holds itself. */
struct jail_limits {
    uint64_t data_bytes; /* private writable memory, everything counted */
    uint64_t cpu_s;      /* CPU time of the process */
};

/*
 * For the cell, just after fork: dies with `parent` (its pid), keeps descriptors 0 to 2 and
 * `socket_fd`, which becomes JAIL_SOCKET_FD, and the grants'; can open nothing more, write no file
 * and start nothing, but as the grants allow. From the return on, a system call outside the table
 * in filter.c kills the process. `limits` are the ceilings of any request; they come back lower
 * where the system's are. `filter` is NULL where the system has none.
 */
int jail_enter_cell(int socket_fd, int parent, struct jail_limits *limits,
                    const struct jail_filter *filter, const struct jail_grants *grants,
                    struct err *err);

/* The same for a session's cell. Its number goes along with the listener that answers for it
 * (ask.h); *can_fork says whether there is one: without, it is a cell like any. */
struct jail_session {
    uint32_t number;
    int *can_fork;
};
int jail_enter_session(int socket_fd, int parent, const struct jail_session *session,
                       struct jail_limits *limits, const struct jail_filter *filter,
                       const struct jail_grants *grants, struct err *err);

/* The same without resource limits and without the filter. For tests alone: sanitizers reserve
 * terabytes and make calls of their own. */
int jail_enter_cell_bare(int socket_fd, int parent, const struct jail_grants *grants,
                         struct err *err);

/* Inside the jail: sets the backstops to `wanted`, or to `ceilings` where those are lower. 0, or -1
 * with errno set. */
int jail_lower_limits(const struct jail_limits *ceilings, const struct jail_limits *wanted);

/* The same, but the limit of CPU time may be raised again up to its ceiling: for a process that
 * gets more of it with each request. */
int jail_set_limits(const struct jail_limits *ceilings, const struct jail_limits *wanted);

#endif
