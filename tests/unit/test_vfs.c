/* vfs: what the random comparison with the host cannot see: quotas, devices, pipes, descriptors,
 * layers under open files, and what the host itself may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "guest/vfs/image.h"
#include "guest/vfs/image_format.h"
#include "guest/vfs/vfs.h"

enum { CWD = VFS_AT_FDCWD };

struct fixture {
    struct vfs *vfs;
    struct buf image;
    struct buf written[3]; /* what reached standard output (1) and error (2) */
    uint64_t now;
};

static struct span s(const char *text)
{
    return span_of(text);
}

static uint64_t tick(void *context)
{
    struct fixture *fixture = context;
    return fixture->now += 1000;
}

static int64_t random_read(void *context, char *bytes, size_t len)
{
    (void)context;
    memset(bytes, 'R', len);
    return (int64_t)len;
}

static int64_t stdin_read(void *context, char *bytes, size_t len)
{
    (void)context;
    size_t part = len < 5 ? len : 5;
    memcpy(bytes, "typed", part);
    return (int64_t)part;
}

static int64_t output_write(void *context, const char *bytes, size_t len)
{
    return buf_append(context, bytes, len) == 0 ? (int64_t)len : -GUEST_EIO;
}

static unsigned never_ready(void *context)
{
    (void)context;
    return 0;
}

static void make_image(struct buf *out)
{
    struct image_writer *writer = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    image_writer_add_file(writer, s("lib/os.py"), s("import abc\n"), 0644, NULL);
    image_writer_add_file(writer, s("lib/abc.py"), s("pass\n"), 0644, NULL);
    image_writer_add_file(writer, s("lib/json/__init__.py"), s(""), 0644, NULL);
    image_writer_add_file(writer, s("etc/locked"), s("x"), 0444, NULL);
    image_writer_add_symlink(writer, s("lib64"), s("/lib"), NULL);
    buf_init(out, MIB);
    assert_int_equal(image_writer_finish(writer, out, NULL), 0);
    image_writer_free(writer);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    make_image(&fixture->image);
    struct span images[] = {buf_span(&fixture->image)};
    struct vfs_config config = {
        .images = images,
        .image_count = 1,
        .quota = vfs_quota_default(),
        .now_ns = tick,
        .now_context = fixture,
        .random = {.read = random_read},
        .standard[0] = {.read = stdin_read, .poll = never_ready, .stream = true}};
    for (int i = 1; i <= 2; i++) {
        buf_init(&fixture->written[i], MIB);
        config.standard[i] = (struct vfs_device){
            .context = &fixture->written[i], .write = output_write, .stream = true};
    }
    assert_int_equal(vfs_new(&config, &fixture->vfs, NULL), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    vfs_free(fixture->vfs);
    buf_free(&fixture->image);
    buf_free(&fixture->written[1]);
    buf_free(&fixture->written[2]);
    free(fixture);
    return 0;
}

static struct vfs *vfs_of(void **state)
{
    return ((struct fixture *)*state)->vfs;
}

static void set_quota(struct vfs *vfs, uint64_t bytes, uint64_t count, uint32_t files)
{
    const struct vfs_quota quota = {bytes, count, files};
    vfs_set_quota(vfs, &quota);
}

static int open_file(struct vfs *vfs, const char *path, int flags)
{
    return vfs_open(vfs, CWD, s(path), flags, 0644);
}

static int open_new(struct vfs *vfs, const char *path)
{
    int fd = open_file(vfs, path, VFS_O_RDWR | VFS_O_CREAT);
    assert_true(fd >= 0);
    return fd;
}

static void expect_contents(struct vfs *vfs, const char *path, const char *expected)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    assert_int_equal(vfs_load(vfs, s(path), &bytes), 0);
    assert_true(span_equal(buf_span(&bytes), s(expected)));
}

static struct vfs_stat stat_of(struct vfs *vfs, const char *path)
{
    struct vfs_stat stat;
    assert_int_equal(vfs_stat(vfs, CWD, s(path), 0, &stat), 0);
    return stat;
}

/* ---- Layout ---- */

static void starts_at_home_with_a_layout(void **state)
{
    struct vfs *vfs = vfs_of(state);
    char cwd[64];
    assert_int_equal(vfs_getcwd(vfs, cwd, sizeof cwd), (int64_t)sizeof VFS_HOME);
    assert_string_equal(cwd, VFS_HOME);
    assert_int_equal(vfs_getcwd(vfs, cwd, sizeof VFS_HOME - 1), -GUEST_ERANGE);
    assert_int_equal(stat_of(vfs, "/tmp").mode, VFS_S_IFDIR | 01777U);
    assert_int_equal(stat_of(vfs, ".").uid, VFS_UID);
    assert_int_equal(stat_of(vfs, "/lib/os.py").uid, 0);
    assert_int_equal(stat_of(vfs, "/lib/os.py").mtime_ns,
                     (int64_t)IMAGE_MTIME_DEFAULT_S * 1000000000);
    assert_int_equal(stat_of(vfs, "/dev/null").mode, VFS_S_IFCHR | 0666U);
    assert_int_equal(stat_of(vfs, "/dev/null").rdev, 0x103);
    assert_int_equal(vfs_chdir(vfs, s("/")), 0);
    assert_int_equal(vfs_getcwd(vfs, cwd, sizeof cwd), 2);
    assert_string_equal(cwd, "/");
    assert_int_equal(open_file(vfs, "/dev/tty", VFS_O_RDWR), -GUEST_ENOENT);
}

