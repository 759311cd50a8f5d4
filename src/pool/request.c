#include "pool/request.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "pool/given.h"
#include "wire/wire.h"

static const char default_filename[] = "main.py";

struct run_limits run_limits_default(void)
{
    return (struct run_limits){
        .wall_ms = LIMIT_WALL_MS_DEFAULT,
        .grace_ms = LIMIT_GRACE_MS,
        .cancel_grace_ms = LIMIT_CANCEL_GRACE_MS,
        .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT,
        .output_bytes = LIMIT_OUTPUT_BYTES_DEFAULT,
        .result_bytes = LIMIT_RESULT_BYTES_DEFAULT,
        .file_bytes = LIMIT_FILE_BYTES_DEFAULT,
        .file_count = LIMIT_FILE_COUNT_DEFAULT,
        .open_files = LIMIT_OPEN_FILES_DEFAULT,
        .display_count = LIMIT_DISPLAY_COUNT_DEFAULT,
        .picture_bytes = LIMIT_PICTURE_BYTES_DEFAULT,
        .recursion = LIMIT_RECURSION_DEFAULT,
    };
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static int limits_check(const struct run_limits *limits, uint64_t memory_bytes_max, struct err *err)
{
    const struct {
        const char *name;
        uint64_t value;
        uint64_t min;
        uint64_t max;
        const char *unit;
    } rows[] = {
        {"time limit", limits->wall_ms, 1, LIMIT_WALL_MS_MAX, "ms"},
        {"CPU time limit", limits->cpu_ms, 0, LIMIT_CPU_MS_MAX, "ms"},
        {"grace time", limits->grace_ms, 0, LIMIT_GRACE_MS_MAX, "ms"},
        {"grace time", limits->cancel_grace_ms, 0, LIMIT_GRACE_MS_MAX, "ms"},
        {"memory limit", limits->memory_bytes, LIMIT_MEMORY_BYTES_MIN, memory_bytes_max, "bytes"},
        {"output limit", limits->output_bytes, 0, LIMIT_OUTPUT_BYTES_MAX, "bytes"},
        {"result limit", limits->result_bytes, 0, LIMIT_RESULT_BYTES_MAX, "bytes"},
        {"file size limit", limits->file_bytes, 0, LIMIT_FILE_BYTES_MAX, "bytes"},
        {"file count limit", limits->file_count, 0, LIMIT_FILE_COUNT_MAX, "files"},
        {"open files limit", limits->open_files, LIMIT_OPEN_FILES_MIN, LIMIT_OPEN_FILES_MAX,
         "files"},
        {"display limit", limits->display_count, 0, LIMIT_DISPLAY_COUNT_MAX, "items"},
        {"picture limit", limits->picture_bytes, LIMIT_PICTURE_BYTES_MIN, LIMIT_PICTURE_BYTES_MAX,
         "bytes"},
        {"recursion limit", limits->recursion, LIMIT_RECURSION_MIN, LIMIT_RECURSION_MAX, "calls"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].value < rows[i].min || rows[i].value > rows[i].max) {
            return err_set(err, ERR_USAGE,
                           "the %s of %" PRIu64 " %s is not from %" PRIu64 " to %" PRIu64,
                           rows[i].name, rows[i].value, rows[i].unit, rows[i].min, rows[i].max);
        }
    }
    return 0;
}

static int sizes_check(const struct run_request *request, struct err *err)
{
    if (request->code.len > LIMIT_CODE_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "the code has %zu bytes, %llu at most", request->code.len,
                       LIMIT_CODE_BYTES_MAX);
    }
    if (request->globals_json.len > LIMIT_GLOBALS_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "the variables have %zu bytes, %llu at most",
                       request->globals_json.len, LIMIT_GLOBALS_BYTES_MAX);
    }
    if (!utf8_valid(request->globals_json)) {
        return err_set(err, ERR_FORMAT, "the variables are not UTF-8");
    }
    return 0;
}

/* ---- The record ------------------------------------------------------------------------------ */

/* What is repeated in a request: how it is called, and how much of it there may be. */
struct texts_rule {
    uint8_t field;
    const char *what;
    size_t count_max;
    size_t bytes_max; /* of one */
};

static const struct texts_rule arguments = {WIRE_REQUEST_ARG, "argument", LIMIT_ARGV_COUNT_MAX,
                                            LIMIT_REQUEST_FRAME_BYTES_MAX};
static const struct texts_rule variables = {WIRE_REQUEST_ENV, "environment variable",
                                            LIMIT_ENV_COUNT_MAX, LIMIT_REQUEST_FRAME_BYTES_MAX};
static const struct texts_rule dependencies = {WIRE_REQUEST_DEPENDENCY, "dependency",
                                               LIMIT_REQUIREMENTS_MAX, LIMIT_REQUIREMENT_BYTES_MAX};

static bool is_variable(struct span text)
{
    return text.len > 0 && text.base[0] != '=' && memchr(text.base, '=', text.len) != NULL;
}

