#include "result/render.h"

#include "base/jtext.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "result/display.h"
#include "result/escape.h"
#include "wire/wire.h"

/* An indented value may grow with its depth: past this the compact form has to do. */
#define INDENTED_BYTES_MAX(len) ((len)*8 + 64 * KIB)

struct span result_error_text(const struct outcome *outcome)
{
    if (outcome->error_traceback.len > 0) {
        return outcome->error_traceback;
    }
    if (outcome->error_message.len > 0) {
        return outcome->error_message;
    }
    switch (outcome->status) {
    case OUTCOME_LIMIT: return span_of("A limit was reached and the program was stopped.");
    case OUTCOME_CRASH: return span_of("The interpreter crashed.");
    case OUTCOME_CANCELLED: return span_of("The run was cancelled.");
    case OUTCOME_REFUSED: return span_of("The program was not run.");
    case OUTCOME_INSTALL_ERROR: return span_of("Packages could not be installed.");
    case OUTCOME_NEED: return span_of("The program needs packages.");
    case OUTCOME_RUN_ERROR: return span_of("The program ended with an error.");
    case OUTCOME_SUCCESS: break;
    }
    return span_of("");
}

struct span result_guest_traceback(const struct outcome *outcome)
{
    struct span text = outcome->error_traceback;
    struct span message = outcome->error_message;
    if (text.len >= message.len &&
        memcmp(text.base + text.len - message.len, message.base, message.len) == 0) {
        text.len -= message.len;
    }
    return text;
}

void result_open(struct result *result, const struct outcome *outcome,
                 const struct transcript *transcript)
{
    *result = (struct result){
        .outcome = outcome,
        .transcript = transcript,
        .value_note = outcome->value_note,
        .has_content = true,
        .picture_bytes_max = LIMIT_PICTURE_BYTES_DEFAULT,
    };
    if (outcome->value_json.len > 0 &&
        jtext_check(outcome->value_json, JTEXT_LONE_SURROGATES, &result->value, NULL) != 0) {
        result->value = (struct span){NULL, 0};
        result->value_note = span_of("invalid");
    }
    if (result->value.len > 0 && jtext_type(result->value) == JTEXT_NULL) {
        result->value = (struct span){NULL, 0};
    }
}

/* A display as it stands between the lines; *has_any is false when it has nothing to say. */
static int append_display_line(struct buf *out, struct span display, struct display_room *room,
                               bool *has_any)
{
    struct display_view view;
    display_look(display, room, &view);
    *has_any = !display_is_silent(&view);
    return *has_any ? display_append_text(out, &view) : 0;
}

/* The two streams, and what was displayed, as one text, without the last newline. */
static int append_lines(struct buf *out, const struct result *result)
{
    struct transcript_cursor cursor = {0};
    enum run_stream stream;
    struct span line;
    struct display_room room;
    display_room_init(&room, result->picture_bytes_max);
    while (transcript_next(result->transcript, &cursor, &stream, &line)) {
        bool has_any = true;
        if ((stream == RUN_DISPLAY ? append_display_line(out, line, &room, &has_any)
                                   : utf8_append_lossy(out, line)) != 0 ||
            (has_any && buf_append_char(out, '\n') != 0)) {
            return -1;
        }
    }
    out->len -= out->len > 0 ? 1 : 0;
    return 0;
}

static int append_element(struct buf *out, const char *element, struct span text)
{
    if (buf_append_format(out, "\n<%s>\n", element) != 0 ||
        escape_append(out, element, text) != 0) {
        return -1;
    }
    return buf_append_format(out, "\n</%s>", element);
}

static int append_output_element(struct buf *out, const struct result *result)
{
    cleanup_buf struct buf text;
    buf_init(&text, out->bytes_max);
    if (result->transcript->order.len == 0) {
        return 0;
    }
    if (append_lines(&text, result) != 0) {
        return -1;
    }
    return text.base == NULL ? 0 : append_element(out, "output", buf_span(&text));
}

static int append_value_element(struct buf *out, const struct result *result)
{
    cleanup_buf struct buf text;
    buf_init(&text, INDENTED_BYTES_MAX(result->value.len));
    if (result->value.len == 0) {
        return 0;
    }
    int failed;
    if (jtext_type(result->value) == JTEXT_STRING) {
        failed = jtext_string_decode(&text, result->value);
    } else {
        failed = jtext_append_indented(&text, result->value);
        if (failed != 0) {
            buf_clear(&text);
            failed = jtext_append_compact(&text, result->value);
        }
    }
    return failed != 0 ? -1 : append_element(out, "return_value", buf_span(&text));
}

