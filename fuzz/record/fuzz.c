/*
 * Link records under libFuzzer, as a guest may write them. What must hold: no crash; nothing lies
 * outside of the record; what is found has the name that was asked for, and a function's place is
 * inside of its table; what can be read and written again says the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "guest/dylink/record.h"
#include "guest/dylink/record_write.h"

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void require_inside(const struct record *record, struct span text)
{
    if (text.len > 0) {
        REQUIRE(text.base >= record->bytes.base);
        REQUIRE(text.base + text.len <= record->bytes.base + record->bytes.len);
    }
}

static void require_symbol(const struct record *record, const struct record_symbol *symbol)
{
    require_inside(record, symbol->name);
    REQUIRE(symbol->kind == RECORD_DATA || symbol->value < record->table_entries);
}

static void copy_symbols(const struct record *record, struct record_draft *draft)
{
    for (uint32_t i = 0; i < record->symbol_count; i++) {
        struct record_symbol symbol;
        struct record_symbol found;
        if (!record_symbol_at(record, i, &symbol)) {
            continue;
        }
        require_symbol(record, &symbol);
        if (record_find(record, symbol.name, &found)) {
            require_symbol(record, &found);
            REQUIRE(span_equal(found.name, symbol.name));
        }
        record_is_weak(record, symbol.name);
        REQUIRE(record_draft_symbol(draft, symbol, NULL) == 0);
    }
}

static void copy_texts(const struct record *record, struct record_draft *draft)
{
    for (uint32_t i = 0; i < record->needed_count; i++) {
        require_inside(record, record_needed(record, i));
        REQUIRE(record_draft_text(&draft->needed, record_needed(record, i), NULL) == 0);
    }
    for (uint32_t i = 0; i < record->runpath_count; i++) {
        require_inside(record, record_runpath(record, i));
        REQUIRE(record_draft_text(&draft->runpaths, record_runpath(record, i), NULL) == 0);
    }
}

static void check_again(const struct record_draft *draft, struct span bytes)
{
    struct record again;
    REQUIRE(record_open(bytes, &again, NULL) == 0);
    REQUIRE(again.symbol_count == draft->symbols.len / sizeof(struct record_symbol));
    const struct record_symbol *symbols = (const void *)draft->symbols.base;
    for (uint32_t i = 0; i < again.symbol_count; i++) {
        struct record_symbol found;
        REQUIRE(record_find(&again, symbols[i].name, &found));
        REQUIRE(found.kind == symbols[i].kind && found.value == symbols[i].value);
    }
    const struct span *needed = (const void *)draft->needed.base;
    for (uint32_t i = 0; i < again.needed_count; i++) {
        REQUIRE(span_equal(record_needed(&again, i), needed[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct record record;
    struct err err = {0};
    if (record_open((struct span){(const char *)bytes, len}, &record, &err) != 0) {
        REQUIRE(err.code == ERR_FORMAT && err.text[0] != '\0');
        return 0;
    }
    struct record_draft draft;
    cleanup_buf struct buf out;
    buf_init(&out, LIMIT_RECORD_BYTES_MAX);
    record_draft_init(&draft);
    draft.table_entries = record.table_entries;
    copy_texts(&record, &draft);
    copy_symbols(&record, &draft);
    if (record_write(&draft, &out, &err) == 0) {
        check_again(&draft, buf_span(&out));
    }
    record_draft_free(&draft);
    return 0;
}
