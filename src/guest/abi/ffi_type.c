#include "guest/abi/ffi_type.h"

#include <string.h>

#include "guest/state.h"
#include "wire/wire.h"

int ffi_bad_type(struct guest *guest)
{
    return guest_stop(guest, WIRE_END_TRAPPED, 1, "libffi: a type it cannot pass");
}

int ffi_bad_memory(struct guest *guest)
{
    return guest_stop(guest, WIRE_END_TRAPPED, 1, "libffi: an address outside of memory");
}

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
static int ffi_type_read(const struct guest *guest, uint32_t at, struct ffi_type *out)
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

int ffi_cif_read(const struct guest *guest, uint32_t at, struct ffi_cif *out)
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
        ffi_type_read(guest, raw.result_at, &out->result) != 0) {
        return -1;
    }
    out->count = raw.count;
    out->fixed_count = raw.fixed_count;
    out->types_at = raw.types_at;
    out->result_by_address = out->result.kind == FFI_STRUCT || out->result.kind == FFI_LONGDOUBLE;
    return 0;
}

int ffi_cif_argument(const struct guest *guest, const struct ffi_cif *cif, uint32_t index,
                     struct ffi_type *out)
{
    uint32_t at;
    return guest_memory_read_u32(guest, guest_addr(cif->types_at + index * WORD_BYTES), &at) != 0 ||
                   ffi_type_read(guest, at, out) != 0 || out->kind == FFI_VOID
               ? -1
               : 0;
}

const char *ffi_letters(enum ffi_kind kind)
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

int ffi_signature_append(const struct guest *guest, const struct ffi_cif *cif, struct buf *out)
{
    if (cif->result_by_address && buf_append_char(out, 'i') != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < cif->fixed_count; i++) {
        struct ffi_type type;
        if (ffi_cif_argument(guest, cif, i, &type) != 0 ||
            buf_append_text(out, ffi_letters(type.kind)) != 0) {
            return -1;
        }
    }
    if (cif->fixed_count < cif->count && buf_append_char(out, 'i') != 0) {
        return -1;
    }
    return buf_append_char(out, ':') != 0 ||
                   (!cif->result_by_address &&
                    buf_append_text(out, ffi_letters(cif->result.kind)) != 0) ||
                   buf_append_char(out, '\0') != 0
               ? -1
               : 0;
}

uint32_t ffi_scalar_bytes(enum ffi_kind kind)
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

int ffi_scalar_read(const struct guest *guest, uint32_t at, enum ffi_kind kind,
                    union engine_value *out)
{
    *out = (union engine_value){.i64 = 0};
    if (guest_memory_read(guest, guest_addr(at), out, ffi_scalar_bytes(kind)) != 0) {
        return -1;
    }
    if (ffi_scalar_bytes(kind) < WORD_BYTES) {
        out->i32 = widen(kind, out->i32);
    }
    return 0;
}

uint32_t ffi_stack_take(uint32_t *pointer, uint32_t size, uint32_t align)
{
    if (size >= *pointer) {
        return 0;
    }
    *pointer = (*pointer - size) & ~(align - 1u);
    return *pointer;
}

uint32_t ffi_stack_copy(const struct guest *guest, uint32_t *pointer, uint32_t from,
                        const struct ffi_type *type)
{
    uint32_t at = ffi_stack_take(pointer, type->size, type->align);
    void *target = guest_memory_at(guest, guest_addr(at), type->size);
    const void *source = guest_memory_at(guest, guest_addr(from), type->size);
    if (at == 0 || target == NULL || source == NULL) {
        return 0;
    }
    memmove(target, source, type->size);
    return at;
}
