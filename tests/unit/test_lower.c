/*
 * lower: every construct of the legacy encoding becomes exactly the instructions that lower.h
 * draws, everything else keeps its bytes, and bytes that are no module end in an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "guest/dylink/lower.h"
#include "guest/dylink/wasm_reader.h"

#define BYTES(...)                                                                                 \
    (struct span)                                                                                  \
    {                                                                                              \
        (const char *)(const unsigned char[]){__VA_ARGS__},                                        \
            sizeof((const unsigned char[]){__VA_ARGS__})                                           \
    }
#define NO_BYTES ((struct span){NULL, 0})

enum { I32 = 0x7F, I64 = 0x7E, EXN = 0x69, EMPTY = 0x40, NEW_TYPE = 6 };

/* The module of most tests. Types: 0 ()->(), 1 (i32)->(), 2 (i32)->(i32), 3 (i32 i64)->(i32),
 * 4 ()->(i32 i64), 5 (i32 i64)->(). Tags: 0 of type 0, 1 of type 1, 2 of type 5. One function of
 * type 2, hence its first new local is number 1. */
#define TYPES                                                                                      \
    0x60, 0, 0, 0x60, 1, I32, 0, 0x60, 1, I32, 1, I32, 0x60, 2, I32, I64, 1, I32, 0x60, 0, 2, I32, \
        I64, 0x60, 2, I32, I64, 0
#define FUNCTION 3, 2, 1, 2
#define TAGS     13, 7, 3, 0, 0, 0, 1, 0, 5

static void put(struct buf *out, struct span bytes)
{
    assert_int_equal(buf_append(out, bytes.base, bytes.len), 0);
}

static void put_u32(struct buf *out, size_t value)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    size_t len = wasm_encode_u32(bytes, (uint32_t)value);
    assert_int_equal(buf_append(out, bytes, len), 0);
}

static void put_section(struct buf *out, char id, struct span start, struct span rest)
{
    assert_int_equal(buf_append_char(out, id), 0);
    put_u32(out, start.len + rest.len);
    put(out, start);
    put(out, rest);
}

static void put_header(struct buf *out)
{
    put(out, BYTES(0, 'a', 's', 'm', 1, 0, 0, 0));
}

/* The code section of one function: `body` is its locals and instructions. */
static void put_code(struct buf *out, struct span body)
{
    cleanup_buf struct buf start;
    buf_init(&start, 16);
    put_u32(&start, 1);
    put_u32(&start, body.len);
    put_section(out, 10, buf_span(&start), body);
}

/* The module with this function, and `new_count` types after its own. */
static void put_module(struct buf *out, struct span body, size_t new_count, struct span new_types)
{
    cleanup_buf struct buf types;
    buf_init(&types, 1000);
    put_u32(&types, NEW_TYPE + new_count);
    put(&types, BYTES(TYPES));
    put_header(out);
    put_section(out, 1, buf_span(&types), new_types);
    put(out, BYTES(FUNCTION));
    put(out, BYTES(TAGS));
    put_code(out, body);
}

