/* From a library's imports to a running instance. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "guest/abi/abi.h"
#include "guest/dylink/loader.h"
#include "guest/dylink/loader_state.h"
#include "guest/state.h"

enum { HEAP_ALIGN = 16, TAG_NAME_MAX = 64 };

/* A library as it is being linked. */
struct link {
    struct guest *guest;
    const struct loader *loader;
    const struct library *library;
    const struct engine_module *module;
};

static int undefined(struct span name, struct err *err)
{
    return err_set(err, ERR_MISSING, "undefined symbol: %.*s",
                   (int)(name.len < 200 ? name.len : 200), name.base);
}

/* ---- Names ------------------------------------------------------------------------------------
 */

bool library_symbol(const struct library *library, struct span name, struct record_symbol *out)
{
    if (!record_find(&library->record, name, out)) {
        return false;
    }
    out->value += out->kind == RECORD_FUNCTION ? library->table_base : library->memory_base;
    return true;
}

static bool list_find(const struct loader *loader, const struct buf *list, struct span name,
                      struct record_symbol *out)
{
    const uint32_t *numbers = (const uint32_t *)(const void *)list->base;
    for (size_t i = 0; i < list->len / sizeof *numbers; i++) {
        const struct library *library = loader_library(loader, numbers[i]);
        if (library->state == LIBRARY_READY && library_symbol(library, name, out)) {
            return true;
        }
    }
    return false;
}

bool link_find_needed(const struct loader *loader, const struct library *library, struct span name,
                      struct record_symbol *out)
{
    return list_find(loader, &library->scope, name, out);
}

bool link_find_around(const struct loader *loader, const struct library *library, struct span name,
                      struct record_symbol *out)
{
    return list_find(loader, &loader->globals, name, out) ||
           (library != NULL && link_find_needed(loader, library, name, out));
}

bool link_find_platform(struct guest *guest, struct span name, uint32_t *address)
{
    struct loader *loader = guest->loader;
    const struct abi_row *row = abi_find(name);
    const struct platform_function *known =
        (const struct platform_function *)(void *)loader->platform.base;
    struct platform_function function = {.row = row};
    struct engine_extern host;
    struct err err;
    for (size_t i = 0; i < loader->platform.len / sizeof *known; i++) {
        if (known[i].row == row) {
            *address = known[i].table_index;
            return true;
        }
    }
    if (row == NULL ||
        engine_func_new(guest->store, row->signature, row->fn, guest, &host, &err) != 0 ||
        engine_table_append(guest->store, &guest->table, &host, &function.table_index, &err) != 0) {
        return false;
    }
    *address = function.table_index;
    return buf_append(&loader->platform, &function, sizeof function) == 0;
}

/* ---- Imports ----------------------------------------------------------------------------------
 */

/* What stands for a function that nobody has, or that the module has itself and never asks us for.
 */
static int stub_make(const struct link *link, size_t index, struct span name,
                     struct engine_extern *out, struct err *err)
{
    struct abi_missing *missing = calloc(1, sizeof *missing);
    if (missing == NULL ||
        buf_append(&link->guest->loader->missing, &missing, sizeof missing) != 0) {
        free(missing);
        return err_set(err, ERR_LIMIT, "too many undefined functions");
    }
    missing->guest = link->guest;
    memcpy(missing->name, name.base,
           name.len < sizeof missing->name ? name.len : sizeof missing->name - 1);
    return engine_func_for_import(link->guest->store, link->module, index, abi_call_missing,
                                  missing, out, err);
}

