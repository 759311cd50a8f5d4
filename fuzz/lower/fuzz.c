/*
 * The exception lowering under libFuzzer. The first byte says what the rest is: zero, a whole
 * module; anything else, the body of a function in a module that is made around it, so that the
 * fuzzer gets past the sections at once.
 *
 * What must hold: no crash, no error without its sentence, a module that is lowered needs no
 * lowering and comes out of a second one as it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "guest/dylink/lower.h"
#include "guest/dylink/wasm_reader.h"

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The header and four types: ()->(), (i32)->(), (i32 i64)->(i32), ()->(i32 i64). */
static const unsigned char module_start[] = {
    0, 'a',  's', 'm',  1, 0,    0,    0, 1,    19,   4, 0x60, 0,    0,    0x60,
    1, 0x7F, 0,   0x60, 2, 0x7F, 0x7E, 1, 0x7F, 0x60, 0, 2,    0x7F, 0x7E,
};

/* The module around a function's body: the types, the function, three tags, the code. */
static void wrap_body(struct buf *module, const uint8_t *body, size_t len)
{
    static const unsigned char function_and_tags[] = {3, 2, 1, 2, 13, 7, 3, 0, 0, 0, 1, 0, 2};
    unsigned char size[WASM_U32_BYTES_MAX];
    unsigned char inner[WASM_U32_BYTES_MAX];
    size_t inner_len = wasm_encode_u32(inner, (uint32_t)len);
    REQUIRE(buf_append(module, module_start, sizeof module_start) == 0);
    REQUIRE(buf_append(module, function_and_tags, sizeof function_and_tags) == 0);
    REQUIRE(buf_append_char(module, 10) == 0);
    size_t size_len = wasm_encode_u32(size, (uint32_t)(1 + inner_len + len));
    REQUIRE(buf_append(module, size, size_len) == 0 && buf_append_char(module, 1) == 0);
    REQUIRE(buf_append(module, inner, inner_len) == 0 && buf_append(module, body, len) == 0);
}

static void check(struct span module)
{
    cleanup_buf struct buf once;
    cleanup_buf struct buf twice;
    buf_init(&once, 64 * MIB);
    buf_init(&twice, 64 * MIB);
    struct err err = {0};
    bool needed = false;
    if (lower_exceptions(module, &once, &err) != 0) {
        REQUIRE(err.code != ERR_NONE && err.text[0] != '\0' && once.len == 0);
        return;
    }
    REQUIRE(lower_needed(module, &needed, &err) == 0);
    REQUIRE(needed != span_equal(module, buf_span(&once)));
    REQUIRE(lower_needed(buf_span(&once), &needed, &err) == 0 && !needed);
    REQUIRE(lower_exceptions(buf_span(&once), &twice, &err) == 0);
    REQUIRE(span_equal(buf_span(&once), buf_span(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (bytes[0] == 0) {
        check((struct span){(const char *)bytes + 1, len - 1});
        return 0;
    }
    cleanup_buf struct buf module;
    buf_init(&module, 64 * MIB);
    wrap_body(&module, bytes + 1, len - 1);
    check(buf_span(&module));
    return 0;
}
