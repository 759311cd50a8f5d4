#include "pool/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

enum {
    FILE_BYTES_MAX = 1 << 20,
    NAME_MAX_BYTES = 64,
    SAME_NAMES_MAX = 64,
    REMOVE_TRIES = 50,
    REMOVE_PAUSE_US = 2000
};

struct cgroup {
    struct cgroup_folders groups; /* ours */
    unsigned limits;
    char reason[CGROUP_REASON_MAX];
    /* Of version 2, what has to be undone: */
    char parent[LIMIT_PATH_BYTES_MAX];
    unsigned enabled;               /* for the parent's children, by us */
    char own[LIMIT_PATH_BYTES_MAX]; /* the group that we moved to, or empty */
};

static const char prefix[] = "vitrine-";

/* ---- Files ----------------------------------------------------------------------------------- */

static int path_make(char out[LIMIT_PATH_BYTES_MAX], const char *folder, const char *name)
{
    int len = snprintf(out, LIMIT_PATH_BYTES_MAX, "%s/%s", folder, name);
    if (len < 0 || len >= (int)LIMIT_PATH_BYTES_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return 0;
}

static int file_write(const char *folder, const char *name, const char *text)
{
    char path[LIMIT_PATH_BYTES_MAX];
    if (path_make(path, folder, name) != 0) {
        return -1;
    }
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -1 : fd_write_full(fd, text, strlen(text));
}

static int file_read(const char *folder, const char *name, struct buf *out)
{
    char path[LIMIT_PATH_BYTES_MAX];
    return path_make(path, folder, name) != 0 ? -1 : fd_read_file(path, out, NULL);
}

static unsigned limits_read(const char *folder, const char *name)
{
    cleanup_buf struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    return file_read(folder, name, &text) != 0 ? 0 : cgroup_limits_read(buf_span(&text));
}

/* ---- Names: "vitrine-PID-START-N", so that one can tell whose they are --------------------------
 */

/* When a process began, in ticks since the system did; 0 when there is none. Field 22 of
 * /proc/PID/stat; the second one may hold anything but ends with the last ')'. */
static unsigned long long start_of(long pid)
{
    char path[NAME_MAX_BYTES];
    cleanup_buf struct buf text;
    buf_init(&text, 4096);
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (fd_read_file(path, &text, NULL) != 0 || buf_append_char(&text, '\0') != 0) {
        return 0;
    }
    char *rest = strrchr(text.base, ')');
    for (unsigned field = 2; rest != NULL && field < 22; field++) {
        rest = strchr(rest + 1, ' ');
    }
    return rest == NULL ? 0 : strtoull(rest, NULL, 10);
}

/* Makes a folder of ours: the first of its names that is free, for there may be several pools. */
static int folder_make(const char *parent, char path[LIMIT_PATH_BYTES_MAX])
{
    char name[NAME_MAX_BYTES];
    for (unsigned i = 0; i < SAME_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "%s%d-%llu-%u", prefix, getpid(), start_of(getpid()), i);
        if (path_make(path, parent, name) != 0) {
            return -1;
        }
        if (mkdir(path, 0755) == 0) {
            return 0;
        }
        if (errno != EEXIST) {
            return -1;
        }
    }
    return -1;
}

static bool is_of_the_dead(const char *name)
{
    char *rest;
    if (strncmp(name, prefix, strlen(prefix)) != 0) {
        return false;
    }
    const long pid = strtol(name + strlen(prefix), &rest, 10);
    if (pid <= 0 || *rest != '-') {
        return false;
    }
    const unsigned long long start = strtoull(rest + 1, &rest, 10);
    return *rest == '-' && start_of(pid) != start;
}

/* Removes what one left behind that was killed: groups of ours, of nobody who is alive, empty, and
 * not so young that somebody in another world of processes may be about to enter. */
