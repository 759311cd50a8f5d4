/* serve: what comes in the fields of requests, and what is kept of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "serve/events.h"
#include "serve/guard.h"
#include "serve/sse.h"

/* ---- Host and Origin ------------------------------------------------------------------------- */

static bool takes_host(const struct guard *guard, const char *host)
{
    return guard_allows_host(guard, span_of(host));
}

static bool takes_origin(const struct guard *guard, const char *origin)
{
    return guard_allows_origin(guard, span_of(origin));
}

static const char *const evil_hosts[] = {
    "",
    "evil.com",
    "localhost.evil.com",
    "localhost.evil.com:3001",
    "evil.com:localhost",
    "127.0.0.1.evil.com",
    "localhost@evil.com",
    "evil.com@localhost",
    "localhost evil.com",
    "localhost,evil.com",
    "localhost/",
    "localhost.",
    "localhost:",
    "localhost:port",
    "localhost:3001:3001",
    "localhost:123456",
    ":3001",
    "0127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "128.0.0.1",
    "::1",
    "[::1",
    "[::1]3001",
    "[::1]x",
    "[::2]",
    "[::ffff:127.0.0.1]",
    "[localhost]",
    "[127.0.0.1]",
    "[fe80::1%lo]",
};

static void names_of_the_loopback_are_hosts(void **state)
{
    static const char *const good[] = {"localhost",      "LocalHost:3001",   "127.0.0.1",
                                       "127.0.0.1:3001", "127.9.8.7:1",      "[::1]",
                                       "[::1]:3001",     "[0:0:0:0:0:0:0:1]"};
    struct guard guard = {.is_loopback = true};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(takes_host(&guard, good[i]));
    }
    for (size_t i = 0; i < sizeof evil_hosts / sizeof *evil_hosts; i++) {
        if (takes_host(&guard, evil_hosts[i])) {
            fail_msg("%s is no host of ours", evil_hosts[i]);
        }
    }
    assert_false(guard_allows_host(&guard, (struct span){NULL, 0}));
}

/* Whoever is reached by an address was not led there by a name. */
static void addresses_are_hosts_of_an_open_server(void **state)
{
    struct guard guard = {.is_loopback = false};
    (void)state;
    assert_true(takes_host(&guard, "10.1.2.3:3001"));
    assert_true(takes_host(&guard, "[2001:db8::1]:3001"));
    assert_true(takes_host(&guard, "localhost"));
    assert_false(takes_host(&guard, "evil.com"));
    assert_false(takes_host(&guard, "10.1.2.3.evil.com"));
    assert_false(takes_host(&guard, "10.1.2"));
}

static void hosts_are_allowed_by_name(void **state)
{
    static const char *const hosts[] = {"mcp.example.com", "other.example.com:8443",
                                        "[2001:db8::1]", NULL};
    static const char *const any[] = {"*", NULL};
    struct guard guard = {.hosts = hosts, .is_loopback = true};
    struct guard open = {.hosts = any, .is_loopback = true};
    (void)state;
    assert_true(takes_host(&guard, "mcp.example.com"));
    assert_true(takes_host(&guard, "MCP.example.COM:444"));
    assert_true(takes_host(&guard, "other.example.com:8443"));
    assert_true(takes_host(&guard, "[2001:db8::1]:3001"));
    assert_false(takes_host(&guard, "other.example.com"));
    assert_false(takes_host(&guard, "other.example.com:443"));
    assert_false(takes_host(&guard, "x.mcp.example.com"));
    assert_false(takes_host(&guard, "mcp.example.com.evil.com"));
    assert_false(takes_host(&guard, "2001:db8::1"));
    assert_true(takes_host(&open, "evil.com"));
    assert_false(takes_host(&open, "evil com"));
}

