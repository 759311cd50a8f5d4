#include "result/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum blank { BLANK_NONE, BLANK_SPACE, BLANK_INVISIBLE };

struct code_range {
    uint32_t first;
    uint32_t last;
    enum blank kind;
};

/* Unicode's White_Space, and the format characters that leave no mark on a screen. */
static const struct code_range blanks[] = {
    {0x00, 0x08, BLANK_INVISIBLE},     {0x09, 0x0D, BLANK_SPACE},
    {0x0E, 0x1F, BLANK_INVISIBLE},     {0x20, 0x20, BLANK_SPACE},
    {0x7F, 0x84, BLANK_INVISIBLE},     {0x85, 0x85, BLANK_SPACE},
    {0x86, 0x9F, BLANK_INVISIBLE},     {0xA0, 0xA0, BLANK_SPACE},
    {0xAD, 0xAD, BLANK_INVISIBLE},     {0x34F, 0x34F, BLANK_INVISIBLE},
    {0x61C, 0x61C, BLANK_INVISIBLE},   {0x1680, 0x1680, BLANK_SPACE},
    {0x180B, 0x180F, BLANK_INVISIBLE}, {0x2000, 0x200A, BLANK_SPACE},
    {0x200B, 0x200F, BLANK_INVISIBLE}, {0x2028, 0x2029, BLANK_SPACE},
    {0x202A, 0x202E, BLANK_INVISIBLE}, {0x202F, 0x202F, BLANK_SPACE},
    {0x205F, 0x205F, BLANK_SPACE},     {0x2060, 0x206F, BLANK_INVISIBLE},
    {0x3000, 0x3000, BLANK_SPACE},     {0xFE00, 0xFE0F, BLANK_INVISIBLE},
    {0xFEFF, 0xFEFF, BLANK_INVISIBLE}, {0xE0000, 0xE0FFF, BLANK_INVISIBLE},
};

/* The code point at `p` of well-formed text, and its length. */
static uint32_t decode(const unsigned char *p, const unsigned char *end, size_t *len)
{
    *len = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (*len == 1 || *len > (size_t)(end - p)) {
        *len = 1;
        return p[0];
    }
    uint32_t code = p[0] & (0xFFu >> (*len + 1));
    for (size_t i = 1; i < *len; i++) {
        code = code << 6 | (p[i] & 0x3Fu);
    }
    return code;
}

static enum blank blank_at(const unsigned char *p, const unsigned char *end, size_t *len)
{
    uint32_t code = decode(p, end, len);
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        if (code <= blanks[i].last) {
            return code >= blanks[i].first ? blanks[i].kind : BLANK_NONE;
        }
    }
    return BLANK_NONE;
}

/* Behind blanks and slashes. */
static const unsigned char *skip_lead(const unsigned char *p, const unsigned char *end)
{
    size_t len;
    while (p < end && (*p == '/' || blank_at(p, end, &len) != BLANK_NONE)) {
        p += *p == '/' ? 1 : len;
    }
    return p;
}

/* Behind the element's name if it stands at `p`, else NULL. */
static const unsigned char *match_name(const unsigned char *p, const unsigned char *end,
                                       const char *element)
{
    while (*element != '\0') {
        size_t len;
        if (p == end) {
            return NULL;
        }
        unsigned char lower = *p >= 'A' && *p <= 'Z' ? (unsigned char)(*p + 32) : *p;
        if (lower == (unsigned char)*element) {
            p++;
            element++;
        } else if (blank_at(p, end, &len) == BLANK_INVISIBLE) {
            p += len;
        } else {
            return NULL;
        }
    }
    return p;
}

static int append_angles(struct buf *out, const unsigned char *p, const unsigned char *end)
{
    for (; p < end; p++) {
        int failed = *p == '<'   ? buf_append_text(out, "&lt;")
                     : *p == '>' ? buf_append_text(out, "&gt;")
                                 : buf_append_char(out, (char)*p);
        if (failed != 0) {
            return -1;
        }
    }
    return 0;
}

/* Where the line at `p` ends, or behind the '>' that comes first. *seen spares a text of a million
 * unclosed tags in one line from being searched a million times: it is the last place found. */
static const unsigned char *tag_end(const unsigned char *p, const unsigned char *end,
                                    const unsigned char **seen)
{
    if (*seen < p) {
        *seen = p;
        while (*seen < end && **seen != '\n' && **seen != '>') {
            (*seen)++;
        }
    }
    return *seen < end && **seen == '>' ? *seen + 1 : p;
}

int escape_append(struct buf *out, const char *element, struct span text)
{
    if (text.len == 0) {
        return 0;
    }
    const unsigned char *p = (const unsigned char *)text.base;
    const unsigned char *end = p + text.len;
    const unsigned char *seen = p;
    while (p < end) {
        const unsigned char *less = memchr(p, '<', (size_t)(end - p));
        const unsigned char *stop = less == NULL ? end : less;
        if (buf_append(out, p, (size_t)(stop - p)) != 0) {
            return -1;
        }
        if (less == NULL) {
            return 0;
        }
        const unsigned char *name_end = match_name(skip_lead(less + 1, end), end, element);
        const unsigned char *tag = name_end == NULL ? less + 1 : tag_end(name_end, end, &seen);
        int failed = name_end == NULL ? buf_append_char(out, '<') : append_angles(out, less, tag);
        if (failed != 0) {
            return -1;
        }
        p = tag;
    }
    return 0;
}