static void stale_remove(const char *folder)
{
    DIR *entries = opendir(folder);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        char path[LIMIT_PATH_BYTES_MAX];
        struct stat status;
        if (is_of_the_dead(entry->d_name) && path_make(path, folder, entry->d_name) == 0 &&
            stat(path, &status) == 0 && status.st_uid == geteuid() &&
            time(NULL) - status.st_mtime >= LIMIT_CGROUP_STALE_S) {
            (void)rmdir(path); /* which fails while there is anybody in it */
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static uint64_t memory_default(void)
{
    struct sysinfo info;
    return sysinfo(&info) != 0 ? 0 : (uint64_t)info.totalram * info.mem_unit / 8 * 7;
}

unsigned cgroup_limit(const struct cgroup_folder *folder, uint64_t memory_bytes)
{
    char memory[32];
    char pids[32];
    snprintf(memory, sizeof memory, "%" PRIu64, memory_bytes);
    snprintf(pids, sizeof pids, "%u", LIMIT_CGROUP_TASKS_MAX);
    const struct {
        unsigned limit;
        const char *v1;
        const char *v2;
        const char *v1_value;
        const char *v2_value;
    } files[] = {
        {CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", memory, memory},
        {CGROUP_PIDS, "pids.max", "pids.max", pids, pids},
        {CGROUP_CPU, "cpu.shares", "cpu.weight", "512", "50"}, /* half of what others have */
    };
    unsigned written = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if ((folder->limits & files[i].limit) != 0 &&
            file_write(folder->path, folder->is_v2 ? files[i].v2 : files[i].v1,
                       folder->is_v2 ? files[i].v2_value : files[i].v1_value) == 0) {
            written |= files[i].limit;
        }
    }
    return written;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static void note(struct cgroup *cgroup, const char *what, const char *path)
{
    snprintf(cgroup->reason, sizeof cgroup->reason, "%s %.120s: %s", what, path, strerror(errno));
}

/* Whether our processes can enter: the kernel may refuse although we could make the group. */
static bool is_open_to_us(const char *folder)
{
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(file_write(folder, "cgroup.procs", "0") == 0 ? 0 : errno & 0x7F);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : EAGAIN;
    return status == 0;
}

/* Makes our group below a folder. One without any limit is of no use. */
static void group_add(struct cgroup *cgroup, const struct cgroup_folder *parent, uint64_t memory)
{
    struct cgroup_folder group = *parent;
    stale_remove(parent->path);
    if (folder_make(parent->path, group.path) != 0) {
        note(cgroup, "making a group in", parent->path);
        return;
    }
    group.limits = cgroup_limit(&group, memory);
    if (group.limits != parent->limits) {
        note(cgroup, "setting limits in", parent->path);
    }
    if (group.limits != 0 && !is_open_to_us(group.path)) {
        note(cgroup, "entering a group in", parent->path);
        group.limits = 0;
    }
    if (group.limits == 0) {
        (void)rmdir(group.path);
        return;
    }
    cgroup->limits |= group.limits;
    cgroup->groups.items[cgroup->groups.count++] = group;
}

/* Whether this process is the only one in the folder's group. */
static bool is_alone(const char *folder)
{
    char own[32];
    cleanup_buf struct buf pids;
    buf_init(&pids, FILE_BYTES_MAX);
    snprintf(own, sizeof own, "%d\n", getpid());
    return file_read(folder, "cgroup.procs", &pids) == 0 &&
           span_equal(buf_span(&pids), span_of(own));
}

static int enable(const char *folder, unsigned limits, char sign)
{
    char text[64] = "";
    size_t len = 0;
    static const char *const names[] = {"memory", "pids", "cpu"};
    for (unsigned i = 0; i < 3; i++) {
        if ((limits & 1U << i) != 0) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%c%s", len > 0 ? " " : "",
                                    sign, names[i]);
        }
    }
    return file_write(folder, "cgroup.subtree_control", text);
}

/* A group that has processes cannot give controllers to its children (cgroup-v2.rst, "No Internal
 * Process Constraint"), so we move into a child of our own, if there is nobody else. */
static bool move_aside(struct cgroup *cgroup)
{
    if (!is_alone(cgroup->parent) || folder_make(cgroup->parent, cgroup->own) != 0) {
        cgroup->own[0] = '\0';
        return false;
    }
    if (file_write(cgroup->own, "cgroup.procs", "0") != 0) {
        (void)rmdir(cgroup->own);
        cgroup->own[0] = '\0';
        return false;
    }
    return true;
}

/* Has the controllers that are there given to children. Returns those that are. */
static unsigned enable_missing(struct cgroup *cgroup, unsigned available)
{
    const unsigned before = limits_read(cgroup->parent, "cgroup.subtree_control") & available;
    const unsigned missing = available & ~before;
    if (missing == 0) {
        return before;
    }
    int result = enable(cgroup->parent, missing, '+');
    if (result != 0 && errno == EBUSY && move_aside(cgroup)) {
        result = enable(cgroup->parent, missing, '+');
    }
    if (result != 0) {
        note(cgroup, "giving controllers to children of", cgroup->parent);
        return before;
    }
    cgroup->enabled = missing;
    return available;
}

static void make_v2(struct cgroup *cgroup, const struct cgroup_folder *folder, unsigned available,
                    uint64_t memory)
{
    struct cgroup_folder parent = *folder;
    snprintf(cgroup->parent, sizeof cgroup->parent, "%s", folder->path);
    parent.limits = enable_missing(cgroup, available);
    if (parent.limits != 0) {
        group_add(cgroup, &parent, memory);
    }
}

static void make_auto(struct cgroup *cgroup, uint64_t memory)
{
    struct cgroup_folder v2;
    struct cgroup_folders v1;
    cleanup_buf struct buf cgroups;
    cleanup_buf struct buf mounts;
    buf_init(&cgroups, FILE_BYTES_MAX);
    buf_init(&mounts, FILE_BYTES_MAX);
    if (file_read("/proc/self", "cgroup", &cgroups) != 0 ||
        file_read("/proc/self", "mountinfo", &mounts) != 0) {
        note(cgroup, "reading", "/proc/self/cgroup");
        return;
    }
    cgroup_find_v2(buf_span(&cgroups), buf_span(&mounts), &v2);
    unsigned available = *v2.path != '\0' ? limits_read(v2.path, "cgroup.controllers") : 0;
    if (available != 0) {
        make_v2(cgroup, &v2, available, memory);
        return;
    }
    cgroup_find_v1(buf_span(&cgroups), buf_span(&mounts), &v1);
    for (unsigned i = 0; i < v1.count; i++) {
        group_add(cgroup, &v1.items[i], memory);
    }
}

static int make_in(struct cgroup *cgroup, const char *path, uint64_t memory, struct err *err)
{
    struct cgroup_folder folder = {.is_v2 = true};
    struct statfs disk;
    if (strlen(path) >= sizeof folder.path - NAME_MAX_BYTES || statfs(path, &disk) != 0 ||
        disk.f_type != CGROUP2_SUPER_MAGIC) {
        return err_set(err, ERR_USAGE,
                       "%.200s (from --cgroup) is no folder of a cgroup2 file system", path);
    }
    snprintf(folder.path, sizeof folder.path, "%s", path);
    const unsigned available = limits_read(path, "cgroup.controllers");
    make_v2(cgroup, &folder, available, memory);
    return cgroup->limits != 0
               ? 0
               : err_set(err, ERR_SYSTEM, "no limit can be set below %.200s (from --cgroup): %s",
                         path,
                         cgroup->reason[0] != '\0' ? cgroup->reason
                                                   : "it has none of memory, pids and cpu");
}

int cgroup_make(const char *choice, uint64_t memory_bytes, struct cgroup **out, struct err *err)
{
    struct cgroup *cgroup = calloc(1, sizeof *cgroup);
    if (cgroup == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a control group");
    }
    const uint64_t memory = memory_bytes != 0 ? memory_bytes : memory_default();
    int result = 0;
    if (strcmp(choice, "auto") == 0) {
        make_auto(cgroup, memory);
    } else {
        result = make_in(cgroup, choice, memory, err);
    }
    if (result != 0) {
        cgroup_end(cgroup);
        return -1;
    }
    if (cgroup->limits != CGROUP_ALL && cgroup->reason[0] == '\0') {
        snprintf(cgroup->reason, sizeof cgroup->reason,
                 "no controller for it is to be seen in our own group");
    }
    *out = cgroup;
    return 0;
}

/* ---- Use ------------------------------------------------------------------------------------- */

bool cgroup_join_path(const struct cgroup *cgroup, unsigned index, char out[LIMIT_PATH_BYTES_MAX])
{
    return cgroup != NULL && index < cgroup->groups.count &&
           path_make(out, cgroup->groups.items[index].path, "cgroup.procs") == 0;
}

unsigned cgroup_limits(const struct cgroup *cgroup)
{
    return cgroup->limits;
}

const char *cgroup_where(const struct cgroup *cgroup)
{
    return cgroup->groups.count > 0 ? cgroup->groups.items[0].path : "";
}

const char *cgroup_reason(const struct cgroup *cgroup)
{
    return cgroup->reason;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void group_kill(const struct cgroup_folder *group)
{
    cleanup_buf struct buf pids;
    buf_init(&pids, FILE_BYTES_MAX);
    if ((group->is_v2 && file_write(group->path, "cgroup.kill", "1") == 0) ||
        file_read(group->path, "cgroup.procs", &pids) != 0 || buf_append_char(&pids, '\0') != 0) {
        return;
    }
    char *rest = pids.base;
    for (long pid; (pid = strtol(rest, &rest, 10)) > 0;) {
        (void)kill((pid_t)pid, SIGKILL);
    }
}

/* A process that was killed leaves its group a moment later. */
static void group_remove(const struct cgroup_folder *group)
{
    for (unsigned i = 0; i < REMOVE_TRIES && rmdir(group->path) != 0 && errno == EBUSY; i++) {
        group_kill(group);
        (void)usleep(REMOVE_PAUSE_US);
    }
}

void cgroup_end(struct cgroup *cgroup)
{
    if (cgroup == NULL) {
        return;
    }
    for (unsigned i = 0; i < cgroup->groups.count; i++) {
        group_remove(&cgroup->groups.items[i]);
    }
    if (cgroup->enabled != 0) {
        (void)enable(cgroup->parent, cgroup->enabled, '-');
    }
    if (cgroup->own[0] != '\0' && file_write(cgroup->parent, "cgroup.procs", "0") == 0) {
        (void)rmdir(cgroup->own);
    }
    free(cgroup);
}