static int function_import(const struct link *link, size_t index, const struct engine_item *item,
                           struct engine_extern *out, struct err *err)
{
    struct guest *guest = link->guest;
    struct record_symbol symbol;
    if (record_find(&link->loader->core, item->name, &symbol) && symbol.kind == RECORD_FUNCTION) {
        return engine_table_get(guest->store, &guest->table, symbol.value, out)
                   ? 0
                   : undefined(item->name, err);
    }
    if (record_find(&link->library->record, item->name, &symbol)) {
        return stub_make(link, index, item->name, out, err);
    }
    const struct abi_row *row = abi_find(item->name);
    if (row != NULL) {
        if (strcmp(row->signature, item->signature) != 0) {
            return err_set(err, ERR_FORMAT, "%s is called as %s; it is %s", row->name,
                           item->signature, row->signature);
        }
        return engine_func_for_import(guest->store, link->module, index, row->fn, guest, out, err);
    }
    if (link_find_around(link->loader, link->library, item->name, &symbol) &&
        symbol.kind == RECORD_FUNCTION &&
        engine_table_get(guest->store, &guest->table, symbol.value, out)) {
        return 0;
    }
    return stub_make(link, index, item->name, out, err);
}

/* An entry of the global offset table: the address of a function or of data. */
static int address_resolve(const struct link *link, struct span name, uint32_t *address,
                           struct err *err)
{
    struct record_symbol symbol;
    if (record_find(&link->loader->core, name, &symbol) ||
        library_symbol(link->library, name, &symbol)) {
        *address = symbol.value;
        return 0;
    }
    if (link_find_platform(link->guest, name, address)) {
        return 0;
    }
    if (link_find_around(link->loader, link->library, name, &symbol)) {
        *address = symbol.value;
        return 0;
    }
    *address = 0;
    return record_is_weak(&link->library->record, name) ? 0 : undefined(name, err);
}

static int global_import(const struct link *link, size_t index, const struct engine_item *item,
                         struct engine_extern *out, struct err *err)
{
    uint32_t value = 0;
    if (span_equal(item->module, span_of("env"))) {
        if (span_equal(item->name, span_of("__stack_pointer"))) {
            *out = link->guest->stack_pointer;
            return 0;
        }
        if (span_equal(item->name, span_of("__memory_base"))) {
            value = link->library->memory_base;
        } else if (span_equal(item->name, span_of("__table_base"))) {
            value = link->library->table_base;
        } else {
            return undefined(item->name, err);
        }
    } else if (!span_equal(item->module, span_of("GOT.mem")) &&
               !span_equal(item->module, span_of("GOT.func"))) {
        return undefined(item->name, err);
    } else if (address_resolve(link, item->name, &value, err) != 0) {
        return -1;
    }
    return engine_global_for_import(link->guest->store, link->module, index, value, out, err);
}

static int tag_import(const struct link *link, const struct engine_item *item,
                      struct engine_extern *out, struct err *err)
{
    char name[TAG_NAME_MAX] = {0};
    if (item->name.len >= sizeof name) {
        return undefined(item->name, err);
    }
    memcpy(name, item->name.base, item->name.len);
    return engine_export(link->guest->store, link->guest->core_instance, name, ENGINE_TAG, out)
               ? 0
               : undefined(item->name, err);
}

static int import_make(const struct link *link, size_t index, struct engine_extern *out,
                       struct err *err)
{
    const struct engine_item item = engine_import_at(link->module, index);
    switch (item.kind) {
    case ENGINE_FUNC: return function_import(link, index, &item, out, err);
    case ENGINE_GLOBAL: return global_import(link, index, &item, out, err);
    case ENGINE_TAG: return tag_import(link, &item, out, err);
    case ENGINE_MEMORY: *out = link->guest->memory; return 0;
    case ENGINE_TABLE: *out = link->guest->table; return 0;
    case ENGINE_OTHER: break;
    }
    return undefined(item.name, err);
}

/* ---- The instance -----------------------------------------------------------------------------
 */

/* A trap in the guest's own code: it cannot go on. */
static int trapped(struct err *err)
{
    err->code = ERR_TRAP;
    return -1;
}

/* Memory for the library's static data, zeroed as its code expects it. */
static int memory_reserve(struct guest *guest, struct library *library, struct err *err)
{
    const uint32_t bytes = library->record.memory_bytes;
    const uint32_t align = 1u << library->record.memory_align_log2;
    const uint32_t args[] = {align > HEAP_ALIGN ? align : HEAP_ALIGN, bytes};
    library->memory_base = 0;
    if (bytes == 0) {
        return 0;
    }
    if (guest_call(guest, GUEST_MEMALIGN, args, 2, &library->memory_base, err) != 0) {
        return trapped(err);
    }
    void *memory = guest_memory_at(guest, guest_addr(library->memory_base), bytes);
    if (library->memory_base == 0 || memory == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for %u bytes of static data", bytes);
    }
    memset(memory, 0, bytes);
    return 0;
}

