#include "guest/dylink/lower_emit.h"

#include <assert.h>

#include "base/limits.h"

enum {
    TYPE_FUNCTION = 0x60,
    TYPE_EXNREF = 0x69,
    TYPE_EMPTY = 0x40,
    CLAUSE_CATCH = 0,
    CLAUSE_CATCH_ALL = 2,
    CLAUSE_REF = 1, /* added to both: hand over the exception too */
};

/* One block of the original that is open, and where its label is in the new code. */
struct frame {
    uint32_t label; /* how many labels are outside of it */
    uint32_t try;   /* which try it is, or LOWER_NONE */
    uint32_t catch; /* the handler it is in, or LOWER_NONE while in the body */
};

/* One function on its way. */
struct job {
    struct lower_emitter *emitter;
    struct wasm_reader *code; /* also holds what goes wrong */
    size_t copied;            /* the original is written or replaced up to here */
    uint32_t depth;           /* labels that are open in the new code */
    uint32_t tries;           /* how many of the plan's trys were met */
    uint32_t first_slot;      /* the number of the first new local */
    uint32_t caller_landing;  /* where exceptions for the caller land */
};

void lower_emitter_init(struct lower_emitter *emitter, const struct wasm_module *module,
                        size_t bytes_max)
{
    *emitter = (struct lower_emitter){.module = module};
    lower_plan_init(&emitter->plan);
    buf_init(&emitter->new_types, LIMIT_WASM_NEW_TYPES_MAX * sizeof(struct lower_type));
    buf_init(&emitter->frames, LIMIT_WASM_NESTING_MAX * sizeof(struct frame));
    buf_init(&emitter->body, bytes_max);
}

void lower_emitter_free(struct lower_emitter *emitter)
{
    lower_plan_free(&emitter->plan);
    buf_free(&emitter->new_types);
    buf_free(&emitter->frames);
    buf_free(&emitter->body);
}

/* Writing: a failure is noted in the reader, which then ends the loops. */

static void put_bytes(struct job *job, const void *bytes, size_t len)
{
    wasm_push(job->code, &job->emitter->body, bytes, len, "the lowered function is too long");
}

static void put_byte(struct job *job, unsigned byte)
{
    unsigned char one = (unsigned char)byte;
    put_bytes(job, &one, 1);
}

static void put_u32(struct job *job, uint32_t value)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    put_bytes(job, bytes, wasm_encode_u32(bytes, value));
}

/* Copies the original from where copying stopped up to `at`, and goes on at `next`. */
static void copy_until(struct job *job, size_t at, size_t next)
{
    put_bytes(job, job->code->base + job->copied, at - job->copied);
    job->copied = next;
}

/* An index of a type as block types spell it: signed, so that bit 6 of the last byte is free. */
static void put_type_index(struct job *job, uint32_t index)
{
    while (index >= 0x40) {
        put_byte(job, (index & 0x7F) | 0x80);
        index >>= 7;
    }
    put_byte(job, index);
}

static void put_end(struct job *job)
{
    put_byte(job, WASM_END);
    job->depth--;
}

static void put_branch(struct job *job, uint32_t label)
{
    put_byte(job, WASM_BR);
    put_u32(job, job->depth - 1 - label);
}

/* Types of blocks. */

static const struct wasm_type *type_at(const struct lower_emitter *emitter, uint32_t index)
{
    return index == LOWER_NONE ? NULL : wasm_function_type(emitter->module, index);
}

/* The index that a new type will have: the type section ends with the new ones. */
static uint32_t new_type(struct job *job, struct lower_type wanted)
{
    struct buf *types = &job->emitter->new_types;
    const struct lower_type *known = (const struct lower_type *)(void *)types->base;
    uint32_t old_count = (uint32_t)(job->emitter->module->types.len / sizeof(struct wasm_type));
    uint32_t count = (uint32_t)(types->len / sizeof wanted);
    for (uint32_t i = 0; i < count; i++) {
        if (known[i].takes == wanted.takes && known[i].gives == wanted.gives &&
            known[i].exception == wanted.exception) {
            return old_count + i;
        }
    }
    wasm_push(job->code, types, &wanted, sizeof wanted, "it needs too many new types");
    return old_count + count;
}

