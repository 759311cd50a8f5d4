/*
 * The WebAssembly engine, as narrow as the guest needs it. Runs in `vitrine-cell` and
 * `vitrine-precompile`; engine.c is the only file that includes the engine's own headers.
 *
 * In the order of life: an engine holds settings; a module is compiled code; a store is one
 * guest's world and owns every instance, memory, table and function made in it. All of one store
 * is used from one thread. Sizes are in bytes unless a name says otherwise.
 *
 * Value types are written as letters: i (i32), j (i64), f (f32), d (f64), e (externref),
 * x (anything else); a signature is "params:results", such as "iij:i".
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct engine;
struct engine_module;
struct engine_store;

/* One wasm value without its type. References are opaque numbers; 0 is null. */
union engine_value {
    uint32_t i32;
    uint64_t i64;
    float f32;
    double f64;
    uint32_t ref;
    uint8_t v128[16];
};

/* A function, global, table, memory or tag of a store; plain data, valid as long as its store. */
struct engine_extern {
    uint64_t hidden[4];
};

enum engine_kind {
    ENGINE_FUNC,
    ENGINE_GLOBAL,
    ENGINE_TABLE,
    ENGINE_MEMORY,
    ENGINE_TAG,
    ENGINE_OTHER
};

enum { ENGINE_SIGNATURE_MAX = 64, ENGINE_VALUES_MAX = 32 };

/* An import or export as the module declares it. Names are borrowed from the module. */
struct engine_item {
    struct span module; /* empty for exports */
    struct span name;
    enum engine_kind kind;
    char signature[ENGINE_SIGNATURE_MAX]; /* functions; "" when it does not fit */
};

/*
 * A function that the host gives to the guest. `values` holds the parameters on entry and, from
 * index 0, the results on return. Returns 0, or -1 to unwind the guest: the engine_call under way
 * then fails with ERR_TRAP and "stopped by the host".
 */
typedef int (*engine_host_fn)(void *context, union engine_value *values);

/* "wasmtime 50.0.1". Static. */
const char *engine_version(void);

/* parallel: compile on all cores (never in a process that will fork). Owned by the caller. */
int engine_new(bool parallel, struct engine **out, struct err *err);
void engine_free(struct engine *engine);

/* Compiles wasm to native code that engine_module_open can map. ERR_ENGINE names the reason. */
int engine_compile(struct engine *engine, struct span wasm, struct buf *out, struct err *err);

/* Maps a file that engine_compile made, on this kind of processor and with these settings;
 * anything else is refused. The file must never be changed in place. Owned by the caller. */
int engine_module_open(struct engine *engine, const char *path, struct engine_module **out,
                       struct err *err);
void engine_module_free(struct engine_module *module);
/* For a process that will fork: lays the module's machine code on pages of its own, huge ones where
 * there are such, so that no child needs to look for them one by one. -1: the code is where it was.
 */
int engine_module_settle(struct engine_module *module, struct err *err);

size_t engine_import_count(const struct engine_module *module);
/* index < engine_import_count(module) */
struct engine_item engine_import_at(const struct engine_module *module, size_t index);

/* A store whose memories may grow up to memory_bytes_max each, and whose tables up to
 * LIMIT_GUEST_TABLE_ENTRIES_MAX. Owned by the caller. */
int engine_store_new(struct engine *engine, uint64_t memory_bytes_max, struct engine_store **out,
                     struct err *err);
void engine_store_free(struct engine_store *store);

/* A host function of exactly the type of a module's import. */
int engine_func_for_import(struct engine_store *store, const struct engine_module *module,
                           size_t index, engine_host_fn fn, void *context,
                           struct engine_extern *out, struct err *err);

/*
 * A host function of the type that `signature` tells, of i, j, f and d. A table may hold it; a
 * module may call it from there if the module was compiled with calls of that type, so that making
 * one never makes machine code. ERR_FORMAT when the signature is none, ERR_LIMIT when it is too
 * long for the engine. It lives as long as the store.
 */
