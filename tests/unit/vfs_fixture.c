#include "vfs_fixture.h"

uint64_t tick(void *context)
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

int set_up(void **state)
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

int tear_down(void **state)
{
    struct fixture *fixture = *state;
    vfs_free(fixture->vfs);
    buf_free(&fixture->image);
    buf_free(&fixture->written[1]);
    buf_free(&fixture->written[2]);
    free(fixture);
    return 0;
}

struct vfs *vfs_of(void **state)
{
    return ((struct fixture *)*state)->vfs;
}

void set_quota(struct vfs *vfs, uint64_t bytes, uint64_t count, uint32_t files)
{
    const struct vfs_quota quota = {bytes, count, files};
    vfs_set_quota(vfs, &quota);
}

int open_file(struct vfs *vfs, const char *path, int flags)
{
    return vfs_open(vfs, CWD, s(path), flags, 0644);
}

int open_new(struct vfs *vfs, const char *path)
{
    int fd = open_file(vfs, path, VFS_O_RDWR | VFS_O_CREAT);
    assert_true(fd >= 0);
    return fd;
}

void expect_contents(struct vfs *vfs, const char *path, const char *expected)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    assert_int_equal(vfs_load(vfs, s(path), &bytes), 0);
    assert_true(span_equal(buf_span(&bytes), s(expected)));
}

struct vfs_stat stat_of(struct vfs *vfs, const char *path)
{
    struct vfs_stat stat;
    assert_int_equal(vfs_stat(vfs, CWD, s(path), 0, &stat), 0);
    return stat;
}
