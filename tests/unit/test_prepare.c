/*
 * prepare: hand-made modules come out byte for byte as prepare.h says, with the record that belongs
 * to them; what is malformed or asks for too much is an error that leaves the buffers alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "guest/dylink/prepare.h"
#include "guest/dylink/record_write.h"
#include "guest/dylink/wasm_reader.h"

#define BYTES(...)                                                                                 \
    (struct span)                                                                                  \
    {                                                                                              \
        (const char *)(const unsigned char[]){__VA_ARGS__},                                        \
            sizeof((const unsigned char[]){__VA_ARGS__})                                           \
    }
#define TEXT(text) ((struct span){text, sizeof(text) - 1})

enum { I32 = 0x7F, I64 = 0x7E, FUNCREF = 0x70, FUNCTION = 0, TABLE = 1, MEMORY = 2, GLOBAL = 3 };
enum { CALL = 0x10, RETURN_CALL = 0x12, REF_FUNC = 0xD2, DROP = 0x1A, END = 0x0B };
enum { GLOBAL_GET = 0x23, GLOBAL_SET = 0x24, I32_CONST = 0x41, I64_CONST = 0x42, I32_ADD = 0x6A };

static const char sum[RECORD_SUM_BYTES] = "the sum of the module, 32 bytes";

static void put(struct buf *out, struct span bytes)
{
    assert_int_equal(buf_append(out, bytes.base, bytes.len), 0);
}

static void put_u32(struct buf *out, uint32_t value)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    put(out, (struct span){(const char *)bytes, wasm_encode_u32(bytes, value)});
}

static void put_name(struct buf *out, const char *name)
{
    put_u32(out, (uint32_t)strlen(name));
    put(out, span_of(name));
}

static void put_header(struct buf *out)
{
    put(out, BYTES(0, 'a', 's', 'm', 1, 0, 0, 0));
}

/* A section with what `body` has, which is emptied. */
static void put_section(struct buf *out, unsigned char id, struct buf *body)
{
    assert_int_equal(buf_append_char(out, (char)id), 0);
    put_u32(out, (uint32_t)body->len);
    put(out, buf_span(body));
    buf_clear(body);
}

static void put_whole_section(struct buf *out, unsigned char id, struct span bytes)
{
    assert_int_equal(buf_append_char(out, (char)id), 0);
    put_u32(out, (uint32_t)bytes.len);
    put(out, bytes);
}

static void put_import(struct buf *body, const char *name, struct span what)
{
    put_name(body, "env");
    put_name(body, name);
    put(body, what);
}

static void put_export(struct buf *body, const char *name, unsigned char kind, unsigned char index)
{
    put_name(body, name);
    put(body, BYTES(kind, index));
}

/* The code section; each body is a function's locals and instructions. */
static void put_code(struct buf *out, const struct span *bodies, uint32_t count)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    put_u32(&body, count);
    for (uint32_t i = 0; i < count; i++) {
        put_u32(&body, (uint32_t)bodies[i].len);
        put(&body, bodies[i]);
    }
    put_section(out, 10, &body);
}

/* The section dylink.0 with these parts. */
static void put_dylink(struct buf *out, struct span parts)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    put_name(&body, "dylink.0");
    put(&body, parts);
    put_section(out, 0, &body);
}

/* Memory of 64 bytes aligned to 8, five places in the table. */
#define MEM_INFO 1, 4, 64, 3, 5, 0

/* A core that offers the function g. */
static void open_core(struct buf *bytes, struct record *core)
{
    struct record_draft draft;
    struct record_symbol g = {span_of("g"), RECORD_FUNCTION, 0};
    buf_init(bytes, 1000);
    record_draft_init(&draft);
    draft.table_entries = 1;
    assert_int_equal(record_draft_symbol(&draft, g, NULL), 0);
    assert_int_equal(record_write(&draft, bytes, NULL), 0);
    assert_int_equal(record_open(buf_span(bytes), core, NULL), 0);
    record_draft_free(&draft);
}

static int prepare(struct span wasm, struct buf *module, struct buf *record, struct err *err)
{
    cleanup_buf struct buf bytes;
    struct record core;
    open_core(&bytes, &core);
    return prepare_side(wasm, &core, (struct span){sum, sizeof sum}, module, record, err);
}

