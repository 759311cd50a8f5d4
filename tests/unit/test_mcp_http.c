/* mcp over HTTP: routes and when they are settled, streams that clients leave, what headers must
 * say, and the look at a message before it has a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mcp_fixture.h"

static int here; /* routes are addresses */
static int there;

static const struct outcome success;

#define PYTHON "\"name\":\"run_python_code\",\"arguments\":{\"python_code\":\"1\"}"

static struct mcp_envelope headers(const char *version, const char *method, const char *name)
{
    return (struct mcp_envelope){.is_http = true,
                                 .protocol_version = span_of(version),
                                 .method = span_of(method),
                                 .name = span_of(name)};
}

static void call_python(const char *id, void *route)
{
    struct mcp_envelope envelope = headers("2026-07-28", "tools/call", "run_python_code");
    mcp_receive_http(mcp_session, id, "tools/call", PYTHON, &envelope, route);
}

static void answers_go_where_the_question_came_from(void **state)
{
    (void)state;
    call_python("1", &here);
    call_python("2", &there);
    assert_int_equal(mcp_settled_count, 0);
    fake_end(1, &success);
    assert_ptr_equal(mcp_sent[0].route, &there);
    assert_int_equal(mcp_sent[0].kind, MCP_ANSWER);
    assert_int_equal(mcp_sent[0].http_status, 200);
    assert_int_equal(mcp_settled_count, 1);
    assert_ptr_equal(mcp_settled[0], &there);
    fake_end(0, &success);
    assert_ptr_equal(mcp_sent[1].route, &here);
    assert_ptr_equal(mcp_settled[1], &here);
    assert_int_equal(mcp_settled_count, 2);
}

static void whatever_is_received_is_settled_once(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned answers;
        int status;
    } cases[] = {
        {"nonsense", 1, 400},
        {"[]", 1, 400},
        {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", 1, 400},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", 1, 200},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no/such\"}", 1, 200},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", 0, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", 0, 0},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
         "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}]",
         1, 200},
    };
    struct mcp_envelope envelope = {.is_http = true, .route = &here};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned before = mcp_sent_count;
        mcp_session_receive(mcp_session, span_of(cases[i].text), &envelope);
        assert_int_equal(mcp_sent_count, before + cases[i].answers);
        assert_int_equal(mcp_settled_count, i + 1);
        if (cases[i].answers > 0) {
            assert_int_equal(mcp_sent[before].http_status, cases[i].status);
            assert_ptr_equal(mcp_sent[before].route, &here);
        }
    }
    mcp_session_refuse_oversized(mcp_session, &there);
    assert_ptr_equal(mcp_sent[mcp_sent_count - 1].route, &there);
    assert_ptr_equal(mcp_settled[mcp_settled_count - 1], &there);
}

static void leaving_cancels_what_is_modern(void **state)
{
    (void)state;
    call_python("1", &here);
    mcp_session_leave(mcp_session, &here);
    assert_true(fake_runs[0].cancelled);
    fake_end(0, &success);
    assert_int_equal(mcp_sent_count, 0);
    assert_int_equal(mcp_settled_count, 0);
    assert_int_equal(mcp_session_running(mcp_session), 0);
    /* Of the old revisions a call goes on. */
    struct mcp_envelope envelope = headers("2025-11-25", NULL, NULL);
    envelope.route = &here;
    mcp_session_receive(mcp_session,
                        span_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
                                "\"params\":{" PYTHON "}}"),
                        &envelope);
    mcp_session_leave(mcp_session, &here);
    assert_false(fake_runs[1].cancelled);
    fake_end(1, &success);
    assert_int_equal(mcp_sent_count, 0);
    assert_int_equal(mcp_settled_count, 0);
}

static void sessions_may_go_at_any_time(void **state)
{
    (void)state;
    struct mcp_session *other = mcp_open_session("somebody");
    struct mcp_envelope envelope = headers("2026-07-28", "tools/call", "run_python_code");
    mcp_receive_http(other, "1", "tools/call", PYTHON, &envelope, &here);
    mcp_receive_http(other, "2", "subscriptions/listen", "\"notifications\":{}", NULL, &there);
    unsigned before = mcp_sent_count;
    mcp_session_free(other);
    assert_true(fake_runs[0].cancelled);
    fake_end(0, &success);
    assert_int_equal(mcp_sent_count, before);
    assert_int_equal(mcp_settled_count, 0);
}