static void layout_cannot_be_taken_apart(void **state)
{
    struct vfs *vfs = vfs_of(state);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/dev/null"), 0), -GUEST_EACCES);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/dev"), VFS_AT_REMOVEDIR), -GUEST_EBUSY);
    assert_int_equal(vfs_rename(vfs, CWD, s("/dev"), CWD, s("/x")), -GUEST_EBUSY);
    assert_int_equal(vfs_rename(vfs, CWD, s("/tmp"), CWD, s("/dev")), -GUEST_EBUSY);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/dev/null"), 0, 0), -GUEST_EPERM);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/dev"), 0, 0), -GUEST_EPERM);
    assert_int_equal(vfs_link(vfs, CWD, s("/dev/zero"), CWD, s("/tmp/z"), 0), -GUEST_EPERM);
    assert_int_equal(open_file(vfs, "/dev/x", VFS_O_CREAT | VFS_O_WRONLY), -GUEST_EACCES);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/"), VFS_AT_REMOVEDIR), -GUEST_EBUSY);
}

static void writing_to_an_image_needs_its_permission(void **state)
{
    struct vfs *vfs = vfs_of(state);
    assert_int_equal(open_file(vfs, "/etc/locked", VFS_O_WRONLY), -GUEST_EACCES);
    assert_int_equal(vfs_access(vfs, CWD, s("/etc/locked"), VFS_W_OK, 0), -GUEST_EACCES);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/etc/locked"), 0600, 0), 0);
    int fd = open_file(vfs, "/etc/locked", VFS_O_WRONLY | VFS_O_APPEND);
    assert_int_equal(vfs_write(vfs, fd, "y", 1), 1);
    expect_contents(vfs, "/etc/locked", "xy");
}

/* ---- Layers under open files ---- */

static void open_readers_see_what_is_written_later(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int reader = open_file(vfs, "/lib64/os.py", VFS_O_RDONLY);
    struct vfs_stat before = stat_of(vfs, "/lib/os.py");
    int writer = open_file(vfs, "/lib/os.py", VFS_O_WRONLY);
    assert_int_equal(vfs_write(vfs, writer, "IMPORT", 6), 6);
    char bytes[32];
    assert_int_equal(vfs_read(vfs, reader, bytes, sizeof bytes), 11);
    assert_memory_equal(bytes, "IMPORT abc\n", 11);
    assert_int_equal(stat_of(vfs, "/lib/os.py").ino, before.ino);
    struct vfs_stat stat;
    assert_int_equal(vfs_fstat(vfs, reader, &stat), 0);
    assert_int_equal(stat.ino, before.ino);
}

static void removed_files_stay_for_those_who_have_them(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = open_file(vfs, "/lib/os.py", VFS_O_RDONLY);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/os.py"), 0), 0);
    struct vfs_stat stat;
    assert_int_equal(vfs_stat(vfs, CWD, s("/lib/os.py"), 0, &stat), -GUEST_ENOENT);
    assert_int_equal(vfs_fstat(vfs, fd, &stat), 0);
    assert_int_equal(stat.nlink, 0);
    assert_int_equal(vfs_fchmod(vfs, fd, 0600), 0);
    char bytes[32];
    assert_int_equal(vfs_pread(vfs, fd, bytes, sizeof bytes, 7), 4);
    assert_memory_equal(bytes, "abc\n", 4);
    assert_int_equal(open_file(vfs, "/lib/os.py", VFS_O_RDONLY), -GUEST_ENOENT);
    int again = open_new(vfs, "/lib/os.py");
    assert_int_equal(vfs_read(vfs, again, bytes, sizeof bytes), 0);
    assert_int_equal(vfs_close(vfs, fd), 0);
}

static void changing_by_a_reading_descriptor_copies_up(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = open_file(vfs, "/lib/os.py", VFS_O_RDONLY);
    assert_int_equal(vfs_fchmod(vfs, fd, 0600), 0);
    assert_int_equal(stat_of(vfs, "/lib/os.py").mode, VFS_S_IFREG | 0600U);
    const struct vfs_time time = {VFS_TIME_SET, -5};
    const struct vfs_time omit = {VFS_TIME_OMIT, 0};
    assert_int_equal(vfs_futimens(vfs, fd, omit, time), 0);
    assert_int_equal(stat_of(vfs, "/lib/os.py").mtime_ns, -5);
    expect_contents(vfs, "/lib/os.py", "import abc\n");
}

