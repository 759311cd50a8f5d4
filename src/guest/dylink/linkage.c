#include "guest/dylink/linkage.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "guest/dylink/names.h"
#include "guest/dylink/wasm_code.h"

enum { TYPE_I32 = 0x7F, TYPE_FUNCREF = 0x70, LIMITS_32_BITS_MAX = 0x01, HAS_INITIALIZER = 0x40 };

static const struct linkage_import *import_at(const struct linkage *linkage, uint32_t index)
{
    return (const struct linkage_import *)(const void *)linkage->imports.base + index;
}

static uint32_t imports_of(const struct linkage *linkage)
{
    return (uint32_t)(linkage->imports.len / sizeof(struct linkage_import));
}

static bool is_from_env(const struct linkage_import *import, const char *name)
{
    return span_equal(import->module, span_of("env")) && span_equal(import->name, span_of(name));
}

static void read_imported_global(struct linkage *linkage, struct wasm_reader *reader,
                                 const struct linkage_import *import)
{
    struct linkage_global unknown = {0};
    size_t start = reader->at;
    wasm_skip_value_type(reader, false);
    bool is_i32 = wasm_ok(reader) && reader->base[start] == TYPE_I32;
    bool is_mutable = wasm_byte(reader) != 0;
    if (is_from_env(import, "__table_base")) {
        if (!is_i32 || is_mutable) {
            wasm_fail(reader, ERR_FORMAT, start, "__table_base is no constant");
        }
        linkage->table_base = linkage->import_counts[LINKAGE_GLOBAL];
    }
    wasm_push(reader, &linkage->globals, &unknown, sizeof unknown, "too many globals");
}

/* Moves past a table's type; whether it is one of functions, counted by 32-bit numbers. */
static bool read_table_type(struct wasm_reader *reader, uint32_t *min)
{
    size_t start = reader->at;
    wasm_skip_value_type(reader, false);
    struct wasm_reader limits = *reader;
    wasm_skip_limits(reader);
    if (!wasm_ok(reader) || reader->base[start] != TYPE_FUNCREF ||
        wasm_byte(&limits) > LIMITS_32_BITS_MAX) {
        return false;
    }
    *min = wasm_u32(&limits);
    return true;
}

static void read_imported_table(struct linkage *linkage, struct wasm_reader *reader,
                                const struct linkage_import *import)
{
    size_t start = reader->at;
    uint32_t min;
    bool is_usual = read_table_type(reader, &min);
    if (is_from_env(import, LINKAGE_TABLE)) {
        if (!is_usual) {
            wasm_fail(reader, ERR_FORMAT, start, "a function table of an unknown kind");
        }
        linkage->table = linkage->import_counts[LINKAGE_TABLE_KIND];
    }
}

static void read_import(struct linkage *linkage, struct wasm_reader *reader)
{
    struct linkage_import import = {.module = wasm_name(reader)};
    import.name = wasm_name(reader);
    size_t start = reader->at;
    import.kind = wasm_byte(reader);
    if (wasm_ok(reader) && is_from_env(&import, LINKAGE_TABLE) &&
        import.kind != LINKAGE_TABLE_KIND) {
        wasm_fail(reader, ERR_FORMAT, start, "a function table that is no table");
    }
    switch (import.kind) {
    case LINKAGE_FUNCTION: import.type = wasm_u32(reader); break;
    case LINKAGE_TABLE_KIND: read_imported_table(linkage, reader, &import); break;
    case LINKAGE_MEMORY: wasm_skip_limits(reader); break;
    case LINKAGE_GLOBAL: read_imported_global(linkage, reader, &import); break;
    case LINKAGE_TAG:
        wasm_byte(reader);
        wasm_u32(reader);
        break;
    default: wasm_fail(reader, ERR_FORMAT, start, "an unknown kind of import"); return;
    }
    linkage->import_counts[import.kind]++;
    wasm_push(reader, &linkage->imports, &import, sizeof import, "too many imports");
}

static void read_global(struct linkage *linkage, struct wasm_reader *reader)
{
    struct linkage_global global = {0};
    size_t start = reader->at;
    wasm_skip_value_type(reader, false);
    bool is_i32 = wasm_ok(reader) && reader->base[start] == TYPE_I32;
    bool is_mutable = wasm_byte(reader) != 0;
    uint32_t value = 0;
    bool is_literal = wasm_is_literal(wasm_expression(reader), &value);
    global.is_i32 = is_i32;
    global.is_mutable = is_mutable;
    if (is_literal && is_i32 && !is_mutable) {
        global.is_constant = true;
        global.value = value;
    }
    wasm_push(reader, &linkage->globals, &global, sizeof global, "too many globals");
}

