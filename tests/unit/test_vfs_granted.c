/*
 * vfs: directories of the host. Each test has a folder of its own with things in it and beside it;
 * "outside" is what nothing may reach, in any mode.
 */
#include "vfs_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

enum { TEXT_MAX = 8192 };

static char folder[64]; /* has "in", which is granted, and "outside" */

/* ---- The host's side ------------------------------------------------------------------------- */

static const char *host(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    cleanup_fd int fd = open(host(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static void expect_host(const char *name, const char *text)
{
    cleanup_buf struct buf found;
    buf_init(&found, MIB);
    if (fd_read_file(host(name), &found, NULL) != 0) {
        fail_msg("%s is not there", name);
    }
    assert_int_equal(found.len, strlen(text));
    assert_true(found.len == 0 || memcmp(found.base, text, found.len) == 0);
}

static void expect_no_host(const char *name)
{
    struct stat stat;
    assert_int_equal(lstat(host(name), &stat), -1);
}

static void link_at(const char *target, const char *name)
{
    assert_int_equal(symlink(target, host(name)), 0);
}

static void tree_make(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof folder, "/tmp/vfs-granted-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mkdir(host("in"), 0755), 0);
    assert_int_equal(mkdir(host("outside"), 0755), 0);
    assert_int_equal(mkdir(host("in/dir"), 0755), 0);
    put("outside/secret", "secret");
    put("in/a.txt", "hello");
    put("in/dir/b.txt", "deep");
    put("in/caf\xE9", "latin");
    link_at("a.txt", "in/link");
    link_at("dir", "in/link-dir");
    link_at("../outside/secret", "in/out-file");
    link_at("../outside", "in/out-dir");
    link_at("..", "in/up");
    link_at("/etc/passwd", "in/absolute");
    link_at(host("outside/secret"), "in/absolute-out");
    link_at("/proc/self/root", "in/magic");
    link_at("loop", "in/loop");
    assert_int_equal(mkfifo(host("in/fifo"), 0644), 0);
    assert_int_equal(link(host("outside/secret"), host("in/hard")), 0);
    cleanup_fd int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", host("in/socket"));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
}

static void tree_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "%s", folder);
    const pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", command, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(pid, NULL, 0);
}

/* ---- The guest's side ------------------------------------------------------------------------ */

static int granted_fd = -1;

static struct vfs *grant(void **state, enum vfs_grant how)
{
    struct vfs *vfs = vfs_of(state);
    struct err err = {0};
    granted_fd = open(host("in"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(granted_fd >= 0);
    if (vfs_grant(vfs, granted_fd, s("/work"), how, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return vfs;
}

static int set_up_tree(void **state)
{
    tree_make();
    return set_up(state);
}

static int tear_down_tree(void **state)
{
    const int result = tear_down(state);
    fd_close(&granted_fd);
    tree_remove();
    return result;
}

#define GRANTED_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_tree, tear_down_tree)

static void expect_error(int64_t status, int error)
{
    assert_int_equal(status, -error);
}

static int open_at(struct vfs *vfs, const char *path, int flags)
{
    return vfs_open(vfs, CWD, s(path), flags, 0644);
}

static void write_at(struct vfs *vfs, const char *path, int flags, const char *text)
{
    const int fd = open_at(vfs, path, flags);
    assert_true(fd >= 0);
    assert_int_equal(vfs_write(vfs, fd, text, strlen(text)), strlen(text));
    assert_int_equal(vfs_close(vfs, fd), 0);
}

static const char *listing(struct vfs *vfs, const char *path)
{
    static char text[TEXT_MAX];
    struct vfs_dirent entry;
    const int fd = open_at(vfs, path, VFS_O_DIRECTORY);
    int more;
    size_t len = 0;
    assert_true(fd >= 0);
    text[0] = '\0';
    while ((more = vfs_readdir(vfs, fd, &entry)) > 0) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s%u", len == 0 ? "" : " ",
                                entry.name, entry.type);
    }
    assert_int_equal(more, 0);
    assert_int_equal(vfs_close(vfs, fd), 0);
    return text;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void read_what_is_there(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_READ);
    char path[64];
    expect_contents(vfs, "/work/a.txt", "hello");
    expect_contents(vfs, "/work/dir/b.txt", "deep");
    expect_contents(vfs, "/work/dir/../dir/./b.txt", "deep");
    expect_contents(vfs, "/work/link", "hello");
    expect_contents(vfs, "/work/link-dir/b.txt", "deep");
    expect_contents(vfs, "/work/caf\xE9", "latin");
    assert_string_equal(listing(vfs, "/work"),
                        ".4 ..4 a.txt8 absolute10 absolute-out10 caf\xE9"
                        "8 dir4 hard8 link10 link-dir10 loop10 magic10 out-dir10 out-file10 up10");
    assert_string_equal(listing(vfs, "/work/link-dir"), ".4 ..4 b.txt8");
    const struct vfs_stat stat = stat_of(vfs, "/work/a.txt");
    assert_int_equal(stat.size, 5);
    assert_int_equal(stat.mode, VFS_S_IFREG | 0644);
    assert_int_equal(stat.uid, VFS_UID);
    assert_int_equal(vfs_chdir(vfs, s("/work/dir")), 0);
    expect_contents(vfs, "b.txt", "deep");
    assert_int_equal(vfs_getcwd(vfs, path, sizeof path), sizeof "/work/dir");
    assert_string_equal(path, "/work/dir");
    put("in/dir/new", "later");
    expect_contents(vfs, "new", "later");
    put("in/a.txt", "changed");
    expect_contents(vfs, "/work/a.txt", "changed");
}

static void nothing_is_changed_in_ro(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_READ);
    const struct vfs_time now = {.kind = VFS_TIME_NOW};
    expect_error(open_at(vfs, "/work/a.txt", VFS_O_WRONLY), GUEST_EROFS);
    expect_error(open_at(vfs, "/work/a.txt", VFS_O_RDWR), GUEST_EROFS);
    expect_error(open_at(vfs, "/work/a.txt", VFS_O_RDONLY | VFS_O_TRUNC), GUEST_EROFS);
    expect_error(open_at(vfs, "/work/a.txt", VFS_O_WRONLY | VFS_O_APPEND), GUEST_EROFS);
    expect_error(open_at(vfs, "/work/new", VFS_O_WRONLY | VFS_O_CREAT), GUEST_EROFS);
    expect_error(open_at(vfs, "/work", VFS_O_WRONLY | VFS_O_TMPFILE), GUEST_EROFS);
    expect_error(vfs_truncate(vfs, CWD, s("/work/a.txt"), 0), GUEST_EROFS);
    expect_error(vfs_mkdir(vfs, CWD, s("/work/new"), 0755), GUEST_EROFS);
    expect_error(vfs_mknod(vfs, CWD, s("/work/new"), 0644), GUEST_EROFS);
    expect_error(vfs_symlink(vfs, s("a.txt"), CWD, s("/work/new")), GUEST_EROFS);
    expect_error(vfs_unlink(vfs, CWD, s("/work/a.txt"), 0), GUEST_EROFS);
    expect_error(vfs_unlink(vfs, CWD, s("/work/dir"), VFS_AT_REMOVEDIR), GUEST_EROFS);
    expect_error(vfs_rename(vfs, CWD, s("/work/a.txt"), CWD, s("/work/b")), GUEST_EROFS);
    expect_error(vfs_rename(vfs, CWD, s("/work/a.txt"), CWD, s("/tmp/b")), GUEST_EROFS);
    expect_error(vfs_link(vfs, CWD, s("/work/a.txt"), CWD, s("/tmp/b"), 0), GUEST_EXDEV);
    expect_error(vfs_chmod(vfs, CWD, s("/work/a.txt"), 0777, 0), GUEST_EROFS);
    expect_error(vfs_utimens(vfs, CWD, s("/work/a.txt"), now, now, 0), GUEST_EROFS);
    expect_error(vfs_access(vfs, CWD, s("/work/a.txt"), VFS_W_OK, 0), GUEST_EROFS);
    assert_int_equal(vfs_access(vfs, CWD, s("/work/a.txt"), VFS_R_OK, 0), 0);
    const int fd = open_at(vfs, "/work/a.txt", VFS_O_RDONLY);
    expect_error(vfs_write(vfs, fd, "x", 1), GUEST_EBADF);
    expect_error(vfs_ftruncate(vfs, fd, 0), GUEST_EINVAL);
    expect_error(vfs_fchmod(vfs, fd, 0777), GUEST_EROFS);
    expect_error(vfs_futimens(vfs, fd, now, now), GUEST_EROFS);
    const int dir = open_at(vfs, "/work/dir", VFS_O_DIRECTORY);
    expect_error(vfs_fchmod(vfs, dir, 0777), GUEST_EROFS);
    expect_host("in/a.txt", "hello");
    expect_no_host("in/new");
}

/* ---- Nowhere else ---------------------------------------------------------------------------- */

/* Paths that would lead out of the directory if the host followed them. */
static const char *const ways_out[] = {
    "/work/out-file",
    "/work/out-dir/secret",
    "/work/up/outside/secret",
    "/work/absolute",
    "/work/absolute-out",
    "/work/magic/etc/passwd",
    "/work/loop",
    "/work/fifo",
    "/work/socket",
    "/work/dir/../../outside/secret",
};

static void no_way_leads_out(void **state, enum vfs_grant how)
{
    static const int flags[] = {
        VFS_O_RDONLY,
        VFS_O_WRONLY,
        VFS_O_RDWR,
        VFS_O_WRONLY | VFS_O_APPEND,
        VFS_O_WRONLY | VFS_O_TRUNC,
        VFS_O_RDONLY | VFS_O_DIRECTORY,
        VFS_O_PATH,
    };
    struct vfs *vfs = grant(state, how);
    struct vfs_stat stat;
    for (size_t i = 0; i < sizeof ways_out / sizeof *ways_out; i++) {
        for (size_t j = 0; j < sizeof flags / sizeof *flags; j++) {
            assert_true(open_at(vfs, ways_out[i], flags[j]) < 0);
        }
        assert_true(vfs_stat(vfs, CWD, s(ways_out[i]), 0, &stat) < 0);
        assert_true(vfs_truncate(vfs, CWD, s(ways_out[i]), 0) < 0);
        assert_true(vfs_chmod(vfs, CWD, s(ways_out[i]), 0777, 0) < 0);
    }
    /* What is created through a link is created where the link leads in the guest. */
    (void)open_at(vfs, "/work/out-dir/new", VFS_O_WRONLY | VFS_O_CREAT);
    (void)open_at(vfs, "/work/out-file", VFS_O_WRONLY | VFS_O_CREAT);
    (void)open_at(vfs, "/work/absolute-out", VFS_O_WRONLY | VFS_O_CREAT);
    (void)vfs_mkdir(vfs, CWD, s("/work/up/made"), 0755);
    expect_no_host("outside/new");
    expect_no_host("made");
    expect_host("outside/secret", "secret");
    expect_error(open_at(vfs, "/work/fifo", VFS_O_WRONLY | VFS_O_CREAT), GUEST_EACCES);
    expect_error(vfs_unlink(vfs, CWD, s("/work/socket"), 0),
                 how == VFS_GRANT_READ ? GUEST_EACCES : GUEST_EACCES);
    expect_error(vfs_open(vfs, CWD, (struct span){"/work/a\0b", 9}, 0, 0), GUEST_EINVAL);
    /* Such a name is nothing for the guest to make, either. */
    expect_error(vfs_mknod(vfs, CWD, s("/work/pipe"), VFS_S_IFIFO | 0644),
                 how == VFS_GRANT_READ ? GUEST_EROFS : GUEST_EPERM);
    expect_error(vfs_mknod(vfs, CWD, s("/work/device"), VFS_S_IFCHR | 0644),
                 how == VFS_GRANT_READ ? GUEST_EROFS : GUEST_EPERM);
}

static void no_way_leads_out_of_ro(void **state)
{
    no_way_leads_out(state, VFS_GRANT_READ);
}

static void no_way_leads_out_of_rw(void **state)
{
    no_way_leads_out(state, VFS_GRANT_WRITE);
}

static void no_way_leads_out_of_an_overlay(void **state)
{
    no_way_leads_out(state, VFS_GRANT_OVERLAY);
}

/* The mount point's parent is the guest's. */
static void up_is_the_guest(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_WRITE);
    assert_int_equal(stat_of(vfs, "/work/up").ino, stat_of(vfs, "/").ino);
    assert_int_equal(stat_of(vfs, "/work/..").ino, stat_of(vfs, "/").ino);
    expect_error(vfs_unlink(vfs, CWD, s("/work"), VFS_AT_REMOVEDIR), GUEST_EBUSY);
    expect_error(vfs_rename(vfs, CWD, s("/work"), CWD, s("/tmp/work")), GUEST_EBUSY);
    expect_error(vfs_chmod(vfs, CWD, s("/work"), 0, 0), GUEST_EPERM);
}

static void long_paths_are_refused(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_WRITE);
    static char path[40000];
    struct vfs_stat stat;
    memset(path, 'a', sizeof path - 1);
    memcpy(path, "/work/", 6);
    expect_error(vfs_stat(vfs, CWD, s(path), 0, &stat), GUEST_ENAMETOOLONG);
    for (size_t i = 6; i < sizeof path - 1; i += 2) {
        path[i] = '/';
    }
    expect_error(vfs_stat(vfs, CWD, s(path), 0, &stat), GUEST_ENAMETOOLONG);
    /* A directory deeper than a path can say: each step is made from the working directory. */
    assert_int_equal(vfs_chdir(vfs, s("/work/dir")), 0);
    static char name[201];
    memset(name, 'd', sizeof name - 1);
    int status = 0;
    for (int i = 0; i < 30 && status == 0; i++) {
        status = vfs_mkdir(vfs, CWD, s(name), 0755);
        status = status == 0 ? vfs_chdir(vfs, s(name)) : status;
    }
    expect_error(status, GUEST_ENAMETOOLONG);
}

