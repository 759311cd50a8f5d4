#include "guest/dylink/prepare.h"

#include "base/limits.h"
#include "guest/dylink/dylink_section.h"
#include "guest/dylink/exports.h"
#include "guest/dylink/linkage.h"
#include "guest/dylink/lower.h"
#include "guest/dylink/names.h"
#include "guest/dylink/record_write.h"
#include "guest/dylink/rewrite.h"

/* What the loader calls by name; they are no symbols. */
static const char *const constructors[] = {"__wasm_apply_data_relocs", "__wasm_call_ctors"};
enum { CONSTRUCTORS = sizeof constructors / sizeof *constructors };

/* A module on its way. */
struct preparation {
    bool is_core;
    const struct record *core; /* for a side module */
    struct linkage linkage;    /* of `lowered` */
    struct record_draft draft;
    struct buf lowered;
    struct buf trimmed;   /* without most of its exports */
    struct buf unmoved;   /* of struct span: exported data that is at no offset */
    struct buf variables; /* of uint32_t: a core's mutable globals */
};

static bool is_constructor(struct span name)
{
    for (size_t i = 0; i < CONSTRUCTORS; i++) {
        if (span_equal(name, span_of(constructors[i]))) {
            return true;
        }
    }
    return false;
}

/* Gives exported functions places, and makes symbols of them and of exported addresses. */
static int add_symbol(struct preparation *job, const struct linkage_export *export, uint32_t places,
                      struct err *err)
{
    struct record_symbol symbol = {.name = export->name, .kind = RECORD_FUNCTION};
    if (export->kind == LINKAGE_FUNCTION) {
        if (!job->is_core && is_constructor(export->name)) {
            return 0;
        }
        if (linkage_place(&job->linkage, export->index, places, &symbol.value, err) != 0) {
            return -1;
        }
        return record_draft_symbol(&job->draft, symbol, err);
    }
    const struct linkage_global *globals = (const void *)job->linkage.globals.base;
    if (export->kind != LINKAGE_GLOBAL ||
        export->index >= job->linkage.globals.len / sizeof *globals ||
        !globals[export->index].is_constant || names_have(&job->unmoved, export->name)) {
        return 0;
    }
    symbol.kind = RECORD_DATA;
    symbol.value = globals[export->index].value;
    return record_draft_symbol(&job->draft, symbol, err);
}

static int add_symbols(struct preparation *job, struct err *err)
{
    const struct linkage_export *exports = (const void *)job->linkage.exports.base;
    size_t count = job->linkage.exports.len / sizeof *exports;
    uint32_t places = job->draft.table_entries;
    for (size_t i = 0; i < count; i++) {
        if (add_symbol(job, &exports[i], places, err) != 0) {
            return -1;
        }
    }
    job->draft.table_entries += (uint32_t)(job->linkage.new_places.len / sizeof(uint32_t));
    return 0;
}

/* The names of the constructors that a side module has. */
static void choose_constructors(const struct linkage *linkage, const char *keep[CONSTRUCTORS + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < CONSTRUCTORS; i++) {
        const struct linkage_export *export = linkage_export(linkage, span_of(constructors[i]));
        if (export != NULL && export->kind == LINKAGE_FUNCTION) {
            keep[count++] = constructors[i];
        }
    }
    keep[count] = NULL;
}

/* The stack's bounds and the like, of which a guest's state consists beside its memory. A side
 * module has none: its mutable globals are addresses that its start function computes. */
static int find_variables(struct preparation *job, struct err *err)
{
    const struct linkage_global *globals = (const void *)job->linkage.globals.base;
    const uint32_t count = (uint32_t)(job->linkage.globals.len / sizeof *globals);
    for (uint32_t i = job->linkage.import_counts[LINKAGE_GLOBAL]; i < count; i++) {
        if (!globals[i].is_mutable) {
            continue;
        }
        if (!globals[i].is_i32) {
            return err_set(err, ERR_FORMAT, "WebAssembly module: a variable that is no i32");
        }
        if (buf_append(&job->variables, &i, sizeof i) != 0) {
            return err_set(err, ERR_LIMIT, "WebAssembly module: more than %u variables",
                           LIMIT_CORE_VARIABLES_MAX);
        }
    }
    return 0;
}

