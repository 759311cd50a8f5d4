/* What the parts of the loader share; private to loader.c and link.c. */
#ifndef GUEST_DYLINK_LOADER_STATE_H
#define GUEST_DYLINK_LOADER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "guest/dylink/modules.h"
#include "guest/dylink/record.h"

struct abi_missing;
struct abi_row;
struct guest;

enum library_state { LIBRARY_GONE, LIBRARY_LOADING, LIBRARY_READY };

struct library {
    enum library_state state;
    uint64_t dev; /* of the file it came from */
    uint64_t ino;
    char *path;       /* owned; absolute */
    struct buf bytes; /* the file: the guest may change its own */
    struct record record;
    uint32_t memory_base;
    uint32_t table_base;
    bool global;
    struct buf scope; /* of uint32_t: the libraries it needs, and what those need, nearest first */
};

struct loader {
    struct modules *modules;
    struct span core_bytes; /* a mapped file */
    struct record core;
    size_t record_bytes;  /* of all libraries' records */
    struct buf libraries; /* of struct library *, owned; a number stays the same library's */
    struct buf globals;   /* of uint32_t: those opened RTLD_GLOBAL, in that order */
    struct buf platform;  /* of struct platform_function */
    struct buf missing;   /* of struct abi_missing *, owned; the engine holds their addresses */
    struct buf history;   /* of uint32_t: what was done to libraries, in that order */
};

/* In the history: a library's number when it was linked, the same with this bit when it became
 * global. What a name leads to depends on both. */
#define HISTORY_GLOBAL 0x80000000u

/* A function of the platform that has an address, because somebody asked for it. */
struct platform_function {
    const struct abi_row *row;
    uint32_t table_index;
};

struct library *loader_library(const struct loader *loader, uint32_t number);

/* Where the library's own symbol is; false when it does not define the name. */
bool library_symbol(const struct library *library, struct span name, struct record_symbol *out);

/* Links and starts a library whose needs are there. As loader_open. */
int link_library(struct guest *guest, struct library *library, struct err *err);

/* Links a library that has its place in memory and table; its memory is somebody else's to fill. */
int link_library_again(struct guest *guest, const struct library *library, struct err *err);

/* Reads the file at `path` into a new library. As library_open in loader.c. */
int loader_library_read(struct guest *guest, struct span path, struct library **out,
                        struct err *err);

/* A new library of bytes that no file has any more; `dev` and `ino` are those of the file. */
int loader_library_put(struct guest *guest, struct span path, struct span bytes, uint64_t dev,
                       uint64_t ino, struct library **out, struct err *err);

/* A number that belongs to no library any more. */
int loader_library_skip(struct guest *guest, struct err *err);

/* Finds a name of somebody else's than `library` (which may be NULL: dlsym of the main program) and
 * the core: global libraries, then its scope. */
bool link_find_around(const struct loader *loader, const struct library *library, struct span name,
                      struct record_symbol *out);

/* The same in its scope alone. */
bool link_find_needed(const struct loader *loader, const struct library *library, struct span name,
                      struct record_symbol *out);

/* Finds a name of the platform and gives it an address; false when there is none. */
bool link_find_platform(struct guest *guest, struct span name, uint32_t *address);

#endif
