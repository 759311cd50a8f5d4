#include "packages/sum.h"

#include <openssl/evp.h>

void sum_begin(struct sum *sum)
{
    sum->state = EVP_MD_CTX_new();
    if (sum->state != NULL && EVP_DigestInit_ex(sum->state, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(sum->state);
        sum->state = NULL;
    }
}

void sum_add(struct sum *sum, struct span part)
{
    uint8_t len[8];
    for (unsigned i = 0; i < sizeof len; i++) {
        len[i] = (uint8_t)((uint64_t)part.len >> (8 * i));
    }
    if (sum->state != NULL && (EVP_DigestUpdate(sum->state, len, sizeof len) != 1 ||
                               EVP_DigestUpdate(sum->state, part.base, part.len) != 1)) {
        EVP_MD_CTX_free(sum->state);
        sum->state = NULL;
    }
}

int sum_end(struct sum *sum, uint8_t out[SUM_BYTES])
{
    unsigned len = 0;
    memset(out, 0, SUM_BYTES);
    int result = sum->state != NULL && EVP_DigestFinal_ex(sum->state, out, &len) == 1 ? 0 : -1;
    EVP_MD_CTX_free(sum->state);
    sum->state = NULL;
    return result;
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
