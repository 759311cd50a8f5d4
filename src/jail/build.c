#include "jail/build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/build_filter.h"
#include "jail/jail.h"
#include "jail/landlock.h"

enum { FIRST_CLOSED_FD = 3, OPEN_FILES_MAX = 64 };

#define ACCESS_FS_MAKE_FILES                                                                       \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                                \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

void jail_build_isolate(void)
{
    static const int wanted[] = {CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
                                 CLONE_NEWPID};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        (void)unshare(wanted[i]);
    }
}

int jail_build_follow(int parent, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_system(err, "prctl");
    }
    /* In a pid namespace of its own a child's parent has no number. */
    int now = getppid();
    return now == parent || now == 0 ? 0 : err_set(err, ERR_GONE, "the builder is gone");
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static int limit_set(int resource, uint64_t value, struct err *err)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) {
        return err_system(err, "getrlimit");
    }
    limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0 ? 0 : err_system(err, "setrlimit");
}

static int limits_set(const struct jail_build_limits *limits, struct err *err)
{
    return limit_set(RLIMIT_CORE, 0, err) != 0 ||
                   limit_set(RLIMIT_DATA, limits->data_bytes, err) != 0 ||
                   limit_set(RLIMIT_CPU, limits->cpu_s, err) != 0 ||
                   limit_set(RLIMIT_FSIZE, limits->file_bytes, err) != 0 ||
                   limit_set(RLIMIT_NOFILE, OPEN_FILES_MAX, err) != 0 ||
                   limit_set(RLIMIT_MEMLOCK, 0, err) != 0 || limit_set(RLIMIT_MSGQUEUE, 0, err) != 0
               ? -1
               : 0;
}

/* Files may be made, and those read, in `dir`, which is empty; no other file at all. A kernel
 * without Landlock is gone without it. */
static int files_restrict(int dir, struct err *err)
{
    const struct landlock_grant grant = {.fd = dir, .access = ACCESS_FS_MAKE_FILES};
    if (landlock_enter(&grant, 1) != 0 && errno != ENOSYS && errno != EOPNOTSUPP) {
        return err_system(err, "landlock");
    }
    return 0;
}

/* Makes the folder the root; false where that is not allowed. */
static bool root_change(int dir)
{
    return fchdir(dir) == 0 && chroot(".") == 0;
}

int jail_build_enter(const char *out_dir, const struct jail_build_limits *limits,
                     const char **out_path, struct err *err)
{
    cleanup_fd int dir = open(out_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return err_system(err, "open %s", out_dir);
    }
    *out_path = root_change(dir) ? "." : out_dir;
    if (clearenv() != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) {
        return err_system(err, "entering the jail");
    }
    if (files_restrict(dir, err) != 0 || jail_drop_privileges(err) != 0 ||
        limits_set(limits, err) != 0) {
        return err_prefix(err, "entering the jail");
    }
    fd_close(&dir);
    if (syscall(SYS_close_range, FIRST_CLOSED_FD, ~0u, 0u) != 0) {
        return err_system(err, "close_range");
    }
    return jail_build_filter_load(err);
}
