#include "guest/abi/ffi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "guest/abi/abi.h"
#include "guest/state.h"
#include "wire/wire.h"

/* libffi's numbers (ffi.h): types, and what ffi_prep_closure_loc gives when it cannot. */
enum ffi_kind {
    FFI_VOID,
    FFI_INT,
    FFI_FLOAT,
    FFI_DOUBLE,
    FFI_LONGDOUBLE,
    FFI_UINT8,
    FFI_SINT8,
    FFI_UINT16,
    FFI_SINT16,
    FFI_UINT32,
    FFI_SINT32,
    FFI_UINT64,
    FFI_SINT64,
    FFI_STRUCT,
    FFI_POINTER,
};
enum { FFI_OK = 0, FFI_BAD_TYPEDEF = 1 };

enum { STACK_ALIGN = 16, WORD_BYTES = 4, LONGDOUBLE_BYTES = 16, LONGDOUBLE_ALIGN = 8 };
enum { LETTERS_MAX = 2 * LIMIT_FFI_ARGUMENTS_MAX + 8 };

struct ffi_type {
    enum ffi_kind kind;
    uint32_t size;
    uint32_t align; /* a power of two */
};

/* A function's type, as ffi_prep_cif left it in guest memory. */
struct ffi_cif {
    uint32_t count;
    uint32_t fixed_count; /* the others go through a pointer, as those behind a `...` do */
    uint32_t types_at;
    struct ffi_type result;
    bool result_by_address; /* the function's first argument says where to put the result */
};

static int bad_type(struct guest *guest)
{
    return guest_stop(guest, WIRE_END_TRAPPED, 1, "libffi: a type it cannot pass");
}

static int bad_memory(struct guest *guest)
{
    return guest_stop(guest, WIRE_END_TRAPPED, 1, "libffi: an address outside of memory");
}

/* ---- Types --------------------------------------------------------------------------------------
 */

static int type_read_raw(const struct guest *guest, uint32_t at, struct ffi_type *out,
                         uint32_t *elements_at)
{
    struct {
        uint32_t size;
        uint16_t align;
        uint16_t kind;
        uint32_t elements_at;
    } raw;
    if (guest_memory_read(guest, guest_addr(at), &raw, sizeof raw) != 0 || raw.kind > FFI_POINTER ||
        raw.align > STACK_ALIGN || (raw.align & (raw.align - 1u)) != 0) {
        return -1;
    }
    *out = (struct ffi_type){(enum ffi_kind)raw.kind, raw.size, raw.align == 0 ? 1 : raw.align};
    *elements_at = raw.elements_at;
    return 0;
}

/* Reads a type as it is passed: a struct of one element goes as that element, an empty one not at
 * all. */
static int type_read(const struct guest *guest, uint32_t at, struct ffi_type *out)
{
    for (unsigned depth = 0; depth < LIMIT_FFI_NESTING_MAX; depth++) {
        uint32_t elements_at;
        uint32_t first;
        uint32_t second = 0;
        if (type_read_raw(guest, at, out, &elements_at) != 0) {
            return -1;
        }
        if (out->kind != FFI_STRUCT) {
            return 0;
        }
        if (guest_memory_read_u32(guest, guest_addr(elements_at), &first) != 0 ||
            (first != 0 &&
             guest_memory_read_u32(guest, guest_addr(elements_at + WORD_BYTES), &second) != 0)) {
            return -1;
        }
        if (first == 0) {
            out->kind = FFI_VOID;
            return 0;
        }
        if (second != 0) {
            return 0;
        }
        at = first;
    }
    return -1;
}

static int cif_read(const struct guest *guest, uint32_t at, struct ffi_cif *out)
{
    struct {
        uint32_t abi;
        uint32_t count;
        uint32_t types_at;
        uint32_t result_at;
        uint32_t bytes;
        uint32_t flags;
        uint32_t fixed_count;
    } raw;
    if (guest_memory_read(guest, guest_addr(at), &raw, sizeof raw) != 0 ||
        raw.count > LIMIT_FFI_ARGUMENTS_MAX || raw.fixed_count > raw.count ||
        type_read(guest, raw.result_at, &out->result) != 0) {
        return -1;
    }
    out->count = raw.count;
    out->fixed_count = raw.fixed_count;
    out->types_at = raw.types_at;
    out->result_by_address = out->result.kind == FFI_STRUCT || out->result.kind == FFI_LONGDOUBLE;
    return 0;
}

