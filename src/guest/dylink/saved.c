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

/* Where a library comes from again. */
enum saved_kind {
    SAVED_GONE, /* it could not be loaded: nothing but its number is left */
    SAVED_FILE, /* the file is still there */
    SAVED_BYTES /* the guest has put another one in its place, or none */
};

/* The file may be the guest's own, and another one by now. */
static bool file_is_same(struct guest *guest, const struct library *library)
{
    cleanup_buf struct buf bytes;
    buf_init(&bytes, LIMIT_LINK_RECORD_BYTES_MAX);
    return vfs_load(guest->vfs, span_of(library->path), &bytes) == 0 &&
           span_equal(buf_span(&bytes), buf_span(&library->bytes));
}

static int library_save(struct guest *guest, const struct library *library, struct saving *out,
                        struct err *err)
{
    if (library->state == LIBRARY_GONE) {
        save_u32(out, SAVED_GONE);
        return 0;
    }
    if (library->state != LIBRARY_READY) {
        return err_set(err, ERR_USAGE, "a library is being loaded");
    }
    const bool is_same = file_is_same(guest, library);
    save_u32(out, is_same ? SAVED_FILE : SAVED_BYTES);
    save_bytes(out, span_of(library->path));
    if (is_same) {
        save_bytes(out, library->record.sum);
        save_u64(out, library->bytes.len);
    } else {
        save_bytes(out, buf_span(&library->bytes));
        save_u64(out, library->dev);
        save_u64(out, library->ino);
    }
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

/* Of a file that is there: it has to be the one that was loaded. */
static int file_load(struct guest *guest, struct span path, struct loading *in,
                     struct library **out, struct err *err)
{
    const struct span sum = load_bytes(in, RECORD_SUM_BYTES);
    const uint64_t bytes = load_u64(in);
    if (in->is_bad) {
        return damaged(err);
    }
    if (loader_library_read(guest, path, out, err) != 0) {
        return -1;
    }
    return span_equal((*out)->record.sum, sum) && (*out)->bytes.len == bytes
               ? 0
               : err_set(err, ERR_FORMAT, "%s is another one here", (*out)->path);
}

static int bytes_load(struct guest *guest, struct span path, struct loading *in,
                      struct library **out, struct err *err)
{
    const struct span bytes = load_bytes(in, LIMIT_LINK_RECORD_BYTES_MAX);
    const uint64_t dev = load_u64(in);
    const uint64_t ino = load_u64(in);
    return in->is_bad ? damaged(err) : loader_library_put(guest, path, bytes, dev, ino, out, err);
}

/* Its places are what they were if they lie where it can write at all; its data is its own. */
static int places_load(struct guest *guest, struct library *library, struct loading *in,
                       struct err *err)
{
    const uint32_t table_size = engine_table_size(guest->store, &guest->table);
    library->memory_base = load_u32(in);
    library->table_base = load_u32(in);
    return !in->is_bad &&
                   guest_memory_at(guest, guest_addr(library->memory_base),
                                   library->record.memory_bytes) != NULL &&
                   library->table_base <= table_size &&
                   library->record.table_entries <= table_size - library->table_base
               ? 0
               : damaged(err);
}

static int library_load(struct guest *guest, uint32_t count, struct loading *in, struct err *err)
{
    struct library *library;
    const uint32_t kind = load_count(in, SAVED_BYTES);
    if (kind == SAVED_GONE) {
        return in->is_bad ? damaged(err) : loader_library_skip(guest, err);
    }
    const struct span path = load_bytes(in, LIMIT_PATH_BYTES_MAX - 1);
    if (in->is_bad || path.len == 0 || path.base[0] != '/' ||
        memchr(path.base, '\0', path.len) != NULL) {
        return damaged(err);
    }
    return (kind == SAVED_FILE ? file_load(guest, path, in, &library, err)
                               : bytes_load(guest, path, in, &library, err)) != 0 ||
                   places_load(guest, library, in, err) != 0
               ? -1
               : scope_load(library, count, in, err);
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
        if (loader_library(loader, i)->state == LIBRARY_LOADING) {
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