static void removed_directory_made_again_is_empty(void **state)
{
    struct vfs *vfs = vfs_of(state);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/json"), VFS_AT_REMOVEDIR), -GUEST_ENOTEMPTY);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/json/__init__.py"), 0), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/json"), VFS_AT_REMOVEDIR), 0);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/lib/json"), 0755), 0);
    struct vfs_stat stat;
    assert_int_equal(vfs_stat(vfs, CWD, s("/lib/json/__init__.py"), 0, &stat), -GUEST_ENOENT);
    assert_int_equal(vfs_rename(vfs, CWD, s("/lib"), CWD, s("/tmp/moved")), 0);
    expect_contents(vfs, "/tmp/moved/os.py", "import abc\n");
    assert_int_equal(vfs_stat(vfs, CWD, s("/lib"), 0, &stat), -GUEST_ENOENT);
}

/* ---- Listing ---- */

static void listing_survives_changes(void **state)
{
    struct vfs *vfs = vfs_of(state);
    enum { COUNT = 500 };
    char path[300];
    assert_int_equal(vfs_mkdir(vfs, CWD, s("d"), 0755), 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "d/%d", i);
        vfs_close(vfs, open_new(vfs, path));
    }
    /* What rm -r does: remove each as it is listed; every one must be seen once. */
    int fd = open_file(vfs, "d", VFS_O_DIRECTORY);
    struct vfs_dirent entry;
    int seen = 0;
    while (vfs_readdir(vfs, fd, &entry) == 1) {
        if (entry.name[0] != '.') {
            snprintf(path, sizeof path, "d/%s", entry.name);
            assert_int_equal(vfs_unlink(vfs, CWD, s(path), 0), 0);
            seen++;
        }
    }
    assert_int_equal(seen, COUNT);
    assert_int_equal(vfs_unlink(vfs, CWD, s("d"), VFS_AT_REMOVEDIR), 0);
    assert_int_equal(vfs_readdir(vfs, fd, &entry), -GUEST_ENOENT);
}

static void listing_of_an_image_survives_copy_up(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = open_file(vfs, "/lib", VFS_O_DIRECTORY);
    struct vfs_dirent entry;
    char names[64] = "";
    while (vfs_readdir(vfs, fd, &entry) == 1) {
        strncat(names, entry.name, sizeof names - strlen(names) - 2);
        strncat(names, " ", 2);
        /* Changes those before and after the listing's place, and enters a directory. */
        assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/abc.py"), 0600, 0), 0);
        assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/os.py"), 0600, 0), 0);
        stat_of(vfs, "/lib/json/__init__.py");
    }
    assert_string_equal(names, ". .. abc.py json os.py ");
    assert_int_equal(vfs_seek(vfs, fd, 0, VFS_SEEK_SET), 0);
    assert_int_equal(vfs_readdir(vfs, fd, &entry), 1);
    assert_string_equal(entry.name, ".");
}

/* ---- Quotas ---- */

static void bytes_are_limited(void **state)
{
    struct vfs *vfs = vfs_of(state);
    set_quota(vfs, 200000, 100, 64);
    char *block = calloc(1, 300000);
    int fd = open_new(vfs, "big");
    assert_int_equal(vfs_write(vfs, fd, block, 300000), 200000);
    assert_int_equal(vfs_limits_hit(vfs), VFS_LIMIT_BYTES);
    assert_int_equal(vfs_write(vfs, fd, block, 1), -GUEST_ENOSPC);
    int other = open_new(vfs, "other");
    assert_int_equal(vfs_write(vfs, other, "x", 1), -GUEST_ENOSPC);
    assert_int_equal(vfs_symlink(vfs, s("target"), CWD, s("link")), -GUEST_ENOSPC);
    struct vfs_statfs stat;
    assert_int_equal(vfs_statfs(vfs, CWD, s("/"), &stat), 0);
    assert_int_equal(stat.blocks_free, 0);
    assert_int_equal(stat.blocks, 200000 / stat.block_bytes);

    /* Room comes back when a file shrinks or goes, and not before its last descriptor closes. */
    assert_int_equal(vfs_ftruncate(vfs, fd, 100000), 0);
    assert_int_equal(vfs_write(vfs, other, "x", 1), 1);
    assert_int_equal(vfs_unlink(vfs, CWD, s("big"), 0), 0);
    assert_int_equal(vfs_fallocate(vfs, other, 0, 0, 190000), -GUEST_ENOSPC);
    assert_int_equal(vfs_close(vfs, fd), 0);
    assert_int_equal(vfs_fallocate(vfs, other, 0, 0, 190000), 0);
    set_quota(vfs, 1000, 100, 64);
    assert_int_equal(vfs_limits_hit(vfs), 0);
    assert_int_equal(vfs_pwrite(vfs, other, "y", 1, 300000), -GUEST_ENOSPC);
    assert_int_equal(vfs_pwrite(vfs, other, "y", 1, 0), 1);
    free(block);
}

static void an_exact_fit_is_no_limit(void **state)
{
    struct vfs *vfs = vfs_of(state);
    set_quota(vfs, MIB, 100, 64);
    char *block = calloc(1, MIB);
    int fd = open_new(vfs, "fits");
    assert_int_equal(vfs_write(vfs, fd, block, MIB), (int64_t)MIB);
    assert_int_equal(vfs_limits_hit(vfs), 0);
    free(block);
}

