#include "cli/terminal.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD";

/*
 * Looks at an escape sequence at `p`. Returns its length when it sets colours, 0 when it is some
 * other control, -1 when there is not enough of it to tell.
 */
static int color_len(const char *p, size_t left)
{
    if (left == 1) {
        return -1;
    }
    if (p[1] != '[') {
        return 0;
    }
    for (size_t i = 2; i < TERMINAL_HELD_MAX; i++) {
        if (i == left) {
            return -1;
        }
        if (p[i] == 'm') {
            return (int)i + 1;
        }
        if (!((p[i] >= '0' && p[i] <= '9') || p[i] == ';' || p[i] == ':')) {
            return 0;
        }
    }
    return 0;
}

/* How many bytes a character with this first byte has. */
static size_t char_len(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* C1 controls, and what reorders text: U+202A to U+202E, U+2066 to U+2069. */
static bool is_dangerous(const char *p, size_t len)
{
    const unsigned char *b = (const unsigned char *)p;
    if (len == 2) {
        return b[0] == 0xC2 && b[1] < 0xA0;
    }
    return len == 3 && b[0] == 0xE2 &&
           ((b[1] == 0x80 && b[2] >= 0xAA && b[2] <= 0xAE) ||
            (b[1] == 0x81 && b[2] >= 0xA6 && b[2] <= 0xA9));
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7F;
}

/*
 * Takes one unit at `p`. Returns the bytes used, 0 when more are needed; *keep says whether they
 * are shown as they are.
 */
static size_t take_unit(const char *p, size_t left, bool *keep)
{
    *keep = false;
    if (*p == '\x1B') {
        int len = color_len(p, left);
        *keep = len > 0;
        return len < 0 ? 0 : len == 0 ? 1 : (size_t)len;
    }
    size_t len = char_len((unsigned char)*p);
    size_t good = utf8_valid_prefix((struct span){p, len < left ? len : left});
    if (good == len) {
        *keep = !is_control(*p) && !is_dangerous(p, len);
        return len;
    }
    /* Too few bytes, all of them right so far: the rest may come with the next piece. */
    cleanup_buf struct buf lossy;
    buf_init(&lossy, 64);
    bool open = left < len && utf8_append_lossy(&lossy, (struct span){p, left}) == 0 &&
                lossy.len == sizeof replacement - 1;
    return open ? 0 : 1;
}

static size_t filter_some(const char *p, size_t left, struct buf *out, int *failed)
{
    size_t used = 0;
    while (used < left && *failed == 0) {
        bool keep;
        size_t len = take_unit(p + used, left - used, &keep);
        if (len == 0) {
            break;
        }
        *failed = keep ? buf_append(out, p + used, len) : buf_append_text(out, replacement);
        used += len;
    }
    return used;
}

int terminal_filter(struct terminal_filter *filter, struct span piece, struct buf *out)
{
    int failed = 0;
    while (filter->held_len > 0 && piece.len > 0 && failed == 0) {
        /* A byte at a time until what was held is decided. */
        filter->held[filter->held_len++] = *piece.base;
        piece = (struct span){piece.base + 1, piece.len - 1};
        size_t used = filter_some(filter->held, filter->held_len, out, &failed);
        filter->held_len -= used;
        memmove(filter->held, filter->held + used, filter->held_len);
    }
    if (failed != 0 || piece.len == 0) {
        return failed;
    }
    size_t used = filter_some(piece.base, piece.len, out, &failed);
    if (failed == 0 && used < piece.len) {
        filter->held_len = piece.len - used;
        memcpy(filter->held, piece.base + used, filter->held_len);
    }
    return failed;
}

int terminal_finish(struct terminal_filter *filter, struct buf *out)
{
    bool held = filter->held_len > 0;
    filter->held_len = 0;
    return held ? buf_append_text(out, replacement) : 0;
}
