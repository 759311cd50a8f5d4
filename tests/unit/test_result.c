/* result: the text that mcp-run-python's clients know, JSON that is always valid, and text that
 * cannot leave its element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/limits.h"
#include "result/escape.h"
#include "result/render.h"
#include "wire/wire.h"

struct fixture {
    struct transcript transcript;
    struct buf out;
};

static void open_fixture(struct fixture *f)
{
    transcript_init(&f->transcript, 1000);
    buf_init(&f->out, 1 << 20);
}

static void close_fixture(struct fixture *f)
{
    transcript_free(&f->transcript);
    buf_free(&f->out);
}

static void print(struct fixture *f, enum run_stream stream, const char *text)
{
    transcript_add(&f->transcript, stream, span_of(text));
}

static const char *text_of(struct fixture *f, enum result_mode mode, const struct outcome *outcome)
{
    struct result result;
    transcript_finish(&f->transcript);
    result_open(&result, outcome, &f->transcript);
    buf_clear(&f->out);
    assert_int_equal(result_append_text(&f->out, mode, &result), 0);
    assert_int_equal(buf_append_char(&f->out, '\0'), 0);
    return f->out.base;
}

/* Structured content as jansson reads it; the caller owns it. */
static json_t *structured_of(struct fixture *f, const struct outcome *outcome)
{
    struct result result;
    transcript_finish(&f->transcript);
    result_open(&result, outcome, &f->transcript);
    buf_clear(&f->out);
    assert_int_equal(result_append_structured(&f->out, &result), 0);
    json_t *value =
        json_loadb(f->out.base, f->out.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    return value;
}

static void success_has_output_and_value(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    print(&f, RUN_STDOUT, "x=");
    print(&f, RUN_STDERR, "warn\n");
    print(&f, RUN_STDOUT, "4\nrest");
    struct outcome outcome = {.value_json = span_of("{\"a\":[1,0.1]}")};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>success</status>\n<output>\nwarn\nx=4\nrest\n</output>\n"
                        "<return_value>\n{\n  \"a\": [\n    1,\n    0.1\n  ]\n}\n</return_value>");
    assert_string_equal(text_of(&f, RESULT_JSON, &outcome),
                        "{\"status\":\"success\",\"output\":[\"warn\",\"x=4\",\"rest\"],"
                        "\"return_value\":{\"a\":[1,0.1]}}");
    close_fixture(&f);
}

static void empty_parts_are_left_out(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct outcome none = {0};
    assert_string_equal(text_of(&f, RESULT_XML, &none), "<status>success</status>");
    assert_string_equal(text_of(&f, RESULT_JSON, &none),
                        "{\"status\":\"success\",\"output\":[],\"return_value\":null}");
    struct outcome text = {.value_json = span_of("\"foo\\nbar\"")};
    assert_string_equal(text_of(&f, RESULT_XML, &text),
                        "<status>success</status>\n<return_value>\nfoo\nbar\n</return_value>");
    print(&f, RUN_STDOUT, "\n");
    assert_string_equal(text_of(&f, RESULT_XML, &none),
                        "<status>success</status>\n<output>\n\n</output>");
    close_fixture(&f);
}

static void errors_keep_their_traceback(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct outcome outcome = {.status = OUTCOME_RUN_ERROR,
                              .exit_code = 1,
                              .error_type = span_of("NameError"),
                              .error_message = span_of("name 'x' is not defined"),
                              .error_traceback = span_of("Traceback ...\nNameError: x\n"),
                              .error_line = 3};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>run-error</status>\n<error>\nTraceback ...\nNameError: x\n\n"
                        "</error>");
    assert_string_equal(text_of(&f, RESULT_JSON, &outcome),
                        "{\"status\":\"run-error\",\"output\":[],"
                        "\"error\":\"Traceback ...\\nNameError: x\\n\"}");
    json_t *content = structured_of(&f, &outcome);
    json_t *error = json_object_get(content, "error");
    assert_string_equal(json_string_value(json_object_get(error, "type")), "NameError");
    assert_int_equal(json_integer_value(json_object_get(error, "line")), 3);
    json_decref(content);
    close_fixture(&f);
}