/* ---- Swaps ----------------------------------------------------------------------------------- */

/* The directory that is the working directory, or open, is replaced by a link to the outside. */
static void a_swapped_directory_is_not_entered(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_WRITE);
    struct vfs_stat stat;
    const int dir = open_at(vfs, "/work/dir", VFS_O_DIRECTORY);
    assert_int_equal(vfs_chdir(vfs, s("/work/dir")), 0);
    assert_int_equal(rename(host("in/dir"), host("in/moved")), 0);
    assert_int_equal(symlink("../outside", host("in/dir")), 0);
    expect_error(open_at(vfs, "secret", VFS_O_RDONLY), GUEST_EACCES);
    expect_error(vfs_open(vfs, dir, s("secret"), VFS_O_RDONLY, 0), GUEST_EACCES);
    expect_error(vfs_open(vfs, dir, s("new"), VFS_O_WRONLY | VFS_O_CREAT, 0644), GUEST_EACCES);
    expect_error(vfs_stat(vfs, dir, s("secret"), 0, &stat), GUEST_EACCES);
    expect_error(vfs_mkdir(vfs, dir, s("new"), 0755), GUEST_EACCES);
    expect_error(vfs_unlink(vfs, dir, s("secret"), 0), GUEST_EACCES);
    struct vfs_dirent entry;
    int more;
    while ((more = vfs_readdir(vfs, dir, &entry)) > 0) {
        assert_true(entry.name[0] == '.');
    }
    assert_true(more <= 0);
    expect_error(open_at(vfs, "/work/dir/secret", VFS_O_RDONLY), GUEST_ENOENT);
    expect_host("outside/secret", "secret");
    /* Back again; who was in it is in a directory that was removed. */
    assert_int_equal(unlink(host("in/dir")), 0);
    assert_int_equal(rename(host("in/moved"), host("in/dir")), 0);
    expect_contents(vfs, "/work/dir/b.txt", "deep");
    expect_error(open_at(vfs, "b.txt", VFS_O_RDONLY), GUEST_ENOENT);
}