static void holes_cost_nothing(void **state)
{
    struct vfs *vfs = vfs_of(state);
    set_quota(vfs, 100000, 100, 64);
    int fd = open_new(vfs, "sparse");
    assert_int_equal(vfs_ftruncate(vfs, fd, (int64_t)LIMIT_FILE_SIZE_BYTES_MAX), 0);
    assert_int_equal(vfs_ftruncate(vfs, fd, (int64_t)LIMIT_FILE_SIZE_BYTES_MAX + 1), -GUEST_EFBIG);
    assert_int_equal(vfs_pwrite(vfs, fd, "end", 3, (int64_t)LIMIT_FILE_SIZE_BYTES_MAX - 2), 2);
    assert_int_equal(vfs_pwrite(vfs, fd, "e", 1, (int64_t)LIMIT_FILE_SIZE_BYTES_MAX), -GUEST_EFBIG);
    char bytes[8] = "xxxxxxx";
    assert_int_equal(vfs_pread(vfs, fd, bytes, 8, (int64_t)LIMIT_FILE_SIZE_BYTES_MAX - 5), 5);
    assert_memory_equal(bytes, "\0\0\0en", 5);
    assert_true(stat_of(vfs, "sparse").blocks <= 65536 / 512);
    assert_int_equal(vfs_limits_hit(vfs), 0);
}

static void shrinking_forgets_what_was_there(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = open_new(vfs, "f");
    char bytes[200];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(vfs_write(vfs, fd, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(vfs_ftruncate(vfs, fd, 10), 0);
    assert_int_equal(vfs_ftruncate(vfs, fd, 200), 0);
    assert_int_equal(vfs_pread(vfs, fd, bytes, sizeof bytes, 0), sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(bytes[i], i < 10 ? 'x' : 0);
    }
}

static void names_are_limited(void **state)
{
    struct vfs *vfs = vfs_of(state);
    set_quota(vfs, MIB, 3, 64);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("a"), 0755), 0);
    vfs_close(vfs, open_new(vfs, "b"));
    assert_int_equal(vfs_link(vfs, CWD, s("b"), CWD, s("c"), 0), 0);
    assert_int_equal(open_file(vfs, "d", VFS_O_CREAT | VFS_O_WRONLY), -GUEST_ENOSPC);
    assert_int_equal(vfs_limits_hit(vfs), VFS_LIMIT_COUNT);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/os.py"), 0600, 0), -GUEST_ENOSPC);
    /* Moving needs no more names; replacing gives one back. */
    assert_int_equal(vfs_rename(vfs, CWD, s("b"), CWD, s("a/b")), 0);
    vfs_close(vfs, open_new(vfs, "c"));
    assert_int_equal(vfs_unlink(vfs, CWD, s("c"), 0), 0);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/os.py"), 0600, 0), 0);
    assert_int_equal(vfs_rename(vfs, CWD, s("a/b"), CWD, s("/lib/os.py")), 0);
    vfs_close(vfs, open_new(vfs, "d"));
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/abc.py"), 0), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/os.py"), 0), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("a"), VFS_AT_REMOVEDIR), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("d"), 0), 0);
    for (int i = 0; i < 3; i++) {
        const char *const names[] = {"x", "y", "z"};
        assert_int_equal(vfs_mkdir(vfs, CWD, s(names[i]), 0755), 0);
    }
    assert_int_equal(vfs_mkdir(vfs, CWD, s("w"), 0755), -GUEST_ENOSPC);
}

static void descriptors_are_limited(void **state)
{
    struct vfs *vfs = vfs_of(state);
    set_quota(vfs, MIB, 100, 6);
    for (int fd = 3; fd < 6; fd++) {
        assert_int_equal(open_file(vfs, "/dev/null", VFS_O_RDONLY), fd);
    }
    assert_int_equal(vfs_limits_hit(vfs), 0);
    assert_int_equal(open_file(vfs, "new", VFS_O_CREAT | VFS_O_WRONLY), -GUEST_EMFILE);
    struct vfs_stat stat;
    assert_int_equal(vfs_stat(vfs, CWD, s("new"), 0, &stat), -GUEST_ENOENT);
    assert_int_equal(vfs_dup(vfs, 0), -GUEST_EMFILE);
    assert_int_equal(vfs_limits_hit(vfs), VFS_LIMIT_OPEN_FILES);
    assert_int_equal(vfs_close(vfs, 4), 0);
    int fds[2];
    assert_int_equal(vfs_pipe(vfs, fds, 0), -GUEST_EMFILE);
    assert_int_equal(vfs_dup(vfs, 0), 4);
    assert_int_equal(vfs_dup3(vfs, 0, 6, 0), -GUEST_EBADF);
}

static void every_descriptor_can_be_a_pipe(void **state)
{
    struct vfs *vfs = vfs_of(state);
    /* Only ends for reading are kept, so that there are as many pipes as descriptors. */
    int fds[2];
    int count = 0;
    while (vfs_pipe(vfs, fds, 0) == 0) {
        assert_int_equal(vfs_close(vfs, fds[1]), 0);
        count++;
    }
    assert_int_equal(count, (int)LIMIT_OPEN_FILES_MAX - 4);
}

