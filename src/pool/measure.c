#include "pool/measure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "pool/state.h"

enum { FILE_BYTES_MAX = 64 * 1024, FAULTS_FIELD = 10 };

/* A file of /proc as text; empty when it cannot be read. */
static const char *proc_read(struct buf *text, const char *path)
{
    buf_init(text, FILE_BYTES_MAX);
    if (fd_read_file(path, text, NULL) != 0 || buf_append_char(text, '\0') != 0) {
        buf_free(text);
        return "";
    }
    return text->base;
}

/*
 * What would be free without this zygote: its anonymous pages. What it has of files is shared with
 * the others, or can be read again. From /proc/PID/statm, "size resident shared ..." in pages,
 * where "resident" without "shared" is just that; unlike smaps it costs nothing to make, and may be
 * read although the process is not dumpable.
 */
uint64_t measure_zygote(const struct zygote *zygote)
{
    char path[64];
    cleanup_buf struct buf text;
    snprintf(path, sizeof path, "/proc/%d/statm", zygote->pid);
    const char *at = proc_read(&text, path);
    char *rest;
    (void)strtoull(at, &rest, 10);
    const uint64_t resident = strtoull(rest, &rest, 10);
    const uint64_t shared = strtoull(rest, &rest, 10);
    if (resident == 0 || resident < shared) {
        return LIMIT_ENVIRONMENT_MEMORY_GUESS;
    }
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The last of the numbers in /proc/PID/task/TID/children: that thread's newest child, or 0. */
static pid_t newest_child(pid_t parent, const char *thread)
{
    char path[64];
    cleanup_buf struct buf text;
    if (snprintf(path, sizeof path, "/proc/%d/task/%.16s/children", parent, thread) < 0) {
        return 0;
    }
    pid_t found = 0;
    char *rest;
    for (const char *at = proc_read(&text, path); *at != '\0'; at = rest) {
        long pid = strtol(at, &rest, 10);
        if (rest == at) {
            break;
        }
        found = (pid_t)pid;
    }
    return found;
}

/* One thread of a zygote forks. */
static pid_t newest_cell(const struct zygote *zygote)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", zygote->pid);
    DIR *threads = opendir(path);
    pid_t found = 0;
    const struct dirent *entry;
    while (threads != NULL && found == 0 && (entry = readdir(threads)) != NULL) {
        found = entry->d_name[0] == '.' ? 0 : newest_child(zygote->pid, entry->d_name);
    }
    if (threads != NULL) {
        (void)closedir(threads);
    }
    return found;
}

/*
 * A forked process has nothing of its own but what it has touched, a page for each fault; some of
 * them were for pages of files, which are shared, and some pages need tables: measured, this is a
 * fifth to a half more than what is private. From /proc/PID/stat, whose tenth field may be read by
 * anybody; smaps may not.
 */
uint64_t measure_newest_cell(const struct zygote *zygote)
{
    char path[64];
    cleanup_buf struct buf text = {0};
    pid_t pid = newest_cell(zygote);
    if (pid <= 0) {
        return LIMIT_SPARE_BYTES_GUESS;
    }
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const char *at = strrchr(proc_read(&text, path), ')'); /* the second ends here */
    for (int field = 2; at != NULL && field < FAULTS_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    const uint64_t faults = at == NULL ? 0 : strtoull(at, NULL, 10);
    return faults == 0 ? LIMIT_SPARE_BYTES_GUESS : faults * (uint64_t)sysconf(_SC_PAGESIZE);
}
