/* Tools that answer by themselves: each kind of content, logs, progress, errors, headers. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jtext.h"
#include "fixtures.h"

enum { STEP_MS = 50 };

static void start_text(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    conformance_answer(call, "This is a simple text response for testing.");
}

static void start_image(struct mcp_call *call, struct span arguments)
{
    struct content content;
    (void)arguments;
    content_init(&content, call);
    content_image(&content, conformance_png(), "image/png");
    call_answer(call, &content);
}

static void start_audio(struct mcp_call *call, struct span arguments)
{
    struct content content;
    (void)arguments;
    content_init(&content, call);
    content_audio(&content, conformance_wav(), "audio/wav");
    call_answer(call, &content);
}

static void start_embedded(struct mcp_call *call, struct span arguments)
{
    struct content content;
    struct content_resource resource = {.uri = span_of("test://embedded-resource"),
                                        .mime_type = "text/plain",
                                        .text = span_of("This is an embedded resource content.")};
    (void)arguments;
    content_init(&content, call);
    content_resource(&content, &resource);
    call_answer(call, &content);
}

static void start_multiple(struct mcp_call *call, struct span arguments)
{
    struct content content;
    struct content_resource resource = {.uri = span_of("test://mixed-content-resource"),
                                        .mime_type = "application/json",
                                        .text = span_of("{\"test\":\"data\",\"value\":123}")};
    struct content_link link = {.uri = span_of("test://static-text"),
                                .name = span_of("static-text"),
                                .title = "Static text",
                                .mime_type = "text/plain"};
    (void)arguments;
    content_init(&content, call);
    content_text(&content, span_of("Multiple content types test:"));
    content_image(&content, conformance_png(), "image/png");
    content_resource(&content, &resource);
    content_link(&content, &link);
    call_answer(call, &content);
}

static void start_error(struct mcp_call *call, struct span arguments)
{
    struct content content;
    (void)arguments;
    content_init(&content, call);
    content.is_error = true;
    content_text(&content, span_of("This tool intentionally returns an error for testing"));
    call_answer(call, &content);
}

/* Tools that go on for some steps of time. */

struct steps {
    struct mcp_call *call;
    uv_timer_t timer;
    unsigned step;
    void (*take)(struct steps *steps); /* one step; ends the call with the last */
};

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static void finish(struct steps *steps, const char *text)
{
    struct mcp_call *call = steps->call;
    uv_close((uv_handle_t *)&steps->timer, on_closed);
    if (text == NULL) {
        call_end(call);
    } else {
        conformance_answer(call, text);
    }
}

static void on_step(uv_timer_t *timer)
{
    struct steps *steps = timer->data;
    steps->step++;
    steps->take(steps);
}

static void on_cancel(struct mcp_call *call)
{
    finish(call_state(call), NULL);
}

static void begin_steps(struct mcp_call *call, void (*take)(struct steps *steps))
{
    struct steps *steps = calloc(1, sizeof *steps);
    if (steps == NULL) {
        abort();
    }
    steps->call = call;
    steps->take = take;
    uv_timer_init(call_loop(call), &steps->timer);
    steps->timer.data = steps;
    call_hold(call, steps, on_cancel);
    uv_timer_start(&steps->timer, on_step, STEP_MS, STEP_MS);
    take(steps);
}

static void take_log(struct steps *steps)
{
    static const char *const lines[] = {"Tool execution started", "Tool processing data",
                                        "Tool execution completed"};
    call_log(steps->call, LEVEL_INFO, "conformance", span_of(lines[steps->step]));
    if (steps->step == 2) {
        finish(steps, "Tool with logging executed successfully");
    }
}

static void start_logging(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    begin_steps(call, take_log);
}

static void take_progress(struct steps *steps)
{
    char text[64];
    snprintf(text, sizeof text, "Completed step %u of 100", steps->step * 50);
    call_progress(steps->call, steps->step * 50, 100, text);
    if (steps->step == 2) {
        finish(steps, "Tool with progress executed successfully");
    }
}

static void start_progress(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    begin_steps(call, take_progress);
}

static void take_reconnection(struct steps *steps)
{
    if (steps->step == 0) {
        call_let_go(steps->call);
    } else if (steps->step == 3) {
        finish(steps, "Reconnection test completed successfully. If you received this, the client "
                      "properly reconnected after stream closure.");
    }
}

static void start_reconnection(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    begin_steps(call, take_reconnection);
}

