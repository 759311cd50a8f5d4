/* These functions of OpenSSL's are deprecated for being bound to one algorithm. That is what is
 * wanted: the general ones look for providers and read a configuration first, which takes longer
 * than all sums of a run. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "packages/sum.h"

void sum_begin(struct sum *sum)
{
    sum->is_good = SHA256_Init(&sum->state) == 1;
}

void sum_add(struct sum *sum, struct span part)
{
    uint8_t len[8];
    for (unsigned i = 0; i < sizeof len; i++) {
        len[i] = (uint8_t)((uint64_t)part.len >> (8 * i));
    }
    sum->is_good = SHA256_Update(&sum->state, len, sizeof len) == 1 &&
                   SHA256_Update(&sum->state, part.base, part.len) == 1 && sum->is_good;
}

int sum_end(struct sum *sum, uint8_t out[SUM_BYTES])
{
    memset(out, 0, SUM_BYTES);
    return sum->is_good && SHA256_Final(out, &sum->state) == 1 ? 0 : -1;
}

void sum_hex(const uint8_t sum[SUM_BYTES], char out[SUM_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < SUM_BYTES; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[SUM_HEX_SIZE - 1] = '\0';
}
