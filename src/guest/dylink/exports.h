/*
 * Takes exports out of a WebAssembly module. Runs in `vitrine-precompile`.
 *
 * The core exports more than 8,000 functions and addresses for side modules; the engine reads and
 * prepares each of them at every start, which costs milliseconds. Bytes in, bytes out; the module
 * is otherwise copied as it is.
 */
#ifndef GUEST_DYLINK_EXPORTS_H
#define GUEST_DYLINK_EXPORTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/*
 * Appends `module` to `out` without those exports of functions and globals whose name is not in
 * `keep` (NULL-terminated; borrowed). Memories, tables and tags stay. -1: ERR_FORMAT when the
 * module is malformed, ERR_MISSING when it lacks a name of `keep`, ERR_LIMIT when `out` is full.
 */
int exports_keep(struct span module, const char *const *keep, struct buf *out, struct err *err);

#endif
