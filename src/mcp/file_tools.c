/* write_file, read_file and list_files: files in a session's working directory; and the same files
 * as resources, which are watched. Each is a program of ours beside the session's own, so what
 * comes back is as little trusted as any program's result. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/jtext.h"
#include "base/media.h"
#include "base/utf8.h"
#include "mcp/internal.h"
#include "mcp/tool.h"
#include "mcp/uri.h"

#define URI_HEAD "vitrine://sessions/"

static const struct span none = {NULL, 0};

struct file_work {
    struct mcp_call *call; /* NULL: nobody waits any more */
    struct mcp_server *server;
    struct pool_run *run;
    void (*answer)(struct file_work *work, struct span value);
    struct buf name; /* of the file, text */
    struct buf uri;  /* of it, with a NUL */
    uint64_t offset;
    size_t written; /* bytes */
    bool is_resource;
};

static void work_free(struct file_work *work)
{
    buf_free(&work->name);
    buf_free(&work->uri);
    free(work);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static int append_uri(struct buf *out, const char *session, struct span name)
{
    int failed = buf_append_format(out, URI_HEAD "%s/files/", session);
    for (size_t i = 0; i < name.len && failed == 0; i++) {
        failed = uri_is_unreserved(name.base[i]) || name.base[i] == '/'
                     ? buf_append_char(out, name.base[i])
                     : buf_append_format(out, "%%%02X", (unsigned char)name.base[i]);
    }
    return failed | buf_append_char(out, '\0');
}

void file_tools_changed(struct mcp_server *server, const char *session, struct span name)
{
    cleanup_buf struct buf uri;
    buf_init(&uri, 3 * LIMIT_PATH_BYTES_MAX + 128);
    if (append_uri(&uri, session, name) == 0) {
        mcp_server_resource_updated(server, uri.base);
    }
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void fail_work(struct file_work *work, const char *text)
{
    struct err err;
    (void)err_set(&err, ERR_USAGE, "%s", text);
    if (work->is_resource) {
        call_fail(work->call, resource_not_found_code(call_era(work->call)), text, none);
    } else {
        session_tools_fail(work->call, &err);
    }
}

static void answer_written(struct file_work *work, struct span value)
{
    struct buf json;
    (void)value;
    buf_init(&json, LIMIT_RESPONSE_BYTES_MAX);
    if (buf_append_text(&json, "{\"name\":") != 0 ||
        jtext_append_string(&json, buf_span(&work->name)) != 0 ||
        buf_append_format(&json, ",\"size\":%zu,\"uri\":\"%s\"}", work->written, work->uri.base) !=
            0) {
        buf_free(&json);
        fail_work(work, "out of memory");
        return;
    }
    session_tools_answer(work->call, &json);
    mcp_server_resource_updated(work->server, work->uri.base);
}

/* [{"name","size"}, ...], as the guest says it, with the media type that the name tells. */
static int append_listed(struct buf *out, struct span files)
{
    struct span key;
    struct span file;
    struct span name;
    struct span size;
    unsigned count = 0;
    struct jtext_cursor cursor = jtext_open(files);
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_PATH_BYTES_MAX);
    while (jtext_next(&cursor, &key, &file)) {
        buf_clear(&text);
        if (count == LIMIT_LISTED_FILES_MAX || !jtext_find(file, "name", &name) ||
            jtext_type(name) != JTEXT_STRING || jtext_string_decode(&text, name) != 0 ||
            !jtext_find(file, "size", &size) || !jtext_is_integer(size) ||
            buf_append_text(out, count == 0 ? "{\"name\":" : ",{\"name\":") != 0 ||
            jtext_append_string(out, buf_span(&text)) != 0 ||
            buf_append_format(out, ",\"size\":%.*s,\"media_type\":\"%s\"}", (int)size.len,
                              size.base, media_type(buf_span(&text), none)) != 0) {
            return -1;
        }
        count++;
    }
    return 0;
}

static void answer_listed(struct file_work *work, struct span value)
{
    struct span files;
    struct span more;
    struct buf json;
    buf_init(&json, LIMIT_RESPONSE_BYTES_MAX);
    if (!jtext_find(value, "files", &files) || jtext_type(files) != JTEXT_ARRAY ||
        !jtext_find(value, "more", &more) || jtext_type(more) != JTEXT_BOOLEAN ||
        buf_append_text(&json, "{\"files\":[") != 0 || append_listed(&json, files) != 0 ||
        buf_append_format(&json, "],\"more\":%.*s}", (int)more.len, more.base) != 0) {
        buf_free(&json);
        fail_work(work, "the session gives no list of its files");
        return;
    }
    session_tools_answer(work->call, &json);
}

static void answer_part(struct file_work *work, struct span bytes, struct span size)
{
    const char *type = media_type(buf_span(&work->name), bytes);
    const bool is_text = media_is_text(type) && utf8_valid(bytes);
    struct content content;
    cleanup_buf struct buf json;
    buf_init(&json, LIMIT_RESPONSE_BYTES_MAX);
    content_init(&content, work->call);
    if (!work->is_resource &&
        (buf_append_text(&json, "{\"name\":") != 0 ||
         jtext_append_string(&json, buf_span(&work->name)) != 0 ||
         buf_append_format(
             &json, ",\"size\":%.*s,\"offset\":%" PRIu64 ",\"length\":%zu,\"media_type\":\"%s\"}",
             (int)size.len, size.base, work->offset, bytes.len, type) != 0)) {
        content.has_failed = true;
    }
    if (is_text && !work->is_resource) {
        content_text(&content, bytes);
    } else {
        content_file(&content, (struct span){work->uri.base, work->uri.len - 1}, type, bytes);
    }
    if (!work->is_resource) {
        content_structured(&content, buf_span(&json));
    }
    call_answer(work->call, &content);
}

static void answer_read(struct file_work *work, struct span value)
{
    struct span size;
    struct span base64;
    cleanup_buf struct buf text;
    cleanup_buf struct buf bytes;
    buf_init(&text, 2 * LIMIT_READ_FILE_BYTES_MAX);
    buf_init(&bytes, LIMIT_READ_FILE_BYTES_MAX);
    if (!jtext_find(value, "size", &size) || !jtext_is_integer(size) ||
        !jtext_find(value, "base64", &base64) || jtext_type(base64) != JTEXT_STRING ||
        jtext_string_decode(&text, base64) != 0 || base64_decode(&bytes, buf_span(&text)) != 0 ||
        buf_reserve(&bytes, 1) != 0) {
        fail_work(work, "the session gives no contents for the file");
        return;
    }
    answer_part(work, buf_span(&bytes), size);
}

/* ---- The program beside ---------------------------------------------------------------------- */

static void on_done(void *context, const struct outcome *outcome)
{
    struct file_work *work = context;
    struct span value = none;
    char text[ERR_TEXT_MAX];
    if (work->call == NULL) {
        work_free(work);
        return;
    }
    if (outcome->status == OUTCOME_SUCCESS &&
        (outcome->value_json.len == 0 ||
         jtext_check(outcome->value_json, JTEXT_LONE_SURROGATES, &value, NULL) == 0)) {
        work->answer(work, value);
    } else {
        const struct span why = outcome->error_message;
        snprintf(text, sizeof text, "%.*s", why.len > 300 ? 300 : (int)why.len,
                 why.len > 0 ? why.base : "");
        fail_work(work, *text != '\0' ? text : "the session could not be asked");
    }
    work_free(work);
}

static void on_cancel(struct mcp_call *call)
{
    struct file_work *work = call_state(call);
    work->call = NULL;
    pool_run_cancel(work->run);
    call_end(call);
}

/* NULL, and the call has been answered. */
static struct file_work *work_new(struct mcp_call *call, const struct kept_session *kept,
                                  struct span name, bool is_resource)
{
    struct file_work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", none);
        return NULL;
    }
    work->call = call;
    work->server = call_server(call);
    work->is_resource = is_resource;
    buf_init(&work->name, LIMIT_PATH_BYTES_MAX);
    buf_init(&work->uri, 3 * LIMIT_PATH_BYTES_MAX + 128);
    if (buf_append(&work->name, name.base, name.len) != 0 ||
        append_uri(&work->uri, kept->handle, name) != 0) {
        fail_work(work, "the file's name is too long");
        work_free(work);
        return NULL;
    }
    return work;
}

