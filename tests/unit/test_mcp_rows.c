/* mcp: resources, prompts, completion, content, questions to the client and subscriptions, in every
 * revision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "mcp/keep.h"
#include "mcp/uri.h"
#include "mcp_fixture.h"

#define ALL "{\"elicitation\":{},\"sampling\":{},\"roots\":{}}"

/* A request of 2026-07-28 from a client that can be asked anything. */
static json_t *modern(const char *method, const char *params)
{
    char text[4000];
    snprintf(
        text, sizeof text,
        "{\"jsonrpc\":\"2.0\",\"id\":\"m\",\"method\":\"%s\",\"params\":{" MCP_MODERN(ALL) "%s%s}}",
        method, *params == '\0' ? "" : ",", params);
    return mcp_ask(text);
}

static json_t *legacy(const char *method, const char *params)
{
    char text[4000];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":\"l\",\"method\":\"%s\",\"params\":{%s}}", method,
             params);
    return mcp_ask(text);
}

static json_t *item(json_t *answer, const char *list, unsigned index)
{
    return json_array_get(json_object_get(mcp_result(answer), list), index);
}

static void capabilities_are_what_is_registered(void **state)
{
    (void)state;
    json_t *found = json_object_get(mcp_initialize("2025-11-25", "{}"), "capabilities");
    assert_non_null(json_object_get(found, "completions"));
    assert_true(json_is_true(json_object_get(json_object_get(found, "resources"), "subscribe")));
    assert_true(json_is_true(json_object_get(json_object_get(found, "prompts"), "listChanged")));
    json_t *modern_ones =
        json_object_get(mcp_result(modern("server/discover", "")), "capabilities");
    assert_true(json_equal(found, modern_ones));
    json_t *info = json_object_get(mcp_initialize("2025-11-25", "{}"), "serverInfo");
    json_t *icon = json_array_get(json_object_get(info, "icons"), 0);
    assert_string_equal(mcp_text_at(icon, "mimeType"), "image/svg+xml");
    assert_null(json_object_get(json_object_get(mcp_initialize("2025-06-18", "{}"), "serverInfo"),
                                "icons"));
}

static void resources_are_listed_in_pages(void **state)
{
    (void)state;
    json_t *first = modern("resources/list", "");
    assert_int_equal(json_array_size(json_object_get(mcp_result(first), "resources")), 100);
    assert_string_equal(mcp_text_at(item(first, "resources", 0), "uri"), "test://static-text");
    assert_string_equal(mcp_text_at(mcp_result(first), "cacheScope"), "private");
    const char *cursor = mcp_text_at(mcp_result(first), "nextCursor");
    char params[100];
    snprintf(params, sizeof params, "\"cursor\":\"%s\"", cursor);
    json_t *second = modern("resources/list", params);
    assert_int_equal(json_array_size(json_object_get(mcp_result(second), "resources")), 23);
    assert_null(json_object_get(mcp_result(second), "nextCursor"));
    static const char *const bad[] = {"\"cursor\":\"page-at-200\"", "\"cursor\":\"page-at-7\"",
                                      "\"cursor\":\"page-at-100x\"", "\"cursor\":100",
                                      "\"cursor\":\"\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mcp_error_code(modern("resources/list", bad[i])), -32602);
    }
    json_t *templates = modern("resources/templates/list", "");
    assert_string_equal(mcp_text_at(item(templates, "resourceTemplates", 0), "uriTemplate"),
                        "vitrine://files/{id}/{+name}"); /* every server's */
    assert_string_equal(mcp_text_at(item(templates, "resourceTemplates", 1), "uriTemplate"),
                        "test://template/{id}/data");
}