static void expect_lowered(const struct buf *module, const struct buf *wanted)
{
    struct err err = {0};
    cleanup_buf struct buf lowered;
    buf_init(&lowered, 1 * MIB);
    if (lower_exceptions(buf_span(module), &lowered, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(lowered.len, wanted->len);
    assert_memory_equal(lowered.base, wanted->base, wanted->len);
}

/* The function `body` becomes `lowered`, and the module gets the types `new_types`. */
static void expect_types(struct span body, struct span lowered, size_t new_count,
                         struct span new_types)
{
    cleanup_buf struct buf module;
    cleanup_buf struct buf wanted;
    buf_init(&module, 1 * MIB);
    buf_init(&wanted, 1 * MIB);
    put_module(&module, body, 0, NO_BYTES);
    put_module(&wanted, lowered, new_count, new_types);
    expect_lowered(&module, &wanted);
}

static void expect(struct span body, struct span lowered)
{
    expect_types(body, lowered, 0, NO_BYTES);
}

static void expect_error(const struct buf *module, enum err_code code, const char *part)
{
    struct err err = {0};
    cleanup_buf struct buf lowered;
    buf_init(&lowered, 1 * MIB);
    put(&lowered, span_of("before"));
    assert_int_equal(lower_exceptions(buf_span(module), &lowered, &err), -1);
    assert_int_equal(err.code, code);
    if (strstr(err.text, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, part);
    }
    assert_int_equal(lowered.len, 6);
}

static void expect_refused(struct span body, const char *part)
{
    cleanup_buf struct buf module;
    buf_init(&module, 1 * MIB);
    put_module(&module, body, 0, NO_BYTES);
    expect_error(&module, ERR_FORMAT, part);
}

/* ---- try, catch, catch_all ------------------------------------------------------------------ */

static void function_without_try_keeps_its_bytes(void **state)
{
    (void)state;
    /* The overlong label shows that nothing is written anew. */
    struct span body = BYTES(0, 0x02, EMPTY, 0x0C, 0x80, 0, 0x0B, 0x20, 0, 0x0B);
    expect(body, body);
}

static void catch_becomes_a_block_and_a_clause(void **state)
{
    (void)state;
    expect(BYTES(0, 0x06, EMPTY, 0x01, 0x07, 0, 0x01, 0x0B, 0x20, 0, 0x0B),
           BYTES(0, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 0, 0, 0, 0x01, 0x0B, 0x0C, 1, 0x0B,
                 0x01, 0x0B, 0x20, 0, 0x0B));
}

static void payload_of_one_value_needs_no_type(void **state)
{
    (void)state;
    expect(BYTES(0, 0x06, I32, 0x20, 0, 0x07, 1, 0x0B, 0x0B),
           BYTES(0, 0x02, I32, 0x02, I32, 0x1F, I32, 1, 0, 1, 0, 0x20, 0, 0x0B, 0x0C, 1, 0x0B, 0x0B,
                 0x0B));
}

static void payload_of_two_values_gets_a_type(void **state)
{
    (void)state;
    expect_types(BYTES(0, 0x06, EMPTY, 0x07, 2, 0x1A, 0x1A, 0x0B, 0x20, 0, 0x0B),
                 BYTES(0, 0x02, EMPTY, 0x02, NEW_TYPE, 0x1F, EMPTY, 1, 0, 2, 0, 0x0B, 0x0C, 1, 0x0B,
                       0x1A, 0x1A, 0x0B, 0x20, 0, 0x0B),
                 1, BYTES(0x60, 0, 2, I32, I64));
}

static void handlers_nest_from_the_first_out(void **state)
{
    (void)state;
    expect(BYTES(0, 0x06, I32, 0x20, 0, 0x07, 0, 0x41, 5, 0x07, 1, 0x19, 0x41, 6, 0x0B, 0x0B),
           BYTES(0, 0x02, I32, 0x02, EMPTY, 0x02, I32, 0x02, EMPTY,                  /* */
                 0x1F, I32, 3, 0, 0, 0, 0, 1, 1, 2, 2, 0x20, 0, 0x0B, 0x0C, 3, 0x0B, /* */
                 0x41, 5, 0x0C, 2, 0x0B, 0x0C, 1, 0x0B, 0x41, 6, 0x0B, 0x0B));
}

static void parameters_flow_through_the_blocks(void **state)
{
    (void)state;
    expect_types(BYTES(0, 0x20, 0, 0x06, 2, 0x19, 0x41, 1, 0x0B, 0x0B),
                 BYTES(0, 0x20, 0, 0x02, 2, 0x02, NEW_TYPE, 0x1F, 2, 1, 2, 0, 0x0B, 0x0C, 1, 0x0B,
                       0x41, 1, 0x0B, 0x0B),
                 1, BYTES(0x60, 1, I32, 0));
}

static void try_without_handlers_is_a_block(void **state)
{
    (void)state;
    expect(BYTES(0, 0x06, EMPTY, 0x0B, 0x20, 0, 0x0B), BYTES(0, 0x02, EMPTY, 0x0B, 0x20, 0, 0x0B));
}

/* ---- rethrow -------------------------------------------------------------------------------- */

static void rethrow_keeps_the_exception_in_a_local(void **state)
{
    (void)state;
    expect(BYTES(1, 2, I64, 0x06, EMPTY, 0x19, 0x09, 0, 0x0B, 0x20, 0, 0x0B),
           BYTES(2, 2, I64, 1, EXN, 0x02, EMPTY, 0x02, EXN, 0x1F, EMPTY, 1, 3, 0, 0x0B, 0x0C, 1,
                 0x0B, 0x21, 3, 0x20, 3, 0x0A, 0x0B, 0x20, 0, 0x0B));
}

static void rethrow_of_a_payload_gets_a_type_once(void **state)
{
    (void)state;
    expect_types(BYTES(0, 0x06, EMPTY, 0x07, 1, 0x1A, 0x09, 0, 0x0B, /* */
                       0x06, EMPTY, 0x07, 1, 0x1A, 0x09, 0, 0x0B, 0x20, 0, 0x0B),
                 BYTES(1, 1, EXN, /* */
                       0x02, EMPTY, 0x02, NEW_TYPE, 0x1F, EMPTY, 1, 1, 1, 0, 0x0B, 0x0C, 1, 0x0B,
                       0x21, 1, 0x1A, 0x20, 1, 0x0A, 0x0B, /* */
                       0x02, EMPTY, 0x02, NEW_TYPE, 0x1F, EMPTY, 1, 1, 1, 0, 0x0B, 0x0C, 1, 0x0B,
                       0x21, 1, 0x1A, 0x20, 1, 0x0A, 0x0B, 0x20, 0, 0x0B),
                 1, BYTES(0x60, 0, 2, I32, EXN));
}

static void rethrow_from_an_inner_handler_finds_the_outer_exception(void **state)
{
    (void)state;
    /* Both handlers are open at once, so they have a local each. */
    expect(
        BYTES(0, 0x06, EMPTY, 0x19, 0x06, EMPTY, 0x19, 0x09, 0, 0x09, 1, 0x0B, 0x0B, 0x20, 0, 0x0B),
        BYTES(1, 2, EXN, 0x02, EMPTY, 0x02, EXN, 0x1F, EMPTY, 1, 3, 0, 0x0B, 0x0C, 1, 0x0B, 0x21, 1,
              0x02, EMPTY, 0x02, EXN, 0x1F, EMPTY, 1, 3, 0, 0x0B, 0x0C, 1, 0x0B, 0x21, 2, /* */
              0x20, 2, 0x0A, 0x20, 1, 0x0A, 0x0B, 0x0B, 0x20, 0, 0x0B));
}

/* ---- delegate ------------------------------------------------------------------------------- */

static void delegate_to_the_next_handlers_is_a_block(void **state)
{
    (void)state;
    struct span lowered = BYTES(0, 0x02, EMPTY, 0x0B, 0x20, 0, 0x0B);
    expect(BYTES(0, 0x06, EMPTY, 0x18, 0, 0x20, 0, 0x0B), lowered);
    expect(BYTES(0, 0x02, EMPTY, 0x06, EMPTY, 0x18, 0, 0x0B, 0x20, 0, 0x0B),
           BYTES(0, 0x02, EMPTY, 0x02, EMPTY, 0x0B, 0x0B, 0x20, 0, 0x0B));
}

static void delegate_to_the_caller_throws_at_the_end(void **state)
{
    (void)state;
    /* Outside: the landing for the caller; then the try's two blocks and its try_table. */
    expect(BYTES(0, 0x06, EMPTY, 0x06, EMPTY, 0x18, 1, 0x19, 0x0B, 0x20, 0, 0x0B),
           BYTES(0, 0x02, EXN, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 2, 0, /* */
                 0x1F, EMPTY, 1, 3, 3, 0x0B, 0x0B, 0x0C, 1, 0x0B, 0x0B, 0x20, 0, 0x0F, 0x0B, 0x0A,
                 0x0B));
}

static void delegate_past_handlers_lands_in_the_body(void **state)
{
    (void)state;
    expect(BYTES(0, 0x06, EMPTY, 0x06, EMPTY, 0x06, EMPTY, 0x18, 1, 0x19, 0x0B, 0x19, 0x0B, 0x20, 0,
                 0x0B),
           BYTES(0, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 2, 0,         /* */
                 0x02, EXN, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 2, 0, /* */
                 0x1F, EMPTY, 1, 3, 3, 0x0B, 0x0B, 0x0C, 1, 0x0B, 0x0B,     /* */
                 0x0C, 1, 0x0B, 0x0A, 0x0B, 0x0C, 1, 0x0B, 0x0B, 0x20, 0, 0x0B));
}

static void delegate_follows_delegates_and_skips_handlers_that_run(void **state)
{
    (void)state;
    /* From a handler to its own try: the next one out is meant, and that is the caller. */
    expect(BYTES(0, 0x06, EMPTY, 0x19, 0x06, EMPTY, 0x18, 0, 0x0B, 0x20, 0, 0x0B),
           BYTES(0, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 2, 0, 0x0B, 0x0C, 1, 0x0B, /* */
                 0x02, EMPTY, 0x0B, 0x0B, 0x20, 0, 0x0B));
    /* To a try that delegates to the caller itself: one hop. */
    expect(BYTES(0, 0x06, EMPTY, 0x06, EMPTY, 0x06, EMPTY, 0x06, EMPTY, 0x18, 1, 0x19, 0x0B, 0x18,
                 1, 0x19, 0x0B, 0x20, 0, 0x0B),
           BYTES(0, 0x02, EXN, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 2, 0,         /* */
                 0x1F, EMPTY, 1, 3, 3, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 2, 0, /* */
                 0x1F, EMPTY, 1, 3, 7, 0x0B, 0x0B, 0x0C, 1, 0x0B, 0x0B, 0x0B,          /* */
                 0x0B, 0x0C, 1, 0x0B, 0x0B, 0x20, 0, 0x0F, 0x0B, 0x0A, 0x0B));
}

/* ---- branches ------------------------------------------------------------------------------- */

static void branches_reach_the_labels_they_named(void **state)
{
    (void)state;
    /* br 0 is the try, whose label is the outer block's; br 1 the function. In the body two more
     * labels are open, in the handler none. */
    expect(BYTES(0, 0x06, EMPTY, 0x0C, 0, 0x20, 0, 0x0C, 1, 0x07, 0, 0x0C, 0, 0x0B, 0x20, 0, 0x0B),
           BYTES(0, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 0, 0, 0, 0x0C, 2, 0x20, 0, 0x0C, 3,
                 0x0B, 0x0C, 1, 0x0B, 0x0C, 0, 0x0B, 0x20, 0, 0x0B));
}

static void every_kind_of_branch_is_moved(void **state)
{
    (void)state;
    expect(BYTES(0, 0x06, EMPTY, 0x02, EMPTY, 0x0D, 1, 0x0E, 2, 0, 1, 2, 0xD5, 1, 0xD6, 2, /* */
                 0xFB, 24, 3, 1, 0x6E, 0x6D, 0xFB, 25, 0, 2, 0x6E, 0x80, 1, 0x0B, 0x19, 0x0B, 0x20,
                 0, 0x0B),
           BYTES(0, 0x02, EMPTY, 0x02, EMPTY, 0x1F, EMPTY, 1, 2, 0, 0x02, EMPTY,          /* */
                 0x0D, 3, 0x0E, 2, 0, 3, 4, 0xD5, 3, 0xD6, 4, 0xFB, 24, 3, 3, 0x6E, 0x6D, /* */
                 0xFB, 25, 0, 4, 0x6E, 0x80, 1, 0x0B, 0x0B, 0x0C, 1, 0x0B, 0x0B, 0x20, 0, 0x0B));
}

static void instructions_of_every_shape_are_passed_over(void **state)
{
    (void)state;
#define SHAPES                                                                                     \
    0x41, 0xFF, 0x7E, 0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7F, 0x43, 6,   \
        6, 6, 6, 0x44, 6, 6, 6, 6, 6, 6, 6, 6, 0x28, 2, 6, 0x28, 0x42, 1, 6, 0x11, 6, 0, 0x1C, 2,  \
        I32, 0x64, 0x6E, 0xD0, 0x70, 0xD0, 6, 0xD2, 6, 0xFC, 0, 0xFC, 8, 6, 0, 0xFC, 11, 0, 0xFC,  \
        22, 0xFD, 0, 4, 6, 0xFD, 12, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 0xFD, 0x15,   \
        6, 0xFD, 0x54, 0, 6, 6, 0xFD, 0x80, 2, 0xFE, 3, 0, 0xFE, 0x10, 2, 6, 0xFB, 8, 6, 6, 0xFB,  \
        28, 0xFB, 20, 0x6C, 0x12, 6, 0x13, 6, 0, 0x14, 6, 0x15, 6, 0x3F, 0, 0xC4, 0xD3, 0xD4,      \
        0x08, 6, 0x0A, 0x03, 0x63, 0x70, 0x0B, 0x04, 0xC0, 0, 0x05, 0x0B
    expect(BYTES(0, SHAPES, 0x06, EMPTY, 0x0B, SHAPES, 0x0B),
           BYTES(0, SHAPES, 0x02, EMPTY, 0x0B, SHAPES, 0x0B));
}

/* ---- the module around it ------------------------------------------------------------------- */

static void imported_tags_and_rec_groups_are_counted(void **state)
{
    (void)state;
    cleanup_buf struct buf module;
    cleanup_buf struct buf wanted;
    buf_init(&module, 1000);
    buf_init(&wanted, 1000);
    /* Entry one: a group of a struct and a function type with a supertype's list; entry two: an
     * array; entries three and four: (i32)->(), ()->(). So there are types 0 to 4. */
#define GROUPS                                                                                     \
    0x4E, 2, 0x5F, 2, 0x78, 1, 0x63, 0, 0, 0x50, 0, 0x60, 1, 0x64, 0, 1, I64, 0x5E, I32, 1, 0x60,  \
        1, I32, 0, 0x60, 0, 0
#define IMPORTS                                                                                    \
    2, 28, 5, 0, 0, 0, 4, 0, 0, 1, 0x70, 1, 0, 9, 0, 0, 2, 4, 1, 0, 0, 3, I32, 1, 0, 1, 'x', 4, 0, 3
    put_header(&module);
    put_section(&module, 1, BYTES(4), BYTES(GROUPS));
    put(&module, BYTES(IMPORTS, 3, 2, 1, 4, 13, 3, 1, 0, 4));
    put_code(&module, BYTES(0, 0x06, EMPTY, 0x07, 0, 0x09, 0, 0x07, 1, 0x0B, 0x0B));
    put_header(&wanted);
    put_section(&wanted, 1, BYTES(5), BYTES(GROUPS, 0x60, 0, 2, I32, EXN));
    put(&wanted, BYTES(IMPORTS, 3, 2, 1, 4, 13, 3, 1, 0, 4));
    put_code(&wanted,
             BYTES(1, 1, EXN, 0x02, EMPTY, 0x02, EMPTY, 0x02, 5, 0x1F, EMPTY, 2, 1, 0, 0, 0, 1, 1,
                   0x0B, 0x0C, 2, 0x0B, 0x21, 0, 0x20, 0, 0x0A, 0x0C, 1, 0x0B, 0x0B, 0x0B));
    expect_lowered(&module, &wanted);
}

static void a_types_index_is_written_signed(void **state)
{
    (void)state;
    cleanup_buf struct buf module;
    cleanup_buf struct buf wanted;
    cleanup_buf struct buf types;
    buf_init(&module, 1000);
    buf_init(&wanted, 1000);
    buf_init(&types, 1000);
    put(&types, BYTES(0x60, 2, I32, I32, 0));
    for (int i = 0; i < 63; i++) {
        put(&types, BYTES(0x60, 0, 0));
    }
    put_header(&module);
    put_section(&module, 1, BYTES(64), buf_span(&types));
    put(&module, BYTES(3, 2, 1, 1, 13, 3, 1, 0, 0));
    put_code(&module, BYTES(0, 0x06, EMPTY, 0x07, 0, 0x1A, 0x1A, 0x0B, 0x0B));
    put(&types, BYTES(0x60, 0, 2, I32, I32));
    put_header(&wanted);
    put_section(&wanted, 1, BYTES(65), buf_span(&types));
    put(&wanted, BYTES(3, 2, 1, 1, 13, 3, 1, 0, 0));
    put_code(&wanted, BYTES(0, 0x02, EMPTY, 0x02, 0xC0, 0, 0x1F, EMPTY, 1, 0, 0, 0, 0x0B, 0x0C, 1,
                            0x0B, 0x1A, 0x1A, 0x0B, 0x0B));
    expect_lowered(&module, &wanted);
}

static void put_custom(struct buf *out, const char *name)
{
    cleanup_buf struct buf start;
    buf_init(&start, 100);
    put_u32(&start, strlen(name));
    put(&start, span_of(name));
    put_section(out, 0, buf_span(&start), BYTES(1, 2, 3));
}

static void custom_sections_about_code_offsets_go(void **state)
{
    (void)state;
    static const char *const stale[] = {".debug_info", "metadata.code.branch_hint", "linking",
                                        "reloc.CODE", "sourceMappingURL"};
    struct span with_try = BYTES(0, 0x06, EMPTY, 0x0B, 0x20, 0, 0x0B);
    cleanup_buf struct buf module;
    cleanup_buf struct buf plain;
    cleanup_buf struct buf wanted;
    buf_init(&module, 1000);
    buf_init(&plain, 1000);
    buf_init(&wanted, 1000);
    put_module(&module, with_try, 0, NO_BYTES);
    put_module(&plain, BYTES(0, 0x20, 0, 0x0B), 0, NO_BYTES);
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++) {
        put_custom(&module, stale[i]);
        put_custom(&plain, stale[i]);
    }
    put_custom(&module, "name");
    put_module(&wanted, BYTES(0, 0x02, EMPTY, 0x0B, 0x20, 0, 0x0B), 0, NO_BYTES);
    put_custom(&wanted, "name");
    expect_lowered(&module, &wanted);
    expect_lowered(&plain, &plain);
}

static void need_is_told_without_lowering(void **state)
{
    (void)state;
    struct err err;
    bool needed = false;
    cleanup_buf struct buf module;
    buf_init(&module, 1000);
    put_module(&module, BYTES(0, 0x06, EMPTY, 0x0B, 0x20, 0, 0x0B), 0, NO_BYTES);
    assert_int_equal(lower_needed(buf_span(&module), &needed, &err), 0);
    assert_true(needed);
    buf_clear(&module);
    put_module(&module, BYTES(0, 0x20, 0, 0x0B), 0, NO_BYTES);
    assert_int_equal(lower_needed(buf_span(&module), &needed, &err), 0);
    assert_false(needed);
    module.base[0] = 1;
    assert_int_equal(lower_needed(buf_span(&module), &needed, &err), -1);
}

/* ---- refused -------------------------------------------------------------------------------- */

static void constructs_out_of_place_are_refused(void **state)
{
    (void)state;
#define TRY 0x06, EMPTY, 0x0B
    expect_refused(BYTES(0, TRY, 0x07, 0, 0x0B), "byte 60: a catch that belongs to no try");
    expect_refused(BYTES(0, TRY, 0x02, EMPTY, 0x19, 0x0B, 0x0B), "belongs to no try");
    expect_refused(BYTES(0, 0x06, EMPTY, 0x19, 0x19, 0x0B, 0x0B), "belongs to no try");
    expect_refused(BYTES(0, 0x06, EMPTY, 0x19, 0x07, 0, 0x0B, 0x0B), "belongs to no try");
    expect_refused(BYTES(0, TRY, 0x18, 0, 0x0B), "a delegate that belongs to no try");
    expect_refused(BYTES(0, 0x06, EMPTY, 0x19, 0x18, 0, 0x0B), "a delegate that belongs to no try");
    expect_refused(BYTES(0, 0x06, EMPTY, 0x18, 1, 0x0B), "a delegate to a label");
    expect_refused(BYTES(0, 0x06, EMPTY, 0x09, 0, 0x0B, 0x0B), "a rethrow whose label");
    expect_refused(BYTES(0, TRY, 0x09, 7, 0x0B), "a rethrow whose label");
    expect_refused(BYTES(0, TRY, 0x05, 0x0B), "an else that belongs to no if");
    expect_refused(BYTES(0, TRY, 0x1F, EMPTY, 0, 0x0B, 0x0B), "mixes");
    expect_refused(BYTES(0, TRY, 0x0C, 1, 0x0B), "a branch to a label");
    expect_refused(BYTES(0, TRY, 0x0E, 1, 0, 1, 0x0B), "a branch to a label");
    expect_refused(BYTES(0, 0x06, EMPTY, 0x07, 3, 0x0B, 0x0B), "a catch of a tag");
    expect_refused(BYTES(0, 0x06, 6, 0x0B, 0x0B), "a try of a type");
}

static void malformed_code_is_refused(void **state)
{
    (void)state;
    expect_refused(BYTES(0, 0x06, EMPTY, 0x0B), "the last end");
    expect_refused(BYTES(0, TRY, 0x0B, 0x01), "the last end");
    expect_refused(BYTES(0, 0xFF, 0x0B), "an unknown instruction");
    expect_refused(BYTES(0, 0xFB, 31, 0x0B), "an unknown instruction");
    expect_refused(BYTES(0, 0xFD, 0x80, 0x80, 0x04, 0x0B), "an unknown instruction");
    expect_refused(BYTES(0, 0x28, 0x80, 1, 0, 0x0B), "memory access");
    expect_refused(BYTES(0, 0x02, 0x41, 0x0B), "an unknown type");
    expect_refused(BYTES(0, 0x02, 0xFF, 0x7F, 0x0B), "an unknown type");
    expect_refused(BYTES(0, 0x20, 0x80, 0x80, 0x80, 0x80, 0x10), "does not fit 32 bits");
    expect_refused(BYTES(0, 0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1), "does not fit 32 bits");
    expect_refused(BYTES(0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x0B), "too long");
    expect_refused(BYTES(0, 0x1F, EMPTY, 1, 4, 0, 0x0B, 0x0B), "an unknown catch clause");
    expect_refused(BYTES(0, 0x43, 0, 0, 0), "ends too early");
    expect_refused(BYTES(0, 0x0E, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F), "ends too early");
    expect_refused(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0x0F), "ends too early");
}

