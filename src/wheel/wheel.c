#include "wheel/wheel.h"

#include <stdlib.h>

#include "base/limits.h"
#include "wheel/filename.h"
#include "wheel/sum.h"
#include "wheel/text.h"
#include "wheel/zip.h"

#define DIST_INFO ".dist-info"
#define DATA      ".data"

struct wheel {
    struct zip zip;
    struct filename filename;
    struct span dist_info; /* the folder's name; borrows the archive */
    struct buf metadata;
    struct span version; /* in metadata */
    struct sum *sums;    /* of each entry of the archive, from RECORD */
    uint32_t *files;     /* entries that are files, by name */
    size_t file_count;
};

static bool ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len > len && memcmp(text.base + text.len - len, end, len) == 0;
}

static struct span first_part(struct span path)
{
    const char *slash = path.len == 0 ? NULL : memchr(path.base, '/', path.len);
    return (struct span){path.base, slash == NULL ? path.len : (size_t)(slash - path.base)};
}

/* What is left after the first part and its slash; empty when there is nothing. */
static struct span after_first(struct span path)
{
    size_t used = first_part(path).len;
    used += used < path.len ? 1 : 0;
    return (struct span){path.base + used, path.len - used};
}

static int refuse(struct span name, const char *rule, struct err *err)
{
    char shown[ZIP_SHOWN_CHARS];
    return err_set(err, ERR_FORMAT, "%s: %s", zip_show(name, shown), rule);
}

/* ---- Paths that collide ---------------------------------------------------------------------- */

/* A slash sorts before everything else, so that what is below a name comes right after it. Case is
 * folded for ASCII alone: the guest's own file system tells all names apart, and this rule is for
 * what else may unpack the wheel. */
static unsigned char fold(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (unsigned char)(c - 'A' + 'a');
    }
    return c == '/' ? 0 : (unsigned char)c;
}

static int compare_folded(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < common; i++) {
        int order = fold(a.base[i]) - fold(b.base[i]);
        if (order != 0) {
            return order;
        }
    }
    return (a.len > b.len) - (a.len < b.len);
}

struct path {
    struct span path;
    bool is_directory;
};

static int compare_paths(const void *left, const void *right)
{
    return compare_folded(((const struct path *)left)->path, ((const struct path *)right)->path);
}

/* Sorts the paths and refuses two that are the same, or one that is below a file. */
static int check_paths(struct path *paths, size_t count, struct err *err)
{
    qsort(paths, count, sizeof *paths, compare_paths);
    for (size_t i = 1; i < count; i++) {
        struct span before = paths[i - 1].path;
        struct span path = paths[i].path;
        struct span start = {path.base, path.len < before.len ? path.len : before.len};
        if (compare_folded(before, start) != 0) {
            continue;
        }
        if (path.len == before.len) {
            return refuse(path, "it is there twice, perhaps in another case", err);
        }
        if (!paths[i - 1].is_directory && path.base[before.len] == '/') {
            return refuse(before, "it is a file, yet there are files below it", err);
        }
    }
    return 0;
}

/* Once as the archive names them, once as they are installed. */
static int check_collisions(const struct wheel *wheel, struct err *err)
{
    const struct zip *zip = &wheel->zip;
    struct path *paths = calloc(zip->count + 1, sizeof *paths);
    if (paths == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for %zu names", zip->count);
    }
    for (size_t i = 0; i < zip->count; i++) {
        paths[i] = (struct path){zip->entries[i].name, zip->entries[i].is_directory};
    }
    int result = check_paths(paths, zip->count, err);
    size_t installed = 0;
    for (size_t i = 0; i < wheel->file_count; i++) {
        paths[installed].is_directory = false;
        installed += wheel_install_path(wheel, i, &paths[installed].path);
    }
    if (result == 0) {
        result = check_paths(paths, installed, err);
    }
    free(paths);
    return result;
}

/* ---- Folders --------------------------------------------------------------------------------- */

/* Whether NAME-VERSION of a folder's name is what the file's name says. */
static bool stem_fits(const struct wheel *wheel, struct span folder, const char *suffix)
{
    struct span stem = {folder.base, folder.len - strlen(suffix)};
    const char *dash = memrchr(stem.base, '-', stem.len);
    if (dash == NULL) {
        return false;
    }
    size_t name_len = (size_t)(dash - stem.base);
    struct span version = {dash + 1, stem.len - name_len - 1};
    return filename_same_name((struct span){stem.base, name_len}, wheel->filename.name) &&
           filename_same_version(version, wheel->filename.version);
}

