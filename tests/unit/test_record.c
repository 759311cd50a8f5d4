/*
 * record: what the writer writes the reader finds; bytes that are no record, or one that points
 * outside of itself, end in an error or in "there is none".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "guest/dylink/record.h"
#include "guest/dylink/record_write.h"

enum { SYMBOLS = 1000, AT_MEMORY = 52, AT_TABLE = 60, AT_COUNTS = 68, AT_ENTRIES = 84 };

static const char sum[RECORD_SUM_BYTES] = "0123456789abcdefghijklmnopqrstu";

static void put_u32(struct buf *bytes, size_t at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes->base[at + i] = (char)(value >> (8 * i));
    }
}

/* A record with a library, two run paths, two weak imports and four symbols. */
static void write_small(struct buf *out)
{
    struct record_draft draft;
    struct err err;
    record_draft_init(&draft);
    draft.sum = (struct span){sum, sizeof sum};
    draft.memory_bytes = 4096;
    draft.memory_align_log2 = 4;
    draft.table_entries = 10;
    draft.table_align_log2 = 1;
    assert_int_equal(record_draft_text(&draft.needed, span_of("libopenblas.so"), &err), 0);
    assert_int_equal(record_draft_text(&draft.runpaths, span_of("$ORIGIN/.."), &err), 0);
    assert_int_equal(record_draft_text(&draft.runpaths, span_of("$ORIGIN"), &err), 0);
    assert_int_equal(record_draft_text(&draft.weak, span_of("w2"), &err), 0);
    assert_int_equal(record_draft_text(&draft.weak, span_of("w1"), &err), 0);
    const struct record_symbol symbols[] = {
        {span_of("PyInit_b"), RECORD_FUNCTION, 9},
        {span_of("PyInit_ba"), RECORD_FUNCTION, 0},
        {span_of(""), RECORD_DATA, 7},
        {span_of("PyInit_a"), RECORD_DATA, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        assert_int_equal(record_draft_symbol(&draft, symbols[i], &err), 0);
    }
    assert_int_equal(record_write(&draft, out, &err), 0);
    record_draft_free(&draft);
}

static void assert_symbol(const struct record *record, const char *name,
                          enum record_symbol_kind kind, uint32_t value)
{
    struct record_symbol symbol;
    assert_true(record_find(record, span_of(name), &symbol));
    assert_true(span_equal(symbol.name, span_of(name)));
    assert_int_equal(symbol.kind, kind);
    assert_int_equal(symbol.value, value);
}

static void test_what_is_written_is_found(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    write_small(&bytes);
    struct record record;
    struct err err;
    assert_int_equal(record_open(buf_span(&bytes), &record, &err), 0);
    assert_memory_equal(record.sum.base, sum, sizeof sum);
    assert_int_equal(record.memory_bytes, 4096);
    assert_int_equal(record.memory_align_log2, 4);
    assert_int_equal(record.table_entries, 10);
    assert_int_equal(record.table_align_log2, 1);
    assert_true(span_equal(record_needed(&record, 0), span_of("libopenblas.so")));
    assert_int_equal(record_needed(&record, 1).len, 0);
    assert_true(span_equal(record_runpath(&record, 0), span_of("$ORIGIN/..")));
    assert_true(span_equal(record_runpath(&record, 1), span_of("$ORIGIN")));
    assert_int_equal(record_runpath(&record, UINT32_MAX).len, 0);
    assert_true(record_is_weak(&record, span_of("w1")) && record_is_weak(&record, span_of("w2")));
    assert_false(record_is_weak(&record, span_of("w")));
    assert_symbol(&record, "PyInit_b", RECORD_FUNCTION, 9);
    assert_symbol(&record, "PyInit_ba", RECORD_FUNCTION, 0);
    assert_symbol(&record, "PyInit_a", RECORD_DATA, UINT32_MAX);
    assert_symbol(&record, "", RECORD_DATA, 7);
    struct record_symbol symbol;
    assert_false(record_find(&record, span_of("PyInit_"), &symbol));
    assert_false(record_find(&record, span_of("w1"), &symbol));
    assert_true(record_symbol_at(&record, 3, &symbol));
    assert_true(span_equal(symbol.name, span_of("PyInit_ba")));
    assert_false(record_symbol_at(&record, 4, &symbol));
}

static void test_many_symbols(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    struct record_draft draft;
    struct err err;
    static char names[SYMBOLS][16];
    record_draft_init(&draft);
    draft.table_entries = SYMBOLS;
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        uint32_t number = i * 7919 % SYMBOLS;
        snprintf(names[i], sizeof names[i], "f%u", number);
        struct record_symbol symbol = {span_of(names[i]), RECORD_FUNCTION, number};
        assert_int_equal(record_draft_symbol(&draft, symbol, &err), 0);
    }
    assert_int_equal(record_write(&draft, &bytes, &err), 0);
    record_draft_free(&draft);
    struct record record;
    assert_int_equal(record_open(buf_span(&bytes), &record, &err), 0);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        assert_symbol(&record, name, RECORD_FUNCTION, i);
    }
    static const char zeros[RECORD_SUM_BYTES];
    assert_memory_equal(record.sum.base, zeros, sizeof zeros);
}

