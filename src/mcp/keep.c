/* These functions of OpenSSL's are deprecated for being bound to one algorithm. That is what is
 * wanted: the general ones look for providers and read a configuration first. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "mcp/keep.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/base64.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "base/little.h"

enum { BLOCK_BYTES = 64, EXPIRY_BYTES = 8 };

static const char version[] = "1";

static bool begin(SHA256_CTX *sum, const uint8_t key[KEEP_KEY_BYTES], uint8_t pad)
{
    uint8_t block[BLOCK_BYTES];
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        block[i] = (uint8_t)((i < KEEP_KEY_BYTES ? key[i] : 0) ^ pad);
    }
    return SHA256_Init(sum) == 1 && SHA256_Update(sum, block, sizeof block) == 1;
}

static bool add(SHA256_CTX *sum, struct span part)
{
    uint8_t len[8];
    for (unsigned i = 0; i < sizeof len; i++) {
        len[i] = (uint8_t)((uint64_t)part.len >> (8 * i));
    }
    return SHA256_Update(sum, len, sizeof len) == 1 &&
           (part.len == 0 || SHA256_Update(sum, part.base, part.len) == 1);
}

int keep_mac(uint8_t out[KEEP_MAC_BYTES], const uint8_t key[KEEP_KEY_BYTES],
             const struct span *parts, unsigned count)
{
    SHA256_CTX inner;
    SHA256_CTX outer;
    uint8_t digest[KEEP_MAC_BYTES];
    bool is_good = begin(&inner, key, 0x36) && begin(&outer, key, 0x5c);
    for (unsigned i = 0; i < count && is_good; i++) {
        is_good = add(&inner, parts[i]);
    }
    is_good = is_good && SHA256_Final(digest, &inner) == 1 &&
              SHA256_Update(&outer, digest, sizeof digest) == 1 && SHA256_Final(out, &outer) == 1;
    return is_good ? 0 : -1;
}

static int mac_of(uint8_t out[KEEP_MAC_BYTES], const struct keep_scope *scope, struct span state)
{
    cleanup_buf struct buf name;
    cleanup_buf struct buf arguments;
    buf_init(&name, LIMIT_MESSAGE_BYTES_MAX);
    buf_init(&arguments, LIMIT_RESPONSE_BYTES_MAX);
    if ((scope->name.len > 0 && jtext_append_compact(&name, scope->name) != 0) ||
        (scope->arguments.len > 0 && jtext_append_compact(&arguments, scope->arguments) != 0)) {
        return -1;
    }
    struct span parts[] = {span_of(version), scope->principal,     scope->method,
                           buf_span(&name),  buf_span(&arguments), state};
    return keep_mac(out, scope->key, parts, sizeof parts / sizeof *parts);
}

int keep_seal(struct buf *out, const struct keep_scope *scope, struct span state, uint64_t now_ms)
{
    cleanup_buf struct buf plain;
    uint8_t mac[KEEP_MAC_BYTES];
    buf_init(&plain, LIMIT_REQUEST_STATE_BYTES_MAX);
    if (buf_append_u64(&plain, now_ms + LIMIT_REQUEST_STATE_MS) != 0 ||
        buf_append(&plain, state.base, state.len) != 0 ||
        mac_of(mac, scope, buf_span(&plain)) != 0 || buf_append(&plain, mac, sizeof mac) != 0) {
        return -1;
    }
    return base64_encode_url(out, buf_span(&plain));
}

int keep_open(struct buf *out, const struct keep_scope *scope, struct span text, uint64_t now_ms)
{
    cleanup_buf struct buf plain;
    uint8_t mac[KEEP_MAC_BYTES];
    buf_init(&plain, LIMIT_REQUEST_STATE_BYTES_MAX);
    if (base64_decode_url(&plain, text) != 0 || plain.len < EXPIRY_BYTES + KEEP_MAC_BYTES) {
        return -1;
    }
    struct span state = {plain.base, plain.len - KEEP_MAC_BYTES};
    if (mac_of(mac, scope, state) != 0 ||
        CRYPTO_memcmp(mac, plain.base + state.len, KEEP_MAC_BYTES) != 0 ||
        get_u64(plain.base) < now_ms) {
        return -1;
    }
    return buf_append(out, state.base + EXPIRY_BYTES, state.len - EXPIRY_BYTES);
}
