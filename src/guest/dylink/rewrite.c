#include "guest/dylink/rewrite.h"

#include "base/limits.h"
#include "guest/dylink/wasm_code.h"
#include "guest/dylink/wasm_element.h"

enum {
    TYPE_I32 = 0x7F,
    TYPE_FUNCREF = 0x70,
    LIMITS_OPEN = 0x00,
    GLOBAL_CONSTANT = 0,
    TABLE_HAS_INITIALIZER = 0x40,
    LIMITS_HAS_MAX = 0x01,
    ELEMENT_OF_TABLE_0 = 0x00,
    ELEMENT_OF_TABLE = 0x02,
    ELEMENT_KIND_FUNCTION = 0x00,
    DATA_PASSIVE = 0x01,
    DATA_OF_MEMORY = 0x02,
};

struct rewrite {
    const struct linkage *linkage;
    bool relative;
    uint32_t entries;
    uint32_t new_global;  /* index of the import __table_base that is added, or LINKAGE_NONE */
    bool adds_table;      /* the import of the function table is added */
    struct buf functions; /* of uint32_t: the new index of each function */
    struct buf body;      /* the section being written */
    struct buf code;      /* the function being written */
};

/* What is read, and where it is written anew; the reader has the problems of both. */
struct copy {
    const struct rewrite *rewrite;
    struct wasm_reader reader;
    struct buf *out;
};

static void put(struct copy *copy, const void *bytes, size_t len)
{
    if (buf_append(copy->out, bytes, len) != 0) {
        wasm_fail(&copy->reader, ERR_LIMIT, copy->reader.at, "no room for the rewritten module");
    }
}

static void put_byte(struct copy *copy, unsigned byte)
{
    char c = (char)byte;
    put(copy, &c, 1);
}

static void put_u32(struct copy *copy, uint32_t value)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    put(copy, bytes, wasm_encode_u32(bytes, value));
}

static void put_text(struct copy *copy, const char *text)
{
    struct span span = span_of(text);
    put_u32(copy, (uint32_t)span.len);
    put(copy, span.base, span.len);
}

/* The bytes from `start` to where the reader stands now. */
static void put_read(struct copy *copy, size_t start)
{
    if (wasm_ok(&copy->reader)) {
        put(copy, copy->reader.base + start, copy->reader.at - start);
    }
}

static uint32_t copy_u32(struct copy *copy)
{
    uint32_t value = wasm_u32(&copy->reader);
    put_u32(copy, value);
    return value;
}

static uint32_t new_function(struct copy *copy, uint32_t index, size_t at)
{
    if (index >= copy->rewrite->linkage->function_count) {
        wasm_fail(&copy->reader, ERR_FORMAT, at, "a function that does not exist");
        return 0;
    }
    return *linkage_at(&copy->rewrite->functions, index);
}

static uint32_t new_global(const struct copy *copy, uint32_t index)
{
    return index >= copy->rewrite->new_global ? index + 1 : index;
}

static uint32_t new_index(struct copy *copy, const struct wasm_instr *instr)
{
    switch (instr->op) {
    case WASM_CALL:
    case WASM_RETURN_CALL:
    case WASM_REF_FUNC: return new_function(copy, instr->index, instr->start);
    case WASM_GLOBAL_GET:
    case WASM_GLOBAL_SET: return new_global(copy, instr->index);
    default: return instr->index;
    }
}

/* Copies the instructions of `code`, of which nothing has been copied from `copied` on. */
static void copy_instrs(struct copy *copy, struct wasm_reader *code, size_t copied)
{
    struct wasm_instr instr = {0};
    while (wasm_ok(&copy->reader) && wasm_next_instr(code, &instr)) {
        uint32_t index = new_index(copy, &instr);
        if (index != instr.index) {
            put(copy, code->base + copied, instr.index_at - copied);
            put_u32(copy, index);
            copied = instr.index_at + instr.index_len;
        }
    }
    if (!wasm_ok(code)) {
        wasm_fail(&copy->reader, code->problem_code, code->problem_at, code->problem);
    } else if (wasm_ok(&copy->reader)) {
        put(copy, code->base + copied, code->end - copied);
    }
}

