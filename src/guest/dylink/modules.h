/*
 * The machine code of side modules that a guest may load: mapped when the guest boots, because a
 * cell neither opens host files nor maps executable memory. Found by the SHA-256 sum of the
 * WebAssembly module that it was made from, which a link record names.
 */
#ifndef GUEST_DYLINK_MODULES_H
#define GUEST_DYLINK_MODULES_H

#include "base/err.h"
#include "base/span.h"
#include "engine/engine.h"

struct modules;

/* Opens all modules of a list (guest.h says what it looks like), or none when `path` is NULL. Owned
 * by the caller; the engine must live longer. -1: ERR_MISSING, ERR_FORMAT, ERR_LIMIT, ERR_ENGINE.
 */
int modules_open(struct engine *engine, const char *path, struct modules **out, struct err *err);
void modules_free(struct modules *modules); /* may be NULL */

/* The module with this sum (32 bytes), borrowed, or NULL. */
const struct engine_module *modules_find(const struct modules *modules, struct span sum);

#endif
