/* mcp: JSON-RPC's strictness, every protocol revision, calls side by side, logs, cancellation. The
 * packages are a stand-in; answers are read by jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/limits.h"
#include "fake_packages.h"
#include "mcp/session.h"

enum { MESSAGES_MAX = 64 };

static struct mcp_server *server;
static struct mcp_session *session;
static uv_loop_t loop;
static json_t *messages[MESSAGES_MAX]; /* what was sent; owned */
static unsigned message_count;
static unsigned idle_count;
static bool congested;

static void keep_message(void *context, const struct mcp_message *about, struct buf *message)
{
    (void)context;
    (void)about;
    assert_true(message_count < MESSAGES_MAX);
    assert_null(memchr(message->base, '\n', message->len));
    json_t *value =
        json_loadb(message->base, message->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    messages[message_count++] = value;
    buf_free(message);
}

static bool say_congested(void *context, void *route)
{
    (void)route;
    (void)context;
    return congested;
}

static void count_idle(void *context)
{
    (void)context;
    idle_count++;
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    struct mcp_config config = {.loop = &loop,
                                .packages = fake_packages_reset(),
                                .installs = true,
                                .limits = run_limits_default()};
    struct mcp_events events = {
        .send = keep_message, .is_congested = say_congested, .idle = count_idle};
    struct mcp_client client = {.number = 0};
    assert_int_equal(mcp_server_new(&config, &server, NULL), 0);
    session = mcp_session_new(server, &client, &events);
    message_count = 0;
    idle_count = 0;
    congested = false;
    return session == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < message_count; i++) {
        json_decref(messages[i]);
    }
    assert_int_equal(mcp_session_running(session), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    mcp_session_free(session);
    mcp_server_free(server);
    return uv_loop_close(&loop);
}

static void receive(const char *text)
{
    mcp_session_receive(session, span_of(text), NULL);
}

/* The last message sent. */
static json_t *last(void)
{
    assert_true(message_count > 0);
    return messages[message_count - 1];
}

/* Sends a request and returns its answer at once. */
static json_t *ask(const char *text)
{
    unsigned before = message_count;
    receive(text);
    assert_int_equal(message_count, before + 1);
    return last();
}

static const char *text_at(json_t *value, const char *key)
{
    const char *text = json_string_value(json_object_get(value, key));
    return text == NULL ? "" : text;
}

static int error_code(json_t *answer)
{
    return (int)json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));
}

static json_t *result(json_t *answer)
{
    json_t *value = json_object_get(answer, "result");
    assert_non_null(value);
    return value;
}

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"{", -32700},
        {"nonsense", -32700},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", -32700},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\xFF\"}", -32700},
        {"{\"jsonrpc\":\"2.0\",\"id\":1e999,\"method\":\"ping\"}", -32700},
        {"1", -32600},
        {"null", -32600},
        {"[]", -32600},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600},
        {"{}", -32600},
        {"{\"id\":1,\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"ping\"}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", -32600},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}", -32602},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no/such\"}", -32601},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":1}}", -32602},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *answer = ask(cases[i].text);
        assert_int_equal(error_code(answer), cases[i].code);
        assert_non_null(json_object_get(answer, "id"));
    }
    cleanup_buf struct buf deep;
    buf_init(&deep, 1 << 22);
    for (unsigned i = 0; i < 1000000; i++) {
        buf_append_char(&deep, '[');
    }
    mcp_session_receive(session, buf_span(&deep), NULL);
    assert_int_equal(error_code(last()), -32700);
    mcp_session_refuse_oversized(session, NULL);
    assert_int_equal(error_code(last()), -32600);
}

static struct buf raw; /* the last message as it was sent */

static void keep_raw(void *context, const struct mcp_message *about, struct buf *message)
{
    (void)about;
    (void)context;
    buf_clear(&raw);
    buf_append(&raw, message->base, message->len);
    buf_append_char(&raw, '\0');
    buf_free(message);
}

static void ids_come_back_as_they_were(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "0", "-7", "123456789012345678901234567890", "\"\"", "\"a\\u0041\\\"\"", "\"1\"", "-0"};
    struct mcp_config config = {.loop = &loop, .packages = fake_packages_reset()};
    struct mcp_events events = {
        .send = keep_raw, .is_congested = say_congested, .idle = count_idle};
    struct mcp_client client = {.number = 0};
    struct mcp_server *other_server;
    assert_int_equal(mcp_server_new(&config, &other_server, NULL), 0);
    struct mcp_session *other = mcp_session_new(other_server, &client, &events);
    buf_init(&raw, 10000);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char text[200];
        char expected[200];
        snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"ping\"}", ids[i]);
        mcp_session_receive(other, span_of(text), NULL);
        snprintf(expected, sizeof expected, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}",
                 ids[i]);
        assert_string_equal(raw.base, expected);
    }
    buf_free(&raw);
    mcp_session_free(other);
    mcp_server_free(other_server);
}

