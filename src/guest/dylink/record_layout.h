/* Where things stand in a link record (record.h), for its reader and its writer alone. */
#ifndef GUEST_DYLINK_RECORD_LAYOUT_H
#define GUEST_DYLINK_RECORD_LAYOUT_H

#define RECORD_MAGIC "VITRLNK" /* and its NUL */

enum {
    RECORD_MAGIC_BYTES = 8,
    RECORD_AT_VERSION = 8,
    RECORD_AT_SIZE = 12,
    RECORD_AT_SUM = 16,
    RECORD_AT_FLAGS = 48,
    RECORD_AT_MEMORY = 52, /* bytes, alignment */
    RECORD_AT_TABLE = 60,  /* entries, alignment */
    RECORD_AT_COUNTS = 68, /* needed libraries, run paths, weak imports, symbols */
    RECORD_AT_ENTRIES = 84,
    RECORD_AT_TEXTS = 88,
    RECORD_AT_TEXTS_LEN = 92,
    RECORD_TEXT_BYTES = 8,
    RECORD_SYMBOL_BYTES = 16,
};

#endif
