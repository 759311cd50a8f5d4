#include "fetch/html.h"

#include <stdint.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equal_ignoring_case(struct span text, const char *lower)
{
    if (text.len != strlen(lower)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (to_lower(text.base[i]) != lower[i]) {
            return false;
        }
    }
    return true;
}

static bool ends_name(char c)
{
    return is_space(c) || c == '/' || c == '>' || c == '=';
}

static void skip(struct span *text, size_t len)
{
    text->base += len;
    text->len -= len;
}

static bool starts_with(struct span text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.base, start, len) == 0;
}

/* Passes everything up to and including `end`; all of it when there is none. */
static void skip_past(struct span *text, const char *end)
{
    const char *found = text->len == 0 ? NULL : memmem(text->base, text->len, end, strlen(end));
    skip(text, found == NULL ? text->len : (size_t)(found - text->base) + strlen(end));
}

struct attribute {
    struct span name;
    struct span value; /* references not decoded */
};

static struct span take_value(struct span *text)
{
    char quote = text->len > 0 ? text->base[0] : '\0';
    struct span value = *text;
    if (quote == '"' || quote == '\'') {
        skip(text, 1);
        const char *end = memchr(text->base, quote, text->len);
        value = (struct span){text->base, end == NULL ? text->len : (size_t)(end - text->base)};
        skip(text, value.len + (end != NULL));
        return value;
    }
    value.len = 0;
    while (value.len < text->len && !is_space(text->base[value.len]) &&
           text->base[value.len] != '>') {
        value.len++;
    }
    skip(text, value.len);
    return value;
}

/* Takes one attribute off the front; false at the tag's '>' or at the end of the text. */
static bool take_attribute(struct span *text, struct attribute *out)
{
    while (text->len > 0 && (is_space(text->base[0]) || text->base[0] == '/')) {
        skip(text, 1);
    }
    if (text->len == 0 || text->base[0] == '>') {
        return false;
    }
    size_t len = 1; /* a '=' in front belongs to the name */
    while (len < text->len && !ends_name(text->base[len])) {
        len++;
    }
    out->name = (struct span){text->base, len};
    out->value = (struct span){text->base + len, 0};
    skip(text, len);
    struct span ahead = *text;
    while (ahead.len > 0 && is_space(ahead.base[0])) {
        skip(&ahead, 1);
    }
    if (ahead.len > 0 && ahead.base[0] == '=') {
        skip(&ahead, 1);
        while (ahead.len > 0 && is_space(ahead.base[0])) {
            skip(&ahead, 1);
        }
        out->value = take_value(&ahead);
        *text = ahead;
    }
    return true;
}

/* Takes a tag's name and attributes; *text starts at the name. False when the tag never ends. */
static bool take_tag(struct span *text, struct html_tag *out)
{
    size_t len = 0;
    while (len < text->len && !is_space(text->base[len]) && text->base[len] != '/' &&
           text->base[len] != '>') {
        len++;
    }
    out->name = (struct span){text->base, len};
    skip(text, len);
    out->attributes.base = text->base;
    struct attribute attribute;
    while (take_attribute(text, &attribute)) {
    }
    out->attributes.len = (size_t)(text->base - out->attributes.base);
    if (text->len == 0) {
        return false;
    }
    skip(text, 1);
    return true;
}

/* Elements whose contents are text until their end tag. */
static bool holds_text(const struct html_tag *tag)
{
    static const char *const names[] = {"script", "style",   "title",    "textarea",
                                        "xmp",    "noembed", "noframes", "iframe"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (html_tag_is(tag, names[i])) {
            return true;
        }
    }
    return false;
}

/* Passes the contents of such an element, up to its end tag. */
static void skip_text(struct span *text, struct span name)
{
    for (;;) {
        const char *found = text->len == 0 ? NULL : memmem(text->base, text->len, "</", 2);
        if (found == NULL) {
            skip(text, text->len);
            return;
        }
        skip(text, (size_t)(found - text->base) + 2);
        if (text->len <= name.len) {
            continue;
        }
        char after = text->base[name.len];
        bool is_end = is_space(after) || after == '/' || after == '>';
        for (size_t i = 0; is_end && i < name.len; i++) {
            is_end = to_lower(text->base[i]) == to_lower(name.base[i]);
        }
        if (is_end) {
            struct html_tag end;
            (void)take_tag(text, &end);
            return;
        }
    }
}

