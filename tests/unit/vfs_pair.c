#include "vfs_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

static uint64_t next_random(struct pair *pair)
{
    pair->random ^= pair->random << 13;
    pair->random ^= pair->random >> 7;
    pair->random ^= pair->random << 17;
    return pair->random >> 11;
}

unsigned pick(struct pair *pair, unsigned below)
{
    return (unsigned)(next_random(pair) % below);
}

static const struct {
    int host;
    int guest;
} errno_pairs[] = {
    {EACCES, GUEST_EACCES}, {EBADF, GUEST_EBADF},         {EBUSY, GUEST_EBUSY},
    {EEXIST, GUEST_EEXIST}, {EFBIG, GUEST_EFBIG},         {EINVAL, GUEST_EINVAL},
    {EISDIR, GUEST_EISDIR}, {ELOOP, GUEST_ELOOP},         {ENAMETOOLONG, GUEST_ENAMETOOLONG},
    {ENOENT, GUEST_ENOENT}, {ENOTDIR, GUEST_ENOTDIR},     {ENOTEMPTY, GUEST_ENOTEMPTY},
    {EPERM, GUEST_EPERM},   {EOPNOTSUPP, GUEST_ENOTSUP},  {ESPIPE, GUEST_ESPIPE},
    {ENODEV, GUEST_ENODEV}, {EOVERFLOW, GUEST_EOVERFLOW}, {EMLINK, GUEST_EMLINK},
};

int64_t as_guest(int64_t host_result)
{
    if (host_result >= 0) {
        return host_result;
    }
    for (size_t i = 0; i < sizeof errno_pairs / sizeof errno_pairs[0]; i++) {
        if (errno_pairs[i].host == errno) {
            return -errno_pairs[i].guest;
        }
    }
    fail_msg("the host answered errno %d (%s), which has no pair", errno, strerror(errno));
    return 0;
}

void expect_same(const struct pair *pair, int64_t host, int64_t guest, const char *what,
                 const char *path)
{
    if (host != guest) {
        fail_msg("seed %llu step %u: %s(%.60s): host %lld, guest %lld",
                 (unsigned long long)pair->seed, pair->step, what, path, (long long)host,
                 (long long)guest);
    }
}

/* Making both sides the same. */

static uint64_t fixed_time(void *context)
{
    (void)context;
    return 1700000000ULL * 1000000000ULL;
}

void nest_path(char *path)
{
    memcpy(path, "/tmp", 5);
    for (int i = 0; i < NEST_DEPTH; i++) {
        memcpy(path + 4 + 2 * i, "/n", 3);
    }
}

static void add_to_image(struct image_writer *writer, const char *name, const char *bytes,
                         uint32_t mode)
{
    char path[NEST_DEPTH * 2 + 64];
    nest_path(path);
    size_t len = strlen(path);
    snprintf(path + len, sizeof path - len, "/%s", name);
    struct err err;
    int status = bytes == NULL
                     ? image_writer_add_dir(writer, span_of(path), mode, &err)
                     : image_writer_add_file(writer, span_of(path), span_of(bytes), mode, &err);
    assert_int_equal(status, 0);
}

static void add_link_to_image(struct image_writer *writer, const char *name, const char *target)
{
    char path[NEST_DEPTH * 2 + 64];
    nest_path(path);
    size_t len = strlen(path);
    snprintf(path + len, sizeof path - len, "/%s", name);
    struct err err;
    assert_int_equal(image_writer_add_symlink(writer, span_of(path), span_of(target), &err), 0);
}

void make_images(struct pair *pair)
{
    struct err err;
    struct image_writer *low = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    add_to_image(low, "a/b/c", "from the low image", 0644);
    add_to_image(low, "a/d", "hidden by the high image", 0644);
    add_to_image(low, "b/a", "low b/a", 0444);
    add_to_image(low, "c/hidden", "a file of the high image stands before this directory", 0644);
    add_to_image(low, "e/e/e", "", 0755);
    add_link_to_image(low, "d", "a/b");
    buf_init(&pair->images[0], MIB);
    assert_int_equal(image_writer_finish(low, &pair->images[0], &err), 0);
    image_writer_free(low);

    struct image_writer *high = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    add_to_image(high, "a/d", "from the high image", 0600);
    add_to_image(high, "a/b/e", "beside c", 0644);
    add_to_image(high, "c", "a file", 0644);
    add_to_image(high, "e/a", NULL, 0755);
    add_link_to_image(high, "e/b", "../a/d");
    buf_init(&pair->images[1], MIB);
    assert_int_equal(image_writer_finish(high, &pair->images[1], &err), 0);
    image_writer_free(high);
}

