#include "base/base64.h"

#include <stdbool.h>
#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int encode(struct buf *out, struct span bytes, const char *digits, bool is_padded)
{
    if (buf_reserve(out, (bytes.len / 3 + 1) * 4) != 0) {
        return -1;
    }
    char *to = out->base + out->len;
    size_t rest = bytes.len;
    const uint8_t *from = (const uint8_t *)bytes.base;
    for (; rest >= 3; rest -= 3, from += 3) {
        uint32_t three = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *to++ = digits[three >> 18];
        *to++ = digits[three >> 12 & 63];
        *to++ = digits[three >> 6 & 63];
        *to++ = digits[three & 63];
    }
    if (rest > 0) {
        uint32_t three = (uint32_t)from[0] << 16 | (rest == 2 ? (uint32_t)from[1] << 8 : 0);
        *to++ = digits[three >> 18];
        *to++ = digits[three >> 12 & 63];
        if (rest == 2) {
            *to++ = digits[three >> 6 & 63];
        } else if (is_padded) {
            *to++ = '=';
        }
        if (is_padded) {
            *to++ = '=';
        }
    }
    out->len = (size_t)(to - out->base);
    return 0;
}

int base64_encode(struct buf *out, struct span bytes)
{
    return encode(out, bytes, alphabet, true);
}

int base64_encode_url(struct buf *out, struct span bytes)
{
    return encode(out, bytes, alphabet_url, false);
}

static int value_of(char c, const char *digits)
{
    for (int i = 0; i < 64; i++) {
        if (digits[i] == c) {
            return i;
        }
    }
    return -1;
}

/* `text` is without its padding. */
static int decode(struct buf *out, struct span text, const char *digits)
{
    size_t before = out->len;
    uint32_t bits = 0;
    unsigned count = 0;
    int values[256];
    if (text.len % 4 == 1 || buf_reserve(out, text.len / 4 * 3 + 3) != 0) {
        return -1;
    }
    for (int c = 0; c < 256; c++) {
        values[c] = value_of((char)c, digits);
    }
    for (size_t i = 0; i < text.len; i++) {
        int value = values[(unsigned char)text.base[i]];
        if (value < 0) {
            out->len = before;
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out->base[out->len++] = (char)(bits >> count);
            bits &= (1U << count) - 1;
        }
    }
    if (bits != 0) {
        out->len = before;
        return -1;
    }
    return 0;
}

int base64_decode(struct buf *out, struct span text)
{
    if (text.len % 4 != 0) {
        return -1;
    }
    for (unsigned i = 0; i < 2 && text.len > 0 && text.base[text.len - 1] == '='; i++) {
        text.len--;
    }
    return decode(out, text, alphabet);
}

int base64_decode_url(struct buf *out, struct span text)
{
    return decode(out, text, alphabet_url);
}
