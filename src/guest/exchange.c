/* Files between the host and a program: put in place before, found afterwards, or mounted. */
#include "guest/exchange.h"

#include <string.h>

#include "base/little.h"
#include "guest/guest.h"
#include "guest/vfs/errno.h"
#include "wire/wire.h"

/* ---- Before ---------------------------------------------------------------------------------- */

/* Where the first WIRE_REQUEST_FILE begins; the whole when there is none. */
static size_t files_place(struct span request)
{
    struct span rest = request;
    struct wire_field field;
    size_t place = 0;
    while (wire_next(&rest, &field) > 0) {
        if (field.number == WIRE_REQUEST_FILE) {
            return place;
        }
        place = request.len - rest.len;
    }
    return request.len;
}

static int begin_dir_note(struct guest *guest)
{
    const int64_t len = vfs_getcwd(guest->vfs, guest->begin_dir, sizeof guest->begin_dir);
    guest->begin_dir_len = len > 0 ? (size_t)len - 1 : 0;
    return len > 0 ? 0 : guest_stop(guest, WIRE_END_PROTOCOL, 1, "there is no working directory");
}

static int file_put(struct guest *guest, struct span value)
{
    char path[LIMIT_PATH_BYTES_MAX];
    const size_t dir_len = guest->begin_dir_len;
    const uint32_t name_len = value.len < sizeof(uint32_t) ? UINT32_MAX : get_u32(value.base);
    if (name_len > value.len - sizeof(uint32_t) || name_len > LIMIT_GIVEN_NAME_BYTES_MAX ||
        dir_len + 1 + name_len > sizeof path) {
        return guest_stop(guest, WIRE_END_PROTOCOL, 1, "a file came without its name");
    }
    memcpy(path, guest->begin_dir, dir_len);
    path[dir_len] = '/';
    memcpy(path + dir_len + 1, value.base + sizeof(uint32_t), name_len);
    const size_t before = sizeof(uint32_t) + name_len;
    const struct span bytes = {value.base + before, value.len - before};
    const int status =
        vfs_store(guest->vfs, (struct span){path, dir_len + 1 + name_len}, bytes, 0644);
    if (status == -GUEST_ENOSPC) {
        return guest_stop(guest, WIRE_END_LIMIT, 1, "the files that were given find no room");
    }
    return status == 0
               ? 0
               : guest_stop(guest, WIRE_END_REFUSED, 1,
                            "the file %.*s that was given cannot be put in place (errno %d)",
                            (int)(name_len < 128 ? name_len : 128), value.base + sizeof(uint32_t),
                            -status);
}

int exchange_begin(struct guest *guest, struct span *request)
{
    const size_t place = files_place(*request);
    struct span files = {request->base + place, request->len - place};
    request->len = place;
    int result = begin_dir_note(guest);
    struct wire_field field;
    while (result == 0 && wire_next(&files, &field) > 0) {
        result = field.number == WIRE_REQUEST_FILE
                     ? file_put(guest, field.value)
                     : guest_stop(guest, WIRE_END_PROTOCOL, 1, "a field stands behind the files");
    }
    vfs_mark(guest->vfs);
    return result;
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

struct made {
    struct guest *guest;
    const struct guest_made_events *events;
    uint64_t bytes_left;
    uint32_t count;
    uint32_t left_out;
    uint32_t looked_at;
    bool is_broken;
};

/* What starts with a dot, and what Python itself keeps, is nobody's result. */
static bool is_private(struct span name)
{
    static const char python[] = "__pycache__/";
    for (size_t at = 0; at < name.len;) {
        const struct span rest = {name.base + at, name.len - at};
        const char *slash = memchr(rest.base, '/', rest.len);
        if (rest.base[0] == '.' ||
            (rest.len >= strlen(python) && memcmp(rest.base, python, strlen(python)) == 0)) {
            return true;
        }
        at = slash == NULL ? name.len : (size_t)(slash - name.base) + 1;
    }
    return false;
}

/* Tells of one file, with its contents where there is room for them. */
static int tell(struct made *made, const struct vfs_walk_entry *entry, struct span name)
{
    struct guest_made file = {.name = name, .size = entry->stat.size};
    cleanup_buf struct buf content;
    buf_init(&content, (size_t)made->bytes_left);
    if (file.size <= made->bytes_left && vfs_load(made->guest->vfs, entry->path, &content) == 0) {
        file.has_content = true;
        file.size = content.len;
        file.content = buf_span(&content);
        made->bytes_left -= content.len;
    }
    made->count++;
    made->is_broken = made->events->file(made->events->context, &file) != 0;
    return made->is_broken ? 1 : 0;
}

static int look_at(void *context, const struct vfs_walk_entry *entry)
{
    struct made *made = context;
    const size_t dir_len = made->guest->begin_dir_len;
    if (made->looked_at++ == LIMIT_MADE_WALK_MAX) {
        made->left_out += made->left_out == 0 ? 1 : 0;
        return 1;
    }
    if (!entry->fresh || (entry->stat.mode & VFS_S_IFMT) != VFS_S_IFREG ||
        entry->path.len <= dir_len + 1) {
        return 0;
    }
    const struct span name = {entry->path.base + dir_len + 1, entry->path.len - dir_len - 1};
    if (is_private(name)) {
        return 0;
    }
    if (made->count == LIMIT_MADE_COUNT_MAX) {
        made->left_out++;
        return 0;
    }
    return tell(made, entry, name);
}

int guest_made_files(struct guest *guest, uint64_t bytes_max,
                     const struct guest_made_events *events, uint32_t *left_out)
{
    struct made made = {.guest = guest,
                        .events = events,
                        .bytes_left =
                            bytes_max < LIMIT_MADE_BYTES_MAX ? bytes_max : LIMIT_MADE_BYTES_MAX};
    const struct span dir = {guest->begin_dir, guest->begin_dir_len};
    if (dir.len == 1) { /* the root: names would begin elsewhere, and nobody works there */
        *left_out = 0;
        return 0;
    }
    if (vfs_walk(guest->vfs, dir, look_at, &made) < 0 && made.left_out == 0) {
        made.left_out = 1; /* a path too long, no memory, or the directory is gone */
    }
    *left_out = made.left_out;
    return made.is_broken ? -1 : 0;
}

/* ---- Directories of the host ----------------------------------------------------------------- */

int guest_mount(struct guest *guest, int fd, const char *path, enum guest_grant how,
                struct err *err)
{
    static const enum vfs_grant grants[] = {
        [GUEST_GRANT_READ] = VFS_GRANT_READ,
        [GUEST_GRANT_WRITE] = VFS_GRANT_WRITE,
        [GUEST_GRANT_OVERLAY] = VFS_GRANT_OVERLAY,
    };
    if (vfs_grant(guest->vfs, fd, span_of(path), grants[how], err) != 0) {
        return -1;
    }
    const int status = strcmp(path, GUEST_WORK_DIR) == 0 ? vfs_chdir(guest->vfs, span_of(path)) : 0;
    return status == 0
               ? 0
               : err_set(err, ERR_SYSTEM, "%s cannot be entered (guest errno %d)", path, -status);
}
