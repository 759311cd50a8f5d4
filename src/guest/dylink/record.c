#include "guest/dylink/record.h"

#include <string.h>

#include "base/limits.h"
#include "guest/dylink/names.h"
#include "guest/dylink/record_layout.h"

static uint32_t u32_at(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static int malformed(struct err *err, const char *problem)
{
    return err_set(err, ERR_FORMAT, "link record: %s", problem);
}

static int check_needs(const struct record *record, struct err *err)
{
    if (record->memory_bytes > LIMIT_SIDE_MEMORY_BYTES_MAX ||
        record->table_entries > LIMIT_SIDE_TABLE_ENTRIES_MAX) {
        return malformed(err, "it asks for more memory or table than a guest may have");
    }
    if (record->memory_align_log2 > RECORD_ALIGN_LOG2_MAX ||
        record->table_align_log2 > RECORD_ALIGN_LOG2_MAX) {
        return malformed(err, "it asks for an alignment that nobody needs");
    }
    return 0;
}

/* Sets where entries and texts lie; both must be inside of the record. */
static int find_parts(struct record *record, struct err *err)
{
    const char *base = record->bytes.base;
    uint64_t len = record->bytes.len;
    uint64_t entries_at = u32_at(base + RECORD_AT_ENTRIES);
    uint64_t texts_at = u32_at(base + RECORD_AT_TEXTS);
    uint64_t texts_len = u32_at(base + RECORD_AT_TEXTS_LEN);
    uint64_t names = (uint64_t)record->needed_count + record->runpath_count + record->weak_count;
    uint64_t entries_len =
        names * RECORD_TEXT_BYTES + (uint64_t)record->symbol_count * RECORD_SYMBOL_BYTES;
    if (entries_at > len || entries_len > len - entries_at) {
        return malformed(err, "its entries do not lie inside");
    }
    if (texts_at > len || texts_len > len - texts_at) {
        return malformed(err, "its texts do not lie inside");
    }
    record->entries = base + entries_at;
    record->texts = (struct span){base + texts_at, (size_t)texts_len};
    return 0;
}

int record_open(struct span bytes, struct record *out, struct err *err)
{
    const char *base = bytes.base;
    if (bytes.len < RECORD_HEADER_BYTES || memcmp(base, RECORD_MAGIC, RECORD_MAGIC_BYTES) != 0) {
        return malformed(err, "this is none");
    }
    if (u32_at(base + RECORD_AT_VERSION) != RECORD_VERSION || u32_at(base + RECORD_AT_FLAGS) != 0) {
        return malformed(err, "an unknown version");
    }
    if (u32_at(base + RECORD_AT_SIZE) != bytes.len) {
        return malformed(err, "its size is not what it says");
    }
    *out = (struct record){
        .bytes = bytes,
        .sum = {base + RECORD_AT_SUM, RECORD_SUM_BYTES},
        .memory_bytes = u32_at(base + RECORD_AT_MEMORY),
        .memory_align_log2 = u32_at(base + RECORD_AT_MEMORY + 4),
        .table_entries = u32_at(base + RECORD_AT_TABLE),
        .table_align_log2 = u32_at(base + RECORD_AT_TABLE + 4),
        .needed_count = u32_at(base + RECORD_AT_COUNTS),
        .runpath_count = u32_at(base + RECORD_AT_COUNTS + 4),
        .weak_count = u32_at(base + RECORD_AT_COUNTS + 8),
        .symbol_count = u32_at(base + RECORD_AT_COUNTS + 12),
    };
    return check_needs(out, err) != 0 ? -1 : find_parts(out, err);
}

/* The text that an entry points to: u32 offset, u32 length. */
static bool text_of(const struct record *record, const char *entry, struct span *text)
{
    uint32_t at = u32_at(entry);
    uint32_t len = u32_at(entry + 4);
    if (at > record->texts.len || len > record->texts.len - at) {
        *text = (struct span){NULL, 0};
        return false;
    }
    *text = (struct span){record->texts.base + at, len};
    return true;
}

static struct span text_at(const struct record *record, uint64_t index)
{
    struct span text;
    text_of(record, record->entries + index * RECORD_TEXT_BYTES, &text);
    return text;
}

struct span record_needed(const struct record *record, uint32_t index)
{
    return index < record->needed_count ? text_at(record, index) : (struct span){NULL, 0};
}

struct span record_runpath(const struct record *record, uint32_t index)
{
    uint64_t first = record->needed_count;
    return index < record->runpath_count ? text_at(record, first + index) : (struct span){NULL, 0};
}

/* Finds a name in sorted entries of `size` bytes each, which begin with their text's place; NULL
 * when it is not there. An unsorted record ends the search as well. */
static const char *find_entry(const struct record *record, const char *entries, uint32_t count,
                              size_t size, struct span name)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *entry = entries + (size_t)middle * size;
        struct span text;
        if (!text_of(record, entry, &text)) {
            return NULL;
        }
        int order = names_compare(name, text);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

bool record_is_weak(const struct record *record, struct span name)
{
    uint64_t first = (uint64_t)record->needed_count + record->runpath_count;
    const char *entries = record->entries + first * RECORD_TEXT_BYTES;
    return find_entry(record, entries, record->weak_count, RECORD_TEXT_BYTES, name) != NULL;
}

static const char *symbols_of(const struct record *record)
{
    uint64_t first = (uint64_t)record->needed_count + record->runpath_count + record->weak_count;
    return record->entries + first * RECORD_TEXT_BYTES;
}

/* False when the symbol has no name inside, an unknown kind or a place outside of the table. */
static bool read_symbol(const struct record *record, const char *entry, struct record_symbol *out)
{
    uint32_t kind = u32_at(entry + 8);
    uint32_t value = u32_at(entry + 12);
    if (!text_of(record, entry, &out->name) || kind > RECORD_DATA ||
        (kind == RECORD_FUNCTION && value >= record->table_entries)) {
        return false;
    }
    out->kind = (enum record_symbol_kind)kind;
    out->value = value;
    return true;
}

bool record_find(const struct record *record, struct span name, struct record_symbol *out)
{
    const char *entry =
        find_entry(record, symbols_of(record), record->symbol_count, RECORD_SYMBOL_BYTES, name);
    return entry != NULL && read_symbol(record, entry, out);
}

bool record_symbol_at(const struct record *record, uint32_t index, struct record_symbol *out)
{
    return index < record->symbol_count &&
           read_symbol(record, symbols_of(record) + (size_t)index * RECORD_SYMBOL_BYTES, out);
}
