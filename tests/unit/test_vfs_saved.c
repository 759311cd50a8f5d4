/* vfs_save_state and vfs_load_state: what a guest has written comes back in another file system,
 * what cannot be saved is refused, and a list that lies does what its author could have done
 * himself. */
#include "vfs_fixture.h"

#include "base/save.h"

#define IMAGE_LINK "/lib64"

static void save(struct vfs *vfs, struct saving *out)
{
    struct err err;
    *out = (struct saving){.is_full = false};
    buf_init(&out->bytes, MIB);
    assert_int_equal(vfs_save_state(vfs, out, &err), 0);
    assert_false(out->is_full);
}

static void refused(struct vfs *vfs)
{
    struct err err = {0};
    struct saving out = {.is_full = false};
    buf_init(&out.bytes, MIB);
    assert_int_equal(vfs_save_state(vfs, &out, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    buf_free(&out.bytes);
}

/* Puts the state into a file system of its own; 0, or -1 when it is refused. */
static int load(struct span bytes, void **state, struct err *err)
{
    struct loading in = {.rest = bytes};
    assert_int_equal(set_up(state), 0);
    int result = vfs_load_state(vfs_of(state), &in, err);
    return result != 0 || in.is_bad || in.rest.len != 0 ? -1 : 0;
}

static void assert_contents(struct vfs *vfs, const char *path, const char *expected)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    assert_int_equal(vfs_load(vfs, s(path), &bytes), 0);
    assert_int_equal(bytes.len, strlen(expected));
    assert_memory_equal(bytes.base, expected, bytes.len);
}

static void what_was_written_comes_back(void **state)
{
    struct vfs *vfs = vfs_of(state);
    struct saving out;
    void *other;
    struct err err;
    struct vfs_stat before, after;
    const struct vfs_time mtime = {.kind = VFS_TIME_SET, .ns = 1234567890123456789};
    const char *const paths[] = {"/tmp/dir", "/tmp/dir/file", "/tmp/closed", "/tmp/empty", "/tmp"};
    assert_int_equal(vfs_store(vfs, s("/tmp/dir/file"), s("contents"), 0640), 0);
    assert_int_equal(vfs_store(vfs, s("/tmp/empty"), s(""), 0400), 0);
    assert_int_equal(vfs_symlink(vfs, s("dir/file"), CWD, s("/tmp/link")), 0);
    assert_int_equal(vfs_store(vfs, s("/tmp/closed/inside"), s("deep"), 0600), 0);
    assert_int_equal(vfs_chmod(vfs, CWD, s("/tmp/closed"), 0500, 0), 0);
    assert_int_equal(vfs_utimens(vfs, CWD, s("/tmp/dir/file"), mtime, mtime, 0), 0);
    save(vfs, &out);
    assert_int_equal(load(buf_span(&out.bytes), &other, &err), 0);
    struct vfs *loaded = vfs_of(&other);
    assert_contents(loaded, "/tmp/link", "contents");
    assert_contents(loaded, "/tmp/closed/inside", "deep");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(vfs_stat(vfs, CWD, s(paths[i]), 0, &before), 0);
        assert_int_equal(vfs_stat(loaded, CWD, s(paths[i]), 0, &after), 0);
        assert_int_equal(after.mode, before.mode);
        assert_int_equal(after.size, before.size);
        assert_int_equal(after.mtime_ns, before.mtime_ns);
    }
    tear_down(&other);
    buf_free(&out.bytes);
}

/* Makes a list of one entry say that it is a directory, whatever it is. */
static void claim_directory(struct saving *out, const char *path)
{
    static const uint32_t mode = VFS_S_IFDIR | 0700;
    char *name = memmem(out->bytes.base, out->bytes.len, path, strlen(path));
    assert_non_null(name);
    memcpy(name + strlen(path), &mode, sizeof mode);
}

static void a_link_of_an_image_may_be_there_but_for_its_time(void **state)
{
    struct vfs *vfs = vfs_of(state);
    struct saving out;
    void *other;
    struct err err;
    struct vfs_stat stat;
    const struct vfs_time mtime = {.kind = VFS_TIME_SET, .ns = 1234567890123456789};
    assert_int_equal(vfs_utimens(vfs, CWD, s(IMAGE_LINK), mtime, mtime, VFS_AT_SYMLINK_NOFOLLOW),
                     0);
    save(vfs, &out);
    assert_int_equal(load(buf_span(&out.bytes), &other, &err), 0);
    assert_int_equal(vfs_stat(vfs_of(&other), CWD, s(IMAGE_LINK), VFS_AT_SYMLINK_NOFOLLOW, &stat),
                     0);
    assert_int_equal(stat.mtime_ns, mtime.ns);
    tear_down(&other);
    claim_directory(&out, IMAGE_LINK);
    assert_int_equal(load(buf_span(&out.bytes), &other, &err), -1);
    tear_down(&other);
    buf_free(&out.bytes);
}

static void what_cannot_be_saved_is_refused(void **state)
{
    struct vfs *vfs = vfs_of(state);
    int fd = vfs_open(vfs, CWD, s("/tmp/open"), VFS_O_CREAT | VFS_O_WRONLY, 0600);
    refused(vfs);
    assert_int_equal(vfs_close(vfs, fd), 0);
    assert_int_equal(vfs_link(vfs, CWD, s("/tmp/open"), CWD, s("/tmp/again"), 0), 0);
    refused(vfs);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/tmp/again"), 0), 0);
    assert_int_equal(vfs_chdir(vfs, s("/tmp")), 0);
    refused(vfs);
    assert_int_equal(vfs_chdir(vfs, s(VFS_HOME)), 0);
    assert_int_equal(vfs_umask(vfs, 077), 022);
    refused(vfs);
    assert_int_equal(vfs_umask(vfs, 022), 077);
    assert_int_equal(vfs_close(vfs, 0), 0);
    refused(vfs);
}

static void an_image_file_that_was_removed_is_refused(void **state)
{
    struct vfs *vfs = vfs_of(state);
    assert_int_equal(vfs_unlink(vfs, CWD, s("/lib/abc.py"), 0), 0);
    refused(vfs);
}

/* Every byte of a state is made another one, and every end is tried. */
static void damaged_states_are_survived(void **state)
{
    struct vfs *vfs = vfs_of(state);
    struct saving out;
    struct err err;
    void *other;
    assert_int_equal(vfs_store(vfs, s("/tmp/dir/file"), s("contents"), 0640), 0);
    assert_int_equal(vfs_symlink(vfs, s("dir/file"), CWD, s("/tmp/link")), 0);
    save(vfs, &out);
    for (size_t i = 0; i < out.bytes.len; i++) {
        static const char flips[] = {0x01, 0x10, (char)0x80};
        for (size_t j = 0; j < sizeof flips; j++) {
            out.bytes.base[i] = (char)(out.bytes.base[i] ^ flips[j]);
            (void)load(buf_span(&out.bytes), &other, &err);
            out.bytes.base[i] = (char)(out.bytes.base[i] ^ flips[j]);
            tear_down(&other);
        }
        assert_int_equal(load((struct span){out.bytes.base, i}, &other, &err), -1);
        tear_down(&other);
    }
    buf_free(&out.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VFS_TEST(what_was_written_comes_back),
        VFS_TEST(a_link_of_an_image_may_be_there_but_for_its_time),
        VFS_TEST(what_cannot_be_saved_is_refused),
        VFS_TEST(an_image_file_that_was_removed_is_refused),
        VFS_TEST(damaged_states_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