static void assert_bytes(const struct buf *actual, const struct buf *expected)
{
    assert_int_equal(actual->len, expected->len);
    assert_memory_equal(actual->base, expected->base, expected->len);
}

static void assert_prepared(const struct buf *wasm, const struct buf *expected, struct buf *bytes,
                            struct record *record)
{
    cleanup_buf struct buf module;
    struct err err = {0};
    buf_init(&module, MIB);
    buf_init(bytes, MIB);
    if (prepare(buf_span(wasm), &module, bytes, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_bytes(&module, expected);
    assert_int_equal(record_open(buf_span(bytes), record, &err), 0);
    assert_memory_equal(record->sum.base, sum, sizeof sum);
}

static void assert_symbol(const struct record *record, const char *name,
                          enum record_symbol_kind kind, uint32_t value)
{
    struct record_symbol symbol;
    assert_true(record_find(record, span_of(name), &symbol));
    assert_int_equal(symbol.kind, kind);
    assert_int_equal(symbol.value, value);
}

static void assert_refused(const struct buf *wasm, enum err_code code)
{
    cleanup_buf struct buf module;
    cleanup_buf struct buf record;
    struct err err = {0};
    buf_init(&module, MIB);
    buf_init(&record, MIB);
    put(&module, TEXT("module"));
    put(&record, TEXT("record"));
    assert_int_equal(prepare(buf_span(wasm), &module, &record, &err), -1);
    if (err.code != code) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(module.len, strlen("module"));
    assert_int_equal(record.len, strlen("record"));
}

/* ---- a side module with everything ----------------------------------------------------------- */

/* Types 0 and 1 are the same, 2 is another. */
#define TYPES BYTES(3, 0x60, 0, 0, 0x60, 0, 0, 0x60, 1, I32, 0)

static void put_side_imports(struct buf *body)
{
    put_import(body, "memory", BYTES(MEMORY, 0, 1));
    put_import(body, "__indirect_function_table", BYTES(TABLE, FUNCREF, 0, 5));
    put_import(body, "__memory_base", BYTES(GLOBAL, I32, 0));
    put_import(body, "__table_base", BYTES(GLOBAL, I32, 0));
}

/* Imports functions f (its own too), g (the core's too), h (its own is of another type), i
 * (nobody's): 0 to 3. Functions: 4 is f, 5 is g, 6 is h and h2, 7 the constructors. */
static void put_side(struct buf *out, struct span dylink)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    put_header(out);
    put_dylink(out, dylink);
    put_whole_section(out, 1, TYPES);
    put_u32(&body, 8);
    put_side_imports(&body);
    put_import(&body, "f", BYTES(FUNCTION, 0));
    put_import(&body, "g", BYTES(FUNCTION, 0));
    put_import(&body, "h", BYTES(FUNCTION, 0));
    put_import(&body, "i", BYTES(FUNCTION, 0));
    put_section(out, 2, &body);
    put_whole_section(out, 3, BYTES(4, 1, 0, 2, 0));
    put_whole_section(out, 6,
                      BYTES(4, I32, 0, I32_CONST, 48, END, I32, 1, I32_CONST, 1, END, I32, 0,
                            I32_CONST, 0x40, END, FUNCREF, 0, REF_FUNC, 0, END));
    put_u32(&body, 9);
    put_export(&body, "f", FUNCTION, 4);
    put_export(&body, "g", FUNCTION, 5);
    put_export(&body, "h", FUNCTION, 6);
    put_export(&body, "h2", FUNCTION, 6);
    put_export(&body, "__wasm_call_ctors", FUNCTION, 7);
    put_export(&body, "data", GLOBAL, 2);
    put_export(&body, "changes", GLOBAL, 3);
    put_export(&body, "minus64", GLOBAL, 4);
    put_export(&body, "function", GLOBAL, 5);
    put_section(out, 7, &body);
    put_whole_section(out, 8, BYTES(0));
    put_whole_section(
        out, 9,
        BYTES(3, 0, GLOBAL_GET, 1, END, 2, 3, 0, 1, 0, 2, 1, 5, 7, FUNCREF, 1, REF_FUNC, 4, END));
    static const unsigned char calls[] = {0, CALL, 0, REF_FUNC, 0, DROP, END};
    static const unsigned char padded[] = {0, CALL, 0x81, 0, RETURN_CALL, 0x80, 0x80, 0, END};
    static const unsigned char foreign[] = {1, 1, I32, CALL, 2, CALL, 3, GLOBAL_GET, 3, DROP, END};
    static const unsigned char last[] = {0, CALL, 7, END};
    put_code(out,
             (const struct span[]){{(const char *)calls, sizeof calls},
                                   {(const char *)padded, sizeof padded},
                                   {(const char *)foreign, sizeof foreign},
                                   {(const char *)last, sizeof last}},
             4);
    put_whole_section(out, 11, BYTES(1, 0, GLOBAL_GET, 0, END, 3, 'a', 'b', 'c'));
    put_whole_section(out, 0, BYTES(4, 'n', 'a', 'm', 'e', 1, 2, 3));
}

/* What it becomes: the import f is gone, so that g, h, i are 0 to 2 and the module's own 3 to 6. */
static void put_side_prepared(struct buf *out)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    put_header(out);
    put_whole_section(out, 1, TYPES);
    put_u32(&body, 7);
    put_side_imports(&body);
    put_import(&body, "g", BYTES(FUNCTION, 0));
    put_import(&body, "h", BYTES(FUNCTION, 0));
    put_import(&body, "i", BYTES(FUNCTION, 0));
    put_section(out, 2, &body);
    put_whole_section(out, 3, BYTES(4, 1, 0, 2, 0));
    put_whole_section(out, 6,
                      BYTES(4, I32, 0, I32_CONST, 48, END, I32, 1, I32_CONST, 1, END, I32, 0,
                            I32_CONST, 0x40, END, FUNCREF, 0, REF_FUNC, 3, END));
    put_u32(&body, 1);
    put_export(&body, "__wasm_call_ctors", FUNCTION, 6);
    put_section(out, 7, &body);
    put_whole_section(out, 8, BYTES(3));
    put_whole_section(out, 9,
                      BYTES(4, 0, GLOBAL_GET, 1, END, 2, 2, 3, 1, 0, 2, 0, 4, 7, FUNCREF, 1,
                            REF_FUNC, 3, END, 0, GLOBAL_GET, 1, I32_CONST, 5, I32_ADD, END, 2, 4,
                            5));
    static const unsigned char calls[] = {0, CALL, 3, REF_FUNC, 3, DROP, END};
    static const unsigned char padded[] = {0, CALL, 0, RETURN_CALL, 3, END};
    static const unsigned char foreign[] = {1, 1, I32, CALL, 1, CALL, 2, GLOBAL_GET, 3, DROP, END};
    static const unsigned char last[] = {0, CALL, 6, END};
    put_code(out,
             (const struct span[]){{(const char *)calls, sizeof calls},
                                   {(const char *)padded, sizeof padded},
                                   {(const char *)foreign, sizeof foreign},
                                   {(const char *)last, sizeof last}},
             4);
    put_whole_section(out, 11, BYTES(1, 0, GLOBAL_GET, 0, END, 3, 'a', 'b', 'c'));
}

