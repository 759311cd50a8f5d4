#include "guest/dylink/lower_plan.h"

#include <assert.h>

#include "base/limits.h"
#include "guest/dylink/wasm_module.h"

enum frame_kind {
    FRAME_FUNCTION,
    FRAME_BLOCK,
    FRAME_IF,
    FRAME_TRY,       /* in the body */
    FRAME_CATCH,     /* in a handler */
    FRAME_CATCH_ALL, /* in the last handler */
};

struct frame {
    enum frame_kind kind;
    uint32_t try;      /* of FRAME_TRY, FRAME_CATCH and FRAME_CATCH_ALL */
    uint32_t handler;  /* the try whose handlers see exceptions thrown here, or LOWER_NONE */
    uint32_t in_catch; /* the innermost handler whose code this is, or LOWER_NONE */
};

void lower_plan_init(struct lower_plan *plan)
{
    *plan = (struct lower_plan){0};
    buf_init(&plan->tries, LIMIT_WASM_TRIES_MAX * sizeof(struct lower_try));
    buf_init(&plan->catches, LIMIT_WASM_TRIES_MAX * sizeof(struct lower_catch));
    buf_init(&plan->frames, LIMIT_WASM_NESTING_MAX * sizeof(struct frame));
}

void lower_plan_free(struct lower_plan *plan)
{
    buf_free(&plan->tries);
    buf_free(&plan->catches);
    buf_free(&plan->frames);
}

struct lower_try *lower_plan_try(const struct lower_plan *plan, uint32_t index)
{
    assert(index < plan->tries.len / sizeof(struct lower_try));
    return (struct lower_try *)(void *)plan->tries.base + index;
}

struct lower_catch *lower_plan_catch(const struct lower_plan *plan, uint32_t index)
{
    assert(index < plan->catches.len / sizeof(struct lower_catch));
    return (struct lower_catch *)(void *)plan->catches.base + index;
}

static size_t frame_count(const struct lower_plan *plan)
{
    return plan->frames.len / sizeof(struct frame);
}

/* The frame that a label names: 0 is the innermost. NULL when there is none. */
static struct frame *frame_at(const struct lower_plan *plan, uint32_t label)
{
    size_t count = frame_count(plan);
    if (label >= count) {
        return NULL;
    }
    return (struct frame *)(void *)plan->frames.base + (count - 1 - label);
}

static void push_frame(struct lower_plan *plan, struct wasm_reader *code, struct frame frame)
{
    wasm_push(code, &plan->frames, &frame, sizeof frame, "blocks are nested too deeply");
}

static void pop_frame(struct lower_plan *plan)
{
    plan->frames.len -= sizeof(struct frame);
}

static void open_block(struct lower_plan *plan, struct wasm_reader *code, enum frame_kind kind)
{
    struct frame frame = *frame_at(plan, 0);
    frame.kind = kind;
    push_frame(plan, code, frame);
}

static void open_try(struct lower_plan *plan, struct wasm_reader *code)
{
    const struct frame *around = frame_at(plan, 0);
    struct lower_try opened = {.kind = LOWER_TRY_BLOCK,
                               .handler = around->handler,
                               .target = LOWER_NONE,
                               .first_catch = LOWER_NONE,
                               .last_catch = LOWER_NONE};
    uint32_t index = (uint32_t)(plan->tries.len / sizeof opened);
    struct frame frame = {
        .kind = FRAME_TRY, .try = index, .handler = index, .in_catch = around->in_catch};
    wasm_push(code, &plan->tries, &opened, sizeof opened, "a function with too many try blocks");
    push_frame(plan, code, frame);
}

static void open_catch(struct lower_plan *plan, struct wasm_reader *code, size_t at, uint32_t tag)
{
    struct frame *frame = frame_at(plan, 0);
    if (frame->kind != FRAME_TRY && frame->kind != FRAME_CATCH) {
        wasm_fail(code, ERR_FORMAT, at, "a catch that belongs to no try");
        return;
    }
    struct lower_try *owner = lower_plan_try(plan, frame->try);
    uint32_t outer = frame->kind == FRAME_TRY ? frame->in_catch
                                              : lower_plan_catch(plan, owner->last_catch)->outer;
    struct lower_catch opened = {
        .tag = tag, .previous = owner->last_catch, .next = LOWER_NONE, .outer = outer};
    uint32_t index = (uint32_t)(plan->catches.len / sizeof opened);
    wasm_push(code, &plan->catches, &opened, sizeof opened, "a function with too many catches");
    if (!wasm_ok(code)) {
        return;
    }
    if (owner->last_catch == LOWER_NONE) {
        owner->first_catch = index;
    } else {
        lower_plan_catch(plan, owner->last_catch)->next = index;
    }
    owner->last_catch = index;
    owner->kind = LOWER_TRY_CATCH;
    frame->kind = tag == LOWER_NONE ? FRAME_CATCH_ALL : FRAME_CATCH;
    frame->handler = owner->handler;
    frame->in_catch = index;
}

