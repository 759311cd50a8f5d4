#include "pool/given.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "wire/wire.h"

/* One component after the other. */
static bool is_below(struct span name)
{
    size_t at = 0;
    while (at <= name.len) {
        const struct span rest = {name.base + at, name.len - at};
        const char *slash = rest.len > 0 ? memchr(rest.base, '/', rest.len) : NULL;
        const struct span part = {rest.base,
                                  slash == NULL ? rest.len : (size_t)(slash - rest.base)};
        if (part.len == 0 || part.len > LIMIT_NAME_BYTES_MAX || span_equal(part, span_of(".")) ||
            span_equal(part, span_of(".."))) {
            return false;
        }
        at += part.len + 1;
    }
    return true;
}

/* Whether `a` is `b`, or a folder that `b` lies in. */
static bool is_in_the_way(struct span a, struct span b)
{
    return a.len <= b.len && memcmp(a.base, b.base, a.len) == 0 &&
           (a.len == b.len || b.base[a.len] == '/');
}

static int name_check(const struct run_file *files, size_t at, struct err *err)
{
    const struct span name = span_of(files[at].name);
    if (name.len > LIMIT_GIVEN_NAME_BYTES_MAX || !utf8_valid(name) || !is_below(name)) {
        return err_set(err, ERR_USAGE,
                       "\"%.200s\" cannot be the name of a file: it has to be a path below the "
                       "working directory, such as data.csv or data/a.csv",
                       utf8_valid(name) ? files[at].name : "?");
    }
    for (size_t i = 0; i < at; i++) {
        const struct span other = span_of(files[i].name);
        if (is_in_the_way(name, other) || is_in_the_way(other, name)) {
            return err_set(err, ERR_USAGE, "the files \"%.200s\" and \"%.200s\" exclude each other",
                           files[i].name, files[at].name);
        }
    }
    return 0;
}

int given_check(const struct run_file *files, size_t count, struct err *err)
{
    uint64_t bytes = 0;
    if (count > LIMIT_GIVEN_COUNT_MAX) {
        return err_set(err, ERR_LIMIT, "%zu files come with the program, %u at most", count,
                       LIMIT_GIVEN_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (name_check(files, i, err) != 0) {
            return -1;
        }
        bytes += files[i].bytes.len;
        if (bytes > LIMIT_GIVEN_BYTES_MAX) {
            return err_set(err, ERR_LIMIT, "the files have more than %llu bytes together",
                           LIMIT_GIVEN_BYTES_MAX);
        }
    }
    return 0;
}

int given_put(struct buf *out, const struct run_file *files, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        cleanup_buf struct buf value;
        const struct span name = span_of(files[i].name);
        const struct span bytes = files[i].bytes;
        buf_init(&value, sizeof(uint32_t) + name.len + bytes.len);
        if (buf_append_u32(&value, (uint32_t)name.len) != 0 ||
            buf_append(&value, name.base, name.len) != 0 ||
            buf_append(&value, bytes.base, bytes.len) != 0 ||
            wire_put(out, WIRE_REQUEST_FILE, buf_span(&value)) != 0) {
            return err_set(err, ERR_LIMIT, "the request is too large at the file \"%.200s\"",
                           files[i].name);
        }
    }
    return 0;
}
