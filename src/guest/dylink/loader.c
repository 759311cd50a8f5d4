/* Libraries: which there are, which file each came from, what each needs. */
#include "guest/dylink/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/abi/abi.h"
#include "guest/dylink/loader_state.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"

/* Where a library is looked for last. */
#define SYSTEM_FOLDER "/usr/lib"

/* A library whose needs are being loaded. */
struct frame {
    uint32_t library;
    uint32_t next_needed;
};

/* ---- Life -------------------------------------------------------------------------------------
 */

static int core_record_read(struct loader *loader, const char *path, struct err *err)
{
    return fd_map_file(path, &loader->core_bytes, err) != 0 ||
                   record_open(loader->core_bytes, &loader->core, err) != 0
               ? err_prefix(err, "%s", path)
               : 0;
}

int loader_new(struct engine *engine, const char *symbols_path, const char *modules_path,
               struct loader **out, struct err *err)
{
    struct loader *loader = calloc(1, sizeof *loader);
    if (loader == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the loader");
    }
    buf_init(&loader->libraries, LIMIT_LIBRARIES_MAX * sizeof(struct library *));
    buf_init(&loader->globals, LIMIT_LIBRARIES_MAX * sizeof(uint32_t));
    buf_init(&loader->platform, LIMIT_PLATFORM_FUNCTIONS_MAX * sizeof(struct platform_function));
    buf_init(&loader->missing, LIMIT_MISSING_FUNCTIONS_MAX * sizeof(struct abi_missing *));
    buf_init(&loader->history, 2 * LIMIT_LIBRARIES_MAX * sizeof(uint32_t));
    if (core_record_read(loader, symbols_path, err) != 0 ||
        modules_open(engine, modules_path, &loader->modules, err) != 0) {
        loader_free(loader);
        return -1;
    }
    *out = loader;
    return 0;
}

static void library_empty(struct loader *loader, struct library *library)
{
    loader->record_bytes -= library->bytes.len;
    free(library->path);
    library->path = NULL;
    buf_free(&library->bytes);
    buf_free(&library->scope);
    library->record = (struct record){.symbol_count = 0};
    library->state = LIBRARY_GONE;
}

void loader_reset(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->libraries.len / sizeof(struct library *); i++) {
        struct library *library = loader_library(loader, i);
        library_empty(loader, library);
        free(library);
    }
    struct abi_missing **missing = (struct abi_missing **)(void *)loader->missing.base;
    for (size_t i = 0; i < loader->missing.len / sizeof *missing; i++) {
        free(missing[i]);
    }
    buf_free(&loader->libraries);
    buf_free(&loader->globals);
    buf_free(&loader->platform);
    buf_free(&loader->missing);
    buf_free(&loader->history);
}

void loader_free(struct loader *loader)
{
    if (loader == NULL) {
        return;
    }
    loader_reset(loader);
    if (loader->core_bytes.base != NULL) {
        munmap((void *)(uintptr_t)loader->core_bytes.base, loader->core_bytes.len);
    }
    modules_free(loader->modules);
    free(loader);
}

struct library *loader_library(const struct loader *loader, uint32_t number)
{
    return ((struct library **)(void *)loader->libraries.base)[number];
}

/* ---- Files ------------------------------------------------------------------------------------
 */

static int no_file(struct span path, int status, struct err *err)
{
    const int len = (int)(path.len < 300 ? path.len : 300);
    if (status == -GUEST_ENOENT || status == -GUEST_ENOTDIR) {
        return err_set(err, ERR_MISSING,
                       "%.*s: cannot open shared object file: No such file or directory", len,
                       path.base);
    }
    return err_set(err, ERR_FORMAT, "%.*s: cannot read shared object file (error %d)", len,
                   path.base, -status);
}

/* The path from the root, so that $ORIGIN means the same after a chdir. Owned by the caller. */
static char *path_absolute(struct guest *guest, struct span path)
{
    char folder[LIMIT_PATH_BYTES_MAX];
    int64_t len = 0;
    if (path.len == 0 || path.base[0] != '/') {
        len = vfs_getcwd(guest->vfs, folder, sizeof folder) - 1;
    }
    if (len < 0 || path.len >= LIMIT_PATH_BYTES_MAX) {
        return NULL;
    }
    const char *between = len > 0 && folder[len - 1] != '/' ? "/" : "";
    const size_t size = (size_t)len + 1 + path.len + 1;
    char *whole = malloc(size);
    if (whole != NULL) {
        snprintf(whole, size, "%.*s%s%.*s", (int)len, folder, between, (int)path.len, path.base);
    }
    return whole;
}