/* The folder NAME.data holds what goes elsewhere than into site-packages. */
static const char *data_fault(const struct wheel *wheel, const struct zip_entry *entry)
{
    static const char *const schemes[] = {"purelib", "platlib", "headers", "scripts", "data"};
    struct span folder = first_part(entry->name);
    if (!stem_fits(wheel, folder, DATA)) {
        return "a folder .data is not named as the wheel";
    }
    struct span rest = after_first(entry->name);
    if (entry->is_directory && rest.len == 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (span_equal(first_part(rest), span_of(schemes[i]))) {
            bool has_more = after_first(rest).len > 0;
            return has_more || entry->is_directory ? NULL : "it is a file where a folder belongs";
        }
    }
    return "a folder .data has a part that no installer knows";
}

/* Finds the one dist-info folder, and lists the files. */
static int find_folders(struct wheel *wheel, struct err *err)
{
    const struct zip *zip = &wheel->zip;
    for (size_t i = 0; i < zip->count; i++) {
        const struct zip_entry *entry = &zip->entries[i];
        struct span top = first_part(entry->name);
        if (ends_with(top, DIST_INFO)) {
            if (wheel->dist_info.len != 0 && !span_equal(wheel->dist_info, top)) {
                return err_set(err, ERR_FORMAT, "it has more than one folder " DIST_INFO);
            }
            wheel->dist_info = top;
        } else if (ends_with(top, DATA)) {
            const char *fault = data_fault(wheel, entry);
            if (fault != NULL) {
                return refuse(entry->name, fault, err);
            }
        }
        if (!entry->is_directory) {
            wheel->files[wheel->file_count++] = (uint32_t)i;
        }
    }
    if (wheel->dist_info.len == 0) {
        return err_set(err, ERR_FORMAT, "it has no folder " DIST_INFO);
    }
    return stem_fits(wheel, wheel->dist_info, DIST_INFO)
               ? 0
               : refuse(wheel->dist_info, "this folder is not named as the wheel", err);
}

/* Whether `name` is the file `leaf` of the dist-info folder. */
static bool is_info_file(const struct wheel *wheel, struct span name, const char *leaf)
{
    return span_equal(first_part(name), wheel->dist_info) &&
           span_equal(after_first(name), span_of(leaf));
}

static int read_info_file(const struct wheel *wheel, const char *leaf, struct buf *out,
                          struct err *err)
{
    for (size_t i = 0; i < wheel->file_count; i++) {
        const struct zip_entry *entry = &wheel->zip.entries[wheel->files[i]];
        if (!is_info_file(wheel, entry->name, leaf)) {
            continue;
        }
        if (entry->bytes > LIMIT_WHEEL_METADATA_BYTES_MAX) {
            return err_set(err, ERR_LIMIT, "%s has %u bytes, more than %llu", leaf, entry->bytes,
                           LIMIT_WHEEL_METADATA_BYTES_MAX);
        }
        return zip_read(entry, out, err);
    }
    return err_set(err, ERR_FORMAT, "its folder " DIST_INFO " has no %s", leaf);
}

/* ---- METADATA and WHEEL ---------------------------------------------------------------------- */

static int read_metadata(struct wheel *wheel, struct err *err)
{
    struct span name;
    if (read_info_file(wheel, "METADATA", &wheel->metadata, err) != 0 ||
        text_header_find(wheel_metadata(wheel), "Name", &name, err) != 0 ||
        text_header_find(wheel_metadata(wheel), "Version", &wheel->version, err) != 0) {
        return err_prefix(err, "METADATA");
    }
    if (!filename_same_name(name, wheel->filename.name) ||
        !filename_same_version(wheel->version, wheel->filename.version)) {
        return err_set(err, ERR_FORMAT,
                       "METADATA has another name or version than the wheel's file name");
    }
    return 0;
}

