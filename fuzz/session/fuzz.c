/*
 * A conversation with anything in it: messages of every revision over stdio and HTTP, headers,
 * answers to our questions, streams that are left, calls that end, sessions that go, changes that
 * are told. The input is lines; the first character says what each is (see `steps`). The
 * conformance fixtures are registered, so that every method has something to find.
 *
 * Whatever comes: each message with a route is settled once unless it was left, nothing is sent for
 * it afterwards, all that is sent is one line of JSON, and at the end nothing is left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../tests/conformance/fixtures.h"
#include "../../tests/unit/fake_packages.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "mcp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { ROUTES_MAX = 64, STEPS_MAX = 200, BYTES_MAX = 3000 /* what a fake run can keep */ };

/* What became of one message's route. */
struct route {
    bool is_open;
    unsigned answers; /* a peek foretold whether there may be some */
    bool may_answer;
};

static struct route routes[ROUTES_MAX];
static unsigned route_count;
static uv_loop_t loop;
static struct mcp_server *server;
static struct mcp_session *session;

static void check_message(void *context, const struct mcp_message *about, struct buf *message)
{
    struct span value;
    (void)context;
    MUST(jtext_check(buf_span(message), JTEXT_STRICT, &value, NULL) == 0);
    MUST(memchr(message->base, '\n', message->len) == NULL);
    if (about->route != NULL) {
        struct route *route = about->route;
        MUST(route->is_open);
        MUST(about->kind != MCP_ANSWER || route->may_answer);
        MUST(about->http_status == 200 || about->http_status == 400 || about->http_status == 404);
    }
    buf_free(message);
}

static bool is_congested(void *context, void *route)
{
    (void)context;
    MUST(route == NULL || ((struct route *)route)->is_open);
    return false;
}

static void settled(void *context, void *route)
{
    (void)context;
    MUST(((struct route *)route)->is_open);
    ((struct route *)route)->is_open = false;
}

static void let_go(void *context, void *route)
{
    (void)context;
    MUST(((struct route *)route)->is_open);
}

static void open_session(void)
{
    struct mcp_events events = {
        .send = check_message, .is_congested = is_congested, .settled = settled, .let_go = let_go};
    struct mcp_client client = {.number = 1, .principal = span_of("ada")};
    session = mcp_session_new(server, &client, &events);
    MUST(session != NULL);
}

static void close_session(void)
{
    mcp_session_free(session);
    for (unsigned i = 0; i < route_count; i++) {
        routes[i].is_open = false;
    }
}

/* The part of the line up to the next unit separator. */
static struct span next_field(struct span *line)
{
    const char *end = line->len == 0 ? NULL : memchr(line->base, '\x1f', line->len);
    struct span field = {line->base, end == NULL ? line->len : (size_t)(end - line->base)};
    size_t taken = field.len + (end != NULL);
    line->base += taken;
    line->len -= taken;
    return field;
}

static struct span only_header(void *carrier, const char *name)
{
    MUST(strncmp(name, "mcp-param-", 10) == 0);
    return strcmp(name, "mcp-param-region") == 0 ? *(struct span *)carrier : (struct span){NULL, 0};
}

/* "-" stands for a header that is not there. */
static struct span header_of(struct span field)
{
    return span_equal(field, span_of("-")) ? (struct span){NULL, 0} : field;
}

static void receive(struct span line, bool is_http)
{
    struct span region = {NULL, 0};
    struct mcp_envelope envelope = {.is_http = is_http, .header = only_header, .carrier = &region};
    if (is_http) {
        envelope.protocol_version = header_of(next_field(&line));
        envelope.method = header_of(next_field(&line));
        envelope.name = header_of(next_field(&line));
        region = header_of(next_field(&line));
    }
    struct mcp_peek peek = mcp_peek(line, &envelope);
    struct span value;
    /* What is refused for being a batch is answered whatever is in it. */
    bool is_batch =
        jtext_check(line, JTEXT_STRICT, &value, NULL) == 0 && jtext_type(value) == JTEXT_ARRAY;
    if (is_http && route_count < ROUTES_MAX) {
        struct route *route = &routes[route_count++];
        *route = (struct route){.is_open = true, .may_answer = peek.has_request || is_batch};
        envelope.route = route;
    }
    mcp_session_receive(session, line, &envelope);
}

static void leave(struct span line, bool is_abandoned)
{
    unsigned which = line.len > 0 ? (unsigned char)*line.base % ROUTES_MAX : 0;
    if (which >= route_count || !routes[which].is_open) {
        return;
    }
    routes[which].is_open = false;
    if (is_abandoned) {
        mcp_session_abandon(session, &routes[which]);
    } else {
        mcp_session_leave(session, &routes[which]);
    }
}

static void end_run(struct span line)
{
    unsigned which = line.len > 0 ? (unsigned char)*line.base % FAKE_RUNS_MAX : 0;
    struct outcome outcome = {.status = OUTCOME_CRASH};
    if (which < fake_run_count && !fake_runs[which].done) {
        fake_install(which, true);
        fake_log(which, PACKAGES_INFO, "x");
        fake_install(which, false);
        fake_print(which, RUN_STDOUT, "x\n");
        fake_end(which, &outcome);
    }
}

/* i: stdio; h: HTTP, four headers and a body; l, a: a stream is left; e: a run ends; t, p, u: a
 * change; x: all calls are stopped; n: another session. */
static void take_step(struct span line)
{
    struct span rest = {line.base + 1, line.len - 1};
    switch (*line.base) {
    case 'i': receive(rest, false); break;
    case 'h': receive(rest, true); break;
    case 'l': leave(rest, false); break;
    case 'a': leave(rest, true); break;
    case 'e': end_run(rest); break;
    case 't': mcp_server_list_changed(server, MCP_TOOLS); break;
    case 'p': mcp_server_list_changed(server, MCP_RESOURCES); break;
    case 'u': mcp_server_resource_updated(server, "test://watched-resource"); break;
    case 'x': mcp_session_stop_all(session); break;
    case 'n':
        close_session();
        open_session();
        break;
    default: break;
    }
}

static void take_steps(struct span text)
{
    for (unsigned i = 0; i < STEPS_MAX && text.len > 0; i++) {
        const char *end = memchr(text.base, '\n', text.len);
        struct span line = {text.base, end == NULL ? text.len : (size_t)(end - text.base)};
        if (line.len > 0 && fake_run_count < FAKE_RUNS_MAX) {
            take_step(line);
        }
        size_t taken = line.len + (end != NULL);
        text.base += taken;
        text.len -= taken;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static bool has_loop;
    struct outcome outcome = {.status = OUTCOME_CANCELLED};
    if (!has_loop) {
        uv_loop_init(&loop);
        has_loop = true;
    }
    if (len > BYTES_MAX) {
        return 0;
    }
    struct mcp_config config = {.loop = &loop,
                                .packages = fake_packages_reset(),
                                .installs = true,
                                .limits = run_limits_default(),
                                .register_more = conformance_register};
    MUST(mcp_server_new(&config, &server, NULL) == 0);
    route_count = 0;
    open_session();
    take_steps((struct span){(const char *)bytes, len});
    mcp_session_cancel_all(session);
    for (unsigned i = 0; i < fake_run_count; i++) {
        if (!fake_runs[i].done) {
            fake_end(i, &outcome);
        }
    }
    MUST(mcp_session_running(session) == 0);
    for (unsigned i = 0; i < route_count; i++) {
        MUST(!routes[i].is_open);
    }
    close_session();
    uv_run(&loop, UV_RUN_DEFAULT);
    mcp_server_free(server);
    return 0;
}
