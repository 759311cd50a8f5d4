/*
 * The second of the lowering's two passes over a function: writes it anew as planned. Also keeps
 * the function types that the new blocks need and the module does not have.
 */
#ifndef GUEST_DYLINK_LOWER_EMIT_H
#define GUEST_DYLINK_LOWER_EMIT_H

#include "base/buf.h"
#include "guest/dylink/lower_plan.h"
#include "guest/dylink/wasm_module.h"

/* What a block of ours takes and gives: it takes the parameters of a type, and gives those of
 * another and an exception. */
struct lower_type {
    uint32_t takes; /* index of a function type, or LOWER_NONE */
    uint32_t gives; /* the same */
    bool exception;
};

struct lower_emitter {
    const struct wasm_module *module; /* borrowed */
    struct lower_plan plan;
    struct buf new_types; /* of struct lower_type: what is to be appended to the type section */
    struct buf frames;    /* the original's blocks that are open */
    struct buf body;      /* the function being written */
};

/* `bytes_max` bounds a function's new body. */
void lower_emitter_init(struct lower_emitter *emitter, const struct wasm_module *module,
                        size_t bytes_max);
void lower_emitter_free(struct lower_emitter *emitter);

/* Appends one entry of the code section, with its size in front: the function whose body `entry`
 * reads (from the locals to the last `end`) and whose type has the index `type`. On an error
 * `entry` has the problem. */
void lower_emit_function(struct lower_emitter *emitter, struct wasm_reader *entry, uint32_t type,
                         struct buf *code);

/* Appends the new types as entries of a type section; 0, or -1 when `out` is full. */
int lower_emit_types(const struct lower_emitter *emitter, struct buf *out);

#endif
