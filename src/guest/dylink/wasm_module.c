#include "guest/dylink/wasm_module.h"

#include <string.h>

#include "base/limits.h"

enum {
    TYPE_FUNCTION = 0x60,
    TYPE_STRUCT = 0x5F,
    TYPE_ARRAY = 0x5E,
    TYPE_SUB = 0x50,
    TYPE_SUB_FINAL = 0x4F,
    TYPE_REC = 0x4E,
    IMPORT_FUNCTION = 0,
    IMPORT_TABLE = 1,
    IMPORT_MEMORY = 2,
    IMPORT_GLOBAL = 3,
    IMPORT_TAG = 4,
    SECTION_LAST = WASM_SECTION_TAG,
};

void wasm_push(struct wasm_reader *reader, struct buf *array, const void *record, size_t size,
               const char *what)
{
    if (buf_append(array, record, size) == 0) {
        return;
    }
    if (array->len + size > array->bytes_max) {
        wasm_fail(reader, ERR_LIMIT, reader->at, what);
    } else {
        wasm_fail(reader, ERR_MEMORY, reader->at, "out of memory");
    }
}

bool wasm_next_section(struct wasm_reader *module, struct wasm_section *section)
{
    if (!wasm_ok(module) || wasm_at_end(module)) {
        return false;
    }
    section->start = module->at;
    section->id = wasm_byte(module);
    if (section->id > SECTION_LAST) {
        wasm_fail(module, ERR_FORMAT, section->start, "an unknown section");
        return false;
    }
    uint32_t len = wasm_u32(module);
    section->body = wasm_take(module, len);
    return wasm_ok(module);
}

static void skip_value_types(struct wasm_reader *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count && wasm_ok(reader); i++) {
        wasm_skip_value_type(reader, false);
    }
}

static void read_function_type(struct wasm_reader *reader, struct wasm_type *type)
{
    size_t start = reader->at;
    type->is_function = true;
    type->signature_at = start;
    type->params_count = wasm_u32(reader);
    type->params_at = reader->at;
    skip_value_types(reader, type->params_count);
    type->params_len = (uint32_t)(reader->at - type->params_at);
    uint32_t results = wasm_u32(reader);
    skip_value_types(reader, results);
    type->signature_len = (uint32_t)(reader->at - start);
    if (type->params_count > LIMIT_WASM_PARAMS_MAX || results > LIMIT_WASM_PARAMS_MAX) {
        wasm_fail(reader, ERR_LIMIT, start, "a function type with too many parameters or results");
    }
}

static void skip_field_type(struct wasm_reader *reader)
{
    wasm_skip_value_type(reader, true);
    wasm_byte(reader); /* may it be changed? */
}

/* One type with its supertypes in front. */
static void read_sub_type(struct wasm_module *module, struct wasm_reader *reader, bool alone)
{
    struct wasm_type type = {0};
    size_t start = reader->at;
    uint8_t form = wasm_byte(reader);
    if (form == TYPE_SUB || form == TYPE_SUB_FINAL) {
        uint32_t supertypes = wasm_u32(reader);
        for (uint32_t i = 0; i < supertypes && wasm_ok(reader); i++) {
            wasm_u32(reader);
        }
        form = wasm_byte(reader);
    }
    if (form == TYPE_FUNCTION) {
        type.is_plain = alone && reader->at == start + 1;
        read_function_type(reader, &type);
    } else if (form == TYPE_STRUCT) {
        uint32_t fields = wasm_u32(reader);
        for (uint32_t i = 0; i < fields && wasm_ok(reader); i++) {
            skip_field_type(reader);
        }
    } else if (form == TYPE_ARRAY) {
        skip_field_type(reader);
    } else {
        wasm_fail(reader, ERR_FORMAT, start, "an unknown form of type");
    }
    wasm_push(reader, &module->types, &type, sizeof type, "too many types");
}

static void read_types(struct wasm_module *module, struct wasm_reader *reader)
{
    module->type_entries = wasm_u32(reader);
    module->types_rest = *reader;
    for (uint32_t i = 0; i < module->type_entries && wasm_ok(reader); i++) {
        if (wasm_at_end(reader) || reader->base[reader->at] != TYPE_REC) {
            read_sub_type(module, reader, true);
            continue;
        }
        wasm_byte(reader);
        uint32_t members = wasm_u32(reader);
        for (uint32_t j = 0; j < members && wasm_ok(reader); j++) {
            read_sub_type(module, reader, false);
        }
    }
}

static void read_tag(struct wasm_module *module, struct wasm_reader *reader)
{
    wasm_byte(reader); /* zero: an exception */
    uint32_t type = wasm_u32(reader);
    wasm_push(reader, &module->tags, &type, sizeof type, "too many tags");
}

