#include "guest/dylink/wasm_code.h"

enum {
    PREFIX_GC = 0xFB,
    PREFIX_MISC = 0xFC,
    PREFIX_VECTOR = 0xFD,
    PREFIX_ATOMIC = 0xFE,
    MEMARG_HAS_MEMORY = 0x40, /* a memory's index follows the alignment */
    MEMARG_FLAGS_MAX = 0x5F,  /* an alignment below 32 bits, and the flag above */
    CATCH_ALL_CLAUSE = 2,     /* clauses from here on name no tag */
    CLAUSE_LAST = 3,
};

/* What follows an opcode. */
enum immediates {
    UNKNOWN, /* no such opcode: the zero of the tables below */
    NOTHING,
    BYTE,
    BYTES_4,
    BYTES_8,
    BYTES_16,
    SIGNED_32,
    SIGNED_64,
    INDEX,
    INDEX_INDEX,
    BLOCK_TYPE,
    LABELS,      /* br_table */
    CLAUSES,     /* try_table */
    VALUE_TYPES, /* select with types */
    HEAP_TYPE,
    MEMARG,
    MEMARG_LANE,
    CAST, /* flags, a label, two heap types */
    PREFIX,
};

static const uint8_t plain_table[256] = {
    [0x00 ... 0x01] = NOTHING, /* unreachable, nop */
    [WASM_BLOCK... WASM_IF] = BLOCK_TYPE,
    [WASM_ELSE] = NOTHING,
    [WASM_TRY] = BLOCK_TYPE,
    [WASM_CATCH] = INDEX,
    [0x08] = INDEX, /* throw */
    [WASM_RETHROW] = INDEX,
    [WASM_THROW_REF... WASM_END] = NOTHING,
    [WASM_BR... WASM_BR_IF] = INDEX,
    [WASM_BR_TABLE] = LABELS,
    [WASM_RETURN] = NOTHING,
    [0x10] = INDEX,          /* call */
    [0x11] = INDEX_INDEX,    /* call_indirect */
    [0x12] = INDEX,          /* return_call */
    [0x13] = INDEX_INDEX,    /* return_call_indirect */
    [0x14 ... 0x15] = INDEX, /* call_ref, return_call_ref */
    [WASM_DELEGATE] = INDEX,
    [WASM_CATCH_ALL] = NOTHING,
    [0x1A ... 0x1B] = NOTHING, /* drop, select */
    [0x1C] = VALUE_TYPES,
    [WASM_TRY_TABLE] = CLAUSES,
    [0x20 ... 0x26] = INDEX,  /* locals, globals, table.get and table.set */
    [0x28 ... 0x3E] = MEMARG, /* loads and stores */
    [0x3F ... 0x40] = INDEX,  /* memory.size, memory.grow */
    [0x41] = SIGNED_32,
    [0x42] = SIGNED_64,
    [0x43] = BYTES_4,
    [0x44] = BYTES_8,
    [0x45 ... 0xC4] = NOTHING, /* comparisons, arithmetic, conversions, sign extension */
    [0xD0] = HEAP_TYPE,        /* ref.null */
    [0xD1] = NOTHING,          /* ref.is_null */
    [0xD2] = INDEX,            /* ref.func */
    [0xD3 ... 0xD4] = NOTHING, /* ref.eq, ref.as_non_null */
    [WASM_BR_ON_NULL... WASM_BR_ON_NON_NULL] = INDEX,
    [PREFIX_GC... PREFIX_ATOMIC] = PREFIX,
};

