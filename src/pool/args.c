#include "pool/args.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"

/* The program, six options with a value, two for each image and one more, --warm, --fresh, two for
 * each control group and each mount, and the final NULL. */
enum { ARGS_MAX = 18 + 2 * LIMIT_IMAGE_COUNT_MAX + 2 * CGROUP_GROUPS_MAX + 2 * LIMIT_MOUNTS_MAX };

struct args {
    char *items[ARGS_MAX];
    size_t count;
};

__attribute__((format(printf, 3, 4))) static int add(struct args *args, struct err *err,
                                                     const char *format, ...)
{
    char text[LIMIT_PATH_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (len < 0 || (size_t)len >= sizeof text) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", text);
    }
    char *item = strdup(text);
    if (item == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a path");
    }
    assert(args->count < ARGS_MAX - 1);
    args->items[args->count++] = item;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_image(const char *name)
{
    size_t len = strlen(name);
    return len > strlen(".img") && strcmp(name + len - strlen(".img"), ".img") == 0;
}

/* The images of a folder lie over each other in the order of their names. */
static int images_add(struct args *args, const char *dir, struct err *err)
{
    char *names[LIMIT_IMAGE_COUNT_MAX];
    size_t count = 0;
    int result = 0;
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return err_system(err, "opening the folder %s", dir);
    }
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(stream)) != NULL) {
        if (!is_image(entry->d_name)) {
            continue;
        }
        if (count == LIMIT_IMAGE_COUNT_MAX) {
            result =
                err_set(err, ERR_LIMIT, "more than %u images in %s", LIMIT_IMAGE_COUNT_MAX, dir);
        } else if ((names[count] = strdup(entry->d_name)) == NULL) {
            result = err_set(err, ERR_MEMORY, "no memory for the name of an image");
        } else {
            count++;
        }
    }
    (void)closedir(stream);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (result == 0 &&
            (add(args, err, "--image") != 0 || add(args, err, "%s/%s", dir, names[i]) != 0)) {
            result = -1;
        }
        free(names[i]);
    }
    return result;
}

/* A guest like the folder's, booted; there may be none, and the guest knows whether it fits. */
static const char snapshot_file[] = "snapshot";

static int snapshot_add(struct args *args, const char *dir, bool *is_there, struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, snapshot_file);
    *is_there = len > 0 && (size_t)len < sizeof path && access(path, R_OK) == 0;
    return *is_there && (add(args, err, "--snapshot") != 0 || add(args, err, "%s", path) != 0) ? -1
                                                                                               : 0;
}

static int parts_check(const struct pool_config *config, struct err *err)
{
    char core[LIMIT_PATH_BYTES_MAX];
    int len = snprintf(core, sizeof core, "%s/core.cwasm", config->guest_dir);
    if (len < 0 || (size_t)len >= sizeof core) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", config->guest_dir);
    }
    if (access(config->cell_path, X_OK) != 0) {
        return err_set(err, ERR_MISSING, "%s is no program that can be started: run `make build`",
                       config->cell_path);
    }
    if (access(core, R_OK) != 0) {
        return err_set(err, ERR_MISSING, "the guest %s cannot be read: run `make build`", core);
    }
    return 0;
}

static int groups_add(struct args *args, const struct cgroup *cgroup, struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    for (unsigned i = 0; cgroup_join_path(cgroup, i, path); i++) {
        if (add(args, err, "--join") != 0 || add(args, err, "%s", path) != 0) {
            return -1;
        }
    }
    return 0;
}

/* A path as the guest's tree has it: from the root, one name after the other. */
static bool is_plain(struct span path)
{
    size_t at = 1;
    if (path.len < 2 || path.base[0] != '/' || path.len >= LIMIT_PATH_BYTES_MAX / 2) {
        return false;
    }
    while (at <= path.len) {
        const struct span rest = {path.base + at, path.len - at};
        const char *slash = rest.len > 0 ? memchr(rest.base, '/', rest.len) : NULL;
        const struct span name = {rest.base,
                                  slash == NULL ? rest.len : (size_t)(slash - rest.base)};
        if (name.len == 0 || name.len > LIMIT_NAME_BYTES_MAX || span_equal(name, span_of(".")) ||
            span_equal(name, span_of(".."))) {
            return false;
        }
        at += name.len + 1;
    }
    return true;
}

static int mounts_add(struct args *args, const struct pool_config *config, struct err *err)
{
    static const char *const modes[] = {
        [POOL_MOUNT_RO] = "ro", [POOL_MOUNT_RW] = "rw", [POOL_MOUNT_OVERLAY] = "overlay"};
    if (config->mount_count > LIMIT_MOUNTS_MAX) {
        return err_set(err, ERR_USAGE, "more than %u directories are mounted", LIMIT_MOUNTS_MAX);
    }
    for (unsigned i = 0; i < config->mount_count; i++) {
        const struct pool_mount *mount = &config->mounts[i];
        if (!is_plain(span_of(mount->path))) {
            return err_set(err, ERR_USAGE,
                           "nothing can be mounted at \"%.200s\": it has to be an absolute path "
                           "without \".\" and \"..\", such as " POOL_WORK_DIR,
                           mount->path);
        }
        if (add(args, err, "--mount") != 0 ||
            add(args, err, "%s:%s", modes[mount->mode], mount->path) != 0) {
            return -1;
        }
    }
    return 0;
}

