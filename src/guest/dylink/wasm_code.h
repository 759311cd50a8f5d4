/*
 * Decodes WebAssembly instructions one after another: their length, and of their immediates what
 * rewriting needs. Knows the specification 3.0 (GC, tail calls, SIMD, exceptions), threads,
 * multi-memory, relaxed SIMD, wide arithmetic, and the legacy exception encoding.
 */
#ifndef GUEST_DYLINK_WASM_CODE_H
#define GUEST_DYLINK_WASM_CODE_H

#include "guest/dylink/wasm_reader.h"

/* The opcodes that somebody looks at or writes. */
enum wasm_op {
    WASM_BLOCK = 0x02,
    WASM_LOOP = 0x03,
    WASM_IF = 0x04,
    WASM_ELSE = 0x05,
    WASM_TRY = 0x06,
    WASM_CATCH = 0x07,
    WASM_RETHROW = 0x09,
    WASM_THROW_REF = 0x0A,
    WASM_END = 0x0B,
    WASM_BR = 0x0C,
    WASM_BR_IF = 0x0D,
    WASM_BR_TABLE = 0x0E,
    WASM_RETURN = 0x0F,
    WASM_CALL = 0x10,
    WASM_RETURN_CALL = 0x12,
    WASM_DELEGATE = 0x18,
    WASM_CATCH_ALL = 0x19,
    WASM_TRY_TABLE = 0x1F,
    WASM_LOCAL_GET = 0x20,
    WASM_LOCAL_SET = 0x21,
    WASM_GLOBAL_GET = 0x23,
    WASM_GLOBAL_SET = 0x24,
    WASM_I32_CONST = 0x41,
    WASM_I32_ADD = 0x6A,
    WASM_REF_FUNC = 0xD2,
    WASM_BR_ON_NULL = 0xD5,
    WASM_BR_ON_NON_NULL = 0xD6,
    WASM_BR_ON_CAST = 0xFB18, /* a prefix and a number */
    WASM_BR_ON_CAST_FAIL = 0xFB19,
};

struct wasm_instr {
    uint32_t op;       /* one byte, or the prefix times 256 and the number after it */
    size_t start;      /* its first byte */
    size_t immediates; /* the first byte after the opcode */
    size_t index_at;   /* where `index` stands, and its length: */
    size_t index_len;
    uint32_t index;              /* its one index: a label, a function, a global ... */
    struct wasm_block_type type; /* of block, loop, if, try */
};

/* Reads the next instruction and moves past it. Fields that its opcode does not have are left as
 * they are. False when there is none or it is malformed; wasm_ok() tells which. */
bool wasm_next_instr(struct wasm_reader *code, struct wasm_instr *instr);

/* Moves past a constant expression; returns a reader of its instructions, its end included. */
struct wasm_reader wasm_expression(struct wasm_reader *reader);

/* Whether a constant expression is one i32.const, and its value. */
bool wasm_is_literal(struct wasm_reader expression, uint32_t *value);

#endif
