#include "pool/args.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"

/* The program, three options with a value, two for each image, --warm, and the final NULL. */
enum { ARGS_MAX = 8 + 2 * LIMIT_IMAGE_COUNT_MAX };

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

int args_new(const struct pool_config *config, char ***out, struct err *err)
{
    if (parts_check(config, err) != 0) {
        return -1;
    }
    struct args *args = calloc(1, sizeof *args);
    if (args == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a command line");
    }
    if (add(args, err, "%s", config->cell_path) != 0 || add(args, err, "--core") != 0 ||
        add(args, err, "%s/core.cwasm", config->guest_dir) != 0 ||
        images_add(args, config->guest_dir, err) != 0 || add(args, err, "--memory-max") != 0 ||
        add(args, err, "%" PRIu64, config->memory_bytes_max) != 0 ||
        add(args, err, config->warm ? "--warm" : "--cold") != 0) {
        args_free(args->items);
        return -1;
    }
    *out = args->items; /* the first member: args_free frees the whole */
    return 0;
}

void args_free(char **args)
{
    for (size_t i = 0; args != NULL && args[i] != NULL; i++) {
        free(args[i]);
    }
    free(args);
}