int args_new(const struct pool_config *config, const struct cgroup *cgroup, char ***out,
             struct err *err)
{
    if (parts_check(config, err) != 0) {
        return -1;
    }
    bool has_snapshot;
    struct args *args = calloc(1, sizeof *args);
    if (args == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a command line");
    }
    if (add(args, err, "%s", config->cell_path) != 0 || add(args, err, "--core") != 0 ||
        add(args, err, "%s/core.cwasm", config->guest_dir) != 0 ||
        images_add(args, config->guest_dir, err) != 0 || add(args, err, "--memory-max") != 0 ||
        add(args, err, "%" PRIu64, config->memory_bytes_max) != 0 ||
        (!config->is_shared && snapshot_add(args, config->guest_dir, &has_snapshot, err) != 0) ||
        add(args, err, config->warm ? "--warm" : "--cold") != 0 ||
        mounts_add(args, config, err) != 0 || groups_add(args, cgroup, err) != 0) {
        args_free(args->items);
        return -1;
    }
    *out = args->items; /* the first member: args_free frees the whole */
    return 0;
}

/* ---- Environments ---------------------------------------------------------------------------- */

/* In its folder; the third one may be absent, as may the snapshot. */
static const char image_file[] = "packages.img";
static const char modules_file[] = "modules";
static const char preload_file[] = "preload";

static int file_check(const char *dir, const char *name, struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", dir);
    }
    if (access(path, R_OK) != 0) {
        return err_set(err, ERR_MISSING,
                       "%s cannot be read: the folder was removed or is not whole", path);
    }
    return 0;
}

int args_check_environment(const char *dir, struct err *err)
{
    return file_check(dir, image_file, err) != 0 ? -1 : file_check(dir, modules_file, err);
}

/* Names of modules and nothing else, with commas between them. */
static bool is_preload(struct span names)
{
    for (size_t i = 0; i < names.len; i++) {
        char c = names.base[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_mark = c == ',' || c == '.' || (c >= '0' && c <= '9');
        if (!is_letter && !is_mark) {
            return false;
        }
    }
    return names.len > 0;
}

/* The first line of the file, when it is one of names; there may be none. */
static void preload_read(const char *dir, struct buf *names)
{
    char path[LIMIT_PATH_BYTES_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", dir, preload_file);
    if (len < 0 || (size_t)len >= sizeof path || fd_read_file(path, names, NULL) != 0) {
        buf_clear(names);
        return;
    }
    const char *newline = names->len > 0 ? memchr(names->base, '\n', names->len) : NULL;
    names->len = newline != NULL ? (size_t)(newline - names->base) : names->len;
    if (names->len > 0 && !is_preload(buf_span(names))) {
        log_warning("%s: not a line of module names; nothing is imported ahead", path);
        buf_clear(names);
    }
}

static int environment_add(struct args *args, const char *dir, unsigned ahead, bool *has_ahead,
                           struct err *err)
{
    bool has_snapshot = false;
    cleanup_buf struct buf names;
    buf_init(&names, LIMIT_PRELOAD_BYTES_MAX);
    if ((ahead & ARGS_AHEAD_IMPORTS) != 0) {
        preload_read(dir, &names);
    }
    if (add(args, err, "--image") != 0 || add(args, err, "%s/%s", dir, image_file) != 0 ||
        add(args, err, "--modules") != 0 || add(args, err, "%s/%s", dir, modules_file) != 0) {
        return -1;
    }
    if (names.len > 0 && (add(args, err, "--preload") != 0 ||
                          add(args, err, "%.*s", (int)names.len, names.base) != 0)) {
        return -1;
    }
    if ((ahead & ARGS_AHEAD_SNAPSHOT) != 0 && snapshot_add(args, dir, &has_snapshot, err) != 0) {
        return -1;
    }
    *has_ahead = names.len > 0 || has_snapshot;
    return 0;
}

int args_new_zygote(char *const *base, const struct args_zygote *zygote, char ***out,
                    bool *has_ahead, struct err *err)
{
    *has_ahead = false;
    if (zygote->dir != NULL && args_check_environment(zygote->dir, err) != 0) {
        return -1;
    }
    struct args *args = calloc(1, sizeof *args);
    if (args == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a command line");
    }
    int result = 0;
    for (size_t i = 0; result == 0 && base[i] != NULL; i++) {
        result = add(args, err, "%s", base[i]);
    }
    if (result == 0 && zygote->dir != NULL) {
        result = environment_add(args, zygote->dir, zygote->ahead, has_ahead, err);
    }
    if (result == 0 && zygote->is_fresh) {
        result = add(args, err, "--fresh");
    }
    if (result != 0) {
        args_free(args->items);
        return -1;
    }
    *out = args->items;
    return 0;
}

void args_free(char **args)
{
    for (size_t i = 0; args != NULL && args[i] != NULL; i++) {
        free(args[i]);
    }
    free(args);
}
