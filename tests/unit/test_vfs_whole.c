/* vfs_save_whole and vfs_load_whole: what test_vfs_random does not get at, and states that lie.
 * That a state makes no difference to whoever uses the files, test_vfs_random finds out. */
#include "vfs_fixture.h"

#include "vfs_whole.h"

enum { OPENED = 5 };

/* Something of each kind. */
static void fill(struct vfs *vfs, int fds[OPENED])
{
    int ends[2];
    assert_int_equal(vfs_store(vfs, s("/tmp/dir/file"), s("contents"), 0640), 0);
    assert_int_equal(vfs_link(vfs, CWD, s("/tmp/dir/file"), CWD, s("/tmp/again"), 0), 0);
    assert_int_equal(vfs_symlink(vfs, s("dir/file"), CWD, s("/tmp/link")), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/abc.py"), 0), 0);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/os.py"), 0600, 0), 0);
    assert_int_equal(vfs_rename(vfs, CWD, s("/lib/json"), CWD, s("/tmp/json")), 0);
    fds[0] = open_file(vfs, "/tmp/again", VFS_O_RDWR);
    assert_int_equal(vfs_seek(vfs, fds[0], 3, VFS_SEEK_SET), 3);
    fds[1] = open_file(vfs, "/etc/locked", VFS_O_RDONLY);
    fds[2] = open_new(vfs, "/tmp/gone");
    assert_int_equal(vfs_write(vfs, fds[2], "nameless", 8), 8);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/tmp/gone"), 0), 0);
    assert_int_equal(vfs_pipe(vfs, ends, VFS_O_CLOEXEC), 0);
    assert_int_equal(vfs_write(vfs, ends[1], "piped", 5), 5);
    fds[3] = ends[0];
    fds[4] = ends[1];
    assert_int_equal(vfs_mkdir(vfs, CWD, s("/tmp/here"), 0700), 0);
    assert_int_equal(vfs_chdir(vfs, s("/tmp/here")), 0);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/tmp/here"), VFS_AT_REMOVEDIR), 0);
}