static void test_a_side_module_is_bound_to_itself(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf expected;
    cleanup_buf struct buf bytes;
    struct record record;
    struct record_symbol symbol;
    buf_init(&wasm, MIB);
    buf_init(&expected, MIB);
    put_side(&wasm, BYTES(MEM_INFO));
    put_side_prepared(&expected);
    assert_prepared(&wasm, &expected, &bytes, &record);
    assert_int_equal(record.memory_bytes, 64);
    assert_int_equal(record.memory_align_log2, 3);
    assert_int_equal(record.table_entries, 7);
    assert_int_equal(record.symbol_count, 6);
    assert_symbol(&record, "f", RECORD_FUNCTION, 1);
    assert_symbol(&record, "g", RECORD_FUNCTION, 5);
    assert_symbol(&record, "h", RECORD_FUNCTION, 6);
    assert_symbol(&record, "h2", RECORD_FUNCTION, 6);
    assert_symbol(&record, "data", RECORD_DATA, 48);
    assert_symbol(&record, "minus64", RECORD_DATA, UINT32_MAX - 63);
    assert_false(record_find(&record, span_of("__wasm_call_ctors"), &symbol));
    assert_false(record_find(&record, span_of("changes"), &symbol));
}

static void test_dylink_goes_into_the_record(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf expected;
    cleanup_buf struct buf bytes;
    struct record record;
    struct record_symbol symbol;
    buf_init(&wasm, MIB);
    buf_init(&expected, MIB);
    put_side(&wasm, BYTES(MEM_INFO, 2, 7, 2, 2, 'l', '1', 2, 'l', '2', 3, 18, 2, 4, 'd', 'a', 't',
                          'a', 0x80, 2, 7, 'm', 'i', 'n', 'u', 's', '6', '4', 0x80, 4, 4, 15, 2, 3,
                          'e', 'n', 'v', 1, 'w', 0x11, 3, 'e', 'n', 'v', 1, 'u', 0x10, 5, 4, 1, 2,
                          '$', 'O', 99, 1, 0));
    put_side_prepared(&expected);
    assert_prepared(&wasm, &expected, &bytes, &record);
    assert_int_equal(record.needed_count, 2);
    assert_true(span_equal(record_needed(&record, 0), span_of("l1")));
    assert_true(span_equal(record_needed(&record, 1), span_of("l2")));
    assert_int_equal(record.runpath_count, 1);
    assert_true(span_equal(record_runpath(&record, 0), span_of("$O")));
    assert_int_equal(record.weak_count, 1);
    assert_true(record_is_weak(&record, span_of("w")));
    assert_false(record_find(&record, span_of("data"), &symbol));    /* thread-local */
    assert_false(record_find(&record, span_of("minus64"), &symbol)); /* absolute */
}

