/*
 * vfs against the host: the same random calls are made on a real temporary directory and on the
 * guest's file system, whose first files come from two image layers. Every result, errno and byte
 * must agree, and at the end both trees must be the same.
 *
 * VFS_RANDOM_RUNS sets the number of runs, VFS_RANDOM_SEED the first seed; a failure names its own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "vfs_pair.h"
#include "vfs_whole.h"

/* The calls. */

static void keep_pair(struct pair *pair, int host, int guest)
{
    struct slot *slot = random_slot(pair);
    if (slot->host >= 0) {
        close(slot->host);
        assert_int_equal(vfs_close(pair->vfs, slot->guest), 0);
    }
    /* A directory above the bottom would let ".." add up over many calls. */
    char link[64];
    char target[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", host);
    ssize_t len = readlink(link, target, sizeof target - 1);
    if (len < (ssize_t)strlen(pair->host_top) + 2 * NEST_DEPTH) {
        close(host);
        assert_int_equal(vfs_close(pair->vfs, guest), 0);
        *slot = (struct slot){-1, -1};
        return;
    }
    *slot = (struct slot){host, guest};
}

static void do_open(struct pair *pair)
{
    static const struct {
        int host;
        int guest;
    } flags[] = {
        {O_CREAT, VFS_O_CREAT},       {O_EXCL, VFS_O_EXCL},           {O_TRUNC, VFS_O_TRUNC},
        {O_APPEND, VFS_O_APPEND},     {O_DIRECTORY, VFS_O_DIRECTORY}, {O_NOFOLLOW, VFS_O_NOFOLLOW},
        {O_NONBLOCK, VFS_O_NONBLOCK}, {O_PATH, VFS_O_PATH},           {O_TMPFILE, VFS_O_TMPFILE}};
    static const unsigned odds[] = {2, 4, 4, 5, 8, 8, 8, 20, 20};
    char path[1300];
    random_path(pair, path, sizeof path);
    struct slot dir = random_dir(pair);
    int host_flags = O_CLOEXEC;
    int guest_flags = VFS_O_CLOEXEC;
    for (size_t i = 0; i < sizeof odds / sizeof odds[0]; i++) {
        if (pick(pair, odds[i]) == 0) {
            host_flags |= flags[i].host;
            guest_flags |= flags[i].guest;
        }
    }
    if ((host_flags & O_CREAT) != 0 && (host_flags & O_DIRECTORY) != 0) {
        return; /* kernels differ */
    }
    if ((host_flags & O_CREAT) == 0 && (host_flags & O_EXCL) != 0) {
        host_flags &= ~O_EXCL; /* undefined, but for O_TMPFILE, where it says "never link it" */
        guest_flags &= ~VFS_O_EXCL;
    }
    int access = (int)pick(pair, 3);
    mode_t mode = pick(pair, 4) == 0 ? pick(pair, 01000) : 0644;
    int host = openat(dir.host, path, host_flags | access, mode);
    int64_t expected = as_guest(host);
    int guest = vfs_open(pair->vfs, dir.guest, span_of(path), guest_flags | access, mode);
    char what[64];
    snprintf(what, sizeof what, "open flags 0%o mode 0%o ", (unsigned)(guest_flags | access), mode);
    expect_same(pair, expected < 0 ? expected : 0, guest < 0 ? guest : 0, what, path);
    if (host >= 0) {
        keep_pair(pair, host, guest);
    }
}

static void do_close(struct pair *pair)
{
    struct slot *slot = random_slot(pair);
    if (slot->host >= 0) {
        expect_same(pair, as_guest(close(slot->host)), vfs_close(pair->vfs, slot->guest), "close",
                    "");
        *slot = (struct slot){-1, -1};
    }
}

static void do_dup(struct pair *pair)
{
    const struct slot *slot = random_slot(pair);
    if (slot->host >= 0) {
        int host = fcntl(slot->host, F_DUPFD_CLOEXEC, 0);
        int guest = vfs_dup(pair->vfs, slot->guest);
        assert_true(host >= 0 && guest >= 0);
        keep_pair(pair, host, guest);
    }
}

static char block[2][BLOCK_MAX];

static void do_read(struct pair *pair)
{
    const struct slot *slot = random_slot(pair);
    if (slot->host < 0) {
        return;
    }
    size_t len = pick(pair, pick(pair, 4) == 0 ? BLOCK_MAX : 100);
    bool placed = pick(pair, 2) == 0;
    off_t offset = (off_t)pick(pair, pick(pair, 2) == 0 ? 100 : 300000) - 3;
    int64_t host =
        placed ? pread(slot->host, block[0], len, offset) : read(slot->host, block[0], len);
    host = as_guest(host);
    int64_t guest = placed ? vfs_pread(pair->vfs, slot->guest, block[1], len, offset)
                           : vfs_read(pair->vfs, slot->guest, block[1], len);
    expect_same(pair, host, guest, placed ? "pread" : "read", "");
    if (guest > 0 && memcmp(block[0], block[1], (size_t)guest) != 0) {
        fail_msg("seed %llu step %u: read other bytes", (unsigned long long)pair->seed, pair->step);
    }
}

static void do_write(struct pair *pair)
{
    const struct slot *slot = random_slot(pair);
    if (slot->host < 0) {
        return;
    }
    size_t len = pick(pair, pick(pair, 4) == 0 ? BLOCK_MAX : 100);
    memset(block[0], (int)('A' + pick(pair, 26)), len);
    bool placed = pick(pair, 2) == 0;
    off_t offset = (off_t)pick(pair, pick(pair, 2) == 0 ? 100 : 300000) - 3;
    int64_t host =
        placed ? pwrite(slot->host, block[0], len, offset) : write(slot->host, block[0], len);
    host = as_guest(host);
    int64_t guest = placed ? vfs_pwrite(pair->vfs, slot->guest, block[0], len, offset)
                           : vfs_write(pair->vfs, slot->guest, block[0], len);
    expect_same(pair, host, guest, placed ? "pwrite" : "write", "");
}

static bool is_directory(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static void do_seek(struct pair *pair)
{
    const struct slot *slot = random_slot(pair);
    if (slot->host < 0 || is_directory(slot->host)) {
        return; /* places in a directory are each file system's own */
    }
    int whence = (int)pick(pair, 3);
    off_t offset = (off_t)pick(pair, 200000) - 50000;
    int64_t host = as_guest(lseek(slot->host, offset, whence));
    expect_same(pair, host, vfs_seek(pair->vfs, slot->guest, offset, whence), "lseek", "");
}

static void do_resize(struct pair *pair)
{
    off_t size = (off_t)pick(pair, pick(pair, 2) == 0 ? 100 : 300000) - 2;
    const struct slot *slot = random_slot(pair);
    if (slot->host >= 0 && pick(pair, 3) == 0) {
        int64_t host = as_guest(ftruncate(slot->host, size));
        expect_same(pair, host, vfs_ftruncate(pair->vfs, slot->guest, size), "ftruncate", "");
    } else if (slot->host >= 0 && pick(pair, 2) == 0) {
        off_t len = (off_t)pick(pair, 70000);
        int64_t host = as_guest(fallocate(slot->host, 0, size, len));
        expect_same(pair, host, vfs_fallocate(pair->vfs, slot->guest, 0, size, len), "fallocate",
                    "");
    } else {
        char path[1300];
        random_path(pair, path, sizeof path);
        int64_t host = as_guest(truncate(path, size));
        expect_same(pair, host, vfs_truncate(pair->vfs, VFS_AT_FDCWD, span_of(path), size),
                    "truncate", path);
    }
}

static void compare_stat(const struct pair *pair, const struct stat *host,
                         const struct vfs_stat *guest, const char *path)
{
    expect_same(pair, host->st_mode, guest->mode, "st_mode", path);
    if (!S_ISDIR(host->st_mode)) {
        expect_same(pair, host->st_size, (int64_t)guest->size, "st_size", path);
        expect_same(pair, (int64_t)host->st_nlink, guest->nlink, "st_nlink", path);
    }
}

static void do_stat(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    struct slot dir = random_dir(pair);
    unsigned kind = pick(pair, 4);
    int host_flags = kind == 0 ? AT_SYMLINK_NOFOLLOW : kind == 1 ? AT_EMPTY_PATH : 0;
    int guest_flags = kind == 0 ? VFS_AT_SYMLINK_NOFOLLOW : kind == 1 ? VFS_AT_EMPTY_PATH : 0;
    if (kind == 1 && pick(pair, 2) == 0) {
        path[0] = '\0';
    }
    struct stat host_stat;
    struct vfs_stat guest_stat;
    int64_t host = as_guest(fstatat(dir.host, path, &host_stat, host_flags));
    int64_t guest = vfs_stat(pair->vfs, dir.guest, span_of(path), guest_flags, &guest_stat);
    expect_same(pair, host, guest, "stat", path);
    if (guest == 0) {
        compare_stat(pair, &host_stat, &guest_stat, path);
    }
}

static void do_access(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    int mode = (int)pick(pair, 8);
    /* The test may run as root under another effective id: that one counts. */
    int64_t host = as_guest(faccessat(AT_FDCWD, path, mode, AT_EACCESS));
    expect_same(pair, host, vfs_access(pair->vfs, VFS_AT_FDCWD, span_of(path), mode, 0), "access",
                path);
}

static void do_make(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    struct slot dir = random_dir(pair);
    mode_t mode = pick(pair, 6) == 0 ? pick(pair, 01000) : 0755;
    if (pick(pair, 4) > 0) {
        int64_t host = as_guest(mkdirat(dir.host, path, mode));
        expect_same(pair, host, vfs_mkdir(pair->vfs, dir.guest, span_of(path), mode), "mkdir",
                    path);
    } else {
        int64_t host = as_guest(mknodat(dir.host, path, S_IFREG | mode, 0));
        expect_same(pair, host, vfs_mknod(pair->vfs, dir.guest, span_of(path), VFS_S_IFREG | mode),
                    "mknod", path);
    }
}

static void do_remove(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    struct slot dir = random_dir(pair);
    bool is_dir = pick(pair, 2) == 0;
    int64_t host = as_guest(unlinkat(dir.host, path, is_dir ? AT_REMOVEDIR : 0));
    int64_t guest = vfs_unlink(pair->vfs, dir.guest, span_of(path), is_dir ? VFS_AT_REMOVEDIR : 0);
    expect_same(pair, host, guest, is_dir ? "rmdir" : "unlink", path);
}

static void do_rename(struct pair *pair)
{
    char from[1300];
    char to[1300];
    char both[2700];
    /* Linux looks at both parents before either name, so a name too long comes later there. */
    do {
        random_path(pair, from, sizeof from);
        random_path(pair, to, sizeof to);
    } while (strlen(from) > 200 || strlen(to) > 200);
    struct slot from_dir = random_dir(pair);
    struct slot to_dir = random_dir(pair);
    snprintf(both, sizeof both, "%.300s, %.300s", from, to);
    if (pick(pair, 3) > 0) {
        int64_t host = as_guest(renameat(from_dir.host, from, to_dir.host, to));
        int64_t guest =
            vfs_rename(pair->vfs, from_dir.guest, span_of(from), to_dir.guest, span_of(to));
        expect_same(pair, host, guest, "rename", both);
    } else {
        int flags = pick(pair, 2) == 0 ? AT_SYMLINK_FOLLOW : 0;
        int64_t host = as_guest(linkat(from_dir.host, from, to_dir.host, to, flags));
        int64_t guest = vfs_link(pair->vfs, from_dir.guest, span_of(from), to_dir.guest,
                                 span_of(to), flags != 0 ? VFS_AT_SYMLINK_FOLLOW : 0);
        expect_same(pair, host, guest, "link", both);
    }
}

static void do_symlink(struct pair *pair)
{
    char path[1300];
    char target[1300];
    random_path(pair, path, sizeof path);
    /* Targets that add up to more than PATH_MAX are the one thing done differently: ENAMETOOLONG
     * comes where Linux may still see a loop. */
    do {
        random_path(pair, target, sizeof target);
    } while (strlen(target) > 60);
    int64_t host = as_guest(symlink(target, path));
    int64_t guest = vfs_symlink(pair->vfs, span_of(target), VFS_AT_FDCWD, span_of(path));
    expect_same(pair, host, guest, "symlink", path);
}

static void do_readlink(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    size_t len = pick(pair, 4) == 0 ? 1 + pick(pair, 4) : 1000;
    int64_t host = as_guest(readlink(path, block[0], len));
    int64_t guest = vfs_readlink(pair->vfs, VFS_AT_FDCWD, span_of(path), block[1], len);
    expect_same(pair, host, guest, "readlink", path);
    if (guest > 0) {
        assert_memory_equal(block[0], block[1], (size_t)guest);
    }
}

static void do_chmod(struct pair *pair)
{
    const mode_t modes[] = {0644, 0755, 0700, 0500, 0300, 0000, 0400};
    mode_t mode = modes[pick(pair, 7)];
    const struct slot *slot = random_slot(pair);
    if (slot->host >= 0 && pick(pair, 3) == 0) {
        int64_t host = as_guest(fchmod(slot->host, mode));
        expect_same(pair, host, vfs_fchmod(pair->vfs, slot->guest, mode), "fchmod", "");
        return;
    }
    char path[1300];
    random_path(pair, path, sizeof path);
    int64_t host = as_guest(chmod(path, mode));
    expect_same(pair, host, vfs_chmod(pair->vfs, VFS_AT_FDCWD, span_of(path), mode, 0), "chmod",
                path);
}

static void do_times(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    bool follow = pick(pair, 2) == 0;
    struct timespec times[2] = {{.tv_sec = pick(pair, 1000000), .tv_nsec = 5},
                                {.tv_sec = pick(pair, 1000000), .tv_nsec = 7}};
    struct vfs_time atime = {VFS_TIME_SET, times[0].tv_sec * 1000000000LL + 5};
    struct vfs_time mtime = {VFS_TIME_SET, times[1].tv_sec * 1000000000LL + 7};
    int64_t host = as_guest(utimensat(AT_FDCWD, path, times, follow ? 0 : AT_SYMLINK_NOFOLLOW));
    int flags = follow ? 0 : VFS_AT_SYMLINK_NOFOLLOW;
    int64_t guest = vfs_utimens(pair->vfs, VFS_AT_FDCWD, span_of(path), atime, mtime, flags);
    expect_same(pair, host, guest, "utimens", path);
    struct vfs_stat stat;
    if (guest == 0 && vfs_stat(pair->vfs, VFS_AT_FDCWD, span_of(path), flags, &stat) == 0) {
        assert_int_equal(stat.mtime_ns, mtime.ns);
        assert_int_equal(stat.atime_ns, atime.ns);
    }
}

static void do_chdir(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    int64_t host = as_guest(chdir(path));
    expect_same(pair, host, vfs_chdir(pair->vfs, span_of(path)), "chdir", path);
    char host_cwd[8192];
    char guest_cwd[8192];
    char top[256];
    nest_path(top);
    bool host_there = getcwd(host_cwd, sizeof host_cwd) != NULL;
    bool guest_there = vfs_getcwd(pair->vfs, guest_cwd, sizeof guest_cwd) > 0;
    assert_int_equal(host_there, guest_there);
    if (host_there && strncmp(guest_cwd, top, strlen(top)) == 0 && pick(pair, 3) > 0) {
        assert_string_equal(host_cwd + strlen(pair->host_top), guest_cwd + strlen("/tmp"));
        return;
    }
    assert_int_equal(fchmod(pair->host_bottom, 0755), 0);
    assert_int_equal(fchdir(pair->host_bottom), 0);
    assert_int_equal(vfs_fchmod(pair->vfs, pair->guest_bottom, 0755), 0);
    assert_int_equal(vfs_fchdir(pair->vfs, pair->guest_bottom), 0);
}

/* Whole directories and trees. */

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

struct listing {
    char *names[64];
    size_t count;
};

static void listing_add(struct listing *listing, const char *name, unsigned type)
{
    char line[300];
    snprintf(line, sizeof line, "%s %u", name, type);
    assert_true(listing->count < 64);
    listing->names[listing->count++] = strdup(line);
}

static void listing_compare(const struct pair *pair, struct listing *host, struct listing *guest,
                            const char *path)
{
    expect_same(pair, (int64_t)host->count, (int64_t)guest->count, "count of entries", path);
    qsort(host->names, host->count, sizeof host->names[0], compare_names);
    qsort(guest->names, guest->count, sizeof guest->names[0], compare_names);
    for (size_t i = 0; i < host->count; i++) {
        assert_string_equal(host->names[i], guest->names[i]);
        free(host->names[i]);
        free(guest->names[i]);
    }
}

static void list_host(DIR *dir, struct listing *out)
{
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        listing_add(out, entry->d_name, entry->d_type);
    }
}

static void do_list(struct pair *pair)
{
    char path[1300];
    random_path(pair, path, sizeof path);
    int host_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t expected = as_guest(host_fd);
    int fd = vfs_open(pair->vfs, VFS_AT_FDCWD, span_of(path), VFS_O_DIRECTORY, 0);
    expect_same(pair, expected < 0 ? expected : 0, fd < 0 ? fd : 0, "opendir", path);
    if (fd < 0) {
        return;
    }
    struct listing host = {.count = 0};
    struct listing guest = {.count = 0};
    DIR *dir = fdopendir(host_fd);
    assert_non_null(dir);
    list_host(dir, &host);
    struct vfs_dirent entry;
    while (vfs_readdir(pair->vfs, fd, &entry) > 0) {
        listing_add(&guest, entry.name, entry.type);
        /* Going on from its cookie is going on. */
        assert_int_equal(vfs_seek(pair->vfs, fd, (int64_t)entry.cookie, VFS_SEEK_SET),
                         (int64_t)entry.cookie);
    }
    listing_compare(pair, &host, &guest, path);
    closedir(dir);
    assert_int_equal(vfs_close(pair->vfs, fd), 0);
}

struct tree {
    struct pair *pair;
    unsigned count;
};

static int compare_entry(void *context, const struct vfs_walk_entry *entry)
{
    struct tree *tree = context;
    struct pair *pair = tree->pair;
    char path[LIMIT_PATH_BYTES_MAX + 64];
    snprintf(path, sizeof path, "%s%.*s", pair->host_top, (int)entry->path.len - 4,
             entry->path.base + 4);
    struct stat stat;
    tree->count++;
    expect_same(pair, as_guest(lstat(path, &stat)), 0, "lstat at the end", path);
    compare_stat(pair, &stat, &entry->stat, path);
    if (S_ISREG(stat.st_mode)) {
        cleanup_buf struct buf bytes;
        buf_init(&bytes, 64 * MIB);
        assert_int_equal(vfs_load(pair->vfs, entry->path, &bytes), 0);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        char *host = malloc(bytes.len + 1);
        assert_int_equal(read(fd, host, bytes.len + 1), (ssize_t)bytes.len);
        assert_true(bytes.len == 0 || memcmp(host, bytes.base, bytes.len) == 0);
        free(host);
        close(fd);
    }
    return 0;
}

static unsigned count_host_tree(const char *path)
{
    char command_path[LIMIT_PATH_BYTES_MAX];
    unsigned count = 1;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return count;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(command_path, sizeof command_path, "%s/%s", path, entry->d_name);
        count += entry->d_type == DT_DIR ? count_host_tree(command_path) : 1;
    }
    closedir(dir);
    return count;
}

