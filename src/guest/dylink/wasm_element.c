#include "guest/dylink/wasm_element.h"

#include "guest/dylink/wasm_code.h"

enum {
    ELEMENT_NOT_ACTIVE = 0x01,
    ELEMENT_EXPLICIT = 0x02, /* with ELEMENT_NOT_ACTIVE: declarative; else: names its table */
    ELEMENT_EXPRESSIONS = 0x04,
    ELEMENT_FLAGS_MAX = 0x07,
};

struct wasm_element wasm_element_open(struct wasm_reader *reader)
{
    size_t start = reader->at;
    uint32_t flags = wasm_u32(reader);
    if (flags > ELEMENT_FLAGS_MAX) {
        wasm_fail(reader, ERR_FORMAT, start, "an unknown kind of element segment");
    }
    struct wasm_element element = {
        .is_active = (flags & ELEMENT_NOT_ACTIVE) == 0,
        .has_expressions = (flags & ELEMENT_EXPRESSIONS) != 0,
    };
    if (element.is_active) {
        element.table = (flags & ELEMENT_EXPLICIT) != 0 ? wasm_u32(reader) : 0;
        element.offset = wasm_expression(reader);
    }
    if ((flags & (ELEMENT_NOT_ACTIVE | ELEMENT_EXPLICIT)) != 0) {
        if (element.has_expressions) {
            wasm_skip_value_type(reader, false);
        } else {
            wasm_byte(reader); /* functions, the only kind there is */
        }
    }
    element.count = wasm_u32(reader);
    return element;
}