/* ["numpy","pandas"] */
static int append_package_names(struct buf *out, const struct outcome *outcome)
{
    for (size_t i = 0; i < outcome->package_count; i++) {
        if (buf_append_char(out, i == 0 ? '[' : ',') != 0 ||
            jtext_append_string(out, span_of(outcome->packages[i].name)) != 0) {
            return -1;
        }
    }
    return buf_append_text(out, outcome->package_count == 0 ? "[]" : "]");
}

static int append_dependencies_element(struct buf *out, const struct outcome *outcome)
{
    static const char element[] = "dependencies";
    cleanup_buf struct buf names;
    buf_init(&names, out->bytes_max);
    if (outcome->package_count == 0) {
        return 0;
    }
    if (append_package_names(&names, outcome) != 0 ||
        buf_append_format(out, "\n<%s>", element) != 0 ||
        escape_append(out, element, buf_span(&names)) != 0) {
        return -1;
    }
    return buf_append_format(out, "</%s>", element);
}

/* The log without its last line where that is the reason, which is said below it. */
static struct span log_without(struct span log, struct span reason)
{
    size_t len = log.len;
    len -= len > 0 && log.base[len - 1] == '\n' ? 1 : 0;
    if (reason.len == 0 || len < reason.len ||
        memcmp(log.base + len - reason.len, reason.base, reason.len) != 0) {
        return log;
    }
    size_t start = len - reason.len;
    return start > 0 && log.base[start - 1] != '\n' ? log : (struct span){log.base, start};
}

/* The end of an installation's log, from the beginning of a line: a model reads it. */
static struct span log_end(struct span log)
{
    if (log.len <= LIMIT_INSTALL_LOG_TEXT_BYTES) {
        return log;
    }
    const char *end = log.base + log.len;
    const char *start = end - LIMIT_INSTALL_LOG_TEXT_BYTES;
    const char *newline = memchr(start, '\n', LIMIT_INSTALL_LOG_TEXT_BYTES);
    start = newline == NULL ? start : newline + 1;
    return (struct span){start, (size_t)(end - start)};
}

/* What to say of an outcome that is no success, after the log of a failed installation. */
static int append_error_text(struct buf *out, const struct outcome *outcome)
{
    struct span log = log_end(log_without(outcome->install_log, outcome->error_message));
    if (outcome->status == OUTCOME_INSTALL_ERROR && log.len > 0 &&
        (utf8_append_lossy(out, log) != 0 ||
         (log.base[log.len - 1] != '\n' && buf_append_char(out, '\n') != 0))) {
        return -1;
    }
    return utf8_append_lossy(out, result_error_text(outcome));
}

static int append_xml(struct buf *out, const struct result *result)
{
    const struct outcome *outcome = result->outcome;
    cleanup_buf struct buf error;
    buf_init(&error, out->bytes_max);
    if (buf_append_format(out, "<status>%s</status>", outcome_status_name(outcome->status)) != 0 ||
        append_dependencies_element(out, outcome) != 0 || append_output_element(out, result) != 0) {
        return -1;
    }
    if (outcome->status == OUTCOME_SUCCESS) {
        if (append_value_element(out, result) != 0) {
            return -1;
        }
    } else if (append_error_text(&error, outcome) != 0 ||
               append_element(out, "error", buf_span(&error)) != 0) {
        return -1;
    }
    return outcome->limits_text.len == 0 ? 0 : append_element(out, "limits", outcome->limits_text);
}

static int append_value_or_null(struct buf *out, const struct result *result)
{
    return result->value.len == 0 ? buf_append_text(out, "null")
                                  : jtext_append_compact(out, result->value);
}