static void skip_comment(struct span *text)
{
    if (starts_with(*text, ">")) {
        skip(text, 1);
    } else if (starts_with(*text, "->")) {
        skip(text, 2);
    } else {
        skip_past(text, "-->");
    }
}

bool html_next_tag(struct span *rest, struct html_tag *out)
{
    while (rest->len > 0) {
        const char *open = memchr(rest->base, '<', rest->len);
        skip(rest, open == NULL ? rest->len : (size_t)(open - rest->base) + 1);
        if (rest->len == 0) {
            return false;
        }
        if (starts_with(*rest, "!--")) {
            skip(rest, 3);
            skip_comment(rest);
        } else if (rest->base[0] == '!' || rest->base[0] == '?') {
            skip_past(rest, ">");
        } else if (rest->base[0] == '/') {
            skip(rest, 1);
            if (rest->len > 0 && is_letter(rest->base[0])) {
                (void)take_tag(rest, out);
            } else {
                skip_past(rest, ">");
            }
        } else if (is_letter(rest->base[0])) {
            if (!take_tag(rest, out)) {
                return false;
            }
            if (holds_text(out)) {
                skip_text(rest, out->name);
            }
            return true;
        }
    }
    return false;
}

bool html_tag_is(const struct html_tag *tag, const char *name)
{
    return equal_ignoring_case(tag->name, name);
}

static int append_character(struct buf *out, uint32_t code)
{
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        code = 0xFFFD;
    }
    if (code < 0x80) {
        return buf_append_char(out, (char)code);
    }
    char bytes[4];
    unsigned len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (unsigned i = len - 1; i > 0; i--) {
        bytes[i] = (char)(unsigned char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    bytes[0] = (char)(unsigned char)(lead[len] | code);
    return buf_append(out, bytes, len);
}

/* Reads "#123;" or "#x1F;" (what follows an ampersand). Returns its length, 0 when it is none. */
static size_t read_number(struct span text, uint32_t *code)
{
    size_t at = 1;
    uint32_t radix = 10;
    if (text.len > 1 && (text.base[1] == 'x' || text.base[1] == 'X')) {
        radix = 16;
        at = 2;
    }
    size_t first = at;
    *code = 0;
    for (; at < text.len; at++) {
        char c = to_lower(text.base[at]);
        uint32_t digit = c >= '0' && c <= '9'                  ? (uint32_t)(c - '0')
                         : radix == 16 && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                                                               : 99;
        if (digit == 99) {
            break;
        }
        *code = *code > 0x10FFFF ? *code : *code * radix + digit;
    }
    return at > first && at < text.len && text.base[at] == ';' ? at + 1 : 0;
}

/* Appends what a reference stands for; *text starts behind the ampersand. Of the names, only those
 * that HTML has for its own characters are known: a URL or a version needs no others. */
static int append_reference(struct buf *out, struct span *text)
{
    static const struct {
        const char *name;
        char character;
    } names[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
    uint32_t code;
    size_t len = starts_with(*text, "#") ? read_number(*text, &code) : 0;
    if (len > 0) {
        skip(text, len);
        return append_character(out, code);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (starts_with(*text, names[i].name)) {
            skip(text, strlen(names[i].name));
            return buf_append_char(out, names[i].character);
        }
    }
    return buf_append_char(out, '&');
}

static int append_decoded(struct buf *out, struct span text)
{
    while (text.len > 0) {
        const char *ampersand = memchr(text.base, '&', text.len);
        size_t len = ampersand == NULL ? text.len : (size_t)(ampersand - text.base);
        if (buf_append(out, text.base, len) != 0) {
            return -1;
        }
        skip(&text, len);
        if (text.len > 0) {
            skip(&text, 1);
            if (append_reference(out, &text) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

bool html_attribute(const struct html_tag *tag, const char *name, struct buf *out)
{
    struct span rest = tag->attributes;
    struct attribute attribute;
    buf_clear(out);
    while (take_attribute(&rest, &attribute)) {
        if (equal_ignoring_case(attribute.name, name)) {
            return append_decoded(out, attribute.value) == 0;
        }
    }
    return false;
}
