#include "guest/dylink/exports.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "guest/dylink/wasm_module.h"
#include "guest/dylink/wasm_reader.h"

/* WebAssembly core specification, 5.5.10: kinds of exports. */
enum { EXPORT_FUNCTION = 0, EXPORT_GLOBAL = 3 };

enum {
    NUMBER_DIGITS = 20,
    VARIABLE_EXPORT_BYTES_MAX =
        sizeof EXPORTS_VARIABLE + NUMBER_DIGITS + 2 * WASM_U32_BYTES_MAX + 1,
};

static bool is_kept(struct span name, const char *const *keep)
{
    for (size_t i = 0; keep[i] != NULL; i++) {
        if (span_equal(span_of(keep[i]), name)) {
            return true;
        }
    }
    return false;
}

static int append_u32(struct buf *out, uint32_t value)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    return buf_append(out, bytes, wasm_encode_u32(bytes, value));
}

/* Appends the entries that stay to `entries`; *count is how many, *named how many of `keep`. */
static int entries_filter(struct wasm_reader *body, const char *const *keep, struct buf *entries,
                          uint32_t *count, size_t *named)
{
    uint32_t total = wasm_u32(body);
    for (uint32_t i = 0; i < total && wasm_ok(body); i++) {
        size_t start = body->at;
        uint32_t name_len = wasm_u32(body);
        struct wasm_reader name = wasm_take(body, name_len);
        uint8_t kind = wasm_byte(body);
        (void)wasm_u32(body);
        if (!wasm_ok(body)) {
            break;
        }
        bool is_named = is_kept((struct span){(const char *)name.base + name.at, name_len}, keep);
        if (!is_named && (kind == EXPORT_FUNCTION || kind == EXPORT_GLOBAL)) {
            continue;
        }
        *named += is_named ? 1 : 0;
        *count += 1;
        if (buf_append(entries, body->base + start, body->at - start) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Appends an export of each variable. */
static int entries_add(const struct buf *variables, struct buf *entries, uint32_t *count)
{
    const uint32_t *indexes = (const uint32_t *)(const void *)variables->base;
    for (size_t i = 0; i < variables->len / sizeof *indexes; i++) {
        char name[sizeof EXPORTS_VARIABLE + NUMBER_DIGITS];
        int len = snprintf(name, sizeof name, "%s%zu", EXPORTS_VARIABLE, i);
        if (append_u32(entries, (uint32_t)len) != 0 ||
            buf_append(entries, name, (size_t)len) != 0 ||
            buf_append_char(entries, EXPORT_GLOBAL) != 0 || append_u32(entries, indexes[i]) != 0) {
            return -1;
        }
        *count += 1;
    }
    return 0;
}

static int section_rewrite(struct wasm_reader body, const char *const *keep,
                           const struct buf *variables, struct buf *out, struct err *err)
{
    cleanup_buf struct buf entries;
    cleanup_buf struct buf whole;
    uint32_t count = 0;
    size_t named = 0;
    size_t wanted = 0;
    size_t added_max = variables->len / sizeof(uint32_t) * VARIABLE_EXPORT_BYTES_MAX;
    buf_init(&entries, body.end - body.at + added_max);
    buf_init(&whole, body.end - body.at + added_max + WASM_U32_BYTES_MAX);
    while (keep[wanted] != NULL) {
        wanted++;
    }
    if (entries_filter(&body, keep, &entries, &count, &named) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for the exports");
    }
    if (wasm_result(&body, err) != 0) {
        return -1;
    }
    if (named != wanted) {
        return err_set(err, ERR_MISSING, "the module exports %zu of the %zu names that are needed",
                       named, wanted);
    }
    if (entries_add(variables, &entries, &count) != 0 || append_u32(&whole, count) != 0 ||
        buf_append(&whole, entries.base, entries.len) != 0 ||
        buf_append_char(out, WASM_SECTION_EXPORT) != 0 ||
        append_u32(out, (uint32_t)whole.len) != 0 || buf_append(out, whole.base, whole.len) != 0) {
        return err_set(err, ERR_LIMIT, "no room for the module");
    }
    return 0;
}

int exports_keep(struct span module, const char *const *keep, const struct buf *variables,
                 struct buf *out, struct err *err)
{
    struct wasm_reader reader = wasm_reader_of(module);
    wasm_skip(&reader, WASM_HEADER_BYTES);
    if (wasm_ok(&reader) && buf_append(out, module.base, WASM_HEADER_BYTES) != 0) {
        return err_set(err, ERR_LIMIT, "no room for the module");
    }
    for (;;) {
        size_t start = reader.at;
        struct wasm_section section;
        if (!wasm_next_section(&reader, &section)) {
            break;
        }
        if (section.id == WASM_SECTION_EXPORT) {
            if (section_rewrite(section.body, keep, variables, out, err) != 0) {
                return err_prefix(err, "taking exports out");
            }
        } else if (buf_append(out, module.base + start, reader.at - start) != 0) {
            return err_set(err, ERR_LIMIT, "no room for the module");
        }
    }
    return wasm_result(&reader, err);
}
