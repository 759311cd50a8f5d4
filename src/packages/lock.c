#include "packages/lock.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/jtext.h"
#include "base/limits.h"

struct lock {
    struct buf text;
    struct plan_package *packages;
    struct span *imports; /* arrays in `text`, one for each package */
    size_t count;
};

/* Importing a package is not always what programs wait for. */
static const struct {
    const char *package;
    const char *module;
} submodules[] = {
    {"matplotlib", "matplotlib.pyplot"},
    {"scipy", "scipy.stats"},
    {"scipy", "scipy.optimize"},
    {"lxml", "lxml.etree"},
    {"pillow", "PIL.Image"},
};

static bool text_take(struct span object, const char *key, char *out, size_t size)
{
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, size - 1);
    if (!jtext_find(object, key, &value) || jtext_type(value) != JTEXT_STRING ||
        jtext_string_decode(&text, value) != 0 || text.len == 0) {
        return false;
    }
    memcpy(out, text.base, text.len);
    out[text.len] = '\0';
    return true;
}

/* Entries that are no wheels (tests in archives, shared libraries) are passed over. */
static void package_take(struct lock *lock, struct span object)
{
    struct plan_package *package = &lock->packages[lock->count];
    *package = (struct plan_package){0};
    if (!text_take(object, "name", package->name, sizeof package->name) ||
        !text_take(object, "version", package->version, sizeof package->version) ||
        !text_take(object, "sha256", package->sum, sizeof package->sum) ||
        !text_take(object, "file_name", package->filename, sizeof package->filename) ||
        !name_is_project(span_of(package->name)) || !name_is_version(span_of(package->version)) ||
        !name_is_sum(span_of(package->sum)) ||
        !name_is_wheel(span_of(package->filename), span_of(package->name),
                       span_of(package->version))) {
        return;
    }
    if (!jtext_find(object, "imports", &lock->imports[lock->count]) ||
        jtext_type(lock->imports[lock->count]) != JTEXT_ARRAY) {
        lock->imports[lock->count] = span_of("[]");
    }
    lock->count++;
}

static int parse(struct lock *lock, struct err *err)
{
    struct span root;
    struct span packages;
    struct span key;
    struct span object;
    size_t count = 0;
    if (jtext_check(buf_span(&lock->text), JTEXT_STRICT, &root, err) != 0) {
        return -1;
    }
    if (!jtext_find(root, "packages", &packages) || jtext_type(packages) != JTEXT_OBJECT) {
        return err_set(err, ERR_FORMAT, "it has no packages");
    }
    struct jtext_cursor cursor = jtext_open(packages);
    while (jtext_next(&cursor, &key, &object)) {
        count++;
    }
    lock->packages = calloc(count + 1, sizeof *lock->packages);
    lock->imports = calloc(count + 1, sizeof *lock->imports);
    if (lock->packages == NULL || lock->imports == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for its packages");
    }
    cursor = jtext_open(packages);
    while (jtext_next(&cursor, &key, &object)) {
        if (jtext_type(object) == JTEXT_OBJECT) {
            package_take(lock, object);
        }
    }
    return 0;
}

int lock_load(const char *path, struct lock **out, struct err *err)
{
    struct lock *lock = calloc(1, sizeof *lock);
    if (lock == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the lock file");
    }
    buf_init(&lock->text, LIMIT_FETCH_LOCK_BYTES_MAX);
    if (fd_read_file(path, &lock->text, err) != 0 || parse(lock, err) != 0) {
        lock_free(lock);
        return err_prefix(err, "the distribution's lock file %s", path);
    }
    *out = lock;
    return 0;
}

void lock_free(struct lock *lock)
{
    if (lock != NULL) {
        buf_free(&lock->text);
        free(lock->packages);
        free(lock->imports);
        free(lock);
    }
}

size_t lock_count(const struct lock *lock)
{
    return lock->count;
}

const struct plan_package *lock_package(const struct lock *lock, size_t index)
{
    return &lock->packages[index];
}

static bool find_sum(const struct lock *lock, const char *sum, size_t *index)
{
    for (size_t i = 0; i < lock->count; i++) {
        if (strcmp(lock->packages[i].sum, sum) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

bool lock_has_sum(const struct lock *lock, const char *sum)
{
    size_t index;
    return find_sum(lock, sum, &index);
}

/* A dotted name of identifiers. */
static bool is_module(struct span name)
{
    bool begins = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.base[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (c == '.' ? begins : !is_letter && (begins || c < '0' || c > '9')) {
            return false;
        }
        begins = c == '.';
    }
    return name.len > 0 && !begins;
}

static int module_append(struct buf *out, struct span name)
{
    if (out->len > 0 && buf_append_char(out, ',') != 0) {
        return -1;
    }
    return buf_append(out, name.base, name.len);
}

int lock_append_preload(struct buf *out, const struct lock *lock, const char *sum)
{
    size_t index;
    struct span key;
    struct span item;
    cleanup_buf struct buf name;
    buf_init(&name, LIMIT_NAME_BYTES_MAX);
    if (!find_sum(lock, sum, &index)) {
        return 0;
    }
    struct jtext_cursor cursor = jtext_open(lock->imports[index]);
    while (jtext_next(&cursor, &key, &item)) {
        buf_clear(&name);
        if (jtext_type(item) != JTEXT_STRING || jtext_string_decode(&name, item) != 0 ||
            !is_module(buf_span(&name))) {
            continue;
        }
        if (module_append(out, buf_span(&name)) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < sizeof submodules / sizeof *submodules; i++) {
        if (name_equal(span_of(submodules[i].package), span_of(lock->packages[index].name)) &&
            module_append(out, span_of(submodules[i].module)) != 0) {
            return -1;
        }
    }
    return 0;
}
