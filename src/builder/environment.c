/* vitrine-precompile environment: merges what `wheel` made into one environment. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "builder/commands.h"
#include "builder/environment.h"
#include "builder/merge.h"
#include "builder/snapshot.h"
#include "builder/supervise.h"
#include "wheel/sum.h"

enum {
    PATH_BYTES_MAX = 4096,
    NATIVE_NAME_BYTES = SUM_SHA256_HEX_CHARS + 6, /* "SUM.cwasm" */
    LINE_BYTES = SUM_SHA256_HEX_CHARS + 1 + NATIVE_NAME_BYTES + 1,
};

#define ABOUT_BYTES_MAX (16 * MIB)

struct environment_job {
    const char *out_dir;
    const char *about_path; /* NULL: there is none */
    const char *guest_dir;  /* NULL: no snapshot is made */
    const char *preload;    /* or NULL */
    struct buf about;
    struct merge_source *wheels;
    struct buf *lists; /* the file "modules" of each wheel */
    size_t count;
};

static int path_join(char path[PATH_BYTES_MAX], const char *dir, const char *name, struct err *err)
{
    return (size_t)snprintf(path, PATH_BYTES_MAX, "%s/%s", dir, name) < PATH_BYTES_MAX
               ? 0
               : err_set(err, ERR_USAGE, "the path %s is too long", dir);
}

/* ---- The list of modules --------------------------------------------------------------------- */

/* Every line has the same length, so that there is nothing to parse. */
static bool line_is_valid(const char *line)
{
    for (size_t i = 0; i < SUM_SHA256_HEX_CHARS; i++) {
        bool is_hex = (line[i] >= '0' && line[i] <= '9') || (line[i] >= 'a' && line[i] <= 'f');
        if (!is_hex) {
            return false;
        }
    }
    const char *name = line + SUM_SHA256_HEX_CHARS + 1;
    return name[-1] == ' ' && memcmp(name, line, SUM_SHA256_HEX_CHARS) == 0 &&
           memcmp(name + SUM_SHA256_HEX_CHARS, ".cwasm\n", 7) == 0;
}

static int list_check(struct span list, struct err *err)
{
    bool is_valid = list.len % LINE_BYTES == 0;
    for (size_t at = 0; is_valid && at < list.len; at += LINE_BYTES) {
        is_valid = line_is_valid(list.base + at);
    }
    return is_valid ? 0 : err_set(err, ERR_FORMAT, "the list of modules is damaged");
}