/* ---- Descriptors ---- */

static void dup_shares_the_place(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = open_new(vfs, "f");
    assert_int_equal(fd, 3);
    int copy = vfs_dup(vfs, fd);
    assert_int_equal(vfs_write(vfs, fd, "abc", 3), 3);
    assert_int_equal(vfs_seek(vfs, copy, 0, VFS_SEEK_CUR), 3);
    assert_int_equal(vfs_fcntl(vfs, copy, VFS_F_SETFL, VFS_O_APPEND | VFS_O_CREAT), 0);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_GETFL, 0), VFS_O_RDWR | VFS_O_APPEND);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_DUPFD_CLOEXEC, 10), 10);
    assert_int_equal(vfs_fcntl(vfs, 10, VFS_F_GETFD, 0), VFS_FD_CLOEXEC);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_GETFD, 0), 0);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_SETLK, 0), 0);
    assert_int_equal(vfs_fcntl(vfs, 99, VFS_F_GETLK, 0), -GUEST_EBADF);
    assert_int_equal(vfs_dup3(vfs, fd, 1, 0), 1);
    assert_int_equal(vfs_write(vfs, 1, "d", 1), 1);
    expect_contents(vfs, "f", "abcd");
    assert_int_equal(vfs_dup3(vfs, fd, fd, 0), -GUEST_EINVAL);
    assert_int_equal(vfs_fd_check(vfs, fd), 0);
    assert_int_equal(vfs_fd_check(vfs, -1), -GUEST_EBADF);
    assert_int_equal(vfs_fd_check(vfs, INT32_MAX), -GUEST_EBADF);
}

static void standard_streams_reach_the_owner(void **state)
{
    struct fixture *fixture = *state;
    struct vfs *vfs = fixture->vfs;
    char bytes[8];
    assert_int_equal(vfs_read(vfs, 0, bytes, sizeof bytes), 5);
    assert_int_equal(vfs_write(vfs, 0, "x", 1), -GUEST_EBADF);
    assert_int_equal(vfs_read(vfs, 1, bytes, 1), -GUEST_EBADF);
    assert_int_equal(vfs_write(vfs, 1, "out", 3), 3);
    assert_int_equal(vfs_write(vfs, 2, "err", 3), 3);
    int again = open_file(vfs, "/dev/stdout", VFS_O_WRONLY | VFS_O_TRUNC);
    assert_int_equal(vfs_write(vfs, again, "!", 1), 1);
    assert_true(span_equal(buf_span(&fixture->written[1]), s("out!")));
    assert_true(span_equal(buf_span(&fixture->written[2]), s("err")));
    assert_int_equal(vfs_seek(vfs, 1, 0, VFS_SEEK_CUR), -GUEST_ESPIPE);
    assert_int_equal(vfs_pread(vfs, 0, bytes, 1, 0), -GUEST_ESPIPE);
    assert_int_equal(vfs_poll(vfs, 0), 0);
    assert_int_equal(vfs_poll(vfs, 1), VFS_POLLIN | VFS_POLLOUT);
    assert_int_equal(vfs_poll(vfs, 77), VFS_POLLNVAL);
}

static void devices_do_what_their_names_say(void **state)
{
    struct vfs *vfs = vfs_of(state);
    char bytes[4] = "abc";
    int null = open_file(vfs, "/dev/null", VFS_O_RDWR | VFS_O_CREAT | VFS_O_TRUNC);
    assert_int_equal(vfs_write(vfs, null, "xyz", 3), 3);
    assert_int_equal(vfs_read(vfs, null, bytes, 4), 0);
    assert_int_equal(vfs_seek(vfs, null, 5, VFS_SEEK_SET), 0);
    assert_int_equal(vfs_ftruncate(vfs, null, 0), -GUEST_EINVAL);
    int zero = open_file(vfs, "/dev/zero", VFS_O_RDWR);
    assert_int_equal(vfs_read(vfs, zero, bytes, 3), 3);
    assert_memory_equal(bytes, "\0\0\0", 3);
    int full = open_file(vfs, "/dev/full", VFS_O_WRONLY);
    assert_int_equal(vfs_write(vfs, full, "x", 1), -GUEST_ENOSPC);
    assert_int_equal(vfs_limits_hit(vfs), 0);
    int random = open_file(vfs, "/dev/urandom", VFS_O_RDONLY);
    assert_int_equal(vfs_read(vfs, random, bytes, 2), 2);
    assert_memory_equal(bytes, "RR", 2);
}

