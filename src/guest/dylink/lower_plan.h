/*
 * The first of the lowering's two passes over a function: what each `try` is and who rethrows what.
 * All of it is needed at the `try`, where the second pass writes the handlers' blocks, and known
 * only behind it.
 */
#ifndef GUEST_DYLINK_LOWER_PLAN_H
#define GUEST_DYLINK_LOWER_PLAN_H

#include "base/buf.h"
#include "guest/dylink/wasm_code.h"

/* No try: the caller of the function. No catch. No tag: catch_all. */
#define LOWER_NONE UINT32_MAX

enum lower_try_kind {
    LOWER_TRY_BLOCK,   /* it changes nothing for an exception: a plain block */
    LOWER_TRY_CATCH,   /* it has handlers */
    LOWER_TRY_FORWARD, /* it sends all exceptions past the handlers around it */
};

struct lower_try {
    enum lower_try_kind kind;
    uint32_t handler;     /* the try whose handlers see what this one lets pass, or LOWER_NONE */
    uint32_t target;      /* LOWER_TRY_FORWARD: the try that gets the exceptions, or LOWER_NONE */
    uint32_t first_catch; /* its handlers in order, or LOWER_NONE */
    uint32_t last_catch;
    bool delegated;   /* others forward to it: its body ends with a place where these land */
    uint32_t landing; /* for the second pass: how many labels are outside of that place */
};

struct lower_catch {
    uint32_t tag;      /* or LOWER_NONE for catch_all */
    uint32_t previous; /* of the same try, or LOWER_NONE */
    uint32_t next;
    uint32_t outer; /* the handler whose code this one is in, or LOWER_NONE */
    uint32_t slot;  /* which of the function's new locals holds the exception, if rethrown */
    bool rethrown;
};

struct lower_plan {
    struct buf tries;      /* of struct lower_try, in the order of their starts */
    struct buf catches;    /* of struct lower_catch, the same */
    struct buf frames;     /* the blocks that are open while planning */
    uint32_t slots;        /* how many new locals the function needs */
    bool caller_delegated; /* some try forwards to the caller */
};

void lower_plan_init(struct lower_plan *plan);
void lower_plan_free(struct lower_plan *plan);

/* Plans one function anew. `code` holds its instructions from the first to the last `end`; on an
 * error it has the problem. It checks that blocks are well nested, which the second pass relies on.
 */
void lower_plan_make(struct lower_plan *plan, struct wasm_reader *code);

struct lower_try *lower_plan_try(const struct lower_plan *plan, uint32_t index);
struct lower_catch *lower_plan_catch(const struct lower_plan *plan, uint32_t index);

#endif
