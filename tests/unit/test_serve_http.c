/* serve: what every request over HTTP is answered with, and how streams are lost and taken up
 * again. Transport, packages and pool are stand-ins. */
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
#include "serve_fixture.h"

static int set_up(void **state)
{
    (void)state;
    fixture_init();
    fixture_open();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close();
    return 0;
}

/* Opens it again with the changed configuration. */
static void reopen(void)
{
    fixture_close();
    fixture_open();
}

/* ---- Requests -------------------------------------------------------------------------------- */

#define JSON_TYPE                                                                                  \
    {                                                                                              \
        "content-type", "application/json"                                                         \
    }
#define ACCEPT_BOTH                                                                                \
    {                                                                                              \
        "accept", "application/json, text/event-stream"                                            \
    }
#define HOST                                                                                       \
    {                                                                                              \
        "host", "127.0.0.1:3001"                                                                   \
    }

static const char initialize[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
    "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}";
static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}";
static const char initialized[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
static const char list[] = "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/list\"}";

#define CALL(id, code)                                                                             \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":"           \
    "\"run_python_code\",\"arguments\":{\"python_code\":\"" code "\"}}}"

#define META_MODERN                                                                                \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                       \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"

static const char modern_list[] =
    "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/list\",\"params\":{" META_MODERN "}}";
static const char modern_call[] =
    "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/call\",\"params\":{" META_MODERN
    ",\"name\":\"run_python_code\",\"arguments\":{\"python_code\":\"1\"}}}";

/* Ids that were told, kept for as long as requests borrow them. */
static char ids[16][64];
static unsigned id_count;

static struct http_exchange *post_as(const char *peer, const char *session, const char *body)
{
    struct fake_request request = {.method = "POST",
                                   .path = "/mcp",
                                   .peer = peer,
                                   .body = span_of(body),
                                   .fields = {HOST, JSON_TYPE, ACCEPT_BOTH}};
    if (session != NULL) {
        request.fields[3] = (struct fake_field){"mcp-session-id", session};
    }
    return fake_http_ask(&request);
}

static struct http_exchange *post(const char *session, const char *body)
{
    return post_as(NULL, session, body);
}

static struct http_exchange *post_modern(const char *method, const char *body)
{
    struct fake_request request = {.method = "POST",
                                   .path = "/mcp",
                                   .body = span_of(body),
                                   .fields = {HOST,
                                              JSON_TYPE,
                                              ACCEPT_BOTH,
                                              {"mcp-protocol-version", "2026-07-28"},
                                              {"mcp-method", method}}};
    if (strcmp(method, "tools/call") == 0) {
        request.fields[5] = (struct fake_field){"mcp-name", "run_python_code"};
    }
    return fake_http_ask(&request);
}

static struct http_exchange *ask_as(const char *peer, const char *method, const char *session,
                                    const char *last_event)
{
    struct fake_request request = {
        .method = method, .path = "/mcp", .peer = peer, .fields = {HOST, ACCEPT_BOTH}};
    unsigned count = 2;
    if (session != NULL) {
        request.fields[count++] = (struct fake_field){"mcp-session-id", session};
    }
    if (last_event != NULL) {
        request.fields[count++] = (struct fake_field){"last-event-id", last_event};
    }
    return fake_http_ask(&request);
}

static struct http_exchange *get(const char *session, const char *last_event)
{
    return ask_as(NULL, "GET", session, last_event);
}

static const char *begin_as(const char *peer)
{
    struct http_exchange *exchange = post_as(peer, NULL, initialize);
    assert_int_equal(exchange->status, 200);
    assert_true(id_count < 16);
    char *id = ids[id_count++ % 16];
    snprintf(id, 64, "%s", fake_http_field(exchange, "mcp-session-id"));
    assert_int_equal(strlen(id), 2 * SESSION_ID_BYTES);
    assert_int_equal(post_as(peer, id, initialized)->status, 202);
    return id;
}

static const char *begin(void)
{
    id_count = 0;
    return begin_as(NULL);
}

static void end_run(unsigned run)
{
    struct outcome outcome = {.status = OUTCOME_SUCCESS};
    fake_end(run, &outcome);
}

static void tick(uint64_t ms)
{
    sessions_tick(&fixture_serve.sessions, uv_now(&fixture_serve.core.loop) + ms);
}

static bool has(struct http_exchange *exchange, const char *text)
{
    return strstr(fake_http_text(exchange), text) != NULL;
}

static int error_code(struct http_exchange *exchange)
{
    json_t *answer = json_loads(fake_http_text(exchange), 0, NULL);
    assert_non_null(answer);
    int code = (int)json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));
    json_decref(answer);
    return code;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void a_session_lives_from_initialize_to_delete(void **state)
{
    (void)state;
    const char *id = begin();
    struct http_exchange *answer = post(id, ping);
    assert_int_equal(answer->status, 200);
    assert_string_equal(fake_http_field(answer, "content-type"), "application/json");
    assert_string_equal(fake_http_field(answer, "mcp-session-id"), "");
    assert_int_equal(ask_as(NULL, "DELETE", id, NULL)->status, 204);
    answer = post(id, ping);
    assert_int_equal(answer->status, 404);
    assert_int_equal(error_code(answer), -32001);
    assert_int_equal(ask_as(NULL, "DELETE", id, NULL)->status, 404);
    assert_int_equal(get(id, NULL)->status, 404);
}

