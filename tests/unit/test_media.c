/* base: what kind of data a file has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/media.h"

static void expect_type(const char *name, const char *bytes, size_t len, const char *type)
{
    assert_string_equal(media_type(span_of(name), (struct span){bytes, len}), type);
}

static void bytes_decide_first(void **state)
{
    (void)state;
    expect_type("a.txt", "\x89PNG\r\n\x1a\n....", 12, "image/png");
    expect_type("a", "RIFF....WEBPVP8 ", 16, "image/webp");
    expect_type("a", "........WEBP", 12, "text/plain");
    expect_type("a.csv", "%PDF-1.7\n", 9, "application/pdf");
    expect_type("a.xlsx", "PK\3\4....", 8,
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
    expect_type("a.txt", "PK\3\4....", 8, "application/zip");
    expect_type("a", "\x89PN", 3, "application/octet-stream");
}

static void then_the_name(void **state)
{
    (void)state;
    expect_type("a.csv", "x,y\n", 4, "text/csv");
    expect_type("dir.png/a.CSV", "x,y\n", 4, "text/csv");
    expect_type("a.csv", "\0\1\2", 3, "application/octet-stream");
    expect_type("a.json", "", 0, "application/json");
    expect_type("a.svg", "<svg/>", 6, "image/svg+xml");
    expect_type("a.npy", "\0\1\2", 3, "application/x-npy");
    expect_type("a.npy", "plain", 5, "text/plain");
    expect_type("a.unknown", "caf\xC3\xA9", 5, "text/plain");
    expect_type("a.", "", 0, "application/octet-stream");
    expect_type("", "", 0, "application/octet-stream");
    expect_type("csv", "\xff\xfe", 2, "application/octet-stream");
}

/* Only the beginning is looked at, and it may end within a character. */
static void long_texts_are_texts(void **state)
{
    (void)state;
    static char text[5000];
    for (size_t i = 0; i + 1 < sizeof text; i += 2) {
        text[i] = '\xC3';
        text[i + 1] = '\xA9';
    }
    expect_type("a", text, sizeof text, "text/plain");
    expect_type("a", text + 1, sizeof text - 1, "application/octet-stream");
    text[0] = 'a';
    text[1] = 'b';
    text[2] = 'c';
    text[3] = 'd';
    expect_type("a", text + 1, sizeof text - 1, "text/plain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_decide_first),
        cmocka_unit_test(then_the_name),
        cmocka_unit_test(long_texts_are_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
