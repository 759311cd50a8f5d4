/*
 * bench-state: runs Python in a guest of this process, brings back a state that was saved, saves
 * one, and says how long each took, as one line of JSON. What programs print goes to standard
 * error. For bench/run.py, and for tests of states that move between environments.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"

enum { PATH_BYTES_MAX = 4096, CODES_MAX = 16 };

struct job {
    const char *guest_dir;
    const char *environment; /* folder, or NULL */
    const char *restore;     /* file, or NULL */
    const char *save;        /* likewise */
    const char *codes[CODES_MAX];
    size_t code_count;
    struct guest *guest;
    int file;
    char piece[LIMIT_STATE_PIECE_BYTES];
    uint64_t bytes;
};

static int piece_write(void *context, struct span bytes, struct err *err)
{
    struct job *job = context;
    job->bytes += bytes.len;
    return fd_write_full(job->file, bytes.base, bytes.len) == 0 ? 0 : err_system(err, "write");
}

static int piece_read(void *context, struct span *piece, struct err *err)
{
    struct job *job = context;
    const ssize_t len = fd_read_full(job->file, job->piece, sizeof job->piece);
    if (len < 0) {
        return err_system(err, "read");
    }
    *piece = (struct span){job->piece, (size_t)len};
    return 0;
}

static int guest_open(struct job *job, struct err *err)
{
    char core[PATH_BYTES_MAX];
    char library[PATH_BYTES_MAX];
    char packages[PATH_BYTES_MAX];
    char modules[PATH_BYTES_MAX];
    char snapshot[PATH_BYTES_MAX];
    const bool has_packages = job->environment != NULL;
    const char *folder = has_packages ? job->environment : job->guest_dir;
    snprintf(core, sizeof core, "%s/core.cwasm", job->guest_dir);
    snprintf(library, sizeof library, "%s/stdlib.img", job->guest_dir);
    snprintf(packages, sizeof packages, "%s/packages.img", folder);
    snprintf(modules, sizeof modules, "%s/modules", folder);
    snprintf(snapshot, sizeof snapshot, "%s/snapshot", folder);
    const char *const images[] = {library, has_packages ? packages : NULL, NULL};
    const struct guest_config config = {
        .core_path = core,
        .image_paths = images,
        .memory_bytes_max = 2 * GIB,
        .modules_path = has_packages ? modules : NULL,
        .snapshot_path = snapshot,
    };
    return guest_load(&config, &job->guest, err);
}

static int state_restore(struct job *job, struct err *err)
{
    const struct flow_pieces flow = {job, piece_read};
    const struct guest_state_room room = {UINT64_MAX, GIB, LIMIT_FILE_COUNT_DEFAULT};
    job->file = open(job->restore, O_RDONLY | O_CLOEXEC);
    if (job->file < 0) {
        return err_system(err, "open %s", job->restore);
    }
    const int result = guest_state_read(job->guest, &flow, &room, err);
    (void)close(job->file);
    return result;
}

static int state_save(struct job *job, struct err *err)
{
    const struct flow_out flow = {job, piece_write};
    job->file = open(job->save, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (job->file < 0) {
        return err_system(err, "open %s", job->save);
    }
    const int result = guest_state_write(job->guest, &flow, err);
    (void)close(job->file);
    return result;
}

static double ms_since(uint64_t start_us)
{
    return (double)(clock_monotonic_us() - start_us) / 1000.0;
}

static int body(void *context, struct err *err)
{
    struct job *job = context;
    uint64_t start_us = clock_monotonic_us();
    if (guest_open(job, err) != 0) {
        return -1;
    }
    const double load_ms = ms_since(start_us);
    start_us = clock_monotonic_us();
    if ((job->restore != NULL ? state_restore(job, err) : guest_boot(job->guest, err)) != 0) {
        return -1;
    }
    const double start_ms = ms_since(start_us);
    for (size_t i = 0; i < job->code_count; i++) {
        if (guest_execute(job->guest, job->codes[i], err) != 0) {
            return -1;
        }
    }
    start_us = clock_monotonic_us();
    if (job->save != NULL && state_save(job, err) != 0) {
        return -1;
    }
    printf("{\"load_ms\": %.1f, \"%s_ms\": %.1f, \"save_ms\": %.1f, \"bytes\": %llu}\n", load_ms,
           job->restore != NULL ? "restore" : "boot", start_ms, ms_since(start_us),
           (unsigned long long)job->bytes);
    return 0;
}

int main(int argc, char **argv)
{
    static struct job job;
    static const struct option options[] = {
        {"guest-dir", required_argument, NULL, 'g'}, {"environment", required_argument, NULL, 'e'},
        {"restore", required_argument, NULL, 'r'},   {"save", required_argument, NULL, 's'},
        {"code", required_argument, NULL, 'c'},      {NULL, 0, NULL, 0},
    };
    struct err err;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'g': job.guest_dir = optarg; break;
        case 'e': job.environment = optarg; break;
        case 'r': job.restore = optarg; break;
        case 's': job.save = optarg; break;
        case 'c':
            if (job.code_count < CODES_MAX) {
                job.codes[job.code_count++] = optarg;
            }
            break;
        default: return 2;
        }
    }
    if (job.guest_dir == NULL || optind != argc) {
        fprintf(stderr, "usage: bench-state --guest-dir FOLDER [--environment FOLDER] "
                        "[--restore FILE] [-c CODE]... [--save FILE]\n");
        return 2;
    }
    if (run_on_stack(body, &job, &err) != 0) {
        fprintf(stderr, "bench-state: %s\n", err.text);
        return 1;
    }
    return 0;
}
