/* Libraries in a snapshot: which files, where they lie in memory and table, and in which order they
 * were linked. The engine's side of them is made anew; their data is in the guest's memory. */
#include <string.h>

#include "base/limits.h"
#include "guest/abi/abi.h"
#include "guest/dylink/loader.h"
#include "guest/dylink/loader_state.h"
#include "guest/state.h"

uint32_t loader_count(const struct loader *loader)
{
    return (uint32_t)(loader->libraries.len / sizeof(struct library *));
}

static uint32_t numbers_count(const struct buf *numbers)
{
    return (uint32_t)(numbers->len / sizeof(uint32_t));
}

static uint32_t number_at(const struct buf *numbers, uint32_t index)
{
    return ((const uint32_t *)(const void *)numbers->base)[index];
}

/* ---- Saving ---------------------------------------------------------------------------------- */

/* The file may be the guest's own, and another one by now. */
static int file_check(struct guest *guest, const struct library *library, struct err *err)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, LIMIT_LINK_RECORD_BYTES_MAX);
    return vfs_load(guest->vfs, span_of(library->path), &bytes) == 0 &&
                   span_equal(buf_span(&bytes), buf_span(&library->bytes))
               ? 0
               : err_set(err, ERR_USAGE, "%s is not what was loaded", library->path);
}

static int library_save(struct guest *guest, const struct library *library, struct saving *out,
                        struct err *err)
{
    if (library->state != LIBRARY_READY) {
        return err_set(err, ERR_USAGE, "a library was not loaded");
    }
    if (file_check(guest, library, err) != 0) {
        return -1;
    }
    save_bytes(out, span_of(library->path));
    save_u32(out, library->memory_base);
    save_u32(out, library->table_base);
    save_u32(out, numbers_count(&library->scope));
    for (uint32_t i = 0; i < numbers_count(&library->scope); i++) {
        save_u32(out, number_at(&library->scope, i));
    }
    return 0;
}

static void platform_save(const struct loader *loader, struct saving *out)
{
    const struct platform_function *functions =
        (const struct platform_function *)(const void *)loader->platform.base;
    const uint32_t count = (uint32_t)(loader->platform.len / sizeof *functions);
    save_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        save_bytes(out, span_of(functions[i].row->name));
        save_u32(out, functions[i].table_index);
    }
}

int loader_save(struct guest *guest, struct saving *out, struct err *err)
{
    const struct loader *loader = guest->loader;
    save_u32(out, loader_count(loader));
    for (uint32_t i = 0; i < loader_count(loader); i++) {
        if (library_save(guest, loader_library(loader, i), out, err) != 0) {
            return -1;
        }
    }
    platform_save(loader, out);
    save_u32(out, numbers_count(&loader->history));
    for (uint32_t i = 0; i < numbers_count(&loader->history); i++) {
        save_u32(out, number_at(&loader->history, i));
    }
    return 0;
}

/* ---- Loading --------------------------------------------------------------------------------- */

static int damaged(struct err *err)
{
    return err_set(err, ERR_FORMAT, "the list of libraries is damaged");
}

static int scope_load(struct library *library, uint32_t count, struct loading *in, struct err *err)
{
    const uint32_t needed_count = load_count(in, count);
    for (uint32_t i = 0; i < needed_count && !in->is_bad; i++) {
        const uint32_t number = load_u32(in);
        if (number >= count || buf_append(&library->scope, &number, sizeof number) != 0) {
            return damaged(err);
        }
    }
    return 0;
}

/* Its places are what they were if they lie where it can write at all; its data is its own. */
static int library_load(struct guest *guest, uint32_t count, struct loading *in, struct err *err)
{
    struct library *library;
    const struct span path = load_bytes(in, LIMIT_PATH_BYTES_MAX - 1);
    const uint32_t memory_base = load_u32(in);
    const uint32_t table_base = load_u32(in);
    if (in->is_bad || path.len == 0 || path.base[0] != '/') {
        return damaged(err);
    }
    if (loader_library_read(guest, path, &library, err) != 0) {
        return -1;
    }
    library->memory_base = memory_base;
    library->table_base = table_base;
    const uint32_t table_size = engine_table_size(guest->store, &guest->table);
    if (guest_memory_at(guest, guest_addr(memory_base), library->record.memory_bytes) == NULL ||
        table_base > table_size || library->record.table_entries > table_size - table_base) {
        return damaged(err);
    }
    return scope_load(library, count, in, err);
}

/* Makes the platform's functions that have addresses, at these addresses. */
static int platform_load(struct guest *guest, struct loading *in, struct err *err)
{
    const uint32_t count = load_count(in, LIMIT_PLATFORM_FUNCTIONS_MAX);
    for (uint32_t i = 0; i < count && !in->is_bad; i++) {
        struct engine_extern host;
        struct platform_function function = {
            .row = abi_find(load_bytes(in, LIMIT_NAME_BYTES_MAX)),
        };
        function.table_index = load_u32(in);
        if (function.row == NULL) {
            return damaged(err);
        }
        if (engine_func_new(guest->store, function.row->signature, function.row->fn, guest, &host,
                            err) != 0 ||
            engine_table_set(guest->store, &guest->table, function.table_index, &host, err) != 0) {
            return -1;
        }
        if (buf_append(&guest->loader->platform, &function, sizeof function) != 0) {
            return damaged(err);
        }
    }
    return 0;
}

static int link_again(struct guest *guest, struct library *library, struct err *err)
{
    if (library->state != LIBRARY_LOADING) {
        return damaged(err);
    }
    if (link_library_again(guest, library, err) != 0) {
        return err_prefix(err, "%s", library->path);
    }
    library->state = LIBRARY_READY;
    return 0;
}

static int make_global_again(struct loader *loader, uint32_t number, struct err *err)
{
    struct library *library = loader_library(loader, number);
    if (library->state != LIBRARY_READY || library->global ||
        buf_append(&loader->globals, &number, sizeof number) != 0) {
        return damaged(err);
    }
    library->global = true;
    return 0;
}

static int history_load(struct guest *guest, struct loading *in, struct err *err)
{
    struct loader *loader = guest->loader;
    const uint32_t count = load_count(in, 2 * LIMIT_LIBRARIES_MAX);
    for (uint32_t i = 0; i < count && !in->is_bad; i++) {
        const uint32_t event = load_u32(in);
        const uint32_t number = event & ~HISTORY_GLOBAL;
        if (number >= loader_count(loader) ||
            buf_append(&loader->history, &event, sizeof event) != 0) {
            return damaged(err);
        }
        if ((event & HISTORY_GLOBAL) == 0
                ? link_again(guest, loader_library(loader, number), err) != 0
                : make_global_again(loader, number, err) != 0) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < loader_count(loader); i++) {
        if (loader_library(loader, i)->state != LIBRARY_READY) {
            return damaged(err);
        }
    }
    return 0;
}

int loader_load(struct guest *guest, struct loading *in, struct err *err)
{
    const uint32_t table_size = engine_table_size(guest->store, &guest->table);
    const uint32_t count = load_count(in, LIMIT_LIBRARIES_MAX);
    for (uint32_t i = 0; i < count && !in->is_bad; i++) {
        if (library_load(guest, count, in, err) != 0) {
            return -1;
        }
    }
    if (platform_load(guest, in, err) != 0 || history_load(guest, in, err) != 0) {
        return -1;
    }
    /* An address that was not there before is one that nobody knows. */
    return engine_table_size(guest->store, &guest->table) == table_size ? 0 : damaged(err);
}
