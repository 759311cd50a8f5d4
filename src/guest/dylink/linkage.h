/*
 * What linking must know of a module: its imports, exports, constants, and which place in the
 * function table each function has. Borrows the module.
 */
#ifndef GUEST_DYLINK_LINKAGE_H
#define GUEST_DYLINK_LINKAGE_H

#include "guest/dylink/record.h"
#include "guest/dylink/wasm_module.h"

#define LINKAGE_NONE  UINT32_MAX
#define LINKAGE_TABLE "__indirect_function_table"

/* WebAssembly core specification, 5.5.5: kinds of imports and exports. */
enum linkage_kind {
    LINKAGE_FUNCTION = 0,
    LINKAGE_TABLE_KIND = 1,
    LINKAGE_MEMORY = 2,
    LINKAGE_GLOBAL = 3,
    LINKAGE_TAG = 4,
};

struct linkage_import {
    struct span module;
    struct span name;
    uint8_t kind;
    uint32_t type; /* of a function */
};

struct linkage_export {
    struct span name;
    uint8_t kind;
    uint32_t index;
};

struct linkage_global {
    bool is_constant; /* an i32 that never changes and has a literal value */
    bool is_mutable;
    bool is_i32;
    uint32_t value;
};

struct linkage {
    struct wasm_module module;
    struct buf imports;                      /* of struct linkage_import */
    struct buf exports;                      /* of struct linkage_export, in the module's order */
    struct buf sorted;                       /* the same, by name */
    struct buf globals;                      /* of struct linkage_global, imported ones first */
    uint32_t import_counts[LINKAGE_TAG + 1]; /* by kind */
    uint32_t function_count;                 /* imported ones too */
    uint32_t own_tables;                     /* tables that the module defines */
    uint32_t table;      /* index of the function table: imported from env, or else exported */
    uint32_t table_min;  /* entries it starts with, if it is the module's own */
    uint32_t table_base; /* index of the imported global env.__table_base, or LINKAGE_NONE */
    struct buf targets;  /* of uint32_t, by function: which function it stands for, first itself */
    struct buf places;   /* of uint32_t, by function: its place, or LINKAGE_NONE */
    struct buf new_places; /* of uint32_t: functions that got a place behind the others */
};

/* Reads it all; no function has a place yet. Free with linkage_free also after an error. -1:
 * ERR_FORMAT, ERR_LIMIT, ERR_MEMORY. */
int linkage_read(struct linkage *linkage, struct span wasm, struct err *err);
void linkage_free(struct linkage *linkage);

/* An export by its name, or NULL. */
const struct linkage_export *linkage_export(const struct linkage *linkage, struct span name);

/* Whether two types are surely the same function type. */
bool linkage_same_type(const struct linkage *linkage, uint32_t a, uint32_t b);

/* The type of a function, LINKAGE_NONE when there is no such function. */
uint32_t linkage_function_type(const struct linkage *linkage, uint32_t function);

/* Makes imports from env stand for the module's own exports of the same name, unless the core has
 * a function of that name too. */
void linkage_bind_to_self(struct linkage *linkage, const struct record *core);

/* Finds the places below `entries` that active element segments give. With `relative`, segments
 * begin at env.__table_base, else at a literal place. -1: ERR_FORMAT. */
int linkage_find_places(struct linkage *linkage, bool relative, uint32_t entries, struct err *err);

/* Gives the function a place, from `entries` on, unless it has one; its place. -1: ERR_LIMIT past
 * LIMIT_SIDE_TABLE_ENTRIES_MAX. */
int linkage_place(struct linkage *linkage, uint32_t function, uint32_t entries, uint32_t *place,
                  struct err *err);

/* The number at `index` of an array of uint32_t in a buffer, which must have it. */
static inline uint32_t *linkage_at(const struct buf *numbers, uint32_t index)
{
    return (uint32_t *)(void *)numbers->base + index;
}

#endif