static void read_export(struct linkage *linkage, struct wasm_reader *reader)
{
    struct linkage_export export = {.name = wasm_name(reader)};
    export.kind = wasm_byte(reader);
    size_t start = reader->at;
    export.index = wasm_u32(reader);
    if (export.kind == LINKAGE_FUNCTION && export.index >= linkage->function_count) {
        wasm_fail(reader, ERR_FORMAT, start, "an export of a function that does not exist");
    }
    wasm_push(reader, &linkage->exports, &export, sizeof export, "too many exports");
}

/* The tables that the module defines: looks for the one with index linkage->table. */
static void read_tables(struct linkage *linkage, struct wasm_reader *reader)
{
    uint32_t count = wasm_u32(reader);
    linkage->own_tables = count;
    for (uint32_t i = 0; i < count && wasm_ok(reader); i++) {
        size_t start = reader->at;
        uint32_t min = 0;
        bool has_initializer = !wasm_at_end(reader) && reader->base[start] == HAS_INITIALIZER;
        wasm_skip(reader, has_initializer ? 2 : 0);
        bool is_usual = read_table_type(reader, &min);
        if (i == linkage->table - linkage->import_counts[LINKAGE_TABLE_KIND]) {
            if (!is_usual) {
                wasm_fail(reader, ERR_FORMAT, start, "a function table of an unknown kind");
            }
            linkage->table_min = min;
        }
        if (has_initializer) {
            (void)wasm_expression(reader);
        }
    }
}

static void read_list(struct linkage *linkage, struct wasm_reader *reader,
                      void (*read_one)(struct linkage *, struct wasm_reader *))
{
    uint32_t count = wasm_u32(reader);
    for (uint32_t i = 0; i < count && wasm_ok(reader); i++) {
        read_one(linkage, reader);
    }
}

static void count_functions(struct linkage *linkage, struct wasm_reader *reader)
{
    uint64_t count = linkage->module.functions.len / sizeof(uint32_t);
    count += linkage->import_counts[LINKAGE_FUNCTION];
    if (count > LIMIT_WASM_FUNCTIONS_MAX) {
        wasm_fail(reader, ERR_LIMIT, reader->at, "too many functions");
    }
    linkage->function_count = (uint32_t)count;
}

static int read_sections(struct linkage *linkage, uint8_t which,
                         void (*read)(struct linkage *, struct wasm_reader *), bool is_list,
                         struct err *err)
{
    struct wasm_reader reader = wasm_reader_of(linkage->module.bytes);
    struct wasm_section section;
    reader.at = WASM_HEADER_BYTES;
    while (wasm_next_section(&reader, &section)) {
        if (section.id != which) {
            continue;
        }
        if (is_list) {
            read_list(linkage, &section.body, read);
        } else {
            read(linkage, &section.body);
        }
        if (wasm_ok(&section.body) && !wasm_at_end(&section.body)) {
            wasm_fail(&section.body, ERR_FORMAT, section.body.at,
                      "bytes after the end of a section's contents");
        }
        return wasm_result(&section.body, err);
    }
    return wasm_result(&reader, err);
}

static int compare_exports(const void *a, const void *b)
{
    return names_compare(((const struct linkage_export *)a)->name,
                         ((const struct linkage_export *)b)->name);
}

static void sort_exports(struct linkage *linkage, struct wasm_reader *reader)
{
    if (linkage->exports.len == 0) {
        return;
    }
    wasm_push(reader, &linkage->sorted, linkage->exports.base, linkage->exports.len,
              "too many exports");
    if (wasm_ok(reader)) {
        qsort(linkage->sorted.base, linkage->sorted.len / sizeof(struct linkage_export),
              sizeof(struct linkage_export), compare_exports);
    }
}

/* The tables by function: each stands for itself and has no place. */
static void make_numbers(struct linkage *linkage, struct wasm_reader *reader)
{
    static const uint32_t none = LINKAGE_NONE;
    for (uint32_t i = 0; i < linkage->function_count && wasm_ok(reader); i++) {
        wasm_push(reader, &linkage->targets, &i, sizeof i, "too many functions");
        wasm_push(reader, &linkage->places, &none, sizeof none, "too many functions");
    }
}

static void find_own_table(struct linkage *linkage)
{
    const struct linkage_export *export = linkage_export(linkage, span_of(LINKAGE_TABLE));
    if (linkage->table == LINKAGE_NONE && export != NULL && export->kind == LINKAGE_TABLE_KIND) {
        linkage->table = export->index;
    }
}

