#include "result/render.h"

#include "base/jtext.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "result/escape.h"
#include "wire/wire.h"

const char result_schema_json[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"status\":{\"type\":\"string\",\"enum\":[\"success\",\"run-error\",\"install-error\","
    "\"limit\",\"crash\",\"refused\",\"cancelled\"],\"description\":\"How the run ended\"},"
    "\"exit_code\":{\"type\":\"integer\",\"description\":\"Exit status a shell would see\"},"
    "\"stdout\":{\"type\":\"string\",\"description\":\"Everything written to stdout\"},"
    "\"stderr\":{\"type\":\"string\",\"description\":\"Everything written to stderr\"},"
    "\"output\":{\"type\":\"array\",\"description\":\"Both streams in order\",\"items\":{"
    "\"type\":\"object\",\"properties\":{"
    "\"stream\":{\"type\":\"string\",\"enum\":[\"stdout\",\"stderr\","
    "\"display\"]},"
    "\"text\":{\"type\":\"string\"}},\"required\":[\"stream\",\"text\"]}},"
    "\"display\":{\"type\":\"array\",\"description\":\"What the program showed with display(): "
    "texts, "
    "or base64, by MIME type\",\"items\":{\"type\":\"object\","
    "\"additionalProperties\":{\"type\":\"string\"}}},"
    "\"files\":{\"type\":\"array\",\"description\":\"Files that the program made or changed in its "
    "working directory\",\"items\":{\"type\":\"object\",\"properties\":{"
    "\"name\":{\"type\":\"string\"},\"size\":{\"type\":\"integer\"},"
    "\"media_type\":{\"type\":\"string\"},"
    "\"text\":{\"type\":\"string\",\"description\":\"The content of a small text\"},"
    "\"blob\":{\"type\":\"string\",\"description\":\"The content of another small file, in "
    "base64\"},"
    "\"uri\":{\"type\":\"string\",\"description\":\"A resource that has the content\"}},"
    "\"required\":[\"name\",\"size\",\"media_type\"]}},"
    "\"files_left_out\":{\"type\":\"integer\",\"description\":\"Files that were made too, and are "
    "not listed\"},"
    "\"return_value\":{\"description\":\"Value of the last expression, as JSON\"},"
    "\"return_value_note\":{\"type\":\"string\",\"description\":"
    "\"Why return_value is not the whole value: truncated, repr or invalid\"},"
    "\"error\":{\"type\":[\"object\",\"null\"],\"properties\":{"
    "\"type\":{\"type\":\"string\",\"description\":\"Class of the exception\"},"
    "\"message\":{\"type\":\"string\"},\"traceback\":{\"type\":\"string\"},"
    "\"line\":{\"type\":[\"integer\",\"null\"],\"description\":\"Line of python_code\"}},"
    "\"required\":[\"type\",\"message\",\"traceback\",\"line\"]},"
    "\"dependencies\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
    "\"name\":{\"type\":\"string\"},\"version\":{\"type\":\"string\"},"
    "\"sha256\":{\"type\":\"string\",\"description\":\"Of the wheel\"}},"
    "\"required\":[\"name\",\"version\",\"sha256\"]},"
    "\"description\":\"Packages that were installed for the program\"},"
    "\"install_log\":{\"type\":\"string\",\"description\":"
    "\"With install-error: what led to it\"},"
    "\"retry_after_ms\":{\"type\":\"integer\",\"description\":"
    "\"With refused: the server is busy, and may have room after this time\"},"
    "\"limits\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
    "\"description\":\"Limits that were reached\"},"
    "\"truncated\":{\"type\":\"boolean\",\"description\":\"Output beyond the limit was dropped\"},"
    "\"timings\":{\"type\":\"object\",\"properties\":{"
    "\"install_ms\":{\"type\":\"number\"},\"queue_ms\":{\"type\":\"number\"},"
    "\"wall_ms\":{\"type\":\"number\"},\"cpu_ms\":{\"type\":\"number\"}},"
    "\"required\":[\"install_ms\",\"queue_ms\",\"wall_ms\",\"cpu_ms\"]},"
    "\"memory_bytes\":{\"type\":\"integer\",\"description\":\"The interpreter's memory at the "
    "end\"}"
    "},\"required\":[\"status\",\"exit_code\",\"stdout\",\"stderr\",\"output\",\"return_value\","
    "\"error\",\"dependencies\",\"limits\",\"truncated\",\"timings\",\"memory_bytes\"]}";

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

void result_open(struct result *result, const struct outcome *outcome,
                 const struct transcript *transcript)
{
    *result = (struct result){
        .outcome = outcome, .transcript = transcript, .value_note = outcome->value_note};
    if (outcome->value_json.len > 0 &&
        jtext_check(outcome->value_json, JTEXT_LONE_SURROGATES, &result->value, NULL) != 0) {
        result->value = (struct span){NULL, 0};
        result->value_note = span_of("invalid");
    }
    if (result->value.len > 0 && jtext_type(result->value) == JTEXT_NULL) {
        result->value = (struct span){NULL, 0};
    }
}

static int append_line(struct buf *out, enum run_stream stream, struct span line)
{
    return stream == RUN_DISPLAY ? transcript_append_display(out, line)
                                 : utf8_append_lossy(out, line);
}

/* The two streams, and what was displayed, as one text, without the last newline. */
static int append_lines(struct buf *out, const struct transcript *transcript)
{
    struct transcript_cursor cursor = {0};
    enum run_stream stream;
    struct span line;
    for (bool first = true; transcript_next(transcript, &cursor, &stream, &line); first = false) {
        if ((!first && buf_append_char(out, '\n') != 0) || append_line(out, stream, line) != 0) {
            return -1;
        }
    }
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
    if (append_lines(&text, result->transcript) != 0) {
        return -1;
    }
    return append_element(out, "output", buf_span(&text));
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
    const char *end = log.base + log.len;
    if (log.len <= LIMIT_INSTALL_LOG_TEXT_BYTES) {
        return log;
    }
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

static int append_line_string(struct buf *out, enum run_stream stream, struct span line)
{
    cleanup_buf struct buf text;
    buf_init(&text, out->bytes_max);
    if (stream != RUN_DISPLAY) {
        return jtext_append_string(out, line);
    }
    return transcript_append_display(&text, line) != 0 ? -1
                                                       : jtext_append_string(out, buf_span(&text));
}

static int append_line_array(struct buf *out, const struct transcript *transcript)
{
    struct transcript_cursor cursor = {0};
    enum run_stream stream;
    struct span line;
    const char *before = "[";
    while (transcript_next(transcript, &cursor, &stream, &line)) {
        if (buf_append_text(out, before) != 0 || append_line_string(out, stream, line) != 0) {
            return -1;
        }
        before = ",";
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
    if (buf_append_text(out, ",\"output\":") != 0 ||
        append_line_array(out, result->transcript) != 0) {
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

static int append_display_item(struct buf *out, struct span display)
{
    return buf_append_text(out, "{\"stream\":\"display\",\"text\":") != 0 ||
                   append_line_string(out, RUN_DISPLAY, display) != 0
               ? -1
               : buf_append_char(out, '}');
}

static int append_stream_item(struct buf *out, enum run_stream stream, struct span text)
{
    const char *name = stream == RUN_STDOUT ? "stdout" : "stderr";
    return buf_append_format(out, "{\"stream\":\"%s\"", name) != 0 ||
                   append_member(out, "text", text) != 0
               ? -1
               : buf_append_char(out, '}');
}

/* Neighbouring lines of one stream as one item. The lines lie side by side in the stream's bytes,
 * so an item is a span from its first line to its last, newlines included. */
static int append_streams(struct buf *out, const struct transcript *transcript)
{
    struct transcript_cursor cursor = {0};
    enum run_stream stream;
    struct span line;
    const char *before = "[";
    bool more = transcript_next(transcript, &cursor, &stream, &line);
    while (more) {
        enum run_stream current = stream;
        struct span display = line;
        const char *start = line.base;
        size_t end = 0;
        do {
            end = cursor.at[current];
            more = transcript_next(transcript, &cursor, &stream, &line);
        } while (more && stream == current && current != RUN_DISPLAY);
        const char *stop = transcript->bytes[current].base + end;
        struct span text = {start, (size_t)(stop - start)};
        if (buf_append_text(out, before) != 0 ||
            (current == RUN_DISPLAY ? append_display_item(out, display)
                                    : append_stream_item(out, current, text)) != 0) {
            return -1;
        }
        before = ",";
    }
    return buf_append_text(out, *before == '[' ? "[]" : "]");
}

/* ,"display":[{...}], where something was displayed */
static int append_displays(struct buf *out, const struct transcript *transcript)
{
    struct span rest = buf_span(&transcript->bytes[RUN_DISPLAY]);
    const char *before = ",\"display\":[";
    if (rest.len == 0) {
        return 0;
    }
    while (rest.len > 0) {
        const char *newline = memchr(rest.base, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.base);
        if (buf_append_text(out, before) != 0 || buf_append(out, rest.base, len) != 0) {
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

static int append_measures(struct buf *out, const struct result *result)
{
    const struct outcome *o = result->outcome;
    bool truncated = o->output_truncated || result->transcript->truncated;
    return buf_append_format(out,
                             ",\"truncated\":%s,\"timings\":{\"install_ms\":%.3f,"
                             "\"queue_ms\":%.3f,\"wall_ms\":%.3f,\"cpu_ms\":%.3f},"
                             "\"memory_bytes\":%llu}",
                             truncated ? "true" : "false", (double)o->install_us / 1000,
                             (double)o->queue_us / 1000, (double)o->wall_us / 1000,
                             (double)o->cpu_us / 1000, (unsigned long long)o->memory_bytes);
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
        buf_append_text(out, ",\"output\":") != 0 || append_streams(out, transcript) != 0 ||
        append_displays(out, transcript) != 0 || append_files(out, result) != 0 ||
        buf_append_text(out, ",\"return_value\":") != 0 || append_value_or_null(out, result) != 0) {
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
        append_limits(out, outcome->limits) != 0) {
        return -1;
    }
    return append_measures(out, result);
}
