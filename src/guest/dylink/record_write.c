#include "guest/dylink/record_write.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "guest/dylink/names.h"
#include "guest/dylink/record_layout.h"

void record_draft_init(struct record_draft *draft)
{
    *draft = (struct record_draft){0};
    buf_init(&draft->needed, LIMIT_RECORD_TEXTS_MAX * sizeof(struct span));
    buf_init(&draft->runpaths, LIMIT_RECORD_TEXTS_MAX * sizeof(struct span));
    buf_init(&draft->weak, LIMIT_RECORD_TEXTS_MAX * sizeof(struct span));
    buf_init(&draft->symbols, LIMIT_RECORD_SYMBOLS_MAX * sizeof(struct record_symbol));
}

void record_draft_free(struct record_draft *draft)
{
    buf_free(&draft->needed);
    buf_free(&draft->runpaths);
    buf_free(&draft->weak);
    buf_free(&draft->symbols);
}

int record_draft_text(struct buf *list, struct span text, struct err *err)
{
    if (buf_append(list, &text, sizeof text) != 0) {
        return err_set(err, ERR_LIMIT, "no room for another library or name in a link record");
    }
    return 0;
}

int record_draft_symbol(struct record_draft *draft, struct record_symbol symbol, struct err *err)
{
    if (buf_append(&draft->symbols, &symbol, sizeof symbol) != 0) {
        return err_set(err, ERR_LIMIT, "no room for another symbol in a link record");
    }
    return 0;
}

static int compare_symbols(const void *a, const void *b)
{
    return names_compare(((const struct record_symbol *)a)->name,
                         ((const struct record_symbol *)b)->name);
}

static int sort(struct record_draft *draft, struct err *err)
{
    const struct record_symbol *symbols = (const void *)draft->symbols.base;
    size_t count = draft->symbols.len / sizeof *symbols;
    names_sort(&draft->weak);
    if (count > 0) {
        qsort(draft->symbols.base, count, sizeof *symbols, compare_symbols);
    }
    for (size_t i = 1; i < count; i++) {
        if (compare_symbols(&symbols[i - 1], &symbols[i]) == 0) {
            return err_set(err, ERR_FORMAT, "two symbols have one name");
        }
    }
    return 0;
}

/* The entries and the texts, as they grow. */
struct parts {
    struct buf entries;
    struct buf texts;
};

static int put_text(struct parts *parts, struct span text)
{
    if (buf_append_u32(&parts->entries, (uint32_t)parts->texts.len) != 0 ||
        buf_append_u32(&parts->entries, (uint32_t)text.len) != 0) {
        return -1;
    }
    return buf_append(&parts->texts, text.base, text.len);
}

static int put_texts(struct parts *parts, const struct buf *list)
{
    const struct span *texts = (const void *)list->base;
    for (size_t i = 0; i < list->len / sizeof *texts; i++) {
        if (put_text(parts, texts[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int put_symbols(struct parts *parts, const struct buf *list)
{
    const struct record_symbol *symbols = (const void *)list->base;
    for (size_t i = 0; i < list->len / sizeof *symbols; i++) {
        if (put_text(parts, symbols[i].name) != 0 ||
            buf_append_u32(&parts->entries, symbols[i].kind) != 0 ||
            buf_append_u32(&parts->entries, symbols[i].value) != 0) {
            return -1;
        }
    }
    return 0;
}

static int put_numbers(struct buf *out, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (buf_append_u32(out, numbers[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int put_header(const struct record_draft *draft, const struct parts *parts, struct buf *out)
{
    static const char no_sum[RECORD_SUM_BYTES];
    size_t texts_at = RECORD_HEADER_BYTES + parts->entries.len;
    const uint32_t start[] = {RECORD_VERSION, (uint32_t)(texts_at + parts->texts.len)};
    const uint32_t rest[] = {
        0, /* flags */
        draft->memory_bytes,
        draft->memory_align_log2,
        draft->table_entries,
        draft->table_align_log2,
        (uint32_t)(draft->needed.len / sizeof(struct span)),
        (uint32_t)(draft->runpaths.len / sizeof(struct span)),
        (uint32_t)(draft->weak.len / sizeof(struct span)),
        (uint32_t)(draft->symbols.len / sizeof(struct record_symbol)),
        RECORD_HEADER_BYTES,
        (uint32_t)texts_at,
        (uint32_t)parts->texts.len,
    };
    assert(draft->sum.len == 0 || draft->sum.len == RECORD_SUM_BYTES);
    if (buf_append(out, RECORD_MAGIC, RECORD_MAGIC_BYTES) != 0 ||
        put_numbers(out, start, sizeof start / sizeof *start) != 0 ||
        buf_append(out, draft->sum.len == 0 ? no_sum : draft->sum.base, RECORD_SUM_BYTES) != 0) {
        return -1;
    }
    return put_numbers(out, rest, sizeof rest / sizeof *rest);
}

static int put_record(const struct record_draft *draft, struct parts *parts, struct buf *out)
{
    if (put_texts(parts, &draft->needed) != 0 || put_texts(parts, &draft->runpaths) != 0 ||
        put_texts(parts, &draft->weak) != 0 || put_symbols(parts, &draft->symbols) != 0 ||
        put_header(draft, parts, out) != 0 ||
        buf_append(out, parts->entries.base, parts->entries.len) != 0) {
        return -1;
    }
    return buf_append(out, parts->texts.base, parts->texts.len);
}

int record_write(struct record_draft *draft, struct buf *out, struct err *err)
{
    if (sort(draft, err) != 0) {
        return -1;
    }
    size_t old_len = out->len;
    struct parts parts;
    buf_init(&parts.entries, LIMIT_RECORD_BYTES_MAX);
    buf_init(&parts.texts, LIMIT_RECORD_BYTES_MAX);
    int result = put_record(draft, &parts, out);
    buf_free(&parts.entries);
    buf_free(&parts.texts);
    if (result != 0) {
        out->len = old_len;
        return err_set(err, ERR_LIMIT, "no room for the link record");
    }
    return 0;
}
