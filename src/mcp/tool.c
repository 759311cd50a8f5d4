#include "mcp/tool.h"

#include <ctype.h>
#include <string.h>

#include "base/base64.h"
#include "base/jtext.h"
#include "mcp/describe.h"
#include "mcp/icon.h"
#include "result/render.h"

const char tool_name[] = "run_python_code";

static const char schema_head[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"python_code\":{\"type\":\"string\",\"description\":\"Python code to run\"},"
    "\"global_variables\":{\"type\":\"object\",\"additionalProperties\":{},\"default\":{},"
    "\"description\":\"Map of global variables in context when the code is executed\"}";

static const char schema_dependencies[] =
    ",\"dependencies\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"default\":[],"
    "\"description\":\"Requirements (PEP 508) to install before running, e.g. [\\\"numpy\\\", "
    "\\\"pandas>=2\\\"]. What the code imports is installed without being named here\"}";

static const char schema_files[] =
    ",\"files\":{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[{\"type\":\"string\"},"
    "{\"type\":\"object\",\"properties\":{\"base64\":{\"type\":\"string\"}},\"required\":"
    "[\"base64\"],\"additionalProperties\":false}]},\"default\":{},\"description\":"
    "\"Files to put into the working directory before running: relative name to text, or to "
    "{\\\"base64\\\": ...}\"}";
static const char schema_session[] =
    ",\"session_id\":{\"type\":\"string\",\"description\":\"Run in this session (see "
    "create_session), in what earlier calls have left there; without it nothing is kept\"}";

static const char schema_tail[] = "},\"required\":[\"python_code\"],\"additionalProperties\":false,"
                                  "\"$schema\":\"http://json-schema.org/draft-07/schema#\"}";

int tool_append_definition(struct buf *out, enum mcp_era era, const struct mcp_config *config)
{
    if (buf_append_format(out, "{\"name\":\"%s\",", tool_name) != 0 ||
        (era >= ERA_2025_06_18 && buf_append_text(out, "\"title\":\"Run Python code\",") != 0) ||
        buf_append_text(out, "\"description\":") != 0 || describe_append_tool(out, config) != 0 ||
        buf_append_format(out, ",\"inputSchema\":%s%s%s%s%s", schema_head,
                          config->installs ? schema_dependencies : "", schema_files,
                          config->sessions != NULL ? schema_session : "", schema_tail) != 0) {
        return -1;
    }
    if (era >= ERA_2025_06_18 &&
        buf_append_format(out, ",\"outputSchema\":%s", result_schema_json) != 0) {
        return -1;
    }
    if (era >= ERA_2025_11_25 && buf_append_text(out, ",\"icons\":" MCP_ICONS) != 0) {
        return -1;
    }
    if (era >= ERA_2025_03_26 && (buf_append_text(out, ",\"annotations\":") != 0 ||
                                  describe_append_annotations(out, config) != 0)) {
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

/* One requirement, decoded behind those that are there. pip judges it; here it is only kept from
 * being something else than a name with conditions. */
static int read_dependency(struct span item, struct buf *texts, struct err *err)
{
    size_t start = texts->len;
    if (jtext_type(item) != JTEXT_STRING) {
        return err_set(err, ERR_USAGE, "dependencies must be an array of strings");
    }
    if (jtext_string_decode(texts, item) != 0 || texts->len - start > LIMIT_REQUIREMENT_BYTES_MAX ||
        buf_append_char(texts, '\0') != 0) {
        return err_set(err, ERR_LIMIT, "a requirement in dependencies has more than %u bytes",
                       LIMIT_REQUIREMENT_BYTES_MAX);
    }
    const char *text = texts->base + start;
    bool is_text = isalnum((unsigned char)*text);
    for (size_t i = start; i < texts->len - 1; i++) {
        is_text = is_text && (unsigned char)texts->base[i] >= 0x20 && texts->base[i] != 0x7F;
    }
    if (!is_text) {
        return err_set(err, ERR_USAGE,
                       "%.*s in dependencies is no requirement, which is a package's name and what "
                       "is asked of it: \"numpy\", \"pandas>=2\"",
                       item.len > 100 ? 100 : (int)item.len, item.base);
    }
    return 0;
}

static int read_dependencies(struct span value, struct tool_arguments *out, struct err *err)
{
    struct span key;
    struct span item;
    if (jtext_type(value) != JTEXT_ARRAY) {
        return err_set(err, ERR_USAGE, "dependencies must be an array of strings");
    }
    struct jtext_cursor cursor = jtext_open(value);
    while (jtext_next(&cursor, &key, &item)) {
        if (out->dependency_count == LIMIT_REQUIREMENTS_MAX) {
            return err_set(err, ERR_LIMIT, "dependencies has more than %u requirements",
                           LIMIT_REQUIREMENTS_MAX);
        }
        if (read_dependency(item, &out->texts, err) != 0) {
            return -1;
        }
        out->dependency_count++;
    }
    const char *text = out->texts.base;
    for (unsigned i = 0; i < out->dependency_count; i++) {
        out->dependencies[i] = text;
        text += strlen(text) + 1;
    }
    return 0;
}

/* {"base64": "..."}, and nothing else. */
static int read_base64(struct span value, struct buf *out, struct err *err)
{
    cleanup_buf struct buf text;
    struct span key;
    struct span encoded;
    struct jtext_cursor cursor = jtext_open(value);
    buf_init(&text, value.len);
    if (!jtext_next(&cursor, &key, &encoded) || !jtext_string_is(key, "base64") ||
        jtext_type(encoded) != JTEXT_STRING || jtext_string_decode(&text, encoded) != 0 ||
        jtext_next(&cursor, &key, &encoded)) {
        return err_set(err, ERR_USAGE,
                       "a file must be a string, or an object {\"base64\": \"...\"}");
    }
    return base64_decode(out, buf_span(&text)) == 0
               ? 0
               : err_set(err, ERR_USAGE, "what is given as base64 in files is none, or too large");
}

static int read_file(struct span key, struct span value, struct tool_arguments *out,
                     struct err *err)
{
    const size_t name_at = out->names.len;
    const size_t bytes_at = out->contents.len;
    if (out->file_count == LIMIT_GIVEN_COUNT_MAX) {
        return err_set(err, ERR_LIMIT, "files has more than %u files", LIMIT_GIVEN_COUNT_MAX);
    }
    if (jtext_string_decode(&out->names, key) != 0 || buf_append_char(&out->names, '\0') != 0) {
        return err_set(err, ERR_LIMIT, "a name in files has more than %u bytes",
                       LIMIT_GIVEN_NAME_BYTES_MAX);
    }
    if (memchr(out->names.base + name_at, '\0', out->names.len - name_at - 1) != NULL) {
        return err_set(err, ERR_USAGE, "a name in files has a NUL in it");
    }
    if (jtext_type(value) == JTEXT_OBJECT) {
        if (read_base64(value, &out->contents, err) != 0) {
            return -1;
        }
    } else if (jtext_type(value) != JTEXT_STRING) {
        return err_set(err, ERR_USAGE,
                       "a file must be a string, or an object {\"base64\": \"...\"}");
    } else if (jtext_string_decode(&out->contents, value) != 0) {
        return err_set(err, ERR_LIMIT, "the files have more than %llu bytes together",
                       LIMIT_GIVEN_BYTES_MAX);
    }
    /* Places in buffers that still grow; files_settle makes addresses of them. */
    out->files[out->file_count++] =
        (struct run_file){.bytes = {NULL, out->contents.len - bytes_at}};
    return 0;
}

static void files_settle(struct tool_arguments *out)
{
    const char *name = out->names.base;
    const char *bytes = out->contents.base;
    for (unsigned i = 0; i < out->file_count; i++) {
        out->files[i].name = name;
        out->files[i].bytes.base = bytes;
        name += strlen(name) + 1;
        bytes += out->files[i].bytes.len;
    }
}

static int read_files(struct span value, struct tool_arguments *out, struct err *err)
{
    struct span key;
    struct span item;
    if (jtext_type(value) != JTEXT_OBJECT) {
        return err_set(err, ERR_USAGE, "files must be an object: name to text, or to base64");
    }
    struct jtext_cursor cursor = jtext_open(value);
    while (jtext_next(&cursor, &key, &item)) {
        if (read_file(key, item, out, err) != 0) {
            return -1;
        }
    }
    files_settle(out);
    return 0;
}

static int read_session(struct span value, struct tool_arguments *out, struct err *err)
{
    if (jtext_type(value) != JTEXT_STRING) {
        return err_set(err, ERR_USAGE, "session_id must be a string");
    }
    out->session = value;
    return 0;
}

static int refuse_argument(struct span key, bool installs, struct err *err)
{
    int shown = key.len > 100 ? 100 : (int)key.len;
    if (jtext_string_is(key, "dependencies")) {
        return err_set(err, ERR_USAGE,
                       "there is no argument dependencies, as this server installs "
                       "no packages; use the standard library");
    }
    return err_set(
        err, ERR_USAGE, "there is no argument %.*s; there are python_code%s", shown, key.base,
        installs ? ", global_variables, files and dependencies" : ", global_variables and files");
}

int tool_read_arguments(struct span arguments, const struct mcp_config *config,
                        struct tool_arguments *out, struct err *err)
{
    const bool installs = config->installs;
    struct span key;
    struct span value;
    bool has_code = false;
    *out = (struct tool_arguments){0};
    buf_init(&out->code, LIMIT_CODE_BYTES_MAX);
    buf_init(&out->texts, (size_t)LIMIT_REQUIREMENTS_MAX * 4 * LIMIT_REQUIREMENT_BYTES_MAX);
    buf_init(&out->contents, LIMIT_GIVEN_BYTES_MAX);
    buf_init(&out->names, (size_t)LIMIT_GIVEN_COUNT_MAX * (LIMIT_GIVEN_NAME_BYTES_MAX + 1));
    struct jtext_cursor cursor = jtext_open(arguments.len == 0 ? span_of("{}") : arguments);
    while (jtext_next(&cursor, &key, &value)) {
        int failed;
        if (jtext_string_is(key, "python_code")) {
            has_code = true;
            failed = read_code(value, out, err);
        } else if (jtext_string_is(key, "global_variables")) {
            failed = read_globals(value, out, err);
        } else if (jtext_string_is(key, "files")) {
            failed = read_files(value, out, err);
        } else if (installs && jtext_string_is(key, "dependencies")) {
            failed = read_dependencies(value, out, err);
        } else if (config->sessions != NULL && jtext_string_is(key, "session_id")) {
            failed = read_session(value, out, err);
        } else {
            failed = refuse_argument(key, installs, err);
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
    buf_free(&arguments->texts);
    buf_free(&arguments->contents);
    buf_free(&arguments->names);
}
