/* base: the buffer's maximum holds, errors carry their phrases, UTF-8 is judged as RFC 3629 has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/utf8.h"

static void buffer_stops_at_its_maximum(void **state)
{
    (void)state;
    cleanup_buf struct buf buf;
    buf_init(&buf, 1000);
    char block[400] = {0};
    assert_int_equal(buf_append(&buf, block, sizeof block), 0);
    assert_int_equal(buf_append(&buf, block, sizeof block), 0);
    assert_int_equal(buf_append(&buf, block, sizeof block), -1);
    assert_int_equal(buf.len, 800);
    assert_int_equal(buf_append(&buf, block, 200), 0);
    assert_int_equal(buf_append_char(&buf, 'x'), -1);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), -1);
    buf_consume(&buf, 999);
    assert_int_equal(buf.len, 1);
}

static void buffer_writes_little_endian(void **state)
{
    (void)state;
    cleanup_buf struct buf buf;
    buf_init(&buf, 100);
    buf_append_u32(&buf, 0x04030201u);
    buf_append_u64(&buf, 0x0807060504030201ull);
    assert_memory_equal(buf.base, "\1\2\3\4\1\2\3\4\5\6\7\10", 12);
}

static void errors_gain_phrases(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, ERR_LIMIT, "%d is too many", 7), -1);
    assert_int_equal(err_prefix(&err, "reading %s", "x"), -1);
    assert_string_equal(err.text, "reading x: 7 is too many");
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(err_set(NULL, ERR_LIMIT, "nobody listens"), -1);
}

static void utf8_is_strict(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "\xC2\x80", "\xE2\x82\xAC", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",         "\xC0\x80",     "\xC1\xBF",
                                      "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "\xF5",         "\xE2\x82",     "a\xFF"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(utf8_valid(span_of(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(utf8_valid(span_of(bad[i])));
    }
}

static void utf8_lossy_replaces_maximal_subparts(void **state)
{
    (void)state;
    cleanup_buf struct buf out;
    buf_init(&out, 100);
    assert_int_equal(utf8_append_lossy(&out, span_of("a\xE2\x82z\xF0\x80y")), 0);
    assert_int_equal(buf_append_char(&out, '\0'), 0);
    assert_string_equal(out.base, "a\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBDy");
}

/* What one message looks like on standard error. */
static void assert_log(const char *message, const char *line)
{
    int ends[2];
    char found[256];
    int saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_error("%s", message);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    ssize_t len = read(ends[0], found, sizeof found - 1);
    assert_true(len > 0);
    found[len] = '\0';
    assert_string_equal(found, line);
    close(ends[0]);
    close(ends[1]);
    close(saved);
}

static void log_lines_are_plain(void **state)
{
    (void)state;
    assert_log("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x8D",
               "vitrine: caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x8D\n");
    assert_log("a\nvitrine: forged\r\x1B[2J\x7F\t", "vitrine: a?vitrine: forged??[2J??\n");
    assert_log("\xC2\x9B[2J \xC2\x85 \xC2\xA0", "vitrine: ??[2J ?? \xC2\xA0\n");
    assert_log("\xE2\x80\xA8 \xE2\x80\xAE \xE2\x81\xA6 \xE2\x80\x8F \xD8\x9C",
               "vitrine: ??? ??? ??? ??? ??\n");
    assert_log("\xFF \x80 \xC3( \xE2\x82 \xED\xA0\x80 \xF0\x9F", "vitrine: ? ? ?( ?? ??? ??\n");
}

static void base64_is_read_as_it_is_written(void **state)
{
    (void)state;
    /* RFC 4648, section 10; and bytes that the two alphabets write differently. */
    static const struct {
        const char *bytes;
        const char *text;
        const char *url;
    } cases[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                 {"\xFB\xFF", "+/8=", "-_8"}};
    static const char *const bad[] = {"Z",    "Zg",    "Zg=",  "Zg===", "Zh==", "Zm9=",
                                      "Zm 9", "Zm9v=", "Z===", "====",  "-_8=", "Zg==Zg=="};
    static const char *const bad_url[] = {"Z", "Zh", "Zg=", "+/8", "Zm9v\n"};
    cleanup_buf struct buf out;
    buf_init(&out, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        assert_int_equal(base64_encode(&out, span_of(cases[i].bytes)), 0);
        assert_true(span_equal(buf_span(&out), span_of(cases[i].text)));
        buf_clear(&out);
        assert_int_equal(base64_encode_url(&out, span_of(cases[i].bytes)), 0);
        assert_true(span_equal(buf_span(&out), span_of(cases[i].url)));
        buf_clear(&out);
        assert_int_equal(base64_decode(&out, span_of(cases[i].text)), 0);
        assert_int_equal(base64_decode_url(&out, span_of(cases[i].url)), 0);
        assert_int_equal(out.len, 2 * strlen(cases[i].bytes));
        assert_memory_equal(out.base == NULL ? "" : out.base, cases[i].bytes, out.len / 2);
    }
    buf_clear(&out);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(base64_decode(&out, span_of(bad[i])), -1);
    }
    for (size_t i = 0; i < sizeof bad_url / sizeof *bad_url; i++) {
        assert_int_equal(base64_decode_url(&out, span_of(bad_url[i])), -1);
    }
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_stops_at_its_maximum),
        cmocka_unit_test(buffer_writes_little_endian),
        cmocka_unit_test(errors_gain_phrases),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(utf8_lossy_replaces_maximal_subparts),
        cmocka_unit_test(log_lines_are_plain),
        cmocka_unit_test(base64_is_read_as_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
