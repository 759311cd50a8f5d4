/*
 * The preparation of modules under libFuzzer. The first byte says what the rest is: zero, a side
 * module; one, a core; anything else, a function's body in a side module that is made around it.
 *
 * What must hold: no crash; an error has its sentence and leaves the buffers alone; the record can
 * be opened and each of its functions has a place in its table; what the engine takes before the
 * preparation (lowered) it takes after it.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "engine/engine.h"
#include "guest/dylink/lower.h"
#include "guest/dylink/prepare.h"
#include "guest/dylink/record_write.h"
#include "guest/dylink/wasm_reader.h"

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { KIND_SIDE = 0, KIND_CORE = 1, COMPILED_BYTES_MAX = 4096 };

/* A header; dylink.0: one place; types: ()->() twice, (i32)->(i32); from env: memory, table,
 * __memory_base, __table_base, the functions f (twice), g and h; six functions; a global; exports
 * f, g, h, __wasm_call_ctors, data; one element. */
static const unsigned char module_start[] = {
    0, 'a', 's', 'm', 1, 0, 0,  0, 0,    15, 8, 'd',  'y', 'l', 'i',  'n', 'k',  '.', '0',  1,
    4, 0,   0,   1,   0, 1, 12, 3, 0x60, 0,  0, 0x60, 0,   0,   0x60, 1,   0x7F, 1,   0x7F,
};

static const char *const imports[] = {
    "\6memory\2\0\1",
    "\x19__indirect_function_table\1\x70\0\1",
    "\r__memory_base\3\x7F\0",
    "\f__table_base\3\x7F\0",
};
static const size_t import_lens[] = {10, 30, 17, 16};

static void put(struct buf *out, const void *bytes, size_t len)
{
    REQUIRE(buf_append(out, bytes, len) == 0);
}

static void put_u32(struct buf *out, size_t value)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    put(out, bytes, wasm_encode_u32(bytes, (uint32_t)value));
}

static void put_imports(struct buf *module)
{
    static const char functions[] = "\3env\1f\0\0\3env\1f\0\1\3env\1g\0\0\3env\1h\0\2";
    cleanup_buf struct buf body;
    buf_init(&body, KIB);
    put_u32(&body, 8);
    for (size_t i = 0; i < sizeof imports / sizeof *imports; i++) {
        put(&body, "\3env", 4);
        put(&body, imports[i], import_lens[i]);
    }
    put(&body, functions, sizeof functions - 1);
    put_u32(module, 2);
    put_u32(module, body.len);
    put(module, body.base, body.len);
}

/* The module around a function's body. */
static void wrap_body(struct buf *module, const uint8_t *bytes, size_t len)
{
    static const char exports[] = "\5\1f\0\4\1g\0\5\1h\0\6\x11__wasm_call_ctors\0\7\4data\3\2";
    static const unsigned char globals[] = {6, 6, 1, 0x7F, 0, 0x41, 8, 0x0B};
    static const unsigned char elements[] = {9, 7, 1, 0, 0x23, 1, 0x0B, 1, 0};
    static const unsigned char bodies[] = {2, 0, 0x0B, 2, 0, 0x0B, 4, 0, 0x20, 0, 0x0B};
    cleanup_buf struct buf code;
    buf_init(&code, MIB);
    put(module, module_start, sizeof module_start);
    put_imports(module);
    put(module, "\3\5\4\1\0\2\0", 7);
    put(module, globals, sizeof globals);
    put_u32(module, 7);
    put_u32(module, sizeof exports - 1);
    put(module, exports, sizeof exports - 1);
    put(module, elements, sizeof elements);
    put_u32(&code, 4);
    put(&code, bodies, sizeof bodies);
    put_u32(&code, len);
    put(&code, bytes, len);
    put_u32(module, 10);
    put_u32(module, code.len);
    put(module, code.base, code.len);
}

static bool engine_takes(struct span module)
{
    static struct engine *engine;
    cleanup_buf struct buf native;
    buf_init(&native, 64 * MIB);
    if (engine == NULL) {
        REQUIRE(engine_new(false, &engine, NULL) == 0);
    }
    return engine_compile(engine, module, &native, NULL) == 0;
}

static void check_engine(struct span before, struct span after)
{
    cleanup_buf struct buf lowered;
    buf_init(&lowered, 64 * MIB);
    REQUIRE(lower_exceptions(before, &lowered, NULL) == 0);
    if (lowered.len <= COMPILED_BYTES_MAX && engine_takes(buf_span(&lowered))) {
        REQUIRE(engine_takes(after));
    }
}

static void check_record(struct span bytes)
{
    struct record record;
    REQUIRE(record_open(bytes, &record, NULL) == 0);
    for (uint32_t i = 0; i < record.symbol_count; i++) {
        struct record_symbol symbol;
        struct record_symbol found;
        REQUIRE(record_symbol_at(&record, i, &symbol));
        REQUIRE(record_find(&record, symbol.name, &found));
        REQUIRE(found.kind == symbol.kind && found.value == symbol.value);
    }
}

/* A core that has g, of any type. */
static void make_core(struct buf *bytes, struct record *core)
{
    struct record_draft draft;
    struct record_symbol g = {{"g", 1}, RECORD_FUNCTION, 0};
    record_draft_init(&draft);
    draft.table_entries = 1;
    REQUIRE(record_draft_symbol(&draft, g, NULL) == 0);
    REQUIRE(record_write(&draft, bytes, NULL) == 0 &&
            record_open(buf_span(bytes), core, NULL) == 0);
    record_draft_free(&draft);
}

static int prepare(struct span wasm, bool is_core, struct buf *module, struct buf *record,
                   struct err *err)
{
    static const char sum[RECORD_SUM_BYTES];
    static const char *const keep[] = {"core2", NULL};
    cleanup_buf struct buf bytes;
    struct record core;
    buf_init(&bytes, KIB);
    make_core(&bytes, &core);
    return is_core ? prepare_core(wasm, keep, module, record, err)
                   : prepare_side(wasm, &core, (struct span){sum, sizeof sum}, module, record, err);
}

static void check(struct span wasm, bool is_core)
{
    cleanup_buf struct buf module;
    cleanup_buf struct buf record;
    struct err err = {0};
    buf_init(&module, 64 * MIB);
    buf_init(&record, 64 * MIB);
    if (prepare(wasm, is_core, &module, &record, &err) != 0) {
        REQUIRE(err.code != ERR_NONE && err.text[0] != '\0');
        REQUIRE(module.len == 0 && record.len == 0);
        return;
    }
    check_record(buf_span(&record));
    check_engine(wasm, buf_span(&module));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (bytes[0] <= KIND_CORE) {
        check((struct span){(const char *)bytes + 1, len - 1}, bytes[0] == KIND_CORE);
        return 0;
    }
    cleanup_buf struct buf module;
    buf_init(&module, 64 * MIB);
    wrap_body(&module, bytes + 1, len - 1);
    check(buf_span(&module), false);
    return 0;
}
