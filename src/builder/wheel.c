/* vitrine-precompile wheel: from a wheel to files that an environment is merged from. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "builder/about.h"
#include "builder/commands.h"
#include "builder/environment.h"
#include "builder/install.h"
#include "builder/supervise.h"
#include "builder/wheel_bytecode.h"
#include "builder/wheel_modules.h"
#include "guest/guest.h"
#include "wheel/sum.h"

enum { PATH_BYTES_MAX = 4096 };

#define SYMBOLS_BYTES_MAX (16 * MIB)
#define TEXT_BYTES_MAX    (16 * MIB)

struct wheel_job {
    const char *out_dir;
    const char *guest_dir;
    const char *sha256; /* expected; NULL when it does not matter */
    const char *filename;
    struct buf bytes; /* the wheel; nobody looks at it before the jail is closed */
    struct span library_bytes;
    struct image library;
    struct buf symbols;
    struct record core;
};

/* What becomes of the wheel, in the jail. */
struct build {
    const struct wheel_job *job;
    const char *out_dir; /* as it is called in the jail */
    char sha256[SUM_SHA256_HEX_CHARS + 1];
    struct wheel *wheel;
    struct wheel_bytecode *bytecode;
    struct wheel_modules modules;
    struct image_writer *image;
    size_t files;
};

/* ---- Steps ----------------------------------------------------------------------------------- */

static int build_check_sum(struct build *build, struct err *err)
{
    struct sum sum;
    if (sum_make(SUM_SHA256, buf_span(&build->job->bytes), &sum, err) != 0) {
        return -1;
    }
    sum_hex(&sum, build->sha256);
    if (build->job->sha256 != NULL && strcasecmp(build->job->sha256, build->sha256) != 0) {
        return err_set(err, ERR_FORMAT, "%s has the SHA-256 sum %s, not %s", build->job->filename,
                       build->sha256, build->job->sha256);
    }
    return 0;
}

static int build_modules(struct build *build, struct err *err)
{
    size_t count = wheel_file_count(build->wheel);
    build->modules.items = calloc(count + 1, sizeof *build->modules.items);
    if (build->modules.items == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for %zu files", count);
    }
    for (size_t i = 0; i < count; i++) {
        struct span path;
        if (install_kind(build->wheel, i, &build->job->library, &path) == INSTALL_LIBRARY) {
            build->modules.items[build->modules.count++] = (struct wheel_module){
                .index = i,
                .size = wheel_file_at(build->wheel, i).size,
            };
        }
    }
    return wheel_modules_build(build->wheel, &build->job->core, build->out_dir, &build->modules,
                               err);
}

static int add_file(struct build *build, struct span path, struct span bytes, uint32_t mode,
                    struct err *err)
{
    char full[PATH_BYTES_MAX];
    int len = snprintf(full, sizeof full, SITE_PACKAGES "/%.*s", (int)path.len, path.base);
    if (len < 0 || (size_t)len >= sizeof full) {
        return err_set(err, ERR_LIMIT, "the path %.*s is too long", (int)path.len, path.base);
    }
    return image_writer_add_file(build->image, (struct span){full, (size_t)len}, bytes, mode, err);
}

static int add_as_it_is(struct build *build, size_t index, struct span path, struct err *err)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, LIMIT_WHEEL_FILE_BYTES_MAX + 1);
    uint32_t mode = wheel_file_at(build->wheel, index).is_executable ? 0755 : 0644;
    return wheel_read(build->wheel, index, &bytes, err) != 0 ||
                   add_file(build, path, buf_span(&bytes), mode, err) != 0
               ? -1
               : 0;
}

static int add_source(struct build *build, size_t index, struct span path, struct err *err)
{
    struct span bytecode = wheel_bytecode_of(build->bytecode, index);
    cleanup_buf struct buf bytecode_path;
    buf_init(&bytecode_path, PATH_BYTES_MAX);
    if (add_as_it_is(build, index, path, err) != 0) {
        return -1;
    }
    if (bytecode.len == 0) {
        return 0;
    }
    if (install_bytecode_path(path, &bytecode_path) != 0) {
        return err_set(err, ERR_LIMIT, "the path %.*s is too long", (int)path.len, path.base);
    }
    return add_file(build, buf_span(&bytecode_path), bytecode, 0644, err);
}

/* Files are visited by name, so that those of one module come one after the other. */
static void warn_of_shadow(struct span path, struct span *last)
{
    struct span top = install_top(path);
    if (!span_equal(top, *last)) {
        *last = top;
        log_warning("the wheel's module %.*s is left out: the sandbox has its own, which wins",
                    (int)top.len, top.base);
    }
}

static int build_image(struct build *build, struct err *err)
{
    struct span shadow = {0};
    size_t module = 0;
    int result = 0;
    build->image = image_writer_new(IMAGE_MTIME_DEFAULT_S);
    if (build->image == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for an image");
    }
    for (size_t i = 0; result == 0 && i < wheel_file_count(build->wheel); i++) {
        struct span path;
        enum install_kind kind = install_kind(build->wheel, i, &build->job->library, &path);
        build->files += kind != INSTALL_NOT && kind != INSTALL_SHADOW;
        switch (kind) {
        case INSTALL_NOT: break;
        case INSTALL_SHADOW: warn_of_shadow(path, &shadow); break;
        case INSTALL_FILE: result = add_as_it_is(build, i, path, err); break;
        case INSTALL_SOURCE: result = add_source(build, i, path, err); break;
        case INSTALL_LIBRARY:
            result =
                add_file(build, path, buf_span(&build->modules.items[module++].record), 0644, err);
            break;
        }
    }
    return result;
}