static void limits_are_kept(void **state)
{
    (void)state;
    cleanup_buf struct buf body;
    cleanup_buf struct buf module;
    buf_init(&body, 1 * MIB);
    buf_init(&module, 1 * MIB);
    put(&body, BYTES(0));
    for (unsigned i = 0; i < LIMIT_WASM_NESTING_MAX; i++) {
        put(&body, BYTES(0x06, EMPTY));
    }
    put_module(&module, buf_span(&body), 0, NO_BYTES);
    expect_error(&module, ERR_LIMIT, "nested too deeply");
    buf_clear(&module);
    put_module(&module, BYTES(1, 0xD0, 0x86, 3, I32, TRY, 0x0B), 0, NO_BYTES);
    expect_error(&module, ERR_LIMIT, "too many locals");
}

static void output_stops_at_its_maximum(void **state)
{
    (void)state;
    struct err err;
    cleanup_buf struct buf module;
    cleanup_buf struct buf out;
    buf_init(&module, 1000);
    put_module(&module, BYTES(0, 0x06, EMPTY, 0x19, 0x09, 0, 0x0B, 0x20, 0, 0x0B), 0, NO_BYTES);
    size_t needed = module.len;
    for (size_t bytes_max = 0; bytes_max < 200; bytes_max++) {
        buf_init(&out, bytes_max);
        if (lower_exceptions(buf_span(&module), &out, &err) == 0) {
            needed = bytes_max;
            buf_free(&out);
            break;
        }
        assert_int_equal(err.code, ERR_LIMIT);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
    assert_in_range(needed, module.len + 1, module.len + 40);
}

/* A module cut off anywhere but between two sections is refused, and each read stays inside of an
 * allocation of just that size, which sanitizers watch. */
static void truncated_modules_are_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf module;
    buf_init(&module, 1000);
    put_module(&module, BYTES(1, 1, I32, 0x06, 2, 0x07, 1, 0x0B, 0x0B), 0, NO_BYTES);
    size_t passed = 0;
    for (size_t len = 0; len < module.len; len++) {
        char *cut = malloc(len == 0 ? 1 : len);
        assert_non_null(cut);
        memcpy(cut, module.base, len);
        struct err err;
        cleanup_buf struct buf out;
        buf_init(&out, 1000);
        passed += lower_exceptions((struct span){cut, len}, &out, &err) == 0 ? 1 : 0;
        free(cut);
    }
    assert_int_equal(passed, 4); /* the header; and the type, function and tag sections more */
}

