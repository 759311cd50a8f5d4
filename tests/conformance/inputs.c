/* Tools whose results need input first (2026-07-28, basic/patterns/mrtr). */
#include <stdio.h>
#include <stdlib.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "fixtures.h"

static const struct span none = {NULL, 0};

#define FORM(message, field, type)                                                                 \
    "{\"message\":\"" message "\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{"       \
    "\"" field "\":{\"type\":\"" type "\"}},\"required\":[\"" field "\"]}}"

#define SAMPLE(text)                                                                               \
    "{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"" text            \
    "\"}}],\"maxTokens\":100}"

static const struct mcp_question name_question = {"user_name", ASK_ELICITATION,
                                                  FORM("What is your name?", "name", "string")};

/* A field of an accepted form as text, or "". */
static void read_field(struct span reply, const char *field, char *out, size_t size)
{
    struct span content;
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, size);
    *out = '\0';
    if (jtext_find(reply, "content", &content) && jtext_find(content, field, &value) &&
        jtext_type(value) == JTEXT_STRING && jtext_string_decode(&text, value) == 0 &&
        memchr(text.base == NULL ? "" : text.base, '\0', text.len) == NULL) {
        snprintf(out, size, "%.*s", (int)text.len, text.len > 0 ? text.base : "");
    }
}

static void start_elicitation(struct mcp_call *call, struct span arguments)
{
    struct span reply;
    char name[64];
    char text[96];
    (void)arguments;
    if (!call_reply(call, "user_name", &reply)) {
        call_ask(call, &name_question, 1, none);
        return;
    }
    read_field(reply, "name", name, sizeof name);
    snprintf(text, sizeof text, "Hello, %s!", name);
    conformance_answer(call, text);
}

static void start_sampling(struct mcp_call *call, struct span arguments)
{
    static const struct mcp_question question = {"capital_question", ASK_SAMPLING,
                                                 SAMPLE("What is the capital of France?")};
    struct span reply;
    (void)arguments;
    if (!call_reply(call, "capital_question", &reply)) {
        call_ask(call, &question, 1, none);
        return;
    }
    struct content content;
    content_init(&content, call);
    content_text(&content, reply);
    call_answer(call, &content);
}

static void start_roots(struct mcp_call *call, struct span arguments)
{
    static const struct mcp_question question = {"client_roots", ASK_ROOTS, "{}"};
    struct span reply;
    (void)arguments;
    if (!call_reply(call, "client_roots", &reply)) {
        call_ask(call, &question, 1, none);
        return;
    }
    struct content content;
    content_init(&content, call);
    content_text(&content, reply);
    call_answer(call, &content);
}

static const struct mcp_question confirm_question = {"confirm", ASK_ELICITATION,
                                                     FORM("Please confirm", "ok", "boolean")};

static void start_state(struct mcp_call *call, struct span arguments)
{
    static const char state[] = "request-state";
    struct span reply;
    (void)arguments;
    if (!call_reply(call, "confirm", &reply) || !span_equal(call_kept(call), span_of(state))) {
        call_ask(call, &confirm_question, 1, span_of(state));
        return;
    }
    conformance_answer(call, "state-ok: requestState validated");
}

static void start_multiple(struct mcp_call *call, struct span arguments)
{
    static const char state[] = "multiple-inputs";
    static const struct mcp_question questions[] = {
        {"user_name", ASK_ELICITATION, FORM("What is your name?", "name", "string")},
        {"greeting", ASK_SAMPLING, SAMPLE("Generate a greeting")},
        {"client_roots", ASK_ROOTS, "{}"}};
    struct span reply;
    (void)arguments;
    bool is_complete = span_equal(call_kept(call), span_of(state));
    for (unsigned i = 0; i < 3; i++) {
        is_complete = is_complete && call_reply(call, questions[i].key, &reply);
    }
    if (!is_complete) {
        call_ask(call, questions, 3, span_of(state));
        return;
    }
    conformance_answer(call, "Name, greeting and roots received");
}