/* ---- side modules that lack something ---------------------------------------------------------
 */

/* Without __table_base and without an element section; its globals have to make room. */
static void put_poor(struct buf *out, bool is_prepared)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    unsigned char shift = is_prepared ? 1 : 0;
    put_header(out);
    if (!is_prepared) {
        put_dylink(out, BYTES(MEM_INFO));
    }
    put_whole_section(out, 1, TYPES);
    put_u32(&body, 4u + shift);
    put_import(&body, "memory", BYTES(MEMORY, 0, 1));
    put_import(&body, "other", BYTES(TABLE, FUNCREF, 0, 5));
    put_import(&body, "__indirect_function_table", BYTES(TABLE, FUNCREF, 0, 5));
    put_import(&body, "__memory_base", BYTES(GLOBAL, I32, 0));
    if (is_prepared) {
        put_import(&body, "__table_base", BYTES(GLOBAL, I32, 0));
    }
    put_section(out, 2, &body);
    put_whole_section(out, 3, BYTES(1, 0));
    put_whole_section(
        out, 6,
        BYTES(2, I32, 0, GLOBAL_GET, 0, END, I32, 1, GLOBAL_GET, (unsigned char)(1 + shift), END));
    if (is_prepared) {
        put_whole_section(out, 7, BYTES(0));
        put_whole_section(out, 9,
                          BYTES(1, 2, 1, GLOBAL_GET, 1, I32_CONST, 5, I32_ADD, END, 0, 1, 0));
    } else {
        put_u32(&body, 2);
        put_export(&body, "f", FUNCTION, 0);
        put_export(&body, "computed", GLOBAL, 1);
        put_section(out, 7, &body);
    }
    put_whole_section(out, 12, BYTES(1));
    const unsigned char code[] = {0, GLOBAL_GET, 0, GLOBAL_SET, (unsigned char)(2 + shift), END};
    put_code(out, (const struct span[]){{(const char *)code, sizeof code}}, 1);
    put_whole_section(out, 11,
                      BYTES(3, 0, GLOBAL_GET, (unsigned char)(1 + shift), END, 1, 'a', 1, 2, 'b',
                            'c', 2, 0, GLOBAL_GET, 0, END, 0));
}

