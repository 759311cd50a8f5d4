/*
 * Control groups: limits on all zygotes and cells of a pool together, where the system lets us make
 * groups below our own. Runs in `vitrine`, outside of the jail.
 *
 * A pool has one group (with version 1 one for each controller), and each zygote enters it before
 * anything else. A group for each cell would cost half a millisecond a call: see
 * docs/decisions/0011-one-control-group.md.
 *
 * Life: cgroup_make; cgroup_join_path for the command line of each zygote; cgroup_end when all have
 * been reaped. What a vitrine leaves behind that was killed, the next one removes.
 */
#ifndef POOL_CGROUP_H
#define POOL_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

/* What a group limits, as bits. */
enum cgroup_limit {
    CGROUP_MEMORY = 1 << 0,
    CGROUP_PIDS = 1 << 1,
    CGROUP_CPU = 1 << 2, /* a smaller share where processors are short */
};
#define CGROUP_ALL (CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU)

enum { CGROUP_GROUPS_MAX = 3, CGROUP_REASON_MAX = 256 };

/* A folder of a cgroup file system. */
struct cgroup_folder {
    char path[LIMIT_PATH_BYTES_MAX];
    unsigned limits; /* that can be had there */
    bool is_v2;
};

struct cgroup_folders {
    struct cgroup_folder items[CGROUP_GROUPS_MAX];
    unsigned count;
};

/*
 * Where this process is: from the texts of /proc/self/cgroup and /proc/self/mountinfo
 * (cgroups(7), proc(5)). Version 2's folder alone when `v2_limits` (what the caller found in its
 * cgroup.controllers) is not empty, else version 1's. Without version 2 its path stays empty.
 */
void cgroup_find_v2(struct span cgroups, struct span mounts, struct cgroup_folder *out);
void cgroup_find_v1(struct span cgroups, struct span mounts, struct cgroup_folders *out);

/* Bits of the controllers named in a cgroup.controllers or cgroup.subtree_control. */
unsigned cgroup_limits_read(struct span names);

/* Writes the limits that `folder` can have into its files. Returns those that were written; errno
 * is of the last that was not. */
unsigned cgroup_limit(const struct cgroup_folder *folder, uint64_t memory_bytes);

struct cgroup;

/*
 * `choice` is "auto", or a folder of cgroup version 2 that is delegated to us. With "auto" nothing
 * is an error: cgroup_reason says why there is less than everything. `memory_bytes` is for all
 * together; 0: seven eighths of the machine's. *out is owned until cgroup_end.
 */
int cgroup_make(const char *choice, uint64_t memory_bytes, struct cgroup **out, struct err *err);

/* The file that a process writes "0" to in order to enter; false at the end. `cgroup` may be NULL.
 */
bool cgroup_join_path(const struct cgroup *cgroup, unsigned index, char out[LIMIT_PATH_BYTES_MAX]);

/* Bits of enum cgroup_limit that hold; where; and why the others do not, or "". */
unsigned cgroup_limits(const struct cgroup *cgroup);
const char *cgroup_where(const struct cgroup *cgroup);
const char *cgroup_reason(const struct cgroup *cgroup);

/* Kills what may still be in the groups, and removes them. NULL is none. */
void cgroup_end(struct cgroup *cgroup);

#endif