static void what_is_open_stays_open(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_READ);
    char bytes[16];
    const int fd = open_at(vfs, "/work/a.txt", VFS_O_RDONLY);
    assert_int_equal(unlink(host("in/a.txt")), 0);
    assert_int_equal(symlink("../outside/secret", host("in/a.txt")), 0);
    assert_int_equal(vfs_read(vfs, fd, bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(vfs_pread(vfs, fd, bytes, 3, 1), 3);
    assert_memory_equal(bytes, "ell", 3);
    assert_int_equal(vfs_seek(vfs, fd, -1, VFS_SEEK_END), 4);
    expect_error(open_at(vfs, "/work/a.txt", VFS_O_RDONLY), GUEST_ENOENT);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void rw_writes_to_the_host(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_WRITE);
    write_at(vfs, "/work/new.txt", VFS_O_WRONLY | VFS_O_CREAT | VFS_O_EXCL, "made");
    expect_host("in/new.txt", "made");
    write_at(vfs, "/work/new.txt", VFS_O_WRONLY | VFS_O_APPEND, "more");
    expect_host("in/new.txt", "mademore");
    write_at(vfs, "/work/new.txt", VFS_O_WRONLY | VFS_O_TRUNC, "x");
    expect_host("in/new.txt", "x");
    write_at(vfs, "/work/link", VFS_O_RDWR, "J");
    expect_host("in/a.txt", "Jello");
    expect_error(open_at(vfs, "/work/a.txt", VFS_O_WRONLY | VFS_O_CREAT | VFS_O_EXCL),
                 GUEST_EEXIST);
    assert_int_equal(vfs_truncate(vfs, CWD, s("/work/a.txt"), 2), 0);
    expect_host("in/a.txt", "Je");
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/sub"), 0755), 0);
    write_at(vfs, "/work/sub/c", VFS_O_WRONLY | VFS_O_CREAT, "c");
    expect_host("in/sub/c", "c");
    assert_int_equal(vfs_rename(vfs, CWD, s("/work/sub/c"), CWD, s("/work/d")), 0);
    expect_host("in/d", "c");
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/sub"), VFS_AT_REMOVEDIR), 0);
    expect_no_host("in/sub");
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/d"), 0), 0);
    expect_no_host("in/d");
    assert_int_equal(vfs_chmod(vfs, CWD, s("/work/a.txt"), 07711, 0), 0);
    struct stat stat;
    assert_int_equal(lstat(host("in/a.txt"), &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0711);
    const struct vfs_time then = {.kind = VFS_TIME_SET, .ns = 1500000000};
    assert_int_equal(vfs_utimens(vfs, CWD, s("/work/a.txt"), then, then, 0), 0);
    assert_int_equal(stat_of(vfs, "/work/a.txt").mtime_ns, 1500000000);
}

static void rw_makes_no_links(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_WRITE);
    expect_error(vfs_symlink(vfs, s("/etc/passwd"), CWD, s("/work/evil")), GUEST_EPERM);
    expect_error(vfs_link(vfs, CWD, s("/work/a.txt"), CWD, s("/work/evil"), 0), GUEST_EPERM);
    expect_error(vfs_link(vfs, CWD, s("/work/a.txt"), CWD, s("/tmp/evil"), 0), GUEST_EXDEV);
    expect_error(vfs_link(vfs, CWD, s("/home/vitrine"), CWD, s("/work/evil"), 0), GUEST_EPERM);
    expect_no_host("in/evil");
    /* A file that is elsewhere too can be read, and is not written. */
    expect_contents(vfs, "/work/hard", "secret");
    expect_error(open_at(vfs, "/work/hard", VFS_O_WRONLY), GUEST_EPERM);
    expect_error(open_at(vfs, "/work/hard", VFS_O_RDWR | VFS_O_TRUNC), GUEST_EPERM);
    expect_error(vfs_truncate(vfs, CWD, s("/work/hard"), 0), GUEST_EPERM);
    expect_error(vfs_chmod(vfs, CWD, s("/work/hard"), 0777, 0), GUEST_EPERM);
    expect_host("outside/secret", "secret");
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/hard"), 0), 0);
    expect_host("outside/secret", "secret");
}

static void renames_stay_within(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_WRITE);
    write_at(vfs, "/tmp/own", VFS_O_WRONLY | VFS_O_CREAT, "own");
    expect_error(vfs_rename(vfs, CWD, s("/work/a.txt"), CWD, s("/tmp/x")), GUEST_EXDEV);
    expect_error(vfs_rename(vfs, CWD, s("/tmp/own"), CWD, s("/work/x")), GUEST_EXDEV);
    /* Over a link: the link goes, and what it led to stays. */
    assert_int_equal(vfs_rename(vfs, CWD, s("/work/a.txt"), CWD, s("/work/out-file")), 0);
    expect_host("outside/secret", "secret");
    expect_host("in/out-file", "hello");
    /* A directory in which somebody is. */
    assert_int_equal(vfs_chdir(vfs, s("/work/dir")), 0);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/to"), 0755), 0);
    assert_int_equal(vfs_rename(vfs, CWD, s("/work/dir"), CWD, s("/work/to/dir2")), 0);
    expect_contents(vfs, "b.txt", "deep");
    char path[64];
    assert_true(vfs_getcwd(vfs, path, sizeof path) > 0);
    assert_string_equal(path, "/work/to/dir2");
    expect_error(vfs_rename(vfs, CWD, s("/work/to"), CWD, s("/work/to/dir2/x")), GUEST_EINVAL);
    expect_error(vfs_rename(vfs, CWD, s("/work/to/dir2"), CWD, s("/work/fifo")), GUEST_EACCES);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/empty"), 0755), 0);
    assert_int_equal(vfs_rename(vfs, CWD, s("/work/to/dir2"), CWD, s("/work/empty")), 0);
    expect_contents(vfs, "/work/empty/b.txt", "deep");
    expect_error(vfs_rename(vfs, CWD, s("/work/to"), CWD, s("/work/empty")), GUEST_ENOTEMPTY);
}

