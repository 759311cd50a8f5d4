/* Tools that ask the client: for the person's words, for the model's. */
#include <stdlib.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "fixtures.h"

/* Once a question is asked nobody holds the call. */
static void must_not_come(struct mcp_call *call)
{
    (void)call;
    abort();
}

/* Asks one question; then answers with what came back behind these words. */
static void ask_and_tell(struct mcp_call *call, enum mcp_ask kind, const char *params,
                         const char *words)
{
    struct mcp_question question = {.key = "answer", .kind = kind, .params = params};
    struct content content;
    struct span reply;
    bool is_error = false;
    if (!call_reply(call, "answer", &reply)) {
        is_error = call_reply_error(call, "answer", &reply);
        if (!is_error) {
            call_hold(call, NULL, must_not_come);
            call_ask(call, &question, 1, (struct span){NULL, 0});
            return;
        }
    }
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_MESSAGE_BYTES_MAX);
    if (buf_append_text(&text, words) != 0 || buf_append(&text, reply.base, reply.len) != 0) {
        abort();
    }
    content_init(&content, call);
    content.is_error = is_error;
    content_text(&content, buf_span(&text));
    call_answer(call, &content);
}

/* {"...": HEAD the argument as a JSON string TAIL, as the question's parameters. */
static void ask_with_argument(struct mcp_call *call, struct span arguments, const char *key,
                              enum mcp_ask kind, const char *head, const char *tail,
                              const char *words)
{
    struct span value;
    cleanup_buf struct buf params;
    buf_init(&params, LIMIT_MESSAGE_BYTES_MAX);
    if (!jtext_find(arguments, key, &value) || jtext_type(value) != JTEXT_STRING) {
        call_fail(call, RPC_INVALID_PARAMS, "An argument is missing", (struct span){NULL, 0});
        return;
    }
    if (buf_append_text(&params, head) != 0 || jtext_append_compact(&params, value) != 0 ||
        buf_append_text(&params, tail) != 0 || buf_append_char(&params, '\0') != 0) {
        abort();
    }
    ask_and_tell(call, kind, params.base, words);
}

static void start_sampling(struct mcp_call *call, struct span arguments)
{
    ask_with_argument(call, arguments, "prompt", ASK_SAMPLING,
                      "{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":",
                      "}}],\"maxTokens\":100}", "LLM response: ");
}

static void start_elicitation(struct mcp_call *call, struct span arguments)
{
    ask_with_argument(call, arguments, "message", ASK_ELICITATION, "{\"message\":",
                      ",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"response\":{"
                      "\"type\":\"string\",\"description\":\"User's response\"}},"
                      "\"required\":[\"response\"]}}",
                      "User response: ");
}

static void start_defaults(struct mcp_call *call, struct span arguments)
{
    static const char params[] =
        "{\"message\":\"Please review and update the form fields with defaults\","
        "\"requestedSchema\":{\"type\":\"object\",\"properties\":{"
        "\"name\":{\"type\":\"string\",\"description\":\"User name\",\"default\":\"John Doe\"},"
        "\"age\":{\"type\":\"integer\",\"description\":\"User age\",\"default\":30},"
        "\"score\":{\"type\":\"number\",\"description\":\"User score\",\"default\":95.5},"
        "\"status\":{\"type\":\"string\",\"description\":\"User status\","
        "\"enum\":[\"active\",\"inactive\",\"pending\"],\"default\":\"active\"},"
        "\"verified\":{\"type\":\"boolean\",\"description\":\"Verification status\","
        "\"default\":true}},\"required\":[]}}";
    (void)arguments;
    ask_and_tell(call, ASK_ELICITATION, params, "Elicitation completed: ");
}

static void start_enums(struct mcp_call *call, struct span arguments)
{
    static const char params[] =
        "{\"message\":\"Please select options from the enum fields\","
        "\"requestedSchema\":{\"type\":\"object\",\"properties\":{"
        "\"untitledSingle\":{\"type\":\"string\",\"description\":\"Select one option\","
        "\"enum\":[\"option1\",\"option2\",\"option3\"]},"
        "\"titledSingle\":{\"type\":\"string\",\"description\":\"Select one option with titles\","
        "\"oneOf\":[{\"const\":\"value1\",\"title\":\"First Option\"},"
        "{\"const\":\"value2\",\"title\":\"Second Option\"},"
        "{\"const\":\"value3\",\"title\":\"Third Option\"}]},"
        "\"legacyEnum\":{\"type\":\"string\",\"description\":\"Select one option (legacy)\","
        "\"enum\":[\"opt1\",\"opt2\",\"opt3\"],"
        "\"enumNames\":[\"Option One\",\"Option Two\",\"Option Three\"]},"
        "\"untitledMulti\":{\"type\":\"array\",\"description\":\"Select multiple options\","
        "\"minItems\":1,\"maxItems\":3,\"items\":{\"type\":\"string\","
        "\"enum\":[\"option1\",\"option2\",\"option3\"]}},"
        "\"titledMulti\":{\"type\":\"array\",\"description\":\"Select multiple options with "
        "titles\",\"minItems\":1,\"maxItems\":3,\"items\":{\"anyOf\":["
        "{\"const\":\"value1\",\"title\":\"First Choice\"},"
        "{\"const\":\"value2\",\"title\":\"Second Choice\"},"
        "{\"const\":\"value3\",\"title\":\"Third Choice\"}]}}},\"required\":[]}}";
    (void)arguments;
    ask_and_tell(call, ASK_ELICITATION, params, "Elicitation completed: ");
}

void conformance_add_asking_tools(struct mcp_registry *registry)
{
    static const struct mcp_tool tools[] = {
        {.name = "test_sampling",
         .words = {.description = "Tests a request to the client's model"},
         .input_schema = "{\"type\":\"object\",\"properties\":{\"prompt\":{\"type\":\"string\","
                         "\"description\":\"The prompt to send to the model\"}},"
                         "\"required\":[\"prompt\"]}",
         .may_ask = true,
         .start = start_sampling},
        {.name = "test_elicitation",
         .words = {.description = "Tests a request to the person"},
         .input_schema = "{\"type\":\"object\",\"properties\":{\"message\":{\"type\":\"string\","
                         "\"description\":\"The message to show\"}},\"required\":[\"message\"]}",
         .may_ask = true,
         .start = start_elicitation},
        {.name = "test_elicitation_sep1034_defaults",
         .words = {.description = "Tests a form with default values"},
         .input_schema = CONFORMANCE_NO_ARGUMENTS,
         .may_ask = true,
         .start = start_defaults},
        {.name = "test_elicitation_sep1330_enums",
         .words = {.description = "Tests a form with every kind of choice"},
         .input_schema = CONFORMANCE_NO_ARGUMENTS,
         .may_ask = true,
         .start = start_enums},
    };
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        registry_add_tool(registry, &tools[i]);
    }
}