static int cif_argument(const struct guest *guest, const struct ffi_cif *cif, uint32_t index,
                        struct ffi_type *out)
{
    uint32_t at;
    return guest_memory_read_u32(guest, guest_addr(cif->types_at + index * WORD_BYTES), &at) != 0 ||
                   type_read(guest, at, out) != 0 || out->kind == FFI_VOID
               ? -1
               : 0;
}

/* How an argument travels, in the letters of engine.h. */
static const char *argument_letters(enum ffi_kind kind)
{
    switch (kind) {
    case FFI_FLOAT: return "f";
    case FFI_DOUBLE: return "d";
    case FFI_LONGDOUBLE: return "jj";
    case FFI_UINT64:
    case FFI_SINT64: return "j";
    case FFI_VOID: return "";
    case FFI_INT:
    case FFI_UINT8:
    case FFI_SINT8:
    case FFI_UINT16:
    case FFI_SINT16:
    case FFI_UINT32:
    case FFI_SINT32:
    case FFI_STRUCT:
    case FFI_POINTER: break;
    }
    return "i";
}

/* Appends the signature of a function of this type, with its NUL. */
static int signature_append(const struct guest *guest, const struct ffi_cif *cif, struct buf *out)
{
    if (cif->result_by_address && buf_append_char(out, 'i') != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < cif->fixed_count; i++) {
        struct ffi_type type;
        if (cif_argument(guest, cif, i, &type) != 0 ||
            buf_append_text(out, argument_letters(type.kind)) != 0) {
            return -1;
        }
    }
    if (cif->fixed_count < cif->count && buf_append_char(out, 'i') != 0) {
        return -1;
    }
    return buf_append_char(out, ':') != 0 ||
                   (!cif->result_by_address &&
                    buf_append_text(out, argument_letters(cif->result.kind)) != 0) ||
                   buf_append_char(out, '\0') != 0
               ? -1
               : 0;
}

/* How many bytes of a number are in memory, when it is passed as one value. */
static uint32_t scalar_bytes(enum ffi_kind kind)
{
    switch (kind) {
    case FFI_UINT8:
    case FFI_SINT8: return 1;
    case FFI_UINT16:
    case FFI_SINT16: return 2;
    case FFI_DOUBLE:
    case FFI_UINT64:
    case FFI_SINT64: return 8;
    case FFI_VOID: return 0;
    case FFI_LONGDOUBLE: return LONGDOUBLE_BYTES;
    case FFI_INT:
    case FFI_FLOAT:
    case FFI_UINT32:
    case FFI_SINT32:
    case FFI_STRUCT:
    case FFI_POINTER: break;
    }
    return 4;
}

/* A number shorter than a word travels as a word of the same value. */
static uint32_t widen(enum ffi_kind kind, uint32_t value)
{
    if (kind == FFI_UINT8 || kind == FFI_UINT16) {
        return kind == FFI_UINT8 ? (uint8_t)value : (uint16_t)value;
    }
    if (kind == FFI_SINT8 || kind == FFI_SINT16) {
        return (uint32_t)(kind == FFI_SINT8 ? (int8_t)value : (int16_t)value);
    }
    return value;
}

/* Reads one value, not a struct or long double. */
static int scalar_read(const struct guest *guest, uint32_t at, enum ffi_kind kind,
                       union engine_value *out)
{
    *out = (union engine_value){.i64 = 0};
    if (guest_memory_read(guest, guest_addr(at), out, scalar_bytes(kind)) != 0) {
        return -1;
    }
    if (scalar_bytes(kind) < WORD_BYTES) {
        out->i32 = widen(kind, out->i32);
    }
    return 0;
}

/* ---- The guest's stack --------------------------------------------------------------------------
 */

/* Takes room from the stack; 0 when there is none. */
static uint32_t stack_take(uint32_t *pointer, uint32_t size, uint32_t align)
{
    if (size >= *pointer) {
        return 0;
    }
    *pointer = (*pointer - size) & ~(align - 1u);
    return *pointer;
}

/* Copies a struct to the stack; 0 when it does not fit. */
static uint32_t stack_copy(const struct guest *guest, uint32_t *pointer, uint32_t from,
                           const struct ffi_type *type)
{
    uint32_t at = stack_take(pointer, type->size, type->align);
    void *target = guest_memory_at(guest, guest_addr(at), type->size);
    const void *source = guest_memory_at(guest, guest_addr(from), type->size);
    if (at == 0 || target == NULL || source == NULL) {
        return 0;
    }
    memmove(target, source, type->size);
    return at;
}