static void resources_are_read(void **state)
{
    (void)state;
    json_t *text = modern("resources/read", "\"uri\":\"test://static-text\"");
    assert_string_equal(mcp_text_at(item(text, "contents", 0), "uri"), "test://static-text");
    assert_true(json_is_integer(json_object_get(mcp_result(text), "ttlMs")));
    json_t *bytes = legacy("resources/read", "\"uri\":\"test://static-binary\"");
    assert_memory_equal(mcp_text_at(item(bytes, "contents", 0), "blob"), "iVBORw0KGgo", 11);
    assert_null(json_object_get(mcp_result(bytes), "ttlMs"));
    json_t *member = modern("resources/read", "\"uri\":\"test://template/a%20b/data\"");
    assert_string_equal(mcp_text_at(item(member, "contents", 0), "text"),
                        "{\"id\":\"a b\",\"templateTest\":true}");
    json_t *missing = modern("resources/read", "\"uri\":\"test://no\\u002Dsuch\"");
    assert_int_equal(mcp_error_code(missing), -32602);
    json_t *data = json_object_get(json_object_get(missing, "error"), "data");
    assert_string_equal(mcp_text_at(data, "uri"), "test://no-such");
    assert_int_equal(mcp_error_code(legacy("resources/read", "\"uri\":\"test://no\"")), -32002);
    assert_int_equal(mcp_error_code(modern("resources/read", "\"uri\":1")), -32602);
    assert_int_equal(mcp_error_code(modern("resources/read", "")), -32602);
}

static void templates_are_matched(void **state)
{
    (void)state;
    static const struct {
        const char *uri_template;
        const char *uri;
        bool matches;
    } cases[] = {
        {"t://{a}/x", "t://1/x", true},      {"t://{a}/x", "t:///x", false},
        {"t://{a}/x", "t://1/2/x", false},   {"t://{a}/x", "t://1/xy", false},
        {"t://{a}/x", "t://%41/x", true},    {"t://{a}/x", "t://%4/x", false},
        {"t://{a}/x", "t://%00/x", false},   {"t://{a}/x", "t://%", false},
        {"t://{a}/{+b}", "t://1/2/3", true}, {"t://{a}.{b}", "t://1.2", true},
        {"t://{a}", "t://", false},          {"t://{a}", "", false},
    };
    cleanup_buf struct buf variables;
    buf_init(&variables, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&variables);
        assert_int_equal(uri_matches(cases[i].uri_template, span_of(cases[i].uri), &variables),
                         cases[i].matches);
    }
    buf_clear(&variables);
    assert_true(uri_matches("t://{a}/{+b}", span_of("t://%31/2/3"), &variables));
    assert_true(span_equal(uri_variable(&variables, "a"), span_of("1")));
    assert_true(span_equal(uri_variable(&variables, "b"), span_of("2/3")));
    assert_int_equal(uri_variable(&variables, "c").len, 0);
}

static void prompts_are_given(void **state)
{
    (void)state;
    json_t *prompts = modern("prompts/list", "");
    assert_int_equal(json_array_size(json_object_get(mcp_result(prompts), "prompts")), 5);
    json_t *answer = modern("prompts/get", "\"name\":\"test_prompt_with_arguments\",\"arguments\":{"
                                           "\"arg1\":\"a\\u0022\",\"arg2\":\"b\"}");
    json_t *message = item(answer, "messages", 0);
    assert_string_equal(mcp_text_at(message, "role"), "user");
    assert_string_equal(mcp_text_at(json_object_get(message, "content"), "text"),
                        "Prompt with arguments: arg1='a\"', arg2='b'");
    answer = legacy("prompts/get", "\"name\":\"test_prompt_with_image\"");
    assert_string_equal(mcp_text_at(mcp_result(answer), "description"), "A picture to look at");
    assert_string_equal(mcp_text_at(item(answer, "messages", 1), "role"), "assistant");
    static const char *const bad[] = {
        "\"name\":\"no_such\"",
        "\"name\":5",
        "",
        "\"name\":\"test_prompt_with_arguments\"",
        "\"name\":\"test_prompt_with_arguments\",\"arguments\":{\"arg1\":\"a\",\"arg2\":1}",
        "\"name\":\"test_prompt_with_arguments\",\"arguments\":[]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mcp_error_code(modern("prompts/get", bad[i])), -32602);
    }
}