static void test_a_table_base_is_added(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf expected;
    cleanup_buf struct buf bytes;
    struct record record;
    buf_init(&wasm, MIB);
    buf_init(&expected, MIB);
    put_poor(&wasm, false);
    put_poor(&expected, true);
    assert_prepared(&wasm, &expected, &bytes, &record);
    assert_int_equal(record.table_entries, 6);
    assert_int_equal(record.symbol_count, 1);
    assert_symbol(&record, "f", RECORD_FUNCTION, 5);
}

/* Without any table: a library that takes no function's address. */
static void put_tableless(struct buf *out, bool is_prepared)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    put_header(out);
    if (!is_prepared) {
        put_dylink(out, BYTES(1, 4, 0, 0, 0, 0)); /* no memory, no places */
    }
    put_whole_section(out, 1, TYPES);
    put_u32(&body, is_prepared ? 3u : 1u);
    put_import(&body, "memory", BYTES(MEMORY, 0, 1));
    if (is_prepared) {
        put_import(&body, "__indirect_function_table", BYTES(TABLE, FUNCREF, 0, 0));
        put_import(&body, "__table_base", BYTES(GLOBAL, I32, 0));
    }
    put_section(out, 2, &body);
    put_whole_section(out, 3, BYTES(1, 0));
    if (is_prepared) {
        put_whole_section(out, 7, BYTES(0));
        put_whole_section(out, 9, BYTES(1, 0, GLOBAL_GET, 0, END, 1, 0));
    } else {
        put_u32(&body, 1);
        put_export(&body, "f", FUNCTION, 0);
        put_section(out, 7, &body);
    }
    put_code(out, (const struct span[]){BYTES(0, END)}, 1);
}

static void test_a_table_is_added(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf expected;
    cleanup_buf struct buf bytes;
    struct record record;
    buf_init(&wasm, MIB);
    buf_init(&expected, MIB);
    put_tableless(&wasm, false);
    put_tableless(&expected, true);
    assert_prepared(&wasm, &expected, &bytes, &record);
    assert_int_equal(record.table_entries, 1);
    assert_symbol(&record, "f", RECORD_FUNCTION, 0);
}

/* Imports, a function of type 0 and these sections from the exports on. */
static void put_small(struct buf *out, struct span dylink, struct span rest)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    put_header(out);
    put_dylink(out, dylink);
    put_whole_section(out, 1, TYPES);
    put_u32(&body, 4);
    put_side_imports(&body);
    put_section(out, 2, &body);
    put_whole_section(out, 3, BYTES(1, 0));
    put(out, rest);
    put_code(out, (const struct span[]){BYTES(0, END)}, 1);
}