/* Adds a library that has nothing yet but its number. */
static struct library *library_add(struct loader *loader, uint32_t *number, struct err *err)
{
    struct library *library = calloc(1, sizeof *library);
    *number = (uint32_t)(loader->libraries.len / sizeof library);
    if (library == NULL || buf_append(&loader->libraries, &library, sizeof library) != 0) {
        free(library);
        err_set(err, ERR_LIMIT, "more than %u libraries", LIMIT_LIBRARIES_MAX);
        return NULL;
    }
    library->state = LIBRARY_GONE;
    buf_init(&library->bytes, LIMIT_LINK_RECORD_BYTES_MAX);
    buf_init(&library->scope, LIMIT_LIBRARIES_MAX * sizeof(uint32_t));
    return library;
}

static int library_read(struct guest *guest, struct span path, const struct vfs_stat *stat,
                        struct library *library, struct err *err)
{
    struct loader *loader = guest->loader;
    if (stat->size > LIMIT_LINK_RECORD_BYTES_MAX ||
        stat->size > LIMIT_LINK_RECORDS_BYTES_MAX - loader->record_bytes) {
        return err_set(err, ERR_LIMIT, "%.*s: too large for a side module of this guest",
                       (int)(path.len < 300 ? path.len : 300), path.base);
    }
    int status = vfs_load(guest->vfs, path, &library->bytes);
    if (status != 0) {
        return no_file(path, status, err);
    }
    loader->record_bytes += library->bytes.len;
    library->path = path_absolute(guest, path);
    if (library->path == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a path");
    }
    if (record_open(buf_span(&library->bytes), &library->record, err) != 0) {
        return err_prefix(err, "%s: not a side module prepared for this guest", library->path);
    }
    return 0;
}

/* Finds the library that came from this file, or reads the file into a new one: *made then. */
static int library_open(struct guest *guest, struct span path, uint32_t *number, bool *made,
                        struct err *err)
{
    struct loader *loader = guest->loader;
    struct vfs_stat stat;
    int status = vfs_stat(guest->vfs, VFS_AT_FDCWD, path, 0, &stat);
    if (status != 0) {
        return no_file(path, status, err);
    }
    *made = false;
    for (*number = 0; *number < loader->libraries.len / sizeof(struct library *); (*number)++) {
        const struct library *known = loader_library(loader, *number);
        if (known->state != LIBRARY_GONE && known->dev == stat.dev && known->ino == stat.ino) {
            return 0;
        }
    }
    struct library *library = library_add(loader, number, err);
    if (library == NULL) {
        return -1;
    }
    if (library_read(guest, path, &stat, library, err) != 0) {
        library_empty(loader, library);
        return -1;
    }
    library->dev = stat.dev;
    library->ino = stat.ino;
    library->state = LIBRARY_LOADING;
    *made = true;
    return 0;
}

int loader_library_read(struct guest *guest, struct span path, struct library **out,
                        struct err *err)
{
    uint32_t number;
    bool made;
    if (library_open(guest, path, &number, &made, err) != 0) {
        return -1;
    }
    *out = loader_library(guest->loader, number);
    return made ? 0 : err_set(err, ERR_FORMAT, "a library that is there twice");
}

int loader_library_put(struct guest *guest, struct span path, struct span bytes, uint64_t dev,
                       uint64_t ino, struct library **out, struct err *err)
{
    uint32_t number;
    struct loader *loader = guest->loader;
    struct library *library = *out = library_add(loader, &number, err);
    if (library == NULL) {
        return -1;
    }
    if (bytes.len > LIMIT_LINK_RECORDS_BYTES_MAX - loader->record_bytes ||
        buf_append(&library->bytes, bytes.base, bytes.len) != 0 ||
        (library->path = strndup(path.base, path.len)) == NULL) {
        return err_set(err, ERR_LIMIT, "libraries that are too large");
    }
    loader->record_bytes += bytes.len;
    library->dev = dev;
    library->ino = ino;
    library->state = LIBRARY_LOADING;
    return record_open(buf_span(&library->bytes), &library->record, err);
}