static void rw_keeps_to_the_quota(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_WRITE);
    static char block[4096];
    set_quota(vfs, 10000, 3, 32);
    const int fd = open_at(vfs, "/work/big", VFS_O_RDWR | VFS_O_CREAT);
    assert_int_equal(vfs_write(vfs, fd, block, sizeof block), 4096);
    assert_int_equal(vfs_write(vfs, fd, block, sizeof block), 4096);
    assert_int_equal(vfs_write(vfs, fd, block, sizeof block), 10000 - 8192);
    expect_error(vfs_write(vfs, fd, block, sizeof block), GUEST_ENOSPC);
    assert_int_equal(vfs_limits_hit(vfs), VFS_LIMIT_BYTES);
    assert_int_equal(vfs_pwrite(vfs, fd, block, 100, 0), 100); /* gains nothing */
    expect_error(vfs_ftruncate(vfs, fd, 1LL << 40), GUEST_ENOSPC);
    expect_error(vfs_pwrite(vfs, fd, "x", 1, 1LL << 30), GUEST_ENOSPC);
    assert_int_equal(vfs_ftruncate(vfs, fd, 100), 0);
    assert_int_equal(vfs_pwrite(vfs, fd, block, sizeof block, 0), sizeof block);
    /* Unlinked and open, it still takes room. */
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/big"), 0), 0);
    const int second = open_at(vfs, "/work/big", VFS_O_RDWR | VFS_O_CREAT);
    assert_int_equal(vfs_write(vfs, second, block, sizeof block), sizeof block);
    assert_true(vfs_write(vfs, second, block, sizeof block) < (int64_t)sizeof block);
    assert_int_equal(vfs_close(vfs, second), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/big"), 0), 0);
    const int third = open_at(vfs, "/work/big", VFS_O_RDWR | VFS_O_CREAT);
    assert_int_equal(vfs_write(vfs, third, block, sizeof block), sizeof block);
    /* Names. */
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/1"), 0755), 0);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/2"), 0755), 0);
    expect_error(vfs_mkdir(vfs, CWD, s("/work/3"), 0755), GUEST_ENOSPC);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/1"), VFS_AT_REMOVEDIR), 0);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/3"), 0755), 0);
}