static void malformed_sections_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *part;
        unsigned char bytes[16];
        size_t len;
    } cases[] = {
        {"an unknown section", {14, 0}, 2},
        {"a section out of order", {3, 1, 0, 1, 1, 0}, 6},
        {"a section out of order", {1, 1, 0, 1, 1, 0}, 6},
        {"bytes after the end", {1, 2, 0, 0}, 4},
        {"an unknown form of type", {1, 2, 1, 0x61}, 4},
        {"an unknown type", {1, 4, 1, 0x60, 1, 0x61}, 6},
        {"an unknown kind of import", {2, 4, 1, 0, 0, 5}, 6},
        {"an unknown form of limits", {2, 5, 1, 0, 0, 2, 0x10}, 7},
        {"differ in number", {3, 2, 1, 0, 10, 1, 0}, 7},
        {"bytes after the last function", {3, 1, 0, 10, 2, 0, 0}, 7},
        {"longer than what holds it", {10, 0x7F, 0}, 3},
        {"a function of a type", {3, 2, 1, 0, 10, 7, 1, 5, 0, TRY, 0x0B}, 13},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_buf struct buf module;
        buf_init(&module, 100);
        put_header(&module);
        put(&module, (struct span){(const char *)cases[i].bytes, cases[i].len});
        expect_error(&module, ERR_FORMAT, cases[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(function_without_try_keeps_its_bytes),
        cmocka_unit_test(catch_becomes_a_block_and_a_clause),
        cmocka_unit_test(payload_of_one_value_needs_no_type),
        cmocka_unit_test(payload_of_two_values_gets_a_type),
        cmocka_unit_test(handlers_nest_from_the_first_out),
        cmocka_unit_test(parameters_flow_through_the_blocks),
        cmocka_unit_test(try_without_handlers_is_a_block),
        cmocka_unit_test(rethrow_keeps_the_exception_in_a_local),
        cmocka_unit_test(rethrow_of_a_payload_gets_a_type_once),
        cmocka_unit_test(rethrow_from_an_inner_handler_finds_the_outer_exception),
        cmocka_unit_test(delegate_to_the_next_handlers_is_a_block),
        cmocka_unit_test(delegate_to_the_caller_throws_at_the_end),
        cmocka_unit_test(delegate_past_handlers_lands_in_the_body),
        cmocka_unit_test(delegate_follows_delegates_and_skips_handlers_that_run),
        cmocka_unit_test(branches_reach_the_labels_they_named),
        cmocka_unit_test(every_kind_of_branch_is_moved),
        cmocka_unit_test(instructions_of_every_shape_are_passed_over),
        cmocka_unit_test(imported_tags_and_rec_groups_are_counted),
        cmocka_unit_test(a_types_index_is_written_signed),
        cmocka_unit_test(custom_sections_about_code_offsets_go),
        cmocka_unit_test(need_is_told_without_lowering),
        cmocka_unit_test(constructs_out_of_place_are_refused),
        cmocka_unit_test(malformed_code_is_refused),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(output_stops_at_its_maximum),
        cmocka_unit_test(truncated_modules_are_refused),
        cmocka_unit_test(malformed_sections_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
