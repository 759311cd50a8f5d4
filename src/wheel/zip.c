#include "wheel/zip.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/limits.h"
#include "base/little.h"
#include "base/utf8.h"

/* Layout, from APPNOTE.TXT: 4.3.7 local header, 4.3.9 data descriptor, 4.3.12 directory, 4.3.16 end
 * record. All integers are little-endian. */
enum {
    LOCAL_BYTES = 30,
    LOCAL_FLAGS = 6,
    LOCAL_METHOD = 8,
    LOCAL_CRC = 14,
    LOCAL_PACKED = 18,
    LOCAL_SIZE = 22,
    LOCAL_NAME_LEN = 26,
    LOCAL_EXTRA_LEN = 28,

    CENTRAL_BYTES = 46,
    CENTRAL_FLAGS = 8,
    CENTRAL_METHOD = 10,
    CENTRAL_CRC = 16,
    CENTRAL_PACKED = 20,
    CENTRAL_SIZE = 24,
    CENTRAL_NAME_LEN = 28,
    CENTRAL_EXTRA_LEN = 30,
    CENTRAL_COMMENT_LEN = 32,
    CENTRAL_DISK = 34,
    CENTRAL_ATTRIBUTES = 38,
    CENTRAL_LOCAL_AT = 42,

    END_BYTES = 22,
    END_DISK = 4,
    END_DIRECTORY_DISK = 6,
    END_DISK_COUNT = 8,
    END_COUNT = 10,
    END_DIRECTORY_BYTES = 12,
    END_DIRECTORY_AT = 16,
    END_COMMENT_LEN = 20,

    EXTRA_HEADER_BYTES = 4,
    EXTRA_ZIP64 = 0x0001,
    EXTRA_UNICODE_NAME = 0x7075,
    EXTRA_STRONG_ENCRYPTION = 0x0017,

    FLAG_DESCRIPTOR = 1 << 3,
    FLAG_UTF8 = 1 << 11,
    FLAGS_TAKEN = 1 << 1 | 1 << 2 | FLAG_DESCRIPTOR | FLAG_UTF8,

    METHOD_STORED = 0,
    METHOD_DEFLATE = 8,

    ATTRIBUTE_DIRECTORY = 0x10, /* the low byte is DOS's */
    MODE_TYPE = 0170000,
    MODE_FILE = 0100000,
    MODE_DIRECTORY = 0040000,
    MODE_SPECIAL = 07000,
    MODE_EXECUTE = 0111,
};

#define SIGNATURE_LOCAL      0x04034b50U
#define SIGNATURE_CENTRAL    0x02014b50U
#define SIGNATURE_END        0x06054b50U
#define SIGNATURE_DESCRIPTOR 0x08074b50U
#define ZIP64_MARK           0xffffffffU