/* ---- Calls ------------------------------------------------------------------------------------
 */

/* A call as it is put together. */
struct ffi_call {
    struct guest *guest;
    struct ffi_cif cif;
    uint32_t stack_pointer;
    struct buf letters;
    struct buf values; /* of union engine_value */
};

static int call_push(struct ffi_call *call, char letter, union engine_value value)
{
    return buf_append_char(&call->letters, letter) != 0 ||
                   buf_append(&call->values, &value, sizeof value) != 0
               ? -1
               : 0;
}

static int call_push_fixed(struct ffi_call *call, uint32_t at, const struct ffi_type *type)
{
    union engine_value value = {.i64 = 0};
    if (type->kind == FFI_STRUCT) {
        value.i32 = stack_copy(call->guest, &call->stack_pointer, at, type);
        return value.i32 == 0 ? -1 : call_push(call, 'i', value);
    }
    if (type->kind == FFI_LONGDOUBLE) {
        return scalar_read(call->guest, at, FFI_UINT64, &value) != 0 ||
                       call_push(call, 'j', value) != 0 ||
                       scalar_read(call->guest, at + 8, FFI_UINT64, &value) != 0
                   ? -1
                   : call_push(call, 'j', value);
    }
    return scalar_read(call->guest, at, type->kind, &value) != 0
               ? -1
               : call_push(call, argument_letters(type->kind)[0], value);
}

/* Appends one of the arguments behind a `...` to the block that the function gets a pointer to. */
static int block_append(struct ffi_call *call, uint32_t at, const struct ffi_type *type,
                        struct buf *block)
{
    static const char zeros[STACK_ALIGN];
    union engine_value value = {.i64 = 0};
    uint32_t size = scalar_bytes(type->kind);
    size = size < WORD_BYTES ? WORD_BYTES : size;
    const uint32_t align = size > LONGDOUBLE_ALIGN ? LONGDOUBLE_ALIGN : size;
    const size_t gap = (align - block->len % align) % align;
    if (type->kind == FFI_STRUCT) {
        value.i32 = stack_copy(call->guest, &call->stack_pointer, at, type);
        if (value.i32 == 0) {
            return -1;
        }
    } else if (type->kind == FFI_LONGDOUBLE) {
        if (guest_memory_read(call->guest, guest_addr(at), &value, LONGDOUBLE_BYTES) != 0) {
            return -1;
        }
    } else if (scalar_read(call->guest, at, type->kind, &value) != 0) {
        return -1;
    }
    return buf_append(block, zeros, gap) != 0 ? -1 : buf_append(block, &value, size);
}

/* The arguments from `avalue`, an array of pointers to them. */
static int call_push_all(struct ffi_call *call, uint32_t avalue)
{
    cleanup_buf struct buf block;
    buf_init(&block, LIMIT_FFI_ARGUMENTS_MAX * LONGDOUBLE_BYTES);
    for (uint32_t i = 0; i < call->cif.count; i++) {
        struct ffi_type type;
        uint32_t at;
        if (cif_argument(call->guest, &call->cif, i, &type) != 0) {
            return bad_type(call->guest);
        }
        if (guest_memory_read_u32(call->guest, guest_addr(avalue + i * WORD_BYTES), &at) != 0 ||
            (i < call->cif.fixed_count ? call_push_fixed(call, at, &type)
                                       : block_append(call, at, &type, &block)) != 0) {
            return bad_memory(call->guest);
        }
    }
    if (call->cif.fixed_count == call->cif.count) {
        return 0;
    }
    union engine_value pointer = {
        .i32 = stack_take(&call->stack_pointer, (uint32_t)block.len, STACK_ALIGN)};
    if (pointer.i32 == 0 ||
        guest_memory_write(call->guest, guest_addr(pointer.i32), block.base, block.len) != 0 ||
        call_push(call, 'i', pointer) != 0) {
        return bad_memory(call->guest);
    }
    return 0;
}

/* What a caller with wrong types passes is not what the function gets; but it gets something, as it
 * would from a machine's registers. */