static int append_line_array(struct buf *out, const struct result *result)
{
    struct transcript_cursor cursor = {0};
    enum run_stream stream;
    struct span line;
    struct display_room room;
    const char *before = "[";
    cleanup_buf struct buf text;
    buf_init(&text, out->bytes_max);
    display_room_init(&room, result->picture_bytes_max);
    while (transcript_next(result->transcript, &cursor, &stream, &line)) {
        bool has_any = true;
        if (stream == RUN_DISPLAY) {
            buf_clear(&text);
            if (append_display_line(&text, line, &room, &has_any) != 0) {
                return -1;
            }
            line = buf_span(&text);
        }
        if (has_any && (buf_append_text(out, before) != 0 || jtext_append_string(out, line) != 0)) {
            return -1;
        }
        before = has_any ? "," : before;
    }
    return buf_append_text(out, *before == '[' ? "[]" : "]");
}

/* ,"limits":["..."], where there is something to say of them */
static int append_limit_texts(struct buf *out, struct span lines)
{
    const char *before = ",\"limits\":[";
    if (lines.len == 0) {
        return 0;
    }
    while (lines.len > 0) {
        const char *newline = memchr(lines.base, '\n', lines.len);
        size_t len = newline == NULL ? lines.len : (size_t)(newline - lines.base);
        if (buf_append_text(out, before) != 0 ||
            jtext_append_string(out, (struct span){lines.base, len}) != 0) {
            return -1;
        }
        len += newline == NULL ? 0 : 1;
        lines = (struct span){lines.base + len, lines.len - len};
        before = ",";
    }
    return buf_append_char(out, ']');
}

static int append_json(struct buf *out, const struct result *result)
{
    const struct outcome *outcome = result->outcome;
    enum outcome_status status = outcome->status;
    if (buf_append_format(out, "{\"status\":\"%s\"", outcome_status_name(status)) != 0) {
        return -1;
    }
    if (outcome->package_count > 0 && (buf_append_text(out, ",\"dependencies\":") != 0 ||
                                       append_package_names(out, outcome) != 0)) {
        return -1;
    }
    if (buf_append_text(out, ",\"output\":") != 0 || append_line_array(out, result) != 0) {
        return -1;
    }
    int failed;
    if (status == OUTCOME_SUCCESS) {
        failed = buf_append_text(out, ",\"return_value\":") != 0 ||
                 append_value_or_null(out, result) != 0;
    } else {
        cleanup_buf struct buf error;
        buf_init(&error, out->bytes_max);
        failed = append_error_text(&error, outcome) != 0 ||
                 buf_append_text(out, ",\"error\":") != 0 ||
                 jtext_append_string(out, buf_span(&error)) != 0;
    }
    return failed || append_limit_texts(out, outcome->limits_text) != 0 ? -1
                                                                        : buf_append_char(out, '}');
}

int result_append_text(struct buf *out, enum result_mode mode, const struct result *result)
{
    return mode == RESULT_XML ? append_xml(out, result) : append_json(out, result);
}

static int append_member(struct buf *out, const char *name, struct span text)
{
    if (buf_append_format(out, ",\"%s\":", name) != 0) {
        return -1;
    }
    return jtext_append_string(out, text);
}

/* The items of the output, one behind the other. */
struct items {
    struct buf *out;
    const struct transcript *transcript;
    struct display_room *room; /* NULL: there is no content beside it */
    struct display_room room_store;
    struct buf display; /* the text of one */
    const char *before;
    size_t count;
};

static int append_item(struct items *items, enum run_stream stream, struct span text)
{
    static const char *const names[] = {"stdout", "stderr", "display"};
    int failed =
        buf_append_format(items->out, "%s{\"stream\":\"%s\"", items->before, names[stream]) != 0 ||
        append_member(items->out, "text", text) != 0;
    items->before = ",";
    items->count++;
    return failed ? -1 : buf_append_char(items->out, '}');
}

static int append_display_item(struct items *items, struct span display)
{
    bool has_any;
    buf_clear(&items->display);
    if (append_display_line(&items->display, display, items->room, &has_any) != 0) {
        return -1;
    }
    return has_any ? append_item(items, RUN_DISPLAY, buf_span(&items->display)) : 0;
}

/* What a stream has from a place on, as one item. */
static int append_rest(struct items *items, enum run_stream stream, size_t at)
{
    struct span bytes = buf_span(&items->transcript->bytes[stream]);
    return bytes.len == at
               ? 0
               : append_item(items, stream, (struct span){bytes.base + at, bytes.len - at});
}