/* Runs it; takes the work. */
static void work_start(struct file_work *work, const struct kept_session *kept, const char *code,
                       struct span globals, const struct tool_arguments *files)
{
    struct mcp_call *call = work->call;
    struct run_request request = {.code = span_of(code),
                                  .filename = "<files>",
                                  .globals_json = globals,
                                  .want_value = true,
                                  .limits = call_config(call)->limits,
                                  .session = kept->session,
                                  .is_aside = true,
                                  .client = call_client(call).number};
    const struct run_events events = {.context = work, .done = on_done};
    struct err err;
    request.limits.result_bytes = 2 * LIMIT_READ_FILE_BYTES_MAX;
    if (files != NULL) {
        request.files = files->files;
        request.file_count = files->file_count;
    }
    if (pool_run(call_config(call)->sessions, &request, &events, &work->run, &err) != 0) {
        fail_work(work, err.text);
        work_free(work);
    } else {
        call_hold(call, work, on_cancel);
    }
}

static void read_start(struct file_work *work, const struct kept_session *kept, uint64_t offset,
                       uint64_t length)
{
    cleanup_buf struct buf globals;
    buf_init(&globals, 8 * LIMIT_PATH_BYTES_MAX + 128);
    work->offset = offset;
    work->answer = answer_read;
    if (buf_append_text(&globals, "{\"name\":") != 0 ||
        jtext_append_string(&globals, buf_span(&work->name)) != 0 ||
        buf_append_format(&globals, ",\"offset\":%" PRIu64 ",\"length\":%" PRIu64 "}", offset,
                          length) != 0) {
        fail_work(work, "the file's name is too long");
        work_free(work);
        return;
    }
    work_start(work, kept, "from vitrine import files\nfiles.read(name, offset, length)",
               buf_span(&globals), NULL);
}