static void arguments_are_completed(void **state)
{
    (void)state;
#define NO_PROMPT "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"no\"},"
#define PROMPT    "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"test_prompt_with_arguments\"},"
    json_t *answer =
        modern("completion/complete", PROMPT "\"argument\":{\"name\":\"arg1\",\"value\":\"par\"}");
    json_t *completion = json_object_get(mcp_result(answer), "completion");
    assert_int_equal(json_array_size(json_object_get(completion, "values")), 3);
    assert_int_equal(json_integer_value(json_object_get(completion, "total")), 3);
    answer = legacy("completion/complete",
                    "\"ref\":{\"type\":\"ref/resource\",\"uri\":\"test://template/{id}/data\"},"
                    "\"argument\":{\"name\":\"id\",\"value\":\"124\"}");
    completion = json_object_get(mcp_result(answer), "completion");
    assert_int_equal(json_array_size(json_object_get(completion, "values")), 1);
    static const char *const bad[] = {"", PROMPT "\"argument\":{\"name\":\"arg1\"}",
                                      PROMPT "\"argument\":5",
                                      NO_PROMPT "\"argument\":{\"name\":\"a\",\"value\":\"\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mcp_error_code(modern("completion/complete", bad[i])), -32602);
    }
}

static const char *type_of(json_t *answer, unsigned index)
{
    return mcp_text_at(item(answer, "content", index), "type");
}

static void content_is_what_the_revision_knows(void **state)
{
    (void)state;
    json_t *answer = modern("tools/call", "\"name\":\"test_multiple_content_types\"");
    static const char *const types[] = {"text", "image", "resource", "resource_link"};
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(type_of(answer, i), types[i]);
    }
    assert_string_equal(type_of(modern("tools/call", "\"name\":\"test_audio_content\""), 0),
                        "audio");
    mcp_initialize("2024-11-05", "{}");
    answer = legacy("tools/call", "\"name\":\"test_multiple_content_types\"");
    assert_string_equal(type_of(answer, 3), "text");
    assert_string_equal(type_of(legacy("tools/call", "\"name\":\"test_audio_content\""), 0),
                        "resource");
    answer = legacy("tools/call", "\"name\":\"json_schema_2020_12_tool\",\"arguments\":{}");
    assert_null(json_object_get(mcp_result(answer), "structuredContent"));
    answer = modern("tools/call", "\"name\":\"json_schema_2020_12_tool\",\"arguments\":{}");
    assert_non_null(json_object_get(mcp_result(answer), "structuredContent"));
}

/* Questions to the client. */