static const uint8_t gc_table[] = {
    [0 ... 1] = INDEX,         /* struct.new */
    [2 ... 5] = INDEX_INDEX,   /* struct.get, struct.set */
    [6 ... 7] = INDEX,         /* array.new */
    [8 ... 10] = INDEX_INDEX,  /* array.new_fixed, array.new_data, array.new_elem */
    [11 ... 14] = INDEX,       /* array.get, array.set */
    [15] = NOTHING,            /* array.len */
    [16] = INDEX,              /* array.fill */
    [17 ... 19] = INDEX_INDEX, /* array.copy, array.init_data, array.init_elem */
    [20 ... 23] = HEAP_TYPE,   /* ref.test, ref.cast */
    [24 ... 25] = CAST,        /* br_on_cast, br_on_cast_fail */
    [26 ... 30] = NOTHING,     /* conversions, i31 */
};

static const uint8_t misc_table[] = {
    [0 ... 7] = NOTHING,   /* saturating truncation */
    [8] = INDEX_INDEX,     /* memory.init */
    [9] = INDEX,           /* data.drop */
    [10] = INDEX_INDEX,    /* memory.copy */
    [11] = INDEX,          /* memory.fill */
    [12] = INDEX_INDEX,    /* table.init */
    [13] = INDEX,          /* elem.drop */
    [14] = INDEX_INDEX,    /* table.copy */
    [15 ... 17] = INDEX,   /* table.grow, table.size, table.fill */
    [19 ... 22] = NOTHING, /* wide arithmetic */
};

static const uint8_t vector_table[] = {
    [0x00 ... 0x0B] = MEMARG,      /* loads and the store */
    [0x0C ... 0x0D] = BYTES_16,    /* v128.const, i8x16.shuffle */
    [0x0E ... 0x14] = NOTHING,     /* swizzle, splats */
    [0x15 ... 0x22] = BYTE,        /* lanes out and in */
    [0x23 ... 0x53] = NOTHING,     /* comparisons, bits */
    [0x54 ... 0x5B] = MEMARG_LANE, /* loads and stores of a lane */
    [0x5C ... 0x5D] = MEMARG,      /* v128.load32_zero, v128.load64_zero */
    [0x5E ... 0xFF] = NOTHING,     /* arithmetic; the gaps in it are the engine's to judge */
    [0x100 ... 0x113] = NOTHING,   /* relaxed SIMD */
};

static const uint8_t atomic_table[] = {
    [0x00 ... 0x02] = MEMARG, /* notify, wait */
    [0x03] = BYTE,            /* fence */
    [0x10 ... 0x4E] = MEMARG,
};

/* In the order of the prefixes, which follow one another. */
static const struct {
    const uint8_t *kinds;
    uint32_t count;
} prefix_tables[] = {
    {gc_table, sizeof gc_table},
    {misc_table, sizeof misc_table},
    {vector_table, sizeof vector_table},
    {atomic_table, sizeof atomic_table},
};

static enum immediates read_prefixed(struct wasm_reader *code, struct wasm_instr *instr)
{
    uint32_t prefix = instr->op;
    uint32_t number = wasm_u32(code);
    if (number >= prefix_tables[prefix - PREFIX_GC].count) {
        return UNKNOWN;
    }
    /* Numbers above 255 exist for vectors alone, where nobody looks at the opcode. */
    instr->op = prefix << 8 | (number & 0xFF);
    return prefix_tables[prefix - PREFIX_GC].kinds[number];
}

static void skip_memarg(struct wasm_reader *code)
{
    size_t start = code->at;
    uint32_t flags = wasm_u32(code);
    if (flags > MEMARG_FLAGS_MAX || (flags & ~(uint32_t)MEMARG_HAS_MEMORY) >= 32) {
        wasm_fail(code, ERR_FORMAT, start, "an unknown form of memory access");
        return;
    }
    if ((flags & MEMARG_HAS_MEMORY) != 0) {
        wasm_u32(code);
    }
    wasm_skip_leb(code, 64);
}

static void skip_labels(struct wasm_reader *code)
{
    uint32_t count = wasm_u32(code);
    for (uint32_t i = 0; i < count && wasm_ok(code); i++) {
        wasm_u32(code);
    }
    wasm_u32(code);
}