static void headers_must_agree_with_the_body(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        const char *method;
        const char *name;
        int code;
    } cases[] = {
        {"2026-07-28", "tools/call", "test_simple_text", 0},
        {"2026-07-28", "tools/call", "=?base64?dGVzdF9zaW1wbGVfdGV4dA==?=", 0},
        {NULL, "tools/call", "test_simple_text", -32020},
        {"2025-11-25", "tools/call", "test_simple_text", -32020},
        {"2026-07-28", NULL, "test_simple_text", -32020},
        {"2026-07-28", "tools/list", "test_simple_text", -32020},
        {"2026-07-28", "Tools/call", "test_simple_text", -32020},
        {"2026-07-28", "tools/call", NULL, -32020},
        {"2026-07-28", "tools/call", "", -32020},
        {"2026-07-28", "tools/call", "test_simple_Text", -32020},
        {"2026-07-28", "tools/call", "=?base64?dGVzdF9zaW1wbGVfdGV4dA=?=", -32020},
        {"2026-07-28", "tools/call", "=?base64?dGVzdF9zaW1wbGVfdGV4d!==?=", -32020},
        {"2026-07-28", "tools/call", "=?BASE64?dGVzdF9zaW1wbGVfdGV4dA==?=", -32020},
        {"2026-07-28", "tools/call", "test_simple_text\x01", -32020},
        {"2026-07-28", "tools/call", "test_simple_text\xC3\xA9", -32020},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mcp_envelope envelope = headers(cases[i].version, cases[i].method, cases[i].name);
        mcp_receive_http(mcp_session, "1", "tools/call", "\"name\":\"test_simple_text\"", &envelope,
                         &here);
        assert_int_equal(mcp_error_code(mcp_last()), cases[i].code);
        assert_int_equal(mcp_sent[mcp_sent_count - 1].error_code, cases[i].code);
        assert_int_equal(mcp_sent[mcp_sent_count - 1].http_status, cases[i].code == 0 ? 200 : 400);
    }
}

static void statuses_follow_the_error(void **state)
{
    (void)state;
    struct mcp_envelope none = headers("2026-07-28", "tools/list", NULL);
    struct mcp_envelope old = headers("v999", "tools/list", NULL);
    mcp_receive_http(mcp_session, "1", "no/such", "", NULL, &here);
    assert_int_equal(mcp_error_code(mcp_last()), -32601);
    assert_int_equal(mcp_sent[mcp_sent_count - 1].http_status, 404);
    mcp_receive_http(mcp_session, "1", "tools/list", "\"_meta\":{}", &none, &here);
    assert_int_equal(mcp_error_code(mcp_last()), -32602);
    assert_int_equal(mcp_sent[mcp_sent_count - 1].http_status, 400);
    mcp_receive_http(mcp_session, "1", "tools/list", "\"_meta\":{}", &old, &here);
    assert_int_equal(mcp_error_code(mcp_last()), -32022);
    assert_int_equal(mcp_sent[mcp_sent_count - 1].http_status, 400);
    mcp_receive_http(mcp_session, "1", "tools/list", "\"cursor\":\"x\"", NULL, &here);
    assert_int_equal(mcp_error_code(mcp_last()), -32602);
    assert_int_equal(mcp_sent[mcp_sent_count - 1].http_status, 200);
    struct mcp_envelope missing = headers("2026-07-28", "tools/call", "test_missing_capability");
    mcp_receive_http(mcp_session, "1", "tools/call", "\"name\":\"test_missing_capability\"",
                     &missing, &here);
    assert_int_equal(mcp_error_code(mcp_last()), -32021);
    assert_int_equal(mcp_sent[mcp_sent_count - 1].http_status, 400);
    json_t *data = json_object_get(json_object_get(mcp_last(), "error"), "data");
    assert_non_null(json_object_get(json_object_get(data, "requiredCapabilities"), "sampling"));
}

/* Headers for arguments: a list of name, value, name, value. */
static struct span find_header(void *carrier, const char *name)
{
    const char *const *at = carrier;
    for (; *at != NULL; at += 2) {
        if (strcmp(*at, name) == 0) {
            return span_of(at[1]);
        }
    }
    return (struct span){NULL, 0};
}

