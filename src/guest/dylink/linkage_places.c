/* The part of linkage.h that reads element segments: which functions have places in the table. */
#include "guest/dylink/linkage.h"
#include "guest/dylink/wasm_code.h"
#include "guest/dylink/wasm_element.h"

struct places {
    struct linkage *linkage;
    bool relative;
    uint32_t entries;
};

/* The place at which a segment begins: true when its offset is of the one form that says it. */
static bool read_offset(const struct places *places, struct wasm_reader offset, uint32_t *at)
{
    if (!places->relative) {
        return wasm_is_literal(offset, at);
    }
    struct wasm_instr instr = {0};
    *at = 0;
    return wasm_next_instr(&offset, &instr) && instr.op == WASM_GLOBAL_GET &&
           instr.index == places->linkage->table_base && wasm_next_instr(&offset, &instr) &&
           instr.op == WASM_END;
}

/* The function that an item names, LINKAGE_NONE when it is none. */
static uint32_t read_item(struct wasm_reader *reader, bool is_expression)
{
    if (!is_expression) {
        return wasm_u32(reader);
    }
    struct wasm_reader item = wasm_expression(reader);
    struct wasm_instr instr = {0};
    bool is_function = wasm_next_instr(&item, &instr) && instr.op == WASM_REF_FUNC;
    uint32_t function = instr.index;
    return is_function && wasm_next_instr(&item, &instr) && instr.op == WASM_END ? function
                                                                                 : LINKAGE_NONE;
}

/* The toolchain merges functions that are alike, so that one may have several places: the last
 * counts, as it does for Emscripten's own linker, with which the packages were tested. */
static void give_place(const struct places *places, uint32_t function, uint64_t place)
{
    const struct linkage *linkage = places->linkage;
    if (place < places->entries) {
        uint32_t target = *linkage_at(&linkage->targets, function);
        *linkage_at(&linkage->places, target) = (uint32_t)place;
    }
}

static void read_segment(const struct places *places, struct wasm_reader *reader)
{
    const struct linkage *linkage = places->linkage;
    struct wasm_element element = wasm_element_open(reader);
    uint32_t start = 0;
    bool counts = element.is_active && element.table == linkage->table &&
                  read_offset(places, element.offset, &start);
    for (uint32_t i = 0; i < element.count && wasm_ok(reader); i++) {
        size_t at = reader->at;
        uint32_t function = read_item(reader, element.has_expressions);
        if (function == LINKAGE_NONE && element.has_expressions) {
            continue;
        }
        if (function >= linkage->function_count) {
            wasm_fail(reader, ERR_FORMAT, at, "an element of a function that does not exist");
        } else if (counts) {
            give_place(places, function, (uint64_t)start + i);
        }
    }
}

int linkage_find_places(struct linkage *linkage, bool relative, uint32_t entries, struct err *err)
{
    struct places places = {linkage, relative, entries};
    struct wasm_reader reader = wasm_reader_of(linkage->module.bytes);
    struct wasm_section section;
    reader.at = WASM_HEADER_BYTES;
    while (wasm_next_section(&reader, &section)) {
        if (section.id != WASM_SECTION_ELEMENT) {
            continue;
        }
        uint32_t count = wasm_u32(&section.body);
        for (uint32_t i = 0; i < count && wasm_ok(&section.body); i++) {
            read_segment(&places, &section.body);
        }
        return wasm_result(&section.body, err);
    }
    return wasm_result(&reader, err);
}
