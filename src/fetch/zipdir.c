#include "fetch/zipdir.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/limits.h"
#include "base/little.h"

enum {
    END_BYTES = 22,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    END_SIGNATURE = 0x06054b50,
    CENTRAL_SIGNATURE = 0x02014b50,
    LOCAL_SIGNATURE = 0x04034b50,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    FLAG_ENCRYPTED = 1,
};

/* The end record whose comment ends with the archive; NULL when there is none. */
static const char *find_end(struct span tail)
{
    for (size_t at = tail.len < END_BYTES ? 0 : tail.len - END_BYTES + 1; at-- > 0;) {
        const char *end = tail.base + at;
        if (get_u32(end) == END_SIGNATURE && tail.len - at - END_BYTES == get_u16(end + 20)) {
            return end;
        }
    }
    return NULL;
}

int zipdir_find(struct span tail, uint64_t total, struct zipdir_place *out, struct err *err)
{
    const char *end = find_end(tail);
    if (end == NULL || tail.len > total) {
        return err_set(err, ERR_FORMAT, "the archive has no end record");
    }
    uint64_t end_at = total - tail.len + (uint64_t)(end - tail.base);
    out->count = get_u16(end + 10);
    out->len = get_u32(end + 12);
    out->at = get_u32(end + 16);
    if (get_u16(end + 4) != 0 || get_u16(end + 6) != 0 || get_u16(end + 8) != out->count) {
        return err_set(err, ERR_FORMAT, "the archive is one of several disks");
    }
    if (out->count == UINT16_MAX || out->at == UINT32_MAX || out->len == UINT32_MAX) {
        return err_set(err, ERR_FORMAT, "the archive is in zip64 format");
    }
    if (out->at + out->len != end_at) {
        return err_set(err, ERR_FORMAT, "the archive's directory does not lie before its end");
    }
    if (out->len > LIMIT_FETCH_DIRECTORY_BYTES_MAX || out->count > LIMIT_WHEEL_ENTRIES_MAX) {
        return err_set(err, ERR_LIMIT, "the archive's directory is too large");
    }
    return 0;
}

/* Takes one entry off the front. */
static int take_entry(struct span *rest, uint64_t directory_at, struct zipdir_member *out,
                      struct err *err)
{
    if (rest->len < CENTRAL_BYTES || get_u32(rest->base) != CENTRAL_SIGNATURE) {
        return err_set(err, ERR_FORMAT, "the archive's directory is cut off");
    }
    const char *entry = rest->base;
    size_t name_len = get_u16(entry + 28);
    size_t len = CENTRAL_BYTES + name_len + get_u16(entry + 30) + get_u16(entry + 32);
    if (len > rest->len) {
        return err_set(err, ERR_FORMAT, "the archive's directory is cut off");
    }
    *out = (struct zipdir_member){
        .name = {entry + CENTRAL_BYTES, name_len},
        .at = get_u32(entry + 42),
        .packed = get_u32(entry + 20),
        .unpacked = get_u32(entry + 24),
        .method = get_u16(entry + 10),
    };
    if ((get_u16(entry + 8) & FLAG_ENCRYPTED) != 0) {
        return err_set(err, ERR_FORMAT, "the archive is encrypted");
    }
    if (out->at + LOCAL_BYTES + name_len + out->packed > directory_at) {
        return err_set(err, ERR_FORMAT, "a member of the archive lies outside of it");
    }
    rest->base += len;
    rest->len -= len;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct zipdir_member *left = a;
    const struct zipdir_member *right = b;
    return left->at < right->at ? -1 : left->at > right->at;
}

