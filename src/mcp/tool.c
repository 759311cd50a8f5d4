#include "mcp/tool.h"

#include "base/jtext.h"
#include "base/limits.h"
#include "result/render.h"

const char tool_name[] = "run_python_code";

static const char description[] =
    "Tool to execute Python code and return stdout, stderr, and return value.\n\n"
    "The code may be async, and the value on the last line will be returned as the return value.\n"
    "\nThe code will be executed with Python " TOOL_PYTHON_SERIES ".\n\n"
    "- Print what you want to see, or put an expression on the last line: its value comes back as "
    "JSON. Top-level await works; asyncio.run is not needed.\n"
    "- Every call starts in a fresh interpreter: variables, imports and files of earlier calls are "
    "gone. Pass data in with global_variables.\n"
    "- The standard library is there. There is no network, no access to the host's files, and no "
    "subprocesses or threads. Files may be written, for example in /tmp; they end with the call.\n";

static const char input_schema[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"python_code\":{\"type\":\"string\",\"description\":\"Python code to run\"},"
    "\"global_variables\":{\"type\":\"object\",\"additionalProperties\":{},\"default\":{},"
    "\"description\":\"Map of global variables in context when the code is executed\"}},"
    "\"required\":[\"python_code\"],\"additionalProperties\":false,"
    "\"$schema\":\"http://json-schema.org/draft-07/schema#\"}";

/* It runs anything, but what it runs can touch nothing and is forgotten afterwards. Results may
 * differ from call to call (time, random numbers), and the world is closed. */
static const char annotations[] =
    "{\"title\":\"Run Python code\",\"readOnlyHint\":true,\"destructiveHint\":false,"
    "\"idempotentHint\":false,\"openWorldHint\":false}";

static int append_description(struct buf *out, const struct run_limits *limits)
{
    cleanup_buf struct buf text;
    buf_init(&text, 8 * KIB);
    if (buf_append_text(&text, description) != 0 ||
        buf_append_format(
            &text, "- Limits of a call: %g seconds, %llu MiB of memory, %llu KiB of output.\n",
            (double)limits->wall_ms / 1000, (unsigned long long)(limits->memory_bytes / MIB),
            (unsigned long long)(limits->output_bytes / KIB)) != 0) {
        return -1;
    }
    return jtext_append_string(out, buf_span(&text));
}

int tool_append_definition(struct buf *out, enum mcp_era era, const struct run_limits *limits)
{
    if (buf_append_format(out, "{\"name\":\"%s\",", tool_name) != 0 ||
        (era >= ERA_2025_06_18 && buf_append_text(out, "\"title\":\"Run Python code\",") != 0) ||
        buf_append_text(out, "\"description\":") != 0 || append_description(out, limits) != 0 ||
        buf_append_format(out, ",\"inputSchema\":%s", input_schema) != 0) {
        return -1;
    }
    if (era >= ERA_2025_06_18 &&
        buf_append_format(out, ",\"outputSchema\":%s", result_schema_json) != 0) {
        return -1;
    }
    if (era >= ERA_2025_03_26 && buf_append_format(out, ",\"annotations\":%s", annotations) != 0) {
        return -1;
    }
    return buf_append_char(out, '}');
}

static int read_code(struct span value, struct tool_arguments *out, struct err *err)
{
    if (jtext_type(value) != JTEXT_STRING) {
        return err_set(err, ERR_USAGE, "python_code must be a string");
    }
    if (jtext_string_decode(&out->code, value) != 0) {
        return err_set(err, ERR_LIMIT, "python_code has more than %llu bytes",
                       LIMIT_CODE_BYTES_MAX);
    }
    return 0;
}

static int read_globals(struct span value, struct tool_arguments *out, struct err *err)
{
    if (jtext_type(value) != JTEXT_OBJECT) {
        return err_set(err, ERR_USAGE, "global_variables must be an object");
    }
    if (value.len > LIMIT_GLOBALS_BYTES_MAX) {
        return err_set(err, ERR_LIMIT, "global_variables has more than %llu bytes",
                       LIMIT_GLOBALS_BYTES_MAX);
    }
    out->globals = value;
    return 0;
}

static int refuse_argument(struct span key, struct err *err)
{
    int shown = key.len > 100 ? 100 : (int)key.len;
    return err_set(err, ERR_USAGE,
                   "there is no argument %.*s; there are python_code and global_variables", shown,
                   key.base);
}

int tool_read_arguments(struct span arguments, struct tool_arguments *out, struct err *err)
{
    struct span key;
    struct span value;
    bool has_code = false;
    *out = (struct tool_arguments){0};
    buf_init(&out->code, LIMIT_CODE_BYTES_MAX);
    struct jtext_cursor cursor = jtext_open(arguments.len == 0 ? span_of("{}") : arguments);
    while (jtext_next(&cursor, &key, &value)) {
        int failed;
        if (jtext_string_is(key, "python_code")) {
            has_code = true;
            failed = read_code(value, out, err);
        } else if (jtext_string_is(key, "global_variables")) {
            failed = read_globals(value, out, err);
        } else {
            failed = refuse_argument(key, err);
        }
        if (failed != 0) {
            return -1;
        }
    }
    return has_code ? 0 : err_set(err, ERR_USAGE, "python_code is missing");
}

void tool_arguments_free(struct tool_arguments *arguments)
{
    buf_free(&arguments->code);
}