int loader_library_skip(struct guest *guest, struct err *err)
{
    uint32_t number;
    return library_add(guest->loader, &number, err) != NULL ? 0 : -1;
}

/* ---- Needed libraries -------------------------------------------------------------------------
 */

static struct span folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return (struct span){path, slash == NULL ? 0 : (size_t)(slash - path)};
}

/* Tries FOLDER/NAME, where FOLDER may begin with $ORIGIN: the folder of the library itself. 0; 1
 * when it is not there; -1 when it is and cannot be used. */
static int folder_try(struct guest *guest, const struct library *library, struct span folder,
                      struct span name, uint32_t *number, bool *made, struct err *err)
{
    static const char origin[] = "$ORIGIN";
    char path[LIMIT_PATH_BYTES_MAX];
    struct span before = {"", 0};
    if (folder.len >= LIMIT_PATH_BYTES_MAX) {
        return 1;
    }
    if (folder.len >= sizeof origin - 1 && memcmp(folder.base, origin, sizeof origin - 1) == 0) {
        before = folder_of(library->path);
        folder.base += sizeof origin - 1;
        folder.len -= sizeof origin - 1;
    }
    int len = snprintf(path, sizeof path, "%.*s%.*s/%.*s", (int)before.len, before.base,
                       (int)folder.len, folder.base, (int)name.len, name.base);
    if (len < 0 || (size_t)len >= sizeof path) {
        return 1;
    }
    if (library_open(guest, (struct span){path, (size_t)len}, number, made, err) == 0) {
        return 0;
    }
    return err->code == ERR_MISSING ? 1 : -1;
}

/* The same for a list of folders, with colons between. */
static int folders_try(struct guest *guest, const struct library *library, struct span list,
                       struct span name, uint32_t *number, bool *made, struct err *err)
{
    int result = 1;
    while (result > 0 && list.len > 0) {
        const char *colon = memchr(list.base, ':', list.len);
        const size_t len = colon == NULL ? list.len : (size_t)(colon - list.base);
        const size_t used = len + (colon == NULL ? 0 : 1);
        if (len > 0) {
            result =
                folder_try(guest, library, (struct span){list.base, len}, name, number, made, err);
        }
        list.base += used;
        list.len -= used;
    }
    return result;
}

/* Opens what `library` needs: by its run paths, then beside itself, then among the system's. */
static int needed_open(struct guest *guest, const struct library *library, struct span name,
                       uint32_t *number, bool *made, struct err *err)
{
    int result = 1;
    if (name.len == 0 || name.len >= LIMIT_PATH_BYTES_MAX ||
        memchr(name.base, '\0', name.len) != NULL) {
        return err_set(err, ERR_FORMAT, "%s: it needs a library without a name", library->path);
    }
    if (memchr(name.base, '/', name.len) != NULL) {
        return library_open(guest, name, number, made, err);
    }
    for (uint32_t i = 0; result > 0 && i < library->record.runpath_count; i++) {
        result = folders_try(guest, library, record_runpath(&library->record, i), name, number,
                             made, err);
    }
    if (result > 0) {
        result =
            folders_try(guest, library, span_of("$ORIGIN:" SYSTEM_FOLDER), name, number, made, err);
    }
    return result <= 0 ? result
                       : err_set(err, ERR_MISSING, "%s: it needs %.*s, which is not there",
                                 library->path, (int)(name.len < 200 ? name.len : 200), name.base);
}

/* ---- Trees ------------------------------------------------------------------------------------
 */

static int scope_add(struct library *library, uint32_t number, struct err *err)
{
    const uint32_t *scope = (const uint32_t *)(const void *)library->scope.base;
    for (size_t i = 0; i < library->scope.len / sizeof number; i++) {
        if (scope[i] == number) {
            return 0;
        }
    }
    return buf_append(&library->scope, &number, sizeof number) == 0
               ? 0
               : err_set(err, ERR_LIMIT, "it needs too many libraries");
}