/* ---- Overlays -------------------------------------------------------------------------------- */

static void an_overlay_keeps_changes_to_itself(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_OVERLAY);
    write_at(vfs, "/work/a.txt", VFS_O_RDWR, "J");
    expect_contents(vfs, "/work/a.txt", "Jello");
    write_at(vfs, "/work/new", VFS_O_WRONLY | VFS_O_CREAT, "new");
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/made"), 0755), 0);
    write_at(vfs, "/work/made/x", VFS_O_WRONLY | VFS_O_CREAT, "x");
    write_at(vfs, "/work/dir/y", VFS_O_WRONLY | VFS_O_CREAT, "y");
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/link"), 0), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/dir/b.txt"), 0), 0);
    assert_int_equal(vfs_rename(vfs, CWD, s("/work/hard"), CWD, s("/work/soft")), 0);
    assert_int_equal(vfs_symlink(vfs, s("a.txt"), CWD, s("/work/own-link")), 0);
    assert_string_equal(listing(vfs, "/work"),
                        ".4 ..4 a.txt8 absolute10 absolute-out10 caf\xE9"
                        "8 dir4 link-dir10 loop10 magic10 out-dir10 out-file10 up10 new8 made4 "
                        "soft8 own-link10");
    assert_string_equal(listing(vfs, "/work/dir"), ".4 ..4 y8");
    expect_contents(vfs, "/work/soft", "secret");
    write_at(vfs, "/work/soft", VFS_O_WRONLY | VFS_O_TRUNC, "mine");
    expect_contents(vfs, "/work/own-link", "Jello");
    expect_error(vfs_rename(vfs, CWD, s("/work/dir"), CWD, s("/work/dir2")), GUEST_EXDEV);
    expect_error(vfs_rename(vfs, CWD, s("/work/a.txt"), CWD, s("/tmp/a")), GUEST_EXDEV);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/dir/y"), 0), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/work/dir"), VFS_AT_REMOVEDIR), 0);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/work/dir"), 0755), 0);
    assert_string_equal(listing(vfs, "/work/dir"), ".4 ..4");
    expect_host("in/a.txt", "hello");
    expect_host("in/dir/b.txt", "deep");
    expect_host("outside/secret", "secret");
    expect_no_host("in/new");
    expect_no_host("in/made");
}

