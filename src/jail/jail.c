#include "jail/jail.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "jail/ask.h"
#include "jail/filter.h"
#include "jail/grants.h"
#include "jail/landlock.h"
#include "jail/namespaces.h"
#include "jail/tables.h"

/* ---- Steps ----------------------------------------------------------------------------------- */

static int die_with_parent(struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return err_system(err, "prctl(PR_SET_PDEATHSIG)");
    }
    return 0;
}

static int gain_no_privileges(struct err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_system(err, "prctl(PR_SET_NO_NEW_PRIVS)");
    }
    return 0;
}

/* Other processes of the same user can then neither trace this one nor read its memory. */
static int hide_memory(struct err *err)
{
    if (prctl(PR_SET_DUMPABLE, 0) != 0) {
        return err_system(err, "prctl(PR_SET_DUMPABLE)");
    }
    return 0;
}

static int limit_set_both(int resource, const char *name, uint64_t soft, uint64_t hard,
                          struct err *err)
{
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    if (setrlimit((__rlimit_resource_t)resource, &limit) != 0) {
        return err_system(err, "setrlimit(%s)", name);
    }
    return 0;
}

static int limit_set(int resource, const char *name, uint64_t value, struct err *err)
{
    return limit_set_both(resource, name, value, value, err);
}

/* Lowers *value to what the system allows this process anyway. */
static int limit_cap(int resource, const char *name, uint64_t *value, struct err *err)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) {
        return err_system(err, "getrlimit(%s)", name);
    }
    if (limit.rlim_max < *value) {
        *value = limit.rlim_max;
    }
    return 0;
}

static int close_from(unsigned first, struct err *err)
{
    if (syscall(SYS_close_range, first, ~0u, 0u) != 0) {
        return err_system(err, "close_range(%u)", first);
    }
    return 0;
}

static int keep_only_socket(int socket_fd, const struct jail_grants *grants, struct err *err)
{
    if (socket_fd != JAIL_SOCKET_FD && dup2(socket_fd, JAIL_SOCKET_FD) < 0) {
        return err_system(err, "dup2 of the cell socket");
    }
    return close_from(JAIL_GRANT_FD + grants_count(grants), err);
}

/* Descriptors that one call on a granted directory takes and gives back. */
enum { PASSING_FILES = 4 };

/* What a cell may not do at all. Descriptors: none beyond those it has, but for granted files.
 * Addresses: no more than it takes tables of pages for that can be borne, which no other limit
 * counts. */
static int forbid_resources(const struct jail_grants *grants, struct err *err)
{
    const unsigned granted = grants_count(grants);
    const uint64_t files = granted > 0 ? granted + LIMIT_OPEN_FILES_MAX + PASSING_FILES : 0;
    const uint64_t file_bytes = grants_write(grants) ? LIMIT_FILE_BYTES_MAX : 0;
    if (limit_set(RLIMIT_NOFILE, "RLIMIT_NOFILE", JAIL_GRANT_FD + files, err) != 0 ||
        limit_set(RLIMIT_FSIZE, "RLIMIT_FSIZE", file_bytes, err) != 0 ||
        limit_set(RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 0, err) != 0 ||
        limit_set(RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 0, err) != 0 ||
        limit_set(RLIMIT_AS, "RLIMIT_AS", LIMIT_CELL_ADDRESS_BYTES, err) != 0) {
        return -1;
    }
    return 0;
}

/* When memory is short the kernel ends this process and its children, the largest first, and not
 * somebody else. Where there is no such file, it is left to choose. */
static void volunteer_for_death(void)
{
    cleanup_fd int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fd_write_full(fd, "1000", strlen("1000"));
    }
}

/* In a user namespace of its own nobody else's processes count. (Root's never do.) */
static int limit_tasks(const struct jail_report *report, struct err *err)
{
    uint64_t tasks = LIMIT_ZYGOTE_TASKS_MAX;
    return (report->parts & WIRE_JAIL_USER_NAMESPACE) == 0 ||
                   (limit_cap(RLIMIT_NPROC, "RLIMIT_NPROC", &tasks, err) == 0 &&
                    limit_set(RLIMIT_NPROC, "RLIMIT_NPROC", tasks, err) == 0)
               ? 0
               : -1;
}

/* ---- The jail -------------------------------------------------------------------------------- */