static void copy_expression(struct copy *copy)
{
    struct wasm_reader expression = wasm_expression(&copy->reader);
    if (wasm_ok(&copy->reader)) {
        copy_instrs(copy, &expression, expression.at);
    }
}

static bool is_bound(const struct copy *copy, uint32_t function)
{
    return *linkage_at(&copy->rewrite->linkage->targets, function) != function;
}

/* Moves past an import; its kind. */
static uint8_t skip_import(struct wasm_reader *reader)
{
    (void)wasm_name(reader);
    (void)wasm_name(reader);
    uint8_t kind = wasm_byte(reader);
    switch (kind) {
    case LINKAGE_FUNCTION: wasm_u32(reader); break;
    case LINKAGE_TABLE_KIND:
        wasm_skip_value_type(reader, false);
        wasm_skip_limits(reader);
        break;
    case LINKAGE_MEMORY: wasm_skip_limits(reader); break;
    case LINKAGE_GLOBAL:
        wasm_skip_value_type(reader, false);
        wasm_byte(reader);
        break;
    default: /* a tag; others have been refused */
        wasm_byte(reader);
        wasm_u32(reader);
        break;
    }
    return kind;
}

static uint32_t bound_count(const struct copy *copy)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < copy->rewrite->linkage->import_counts[LINKAGE_FUNCTION]; i++) {
        count += is_bound(copy, i) ? 1 : 0;
    }
    return count;
}

static void put_import(struct copy *copy, const char *name, enum linkage_kind kind,
                       const char *type, size_t len)
{
    put_text(copy, "env");
    put_text(copy, name);
    put_byte(copy, kind);
    put(copy, type, len);
}

static void copy_imports(struct copy *copy)
{
    static const char table[] = {TYPE_FUNCREF, LIMITS_OPEN, 0};
    static const char global[] = {TYPE_I32, GLOBAL_CONSTANT};
    bool adds_global = copy->rewrite->new_global != LINKAGE_NONE;
    bool adds_table = copy->rewrite->adds_table;
    uint32_t count = wasm_u32(&copy->reader);
    uint32_t function = 0;
    put_u32(copy, count - bound_count(copy) + (adds_global ? 1 : 0) + (adds_table ? 1 : 0));
    for (uint32_t i = 0; i < count && wasm_ok(&copy->reader); i++) {
        size_t start = copy->reader.at;
        uint8_t kind = skip_import(&copy->reader);
        if (kind != LINKAGE_FUNCTION || !is_bound(copy, function++)) {
            put_read(copy, start);
        }
    }
    if (adds_table) {
        put_import(copy, LINKAGE_TABLE, LINKAGE_TABLE_KIND, table, sizeof table);
    }
    if (adds_global) {
        put_import(copy, "__table_base", LINKAGE_GLOBAL, global, sizeof global);
    }
}

/* The function table's limits, larger by the places that are new; a maximum grows as much, so that
 * as many entries as before are left for side modules. */
static void copy_grown_limits(struct copy *copy)
{
    uint64_t more = copy->rewrite->linkage->new_places.len / sizeof(uint32_t);
    uint8_t flags = wasm_byte(&copy->reader);
    uint64_t min = wasm_u32(&copy->reader) + more;
    put_byte(copy, flags);
    put_u32(copy, min > UINT32_MAX ? UINT32_MAX : (uint32_t)min);
    if ((flags & LIMITS_HAS_MAX) != 0) {
        uint64_t max = wasm_u32(&copy->reader) + more;
        put_u32(copy, max > UINT32_MAX ? UINT32_MAX : (uint32_t)max);
    }
}

static void copy_table(struct copy *copy, bool grows)
{
    struct wasm_reader *reader = &copy->reader;
    size_t start = reader->at;
    bool has_initializer = !wasm_at_end(reader) && reader->base[start] == TABLE_HAS_INITIALIZER;
    wasm_skip(reader, has_initializer ? 2 : 0);
    wasm_skip_value_type(reader, false);
    if (grows) {
        put_read(copy, start);
        copy_grown_limits(copy);
    } else {
        wasm_skip_limits(reader);
        put_read(copy, start);
    }
    if (has_initializer) {
        copy_expression(copy);
    }
}