/* The module without most exports, written anew with what the first reading found: only exports
 * have changed, and no offset into the module is kept. */
static int write_module(struct preparation *job, const char *const *keep, uint32_t places,
                        struct buf *module, struct err *err)
{
    if (exports_keep(buf_span(&job->lowered), keep, &job->variables, &job->trimmed, err) != 0) {
        return -1;
    }
    job->linkage.module.bytes = buf_span(&job->trimmed);
    return rewrite_module(&job->linkage, !job->is_core, places, module, err);
}

/* A side module that knows no table at all, because it takes no function's address, gets the one
 * in which its functions have their places. */
static bool lacks_table(const struct preparation *job)
{
    const struct linkage *linkage = &job->linkage;
    return !job->is_core && linkage->imports.len > 0 && linkage->own_tables == 0 &&
           linkage->import_counts[LINKAGE_TABLE_KIND] == 0;
}

static int read_needs(struct preparation *job, struct err *err)
{
    struct linkage *linkage = &job->linkage;
    if (lacks_table(job)) {
        linkage->table = 0;
        return dylink_section_read(buf_span(&job->lowered), &job->draft, &job->unmoved, err);
    }
    if (linkage->table == LINKAGE_NONE) {
        return err_set(err, ERR_FORMAT, "WebAssembly module: it has no %s", LINKAGE_TABLE);
    }
    bool is_imported = linkage->table < linkage->import_counts[LINKAGE_TABLE_KIND];
    if (is_imported == job->is_core) {
        return err_set(err, ERR_FORMAT, "WebAssembly module: %s its function table",
                       is_imported ? "a core that imports" : "a side module that defines");
    }
    if (!job->is_core) {
        return dylink_section_read(buf_span(&job->lowered), &job->draft, &job->unmoved, err);
    }
    job->draft.table_entries = linkage->table_min;
    return 0;
}

static int run(struct preparation *job, struct span wasm, const char *const *keep,
               struct buf *module, struct buf *record, struct err *err)
{
    const char *own[CONSTRUCTORS + 1];
    if (lower_exceptions(wasm, &job->lowered, err) != 0 ||
        linkage_read(&job->linkage, buf_span(&job->lowered), err) != 0 ||
        read_needs(job, err) != 0) {
        return -1;
    }
    if (!job->is_core) {
        linkage_bind_to_self(&job->linkage, job->core);
        choose_constructors(&job->linkage, own);
        keep = own;
    }
    uint32_t places = job->draft.table_entries;
    if (linkage_find_places(&job->linkage, !job->is_core, places, err) != 0 ||
        add_symbols(job, err) != 0 || record_write(&job->draft, record, err) != 0 ||
        (job->is_core && find_variables(job, err) != 0)) {
        return -1;
    }
    return write_module(job, keep, places, module, err);
}

static int prepare(struct preparation *job, struct span wasm, const char *const *keep,
                   struct buf *module, struct buf *record, struct err *err)
{
    size_t record_len = record->len;
    buf_init(&job->lowered, LIMIT_WASM_MODULE_BYTES_MAX);
    buf_init(&job->trimmed, LIMIT_WASM_MODULE_BYTES_MAX);
    buf_init(&job->unmoved, LIMIT_RECORD_TEXTS_MAX * sizeof(struct span));
    buf_init(&job->variables, LIMIT_CORE_VARIABLES_MAX * sizeof(uint32_t));
    int result = run(job, wasm, keep, module, record, err);
    if (result != 0) {
        record->len = record_len;
    }
    linkage_free(&job->linkage);
    record_draft_free(&job->draft);
    buf_free(&job->lowered);
    buf_free(&job->trimmed);
    buf_free(&job->unmoved);
    buf_free(&job->variables);
    return result;
}

int prepare_core(struct span wasm, const char *const *keep, struct buf *module, struct buf *record,
                 struct err *err)
{
    struct preparation job = {.is_core = true};
    record_draft_init(&job.draft);
    return prepare(&job, wasm, keep, module, record, err);
}

int prepare_side(struct span wasm, const struct record *core, struct span sum, struct buf *module,
                 struct buf *record, struct err *err)
{
    struct preparation job = {.core = core};
    record_draft_init(&job.draft);
    job.draft.sum = sum;
    return prepare(&job, wasm, NULL, module, record, err);
}