static void notifications_are_never_answered(void **state)
{
    (void)state;
    receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    receive("{\"jsonrpc\":\"2.0\",\"method\":\"no/such\",\"params\":{}}");
    receive("{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":[]}");
    receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
            "{\"requestId\":99}}");
    receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}");
    receive("{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}");
    receive("{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{\"code\":1,\"message\":\"\"}}");
    assert_int_equal(message_count, 0);
}

static json_t *initialize(const char *version)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
             "\"protocolVersion\":\"%s\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\","
             "\"version\":\"1\"}}}",
             version);
    return result(ask(text));
}

static void versions_are_agreed_on(void **state)
{
    (void)state;
    static const char *const known[] = {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_string_equal(text_at(initialize(known[i]), "protocolVersion"), known[i]);
    }
    assert_string_equal(text_at(initialize("1999-01-01"), "protocolVersion"), "2025-11-25");
    json_t *answer = initialize("2026-07-28");
    assert_string_equal(text_at(answer, "protocolVersion"), "2025-11-25");
    assert_string_equal(text_at(json_object_get(answer, "serverInfo"), "name"), "vitrine");
    json_t *capabilities = json_object_get(answer, "capabilities");
    assert_non_null(json_object_get(capabilities, "tools"));
    assert_non_null(json_object_get(capabilities, "logging"));
    assert_int_equal(
        error_code(ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}")),
        -32602);
    assert_int_equal(error_code(ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}")),
                     -32602);
}

static json_t *first_tool(const char *version)
{
    initialize(version);
    json_t *answer = ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
    return json_array_get(json_object_get(result(answer), "tools"), 0);
}

static void tools_are_listed_as_each_version_has_them(void **state)
{
    (void)state;
    json_t *old = first_tool("2024-11-05");
    assert_string_equal(text_at(old, "name"), "run_python_code");
    assert_null(json_object_get(old, "title"));
    assert_null(json_object_get(old, "annotations"));
    assert_null(json_object_get(old, "outputSchema"));
    assert_non_null(json_object_get(first_tool("2025-03-26"), "annotations"));
    json_t *tool = first_tool("2025-06-18");
    assert_string_equal(text_at(tool, "title"), "Run Python code");
    assert_non_null(json_object_get(tool, "outputSchema"));
    json_t *expected = json_loads(
        "{\"type\":\"object\",\"properties\":{\"python_code\":{\"type\":\"string\","
        "\"description\":\"Python code to run\"},\"global_variables\":{\"type\":\"object\","
        "\"additionalProperties\":{},\"default\":{},\"description\":\"Map of global variables in "
        "context when the code is executed\"},\"dependencies\":{\"type\":\"array\",\"items\":{"
        "\"type\":\"string\"},\"default\":[],\"description\":\"Requirements (PEP 508) to install "
        "before running, e.g. [\\\"numpy\\\", \\\"pandas>=2\\\"]. What the code imports is "
        "installed "
        "without being named here\"},\"files\":{\"type\":\"object\",\"additionalProperties\":{"
        "\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"base64\":{"
        "\"type\":\"string\"}},\"required\":[\"base64\"],\"additionalProperties\":false}]},"
        "\"default\":{},\"description\":\"Files to put into the working directory before running: "
        "relative name to text, or to {\\\"base64\\\": ...}\"}},\"required\":[\"python_code\"],"
        "\"additionalProperties\":false,\"$schema\":\"http://json-schema.org/draft-07/schema#\"}",
        0, NULL);
    assert_true(json_equal(json_object_get(tool, "inputSchema"), expected));
    json_decref(expected);
    assert_int_equal(error_code(ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
                                    "\"params\":{\"cursor\":\"x\"}}")),
                     -32602);
}

#define MODERN(version, more)                                                                      \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" version                            \
    "\",\"io.modelcontextprotocol/clientCapabilities\":{}" more "}"

