#include "result/picture.h"

#include <string.h>

#include "base/limits.h"

static const char *const media_types[PICTURE_KINDS] = {
    [PICTURE_PNG] = "image/png",
    [PICTURE_JPEG] = "image/jpeg",
    [PICTURE_WEBP] = "image/webp",
    [PICTURE_GIF] = "image/gif",
};

const char *picture_media_type(enum picture_kind kind)
{
    return media_types[kind];
}

/* ---- Base64 ---------------------------------------------------------------------------------- */

/* The value of each character and one more; 0 for those outside the alphabet. */
#define LETTER(c, first, value) [c] = (c) - (first) + (value) + 1
#define ROW(c, first, value)                                                                       \
    LETTER((c), first, value), LETTER((c) + 1, first, value), LETTER((c) + 2, first, value),       \
        LETTER((c) + 3, first, value), LETTER((c) + 4, first, value)
static const unsigned char letters[256] = {
    ROW('A', 'A', 0),  ROW('F', 'A', 0),  ROW('K', 'A', 0),  ROW('P', 'A', 0),
    ROW('U', 'A', 0),  ['Z'] = 26,        ROW('a', 'a', 26), ROW('f', 'a', 26),
    ROW('k', 'a', 26), ROW('p', 'a', 26), ROW('u', 'a', 26), ['z'] = 52,
    ROW('0', '0', 52), ROW('5', '0', 52), ['+'] = 63,        ['/'] = 64,
};

/* Decoded bytes by their place, so that nothing has to be decoded as a whole. */
struct bytes {
    const unsigned char *base64;
    size_t len; /* decoded */
};

static unsigned bits_at(const struct bytes *bytes, size_t place)
{
    return letters[bytes->base64[place]] == 0 ? 0 : letters[bytes->base64[place]] - 1u;
}

/* The caller knows that at < len. */
static unsigned byte_at(const struct bytes *bytes, size_t at)
{
    size_t place = at / 3 * 4 + at % 3;
    unsigned shift = 2 * (unsigned)(at % 3);
    return (bits_at(bytes, place) << (2 + shift) | bits_at(bytes, place + 1) >> (4 - shift)) & 0xFF;
}

static uint32_t number_at(const struct bytes *bytes, size_t at, unsigned width, bool is_big)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < width; i++) {
        value = value << 8 | byte_at(bytes, at + (is_big ? i : width - 1 - i));
    }
    return value;
}

static bool has_text(const struct bytes *bytes, size_t at, const char *text, size_t len)
{
    if (at > bytes->len || len > bytes->len - at) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (byte_at(bytes, at + i) != (unsigned char)text[i]) {
            return false;
        }
    }
    return true;
}

static bool bytes_open(struct bytes *bytes, struct span base64)
{
    const unsigned char *p = (const unsigned char *)base64.base;
    size_t len = base64.len;
    if (len == 0 || len % 4 != 0) {
        return false;
    }
    size_t padding = p[len - 1] != '=' ? 0 : p[len - 2] != '=' ? 1 : 2;
    bool is_strict = true;
    for (size_t i = 0; i < len - padding; i++) {
        is_strict &= letters[p[i]] != 0;
    }
    *bytes = (struct bytes){p, len / 4 * 3 - padding};
    unsigned left_over = bits_at(bytes, len - padding - 1) & (padding == 0   ? 0
                                                              : padding == 1 ? 3
                                                                             : 15);
    return is_strict && left_over == 0;
}

/* ---- Kinds ----------------------------------------------------------------------------------- */

/* Chunks up to the end: length, name, data, sum (PNG, sections 5.3 and 11.2). */
static bool look_png(const struct bytes *bytes, struct picture *out)
{
    enum { SIGNATURE_BYTES = 8, AROUND_BYTES = 12, HEADER_BYTES = 13 };
    size_t at = SIGNATURE_BYTES;
    bool has_data = false;
    if (!has_text(bytes, 0, "\x89PNG\r\n\x1A\n\0\0\0\rIHDR", 16)) {
        return false;
    }
    while (bytes->len - at >= AROUND_BYTES) {
        size_t len = number_at(bytes, at, 4, true);
        if (len > bytes->len - at - AROUND_BYTES) {
            return false;
        }
        if (at == SIGNATURE_BYTES && len == HEADER_BYTES) {
            out->width = number_at(bytes, at + 8, 4, true);
            out->height = number_at(bytes, at + 12, 4, true);
        }
        has_data |= has_text(bytes, at + 4, "IDAT", 4);
        if (has_text(bytes, at + 4, "IEND", 4)) {
            return has_data && at + AROUND_BYTES + len == bytes->len;
        }
        at += AROUND_BYTES + len;
    }
    return false;
}

