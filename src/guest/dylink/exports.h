/*
 * Takes exports out of a WebAssembly module, and adds some. Runs in `vitrine-precompile`.
 *
 * The core exports more than 8,000 functions and addresses for side modules; the engine reads and
 * prepares each of them at every start, which costs milliseconds. What is
 * added are globals that hold a part of a guest's state and that nobody else had to know of. Bytes
 * in, bytes out; the module is otherwise copied as it is.
 */
#ifndef GUEST_DYLINK_EXPORTS_H
#define GUEST_DYLINK_EXPORTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* The names of added exports: this, and a number from 0 on. */
#define EXPORTS_VARIABLE "vitrine.variable."

/*
 * Appends `module` to `out` without those exports of functions and globals whose name is not in
 * `keep` (NULL-terminated; borrowed). Memories, tables and tags stay. `variables` (of uint32_t) are
 * indexes of globals that are exported in addition. -1: ERR_FORMAT when the module is malformed,
 * ERR_MISSING when it lacks a name of `keep`, ERR_LIMIT when `out` is full.
 */
int exports_keep(struct span module, const char *const *keep, const struct buf *variables,
                 struct buf *out, struct err *err);

#endif
