#include <stdlib.h>
#include <string.h>

#include "guest/abi/abi.h"
#include "guest/abi/ffi.h"
#include "guest/abi/ffi_type.h"
#include "guest/state.h"
#include "wire/wire.h"

enum { NONE = UINT32_MAX };

/* A host function of some type, which a callback has while it exists. */
struct ffi_function {
    struct guest *guest;
    struct engine_extern function;
    uint32_t type;
    uint32_t next; /* the next one of the type that no callback has */
    uint32_t closure_at;
};

struct ffi_signature {
    char *text; /* owned */
    uint32_t first_free;
};

/* A table entry of ours. */
struct ffi_slot {
    uint32_t table_index;
    uint32_t function; /* or NONE */
    bool used;
};

struct ffi {
    struct buf functions; /* of struct ffi_function *, owned: the engine holds their addresses */
    struct buf types;     /* of struct ffi_signature */
    struct buf slots;     /* of struct ffi_slot, by ascending table index */
    struct buf free;      /* of uint32_t: slots that are not used */
};

static struct ffi *ffi_of(struct guest *guest)
{
    if (guest->ffi == NULL && (guest->ffi = calloc(1, sizeof *guest->ffi)) != NULL) {
        buf_init(&guest->ffi->functions, LIMIT_CLOSURES_MAX * sizeof(struct ffi_function *));
        buf_init(&guest->ffi->types, LIMIT_CLOSURE_TYPES_MAX * sizeof(struct ffi_signature));
        buf_init(&guest->ffi->slots, LIMIT_CLOSURES_MAX * sizeof(struct ffi_slot));
        buf_init(&guest->ffi->free, LIMIT_CLOSURES_MAX * sizeof(uint32_t));
    }
    return guest->ffi;
}

static struct ffi_function *function_at(const struct ffi *ffi, uint32_t index)
{
    return ((struct ffi_function **)(void *)ffi->functions.base)[index];
}

static struct ffi_signature *type_at(const struct ffi *ffi, uint32_t index)
{
    return &((struct ffi_signature *)(void *)ffi->types.base)[index];
}

static struct ffi_slot *slot_at(const struct ffi *ffi, uint32_t index)
{
    return &((struct ffi_slot *)(void *)ffi->slots.base)[index];
}

void ffi_free(struct ffi *ffi)
{
    if (ffi == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ffi->functions.len / sizeof(struct ffi_function *); i++) {
        free(function_at(ffi, i));
    }
    for (uint32_t i = 0; i < ffi->types.len / sizeof(struct ffi_signature); i++) {
        free(type_at(ffi, i)->text);
    }
    buf_free(&ffi->functions);
    buf_free(&ffi->types);
    buf_free(&ffi->slots);
    buf_free(&ffi->free);
    free(ffi);
}

/* The slot of a table entry; NULL when it is none of ours, or not used. */
static struct ffi_slot *slot_find(const struct ffi *ffi, uint32_t table_index, uint32_t *number)
{
    const uint32_t count = (uint32_t)(ffi->slots.len / sizeof(struct ffi_slot));
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slot_at(ffi, middle)->table_index < table_index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == count || slot_at(ffi, low)->table_index != table_index || !slot_at(ffi, low)->used) {
        return NULL;
    }
    *number = low;
    return slot_at(ffi, low);
}

/* A slot for a new callback; NULL when there are too many. */
static struct ffi_slot *slot_take(struct guest *guest, struct ffi *ffi)
{
    struct err err;
    uint32_t number;
    if (ffi->free.len > 0) {
        ffi->free.len -= sizeof number;
        memcpy(&number, ffi->free.base + ffi->free.len, sizeof number);
        slot_at(ffi, number)->used = true;
        return slot_at(ffi, number);
    }
    struct ffi_slot slot = {.function = NONE, .used = true};
    number = (uint32_t)(ffi->slots.len / sizeof slot);
    if (buf_reserve(&ffi->slots, sizeof slot) != 0 ||
        engine_table_grow(guest->store, &guest->table, 1, &slot.table_index, &err) != 0 ||
        buf_append(&ffi->slots, &slot, sizeof slot) != 0) {
        return NULL;
    }
    return slot_at(ffi, number);
}