/* Neighbouring lines of one stream as one item. The lines lie side by side in the stream's bytes,
 * so an item is a span from its first line to its last, newlines included. A program that changes
 * the stream with each character would make forty bytes of two: after LIMIT_OUTPUT_ITEMS_MAX items
 * the rest of each stream is one item, and then only displays follow. */
static int append_items(struct items *items)
{
    struct transcript_cursor cursor = {0};
    enum run_stream stream;
    struct span line;
    size_t starts[3] = {0};
    bool is_coarse = false;
    bool more = transcript_next(items->transcript, &cursor, &stream, &line);
    while (more) {
        enum run_stream current = stream;
        struct span first = line;
        if (items->count >= LIMIT_OUTPUT_ITEMS_MAX && !is_coarse) {
            is_coarse = true;
            if (append_rest(items, RUN_STDOUT, starts[RUN_STDOUT]) != 0 ||
                append_rest(items, RUN_STDERR, starts[RUN_STDERR]) != 0) {
                return -1;
            }
        }
        do {
            starts[current] = cursor.at[current];
            more = transcript_next(items->transcript, &cursor, &stream, &line);
        } while (more && stream == current && current != RUN_DISPLAY);
        const char *stop = items->transcript->bytes[current].base + starts[current];
        struct span text = {first.base, (size_t)(stop - first.base)};
        if (current == RUN_DISPLAY ? append_display_item(items, first) != 0
                                   : !is_coarse && append_item(items, current, text) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ,"output":[{...}] */
static int append_output(struct buf *out, const struct result *result)
{
    struct items items = {.out = out, .transcript = result->transcript, .before = ""};
    buf_init(&items.display, out->bytes_max);
    display_room_init(&items.room_store, result->picture_bytes_max);
    items.room = result->has_content ? &items.room_store : NULL;
    int failed = buf_append_text(out, ",\"output\":[") != 0 || append_items(&items) != 0;
    buf_free(&items.display);
    return failed ? -1 : buf_append_char(out, ']');
}

/* ,"display":[{...}], where something was displayed */
static int append_displays(struct buf *out, const struct result *result)
{
    struct span rest = buf_span(&result->transcript->bytes[RUN_DISPLAY]);
    const char *before = ",\"display\":[";
    struct display_room room;
    if (rest.len == 0) {
        return 0;
    }
    display_room_init(&room, result->picture_bytes_max);
    for (unsigned number = 1; rest.len > 0; number++) {
        const char *newline = memchr(rest.base, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.base);
        struct span display = {rest.base, len};
        struct display_view view;
        display_look(display, result->has_content ? &room : NULL, &view);
        if (buf_append_text(out, before) != 0 ||
            display_append_forms(out, display, &view, result->files == NULL ? 0 : number) != 0) {
            return -1;
        }
        len += newline == NULL ? 0 : 1;
        rest = (struct span){rest.base + len, rest.len - len};
        before = ",";
    }
    return buf_append_char(out, ']');
}

static int append_error(struct buf *out, const struct outcome *outcome)
{
    if (outcome->status == OUTCOME_SUCCESS) {
        return buf_append_text(out, "null");
    }
    if (buf_append_text(out, "{\"type\":") != 0 ||
        jtext_append_string(out, outcome->error_type) != 0 ||
        append_member(out, "message", outcome->error_message) != 0 ||
        append_member(out, "traceback", result_error_text(outcome)) != 0) {
        return -1;
    }
    return outcome->error_line == 0 ? buf_append_text(out, ",\"line\":null}")
                                    : buf_append_format(out, ",\"line\":%u}", outcome->error_line);
}

static int append_limits(struct buf *out, uint32_t limits)
{
    const char *before = "[";
    for (size_t i = 0; i < outcome_limit_count; i++) {
        if ((limits & outcome_limits[i].bit) == 0) {
            continue;
        }
        if (buf_append_format(out, "%s\"%s\"", before, outcome_limits[i].name) != 0) {
            return -1;
        }
        before = ",";
    }
    return buf_append_text(out, *before == '[' ? "[]" : "]");
}

static int append_packages(struct buf *out, const struct outcome *outcome)
{
    for (size_t i = 0; i < outcome->package_count; i++) {
        const struct outcome_package *package = &outcome->packages[i];
        if (buf_append_text(out, i == 0 ? "[{\"name\":" : ",{\"name\":") != 0 ||
            jtext_append_string(out, span_of(package->name)) != 0 ||
            append_member(out, "version", span_of(package->version)) != 0 ||
            append_member(out, "sha256", span_of(package->sha256)) != 0 ||
            buf_append_char(out, '}') != 0) {
            return -1;
        }
    }
    return buf_append_text(out, outcome->package_count == 0 ? "[]" : "]");
}

/* What was installed for the program, or why that failed. */
static int append_installation(struct buf *out, const struct outcome *outcome)
{
    if (buf_append_text(out, ",\"dependencies\":") != 0 || append_packages(out, outcome) != 0) {
        return -1;
    }
    return outcome->status != OUTCOME_INSTALL_ERROR
               ? 0
               : append_member(out, "install_log", outcome->install_log);
}

/* ,"truncated":{...}: of which parts something is missing */
static int append_truncated(struct buf *out, const struct result *result)
{
    const struct outcome *o = result->outcome;
    const struct transcript *t = result->transcript;
    const struct {
        const char *name;
        bool is_true;
    } rows[] = {
        {"stdout", t->truncated[RUN_STDOUT] || (o->output_truncated && !o->stderr_truncated)},
        {"stderr", t->truncated[RUN_STDERR] || o->stderr_truncated},
        {"return_value", span_equal(result->value_note, span_of("truncated"))},
        {"display", t->truncated[RUN_DISPLAY] || (o->limits & WIRE_LIMIT_DISPLAY) != 0},
    };
    const char *before = ",\"truncated\":{";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (buf_append_format(out, "%s\"%s\":%s", before, rows[i].name,
                              rows[i].is_true ? "true" : "false") != 0) {
            return -1;
        }
        before = ",";
    }
    return buf_append_char(out, '}');
}

static int append_measures(struct buf *out, const struct result *result)
{
    const struct outcome *o = result->outcome;
    return buf_append_format(out,
                             ",\"timings\":{\"install_ms\":%.3f,"
                             "\"queue_ms\":%.3f,\"wall_ms\":%.3f,\"cpu_ms\":%.3f},"
                             "\"memory_bytes\":%llu}",
                             (double)o->install_us / 1000, (double)o->queue_us / 1000,
                             (double)o->wall_us / 1000, (double)o->cpu_us / 1000,
                             (unsigned long long)o->memory_bytes);
}

/* What the program made, where there is anything. */
static int append_files(struct buf *out, const struct result *result)
{
    if (result->files == NULL) {
        return 0;
    }
    const uint64_t left_out = result->files->left_out + result->outcome->files_left_out;
    if (result->files->count > 0 && (buf_append_text(out, ",\"files\":") != 0 ||
                                     result_append_files(out, result->files) != 0)) {
        return -1;
    }
    return left_out == 0
               ? 0
               : buf_append_format(out, ",\"files_left_out\":%llu", (unsigned long long)left_out);
}

int result_append_structured(struct buf *out, const struct result *result)
{
    const struct outcome *outcome = result->outcome;
    const struct transcript *transcript = result->transcript;
    if (buf_append_format(out, "{\"status\":\"%s\",\"exit_code\":%d",
                          outcome_status_name(outcome->status), outcome->exit_code) != 0 ||
        append_member(out, "stdout", buf_span(&transcript->bytes[RUN_STDOUT])) != 0 ||
        append_member(out, "stderr", buf_span(&transcript->bytes[RUN_STDERR])) != 0 ||
        append_output(out, result) != 0 || append_displays(out, result) != 0 ||
        append_files(out, result) != 0 || buf_append_text(out, ",\"return_value\":") != 0 ||
        append_value_or_null(out, result) != 0) {
        return -1;
    }
    if (result->value_note.len > 0 &&
        append_member(out, "return_value_note", result->value_note) != 0) {
        return -1;
    }
    if (outcome->retry_after_ms > 0 &&
        buf_append_format(out, ",\"retry_after_ms\":%llu",
                          (unsigned long long)outcome->retry_after_ms) != 0) {
        return -1;
    }
    if (buf_append_text(out, ",\"error\":") != 0 || append_error(out, outcome) != 0 ||
        append_installation(out, outcome) != 0 || buf_append_text(out, ",\"limits\":") != 0 ||
        append_limits(out, outcome->limits) != 0 || append_truncated(out, result) != 0) {
        return -1;
    }
    return append_measures(out, result);
}
