#include "base/utf8.h"

/*
 * Looks at one sequence. Returns its length when well-formed; otherwise minus the length of the
 * maximal ill-formed subpart (at least -1). The table is the Unicode Standard's table 3-7.
 */
static int sequence_length(const unsigned char *p, size_t left)
{
    unsigned char lead = p[0];
    if (lead < 0x80) {
        return 1;
    }
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    int need;
    if (lead >= 0xC2 && lead <= 0xDF) {
        need = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        need = 2;
        low = lead == 0xE0 ? 0xA0 : 0x80;
        high = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        need = 3;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF;
    } else {
        return -1;
    }
    for (int i = 1; i <= need; i++) {
        if ((size_t)i >= left || p[i] < low || p[i] > high) {
            return -i;
        }
        low = 0x80;
        high = 0xBF;
    }
    return need + 1;
}

size_t utf8_valid_prefix(struct span text)
{
    const unsigned char *p = (const unsigned char *)text.base;
    size_t at = 0;
    while (at < text.len) {
        int len = sequence_length(p + at, text.len - at);
        if (len < 0) {
            break;
        }
        at += (size_t)len;
    }
    return at;
}

bool utf8_valid(struct span text)
{
    return utf8_valid_prefix(text) == text.len;
}

int utf8_append_lossy(struct buf *out, struct span text)
{
    const unsigned char *p = (const unsigned char *)text.base;
    size_t at = 0;
    while (at < text.len) {
        size_t good = utf8_valid_prefix((struct span){text.base + at, text.len - at});
        if (buf_append(out, text.base + at, good) != 0) {
            return -1;
        }
        at += good;
        if (at < text.len) {
            at += (size_t)-sequence_length(p + at, text.len - at);
            if (buf_append_text(out, "\xEF\xBF\xBD") != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* Of a well-formed character: C0 and C1 controls, U+2028 to U+202E, U+2066 to U+2069. */
static bool is_plain(const unsigned char *p, size_t len)
{
    if (len == 1) {
        return (p[0] >= 0x20 && p[0] != 0x7F) || p[0] == '\n' || p[0] == '\t';
    }
    if (len == 2) {
        return p[0] != 0xC2 || p[1] >= 0xA0;
    }
    return !(len == 3 && p[0] == 0xE2 &&
             ((p[1] == 0x80 && p[2] >= 0xA8 && p[2] <= 0xAE) ||
              (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9)));
}

int utf8_append_plain(struct buf *out, struct span text)
{
    const unsigned char *p = (const unsigned char *)text.base;
    for (size_t at = 0; at < text.len;) {
        const int len = sequence_length(p + at, text.len - at);
        const size_t used = (size_t)(len < 0 ? -len : len);
        const bool is_shown = len > 0 && is_plain(p + at, used);
        if (is_shown ? buf_append(out, p + at, used) : buf_append_text(out, "\xEF\xBF\xBD")) {
            return -1;
        }
        at += used;
    }
    return 0;
}