static void save(const struct vfs *vfs, struct vfs_whole *out)
{
    struct err err;
    if (whole_save(vfs, out, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

/* Into a file system of its own. */
static int load(const struct vfs_whole *whole, void **state, struct err *err)
{
    assert_int_equal(set_up(state), 0);
    return whole_load(vfs_of(state), buf_span(&whole->record.bytes), buf_span(&whole->contents),
                      err);
}

static void all_of_it_comes_back(void **state)
{
    struct vfs_whole whole;
    struct err err;
    void *other;
    int fds[OPENED];
    char bytes[64];
    fill(vfs_of(state), fds);
    const struct vfs_stat before = stat_of(vfs_of(state), "/tmp/again");
    save(vfs_of(state), &whole);
    assert_int_equal(load(&whole, &other, &err), 0);
    struct vfs *vfs = vfs_of(&other);
    const struct vfs_stat after = stat_of(vfs, "/tmp/dir/file");
    assert_int_equal(after.ino, before.ino);
    assert_int_equal(after.nlink, 2);
    assert_int_equal(after.mtime_ns, before.mtime_ns);
    assert_int_equal(vfs_read(vfs, fds[0], bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "tents", 5);
    assert_int_equal(vfs_read(vfs, fds[1], bytes, sizeof bytes), 1);
    assert_int_equal(vfs_pread(vfs, fds[2], bytes, sizeof bytes, 0), 8);
    assert_int_equal(vfs_read(vfs, fds[3], bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "piped", 5);
    assert_int_equal(vfs_fcntl(vfs, fds[4], VFS_F_GETFD, 0), VFS_FD_CLOEXEC);
    assert_int_equal(vfs_access(vfs, CWD, s("/lib/abc.py"), 0, 0), -GUEST_ENOENT);
    assert_int_equal(stat_of(vfs, "/lib/os.py").mode & 0777U, 0600);
    expect_contents(vfs, "/lib/os.py", "import abc\n");
    expect_contents(vfs, "/tmp/json/__init__.py", "");
    assert_int_equal(vfs_access(vfs, CWD, s("/lib/json"), 0, 0), -GUEST_ENOENT);
    assert_int_equal(vfs_getcwd(vfs, bytes, sizeof bytes), -GUEST_ENOENT);
    assert_int_equal(vfs_write(vfs, 1, "said", 4), 4);
    tear_down(&other);
    whole_free(&whole);
}

/* The same bytes are saved of what was loaded, quotas included. */
static void what_was_loaded_is_saved_the_same(void **state)
{
    struct vfs_whole whole;
    struct vfs_whole again;
    struct err err;
    void *other;
    int fds[OPENED];
    fill(vfs_of(state), fds);
    struct vfs_statfs before;
    struct vfs_statfs after;
    assert_int_equal(vfs_statfs(vfs_of(state), CWD, s("/"), &before), 0);
    save(vfs_of(state), &whole);
    assert_int_equal(load(&whole, &other, &err), 0);
    assert_int_equal(vfs_statfs(vfs_of(&other), CWD, s("/"), &after), 0);
    assert_int_equal(after.blocks_free, before.blocks_free);
    assert_int_equal(after.files_free, before.files_free);
    save(vfs_of(&other), &again);
    assert_int_equal(again.record.bytes.len, whole.record.bytes.len);
    assert_memory_equal(again.record.bytes.base, whole.record.bytes.base, whole.record.bytes.len);
    assert_true(span_equal(buf_span(&again.contents), buf_span(&whole.contents)));
    tear_down(&other);
    whole_free(&whole);
    whole_free(&again);
}

/* Walks over everything, and closes and removes it, so that what does not hang together shows. */
static int visit(void *context, const struct vfs_walk_entry *entry)
{
    unsigned *count = context;
    (void)entry;
    return ++*count > 1000 ? 1 : 0;
}

static void use(struct vfs *vfs)
{
    unsigned count = 0;
    char bytes[64];
    int ends[2];
    (void)vfs_walk(vfs, s("/"), visit, &count);
    (void)vfs_getcwd(vfs, bytes, sizeof bytes);
    (void)vfs_store(vfs, s("/tmp/new/file"), s("new"), 0600);
    if (vfs_pipe(vfs, ends, 0) == 0) {
        (void)vfs_write(vfs, ends[1], "x", 1);
    }
    for (int fd = 0; fd < (int)LIMIT_OPEN_FILES_MAX; fd++) {
        struct vfs_dirent entry;
        (void)vfs_seek(vfs, fd, 1, VFS_SEEK_CUR);
        (void)vfs_write(vfs, fd, "written", 7);
        (void)vfs_ftruncate(vfs, fd, 2);
        (void)vfs_read(vfs, fd, bytes, sizeof bytes);
        for (unsigned i = 0; i < 100 && vfs_readdir(vfs, fd, &entry) > 0; i++) {
        }
        (void)vfs_fchmod(vfs, fd, 0600);
        (void)vfs_close(vfs, fd);
    }
    (void)vfs_rename(vfs, CWD, s("/tmp/dir"), CWD, s("/tmp/json/dir"));
    (void)vfs_unlink(vfs, CWD, s("/tmp/json/dir/file"), 0);
    (void)vfs_unlink(vfs, CWD, s("/tmp/again"), 0);
    (void)vfs_unlink(vfs, CWD, s("/tmp/json/dir"), VFS_AT_REMOVEDIR);
    (void)vfs_unlink(vfs, CWD, s("/lib64"), 0);
    (void)vfs_chdir(vfs, s("/"));
}

/* Every byte of a record is made another one, and every end is tried. */
static void states_that_lie_are_survived(void **state)
{
    struct vfs_whole whole;
    struct err err;
    void *other;
    int fds[OPENED];
    fill(vfs_of(state), fds);
    save(vfs_of(state), &whole);
    struct buf *record = &whole.record.bytes;
    for (size_t i = 0; i < record->len; i++) {
        static const char flips[] = {0x01, 0x02, 0x10, (char)0x80, (char)0xFF};
        for (size_t j = 0; j < sizeof flips; j++) {
            record->base[i] = (char)(record->base[i] ^ flips[j]);
            if (load(&whole, &other, &err) == 0) {
                use(vfs_of(&other));
            }
            record->base[i] = (char)(record->base[i] ^ flips[j]);
            tear_down(&other);
        }
        const size_t len = record->len;
        record->len = i;
        assert_int_equal(load(&whole, &other, &err), -1);
        record->len = len;
        tear_down(&other);
    }
    whole_free(&whole);
}

static void quotas_hold(void **state)
{
    struct vfs_whole whole;
    struct err err;
    void *other;
    int fds[OPENED];
    fill(vfs_of(state), fds);
    save(vfs_of(state), &whole);
    const struct vfs_quota quotas[] = {{100, 1000, 64}, {MIB, 4, 64}};
    for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++) {
        assert_int_equal(set_up(&other), 0);
        vfs_set_quota(vfs_of(&other), &quotas[i]);
        assert_int_equal(whole_load(vfs_of(&other), buf_span(&whole.record.bytes),
                                    buf_span(&whole.contents), &err),
                         -1);
        assert_int_equal(err.code, ERR_LIMIT);
        tear_down(&other);
    }
    whole_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VFS_TEST(all_of_it_comes_back),
        VFS_TEST(what_was_loaded_is_saved_the_same),
        VFS_TEST(states_that_lie_are_survived),
        VFS_TEST(quotas_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