static void requests_without_a_session_are_refused(void **state)
{
    (void)state;
    assert_int_equal(post(NULL, ping)->status, 400);
    assert_int_equal(post(NULL, initialized)->status, 400);
    assert_int_equal(get(NULL, NULL)->status, 400);
    assert_int_equal(ask_as(NULL, "DELETE", NULL, NULL)->status, 400);
    assert_int_equal(fixture_serve.sessions.count, 0);
}

/* Attack 47. */
static void ids_are_neither_guessed_nor_fixed_nor_shared(void **state)
{
    (void)state;
    const char *id = begin();
    static const char fixed[] = "000000000000000000000000000000000000000000000000";
    assert_int_equal(post(fixed, ping)->status, 404);
    assert_int_equal(post("", ping)->status, 404);
    assert_int_equal(post(fixed, initialize)->status, 404);
    assert_int_equal(post(id, initialize)->status, 400);
    assert_int_equal(post_as("127.0.0.2", id, ping)->status, 404);
    assert_int_equal(ask_as("127.0.0.2", "GET", id, NULL)->status, 404);
    assert_int_equal(ask_as("127.0.0.2", "DELETE", id, NULL)->status, 404);
    assert_int_equal(post(id, ping)->status, 200);
    struct fake_request old = {.method = "POST",
                               .path = "/messages",
                               .query = "sessionId=",
                               .body = span_of(ping),
                               .fields = {HOST, JSON_TYPE}};
    char query[96];
    snprintf(query, sizeof query, "sessionId=%s", id);
    old.query = query;
    assert_int_equal(fake_http_ask(&old)->status, 404); /* it is of another transport */
}

static void a_refused_initialize_leaves_no_session(void **state)
{
    (void)state;
    struct http_exchange *answer =
        post(NULL, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}");
    assert_string_equal(fake_http_field(answer, "mcp-session-id"), "");
    assert_true(has(answer, "error"));
    assert_int_equal(fixture_serve.sessions.count, 0);
}

static void sessions_have_caps(void **state)
{
    (void)state;
    fixture_config.http.sessions_max = 3;
    fixture_config.http.client_sessions_max = 2;
    reopen();
    (void)begin_as("10.0.0.1");
    (void)begin_as("10.0.0.1");
    struct http_exchange *answer = post_as("10.0.0.1", NULL, initialize);
    assert_int_equal(answer->status, 429);
    assert_string_equal(fake_http_field(answer, "retry-after"), "5");
    (void)begin_as("10.0.0.2");
    assert_int_equal(post_as("10.0.0.3", NULL, initialize)->status, 503);
}

