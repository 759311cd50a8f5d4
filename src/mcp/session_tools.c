/* The tools for sessions: create_session and what else can be done with one. Each answers with one
 * JSON object, as text and as structured content. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jtext.h"
#include "mcp/internal.h"

#define SESSION_ID                                                                                 \
    "\"session_id\":{\"type\":\"string\",\"description\":\"What create_session, fork_session or "  \
    "list_sessions gave\"}"
#define SCHEMA(properties, required)                                                               \
    "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required                 \
    "],\"additionalProperties\":false}"
#define ONE_SESSION SCHEMA(SESSION_ID, "\"session_id\"")

/* ---- Answers --------------------------------------------------------------------------------- */

static void answer(struct mcp_call *call, struct buf *json, bool is_error)
{
    struct content content;
    content_init(&content, call);
    content_text(&content, buf_span(json));
    content_structured(&content, buf_span(json));
    content.is_error = is_error;
    call_answer(call, &content);
    buf_free(json);
}

static void json_init(struct buf *json)
{
    buf_init(json, LIMIT_RESPONSE_BYTES_MAX);
}

static void fail(struct mcp_call *call, const struct err *err)
{
    struct buf json;
    json_init(&json);
    if (buf_append_text(&json, "{\"error\":") != 0 ||
        jtext_append_string(&json, span_of(err->text)) != 0 ||
        (err->retry_after_ms > 0 &&
         buf_append_format(&json, ",\"retry_after_ms\":%llu",
                           (unsigned long long)err->retry_after_ms) != 0) ||
        buf_append_char(&json, '}') != 0) {
        buf_free(&json);
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
        return;
    }
    answer(call, &json, true);
}

/* Handles and reasons are ours, and need no escapes but those that strings have. */
static int append_session(struct buf *json, const struct kept_session *kept)
{
    const uint64_t age_s = (clock_monotonic_us() - kept->made_us) / 1000000;
    const char *state = kept->session == NULL                   ? "ended"
                        : pool_session_has_state(kept->session) ? "open"
                                                                : "empty";
    int failed = buf_append_format(json, "{\"%s\":\"%s\",\"state\":\"%s\",\"age_s\":%llu",
                                   kept->is_checkpoint ? "checkpoint_id" : "session_id",
                                   kept->handle, state, (unsigned long long)age_s);
    if (*kept->parent != '\0') {
        failed |= buf_append_format(json, ",\"copy_of\":\"%s\"", kept->parent);
    }
    if (*kept->why != '\0') {
        failed |= buf_append_text(json, ",\"why\":");
        failed |= jtext_append_string(json, span_of(kept->why));
    }
    return failed | buf_append_char(json, '}');
}

static void answer_session(struct mcp_call *call, const struct kept_session *kept)
{
    struct buf json;
    json_init(&json);
    if (append_session(&json, kept) != 0) {
        buf_free(&json);
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
        return;
    }
    answer(call, &json, kept->session == NULL);
}

/* ---- Arguments ------------------------------------------------------------------------------- */

/* The strings named in `names`, NULL-terminated, as JSON. Each has to be there, and nothing else.
 */
static int arguments_read(struct span arguments, const char *const *names, struct span *values,
                          struct err *err)
{
    struct span key;
    struct span value;
    unsigned found = 0;
    unsigned count = 0;
    struct jtext_cursor cursor = jtext_open(arguments.len == 0 ? span_of("{}") : arguments);
    while (names[count] != NULL) {
        count++;
    }
    while (jtext_next(&cursor, &key, &value)) {
        unsigned i = 0;
        while (i < count && !jtext_string_is(key, names[i])) {
            i++;
        }
        if (i == count) {
            return err_set(err, ERR_USAGE, "there is no argument %.*s",
                           key.len > 100 ? 100 : (int)key.len, key.base);
        }
        if (jtext_type(value) != JTEXT_STRING) {
            return err_set(err, ERR_USAGE, "%s must be a string", names[i]);
        }
        values[i] = value;
        found |= 1U << i;
    }
    for (unsigned i = 0; i < count; i++) {
        if ((found & 1U << i) == 0) {
            return err_set(err, ERR_USAGE, "%s is missing", names[i]);
        }
    }
    return 0;
}

static const char *const no_names[] = {NULL};
static const char *const one_name[] = {"session_id", NULL};
static const char *const two_names[] = {"session_id", "checkpoint_id", NULL};

/* The session that the arguments name and that can be used; NULL, and the call is answered. */
static struct kept_session *named(struct mcp_call *call, struct span arguments, bool is_open)
{
    struct span value;
    struct err err;
    struct kept_session *kept = NULL;
    if (arguments_read(arguments, one_name, &value, &err) == 0) {
        kept = is_open ? kept_find_open(call, value, &err) : kept_find(call, value, &err);
    }
    if (kept == NULL) {
        fail(call, &err);
    }
    return kept;
}