static void skip_value_types(struct wasm_reader *code)
{
    uint32_t count = wasm_u32(code);
    for (uint32_t i = 0; i < count && wasm_ok(code); i++) {
        wasm_skip_value_type(code, false);
    }
}

static void skip_clauses(struct wasm_reader *code)
{
    wasm_read_block_type(code);
    uint32_t count = wasm_u32(code);
    for (uint32_t i = 0; i < count && wasm_ok(code); i++) {
        size_t start = code->at;
        uint8_t clause = wasm_byte(code);
        if (clause > CLAUSE_LAST) {
            wasm_fail(code, ERR_FORMAT, start, "an unknown catch clause");
        } else if (clause < CATCH_ALL_CLAUSE) {
            wasm_u32(code);
        }
        wasm_u32(code);
    }
}

static void read_index(struct wasm_reader *code, struct wasm_instr *instr)
{
    instr->index_at = code->at;
    instr->index = wasm_u32(code);
    instr->index_len = code->at - instr->index_at;
}

static void read_immediates(struct wasm_reader *code, enum immediates kind,
                            struct wasm_instr *instr)
{
    switch (kind) {
    case NOTHING: break;
    case BYTE: wasm_skip(code, 1); break;
    case BYTES_4: wasm_skip(code, 4); break;
    case BYTES_8: wasm_skip(code, 8); break;
    case BYTES_16: wasm_skip(code, 16); break;
    case SIGNED_32: wasm_skip_leb(code, 32); break;
    case SIGNED_64: wasm_skip_leb(code, 64); break;
    case INDEX: read_index(code, instr); break;
    case INDEX_INDEX:
        wasm_u32(code);
        wasm_u32(code);
        break;
    case BLOCK_TYPE: instr->type = wasm_read_block_type(code); break;
    case LABELS: skip_labels(code); break;
    case CLAUSES: skip_clauses(code); break;
    case VALUE_TYPES: skip_value_types(code); break;
    case HEAP_TYPE: wasm_skip_heap_type(code); break;
    case MEMARG: skip_memarg(code); break;
    case MEMARG_LANE:
        skip_memarg(code);
        wasm_skip(code, 1);
        break;
    case CAST:
        wasm_skip(code, 1);
        read_index(code, instr);
        wasm_skip_heap_type(code);
        wasm_skip_heap_type(code);
        break;
    case UNKNOWN:
    case PREFIX: wasm_fail(code, ERR_FORMAT, instr->start, "an unknown instruction"); break;
    }
}

bool wasm_next_instr(struct wasm_reader *code, struct wasm_instr *instr)
{
    if (wasm_at_end(code)) {
        return false;
    }
    instr->start = code->at;
    instr->op = code->base[code->at++];
    enum immediates kind = plain_table[instr->op];
    if (kind == PREFIX) {
        kind = read_prefixed(code, instr);
    }
    instr->immediates = code->at;
    if (kind != NOTHING) {
        read_immediates(code, kind, instr);
    }
    return wasm_ok(code);
}

struct wasm_reader wasm_expression(struct wasm_reader *reader)
{
    struct wasm_reader expression = *reader;
    struct wasm_instr instr = {0};
    while (instr.op != WASM_END && wasm_next_instr(reader, &instr)) {
    }
    if (instr.op != WASM_END && wasm_ok(reader)) {
        wasm_fail(reader, ERR_FORMAT, reader->at, "an expression without an end");
    }
    expression.end = reader->at;
    return expression;
}

bool wasm_is_literal(struct wasm_reader expression, uint32_t *value)
{
    struct wasm_instr instr = {0};
    if (!wasm_next_instr(&expression, &instr) || instr.op != WASM_I32_CONST) {
        return false;
    }
    struct wasm_reader literal = expression;
    literal.at = instr.immediates;
    *value = wasm_i32(&literal);
    return wasm_next_instr(&expression, &instr) && instr.op == WASM_END;
}
