#include "builder/install.h"

#include <stdio.h>

#include "base/limits.h"

#define BYTECODE_FOLDER "__pycache__"
#define BYTECODE_SUFFIX ".cpython-314.pyc"
#define LIBRARY_DIR     "lib/python3.14" /* from the root */

static bool ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len > len && memcmp(text.base + text.len - len, end, len) == 0;
}

/* Cuts the next part of a path off; false at the end. */
static bool next_part(struct span *rest, struct span *part)
{
    if (rest->len == 0) {
        return false;
    }
    const char *slash = memchr(rest->base, '/', rest->len);
    part->base = rest->base;
    part->len = slash == NULL ? rest->len : (size_t)(slash - rest->base);
    size_t used = slash == NULL ? part->len : part->len + 1;
    *rest = (struct span){rest->base + used, rest->len - used};
    return true;
}

struct span install_top(struct span path)
{
    struct span part = {0};
    bool is_folder = next_part(&path, &part) && path.len > 0;
    const char *dot = is_folder || part.len == 0 ? NULL : memchr(part.base, '.', part.len);
    return dot == NULL ? part : (struct span){part.base, (size_t)(dot - part.base)};
}

/* Finds the folder of the standard library in its image. */
static bool library_dir(const struct image *library, uint32_t *dir)
{
    struct span path = span_of(LIBRARY_DIR);
    struct span part;
    *dir = IMAGE_ROOT;
    while (next_part(&path, &part)) {
        if (image_lookup(library, *dir, part, dir) != 1) {
            return false;
        }
    }
    return true;
}

static bool is_in_library(const struct image *library, struct span top)
{
    char file[LIMIT_NAME_BYTES_MAX + 1];
    uint32_t dir;
    uint32_t found;
    int len = snprintf(file, sizeof file, "%.*s.py", (int)top.len, top.base);
    if (len < 0 || (size_t)len >= sizeof file || !library_dir(library, &dir) ||
        span_equal(top, span_of("site-packages"))) {
        return false;
    }
    return image_lookup(library, dir, top, &found) == 1 ||
           image_lookup(library, dir, (struct span){file, (size_t)len}, &found) == 1;
}

/* Names that mean something else in a guest than what a wheel would make of them. */
static bool is_reserved(struct span top)
{
    static const char *const names[] = {"js", "pyodide_js", "vitrine", "sitecustomize",
                                        "usercustomize"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_equal(top, span_of(names[i]))) {
            return true;
        }
    }
    return false;
}

static bool has_part(struct span path, const char *name, bool last_too)
{
    struct span part;
    while (next_part(&path, &part)) {
        if ((path.len > 0 || last_too) && span_equal(part, span_of(name))) {
            return true;
        }
    }
    return false;
}

/* "libx.so" and "libx.so.1". */
static bool is_library(struct span path)
{
    while (path.len > 0 && (path.base[path.len - 1] == '.' ||
                            (path.base[path.len - 1] >= '0' && path.base[path.len - 1] <= '9'))) {
        path.len--;
    }
    return ends_with(path, ".so");
}

enum install_kind install_kind(const struct wheel *wheel, size_t index, const struct image *library,
                               struct span *path)
{
    if (!wheel_install_path(wheel, index, path)) {
        return INSTALL_NOT;
    }
    bool is_top_level = memchr(path->base, '/', path->len) == NULL;
    if (has_part(*path, BYTECODE_FOLDER, true) || (is_top_level && ends_with(*path, ".pth"))) {
        return INSTALL_NOT;
    }
    struct span top = install_top(*path);
    if (is_reserved(top) || is_in_library(library, top)) {
        return INSTALL_SHADOW;
    }
    if (is_library(*path)) {
        return INSTALL_LIBRARY;
    }
    const char *slash = memrchr(path->base, '/', path->len);
    size_t leaf_len = slash == NULL ? path->len : path->len - (size_t)(slash - path->base) - 1;
    if (!ends_with(*path, ".py") || leaf_len + strlen(BYTECODE_SUFFIX) > LIMIT_NAME_BYTES_MAX ||
        has_part(*path, "tests", false) || has_part(*path, "test", false)) {
        return INSTALL_FILE;
    }
    return INSTALL_SOURCE;
}

int install_bytecode_path(struct span source, struct buf *out)
{
    const char *slash = memrchr(source.base, '/', source.len);
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - source.base) + 1;
    size_t stem_len = source.len - folder_len - strlen(".py");
    return buf_append(out, source.base, folder_len) != 0 ||
                   buf_append_text(out, BYTECODE_FOLDER "/") != 0 ||
                   buf_append(out, source.base + folder_len, stem_len) != 0 ||
                   buf_append_text(out, BYTECODE_SUFFIX) != 0
               ? -1
               : 0;
}
