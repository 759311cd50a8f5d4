#include "packages/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "base/utf8.h"

/* ---- Texts ----------------------------------------------------------------------------------- */

/* Makes blanks of control characters; without lines, a line's indentation goes with its break. */
static void controls_blank(char *text, size_t len, bool has_lines)
{
    size_t kept = 0;
    bool is_indentation = false;
    for (size_t i = 0; i < len; i++) {
        const bool is_newline = text[i] == '\n';
        const bool is_control = (unsigned char)text[i] < ' ' || text[i] == 0x7F;
        if (is_indentation && text[i] == ' ') {
            continue;
        }
        is_indentation = is_newline && !has_lines;
        text[kept++] = (char)(is_control && !(is_newline && has_lines) ? ' ' : text[i]);
    }
    text[kept] = '\0';
}

char *plan_text(struct span text, size_t bytes_max, bool has_lines)
{
    struct buf line;
    struct span front = {text.base, text.len < bytes_max ? text.len : bytes_max};
    buf_init(&line, 3 * bytes_max + 1);
    if (utf8_append_lossy(&line, front) != 0 || buf_append_char(&line, '\0') != 0) {
        buf_free(&line);
        return NULL;
    }
    controls_blank(line.base, line.len - 1, has_lines);
    return line.base;
}

/* Decodes a JSON string of at most size - 1 bytes, without NUL bytes. */
static bool text_take(struct span object, const char *key, char *out, size_t size)
{
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, size - 1);
    if (!jtext_find(object, key, &value) || jtext_type(value) != JTEXT_STRING ||
        jtext_string_decode(&text, value) != 0) {
        return false;
    }
    if (text.len > 0) {
        memcpy(out, text.base, text.len);
    }
    out[text.len] = '\0';
    return strlen(out) == text.len;
}

/* A JSON string as a text that can be shown; NULL when it is none. */
static char *string_take(struct span value, size_t bytes_max, bool has_lines)
{
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_RESULT_FRAME_BYTES_MAX);
    if (jtext_type(value) != JTEXT_STRING || jtext_string_decode(&text, value) != 0) {
        return NULL;
    }
    return plan_text(buf_span(&text), bytes_max, has_lines);
}

static char *line_take(struct span value)
{
    return string_take(value, LIMIT_INSTALL_LINE_BYTES_MAX, false);
}

/* ---- Members --------------------------------------------------------------------------------- */

static size_t array_count(struct span array)
{
    struct span key;
    struct span item;
    size_t count = 0;
    struct jtext_cursor cursor = jtext_open(array);
    while (jtext_next(&cursor, &key, &item)) {
        count++;
    }
    return count;
}

/* The array `key`; one that is missing is empty. */
static int array_find(struct span object, const char *key, size_t count_max, struct span *out,
                      size_t *count, struct err *err)
{
    *count = 0;
    if (!jtext_find(object, key, out)) {
        *out = span_of("[]");
        return 0;
    }
    if (jtext_type(*out) != JTEXT_ARRAY) {
        return err_set(err, ERR_FORMAT, "the plan's member %s is not an array", key);
    }
    *count = array_count(*out);
    return *count <= count_max ? 0
                               : err_set(err, ERR_LIMIT, "the plan has %zu %s, %zu at most", *count,
                                         key, count_max);
}

static int package_parse(struct plan_package *out, struct span object, struct err *err)
{
    struct span requested;
    if (!text_take(object, "name", out->name, sizeof out->name) ||
        !name_is_project(span_of(out->name))) {
        return err_set(err, ERR_FORMAT, "the plan has a package without a proper name");
    }
    if (!text_take(object, "version", out->version, sizeof out->version) ||
        !name_is_version(span_of(out->version))) {
        return err_set(err, ERR_FORMAT, "the plan has no proper version for %s", out->name);
    }
    if (!text_take(object, "sha256", out->sum, sizeof out->sum) ||
        !name_is_sum(span_of(out->sum))) {
        return err_set(err, ERR_FORMAT, "the plan has no proper SHA-256 for %s", out->name);
    }
    if (!text_take(object, "filename", out->filename, sizeof out->filename) ||
        !name_is_wheel(span_of(out->filename), span_of(out->name), span_of(out->version))) {
        return err_set(err, ERR_FORMAT, "the plan has no proper wheel for %s", out->name);
    }
    out->is_requested =
        jtext_find(object, "requested", &requested) && span_equal(requested, span_of("true"));
    return 0;
}