static void modern_requests_stand_alone(void **state)
{
    (void)state;
    json_t *found = result(ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\","
                               "\"params\":{" MODERN("2026-07-28", "") "}}"));
    assert_string_equal(text_at(found, "resultType"), "complete");
    assert_string_equal(text_at(found, "cacheScope"), "public");
    assert_true(json_is_integer(json_object_get(found, "ttlMs")));
    json_t *versions = json_object_get(found, "supportedVersions");
    assert_string_equal(json_string_value(json_array_get(versions, 0)), "2026-07-28");
    json_t *info =
        json_object_get(json_object_get(found, "_meta"), "io.modelcontextprotocol/serverInfo");
    assert_string_equal(text_at(info, "name"), "vitrine");
    json_t *tools = result(ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
                               "\"params\":{" MODERN("2026-07-28", "") "}}"));
    assert_string_equal(text_at(tools, "resultType"), "complete");
    assert_true(json_is_integer(json_object_get(tools, "ttlMs")));
    json_t *refused = ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
                          "\"params\":{" MODERN("1900-01-01", "") "}}");
    assert_int_equal(error_code(refused), -32022);
    json_t *data = json_object_get(json_object_get(refused, "error"), "data");
    assert_string_equal(text_at(data, "requested"), "1900-01-01");
    assert_int_equal(json_array_size(json_object_get(data, "supported")), 1);
}

static void modern_requests_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *params;
        int code;
    } cases[] = {
        {"ping", MODERN("2026-07-28", ""), -32601},
        {"logging/setLevel", MODERN("2026-07-28", ""), -32601},
        {"initialize", MODERN("2026-07-28", ""), -32601},
        {"server/discover", "", -32602},
        {"tools/list", "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}",
         -32602},
        {"tools/list", "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":5}", -32602},
        {"tools/list", MODERN("2026-07-28", ",\"io.modelcontextprotocol/logLevel\":\"loud\""),
         -32602},
        {"tools/list", MODERN("2025-11-25", ""), -32022},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{%s}}",
                 cases[i].method, cases[i].params);
        assert_int_equal(error_code(ask(text)), cases[i].code);
    }
}

static void call(const char *id, const char *params)
{
    char text[1000];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"tools/call\",\"params\":{"
             "\"name\":\"run_python_code\",%s}}",
             id, params);
    receive(text);
}

static const struct outcome success;

static const char *content_text(json_t *answer)
{
    json_t *content = json_object_get(result(answer), "content");
    return text_at(json_array_get(content, 0), "text");
}

static void calls_run_side_by_side(void **state)
{
    (void)state;
    call("1", "\"arguments\":{\"python_code\":\"a\\u0021\\n\"}");
    call("\"1\"", "\"arguments\":{\"python_code\":\"b\",\"global_variables\":"
                  "{\"n\":12345678901234567890123,\"r\":0.1}}");
    assert_int_equal(fake_run_count, 2);
    assert_string_equal(fake_runs[0].code, "a!\n");
    assert_true(fake_runs[0].want_value);
    assert_string_equal(fake_runs[1].globals, "{\"n\":12345678901234567890123,\"r\":0.1}");
    assert_int_equal(mcp_session_running(session), 2);
    assert_int_equal(error_code(ask("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}")), -32600);
    fake_print(1, RUN_STDOUT, "hello\n");
    struct outcome outcome = {.value_json = span_of("[1,2.50]")};
    fake_end(1, &outcome);
    assert_string_equal(text_at(last(), "id"), "1");
    assert_string_equal(content_text(last()),
                        "<status>success</status>\n<output>\nhello\n</output>\n<return_value>\n[\n"
                        "  1,\n  2.50\n]\n</return_value>");
    assert_true(json_is_false(json_object_get(result(last()), "isError")));
    json_t *structured = json_object_get(result(last()), "structuredContent");
    assert_string_equal(text_at(structured, "stdout"), "hello\n");
    assert_int_equal(idle_count, 0);
    struct outcome failed = {.status = OUTCOME_RUN_ERROR, .error_traceback = span_of("E\n")};
    fake_end(0, &failed);
    assert_int_equal(json_integer_value(json_object_get(last(), "id")), 1);
    assert_true(json_is_true(json_object_get(result(last()), "isError")));
    assert_int_equal(idle_count, 1);
}