static void old_clients_are_asked_by_a_request(void **state)
{
    (void)state;
    mcp_initialize("2025-11-25", "{\"sampling\":{}}");
    json_t *asked = legacy("tools/call", "\"name\":\"test_sampling\",\"arguments\":{"
                                         "\"prompt\":\"say \\\"x\\\"\"}");
    assert_int_equal(mcp_sent[mcp_sent_count - 1].kind, MCP_REQUEST);
    assert_string_equal(mcp_text_at(asked, "method"), "sampling/createMessage");
    assert_int_equal(mcp_session_running(mcp_session), 1);
    char reply[300];
    unsigned before = mcp_sent_count;
    mcp_receive("{\"jsonrpc\":\"2.0\",\"id\":\"ask-99\",\"result\":{}}");
    mcp_receive("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    assert_int_equal(mcp_sent_count, before);
    snprintf(reply, sizeof reply, "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"result\":{\"said\":1}}",
             mcp_text_at(asked, "id"));
    json_t *answer = mcp_ask(reply);
    assert_string_equal(mcp_text_at(item(answer, "content", 0), "text"),
                        "LLM response: {\"said\":1}");
    mcp_receive(reply); /* too late */
    assert_int_equal(mcp_sent_count, before + 1);
    assert_int_equal(mcp_session_running(mcp_session), 0);
}

static void refusals_are_told_to_the_model(void **state)
{
    (void)state;
    mcp_initialize("2025-06-18", "{\"elicitation\":{}}");
    json_t *asked = legacy("tools/call", "\"name\":\"test_elicitation\",\"arguments\":{"
                                         "\"message\":\"?\"}");
    char reply[300];
    snprintf(reply, sizeof reply,
             "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"error\":{\"code\":-1,\"message\":\"no\"}}",
             mcp_text_at(asked, "id"));
    json_t *refused = mcp_ask(reply);
    assert_true(json_is_true(json_object_get(mcp_result(refused), "isError")));
    json_t *unable = legacy("tools/call", "\"name\":\"test_sampling\",\"arguments\":{"
                                          "\"prompt\":\"?\"}");
    assert_true(json_is_true(json_object_get(mcp_result(unable), "isError")));
    mcp_initialize("2025-11-25", "{\"elicitation\":{\"url\":{}}}");
    unable = legacy("tools/call", "\"name\":\"test_elicitation\",\"arguments\":{"
                                  "\"message\":\"?\"}");
    assert_true(json_is_true(json_object_get(mcp_result(unable), "isError")));
}

static void questions_are_withdrawn(void **state)
{
    (void)state;
    mcp_initialize("2025-11-25", "{\"elicitation\":{}}");
    json_t *asked = legacy("tools/call", "\"name\":\"test_elicitation\",\"arguments\":{"
                                         "\"message\":\"?\"}");
    json_t *told = mcp_ask("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
                           "\"params\":{\"requestId\":\"l\"}}");
    assert_string_equal(mcp_text_at(told, "method"), "notifications/cancelled");
    assert_string_equal(mcp_text_at(json_object_get(told, "params"), "requestId"),
                        mcp_text_at(asked, "id"));
    assert_int_equal(mcp_session_running(mcp_session), 0);
    /* And when the server ends, the call is answered. */
    legacy("tools/call", "\"name\":\"test_elicitation\",\"arguments\":{\"message\":\"?\"}");
    mcp_session_stop_all(mcp_session);
    assert_true(json_is_true(json_object_get(mcp_result(mcp_last()), "isError")));
}

/* The state of a result that needs input. */
static const char *state_of(json_t *answer)
{
    assert_string_equal(mcp_text_at(mcp_result(answer), "resultType"), "input_required");
    return mcp_text_at(mcp_result(answer), "requestState");
}

static void new_clients_are_asked_by_a_result(void **state)
{
    (void)state;
    json_t *answer = modern("tools/call", "\"name\":\"test_input_required_result_multi_round\"");
    json_t *questions = json_object_get(mcp_result(answer), "inputRequests");
    assert_string_equal(mcp_text_at(json_object_get(questions, "step1"), "method"),
                        "elicitation/create");
    char params[1000];
    snprintf(
        params, sizeof params,
        "\"name\":\"test_input_required_result_multi_round\",\"requestState\":\"%s\","
        "\"inputResponses\":{\"step1\":{\"action\":\"accept\",\"content\":{\"name\":\"Ada\"}}}",
        state_of(answer));
    answer = modern("tools/call", params);
    snprintf(
        params, sizeof params,
        "\"name\":\"test_input_required_result_multi_round\",\"requestState\":\"%s\","
        "\"inputResponses\":{\"step2\":{\"action\":\"accept\",\"content\":{\"color\":\"red\"}}}",
        state_of(answer));
    answer = modern("tools/call", params);
    assert_string_equal(mcp_text_at(item(answer, "content", 0), "text"),
                        "Multi-round complete for Ada who likes red");
    answer = modern("prompts/get", "\"name\":\"test_input_required_result_prompt\"");
    assert_string_equal(mcp_text_at(mcp_result(answer), "resultType"), "input_required");
    /* What is missing is asked again; what is no answer is none. */
    static const char *const again[] = {"{}", "{\"other\":{}}", "{\"user_name\":5}"};
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) {
        snprintf(params, sizeof params,
                 "\"name\":\"test_input_required_result_elicitation\",\"inputResponses\":%s",
                 again[i]);
        assert_string_equal(mcp_text_at(mcp_result(modern("tools/call", params)), "resultType"),
                            "input_required");
    }
    assert_int_equal(
        mcp_error_code(modern("tools/call", "\"name\":\"test_input_required_result_elicitation\","
                                            "\"inputResponses\":null")),
        -32602);
}