static int packages_parse(struct plan *plan, struct span object, struct err *err)
{
    struct span array;
    struct span key;
    struct span item;
    size_t count;
    if (!jtext_find(object, "packages", &array)) {
        return err_set(err, ERR_FORMAT, "the plan has no packages");
    }
    if (array_find(object, "packages", LIMIT_PACKAGES_MAX, &array, &count, err) != 0) {
        return -1;
    }
    plan->packages = calloc(count + 1, sizeof *plan->packages);
    if (plan->packages == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a plan");
    }
    struct jtext_cursor cursor = jtext_open(array);
    while (jtext_next(&cursor, &key, &item)) {
        if (package_parse(&plan->packages[plan->package_count], item, err) != 0) {
            return -1;
        }
        plan->package_count++;
    }
    return plan_sort(plan, err);
}

static int dropped_parse(struct plan *plan, struct span object, struct err *err)
{
    struct span array;
    struct span key;
    struct span item;
    struct span value;
    size_t count;
    if (array_find(object, "dropped", LIMIT_REQUIREMENTS_MAX, &array, &count, err) != 0) {
        return -1;
    }
    plan->dropped = calloc(count + 1, sizeof *plan->dropped);
    if (plan->dropped == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a plan");
    }
    struct jtext_cursor cursor = jtext_open(array);
    while (jtext_next(&cursor, &key, &item)) {
        struct plan_dropped *dropped = &plan->dropped[plan->dropped_count++];
        dropped->name = jtext_find(item, "name", &value) ? line_take(value) : NULL;
        dropped->reason = jtext_find(item, "reason", &value) ? line_take(value) : NULL;
        dropped->is_temporary =
            jtext_find(item, "temporary", &value) && span_equal(value, span_of("true"));
        if (dropped->name == NULL || dropped->reason == NULL) {
            return err_set(err, ERR_FORMAT, "the plan dropped something without a name or reason");
        }
    }
    return 0;
}

static int log_parse(struct plan *plan, struct span object, struct err *err)
{
    struct span array;
    struct span key;
    struct span item;
    size_t count;
    if (array_find(object, "log", LIMIT_INSTALL_LINES_MAX, &array, &count, err) != 0) {
        return -1;
    }
    plan->log = calloc(count + 1, sizeof *plan->log);
    if (plan->log == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a plan");
    }
    struct jtext_cursor cursor = jtext_open(array);
    while (jtext_next(&cursor, &key, &item)) {
        char *line = line_take(item);
        if (line == NULL) {
            return err_set(err, ERR_FORMAT, "the plan's log has something that is no text");
        }
        plan->log[plan->log_count++] = line;
    }
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

int plan_parse(struct plan *plan, struct span json, struct err *err)
{
    struct span object;
    struct span value;
    *plan = (struct plan){0};
    if (jtext_check(json, JTEXT_LONE_SURROGATES, &object, err) != 0) {
        return err_prefix(err, "the plan");
    }
    if (jtext_type(object) != JTEXT_OBJECT) {
        return err_set(err, ERR_FORMAT, "the plan is not an object");
    }
    if (log_parse(plan, object, err) != 0) {
        return -1;
    }
    if (!jtext_find(object, "error", &value)) {
        return packages_parse(plan, object, err) != 0 ? -1 : dropped_parse(plan, object, err);
    }
    plan->error = string_take(value, LIMIT_INSTALL_REASON_BYTES_MAX, true);
    if (plan->error == NULL) {
        return err_set(err, ERR_FORMAT, "the plan's error is no text");
    }
    plan->hint = jtext_find(object, "hint", &value)
                     ? string_take(value, LIMIT_INSTALL_REASON_BYTES_MAX, true)
                     : NULL;
    return 0;
}

static int compare_packages(const void *a, const void *b)
{
    char a_name[NAME_SIZE];
    char b_name[NAME_SIZE];
    name_normalize(span_of(((const struct plan_package *)a)->name), a_name);
    name_normalize(span_of(((const struct plan_package *)b)->name), b_name);
    return strcmp(a_name, b_name);
}

int plan_sort(struct plan *plan, struct err *err)
{
    if (plan->package_count > 0) {
        qsort(plan->packages, plan->package_count, sizeof *plan->packages, compare_packages);
    }
    for (size_t i = 1; i < plan->package_count; i++) {
        if (compare_packages(&plan->packages[i - 1], &plan->packages[i]) == 0) {
            return err_set(err, ERR_FORMAT, "the plan has %s twice", plan->packages[i].name);
        }
    }
    return 0;
}

void plan_free(struct plan *plan)
{
    free(plan->packages);
    for (size_t i = 0; i < plan->dropped_count; i++) {
        free(plan->dropped[i].name);
        free(plan->dropped[i].reason);
    }
    free(plan->dropped);
    for (size_t i = 0; i < plan->log_count; i++) {
        free(plan->log[i]);
    }
    free(plan->log);
    free(plan->error);
    free(plan->hint);
    *plan = (struct plan){0};
}
