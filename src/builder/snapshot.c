/* vitrine-precompile snapshot: boots a warm guest of files that were made here, and saves it. The
 * same for an environment, whose packages are strangers: their code runs in a jail. */
#include "builder/snapshot.h"

#include <dirent.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "builder/commands.h"
#include "builder/environment.h"
#include "builder/supervise.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"

enum { PATH_BYTES_MAX = 4096, PATH_ROOM = 32 };

struct snapshot_job {
    struct guest_config config;
    const char *images[LIMIT_IMAGE_COUNT_MAX + 1];
    const char *out;
    const char *jail_dir; /* of an environment: an empty folder, where it may write; else NULL */
    struct guest *guest;
};

/* ---- In the process that runs the guest ------------------------------------------------------ */

/* Guests are loaded before the jail, which has no way to their files. *path gets the name under
 * which the snapshot can be written. */
static int jail_enter(const struct snapshot_job *job, char path[PATH_BYTES_MAX], struct err *err)
{
    const char *folder;
    if (job->jail_dir == NULL) {
        snprintf(path, PATH_BYTES_MAX, "%s", job->out);
        return 0;
    }
    return supervise_enter_jail(job->jail_dir, &folder, err) != 0 ||
                   snprintf(path, PATH_BYTES_MAX, "%s/" SNAPSHOT_FILE, folder) >= PATH_BYTES_MAX
               ? -1
               : 0;
}

static int make(void *context, struct err *err)
{
    const struct snapshot_job *job = context;
    char path[PATH_BYTES_MAX];
    return jail_enter(job, path, err) != 0 || guest_boot_runner(job->guest, err) != 0
               ? -1
               : guest_snapshot_write(job->guest, path, err);
}

static int try_out(void *context, struct err *err)
{
    const struct snapshot_job *job = context;
    char path[PATH_BYTES_MAX];
    if (jail_enter(job, path, err) != 0 || guest_boot(job->guest, err) != 0) {
        return -1;
    }
    return guest_is_restored(job->guest)
               ? guest_rehearse(job->guest, true, err)
               : err_set(err, ERR_FORMAT, "a guest does not boot from the snapshot");
}

/* ---- In the process that waits --------------------------------------------------------------- */

static int guest_open(struct snapshot_job *job, const char *snapshot_path, struct err *err)
{
    job->config.image_paths = job->images;
    job->config.snapshot_path = snapshot_path;
    return guest_load(&job->config, &job->guest, err);
}

static int snapshot_try(struct snapshot_job *job, struct err *err)
{
    if (guest_open(job, job->out, err) != 0) {
        return -1;
    }
    int result = supervise_part(try_out, job, LIMIT_ENVIRONMENT_PRELOAD_MS, err);
    guest_free(job->guest);
    return result;
}

/* Puts what was made into the environment's folder. It is the only file that counts of those that
 * packages could have left there. */
static int snapshot_take(const char *jail_dir, const char *out, struct err *err)
{
    char made[PATH_BYTES_MAX];
    snprintf(made, sizeof made, "%s/" SNAPSHOT_FILE, jail_dir);
    return rename(made, out) == 0 ? 0 : err_system(err, "rename %s", made);
}

static int snapshot_make(struct snapshot_job *job, struct err *err)
{
    if (guest_open(job, NULL, err) != 0) {
        return -1;
    }
    /* So far it is the core alone that runs. */
    int result = guest_boot_bare(job->guest, err);
    if (result == 0) {
        result = supervise_part(make, job, LIMIT_ENVIRONMENT_PRELOAD_MS, err);
    }
    if (result == 0 && job->jail_dir != NULL) {
        result = snapshot_take(job->jail_dir, job->out, err);
    }
    guest_free(job->guest);
    return result;
}

static int job_run(void *context, struct err *err)
{
    struct snapshot_job *job = context;
    if (snapshot_try(job, err) == 0) {
        return 0;
    }
    return snapshot_make(job, err) != 0 ? -1 : snapshot_try(job, err);
}

static int job_run_on_stack(void *context, struct err *err)
{
    /* A heap of a thread's own asks the system about overcommitment when it shrinks; in a jail
     * there is no such file. */
    mallopt(M_ARENA_MAX, 1);
    return run_on_stack(job_run, context, err);
}

/* ---- Environments ---------------------------------------------------------------------------- */

/* The folder is flat: nothing in it could make another one. */
static void folder_remove(const char *folder)
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        (void)unlinkat(dirfd(stream), entry->d_name, 0);
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
    (void)rmdir(folder);
}

int snapshot_make_environment(const struct snapshot_environment *environment, struct err *err)
{
    char core[PATH_BYTES_MAX];
    char library[PATH_BYTES_MAX];
    char packages[PATH_BYTES_MAX];
    char modules[PATH_BYTES_MAX];
    char out[PATH_BYTES_MAX];
    char jail_dir[PATH_BYTES_MAX - PATH_ROOM];
    const struct {
        char *path;
        const char *folder;
        const char *name;
    } files[] = {
        {core, environment->guest_dir, "core.cwasm"},
        {library, environment->guest_dir, "stdlib.img"},
        {packages, environment->out_dir, ENVIRONMENT_IMAGE_FILE},
        {modules, environment->out_dir, ENVIRONMENT_MODULES_FILE},
        {out, environment->out_dir, SNAPSHOT_FILE},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (snprintf(files[i].path, PATH_BYTES_MAX, "%s/%s", files[i].folder, files[i].name) >=
            PATH_BYTES_MAX) {
            return err_set(err, ERR_USAGE, "the path %s is too long", files[i].folder);
        }
    }
    if (snprintf(jail_dir, sizeof jail_dir, "%s/snapshot-jail", environment->out_dir) >=
        (int)sizeof jail_dir) {
        return err_set(err, ERR_USAGE, "the path %s is too long", environment->out_dir);
    }
    if (mkdir(jail_dir, 0700) != 0) {
        return err_system(err, "mkdir %s", jail_dir);
    }
    struct snapshot_job job = {
        .config = {.core_path = core,
                   .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
                   .warm = 1,
                   .modules_path = modules,
                   .preload = environment->preload},
        .images = {library, packages},
        .out = out,
        .jail_dir = jail_dir,
    };
    int result = supervise(job_run_on_stack, &job, err);
    folder_remove(jail_dir);
    if (result != 0) {
        (void)unlink(out);
    }
    return result;
}

/* ---- The command ----------------------------------------------------------------------------- */

int command_snapshot(int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"core", required_argument, NULL, 'c'},
        {"image", required_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    struct snapshot_job job = {
        .config = {.memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT, .warm = 1},
    };
    size_t images = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c': job.config.core_path = optarg; break;
        case 'i':
            if (images == LIMIT_IMAGE_COUNT_MAX) {
                return err_set(err, ERR_LIMIT, "more than %u images", LIMIT_IMAGE_COUNT_MAX);
            }
            job.images[images++] = optarg;
            break;
        default: return err_set(err, ERR_USAGE, "unknown option");
        }
    }
    if (optind + 1 != argc || job.config.core_path == NULL || images == 0) {
        return err_set(
            err, ERR_USAGE,
            "usage: vitrine-precompile snapshot OUT --core CORE.cwasm --image IN.img...");
    }
    job.out = argv[optind];
    return job_run_on_stack(&job, err);
}
