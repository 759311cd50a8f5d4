#include "base/jtext.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

/* Bytes that have to be escaped at `p`, and the code unit to write for them; 0 for plain text. */
static size_t special_len(const unsigned char *p, const unsigned char *end, unsigned *unit)
{
    if (p[0] < 0x20 || p[0] == '"' || p[0] == '\\' || p[0] == 0x7F) {
        *unit = p[0];
        return 1;
    }
    if (p[0] == 0xC2 && end - p >= 2 && p[1] == 0x85) {
        *unit = 0x85;
        return 2;
    }
    if (p[0] == 0xE2 && end - p >= 3 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9)) {
        *unit = p[2] == 0xA8 ? 0x2028 : 0x2029;
        return 3;
    }
    return 0;
}

static int append_escape(struct buf *out, unsigned unit)
{
    switch (unit) {
    case '"': return buf_append_text(out, "\\\"");
    case '\\': return buf_append_text(out, "\\\\");
    case '\n': return buf_append_text(out, "\\n");
    case '\r': return buf_append_text(out, "\\r");
    case '\t': return buf_append_text(out, "\\t");
    case '\b': return buf_append_text(out, "\\b");
    case '\f': return buf_append_text(out, "\\f");
    default: return buf_append_format(out, "\\u%04x", unit);
    }
}

static int append_inside(struct buf *out, struct span text)
{
    if (text.len == 0) {
        return 0;
    }
    const unsigned char *p = (const unsigned char *)text.base;
    const unsigned char *end = p + text.len;
    const unsigned char *plain = p;
    while (p < end) {
        unsigned unit;
        size_t len = special_len(p, end, &unit);
        if (len == 0) {
            p++;
            continue;
        }
        if (buf_append(out, plain, (size_t)(p - plain)) != 0 || append_escape(out, unit) != 0) {
            return -1;
        }
        p += len;
        plain = p;
    }
    return buf_append(out, plain, (size_t)(end - plain));
}

int jtext_append_string(struct buf *out, struct span text)
{
    cleanup_buf struct buf repaired;
    buf_init(&repaired, SIZE_MAX / 2);
    if (!utf8_valid(text)) {
        if (utf8_append_lossy(&repaired, text) != 0) {
            return -1;
        }
        text = buf_span(&repaired);
    }
    if (buf_append_char(out, '"') != 0 || append_inside(out, text) != 0) {
        return -1;
    }
    return buf_append_char(out, '"');
}

/* A string token of checked text again, escaped our way. */
static int append_token(struct buf *out, struct span string)
{
    if (memchr(string.base, '\\', string.len) == NULL) {
        return jtext_append_string(out, (struct span){string.base + 1, string.len - 2});
    }
    cleanup_buf struct buf decoded;
    buf_init(&decoded, string.len * 3); /* a lone surrogate's six bytes give three */
    if (jtext_string_decode(&decoded, string) != 0) {
        return -1;
    }
    return jtext_append_string(out, buf_span(&decoded));
}

/* Length of the string token at `p`. */
static size_t token_len(const char *p, const char *end)
{
    const char *at = p + 1;
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
    }
    return (size_t)(at - p) + 1;
}

struct writer {
    struct buf *out;
    bool is_indented;
    size_t depth;
};

static int break_line(struct writer *w)
{
    if (!w->is_indented) {
        return 0;
    }
    size_t spaces = 2 * w->depth;
    if (buf_append_char(w->out, '\n') != 0 || buf_reserve(w->out, spaces) != 0) {
        return -1;
    }
    memset(w->out->base + w->out->len, ' ', spaces);
    w->out->len += spaces;
    return 0;
}

static const char *skip_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
    }
    return p;
}

/* One structural character; returns how far to go, or NULL. */
static const char *write_mark(struct writer *w, const char *p, const char *end)
{
    char c = *p++;
    if (c == '{' || c == '[') {
        const char *next = skip_blank(p, end);
        if (*next == '}' || *next == ']') {
            char both[] = {c, *next};
            return buf_append(w->out, both, sizeof both) == 0 ? next + 1 : NULL;
        }
        w->depth++;
        return buf_append_char(w->out, c) == 0 && break_line(w) == 0 ? p : NULL;
    }
    if (c == '}' || c == ']') {
        w->depth--;
        return break_line(w) == 0 && buf_append_char(w->out, c) == 0 ? p : NULL;
    }
    if (c == ',') {
        return buf_append_char(w->out, c) == 0 && break_line(w) == 0 ? p : NULL;
    }
    return buf_append_text(w->out, w->is_indented ? ": " : ":") == 0 ? p : NULL;
}

static int write_value(struct writer *w, struct span value)
{
    const char *p = value.base;
    const char *end = p + value.len;
    while ((p = skip_blank(p, end)) < end) {
        if (*p == '"') {
            size_t len = token_len(p, end);
            if (append_token(w->out, (struct span){p, len}) != 0) {
                return -1;
            }
            p += len;
        } else if (strchr("{}[],:", *p) != NULL) {
            p = write_mark(w, p, end);
            if (p == NULL) {
                return -1;
            }
        } else {
            const char *stop = p;
            while (stop < end && strchr("{}[],: \t\n\r", *stop) == NULL) {
                stop++;
            }
            if (buf_append(w->out, p, (size_t)(stop - p)) != 0) {
                return -1;
            }
            p = stop;
        }
    }
    return 0;
}

int jtext_append_compact(struct buf *out, struct span value)
{
    struct writer w = {.out = out};
    return write_value(&w, value);
}

int jtext_append_indented(struct buf *out, struct span value)
{
    struct writer w = {.out = out, .is_indented = true};
    return write_value(&w, value);
}