static void compare_trees(struct pair *pair)
{
    struct tree tree = {.pair = pair};
    assert_int_equal(vfs_walk(pair->vfs, span_of("/tmp/n"), compare_entry, &tree), 0);
    char path[100];
    snprintf(path, sizeof path, "%s/n", pair->host_top);
    expect_same(pair, count_host_tree(path), tree.count, "files in the tree", path);
}

struct paths {
    struct vfs *vfs;
    char *all[1024];
    size_t count;
};

static int collect_path(void *context, const struct vfs_walk_entry *entry)
{
    struct paths *paths = context;
    assert_true(paths->count < sizeof paths->all / sizeof paths->all[0]);
    paths->all[paths->count++] = strndup(entry->path.base, entry->path.len);
    return 0;
}

/* Takes everything down again: then no byte and no name may be charged any more. */
static void remove_guest_tree(struct pair *pair)
{
    struct paths paths = {.vfs = pair->vfs};
    assert_int_equal(vfs_chdir(pair->vfs, span_of("/")), 0);
    assert_int_equal(vfs_close(pair->vfs, pair->guest_bottom), 0);
    assert_int_equal(vfs_walk(pair->vfs, span_of("/tmp/n"), collect_path, &paths), 0);
    for (size_t i = 0; i < paths.count; i++) {
        struct vfs_stat stat;
        struct span path = span_of(paths.all[i]);
        int status = vfs_stat(pair->vfs, VFS_AT_FDCWD, path, VFS_AT_SYMLINK_NOFOLLOW, &stat);
        assert_int_equal(status, 0);
        if ((stat.mode & VFS_S_IFMT) == VFS_S_IFDIR) {
            assert_int_equal(vfs_chmod(pair->vfs, VFS_AT_FDCWD, path, 0700, 0), 0);
        }
    }
    while (paths.count > 0) {
        struct span path = span_of(paths.all[--paths.count]);
        int status = vfs_unlink(pair->vfs, VFS_AT_FDCWD, path, 0);
        if (status == -GUEST_EISDIR) {
            status = vfs_unlink(pair->vfs, VFS_AT_FDCWD, path, VFS_AT_REMOVEDIR);
        }
        assert_int_equal(status, 0);
        free(paths.all[paths.count]);
    }
    struct vfs_statfs stat;
    assert_int_equal(vfs_statfs(pair->vfs, VFS_AT_FDCWD, span_of("/"), &stat), 0);
    assert_int_equal(stat.blocks_free, stat.blocks);
    assert_int_equal(stat.files_free, stat.files);
}