static int check_wheel_file(const struct wheel *wheel, const char *tag, struct err *err)
{
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_WHEEL_METADATA_BYTES_MAX + 1);
    struct span version;
    if (read_info_file(wheel, "WHEEL", &text, err) != 0 ||
        text_header_find(buf_span(&text), "Wheel-Version", &version, err) != 0) {
        return err_prefix(err, "WHEEL");
    }
    if (version.len < 2 || memcmp(version.base, "1.", 2) != 0) {
        return err_set(err, ERR_FORMAT, "WHEEL says a format version that is not understood");
    }
    struct span rest = buf_span(&text);
    struct text_header header;
    while (text_header_next(&rest, &header)) {
        if (text_header_is(&header, "Tag") && span_equal(header.value, span_of(tag))) {
            return 0;
        }
    }
    return err_set(err, ERR_FORMAT, "WHEEL does not have the tag %s of the file name", tag);
}

/* ---- RECORD ---------------------------------------------------------------------------------- */

/* RECORD cannot hold its own sum, nor those of its signatures. */
static bool has_no_sum(const struct wheel *wheel, struct span name)
{
    return is_info_file(wheel, name, "RECORD") || is_info_file(wheel, name, "RECORD.jws") ||
           is_info_file(wheel, name, "RECORD.p7s");
}

static bool size_is(struct span text, uint32_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] < '0' || text.base[i] > '9' || value > UINT32_MAX) {
            return false;
        }
        value = value * 10 + (uint64_t)(text.base[i] - '0');
    }
    return text.len == 0 || value == bytes;
}

static int record_line(struct wheel *wheel, const struct span values[TEXT_VALUES], struct err *err)
{
    const struct zip_entry *entry = zip_find(&wheel->zip, values[0]);
    if (entry == NULL || entry->is_directory) {
        return refuse(values[0], "RECORD names it, but it is not in the wheel", err);
    }
    if (has_no_sum(wheel, entry->name)) {
        return 0;
    }
    struct sum *sum = &wheel->sums[entry - wheel->zip.entries];
    if (sum->kind != SUM_NONE) {
        return refuse(values[0], "RECORD names it twice", err);
    }
    if (!sum_read_record(values[1], sum)) {
        return refuse(values[0], "RECORD has no SHA-256 sum of it", err);
    }
    return size_is(values[2], entry->bytes) ? 0 : refuse(values[0], "RECORD has another size", err);
}