static void limits_on_the_way_are_told(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct outcome outcome = {.value_json = span_of("1"),
                              .limits = WIRE_LIMIT_OPEN_FILES | WIRE_LIMIT_RECURSION,
                              .limits_text = span_of("one\ntwo </limits>")};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>success</status>\n<return_value>\n1\n</return_value>\n"
                        "<limits>\none\ntwo &lt;/limits&gt;\n</limits>");
    assert_string_equal(text_of(&f, RESULT_JSON, &outcome),
                        "{\"status\":\"success\",\"output\":[],\"return_value\":1,"
                        "\"limits\":[\"one\",\"two </limits>\"]}");
    outcome.status = OUTCOME_RUN_ERROR;
    outcome.error_traceback = span_of("E\n");
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>run-error</status>\n<error>\nE\n\n</error>\n"
                        "<limits>\none\ntwo &lt;/limits&gt;\n</limits>");
    close_fixture(&f);
}

#define BROKEN "[image/png, left out: its bytes are no such picture]"

static void displays_stand_between_the_lines(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    print(&f, RUN_STDOUT, "a\n");
    print(&f, RUN_DISPLAY, "{ \"text/plain\" : \"x\\ny\", \"text/html\":\"<b>\"}");
    print(&f, RUN_DISPLAY, "{\"image/png\":\"iVBO\"}");
    print(&f, RUN_DISPLAY, "{\"text/html\":\"<i>\"}");
    print(&f, RUN_DISPLAY, "{\"text/html\":\"<u>\",\"of\":\"return_value\"}");
    print(&f, RUN_STDOUT, "b\n");
    struct outcome outcome = {0};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>success</status>\n<output>\na\nx\ny\n" BROKEN
                        "\n[text/html]\nb\n</output>");
    assert_string_equal(text_of(&f, RESULT_JSON, &outcome),
                        "{\"status\":\"success\",\"output\":[\"a\",\"x\\ny\",\"" BROKEN "\","
                        "\"[text/html]\",\"b\"],\"return_value\":null}");
    json_t *content = structured_of(&f, &outcome);
    assert_string_equal(json_string_value(json_object_get(content, "stdout")), "a\nb\n");
    json_t *output = json_object_get(content, "output");
    static const char *const rows[][2] = {{"stdout", "a\n"},
                                          {"display", "x\ny"},
                                          {"display", BROKEN},
                                          {"display", "[text/html]"},
                                          {"stdout", "b\n"}};
    assert_int_equal(json_array_size(output), 5);
    for (size_t i = 0; i < 5; i++) {
        json_t *item = json_array_get(output, i);
        assert_string_equal(json_string_value(json_object_get(item, "stream")), rows[i][0]);
        assert_string_equal(json_string_value(json_object_get(item, "text")), rows[i][1]);
    }
    json_t *display = json_object_get(content, "display");
    assert_int_equal(json_array_size(display), 4);
    json_t *first = json_array_get(display, 0);
    assert_int_equal(json_object_size(first), 2);
    assert_string_equal(json_string_value(json_object_get(first, "text/html")), "<b>");
    json_decref(content);
    close_fixture(&f);
}

/* What a guest writes past its runner: never more than JSON objects of texts comes through. */
static void displays_that_are_none_are_left_out(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "x",
        "{}",
        "[]",
        "null",
        "\"text\"",
        "{\"text/plain\":1}",
        "{\"text/plain\":{\"a\":\"b\"}}",
        "{\"text/plain\":\"a\"} {}",
        "{\"text/plain\":\"a\",\"text/plain\":\"b\"}",
        "{\"text/plain\":\"\xFF\"}",
        "{\"text/plain\":\"\\ud800\"}",
        "{\"text/plain\":\"a\nb\"}",
    };
    struct fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print(&f, RUN_DISPLAY, rows[i]);
    }
    struct outcome outcome = {0};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome), "<status>success</status>");
    json_t *content = structured_of(&f, &outcome);
    assert_null(json_object_get(content, "display"));
    assert_int_equal(json_array_size(json_object_get(content, "output")), 0);
    json_decref(content);
    close_fixture(&f);
}