static void copy_tables(struct copy *copy)
{
    const struct linkage *linkage = copy->rewrite->linkage;
    uint32_t count = copy_u32(copy);
    uint32_t first = linkage->import_counts[LINKAGE_TABLE_KIND];
    for (uint32_t i = 0; i < count && wasm_ok(&copy->reader); i++) {
        copy_table(copy, !copy->rewrite->relative && i == linkage->table - first);
    }
}

static void copy_globals(struct copy *copy)
{
    uint32_t count = copy_u32(copy);
    for (uint32_t i = 0; i < count && wasm_ok(&copy->reader); i++) {
        size_t start = copy->reader.at;
        wasm_skip_value_type(&copy->reader, false);
        wasm_byte(&copy->reader);
        put_read(copy, start);
        copy_expression(copy);
    }
}

static void copy_exports(struct copy *copy)
{
    uint32_t count = copy_u32(copy);
    for (uint32_t i = 0; i < count && wasm_ok(&copy->reader); i++) {
        size_t start = copy->reader.at;
        (void)wasm_name(&copy->reader);
        uint8_t kind = wasm_byte(&copy->reader);
        put_read(copy, start);
        size_t at = copy->reader.at;
        uint32_t index = wasm_u32(&copy->reader);
        if (kind == LINKAGE_FUNCTION) {
            index = new_function(copy, index, at);
        } else if (kind == LINKAGE_GLOBAL) {
            index = new_global(copy, index);
        }
        put_u32(copy, index);
    }
}

static void copy_start(struct copy *copy)
{
    size_t at = copy->reader.at;
    uint32_t index = wasm_u32(&copy->reader);
    put_u32(copy, new_function(copy, index, at));
}

static void copy_element(struct copy *copy)
{
    struct wasm_reader *reader = &copy->reader;
    size_t start = reader->at;
    struct wasm_element element = wasm_element_open(reader);
    if (element.is_active && wasm_ok(reader)) {
        put(copy, reader->base + start, element.offset.at - start);
        start = element.offset.end;
        copy_instrs(copy, &element.offset, element.offset.at);
    }
    put_read(copy, start);
    for (uint32_t i = 0; i < element.count && wasm_ok(reader); i++) {
        if (element.has_expressions) {
            copy_expression(copy);
        } else {
            size_t at = reader->at;
            uint32_t index = wasm_u32(reader);
            put_u32(copy, new_function(copy, index, at));
        }
    }
}

/* i32.const: a signed number, but never negative here. */
static void put_literal(struct copy *copy, uint32_t value)
{
    put_byte(copy, WASM_I32_CONST);
    for (; value >= 0x40; value >>= 7) {
        put_byte(copy, 0x80 | (value & 0x7F));
    }
    put_byte(copy, value);
}

static void put_new_offset(struct copy *copy)
{
    const struct rewrite *rewrite = copy->rewrite;
    if (!rewrite->relative) {
        put_literal(copy, rewrite->entries);
    } else {
        bool is_added = rewrite->new_global != LINKAGE_NONE;
        put_byte(copy, WASM_GLOBAL_GET);
        put_u32(copy, is_added ? rewrite->new_global : rewrite->linkage->table_base);
        if (rewrite->entries > 0) {
            put_literal(copy, rewrite->entries);
            put_byte(copy, WASM_I32_ADD);
        }
    }
    put_byte(copy, WASM_END);
}

static void put_new_element(struct copy *copy)
{
    const struct linkage *linkage = copy->rewrite->linkage;
    uint32_t count = (uint32_t)(linkage->new_places.len / sizeof(uint32_t));
    bool is_first = linkage->table == 0;
    put_byte(copy, is_first ? ELEMENT_OF_TABLE_0 : ELEMENT_OF_TABLE);
    if (!is_first) {
        put_u32(copy, linkage->table);
    }
    put_new_offset(copy);
    if (!is_first) {
        put_byte(copy, ELEMENT_KIND_FUNCTION);
    }
    put_u32(copy, count);
    for (uint32_t i = 0; i < count; i++) {
        put_u32(copy, *linkage_at(&copy->rewrite->functions, *linkage_at(&linkage->new_places, i)));
    }
}