static int read_record(struct wheel *wheel, struct err *err)
{
    cleanup_buf struct buf text;
    cleanup_buf struct buf scratch;
    buf_init(&text, LIMIT_WHEEL_METADATA_BYTES_MAX + 1);
    buf_init(&scratch, LIMIT_WHEEL_METADATA_BYTES_MAX);
    if (read_info_file(wheel, "RECORD", &text, err) != 0) {
        return -1;
    }
    struct span rest = buf_span(&text);
    struct span values[TEXT_VALUES];
    int more;
    while ((more = text_record_next(&rest, values, &scratch, err)) == 1) {
        if (record_line(wheel, values, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; more == 0 && i < wheel->file_count; i++) {
        uint32_t index = wheel->files[i];
        struct span name = wheel->zip.entries[index].name;
        if (wheel->sums[index].kind == SUM_NONE && !has_no_sum(wheel, name)) {
            return refuse(name, "RECORD does not name it", err);
        }
    }
    return more;
}

/* Reads one file and compares it with its sum. */
static int read_checked(const struct wheel *wheel, uint32_t index, struct buf *out, struct err *err)
{
    const struct zip_entry *entry = &wheel->zip.entries[index];
    const struct sum *expected = &wheel->sums[index];
    size_t before = out->len;
    struct sum sum;
    if (zip_read(entry, out, err) != 0) {
        return -1;
    }
    if (expected->kind == SUM_NONE) {
        return 0;
    }
    int result =
        sum_make(expected->kind, (struct span){out->base + before, entry->bytes}, &sum, err);
    if (result == 0 && !sum_equal(&sum, expected)) {
        result = refuse(entry->name, "its sum is not the one in RECORD", err);
    }
    if (result != 0) {
        out->len = before;
    }
    return result;
}

/* ---- Preparation ----------------------------------------------------------------------------- */

int wheel_prepare(struct err *err)
{
    enum { SORTED_PATHS = 256 }; /* fewer are sorted without a question */
    struct path *paths = calloc(SORTED_PATHS, sizeof *paths);
    if (paths == NULL) {
        return err_set(err, ERR_MEMORY, "no memory to prepare for wheels");
    }
    qsort(paths, SORTED_PATHS, sizeof *paths, compare_paths);
    free(paths);
    return sum_prepare(err);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* METADATA has been used already; now its sum is known. */
static int check_metadata_sum(const struct wheel *wheel, struct err *err)
{
    cleanup_buf struct buf unused;
    buf_init(&unused, LIMIT_WHEEL_METADATA_BYTES_MAX + 1);
    for (size_t i = 0; i < wheel->file_count; i++) {
        struct span name = wheel->zip.entries[wheel->files[i]].name;
        bool is_used = is_info_file(wheel, name, "METADATA") || is_info_file(wheel, name, "WHEEL");
        buf_clear(&unused);
        if (is_used && read_checked(wheel, wheel->files[i], &unused, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int wheel_fill(struct wheel *wheel, struct span bytes, const char *filename, struct err *err)
{
    char tag[FILENAME_TAG_CHARS];
    if (filename_read(filename, &wheel->filename, err) != 0 ||
        filename_tag(&wheel->filename, tag, err) != 0 || zip_open(bytes, &wheel->zip, err) != 0) {
        return -1;
    }
    wheel->sums = calloc(wheel->zip.count + 1, sizeof *wheel->sums);
    wheel->files = calloc(wheel->zip.count + 1, sizeof *wheel->files);
    if (wheel->sums == NULL || wheel->files == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for %zu entries", wheel->zip.count);
    }
    return find_folders(wheel, err) != 0 || check_collisions(wheel, err) != 0 ||
                   read_metadata(wheel, err) != 0 || check_wheel_file(wheel, tag, err) != 0 ||
                   read_record(wheel, err) != 0 || check_metadata_sum(wheel, err) != 0
               ? -1
               : 0;
}

int wheel_open(struct span bytes, const char *filename, struct wheel **out, struct err *err)
{
    char shown[ZIP_SHOWN_CHARS];
    struct wheel *wheel = calloc(1, sizeof *wheel);
    if (wheel == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a wheel");
    }
    buf_init(&wheel->metadata, LIMIT_WHEEL_METADATA_BYTES_MAX + 1);
    if (wheel_fill(wheel, bytes, filename, err) != 0) {
        wheel_close(wheel);
        return err_prefix(err, "the wheel %s is refused", zip_show(span_of(filename), shown));
    }
    *out = wheel;
    return 0;
}

void wheel_close(struct wheel *wheel)
{
    if (wheel != NULL) {
        zip_close(&wheel->zip);
        buf_free(&wheel->metadata);
        free(wheel->sums);
        free(wheel->files);
        free(wheel);
    }
}

struct span wheel_name(const struct wheel *wheel)
{
    return wheel->filename.name;
}

struct span wheel_version(const struct wheel *wheel)
{
    return wheel->version;
}

struct span wheel_metadata(const struct wheel *wheel)
{
    return buf_span(&wheel->metadata);
}

size_t wheel_file_count(const struct wheel *wheel)
{
    return wheel->file_count;
}

struct wheel_file wheel_file_at(const struct wheel *wheel, size_t index)
{
    const struct zip_entry *entry = &wheel->zip.entries[wheel->files[index]];
    return (struct wheel_file){entry->name, entry->bytes, entry->is_executable};
}

bool wheel_install_path(const struct wheel *wheel, size_t index, struct span *out)
{
    struct span name = wheel->zip.entries[wheel->files[index]].name;
    if (!ends_with(first_part(name), DATA)) {
        *out = name;
        return true;
    }
    struct span rest = after_first(name);
    if (!span_equal(first_part(rest), span_of("purelib")) &&
        !span_equal(first_part(rest), span_of("platlib"))) {
        return false;
    }
    *out = after_first(rest);
    return true;
}

int wheel_read(const struct wheel *wheel, size_t index, struct buf *out, struct err *err)
{
    return read_checked(wheel, wheel->files[index], out, err);
}

int wheel_read_metadata(struct span bytes, const char *filename, struct buf *out, struct err *err)
{
    struct wheel *wheel = NULL;
    if (wheel_open(bytes, filename, &wheel, err) != 0) {
        return -1;
    }
    struct span metadata = wheel_metadata(wheel);
    int result = buf_append(out, metadata.base, metadata.len);
    wheel_close(wheel);
    return result == 0 ? 0 : err_set(err, ERR_LIMIT, "no room for METADATA");
}