static void an_overlay_keeps_to_the_quota(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_OVERLAY);
    static char large[20001];
    memset(large, 'x', sizeof large - 1);
    put("in/large", large);
    set_quota(vfs, 10000, 100, 32);
    expect_error(open_at(vfs, "/work/large", VFS_O_RDWR), GUEST_ENOSPC);
    assert_int_equal(vfs_limits_hit(vfs), VFS_LIMIT_BYTES);
    expect_contents(vfs, "/work/large", large);
    write_at(vfs, "/work/large", VFS_O_WRONLY | VFS_O_TRUNC, "small");
    expect_contents(vfs, "/work/large", "small");
}

/* A walk of the host's own, as for files that a run made, sees what is written and not the host. */
static int note_fresh(void *context, const struct vfs_walk_entry *entry)
{
    char *text = context;
    if (entry->fresh) {
        strncat(text, entry->path.base, 200);
        strcat(text, " ");
    }
    return 0;
}

static void walks_see_what_was_written(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_OVERLAY);
    char text[1024] = "";
    write_at(vfs, "/work/before", VFS_O_WRONLY | VFS_O_CREAT, "1");
    vfs_mark(vfs);
    write_at(vfs, "/work/dir/b.txt", VFS_O_WRONLY | VFS_O_APPEND, "1");
    write_at(vfs, "/work/after", VFS_O_WRONLY | VFS_O_CREAT, "1");
    assert_int_equal(vfs_walk(vfs, s("/work"), note_fresh, text), 0);
    assert_string_equal(text, "/work /work/after /work/dir/b.txt ");
}