static void sessions_end_with_silence_and_age(void **state)
{
    (void)state;
    const char *id = begin();
    tick(LIMIT_SESSION_IDLE_MS_DEFAULT - 1000);
    assert_int_equal(post(id, ping)->status, 200);
    tick(LIMIT_SESSION_IDLE_MS_DEFAULT);
    assert_int_equal(post(id, ping)->status, 404);
    id = begin();
    struct http_exchange *listening = get(id, NULL);
    tick(LIMIT_SESSION_IDLE_MS_DEFAULT);
    assert_true(listening->is_open); /* it is used */
    tick(LIMIT_SESSION_LIFE_MS);
    assert_false(listening->is_open);
    assert_int_equal(post(id, ping)->status, 404);
    assert_int_equal(fixture_serve.sessions.counts.expired, 2);
}

/* Attack 25. */
static void the_same_id_of_two_clients_is_two_calls(void **state)
{
    (void)state;
    const char *one = begin();
    const char *other = begin_as(NULL);
    struct http_exchange *first = post(one, CALL("5", "first"));
    struct http_exchange *second = post(other, CALL("5", "second"));
    assert_int_equal(fake_run_count, 2);
    fake_print(1, RUN_STDOUT, "of the second\n");
    end_run(1);
    assert_true(first->is_open);
    assert_true(has(second, "of the second"));
    fake_print(0, RUN_STDOUT, "of the first\n");
    end_run(0);
    assert_true(has(first, "of the first") && !has(first, "second"));
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void an_answer_is_json_when_nothing_comes_before_it(void **state)
{
    (void)state;
    struct http_exchange *call = post(begin(), CALL("5", "x"));
    assert_int_equal(call->status, 0);
    assert_false(call->has_body);
    end_run(0);
    assert_int_equal(call->status, 200);
    assert_false(call->is_stream);
    assert_string_equal(fake_http_field(call, "content-type"), "application/json");
}

static const char set_level[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"logging/setLevel\","
                                "\"params\":{\"level\":\"info\"}}";

static void a_log_line_makes_it_a_stream(void **state)
{
    (void)state;
    const char *id = begin();
    assert_int_equal(post(id, set_level)->status, 200);
    struct http_exchange *call = post(id, CALL("5", "x"));
    fake_print(0, RUN_STDOUT, "hello\n");
    assert_true(call->is_stream && call->is_open);
    assert_string_equal(fake_http_field(call, "content-type"), "text/event-stream");
    assert_string_equal(fake_http_field(call, "x-accel-buffering"), "no");
    assert_string_equal(fake_http_field(call, "cache-control"), "no-cache");
    assert_true(has(call, "-0\nretry: 1000\ndata: \n\n")); /* first, to come back with */
    assert_true(has(call, "\"data\":\"hello\""));
    end_run(0);
    assert_false(call->is_open);
    assert_true(has(call, "\"id\":5"));
}

static void time_makes_it_a_stream(void **state)
{
    (void)state;
    struct http_exchange *call = post(begin(), CALL("5", "x"));
    tick(LIMIT_STREAM_BEGIN_MS - 1000);
    assert_false(call->is_stream);
    tick(LIMIT_STREAM_BEGIN_MS);
    assert_true(call->is_stream);
    assert_false(has(call, ":\n\n"));
    tick(LIMIT_STREAM_COMMENT_MS);
    assert_true(has(call, "\n\n:\n\n"));
    end_run(0);
    assert_false(call->is_open);
}

static const char old_initialize[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
    "\"2025-06-18\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}";

/* An event without data is no message; clients from before it would read it as one. */
static void older_clients_get_no_empty_event(void **state)
{
    char id[64];
    (void)state;
    struct http_exchange *first = post(NULL, old_initialize);
    snprintf(id, sizeof id, "%s", fake_http_field(first, "mcp-session-id"));
    struct http_exchange *call = post(id, CALL("5", "x"));
    tick(LIMIT_STREAM_BEGIN_MS);
    assert_true(call->is_stream);
    assert_string_equal(fake_http_text(call), "");
    end_run(0);
    assert_true(has(call, "-1\nevent: message\ndata: {"));
}

/* The id of the last event in what a client got. */
static const char *last_id(struct http_exchange *exchange)
{
    static char id[32];
    const char *at = fake_http_text(exchange);
    for (const char *next = at; (next = strstr(next, "id: ")) != NULL; next++) {
        at = next;
    }
    snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 4, "\n"), at + 4);
    return id;
}

static void a_lost_stream_is_taken_up_again(void **state)
{
    (void)state;
    const char *id = begin();
    (void)post(id, set_level);
    struct http_exchange *call = post(id, CALL("5", "x"));
    struct http_exchange *other = post(id, CALL("6", "y"));
    fake_print(0, RUN_STDOUT, "one\n");
    fake_print(1, RUN_STDOUT, "of the other\n");
    fake_http_hang_up(call);
    assert_false(fake_runs[0].cancelled);
    fake_print(0, RUN_STDOUT, "two\n");
    struct http_exchange *again = get(id, last_id(call));
    assert_int_equal(again->status, 200);
    assert_true(has(again, "two") && !has(again, "\"one\"") && !has(again, "other"));
    fake_http_hang_up(again);
    end_run(0);
    struct http_exchange *third = get(id, last_id(again));
    assert_false(third->is_open); /* the answer, and the end */
    assert_true(has(third, "\"id\":5") && !has(third, "\"data\":\"two\""));
    /* From the start, as often as wanted. */
    third = get(id, last_id(call));
    assert_true(has(third, "two") && has(third, "\"id\":5") && !has(third, "other"));
    end_run(1);
    assert_true(has(other, "\"id\":6"));
    assert_int_equal(fixture_serve.sessions.counts.resumed, 3);
}

static void a_client_that_comes_back_takes_its_stream_over(void **state)
{
    (void)state;
    const char *id = begin();
    (void)post(id, set_level);
    struct http_exchange *call = post(id, CALL("5", "x"));
    fake_print(0, RUN_STDOUT, "one\n");
    struct http_exchange *again = get(id, last_id(call));
    assert_false(call->is_open);
    end_run(0);
    assert_true(has(again, "\"id\":5"));
    assert_false(has(call, "\"id\":5"));
}

/* 2025-11-25, "polling": a tool that takes long may let the connection go. */
static void a_stream_that_is_let_go_goes_on(void **state)
{
    (void)state;
    const char *id = begin();
    struct http_exchange *call = post(id, CALL("5", "x"));
    struct session *session = TAILQ_FIRST(&fixture_serve.sessions.list);
    struct stream *stream = TAILQ_LAST(&session->streams, stream_list);
    stream_on_let_go(session, stream);
    assert_true(call->is_stream && !call->is_open);
    assert_true(has(call, "retry: ") && has(call, "data: \n\n"));
    end_run(0);
    struct http_exchange *again = get(id, last_id(call));
    assert_true(has(again, "\"id\":5") && !again->is_open);
}

static void who_does_not_come_back_is_given_up(void **state)
{
    (void)state;
    const char *id = begin();
    (void)post(id, set_level);
    struct http_exchange *call = post(id, CALL("5", "x"));
    fake_print(0, RUN_STDOUT, "one\n");
    char last[32];
    snprintf(last, sizeof last, "%s", last_id(call));
    fake_http_hang_up(call);
    tick(LIMIT_RESUME_MS - 1000);
    assert_false(fake_runs[0].cancelled);
    tick(LIMIT_RESUME_MS);
    assert_true(fake_runs[0].cancelled);
    assert_int_equal(get(id, last)->status, 400);
    assert_int_equal(fixture_serve.sessions.counts.abandoned, 1);
}

static void foreign_event_ids_are_refused(void **state)
{
    static const char *const wrong[] = {"99-1", "0-5", "x", "1", "-", "1-1-1"};
    (void)state;
    const char *id = begin();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(get(id, wrong[i])->status, 400);
    }
}

