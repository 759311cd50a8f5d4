/*
 * Writes link records (record.h). Runs in `vitrine-precompile`.
 *
 * A draft collects what a record is to say; record_write sorts it and writes the bytes.
 */
#ifndef GUEST_DYLINK_RECORD_WRITE_H
#define GUEST_DYLINK_RECORD_WRITE_H

#include "guest/dylink/record.h"

struct record_draft {
    struct span sum; /* RECORD_SUM_BYTES, borrowed; empty: all zero, for the core */
    uint32_t memory_bytes;
    uint32_t memory_align_log2;
    uint32_t table_entries;
    uint32_t table_align_log2;
    struct buf needed;   /* of struct span, borrowed texts; so are the next two */
    struct buf runpaths; /* in the order of the search */
    struct buf weak;     /* in any order */
    struct buf symbols;  /* of struct record_symbol, in any order */
};

void record_draft_init(struct record_draft *draft);
void record_draft_free(struct record_draft *draft);

/* Add one text to `needed`, `runpaths` or `weak`, or one symbol; the name is borrowed. -1:
 * ERR_LIMIT. */
int record_draft_text(struct buf *list, struct span text, struct err *err);
int record_draft_symbol(struct record_draft *draft, struct record_symbol symbol, struct err *err);

/* Sorts the draft's weak imports and symbols and appends the record to `out`. -1: ERR_FORMAT when
 * two symbols have one name, ERR_LIMIT when there is no room; `out` is then as it was. */
int record_write(struct record_draft *draft, struct buf *out, struct err *err);

#endif
