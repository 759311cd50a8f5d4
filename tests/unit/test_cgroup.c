/*
 * cgroup: where groups are found, and what is written into them. Version 1 is the real one where
 * this process may make groups. Of version 2 no controller can be had beside version 1's, so its
 * files are imitated: making a folder makes the files that the kernel makes, and writes are judged
 * as cgroup-v2.rst has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "pool/cgroup.h"

enum { PATH_BYTES = 512, TEXT_BYTES = 4096 };

/* ---- An imitation of version 2 --------------------------------------------------------------- */

static char tree[64]; /* its root; "" without one */
static const char *const files[] = {"cgroup.procs", "cgroup.controllers", "cgroup.subtree_control",
                                    "cgroup.kill",  "memory.max",         "pids.max",
                                    "cpu.weight"};
enum { FILES = sizeof files / sizeof *files };

static bool is_imitated(const char *path)
{
    return tree[0] != '\0' && strncmp(path, tree, strlen(tree)) == 0;
}

static void text_put(const char *folder, const char *name, const char *text)
{
    char path[PATH_BYTES];
    struct err err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fd_write_file(path, span_of(text), &err), 0);
}

static void text_get(const char *folder, const char *name, char out[TEXT_BYTES])
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, TEXT_BYTES - 1);
    (void)close(fd);
    out[n < 0 ? 0 : n] = '\0';
}

int mkdir(const char *path, mode_t mode)
{
    int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    for (size_t i = 0; result == 0 && is_imitated(path) && i < FILES; i++) {
        text_put(path, files[i], "");
    }
    return result;
}