static void states_are_bound_to_their_request(void **state)
{
    (void)state;
    char kept[400];
    char params[1000];
    snprintf(kept, sizeof kept, "%s",
             state_of(modern("tools/call", "\"name\":\"test_input_required_result_request_state\","
                                           "\"arguments\":{\"a\":[1, 2]}")));
#define RETRY(name, arguments, extra)                                                              \
    "\"name\":\"" name "\",\"arguments\":" arguments                                               \
    ",\"inputResponses\":{\"confirm\":{}},\"requestState\":\"%s" extra "\""
    static const struct {
        const char *format;
        int code;
    } cases[] = {
        {RETRY("test_input_required_result_request_state", "{ \"a\": [1,2] }", ""), 0},
        {RETRY("test_input_required_result_request_state", "{\"a\":[1,3]}", ""), -32602},
        {RETRY("test_input_required_result_request_state", "{}", ""), -32602},
        {RETRY("test_input_required_result_tampered_state", "{\"a\":[1,2]}", ""), -32602},
        {RETRY("test_input_required_result_request_state", "{\"a\":[1,2]}", "-TAMPERED"), -32602},
        {RETRY("test_input_required_result_request_state", "{\"a\":[1,2]}", "="), -32602},
        {"\"name\":\"test_input_required_result_request_state\",\"requestState\":\"%.3s\"", -32602},
        {"\"name\":\"test_input_required_result_request_state\",\"requestState\":{\"a\":\"%s\"}",
         -32602},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(params, sizeof params, cases[i].format, kept);
#pragma GCC diagnostic pop
        assert_int_equal(mcp_error_code(modern("tools/call", params)), cases[i].code);
    }
}

static void states_have_a_key_a_principal_and_an_end(void **state)
{
    (void)state;
    static const uint8_t key[KEEP_KEY_BYTES] = {1, 2, 3};
    static const uint8_t other_key[KEEP_KEY_BYTES] = {1, 2, 4};
    struct keep_scope scope = {.key = key,
                               .principal = span_of("ada"),
                               .method = span_of("tools/call"),
                               .name = span_of("\"t\""),
                               .arguments = span_of("{}")};
    cleanup_buf struct buf text;
    cleanup_buf struct buf plain;
    buf_init(&text, 1000);
    buf_init(&plain, 1000);
    assert_int_equal(keep_seal(&text, &scope, span_of("secret"), 1000), 0);
    assert_int_equal(keep_open(&plain, &scope, buf_span(&text), 1000 + LIMIT_REQUEST_STATE_MS), 0);
    assert_true(span_equal(buf_span(&plain), span_of("secret")));
    assert_int_equal(keep_open(&plain, &scope, buf_span(&text), 1001 + LIMIT_REQUEST_STATE_MS), -1);
    for (size_t i = 0; i < text.len; i++) {
        char was = text.base[i];
        text.base[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(keep_open(&plain, &scope, buf_span(&text), 1000), -1);
        text.base[i] = was;
    }
    struct keep_scope others[] = {scope, scope, scope};
    others[0].key = other_key;
    others[1].principal = span_of("bob");
    others[2].method = span_of("prompts/get");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(keep_open(&plain, &others[i], buf_span(&text), 1000), -1);
    }
}

/* Subscriptions. */

static void old_clients_subscribe_to_resources(void **state)
{
    (void)state;
    mcp_initialize("2025-11-25", "{}");
    legacy("resources/subscribe", "\"uri\":\"test://watched-resource\"");
    assert_int_equal(
        mcp_error_code(legacy("resources/subscribe", "\"uri\":\"test://static-text\"")), -32002);
    unsigned before = mcp_sent_count;
    mcp_server_resource_updated(mcp_server, "test://watched-resource");
    assert_int_equal(mcp_sent_count, before + 1);
    assert_string_equal(mcp_text_at(mcp_last(), "method"), "notifications/resources/updated");
    assert_null(mcp_sent[before].route);
    legacy("resources/unsubscribe", "\"uri\":\"test://watched-resource\"");
    before = mcp_sent_count;
    mcp_server_resource_updated(mcp_server, "test://watched-resource");
    assert_int_equal(mcp_sent_count, before);
    mcp_server_list_changed(mcp_server, MCP_TOOLS); /* not before the client is ready */
    assert_int_equal(mcp_sent_count, before);
    mcp_receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    mcp_server_list_changed(mcp_server, MCP_TOOLS);
    assert_string_equal(mcp_text_at(mcp_last(), "method"), "notifications/tools/list_changed");
}

static json_t *subscription_id(json_t *message)
{
    json_t *params = json_object_get(message, "params");
    return json_object_get(json_object_get(params, "_meta"),
                           "io.modelcontextprotocol/subscriptionId");
}