static void bad_calls_are_explained(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"arguments\":{}",
        "\"arguments\":{\"python_code\":5}",
        "\"arguments\":{\"python_code\":\"x\",\"global_variables\":[]}",
        "\"arguments\":{\"python_code\":\"x\",\"other\":1}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":\"numpy\"}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":null}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":{\"numpy\":1}}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":[\"numpy\",1]}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":[\"\"]}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":[\" numpy\"]}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":[\"--index-url=https://e.org\"]}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":[\"numpy\\u0000\"]}",
        "\"arguments\":{\"python_code\":\"x\",\"dependencies\":[\"numpy\\nscipy\"]}",
        "\"_meta\":{}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        initialize("2025-06-18");
        call("1", bad[i]);
        assert_int_equal(error_code(last()), -32602);
        initialize("2025-11-25");
        call("1", bad[i]);
        assert_true(json_is_true(json_object_get(result(last()), "isError")));
        assert_non_null(strstr(content_text(last()), "<status>refused</status>\n<error>\n"));
    }
    call("1", "\"arguments\":[]");
    assert_int_equal(error_code(last()), -32602);
    receive(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"rm\"}}");
    assert_int_equal(error_code(last()), -32602);
    receive("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}");
    assert_int_equal(error_code(last()), -32602);
    fake_is_full = true;
    call("1", "\"arguments\":{\"python_code\":\"\"}");
    assert_non_null(strstr(content_text(last()), "busy: the queue is full; try again after 3 s"));
    json_t *structured = json_object_get(result(last()), "structuredContent");
    assert_int_equal(json_integer_value(json_object_get(structured, "retry_after_ms")), 2500);
    assert_int_equal(fake_run_count, 0);
}

static void dependencies_are_passed_on(void **state)
{
    (void)state;
    call("1", "\"arguments\":{\"python_code\":\"x\",\"dependencies\":[\"num\\u0070y\","
              "\"pandas[excel]>=2,<3; python_version > '3.9'\"]}");
    call("2", "\"arguments\":{\"dependencies\":[],\"python_code\":\"x\"}");
    assert_string_equal(fake_runs[0].dependencies,
                        "numpy\npandas[excel]>=2,<3; python_version > '3.9'\n");
    assert_string_equal(fake_runs[1].dependencies, "");
    struct outcome_package packages[] = {{"numpy", "2.4.3", "ab"}, {"pandas", "3.0.1", "cd"}};
    struct outcome outcome = {.packages = packages, .package_count = 2, .install_us = 1500};
    fake_end(0, &outcome);
    assert_string_equal(
        content_text(last()),
        "<status>success</status>\n<dependencies>[\"numpy\",\"pandas\"]</dependencies>");
    json_t *structured = json_object_get(result(last()), "structuredContent");
    json_t *second = json_array_get(json_object_get(structured, "dependencies"), 1);
    assert_string_equal(text_at(second, "version"), "3.0.1");
    fake_end(1, &success);
}

static void dependencies_have_limits(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        cleanup_buf struct buf text;
        buf_init(&text, 1 << 22);
        buf_append_format(&text,
                          "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"tools/call\",\"params\":{"
                          "\"name\":\"run_python_code\",\"arguments\":{\"python_code\":\"\","
                          "\"dependencies\":[",
                          over);
        for (unsigned i = 0; i < LIMIT_REQUIREMENTS_MAX + over; i++) {
            buf_append_format(&text, "%s\"%0*d\"", i == 0 ? "" : ",",
                              (int)LIMIT_REQUIREMENT_BYTES_MAX, 1);
        }
        buf_append_text(&text, "]}}}");
        mcp_session_receive(session, buf_span(&text), NULL);
    }
    assert_non_null(strstr(content_text(last()), "more than 256 requirements"));
    assert_int_equal(fake_run_count, 1);
    assert_int_equal(fake_runs[0].dependency_count, LIMIT_REQUIREMENTS_MAX);
    fake_end(0, &success);
}

static void servers_without_packages_say_so(void **state)
{
    (void)state;
    struct mcp_config config = {
        .loop = &loop, .packages = fake_packages_reset(), .limits = run_limits_default()};
    struct mcp_events events = {
        .send = keep_message, .is_congested = say_congested, .idle = count_idle};
    struct mcp_client client = {.number = 0};
    struct mcp_server *other_server;
    assert_int_equal(mcp_server_new(&config, &other_server, NULL), 0);
    struct mcp_session *other = mcp_session_new(other_server, &client, &events);
    mcp_session_receive(other, span_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}"),
                        NULL);
    json_t *tool = json_array_get(json_object_get(result(last()), "tools"), 0);
    json_t *properties = json_object_get(json_object_get(tool, "inputSchema"), "properties");
    assert_int_equal(json_object_size(properties), 3);
    assert_non_null(strstr(text_at(tool, "description"), "no packages can be installed"));
    mcp_session_receive(other,
                        span_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
                                "\"params\":{\"name\":\"run_python_code\",\"arguments\":{"
                                "\"python_code\":\"\",\"dependencies\":[]}}}"),
                        NULL);
    assert_non_null(strstr(content_text(last()), "installs no packages"));
    assert_int_equal(fake_run_count, 0);
    mcp_session_free(other);
    mcp_server_free(other_server);
}