static void test_two_of_one_name_are_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    assert_int_equal(buf_append_text(&bytes, "before"), 0);
    struct record_draft draft;
    struct err err;
    record_draft_init(&draft);
    for (uint32_t i = 0; i < 2; i++) {
        struct record_symbol symbol = {span_of("twice"), RECORD_DATA, i};
        assert_int_equal(record_draft_symbol(&draft, symbol, &err), 0);
    }
    assert_int_equal(record_write(&draft, &bytes, &err), -1);
    assert_int_equal(err.code, ERR_FORMAT);
    assert_int_equal(bytes.len, strlen("before"));
    record_draft_free(&draft);
}

static void test_no_room_is_an_error(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, 150);
    struct record_draft draft;
    struct err err;
    record_draft_init(&draft);
    struct record_symbol symbol = {span_of("a name of some length, for a symbol"), RECORD_DATA, 1};
    for (char i = 0; i < 2; i++) {
        assert_int_equal(record_draft_symbol(&draft, symbol, &err), 0);
        symbol.name.len--;
    }
    assert_int_equal(record_write(&draft, &bytes, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(bytes.len, 0);
    record_draft_free(&draft);
}

static void assert_refused(const struct buf *bytes)
{
    struct record record;
    struct err err;
    assert_int_equal(record_open(buf_span(bytes), &record, &err), -1);
    assert_int_equal(err.code, ERR_FORMAT);
}

static void test_a_broken_header_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint32_t value;
    } changes[] = {
        {0, 0},
        {8, RECORD_VERSION + 1},
        {12, 0},
        {48, 1},
        {AT_MEMORY, LIMIT_SIDE_MEMORY_BYTES_MAX + 1},
        {AT_MEMORY + 4, RECORD_ALIGN_LOG2_MAX + 1},
        {AT_TABLE, LIMIT_SIDE_TABLE_ENTRIES_MAX + 1},
        {AT_TABLE + 4, RECORD_ALIGN_LOG2_MAX + 1},
        {AT_COUNTS, UINT32_MAX},
        {AT_COUNTS + 4, UINT32_MAX},
        {AT_COUNTS + 8, UINT32_MAX},
        {AT_COUNTS + 12, UINT32_MAX},
        {AT_COUNTS + 12, 14},
        {AT_ENTRIES, UINT32_MAX},
        {AT_ENTRIES + 4, UINT32_MAX},
        {AT_ENTRIES + 8, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        cleanup_buf struct buf bytes;
        buf_init(&bytes, MIB);
        write_small(&bytes);
        put_u32(&bytes, changes[i].at, changes[i].value);
        assert_refused(&bytes);
    }
}

static void test_a_cut_record_is_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    write_small(&bytes);
    while (bytes.len > 0) {
        bytes.len--;
        if (bytes.len >= RECORD_HEADER_BYTES) {
            put_u32(&bytes, 12, (uint32_t)bytes.len);
        }
        assert_refused(&bytes);
    }
}

/* Entries that lie: the reader says that there is no such text or symbol. */
static void test_lying_entries_yield_nothing(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, MIB);
    write_small(&bytes);
    size_t texts = RECORD_HEADER_BYTES;
    size_t symbols = texts + 5 * 8;
    struct record record;
    struct record_symbol symbol;
    struct err err;
    put_u32(&bytes, texts, UINT32_MAX);            /* the library's offset */
    put_u32(&bytes, texts + 8 + 4, UINT32_MAX);    /* the first run path's length */
    put_u32(&bytes, symbols + 8, 2);               /* the first symbol's kind */
    put_u32(&bytes, symbols + 2 * 16 + 12, 10);    /* the third symbol's place in the table */
    put_u32(&bytes, symbols + 3 * 16, UINT32_MAX); /* the last symbol's name */
    assert_int_equal(record_open(buf_span(&bytes), &record, &err), 0);
    assert_int_equal(record_needed(&record, 0).len, 0);
    assert_int_equal(record_runpath(&record, 0).len, 0);
    assert_false(record_find(&record, span_of(""), &symbol));
    assert_false(record_find(&record, span_of("PyInit_b"), &symbol));
    assert_false(record_find(&record, span_of("PyInit_ba"), &symbol));
    assert_false(record_symbol_at(&record, 3, &symbol));
    assert_symbol(&record, "PyInit_a", RECORD_DATA, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_found),
        cmocka_unit_test(test_many_symbols),
        cmocka_unit_test(test_two_of_one_name_are_refused),
        cmocka_unit_test(test_no_room_is_an_error),
        cmocka_unit_test(test_a_broken_header_is_refused),
        cmocka_unit_test(test_a_cut_record_is_refused),
        cmocka_unit_test(test_lying_entries_yield_nothing),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