/* Opens a block of ours. The types that need no entry in the type section are the usual ones. */
static void open_block(struct job *job, struct lower_type type)
{
    const struct wasm_type *takes = type_at(job->emitter, type.takes);
    const struct wasm_type *gives = type_at(job->emitter, type.gives);
    bool takes_some = takes != NULL && takes->params_count > 0;
    uint32_t given = gives == NULL ? 0 : gives->params_count;
    type.takes = takes_some ? type.takes : LOWER_NONE;
    type.gives = given > 0 ? type.gives : LOWER_NONE;
    put_byte(job, WASM_BLOCK);
    if (takes_some || given + (type.exception ? 1 : 0) > 1) {
        put_type_index(job, new_type(job, type));
    } else if (type.exception) {
        put_byte(job, TYPE_EXNREF);
    } else if (given == 1) {
        put_bytes(job, job->code->base + gives->params_at, gives->params_len);
    } else {
        put_byte(job, TYPE_EMPTY);
    }
    job->depth++;
}

static void open_original(struct job *job, unsigned op, const struct wasm_block_type *type)
{
    put_byte(job, op);
    put_bytes(job, job->code->base + type->at, type->len);
    job->depth++;
}

/* Frames of the original. */

static struct frame *frame_at(const struct job *job, uint32_t label)
{
    size_t count = job->emitter->frames.len / sizeof(struct frame);
    if (label >= count) {
        return NULL;
    }
    return (struct frame *)(void *)job->emitter->frames.base + (count - 1 - label);
}

static void push_frame(struct job *job, uint32_t label, uint32_t try)
{
    struct frame frame = {.label = label, .try = try, .catch = LOWER_NONE};
    wasm_push(job->code, &job->emitter->frames, &frame, sizeof frame,
              "blocks are nested too deeply");
}

static void pop_frame(struct job *job)
{
    job->emitter->frames.len -= sizeof(struct frame);
}

/* The constructs. */

/* The tag's type, whose parameters the handler finds on the stack; LOWER_NONE for catch_all. */
static uint32_t tag_type(struct job *job, const struct lower_catch *catch, size_t at)
{
    uint32_t type = LOWER_NONE;
    if (catch->tag != LOWER_NONE &&
        (wasm_type_of(&job->emitter->module->tags, catch->tag, &type) != 0 ||
         wasm_function_type(job->emitter->module, type) == NULL)) {
        wasm_fail(job->code, ERR_FORMAT, at, "a catch of a tag that does not exist");
    }
    return type;
}

/* try_table's clauses: the first handler's block is the innermost. */
static void put_clauses(struct job *job, const struct lower_try *try)
{
    uint32_t count = 0;
    for (uint32_t i = try->first_catch; i != LOWER_NONE;
         i = lower_plan_catch(&job->emitter->plan, i)->next) {
        count++;
    }
    put_u32(job, count);
    uint32_t label = 0;
    for (uint32_t i = try->first_catch; i != LOWER_NONE && wasm_ok(job->code); label++) {
        const struct lower_catch *catch = lower_plan_catch(&job->emitter->plan, i);
        unsigned ref = catch->rethrown ? CLAUSE_REF : 0;
        if (catch->tag == LOWER_NONE) {
            put_byte(job, CLAUSE_CATCH_ALL + ref);
        } else {
            put_byte(job, CLAUSE_CATCH + ref);
            put_u32(job, catch->tag);
        }
        put_u32(job, label);
        i = catch->next;
    }
}

static void open_try_catch(struct job *job, struct lower_try *try, const struct wasm_instr *instr)
{
    uint32_t takes = instr->type.is_index ? instr->type.index : LOWER_NONE;
    open_original(job, WASM_BLOCK, &instr->type);
    for (uint32_t i = try->last_catch; i != LOWER_NONE && wasm_ok(job->code);) {
        const struct lower_catch *catch = lower_plan_catch(&job->emitter->plan, i);
        open_block(job, (struct lower_type){.takes = takes,
                                            .gives = tag_type(job, catch, instr->start),
                                            .exception = catch->rethrown});
        i = catch->previous;
    }
    open_original(job, WASM_TRY_TABLE, &instr->type);
    put_clauses(job, try);
    if (try->delegated) {
        try->landing = job->depth;
        open_block(job, (struct lower_type){takes, LOWER_NONE, true});
    }
}

static void open_try_forward(struct job *job, const struct lower_try *try,
                             const struct wasm_instr *instr)
{
    uint32_t landing = job->caller_landing;
    if (try->target != LOWER_NONE) {
        landing = lower_plan_try(&job->emitter->plan, try->target)->landing;
    }
    /* The clause's label is counted outside of the try_table, as if it were not open yet. */
    uint32_t label = job->depth - 1 - landing;
    open_original(job, WASM_TRY_TABLE, &instr->type);
    put_byte(job, 1);
    put_byte(job, CLAUSE_CATCH_ALL + CLAUSE_REF);
    put_u32(job, label);
}

