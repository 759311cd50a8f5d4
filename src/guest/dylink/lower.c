#include "guest/dylink/lower.h"

#include <string.h>

#include "base/limits.h"
#include "guest/dylink/lower_emit.h"
#include "guest/dylink/wasm_code.h"
#include "guest/dylink/wasm_module.h"

/* A module on its way. */
struct lowering {
    struct wasm_module module;
    struct lower_emitter emitter;
    struct buf code; /* the new code section's contents, without the count; empty: no change */
};

static int append_u32(struct buf *out, uint32_t value)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    return buf_append(out, bytes, wasm_encode_u32(bytes, value));
}

/* Whether a function (its locals, then its instructions) uses the legacy encoding. Every use has a
 * `try`. */
static bool has_try(struct wasm_reader *entry)
{
    uint32_t groups = wasm_u32(entry);
    for (uint32_t i = 0; i < groups && wasm_ok(entry); i++) {
        wasm_u32(entry);
        wasm_skip_value_type(entry, false);
    }
    struct wasm_instr instr;
    while (wasm_next_instr(entry, &instr)) {
        if (instr.op == WASM_TRY) {
            return true;
        }
    }
    return false;
}

/* Opens the code section: how many functions follow. */
static uint32_t read_code_count(const struct wasm_module *module, struct wasm_reader *code)
{
    *code = module->code;
    if (code->base == NULL) {
        return 0;
    }
    size_t start = code->at;
    uint32_t count = wasm_u32(code);
    if (wasm_ok(code) && count != module->functions.len / sizeof(uint32_t)) {
        wasm_fail(code, ERR_FORMAT, start, "functions and their bodies differ in number");
    }
    return count;
}

/* Copies the functions between two that change, or leaves them where they are until one does. */
static void copy_functions(struct lowering *lowering, struct wasm_reader *code, size_t from,
                           size_t until)
{
    wasm_push(code, &lowering->code, code->base + from, until - from,
              "the lowered module is too long");
}

static int lower_code(struct lowering *lowering, struct err *err)
{
    struct wasm_reader code;
    uint32_t count = read_code_count(&lowering->module, &code);
    size_t copied = code.at;
    bool changed = false;
    for (uint32_t i = 0; i < count && wasm_ok(&code); i++) {
        size_t start = code.at;
        uint32_t len = wasm_u32(&code);
        struct wasm_reader entry = wasm_take(&code, len);
        struct wasm_reader again = entry;
        if (has_try(&entry)) {
            uint32_t type = 0;
            wasm_type_of(&lowering->module.functions, i, &type);
            copy_functions(lowering, &code, copied, start);
            lower_emit_function(&lowering->emitter, &again, type, &lowering->code);
            entry = again;
            copied = code.at;
            changed = true;
        }
        if (wasm_result(&entry, err) != 0) {
            return -1;
        }
    }
    if (wasm_ok(&code) && !wasm_at_end(&code)) {
        wasm_fail(&code, ERR_FORMAT, code.at, "bytes after the last function");
    }
    if (changed) {
        copy_functions(lowering, &code, copied, code.end);
    }
    return wasm_result(&code, err);
}

static bool starts_with(struct span name, const char *start)
{
    size_t len = strlen(start);
    return name.len >= len && memcmp(name.base, start, len) == 0;
}

