/* Which control groups this process is in, and where they are to be seen. */
#include <stdio.h>
#include <string.h>

#include "pool/cgroup.h"

static const struct {
    const char *name;
    unsigned limit;
} controllers[] = {{"memory", CGROUP_MEMORY}, {"pids", CGROUP_PIDS}, {"cpu", CGROUP_CPU}};

/* Takes the next piece off the front of *rest, up to `mark` or the end. False at the end. */
static bool piece_take(struct span *rest, char mark, struct span *piece)
{
    if (rest->len == 0) {
        return false;
    }
    const char *end = memchr(rest->base, mark, rest->len);
    piece->base = rest->base;
    piece->len = end == NULL ? rest->len : (size_t)(end - rest->base);
    const size_t used = piece->len + (end == NULL ? 0 : 1);
    *rest = (struct span){rest->base + used, rest->len - used};
    return true;
}

static unsigned limits_in(struct span names, char mark)
{
    unsigned found = 0;
    struct span name;
    while (piece_take(&names, mark, &name)) {
        for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
            found |= span_equal(name, span_of(controllers[i].name)) ? controllers[i].limit : 0;
        }
    }
    return found;
}

unsigned cgroup_limits_read(struct span names)
{
    while (names.len > 0 && names.base[names.len - 1] == '\n') {
        names.len--;
    }
    return limits_in(names, ' ');
}

/* ---- /proc/self/cgroup: "number:controllers:path" -------------------------------------------- */

/* The path in the hierarchy that has these controllers; for 0, in version 2's. */
static bool path_find(struct span cgroups, unsigned limits, struct span *path)
{
    struct span line;
    while (piece_take(&cgroups, '\n', &line)) {
        struct span number;
        struct span names;
        if (!piece_take(&line, ':', &number) || !piece_take(&line, ':', &names) || line.len == 0) {
            continue;
        }
        bool is_v2 = names.len == 0 && span_equal(number, span_of("0"));
        if (limits == 0 ? is_v2 : (limits_in(names, ',') & limits) != 0) {
            *path = line;
            return true;
        }
    }
    return false;
}

/* ---- /proc/self/mountinfo -------------------------------------------------------------------- */

struct mount {
    struct span root;  /* the part of the hierarchy that is mounted */
    struct span point; /* where */
    struct span type;
    struct span options; /* of the file system */
};

/* "ID PARENT DEVICE ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS". */
static bool mount_read(struct span line, struct mount *out)
{
    struct span field;
    unsigned number = 0;
    while (piece_take(&line, ' ', &field) && !span_equal(field, span_of("-"))) {
        out->root = number == 3 ? field : out->root;
        out->point = number == 4 ? field : out->point;
        number++;
    }
    struct span source;
    return number >= 6 && piece_take(&line, ' ', &out->type) && piece_take(&line, ' ', &source) &&
           piece_take(&line, ' ', &out->options) &&
           memchr(out->point.base, '\\', out->point.len) == NULL;
}

/* Where `path` of the hierarchy is to be seen: false when it is not below what is mounted. */
static bool path_place(const struct mount *mount, struct span path, char out[LIMIT_PATH_BYTES_MAX])
{
    struct span root = mount->root;
    root.len -= root.len == 1 ? 1 : 0; /* "/" */
    if (path.len < root.len || memcmp(path.base, root.base, root.len) != 0 ||
        (path.len > root.len && path.base[root.len] != '/')) {
        return false;
    }
    path = (struct span){path.base + root.len, path.len - root.len};
    path.len -= path.len == 1 ? 1 : 0;
    int len = snprintf(out, LIMIT_PATH_BYTES_MAX, "%.*s%.*s", (int)mount->point.len,
                       mount->point.base, (int)path.len, path.base);
    return len > 0 && len < (int)LIMIT_PATH_BYTES_MAX;
}

static bool folder_find(struct span cgroups, struct span mounts, unsigned limits,
                        struct cgroup_folder *out)
{
    const char *type = limits == 0 ? "cgroup2" : "cgroup";
    struct span line;
    struct span path;
    if (!path_find(cgroups, limits, &path)) {
        return false;
    }
    while (piece_take(&mounts, '\n', &line)) {
        struct mount mount = {.root = {NULL, 0}};
        if (mount_read(line, &mount) && span_equal(mount.type, span_of(type)) &&
            (limits == 0 || (limits_in(mount.options, ',') & limits) != 0) &&
            path_place(&mount, path, out->path)) {
            return true;
        }
    }
    return false;
}

void cgroup_find_v2(struct span cgroups, struct span mounts, struct cgroup_folder *out)
{
    *out = (struct cgroup_folder){.is_v2 = true};
    if (!folder_find(cgroups, mounts, 0, out)) {
        out->path[0] = '\0';
    }
}

void cgroup_find_v1(struct span cgroups, struct span mounts, struct cgroup_folders *out)
{
    out->count = 0;
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
        struct cgroup_folder *folder = &out->items[out->count];
        *folder = (struct cgroup_folder){.limits = controllers[i].limit};
        if (folder_find(cgroups, mounts, controllers[i].limit, folder)) {
            out->count++;
        }
    }
}