int rmdir(const char *path)
{
    for (size_t i = 0; is_imitated(path) && i < FILES; i++) {
        char file[PATH_BYTES];
        char text[TEXT_BYTES];
        text_get(path, "cgroup.procs", text);
        if (text[0] != '\0') {
            errno = EBUSY;
            return -1;
        }
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        (void)unlink(file);
    }
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

int statfs(const char *path, struct statfs *out)
{
    int result = (int)syscall(SYS_statfs, path, out);
    out->f_type = is_imitated(path) ? CGROUP2_SUPER_MAGIC : out->f_type;
    return result;
}

/* Our own process is in one folder at a time; children that only try are not followed. */
static pid_t own_pid;
static char home[PATH_BYTES];

static int procs_write(const char *folder)
{
    char pid[32];
    if (getpid() == own_pid) {
        snprintf(pid, sizeof pid, "%d\n", own_pid);
        if (home[0] != '\0') {
            text_put(home, "cgroup.procs", "");
        }
        text_put(folder, "cgroup.procs", pid);
        snprintf(home, sizeof home, "%s", folder);
    }
    return 0;
}

static int control_write(const char *folder, const char *text)
{
    char procs[TEXT_BYTES];
    char names[TEXT_BYTES] = "";
    text_get(folder, "cgroup.procs", procs);
    if (procs[0] != '\0' && strchr(text, '+') != NULL) {
        errno = EBUSY;
        return -1;
    }
    size_t len = 0;
    for (const char *c = text; strchr(text, '+') != NULL && *c != '\0'; c++) {
        names[len] = *c;
        len += *c == '+' ? 0 : 1;
    }
    names[len] = '\0';
    text_put(folder, "cgroup.subtree_control", names);
    return 0;
}

int __real_fd_write_full(int fd, const void *bytes, size_t len);
int __wrap_fd_write_full(int fd, const void *bytes, size_t len);

int __wrap_fd_write_full(int fd, const void *bytes, size_t len)
{
    char link[64];
    char path[PATH_BYTES];
    char text[TEXT_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(path, '/');
    if (!is_imitated(path) || slash == NULL) {
        return __real_fd_write_full(fd, bytes, len);
    }
    *slash = '\0';
    snprintf(text, sizeof text, "%.*s", (int)len, (const char *)bytes);
    if (strcmp(slash + 1, "cgroup.procs") == 0) {
        return procs_write(path);
    }
    return strcmp(slash + 1, "cgroup.subtree_control") == 0 ? control_write(path, text)
                                                            : __real_fd_write_full(fd, bytes, len);
}

static int tree_make(void **state)
{
    (void)state;
    char path[] = "/tmp/vitrine-cgroup-XXXXXX";
    assert_non_null(mkdtemp(path));
    snprintf(tree, sizeof tree, "%s", path);
    for (size_t i = 0; i < FILES; i++) {
        text_put(tree, files[i], "");
    }
    text_put(tree, "cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
    return 0;
}

static int tree_remove(void **state)
{
    (void)state;
    text_put(tree, "cgroup.procs", "");
    int result = rmdir(tree);
    tree[0] = '\0';
    return result;
}

/* ---- Finding --------------------------------------------------------------------------------- */

static const char hybrid_cgroups[] = "12:pids:/user.slice/a\n"
                                     "5:cpu,cpuacct:/user.slice\n"
                                     "4:memory:/\n"
                                     "1:name=systemd:/user.slice/a/b\n"
                                     "0::/user.slice/a/b\n";
static const char hybrid_mounts[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "35 31 0:32 /other /sys/fs/cgroup/wrong rw - cgroup cgroup rw,pids\n"
    "36 31 0:32 /user.slice /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "37 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

static void groups_are_found(void **state)
{
    (void)state;
    struct cgroup_folder v2;
    struct cgroup_folders v1;
    cgroup_find_v2(span_of(hybrid_cgroups), span_of(hybrid_mounts), &v2);
    assert_string_equal(v2.path, "/sys/fs/cgroup/unified/user.slice/a/b");
    assert_true(v2.is_v2);
    cgroup_find_v1(span_of(hybrid_cgroups), span_of(hybrid_mounts), &v1);
    assert_int_equal(v1.count, 3);
    assert_string_equal(v1.items[0].path, "/sys/fs/cgroup/memory");
    assert_int_equal(v1.items[0].limits, CGROUP_MEMORY);
    assert_string_equal(v1.items[1].path, "/sys/fs/cgroup/pids/a");
    assert_int_equal(v1.items[1].limits, CGROUP_PIDS);
    assert_string_equal(v1.items[2].path, "/sys/fs/cgroup/cpu,cpuacct/user.slice");
    assert_int_equal(v1.items[2].limits, CGROUP_CPU);
}

/* Not below what is mounted, nothing mounted, nothing to read, or nonsense. */
static void what_is_not_to_be_seen_is_not_found(void **state)
{
    (void)state;
    static const struct {
        const char *cgroups;
        const char *mounts;
    } rows[] = {
        {"0::/a\n", "37 31 0:33 /b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
        {"0::/ab\n", "37 31 0:33 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
        {"0::/a\n", ""},
        {"", hybrid_mounts},
        {"0:\n:\n\n0::", hybrid_mounts},
        {"0::/a\n", "37 31 0:33 / /sys/fs/cgroup rw - cgroup2\n37 - cgroup2 cgroup2 rw\n-\n"},
        {"0::/a\n", "37 31 0:33 / /sys/with\\040blank rw - cgroup2 cgroup2 rw\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cgroup_folder v2;
        struct cgroup_folders v1;
        cgroup_find_v2(span_of(rows[i].cgroups), span_of(rows[i].mounts), &v2);
        assert_string_equal(v2.path, "");
        cgroup_find_v1(span_of(rows[i].cgroups), span_of(rows[i].mounts), &v1);
        assert_int_equal(v1.count, 0);
    }
}

static void names_of_controllers_are_read(void **state)
{
    (void)state;
    assert_int_equal(cgroup_limits_read(span_of("cpuset cpu io memory pids\n")), CGROUP_ALL);
    assert_int_equal(cgroup_limits_read(span_of("cpuset memory\n")), CGROUP_MEMORY);
    assert_int_equal(cgroup_limits_read(span_of("")), 0);
}

/* ---- Version 2 ------------------------------------------------------------------------------- */

static void assert_file(const char *folder, const char *name, const char *expected)
{
    char text[TEXT_BYTES];
    text_get(folder, name, text);
    assert_string_equal(text, expected);
}

static void a_group_is_made_below_a_folder(void **state)
{
    (void)state;
    struct cgroup *cgroup;
    struct err err = {0};
    char join[LIMIT_PATH_BYTES_MAX];
    assert_int_equal(cgroup_make(tree, 123456789, &cgroup, &err), 0);
    assert_int_equal(cgroup_limits(cgroup), CGROUP_ALL);
    assert_string_equal(cgroup_reason(cgroup), "");
    assert_file(tree, "cgroup.subtree_control", "memory pids cpu");
    char group[PATH_BYTES];
    snprintf(group, sizeof group, "%s", cgroup_where(cgroup));
    assert_memory_equal(group, tree, strlen(tree));
    assert_file(group, "memory.max", "123456789");
    assert_file(group, "pids.max", "4096");
    assert_file(group, "cpu.weight", "50");
    assert_true(cgroup_join_path(cgroup, 0, join));
    assert_memory_equal(join, group, strlen(group));
    assert_string_equal(join + strlen(group), "/cgroup.procs");
    assert_false(cgroup_join_path(cgroup, 1, join));

    struct cgroup *second; /* another pool of this process */
    assert_int_equal(cgroup_make(tree, 0, &second, &err), 0);
    assert_string_not_equal(cgroup_where(second), group);
    cgroup_end(second);
    assert_int_equal(access(group, F_OK), 0);
    cgroup_end(cgroup);
    assert_int_equal(access(group, F_OK), -1);
    assert_file(tree, "cgroup.subtree_control", "");
}

static void fewer_controllers_are_fewer_limits(void **state)
{
    (void)state;
    struct cgroup *cgroup;
    struct err err = {0};
    text_put(tree, "cgroup.controllers", "cpuset pids\n");
    assert_int_equal(cgroup_make(tree, 0, &cgroup, &err), 0);
    assert_int_equal(cgroup_limits(cgroup), CGROUP_PIDS);
    cgroup_end(cgroup);
    text_put(tree, "cgroup.controllers", "cpuset\n");
    assert_int_equal(cgroup_make(tree, 0, &cgroup, &err), -1);
    assert_non_null(strstr(err.text, "no limit can be set below"));
    text_put(tree, "cgroup.controllers", "memory\n");
    text_put(tree, "cgroup.procs", "1\n"); /* and others are in it */
    assert_int_equal(cgroup_make(tree, 0, &cgroup, &err), -1);
    assert_non_null(strstr(err.text, "Device or resource busy"));
}

/* A group with processes gives its children no controllers, so we move; and back in the end. */
static void who_is_alone_in_a_folder_moves_aside(void **state)
{
    (void)state;
    struct cgroup *cgroup;
    struct err err = {0};
    char own[TEXT_BYTES];
    (void)procs_write(tree);
    text_get(tree, "cgroup.procs", own);
    assert_string_not_equal(own, "");
    assert_int_equal(cgroup_make(tree, 0, &cgroup, &err), 0);
    assert_int_equal(cgroup_limits(cgroup), CGROUP_ALL);
    assert_file(tree, "cgroup.procs", "");
    assert_string_not_equal(home, tree);
    assert_string_not_equal(home, cgroup_where(cgroup));
    assert_file(cgroup_where(cgroup), "cgroup.procs", "");
    char aside[PATH_BYTES];
    snprintf(aside, sizeof aside, "%s", home);
    cgroup_end(cgroup);
    assert_file(tree, "cgroup.procs", own);
    assert_int_equal(access(aside, F_OK), -1);
    home[0] = '\0';
}

static void only_folders_of_version_2_will_do(void **state)
{
    (void)state;
    struct cgroup *cgroup;
    struct err err = {0};
    assert_int_equal(cgroup_make("/tmp", 0, &cgroup, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(cgroup_make("/nowhere", 0, &cgroup, &err), -1);
}

/* ---- The real one ---------------------------------------------------------------------------- */

/* Whatever there is: nothing is left of it, and what is missing has a reason. */
static void the_system_s_own_groups(void **state)
{
    (void)state;
    struct cgroup *cgroup;
    struct err err = {0};
    char where[PATH_BYTES];
    assert_int_equal(cgroup_make("auto", 0, &cgroup, &err), 0);
    snprintf(where, sizeof where, "%s", cgroup_where(cgroup));
    assert_true(cgroup_limits(cgroup) == CGROUP_ALL || cgroup_reason(cgroup)[0] != '\0');
    assert_int_equal(cgroup_limits(cgroup) == 0, where[0] == '\0');
    pid_t pid = fork();
    if (pid == 0) {
        char join[LIMIT_PATH_BYTES_MAX];
        for (unsigned i = 0; cgroup_join_path(cgroup, i, join); i++) {
            int fd = open(join, O_WRONLY | O_CLOEXEC);
            if (fd < 0 || write(fd, "0", 1) != 1) {
                _exit(1);
            }
        }
        (void)pause();
        _exit(2);
    }
    usleep(100000);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    if (where[0] == '\0') {
        (void)kill(pid, SIGKILL);
    }
    cgroup_end(cgroup); /* with somebody still in it */
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(where[0] == '\0' || access(where, F_OK) != 0);
}

int main(void)
{
    own_pid = getpid();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_found),
        cmocka_unit_test(what_is_not_to_be_seen_is_not_found),
        cmocka_unit_test(names_of_controllers_are_read),
        cmocka_unit_test_setup_teardown(a_group_is_made_below_a_folder, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(fewer_controllers_are_fewer_limits, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(who_is_alone_in_a_folder_moves_aside, tree_make,
                                        tree_remove),
        cmocka_unit_test(only_folders_of_version_2_will_do),
        cmocka_unit_test(the_system_s_own_groups),
    };
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