static void slot_disarm(struct guest *guest, struct ffi *ffi, struct ffi_slot *slot)
{
    struct err err;
    if (slot->function != NONE) {
        struct ffi_function *function = function_at(ffi, slot->function);
        struct ffi_signature *type = type_at(ffi, function->type);
        function->next = type->first_free;
        type->first_free = slot->function;
        slot->function = NONE;
        (void)engine_table_set(guest->store, &guest->table, slot->table_index, NULL, &err);
    }
}

static int type_find(struct ffi *ffi, const char *signature, uint32_t *out)
{
    const uint32_t count = (uint32_t)(ffi->types.len / sizeof(struct ffi_signature));
    for (*out = 0; *out < count; (*out)++) {
        if (strcmp(type_at(ffi, *out)->text, signature) == 0) {
            return 0;
        }
    }
    struct ffi_signature type = {strdup(signature), NONE};
    if (type.text == NULL || buf_append(&ffi->types, &type, sizeof type) != 0) {
        free(type.text);
        return -1;
    }
    return 0;
}

static int callback_run(void *context, union engine_value *values);

/* A function of this type that no callback has. */
static int function_take(struct guest *guest, struct ffi *ffi, const char *signature, uint32_t *out)
{
    struct err err;
    uint32_t type;
    if (type_find(ffi, signature, &type) != 0) {
        return -1;
    }
    if (type_at(ffi, type)->first_free != NONE) {
        *out = type_at(ffi, type)->first_free;
        type_at(ffi, type)->first_free = function_at(ffi, *out)->next;
        return 0;
    }
    struct ffi_function *function = calloc(1, sizeof *function);
    if (function == NULL || buf_reserve(&ffi->functions, sizeof function) != 0 ||
        engine_func_new(guest->store, signature, callback_run, function, &function->function,
                        &err) != 0) {
        free(function);
        return -1;
    }
    function->guest = guest;
    function->type = type;
    *out = (uint32_t)(ffi->functions.len / sizeof function);
    return buf_append(&ffi->functions, &function, sizeof function);
}