static void one_stream_listens_for_a_session(void **state)
{
    (void)state;
    const char *id = begin();
    struct http_exchange *first = get(id, NULL);
    assert_true(first->is_stream && first->is_open);
    assert_int_equal(get(id, NULL)->status, 409);
    assert_true(has(first, "id: 0-0\n"));
    struct http_exchange *again = get(id, "0-0"); /* it knows that it lost the first */
    assert_true(again->is_open && !first->is_open);
    fake_http_hang_up(again);
    assert_int_equal(get(id, NULL)->status, 200);
}

static void cancellation_works_across_streams(void **state)
{
    (void)state;
    const char *id = begin();
    struct http_exchange *call = post(id, CALL("5", "x"));
    struct http_exchange *cancel =
        post(id, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
                 "\"requestId\":5}}");
    assert_int_equal(cancel->status, 202);
    assert_true(fake_runs[0].cancelled);
    struct outcome outcome = {.status = OUTCOME_CANCELLED};
    fake_end(0, &outcome);
    assert_false(call->is_open);
    assert_int_equal(call->status, 202);
}

static void delete_ends_what_runs(void **state)
{
    (void)state;
    const char *id = begin();
    struct http_exchange *waiting = post(id, CALL("5", "x"));
    struct http_exchange *listening = get(id, NULL);
    assert_int_equal(ask_as(NULL, "DELETE", id, NULL)->status, 204);
    assert_true(fake_runs[0].cancelled);
    assert_int_equal(waiting->status, 404);
    assert_false(listening->is_open);
}