static void pages_need_an_origin_that_is_allowed(void **state)
{
    static const char *const evil[] = {"null",
                                       "NULL",
                                       "",
                                       "http://evil.com",
                                       "http://localhost.evil.com",
                                       "http://localhost:3001.evil.com",
                                       "http://localhost@evil.com",
                                       "http://evil.com/localhost",
                                       "http://localhost/",
                                       "file://localhost",
                                       "localhost",
                                       "//localhost",
                                       "http:/localhost",
                                       "http://",
                                       "http://localhost http://evil.com",
                                       "https://app.example.com.evil.com"};
    static const char *const origins[] = {"https://app.example.com", "vscode-file://vscode-app",
                                          NULL};
    static const char *const any[] = {"*", NULL};
    struct guard guard = {.origins = origins, .is_loopback = true};
    struct guard open = {.origins = any};
    struct guard outside = {.is_loopback = false};
    (void)state;
    assert_true(guard_allows_origin(&guard, (struct span){NULL, 0}));
    assert_true(takes_origin(&guard, "http://localhost:6274"));
    assert_true(takes_origin(&guard, "https://127.0.0.1"));
    assert_true(takes_origin(&guard, "http://[::1]:8080"));
    assert_true(takes_origin(&guard, "https://app.example.com"));
    assert_true(takes_origin(&guard, "vscode-file://vscode-app"));
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        if (takes_origin(&guard, evil[i])) {
            fail_msg("%s is no origin that is allowed", evil[i]);
        }
    }
    assert_true(takes_origin(&open, "https://evil.com"));
    assert_false(takes_origin(&open, "null"));
    assert_false(takes_origin(&open, "https://ev\xC3\xAFl.com"));
    /* Its own machine's pages are not those of the machine that it is reached from. */
    assert_false(takes_origin(&outside, "http://localhost:6274"));
}

static void addresses_are_clients(void **state)
{
    (void)state;
    assert_true(guard_client(span_of("10.0.0.1")) != guard_client(span_of("10.0.0.2")));
    assert_true(guard_client(span_of("::ffff:10.0.0.1")) == guard_client(span_of("10.0.0.1")));
    assert_true(guard_client(span_of("2001:db8::1")) == guard_client(span_of("2001:db8::2")));
    assert_true(guard_client(span_of("2001:db8:0:1::1")) != guard_client(span_of("2001:db8::1")));
    assert_true(guard_client(span_of("fe80::1%eth0")) == guard_client(span_of("fe80::1")));
    assert_true(guard_client(span_of("::1")) == guard_client(span_of("127.0.0.1")));
    assert_true(guard_client(span_of("127.0.0.2")) != guard_client(span_of("127.0.0.1")));
    assert_true(guard_is_loopback("localhost"));
    assert_true(guard_is_loopback("::1"));
    assert_true(guard_is_loopback("127.0.0.9"));
    assert_false(guard_is_loopback("0.0.0.0"));
    assert_false(guard_is_loopback("::"));
    assert_false(guard_is_loopback("example.com"));
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void events_are_framed(void **state)
{
    struct sse_id id = {3, 12};
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(sse_append_event(&out, &id, "message", span_of("{}")), 0);
    assert_int_equal(sse_append_event(&out, NULL, NULL, span_of("x")), 0);
    assert_int_equal(sse_append_priming(&out, &id, 1000), 0);
    assert_int_equal(sse_append_comment(&out), 0);
    assert_int_equal(buf_append_char(&out, '\0'), 0);
    assert_string_equal(out.base, "id: 3-12\nevent: message\ndata: {}\n\ndata: x\n\n"
                                  "id: 3-12\nretry: 1000\ndata: \n\n:\n\n");
    buf_free(&out);
}

static void ids_are_read_strictly(void **state)
{
    static const char *const wrong[] = {"",     "-",    "1",     "1-",          "-1",  "1-2-3",
                                        "01-2", "1-02", "+1-2",  "1- 2",        "a-1", "1-1x",
                                        " 1-1", "1--1", "1-1\n", "4294967296-1"};
    struct sse_id id;
    (void)state;
    assert_true(sse_read_id(span_of("0-0"), &id));
    assert_true(sse_read_id(span_of("4294967295-17"), &id));
    assert_true(id.stream == UINT32_MAX && id.event == 17);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (sse_read_id(span_of(wrong[i]), &id)) {
            fail_msg("\"%s\" is no id", wrong[i]);
        }
    }
}