static void start_rounds(struct mcp_call *call, struct span arguments)
{
    static const struct mcp_question step1 = {"step1", ASK_ELICITATION,
                                              FORM("Step 1: What is your name?", "name", "string")};
    static const struct mcp_question step2 = {
        "step2", ASK_ELICITATION, FORM("Step 2: What is your favorite color?", "color", "string")};
    struct span reply;
    char name[64];
    char color[64];
    char text[192];
    struct span kept = call_kept(call);
    (void)arguments;
    if (kept.len == 0 || (*kept.base == '1' && !call_reply(call, "step1", &reply))) {
        call_ask(call, &step1, 1, span_of("1"));
    } else if (*kept.base == '1') {
        read_field(reply, "name", name, sizeof name);
        snprintf(text, sizeof text, "2%s", name);
        call_ask(call, &step2, 1, span_of(text));
    } else if (!call_reply(call, "step2", &reply)) {
        snprintf(text, sizeof text, "%.*s", (int)kept.len, kept.base);
        call_ask(call, &step2, 1, span_of(text));
    } else {
        read_field(reply, "color", color, sizeof color);
        snprintf(text, sizeof text, "Multi-round complete for %.*s who likes %s", (int)kept.len - 1,
                 kept.base + 1, color);
        conformance_answer(call, text);
    }
}

/* Asks for what the client can do, and nothing else. */
static void start_capabilities(struct mcp_call *call, struct span arguments)
{
    static const struct mcp_question all[] = {
        {"elicit_input", ASK_ELICITATION, FORM("Elicitation input", "value", "string")},
        {"sample_input", ASK_SAMPLING, SAMPLE("Sample request")}};
    struct mcp_question questions[2];
    struct span reply;
    unsigned count = 0;
    bool is_answered = false;
    (void)arguments;
    for (unsigned i = 0; i < 2; i++) {
        is_answered = is_answered || call_reply(call, all[i].key, &reply);
        if (call_can_ask(call, all[i].kind)) {
            questions[count++] = all[i];
        }
    }
    if (is_answered || count == 0) {
        conformance_answer(call, is_answered ? "capabilities-ok" : "No capabilities declared");
        return;
    }
    call_ask(call, questions, count, span_of("capabilities"));
}

static void start_missing(struct mcp_call *call, struct span arguments)
{
    static const struct mcp_question question = {"sample", ASK_SAMPLING, SAMPLE("Anything")};
    struct span reply;
    (void)arguments;
    if (!call_reply(call, "sample", &reply)) {
        call_ask(call, &question, 1, none);
        return;
    }
    conformance_answer(call, "Success");
}

#define TOOL(tool_name, tool_description, tool_start)                                              \
    {                                                                                              \
        .name = tool_name, .words = {.description = tool_description},                             \
        .input_schema = CONFORMANCE_NO_ARGUMENTS, .may_ask = true, .start = tool_start             \
    }

void conformance_add_input_tools(struct mcp_registry *registry)
{
    static const struct mcp_tool tools[] = {
        TOOL("test_input_required_result_elicitation", "Needs the person's name",
             start_elicitation),
        TOOL("test_input_required_result_sampling", "Needs the model", start_sampling),
        TOOL("test_input_required_result_list_roots", "Needs the roots", start_roots),
        TOOL("test_input_required_result_request_state", "Needs a state", start_state),
        TOOL("test_input_required_result_multiple_inputs", "Needs three things at once",
             start_multiple),
        TOOL("test_input_required_result_multi_round", "Needs one thing after the other",
             start_rounds),
        TOOL("test_input_required_result_tampered_state", "Needs a state that is true",
             start_state),
        TOOL("test_input_required_result_capabilities", "Needs what the client has",
             start_capabilities),
        TOOL("test_missing_capability", "Needs the model in any case", start_missing),
    };
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        registry_add_tool(registry, &tools[i]);
    }
}