/* ---- Tools ----------------------------------------------------------------------------------- */

static void create_start(struct mcp_call *call, struct span arguments)
{
    struct err err;
    struct kept_session *kept =
        arguments_read(arguments, no_names, NULL, &err) == 0 ? kept_open(call, &err) : NULL;
    if (kept == NULL) {
        fail(call, &err);
    } else {
        answer_session(call, kept);
    }
}

static void list_start(struct mcp_call *call, struct span arguments)
{
    struct err err;
    struct buf json;
    if (arguments_read(arguments, no_names, NULL, &err) != 0) {
        fail(call, &err);
        return;
    }
    json_init(&json);
    int failed = buf_append_text(&json, "{\"sessions\":[");
    bool is_first = true;
    const struct kept_session *kept;
    TAILQ_FOREACH(kept, &call_server(call)->kept.list, link)
    {
        if (kept_is_listed(call, kept)) {
            failed |= is_first ? 0 : buf_append_char(&json, ',');
            failed |= append_session(&json, kept);
            is_first = false;
        }
    }
    failed |= buf_append_text(&json, "]}");
    if (failed != 0) {
        buf_free(&json);
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
        return;
    }
    answer(call, &json, false);
}

static void reset_start(struct mcp_call *call, struct span arguments)
{
    struct err err;
    struct kept_session *kept = named(call, arguments, false);
    if (kept == NULL) {
        return;
    }
    if (kept->is_checkpoint) {
        (void)err_set(&err, ERR_USAGE, "this is a checkpoint, which cannot begin anew");
        fail(call, &err);
    } else if (kept_reset(kept, &err) != 0) {
        fail(call, &err);
    } else {
        answer_session(call, kept);
    }
}

static void close_start(struct mcp_call *call, struct span arguments)
{
    struct buf json;
    struct kept_session *kept = named(call, arguments, false);
    if (kept == NULL) {
        return;
    }
    kept_close(kept);
    json_init(&json);
    if (buf_append_text(&json, "{\"closed\":true}") != 0) {
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
        return;
    }
    answer(call, &json, false);
}

/* What a call waits for: a copy, and perhaps a session that is to go on from it. */
struct forking {
    struct kept_session *copy;
    char target[KEPT_HANDLE_CHARS + 1]; /* "" */
};

static void on_cancel(struct mcp_call *call)
{
    struct forking *forking = call_state(call);
    if (forking->copy != NULL) {
        forking->copy->waiting = NULL;
        kept_close(forking->copy);
    }
    free(forking);
    call_end(call);
}

static void fork_start(struct mcp_call *call, struct kept_session *from, bool is_checkpoint,
                       const struct kept_session *target)
{
    struct err err;
    struct forking *forking = calloc(1, sizeof *forking);
    struct kept_session *copy = forking != NULL ? kept_fork(call, from, is_checkpoint, &err) : NULL;
    if (copy == NULL) {
        if (forking == NULL) {
            (void)err_set(&err, ERR_MEMORY, "out of memory");
        }
        free(forking);
        fail(call, &err);
        return;
    }
    forking->copy = copy;
    for (unsigned i = 0; target != NULL && i <= KEPT_HANDLE_CHARS; i++) {
        forking->target[i] = target->handle[i];
    }
    copy->waiting = call;
    call_hold(call, forking, on_cancel);
    /* A copy of nothing is there at once, and one may have failed at once. */
    if (copy->session == NULL || pool_session_environment(copy->session) == NULL) {
        copy->waiting = NULL;
        session_tools_forked(call, copy);
    }
}

void session_tools_forked(struct mcp_call *call, struct kept_session *copy)
{
    struct forking *forking = call_state(call);
    struct kept_session *target = NULL;
    struct kept_session *kept;
    TAILQ_FOREACH(kept, &copy->sessions->list, link)
    {
        target =
            *forking->target != '\0' && strcmp(kept->handle, forking->target) == 0 ? kept : target;
    }
    const bool goes_back = *forking->target != '\0';
    free(forking);
    if (copy->session == NULL || (goes_back && target == NULL)) {
        struct err err;
        (void)err_set(&err, ERR_SYSTEM, "%s",
                      copy->session == NULL ? copy->why : "the session has been closed meanwhile");
        kept_close(copy);
        fail(call, &err);
        return;
    }
    if (goes_back) {
        kept_replace(target, copy);
    }
    answer_session(call, goes_back ? target : copy);
}

static void fork_tool_start(struct mcp_call *call, struct span arguments)
{
    struct kept_session *from = named(call, arguments, true);
    if (from != NULL) {
        fork_start(call, from, false, NULL);
    }
}