static void new_clients_listen(void **state)
{
    (void)state;
    static int route;
    mcp_receive_http(mcp_session, "17", "subscriptions/listen",
                     "\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":false,"
                     "\"resourceSubscriptions\":[\"test://watched-resource\",\"test://other\"]}",
                     NULL, &route);
    assert_int_equal(mcp_sent_count, 1);
    assert_string_equal(mcp_text_at(mcp_last(), "method"),
                        "notifications/subscriptions/acknowledged");
    assert_int_equal(json_integer_value(subscription_id(mcp_last())), 17);
    json_t *agreed = json_object_get(json_object_get(mcp_last(), "params"), "notifications");
    json_t *expected = json_pack("{s:b,s:[s]}", "toolsListChanged", 1, "resourceSubscriptions",
                                 "test://watched-resource");
    assert_true(json_equal(agreed, expected));
    json_decref(expected);
    mcp_server_list_changed(mcp_server, MCP_PROMPTS);
    mcp_server_resource_updated(mcp_server, "test://other");
    assert_int_equal(mcp_sent_count, 1);
    mcp_server_list_changed(mcp_server, MCP_TOOLS);
    mcp_server_resource_updated(mcp_server, "test://watched-resource");
    assert_int_equal(mcp_sent_count, 3);
    assert_ptr_equal(mcp_sent[2].route, &route);
    assert_int_equal(json_integer_value(subscription_id(mcp_last())), 17);
    assert_int_equal(mcp_settled_count, 0);
    assert_int_equal(mcp_session_running(mcp_session), 0);
    mcp_session_stop_all(mcp_session);
    assert_string_equal(mcp_text_at(mcp_result(mcp_last()), "resultType"), "complete");
    assert_int_equal(mcp_settled_count, 1);
}

static void listening_ends_as_it_should(void **state)
{
    (void)state;
    static int route;
    /* On stdio the server says so twice: by the answer, and by the stream's name. */
    modern("subscriptions/listen", "\"notifications\":{\"toolsListChanged\":true}");
    mcp_session_cancel_all(mcp_session);
    assert_string_equal(mcp_text_at(mcp_last(), "method"), "notifications/cancelled");
    json_t *answer = mcp_sent[mcp_sent_count - 2].json;
    assert_string_equal(mcp_text_at(mcp_result(answer), "resultType"), "complete");
    mcp_receive_http(mcp_session, "1", "subscriptions/listen",
                     "\"notifications\":{\"toolsListChanged\":true}", NULL, &route);
    mcp_session_leave(mcp_session, &route);
    modern("subscriptions/listen", "\"notifications\":{\"toolsListChanged\":true}");
    assert_int_equal(mcp_error_code(modern("subscriptions/listen", "\"notifications\":{}")),
                     -32600); /* the id is taken */
    mcp_receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
                "\"requestId\":\"m\"}}");
    unsigned before = mcp_sent_count;
    mcp_server_list_changed(mcp_server, MCP_TOOLS);
    assert_int_equal(mcp_sent_count, before);
    static const char *const bad[] = {"", "\"notifications\":[]",
                                      "\"notifications\":{\"toolsListChanged\":1}",
                                      "\"notifications\":{\"resourceSubscriptions\":\"x\"}",
                                      "\"notifications\":{\"resourceSubscriptions\":[1]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mcp_error_code(modern("subscriptions/listen", bad[i])), -32602);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, mcp_set_up, mcp_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(capabilities_are_what_is_registered),
        TEST(resources_are_listed_in_pages),
        TEST(resources_are_read),
        TEST(templates_are_matched),
        TEST(prompts_are_given),
        TEST(arguments_are_completed),
        TEST(content_is_what_the_revision_knows),
        TEST(old_clients_are_asked_by_a_request),
        TEST(refusals_are_told_to_the_model),
        TEST(questions_are_withdrawn),
        TEST(new_clients_are_asked_by_a_result),
        TEST(states_are_bound_to_their_request),
        TEST(states_have_a_key_a_principal_and_an_end),
        TEST(old_clients_subscribe_to_resources),
        TEST(new_clients_listen),
        TEST(listening_ends_as_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