static bool keep(struct events *events, uint32_t stream, uint32_t event, size_t len, bool is_given)
{
    static char bytes[LIMIT_SESSION_EVENT_BYTES_MAX + 1];
    return events_keep(events, (struct sse_id){stream, event}, (struct span){bytes, len}, is_given);
}

static uint32_t after(const struct events *events, uint32_t stream, uint32_t event, bool only_new)
{
    const struct event *found = events_after(events, (struct sse_id){stream, event}, only_new);
    return found == NULL ? 0 : found->id.event;
}

static void events_of_one_stream_are_found(void **state)
{
    struct events_budget budget = {.bytes_max = LIMIT_EVENT_BYTES_MAX};
    struct events events;
    (void)state;
    events_init(&events, &budget);
    assert_true(keep(&events, 1, 1, 10, true));
    assert_true(keep(&events, 2, 1, 10, false));
    assert_true(keep(&events, 1, 2, 10, false));
    assert_int_equal(after(&events, 1, 0, false), 1);
    assert_int_equal(after(&events, 1, 1, false), 2);
    assert_int_equal(after(&events, 1, 2, false), 0);
    assert_int_equal(after(&events, 1, 0, true), 2);
    assert_int_equal(after(&events, 3, 0, false), 0);
    events_drop(&events, 1);
    assert_int_equal(after(&events, 1, 0, false), 0);
    assert_int_equal(after(&events, 2, 0, false), 1);
    assert_int_equal(budget.bytes, 10);
    events_free(&events);
    assert_int_equal(budget.bytes, 0);
}

static void what_was_given_goes_first(void **state)
{
    struct events_budget budget = {.bytes_max = LIMIT_EVENT_BYTES_MAX};
    struct events events;
    size_t half = LIMIT_SESSION_EVENT_BYTES_MAX / 2;
    (void)state;
    events_init(&events, &budget);
    assert_true(keep(&events, 1, 1, half, false));
    assert_true(keep(&events, 1, 2, half, true));
    assert_true(keep(&events, 1, 3, half, false)); /* in the place of 2 */
    assert_int_equal(after(&events, 1, 1, false), 3);
    assert_false(keep(&events, 1, 4, half, true)); /* nothing may go */
    assert_int_equal(after(&events, 1, 0, false), 1);
    assert_false(keep(&events, 1, 5, LIMIT_SESSION_EVENT_BYTES_MAX + 1, false));
    events_free(&events);
}

static void events_have_caps(void **state)
{
    struct events_budget budget = {.bytes_max = 100};
    struct events events;
    struct events other;
    (void)state;
    events_init(&events, &budget);
    events_init(&other, &budget);
    for (uint32_t i = 1; i <= LIMIT_SESSION_EVENTS_MAX; i++) {
        assert_true(keep(&events, 1, i, 0, false));
    }
    assert_false(keep(&events, 1, LIMIT_SESSION_EVENTS_MAX + 1, 0, false));
    assert_true(keep(&other, 1, 1, 90, true));
    assert_false(keep(&events, 1, 1, 20, false));
    assert_true(keep(&other, 1, 2, 20, true)); /* of its own, 1 went */
    assert_int_equal(budget.bytes, 20);
    events_free(&events);
    events_free(&other);
    assert_int_equal(budget.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_the_loopback_are_hosts),
        cmocka_unit_test(addresses_are_hosts_of_an_open_server),
        cmocka_unit_test(hosts_are_allowed_by_name),
        cmocka_unit_test(pages_need_an_origin_that_is_allowed),
        cmocka_unit_test(addresses_are_clients),
        cmocka_unit_test(events_are_framed),
        cmocka_unit_test(ids_are_read_strictly),
        cmocka_unit_test(events_of_one_stream_are_found),
        cmocka_unit_test(what_was_given_goes_first),
        cmocka_unit_test(events_have_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