int zipdir_read(struct span directory, const struct zipdir_place *place, struct zipdir *out,
                struct err *err)
{
    *out = (struct zipdir){NULL, 0};
    if (directory.len != place->len || place->count > place->len / CENTRAL_BYTES) {
        return err_set(err, ERR_FORMAT, "the archive's directory has another length");
    }
    struct zipdir_member *members = calloc(place->count + 1, sizeof *members);
    if (members == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the archive's directory");
    }
    struct span rest = directory;
    int status = 0;
    for (size_t i = 0; status == 0 && i < place->count; i++) {
        status = take_entry(&rest, place->at, &members[i], err);
    }
    if (status == 0 && rest.len != 0) {
        status = err_set(err, ERR_FORMAT, "the archive's directory has more than it counts");
    }
    qsort(members, place->count, sizeof *members, by_place);
    for (size_t i = 0; status == 0 && i < place->count; i++) {
        uint64_t next = i + 1 < place->count ? members[i + 1].at : place->at;
        members[i].range = next - members[i].at;
        if (members[i].range < LOCAL_BYTES + members[i].name.len + members[i].packed) {
            status = err_set(err, ERR_FORMAT, "members of the archive overlap");
        }
    }
    if (status != 0) {
        free(members);
        return -1;
    }
    *out = (struct zipdir){members, place->count};
    return 0;
}

void zipdir_free(struct zipdir *dir)
{
    free(dir->members);
    *dir = (struct zipdir){NULL, 0};
}

const struct zipdir_member *zipdir_member(const struct zipdir *dir, const char *folder,
                                          const char *name)
{
    size_t folder_len = strlen(folder);
    size_t name_len = strlen(name);
    for (size_t i = 0; i < dir->count; i++) {
        struct span full = dir->members[i].name;
        if (full.len == folder_len + 1 + name_len && memcmp(full.base, folder, folder_len) == 0 &&
            full.base[folder_len] == '/' &&
            memcmp(full.base + folder_len + 1, name, name_len) == 0) {
            return &dir->members[i];
        }
    }
    return NULL;
}

/* Inflates into room for exactly what the directory says; more or less is an error. */
static int inflate_whole(struct span packed, char *out, uint32_t out_bytes)
{
    z_stream stream = {
        .next_in = (Bytef *)(uintptr_t)packed.base,
        .avail_in = (uInt)packed.len,
        .next_out = (Bytef *)out,
        .avail_out = out_bytes,
    };
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        return -1;
    }
    int status = inflate(&stream, Z_FINISH);
    bool is_whole = status == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
    inflateEnd(&stream);
    return is_whole ? 0 : -1;
}

int zipdir_unpack(const struct zipdir_member *member, struct span range, struct buf *out,
                  struct err *err)
{
    if (range.len < LOCAL_BYTES || get_u32(range.base) != LOCAL_SIGNATURE ||
        get_u16(range.base + 8) != member->method || get_u16(range.base + 26) != member->name.len) {
        return err_set(err, ERR_FORMAT, "a member's header is not what the directory says");
    }
    size_t head = LOCAL_BYTES + member->name.len + get_u16(range.base + 28);
    if (range.len < head || range.len - head < member->packed ||
        memcmp(range.base + LOCAL_BYTES, member->name.base, member->name.len) != 0) {
        return err_set(err, ERR_FORMAT, "a member's header is not what the directory says");
    }
    struct span packed = {range.base + head, member->packed};
    if (member->method == METHOD_STORED && member->packed == member->unpacked) {
        return buf_append(out, packed.base, packed.len) == 0
                   ? 0
                   : err_set(err, ERR_LIMIT, "a member is too large");
    }
    if (member->method != METHOD_DEFLATED) {
        return err_set(err, ERR_FORMAT, "a member is packed by method %u", member->method);
    }
    if (buf_reserve(out, member->unpacked) != 0) {
        return err_set(err, ERR_LIMIT, "a member is too large");
    }
    char nothing = '\0';
    char *to = out->base == NULL ? &nothing : out->base + out->len;
    if (inflate_whole(packed, to, member->unpacked) != 0) {
        return err_set(err, ERR_FORMAT, "a member does not unpack to the size it claims");
    }
    out->len += member->unpacked;
    return 0;
}
