/* cli: options from arguments and environment, what is said of them, and bytes made safe for a
 * terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/usage.h"

static struct options options;
static struct err err;

enum { ARGS_MAX = 16 };

/* Parses a command line given as words; returns options_parse's result. */
static int parse(const char *const *words)
{
    static char *argv[ARGS_MAX + 1];
    int argc = 0;
    while (words[argc] != NULL) {
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    argv[argc] = NULL;
    return options_parse(argc, argv, &options, &err);
}
#define PARSE(...) parse((const char *const[]){"vitrine", __VA_ARGS__, NULL})

static void options_have_defaults(void **state)
{
    (void)state;
    assert_int_equal(PARSE("run", "x.py"), 0);
    assert_int_equal(options.command, COMMAND_RUN);
    assert_int_equal(options.limits.wall_ms, LIMIT_WALL_MS_DEFAULT);
    assert_int_equal(options.operand_count, 1);
    assert_string_equal(options.operands[0], "x.py");
    assert_null(options.operands[1]);
    /* The texts of the table are the limits' own numbers. */
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        uint64_t number = 0;
        if (row->kind == OPTION_BYTES) {
            assert_int_equal(option_parse_bytes(row->default_text, &number), 0);
        } else if (row->kind == OPTION_DURATION) {
            assert_int_equal(option_parse_duration(row->default_text, &number), 0);
        } else if (row->kind == OPTION_COUNT) {
            number = strtoull(row->default_text, NULL, 10);
        } else {
            continue;
        }
        uint64_t actual;
        memcpy(&actual, (char *)&options + row->offset, sizeof actual);
        assert_int_equal(number, actual);
        assert_true(number >= row->min && number <= row->max);
    }
}

static void measures_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } bytes[] = {{"0", 0},       {"4096", 4096},      {"64K", 65536},
                 {"1.5k", 1536}, {"512M", 512 * MIB}, {"1GiB", GIB}},
      times[] = {{"1", 1000},    {"1.5", 1500},   {"500ms", 500},
                 {"2m", 120000}, {"1h", 3600000}, {"0.001", 1}};
    static const char *const bad[] = {"",     "x",   "-1",  "1x",    "1 s",
                                      "0x10", "inf", "nan", "1e400", "99999999999999999999",
                                      " 1",   "+1"};
    uint64_t value;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        assert_int_equal(option_parse_bytes(bytes[i].text, &value), 0);
        assert_int_equal(value, bytes[i].value);
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        assert_int_equal(option_parse_duration(times[i].text, &value), 0);
        assert_int_equal(value, times[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(option_parse_bytes(bad[i], &value), -1);
        assert_int_equal(option_parse_duration(bad[i], &value), -1);
    }
}

static void arguments_of_the_program_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(PARSE("run", "--timeout", "5", "x.py", "--timeout", "-v", "--", "a"), 0);
    assert_int_equal(options.limits.wall_ms, 5000);
    assert_int_equal(options.operand_count, 5);
    assert_string_equal(options.operands[1], "--timeout");
    assert_int_equal(options.verbosity, 0);
    assert_int_equal(PARSE("run", "-c", "print(1)", "--json", "--", "-x"), 0);
    assert_string_equal(options.code, "print(1)");
    assert_true(options.json);
    assert_int_equal(options.operand_count, 1);
    assert_string_equal(options.operands[0], "-x");
    assert_int_equal(PARSE("run", "-"), 0);
    assert_string_equal(options.operands[0], "-");
}

static void lists_and_levels_add_up(void **state)
{
    (void)state;
    assert_int_equal(PARSE("run", "--env", "A=1", "--env=B=", "-vv", "x"), 0);
    assert_int_equal(options.env_count, 2);
    assert_string_equal(options.env[0], "A=1");
    assert_string_equal(options.env[1], "B=");
    assert_null(options.env[2]);
    assert_int_equal(options.verbosity, 2);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_int_equal(parse((const char *const[]){"vitrine", NULL}), -1);
    assert_int_equal(PARSE("fly"), -1);
    assert_non_null(strstr(err.text, "fly"));
    assert_int_equal(PARSE("run", "--nonsense", "x"), -1);
    assert_non_null(strstr(err.text, "--nonsense"));
    assert_int_equal(PARSE("run", "-z", "x"), -1);
    assert_non_null(strstr(err.text, "-z"));
    assert_int_equal(PARSE("run", "--timeout"), -1);
    assert_non_null(strstr(err.text, "--timeout"));
    assert_int_equal(PARSE("run", "--timeout", "soon", "x"), -1);
    assert_non_null(strstr(err.text, "soon"));
    assert_int_equal(PARSE("run", "--timeout", "0", "x"), -1);
    assert_int_equal(PARSE("run", "--memory", "1M", "x"), -1);
    assert_int_equal(PARSE("run", "--memory", "5G", "x"), -1);
    assert_int_equal(PARSE("run", "--env", "NOVALUE", "x"), -1);
    assert_int_equal(PARSE("run", "--color", "blue", "x"), -1);
    assert_int_equal(PARSE("run"), -1);
    assert_int_equal(PARSE("stdio", "extra"), -1);
    assert_int_equal(PARSE("stdio", "--json"), -1);
    assert_int_equal(err.code, ERR_USAGE);
}

