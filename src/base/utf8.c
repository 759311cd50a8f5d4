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
