/*
 * The platform that the guest was compiled for (PEP 783's pyemscripten), one file for each family
 * of imports. Each family is a table of rows {name, signature, function}; abi_find looks a name up
 * in all of them. A function gets the guest as its context and its arguments in `values`, and
 * leaves its result in values[0].
 *
 * What crosses here comes from hostile code: pointers and lengths are checked by guest/memory.h,
 * numbers by the function itself. Results that are errors are negative for system calls and
 * positive for wasi_snapshot_preview1, in WASI's numbering (guest/vfs/errno.h) for both.
 */
#ifndef GUEST_ABI_ABI_H
#define GUEST_ABI_ABI_H

#include "base/span.h"
#include "engine/engine.h"

struct abi_row {
    const char *name;
    const char *signature; /* as engine.h writes them; checked against the module's */
    engine_host_fn fn;
};

/* The families. Each array ends with a row whose name is NULL. */
extern const struct abi_row abi_files[];
extern const struct abi_row abi_paths[];
extern const struct abi_row abi_memory[];
extern const struct abi_row abi_time[];
extern const struct abi_row abi_process[];
extern const struct abi_row abi_network[];
extern const struct abi_row abi_bridge[];
extern const struct abi_row abi_ffi[];
extern const struct abi_row abi_dlopen[];

/* The row for an import, or NULL when the platform does not have it. */
const struct abi_row *abi_find(struct span name);

/* Names an import that cannot work here in the outcome, and stops the guest: for what abi_find
 * does not know. `context` is a struct abi_missing that lives as long as the guest. */
struct abi_missing {
    struct guest *guest;
    char name[64];
};
int abi_call_missing(void *context, union engine_value *values);

/* Arguments and results, so that rows read alike. */
static inline int32_t abi_i32(union engine_value value)
{
    return (int32_t)value.i32;
}

static inline int abi_return(union engine_value *values, int64_t result)
{
    values[0].i32 = (uint32_t)(int32_t)result;
    return 0;
}

#endif
