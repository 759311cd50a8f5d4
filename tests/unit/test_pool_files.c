/* pool and cell together: files that a program is given, and files that it made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/limits.h"
#include "pool_fixture.h"

static void files_come_last(void **state)
{
    (void)state;
    const struct run_file files[] = {{"a.csv", span_of("1,2")}, {"b/c.txt", {0}}};
    pool_start("ok", 1, 1);
    struct run_request request = request_make("request");
    request.files = files;
    request.file_count = 2;
    request.wants_files = true;
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    (void)buf_append_char(&seen.out, '\0');
    assert_contains(seen.out.base, "20=1000\n21=16777216\n22=5 a.csv1,2\n22=7 b/c.txt\n");
    pool_end();
}

static void expect_refused(const struct run_file *files, size_t count, const char *text)
{
    struct run_request request = request_make("print a");
    struct seen seen;
    struct err err;
    request.files = files;
    request.file_count = count;
    seen_init(&seen);
    assert_int_equal(run_request_start(&request, &seen, &err), -1);
    assert_contains(err.text, text);
    seen_free(&seen);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    static char long_name[LIMIT_GIVEN_NAME_BYTES_MAX + 2];
    static char long_part[LIMIT_NAME_BYTES_MAX + 2];
    memset(long_name, 'a', sizeof long_name - 1);
    for (size_t i = 100; i < sizeof long_name - 1; i += 100) {
        long_name[i] = '/';
    }
    memset(long_part, 'a', sizeof long_part - 1);
    const char *const names[] = {
        "",     "/",   "/a",     "a/",    ".",    "..",      "a/..",    "../a",
        "a//b", "./a", "a/../b", "a/./b", "\xff", long_name, long_part,
    };
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct run_file file = {names[i], span_of("x")};
        expect_refused(&file, 1, "cannot be the name of a file");
    }
    const struct run_file twice[] = {{"a", {0}}, {"b", {0}}, {"a", {0}}};
    expect_refused(twice, 3, "exclude each other");
    const struct run_file below[] = {{"a/b", {0}}, {"a", {0}}};
    expect_refused(below, 2, "exclude each other");
    assert_next_run_is_clean();
    pool_end();
}

static void too_many_are_refused(void **state)
{
    (void)state;
    static struct run_file files[LIMIT_GIVEN_COUNT_MAX + 1];
    static char names[LIMIT_GIVEN_COUNT_MAX + 1][16];
    static char half[LIMIT_GIVEN_BYTES_MAX / 2 + 1];
    for (unsigned i = 0; i <= LIMIT_GIVEN_COUNT_MAX; i++) {
        snprintf(names[i], sizeof names[i], "f%u", i);
        files[i].name = names[i];
    }
    pool_start("ok", 1, 1);
    expect_refused(files, LIMIT_GIVEN_COUNT_MAX + 1, "257 files");
    files[0].bytes = files[1].bytes = (struct span){half, sizeof half};
    expect_refused(files, 2, "bytes together");
    pool_end();
}

static void made_files_are_told(void **state)
{
    (void)state;
    static const char code[] =
        "made a.csv x,y\nmade b\xff hello\nmade c.png \x89PNG\r\x1a\nmade-of "
        "200000\nvalue 1";
    pool_start("ok", 1, 1);
    struct run_request request = request_make(code);
    cleanup_seen struct seen seen;
    run_request_whole(&request, &seen);
    assert_string_equal(seen.files, "");
    seen_free(&seen);
    request.wants_files = true;
    run_request_whole(&request, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_contains(seen.files, "a.csv 3 text/csv x,y\n");
    assert_contains(seen.files, "b\xEF\xBF\xBD 5 text/plain hello\n");
    assert_contains(seen.files, "large.bin 200000 text/plain 200000 bytes\n");
    assert_int_equal(seen.outcome.files_left_out, 3);
    seen_free(&seen);
    request.made_bytes_max = 100;
    run_request_whole(&request, &seen);
    assert_contains(seen.files, "large.bin 200000 application/octet-stream -\n");
    pool_end();
}

static void forged_files_break_the_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        const char *text;
    } rows[] = {
        {"forge-made nameless", "a file that is none"},
        {"forge-made other-size", "a file that is none"},
        {"forge-made twice", "a file that is none"},
        {"forge-made large", "more files than its limit allows"},
        {"forge-made many", "more files than its limit allows"},
        {"forge-made too-much", "more of a file than there is"},
        {"forge-made data-alone", "bytes of a file where there is none"},
        {"forge-made other-frame", "something else in one"},
    };
    pool_start("ok", 1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_request request = request_make(rows[i].code);
        cleanup_seen struct seen seen;
        request.wants_files = true;
        run_request_whole(&request, &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_CRASH);
        assert_contains(seen.message, rows[i].text);
        assert_next_run_is_clean();
    }
    struct seen seen;
    run_whole("forge-made unasked", &seen);
    assert_contains(seen.message, "a file that nobody asked for");
    seen_free(&seen);
    assert_next_run_is_clean();
    pool_end();
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(files_come_last),
        pool_test(bad_names_are_refused),
        pool_test(too_many_are_refused),
        pool_test(made_files_are_told),
        pool_test(forged_files_break_the_protocol),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
