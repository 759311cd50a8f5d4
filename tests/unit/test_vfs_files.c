/* vfs: quotas, descriptors, devices and pipes. */
#include "vfs_fixture.h"

/* Quotas. */

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

/* Descriptors. */

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

static void calls_by_descriptor_agree_with_those_by_path(void **state)
{
    struct fixture *fixture = *state;
    struct vfs *vfs = fixture->vfs;
    int fd = open_new(vfs, "f");
    struct span none = {"", 0};
    assert_int_equal(vfs_chmod(vfs, fd, none, 0400, VFS_AT_EMPTY_PATH), 0);
    assert_int_equal(stat_of(vfs, "f").mode, VFS_S_IFREG | 0400U);
    assert_int_equal(vfs_access(vfs, fd, none, VFS_R_OK, VFS_AT_EMPTY_PATH), 0);
    assert_int_equal(vfs_access(vfs, fd, none, VFS_W_OK, VFS_AT_EMPTY_PATH), -GUEST_EACCES);
    assert_int_equal(vfs_access(vfs, 99, none, VFS_R_OK, VFS_AT_EMPTY_PATH), -GUEST_EBADF);
    const struct vfs_time now = {VFS_TIME_NOW, 0};
    uint64_t before = fixture->now;
    assert_int_equal(vfs_utimens(vfs, fd, none, now, now, VFS_AT_EMPTY_PATH), 0);
    assert_true(stat_of(vfs, "f").atime_ns > (int64_t)before);
    assert_int_equal(vfs_fchown(vfs, fd, VFS_UID, VFS_GID), 0);
    assert_int_equal(vfs_fchown(vfs, fd, 0, UINT32_MAX), -GUEST_EPERM);
    assert_int_equal(vfs_fchown(vfs, 99, VFS_UID, VFS_GID), -GUEST_EBADF);
    assert_int_equal(vfs_chown(vfs, fd, none, VFS_UID, VFS_GID, VFS_AT_EMPTY_PATH), 0);
    struct vfs_statfs by_fd;
    struct vfs_statfs by_path;
    assert_int_equal(vfs_fstatfs(vfs, fd, &by_fd), 0);
    assert_int_equal(vfs_statfs(vfs, CWD, s("f"), &by_path), 0);
    assert_int_equal(by_fd.files_free, LIMIT_FILE_COUNT_DEFAULT - 1);
    assert_int_equal(by_path.files_free, by_fd.files_free);
    assert_int_equal(vfs_fstatfs(vfs, 99, &by_fd), -GUEST_EBADF);
    assert_int_equal(vfs_fsync(vfs, fd), 0);
    assert_int_equal(vfs_fsync(vfs, 1), -GUEST_EINVAL);
    assert_int_equal(vfs_fsync(vfs, 99), -GUEST_EBADF);
    assert_int_equal(vfs_stat(vfs, CWD, s("f"), 0x8000, &(struct vfs_stat){0}), -GUEST_EINVAL);
    int path_only = open_file(vfs, "f", VFS_O_PATH);
    assert_int_equal(vfs_fchmod(vfs, path_only, 0600), -GUEST_EBADF);
    assert_int_equal(vfs_seek(vfs, path_only, 0, VFS_SEEK_CUR), -GUEST_EBADF);
    assert_int_equal(vfs_fcntl(vfs, path_only, VFS_F_SETFL, 0), -GUEST_EBADF);
}

static void odd_arguments_are_errors(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = open_new(vfs, "f");
    int fds[2];
    assert_int_equal(vfs_pipe(vfs, fds, 0), 0);
    assert_int_equal(vfs_pipe(vfs, fds, VFS_O_APPEND), -GUEST_EINVAL);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_DUPFD, 20), 20);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_DUPFD, -1), -GUEST_EINVAL);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_DUPFD, LIMIT_OPEN_FILES_MAX), -GUEST_EINVAL);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_SETFD, VFS_FD_CLOEXEC), 0);
    assert_int_equal(vfs_fcntl(vfs, fd, VFS_F_GETFD, 0), VFS_FD_CLOEXEC);
    assert_int_equal(vfs_fcntl(vfs, fd, 9999, 0), -GUEST_EINVAL);
    assert_int_equal(vfs_fallocate(vfs, fds[1], 0, 0, 10), -GUEST_ESPIPE);
    assert_int_equal(vfs_fallocate(vfs, 1, 0, 0, 10), -GUEST_ENODEV);
    assert_int_equal(vfs_fallocate(vfs, fd, 3, 0, 10), -GUEST_ENOTSUP);
    assert_int_equal(vfs_fallocate(vfs, fd, 0, INT64_MAX, INT64_MAX), -GUEST_EFBIG);
    assert_int_equal(vfs_fallocate(vfs, fd, 0, 0, 0), -GUEST_EINVAL);
    assert_int_equal(vfs_seek(vfs, fd, 0, 9), -GUEST_EINVAL);
    assert_int_equal(vfs_seek(vfs, fd, 10, VFS_SEEK_SET), 10);
    assert_int_equal(vfs_seek(vfs, fd, INT64_MAX, VFS_SEEK_CUR), -GUEST_EOVERFLOW);
    assert_int_equal(vfs_seek(vfs, fd, INT64_MIN, VFS_SEEK_CUR), -GUEST_EINVAL);
    assert_int_equal(vfs_fchdir(vfs, fd), -GUEST_ENOTDIR);
    assert_int_equal(vfs_fchdir(vfs, 99), -GUEST_EBADF);
    assert_int_equal(vfs_stat(vfs, fd, s("x"), 0, &(struct vfs_stat){0}), -GUEST_ENOTDIR);
    assert_int_equal(vfs_stat(vfs, 99, s("x"), 0, &(struct vfs_stat){0}), -GUEST_EBADF);
    assert_int_equal(open_file(vfs, "f", VFS_O_ACCMODE), -GUEST_EINVAL);
    struct vfs_dirent entry;
    assert_int_equal(vfs_readdir(vfs, fd, &entry), -GUEST_ENOTDIR);
    char byte;
    assert_int_equal(vfs_readlink(vfs, CWD, s("/lib64"), &byte, 0), -GUEST_EINVAL);
    assert_int_equal(vfs_unlink(vfs, CWD, s("f"), 0x100), -GUEST_EINVAL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        VFS_TEST(bytes_are_limited),
        VFS_TEST(an_exact_fit_is_no_limit),
        VFS_TEST(holes_cost_nothing),
        VFS_TEST(shrinking_forgets_what_was_there),
        VFS_TEST(names_are_limited),
        VFS_TEST(descriptors_are_limited),
        VFS_TEST(every_descriptor_can_be_a_pipe),
        VFS_TEST(dup_shares_the_place),
        VFS_TEST(calls_by_descriptor_agree_with_those_by_path),
        VFS_TEST(odd_arguments_are_errors),
        VFS_TEST(standard_streams_reach_the_owner),
        VFS_TEST(devices_do_what_their_names_say),
        VFS_TEST(pipes_carry_bytes),
        VFS_TEST(pipe_keeps_the_order_of_bytes),
        VFS_TEST(quotas_have_no_effect_on_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
