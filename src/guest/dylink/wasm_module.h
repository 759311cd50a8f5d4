/*
 * What rewriting must know of a module outside of its code: the parameters of each type, the
 * types of functions and tags, and where the type and code sections lie. Borrows the module.
 */
#ifndef GUEST_DYLINK_WASM_MODULE_H
#define GUEST_DYLINK_WASM_MODULE_H

#include "base/buf.h"
#include "guest/dylink/wasm_reader.h"

enum wasm_section_id {
    WASM_SECTION_CUSTOM = 0,
    WASM_SECTION_TYPE = 1,
    WASM_SECTION_IMPORT = 2,
    WASM_SECTION_FUNCTION = 3,
    WASM_SECTION_TABLE = 4,
    WASM_SECTION_GLOBAL = 6,
    WASM_SECTION_EXPORT = 7,
    WASM_SECTION_START = 8,
    WASM_SECTION_ELEMENT = 9,
    WASM_SECTION_CODE = 10,
    WASM_SECTION_DATA = 11,
    WASM_SECTION_DATA_COUNT = 12,
    WASM_SECTION_TAG = 13,
};

enum { WASM_HEADER_BYTES = 8 };

struct wasm_section {
    uint8_t id;
    size_t start;            /* of the id */
    struct wasm_reader body; /* after the size */
};

/* The next section; false at the end of the module or when it is malformed. `module` must stand
 * at the start of a section, at first right behind the header. */
bool wasm_next_section(struct wasm_reader *module, struct wasm_section *section);

/* One type of the type section, counted as indices count: rec groups are opened. */
struct wasm_type {
    size_t params_at; /* the bytes of the parameters' types */
    uint32_t params_len;
    uint32_t params_count;
    uint32_t signature_len; /* parameters and results with their counts, from here: */
    size_t signature_at;
    bool is_function;
    bool is_plain; /* a function type alone, in no rec group, without supertypes */
};

struct wasm_module {
    struct span bytes;             /* borrowed */
    struct buf types;              /* of struct wasm_type */
    struct buf functions;          /* of uint32_t: the type of each function that has a body */
    struct buf tags;               /* of uint32_t: the type of each tag, imported ones first */
    uint32_t type_entries;         /* the type section's own count, in which a rec group is one */
    struct wasm_reader types_rest; /* the type section after that count */
    struct wasm_reader code;       /* the code section's body; empty when there is none */
};

/* Reads everything but the code. Free with wasm_module_free also after an error. */
int wasm_module_read(struct wasm_module *module, struct span bytes, struct err *err);
void wasm_module_free(struct wasm_module *module);

/* The type with this index, or NULL when there is none or it is no function type. */
const struct wasm_type *wasm_function_type(const struct wasm_module *module, uint32_t index);

/* Looks an index up in `functions` or `tags`: 0 and the type's index, or -1. */
int wasm_type_of(const struct buf *indices, uint32_t which, uint32_t *type);

/* Appends a record to an array that is kept in a buffer. Fails the reader with ERR_LIMIT and `what`
 * past the buffer's maximum, with ERR_MEMORY when there is none left. */
void wasm_push(struct wasm_reader *reader, struct buf *array, const void *record, size_t size,
               const char *what);

#endif