const char *zip_show(struct span name, char shown[ZIP_SHOWN_CHARS])
{
    size_t len = name.len < ZIP_SHOWN_CHARS - 1 ? name.len : ZIP_SHOWN_CHARS - 1;
    for (size_t i = 0; i < len; i++) {
        char c = name.base[i];
        shown[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    shown[len] = '\0';
    return shown;
}

static int refuse(struct span name, const char *rule, struct err *err)
{
    char shown[ZIP_SHOWN_CHARS];
    return err_set(err, ERR_FORMAT, "%s: %s", zip_show(name, shown), rule);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool has_control(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.base[i];
        bool c1 = c == 0xc2 && i + 1 < name.len && (unsigned char)name.base[i + 1] < 0xa0;
        if (c < ' ' || c == 0x7f || c1) {
            return true;
        }
    }
    return false;
}

static bool is_ascii(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.base[i] > 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What is wrong with one component; NULL for nothing. */
static const char *component_fault(struct span part)
{
    if (part.len == 0) {
        return "the name has an empty part or begins with a slash";
    }
    if (span_equal(part, span_of(".")) || span_equal(part, span_of(".."))) {
        return "the name has a part \".\" or \"..\"";
    }
    return part.len > LIMIT_NAME_BYTES_MAX ? "a part of the name is too long" : NULL;
}

static const char *name_fault(struct span name)
{
    if (name.len > LIMIT_WHEEL_NAME_BYTES_MAX) {
        return "the name is too long";
    }
    if (has_control(name)) {
        return "the name has a control character";
    }
    if (!utf8_valid(name)) {
        return "the name is not UTF-8";
    }
    if (name.len > 0 && memchr(name.base, '\\', name.len) != NULL) {
        return "the name has a backslash";
    }
    if (name.len >= 2 && is_letter(name.base[0]) && name.base[1] == ':') {
        return "the name begins with a drive letter";
    }
    const char *fault = NULL;
    for (size_t at = 0; fault == NULL && at <= name.len;) {
        size_t end = at;
        while (end < name.len && name.base[end] != '/') {
            end++;
        }
        fault = component_fault((struct span){name.base + at, end - at});
        at = end + 1;
    }
    return fault;
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* Writers that stream put zip64's sizes into the local header of any file. They are allowed where
 * they say what the directory says. */
static bool zip64_repeats(const struct zip_entry *entry, struct span field)
{
    return field.len == 16 && get_u32(field.base) == entry->bytes && get_u32(field.base + 4) == 0 &&
           get_u32(field.base + 8) == entry->packed_bytes && get_u32(field.base + 12) == 0;
}

/* Extra fields are skipped, but for those that would change what an entry means to some reader.
 * `local` is the entry when they are those of its local header, else NULL. */
static const char *extra_fault(struct span extra, const struct zip_entry *local)
{
    size_t at = 0;
    while (extra.len - at >= EXTRA_HEADER_BYTES) {
        uint16_t id = get_u16(extra.base + at);
        size_t len = get_u16(extra.base + at + 2);
        at += EXTRA_HEADER_BYTES;
        if (len > extra.len - at) {
            return "an extra field is cut off";
        }
        const struct span field = {extra.base + at, len};
        at += len;
        if (id == EXTRA_ZIP64 && (local == NULL || !zip64_repeats(local, field))) {
            return "it uses zip64, which no file of this size needs";
        }
        if (id == EXTRA_UNICODE_NAME) {
            return "an extra field gives it a second name";
        }
        if (id == EXTRA_STRONG_ENCRYPTION) {
            return "it is encrypted";
        }
    }
    return at == extra.len ? NULL : "an extra field is cut off";
}

/* Links, devices and the like; and directories that say they are files, or the reverse. */
static const char *attributes_fault(const struct zip_entry *entry, uint32_t attributes)
{
    uint32_t mode = attributes >> 16;
    uint32_t type = mode & MODE_TYPE;
    if (type != 0 && type != MODE_FILE && type != MODE_DIRECTORY) {
        return "it is a link, a device or another special file";
    }
    if ((mode & MODE_SPECIAL) != 0) {
        return "it has a set-user-id, set-group-id or sticky bit";
    }
    bool says_directory = type == MODE_DIRECTORY || (attributes & ATTRIBUTE_DIRECTORY) != 0;
    if (entry->is_directory ? type == MODE_FILE : says_directory) {
        return "its name and its attributes differ on whether it is a directory";
    }
    return NULL;
}

static const char *entry_fault(const struct zip_entry *entry)
{
    if ((entry->flags & 1) != 0) {
        return "it is encrypted";
    }
    if ((entry->flags & ~FLAGS_TAKEN) != 0) {
        return "it has flags that are not understood";
    }
    if ((entry->flags & FLAG_UTF8) == 0 && !is_ascii(entry->name)) {
        return "its name is in no known encoding";
    }
    if (entry->method != METHOD_STORED && entry->method != METHOD_DEFLATE) {
        return "its compression method is neither stored nor deflate";
    }
    if (entry->bytes == ZIP64_MARK || entry->packed_bytes == ZIP64_MARK) {
        return "it uses zip64, which no file of this size needs";
    }
    if (entry->method == METHOD_STORED && entry->bytes != entry->packed_bytes) {
        return "it is stored, yet its two sizes differ";
    }
    if (entry->is_directory && entry->bytes != 0) {
        return "it is a directory with contents";
    }
    return name_fault(entry->name);
}

/* A bomb is refused by what it says; one that lies is stopped by the same numbers in zip_read. */
static int check_size(const struct zip_entry *entry, struct err *err)
{
    char shown[ZIP_SHOWN_CHARS];
    if (entry->bytes > LIMIT_WHEEL_FILE_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "%s: %u bytes are more than %llu",
                       zip_show(entry->name, shown), entry->bytes, LIMIT_WHEEL_FILE_BYTES_MAX);
    }
    if (entry->bytes > MIB &&
        entry->bytes - MIB > (uint64_t)LIMIT_WHEEL_RATIO_MAX * entry->packed_bytes) {
        return err_set(err, ERR_LIMIT, "%s: it unpacks to more than %u times its size",
                       zip_show(entry->name, shown), LIMIT_WHEEL_RATIO_MAX);
    }
    return 0;
}

/* Reads one entry of the directory at `at`; *used is what it takes. */
static int read_central(struct span directory, size_t at, struct zip_entry *entry, size_t *used,
                        struct err *err)
{
    const char *base = directory.base + at;
    size_t room = directory.len - at;
    if (room < CENTRAL_BYTES || get_u32(base) != SIGNATURE_CENTRAL) {
        return err_set(err, ERR_FORMAT, "the directory of the archive is damaged");
    }
    size_t name_len = get_u16(base + CENTRAL_NAME_LEN);
    size_t extra_len = get_u16(base + CENTRAL_EXTRA_LEN);
    *used = CENTRAL_BYTES + name_len + extra_len + get_u16(base + CENTRAL_COMMENT_LEN);
    if (*used > room) {
        return err_set(err, ERR_FORMAT, "the directory of the archive is cut off");
    }
    *entry = (struct zip_entry){
        .name = {base + CENTRAL_BYTES, name_len},
        .local_at = get_u32(base + CENTRAL_LOCAL_AT),
        .bytes = get_u32(base + CENTRAL_SIZE),
        .packed_bytes = get_u32(base + CENTRAL_PACKED),
        .crc = get_u32(base + CENTRAL_CRC),
        .flags = get_u16(base + CENTRAL_FLAGS),
        .method = get_u16(base + CENTRAL_METHOD),
    };
    if (name_len > 0 && entry->name.base[name_len - 1] == '/') {
        entry->is_directory = true;
        entry->name.len--;
    }
    uint32_t attributes = get_u32(base + CENTRAL_ATTRIBUTES);
    entry->is_executable =
        (attributes >> 16 & MODE_TYPE) == MODE_FILE && (attributes >> 16 & MODE_EXECUTE) != 0;
    const char *fault = entry_fault(entry);
    if (fault == NULL) {
        fault = attributes_fault(entry, attributes);
    }
    if (fault == NULL) {
        fault = extra_fault((struct span){base + CENTRAL_BYTES + name_len, extra_len}, NULL);
    }
    if (fault == NULL && get_u16(base + CENTRAL_DISK) != 0) {
        fault = "it is on another disk";
    }
    return fault != NULL ? refuse(entry->name, fault, err) : check_size(entry, err);
}

static bool sizes_are(const struct zip_entry *entry, const char *crc_and_sizes)
{
    return get_u32(crc_and_sizes) == entry->crc &&
           get_u32(crc_and_sizes + 4) == entry->packed_bytes &&
           get_u32(crc_and_sizes + 8) == entry->bytes;
}

static bool sizes_are_absent(const char *crc_and_sizes)
{
    static const char zeros[12];
    return memcmp(crc_and_sizes, zeros, sizeof zeros) == 0;
}

/* Bytes of the descriptor after an entry's data: 16 or, without signature, 12; 0 when it is not
 * there or says something else than the directory. */
static size_t descriptor_bytes(const struct zip_entry *entry, struct span rest)
{
    if (rest.len >= 16 && get_u32(rest.base) == SIGNATURE_DESCRIPTOR &&
        sizes_are(entry, rest.base + 4)) {
        return 16;
    }
    return rest.len >= 12 && sizes_are(entry, rest.base) ? 12 : 0;
}

/* Compares the local header with the directory and finds the data. `files` is the archive up to the
 * directory; *end is where the entry ends. */
static int read_local(struct span files, struct zip_entry *entry, uint64_t *end, struct err *err)
{
    const char *base = files.base + entry->local_at;
    uint64_t room = files.len - entry->local_at;
    if (room < LOCAL_BYTES || get_u32(base) != SIGNATURE_LOCAL) {
        return refuse(entry->name, "there is no local header where the directory says", err);
    }
    size_t name_len = get_u16(base + LOCAL_NAME_LEN);
    size_t extra_len = get_u16(base + LOCAL_EXTRA_LEN);
    uint64_t used = LOCAL_BYTES + name_len + extra_len;
    if (used > room || entry->packed_bytes > room - used) {
        return refuse(entry->name, "it is cut off or overlaps the directory", err);
    }
    bool has_descriptor = (entry->flags & FLAG_DESCRIPTOR) != 0;
    bool agrees = get_u16(base + LOCAL_FLAGS) == entry->flags &&
                  get_u16(base + LOCAL_METHOD) == entry->method &&
                  name_len == entry->name.len + entry->is_directory &&
                  memcmp(base + LOCAL_BYTES, entry->name.base, name_len) == 0 &&
                  (sizes_are(entry, base + LOCAL_CRC) ||
                   (has_descriptor && sizes_are_absent(base + LOCAL_CRC)));
    if (!agrees) {
        return refuse(entry->name, "its local header differs from the directory", err);
    }
    const char *fault = extra_fault((struct span){base + LOCAL_BYTES + name_len, extra_len}, entry);
    if (fault != NULL) {
        return refuse(entry->name, fault, err);
    }
    entry->packed = (struct span){base + used, entry->packed_bytes};
    used += entry->packed_bytes;
    if (has_descriptor) {
        size_t len = descriptor_bytes(entry, (struct span){base + used, (size_t)(room - used)});
        if (len == 0) {
            return refuse(entry->name, "its data descriptor differs from the directory", err);
        }
        used += len;
    }
    *end = entry->local_at + used;
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static int compare_places(const void *left, const void *right)
{
    const struct zip_entry *a = left;
    const struct zip_entry *b = right;
    return (a->local_at > b->local_at) - (a->local_at < b->local_at);
}

static int compare_spans(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.base, b.base, common);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_names(const void *left, const void *right)
{
    return compare_spans(((const struct zip_entry *)left)->name,
                         ((const struct zip_entry *)right)->name);
}

/* Every entry begins where the one before it ends. */
static int read_locals(struct zip *zip, struct span files, struct err *err)
{
    uint64_t at = 0;
    qsort(zip->entries, zip->count, sizeof *zip->entries, compare_places);
    for (size_t i = 0; i < zip->count; i++) {
        struct zip_entry *entry = &zip->entries[i];
        if (entry->local_at != at) {
            return refuse(entry->name,
                          entry->local_at < at ? "it overlaps another entry"
                                               : "there are bytes before it that belong to nothing",
                          err);
        }
        if (read_local(files, entry, &at, err) != 0) {
            return -1;
        }
    }
    if (at != files.len) {
        return err_set(err, ERR_FORMAT,
                       "there are bytes before the directory of the archive that "
                       "belong to nothing");
    }
    return 0;
}

static int read_directory(struct zip *zip, struct span directory, size_t count, struct err *err)
{
    size_t at = 0;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t used = 0;
        if (read_central(directory, at, &zip->entries[i], &used, err) != 0) {
            return -1;
        }
        at += used;
        total += zip->entries[i].bytes;
        zip->count = i + 1;
    }
    if (at != directory.len) {
        return err_set(err, ERR_FORMAT, "the directory of the archive holds more than its entries");
    }
    if (total > LIMIT_WHEEL_UNPACKED_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "it unpacks to %llu bytes, more than %llu",
                       (unsigned long long)total, LIMIT_WHEEL_UNPACKED_BYTES_MAX);
    }
    return 0;
}

/* The end record, which must be the file's last bytes; so another one, zip64's included, would lie
 * where only entries and the directory may lie. */
static int read_end(struct span bytes, struct span *files, struct span *directory, size_t *count,
                    struct err *err)
{
    if (bytes.len < END_BYTES || get_u32(bytes.base + bytes.len - END_BYTES) != SIGNATURE_END ||
        get_u16(bytes.base + bytes.len - END_BYTES + END_COMMENT_LEN) != 0) {
        return err_set(err, ERR_FORMAT,
                       "it is no zip archive, is cut off, or has bytes after its end record");
    }
    const char *end = bytes.base + bytes.len - END_BYTES;
    uint64_t at = get_u32(end + END_DIRECTORY_AT);
    uint64_t len = get_u32(end + END_DIRECTORY_BYTES);
    *count = get_u16(end + END_COUNT);
    if (get_u16(end + END_DISK) != 0 || get_u16(end + END_DIRECTORY_DISK) != 0 ||
        get_u16(end + END_DISK_COUNT) != *count) {
        return err_set(err, ERR_FORMAT, "the archive is in several parts");
    }
    if (at + len != bytes.len - END_BYTES) {
        return err_set(err, ERR_FORMAT,
                       "the directory of the archive does not end where its end record begins");
    }
    if (*count > LIMIT_WHEEL_ENTRIES_MAX) {
        return err_set(err, ERR_LIMIT, "%zu entries are more than %u", *count,
                       LIMIT_WHEEL_ENTRIES_MAX);
    }
    *files = (struct span){bytes.base, (size_t)at};
    *directory = (struct span){bytes.base + at, (size_t)len};
    return 0;
}

int zip_open(struct span bytes, struct zip *out, struct err *err)
{
    struct span files = {0};
    struct span directory = {0};
    size_t count = 0;
    if (read_end(bytes, &files, &directory, &count, err) != 0) {
        return -1;
    }
    struct zip zip = {.entries = calloc(count + 1, sizeof *zip.entries)};
    if (zip.entries == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for %zu entries", count);
    }
    if (read_directory(&zip, directory, count, err) != 0 || read_locals(&zip, files, err) != 0) {
        zip_close(&zip);
        return -1;
    }
    qsort(zip.entries, zip.count, sizeof *zip.entries, compare_names);
    *out = zip;
    return 0;
}

void zip_close(struct zip *zip)
{
    free(zip->entries);
    *zip = (struct zip){0};
}

const struct zip_entry *zip_find(const struct zip *zip, struct span name)
{
    const struct zip_entry key = {.name = name};
    return zip->count == 0 ? NULL
                           : bsearch(&key, zip->entries, zip->count, sizeof key, compare_names);
}

/* ---- Contents -------------------------------------------------------------------------------- */

/* Inflates into `room` bytes, one more than there may be, and says how many came; -1 unless the
 * stream ends exactly at the end of its input. */
static int64_t inflate_whole(struct span packed, char *out, size_t room)
{
    z_stream stream = {
        .next_in = (unsigned char *)(uintptr_t)packed.base,
        .avail_in = (uInt)packed.len,
        .next_out = (unsigned char *)out,
        .avail_out = (uInt)room,
    };
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        return -1;
    }
    int result = inflate(&stream, Z_FINISH);
    bool is_whole = result == Z_STREAM_END && stream.avail_in == 0;
    size_t len = room - stream.avail_out;
    inflateEnd(&stream);
    return is_whole ? (int64_t)len : -1;
}

int zip_read(const struct zip_entry *entry, struct buf *out, struct err *err)
{
    char shown[ZIP_SHOWN_CHARS];
    if (entry->is_directory) {
        return refuse(entry->name, "it is a directory", err);
    }
    if (buf_reserve(out, (size_t)entry->bytes + 1) != 0) {
        return err_set(err, ERR_LIMIT, "%s: no room for %u bytes", zip_show(entry->name, shown),
                       entry->bytes);
    }
    char *at = out->base + out->len;
    int64_t len = entry->bytes;
    if (entry->method == METHOD_STORED) {
        memcpy(at, entry->packed.base, entry->bytes);
    } else {
        len = inflate_whole(entry->packed, at, (size_t)entry->bytes + 1);
    }
    if (len != entry->bytes) {
        return refuse(entry->name, "its compressed data is damaged or not as long as it says", err);
    }
    if (crc32(0, (const unsigned char *)at, (uInt)entry->bytes) != entry->crc) {
        return refuse(entry->name, "its CRC is wrong", err);
    }
    out->len += entry->bytes;
    return 0;
}
