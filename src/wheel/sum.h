/* Sums (SHA-2) of bytes that lie in memory. Used by `vitrine-precompile` and `vitrine-fetch`. */
#ifndef WHEEL_SUM_H
#define WHEEL_SUM_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum sum_kind { SUM_NONE, SUM_SHA256, SUM_SHA384, SUM_SHA512 };

enum { SUM_SHA256_BYTES = 32, SUM_BYTES_MAX = 64, SUM_SHA256_HEX_CHARS = 64 };

struct sum {
    enum sum_kind kind;
    uint8_t bytes[SUM_BYTES_MAX]; /* as many as the kind has */
};

/* Readies the library, so that a process that is jailed afterwards opens no file for it. */
int sum_prepare(struct err *err);

/* `kind` is not SUM_NONE. ERR_SYSTEM when the library fails. */
int sum_make(enum sum_kind kind, struct span bytes, struct sum *out, struct err *err);

size_t sum_bytes(enum sum_kind kind);
bool sum_equal(const struct sum *a, const struct sum *b);

/* Lower-case hexadecimal with a NUL; a SHA-256 sum only. */
void sum_hex(const struct sum *sum, char hex[SUM_SHA256_HEX_CHARS + 1]);

/* Reads a sum as RECORD writes it, "sha256=" and URL-safe base64 without padding (PEP 376, 427).
 * False for anything else, also for algorithms other than SHA-2 of 256 bits and more. */
bool sum_read_record(struct span text, struct sum *out);

#endif
