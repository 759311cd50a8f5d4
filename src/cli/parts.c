#include "cli/parts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The folder of the running program. */
static int program_dir(char out[PATH_MAX], struct err *err)
{
    ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (len <= 0) {
        return err_system(err, "cannot find out where this program lies: /proc/self/exe");
    }
    out[len] = '\0';
    char *slash = strrchr(out, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return 0;
}

/* Writes base + "/" + rest; false when it does not fit or `probe` under it cannot be reached. */
static bool take_path(char out[PATH_MAX], const char *base, const char *rest, const char *probe,
                      int mode)
{
    char whole[PATH_MAX];
    int len = snprintf(out, PATH_MAX, "%s%s%s", base, *rest == '\0' ? "" : "/", rest);
    if (len < 0 || len >= PATH_MAX) {
        return false;
    }
    len = snprintf(whole, sizeof whole, "%s%s", out, probe);
    return len > 0 && len < PATH_MAX && access(whole, mode) == 0;
}

static const char core_name[] = "/core.cwasm";

static int find_cell(const struct options *options, const char *dir, struct parts *out,
                     struct err *err)
{
    if (options->cell_path != NULL) {
        return take_path(out->cell_path, options->cell_path, "", "", X_OK)
                   ? 0
                   : err_set(err, ERR_MISSING, "%s (from --cell) is no program that can be started",
                             options->cell_path);
    }
    if (take_path(out->cell_path, dir, "vitrine-cell", "", X_OK) ||
        take_path(out->cell_path, dir, "../libexec/vitrine/vitrine-cell", "", X_OK)) {
        return 0;
    }
    return err_set(
        err, ERR_MISSING,
        "the program vitrine-cell is missing beside this one in %s: run `make build`, or "
        "say where it is with --cell",
        dir);
}

static int find_guest(const struct options *options, const char *dir, struct parts *out,
                      struct err *err)
{
    if (options->guest_dir != NULL) {
        return take_path(out->guest_dir, options->guest_dir, "", core_name, R_OK)
                   ? 0
                   : err_set(err, ERR_MISSING, "%s (from --guest-dir) has no core.cwasm",
                             options->guest_dir);
    }
    if (take_path(out->guest_dir, dir, "guest", core_name, R_OK) ||
        take_path(out->guest_dir, dir, "../share/vitrine/guest", core_name, R_OK)) {
        return 0;
    }
    return err_set(err, ERR_MISSING,
                   "the precompiled Python is missing (%s/guest/core.cwasm): run `make build`, or "
                   "say where it is with --guest-dir",
                   dir);
}

int parts_find(const struct options *options, struct parts *out, struct err *err)
{
    char dir[PATH_MAX];
    if (program_dir(dir, err) != 0 || find_cell(options, dir, out, err) != 0) {
        return -1;
    }
    return find_guest(options, dir, out, err);
}
