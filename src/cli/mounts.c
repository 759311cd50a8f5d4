#include "cli/mounts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/option_values.h"

/* Cuts the mode off the end of the text, if there is one. */
static enum pool_mount_mode mode_cut(char *text)
{
    static const struct {
        const char *end;
        enum pool_mount_mode mode;
    } rows[] = {{":ro", POOL_MOUNT_RO}, {":rw", POOL_MOUNT_RW}, {":overlay", POOL_MOUNT_OVERLAY}};
    const size_t len = strlen(text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t end_len = strlen(rows[i].end);
        if (len > end_len && strcmp(text + len - end_len, rows[i].end) == 0) {
            text[len - end_len] = '\0';
            return rows[i].mode;
        }
    }
    return POOL_MOUNT_RO;
}

/* Cuts the guest's path off. */
static const char *guest_cut(char *text)
{
    char *found = NULL;
    for (char *at = strstr(text, ":/"); at != NULL; at = strstr(at + 1, ":/")) {
        found = at;
    }
    if (found == NULL || found == text) {
        return POOL_WORK_DIR;
    }
    *found = '\0';
    return found + 1;
}

/* Without a slash at its end: "/work/" is "/work". */
static void slashes_trim(char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        path[--len] = '\0';
    }
}

static int path_check(const struct mounts *mounts, const char *path, struct err *err)
{
    for (unsigned i = 0; i < mounts->count; i++) {
        if (strcmp(mounts->items[i].path, path) == 0) {
            return err_set(err, ERR_USAGE,
                           "two directories cannot be mounted at %s: say where the other one is to "
                           "be, as in --mount data:/data",
                           path);
        }
    }
    return 0;
}

static int mount_open(const char *option, struct mounts *mounts, struct err *err)
{
    struct pool_mount *mount = &mounts->items[mounts->count];
    char *host = option_keep(option);
    if (host == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    mount->mode = mode_cut(host);
    const char *guest = guest_cut(host);
    char *kept = option_keep(guest);
    if (kept == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    slashes_trim(kept);
    mount->path = kept;
    if (path_check(mounts, kept, err) != 0) {
        return -1;
    }
    mount->fd = open(host, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (mount->fd < 0) {
        return err_system(err, "--mount: the directory %.200s", host);
    }
    mounts->hosts[mounts->count++] = realpath(host, NULL);
    return 0;
}

int mounts_open(const struct option_list *options, struct mounts *out, struct err *err)
{
    for (unsigned i = 0; i < options->count; i++) {
        if (mount_open(options->items[i], out, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int mounts_describe(const struct option_list *options, struct buf *out)
{
    if (options->count == 0) {
        return buf_append_text(out, "no files of yours");
    }
    int failed = buf_append_text(out, "of your files the directories");
    for (unsigned i = 0; i < options->count; i++) {
        failed |= buf_append_format(out, "%s %.200s", i == 0 ? "" : ",", options->items[i]);
    }
    return failed;
}

int mounts_find(const struct mounts *mounts, const char *path, struct buf *out)
{
    char *found = realpath(path, NULL);
    int result = 0;
    for (unsigned i = 0; found != NULL && result == 0 && out->len == 0 && i < mounts->count; i++) {
        const char *host = mounts->hosts[i];
        const size_t len = host == NULL ? 0 : strcmp(host, "/") == 0 ? 0 : strlen(host);
        if (host != NULL && strncmp(found, host, len) == 0 && found[len] == '/') {
            result = buf_append_format(out, "%s%s", mounts->items[i].path, found + len);
        }
    }
    free(found);
    return result;
}
