/* SHA-256, by OpenSSL's libcrypto. A digest is made of parts, each with its length before it, so
 * that two lists of parts never have the same one by where they are cut. */
#ifndef PACKAGES_SUM_H
#define PACKAGES_SUM_H

#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { SUM_BYTES = 32, SUM_HEX_SIZE = 65 };

struct sum {
    SHA256_CTX state;
    bool is_good;
};

void sum_begin(struct sum *sum);
void sum_add(struct sum *sum, struct span part);
/* 0, or -1 when the library refused something (then *out is zero). */
int sum_end(struct sum *sum, uint8_t out[SUM_BYTES]);

void sum_hex(const uint8_t sum[SUM_BYTES], char out[SUM_HEX_SIZE]);

#endif