int jail_join(const char *procs_path, struct err *err)
{
    cleanup_fd int fd = open(procs_path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && fd_write_full(fd, "0", 1) == 0
               ? 0
               : err_system(err, "entering the control group %s", procs_path);
}

int jail_begin(const struct jail_grants *grants, struct err *err)
{
    if (die_with_parent(err) != 0 || limit_set(RLIMIT_CORE, "RLIMIT_CORE", 0, err) != 0 ||
        close_from(JAIL_GRANT_FD + grants_count(grants), err) != 0) {
        return err_prefix(err, "entering the jail");
    }
    if (fcntl(JAIL_SOCKET_FD, F_SETFD, FD_CLOEXEC) != 0) {
        return err_system(err, "the control socket is not descriptor %d", JAIL_SOCKET_FD);
    }
    if (clearenv() != 0) {
        return err_set(err, ERR_SYSTEM, "the environment cannot be emptied");
    }
    volunteer_for_death();
    return 0;
}

/* Nothing but the folders and the grants is there, and nothing in the folders can be written. */
static int folders_grant(const char *const *folders, size_t count, const struct jail_grants *grants)
{
    struct landlock_grant all[JAIL_GRANTS_MAX + JAIL_FOLDERS_MAX];
    const size_t first = grants_rights(grants, all);
    size_t opened = first;
    int result = 0;
    while (result == 0 && opened < first + count) {
        all[opened].access = LANDLOCK_ACCESS_FS_READ_FILE;
        all[opened].fd = open(folders[opened - first], O_PATH | O_DIRECTORY | O_CLOEXEC);
        result = all[opened].fd < 0 ? -1 : 0;
        opened += result == 0 ? 1 : 0;
    }
    if (result == 0) {
        result = landlock_enter(all, first + count);
    }
    while (opened > first) {
        fd_close(&all[--opened].fd);
    }
    return result;
}

/* Makes a mount of its own of each granted directory: above it there is nothing then, whatever a
 * cell that was broken into may ask for. */
static int grants_isolate(const struct jail_report *report, const struct jail_grants *grants)
{
    int result = (report->parts & WIRE_JAIL_MOUNT_NAMESPACE) != 0 ? 0 : -1;
    for (unsigned i = 0; result == 0 && i < grants_count(grants); i++) {
        result = granted_isolate(JAIL_GRANT_FD + (int)i, grants->is_writable[i]);
    }
    return result;
}

/* The filter cannot tell one directory from another. */
static int grants_check(const struct jail_report *report, bool is_isolated,
                        const struct jail_grants *grants, struct err *err)
{
    if (grants_count(grants) == 0 || is_isolated || (report->parts & WIRE_JAIL_LANDLOCK) != 0) {
        return 0;
    }
    return err_set(err, ERR_SYSTEM,
                   "this system has neither Landlock nor namespaces to keep a program within a "
                   "directory: nothing can be mounted");
}

static int zygote_rules_load(const struct jail_grants *grants)
{
    struct rule rows[GRANTS_RULES_MAX];
    struct rule_table joined;
    grants_join(grants, &jail_zygote_table, rows, &joined);
    return rules_load(&joined);
}

/* All but the one that is needed to close. */
static int capabilities_lower(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{0}};
    for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++) {
        (void)prctl(PR_CAPBSET_DROP, i); /* refused to those who have none to lose */
    }
    if (syscall(SYS_capget, &header, caps) != 0) {
        return -1;
    }
    caps[0].permitted &= 1U << CAP_SYS_CHROOT;
    caps[0].effective = caps[0].permitted;
    caps[0].inheritable = 0;
    caps[1] = (struct __user_cap_data_struct){0};
    return (int)syscall(SYS_capset, &header, caps);
}

int jail_restrict(struct jail_report *report, const char *const *folders, size_t count,
                  const struct jail_grants *grants, struct err *err)
{
    assert(count > 0 && count <= JAIL_FOLDERS_MAX);
    const bool is_isolated = grants_isolate(report, grants) == 0;
    if ((report->parts & WIRE_JAIL_MOUNT_NAMESPACE) != 0) {
        report->has_root = root_replace(folders, count) == 0;
        if (!report->has_root) {
            jail_report_lacks(report, WIRE_JAIL_EMPTY_ROOT, "making a root");
        }
    } else {
        jail_report_lacks_too(report, WIRE_JAIL_EMPTY_ROOT, WIRE_JAIL_MOUNT_NAMESPACE);
    }
    if (gain_no_privileges(err) != 0 || hide_memory(err) != 0 || limit_tasks(report, err) != 0) {
        return err_prefix(err, "entering the jail");
    }
    jail_report_has(report, WIRE_JAIL_NO_NEW_PRIVILEGES | WIRE_JAIL_RESOURCE_LIMITS);
    jail_report_note(report, WIRE_JAIL_LANDLOCK, "landlock", folders_grant(folders, count, grants));
    if (grants_check(report, is_isolated, grants, err) != 0) {
        return -1;
    }
    if (capabilities_lower() != 0) {
        return err_system(err, "giving up capabilities");
    }
    /* Where there are no filters at all, cells will have none either. */
    jail_report_note(report, WIRE_JAIL_FILTER, "seccomp", zygote_rules_load(grants));
    return 0;
}

