#include "cell/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_name {
    OPTION_CORE = 1,
    OPTION_IMAGE,
    OPTION_MEMORY_MAX,
    OPTION_WARM,
    OPTION_COLD,
    OPTION_MODULES,
    OPTION_PRELOAD,
    OPTION_JOIN,
    OPTION_SNAPSHOT,
    OPTION_FRESH,
    OPTION_MOUNT,
};

static const struct option long_options[] = {
    {"core", required_argument, NULL, OPTION_CORE},
    {"image", required_argument, NULL, OPTION_IMAGE},
    {"memory-max", required_argument, NULL, OPTION_MEMORY_MAX},
    {"warm", no_argument, NULL, OPTION_WARM},
    {"cold", no_argument, NULL, OPTION_COLD},
    {"modules", required_argument, NULL, OPTION_MODULES},
    {"preload", required_argument, NULL, OPTION_PRELOAD},
    {"join", required_argument, NULL, OPTION_JOIN},
    {"snapshot", required_argument, NULL, OPTION_SNAPSHOT},
    {"fresh", no_argument, NULL, OPTION_FRESH},
    {"mount", required_argument, NULL, OPTION_MOUNT},
    {NULL, 0, NULL, 0},
};

static int image_add(struct cell_options *options, const char *path, struct err *err)
{
    size_t count = 0;
    while (options->images[count] != NULL) {
        count++;
    }
    if (count == LIMIT_IMAGE_COUNT_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u images", LIMIT_IMAGE_COUNT_MAX);
    }
    options->images[count] = path;
    return 0;
}

static int group_add(struct cell_options *options, const char *path, struct err *err)
{
    if (options->group_count == CELL_GROUPS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d control groups", CELL_GROUPS_MAX);
    }
    options->groups[options->group_count++] = path;
    return 0;
}

/* MODE:PATH; the directory is the next of the inherited descriptors. */
static int mount_add(struct cell_options *options, const char *text, struct err *err)
{
    static const struct {
        const char *name;
        enum guest_grant how;
    } modes[] = {
        {"ro:", GUEST_GRANT_READ}, {"rw:", GUEST_GRANT_WRITE}, {"overlay:", GUEST_GRANT_OVERLAY}};
    const unsigned place = options->grants.count;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const size_t len = strlen(modes[i].name);
        if (strncmp(text, modes[i].name, len) != 0 || text[len] != '/') {
            continue;
        }
        if (place == JAIL_GRANTS_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d directories", JAIL_GRANTS_MAX);
        }
        options->mounts[place].path = text + len;
        options->mounts[place].how = modes[i].how;
        options->grants.is_writable[place] = modes[i].how == GUEST_GRANT_WRITE;
        options->grants.count++;
        return 0;
    }
    return err_set(err, ERR_USAGE, "--mount %s is not MODE:PATH", text);
}

static int memory_parse(const char *text, uint64_t *out, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < LIMIT_MEMORY_BYTES_MIN ||
        value > LIMIT_MEMORY_BYTES_MAX) {
        return err_set(err, ERR_USAGE, "--memory-max %s is not from %llu to %llu", text,
                       LIMIT_MEMORY_BYTES_MIN, LIMIT_MEMORY_BYTES_MAX);
    }
    *out = value;
    return 0;
}

static int option_apply(struct cell_options *options, int name, const char *value, struct err *err)
{
    switch (name) {
    case OPTION_CORE: options->guest.core_path = value; return 0;
    case OPTION_IMAGE: return image_add(options, value, err);
    case OPTION_MEMORY_MAX: return memory_parse(value, &options->guest.memory_bytes_max, err);
    case OPTION_WARM: options->guest.warm = 1; return 0;
    case OPTION_COLD: options->guest.warm = 0; return 0;
    case OPTION_MODULES: options->guest.modules_path = value; return 0;
    case OPTION_PRELOAD: options->guest.preload = value; return 0;
    case OPTION_JOIN: return group_add(options, value, err);
    case OPTION_SNAPSHOT: options->guest.snapshot_path = value; return 0;
    case OPTION_MOUNT: return mount_add(options, value, err);
    case OPTION_FRESH: options->is_fresh = true; return 0;
    default: return err_set(err, ERR_USAGE, "an unknown or incomplete option");
    }
}

/* ---- Folders --------------------------------------------------------------------------------- */

static int folder_add(struct cell_options *options, const char *folder, struct err *err)
{
    for (size_t i = 0; i < options->folder_count; i++) {
        if (strcmp(options->folders[i], folder) == 0) {
            return 0;
        }
    }
    if (options->folder_count == CELL_FOLDERS_MAX) {
        return err_set(err, ERR_LIMIT, "files in more than %d folders", CELL_FOLDERS_MAX);
    }
    options->folders[options->folder_count++] = folder;
    return 0;
}

/* The way to a file once more, from the root and without links, because neither the working
 * directory nor the links will be there when it is opened. NULL is none. */
static int path_settle(struct cell_options *options, const char **path, struct err *err)
{
    if (*path == NULL) {
        return 0;
    }
    const char *slash = strrchr(*path, '/');
    const char *name = slash == NULL ? *path : slash + 1;
    char *written = strndup(*path, slash == NULL ? 0 : (size_t)(slash - *path + 1));
    char *folder = written == NULL ? NULL : realpath(slash == NULL ? "." : written, NULL);
    free(written);
    if (folder == NULL) {
        return err_system(err, "the folder of %s", *path);
    }
    char *settled = NULL;
    if (asprintf(&settled, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) < 0) {
        return err_set(err, ERR_MEMORY, "no memory for a path");
    }
    *path = settled;
    return folder_add(options, folder, err);
}

static int paths_settle(struct cell_options *options, struct err *err)
{
    if (path_settle(options, &options->guest.core_path, err) != 0 ||
        path_settle(options, &options->guest.modules_path, err) != 0 ||
        path_settle(options, &options->guest.snapshot_path, err) != 0) {
        return -1;
    }
    for (const char **image = options->images; *image != NULL; image++) {
        if (path_settle(options, image, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int cell_options_parse(int argc, char **argv, struct cell_options *out, struct err *err)
{
    *out = (struct cell_options){.guest = {.memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT}};
    out->guest.image_paths = out->images;
    opterr = 0;
    int name;
    while ((name = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option_apply(out, name, optarg, err) != 0) {
            return -1;
        }
    }
    if (optind != argc || out->guest.core_path == NULL) {
        return err_set(err, ERR_USAGE,
                       "this program is started by vitrine: --core PATH --image "
                       "PATH... --memory-max BYTES [--modules FILE] [--preload NAMES] [--snapshot "
                       "FILE] [--fresh] [--join FILE...] [--mount MODE:PATH...] --warm|--cold");
    }
    if (out->is_fresh) {
        out->guest.snapshot_path = NULL;
    }
    return paths_settle(out, err);
}
