/* What a client does, shown in one process: connect, call the tool, print its result. */
#include <unistd.h>

#include "base/fd.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "base/log.h"
#include "mcp/server.h"
#include "mcp/session.h"
#include "serve/core.h"

struct example {
    struct serve_core core;
    struct mcp_server *mcp;
    struct mcp_session *session;
    bool is_answered;
    bool has_failed;
};

static const char *const requests[] = {
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
    "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"example\",\"version\":\"1\"}}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"logging/"
    "setLevel\",\"params\":{\"level\":\"info\"}}",
    "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":"
    "\"run_python_code\",\"arguments\":{\"python_code\":\"import numpy\\n\\n"
    "a = numpy.arange(1, 7).reshape(2, 3)\\nprint(a)\\n(a @ a.T).tolist()\"}}}",
};

static void say(struct span text)
{
    if (fd_write_full(STDOUT_FILENO, text.base, text.len) == 0) {
        (void)fd_write_full(STDOUT_FILENO, "\n", 1);
    }
}

/* The text of a result's first content. */
static int append_text(struct buf *out, struct span result)
{
    struct span content;
    struct span key;
    struct span item;
    struct span text;
    if (!jtext_find(result, "content", &content)) {
        return -1;
    }
    struct jtext_cursor cursor = jtext_open(content);
    return jtext_next(&cursor, &key, &item) && jtext_find(item, "text", &text)
               ? jtext_string_decode(out, text)
               : -1;
}

static void show_result(struct example *example, struct span message)
{
    struct span result;
    struct span is_error;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_RESPONSE_BYTES_MAX);
    example->is_answered = true;
    example->has_failed =
        !jtext_find(message, "result", &result) || append_text(&text, result) != 0 ||
        (jtext_find(result, "isError", &is_error) && span_equal(is_error, span_of("true")));
    say(text.len > 0 ? buf_span(&text) : message);
}

static void on_send(void *context, const struct mcp_message *about, struct buf *json)
{
    struct example *example = context;
    struct span params;
    struct span value;
    struct span message = buf_span(json);
    if (about->kind == MCP_ANSWER && jtext_find(message, "id", &value) &&
        span_equal(value, span_of("3"))) {
        show_result(example, message);
    } else if (about->kind == MCP_NOTIFICATION && jtext_find(message, "params", &params) &&
               jtext_find(params, "data", &value)) {
        log_write(LOG_LEVEL_WARNING, "%.*s", (int)value.len, value.base);
    }
    buf_free(json);
}

static bool is_congested(void *context, void *route)
{
    (void)context;
    (void)route;
    return false;
}

static void on_idle(void *context)
{
    struct example *example = context;
    serve_core_end_after(&example->core, 0);
}

static unsigned running(void *context)
{
    const struct example *example = context;
    return mcp_session_running(example->session);
}

static void stop_all(void *context)
{
    struct example *example = context;
    mcp_session_stop_all(example->session);
}

static void cancel_all(void *context)
{
    struct example *example = context;
    mcp_session_cancel_all(example->session);
}

static void close_transport(void *context)
{
    struct example *example = context;
    serve_core_closed(&example->core);
}

static int start(struct example *example, const struct serve_config *config, struct err *err)
{
    struct serve_events serve = {.context = example,
                                 .needs_pool = true,
                                 .running = running,
                                 .stop_all = stop_all,
                                 .cancel_all = cancel_all,
                                 .close = close_transport};
    struct mcp_events events = {
        .context = example, .send = on_send, .is_congested = is_congested, .idle = on_idle};
    struct mcp_client client = {.number = 0};
    if (serve_core_start(&example->core, config, &serve, err) != 0) {
        return -1;
    }
    struct mcp_config mcp = {.loop = &example->core.loop,
                             .packages = example->core.packages,
                             .installs = config->packages.installs,
                             .limits = config->limits,
                             .return_mode = config->return_mode};
    if (mcp_server_new(&mcp, &example->mcp, err) != 0) {
        return -1;
    }
    example->session = mcp_session_new(example->mcp, &client, &events);
    return example->session == NULL ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

int serve_example(const struct serve_config *config, struct err *err)
{
    static struct example example;
    if (start(&example, config, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        mcp_session_receive(example.session, span_of(requests[i]), NULL);
    }
    int failed = serve_core_run(&example.core, err);
    mcp_session_free(example.session);
    mcp_server_free(example.mcp);
    uv_loop_close(&example.core.loop);
    if (failed == 0 && (example.has_failed || !example.is_answered)) {
        return err_set(err, ERR_USAGE, "the example did not succeed");
    }
    return failed;
}