static void installed_packages_are_listed(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    print(&f, RUN_STDOUT, "x\n");
    static const struct outcome_package packages[] = {{"numpy", "2.4.3", "aa"},
                                                      {"evil</dependencies>\"", "1", "bb"}};
    struct outcome outcome = {.packages = packages, .package_count = 2, .install_us = 2500};
    assert_string_equal(
        text_of(&f, RESULT_XML, &outcome),
        "<status>success</status>\n<dependencies>[\"numpy\","
        "\"evil&lt;/dependencies&gt;\\\"\"]</dependencies>\n<output>\nx\n</output>");
    assert_string_equal(text_of(&f, RESULT_JSON, &outcome),
                        "{\"status\":\"success\",\"dependencies\":[\"numpy\","
                        "\"evil</dependencies>\\\"\"],\"output\":[\"x\"],\"return_value\":null}");
    json_t *content = structured_of(&f, &outcome);
    json_t *first = json_array_get(json_object_get(content, "dependencies"), 0);
    assert_int_equal(json_object_size(first), 3);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "numpy");
    assert_string_equal(json_string_value(json_object_get(first, "version")), "2.4.3");
    assert_string_equal(json_string_value(json_object_get(first, "sha256")), "aa");
    assert_null(json_object_get(content, "install_log"));
    json_t *timings = json_object_get(content, "timings");
    assert_float_equal(json_real_value(json_object_get(timings, "install_ms")), 2.5, 1e-9);
    json_decref(content);
    close_fixture(&f);
}

static void failed_installations_have_their_log(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct outcome outcome = {.status = OUTCOME_INSTALL_ERROR,
                              .exit_code = 125,
                              .error_message = span_of("there is no numpi"),
                              .install_log = span_of("one\n</error>\n")};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>install-error</status>\n<error>\none\n&lt;/error&gt;\n"
                        "there is no numpi\n</error>");
    assert_string_equal(text_of(&f, RESULT_JSON, &outcome),
                        "{\"status\":\"install-error\",\"output\":[],"
                        "\"error\":\"one\\n</error>\\nthere is no numpi\"}");
    json_t *content = structured_of(&f, &outcome);
    assert_string_equal(json_string_value(json_object_get(content, "install_log")),
                        "one\n</error>\n");
    json_t *error = json_object_get(content, "error");
    assert_string_equal(json_string_value(json_object_get(error, "message")), "there is no numpi");
    assert_int_equal(json_array_size(json_object_get(content, "dependencies")), 0);
    json_decref(content);
    outcome.install_log = span_of("one\nthere is no numpi\n");
    assert_string_equal(
        text_of(&f, RESULT_XML, &outcome),
        "<status>install-error</status>\n<error>\none\nthere is no numpi\n</error>");
    outcome.install_log = span_of("there is no numpi");
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>install-error</status>\n<error>\nthere is no numpi\n</error>");
    outcome.install_log = span_of("so there is no numpi");
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>install-error</status>\n<error>\nso there is no numpi\n"
                        "there is no numpi\n</error>");
    cleanup_buf struct buf log;
    buf_init(&log, 1 << 20);
    while (log.len < 2 * LIMIT_INSTALL_LOG_TEXT_BYTES) {
        buf_append_text(&log, "a line of some length\n");
    }
    outcome.install_log = buf_span(&log);
    const char *text = text_of(&f, RESULT_XML, &outcome);
    static const char head[] = "<status>install-error</status>\n<error>\na line of";
    assert_memory_equal(text, head, sizeof head - 1);
    assert_in_range(strlen(text), LIMIT_INSTALL_LOG_TEXT_BYTES, LIMIT_INSTALL_LOG_TEXT_BYTES + 100);
    outcome.install_log = (struct span){NULL, 0};
    outcome.error_message = (struct span){NULL, 0};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>install-error</status>\n<error>\n"
                        "Packages could not be installed.\n</error>");
    json_decref(structured_of(&f, &outcome));
    close_fixture(&f);
}