static void remove_host_tree(const char *path)
{
    char child[LIMIT_PATH_BYTES_MAX];
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR) {
            chmod(child, 0700);
            remove_host_tree(child);
        } else {
            unlink(child);
        }
    }
    closedir(dir);
    rmdir(path);
}

/* The guest's side becomes what was saved of it, which is to make no difference at all. */
static void do_save(struct pair *pair)
{
    struct vfs_whole whole;
    struct err err = {0};
    if (whole_save(pair->vfs, &whole, &err) != 0 ||
        whole_load(pair->vfs, buf_span(&whole.record.bytes), buf_span(&whole.contents), &err) !=
            0) {
        fail_msg("seed %llu step %u: not saved: %s", (unsigned long long)pair->seed, pair->step,
                 err.text);
    }
    whole_free(&whole);
}

/* A run. */

static void take_step(struct pair *pair)
{
    static void (*const calls[])(struct pair *) = {
        do_open,  do_open,   do_open,   do_open,   do_read,   do_read,   do_write,   do_write,
        do_write, do_seek,   do_close,  do_resize, do_stat,   do_stat,   do_access,  do_make,
        do_make,  do_remove, do_remove, do_rename, do_rename, do_rename, do_symlink, do_readlink,
        do_chmod, do_times,  do_chdir,  do_list,   do_dup,    do_save,
    };
    calls[pick(pair, sizeof calls / sizeof calls[0])](pair);
}