static void open_try(struct job *job, const struct wasm_instr *instr)
{
    uint32_t index = job->tries++;
    struct lower_try *try = lower_plan_try(&job->emitter->plan, index);
    if (instr->type.is_index &&
        wasm_function_type(job->emitter->module, instr->type.index) == NULL) {
        wasm_fail(job->code, ERR_FORMAT, instr->start, "a try of a type that does not exist");
        return;
    }
    copy_until(job, instr->start, job->code->at);
    push_frame(job, job->depth, index);
    switch (try->kind) {
    case LOWER_TRY_CATCH: open_try_catch(job, try, instr); break;
    case LOWER_TRY_FORWARD: open_try_forward(job, try, instr); break;
    case LOWER_TRY_BLOCK: open_original(job, WASM_BLOCK, &instr->type); break;
    }
}

/* From the end of a body or of a handler to the start of the next handler. */
static void open_catch(struct job *job, const struct wasm_instr *instr)
{
    struct frame *frame = frame_at(job, 0);
    const struct lower_try *try = lower_plan_try(&job->emitter->plan, frame->try);
    copy_until(job, instr->start, job->code->at);
    if (frame->catch == LOWER_NONE) {
        if (try->delegated) {
            put_branch(job, try->landing - 1); /* leaves the try_table */
            put_end(job);
            put_byte(job, WASM_THROW_REF);
        }
        put_end(job);
        frame->catch = try->first_catch;
    } else {
        frame->catch = lower_plan_catch(&job->emitter->plan, frame->catch)->next;
    }
    put_branch(job, frame->label);
    put_end(job);
    const struct lower_catch *catch = lower_plan_catch(&job->emitter->plan, frame->catch);
    if (catch->rethrown) {
        put_byte(job, WASM_LOCAL_SET);
        put_u32(job, job->first_slot + catch->slot);
    }
}

static void put_rethrow(struct job *job, const struct wasm_instr *instr)
{
    const struct frame *frame = frame_at(job, instr->index);
    const struct lower_catch *catch = lower_plan_catch(&job->emitter->plan, frame->catch);
    copy_until(job, instr->start, job->code->at);
    put_byte(job, WASM_LOCAL_GET);
    put_u32(job, job->first_slot + catch->slot);
    put_byte(job, WASM_THROW_REF);
}

/* Writes a label's depth anew if the blocks that came in between have changed it. */
static void move_label(struct job *job, uint32_t label, size_t at, size_t end)
{
    const struct frame *frame = frame_at(job, label);
    if (frame == NULL) {
        wasm_fail(job->code, ERR_FORMAT, at, "a branch to a label that does not exist");
        return;
    }
    uint32_t moved = job->depth - 1 - frame->label;
    if (moved != label) {
        copy_until(job, at, end);
        put_u32(job, moved);
    }
}

static void move_labels(struct job *job, const struct wasm_instr *instr)
{
    struct wasm_reader labels = *job->code;
    labels.at = instr->immediates;
    labels.end = job->code->at;
    wasm_u32(&labels);
    while (!wasm_at_end(&labels) && wasm_ok(job->code)) {
        size_t at = labels.at;
        uint32_t label = wasm_u32(&labels);
        move_label(job, label, at, labels.at);
    }
}

static void open_plain(struct job *job)
{
    push_frame(job, job->depth, LOWER_NONE);
    job->depth++;
}

/* `end` and `delegate`: each closes the one block that is left of a construct. */
static void close_block(struct job *job, const struct wasm_instr *instr)
{
    copy_until(job, instr->start, job->code->at);
    pop_frame(job);
    if (frame_at(job, 0) == NULL && job->emitter->plan.caller_delegated) {
        put_byte(job, WASM_RETURN);
        put_end(job);
        put_byte(job, WASM_THROW_REF);
    }
    put_end(job);
}

static void emit_instr(struct job *job, const struct wasm_instr *instr)
{
    switch (instr->op) {
    case WASM_BLOCK:
    case WASM_LOOP:
    case WASM_IF: open_plain(job); break;
    case WASM_TRY: open_try(job, instr); break;
    case WASM_CATCH:
    case WASM_CATCH_ALL: open_catch(job, instr); break;
    case WASM_RETHROW: put_rethrow(job, instr); break;
    case WASM_DELEGATE:
    case WASM_END: close_block(job, instr); break;
    case WASM_BR:
    case WASM_BR_IF:
    case WASM_BR_ON_NULL:
    case WASM_BR_ON_NON_NULL:
    case WASM_BR_ON_CAST:
    case WASM_BR_ON_CAST_FAIL:
        move_label(job, instr->index, instr->index_at, instr->index_at + instr->index_len);
        break;
    case WASM_BR_TABLE: move_labels(job, instr); break;
    default: break;
    }
}