static void copy_elements(struct copy *copy)
{
    bool adds = copy->rewrite->linkage->new_places.len > 0;
    uint32_t count = wasm_u32(&copy->reader);
    put_u32(copy, count + (adds ? 1 : 0));
    for (uint32_t i = 0; i < count && wasm_ok(&copy->reader); i++) {
        copy_element(copy);
    }
    if (adds) {
        put_new_element(copy);
    }
}

/* A function: its locals, then its instructions. */
static void copy_function(struct copy *copy, struct buf *code)
{
    uint32_t len = wasm_u32(&copy->reader);
    struct wasm_reader entry = wasm_take(&copy->reader, len);
    if (!wasm_ok(&copy->reader)) {
        return;
    }
    struct copy inner = {copy->rewrite, entry, code};
    size_t start = entry.at;
    buf_clear(code);
    uint32_t groups = wasm_u32(&entry);
    for (uint32_t i = 0; i < groups && wasm_ok(&entry); i++) {
        wasm_u32(&entry);
        wasm_skip_value_type(&entry, false);
    }
    copy_instrs(&inner, &entry, start);
    if (!wasm_ok(&inner.reader)) {
        wasm_fail(&copy->reader, inner.reader.problem_code, inner.reader.problem_at,
                  inner.reader.problem);
        return;
    }
    put_u32(copy, (uint32_t)code->len);
    put(copy, code->base, code->len);
}

static void copy_code(struct copy *copy, struct buf *code)
{
    uint32_t count = copy_u32(copy);
    for (uint32_t i = 0; i < count && wasm_ok(&copy->reader); i++) {
        copy_function(copy, code);
    }
}

static void copy_data(struct copy *copy)
{
    uint32_t count = copy_u32(copy);
    for (uint32_t i = 0; i < count && wasm_ok(&copy->reader); i++) {
        uint32_t flags = copy_u32(copy);
        if ((flags & DATA_OF_MEMORY) != 0) {
            copy_u32(copy);
        }
        if ((flags & DATA_PASSIVE) == 0) {
            copy_expression(copy);
        }
        uint32_t len = copy_u32(copy);
        size_t start = copy->reader.at;
        wasm_skip(&copy->reader, len);
        put_read(copy, start);
    }
}

static bool is_rewritten(const struct rewrite *rewrite, uint8_t id)
{
    switch (id) {
    case WASM_SECTION_IMPORT:
    case WASM_SECTION_TABLE:
    case WASM_SECTION_GLOBAL:
    case WASM_SECTION_EXPORT:
    case WASM_SECTION_START:
    case WASM_SECTION_ELEMENT:
    case WASM_SECTION_CODE: return true;
    case WASM_SECTION_DATA: return rewrite->new_global != LINKAGE_NONE;
    default: return false;
    }
}

static void copy_section(struct copy *copy, uint8_t id, struct buf *code)
{
    switch (id) {
    case WASM_SECTION_IMPORT: copy_imports(copy); break;
    case WASM_SECTION_TABLE: copy_tables(copy); break;
    case WASM_SECTION_GLOBAL: copy_globals(copy); break;
    case WASM_SECTION_EXPORT: copy_exports(copy); break;
    case WASM_SECTION_START: copy_start(copy); break;
    case WASM_SECTION_ELEMENT: copy_elements(copy); break;
    case WASM_SECTION_CODE: copy_code(copy, code); break;
    default: copy_data(copy); break;
    }
    if (wasm_ok(&copy->reader) && !wasm_at_end(&copy->reader)) {
        wasm_fail(&copy->reader, ERR_FORMAT, copy->reader.at,
                  "bytes after the end of a section's contents");
    }
}

static int append_section(struct buf *out, uint8_t id, const struct buf *body, struct err *err)
{
    unsigned char size[WASM_U32_BYTES_MAX];
    size_t size_len = wasm_encode_u32(size, (uint32_t)body->len);
    if (buf_append_char(out, (char)id) != 0 || buf_append(out, size, size_len) != 0 ||
        buf_append(out, body->base, body->len) != 0) {
        return err_set(err, ERR_LIMIT, "no room for the rewritten module");
    }
    return 0;
}