static void a_slow_reader_gets_no_logs_but_its_answer(void **state)
{
    (void)state;
    const char *id = begin();
    (void)post(id, set_level);
    struct http_exchange *call = post(id, CALL("5", "x"));
    fake_print(0, RUN_STDOUT, "one\n");
    call->is_congested = true;
    fake_print(0, RUN_STDOUT, "two\n");
    end_run(0);
    assert_false(has(call, "\"data\":\"two\""));
    assert_true(has(call, "\"id\":5"));
}

static void ended_streams_make_room_for_new_ones(void **state)
{
    (void)state;
    const char *id = begin();
    (void)post(id, set_level);
    for (unsigned i = 0; i < LIMIT_SESSION_STREAMS_MAX; i++) {
        struct packages *packages = fake_packages_reset();
        (void)packages;
        struct http_exchange *call = post(id, CALL("5", "x"));
        fake_print(0, RUN_STDOUT, "one\n");
        end_run(0);
        assert_int_equal(call->status, 200);
    }
    assert_int_equal(post(id, ping)->status, 200);
}

/* ---- Stateless ------------------------------------------------------------------------------- */

static void modern_requests_need_no_session(void **state)
{
    (void)state;
    struct http_exchange *answer = post_modern("tools/list", modern_list);
    assert_int_equal(answer->status, 200);
    assert_string_equal(fake_http_field(answer, "mcp-session-id"), "");
    assert_true(has(answer, "run_python_code"));
    answer = post_modern("tools/call", modern_list); /* the header says something else */
    assert_int_equal(answer->status, 400);
    assert_int_equal(error_code(answer), -32020);
    answer = post_modern("tools/swim", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/swim\","
                                       "\"params\":{" META_MODERN "}}");
    assert_int_equal(answer->status, 404);
    assert_int_equal(error_code(answer), -32601);
    assert_true(TAILQ_EMPTY(&fixture_serve.sessions.list));
}

static void a_modern_stream_that_closes_cancels(void **state)
{
    (void)state;
    struct http_exchange *call = post_modern("tools/call", modern_call);
    tick(LIMIT_STREAM_BEGIN_MS);
    assert_true(call->is_stream);
    assert_string_equal(fake_http_text(call), ""); /* not to be resumed: no ids */
    fake_http_hang_up(call);
    assert_true(fake_runs[0].cancelled);
    assert_true(TAILQ_EMPTY(&fixture_serve.sessions.list));
}

static void the_modern_revisions_have_post_alone(void **state)
{
    (void)state;
    struct fake_request request = {
        .method = "GET",
        .path = "/mcp",
        .fields = {HOST, ACCEPT_BOTH, {"mcp-protocol-version", "2026-07-28"}}};
    struct http_exchange *answer = fake_http_ask(&request);
    assert_int_equal(answer->status, 405);
    assert_string_equal(fake_http_field(answer, "allow"), "POST");
    request.method = "DELETE";
    assert_int_equal(fake_http_ask(&request)->status, 405);
    request.fields[2].value = "2026-13-01";
    assert_int_equal(fake_http_ask(&request)->status, 400);
}

