/*
 * The side modules of a wheel: each prepared for linking by arithmetic, compiled to machine code,
 * and written as SUM.cwasm. Runs in the jail of a build, on all cores.
 */
#ifndef BUILDER_WHEEL_MODULES_H
#define BUILDER_WHEEL_MODULES_H

#include "base/buf.h"
#include "base/err.h"
#include "guest/dylink/record.h"
#include "wheel/sum.h"
#include "wheel/wheel.h"

struct wheel_module {
    size_t index; /* in the wheel */
    uint64_t size;
    char sum[SUM_SHA256_HEX_CHARS + 1];
    struct buf record; /* owned; what stands in the place of the file */
};

struct wheel_modules {
    struct wheel_module *items; /* in the order of their place in the wheel */
    size_t count;
};

/* `items` have index and size, the rest is filled in. -1 with the first error: ERR_FORMAT when a
 * file is no WebAssembly or no side module, ERR_ENGINE when the engine refuses it. */
int wheel_modules_build(const struct wheel *wheel, const struct record *core, const char *out_dir,
                        struct wheel_modules *modules, struct err *err);

/* Appends a line "SUM SUM.cwasm" for each, sorted, each once. 0 or -1. */
int wheel_modules_list(const struct wheel_modules *modules, struct buf *out);

void wheel_modules_free(struct wheel_modules *modules);

#endif