static void write_host_file(const char *path, const char *bytes, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* The merged tree of the two images, by hand. The working directory is the nest's bottom. */
static void make_host_files(void)
{
    const char *const dirs[] = {"a", "a/b", "b", "e", "e/e", "e/a"};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        assert_int_equal(mkdir(dirs[i], 0755), 0);
    }
    write_host_file("a/b/c", "from the low image", 0644);
    write_host_file("a/b/e", "beside c", 0644);
    write_host_file("a/d", "from the high image", 0600);
    write_host_file("b/a", "low b/a", 0444);
    write_host_file("c", "a file", 0644);
    write_host_file("e/e/e", "", 0755);
    assert_int_equal(symlink("a/b", "d"), 0);
    assert_int_equal(symlink("../a/d", "e/b"), 0);
}

void make_host(struct pair *pair)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(pair->host_top, sizeof pair->host_top, "%s/test_vfs.XXXXXX", base);
    assert_non_null(mkdtemp(pair->host_top));
    assert_int_equal(chdir(pair->host_top), 0);
    for (int i = 0; i < NEST_DEPTH; i++) {
        assert_int_equal(mkdir("n", 0755), 0);
        assert_int_equal(chdir("n"), 0);
    }
    make_host_files();
    pair->host_bottom = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(pair->host_bottom >= 0);
}

void make_guest(struct pair *pair)
{
    struct span images[2] = {buf_span(&pair->images[0]), buf_span(&pair->images[1])};
    struct vfs_config config = {
        .images = images, .image_count = 2, .quota = vfs_quota_default(), .now_ns = fixed_time};
    config.standard[0].stream = config.standard[1].stream = config.standard[2].stream = true;
    struct err err;
    assert_int_equal(vfs_new(&config, &pair->vfs, &err), 0);
    char path[NEST_DEPTH * 2 + 64];
    nest_path(path);
    assert_int_equal(vfs_chdir(pair->vfs, span_of(path)), 0);
    pair->guest_bottom = vfs_open(pair->vfs, VFS_AT_FDCWD, span_of("."), VFS_O_DIRECTORY, 0);
    assert_true(pair->guest_bottom >= 0);
}

/* Random arguments. */

static void random_component(struct pair *pair, char *out, size_t size)
{
    const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    if (pick(pair, 60) == 0) {
        size_t len = pick(pair, 2) == 0 ? 255 : 256;
        memset(out, 'x', len);
        out[len] = '\0';
        return;
    }
    snprintf(out, size, "%s", pick(pair, 14) == 0 ? "." : names[pick(pair, 6)]);
}

void random_path(struct pair *pair, char *out, size_t size)
{
    char name[300];
    size_t len = 0;
    unsigned count = 1 + pick(pair, 4) * pick(pair, 2);
    bool up = pick(pair, 12) == 0;
    out[0] = '\0';
    if (pick(pair, 150) == 0) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        random_component(pair, name, sizeof name);
        if (up && i == count / 2) {
            snprintf(name, sizeof name, "..");
        }
        const char *slash = i == 0 ? "" : pick(pair, 20) == 0 ? "//" : "/";
        len += (size_t)snprintf(out + len, size - len, "%s%s", slash, name);
    }
    if (pick(pair, 12) == 0) {
        snprintf(out + len, size - len, "/");
    }
}

struct slot *random_slot(struct pair *pair)
{
    return &pair->slots[pick(pair, SLOT_COUNT)];
}

/* A directory to start from: mostly the working directory. */
struct slot random_dir(struct pair *pair)
{
    const struct slot cwd = {AT_FDCWD, VFS_AT_FDCWD};
    const struct slot *slot = random_slot(pair);
    return pick(pair, 4) > 0 || slot->host < 0 ? cwd : *slot;
}