static int rewrite_section(struct rewrite *rewrite, const struct wasm_section *section,
                           struct buf *out, struct err *err)
{
    if (!is_rewritten(rewrite, section->id)) {
        const unsigned char *bytes = section->body.base + section->start;
        return buf_append(out, bytes, section->body.end - section->start) == 0
                   ? 0
                   : err_set(err, ERR_LIMIT, "no room for the rewritten module");
    }
    struct copy copy = {rewrite, section->body, &rewrite->body};
    buf_clear(&rewrite->body);
    copy_section(&copy, section->id, &rewrite->code);
    return wasm_result(&copy.reader, err) != 0
               ? -1
               : append_section(out, section->id, &rewrite->body, err);
}

/* The element section of a module that has none. */
static int add_elements(struct rewrite *rewrite, struct buf *out, struct err *err)
{
    struct copy copy = {rewrite, {0}, &rewrite->body};
    buf_clear(&rewrite->body);
    put_u32(&copy, 1);
    put_new_element(&copy);
    return wasm_result(&copy.reader, err) != 0
               ? -1
               : append_section(out, WASM_SECTION_ELEMENT, &rewrite->body, err);
}

static bool is_behind_elements(uint8_t id)
{
    return id == WASM_SECTION_DATA_COUNT || id == WASM_SECTION_CODE || id == WASM_SECTION_DATA;
}

static int rewrite_sections(struct rewrite *rewrite, struct buf *out, struct err *err)
{
    struct wasm_reader reader = wasm_reader_of(rewrite->linkage->module.bytes);
    struct wasm_section section;
    bool adds = rewrite->linkage->new_places.len > 0;
    reader.at = WASM_HEADER_BYTES;
    if (buf_append(out, reader.base, WASM_HEADER_BYTES) != 0) {
        return err_set(err, ERR_LIMIT, "no room for the rewritten module");
    }
    while (wasm_next_section(&reader, &section)) {
        if (section.id == WASM_SECTION_CUSTOM) {
            continue;
        }
        if (adds && is_behind_elements(section.id) && add_elements(rewrite, out, err) != 0) {
            return -1;
        }
        adds = adds && section.id != WASM_SECTION_ELEMENT && !is_behind_elements(section.id);
        if (rewrite_section(rewrite, &section, out, err) != 0) {
            return -1;
        }
    }
    if (adds && add_elements(rewrite, out, err) != 0) {
        return -1;
    }
    return wasm_result(&reader, err);
}

/* The functions without the imports that are taken out, counted anew. */
static int number_functions(struct rewrite *rewrite, struct err *err)
{
    const struct linkage *linkage = rewrite->linkage;
    uint32_t next = 0;
    for (uint32_t i = 0; i < linkage->function_count; i++) {
        uint32_t number = *linkage_at(&linkage->targets, i) == i ? next++ : LINKAGE_NONE;
        if (buf_append(&rewrite->functions, &number, sizeof number) != 0) {
            return err_set(err, ERR_MEMORY, "no memory for the functions' numbers");
        }
    }
    for (uint32_t i = 0; i < linkage->function_count; i++) {
        uint32_t target = *linkage_at(&linkage->targets, i);
        *linkage_at(&rewrite->functions, i) = *linkage_at(&rewrite->functions, target);
    }
    return 0;
}

int rewrite_module(const struct linkage *linkage, bool relative, uint32_t entries, struct buf *out,
                   struct err *err)
{
    struct rewrite rewrite = {linkage, relative, entries, .new_global = LINKAGE_NONE};
    size_t old_len = out->len;
    if (relative && linkage->table_base == LINKAGE_NONE && linkage->new_places.len > 0) {
        rewrite.new_global = linkage->import_counts[LINKAGE_GLOBAL];
    }
    rewrite.adds_table =
        relative && linkage->import_counts[LINKAGE_TABLE_KIND] == 0 && linkage->new_places.len > 0;
    buf_init(&rewrite.functions, LIMIT_WASM_FUNCTIONS_MAX * sizeof(uint32_t));
    buf_init(&rewrite.body, out->bytes_max);
    buf_init(&rewrite.code, out->bytes_max);
    int result = number_functions(&rewrite, err);
    if (result == 0) {
        result = rewrite_sections(&rewrite, out, err);
    }
    buf_free(&rewrite.functions);
    buf_free(&rewrite.body);
    buf_free(&rewrite.code);
    if (result != 0) {
        out->len = old_len;
    }
    return result;
}
