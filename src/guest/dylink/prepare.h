/*
 * From a module as the toolchain wrote it to one that is linked by arithmetic (record.h). Runs in
 * `vitrine-precompile`, never while a guest runs. Bytes in, bytes out; the input may be hostile.
 *
 * What it does to a side module, in this order:
 *   - lowers legacy exceptions (lower.h);
 *   - binds to itself what a side module imports from "env" and exports too with the same type,
 *     unless the core exports it: calls, ref.func and element segments then name the module's own
 *     function, so that no call (and no exception) passes through the host; the import is taken
 *     out;
 *   - gives every exported function that has no place in the table one behind those that dylink.0
 *     asks for, in an element segment of its own (so that the table has it from the start, and a
 *     function has one address only);
 *   - takes out all exports of functions and globals but __wasm_apply_data_relocs and
 *     __wasm_call_ctors, which are no symbols, and all custom sections;
 *   - reads the section dylink.0 into the record. Exported globals become symbols if they are
 *     constants that lie at an offset from the memory base: not mutable, thread-local or absolute.
 * The core keeps the exports that the guest names, gets the same places for its functions, and its
 * table starts larger by as many. Its mutable globals, which must be i32, are exported under the
 * names of exports.h: they are a part of a guest's state.
 *
 * Source for dylink.0: WebAssembly/tool-conventions, DynamicLinking.md.
 */
#ifndef GUEST_DYLINK_PREPARE_H
#define GUEST_DYLINK_PREPARE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "guest/dylink/record.h"

/* Appends the prepared module and its record. `keep`: as for exports_keep. -1: ERR_FORMAT,
 * ERR_LIMIT, ERR_MISSING, ERR_MEMORY; the buffers are then as they were. */
int prepare_core(struct span wasm, const char *const *keep, struct buf *module, struct buf *record,
                 struct err *err);

/* `core` is the core's record; `sum` the SHA-256 of `wasm`, RECORD_SUM_BYTES, which the caller
 * computes. A module without dylink.0, or whose dylink.0 asks for more than a guest may have, is
 * ERR_FORMAT or ERR_LIMIT. */
int prepare_side(struct span wasm, const struct record *core, struct span sum, struct buf *module,
                 struct buf *record, struct err *err);

#endif