static void environment_stands_behind_arguments(void **state)
{
    (void)state;
    setenv("VITRINE_TIMEOUT", "2", 1);
    setenv("VITRINE_GUEST_DIR", "/g", 1);
    setenv("VITRINE_JSON", "0", 1);
    assert_int_equal(PARSE("run", "x"), 0);
    assert_int_equal(options.limits.wall_ms, 2000);
    assert_string_equal(options.guest_dir, "/g");
    assert_false(options.json);
    setenv("VITRINE_JSON", "1", 1);
    assert_int_equal(PARSE("run", "--timeout=3", "x"), 0);
    assert_int_equal(options.limits.wall_ms, 3000);
    assert_true(options.json);
    setenv("VITRINE_TIMEOUT", "never", 1);
    assert_int_equal(PARSE("run", "x"), -1);
    assert_non_null(strstr(err.text, "VITRINE_TIMEOUT"));
    unsetenv("VITRINE_TIMEOUT");
    unsetenv("VITRINE_GUEST_DIR");
    unsetenv("VITRINE_JSON");
}

static void every_option_is_told_of(void **state)
{
    (void)state;
    cleanup_buf struct buf man;
    buf_init(&man, 1 << 20);
    assert_int_equal(usage_append_man(&man), 0);
    buf_append_char(&man, '\0');
    for (size_t c = 0; c < command_row_count; c++) {
        cleanup_buf struct buf help;
        buf_init(&help, 1 << 20);
        assert_int_equal(usage_append_command(&help, command_rows[c].command), 0);
        buf_append_char(&help, '\0');
        assert_non_null(strstr(man.base, command_rows[c].name));
        for (size_t i = 0; i < option_row_count; i++) {
            const struct option_row *row = &option_rows[i];
            if (!row->is_hidden && (row->commands & command_rows[c].command) != 0) {
                assert_non_null(strstr(help.base, row->name));
            }
        }
        for (const char *line = help.base; *line != '\0';) {
            size_t len = strcspn(line, "\n");
            assert_true(len <= 100);
            line += len + (line[len] == '\n' ? 1 : 0);
        }
    }
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < 3; i++) {
        cleanup_buf struct buf script;
        buf_init(&script, 1 << 20);
        assert_int_equal(usage_append_completion(&script, shells[i], &err), 0);
        buf_append_char(&script, '\0');
        assert_non_null(strstr(script.base, "output-limit"));
    }
    cleanup_buf struct buf none;
    buf_init(&none, 1 << 20);
    assert_int_equal(usage_append_completion(&none, "tcsh", &err), -1);
}

/* Filters `in` whole, and again byte by byte, and expects the same. */
static void assert_filtered(const char *in, const char *expected)
{
    cleanup_buf struct buf whole;
    cleanup_buf struct buf bytes;
    struct terminal_filter filter = {0};
    buf_init(&whole, 10000);
    buf_init(&bytes, 10000);
    assert_int_equal(terminal_filter(&filter, span_of(in), &whole), 0);
    assert_int_equal(terminal_finish(&filter, &whole), 0);
    filter = (struct terminal_filter){0};
    for (const char *p = in; *p != '\0'; p++) {
        assert_int_equal(terminal_filter(&filter, (struct span){p, 1}, &bytes), 0);
    }
    assert_int_equal(terminal_finish(&filter, &bytes), 0);
    buf_append_char(&whole, '\0');
    buf_append_char(&bytes, '\0');
    assert_string_equal(whole.base, expected);
    assert_string_equal(bytes.base, expected);
}

#define X "\xEF\xBF\xBD"

static void terminals_are_safe(void **state)
{
    (void)state;
    assert_filtered("plain \xC3\xA9\xF0\x9F\x98\x80\t\r\n", "plain \xC3\xA9\xF0\x9F\x98\x80\t\r\n");
    assert_filtered("\x1B[31mred\x1B[0m\x1B[38;5;1m\x1B[m", "\x1B[31mred\x1B[0m\x1B[38;5;1m\x1B[m");
    assert_filtered("\x1B]0;title\x07", X "]0;title" X);
    assert_filtered("\x1B[2J\x1B[H", X "[2J" X "[H");
    assert_filtered("\x1B[?1049h", X "[?1049h");
    assert_filtered("\x1B", X);
    assert_filtered("\x1B[3", X);
    assert_filtered("\x1B[1111111111111111111111111111111111m",
                    X "[1111111111111111111111111111111111m");
    assert_filtered("a\x08\x7F\x05", "a" X X X);
    assert_filtered("\xC2\x9B"
                    "31m",
                    X "31m");
    assert_filtered("\x9B"
                    "31m\xFF",
                    X "31m" X);
    assert_filtered("\xE2\x80\xAE"
                    "abc\xE2\x81\xA6",
                    X "abc" X);
    assert_filtered("\xE2\x82", X);
    assert_filtered("\x1B\x1B[1m", X "\x1B[1m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(measures_have_units),
        cmocka_unit_test(arguments_of_the_program_are_left_alone),
        cmocka_unit_test(lists_and_levels_add_up),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(environment_stands_behind_arguments),
        cmocka_unit_test(every_option_is_told_of),
        cmocka_unit_test(terminals_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
