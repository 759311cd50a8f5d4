/*
 * libffi for WebAssembly, which Emscripten's port has in JavaScript: calls of C functions whose
 * types are known at run time only, and callbacks with such types. ctypes and cffi stand on it.
 *
 * Types and calls are described by structs in guest memory (libffi's ffi_cif and ffi_type), which
 * the program can write to; they are read anew for each call, and a callback's have to give the
 * type that its function was made with.
 *
 * A callback is an entry of the table with a host function in it. Host functions live as long as
 * the guest, so those of callbacks that were freed are used again for others of their type.
 *
 * Source for the calling convention: WebAssembly/tool-conventions, BasicCABI.md.
 */
#ifndef GUEST_ABI_FFI_H
#define GUEST_ABI_FFI_H

#include "base/err.h"
#include "base/save.h"

struct guest;

/* A guest's callbacks; made when it makes the first one. */
struct ffi;

void ffi_free(struct ffi *ffi); /* may be NULL */

/* The callbacks that exist, for a snapshot: their places in the table and their types. Loading is
 * for a guest that has none, whose table is as large as it was. ERR_FORMAT, ERR_MEMORY. */
void ffi_save(const struct guest *guest, struct saving *out);
int ffi_load(struct guest *guest, struct loading *in, struct err *err);

#endif