int jail_close(struct jail_report *report, const struct jail_filter *filter,
               const struct jail_grants *grants, struct err *err)
{
    struct landlock_grant rights[JAIL_GRANTS_MAX];
    const size_t rights_count = grants_rights(grants, rights);
    if (report->has_root) {
        const int result = chroot(JAIL_EMPTY_FOLDER) != 0 ? -1 : chdir("/");
        jail_report_note(report, WIRE_JAIL_EMPTY_ROOT, "chroot", result);
    }
    if (jail_drop_privileges(err) != 0) {
        return -1;
    }
    jail_report_has(report, WIRE_JAIL_NO_CAPABILITIES);
    if ((report->parts & WIRE_JAIL_LANDLOCK) != 0 && landlock_enter(rights, rights_count) != 0) {
        return err_system(err, "Landlock");
    }
    /* A change of rights may have undone these two. */
    if (hide_memory(err) != 0 || die_with_parent(err) != 0) {
        return -1;
    }
    return filter == NULL ? 0 : jail_filter_load_closed(filter, err);
}

int jail_drop_privileges(struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
        syscall(SYS_capset, &header, none) != 0) {
        return err_system(err, "giving up capabilities");
    }
    return 0;
}

static int begin_cell(int parent, struct err *err)
{
    if (die_with_parent(err) != 0) {
        return -1;
    }
    return getppid() == parent ? 0 : err_set(err, ERR_GONE, "the zygote is gone");
}

int jail_enter_cell_bare(int socket_fd, int parent, const struct jail_grants *grants,
                         struct err *err)
{
    return begin_cell(parent, err) != 0 ? -1 : keep_only_socket(socket_fd, grants, err);
}

static int limits_begin(struct jail_limits *limits, struct err *err)
{
    if (limit_cap(RLIMIT_DATA, "RLIMIT_DATA", &limits->data_bytes, err) != 0 ||
        limit_cap(RLIMIT_CPU, "RLIMIT_CPU", &limits->cpu_s, err) != 0 ||
        limit_set(RLIMIT_DATA, "RLIMIT_DATA", limits->data_bytes, err) != 0 ||
        limit_set(RLIMIT_CPU, "RLIMIT_CPU", limits->cpu_s, err) != 0) {
        return -1;
    }
    return 0;
}

int jail_enter_cell(int socket_fd, int parent, struct jail_limits *limits,
                    const struct jail_filter *filter, const struct jail_grants *grants,
                    struct err *err)
{
    if (jail_enter_cell_bare(socket_fd, parent, grants, err) != 0 ||
        forbid_resources(grants, err) != 0 ||
        limit_set(RLIMIT_NPROC, "RLIMIT_NPROC", 0, err) != 0 || limits_begin(limits, err) != 0 ||
        (filter != NULL && jail_filter_load_cell(filter, err) != 0)) {
        return err_prefix(err, "entering the jail");
    }
    return 0;
}

int jail_enter_session(int socket_fd, int parent, const struct jail_session *session,
                       struct jail_limits *limits, const struct jail_filter *filter,
                       const struct jail_grants *grants, struct err *err)
{
    if (begin_cell(parent, err) != 0) {
        return -1;
    }
    *session->can_fork = filter != NULL && jail_handover_give(filter, session->number) == 0;
    if (!*session->can_fork) {
        return jail_enter_cell(socket_fd, parent, limits, filter, grants, err);
    }
    if (keep_only_socket(socket_fd, grants, err) != 0 || forbid_resources(grants, err) != 0 ||
        limits_begin(limits, err) != 0 || jail_filter_load_session(filter, err) != 0) {
        return err_prefix(err, "entering the jail");
    }
    return 0;
}

static uint64_t lower_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int jail_lower_limits(const struct jail_limits *ceilings, const struct jail_limits *wanted)
{
    uint64_t data_bytes = lower_of(ceilings->data_bytes, wanted->data_bytes);
    uint64_t cpu_s = lower_of(ceilings->cpu_s, wanted->cpu_s);
    return limit_set(RLIMIT_DATA, "RLIMIT_DATA", data_bytes, NULL) != 0 ||
                   limit_set(RLIMIT_CPU, "RLIMIT_CPU", cpu_s, NULL) != 0
               ? -1
               : 0;
}

int jail_set_limits(const struct jail_limits *ceilings, const struct jail_limits *wanted)
{
    uint64_t data_bytes = lower_of(ceilings->data_bytes, wanted->data_bytes);
    uint64_t cpu_s = lower_of(ceilings->cpu_s, wanted->cpu_s);
    return limit_set(RLIMIT_DATA, "RLIMIT_DATA", data_bytes, NULL) != 0 ||
                   limit_set_both(RLIMIT_CPU, "RLIMIT_CPU", cpu_s, ceilings->cpu_s, NULL) != 0
               ? -1
               : 0;
}
