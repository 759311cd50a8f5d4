/* Prompts: plain, with arguments, with a resource, with a picture, and one that needs input. */
#include <stdlib.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "fixtures.h"

static void start_simple(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    conformance_answer(call, "This is a simple prompt for testing.");
}

static void append_argument(struct buf *out, struct span arguments, const char *name)
{
    struct span value;
    if (jtext_find(arguments, name, &value)) {
        jtext_string_decode(out, value);
    }
}

static void start_arguments(struct mcp_call *call, struct span arguments)
{
    struct content content;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_MESSAGE_BYTES_MAX);
    buf_append_text(&text, "Prompt with arguments: arg1='");
    append_argument(&text, arguments, "arg1");
    buf_append_text(&text, "', arg2='");
    append_argument(&text, arguments, "arg2");
    buf_append_text(&text, "'");
    content_init(&content, call);
    content_text(&content, buf_span(&text));
    call_answer(call, &content);
}

static void start_resource(struct mcp_call *call, struct span arguments)
{
    struct content content;
    cleanup_buf struct buf uri;
    buf_init(&uri, LIMIT_MESSAGE_BYTES_MAX);
    append_argument(&uri, arguments, "resourceUri");
    struct content_resource resource = {.uri = buf_span(&uri),
                                        .mime_type = "text/plain",
                                        .text = span_of("Embedded resource content for testing.")};
    content_init(&content, call);
    content_resource(&content, &resource);
    content_text(&content, span_of("Please process the embedded resource above."));
    call_answer(call, &content);
}

static void start_image(struct mcp_call *call, struct span arguments)
{
    struct content content;
    (void)arguments;
    content_init(&content, call);
    content.description = "A picture to look at";
    content_image(&content, conformance_png(), "image/png");
    content.role = "assistant";
    content_text(&content, span_of("Please analyze the image above."));
    call_answer(call, &content);
}

static void start_input(struct mcp_call *call, struct span arguments)
{
    static const struct mcp_question question = {
        "user_context", ASK_ELICITATION,
        "{\"message\":\"What context should the prompt use?\",\"requestedSchema\":{"
        "\"type\":\"object\",\"properties\":{\"context\":{\"type\":\"string\"}},"
        "\"required\":[\"context\"]}}"};
    struct span reply;
    struct content content;
    (void)arguments;
    if (!call_reply(call, "user_context", &reply)) {
        call_ask(call, &question, 1, (struct span){NULL, 0});
        return;
    }
    content_init(&content, call);
    content_text(&content, reply);
    call_answer(call, &content);
}

static void complete(struct mcp_completions *out, const char *argument, void *context)
{
    (void)argument;
    (void)context;
    static const char *const values[] = {"paris", "park", "party", "test-value"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        completions_add(out, values[i]);
    }
}

void conformance_add_prompts(struct mcp_registry *registry)
{
    static const struct mcp_prompt_argument two[] = {
        {.name = "arg1", .description = "First test argument", .is_required = true},
        {.name = "arg2", .description = "Second test argument", .is_required = true}};
    static const struct mcp_prompt_argument one[] = {
        {.name = "resourceUri", .description = "The resource to embed", .is_required = true}};
    static const struct mcp_prompt prompts[] = {
        {.name = "test_simple_prompt",
         .words = {.title = "Simple Test Prompt",
                   .description = "A simple prompt without arguments"},
         .start = start_simple},
        {.name = "test_prompt_with_arguments",
         .words = {.title = "Prompt With Arguments",
                   .description = "A prompt with required arguments"},
         .arguments = two,
         .argument_count = 2,
         .start = start_arguments,
         .complete = complete},
        {.name = "test_prompt_with_embedded_resource",
         .words = {.description = "A prompt that includes an embedded resource"},
         .arguments = one,
         .argument_count = 1,
         .start = start_resource},
        {.name = "test_prompt_with_image",
         .words = {.description = "A prompt that includes image content"},
         .start = start_image},
        {.name = "test_input_required_result_prompt",
         .words = {.description = "A prompt that needs input first"},
         .start = start_input},
    };
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        registry_add_prompt(registry, &prompts[i]);
    }
}
