#include "guest/dylink/wasm_reader.h"

enum {
    TYPE_NON_NULL_REF = 0x64,
    TYPE_NULL_REF = 0x63,
    TYPE_EMPTY = 0x40,
    NUMBER_TYPE_FIRST = 0x7B, /* v128, f64, f32, i64, i32 */
    NUMBER_TYPE_LAST = 0x7F,
    PACKED_TYPE_FIRST = 0x77, /* i16, i8 */
    PACKED_TYPE_LAST = 0x78,
    HEAP_TYPE_FIRST = 0x69, /* exn, array, struct, i31, eq, any, extern, func, none, ... noexn */
    HEAP_TYPE_LAST = 0x74,
    LEB_MORE = 0x80,
    LEB_SIGN = 0x40,
    LIMITS_HAS_MAX = 0x01,
    LIMITS_HAS_PAGE_SIZE = 0x08,
    LIMITS_FLAGS_MAX = 0x0F, /* the other two: shared, 64-bit */
};

struct wasm_reader wasm_reader_of(struct span module)
{
    return (struct wasm_reader){.base = (const unsigned char *)module.base, .end = module.len};
}

struct wasm_reader wasm_take(struct wasm_reader *reader, size_t len)
{
    struct wasm_reader part = *reader;
    if (len > reader->end - reader->at) {
        wasm_fail(reader, ERR_FORMAT, reader->at, "a part is longer than what holds it");
        return *reader;
    }
    part.end = part.at + len;
    reader->at = part.end;
    return part;
}

void wasm_fail(struct wasm_reader *reader, enum err_code code, size_t at, const char *problem)
{
    if (reader->problem == NULL) {
        reader->problem = problem;
        reader->problem_at = at;
        reader->problem_code = code;
    }
    reader->at = reader->end;
}

int wasm_result(const struct wasm_reader *reader, struct err *err)
{
    if (reader->problem == NULL) {
        return 0;
    }
    return err_set(err, reader->problem_code, "WebAssembly module, byte %zu: %s",
                   reader->problem_at, reader->problem);
}

uint8_t wasm_byte(struct wasm_reader *reader)
{
    if (reader->at >= reader->end) {
        wasm_fail(reader, ERR_FORMAT, reader->end, "it ends too early");
        return 0;
    }
    return reader->base[reader->at++];
}

void wasm_skip(struct wasm_reader *reader, size_t len)
{
    if (len > reader->end - reader->at) {
        wasm_fail(reader, ERR_FORMAT, reader->end, "it ends too early");
        return;
    }
    reader->at += len;
}

/* LEB128 of at most 32 bits: its last byte, or LEB_MORE when it does not end or fit. */
static uint8_t read_leb(struct wasm_reader *reader, uint32_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = wasm_byte(reader);
        if (shift == 28 && byte > 0x0F) {
            break;
        }
        *value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < LEB_MORE) {
            return byte;
        }
    }
    return LEB_MORE;
}

uint32_t wasm_u32_long(struct wasm_reader *reader)
{
    size_t start = reader->at;
    uint32_t value;
    if (read_leb(reader, &value) == LEB_MORE) {
        wasm_fail(reader, ERR_FORMAT, start, "a number does not fit 32 bits");
    }
    return wasm_ok(reader) ? value : 0;
}

uint32_t wasm_i32(struct wasm_reader *reader)
{
    struct wasm_reader digits = *reader;
    wasm_skip_leb(reader, 32);
    if (!wasm_ok(reader)) {
        return 0;
    }
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = digits.base[digits.at++];
        value |= (uint64_t)(byte & 0x7F) << shift;
        shift += 7;
    } while (byte >= LEB_MORE);
    if ((byte & LEB_SIGN) != 0) {
        value |= ~UINT64_C(0) << shift;
    }
    return (uint32_t)value;
}

struct span wasm_name(struct wasm_reader *reader)
{
    uint32_t len = wasm_u32(reader);
    struct wasm_reader text = wasm_take(reader, len);
    if (!wasm_ok(reader)) {
        return (struct span){NULL, 0};
    }
    return (struct span){(const char *)text.base + text.at, len};
}

void wasm_skip_leb(struct wasm_reader *reader, unsigned bits)
{
    size_t start = reader->at;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        if (wasm_byte(reader) < LEB_MORE) {
            return;
        }
    }
    wasm_fail(reader, ERR_FORMAT, start, "a number is too long");
}

/* A type's index where a negative number would be an abstract type: s33, at most five bytes. */
static uint32_t read_type_index(struct wasm_reader *reader)
{
    size_t start = reader->at;
    uint32_t value;
    uint8_t last = read_leb(reader, &value);
    if (last == LEB_MORE || (last & LEB_SIGN) != 0) {
        wasm_fail(reader, ERR_FORMAT, start, "an unknown type");
        return 0;
    }
    return value;
}

static bool is_between(uint8_t byte, uint8_t first, uint8_t last)
{
    return byte >= first && byte <= last;
}

void wasm_skip_heap_type(struct wasm_reader *reader)
{
    if (!wasm_at_end(reader) &&
        is_between(reader->base[reader->at], HEAP_TYPE_FIRST, HEAP_TYPE_LAST)) {
        reader->at++;
        return;
    }
    read_type_index(reader);
}

void wasm_skip_value_type(struct wasm_reader *reader, bool packed_allowed)
{
    size_t start = reader->at;
    uint8_t byte = wasm_byte(reader);
    if (byte == TYPE_NULL_REF || byte == TYPE_NON_NULL_REF) {
        wasm_skip_heap_type(reader);
    } else if (!is_between(byte, NUMBER_TYPE_FIRST, NUMBER_TYPE_LAST) &&
               !is_between(byte, HEAP_TYPE_FIRST, HEAP_TYPE_LAST) &&
               !(packed_allowed && is_between(byte, PACKED_TYPE_FIRST, PACKED_TYPE_LAST))) {
        wasm_fail(reader, ERR_FORMAT, start, "an unknown type");
    }
}

void wasm_skip_limits(struct wasm_reader *reader)
{
    size_t start = reader->at;
    uint8_t flags = wasm_byte(reader);
    if (flags > LIMITS_FLAGS_MAX) {
        wasm_fail(reader, ERR_FORMAT, start, "an unknown form of limits");
        return;
    }
    wasm_skip_leb(reader, 64);
    if ((flags & LIMITS_HAS_MAX) != 0) {
        wasm_skip_leb(reader, 64);
    }
    if ((flags & LIMITS_HAS_PAGE_SIZE) != 0) {
        wasm_u32(reader);
    }
}

struct wasm_block_type wasm_read_block_type(struct wasm_reader *reader)
{
    struct wasm_block_type type = {.at = reader->at};
    uint8_t first = wasm_at_end(reader) ? 0 : reader->base[reader->at];
    if (first == TYPE_EMPTY) {
        reader->at++;
    } else if (first < LEB_MORE && (first & LEB_SIGN) != 0) {
        wasm_skip_value_type(reader, false);
    } else {
        type.is_index = true;
        type.index = read_type_index(reader);
    }
    type.len = reader->at - type.at;
    return type;
}

size_t wasm_encode_u32(unsigned char *bytes, uint32_t value)
{
    size_t len = 0;
    while (value >= LEB_MORE) {
        bytes[len++] = (unsigned char)(value | LEB_MORE);
        value >>= 7;
    }
    bytes[len++] = (unsigned char)value;
    return len;
}