static void headers_repeat_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        const char *headers[7];
        int code;
    } cases[] = {
        {"\"region\":\"west\"", {"mcp-param-region", "west"}, 0},
        {"\"region\":\"Hello\"", {"mcp-param-region", "=?base64?SGVsbG8=?="}, 0},
        {"\"region\":\"SGVsbG8=\"", {"mcp-param-region", "SGVsbG8="}, 0},
        {"\"region\":\"Hello\"", {"mcp-param-region", "=?base64?SGVsbG8?="}, -32020},
        {"\"region\":\"west\"", {"mcp-param-region", "east"}, -32020},
        {"\"region\":\"west\"", {NULL}, -32020},
        {"\"region\":null", {NULL}, 0},
        {"\"query\":\"x\"", {NULL}, 0},
        {"\"query\":\"x\"", {"mcp-param-region", "west"}, -32020},
        {"\"priority\":42", {"mcp-param-priority", "42.0"}, 0},
        {"\"priority\":42", {"mcp-param-priority", "43"}, -32020},
        {"\"priority\":42", {"mcp-param-priority", "forty-two"}, -32020},
        {"\"urgent\":true", {"mcp-param-urgent", "true"}, 0},
        {"\"urgent\":true", {"mcp-param-urgent", "True"}, -32020},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char params[200];
        struct mcp_envelope envelope = headers("2026-07-28", "tools/call", "test_custom_headers");
        envelope.header = find_header;
        envelope.carrier = (void *)(uintptr_t)cases[i].headers;
        snprintf(params, sizeof params, "\"name\":\"test_custom_headers\",\"arguments\":{%s}",
                 cases[i].arguments);
        mcp_receive_http(mcp_session, "1", "tools/call", params, &envelope, &here);
        assert_int_equal(mcp_error_code(mcp_last()), cases[i].code);
    }
}

static void old_clients_are_served_by_their_header(void **state)
{
    (void)state;
    static const char list[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}";
    static const struct {
        const char *version;
        bool has_title;
        bool has_annotations;
    } cases[] = {{NULL, false, true},
                 {"2024-11-05", false, false},
                 {"2025-03-26", false, true},
                 {"2025-11-25", true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mcp_envelope envelope = headers(cases[i].version, NULL, NULL);
        mcp_session_receive(mcp_session, span_of(list), &envelope);
        json_t *tool = json_array_get(json_object_get(mcp_result(mcp_last()), "tools"), 0);
        assert_int_equal(json_object_get(tool, "title") != NULL, cases[i].has_title);
        assert_int_equal(json_object_get(tool, "annotations") != NULL, cases[i].has_annotations);
    }
    struct mcp_envelope envelope = headers("2024-01-01", NULL, NULL);
    mcp_session_receive(mcp_session, span_of(list), &envelope);
    assert_int_equal(mcp_error_code(mcp_last()), -32022);
    assert_int_equal(mcp_sent[mcp_sent_count - 1].http_status, 400);
}

static void messages_can_be_looked_at(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *version;
        struct mcp_peek peek;
    } cases[] = {
        {"x", NULL, {.has_request = true}},
        {"7", NULL, {.has_request = true}},
        {"[]", NULL, {.is_valid = true, .has_request = true}},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}",
         NULL,
         {.is_valid = true}},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", "2025-11-25", {.is_valid = true}},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}",
         NULL,
         {.is_valid = true, .is_initialize = true, .has_request = true}},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" MCP_MODERN("{}") "}}",
         NULL,
         {.is_valid = true, .is_modern = true, .has_request = true}},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
         "2026-07-28",
         {.is_valid = true, .is_modern = true, .has_request = true}},
        {"[{\"jsonrpc\":\"2.0\",\"method\":\"a\"},{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"b\"}]",
         NULL,
         {.is_valid = true, .has_request = true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mcp_envelope envelope = headers(cases[i].version, NULL, NULL);
        struct mcp_peek peek = mcp_peek(span_of(cases[i].text), &envelope);
        assert_int_equal(peek.is_valid, cases[i].peek.is_valid);
        assert_int_equal(peek.is_modern, cases[i].peek.is_modern);
        assert_int_equal(peek.is_initialize, cases[i].peek.is_initialize);
        assert_int_equal(peek.has_request, cases[i].peek.has_request);
    }
}

static void streams_can_be_let_go(void **state)
{
    (void)state;
    struct mcp_envelope envelope = headers("2025-11-25", NULL, NULL);
    envelope.route = &here;
    mcp_session_receive(mcp_session,
                        span_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
                                "\"params\":{\"name\":\"test_reconnection\"}}"),
                        &envelope);
    assert_int_equal(mcp_let_go_count, 1);
    mcp_wait_for(1);
    assert_ptr_equal(mcp_sent[0].route, &here);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, mcp_set_up, mcp_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(answers_go_where_the_question_came_from),
        TEST(whatever_is_received_is_settled_once),
        TEST(leaving_cancels_what_is_modern),
        TEST(sessions_may_go_at_any_time),
        TEST(headers_must_agree_with_the_body),
        TEST(statuses_follow_the_error),
        TEST(headers_repeat_arguments),
        TEST(old_clients_are_served_by_their_header),
        TEST(messages_can_be_looked_at),
        TEST(streams_can_be_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