static bool list_has(struct span list, const char *line)
{
    for (size_t at = 0; at < list.len; at += LINE_BYTES) {
        if (memcmp(list.base + at, line, LINE_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* All lists in one, each module once. */
static int lists_merge(const struct environment_job *job, struct buf *out, struct err *err)
{
    buf_init(out, (size_t)LIMIT_MODULES_MAX * LINE_BYTES);
    for (size_t i = 0; i < job->count; i++) {
        struct span list = buf_span(&job->lists[i]);
        for (size_t at = 0; at < list.len; at += LINE_BYTES) {
            if (!list_has(buf_span(out), list.base + at) &&
                buf_append(out, list.base + at, LINE_BYTES) != 0) {
                return err_set(err, ERR_LIMIT, "more than %u side modules", LIMIT_MODULES_MAX);
            }
        }
    }
    return 0;
}

/* ---- Machine code ---------------------------------------------------------------------------- */

static int native_copy(const char *from, const char *to, struct err *err)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, LIMIT_BUILD_NATIVE_BYTES);
    return fd_read_file(from, &bytes, err) != 0 ? -1 : fd_write_file(to, buf_span(&bytes), err);
}

/* A second name for the same file, or a copy where the file system has no links. */
static int native_link(const char *wheel_dir, const char *out_dir, const char *name,
                       struct err *err)
{
    char from[PATH_BYTES_MAX];
    char to[PATH_BYTES_MAX];
    if (path_join(from, wheel_dir, name, err) != 0 || path_join(to, out_dir, name, err) != 0) {
        return -1;
    }
    return link(from, to) == 0 ? 0 : native_copy(from, to, err);
}

/* Outside the jail, which has no way to the wheels' folders; by names that have been checked. */
static int natives_link(const struct environment_job *job, struct span merged, struct err *err)
{
    for (size_t at = 0; at < merged.len; at += LINE_BYTES) {
        char name[NATIVE_NAME_BYTES + 1];
        size_t owner = 0;
        memcpy(name, merged.base + at + SUM_SHA256_HEX_CHARS + 1, NATIVE_NAME_BYTES);
        name[NATIVE_NAME_BYTES] = '\0';
        while (!list_has(buf_span(&job->lists[owner]), merged.base + at)) {
            owner++;
        }
        if (native_link(job->wheels[owner].name, job->out_dir, name, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- The command ----------------------------------------------------------------------------- */

static int body(void *context, struct err *err)
{
    const struct environment_job *job = context;
    const char *out_dir;
    char path[PATH_BYTES_MAX];
    if (supervise_enter_jail(job->out_dir, &out_dir, err) != 0 ||
        path_join(path, out_dir, ENVIRONMENT_IMAGE_FILE, err) != 0 ||
        merge_write(job->wheels, job->count, path, err) != 0) {
        return -1;
    }
    if (job->about_path == NULL) {
        return 0;
    }
    return path_join(path, out_dir, ENVIRONMENT_ABOUT_FILE, err) != 0
               ? -1
               : fd_write_file(path, buf_span(&job->about), err);
}

static int wheel_open_dir(struct environment_job *job, size_t index, struct err *err)
{
    char image[PATH_BYTES_MAX];
    char list[PATH_BYTES_MAX];
    struct merge_source *wheel = &job->wheels[index];
    buf_init(&job->lists[index], (size_t)LIMIT_MODULES_MAX * LINE_BYTES);
    if (path_join(image, wheel->name, WHEEL_IMAGE_FILE, err) != 0 ||
        path_join(list, wheel->name, WHEEL_MODULES_FILE, err) != 0 ||
        fd_map_file(image, &wheel->bytes, err) != 0 ||
        fd_read_file(list, &job->lists[index], err) != 0) {
        return -1;
    }
    return list_check(buf_span(&job->lists[index]), err) == 0 ? 0 : err_prefix(err, "%s", list);
}

static int job_run(void *context, struct err *err)
{
    struct environment_job *job = context;
    char path[PATH_BYTES_MAX];
    cleanup_buf struct buf merged;
    buf_init(&merged, 0);
    buf_init(&job->about, ABOUT_BYTES_MAX);
    if (job->about_path != NULL && fd_read_file(job->about_path, &job->about, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < job->count; i++) {
        if (wheel_open_dir(job, i, err) != 0) {
            return -1;
        }
    }
    return lists_merge(job, &merged, err) != 0 || supervise(body, job, err) != 0 ||
                   natives_link(job, buf_span(&merged), err) != 0 ||
                   path_join(path, job->out_dir, ENVIRONMENT_MODULES_FILE, err) != 0 ||
                   fd_write_file(path, buf_span(&merged), err) != 0
               ? -1
               : 0;
}

static int options_read(struct environment_job *job, int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"wheel", required_argument, NULL, 'w'},
        {"about", required_argument, NULL, 'a'},
        {"guest", required_argument, NULL, 'g'},
        {"preload", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'w':
            if (job->count == LIMIT_PACKAGES_MAX) {
                return err_set(err, ERR_LIMIT, "more than %u wheels", LIMIT_PACKAGES_MAX);
            }
            job->wheels[job->count++].name = optarg;
            break;
        case 'a': job->about_path = optarg; break;
        case 'g': job->guest_dir = optarg; break;
        case 'p': job->preload = optarg; break;
        default: return err_set(err, ERR_USAGE, "unknown option");
        }
    }
    if (optind + 1 != argc || job->count == 0) {
        return err_set(err, ERR_USAGE,
                       "usage: vitrine-precompile environment OUTDIR --wheel WHEELDIR... "
                       "[--about FILE.json] [--guest GUESTDIR [--preload NAMES]]");
    }
    job->out_dir = argv[optind];
    return 0;
}

/* Without one a guest takes longer to boot, which is no reason to have no environment. */
static void snapshot_add(const struct environment_job *job)
{
    const struct snapshot_environment environment = {job->out_dir, job->guest_dir, job->preload};
    struct err err;
    if (job->guest_dir != NULL && snapshot_make_environment(&environment, &err) != 0) {
        log_warning("there is no snapshot of this environment: %s", err.text);
    }
}

int command_environment(int argc, char **argv, struct err *err)
{
    struct environment_job job = {
        .wheels = calloc(LIMIT_PACKAGES_MAX, sizeof *job.wheels),
        .lists = calloc(LIMIT_PACKAGES_MAX, sizeof *job.lists),
    };
    int result = job.wheels == NULL || job.lists == NULL
                     ? err_set(err, ERR_MEMORY, "no memory for the wheels")
                     : options_read(&job, argc, argv, err);
    if (result == 0) {
        /* In a child, because a process can leave its pid namespace once. */
        result = supervise_part(job_run, &job, 2 * LIMIT_BUILD_MS, err);
    }
    if (result == 0) {
        snapshot_add(&job);
    }
    for (size_t i = 0; i < job.count; i++) {
        buf_free(&job.lists[i]);
    }
    free(job.wheels);
    free(job.lists);
    buf_free(&job.about);
    return result;
}