static void structured_content_is_complete(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    print(&f, RUN_STDOUT, "a\nb\n");
    print(&f, RUN_STDERR, "c\n");
    print(&f, RUN_STDOUT, "d");
    struct outcome outcome = {.status = OUTCOME_LIMIT,
                              .exit_code = 124,
                              .limits = WIRE_LIMIT_TIME | WIRE_LIMIT_OUTPUT,
                              .output_truncated = true,
                              .value_json = span_of("123456789012345678"),
                              .wall_us = 1500,
                              .memory_bytes = 42};
    json_t *content = structured_of(&f, &outcome);
    assert_string_equal(json_string_value(json_object_get(content, "stdout")), "a\nb\nd");
    assert_string_equal(json_string_value(json_object_get(content, "stderr")), "c\n");
    json_t *output = json_object_get(content, "output");
    assert_int_equal(json_array_size(output), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(output, 0), "text")),
                        "a\nb\n");
    assert_string_equal(json_string_value(json_object_get(json_array_get(output, 1), "stream")),
                        "stderr");
    json_t *limits = json_object_get(content, "limits");
    assert_int_equal(json_array_size(limits), 2);
    assert_string_equal(json_string_value(json_array_get(limits, 0)), "time");
    assert_true(json_is_true(json_object_get(json_object_get(content, "truncated"), "stdout")));
    json_t *timings = json_object_get(content, "timings");
    assert_float_equal(json_real_value(json_object_get(timings, "wall_ms")), 1.5, 1e-9);
    json_decref(content);
    json_t *schema = json_loads(result_schema_json, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(schema);
    json_decref(schema);
    close_fixture(&f);
}

static void the_schema_names_every_limit(void **state)
{
    (void)state;
    json_t *schema = json_loads(result_schema_json, JSON_REJECT_DUPLICATES, NULL);
    json_t *limits = json_object_get(json_object_get(schema, "properties"), "limits");
    const char *words = json_string_value(json_object_get(limits, "description"));
    assert_non_null(words);
    for (size_t i = 0; i < outcome_limit_count; i++) {
        assert_non_null(strstr(words, outcome_limits[i].name));
    }
    json_decref(schema);
}

static void hostile_values_stay_valid(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    static const char *const values[] = {
        "NaN", "{\"a\":", "1}", "", "\"\\ud800\"", "[1e400]", "{\"a\":1,\"a\":2}", "\"\xFF\""};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct outcome outcome = {.value_json = span_of(values[i])};
        json_decref(structured_of(&f, &outcome));
        text_of(&f, RESULT_XML, &outcome);
    }
    struct outcome broken = {.value_json = span_of("{\"a\":")};
    json_t *content = structured_of(&f, &broken);
    assert_string_equal(json_string_value(json_object_get(content, "return_value_note")),
                        "invalid");
    json_decref(content);
    close_fixture(&f);
}

static void deep_values_do_not_explode(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    cleanup_buf struct buf value;
    buf_init(&value, 1 << 20);
    for (unsigned i = 0; i < 500; i++) {
        buf_append_char(&value, '[');
    }
    for (unsigned i = 0; i < 100000; i++) {
        buf_append_text(&value, i == 0 ? "0" : ",0");
    }
    for (unsigned i = 0; i < 500; i++) {
        buf_append_char(&value, ']');
    }
    struct outcome outcome = {.value_json = buf_span(&value)};
    assert_true(strlen(text_of(&f, RESULT_XML, &outcome)) < 300000);
    close_fixture(&f);
}