static int table_reserve(struct guest *guest, struct library *library, struct err *err)
{
    const uint32_t align = 1u << library->record.table_align_log2;
    const uint32_t size = engine_table_size(guest->store, &guest->table);
    const uint32_t gap = (align - size % align) % align;
    uint32_t base;
    if (engine_table_grow(guest->store, &guest->table, gap + library->record.table_entries, &base,
                          err) != 0) {
        return -1;
    }
    library->table_base = base + gap;
    return 0;
}

static int instantiate(const struct link *link, size_t *instance, struct err *err)
{
    const size_t count = engine_import_count(link->module);
    struct engine_extern *imports = calloc(count + 1, sizeof *imports);
    int result = imports == NULL ? err_set(err, ERR_MEMORY, "no memory for %zu imports", count) : 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = import_make(link, i, &imports[i], err);
    }
    if (result == 0) {
        result = engine_instantiate(link->guest->store, link->module, imports, instance, err);
    }
    free(imports);
    return result;
}

/* Calls a function without parameters, if the module has it. */
static int export_call(struct guest *guest, size_t instance, const char *name, struct err *err)
{
    struct engine_extern function;
    union engine_value values[1] = {{.i64 = 0}};
    char signature[2];
    if (!engine_export(guest->store, instance, name, ENGINE_FUNC, &function)) {
        return 0;
    }
    if (!engine_func_signature(guest->store, &function, signature, sizeof signature) ||
        strcmp(signature, ":") != 0) {
        return err_set(err, ERR_FORMAT, "%s takes arguments", name);
    }
    return engine_call(guest->store, &function, values, 1, err) == 0 ? 0 : trapped(err);
}

/* A module whose segments do not fit, or whose start function trapped, has not touched Python: that
 * is an error, unless somebody ended the guest. */
static int instantiate_or_undo(const struct link *link, size_t *instance, struct err *err)
{
    struct guest *guest = link->guest;
    const uint32_t stack_pointer = engine_global_get_i32(guest->store, &guest->stack_pointer);
    if (instantiate(link, instance, err) == 0) {
        return 0;
    }
    if (guest->ended) {
        return trapped(err);
    }
    engine_global_set_i32(guest->store, &guest->stack_pointer, stack_pointer);
    if (err->code == ERR_TRAP) {
        err->code = ERR_FORMAT; /* its code may have kept its address: the memory is not freed */
    } else if (link->library->memory_base != 0) {
        struct err of_free;
        if (guest_call(guest, GUEST_FREE, &link->library->memory_base, 1, NULL, &of_free) != 0) {
            return trapped(err);
        }
    }
    return -1;
}

static int link_begin(struct guest *guest, const struct library *library, struct link *out,
                      struct err *err)
{
    *out = (struct link){
        .guest = guest,
        .loader = guest->loader,
        .library = library,
        .module = modules_find(guest->loader->modules, library->record.sum),
    };
    return out->module != NULL
               ? 0
               : err_set(err, ERR_MISSING, "its machine code is not in this environment");
}

int link_library_again(struct guest *guest, const struct library *library, struct err *err)
{
    struct link link;
    size_t instance;
    return link_begin(guest, library, &link, err) != 0 ? -1 : instantiate(&link, &instance, err);
}

int link_library(struct guest *guest, struct library *library, struct err *err)
{
    struct link link;
    size_t instance;
    if (link_begin(guest, library, &link, err) != 0) {
        return -1;
    }
    return memory_reserve(guest, library, err) != 0 || table_reserve(guest, library, err) != 0 ||
                   instantiate_or_undo(&link, &instance, err) != 0 ||
                   export_call(guest, instance, "__wasm_apply_data_relocs", err) != 0 ||
                   export_call(guest, instance, "__wasm_call_ctors", err) != 0
               ? -1
               : 0;
}