/* What the libraries it needs need is behind them in its own scope. */
static int scope_complete(const struct loader *loader, struct library *library, struct err *err)
{
    const size_t direct = library->scope.len / sizeof(uint32_t);
    for (size_t i = 0; i < direct; i++) {
        const uint32_t needed = ((const uint32_t *)(void *)library->scope.base)[i];
        const struct buf *theirs = &loader_library(loader, needed)->scope;
        for (size_t j = 0; j < theirs->len / sizeof(uint32_t); j++) {
            const uint32_t number = ((const uint32_t *)(void *)theirs->base)[j];
            if (scope_add(library, number, err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int frame_push(struct buf *frames, uint32_t library, struct err *err)
{
    const struct frame frame = {.library = library};
    return buf_append(frames, &frame, sizeof frame) == 0
               ? 0
               : err_set(err, ERR_LIMIT, "too many libraries that need each other");
}

static int history_add(struct loader *loader, uint32_t event, struct err *err)
{
    return buf_append(&loader->history, &event, sizeof event) == 0
               ? 0
               : err_set(err, ERR_LIMIT, "too many libraries");
}

/* One step for the innermost library: opens the next one that it needs, or links it. */
static int tree_step(struct guest *guest, struct buf *frames, struct err *err)
{
    struct loader *loader = guest->loader;
    struct frame *frame =
        (struct frame *)(void *)(frames->base + frames->len - sizeof(struct frame));
    struct library *library = loader_library(loader, frame->library);
    if (frame->next_needed < library->record.needed_count) {
        uint32_t number;
        bool made;
        struct span name = record_needed(&library->record, frame->next_needed++);
        if (needed_open(guest, library, name, &number, &made, err) != 0 ||
            scope_add(library, number, err) != 0) {
            return -1;
        }
        return made ? frame_push(frames, number, err) : 0;
    }
    if (scope_complete(loader, library, err) != 0) {
        return -1;
    }
    if (link_library(guest, library, err) != 0) {
        return err_prefix(err, "%s", library->path);
    }
    library->state = LIBRARY_READY;
    const uint32_t number = frame->library;
    frames->len -= sizeof *frame;
    return history_add(loader, number, err);
}

/* Loads a new library, those it needs first. On an error, those of them that work stay. */
static int tree_load(struct guest *guest, uint32_t root, struct err *err)
{
    cleanup_buf struct buf frames;
    buf_init(&frames, LIMIT_LIBRARIES_MAX * sizeof(struct frame));
    int result = frame_push(&frames, root, err);
    while (result == 0 && frames.len > 0) {
        result = tree_step(guest, &frames, err);
    }
    for (size_t at = 0; at < frames.len; at += sizeof(struct frame)) {
        const struct frame *frame = (const struct frame *)(void *)(frames.base + at);
        library_empty(guest->loader, loader_library(guest->loader, frame->library));
    }
    return result;
}

/* Makes the names of a library, and of those it needs, everybody's. */
static int make_global(struct loader *loader, uint32_t number, struct err *err)
{
    const struct library *root = loader_library(loader, number);
    const size_t count = root->scope.len / sizeof number;
    for (size_t i = 0; i <= count; i++) {
        const uint32_t next =
            i == 0 ? number : ((const uint32_t *)(const void *)root->scope.base)[i - 1];
        struct library *library = loader_library(loader, next);
        if (!library->global) {
            if (buf_append(&loader->globals, &next, sizeof next) != 0) {
                return err_set(err, ERR_LIMIT, "too many global libraries");
            }
            library->global = true;
            if (history_add(loader, next | HISTORY_GLOBAL, err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

int loader_open(struct guest *guest, struct span path, bool global, uint32_t *library,
                struct err *err)
{
    bool made;
    if (library_open(guest, path, library, &made, err) != 0 ||
        (made && tree_load(guest, *library, err) != 0)) {
        return -1;
    }
    return global ? make_global(guest->loader, *library, err) : 0;
}

bool loader_find(struct guest *guest, uint32_t library, struct span name, uint32_t *address)
{
    const struct loader *loader = guest->loader;
    struct record_symbol symbol;
    if (library == LOADER_MAIN) {
        if (record_find(&loader->core, name, &symbol)) {
            *address = symbol.value;
            return true;
        }
        if (link_find_platform(guest, name, address)) {
            return true;
        }
        if (!link_find_around(loader, NULL, name, &symbol)) {
            return false;
        }
    } else if (!library_symbol(loader_library(loader, library), name, &symbol) &&
               !link_find_needed(loader, loader_library(loader, library), name, &symbol)) {
        return false;
    }
    *address = symbol.value;
    return true;
}
