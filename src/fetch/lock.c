#include "fetch/lock.h"

#include <stdlib.h>
#include <string.h>

#include "base/jtext.h"
#include "base/limits.h"

static bool member_text(struct span object, const char *key, struct buf *text)
{
    struct span value;
    buf_clear(text);
    return jtext_find(object, key, &value) && jtext_type(value) == JTEXT_STRING &&
           jtext_string_decode(text, value) == 0;
}

/* False: not a wheel. */
static bool wheel_read(struct span package, struct buf *text, struct lock_wheel *out)
{
    if (jtext_type(package) != JTEXT_OBJECT || !member_text(package, "sha256", text) ||
        !name_read_sum(buf_span(text), &out->sum) || !member_text(package, "file_name", text) ||
        !name_is_wheel(buf_span(text)) || text->len >= sizeof out->filename) {
        return false;
    }
    memcpy(out->filename, text->base, text->len);
    out->filename[text->len] = '\0';
    return member_text(package, "name", text) &&
           name_read_project(buf_span(text), out->project, sizeof out->project);
}

static size_t count_members(struct span object)
{
    size_t count = 0;
    struct span key;
    struct span value;
    struct jtext_cursor cursor = jtext_open(object);
    while (jtext_next(&cursor, &key, &value)) {
        count++;
    }
    return count;
}

int lock_read(struct span text, struct lock *out, struct err *err)
{
    struct span root;
    struct span packages;
    *out = (struct lock){NULL, 0};
    if (jtext_check(text, JTEXT_STRICT, &root, err) != 0) {
        return err_prefix(err, "the lock file is not JSON");
    }
    if (!jtext_find(root, "packages", &packages) || jtext_type(packages) != JTEXT_OBJECT) {
        return err_set(err, ERR_FORMAT, "the lock file names no packages");
    }
    out->wheels = calloc(count_members(packages) + 1, sizeof *out->wheels);
    if (out->wheels == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the lock file");
    }
    cleanup_buf struct buf value;
    buf_init(&value, LIMIT_NAME_BYTES_MAX + 1);
    struct span key;
    struct span package;
    struct jtext_cursor cursor = jtext_open(packages);
    while (jtext_next(&cursor, &key, &package)) {
        out->count += wheel_read(package, &value, &out->wheels[out->count]);
    }
    return 0;
}

void lock_free(struct lock *lock)
{
    free(lock->wheels);
    *lock = (struct lock){NULL, 0};
}

const struct lock_wheel *lock_find(const struct lock *lock, const char *sum)
{
    for (size_t i = 0; i < lock->count; i++) {
        if (strcmp(lock->wheels[i].sum.hex, sum) == 0) {
            return &lock->wheels[i];
        }
    }
    return NULL;
}