static void init(struct linkage *linkage)
{
    *linkage = (struct linkage){.table = LINKAGE_NONE, .table_base = LINKAGE_NONE};
    buf_init(&linkage->imports, LIMIT_WASM_IMPORTS_MAX * sizeof(struct linkage_import));
    buf_init(&linkage->exports, LIMIT_WASM_EXPORTS_MAX * sizeof(struct linkage_export));
    buf_init(&linkage->sorted, LIMIT_WASM_EXPORTS_MAX * sizeof(struct linkage_export));
    buf_init(&linkage->globals, LIMIT_WASM_GLOBALS_MAX * sizeof(struct linkage_global));
    buf_init(&linkage->targets, LIMIT_WASM_FUNCTIONS_MAX * sizeof(uint32_t));
    buf_init(&linkage->places, LIMIT_WASM_FUNCTIONS_MAX * sizeof(uint32_t));
    buf_init(&linkage->new_places, LIMIT_SIDE_TABLE_ENTRIES_MAX * sizeof(uint32_t));
}

int linkage_read(struct linkage *linkage, struct span wasm, struct err *err)
{
    init(linkage);
    if (wasm_module_read(&linkage->module, wasm, err) != 0 ||
        read_sections(linkage, WASM_SECTION_IMPORT, read_import, true, err) != 0) {
        return -1;
    }
    struct wasm_reader reader = wasm_reader_of(wasm);
    count_functions(linkage, &reader);
    if (wasm_result(&reader, err) != 0 ||
        read_sections(linkage, WASM_SECTION_GLOBAL, read_global, true, err) != 0 ||
        read_sections(linkage, WASM_SECTION_EXPORT, read_export, true, err) != 0) {
        return -1;
    }
    sort_exports(linkage, &reader);
    make_numbers(linkage, &reader);
    if (wasm_result(&reader, err) != 0) {
        return -1;
    }
    find_own_table(linkage);
    return read_sections(linkage, WASM_SECTION_TABLE, read_tables, false, err);
}

void linkage_free(struct linkage *linkage)
{
    wasm_module_free(&linkage->module);
    buf_free(&linkage->imports);
    buf_free(&linkage->exports);
    buf_free(&linkage->sorted);
    buf_free(&linkage->globals);
    buf_free(&linkage->targets);
    buf_free(&linkage->places);
    buf_free(&linkage->new_places);
}

const struct linkage_export *linkage_export(const struct linkage *linkage, struct span name)
{
    struct linkage_export wanted = {.name = name};
    size_t count = linkage->sorted.len / sizeof wanted;
    return count == 0
               ? NULL
               : bsearch(&wanted, linkage->sorted.base, count, sizeof wanted, compare_exports);
}

bool linkage_same_type(const struct linkage *linkage, uint32_t a, uint32_t b)
{
    const struct wasm_type *first = wasm_function_type(&linkage->module, a);
    const struct wasm_type *second = wasm_function_type(&linkage->module, b);
    if (first == NULL || second == NULL) {
        return false;
    }
    const char *bytes = linkage->module.bytes.base;
    return a == b ||
           (first->is_plain && second->is_plain &&
            span_equal((struct span){bytes + first->signature_at, first->signature_len},
                       (struct span){bytes + second->signature_at, second->signature_len}));
}

uint32_t linkage_function_type(const struct linkage *linkage, uint32_t function)
{
    uint32_t imported = linkage->import_counts[LINKAGE_FUNCTION];
    uint32_t type = LINKAGE_NONE;
    if (function >= imported) {
        (void)wasm_type_of(&linkage->module.functions, function - imported, &type);
    }
    return type;
}

void linkage_bind_to_self(struct linkage *linkage, const struct record *core)
{
    uint32_t function = 0;
    for (uint32_t i = 0; i < imports_of(linkage); i++) {
        const struct linkage_import *import = import_at(linkage, i);
        struct record_symbol symbol;
        if (import->kind != LINKAGE_FUNCTION) {
            continue;
        }
        uint32_t index = function++;
        if (!span_equal(import->module, span_of("env")) ||
            record_find(core, import->name, &symbol)) {
            continue;
        }
        const struct linkage_export *export = linkage_export(linkage, import->name);
        if (export != NULL && export->kind == LINKAGE_FUNCTION &&
            linkage_same_type(linkage, import->type,
                              linkage_function_type(linkage, export->index))) {
            *linkage_at(&linkage->targets, index) = export->index;
        }
    }
}

int linkage_place(struct linkage *linkage, uint32_t function, uint32_t entries, uint32_t *place,
                  struct err *err)
{
    assert(function < linkage->function_count);
    uint32_t target = *linkage_at(&linkage->targets, function);
    *place = *linkage_at(&linkage->places, target);
    if (*place != LINKAGE_NONE) {
        return 0;
    }
    uint64_t next = entries + linkage->new_places.len / sizeof target;
    if (next >= LIMIT_SIDE_TABLE_ENTRIES_MAX ||
        buf_append(&linkage->new_places, &target, sizeof target) != 0) {
        return err_set(err, ERR_LIMIT, "no room in the table for all exported functions");
    }
    *linkage_at(&linkage->places, target) = *place = (uint32_t)next;
    return 0;
}
