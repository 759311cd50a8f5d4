/*
 * The jail of `vitrine-cell`: what the operating system holds back even if a guest should break
 * out of the engine. The zygote enters the outer part once; each cell enters the inner part before
 * it reads its request.
 *
 * Life: jail_enter_zygote first thing in main; jail_filter_build once; jail_drop_privileges when
 * everything has been opened; in each child jail_enter_cell, then jail_lower_limits when the
 * request's own limits are known.
 */
#ifndef JAIL_JAIL_H
#define JAIL_JAIL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The one descriptor through which a cell speaks; the filter knows it by number. */
#define JAIL_SOCKET_FD 3

/* Dies with its parent, gains no privileges, leaves no core, cannot be traced; descriptors above
 * JAIL_SOCKET_FD are closed and the environment is empty. */
int jail_enter_zygote(struct err *err);

/* Gives up every capability, for good. Files of other users can no longer be opened by root. */
int jail_drop_privileges(struct err *err);

/* The seccomp filter as BPF, built once; a cell then loads it in 60 microseconds. */
struct jail_filter;
int jail_filter_build(struct jail_filter **out, struct err *err);
void jail_filter_free(struct jail_filter *filter);

/* Backstops behind the limits that the guest's platform holds itself. */
struct jail_limits {
    uint64_t data_bytes; /* private writable memory, everything counted */
    uint64_t cpu_s;      /* CPU time of the process */
};

/*
 * For the cell, just after fork: dies with `parent` (its pid), keeps descriptors 0 to 2 and
 * `socket_fd`, which becomes JAIL_SOCKET_FD; can open nothing more, write no file and start
 * nothing. From the return on, a system call outside the table in filter.c kills the process.
 * `limits` are the ceilings of any request; they come back lower where the system's are.
 */
int jail_enter_cell(int socket_fd, int parent, struct jail_limits *limits,
                    const struct jail_filter *filter, struct err *err);

/* The same without resource limits and without the filter. For tests alone: sanitizers reserve
 * terabytes and make calls of their own. */
int jail_enter_cell_bare(int socket_fd, int parent, struct err *err);

/* Inside the jail: sets the backstops to `wanted`, or to `ceilings` where those are lower. 0, or -1
 * with errno set. */
int jail_lower_limits(const struct jail_limits *ceilings, const struct jail_limits *wanted);

#endif
