/*
 * Link records: what linking needs to know of a precompiled module, so that nothing is searched for
 * in the module itself. Written by `vitrine-precompile` (prepare.h), read in place by the loader.
 *
 * Every function that a module exports has a place in its table, given to it when it was prepared;
 * so a symbol is a name and a number, for functions and data alike, and linking is arithmetic:
 * address = base + value. The core has such a record too, with bases of 0.
 *
 * In an environment's image a side module's record stands in the place of its `.so` file; the guest
 * may write files like it, so a record is checked like any outside bytes, and names only modules
 * that the host has mapped, by their sums.
 *
 * Layout, all integers little-endian, offsets from the start of the record:
 *   header (RECORD_HEADER_BYTES): magic "VITRLNK" and NUL, u32 version, u32 size of the whole,
 *     32 bytes SHA-256 of the WebAssembly module as the wheel had it, u32 flags (none yet: 0),
 *     u32 memory bytes, u32 memory alignment (log2), u32 table entries, u32 table alignment (log2),
 *     u32 count of needed libraries, u32 count of run paths, u32 count of weak imports,
 *     u32 count of symbols, u32 offset of the entries, u32 offset and u32 size of the texts;
 *   entries: needed libraries, run paths, weak imports (sorted): u32 offset, u32 length (in the
 *     texts) each; then symbols, sorted by name (as memcmp, a prefix first), no two alike: u32
 *     offset, u32 length, u32 kind, u32 value each;
 *   texts.
 */
#ifndef GUEST_DYLINK_RECORD_H
#define GUEST_DYLINK_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    RECORD_VERSION = 1,
    RECORD_HEADER_BYTES = 96,
    RECORD_SUM_BYTES = 32,
    RECORD_ALIGN_LOG2_MAX = 16,
};

enum record_symbol_kind {
    RECORD_FUNCTION = 0, /* value: place in the module's part of the table */
    RECORD_DATA = 1,     /* value: offset from the module's memory base */
};

struct record {
    struct span bytes; /* borrowed */
    struct span sum;   /* RECORD_SUM_BYTES */
    uint32_t memory_bytes;
    uint32_t memory_align_log2; /* at most 16 */
    uint32_t table_entries;
    uint32_t table_align_log2; /* at most 16 */
    uint32_t needed_count;
    uint32_t runpath_count;
    uint32_t weak_count;
    uint32_t symbol_count;
    const char *entries;
    struct span texts;
};

struct record_symbol {
    struct span name;
    enum record_symbol_kind kind;
    uint32_t value;
};

/* Checks the header (what it asks for too, by limits.h) and that all entries lie inside; the rest
 * is checked as it is read. The bytes are borrowed. -1: ERR_FORMAT. */
int record_open(struct span bytes, struct record *out, struct err *err);

/* Texts by number; empty when the number or the text is out of range. */
struct span record_needed(const struct record *record, uint32_t index);
struct span record_runpath(const struct record *record, uint32_t index);

bool record_is_weak(const struct record *record, struct span name);

/* Finds a symbol by name; false when there is none. A function's place is below table_entries; the
 * core's table_entries are its whole table, and its memory_bytes are 0. */
bool record_find(const struct record *record, struct span name, struct record_symbol *out);

/* The symbol with this number, below symbol_count; false when it is malformed. */
bool record_symbol_at(const struct record *record, uint32_t index, struct record_symbol *out);

#endif