static void a_stateless_server_keeps_nothing(void **state)
{
    (void)state;
    fixture_config.http.is_stateless = true;
    reopen();
    struct http_exchange *answer = post(NULL, initialize);
    assert_int_equal(answer->status, 200);
    assert_string_equal(fake_http_field(answer, "mcp-session-id"), "");
    assert_int_equal(post(NULL, initialized)->status, 202);
    assert_int_equal(post(NULL, list)->status, 200);
    assert_int_equal(get(NULL, NULL)->status, 405);
    struct http_exchange *call = post(NULL, CALL("5", "x"));
    fake_http_hang_up(call);
    assert_true(fake_runs[0].cancelled);
    assert_true(TAILQ_EMPTY(&fixture_serve.sessions.list));
}

/* ---- What is checked first ------------------------------------------------------------------- */

static int status_with(struct fake_field field)
{
    struct fake_request request = {.method = "POST",
                                   .path = "/mcp",
                                   .body = span_of(initialize),
                                   .fields = {HOST, JSON_TYPE, ACCEPT_BOTH}};
    for (unsigned i = 0; i < 4; i++) {
        if (request.fields[i].name == NULL || strcmp(request.fields[i].name, field.name) == 0) {
            request.fields[i] = field;
            break;
        }
    }
    return fake_http_ask(&request)->status;
}

static void fields_are_checked(void **state)
{
    static const struct {
        struct fake_field field;
        int status;
    } cases[] = {
        {{"host", "evil.com"}, 403},
        {{"host", "localhost.evil.com"}, 403},
        {{"host", "localhost"}, 200},
        {{"origin", "null"}, 403},
        {{"origin", "http://localhost.evil.com"}, 403},
        {{"origin", "http://localhost:6274"}, 200},
        {{"sec-fetch-site", "cross-site"}, 403},
        {{"sec-fetch-site", "same-origin"}, 200},
        {{"sec-fetch-site", "none"}, 200},
        {{"content-type", "text/plain"}, 415},
        {{"content-type", "application/jsonx"}, 415},
        {{"content-type", "Application/JSON; charset=utf-8"}, 200},
        {{"content-encoding", "gzip"}, 415},
        {{"accept", "application/json"}, 406},
        {{"accept", "text/event-stream"}, 406},
        {{"accept", "text/html"}, 406},
        {{"accept", "*/*"}, 200},
        {{"accept", "application/*, text/*;q=0.5"}, 200},
        {{"accept", "application/json, text/event-stream;q=0"}, 406},
        {{"accept", "application/json;q=0.1,TEXT/event-stream ; q=0.001"}, 200},
        {{"accept", ",,;,"}, 406},
        {{"mcp-protocol-version", "1999-01-01"}, 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = status_with(cases[i].field);
        if (status != cases[i].status) {
            fail_msg("%s: %s is answered with %d", cases[i].field.name, cases[i].field.value,
                     status);
        }
    }
}

static void fields_are_not_there_twice(void **state)
{
    struct fake_request request = {.method = "POST",
                                   .path = "/mcp",
                                   .body = span_of(initialize),
                                   .fields = {HOST, JSON_TYPE, ACCEPT_BOTH, HOST}};
    (void)state;
    assert_int_equal(fake_http_ask(&request)->status, 400);
}

static void paths_and_methods_are_checked(void **state)
{
    struct fake_request request = {.method = "PUT", .path = "/mcp", .fields = {HOST}};
    (void)state;
    struct http_exchange *answer = fake_http_ask(&request);
    assert_int_equal(answer->status, 405);
    assert_string_equal(fake_http_field(answer, "allow"), "GET, POST, DELETE, OPTIONS");
    request.method = "HEAD";
    assert_int_equal(fake_http_ask(&request)->status, 405);
    request.method = "GET";
    request.path = "/messages";
    assert_int_equal(fake_http_ask(&request)->status, 405);
    request.path = "/mcp/x";
    assert_int_equal(fake_http_ask(&request)->status, 404);
    request.path = "/";
    assert_int_equal(fake_http_ask(&request)->status, 404);
    request.path = "/mcp/";                                 /* as good as without */
    assert_int_equal(fake_http_ask(&request)->status, 400); /* there is no session */
}

static void pages_are_told_what_they_may(void **state)
{
    struct fake_request request = {
        .method = "OPTIONS",
        .path = "/mcp",
        .fields = {HOST,
                   {"origin", "http://localhost:6274"},
                   {"access-control-request-method", "POST"},
                   {"access-control-request-headers",
                    "content-type, mcp-param-Region, x-evil, mcp-param-, mcp-param-a b"}}};
    (void)state;
    struct http_exchange *answer = fake_http_ask(&request);
    assert_int_equal(answer->status, 204);
    assert_string_equal(fake_http_field(answer, "access-control-allow-origin"),
                        "http://localhost:6274");
    assert_string_equal(fake_http_field(answer, "access-control-allow-methods"),
                        "GET, POST, DELETE, OPTIONS");
    const char *headers = fake_http_field(answer, "access-control-allow-headers");
    assert_non_null(strstr(headers, "Mcp-Session-Id, mcp-param-Region, mcp-param-a"));
    assert_null(strstr(headers, "evil"));
    struct fake_request real = {
        .method = "POST",
        .path = "/mcp",
        .body = span_of(initialize),
        .fields = {HOST, JSON_TYPE, ACCEPT_BOTH, {"origin", "http://localhost:6274"}}};
    answer = fake_http_ask(&real);
    assert_string_equal(fake_http_field(answer, "access-control-expose-headers"), "Mcp-Session-Id");
    assert_string_equal(fake_http_field(answer, "vary"), "Origin");
    real.fields[3].value = "http://evil.com";
    assert_string_equal(fake_http_field(fake_http_ask(&real), "access-control-allow-origin"), "");
}

static void malformed_messages_are_400(void **state)
{
    static const char *const bodies[] = {"",   "{", "1", "\"x\"", "[]", "{\"jsonrpc\":\"1.0\"}",
                                         "nul"};
    (void)state;
    const char *id = begin();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        int alone = post(NULL, bodies[i])->status;
        int within = post(id, bodies[i])->status;
        if (alone != 400 || within != 400) {
            fail_msg("\"%s\" is answered with %d and %d", bodies[i], alone, within);
        }
    }
    struct http_exchange *answer = post(id, "{");
    assert_int_equal(error_code(answer), -32700);
}

