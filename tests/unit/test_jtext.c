/* jtext: what is accepted, what is refused, and that values come out as they went in. The library
 * jansson, which had no part in it, is asked about every text as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/jtext.h"
#include "base/limits.h"

static int check(const char *text, size_t len)
{
    struct span value;
    struct err err;
    return jtext_check((struct span){text, len}, JTEXT_STRICT, &value, &err);
}

static int ask_jansson(const char *text, size_t len)
{
    json_t *value =
        json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_decref(value);
    return value == NULL ? -1 : 0;
}

static const char *const good[] = {
    "null",
    " true ",
    "false",
    "0",
    "-0",
    "-1.5e+3",
    "1E5",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\xF0\x9F\x98\x80\"",
    "[]",
    "[[],[[]]]",
    "{}",
    "{\"\":0}",
    "{\"a\":1,\"b\":{\"a\":2}}",
    "[{\"a\":1},{\"a\":1}]",
    "\r\n\t [1 , 2]\n",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
};

static const char *const bad[] = {
    "",
    " ",
    "nul",
    "nullx",
    "True",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "+1",
    "0x1",
    "1 2",
    "NaN",
    "Infinity",
    "-Infinity",
    "'a'",
    "\"",
    "\"\\\"",
    "\"\\x41\"",
    "\"\\u12\"",
    "\"\\u12G4\"",
    "\"\n\"",
    "\"\x01\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800\\ud800\"",
    "[",
    "]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"x\":{\"b\":1,\"a\":1,\"b\":1}}",
    "1e999",
    "-1e999",
    "[1]]",
    "\xEF\xBB\xBF{}",
    "\"\xFF\"",
    "\"\xED\xA0\x80\"",
    "\"\xC0\x80\"",
    "// c\n1",
    "[1]x",
    "\"a\"\"b\"",
};

static void grammar_is_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(check(good[i], strlen(good[i])), 0);
        assert_int_equal(ask_jansson(good[i], strlen(good[i])), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(check(bad[i], strlen(bad[i])), -1);
        assert_int_equal(ask_jansson(bad[i], strlen(bad[i])), -1);
    }
    assert_int_equal(check("\"a\0b\"", 5), -1);
    assert_int_equal(check("1\0", 2), -1);
}

static void limits_hold(void **state)
{
    (void)state;
    static char deep[2 * (LIMIT_JSON_DEPTH_MAX + 1)];
    memset(deep, '[', LIMIT_JSON_DEPTH_MAX + 1);
    memset(deep + LIMIT_JSON_DEPTH_MAX + 1, ']', LIMIT_JSON_DEPTH_MAX + 1);
    assert_int_equal(check(deep, sizeof deep), -1);
    assert_int_equal(check(deep + 1, sizeof deep - 2), 0);
    size_t million = 1000000;
    char *levels = malloc(million);
    assert_non_null(levels);
    memset(levels, '[', million);
    assert_int_equal(check(levels, million), -1);
    memset(levels, '9', million);
    assert_int_equal(check(levels, million), -1);
    assert_int_equal(check(levels, LIMIT_JSON_NUMBER_CHARS_MAX), 0);
    free(levels);
}

static void too_many_keys_are_refused(void **state)
{
    (void)state;
    cleanup_buf struct buf text;
    buf_init(&text, 64 * MIB);
    buf_append_char(&text, '{');
    for (unsigned i = 0; i < 200000; i++) {
        buf_append_format(&text, "%s\"%u\":0", i == 0 ? "" : ",", i);
    }
    assert_int_equal(check(text.base, text.len), -1); /* not closed yet */
    buf_append_char(&text, '}');
    assert_int_equal(check(text.base, text.len), 0);
    text.len--;
    for (unsigned i = 200000; i < LIMIT_JSON_KEYS_MAX + 1; i++) {
        buf_append_format(&text, ",\"%u\":0", i);
    }
    buf_append_char(&text, '}');
    assert_int_equal(check(text.base, text.len), -1);
}

static void members_are_found_in_place(void **state)
{
    (void)state;
    struct span text = span_of(" { \"a\" : [1, {\"x\":\"]}\"}] ,\"\\u0062\":\"q\\\"\\\\\" , "
                               "\"n\":123456789012345678901234567890,\"last\":null } ");
    struct span object;
    assert_int_equal(jtext_check(text, JTEXT_STRICT, &object, NULL), 0);
    struct span value;
    assert_true(jtext_find(object, "a", &value));
    assert_true(span_equal(value, span_of("[1, {\"x\":\"]}\"}]")));
    assert_true(jtext_find(object, "b", &value));
    assert_true(jtext_string_is(value, "q\"\\"));
    assert_false(jtext_string_is(value, "q\"\\x"));
    assert_false(jtext_string_is(value, "q\""));
    assert_true(jtext_find(object, "n", &value));
    assert_true(span_equal(value, span_of("123456789012345678901234567890")));
    assert_true(jtext_is_integer(value));
    assert_true(jtext_find(object, "last", &value));
    assert_int_equal(jtext_type(value), JTEXT_NULL);
    assert_false(jtext_find(object, "x", &value));
    assert_true(jtext_string_equal(span_of("\"\\u0041\""), span_of("\"A\"")));
    assert_false(jtext_string_equal(span_of("\"A\""), span_of("\"AB\"")));
}

static void assert_written(int (*write)(struct buf *, struct span), const char *in, const char *out)
{
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, 10000);
    assert_int_equal(jtext_check(span_of(in), JTEXT_LONE_SURROGATES, &value, NULL), 0);
    assert_int_equal(write(&text, value), 0);
    buf_append_char(&text, '\0');
    assert_string_equal(text.base, out);
}

static void values_are_written_as_they_were(void **state)
{
    (void)state;
    assert_written(jtext_append_compact, " { \"a\" : [ 1.10 , 1e5,-0.0 ] , \"b\" : { } } ",
                   "{\"a\":[1.10,1e5,-0.0],\"b\":{}}");
    assert_written(jtext_append_compact, "[\"\\u00e9\\/\\ud83d\\ude00\", \"\\ud800\"]",
                   "[\"\xC3\xA9/\xF0\x9F\x98\x80\",\"\xEF\xBF\xBD\"]");
    assert_written(jtext_append_compact, "\"\\u2028\\u0085\\u0000\\u007f\\n\"",
                   "\"\\u2028\\u0085\\u0000\\u007f\\n\"");
    assert_written(jtext_append_indented, "[1,[],{},[{\"a\":true,\"b\":[0.1]}]]",
                   "[\n  1,\n  [],\n  {},\n  [\n    {\n      \"a\": true,\n      \"b\": [\n"
                   "        0.1\n      ]\n    }\n  ]\n]");
    assert_written(jtext_append_indented, "\"{,}\"", "\"{,}\"");
}

static void any_bytes_become_a_string(void **state)
{
    (void)state;
    cleanup_buf struct buf text;
    buf_init(&text, 1 << 20);
    for (unsigned seed = 0; seed < 200; seed++) {
        char bytes[64];
        srand(seed);
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (char)(rand() % 256);
        }
        buf_clear(&text);
        assert_int_equal(jtext_append_string(&text, (struct span){bytes, sizeof bytes}), 0);
        assert_int_equal(check(text.base, text.len), 0);
        assert_int_equal(ask_jansson(text.base, text.len), 0);
        assert_null(memchr(text.base, '\n', text.len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar_is_strict),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(too_many_keys_are_refused),
        cmocka_unit_test(members_are_found_in_place),
        cmocka_unit_test(values_are_written_as_they_were),
        cmocka_unit_test(any_bytes_become_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