/* ---- Tools ----------------------------------------------------------------------------------- */

struct file_arguments {
    struct span session; /* JSON strings, but for */
    struct span name;
    struct span content; /* JSON of any kind */
    uint64_t offset;
    uint64_t length;
};

static int number_read(struct span value, uint64_t most, uint64_t *out)
{
    char digits[24];
    char *end;
    if (!jtext_is_integer(value) || value.len >= sizeof digits || *value.base == '-') {
        return -1;
    }
    memcpy(digits, value.base, value.len);
    digits[value.len] = '\0';
    *out = strtoull(digits, &end, 10);
    return *end == '\0' && *out <= most ? 0 : -1;
}

static int argument_read(struct file_arguments *out, struct span key, struct span value,
                         const char *known, struct err *err)
{
    if (jtext_string_is(key, "session_id") && jtext_type(value) == JTEXT_STRING) {
        out->session = value;
    } else if (jtext_string_is(key, "name") && *known != 's' && jtext_type(value) == JTEXT_STRING) {
        out->name = value;
    } else if (jtext_string_is(key, "content") && *known == 'w') {
        out->content = value;
    } else if (jtext_string_is(key, "offset") && *known == 'r' &&
               number_read(value, INT64_MAX, &out->offset) == 0) {
        return 0;
    } else if (jtext_string_is(key, "length") && *known == 'r' &&
               number_read(value, LIMIT_READ_FILE_BYTES_MAX, &out->length) == 0) {
        return 0;
    } else {
        return err_set(err, ERR_USAGE, "the argument %.*s is unknown, or not of its kind",
                       key.len > 100 ? 100 : (int)key.len, key.base);
    }
    return 0;
}