static void installations_are_logged(void **state)
{
    (void)state;
    ask("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"logging/setLevel\",\"params\":{\"level\":"
        "\"debug\"}}");
    call("3", "\"arguments\":{\"python_code\":\"\"}");
    static const char *const names[] = {"debug", "info", "warning"};
    for (unsigned level = PACKAGES_DEBUG; level <= PACKAGES_WARNING; level++) {
        fake_log(0, (enum packages_level)level, "numpy \"2\"");
        json_t *params = json_object_get(last(), "params");
        assert_string_equal(text_at(params, "level"), names[level]);
        assert_string_equal(text_at(params, "data"), "numpy \"2\"");
    }
    unsigned before = message_count;
    struct outcome outcome = {.status = OUTCOME_INSTALL_ERROR,
                              .error_message = span_of("no such package: numpi"),
                              .install_log = span_of("Looking for numpi\nERROR: nothing")};
    fake_end(0, &outcome);
    assert_int_equal(message_count, before + 2);
    json_t *params = json_object_get(messages[before], "params");
    assert_string_equal(text_at(params, "level"), "error");
    assert_string_equal(text_at(params, "data"), "no such package: numpi");
    assert_string_equal(content_text(last()),
                        "<status>install-error</status>\n<error>\nLooking for numpi\n"
                        "ERROR: nothing\nno such package: numpi\n</error>");
    assert_true(json_is_true(json_object_get(result(last()), "isError")));
}

static void output_is_logged_when_asked_for(void **state)
{
    (void)state;
    call("1", "\"arguments\":{\"python_code\":\"\"}");
    fake_print(0, RUN_STDOUT, "not asked\n");
    assert_int_equal(message_count, 0);
    fake_end(0, &success);
    ask("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"logging/setLevel\",\"params\":{\"level\":"
        "\"info\"}}");
    assert_int_equal(error_code(ask("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"logging/setLevel\","
                                    "\"params\":{\"level\":\"loud\"}}")),
                     -32602);
    call("3", "\"arguments\":{\"python_code\":\"\"}");
    unsigned before = message_count;
    fake_print(1, RUN_STDOUT, "he");
    assert_int_equal(message_count, before);
    fake_print(1, RUN_STDOUT, "llo\nrest");
    fake_print(1, RUN_STDERR, "careful\n");
    assert_int_equal(message_count, before + 2);
    json_t *expected =
        json_loads("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\","
                   "\"params\":{\"level\":\"info\",\"logger\":\"stdout\",\"data\":\"hello\"}}",
                   0, NULL);
    assert_true(json_equal(messages[before], expected));
    json_decref(expected);
    assert_string_equal(text_at(json_object_get(last(), "params"), "level"), "warning");
    congested = true;
    fake_print(1, RUN_STDERR, "dropped\n");
    assert_int_equal(message_count, before + 2);
    congested = false;
    fake_end(1, &success); /* the unfinished line, then the result */
    assert_int_equal(message_count, before + 4);
}

static void modern_logs_are_asked_for_by_each_request(void **state)
{
    (void)state;
    ask("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"logging/setLevel\",\"params\":{\"level\":"
        "\"debug\"}}");
    call("1", "\"arguments\":{\"python_code\":\"\"}," MODERN("2026-07-28", ""));
    call("2", "\"arguments\":{\"python_code\":\"\"}," MODERN(
                  "2026-07-28", ",\"io.modelcontextprotocol/logLevel\":\"warning\""));
    unsigned before = message_count;
    fake_print(0, RUN_STDERR, "a\n");
    fake_print(1, RUN_STDOUT, "b\n");
    assert_int_equal(message_count, before);
    fake_print(1, RUN_STDERR, "c\n");
    assert_int_equal(message_count, before + 1);
    fake_end(0, &success);
    assert_string_equal(text_at(result(last()), "resultType"), "complete");
    fake_end(1, &success);
}