static union engine_value value_convert(char from, char to, union engine_value value)
{
    if (from == to) {
        return value;
    }
    const bool is_float = from == 'f' || from == 'd';
    const double number = from == 'f' ? (double)value.f32 : is_float ? value.f64 : 0;
    const double whole = isfinite(number) && fabs(number) < 0x1p63 ? trunc(number) : 0;
    const int64_t integer = is_float      ? (int64_t)whole
                            : from == 'i' ? (int32_t)value.i32
                                          : (int64_t)value.i64;
    const double real = is_float ? number : (double)integer;
    union engine_value out = {.i64 = 0};
    switch (to) {
    case 'i': out.i32 = (uint32_t)integer; break;
    case 'j': out.i64 = (uint64_t)integer; break;
    case 'f': out.f32 = (float)real; break;
    default: out.f64 = real; break;
    }
    return out;
}

/*
 * Calls a function that has the type `actual` with the arguments of `call`. A missing argument is
 * zero, one too many is left out; so a function without a result can be called as if it had one,
 * which Python programs do whenever they leave out a `restype`. `*result` is of the letter `wanted`
 * (or 0).
 */
static int call_function(struct ffi_call *call, const struct engine_extern *function,
                         const char *actual, char wanted, union engine_value *result,
                         struct err *err)
{
    const size_t param_count = strcspn(actual, ":");
    const size_t given = call->letters.len;
    const char returned = actual[param_count + 1];
    if (strspn(actual, "ijfd") != param_count ||
        (returned != '\0' &&
         (strchr("ijfd", returned) == NULL || actual[param_count + 2] != '\0'))) {
        return err_set(err, ERR_TRAP, "libffi: a function that takes or gives more than numbers");
    }
    union engine_value *values = (union engine_value *)call->values.base;
    for (size_t i = 0; i < param_count && i < given; i++) {
        values[i] = value_convert(call->letters.base[i], actual[i], values[i]);
    }
    static const union engine_value zero;
    for (size_t i = given; i <= param_count; i++) { /* and room for the result */
        if (buf_append(&call->values, &zero, sizeof zero) != 0) {
            return err_set(err, ERR_MEMORY, "no memory for a call");
        }
    }
    values = (union engine_value *)call->values.base;
    if (engine_call(call->guest->store, function, values, param_count > 0 ? param_count : 1, err) !=
        0) {
        return -1;
    }
    *result = (union engine_value){.i64 = 0};
    if (returned != '\0' && wanted != '\0') {
        *result = value_convert(returned, wanted, values[0]);
    }
    return 0;
}

static int call_make(struct ffi_call *call, uint32_t index, union engine_value *result)
{
    struct guest *guest = call->guest;
    struct engine_extern function;
    struct err err;
    char actual[LETTERS_MAX];
    if (!engine_table_get(guest->store, &guest->table, index, &function)) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "a call through a null function pointer");
    }
    if (!engine_func_signature(guest->store, &function, actual, sizeof actual)) {
        return bad_type(guest);
    }
    const char wanted =
        call->cif.result_by_address ? '\0' : argument_letters(call->cif.result.kind)[0];
    const uint32_t before = engine_global_get_i32(guest->store, &guest->stack_pointer);
    engine_global_set_i32(guest->store, &guest->stack_pointer,
                          call->stack_pointer & ~(uint32_t)(STACK_ALIGN - 1));
    int failed = call_function(call, &function, actual, wanted, result, &err);
    engine_global_set_i32(guest->store, &guest->stack_pointer, before);
    return failed == 0 ? 0 : guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
}

static int call_run(struct ffi_call *call, uint32_t function, uint32_t rvalue, uint32_t avalue)
{
    union engine_value result;
    const union engine_value where = {.i32 = rvalue};
    if (call->cif.result_by_address && call_push(call, 'i', where) != 0) {
        return bad_memory(call->guest);
    }
    if (call_push_all(call, avalue) != 0 || call_make(call, function, &result) != 0) {
        return -1;
    }
    if (call->cif.result_by_address) {
        return 0;
    }
    return guest_memory_write(call->guest, guest_addr(rvalue), &result,
                              scalar_bytes(call->cif.result.kind)) == 0
               ? 0
               : bad_memory(call->guest);
}

