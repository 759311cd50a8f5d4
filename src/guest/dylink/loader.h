/*
 * Side modules at run time: dlopen and dlsym of a guest. Runs in `vitrine-cell`, in a cell or in
 * the zygote.
 *
 * A library is a file with a link record (record.h) in the guest's file system. The record names a
 * precompiled module by its sum; the host has it mapped (modules.h). Loading is: the libraries it
 * needs, memory from the guest's heap, a piece of the table, the addresses of what it imports,
 * instantiation, relocations, constructors. It never makes machine code.
 *
 * A name is looked up in this order: the core; for addresses, the library itself; what the platform
 * has (abi.h); libraries opened RTLD_GLOBAL; the libraries it needs, nearest first. A weak address
 * that nobody has is 0; a function that nobody has is a stub that names itself when it is called;
 * any other name is an error.
 *
 * Records are the guest's word for nothing but itself: a wrong one can spoil its own memory, which
 * it could do anyway, and is otherwise an error.
 */
#ifndef GUEST_DYLINK_LOADER_H
#define GUEST_DYLINK_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/save.h"
#include "base/span.h"
#include "engine/engine.h"

struct guest;
struct loader;

/* Reads the core's record and opens the side modules of a list, which may be NULL. Owned by the
 * caller, freed before the engine. */
int loader_new(struct engine *engine, const char *symbols_path, const char *modules_path,
               struct loader **out, struct err *err);
void loader_free(struct loader *loader); /* may be NULL */

/* How many libraries have a number. */
uint32_t loader_count(const struct loader *loader);

/* Lets go of all libraries, for a store that is made anew. */
void loader_reset(struct loader *loader);

/*
 * What a snapshot needs to know of the libraries: the files that they come from, or their link
 * records where the guest has changed the files since. Loading links them again, in a guest with
 * the table size that there was; memory has to be put in place afterwards. ERR_FORMAT and those of
 * loader_open.
 */
int loader_save(struct guest *guest, struct saving *out, struct err *err);
int loader_load(struct guest *guest, struct loading *in, struct err *err);

/* The core and all libraries opened RTLD_GLOBAL, as dlopen(NULL) has it. */
#define LOADER_MAIN UINT32_MAX

/*
 * Opens a library; the same file is loaded once. `path` may be relative to the guest's working
 * directory. -1: ERR_MISSING, ERR_FORMAT, ERR_LIMIT, ERR_MEMORY, ERR_ENGINE for dlerror, with
 * nothing changed that matters; ERR_TRAP when the guest cannot go on.
 */
int loader_open(struct guest *guest, struct span path, bool global, uint32_t *library,
                struct err *err);

/* The address of a symbol of a library or one it needs: a table index for a function, an address in
 * memory for data. False when there is none. */
bool loader_find(struct guest *guest, uint32_t library, struct span name, uint32_t *address);

#endif