static void close_delegate(struct lower_plan *plan, struct wasm_reader *code,
                           const struct wasm_instr *instr)
{
    const struct frame *frame = frame_at(plan, 0);
    if (frame->kind != FRAME_TRY) {
        wasm_fail(code, ERR_FORMAT, instr->start, "a delegate that belongs to no try");
        return;
    }
    struct lower_try *closed = lower_plan_try(plan, frame->try);
    pop_frame(plan);
    /* A label that names no try's body stands for the first try's body around it. */
    const struct frame *target = frame_at(plan, instr->index);
    if (target == NULL) {
        wasm_fail(code, ERR_FORMAT, instr->start, "a delegate to a label that does not exist");
        return;
    }
    closed->kind = LOWER_TRY_FORWARD;
    closed->target = target->handler;
}

static void mark_rethrow(struct lower_plan *plan, struct wasm_reader *code,
                         const struct wasm_instr *instr)
{
    const struct frame *frame = frame_at(plan, instr->index);
    if (frame == NULL || (frame->kind != FRAME_CATCH && frame->kind != FRAME_CATCH_ALL)) {
        wasm_fail(code, ERR_FORMAT, instr->start, "a rethrow whose label names no catch");
        return;
    }
    lower_plan_catch(plan, frame->in_catch)->rethrown = true;
}

static void turn_else(struct lower_plan *plan, struct wasm_reader *code, size_t at)
{
    struct frame *frame = frame_at(plan, 0);
    if (frame->kind != FRAME_IF) {
        wasm_fail(code, ERR_FORMAT, at, "an else that belongs to no if");
        return;
    }
    frame->kind = FRAME_BLOCK;
}

static void plan_instr(struct lower_plan *plan, struct wasm_reader *code,
                       const struct wasm_instr *instr)
{
    switch (instr->op) {
    case WASM_BLOCK:
    case WASM_LOOP: open_block(plan, code, FRAME_BLOCK); break;
    case WASM_IF: open_block(plan, code, FRAME_IF); break;
    case WASM_ELSE: turn_else(plan, code, instr->start); break;
    case WASM_TRY: open_try(plan, code); break;
    case WASM_CATCH: open_catch(plan, code, instr->start, instr->index); break;
    case WASM_CATCH_ALL: open_catch(plan, code, instr->start, LOWER_NONE); break;
    case WASM_DELEGATE: close_delegate(plan, code, instr); break;
    case WASM_RETHROW: mark_rethrow(plan, code, instr); break;
    case WASM_TRY_TABLE:
        wasm_fail(code, ERR_FORMAT, instr->start,
                  "a function that mixes the legacy and the standard exceptions");
        break;
    case WASM_END: pop_frame(plan); break;
    default: break;
    }
}

/* Whom an exception meets that a try lets pass or forwards: a try with handlers, or the caller.
 * Trys are settled in the order of their starts, so those further out are settled already. */
static uint32_t settled(const struct lower_plan *plan, uint32_t index)
{
    if (index == LOWER_NONE) {
        return LOWER_NONE;
    }
    const struct lower_try *try = lower_plan_try(plan, index);
    return try->kind == LOWER_TRY_CATCH ? index : try->target;
}

static void settle_tries(struct lower_plan *plan)
{
    for (uint32_t i = 0; i < plan->tries.len / sizeof(struct lower_try); i++) {
        struct lower_try *try = lower_plan_try(plan, i);
        uint32_t around = settled(plan, try->handler);
        if (try->kind == LOWER_TRY_CATCH) {
            continue;
        }
        try->target = try->kind == LOWER_TRY_FORWARD ? settled(plan, try->target) : around;
        if (try->target == around) {
            try->kind = LOWER_TRY_BLOCK;
        } else if (try->target == LOWER_NONE) {
            plan->caller_delegated = true;
        } else {
            lower_plan_try(plan, try->target)->delegated = true;
        }
    }
}

/* Handlers inside of one another keep their exceptions apart; others may share a local. */
static void settle_slots(struct lower_plan *plan)
{
    for (uint32_t i = 0; i < plan->catches.len / sizeof(struct lower_catch); i++) {
        struct lower_catch *catch = lower_plan_catch(plan, i);
        if (catch->outer != LOWER_NONE) {
            const struct lower_catch *outer = lower_plan_catch(plan, catch->outer);
            catch->slot = outer->slot + (outer->rethrown ? 1 : 0);
        }
        if (catch->rethrown && catch->slot >= plan->slots) {
            plan->slots = catch->slot + 1;
        }
    }
}

void lower_plan_make(struct lower_plan *plan, struct wasm_reader *code)
{
    buf_clear(&plan->tries);
    buf_clear(&plan->catches);
    buf_clear(&plan->frames);
    plan->slots = 0;
    plan->caller_delegated = false;
    push_frame(plan, code,
               (struct frame){.kind = FRAME_FUNCTION,
                              .try = LOWER_NONE,
                              .handler = LOWER_NONE,
                              .in_catch = LOWER_NONE});
    struct wasm_instr instr;
    while (frame_count(plan) > 0 && wasm_next_instr(code, &instr)) {
        plan_instr(plan, code, &instr);
    }
    if (!wasm_ok(code)) {
        return;
    }
    if (frame_count(plan) > 0 || !wasm_at_end(code)) {
        wasm_fail(code, ERR_FORMAT, code->at,
                  "the last end of a function is not where it should be");
        return;
    }
    settle_tries(plan);
    settle_slots(plan);
}
