#include "mcp_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixtures.h"

struct mcp_server *mcp_server;
struct mcp_session *mcp_session;
uv_loop_t mcp_loop;
struct mcp_sent_message mcp_sent[MCP_MESSAGES_MAX];
unsigned mcp_sent_count;
void *mcp_settled[MCP_MESSAGES_MAX];
unsigned mcp_settled_count;
unsigned mcp_let_go_count;
unsigned mcp_idle_count;
bool mcp_is_congested;

static void keep_message(void *context, const struct mcp_message *about, struct buf *message)
{
    (void)context;
    assert_true(mcp_sent_count < MCP_MESSAGES_MAX);
    assert_null(memchr(message->base, '\n', message->len));
    json_t *json =
        json_loadb(message->base, message->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    mcp_sent[mcp_sent_count++] = (struct mcp_sent_message){json, about->kind, about->route,
                                                           about->error_code, about->http_status};
    buf_free(message);
}

static bool say_congested(void *context, void *route)
{
    (void)context;
    (void)route;
    return mcp_is_congested;
}

static void keep_settled(void *context, void *route)
{
    (void)context;
    assert_true(mcp_settled_count < MCP_MESSAGES_MAX);
    mcp_settled[mcp_settled_count++] = route;
}

static void count_let_go(void *context, void *route)
{
    (void)context;
    assert_non_null(route);
    mcp_let_go_count++;
}

static void count_idle(void *context)
{
    (void)context;
    mcp_idle_count++;
}

struct mcp_session *mcp_open_session(const char *principal)
{
    struct mcp_events events = {.send = keep_message,
                                .is_congested = say_congested,
                                .settled = keep_settled,
                                .let_go = count_let_go,
                                .idle = count_idle};
    struct mcp_client client = {.number = 7, .principal = span_of(principal)};
    return mcp_session_new(mcp_server, &client, &events);
}

int mcp_set_up(void **state)
{
    (void)state;
    uv_loop_init(&mcp_loop);
    struct mcp_config config = {.loop = &mcp_loop,
                                .packages = fake_packages_reset(),
                                .installs = true,
                                .limits = run_limits_default(),
                                .register_more = conformance_register};
    mcp_sent_count = 0;
    mcp_settled_count = 0;
    mcp_let_go_count = 0;
    mcp_idle_count = 0;
    mcp_is_congested = false;
    if (mcp_server_new(&config, &mcp_server, NULL) != 0) {
        return -1;
    }
    mcp_session = mcp_open_session(NULL);
    return mcp_session == NULL ? -1 : 0;
}

int mcp_tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < mcp_sent_count; i++) {
        json_decref(mcp_sent[i].json);
    }
    mcp_session_free(mcp_session);
    uv_run(&mcp_loop, UV_RUN_DEFAULT);
    mcp_server_free(mcp_server);
    return uv_loop_close(&mcp_loop);
}

void mcp_receive(const char *text)
{
    mcp_session_receive(mcp_session, span_of(text), NULL);
}

json_t *mcp_last(void)
{
    assert_true(mcp_sent_count > 0);
    return mcp_sent[mcp_sent_count - 1].json;
}

json_t *mcp_ask(const char *text)
{
    unsigned before = mcp_sent_count;
    mcp_receive(text);
    assert_int_equal(mcp_sent_count, before + 1);
    return mcp_last();
}

void mcp_receive_http(struct mcp_session *by, const char *id, const char *method,
                      const char *params, const struct mcp_envelope *envelope, void *route)
{
    static const struct mcp_envelope plain = {.protocol_version = {"2026-07-28", 10}};
    struct mcp_envelope all = envelope == NULL ? plain : *envelope;
    cleanup_buf struct buf text;
    buf_init(&text, 1 << 20);
    all.is_http = true;
    all.route = route;
    if (envelope == NULL) {
        all.method = span_of(method);
    }
    assert_int_equal(
        buf_append_format(&text,
                          "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"%s\","
                          "\"params\":{%s%s%s}}",
                          id, method,
                          strstr(params, "_meta") != NULL ? "" : MCP_MODERN("{\"elicitation\":{}}"),
                          *params == '\0' || strstr(params, "_meta") != NULL ? "" : ",", params),
        0);
    mcp_session_receive(by, buf_span(&text), &all);
}

void mcp_wait_for(unsigned count)
{
    for (unsigned i = 0; i < 1000 && mcp_sent_count < count; i++) {
        uv_run(&mcp_loop, UV_RUN_ONCE);
    }
    assert_true(mcp_sent_count >= count);
}

const char *mcp_text_at(json_t *value, const char *key)
{
    const char *text = json_string_value(json_object_get(value, key));
    return text == NULL ? "" : text;
}

int mcp_error_code(json_t *answer)
{
    return (int)json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));
}

json_t *mcp_result(json_t *answer)
{
    json_t *value = json_object_get(answer, "result");
    assert_non_null(value);
    return value;
}

json_t *mcp_initialize(const char *version, const char *capabilities)
{
    char text[400];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
             "\"protocolVersion\":\"%s\",\"capabilities\":%s,\"clientInfo\":{\"name\":\"t\","
             "\"version\":\"1\"}}}",
             version, capabilities);
    return mcp_result(mcp_ask(text));
}