static void read_import(struct wasm_module *module, struct wasm_reader *reader)
{
    wasm_skip(reader, wasm_u32(reader));
    wasm_skip(reader, wasm_u32(reader));
    size_t start = reader->at;
    switch (wasm_byte(reader)) {
    case IMPORT_FUNCTION: wasm_u32(reader); break;
    case IMPORT_TABLE:
        wasm_skip_value_type(reader, false);
        wasm_skip_limits(reader);
        break;
    case IMPORT_MEMORY: wasm_skip_limits(reader); break;
    case IMPORT_GLOBAL:
        wasm_skip_value_type(reader, false);
        wasm_byte(reader);
        break;
    case IMPORT_TAG: read_tag(module, reader); break;
    default: wasm_fail(reader, ERR_FORMAT, start, "an unknown kind of import"); break;
    }
}

static void read_function(struct wasm_module *module, struct wasm_reader *reader)
{
    uint32_t type = wasm_u32(reader);
    wasm_push(reader, &module->functions, &type, sizeof type, "too many functions");
}

/* Reads a section that is a counted list and nothing else. */
static void read_list(struct wasm_module *module, struct wasm_reader *reader,
                      void (*read_one)(struct wasm_module *, struct wasm_reader *))
{
    uint32_t count = wasm_u32(reader);
    for (uint32_t i = 0; i < count && wasm_ok(reader); i++) {
        read_one(module, reader);
    }
}

static int read_section(struct wasm_module *module, struct wasm_section *section, struct err *err)
{
    struct wasm_reader *body = &section->body;
    switch (section->id) {
    case WASM_SECTION_TYPE: read_types(module, body); break;
    case WASM_SECTION_IMPORT: read_list(module, body, read_import); break;
    case WASM_SECTION_FUNCTION: read_list(module, body, read_function); break;
    case WASM_SECTION_TAG: read_list(module, body, read_tag); break;
    case WASM_SECTION_CODE: module->code = *body; return 0;
    default: return 0;
    }
    if (wasm_ok(body) && !wasm_at_end(body)) {
        wasm_fail(body, ERR_FORMAT, body->at, "bytes after the end of a section's contents");
    }
    return wasm_result(body, err);
}

/* The place of a section in the one order the specification allows. */
static unsigned section_rank(uint8_t id)
{
    static const uint8_t ranks[SECTION_LAST + 1] = {
        /* custom */ 0,
        /* type, import, function, table, memory */ 1,
        2,
        3,
        4,
        5,
        /* global, export, start, element */ 7,
        8,
        9,
        10,
        /* code, data, data count, tag */ 12,
        13,
        11,
        6,
    };
    return ranks[id];
}

static int read_sections(struct wasm_module *module, struct wasm_reader *reader, struct err *err)
{
    struct wasm_section section;
    unsigned rank = 0;
    while (wasm_next_section(reader, &section)) {
        if (section.id == WASM_SECTION_CUSTOM) {
            continue;
        }
        if (section_rank(section.id) <= rank) {
            wasm_fail(reader, ERR_FORMAT, section.start, "a section out of order");
            break;
        }
        rank = section_rank(section.id);
        if (read_section(module, &section, err) != 0) {
            return -1;
        }
    }
    return wasm_result(reader, err);
}

int wasm_module_read(struct wasm_module *module, struct span bytes, struct err *err)
{
    static const char header[WASM_HEADER_BYTES] = {'\0', 'a', 's', 'm', 1, 0, 0, 0};
    *module = (struct wasm_module){.bytes = bytes};
    buf_init(&module->types, LIMIT_WASM_TYPES_MAX * sizeof(struct wasm_type));
    buf_init(&module->functions, LIMIT_WASM_FUNCTIONS_MAX * sizeof(uint32_t));
    buf_init(&module->tags, LIMIT_WASM_TAGS_MAX * sizeof(uint32_t));
    if (bytes.len > LIMIT_WASM_MODULE_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "WebAssembly module: %zu bytes, %llu at most", bytes.len,
                       LIMIT_WASM_MODULE_BYTES_MAX);
    }
    if (bytes.len < sizeof header || memcmp(bytes.base, header, sizeof header) != 0) {
        return err_set(err, ERR_FORMAT, "WebAssembly module, byte 0: it is no WebAssembly module");
    }
    struct wasm_reader reader = wasm_reader_of(bytes);
    wasm_skip(&reader, sizeof header);
    return read_sections(module, &reader, err);
}

void wasm_module_free(struct wasm_module *module)
{
    buf_free(&module->types);
    buf_free(&module->functions);
    buf_free(&module->tags);
}

const struct wasm_type *wasm_function_type(const struct wasm_module *module, uint32_t index)
{
    if (index >= module->types.len / sizeof(struct wasm_type)) {
        return NULL;
    }
    const struct wasm_type *type = (const struct wasm_type *)(const void *)module->types.base;
    return type[index].is_function ? &type[index] : NULL;
}

int wasm_type_of(const struct buf *indices, uint32_t which, uint32_t *type)
{
    if (which >= indices->len / sizeof *type) {
        return -1;
    }
    *type = ((const uint32_t *)(const void *)indices->base)[which];
    return 0;
}