/* ffi_call_js(*cif, function, *rvalue, **avalue) */
static int ffi_call(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct ffi_call call = {.guest = guest};
    const uint32_t function = values[1].i32;
    const uint32_t rvalue = values[2].i32;
    const uint32_t avalue = values[3].i32;
    if (cif_read(guest, values[0].i32, &call.cif) != 0) {
        return bad_type(guest);
    }
    call.stack_pointer = engine_global_get_i32(guest->store, &guest->stack_pointer);
    buf_init(&call.letters, LETTERS_MAX);
    buf_init(&call.values, 2 * LETTERS_MAX * sizeof(union engine_value));
    int result = call_run(&call, function, rvalue, avalue);
    buf_free(&call.letters);
    buf_free(&call.values);
    return result;
}

/* ---- Callbacks --------------------------------------------------------------------------------
 */

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
static int closure_alloc(void *context, union engine_value *values)
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
static int closure_free(void *context, union engine_value *values)
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
    if (slot == NULL || cif_read(guest, cif_at, &cif) != 0 ||
        signature_append(guest, &cif, &signature) != 0) {
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
static int closure_prepare(void *context, union engine_value *values)
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
    const char *letters = argument_letters(type->kind);
    const uint32_t size = type->kind == FFI_LONGDOUBLE ? LONGDOUBLE_BYTES : 8;
    for (size_t i = 0; letters[i] != '\0'; i++) {
        if (callback_next(callback, letters[i], &words[i]) != 0) {
            return -1;
        }
    }
    if (type->kind == FFI_STRUCT) {
        *at = stack_copy(callback->guest, &callback->stack_pointer, words[0].i32, type);
        return *at == 0 ? -1 : 0;
    }
    const uint64_t bytes[] = {words[0].i64, words[1].i64};
    *at = stack_take(&callback->stack_pointer, size, 8);
    return *at == 0 ? -1 : guest_memory_write(callback->guest, guest_addr(*at), bytes, size);
}

/* The same for one behind a `...`, where `*block_at` walks through what the caller wrote. */
static int callback_block(struct ffi_callback *callback, const struct ffi_type *type,
                          uint32_t *block_at, uint32_t *at)
{
    uint32_t size = scalar_bytes(type->kind);
    size = size < WORD_BYTES ? WORD_BYTES : size;
    const uint32_t align = size > LONGDOUBLE_ALIGN ? LONGDOUBLE_ALIGN : size;
    *at = (*block_at + align - 1) & ~(align - 1);
    *block_at = *at + size;
    if (type->kind == FFI_STRUCT) {
        uint32_t from;
        if (guest_memory_read_u32(callback->guest, guest_addr(*at), &from) != 0) {
            return -1;
        }
        *at = stack_copy(callback->guest, &callback->stack_pointer, from, type);
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
        if (cif_argument(callback->guest, cif, i, &type) != 0) {
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
        *result_at = stack_take(&callback->stack_pointer, sizeof zero, sizeof zero);
        if (guest_memory_write(guest, guest_addr(*result_at), &zero, sizeof zero) != 0) {
            return -1;
        }
    }
    callback->arguments_at =
        stack_take(&callback->stack_pointer, callback->cif.count * WORD_BYTES, WORD_BYTES);
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
        cif_read(guest, closure.cif, &callback.cif) != 0 ||
        callback_prepare(&callback, &result_at) != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1,
                          "libffi: a callback's type has changed, or its stack is full");
    }
    /* The values' letters are behind us up to the colon; what follows it is the result's. */
    const char returned = callback.letters[0] == ':' ? callback.letters[1] : '\0';
    const enum ffi_kind kind = callback.cif.result.kind;
    const char wanted = callback.cif.result_by_address ? '\0' : argument_letters(kind)[0];
    union engine_value arguments[] = {{.i32 = closure.cif},
                                      {.i32 = result_at},
                                      {.i32 = callback.arguments_at},
                                      {.i32 = closure.user_data}};
    if (callback.letters[0] != ':' || returned != wanted) {
        return bad_type(guest);
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
    return wanted == '\0' || scalar_read(guest, result_at, kind, &values[0]) == 0
               ? 0
               : bad_memory(guest);
}

const struct abi_row abi_ffi[] = {
    {"ffi_call_js", "iiii:", ffi_call},
    {"ffi_closure_alloc_js", "ii:i", closure_alloc},
    {"ffi_closure_free_js", "i:", closure_free},
    {"ffi_prep_closure_loc_js", "iiiii:i", closure_prepare},
    {NULL, NULL, NULL},
};
