#include "guest/dylink/dylink_section.h"

#include "base/limits.h"
#include "guest/dylink/names.h"
#include "guest/dylink/wasm_module.h"

enum {
    DYLINK_MEM_INFO = 1,
    DYLINK_NEEDED = 2,
    DYLINK_EXPORT_INFO = 3,
    DYLINK_IMPORT_INFO = 4,
    DYLINK_RUNTIME_PATH = 5,
    SYMBOL_BINDING_MASK = 0x03,
    SYMBOL_BINDING_WEAK = 0x01,
    SYMBOL_TLS = 0x100,
    SYMBOL_ABSOLUTE = 0x200,
};

struct dylink {
    struct record_draft *draft;
    struct buf *unmoved;
};

static void push_name(struct wasm_reader *reader, struct buf *names, struct span name)
{
    wasm_push(reader, names, &name, sizeof name, "dylink.0 has too many names");
}

static void read_mem_info(struct dylink *dylink, struct wasm_reader *reader)
{
    struct record_draft *draft = dylink->draft;
    size_t start = reader->at;
    draft->memory_bytes = wasm_u32(reader);
    draft->memory_align_log2 = wasm_u32(reader);
    draft->table_entries = wasm_u32(reader);
    draft->table_align_log2 = wasm_u32(reader);
    if (draft->memory_bytes > LIMIT_SIDE_MEMORY_BYTES_MAX ||
        draft->table_entries > LIMIT_SIDE_TABLE_ENTRIES_MAX) {
        wasm_fail(reader, ERR_LIMIT, start, "it asks for more memory or table than a guest has");
    } else if (draft->memory_align_log2 > RECORD_ALIGN_LOG2_MAX ||
               draft->table_align_log2 > RECORD_ALIGN_LOG2_MAX) {
        wasm_fail(reader, ERR_LIMIT, start, "it asks for too large an alignment");
    }
}

static void read_names(struct wasm_reader *reader, struct buf *names)
{
    uint32_t count = wasm_u32(reader);
    for (uint32_t i = 0; i < count && wasm_ok(reader); i++) {
        push_name(reader, names, wasm_name(reader));
    }
}

static void read_export_info(struct dylink *dylink, struct wasm_reader *reader)
{
    uint32_t count = wasm_u32(reader);
    for (uint32_t i = 0; i < count && wasm_ok(reader); i++) {
        struct span name = wasm_name(reader);
        uint32_t flags = wasm_u32(reader);
        if ((flags & (SYMBOL_TLS | SYMBOL_ABSOLUTE)) != 0) {
            push_name(reader, dylink->unmoved, name);
        }
    }
}

static void read_import_info(struct dylink *dylink, struct wasm_reader *reader)
{
    uint32_t count = wasm_u32(reader);
    for (uint32_t i = 0; i < count && wasm_ok(reader); i++) {
        (void)wasm_name(reader); /* the import's module */
        struct span name = wasm_name(reader);
        uint32_t flags = wasm_u32(reader);
        if ((flags & SYMBOL_BINDING_MASK) == SYMBOL_BINDING_WEAK) {
            push_name(reader, &dylink->draft->weak, name);
        }
    }
}

static void read_part(struct dylink *dylink, uint8_t id, struct wasm_reader *part)
{
    switch (id) {
    case DYLINK_MEM_INFO: read_mem_info(dylink, part); break;
    case DYLINK_NEEDED: read_names(part, &dylink->draft->needed); break;
    case DYLINK_EXPORT_INFO: read_export_info(dylink, part); break;
    case DYLINK_IMPORT_INFO: read_import_info(dylink, part); break;
    case DYLINK_RUNTIME_PATH: read_names(part, &dylink->draft->runpaths); break;
    default: return; /* the conventions may grow */
    }
    if (wasm_ok(part) && !wasm_at_end(part)) {
        wasm_fail(part, ERR_FORMAT, part->at, "bytes after the end of a part of dylink.0");
    }
}

static int read_parts(struct dylink *dylink, struct wasm_reader *section, struct err *err)
{
    while (wasm_ok(section) && !wasm_at_end(section)) {
        uint8_t id = wasm_byte(section);
        uint32_t len = wasm_u32(section);
        struct wasm_reader part = wasm_take(section, len);
        if (wasm_ok(section)) {
            read_part(dylink, id, &part);
        }
        if (wasm_ok(section) && wasm_result(&part, err) != 0) {
            return -1;
        }
    }
    return wasm_result(section, err);
}

int dylink_section_read(struct span wasm, struct record_draft *draft, struct buf *unmoved,
                        struct err *err)
{
    struct dylink dylink = {draft, unmoved};
    struct wasm_reader reader = wasm_reader_of(wasm);
    struct wasm_section section;
    wasm_skip(&reader, WASM_HEADER_BYTES);
    while (wasm_next_section(&reader, &section)) {
        if (section.id != WASM_SECTION_CUSTOM ||
            !span_equal(wasm_name(&section.body), span_of("dylink.0"))) {
            continue;
        }
        int result = read_parts(&dylink, &section.body, err);
        names_sort(unmoved);
        return result;
    }
    if (wasm_result(&reader, err) != 0) {
        return -1;
    }
    return err_set(err, ERR_FORMAT, "WebAssembly module: no side module, it has no dylink.0");
}
