#include "cli/parts.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static bool find_program(char out[PATH_MAX], const char *dir, const char *name)
{
    char installed[NAME_MAX];
    snprintf(installed, sizeof installed, "../libexec/vitrine/%s", name);
    return take_path(out, dir, name, "", X_OK) || take_path(out, dir, installed, "", X_OK);
}

/* Where a program should be, if it is nowhere: who starts it finds out. */
static void expect_program(char out[PATH_MAX], const char *dir, const char *name)
{
    if (!find_program(out, dir, name)) {
        (void)take_path(out, dir, name, "", F_OK);
    }
}

static int find_cell(const struct options *options, const char *dir, struct parts *out,
                     struct err *err)
{
    if (options->cell_path != NULL) {
        return take_path(out->cell_path, options->cell_path, "", "", X_OK)
                   ? 0
                   : err_set(err, ERR_MISSING, "%s (from --cell) is no program that can be started",
                             options->cell_path);
    }
    if (find_program(out->cell_path, dir, "vitrine-cell")) {
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

static const char *home_dir(void)
{
    const char *home = getenv("HOME");
    if (home != NULL && *home != '\0') {
        return home;
    }
    const struct passwd *user = getpwuid(getuid());
    return user == NULL || user->pw_dir == NULL ? "/" : user->pw_dir;
}

/* --cache-dir or VITRINE_CACHE, else vitrine/ in XDG_CACHE_HOME, else ~/.cache/vitrine; absolute.
 */
static int find_cache(const struct options *options, struct parts *out, struct err *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME");
    bool has_xdg = xdg != NULL && *xdg != '\0';
    const char *base = options->cache_dir != NULL ? options->cache_dir : has_xdg ? xdg : home_dir();
    const char *rest = options->cache_dir != NULL ? "" : has_xdg ? "/vitrine" : "/.cache/vitrine";
    char here[PATH_MAX] = "";
    if (*base != '/' && getcwd(here, sizeof here) == NULL) {
        return err_system(err, "cannot find out the working directory");
    }
    int len =
        snprintf(out->cache_dir, PATH_MAX, "%s%s%s%s", here, *here == '\0' ? "" : "/", base, rest);
    return len > 0 && len < PATH_MAX
               ? 0
               : err_set(err, ERR_USAGE, "the name of the cache folder is too long: %.200s", base);
}

/* A mistyped folder would show only when something is not found in it. */
static int check_mirrors(const struct options *options, struct err *err)
{
    for (unsigned i = 0; i < options->mirrors.count; i++) {
        const char *mirror = options->mirrors.items[i];
        struct stat status;
        if (*mirror == '/' && (stat(mirror, &status) != 0 || !S_ISDIR(status.st_mode))) {
            return err_set(err, ERR_MISSING, "%s (from --mirror) is no folder", mirror);
        }
    }
    return 0;
}

int parts_find(const struct options *options, struct parts *out, struct err *err)
{
    char dir[PATH_MAX];
    if (program_dir(dir, err) != 0 || check_mirrors(options, err) != 0 ||
        find_cell(options, dir, out, err) != 0) {
        return -1;
    }
    expect_program(out->fetch_path, dir, "vitrine-fetch");
    expect_program(out->precompile_path, dir, "vitrine-precompile");
    if (find_cache(options, out, err) != 0) {
        return -1;
    }
    return find_guest(options, dir, out, err);
}

struct packages_config parts_packages_config(const struct options *options,
                                             const struct parts *parts, struct pool *pool)
{
    const struct option_list *dependencies = &options->dependencies;
    const struct option_list *mirrors = &options->mirrors;
    const struct option_list *index_urls = &options->index_urls;
    return (struct packages_config){
        .pool = pool,
        .fetch_path = parts->fetch_path,
        .precompile_path = parts->precompile_path,
        .guest_dir = parts->guest_dir,
        .cache_dir = parts->cache_dir,
        .mirrors = mirrors->count == 0 ? NULL : mirrors->items,
        .index_urls = index_urls->count == 0 ? NULL : index_urls->items,
        .dependencies = dependencies->count == 0 ? NULL : dependencies->items,
        .allow_file = options->allow_packages,
        .exclude_newer = *options->exclude_newer == '\0' ? NULL : options->exclude_newer,
        .is_offline = options->is_offline,
        .installs = !options->no_install,
    };
}

uint64_t parts_memory_bytes_max(const struct options *options)
{
    uint64_t programs = options->limits.memory_bytes;
    return options->no_install || programs > LIMIT_MEMORY_BYTES_DEFAULT
               ? programs
               : LIMIT_MEMORY_BYTES_DEFAULT;
}

const char *parts_cgroup(const struct options *options)
{
    return strcmp(options->cgroup, "off") == 0 ? NULL : options->cgroup;
}
