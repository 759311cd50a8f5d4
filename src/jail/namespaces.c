#include "jail/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"

/* The kernel's names for these are younger than the headers this may be compiled with. */
#define TREE_CLONE          1U
#define MOVE_FROM_FD        4U /* MOVE_MOUNT_F_EMPTY_PATH */
#define ATTRIBUTE_READ_ONLY 1U
#define ATTRIBUTE_NO_SUID   2U
#define ATTRIBUTE_NO_DEV    4U
#define ATTRIBUTE_NO_EXEC   8U

struct mount_attributes {
    uint64_t set;
    uint64_t clear;
    uint64_t propagation;
    uint64_t user_namespace_fd;
};

/* ---- Namespaces ------------------------------------------------------------------------------ */

static int text_write(const char *path, const char *text)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -1 : fd_write_full(fd, text, strlen(text));
}

/* Inside we are who we are outside: one user and one group, and nobody else exists. */
static void user_leave(struct jail_report *report)
{
    char users[64];
    char groups[64];
    snprintf(users, sizeof users, "%u %u 1", geteuid(), geteuid());
    snprintf(groups, sizeof groups, "%u %u 1", getegid(), getegid());
    if (!jail_report_note(report, WIRE_JAIL_USER_NAMESPACE, "unshare", unshare(CLONE_NEWUSER))) {
        return;
    }
    if (text_write("/proc/self/setgroups", "deny") != 0 ||
        text_write("/proc/self/uid_map", users) != 0 ||
        text_write("/proc/self/gid_map", groups) != 0) {
        jail_report_lacks(report, WIRE_JAIL_USER_NAMESPACE, "mapping the user");
    }
}

void namespaces_leave(struct jail_report *report)
{
    static const struct {
        int flag;
        uint32_t part;
    } wanted[] = {
        {CLONE_NEWNS, WIRE_JAIL_MOUNT_NAMESPACE},    {CLONE_NEWPID, WIRE_JAIL_PID_NAMESPACE},
        {CLONE_NEWNET, WIRE_JAIL_NETWORK_NAMESPACE}, {CLONE_NEWIPC, WIRE_JAIL_IPC_NAMESPACE},
        {CLONE_NEWUTS, WIRE_JAIL_UTS_NAMESPACE},     {CLONE_NEWCGROUP, WIRE_JAIL_CGROUP_NAMESPACE},
    };
    user_leave(report);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        jail_report_note(report, wanted[i].part, "unshare", unshare(wanted[i].flag));
    }
    /* Otherwise it would still be the host's name. */
    if ((report->parts & WIRE_JAIL_UTS_NAMESPACE) != 0 &&
        (sethostname("vitrine", strlen("vitrine")) != 0 || setdomainname("", 0) != 0)) {
        jail_report_lacks(report, WIRE_JAIL_UTS_NAMESPACE, "sethostname");
    }
}

/* ---- The root -------------------------------------------------------------------------------- */

/* A copy of the mount that a folder lies in, of that folder alone, read-only and in no tree yet. */
static int folder_clone(const char *folder)
{
    const struct mount_attributes read_only = {
        .set = ATTRIBUTE_READ_ONLY | ATTRIBUTE_NO_SUID | ATTRIBUTE_NO_DEV,
    };
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, folder, TREE_CLONE | (unsigned)O_CLOEXEC);
    if (fd >= 0 &&
        syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &read_only, sizeof read_only) != 0) {
        fd_close(&fd);
    }
    return fd;
}

/* Makes all the folders of an absolute path under the working directory. */
static int path_make(const char *path, char relative[LIMIT_PATH_BYTES_MAX])
{
    int len = snprintf(relative, LIMIT_PATH_BYTES_MAX, ".%s", path);
    if (len < 0 || len >= (int)LIMIT_PATH_BYTES_MAX) {
        return -1;
    }
    for (char *slash = strchr(relative + 2, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(relative, 0755); /* it may be there; the last one tells */
        *slash = '/';
    }
    (void)mkdir(relative, 0755);
    return 0;
}

static int folders_put(const int *fds, const char *const *folders, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char relative[LIMIT_PATH_BYTES_MAX];
        if (path_make(folders[i], relative) != 0 ||
            syscall(SYS_move_mount, fds[i], "", AT_FDCWD, relative, MOVE_FROM_FD) != 0) {
            return -1;
        }
    }
    return mkdir("." JAIL_EMPTY_FOLDER, 0555);
}

/* The new root lies over one of the folders, because that is a place which surely exists. */
static int root_make(const int *fds, const char *const *folders, size_t count)
{
    const struct mount_attributes read_only = {.set = ATTRIBUTE_READ_ONLY};
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("root", folders[0], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=64k,nr_inodes=512,mode=755") != 0) {
        return -1;
    }
    if (chdir(folders[0]) != 0 || folders_put(fds, folders, count) != 0 ||
        syscall(SYS_mount_setattr, AT_FDCWD, ".", 0, &read_only, sizeof read_only) != 0 ||
        syscall(SYS_pivot_root, ".", ".") != 0) {
        const int failure = errno;
        (void)umount2(folders[0], MNT_DETACH);
        errno = failure;
        return -1;
    }
    /* The old root now lies over the new one. */
    return umount2(".", MNT_DETACH) != 0 ? -1 : chdir("/");
}

int root_replace(const char *const *folders, size_t count)
{
    int fds[JAIL_FOLDERS_MAX];
    int result = 0;
    size_t made = 0;
    while (result == 0 && made < count) {
        fds[made] = folder_clone(folders[made]);
        if (fds[made] < 0) {
            result = -1;
        } else {
            made++;
        }
    }
    if (result == 0) {
        result = root_make(fds, folders, count);
    }
    for (size_t i = 0; i < made; i++) {
        fd_close(&fds[i]);
    }
    return result;
}

/* ---- Granted directories --------------------------------------------------------------------- */

static bool is_same(int fd, int other)
{
    struct stat a;
    struct stat b;
    return fstat(fd, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* The descriptor is of the mount namespace that was left, whose mounts cannot be copied any more;
 * so the directory is found once more by its path. */
int granted_isolate(int fd, bool is_writable)
{
    const struct mount_attributes attributes = {
        .set = ATTRIBUTE_NO_SUID | ATTRIBUTE_NO_DEV | ATTRIBUTE_NO_EXEC |
               (is_writable ? 0 : ATTRIBUTE_READ_ONLY),
    };
    char link[64];
    char path[LIMIT_PATH_BYTES_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) {
        return -1;
    }
    path[len] = '\0';
    cleanup_fd int tree =
        (int)syscall(SYS_open_tree, AT_FDCWD, path, TREE_CLONE | (unsigned)O_CLOEXEC);
    if (tree < 0 ||
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
        return -1;
    }
    if (!is_same(fd, tree)) {
        errno = ESTALE;
        return -1;
    }
    return dup3(tree, fd, O_CLOEXEC) < 0 ? -1 : 0;
}
