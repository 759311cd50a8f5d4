/* Element segments, of which the specification has eight forms (core specification 3.0, 5.5.12). */
#ifndef GUEST_DYLINK_WASM_ELEMENT_H
#define GUEST_DYLINK_WASM_ELEMENT_H

#include "guest/dylink/wasm_reader.h"

struct wasm_element {
    bool is_active; /* it fills a table from the start */
    bool has_expressions;
    uint32_t table;
    struct wasm_reader offset; /* of an active one: the expression, with its end */
    uint32_t count;            /* of items, which `reader` then stands at */
};

/* Reads a segment up to its items, each of which is an index or an expression. */
struct wasm_element wasm_element_open(struct wasm_reader *reader);

#endif