/* Whether a custom section speaks of places in the code, which have moved. */
static bool is_stale(struct wasm_reader body)
{
    static const char *const starts[] = {".debug_", "metadata.code.", "reloc."};
    static const char *const names[] = {"linking", "sourceMappingURL", "external_debug_info"};
    uint32_t len = wasm_u32(&body);
    struct wasm_reader text = wasm_take(&body, len);
    if (!wasm_ok(&text)) {
        return false;
    }
    struct span name = {(const char *)text.base + text.at, text.end - text.at};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (starts_with(name, starts[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (span_equal(name, span_of(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Writes a section's id and size, then its contents: a count, the old rest, the new rest. */
static int append_section(struct buf *out, uint8_t id, uint32_t count, struct span old,
                          struct span new)
{
    unsigned char bytes[WASM_U32_BYTES_MAX];
    size_t len = wasm_encode_u32(bytes, count) + old.len + new.len;
    if (len > UINT32_MAX || buf_append_char(out, (char)id) != 0 ||
        append_u32(out, (uint32_t)len) != 0 || append_u32(out, count) != 0 ||
        buf_append(out, old.base, old.len) != 0) {
        return -1;
    }
    return buf_append(out, new.base, new.len);
}

static int append_types(const struct lowering *lowering, struct buf *out)
{
    const struct lower_emitter *emitter = &lowering->emitter;
    const struct wasm_reader *rest = &lowering->module.types_rest;
    cleanup_buf struct buf types;
    buf_init(&types, out->bytes_max);
    if (lower_emit_types(emitter, &types) != 0) {
        return -1;
    }
    uint32_t count = lowering->module.type_entries +
                     (uint32_t)(emitter->new_types.len / sizeof(struct lower_type));
    struct span old = {(const char *)rest->base + rest->at, rest->end - rest->at};
    return append_section(out, WASM_SECTION_TYPE, count, old, buf_span(&types));
}

static int append_one(const struct lowering *lowering, const struct wasm_section *section,
                      struct buf *out)
{
    if (section->id == WASM_SECTION_CUSTOM && is_stale(section->body)) {
        return 0;
    }
    if (section->id == WASM_SECTION_TYPE) {
        return append_types(lowering, out);
    }
    if (section->id == WASM_SECTION_CODE) {
        uint32_t count = (uint32_t)(lowering->module.functions.len / sizeof(uint32_t));
        return append_section(out, section->id, count, buf_span(&lowering->code),
                              (struct span){NULL, 0});
    }
    return buf_append(out, section->body.base + section->start, section->body.end - section->start);
}

static int append_lowered(const struct lowering *lowering, struct buf *out)
{
    struct wasm_reader reader = wasm_reader_of(lowering->module.bytes);
    reader.at = WASM_HEADER_BYTES;
    if (buf_append(out, reader.base, WASM_HEADER_BYTES) != 0) {
        return -1;
    }
    struct wasm_section section;
    while (wasm_next_section(&reader, &section)) {
        if (append_one(lowering, &section, out) != 0) {
            return -1;
        }
    }
    return 0;
}

static int lower_module(struct lowering *lowering, struct buf *out, struct err *err)
{
    if (lower_code(lowering, err) != 0) {
        return -1;
    }
    size_t old_len = out->len;
    int result = lowering->code.len == 0
                     ? buf_append(out, lowering->module.bytes.base, lowering->module.bytes.len)
                     : append_lowered(lowering, out);
    if (result != 0) {
        out->len = old_len;
        return err_set(err, ERR_LIMIT,
                       "WebAssembly module: no room for it when lowered (%zu bytes at most)",
                       out->bytes_max);
    }
    return 0;
}

int lower_exceptions(struct span module, struct buf *out, struct err *err)
{
    struct lowering lowering;
    int result = wasm_module_read(&lowering.module, module, err);
    if (result == 0) {
        size_t bytes_max = out->bytes_max < UINT32_MAX ? out->bytes_max : UINT32_MAX;
        lower_emitter_init(&lowering.emitter, &lowering.module, bytes_max);
        buf_init(&lowering.code, bytes_max);
        result = lower_module(&lowering, out, err);
        lower_emitter_free(&lowering.emitter);
        buf_free(&lowering.code);
    }
    wasm_module_free(&lowering.module);
    return result;
}

static int find_try(const struct wasm_module *module, bool *found, struct err *err)
{
    struct wasm_reader code;
    uint32_t count = read_code_count(module, &code);
    for (uint32_t i = 0; i < count && wasm_ok(&code) && !*found; i++) {
        uint32_t len = wasm_u32(&code);
        struct wasm_reader entry = wasm_take(&code, len);
        *found = has_try(&entry);
        if (wasm_result(&entry, err) != 0) {
            return -1;
        }
    }
    return wasm_result(&code, err);
}

int lower_needed(struct span module, bool *needed, struct err *err)
{
    struct wasm_module read;
    *needed = false;
    int result = wasm_module_read(&read, module, err);
    if (result == 0) {
        result = find_try(&read, needed, err);
    }
    wasm_module_free(&read);
    return result;
}