static void pipes_carry_bytes(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fds[2];
    char *block = malloc(LIMIT_PIPE_BYTES);
    assert_int_equal(vfs_pipe(vfs, fds, VFS_O_CLOEXEC), 0);
    assert_int_equal(vfs_read(vfs, fds[0], block, 1), -GUEST_EAGAIN);
    assert_int_equal(vfs_poll(vfs, fds[0]), 0);
    assert_int_equal(vfs_poll(vfs, fds[1]), VFS_POLLOUT);
    for (size_t i = 0; i < LIMIT_PIPE_BYTES; i++) {
        block[i] = (char)(i * 7);
    }
    /* Twice around the ring, never at its start. */
    assert_int_equal(vfs_write(vfs, fds[1], block, 60000), 60000);
    assert_int_equal(vfs_read(vfs, fds[0], block + 1, 59999), 59999);
    assert_int_equal(vfs_write(vfs, fds[1], block, LIMIT_PIPE_BYTES), LIMIT_PIPE_BYTES - 1);
    assert_int_equal(vfs_write(vfs, fds[1], block, 1), -GUEST_EAGAIN);
    assert_int_equal(vfs_poll(vfs, fds[1]), 0);
    assert_int_equal(vfs_read(vfs, fds[0], block, 100), 100);
    assert_int_equal(vfs_write(vfs, fds[1], block, 4096), -GUEST_EAGAIN);
    assert_int_equal(vfs_poll(vfs, fds[0]), VFS_POLLIN);
    struct vfs_stat stat;
    assert_int_equal(vfs_fstat(vfs, fds[0], &stat), 0);
    assert_int_equal(stat.mode & VFS_S_IFMT, VFS_S_IFIFO);
    assert_int_equal(vfs_seek(vfs, fds[0], 0, VFS_SEEK_SET), -GUEST_ESPIPE);
    assert_int_equal(vfs_close(vfs, fds[1]), 0);
    assert_int_equal(vfs_read(vfs, fds[0], block, LIMIT_PIPE_BYTES), LIMIT_PIPE_BYTES - 100);
    assert_int_equal(vfs_read(vfs, fds[0], block, 1), 0);
    assert_int_equal(vfs_poll(vfs, fds[0]), VFS_POLLHUP);
    assert_int_equal(vfs_close(vfs, fds[0]), 0);
    assert_int_equal(vfs_pipe(vfs, fds, 0), 0);
    assert_int_equal(vfs_close(vfs, fds[0]), 0);
    assert_int_equal(vfs_write(vfs, fds[1], block, 1), -GUEST_EPIPE);
    free(block);
}

static void pipe_keeps_the_order_of_bytes(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fds[2];
    assert_int_equal(vfs_pipe(vfs, fds, 0), 0);
    unsigned char in = 0;
    unsigned char out = 0;
    unsigned char part[5000];
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof part; i++) {
            part[i] = in++;
        }
        assert_int_equal(vfs_write(vfs, fds[1], part, sizeof part), sizeof part);
        if (round == 0) {
            continue;
        }
        assert_int_equal(vfs_read(vfs, fds[0], part, sizeof part), sizeof part);
        for (size_t i = 0; i < sizeof part; i++) {
            assert_int_equal(part[i], out++);
        }
    }
}

/* ---- Paths ---- */

static void long_and_looping_paths_end(void **state)
{
    struct vfs *vfs = vfs_of(state);
    char path[LIMIT_PATH_BYTES_MAX + 1];
    memset(path, '/', sizeof path);
    struct vfs_stat stat;
    assert_int_equal(vfs_stat(vfs, CWD, (struct span){path, LIMIT_PATH_BYTES_MAX}, 0, &stat),
                     -GUEST_ENAMETOOLONG);
    assert_int_equal(vfs_stat(vfs, CWD, (struct span){path, LIMIT_PATH_BYTES_MAX - 1}, 0, &stat),
                     0);
    assert_int_equal(vfs_stat(vfs, CWD, (struct span){"a\0b", 3}, 0, &stat), -GUEST_EINVAL);
    assert_int_equal(vfs_symlink(vfs, s("b"), CWD, s("a")), 0);
    assert_int_equal(vfs_symlink(vfs, s("a"), CWD, s("b")), 0);
    assert_int_equal(vfs_stat(vfs, CWD, s("a"), 0, &stat), -GUEST_ELOOP);
    for (int i = 0; i <= (int)LIMIT_SYMLINKS_MAX; i++) {
        char name[8];
        char target[8];
        snprintf(name, sizeof name, "l%d", i);
        snprintf(target, sizeof target, "l%d", i - 1);
        assert_int_equal(vfs_symlink(vfs, s(i == 0 ? "/tmp" : target), CWD, s(name)), 0);
    }
    assert_int_equal(vfs_stat(vfs, CWD, s("l39"), 0, &stat), 0);
    assert_int_equal(vfs_stat(vfs, CWD, s("l40"), 0, &stat), -GUEST_ELOOP);
    memset(path, 'x', sizeof path);
    assert_int_equal(vfs_symlink(vfs, (struct span){path, LIMIT_PATH_BYTES_MAX}, CWD, s("x")),
                     -GUEST_ENAMETOOLONG);
}