static void checkpoint_start(struct mcp_call *call, struct span arguments)
{
    struct kept_session *from = named(call, arguments, true);
    if (from != NULL) {
        fork_start(call, from, true, NULL);
    }
}

static void rollback_start(struct mcp_call *call, struct span arguments)
{
    struct span values[2];
    struct err err;
    struct kept_session *target = NULL;
    struct kept_session *from = NULL;
    if (arguments_read(arguments, two_names, values, &err) == 0 &&
        (target = kept_find(call, values[0], &err)) != NULL) {
        from = kept_find_open(call, values[1], &err);
    }
    if (from == NULL) {
        fail(call, &err);
    } else if (target->is_checkpoint || !from->is_checkpoint) {
        (void)err_set(&err, ERR_USAGE,
                      "session_id has to be a session, and checkpoint_id a checkpoint");
        fail(call, &err);
    } else {
        fork_start(call, from, false, target);
    }
}

#define KEEPS    "{\"readOnlyHint\":false,\"destructiveHint\":false,\"openWorldHint\":false}"
#define READS    "{\"readOnlyHint\":true,\"openWorldHint\":false}"
#define DESTROYS "{\"readOnlyHint\":false,\"destructiveHint\":true,\"openWorldHint\":false}"

static const struct mcp_tool tools[] = {
    {.name = "create_session",
     .words = {.title = "Create a Python session",
               .description =
                   "Begin a session: an interpreter that stays. Give its session_id to "
                   "run_python_code, and variables, imports, open files and pending asyncio tasks "
                   "of one call are there in the next. Use one when work goes in steps, such as "
                   "loading data once and looking at it several times; for a single program there "
                   "is no need. It ends when it was not used for long, or when a program crashes "
                   "it, and then its state is lost. Close it when you are done.",
               .annotations = KEEPS},
     .input_schema = SCHEMA("", ""),
     .start = create_start},
    {.name = "list_sessions",
     .words = {.title = "List the Python sessions",
               .description = "The sessions and checkpoints of this client, with their state: "
                              "empty (nothing has run), open, or ended and why.",
               .annotations = READS},
     .input_schema = SCHEMA("", ""),
     .start = list_start},
    {.name = "reset_session",
     .words = {.title = "Reset a Python session",
               .description = "Let a session begin anew under the same session_id: all variables, "
                              "imports and files of it are lost. Also for one that has ended.",
               .annotations = DESTROYS},
     .input_schema = ONE_SESSION,
     .start = reset_start},
    {.name = "close_session",
     .words = {.title = "Close a Python session",
               .description = "End a session, or drop a checkpoint (its checkpoint_id as "
                              "session_id), for good. A program that runs in it is cancelled.",
               .annotations = DESTROYS},
     .input_schema = ONE_SESSION,
     .start = close_start},
    {.name = "fork_session",
     .words = {.title = "Fork a Python session",
               .description =
                   "Make a second session with the same variables, imports and files, in "
                   "milliseconds; from then on each goes its own way. Use it to try two ways from "
                   "one point. Not while a program runs in the session.",
               .annotations = KEEPS},
     .input_schema = ONE_SESSION,
     .start = fork_tool_start},
    {.name = "checkpoint",
     .words = {.title = "Keep a session's state",
               .description = "Keep the state that a session has now. rollback brings the session "
                              "back to it, as often as wanted. Do it before a step that may go "
                              "wrong and that cannot be undone.",
               .annotations = KEEPS},
     .input_schema = ONE_SESSION,
     .start = checkpoint_start},
    {.name = "rollback",
     .words = {.title = "Bring a session back to a checkpoint",
               .description = "Give a session the state of a checkpoint. What it had is lost; the "
                              "checkpoint stays. Works for a session that has ended too.",
               .annotations = DESTROYS},
     .input_schema = SCHEMA(SESSION_ID ",\"checkpoint_id\":{\"type\":\"string\",\"description\":"
                                       "\"What checkpoint gave\"}",
                            "\"session_id\",\"checkpoint_id\""),
     .start = rollback_start},
};

void session_tools_answer(struct mcp_call *call, struct buf *json)
{
    answer(call, json, false);
}

void session_tools_answer_session(struct mcp_call *call, const struct kept_session *kept)
{
    answer_session(call, kept);
}

void session_tools_fail(struct mcp_call *call, const struct err *err)
{
    fail(call, err);
}

int session_tools_arguments(struct span arguments, const char *const *names, struct span *values,
                            struct err *err)
{
    return arguments_read(arguments, names, values, err);
}

struct kept_session *session_tools_named(struct mcp_call *call, struct span arguments)
{
    return named(call, arguments, true);
}

void session_tools_add(struct mcp_registry *registry)
{
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        registry_add_tool(registry, &tools[i]);
    }
}