/* The declared locals, which follow the parameters in the count. */
struct locals {
    uint32_t groups;
    size_t at; /* the groups' bytes */
    size_t end;
    uint32_t count; /* parameters and locals */
};

static struct locals read_locals(struct wasm_reader *code, uint32_t params)
{
    size_t start = code->at;
    struct locals locals = {.groups = wasm_u32(code), .at = code->at};
    uint64_t count = params;
    for (uint32_t i = 0; i < locals.groups && wasm_ok(code); i++) {
        count += wasm_u32(code);
        wasm_skip_value_type(code, false);
        if (count > LIMIT_WASM_LOCALS_MAX) {
            wasm_fail(code, ERR_LIMIT, start, "a function with too many locals");
        }
    }
    locals.end = code->at;
    locals.count = (uint32_t)count;
    return locals;
}

/* Copies the locals and adds ours, which come last. */
static void emit_locals(struct job *job, const struct locals *locals)
{
    uint32_t slots = job->emitter->plan.slots;
    job->first_slot = locals->count;
    job->copied = locals->at;
    put_u32(job, locals->groups + (slots > 0 ? 1 : 0));
    copy_until(job, locals->end, locals->end);
    if (slots > 0) {
        put_u32(job, slots);
        put_byte(job, TYPE_EXNREF);
    }
}

static void emit_body(struct job *job)
{
    push_frame(job, 0, LOWER_NONE);
    job->depth = 1;
    if (job->emitter->plan.caller_delegated) {
        job->caller_landing = job->depth;
        open_block(job, (struct lower_type){LOWER_NONE, LOWER_NONE, true});
    }
    struct wasm_instr instr;
    while (wasm_next_instr(job->code, &instr)) {
        emit_instr(job, &instr);
    }
}

void lower_emit_function(struct lower_emitter *emitter, struct wasm_reader *entry, uint32_t type,
                         struct buf *code)
{
    const struct wasm_type *own = wasm_function_type(emitter->module, type);
    if (own == NULL) {
        wasm_fail(entry, ERR_FORMAT, entry->at, "a function of a type that does not exist");
        return;
    }
    struct locals locals = read_locals(entry, own->params_count);
    struct wasm_reader again = *entry;
    lower_plan_make(&emitter->plan, entry);
    if (!wasm_ok(entry)) {
        return;
    }
    struct job job = {.emitter = emitter, .code = entry};
    *entry = again;
    buf_clear(&emitter->body);
    buf_clear(&emitter->frames);
    emit_locals(&job, &locals);
    emit_body(&job);
    if (!wasm_ok(entry)) {
        return;
    }
    assert(emitter->frames.len == 0 && job.depth == 0);
    unsigned char size[WASM_U32_BYTES_MAX];
    size_t size_len = wasm_encode_u32(size, (uint32_t)emitter->body.len);
    wasm_push(entry, code, size, size_len, "the lowered module is too long");
    wasm_push(entry, code, emitter->body.base, emitter->body.len, "the lowered module is too long");
}

static int append_params(const struct lower_emitter *emitter, uint32_t index, bool exception,
                         struct buf *out)
{
    const struct wasm_type *type = type_at(emitter, index);
    uint32_t count = type == NULL ? 0 : type->params_count;
    unsigned char bytes[WASM_U32_BYTES_MAX];
    size_t len = wasm_encode_u32(bytes, count + (exception ? 1 : 0));
    if (buf_append(out, bytes, len) != 0) {
        return -1;
    }
    if (type != NULL &&
        buf_append(out, emitter->module->bytes.base + type->params_at, type->params_len) != 0) {
        return -1;
    }
    return exception ? buf_append_char(out, TYPE_EXNREF) : 0;
}

int lower_emit_types(const struct lower_emitter *emitter, struct buf *out)
{
    const struct lower_type *types = (const struct lower_type *)(void *)emitter->new_types.base;
    for (size_t i = 0; i < emitter->new_types.len / sizeof *types; i++) {
        if (buf_append_char(out, TYPE_FUNCTION) != 0 ||
            append_params(emitter, types[i].takes, false, out) != 0 ||
            append_params(emitter, types[i].gives, types[i].exception, out) != 0) {
            return -1;
        }
    }
    return 0;
}
