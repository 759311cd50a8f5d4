/*
 * JSON from outside: a client's messages and a guest's return values. The strict scanner must
 * agree with jansson about every text, what is written from an accepted text must be accepted
 * again and mean the same, and a session must survive any message.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../tests/unit/fake_packages.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "mcp/session.h"
#include "result/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Integers as doubles: jansson has none over 64 bits. */
static json_t *ask_jansson(struct span text)
{
    return json_loadb(
        text.base, text.len,
        JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
}

/* Where jansson knows less: NUL in keys, integers beyond a double; and where it takes too much: a
 * NUL byte after a number is the end of the text to it. */
static bool is_beyond_jansson(struct span text)
{
    unsigned digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        digits = text.base[i] >= '0' && text.base[i] <= '9' ? digits + 1 : 0;
        if (digits > 300) {
            return true;
        }
    }
    return memmem(text.base, text.len, "\\u0000", 6) != NULL ||
           (text.len > 0 && memchr(text.base, '\0', text.len) != NULL);
}

static void compare_writing(struct span value, json_t *meaning)
{
    int (*const writers[])(struct buf *, struct span) = {jtext_append_compact,
                                                         jtext_append_indented};
    for (size_t i = 0; i < 2; i++) {
        cleanup_buf struct buf text;
        buf_init(&text, 64 * MIB);
        MUST(writers[i](&text, value) == 0);
        json_t *again = ask_jansson(buf_span(&text));
        MUST(again != NULL && json_equal(again, meaning));
        json_decref(again);
    }
}

static void compare_scanner(struct span text)
{
    struct span value;
    struct err err;
    int refused = jtext_check(text, JTEXT_STRICT, &value, &err);
    json_t *meaning = ask_jansson(text);
    if (refused != 0) {
        MUST(meaning == NULL || err.code == ERR_LIMIT || is_beyond_jansson(text));
    } else if (!is_beyond_jansson(text)) {
        MUST(meaning != NULL);
        compare_writing(value, meaning);
    }
    json_decref(meaning);
}

/* As a guest's value, and as what a program prints. */
static void render(struct span text)
{
    struct transcript transcript;
    struct result result;
    cleanup_buf struct buf out;
    buf_init(&out, 64 * MIB);
    transcript_init(&transcript, 4096);
    transcript_add(&transcript, RUN_STDERR, text);
    transcript_add(&transcript, RUN_STDOUT, text);
    transcript_finish(&transcript);
    struct outcome outcome = {.value_json = text};
    result_open(&result, &outcome, &transcript);
    MUST(result_append_structured(&out, &result) == 0);
    struct span value;
    MUST(jtext_check(buf_span(&out), JTEXT_STRICT, &value, NULL) == 0);
    buf_clear(&out);
    MUST(result_append_text(&out, RESULT_XML, &result) == 0);
    /* The element that was opened first is closed once, by us. */
    static const char end[] = "</output>";
    char *first = memmem(out.base, out.len, end, sizeof end - 1);
    if (transcript.order.len > 0) {
        MUST(first != NULL);
        size_t rest = out.len - (size_t)(first + 1 - out.base);
        char *second = memmem(first + 1, rest, end, sizeof end - 1);
        char *last = memmem(first + 1, rest, "\n<return_value>\n", 16);
        MUST(second == NULL || (last != NULL && second > last));
    }
    transcript_free(&transcript);
}

static void drop_message(void *context, const struct mcp_message *about, struct buf *message)
{
    (void)about;
    (void)context;
    struct span value;
    MUST(jtext_check(buf_span(message), JTEXT_STRICT, &value, NULL) == 0);
    MUST(memchr(message->base, '\n', message->len) == NULL);
    buf_free(message);
}

static bool never_congested(void *context, void *route)
{
    (void)route;
    (void)context;
    return false;
}

static void ignore_idle(void *context)
{
    (void)context;
}

static void receive(uv_loop_t *loop, struct span text)
{
    struct mcp_config config = {.loop = loop,
                                .packages = fake_packages_reset(),
                                .installs = true,
                                .limits = run_limits_default()};
    struct mcp_events events = {
        .send = drop_message, .is_congested = never_congested, .idle = ignore_idle};
    struct mcp_client client = {.number = 0};
    struct mcp_server *server;
    MUST(mcp_server_new(&config, &server, NULL) == 0);
    struct mcp_session *session = mcp_session_new(server, &client, &events);
    static const char batches[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
        "\"protocolVersion\":\"2025-03-26\"}}";
    mcp_session_receive(session, text, NULL);
    mcp_session_receive(session, span_of(batches), NULL);
    mcp_session_receive(session, text, NULL);
    for (unsigned i = 0; i < fake_run_count; i++) {
        struct outcome outcome = {.status = OUTCOME_CRASH};
        fake_install(i, true);
        fake_log(i, PACKAGES_WARNING, "x");
        fake_print(i, RUN_STDOUT, "x\n");
        fake_end(i, &outcome);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    mcp_session_free(session);
    mcp_server_free(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uv_loop_t loop;
    static bool has_loop;
    if (!has_loop) {
        uv_loop_init(&loop);
        has_loop = true;
    }
    struct span text = {(const char *)bytes, len};
    compare_scanner(text);
    render(text);
    if (len < 3000) { /* what the stand-in for the pool can keep */
        receive(&loop, text);
    }
    return 0;
}