/* ffi_closure_alloc_js(size, **code): a callback's memory and table entry. */
int ffi_closure_alloc(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct ffi *ffi = ffi_of(guest);
    const uint32_t size = values[0].i32;
    const uint32_t code_at = values[1].i32;
    uint32_t closure = 0;
    struct err err;
    if (ffi == NULL || size < WORD_BYTES) {
        return abi_return(values, 0);
    }
    if (guest_call(guest, GUEST_MALLOC, &size, 1, &closure, &err) != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    if (closure == 0 || guest_memory_write_u32(guest, guest_addr(code_at), 0) != 0) {
        return abi_return(values, 0); /* what was taken is lost to whoever asks like that */
    }
    const struct ffi_slot *slot = slot_take(guest, ffi);
    if (slot == NULL) {
        return guest_call(guest, GUEST_FREE, &closure, 1, NULL, &err) == 0
                   ? abi_return(values, 0)
                   : guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    (void)guest_memory_write_u32(guest, guest_addr(code_at), slot->table_index);
    (void)guest_memory_write_u32(guest, guest_addr(closure), slot->table_index);
    values[0].i32 = closure;
    return 0;
}

/* ffi_closure_free_js(*closure) */
int ffi_closure_free(void *context, union engine_value *values)
{
    struct guest *guest = context;
    const struct ffi *ffi = guest->ffi;
    const uint32_t closure = values[0].i32;
    uint32_t table_index;
    uint32_t number;
    struct err err;
    if (ffi == NULL || guest_memory_read_u32(guest, guest_addr(closure), &table_index) != 0) {
        return 0;
    }
    struct ffi_slot *slot = slot_find(ffi, table_index, &number);
    if (slot == NULL) {
        return 0;
    }
    slot_disarm(guest, guest->ffi, slot);
    slot->used = false;
    (void)buf_append(&guest->ffi->free, &number, sizeof number);
    if (guest_call(guest, GUEST_FREE, &closure, 1, NULL, &err) != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    return 0;
}

static int closure_arm(struct guest *guest, uint32_t cif_at, uint32_t closure, uint32_t code)
{
    struct err err;
    struct ffi_cif cif;
    uint32_t number;
    struct ffi *ffi = guest->ffi;
    struct ffi_slot *slot = ffi == NULL ? NULL : slot_find(ffi, code, &number);
    cleanup_buf struct buf signature;
    buf_init(&signature, LETTERS_MAX);
    if (slot == NULL || ffi_cif_read(guest, cif_at, &cif) != 0 ||
        ffi_signature_append(guest, &cif, &signature) != 0) {
        return -1;
    }
    slot_disarm(guest, ffi, slot);
    if (function_take(guest, ffi, signature.base, &number) != 0) {
        return -1;
    }
    slot->function = number;
    function_at(ffi, number)->closure_at = closure;
    return engine_table_set(guest->store, &guest->table, code, &function_at(ffi, number)->function,
                            &err);
}

/* ffi_prep_closure_loc_js(*closure, *cif, function, *user_data, code): whoever calls table entry
 * `code` calls function(cif, *result, **arguments, user_data). */
int ffi_closure_prepare(void *context, union engine_value *values)
{
    struct guest *guest = context;
    const uint32_t closure = values[0].i32;
    const uint32_t words[] = {values[1].i32, values[2].i32, values[3].i32};
    if (guest_memory_write(guest, guest_addr(closure + WORD_BYTES), words, sizeof words) != 0 ||
        closure_arm(guest, words[0], closure, values[4].i32) != 0) {
        return abi_return(values, FFI_BAD_TYPEDEF);
    }
    return abi_return(values, FFI_OK);
}

/* A callback that was called. */
struct ffi_callback {
    struct guest *guest;
    struct ffi_cif cif;
    const char *letters; /* the type of the host function: of the values that came */
    const union engine_value *values;
    uint32_t stack_pointer;
    uint32_t arguments_at;
};

/* The next value that came, if it is of this type. */
static int callback_next(struct ffi_callback *callback, char letter, union engine_value *out)
{
    if (*callback->letters != letter) {
        return -1;
    }
    callback->letters++;
    *out = *callback->values++;
    return 0;
}

/* Puts an argument on the stack, unless it is in memory already, and says where it is. */
static int callback_argument(struct ffi_callback *callback, const struct ffi_type *type,
                             uint32_t *at)
{
    union engine_value words[2] = {{.i64 = 0}, {.i64 = 0}};
    const char *letters = ffi_letters(type->kind);
    const uint32_t size = type->kind == FFI_LONGDOUBLE ? LONGDOUBLE_BYTES : 8;
    for (size_t i = 0; letters[i] != '\0'; i++) {
        if (callback_next(callback, letters[i], &words[i]) != 0) {
            return -1;
        }
    }
    if (type->kind == FFI_STRUCT) {
        *at = ffi_stack_copy(callback->guest, &callback->stack_pointer, words[0].i32, type);
        return *at == 0 ? -1 : 0;
    }
    const uint64_t bytes[] = {words[0].i64, words[1].i64};
    *at = ffi_stack_take(&callback->stack_pointer, size, 8);
    return *at == 0 ? -1 : guest_memory_write(callback->guest, guest_addr(*at), bytes, size);
}

/* The same for one behind a `...`, where `*block_at` walks through what the caller wrote. */
static int callback_block(struct ffi_callback *callback, const struct ffi_type *type,
                          uint32_t *block_at, uint32_t *at)
{
    uint32_t size = ffi_scalar_bytes(type->kind);
    size = size < WORD_BYTES ? WORD_BYTES : size;
    const uint32_t align = size > LONGDOUBLE_ALIGN ? LONGDOUBLE_ALIGN : size;
    *at = (*block_at + align - 1) & ~(align - 1);
    *block_at = *at + size;
    if (type->kind == FFI_STRUCT) {
        uint32_t from;
        if (guest_memory_read_u32(callback->guest, guest_addr(*at), &from) != 0) {
            return -1;
        }
        *at = ffi_stack_copy(callback->guest, &callback->stack_pointer, from, type);
        return *at == 0 ? -1 : 0;
    }
    return 0;
}

static int callback_arguments(struct ffi_callback *callback)
{
    const struct ffi_cif *cif = &callback->cif;
    union engine_value block = {.i64 = 0};
    for (uint32_t i = 0; i < cif->count; i++) {
        struct ffi_type type;
        uint32_t at;
        if (ffi_cif_argument(callback->guest, cif, i, &type) != 0) {
            return -1;
        }
        if (i == cif->fixed_count && callback_next(callback, 'i', &block) != 0) {
            return -1;
        }
        if ((i < cif->fixed_count ? callback_argument(callback, &type, &at)
                                  : callback_block(callback, &type, &block.i32, &at)) != 0 ||
            guest_memory_write_u32(callback->guest,
                                   guest_addr(callback->arguments_at + i * WORD_BYTES), at) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Lays out the stack; *result_at is where the result is to be put. */
static int callback_prepare(struct ffi_callback *callback, uint32_t *result_at)
{
    static const uint64_t zero = 0;
    union engine_value where;
    struct guest *guest = callback->guest;
    callback->stack_pointer = engine_global_get_i32(guest->store, &guest->stack_pointer);
    if (callback->cif.result_by_address) {
        if (callback_next(callback, 'i', &where) != 0) {
            return -1;
        }
        *result_at = where.i32;
    } else {
        *result_at = ffi_stack_take(&callback->stack_pointer, sizeof zero, sizeof zero);
        if (guest_memory_write(guest, guest_addr(*result_at), &zero, sizeof zero) != 0) {
            return -1;
        }
    }
    callback->arguments_at =
        ffi_stack_take(&callback->stack_pointer, callback->cif.count * WORD_BYTES, WORD_BYTES);
    return callback->arguments_at == 0 ? -1 : callback_arguments(callback);
}

/* A table entry of a callback was called: with `values` of the type that its function has. */
static int callback_run(void *context, union engine_value *values)
{
    const struct ffi_function *function = context;
    struct guest *guest = function->guest;
    struct {
        uint32_t cif;
        uint32_t function;
        uint32_t user_data;
    } closure;
    struct ffi_callback callback = {
        .guest = guest,
        .letters = type_at(guest->ffi, function->type)->text,
        .values = values,
    };
    uint32_t result_at;
    struct err err;
    if (guest_memory_read(guest, guest_addr(function->closure_at + WORD_BYTES), &closure,
                          sizeof closure) != 0 ||
        ffi_cif_read(guest, closure.cif, &callback.cif) != 0 ||
        callback_prepare(&callback, &result_at) != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1,
                          "libffi: a callback's type has changed, or its stack is full");
    }
    /* The values' letters are behind us up to the colon; what follows it is the result's. */
    const char returned = callback.letters[0] == ':' ? callback.letters[1] : '\0';
    const enum ffi_kind kind = callback.cif.result.kind;
    const char wanted = callback.cif.result_by_address ? '\0' : ffi_letters(kind)[0];
    union engine_value arguments[] = {{.i32 = closure.cif},
                                      {.i32 = result_at},
                                      {.i32 = callback.arguments_at},
                                      {.i32 = closure.user_data}};
    if (callback.letters[0] != ':' || returned != wanted) {
        return ffi_bad_type(guest);
    }
    const uint32_t before = engine_global_get_i32(guest->store, &guest->stack_pointer);
    engine_global_set_i32(guest->store, &guest->stack_pointer,
                          callback.stack_pointer & ~(uint32_t)(STACK_ALIGN - 1));
    int failed =
        engine_call_table(guest->store, &guest->table, closure.function, "iiii:", arguments, &err);
    engine_global_set_i32(guest->store, &guest->stack_pointer, before);
    if (failed != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    return wanted == '\0' || ffi_scalar_read(guest, result_at, kind, &values[0]) == 0
               ? 0
               : ffi_bad_memory(guest);
}

/* ---- Snapshots --------------------------------------------------------------------------------
 */

enum { SAVED_UNUSED, SAVED_IDLE, SAVED_ARMED };

/* Host functions that no callback has are not saved: new ones are as good. */
static void slot_save(const struct ffi *ffi, const struct ffi_slot *slot, struct saving *out)
{
    const bool is_armed = slot->used && slot->function != NONE;
    save_u32(out, slot->table_index);
    save_u32(out, is_armed ? SAVED_ARMED : slot->used ? SAVED_IDLE : SAVED_UNUSED);
    if (is_armed) {
        const struct ffi_function *function = function_at(ffi, slot->function);
        save_u32(out, function->closure_at);
        save_bytes(out, span_of(type_at(ffi, function->type)->text));
    }
}

void ffi_save(const struct guest *guest, struct saving *out)
{
    const struct ffi *ffi = guest->ffi;
    const uint32_t count = ffi == NULL ? 0 : (uint32_t)(ffi->slots.len / sizeof(struct ffi_slot));
    save_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        slot_save(ffi, slot_at(ffi, i), out);
    }
}

static int saved_damaged(struct err *err)
{
    return err_set(err, ERR_FORMAT, "the list of callbacks is damaged");
}

static int armed_load(struct guest *guest, struct ffi *ffi, struct ffi_slot *slot,
                      struct loading *in, struct err *err)
{
    char signature[LETTERS_MAX];
    uint32_t number;
    const uint32_t closure_at = load_u32(in);
    const struct span text = load_bytes(in, sizeof signature - 1);
    if (memchr(text.base, '\0', text.len) != NULL) {
        return saved_damaged(err);
    }
    memcpy(signature, text.base, text.len);
    signature[text.len] = '\0';
    if (in->is_bad || function_take(guest, ffi, signature, &number) != 0) {
        return saved_damaged(err);
    }
    slot->function = number;
    function_at(ffi, number)->closure_at = closure_at;
    return engine_table_set(guest->store, &guest->table, slot->table_index,
                            &function_at(ffi, number)->function, err);
}

/* `*floor` is the least table index that keeps the slots in order. */
static int slot_load(struct guest *guest, struct ffi *ffi, uint32_t *floor, struct loading *in,
                     struct err *err)
{
    struct ffi_slot slot = {.table_index = load_u32(in), .function = NONE};
    const uint32_t state = load_count(in, SAVED_ARMED);
    const uint32_t number = (uint32_t)(ffi->slots.len / sizeof slot);
    if (in->is_bad || slot.table_index < *floor ||
        slot.table_index >= engine_table_size(guest->store, &guest->table)) {
        return saved_damaged(err);
    }
    *floor = slot.table_index + 1;
    slot.used = state != SAVED_UNUSED;
    if ((state == SAVED_ARMED && armed_load(guest, ffi, &slot, in, err) != 0) ||
        buf_append(&ffi->slots, &slot, sizeof slot) != 0 ||
        (!slot.used && buf_append(&ffi->free, &number, sizeof number) != 0)) {
        return saved_damaged(err);
    }
    return 0;
}

int ffi_load(struct guest *guest, struct loading *in, struct err *err)
{
    const uint32_t count = load_count(in, LIMIT_CLOSURES_MAX);
    uint32_t floor = 0;
    struct ffi *ffi = count == 0 ? NULL : ffi_of(guest);
    if (count > 0 && ffi == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for callbacks");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (slot_load(guest, ffi, &floor, in, err) != 0) {
            return -1;
        }
    }
    return 0;
}