/* ---- The transport of 2024-11-05 ------------------------------------------------------------- */

static struct http_exchange *open_sse(void)
{
    struct fake_request request = {
        .method = "GET", .path = "/sse", .fields = {HOST, {"accept", "text/event-stream"}}};
    return fake_http_ask(&request);
}

static struct http_exchange *post_sse(const char *query, const char *peer, const char *body)
{
    struct fake_request request = {.method = "POST",
                                   .path = "/messages",
                                   .query = query,
                                   .peer = peer,
                                   .body = span_of(body),
                                   .fields = {HOST, JSON_TYPE}};
    return fake_http_ask(&request);
}

static void the_old_transport_has_two_endpoints(void **state)
{
    static const char head[] = "event: endpoint\ndata: /messages?";
    char query[96];
    (void)state;
    struct http_exchange *stream = open_sse();
    assert_true(stream->is_stream && stream->is_open);
    const char *text = fake_http_text(stream);
    assert_memory_equal(text, head, sizeof head - 1);
    snprintf(query, sizeof query, "%.*s", (int)strcspn(text + sizeof head - 1, "\n"),
             text + sizeof head - 1);
    assert_int_equal(post_sse(query, NULL, initialize)->status, 202);
    assert_true(has(stream, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,"));
    assert_false(has(stream, "id: ")); /* it cannot be resumed */
    assert_int_equal(post_sse(query, NULL, CALL("5", "x"))->status, 202);
    end_run(0);
    assert_true(has(stream, "\"id\":5"));
    assert_int_equal(post_sse(query, "127.0.0.2", ping)->status, 404);
    assert_int_equal(post_sse("sessionId=abc", NULL, ping)->status, 404);
    assert_int_equal(post_sse("x=1", NULL, ping)->status, 400);
    assert_int_equal(post_sse(NULL, NULL, ping)->status, 400);
    assert_int_equal(post_sse(query, NULL, CALL("6", "y"))->status, 202);
    fake_http_hang_up(stream);
    assert_true(fake_runs[1].cancelled);
    assert_int_equal(post_sse(query, NULL, ping)->status, 404);
    assert_int_equal(fixture_serve.sessions.count, 0);
}

/* ---- Health and metrics ---------------------------------------------------------------------- */

static struct http_exchange *get_path(const char *path)
{
    struct fake_request request = {.method = "GET", .path = path, .fields = {HOST}};
    return fake_http_ask(&request);
}

static void health_says_whether_it_is_ready(void **state)
{
    (void)state;
    fixture_is_ready = false;
    struct http_exchange *answer = get_path("/healthz");
    assert_int_equal(answer->status, 503);
    assert_true(has(answer, "\"starting\""));
    fixture_is_ready = true;
    assert_int_equal(get_path("/healthz")->status, 200);
    fixture_serve.core.is_draining = true;
    answer = get_path("/healthz");
    assert_int_equal(answer->status, 503);
    assert_true(has(answer, "\"draining\""));
    answer = post(NULL, initialize);
    assert_int_equal(answer->status, 503);
    assert_string_equal(fake_http_field(answer, "retry-after"), "5");
    struct fake_request foreign = {
        .method = "GET", .path = "/healthz", .fields = {{"host", "evil.com"}}};
    assert_int_equal(fake_http_ask(&foreign)->status, 403);
}

static void metrics_are_figures(void **state)
{
    static const char *const lines[] = {"vitrine_build_info{version=\"" VITRINE_VERSION
                                        "\",python=\"3.14.0\"} 1\n",
                                        "vitrine_http_connections 3\n",
                                        "vitrine_http_answers_total{status=\"2xx\"} 7\n",
                                        "vitrine_sessions 1\n",
                                        "vitrine_calls_total{status=\"success\"} 3\n",
                                        "vitrine_calls_total{status=\"limit\"} 1\n",
                                        "vitrine_call_duration_seconds_bucket{le=\"0.001\"} 1\n",
                                        "vitrine_call_duration_seconds_bucket{le=\"0.010\"} 3\n",
                                        "vitrine_call_duration_seconds_bucket{le=\"+Inf\"} 4\n",
                                        "vitrine_call_duration_seconds_sum 1.500000\n",
                                        "vitrine_running 2\n",
                                        "vitrine_spare_cells 5\n"};
    (void)state;
    (void)begin();
    struct http_exchange *answer = get_path("/metrics");
    assert_int_equal(answer->status, 200);
    assert_string_equal(fake_http_field(answer, "content-type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!has(answer, lines[i])) {
            fail_msg("no line %s", lines[i]);
        }
    }
    fixture_config.http.has_metrics = false;
    assert_int_equal(get_path("/metrics")->status, 404);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_session_lives_from_initialize_to_delete),
        CASE(requests_without_a_session_are_refused),
        CASE(ids_are_neither_guessed_nor_fixed_nor_shared),
        CASE(a_refused_initialize_leaves_no_session),
        CASE(sessions_have_caps),
        CASE(sessions_end_with_silence_and_age),
        CASE(the_same_id_of_two_clients_is_two_calls),
        CASE(an_answer_is_json_when_nothing_comes_before_it),
        CASE(a_log_line_makes_it_a_stream),
        CASE(time_makes_it_a_stream),
        CASE(older_clients_get_no_empty_event),
        CASE(a_lost_stream_is_taken_up_again),
        CASE(a_client_that_comes_back_takes_its_stream_over),
        CASE(a_stream_that_is_let_go_goes_on),
        CASE(who_does_not_come_back_is_given_up),
        CASE(foreign_event_ids_are_refused),
        CASE(one_stream_listens_for_a_session),
        CASE(cancellation_works_across_streams),
        CASE(delete_ends_what_runs),
        CASE(a_slow_reader_gets_no_logs_but_its_answer),
        CASE(ended_streams_make_room_for_new_ones),
        CASE(modern_requests_need_no_session),
        CASE(a_modern_stream_that_closes_cancels),
        CASE(the_modern_revisions_have_post_alone),
        CASE(a_stateless_server_keeps_nothing),
        CASE(fields_are_checked),
        CASE(fields_are_not_there_twice),
        CASE(paths_and_methods_are_checked),
        CASE(pages_are_told_what_they_may),
        CASE(malformed_messages_are_400),
        CASE(the_old_transport_has_two_endpoints),
        CASE(health_says_whether_it_is_ready),
        CASE(metrics_are_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