static void run_seed(uint64_t seed)
{
    struct pair pair = {.seed = seed, .random = seed * 0x9E3779B97F4A7C15ULL + 1};
    for (int i = 0; i < SLOT_COUNT; i++) {
        pair.slots[i] = (struct slot){-1, -1};
    }
    make_images(&pair);
    uid_t user = geteuid();
    if (user == 0) {
        /* Root is allowed everything; the guest is not root. */
        assert_int_equal(seteuid(65534), 0);
    }
    make_host(&pair);
    make_guest(&pair);
    for (pair.step = 0; pair.step < STEPS; pair.step++) {
        take_step(&pair);
    }
    for (int i = 0; i < SLOT_COUNT; i++) {
        if (pair.slots[i].host >= 0) {
            close(pair.slots[i].host);
            assert_int_equal(vfs_close(pair.vfs, pair.slots[i].guest), 0);
        }
    }
    assert_int_equal(seteuid(user), 0);
    /* A process that has changed ids cannot be looked at, not even by its own leak checker. */
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    assert_int_equal(vfs_limits_hit(pair.vfs), 0);
    if (user == 0) {
        compare_trees(&pair);
    }
    remove_guest_tree(&pair);
    assert_int_equal(chdir("/"), 0);
    close(pair.host_bottom);
    remove_host_tree(pair.host_top);
    vfs_free(pair.vfs);
    buf_free(&pair.images[0]);
    buf_free(&pair.images[1]);
}

static void same_calls_same_results(void **state)
{
    (void)state;
    const char *runs_text = getenv("VFS_RANDOM_RUNS");
    const char *seed_text = getenv("VFS_RANDOM_SEED");
    uint64_t runs = runs_text == NULL ? RUNS_DEFAULT : strtoull(runs_text, NULL, 10);
    uint64_t first = seed_text == NULL ? 1 : strtoull(seed_text, NULL, 10);
    umask(022);
    for (uint64_t i = 0; i < runs; i++) {
        run_seed(first + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_calls_same_results)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
