/* run_python_code where a person decides (--approve): the program, what it would import and what it
 * could reach is shown by elicitation, and run when it is accepted. */
#include <stdlib.h>

#include "base/jtext.h"
#include "base/utf8.h"
#include "mcp/internal.h"
#include "mcp/tool.h"
#include "packages/survey.h"

/* Travels with the question, so that a reply is one to this program and to no other. */
static const char shown[] = "shown";

/* What is kept while the program is looked at. */
struct approval {
    struct mcp_call *call;
    struct survey *survey;
    struct buf code;
};

static void approval_free(struct approval *approval)
{
    buf_free(&approval->code);
    free(approval);
}

static void refuse(struct mcp_call *call, const char *text)
{
    struct err err;
    (void)err_set(&err, ERR_USAGE, "%s", text);
    python_refuse(call, &err);
}

/* ---- The question ---------------------------------------------------------------------------- */

static int append_directories(struct buf *out, const struct mcp_config *config)
{
    static const char *const modes[] = {[POOL_MOUNT_RO] = "to read",
                                        [POOL_MOUNT_RW] = "to read and change",
                                        [POOL_MOUNT_OVERLAY] = "to read"};
    int failed = buf_append_text(out, config->mount_count == 0 ? "no files of yours" : "");
    for (unsigned i = 0; i < config->mount_count && failed == 0; i++) {
        const struct pool_mount *mount = &config->mounts[i];
        failed = buf_append_format(out, "%s%.100s (%s)", i == 0 ? "your directory at " : ", ",
                                   mount->path, modes[mount->mode]);
    }
    return failed;
}

static int append_message(struct buf *out, const struct approval *approval, struct span lines)
{
    const struct run_limits *limits = &call_config(approval->call)->limits;
    int failed = buf_append_text(out, "May this program run?\n\n");
    failed |= utf8_append_plain(out, buf_span(&approval->code));
    failed |= buf_append_text(out, "\n\n") | utf8_append_plain(out, lines);
    failed |= buf_append_text(out, "it could reach: no network, no other programs, ");
    failed |= append_directories(out, call_config(approval->call));
    return failed | buf_append_format(out, "; for %g seconds, with %llu MiB of memory",
                                      (double)limits->wall_ms / 1e3,
                                      (unsigned long long)(limits->memory_bytes / MIB));
}

/* elicitation/create: there is nothing to fill in, it is accepted or it is not. */
static int append_params(struct buf *out, struct span message)
{
    if (buf_append_text(out, "{\"message\":") != 0 || jtext_append_string(out, message) != 0 ||
        buf_append_text(out, ",\"requestedSchema\":{\"type\":\"object\",\"properties\":{}}}") !=
            0) {
        return -1;
    }
    return buf_append_char(out, '\0');
}

static void on_surveyed(void *context, struct span lines, const struct err *err)
{
    struct approval *approval = context;
    struct mcp_call *call = approval->call;
    cleanup_buf struct buf message;
    cleanup_buf struct buf params;
    buf_init(&message, 4 * (LIMIT_APPROVE_CODE_BYTES_MAX + LIMIT_SURVEY_TEXT_BYTES_MAX));
    buf_init(&params, 8 * message.bytes_max);
    const bool is_ready = err == NULL && append_message(&message, approval, lines) == 0 &&
                          append_params(&params, buf_span(&message)) == 0;
    approval_free(approval);
    if (!is_ready) {
        refuse(call, err != NULL ? err->text : "the person could not be asked: out of memory");
        return;
    }
    const struct mcp_question question = {"approval", ASK_ELICITATION, params.base};
    call_ask(call, &question, 1, span_of(shown));
}

static void on_cancel(struct mcp_call *call)
{
    struct approval *approval = call_state(call);
    survey_cancel(approval->survey);
    approval_free(approval);
    call_end(call);
}

static void ask(struct mcp_call *call, const struct tool_arguments *arguments)
{
    struct survey_events events = {.done = on_surveyed};
    struct err err;
    struct approval *approval = calloc(1, sizeof *approval);
    struct span code = buf_span(&arguments->code);
    if (code.len > LIMIT_APPROVE_CODE_BYTES_MAX) {
        free(approval);
        refuse(call, "this program is too long to be shown to the person who has to agree to it");
        return;
    }
    if (approval == NULL) {
        refuse(call, "out of memory");
        return;
    }
    (void)err_set(&err, ERR_MEMORY, "out of memory");
    approval->call = call;
    buf_init(&approval->code, LIMIT_CODE_BYTES_MAX);
    events.context = approval;
    approval->survey =
        buf_append(&approval->code, code.base, code.len) != 0
            ? NULL
            : survey_start(call_config(call)->packages, code,
                           arguments->dependency_count == 0 ? NULL : arguments->dependencies,
                           call_client(call).number, &events, &err);
    if (approval->survey == NULL) {
        approval_free(approval);
        python_refuse(call, &err);
        return;
    }
    call_hold(call, approval, on_cancel);
}

/* ---- The answer ------------------------------------------------------------------------------ */

static bool is_accepted(struct span reply)
{
    struct span action;
    return jtext_find(reply, "action", &action) && jtext_type(action) == JTEXT_STRING &&
           jtext_string_is(action, "accept");
}

static void start(struct mcp_call *call, struct span members)
{
    struct span reply;
    struct tool_arguments arguments;
    struct err err;
    if (call_reply(call, "approval", &reply) && span_equal(call_kept(call), span_of(shown))) {
        if (is_accepted(reply)) {
            python_tool.start(call, members);
        } else {
            refuse(call,
                   "the person at the client did not let this program run; ask what should be "
                   "different before another one is tried");
        }
        return;
    }
    if (call_reply_error(call, "approval", &reply) || !call_can_ask(call, ASK_ELICITATION)) {
        refuse(call, "this server runs a program only when a person has agreed (--approve), and "
                     "this client could not ask one (it has no elicitation)");
        return;
    }
    if (tool_read_arguments(members, call_config(call), &arguments, &err) != 0) {
        python_tool.start(call, members); /* says what is wrong with them */
    } else {
        ask(call, &arguments);
    }
    tool_arguments_free(&arguments);
}

const struct mcp_tool approved_python_tool = {.name = "run_python_code",
                                              .append_definition = tool_append_definition,
                                              .may_ask = true,
                                              .start = start};
