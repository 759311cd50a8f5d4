/*
 * Reads WebAssembly's basic items out of outside bytes, never past their end. For all that
 * rewrites modules.
 *
 * A reader remembers the first thing that went wrong and then stands at its end and yields zeros,
 * so that a run of reads needs one check. Whoever loops by a count that was read must look at
 * wasm_ok() in the loop.
 */
#ifndef GUEST_DYLINK_WASM_READER_H
#define GUEST_DYLINK_WASM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct wasm_reader {
    const unsigned char *base; /* borrowed: the module; all offsets count from here */
    size_t at;                 /* the next byte */
    size_t end;                /* one past the last byte that may be read */
    const char *problem;       /* the first thing that went wrong (static text), or NULL */
    size_t problem_at;
    enum err_code problem_code;
};

/* Reads a whole module. */
struct wasm_reader wasm_reader_of(struct span module);

/* Reads the `len` bytes from reader->at and moves `reader` past them; fails when it has fewer. */
struct wasm_reader wasm_take(struct wasm_reader *reader, size_t len);

/* Notes a problem at offset `at` unless there is one, and ends the reading. */
void wasm_fail(struct wasm_reader *reader, enum err_code code, size_t at, const char *problem);

/* Fills `err` with the problem and its offset; returns 0 when there is none, else -1. */
int wasm_result(const struct wasm_reader *reader, struct err *err);

static inline bool wasm_ok(const struct wasm_reader *reader)
{
    return reader->problem == NULL;
}

static inline bool wasm_at_end(const struct wasm_reader *reader)
{
    return reader->at >= reader->end;
}

/* LEB128 of more than one byte; see wasm_u32. */
uint32_t wasm_u32_long(struct wasm_reader *reader);

uint8_t wasm_byte(struct wasm_reader *reader);
void wasm_skip(struct wasm_reader *reader, size_t len);

/* LEB128 as the specification bounds it: at most ceil(N/7) bytes, unused bits zero. */
static inline uint32_t wasm_u32(struct wasm_reader *reader)
{
    if (reader->at < reader->end && reader->base[reader->at] < 0x80) {
        return reader->base[reader->at++];
    }
    return wasm_u32_long(reader);
}

/* The value of i32.const, as unsigned. */
uint32_t wasm_i32(struct wasm_reader *reader);

/* A length and so many bytes, borrowed. */
struct span wasm_name(struct wasm_reader *reader);

/* Signed or wide LEB128 whose value does not matter: at most ceil(bits/7) bytes. */
void wasm_skip_leb(struct wasm_reader *reader, unsigned bits);

/* A heap type: an abstract one, or the index of a type. */
void wasm_skip_heap_type(struct wasm_reader *reader);

/* The limits of a table or memory. */
void wasm_skip_limits(struct wasm_reader *reader);

/* A value type; with `packed_allowed` also i8 and i16, which fields may have. */
void wasm_skip_value_type(struct wasm_reader *reader, bool packed_allowed);

/* The type of a block: nothing, one value type, or the index of a function type. */
struct wasm_block_type {
    size_t at; /* its bytes, for copying */
    size_t len;
    bool is_index;
    uint32_t index;
};
struct wasm_block_type wasm_read_block_type(struct wasm_reader *reader);

/* Bytes that LEB128 needs for a value, and its writing; `bytes` has room for WASM_U32_BYTES_MAX. */
enum { WASM_U32_BYTES_MAX = 5 };
size_t wasm_encode_u32(unsigned char *bytes, uint32_t value);

#endif