static void depth_is_bounded_by_the_quota_alone(void **state)
{
    struct vfs *vfs = vfs_of(state);
    enum { DEPTH = 15000 };
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(vfs_mkdir(vfs, CWD, s("d"), 0755), 0);
        assert_int_equal(vfs_chdir(vfs, s("d")), 0);
    }
    char cwd[LIMIT_PATH_BYTES_MAX];
    assert_int_equal(vfs_getcwd(vfs, cwd, sizeof cwd), -GUEST_ENAMETOOLONG);
    assert_int_equal(vfs_rename(vfs, CWD, s(VFS_HOME "/d"), CWD, s("x")), -GUEST_EINVAL);
    /* Taken down from inside; the inner ones live on as long as the working directory does. */
    int deep = open_file(vfs, ".", VFS_O_DIRECTORY);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(vfs_chdir(vfs, s("..")), 0);
        assert_int_equal(vfs_unlink(vfs, CWD, s("d"), VFS_AT_REMOVEDIR), 0);
    }
    assert_int_equal(vfs_fchdir(vfs, deep), 0);
    assert_int_equal(vfs_getcwd(vfs, cwd, sizeof cwd), -GUEST_ENOENT);
    assert_int_equal(vfs_mkdir(vfs, CWD, s("d"), 0755), -GUEST_ENOENT);
    assert_int_equal(vfs_chdir(vfs, s("/")), 0);
    assert_int_equal(vfs_close(vfs, deep), 0);
}

static void ids_and_masks(void **state)
{
    struct vfs *vfs = vfs_of(state);
    assert_int_equal(vfs_umask(vfs, 077), 022);
    vfs_close(vfs, vfs_open(vfs, CWD, s("f"), VFS_O_CREAT | VFS_O_WRONLY, 0666));
    assert_int_equal(stat_of(vfs, "f").mode, VFS_S_IFREG | 0600U);
    assert_int_equal(vfs_chown(vfs, CWD, s("f"), VFS_UID, UINT32_MAX, 0), 0);
    assert_int_equal(vfs_chown(vfs, CWD, s("f"), 0, 0, 0), -GUEST_EPERM);
    assert_int_equal(vfs_chown(vfs, CWD, s("g"), VFS_UID, VFS_GID, 0), -GUEST_ENOENT);
    assert_int_equal(vfs_mknod(vfs, CWD, s("n"), VFS_S_IFCHR | 0600U), -GUEST_EPERM);
    assert_int_equal(vfs_mknod(vfs, CWD, s("n"), VFS_S_IFIFO | 0600U), -GUEST_EPERM);
}

/* ---- The host's own use ---- */

static int collect(void *context, const struct vfs_walk_entry *entry)
{
    struct buf *out = context;
    buf_append(out, entry->path.base, entry->path.len);
    return buf_append_text(out, entry->written ? "* " : " ");
}

static void walk_shows_what_was_written(void **state)
{
    struct vfs *vfs = vfs_of(state);
    assert_int_equal(vfs_store(vfs, s("/lib/pkg/a.pyc"), s("code"), 0644), 0);
    assert_int_equal(vfs_store(vfs, s("/lib/os.py"), s("new"), 0644), 0);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/pkg"), 0, 0), 0);
    cleanup_buf struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(vfs_walk(vfs, s("/lib/"), collect, &out), 0);
    /* "pkg" is listed though the guest itself could not look into it any more. */
    assert_true(span_equal(buf_span(&out), s("/lib* /lib/abc.py /lib/json /lib/json/__init__.py "
                                             "/lib/os.py* /lib/pkg* /lib/pkg/a.pyc* ")));
    expect_contents(vfs, "/lib/pkg/a.pyc", "code");
    expect_contents(vfs, "/lib/os.py", "new");
    struct vfs_stat stat;
    assert_int_equal(vfs_stat(vfs, CWD, s("/lib/pkg/a.pyc"), 0, &stat), -GUEST_EACCES);
    buf_clear(&out);
    assert_int_equal(vfs_walk(vfs, s("/"), collect, &out), 0);
    assert_non_null(memmem(out.base, out.len, "/tmp /", 5));
    assert_int_equal(vfs_walk(vfs, s("/nowhere"), collect, &out), -GUEST_ENOENT);
}

static void loading_has_a_maximum(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = open_new(vfs, "/tmp/huge");
    assert_int_equal(vfs_ftruncate(vfs, fd, (int64_t)GIB), 0);
    cleanup_buf struct buf out;
    buf_init(&out, MIB);
    assert_int_equal(vfs_load(vfs, s("/tmp/huge"), &out), -GUEST_ENOMEM);
    assert_int_equal(vfs_load(vfs, s("/tmp"), &out), -GUEST_EISDIR);
    assert_int_equal(vfs_load(vfs, s("/dev/null"), &out), -GUEST_EINVAL);
}

/* ---- Images that are not what they should be ---- */

static int try_images(const struct span *images, size_t count)
{
    struct fixture fixture = {.vfs = NULL};
    struct vfs_config config = {.images = images,
                                .image_count = count,
                                .quota = vfs_quota_default(),
                                .now_ns = tick,
                                .now_context = &fixture};
    struct err err;
    int status = vfs_new(&config, &fixture.vfs, &err);
    if (status == 0) {
        vfs_free(fixture.vfs);
    }
    return status;
}

