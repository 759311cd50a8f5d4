#include "wheel/sum.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static const EVP_MD *algorithm(enum sum_kind kind)
{
    switch (kind) {
    case SUM_SHA256: return EVP_sha256();
    case SUM_SHA384: return EVP_sha384();
    case SUM_SHA512: return EVP_sha512();
    case SUM_NONE:
    default: return NULL;
    }
}

size_t sum_bytes(enum sum_kind kind)
{
    switch (kind) {
    case SUM_SHA256: return 32;
    case SUM_SHA384: return 48;
    case SUM_SHA512: return 64;
    case SUM_NONE:
    default: return 0;
    }
}

int sum_prepare(struct err *err)
{
    struct sum unused;
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1) {
        return err_set(err, ERR_SYSTEM, "the crypto library does not start");
    }
    return sum_make(SUM_SHA256, span_of(""), &unused, err);
}

int sum_make(enum sum_kind kind, struct span bytes, struct sum *out, struct err *err)
{
    unsigned len = 0;
    *out = (struct sum){.kind = kind};
    if (EVP_Digest(bytes.base, bytes.len, out->bytes, &len, algorithm(kind), NULL) != 1 ||
        len != sum_bytes(kind)) {
        return err_set(err, ERR_SYSTEM, "the crypto library cannot make a sum");
    }
    return 0;
}

bool sum_equal(const struct sum *a, const struct sum *b)
{
    return a->kind == b->kind && memcmp(a->bytes, b->bytes, sum_bytes(a->kind)) == 0;
}

void sum_hex(const struct sum *sum, char hex[SUM_SHA256_HEX_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SUM_SHA256_BYTES; i++) {
        hex[2 * i] = digits[sum->bytes[i] >> 4];
        hex[2 * i + 1] = digits[sum->bytes[i] & 15];
    }
    hex[SUM_SHA256_HEX_CHARS] = '\0';
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Exactly `len` bytes; spare bits must be 0, so that a sum is spelled in one way only. */
static bool base64_decode(struct span text, uint8_t *bytes, size_t len)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t done = 0;
    if (text.len != (len * 8 + 5) / 6) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.base[i]);
        if (value < 0) {
            return false;
        }
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[done++] = (uint8_t)(bits >> count);
        }
    }
    return (bits & ((1U << count) - 1)) == 0;
}

bool sum_read_record(struct span text, struct sum *out)
{
    static const struct {
        const char *prefix;
        enum sum_kind kind;
    } kinds[] = {{"sha256=", SUM_SHA256}, {"sha384=", SUM_SHA384}, {"sha512=", SUM_SHA512}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct span prefix = span_of(kinds[i].prefix);
        if (text.len > prefix.len && memcmp(text.base, prefix.base, prefix.len) == 0) {
            *out = (struct sum){.kind = kinds[i].kind};
            text = (struct span){text.base + prefix.len, text.len - prefix.len};
            return base64_decode(text, out->bytes, sum_bytes(out->kind));
        }
    }
    return false;
}