static void cancelled_calls_are_silent(void **state)
{
    (void)state;
    call("1", "\"arguments\":{\"python_code\":\"\"}");
    call("\"1\"", "\"arguments\":{\"python_code\":\"\"}");
    receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
            "{\"requestId\":\"1\",\"reason\":\"x\"}}");
    assert_false(fake_runs[0].cancelled);
    assert_true(fake_runs[1].cancelled);
    struct outcome cancelled = {.status = OUTCOME_CANCELLED};
    fake_print(1, RUN_STDOUT, "late\n");
    fake_end(1, &cancelled);
    assert_int_equal(message_count, 0);
    mcp_session_cancel_all(session);
    assert_true(fake_runs[0].cancelled);
    fake_end(0, &cancelled);
    assert_int_equal(message_count, 0);
    assert_int_equal(idle_count, 1);
}

static void batches_are_answered_together(void **state)
{
    (void)state;
    initialize("2025-03-26");
    unsigned before = message_count;
    receive("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"},"
            "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":"
            "\"run_python_code\",\"arguments\":{\"python_code\":\"x\"}}},"
            "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":[]},"
            "7]");
    assert_int_equal(message_count, before);
    fake_end(0, &success);
    assert_int_equal(message_count, before + 1);
    assert_int_equal(json_array_size(last()), 3);
    receive("[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}]");
    assert_int_equal(message_count, before + 1);
    receive("[]");
    assert_int_equal(error_code(last()), -32600);
    /* The only request of a batch is cancelled: nothing is sent. */
    receive("[{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":"
            "\"run_python_code\",\"arguments\":{\"python_code\":\"x\"}}}]");
    before = message_count;
    mcp_session_cancel_all(session);
    fake_end(1, &success);
    assert_int_equal(message_count, before);
}

static void long_calls_show_progress(void **state)
{
    (void)state;
    call("1", "\"arguments\":{\"python_code\":\"\"},\"_meta\":{\"progressToken\":\"p\"}");
    for (unsigned i = 0; i < 100 && message_count < 2; i++) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    double first =
        json_number_value(json_object_get(json_object_get(messages[0], "params"), "progress"));
    json_t *params = json_object_get(messages[1], "params");
    assert_string_equal(text_at(params, "progressToken"), "p");
    assert_true(json_number_value(json_object_get(params, "progress")) > first);
    fake_end(0, &success);
}

static void progress_tells_of_an_installation(void **state)
{
    (void)state;
    call("1", "\"arguments\":{\"python_code\":\"\"},\"_meta\":{\"progressToken\":\"p\"}");
    assert_false(mcp_session_is_installing(session));
    fake_install(0, true);
    assert_true(mcp_session_is_installing(session));
    fake_log(0, PACKAGES_INFO, "fetching six.whl");
    fake_install(0, false);
    assert_false(mcp_session_is_installing(session));
    /* Each stage at once, with a value that grows. */
    static const char *const stages[] = {"running (0 s)", "installing (0 s)",
                                         "installing: fetching six.whl (0 s)", "running (0 s)"};
    double progress = -1;
    assert_int_equal(message_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        json_t *params = json_object_get(messages[i], "params");
        assert_string_equal(text_at(params, "message"), stages[i]);
        assert_int_equal(json_object_get(params, "total") != NULL, i == 0);
        assert_true(json_number_value(json_object_get(params, "progress")) > progress);
        progress = json_number_value(json_object_get(params, "progress"));
    }
    while (message_count < 5) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_string_equal(text_at(json_object_get(last(), "params"), "message"), "running (1 s)");
    fake_end(0, &success);
    initialize("2024-11-05");
    call("1", "\"arguments\":{\"python_code\":\"\"},\"_meta\":{\"progressToken\":\"p\"}");
    fake_install(1, true);
    assert_null(json_object_get(json_object_get(last(), "params"), "message"));
    fake_end(1, &success);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(malformed_messages_are_refused),
        TEST(ids_come_back_as_they_were),
        TEST(notifications_are_never_answered),
        TEST(versions_are_agreed_on),
        TEST(tools_are_listed_as_each_version_has_them),
        TEST(modern_requests_stand_alone),
        TEST(modern_requests_are_checked),
        TEST(calls_run_side_by_side),
        TEST(bad_calls_are_explained),
        TEST(dependencies_are_passed_on),
        TEST(dependencies_have_limits),
        TEST(servers_without_packages_say_so),
        TEST(installations_are_logged),
        TEST(output_is_logged_when_asked_for),
        TEST(modern_logs_are_asked_for_by_each_request),
        TEST(cancelled_calls_are_silent),
        TEST(batches_are_answered_together),
        TEST(long_calls_show_progress),
        TEST(progress_tells_of_an_installation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