/* Segments up to the frame header, whose marker tells the way of coding (ITU T.81, annex B). */
static bool look_jpeg(const struct bytes *bytes, struct picture *out)
{
    size_t at = 2;
    if (!has_text(bytes, 0, "\xFF\xD8\xFF", 3) || !has_text(bytes, bytes->len - 2, "\xFF\xD9", 2)) {
        return false;
    }
    while (at + 9 < bytes->len && byte_at(bytes, at) == 0xFF) {
        unsigned marker = byte_at(bytes, at + 1);
        size_t len = number_at(bytes, at + 2, 2, true);
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 &&
            marker != 0xCC) {
            out->height = number_at(bytes, at + 5, 2, true);
            out->width = number_at(bytes, at + 7, 2, true);
            return true;
        }
        if (len < 2 || marker < 0xC0 || (marker >= 0xD0 && marker <= 0xDA)) {
            return false;
        }
        at += 2 + len;
    }
    return false;
}

/* RFC 9649: the file's length, then a chunk of one of three kinds. */
static bool look_webp(const struct bytes *bytes, struct picture *out)
{
    if (bytes->len < 30 || !has_text(bytes, 0, "RIFF", 4) || !has_text(bytes, 8, "WEBP", 4) ||
        number_at(bytes, 4, 4, false) > bytes->len - 8) {
        return false;
    }
    if (has_text(bytes, 12, "VP8 ", 4) && has_text(bytes, 23, "\x9D\x01\x2A", 3)) {
        out->width = number_at(bytes, 26, 2, false) & 0x3FFF;
        out->height = number_at(bytes, 28, 2, false) & 0x3FFF;
        return true;
    }
    if (has_text(bytes, 12, "VP8L", 4) && byte_at(bytes, 20) == 0x2F) {
        uint32_t sides = number_at(bytes, 21, 4, false);
        out->width = (sides & 0x3FFF) + 1;
        out->height = (sides >> 14 & 0x3FFF) + 1;
        return true;
    }
    out->width = number_at(bytes, 24, 3, false) + 1;
    out->height = number_at(bytes, 27, 3, false) + 1;
    return has_text(bytes, 12, "VP8X", 4);
}

static bool look_gif(const struct bytes *bytes, struct picture *out)
{
    if (bytes->len < 14 || !(has_text(bytes, 0, "GIF87a", 6) || has_text(bytes, 0, "GIF89a", 6)) ||
        byte_at(bytes, bytes->len - 1) != 0x3B) {
        return false;
    }
    out->width = number_at(bytes, 6, 2, false);
    out->height = number_at(bytes, 8, 2, false);
    return true;
}

const char *picture_check(enum picture_kind kind, struct span base64, struct picture *out)
{
    static bool (*const looks[PICTURE_KINDS])(const struct bytes *, struct picture *) = {
        [PICTURE_PNG] = look_png,
        [PICTURE_JPEG] = look_jpeg,
        [PICTURE_WEBP] = look_webp,
        [PICTURE_GIF] = look_gif,
    };
    struct bytes bytes;
    *out = (struct picture){0};
    if (!bytes_open(&bytes, base64)) {
        return "it is no base64";
    }
    out->bytes = bytes.len;
    if (bytes.len < 16 || !looks[kind](&bytes, out) || out->width == 0 || out->height == 0) {
        return "its bytes are no such picture";
    }
    if (out->width > LIMIT_PICTURE_SIDE_MAX || out->height > LIMIT_PICTURE_SIDE_MAX) {
        return "it has too many pixels";
    }
    return NULL;
}