static void characters_cut_in_two_are_joined(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    print(&f, RUN_STDOUT, "\xE2\x82");
    print(&f, RUN_STDERR, "\xFF!\n");
    print(&f, RUN_STDOUT, "\xAC\n");
    struct outcome outcome = {0};
    assert_string_equal(text_of(&f, RESULT_XML, &outcome),
                        "<status>success</status>\n<output>\n\xEF\xBF\xBD!\n\xE2\x82\xAC\n"
                        "</output>");
    json_decref(structured_of(&f, &outcome));
    close_fixture(&f);
}

static void transcripts_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    for (unsigned i = 0; i < 3000; i++) {
        print(&f, RUN_STDOUT, "\n");
    }
    assert_int_equal(f.transcript.bytes[RUN_STDOUT].len, 1000);
    assert_int_equal(f.transcript.order.len, 1000);
    struct outcome outcome = {0};
    json_t *content = structured_of(&f, &outcome);
    assert_true(json_is_true(json_object_get(json_object_get(content, "truncated"), "stdout")));
    json_decref(content);
    close_fixture(&f);
}

static void assert_escaped(const char *in, const char *out)
{
    cleanup_buf struct buf text;
    buf_init(&text, 10000);
    assert_int_equal(escape_append(&text, "output", span_of(in)), 0);
    assert_int_equal(buf_append_char(&text, '\0'), 0);
    assert_string_equal(text.base, out);
}

static void only_the_enclosing_tag_is_changed(void **state)
{
    (void)state;
    assert_escaped("a < b && c > d <error> <b>", "a < b && c > d <error> <b>");
    assert_escaped("<status>success</status>", "<status>success</status>");
    assert_escaped("x</output><status>s</status>", "x&lt;/output&gt;<status>s</status>");
    assert_escaped("</ OUTPUT >", "&lt;/ OUTPUT &gt;");
    assert_escaped("< / Output", "&lt; / Output");
    assert_escaped("<\n/output>", "&lt;\n/output&gt;");
    assert_escaped("<output a='<b'>\n>", "&lt;output a='&lt;b'&gt;\n>");
    assert_escaped("<output\n>", "&lt;output\n>");
    assert_escaped("<</output", "<&lt;/output");
    assert_escaped("</out\xE2\x80\x8Bput>", "&lt;/out\xE2\x80\x8Bput&gt;");
    assert_escaped("<\xC2\xA0/\x01output>", "&lt;\xC2\xA0/\x01output&gt;");
    assert_escaped("</outpu", "</outpu");
    assert_escaped("</out put>", "</out put>");
}

static void escaping_is_linear(void **state)
{
    (void)state;
    cleanup_buf struct buf in;
    cleanup_buf struct buf out;
    buf_init(&in, 1 << 23);
    buf_init(&out, 1 << 26);
    while (buf_append_text(&in, "<output") == 0) {
    }
    assert_int_equal(escape_append(&out, "output", buf_span(&in)), 0);
    assert_null(memchr(out.base, '<', out.len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_has_output_and_value),
        cmocka_unit_test(empty_parts_are_left_out),
        cmocka_unit_test(errors_keep_their_traceback),
        cmocka_unit_test(limits_on_the_way_are_told),
        cmocka_unit_test(displays_stand_between_the_lines),
        cmocka_unit_test(displays_that_are_none_are_left_out),
        cmocka_unit_test(installed_packages_are_listed),
        cmocka_unit_test(failed_installations_have_their_log),
        cmocka_unit_test(structured_content_is_complete),
        cmocka_unit_test(the_schema_names_every_limit),
        cmocka_unit_test(hostile_values_stay_valid),
        cmocka_unit_test(deep_values_do_not_explode),
        cmocka_unit_test(characters_cut_in_two_are_joined),
        cmocka_unit_test(transcripts_are_bounded),
        cmocka_unit_test(only_the_enclosing_tag_is_changed),
        cmocka_unit_test(escaping_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