static int texts_put(struct buf *out, const struct texts_rule *rule, const char *const *texts,
                     struct err *err)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        struct span text = span_of(texts[i]);
        if (i == rule->count_max) {
            return err_set(err, ERR_LIMIT, "%s %zu is one too many", rule->what, i);
        }
        if (text.len > rule->bytes_max) {
            return err_set(err, ERR_LIMIT, "%s %zu has %zu bytes, %zu at most", rule->what, i,
                           text.len, rule->bytes_max);
        }
        if (!utf8_valid(text)) {
            return err_set(err, ERR_FORMAT, "%s %zu is not UTF-8", rule->what, i);
        }
        if (rule == &variables && !is_variable(text)) {
            return err_set(err, ERR_USAGE, "%s '%s' is not of the form NAME=VALUE", rule->what,
                           texts[i]);
        }
        if (wire_put(out, rule->field, text) != 0) {
            return err_set(err, ERR_LIMIT, "the request is too large at %s %zu", rule->what, i);
        }
    }
    return 0;
}

static int program_put(struct buf *out, const struct run_request *request, struct err *err)
{
    const char *filename = request->filename != NULL ? request->filename : default_filename;
    const char *const alone[] = {filename, NULL};
    const char *const *argv = request->argv != NULL ? request->argv : alone;
    if (!utf8_valid(span_of(filename))) {
        return err_set(err, ERR_FORMAT, "the name of the program is not UTF-8");
    }
    if (wire_put(out, WIRE_REQUEST_CODE, request->code) != 0 ||
        wire_put(out, WIRE_REQUEST_FILENAME, span_of(filename)) != 0 ||
        (request->globals_json.len > 0 &&
         wire_put(out, WIRE_REQUEST_GLOBALS, request->globals_json) != 0)) {
        return err_set(err, ERR_LIMIT, "the request is too large");
    }
    return texts_put(out, &arguments, argv, err) != 0
               ? -1
               : texts_put(out, &variables, request->env, err);
}

static int packages_put(struct buf *out, const struct run_request *request, struct err *err)
{
    if (!utf8_valid(request->resolved) || request->resolved.len > LIMIT_NEED_BYTES_MAX) {
        return err_set(err, ERR_FORMAT, "the need that was resolved is none");
    }
    if ((request->finds_needs && wire_put_u32(out, WIRE_REQUEST_NEEDS, 1) != 0) ||
        (request->resolved.len > 0 &&
         wire_put(out, WIRE_REQUEST_RESOLVED, request->resolved) != 0) ||
        (request->may_fetch && wire_put_u32(out, WIRE_REQUEST_MAY_FETCH, 1) != 0) ||
        (request->session != NULL &&
         wire_put_u32(out, WIRE_REQUEST_SESSION, request->is_aside ? 2 : 1) != 0)) {
        return err_set(err, ERR_LIMIT, "the request is too large");
    }
    return texts_put(out, &dependencies, request->dependencies, err);
}

static int limits_put(struct buf *out, const struct run_limits *limits)
{
    if (wire_put_u64(out, WIRE_REQUEST_WALL_MS, limits->wall_ms) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_MEMORY_BYTES, limits->memory_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_OUTPUT_BYTES, limits->output_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_RESULT_BYTES, limits->result_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_FILE_BYTES, limits->file_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_FILE_COUNT, limits->file_count) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_CPU_MS,
                     limits->cpu_ms > 0 ? limits->cpu_ms : limits->wall_ms) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_OPEN_FILES, limits->open_files) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_DISPLAY_COUNT, limits->display_count) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_PICTURE_BYTES, limits->picture_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_RECURSION, limits->recursion) != 0) {
        return -1;
    }
    return 0;
}

uint64_t request_made_bytes(const struct run_request *request)
{
    const uint64_t wanted = request->made_bytes_max;
    return wanted == 0 || wanted > LIMIT_MADE_BYTES_MAX ? LIMIT_MADE_BYTES_MAX : wanted;
}

static int files_put(struct buf *out, const struct run_request *request, struct err *err)
{
    if (request->wants_files &&
        wire_put_u64(out, WIRE_REQUEST_MADE_BYTES, request_made_bytes(request)) != 0) {
        return err_set(err, ERR_LIMIT, "the request is too large");
    }
    return given_put(out, request->files, request->file_count, err);
}

int request_encode(const struct run_request *request, uint64_t memory_bytes_max, struct buf *out,
                   struct err *err)
{
    if (limits_check(&request->limits, memory_bytes_max, err) != 0 ||
        sizes_check(request, err) != 0 ||
        given_check(request->files, request->file_count, err) != 0) {
        return -1;
    }
    struct buf record;
    buf_init(&record, LIMIT_REQUEST_FRAME_BYTES_MAX);
    int result = program_put(&record, request, err);
    if (result == 0) {
        result = packages_put(&record, request, err);
    }
    if (result == 0 && (wire_put_u32(&record, WIRE_REQUEST_WANT_VALUE,
                                     request->shows_value  ? 2
                                     : request->want_value ? 1
                                                           : 0) != 0 ||
                        limits_put(&record, &request->limits) != 0)) {
        result = err_set(err, ERR_LIMIT, "the request is too large");
    }
    if (result == 0) {
        result = files_put(&record, request, err);
    }
    if (result == 0 && wire_append_frame(out, WIRE_REQUEST, buf_span(&record)) != 0) {
        result = err_set(err, ERR_LIMIT, "the request is too large");
    }
    buf_free(&record);
    return result;
}