static void bad_images_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct span images[LIMIT_IMAGE_COUNT_MAX + 1];
    for (size_t i = 0; i <= LIMIT_IMAGE_COUNT_MAX; i++) {
        images[i] = buf_span(&fixture->image);
    }
    assert_int_equal(try_images(images, LIMIT_IMAGE_COUNT_MAX), 0);
    assert_int_equal(try_images(images, LIMIT_IMAGE_COUNT_MAX + 1), -1);
    assert_int_equal(try_images(NULL, 0), 0);
    images[1] = s("this is no image at all");
    assert_int_equal(try_images(images, 2), -1);

    struct image_writer *writer = image_writer_new(0);
    image_writer_add_file(writer, s("tmp"), s("a file where a directory must be"), 0644, NULL);
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    assert_int_equal(image_writer_finish(writer, &bytes, NULL), 0);
    image_writer_free(writer);
    images[0] = buf_span(&bytes);
    assert_int_equal(try_images(images, 1), -1);
}

/* A chain of directories in which each has its two children in common with the other of its level:
 * 2^60 paths from 120 entries. Nothing may grow with the paths that exist, only with those asked
 * for, and that up to the number of entries. */
static void shared_children_cannot_exhaust_memory(void **state)
{
    (void)state;
    enum { LEVELS = 60 };
    struct image_writer *writer = image_writer_new(0);
    char path[LEVELS * 2 + 2] = "";
    for (size_t i = 0; i < LEVELS; i++) {
        memcpy(path + 2 * i, "/b", 3);
        assert_int_equal(image_writer_add_dir(writer, s(path), 0755, NULL), 0);
        path[2 * i + 1] = 'a';
        assert_int_equal(image_writer_add_dir(writer, s(path), 0755, NULL), 0);
    }
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    assert_int_equal(image_writer_finish(writer, &bytes, NULL), 0);
    image_writer_free(writer);
    for (size_t entry = 2; entry < LEVELS * 2; entry += 2) {
        char *at = bytes.base + IMAGE_HEADER_BYTES + entry * IMAGE_ENTRY_BYTES;
        memcpy(at + IMAGE_ENTRY_CHILD, at - IMAGE_ENTRY_BYTES + IMAGE_ENTRY_CHILD, 8);
    }
    struct fixture fixture = {.vfs = NULL};
    struct span images[] = {buf_span(&bytes)};
    struct vfs_config config = {.images = images,
                                .image_count = 1,
                                .quota = vfs_quota_default(),
                                .now_ns = tick,
                                .now_context = &fixture};
    assert_int_equal(vfs_new(&config, &fixture.vfs, NULL), 0);
    int status = 0;
    struct vfs_stat stat;
    for (unsigned i = 0; i < 200 && status == 0; i++) {
        for (size_t bit = 0; bit < 8; bit++) {
            path[2 * bit + 1] = (i >> bit & 1) != 0 ? 'b' : 'a';
        }
        status = vfs_stat(fixture.vfs, CWD, s(path), 0, &stat);
    }
    assert_int_equal(status, -GUEST_ENOMEM);
    vfs_free(fixture.vfs);
}

static void quotas_have_no_effect_on_reading(void **state)
{
    struct vfs *vfs = vfs_of(state);
    set_quota(vfs, 0, 0, 8);
    int fd = open_file(vfs, "/lib/json/__init__.py", VFS_O_RDONLY);
    assert_true(fd >= 0);
    expect_contents(vfs, "/lib/os.py", "import abc\n");
    /* Hiding a file of an image makes nothing that counts. */
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/os.py"), 0), 0);
    assert_int_equal(vfs_limits_hit(vfs), 0);
    assert_int_equal(open_file(vfs, "/lib/abc.py", VFS_O_WRONLY), -GUEST_ENOSPC);
}

#define VFS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VFS_TEST(starts_at_home_with_a_layout),
        VFS_TEST(layout_cannot_be_taken_apart),
        VFS_TEST(writing_to_an_image_needs_its_permission),
        VFS_TEST(open_readers_see_what_is_written_later),
        VFS_TEST(removed_files_stay_for_those_who_have_them),
        VFS_TEST(changing_by_a_reading_descriptor_copies_up),
        VFS_TEST(removed_directory_made_again_is_empty),
        VFS_TEST(listing_survives_changes),
        VFS_TEST(listing_of_an_image_survives_copy_up),
        VFS_TEST(bytes_are_limited),
        VFS_TEST(an_exact_fit_is_no_limit),
        VFS_TEST(holes_cost_nothing),
        VFS_TEST(shrinking_forgets_what_was_there),
        VFS_TEST(names_are_limited),
        VFS_TEST(descriptors_are_limited),
        VFS_TEST(every_descriptor_can_be_a_pipe),
        VFS_TEST(dup_shares_the_place),
        VFS_TEST(standard_streams_reach_the_owner),
        VFS_TEST(devices_do_what_their_names_say),
        VFS_TEST(pipes_carry_bytes),
        VFS_TEST(pipe_keeps_the_order_of_bytes),
        VFS_TEST(long_and_looping_paths_end),
        VFS_TEST(depth_is_bounded_by_the_quota_alone),
        VFS_TEST(ids_and_masks),
        VFS_TEST(walk_shows_what_was_written),
        VFS_TEST(loading_has_a_maximum),
        VFS_TEST(bad_images_are_refused),
        VFS_TEST(shared_children_cannot_exhaust_memory),
        VFS_TEST(quotas_have_no_effect_on_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