/* `known`: "s" session_id alone, "r" and what reading takes, "w" and what writing takes. The
 * session; NULL, and the call has been answered. */
static struct kept_session *read_arguments(struct mcp_call *call, struct span arguments,
                                           const char *known, struct file_arguments *out)
{
    struct span key;
    struct span value;
    struct err err;
    struct kept_session *kept = NULL;
    *out = (struct file_arguments){.length = LIMIT_READ_FILE_BYTES_MAX};
    struct jtext_cursor cursor = jtext_open(arguments.len == 0 ? span_of("{}") : arguments);
    int failed = 0;
    while (failed == 0 && jtext_next(&cursor, &key, &value)) {
        failed = argument_read(out, key, value, known, &err);
    }
    if (failed == 0 && (out->session.len == 0 || (*known != 's' && out->name.len == 0) ||
                        (*known == 'w' && out->content.len == 0))) {
        failed = err_set(&err, ERR_USAGE, "session_id%s%s must be there",
                         *known != 's' ? " and name" : "", *known == 'w' ? " and content" : "");
    }
    if (failed == 0) {
        kept = kept_find_open(call, out->session, &err);
    }
    if (kept != NULL && kept->is_checkpoint) {
        kept = NULL;
        (void)err_set(&err, ERR_USAGE, "this is a checkpoint, and not a session");
    }
    if (kept == NULL) {
        session_tools_fail(call, &err);
    }
    return kept;
}

static struct file_work *named_work(struct mcp_call *call, const struct kept_session *kept,
                                    struct span name)
{
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_PATH_BYTES_MAX);
    if (jtext_string_decode(&text, name) != 0) {
        struct err err;
        (void)err_set(&err, ERR_LIMIT, "the file's name is too long");
        session_tools_fail(call, &err);
        return NULL;
    }
    return work_new(call, kept, buf_span(&text), false);
}

static void list_tool(struct mcp_call *call, struct span arguments)
{
    struct file_arguments found;
    const struct kept_session *kept = read_arguments(call, arguments, "s", &found);
    struct file_work *work = kept == NULL ? NULL : work_new(call, kept, span_of(""), false);
    if (work != NULL) {
        work->answer = answer_listed;
        work_start(work, kept, "from vitrine import files\nfiles.listing()", span_of("{}"), NULL);
    }
}

static void read_tool(struct mcp_call *call, struct span arguments)
{
    struct file_arguments found;
    const struct kept_session *kept = read_arguments(call, arguments, "r", &found);
    struct file_work *work = kept == NULL ? NULL : named_work(call, kept, found.name);
    if (work != NULL) {
        read_start(work, kept, found.offset, found.length);
    }
}

/* The arguments of run_python_code that give this one file. */
static int append_given(struct buf *out, const struct file_arguments *found)
{
    return buf_append_text(out, "{\"python_code\":\"\",\"files\":{") != 0 ||
                   buf_append(out, found->name.base, found->name.len) != 0 ||
                   buf_append_char(out, ':') != 0 ||
                   buf_append(out, found->content.base, found->content.len) != 0 ||
                   buf_append_text(out, "}}") != 0
               ? -1
               : 0;
}

static void write_tool(struct mcp_call *call, struct span arguments)
{
    struct file_arguments found;
    struct tool_arguments given;
    struct err err;
    cleanup_buf struct buf json;
    const struct kept_session *kept = read_arguments(call, arguments, "w", &found);
    if (kept == NULL) {
        return;
    }
    buf_init(&json, LIMIT_MESSAGE_BYTES_MAX);
    if (append_given(&json, &found) != 0) {
        (void)err_set(&err, ERR_LIMIT, "the file is too large");
        session_tools_fail(call, &err);
        return;
    }
    struct file_work *work = NULL;
    if (tool_read_arguments(buf_span(&json), call_config(call), &given, &err) != 0) {
        session_tools_fail(call, &err);
    } else {
        work = named_work(call, kept, found.name);
    }
    if (work != NULL) {
        work->answer = answer_written;
        work->written = given.files[0].bytes.len;
        work_start(work, kept, "", span_of("{}"), &given);
    }
    tool_arguments_free(&given);
}

