#include "pool/request.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "wire/wire.h"

static const char default_filename[] = "main.py";

struct run_limits run_limits_default(void)
{
    return (struct run_limits){
        .wall_ms = LIMIT_WALL_MS_DEFAULT,
        .grace_ms = LIMIT_GRACE_MS,
        .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT,
        .output_bytes = LIMIT_OUTPUT_BYTES_DEFAULT,
        .result_bytes = LIMIT_RESULT_BYTES_DEFAULT,
        .file_bytes = LIMIT_FILE_BYTES_DEFAULT,
        .file_count = LIMIT_FILE_COUNT_DEFAULT,
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
        {"grace time", limits->grace_ms, 0, LIMIT_GRACE_MS_MAX, "ms"},
        {"memory limit", limits->memory_bytes, LIMIT_MEMORY_BYTES_MIN, memory_bytes_max, "bytes"},
        {"output limit", limits->output_bytes, 0, LIMIT_OUTPUT_BYTES_MAX, "bytes"},
        {"result limit", limits->result_bytes, 0, LIMIT_RESULT_BYTES_MAX, "bytes"},
        {"file size limit", limits->file_bytes, 0, LIMIT_FILE_BYTES_MAX, "bytes"},
        {"file count limit", limits->file_count, 0, LIMIT_FILE_COUNT_MAX, "files"},
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

/* Repeated texts; `is_env` asks for NAME=VALUE. */
static int texts_put(struct buf *out, uint8_t field, const char *const *texts, size_t count_max,
                     bool is_env, struct err *err)
{
    const char *what = is_env ? "environment variable" : "argument";
    for (size_t i = 0; texts[i] != NULL; i++) {
        struct span text = span_of(texts[i]);
        if (i == count_max) {
            return err_set(err, ERR_LIMIT, "more than %zu %ss", count_max, what);
        }
        if (!utf8_valid(text)) {
            return err_set(err, ERR_FORMAT, "%s %zu is not UTF-8", what, i);
        }
        if (is_env && (text.len == 0 || text.base[0] == '=' || strchr(text.base, '=') == NULL)) {
            return err_set(err, ERR_USAGE, "%s '%s' is not of the form NAME=VALUE", what, texts[i]);
        }
        if (wire_put(out, field, text) != 0) {
            return err_set(err, ERR_LIMIT, "the %ss are too large", what);
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
    if (texts_put(out, WIRE_REQUEST_ARG, argv, LIMIT_ARGV_COUNT_MAX, false, err) != 0) {
        return -1;
    }
    return request->env == NULL
               ? 0
               : texts_put(out, WIRE_REQUEST_ENV, request->env, LIMIT_ENV_COUNT_MAX, true, err);
}

static int limits_put(struct buf *out, const struct run_limits *limits)
{
    if (wire_put_u64(out, WIRE_REQUEST_WALL_MS, limits->wall_ms) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_MEMORY_BYTES, limits->memory_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_OUTPUT_BYTES, limits->output_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_RESULT_BYTES, limits->result_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_FILE_BYTES, limits->file_bytes) != 0 ||
        wire_put_u64(out, WIRE_REQUEST_FILE_COUNT, limits->file_count) != 0) {
        return -1;
    }
    return 0;
}

int request_encode(const struct run_request *request, uint64_t memory_bytes_max, struct buf *out,
                   struct err *err)
{
    if (limits_check(&request->limits, memory_bytes_max, err) != 0 ||
        sizes_check(request, err) != 0) {
        return -1;
    }
    struct buf record;
    buf_init(&record, LIMIT_REQUEST_FRAME_BYTES_MAX);
    int result = program_put(&record, request, err);
    if (result == 0 &&
        (wire_put_u32(&record, WIRE_REQUEST_WANT_VALUE, request->want_value ? 1 : 0) != 0 ||
         limits_put(&record, &request->limits) != 0 ||
         wire_append_frame(out, WIRE_REQUEST, buf_span(&record)) != 0)) {
        result = err_set(err, ERR_LIMIT, "the request is too large");
    }
    buf_free(&record);
    return result;
}
