/* vfs: what the random comparison with the host cannot see: the layout, layers under open files,
 * listings under change, what the host itself may ask, and images that lie. */
#include "guest/vfs/image_format.h"
#include "vfs_fixture.h"

/* Layout. */

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

/* Layers under open files. */

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

/* Listing. */

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
    cleanup_buf struct buf names;
    buf_init(&names, 4096);
    while (vfs_readdir(vfs, fd, &entry) == 1) {
        assert_int_equal(buf_append_text(&names, entry.name), 0);
        assert_int_equal(buf_append_char(&names, ' '), 0);
        /* Changes those before and after the listing's place, and enters a directory. */
        assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/abc.py"), 0600, 0), 0);
        assert_int_equal(vfs_chmod(vfs, CWD, s("/lib/os.py"), 0600, 0), 0);
        stat_of(vfs, "/lib/json/__init__.py");
    }
    assert_true(span_equal(buf_span(&names), s(". .. abc.py json os.py ")));
    assert_int_equal(vfs_seek(vfs, fd, 0, VFS_SEEK_SET), 0);
    assert_int_equal(vfs_readdir(vfs, fd, &entry), 1);
    assert_string_equal(entry.name, ".");
}

/* Paths. */

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

/* The host's own use. */

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

/* Images that are not what they should be. */

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
        VFS_TEST(long_and_looping_paths_end),
        VFS_TEST(depth_is_bounded_by_the_quota_alone),
        VFS_TEST(ids_and_masks),
        VFS_TEST(walk_shows_what_was_written),
        VFS_TEST(loading_has_a_maximum),
        VFS_TEST(bad_images_are_refused),
        VFS_TEST(shared_children_cannot_exhaust_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
