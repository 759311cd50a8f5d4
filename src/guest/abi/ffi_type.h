/*
 * Types as libffi describes them in guest memory, and the guest's stack; private to ffi.c and
 * ffi_callback.c. Everything is read from memory that the program can write to, so every reader can
 * fail: -1, or 0 for an address.
 */
#ifndef GUEST_ABI_FFI_TYPE_H
#define GUEST_ABI_FFI_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "engine/engine.h"

struct guest;

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

/* Stop the guest; -1. */
int ffi_bad_type(struct guest *guest);
int ffi_bad_memory(struct guest *guest);

int ffi_cif_read(const struct guest *guest, uint32_t at, struct ffi_cif *out);
/* index < cif->count */
int ffi_cif_argument(const struct guest *guest, const struct ffi_cif *cif, uint32_t index,
                     struct ffi_type *out);

/* How an argument travels, in the letters of engine.h. Static. */
const char *ffi_letters(enum ffi_kind kind);

/* Appends the signature of a function of this type, with its NUL. */
int ffi_signature_append(const struct guest *guest, const struct ffi_cif *cif, struct buf *out);

/* How many bytes of a number are in memory, when it is passed as one value. */
uint32_t ffi_scalar_bytes(enum ffi_kind kind);

/* Reads one value, not a struct or long double. */
int ffi_scalar_read(const struct guest *guest, uint32_t at, enum ffi_kind kind,
                    union engine_value *out);

/* Takes room from the stack below `*pointer`; its address, or 0 when there is none. */
uint32_t ffi_stack_take(uint32_t *pointer, uint32_t size, uint32_t align);

/* Copies a struct there; 0 when it does not fit. */
uint32_t ffi_stack_copy(const struct guest *guest, uint32_t *pointer, uint32_t from,
                        const struct ffi_type *type);

/* Callbacks: rows of the platform (ffi_callback.c). */
int ffi_closure_alloc(void *context, union engine_value *values);
int ffi_closure_free(void *context, union engine_value *values);
int ffi_closure_prepare(void *context, union engine_value *values);

#endif
