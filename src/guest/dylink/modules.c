#include "guest/dylink/modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "guest/dylink/record.h"

enum { SUM_DIGITS = 2 * RECORD_SUM_BYTES };

struct entry {
    unsigned char sum[RECORD_SUM_BYTES];
    struct engine_module *module;
};

struct modules {
    struct buf entries; /* of struct entry, sorted by sum once all are there */
};

static struct entry *entries_of(const struct modules *modules, size_t *count)
{
    *count = modules->entries.len / sizeof(struct entry);
    return (struct entry *)(void *)modules->entries.base;
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int sum_parse(struct span text, unsigned char sum[RECORD_SUM_BYTES])
{
    for (size_t i = 0; i < RECORD_SUM_BYTES; i++) {
        int high = digit_value(text.base[2 * i]);
        int low = digit_value(text.base[2 * i + 1]);
        if (high < 0 || low < 0) {
            return -1;
        }
        sum[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

/* One line: the sum, a space, and a path that begins in `folder`. */
static int line_open(struct modules *modules, struct engine *engine, struct span folder,
                     struct span line, struct err *err)
{
    char path[LIMIT_PATH_BYTES_MAX];
    struct entry entry;
    if (line.len <= SUM_DIGITS + 1 || line.base[SUM_DIGITS] != ' ' ||
        sum_parse(line, entry.sum) != 0 || memchr(line.base, '\0', line.len) != NULL) {
        return err_set(err, ERR_FORMAT, "a line that is no sum and path: %.*s",
                       (int)(line.len < 100 ? line.len : 100), line.base);
    }
    struct span name = {line.base + SUM_DIGITS + 1, line.len - SUM_DIGITS - 1};
    if (name.base[0] == '/') {
        folder.len = 0;
    }
    int len = snprintf(path, sizeof path, "%.*s%.*s", (int)folder.len, folder.base, (int)name.len,
                       name.base);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(err, ERR_LIMIT, "a path of more than %u bytes", LIMIT_PATH_BYTES_MAX);
    }
    if (engine_module_open(engine, path, &entry.module, err) != 0) {
        return -1;
    }
    if (buf_append(&modules->entries, &entry, sizeof entry) != 0) {
        engine_module_free(entry.module);
        return err_set(err, ERR_LIMIT, "more than %u side modules", LIMIT_MODULES_MAX);
    }
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    return memcmp(((const struct entry *)a)->sum, ((const struct entry *)b)->sum, RECORD_SUM_BYTES);
}

static int lines_open(struct modules *modules, struct engine *engine, const char *path,
                      struct err *err)
{
    cleanup_buf struct buf text;
    const char *slash = strrchr(path, '/');
    const struct span folder = {path, slash == NULL ? 0 : (size_t)(slash - path + 1)};
    buf_init(&text, LIMIT_MODULES_MAX * (LIMIT_PATH_BYTES_MAX + SUM_DIGITS + 2));
    if (fd_read_file(path, &text, err) != 0) {
        return -1;
    }
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.base + at, '\n', text.len - at);
        size_t len = end == NULL ? text.len - at : (size_t)(end - text.base) - at;
        if (line_open(modules, engine, folder, (struct span){text.base + at, len}, err) != 0) {
            return err_prefix(err, "%s", path);
        }
        at += len + 1;
    }
    size_t count;
    struct entry *entries = entries_of(modules, &count);
    if (count > 0) {
        qsort(entries, count, sizeof *entries, compare_entries);
    }
    return 0;
}

int modules_open(struct engine *engine, const char *path, struct modules **out, struct err *err)
{
    struct modules *modules = calloc(1, sizeof *modules);
    if (modules == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the list of side modules");
    }
    buf_init(&modules->entries, LIMIT_MODULES_MAX * sizeof(struct entry));
    if (path != NULL && lines_open(modules, engine, path, err) != 0) {
        modules_free(modules);
        return -1;
    }
    *out = modules;
    return 0;
}

void modules_free(struct modules *modules)
{
    if (modules == NULL) {
        return;
    }
    size_t count;
    struct entry *entries = entries_of(modules, &count);
    for (size_t i = 0; i < count; i++) {
        engine_module_free(entries[i].module);
    }
    buf_free(&modules->entries);
    free(modules);
}

const struct engine_module *modules_find(const struct modules *modules, struct span sum)
{
    size_t count;
    const struct entry *entries = entries_of(modules, &count);
    struct entry wanted;
    if (sum.len != RECORD_SUM_BYTES || count == 0) {
        return NULL;
    }
    memcpy(wanted.sum, sum.base, RECORD_SUM_BYTES);
    const struct entry *found = bsearch(&wanted, entries, count, sizeof *entries, compare_entries);
    return found == NULL ? NULL : found->module;
}