static int write_text(const struct build *build, const char *name, struct span text,
                      struct err *err)
{
    char path[PATH_BYTES_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", build->out_dir, name) >= sizeof path) {
        return err_set(err, ERR_USAGE, "the path %s is too long", build->out_dir);
    }
    return fd_write_file(path, text, err);
}

static int build_write(struct build *build, struct err *err)
{
    char path[PATH_BYTES_MAX];
    cleanup_buf struct buf list;
    cleanup_buf struct buf about;
    buf_init(&list, TEXT_BYTES_MAX);
    buf_init(&about, TEXT_BYTES_MAX);
    const struct about values = {
        .wheel = build->wheel,
        .library = &build->job->library,
        .sha256 = build->sha256,
        .filename = build->job->filename,
        .files = build->files,
        .modules = build->modules.count,
    };
    if (wheel_modules_list(&build->modules, &list) != 0 || about_write(&values, &about) != 0) {
        return err_set(err, ERR_LIMIT, "no room for the lists of the wheel");
    }
    if ((size_t)snprintf(path, sizeof path, "%s/" WHEEL_IMAGE_FILE, build->out_dir) >=
        sizeof path) {
        return err_set(err, ERR_USAGE, "the path %s is too long", build->out_dir);
    }
    return image_writer_write(build->image, path, err) != 0 ||
                   write_text(build, WHEEL_MODULES_FILE, buf_span(&list), err) != 0 ||
                   write_text(build, WHEEL_ABOUT_FILE, buf_span(&about), err) != 0
               ? -1
               : 0;
}

/* ---- The build ------------------------------------------------------------------------------- */

static int build_run(struct build *build, struct err *err)
{
    const struct wheel_job *job = build->job;
    if (supervise_enter_jail(job->out_dir, &build->out_dir, err) != 0 ||
        build_check_sum(build, err) != 0 ||
        wheel_open(buf_span(&job->bytes), job->filename, &build->wheel, err) != 0 ||
        build_modules(build, err) != 0) {
        return -1;
    }
    wheel_bytecode_wait(build->bytecode);
    return build_image(build, err) != 0 || build_write(build, err) != 0 ? -1 : 0;
}

/* The guests that make bytecode start while this process has not been jailed: they map machine
 * code, then jail themselves. */
static int build_body(void *context, struct err *err)
{
    const struct wheel_job *job = context;
    struct build build = {.job = job};
    const struct wheel_bytecode_config bytecode = {
        .guest_dir = job->guest_dir,
        .library = &job->library,
        .wheel = buf_span(&job->bytes),
        .filename = job->filename,
    };
    int result =
        wheel_bytecode_start(&bytecode, &build.bytecode, err) != 0 || build_run(&build, err) != 0
            ? -1
            : 0;
    image_writer_free(build.image);
    wheel_modules_free(&build.modules);
    wheel_close(build.wheel);
    wheel_bytecode_free(build.bytecode);
    return result;
}

static int job_open(struct wheel_job *job, const char *wheel_path, struct err *err)
{
    char library[PATH_BYTES_MAX];
    char symbols[PATH_BYTES_MAX];
    buf_init(&job->bytes, LIMIT_FETCH_WHEEL_BYTES_MAX);
    buf_init(&job->symbols, SYMBOLS_BYTES_MAX);
    if ((size_t)snprintf(library, sizeof library, "%s/stdlib.img", job->guest_dir) >=
            sizeof library ||
        (size_t)snprintf(symbols, sizeof symbols, "%s/" GUEST_SYMBOLS_FILE, job->guest_dir) >=
            sizeof symbols) {
        return err_set(err, ERR_USAGE, "the path %s is too long", job->guest_dir);
    }
    const char *slash = strrchr(wheel_path, '/');
    job->filename = slash == NULL ? wheel_path : slash + 1;
    return fd_read_file(wheel_path, &job->bytes, err) != 0 ||
                   fd_map_file(library, &job->library_bytes, err) != 0 ||
                   image_open(job->library_bytes, &job->library, err) != 0 ||
                   fd_read_file(symbols, &job->symbols, err) != 0 ||
                   record_open(buf_span(&job->symbols), &job->core, err) != 0 ||
                   wheel_prepare(err) != 0
               ? -1
               : 0;
}

int command_wheel(int argc, char **argv, struct err *err)
{
    static const struct option options[] = {
        {"guest", required_argument, NULL, 'g'},
        {"sha256", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct wheel_job job = {0};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'g': job.guest_dir = optarg; break;
        case 's': job.sha256 = optarg; break;
        default: return err_set(err, ERR_USAGE, "unknown option");
        }
    }
    if (optind + 2 != argc || job.guest_dir == NULL) {
        return err_set(err, ERR_USAGE,
                       "usage: vitrine-precompile wheel WHEEL.whl OUTDIR --guest GUESTDIR "
                       "[--sha256 HEX]");
    }
    job.out_dir = argv[optind + 1];
    int result = job_open(&job, argv[optind], err);
    if (result == 0) {
        result = supervise(build_body, &job, err);
    }
    buf_free(&job.bytes);
    buf_free(&job.symbols);
    return result;
}
