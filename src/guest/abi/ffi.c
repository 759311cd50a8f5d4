#include "guest/abi/ffi.h"

#include <math.h>
#include <string.h>

#include "guest/abi/abi.h"
#include "guest/abi/ffi_type.h"
#include "guest/state.h"
#include "wire/wire.h"

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
        value.i32 = ffi_stack_copy(call->guest, &call->stack_pointer, at, type);
        return value.i32 == 0 ? -1 : call_push(call, 'i', value);
    }
    if (type->kind == FFI_LONGDOUBLE) {
        return ffi_scalar_read(call->guest, at, FFI_UINT64, &value) != 0 ||
                       call_push(call, 'j', value) != 0 ||
                       ffi_scalar_read(call->guest, at + 8, FFI_UINT64, &value) != 0
                   ? -1
                   : call_push(call, 'j', value);
    }
    return ffi_scalar_read(call->guest, at, type->kind, &value) != 0
               ? -1
               : call_push(call, ffi_letters(type->kind)[0], value);
}

/* Appends one of the arguments behind a `...` to the block that the function gets a pointer to. */
static int block_append(struct ffi_call *call, uint32_t at, const struct ffi_type *type,
                        struct buf *block)
{
    static const char zeros[STACK_ALIGN];
    union engine_value value = {.i64 = 0};
    uint32_t size = ffi_scalar_bytes(type->kind);
    size = size < WORD_BYTES ? WORD_BYTES : size;
    const uint32_t align = size > LONGDOUBLE_ALIGN ? LONGDOUBLE_ALIGN : size;
    const size_t gap = (align - block->len % align) % align;
    if (type->kind == FFI_STRUCT) {
        value.i32 = ffi_stack_copy(call->guest, &call->stack_pointer, at, type);
        if (value.i32 == 0) {
            return -1;
        }
    } else if (type->kind == FFI_LONGDOUBLE) {
        if (guest_memory_read(call->guest, guest_addr(at), &value, LONGDOUBLE_BYTES) != 0) {
            return -1;
        }
    } else if (ffi_scalar_read(call->guest, at, type->kind, &value) != 0) {
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
        if (ffi_cif_argument(call->guest, &call->cif, i, &type) != 0) {
            return ffi_bad_type(call->guest);
        }
        if (guest_memory_read_u32(call->guest, guest_addr(avalue + i * WORD_BYTES), &at) != 0 ||
            (i < call->cif.fixed_count ? call_push_fixed(call, at, &type)
                                       : block_append(call, at, &type, &block)) != 0) {
            return ffi_bad_memory(call->guest);
        }
    }
    if (call->cif.fixed_count == call->cif.count) {
        return 0;
    }
    union engine_value pointer = {
        .i32 = ffi_stack_take(&call->stack_pointer, (uint32_t)block.len, STACK_ALIGN)};
    if (pointer.i32 == 0 ||
        guest_memory_write(call->guest, guest_addr(pointer.i32), block.base, block.len) != 0 ||
        call_push(call, 'i', pointer) != 0) {
        return ffi_bad_memory(call->guest);
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
        return ffi_bad_type(guest);
    }
    const char wanted = call->cif.result_by_address ? '\0' : ffi_letters(call->cif.result.kind)[0];
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
        return ffi_bad_memory(call->guest);
    }
    if (call_push_all(call, avalue) != 0 || call_make(call, function, &result) != 0) {
        return -1;
    }
    if (call->cif.result_by_address) {
        return 0;
    }
    return guest_memory_write(call->guest, guest_addr(rvalue), &result,
                              ffi_scalar_bytes(call->cif.result.kind)) == 0
               ? 0
               : ffi_bad_memory(call->guest);
}

/* ffi_call_js(*cif, function, *rvalue, **avalue) */
static int ffi_call(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct ffi_call call = {.guest = guest};
    const uint32_t function = values[1].i32;
    const uint32_t rvalue = values[2].i32;
    const uint32_t avalue = values[3].i32;
    if (ffi_cif_read(guest, values[0].i32, &call.cif) != 0) {
        return ffi_bad_type(guest);
    }
    call.stack_pointer = engine_global_get_i32(guest->store, &guest->stack_pointer);
    buf_init(&call.letters, LETTERS_MAX);
    buf_init(&call.values, 2 * LETTERS_MAX * sizeof(union engine_value));
    int result = call_run(&call, function, rvalue, avalue);
    buf_free(&call.letters);
    buf_free(&call.values);
    return result;
}

const struct abi_row abi_ffi[] = {
    {"ffi_call_js", "iiii:", ffi_call},
    {"ffi_closure_alloc_js", "ii:i", ffi_closure_alloc},
    {"ffi_closure_free_js", "i:", ffi_closure_free},
    {"ffi_prep_closure_loc_js", "iiiii:i", ffi_closure_prepare},
    {NULL, NULL, NULL},
};