/* ---- Resources ------------------------------------------------------------------------------- */

static void resource_start(struct mcp_call *call, struct span uri)
{
    struct err err;
    cleanup_buf struct buf handle;
    (void)uri;
    buf_init(&handle, 1024);
    const struct kept_session *kept =
        jtext_append_string(&handle, call_variable(call, "session_id")) != 0
            ? NULL
            : kept_find_open(call, buf_span(&handle), &err);
    if (kept == NULL || kept->is_checkpoint) {
        call_fail(call, resource_not_found_code(call_era(call)),
                  "Resource not found: there is no such session", none);
        return;
    }
    struct file_work *work = work_new(call, kept, call_variable(call, "name"), true);
    if (work != NULL) {
        read_start(work, kept, 0, LIMIT_READ_FILE_BYTES_MAX);
    }
}

static const struct mcp_family family = {
    .uri_template = URI_HEAD "{session_id}/files/{+name}",
    .name = "session-files",
    .words = {.title = "Files of a session",
              .description = "A file in a session's working directory, as it is now. Who has "
                             "subscribed hears when a program, or write_file, has changed it."},
    .is_watched = true,
    .start = resource_start,
};

#define SESSION_ID                                                                                 \
    "\"session_id\":{\"type\":\"string\",\"description\":\"What create_session or fork_session "   \
    "gave\"}"
#define NAME                                                                                       \
    ",\"name\":{\"type\":\"string\",\"description\":\"Path of the file, relative to the "          \
    "session's "                                                                                   \
    "working directory\"}"

static const struct mcp_tool tools[] = {
    {.name = "write_file",
     .words = {.title = "Write a file of a Python session",
               .description = "Put a file into a session's working directory, where its programs "
                              "can open it. One that is there already is replaced.",
               .annotations = "{\"readOnlyHint\":false,\"destructiveHint\":true,"
                              "\"idempotentHint\":true,\"openWorldHint\":false}"},
     .input_schema = "{\"type\":\"object\",\"properties\":{" SESSION_ID NAME
                     ",\"content\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\","
                     "\"properties\":{\"base64\":{\"type\":\"string\"}},\"required\":[\"base64\"],"
                     "\"additionalProperties\":false}],\"description\":\"Text, or bytes as "
                     "base64\"}},\"required\":[\"session_id\",\"name\",\"content\"],"
                     "\"additionalProperties\":false}",
     .start = write_tool},
    {.name = "read_file",
     .words = {.title = "Read a file of a Python session",
               .description = "Read a file that programs of a session have made, or a part of it: "
                              "at most 1 MiB at a time.",
               .annotations = "{\"readOnlyHint\":true,\"openWorldHint\":false}"},
     .input_schema = "{\"type\":\"object\",\"properties\":{" SESSION_ID NAME
                     ",\"offset\":{\"type\":\"integer\",\"minimum\":0,\"default\":0,"
                     "\"description\":\"In bytes\"},\"length\":{\"type\":\"integer\","
                     "\"minimum\":0,\"maximum\":1048576,\"default\":1048576}},"
                     "\"required\":[\"session_id\",\"name\"],\"additionalProperties\":false}",
     .start = read_tool},
    {.name = "list_files",
     .words = {.title = "List the files of a Python session",
               .description = "The files in a session's working directory and below it: name, size "
                              "and media type.",
               .annotations = "{\"readOnlyHint\":true,\"openWorldHint\":false}"},
     .input_schema = "{\"type\":\"object\",\"properties\":{" SESSION_ID
                     "},\"required\":[\"session_id\"],\"additionalProperties\":false}",
     .start = list_tool},
};

void file_tools_add(struct mcp_registry *registry)
{
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        registry_add_tool(registry, &tools[i]);
    }
    registry_add_family(registry, &family);
}