/* Logs only what was asked for, which is the point. */
static void start_logging_once(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    call_log(call, LEVEL_INFO, "conformance", span_of("Diagnostic trace logging activated"));
    conformance_answer(call, "Logging evaluated");
}

static void start_json_schema(struct mcp_call *call, struct span arguments)
{
    struct content content;
    content_init(&content, call);
    content_text(&content, arguments);
    content_structured(&content, arguments);
    call_answer(call, &content);
}

static void start_header(struct mcp_call *call, struct span arguments)
{
    start_json_schema(call, arguments);
}

static void start_tool_change(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    mcp_server_list_changed(call_server(call), MCP_TOOLS);
    conformance_answer(call, "Mutation triggered");
}

static void start_prompt_change(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    mcp_server_list_changed(call_server(call), MCP_PROMPTS);
    conformance_answer(call, "Mutation triggered");
}

static void start_resource_change(struct mcp_call *call, struct span arguments)
{
    (void)arguments;
    mcp_server_resource_updated(call_server(call), "test://watched-resource");
    mcp_server_list_changed(call_server(call), MCP_RESOURCES);
    conformance_answer(call, "Mutation triggered");
}

#define TOOL(tool_name, tool_description, tool_start)                                              \
    {                                                                                              \
        .name = tool_name, .words = {.description = tool_description},                             \
        .input_schema = CONFORMANCE_NO_ARGUMENTS, .start = tool_start                              \
    }

static const char json_schema[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
    "\"$defs\":{\"address\":{\"$anchor\":\"addressDef\",\"type\":\"object\",\"properties\":{"
    "\"street\":{\"type\":\"string\"},\"city\":{\"type\":\"string\"}}}},"
    "\"properties\":{\"name\":{\"type\":\"string\"},\"address\":{\"$ref\":\"#/$defs/address\"},"
    "\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},"
    "\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}},"
    "\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},{\"required\":[\"email\"]}]}],"
    "\"if\":{\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},"
    "\"required\":[\"contactMethod\"]},\"then\":{\"required\":[\"phone\"]},"
    "\"else\":{\"required\":[\"email\"]},\"additionalProperties\":false}";

static const char header_schema[] =
    "{\"type\":\"object\",\"properties\":{\"region\":{\"type\":\"string\","
    "\"x-mcp-header\":\"Region\"},\"priority\":{\"type\":\"integer\",\"x-mcp-header\":\"Priority\"}"
    ","
    "\"urgent\":{\"type\":\"boolean\",\"x-mcp-header\":\"Urgent\"},\"query\":{\"type\":\"string\"}}"
    ","
    "\"required\":[\"region\"]}";

void conformance_add_tools(struct mcp_registry *registry)
{
    static const struct mcp_tool tools[] = {
        TOOL("test_simple_text", "Tests simple text content response", start_text),
        TOOL("test_image_content", "Tests image content response", start_image),
        TOOL("test_audio_content", "Tests audio content response", start_audio),
        TOOL("test_embedded_resource", "Tests embedded resource content response", start_embedded),
        TOOL("test_multiple_content_types", "Tests response with multiple content types",
             start_multiple),
        TOOL("test_tool_with_logging", "Tests log messages during execution", start_logging),
        TOOL("test_tool_with_progress", "Tests progress notifications", start_progress),
        TOOL("test_error_handling", "Tests error response handling", start_error),
        TOOL("test_reconnection", "Tests SSE stream disconnection and client reconnection",
             start_reconnection),
        TOOL("test_streaming_elicitation", "Tests what a response stream carries", start_progress),
        TOOL("test_logging_tool", "Tests that nothing is logged unasked", start_logging_once),
        TOOL("test_trigger_tool_change", "Says that the list of tools has changed",
             start_tool_change),
        TOOL("test_trigger_prompt_change", "Says that the list of prompts has changed",
             start_prompt_change),
        TOOL("test_trigger_resource_change", "Says that the watched resource has changed",
             start_resource_change),
        {.name = "json_schema_2020_12_tool",
         .words = {.description = "Tool with JSON Schema 2020-12 features"},
         .input_schema = json_schema,
         .start = start_json_schema},
        {.name = "test_custom_headers",
         .words = {.description = "Tests headers that repeat arguments"},
         .input_schema = header_schema,
         .start = start_header},
    };
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        registry_add_tool(registry, &tools[i]);
    }
    registry_may_change(registry, MCP_TOOLS);
    registry_may_change(registry, MCP_PROMPTS);
    registry_may_change(registry, MCP_RESOURCES);
}