int engine_func_new(struct engine_store *store, const char *signature, engine_host_fn fn,
                    void *context, struct engine_extern *out, struct err *err);

/* Writes a function's signature; false when it does not fit. */
bool engine_func_signature(struct engine_store *store, const struct engine_extern *function,
                           char *out, size_t size);

/* A global with a value, as a module's import wants it: mutable or not. ERR_FORMAT when that import
 * is no i32 global. */
int engine_global_for_import(struct engine_store *store, const struct engine_module *module,
                             size_t index, uint32_t value, struct engine_extern *out,
                             struct err *err);
/* Of an i32 global; to be set, it must be mutable. */
uint32_t engine_global_get_i32(struct engine_store *store, const struct engine_extern *global);
void engine_global_set_i32(struct engine_store *store, const struct engine_extern *global,
                           uint32_t value);

/* An instance is known by its number in the store. `imports` has engine_import_count entries. -1:
 * ERR_LIMIT (LIMIT_INSTANCES_MAX), ERR_ENGINE when an import does not fit, ERR_TRAP when the
 * module's segments do not fit or its start function trapped. */
int engine_instantiate(struct engine_store *store, const struct engine_module *module,
                       const struct engine_extern *imports, size_t *instance, struct err *err);

/* False when the instance has no such export of that kind. */
bool engine_export(struct engine_store *store, size_t instance, const char *name,
                   enum engine_kind kind, struct engine_extern *out);

/* Calls a function. `values` has the parameters, then the results, and room for the larger of
 * both. -1: ERR_TRAP with the reason (the store must not be called again). A host function may call
 * too; LIMIT_HOST_CALL_DEPTH of such calls in each other are a trap. */
int engine_call(struct engine_store *store, const struct engine_extern *function,
                union engine_value *values, size_t count, struct err *err);

/* Calls entry `index` of a table when it has exactly the given signature; otherwise, and for an
 * entry that is not there, ERR_TRAP. `values` as for engine_call. */
int engine_call_table(struct engine_store *store, const struct engine_extern *table, uint32_t index,
                      const char *signature, union engine_value *values, struct err *err);

/* The function at `index` of a table; false when there is none. */
bool engine_table_get(struct engine_store *store, const struct engine_extern *table, uint32_t index,
                      struct engine_extern *out);
/* Puts a function into a table, or nothing (NULL). -1: ERR_LIMIT when the table is not so long. */
int engine_table_set(struct engine_store *store, const struct engine_extern *table, uint32_t index,
                     const struct engine_extern *function, struct err *err);
uint32_t engine_table_size(struct engine_store *store, const struct engine_extern *table);
/* For a process that will fork: makes what the engine makes of an entry when it is first used. */
void engine_table_settle(struct engine_store *store, const struct engine_extern *table);
/* Appends `count` empty entries; *base is the place of the first. */
int engine_table_grow(struct engine_store *store, const struct engine_extern *table, uint32_t count,
                      uint32_t *base, struct err *err);
/* Appends one function to a table; *index is its place. */
int engine_table_append(struct engine_store *store, const struct engine_extern *table,
                        const struct engine_extern *function, uint32_t *index, struct err *err);

/* Where a memory is now. The pointer is stale after any call into the guest or a growth. */
struct span engine_memory(struct engine_store *store, const struct engine_extern *memory);
/* Grows to at least `bytes`; 0, or -1 when a limit or the system refuses. */
int engine_memory_grow(struct engine_store *store, const struct engine_extern *memory,
                       uint64_t bytes);
/* For a process that is about to fork, once: lays the memory out so that it is cheap to share and
 * to let go of (pages.h). It stays where it is, and grows as before. -1: ERR_SYSTEM, and nothing
 * has changed. */
int engine_memory_settle(struct engine_store *store, const struct engine_extern *memory,
                         struct err *err);
/* For a process that will fork when there is much in its memory: what comes beyond what is there,
 * up to `bytes` in all, is to be cheap to share. */
void engine_memory_prepare(struct engine_store *store, const struct engine_extern *memory,
                           uint64_t bytes);

#endif