/* ---- Many ------------------------------------------------------------------------------------ */

/* More directories than are remembered at the same time. */
static void directories_are_forgotten(void **state)
{
    struct vfs *vfs = grant(state, VFS_GRANT_READ);
    enum { COUNT = LIMIT_GRANTED_DIRS_MAX + 300 };
    char name[64];
    struct vfs_stat stat;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "in/dir/%05u", i);
        assert_int_equal(mkdir(host(name), 0755), 0);
    }
    assert_int_equal(vfs_chdir(vfs, s("/work/dir/00000")), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "/work/dir/%05u", i);
        assert_int_equal(vfs_stat(vfs, CWD, s(name), 0, &stat), 0);
    }
    assert_int_equal(vfs_stat(vfs, CWD, s("../00001/../../a.txt"), 0, &stat), 0);
}

static void grants_are_checked(void **state)
{
    struct vfs *vfs = vfs_of(state);
    struct err err;
    cleanup_fd int dir = open(host("in"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int file = open(host("in/a.txt"), O_PATH | O_CLOEXEC);
    assert_int_equal(vfs_grant(vfs, file, s("/a"), VFS_GRANT_READ, &err), -1);
    assert_int_equal(vfs_grant(vfs, dir, s("/tmp"), VFS_GRANT_READ, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(vfs_grant(vfs, dir, s("/dev/null/x"), VFS_GRANT_READ, &err), -1);
    assert_int_equal(vfs_grant(vfs, dir, s("/deep/down/here"), VFS_GRANT_READ, &err), 0);
    expect_contents(vfs, "/deep/down/here/a.txt", "hello");
    assert_int_equal(vfs_grant(vfs, dir, s("/deep/down/here"), VFS_GRANT_READ, &err), -1);
    assert_int_equal(vfs_grant(vfs, dir, s("/deep/other"), VFS_GRANT_WRITE, &err), 0);
    expect_error(vfs_rename(vfs, CWD, s("/deep/other/a.txt"), CWD, s("/deep/down/here/b")),
                 GUEST_EROFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GRANTED_TEST(read_what_is_there),
        GRANTED_TEST(nothing_is_changed_in_ro),
        GRANTED_TEST(no_way_leads_out_of_ro),
        GRANTED_TEST(no_way_leads_out_of_rw),
        GRANTED_TEST(no_way_leads_out_of_an_overlay),
        GRANTED_TEST(up_is_the_guest),
        GRANTED_TEST(long_paths_are_refused),
        GRANTED_TEST(a_swapped_directory_is_not_entered),
        GRANTED_TEST(what_is_open_stays_open),
        GRANTED_TEST(rw_writes_to_the_host),
        GRANTED_TEST(rw_makes_no_links),
        GRANTED_TEST(renames_stay_within),
        GRANTED_TEST(rw_keeps_to_the_quota),
        GRANTED_TEST(an_overlay_keeps_changes_to_itself),
        GRANTED_TEST(an_overlay_keeps_to_the_quota),
        GRANTED_TEST(walks_see_what_was_written),
        GRANTED_TEST(directories_are_forgotten),
        GRANTED_TEST(grants_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