static void assert_entries(struct span rest, uint32_t entries, uint32_t place)
{
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf module;
    cleanup_buf struct buf bytes;
    struct record record;
    struct err err = {0};
    buf_init(&wasm, MIB);
    buf_init(&module, MIB);
    buf_init(&bytes, MIB);
    put_small(&wasm, BYTES(MEM_INFO), rest);
    if (prepare(buf_span(&wasm), &module, &bytes, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(record_open(buf_span(&bytes), &record, &err), 0);
    assert_int_equal(record.table_entries, entries);
    assert_symbol(&record, "f", RECORD_FUNCTION, place);
}

#define EXPORT_F 7, 5, 1, 1, 'f', 0, 0

static void test_places_that_count(void **state)
{
    (void)state;
    /* An active segment at the table base: of two places the last; as expressions. */
    assert_entries(BYTES(EXPORT_F, 9, 8, 1, 0, GLOBAL_GET, 1, END, 2, 0, 0), 5, 1);
    assert_entries(BYTES(EXPORT_F, 9, 15, 1, 4, GLOBAL_GET, 1, END, 3, 0xD0, FUNCREF, END, REF_FUNC,
                         0, END, 0xD0, FUNCREF, END),
                   5, 1);
}

static void test_places_that_do_not_count(void **state)
{
    (void)state;
    /* No segment; passive; declarative; at another base; behind what dylink.0 asks for. */
    assert_entries(BYTES(EXPORT_F), 6, 5);
    assert_entries(BYTES(EXPORT_F, 9, 5, 1, 1, 0, 1, 0), 6, 5);
    assert_entries(BYTES(EXPORT_F, 9, 5, 1, 3, 0, 1, 0), 6, 5);
    assert_entries(BYTES(EXPORT_F, 9, 7, 1, 0, GLOBAL_GET, 0, END, 1, 0), 6, 5);
    assert_entries(BYTES(EXPORT_F, 9, 7, 1, 0, I32_CONST, 0, END, 1, 0), 6, 5);
    assert_entries(BYTES(EXPORT_F, 9, 24, 1, 4, GLOBAL_GET, 1, END, 6, 0xD0, FUNCREF, END, 0xD0,
                         FUNCREF, END, 0xD0, FUNCREF, END, 0xD0, FUNCREF, END, 0xD0, FUNCREF, END,
                         REF_FUNC, 0, END),
                   6, 5);
}

/* ---- the core ---------------------------------------------------------------------------------
 */

static void put_core(struct buf *out, bool is_prepared)
{
    cleanup_buf struct buf body;
    buf_init(&body, 1000);
    put_header(out);
    if (!is_prepared) {
        put_dylink(out, BYTES(1, 4, 0, 0, 0, 0));
    }
    put_whole_section(out, 1, TYPES);
    put_u32(&body, 1);
    put_import(&body, "host", BYTES(FUNCTION, 0));
    put_section(out, 2, &body);
    put_whole_section(out, 3, BYTES(2, 0, 0));
    put_whole_section(out, 4,
                      is_prepared ? BYTES(2, FUNCREF, 1, 1, 2, FUNCREF, 1, 74, 78)
                                  : BYTES(2, FUNCREF, 1, 1, 2, FUNCREF, 1, 72, 76));
    put_whole_section(out, 6, BYTES(2, I32, 0, I32_CONST, 0xC0, 0, END, I32, 1, I32_CONST, 9, END));
    put_u32(&body, is_prepared ? 4 : 6);
    put_export(&body, "__indirect_function_table", TABLE, 1);
    if (!is_prepared) {
        put_export(&body, "host", FUNCTION, 0);
        put_export(&body, "in_table", FUNCTION, 1);
    }
    put_export(&body, "called", FUNCTION, 2);
    if (!is_prepared) {
        put_export(&body, "address", GLOBAL, 0);
    }
    put_export(&body, "__stack_pointer", GLOBAL, 1);
    if (is_prepared) {
        put_export(&body, "vitrine.variable.0", GLOBAL, 1); /* the only one that is mutable */
    }
    put_section(out, 7, &body);
    if (is_prepared) {
        put_whole_section(
            out, 9,
            BYTES(2, 2, 1, I32_CONST, 1, END, 0, 1, 1, 2, 1, I32_CONST, 0xC8, 0, END, 0, 2, 0, 2));
    } else {
        put_whole_section(out, 9, BYTES(1, 2, 1, I32_CONST, 1, END, 0, 1, 1));
    }
    put_code(out, (const struct span[]){BYTES(0, END), BYTES(0, CALL, 0, END)}, 2);
}

static const char *const core_keep[] = {"called", "__stack_pointer", NULL};

static void test_the_core(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf expected;
    cleanup_buf struct buf module;
    cleanup_buf struct buf bytes;
    struct record record;
    struct err err = {0};
    buf_init(&wasm, MIB);
    buf_init(&expected, MIB);
    buf_init(&module, MIB);
    buf_init(&bytes, MIB);
    put_core(&wasm, false);
    put_core(&expected, true);
    if (prepare_core(buf_span(&wasm), core_keep, &module, &bytes, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_bytes(&module, &expected);
    assert_int_equal(record_open(buf_span(&bytes), &record, &err), 0);
    assert_int_equal(record.table_entries, 74);
    assert_int_equal(record.memory_bytes, 0);
    assert_int_equal(record.symbol_count, 4);
    assert_symbol(&record, "in_table", RECORD_FUNCTION, 1);
    assert_symbol(&record, "host", RECORD_FUNCTION, 72);
    assert_symbol(&record, "called", RECORD_FUNCTION, 73);
    assert_symbol(&record, "address", RECORD_DATA, 64);
}

static void test_a_core_that_lacks_a_name(void **state)
{
    (void)state;
    static const char *const keep[] = {"called", "missing", NULL};
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf module;
    cleanup_buf struct buf record;
    struct err err = {0};
    buf_init(&wasm, MIB);
    buf_init(&module, MIB);
    buf_init(&record, MIB);
    put_core(&wasm, false);
    assert_int_equal(prepare_core(buf_span(&wasm), keep, &module, &record, &err), -1);
    assert_int_equal(err.code, ERR_MISSING);
    assert_int_equal(module.len + record.len, 0);
}

/* A part of a guest's state that no snapshot could hold. */
static void test_a_core_with_a_long_variable(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf module;
    cleanup_buf struct buf record;
    struct err err = {0};
    buf_init(&wasm, MIB);
    buf_init(&module, MIB);
    buf_init(&record, MIB);
    put_core(&wasm, false);
    char *global = memmem(wasm.base, wasm.len, (const char[]){I32, 1, I32_CONST, 9, END}, 5);
    assert_non_null(global);
    global[0] = I64;
    global[2] = I64_CONST;
    assert_int_equal(prepare_core(buf_span(&wasm), core_keep, &module, &record, &err), -1);
    assert_int_equal(err.code, ERR_FORMAT);
}

/* ---- what is refused ---------------------------------------------------------------------------
 */

static void assert_small_refused(struct span dylink, struct span rest, enum err_code code)
{
    cleanup_buf struct buf wasm;
    buf_init(&wasm, MIB);
    put_small(&wasm, dylink, rest);
    assert_refused(&wasm, code);
}

static void test_too_much_is_refused(void **state)
{
    (void)state;
    struct span f = BYTES(EXPORT_F);
    assert_small_refused(BYTES(1, 8, 0x81, 0x80, 0x80, 0x80, 4, 0, 0, 0), f, ERR_LIMIT);
    assert_small_refused(BYTES(1, 4, 0, 17, 0, 0), f, ERR_LIMIT);
    assert_small_refused(BYTES(1, 6, 0, 0, 0xC1, 0x84, 0x3D, 0), f, ERR_LIMIT);
    assert_small_refused(BYTES(1, 4, 0, 0, 0, 17), f, ERR_LIMIT);
    /* A million places are asked for, and f needs one more. */
    assert_small_refused(BYTES(1, 6, 0, 0, 0xC0, 0x84, 0x3D, 0), f, ERR_LIMIT);
}

static void test_a_malformed_dylink_is_refused(void **state)
{
    (void)state;
    struct span f = BYTES(EXPORT_F);
    assert_small_refused(BYTES(1, 3, 0, 0, 0), f, ERR_FORMAT);
    assert_small_refused(BYTES(1, 5, 0, 0, 0, 0, 0), f, ERR_FORMAT);
    assert_small_refused(BYTES(1, 200, 1), f, ERR_FORMAT);
    assert_small_refused(BYTES(2, 3, 1, 200, 1), f, ERR_FORMAT);
    assert_small_refused(BYTES(4, 5, 0xFF, 0xFF, 0xFF, 0xFF, 0xF), f, ERR_FORMAT);
    assert_small_refused(BYTES(1), f, ERR_FORMAT);
}

static void test_functions_that_do_not_exist(void **state)
{
    (void)state;
    struct span dylink = BYTES(MEM_INFO);
    assert_small_refused(dylink, BYTES(7, 5, 1, 1, 'f', 0, 1), ERR_FORMAT);
    assert_small_refused(dylink, BYTES(8, 1, 1), ERR_FORMAT);
    assert_small_refused(dylink, BYTES(9, 7, 1, 0, GLOBAL_GET, 1, END, 1, 1), ERR_FORMAT);
    assert_small_refused(dylink, BYTES(9, 9, 1, 4, GLOBAL_GET, 1, END, 1, REF_FUNC, 1, END),
                         ERR_FORMAT);
    assert_small_refused(dylink, BYTES(9, 4, 1, 8, 0, 0), ERR_FORMAT);
    assert_small_refused(dylink, BYTES(9, 3, 1, 0, GLOBAL_GET), ERR_FORMAT);
}

static void test_two_symbols_of_one_name(void **state)
{
    (void)state;
    assert_small_refused(BYTES(MEM_INFO), BYTES(7, 9, 2, 1, 'f', 0, 0, 1, 'f', 0, 0), ERR_FORMAT);
}

/* env.__indirect_function_table with this type, alone. */
static void assert_table_refused(struct span type)
{
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf body;
    buf_init(&wasm, MIB);
    buf_init(&body, 1000);
    put_header(&wasm);
    put_dylink(&wasm, BYTES(MEM_INFO));
    put_u32(&body, 1);
    put_import(&body, "__indirect_function_table", type);
    put_section(&wasm, 2, &body);
    assert_refused(&wasm, ERR_FORMAT);
}

static void test_odd_tables_are_refused(void **state)
{
    (void)state;
    assert_table_refused(BYTES(TABLE, 0x6F, 0, 5));          /* not of functions */
    assert_table_refused(BYTES(TABLE, FUNCREF, 4, 5));       /* counted by 64-bit numbers */
    assert_table_refused(BYTES(TABLE, 0x64, FUNCREF, 0, 5)); /* never null */
    assert_table_refused(BYTES(GLOBAL, I32, 0));             /* no table */
}

static void test_no_side_module(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    buf_init(&wasm, MIB);
    put_header(&wasm);
    assert_refused(&wasm, ERR_FORMAT);
    put_dylink(&wasm, BYTES(MEM_INFO));
    assert_refused(&wasm, ERR_FORMAT); /* no table */
    buf_clear(&wasm);
    put_core(&wasm, false);
    assert_refused(&wasm, ERR_FORMAT); /* a table of its own */
}

static void test_a_cut_module_is_an_error_or_whole(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    buf_init(&wasm, MIB);
    put_side(&wasm, BYTES(MEM_INFO));
    while (wasm.len > 0) {
        cleanup_buf struct buf module;
        cleanup_buf struct buf record;
        struct err err = {0};
        wasm.len--;
        buf_init(&module, MIB);
        buf_init(&record, MIB);
        if (prepare(buf_span(&wasm), &module, &record, &err) != 0) {
            assert_int_not_equal(err.code, ERR_NONE);
            assert_int_equal(module.len + record.len, 0);
        }
    }
}

static void test_no_room_is_an_error(void **state)
{
    (void)state;
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf core_bytes;
    struct record core;
    buf_init(&wasm, MIB);
    put_side(&wasm, BYTES(MEM_INFO));
    open_core(&core_bytes, &core);
    for (size_t room = 0; room < 200; room++) {
        cleanup_buf struct buf module;
        cleanup_buf struct buf record;
        struct err err = {0};
        buf_init(&module, room);
        buf_init(&record, MIB);
        assert_int_equal(prepare_side(buf_span(&wasm), &core, (struct span){sum, sizeof sum},
                                      &module, &record, &err),
                         -1);
        assert_int_equal(err.code, ERR_LIMIT);
        assert_int_equal(module.len + record.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_side_module_is_bound_to_itself),
        cmocka_unit_test(test_dylink_goes_into_the_record),
        cmocka_unit_test(test_a_table_base_is_added),
        cmocka_unit_test(test_a_table_is_added),
        cmocka_unit_test(test_places_that_count),
        cmocka_unit_test(test_places_that_do_not_count),
        cmocka_unit_test(test_the_core),
        cmocka_unit_test(test_a_core_that_lacks_a_name),
        cmocka_unit_test(test_a_core_with_a_long_variable),
        cmocka_unit_test(test_too_much_is_refused),
        cmocka_unit_test(test_a_malformed_dylink_is_refused),
        cmocka_unit_test(test_functions_that_do_not_exist),
        cmocka_unit_test(test_two_symbols_of_one_name),
        cmocka_unit_test(test_odd_tables_are_refused),
        cmocka_unit_test(test_no_side_module),
        cmocka_unit_test(test_a_cut_module_is_an_error_or_whole),
        cmocka_unit_test(test_no_room_is_an_error),
    };
    return cmocka_run_group_tests_name("prepare", tests, NULL, NULL);
}
