/* cli: options from arguments and environment, what is said of them, and bytes made safe for a
 * terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/option_values.h"
#include "cli/options.h"
#include "cli/progress.h"
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
        if (row->default_text == NULL) {
            continue; /* it is another option's */
        }
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

static void requirements_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *items; /* each with a bar behind it */
    } cases[] = {
        {"numpy", "numpy|"},
        {"numpy,pandas", "numpy|pandas|"},
        {" numpy , pandas ", "numpy|pandas|"},
        {"numpy>=1,<2", "numpy>=1,<2|"},
        {"numpy >= 1, < 2 , pandas", "numpy >= 1, < 2|pandas|"},
        {"uvicorn[standard,watch],x", "uvicorn[standard,watch]|x|"},
        {"a (>=1,<2),b", "a (>=1,<2)|b|"},
        {"a; python_version in '3.8,3.9', b", "a; python_version in '3.8,3.9'|b|"},
        {"a; sys_platform == \"a,b\",b", "a; sys_platform == \"a,b\"|b|"},
        {"a\nb>1,\n c", "a|b>1|c|"},
        {"a\nb>1\n\n c\n", "a|b>1|c|"},
        {"a,7zip", "a|7zip|"},
        {"a==1,!=2,~=3,<=4,b", "a==1,!=2,~=3,<=4|b|"},
        {"a]],b", "a]]|b|"},
        {"", NULL},
        {" ,", NULL},
        {",a", NULL},
        {"a,,b", NULL},
        {"a,", NULL},
        {"-r file", NULL},
        {"--index-url=https://example.org/", NULL},
        {"./here", NULL},
        {"a\x01", NULL},
        {"a\xFF", NULL},
        {"a\tb\x7F", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct option_list list = {.count = 0};
        int failed = option_add_requirements(&list, cases[i].text, &err);
        assert_int_equal(failed, cases[i].items == NULL ? -1 : 0);
        assert_null(list.items[list.count]);
        if (failed != 0) {
            assert_int_equal(list.count, 0);
            continue;
        }
        char joined[200] = "";
        for (unsigned k = 0; k < list.count; k++) {
            strncat(joined, list.items[k], 80);
            strncat(joined, "|", 2);
        }
        assert_string_equal(joined, cases[i].items);
    }
}

static void requirements_have_limits(void **state)
{
    (void)state;
    struct option_list list = {.count = 0};
    cleanup_buf struct buf text;
    buf_init(&text, 1 << 20);
    for (unsigned i = 0; i <= LIMIT_REQUIREMENTS_MAX; i++) {
        buf_append_text(&text, "a,");
    }
    text.base[text.len - 1] = '\0';
    assert_int_equal(option_add_requirements(&list, text.base, &err), -1);
    assert_int_equal(list.count, 0);
    text.base[text.len - 3] = '\0';
    assert_int_equal(option_add_requirements(&list, text.base, &err), 0);
    assert_int_equal(list.count, LIMIT_REQUIREMENTS_MAX);
    list.count = 0;
    buf_clear(&text);
    for (unsigned i = 0; i <= LIMIT_REQUIREMENT_BYTES_MAX; i++) {
        buf_append_char(&text, 'a');
    }
    buf_append_char(&text, '\0');
    assert_int_equal(option_add_requirements(&list, text.base, &err), -1);
    assert_int_equal(option_add_requirements(&list, text.base + 1, &err), 0);
}

static void sources_are_folders_or_https(void **state)
{
    (void)state;
    static const char *const bad_urls[] = {"",          "http://a.org/",  "https://", "https:///x",
                                           "file:///x", "ftp://a.org/x/", "a.org"};
    struct option_list list = {.count = 0};
    for (size_t i = 0; i < sizeof bad_urls / sizeof *bad_urls; i++) {
        assert_int_equal(option_add_url(&list, bad_urls[i], &err), -1);
        bool is_path = i == 6;
        assert_int_equal(option_add_mirror(&list, bad_urls[i], &err), is_path ? 0 : -1);
    }
    assert_int_equal(list.count, 1);
    assert_int_equal(*list.items[0], '/'); /* a.org, a folder beside us */
    assert_non_null(strstr(list.items[0], "/a.org"));
    assert_int_equal(option_add_url(&list, "HTTPS://a.org/simple", &err), 0);
    assert_int_equal(option_add_mirror(&list, "/srv/wheels", &err), 0);
    assert_int_equal(option_add_mirror(&list, "a:b/https://c", &err), 0);
    assert_int_equal(option_add_mirror(&list, "https://a.org", &err), 0);
    while (list.count < LIMIT_SOURCES_MAX) {
        assert_int_equal(option_add_mirror(&list, "x", &err), 0);
    }
    assert_int_equal(option_add_mirror(&list, "x", &err), -1);
}

static void times_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *time; /* NULL: refused */
    } cases[] = {
        {"2026-01-31", "2026-01-31T23:59:59Z"},
        {"2024-02-29", "2024-02-29T23:59:59Z"},
        {"2000-02-29", "2000-02-29T23:59:59Z"},
        {"2026-01-31T12:30:00Z", "2026-01-31T12:30:00Z"},
        {"2026-01-31t12:30:60z", "2026-01-31T12:30:60Z"},
        {"2026-01-31 12:30:00.125+05:30", "2026-01-31T12:30:00.125+05:30"},
        {"2026-01-31T12:30:00-08:00", "2026-01-31T12:30:00-08:00"},
        {"2025-02-29", NULL},
        {"1900-02-29", NULL},
        {"2026-13-01", NULL},
        {"2026-00-01", NULL},
        {"2026-04-31", NULL},
        {"2026-4-1", NULL},
        {"26-04-01", NULL},
        {"yesterday", NULL},
        {"", NULL},
        {"2026-01-31T", NULL},
        {"2026-01-31T12:30", NULL},
        {"2026-01-31T12:30:00", NULL},
        {"2026-01-31T24:00:00Z", NULL},
        {"2026-01-31T12:60:00Z", NULL},
        {"2026-01-31T12:30:00.Z", NULL},
        {"2026-01-31T12:30:00Zx", NULL},
        {"2026-01-31T12:30:00+0530", NULL},
        {"2026-01-31T12:30:00+24:00", NULL},
        {"2026-01-31T12:30:00.12345678901234567890123456789Z", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char time[OPTION_TIME_MAX];
        assert_int_equal(option_set_time(time, cases[i].text, &err),
                         cases[i].time == NULL ? -1 : 0);
        if (cases[i].time != NULL) {
            assert_string_equal(time, cases[i].time);
        }
    }
}

static void lists_of_arguments_replace_those_of_variables(void **state)
{
    (void)state;
    setenv("VITRINE_DEPS", "a,b>=1,<2\nc", 1);
    setenv("VITRINE_MIRROR", "/one\nhttps://two.org/x\n", 1);
    setenv("VITRINE_CACHE", "/c", 1);
    assert_int_equal(PARSE("stdio", "--exclude-newer=2026-01-31"), 0);
    assert_int_equal(options.dependencies.count, 3);
    assert_string_equal(options.dependencies.items[1], "b>=1,<2");
    assert_int_equal(options.mirrors.count, 2);
    assert_string_equal(options.mirrors.items[1], "https://two.org/x");
    assert_string_equal(options.cache_dir, "/c");
    assert_string_equal(options.exclude_newer, "2026-01-31T23:59:59Z");
    assert_int_equal(
        PARSE("warmup", "--dependencies", "d", "--deps=e,f", "--mirror", "/three", "--offline"), 0);
    assert_int_equal(options.dependencies.count, 3);
    assert_string_equal(options.dependencies.items[0], "d");
    assert_string_equal(options.dependencies.items[2], "f");
    assert_null(options.dependencies.items[3]);
    assert_int_equal(options.mirrors.count, 1);
    assert_true(options.is_offline);
    assert_int_equal(PARSE("run", "--no-install", "x"), -1);
    assert_non_null(strstr(err.text, "--no-install and --deps a"));
    setenv("VITRINE_MIRROR", "http://two.org", 1);
    assert_int_equal(PARSE("run", "x"), -1);
    assert_non_null(strstr(err.text, "VITRINE_MIRROR"));
    unsetenv("VITRINE_DEPS");
    unsetenv("VITRINE_MIRROR");
    unsetenv("VITRINE_CACHE");
}

static void progress_lines_are_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned columns;
        const char *shown;
    } cases[] = {
        {"fetching numpy", 80, "fetching numpy"},
        {"fetching numpy", 8, "fetching"},
        {"\xC3\xA9\xC3\xA9\xC3\xA9", 2, "\xC3\xA9\xC3\xA9"},
        {"a\x1B[31mb\rc\nd", 80, "a [31mb c d"},
        {"\x1B]0;t\x07", 80, " ]0;t "},
        {"\xE2\x80\xAEx\xFF", 80, "\xEF\xBF\xBDx\xEF\xBF\xBD"},
        {"", 80, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_buf struct buf out;
        buf_init(&out, 1000);
        assert_int_equal(progress_append_line(&out, span_of(cases[i].line), cases[i].columns), 0);
        assert_int_equal(buf_append_char(&out, '\0'), 0);
        assert_string_equal(out.base, cases[i].shown);
    }
}

/* What a terminal gets to see when `progress` is told these lines. */
static void progress_is_one_line_of_a_terminal(void **state)
{
    (void)state;
    int ends[2];
    char seen[4096] = "";
    struct progress progress = {.has_color = true, .column = 30};
    assert_int_equal(pipe(ends), 0);
    progress.fd = ends[1];
    buf_init(&progress.last, 1000);
    progress_clear(&progress); /* nothing is there */
    progress_log(&progress, PACKAGES_DEBUG, span_of("not shown"));
    progress_log(&progress, PACKAGES_INFO, span_of("fetching numpy"));
    progress_log(&progress, PACKAGES_INFO, span_of("a line that is too long for the terminal"));
    progress_clear(&progress);
    progress_clear(&progress);
    assert_true(read(ends[0], seen, sizeof seen - 1) > 0);
    assert_string_equal(seen, "\r\x1B[K\x1B[2mvitrine: fetching numpy\x1B[0m"
                              "\r\x1B[K\x1B[2mvitrine: a line that is too l\x1B[0m"
                              "\r\x1B[K");
    close(ends[0]);
    close(ends[1]);
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
    assert_int_equal(PARSE("warmup", "numpy"), -1);
    assert_int_equal(PARSE("warmup", "--no-install"), -1);
    assert_int_equal(PARSE("run", "--deps", "-r x", "x"), -1);
    assert_non_null(strstr(err.text, "option --deps: \"-r x\""));
    assert_int_equal(PARSE("run", "--index-url", "http://a.org/simple", "x"), -1);
    assert_int_equal(PARSE("run", "--exclude-newer", "soon", "x"), -1);
    assert_int_equal(PARSE("stdio", "--environment-memory", "1M"), -1);
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

/* As mcp-run-python has them. */
static void options_may_stand_before_the_command(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--port", "8080", "--deps", "a,b", "--verbose", "streamable-http"), 0);
    assert_int_equal(options.command, COMMAND_HTTP);
    assert_int_equal(options.port, 8080);
    assert_int_equal(options.dependencies.count, 2);
    assert_int_equal(options.verbosity, 1);
    assert_false(options.is_stateless || options.is_sse);
    assert_int_equal(PARSE("--return-mode=json", "streamable-http-stateless", "--port=1",
                           "--disable-networking"),
                     0);
    assert_true(options.is_stateless && options.return_mode == 1 && options.port == 1);
    assert_int_equal(PARSE("sse"), 0);
    assert_true(options.is_sse && options.command == COMMAND_HTTP);
    assert_int_equal(PARSE("--port", "3001", "stdio"), 0);
    assert_int_equal(options.command, COMMAND_STDIO);
    assert_int_equal(PARSE("--port", "3001", "--version"), 0);
    assert_int_equal(options.command, COMMAND_VERSION);
    assert_int_equal(PARSE("--timeout", "5", "run", "-c", "1", "run"), 0);
    assert_int_equal(options.command, COMMAND_RUN);
    assert_int_equal(options.limits.wall_ms, 5000);
    assert_string_equal(options.operands[0], "run");
    assert_int_equal(PARSE("--port", "3001"), -1);
    assert_int_equal(PARSE("--port", "3001", "fly"), -1);
    assert_int_equal(PARSE("--nonsense", "stdio"), -1);
    assert_int_equal(PARSE("--stateless", "stdio"), -1); /* it is of another command */
    assert_non_null(strstr(err.text, "--stateless"));
}

static void servers_have_options(void **state)
{
    static const char *const wrong[][2] = {
        {"--port", "65536"},        {"--path", "mcp"},
        {"--path", "/mcp/"},        {"--path", "/a b"},
        {"--path", "/a?b"},         {"--allow-host", "http://x"},
        {"--allow-host", ""},       {"--allow-origin", "x"},
        {"--allow-origin", "null"}, {"--allow-origin", "http://x/"},
        {"--tls-cert", "x.pem"},    {"--tls-key", "x.pem"},
        {"--max-sessions", "0"},    {"--session-idle", "0"},
    };
    (void)state;
    assert_int_equal(PARSE("http"), 0);
    assert_string_equal(options.host, "127.0.0.1");
    assert_string_equal(options.path, "/mcp");
    assert_int_equal(options.port, 3001);
    assert_int_equal(options.require_jail, POOL_JAIL_FULL);
    assert_int_equal(PARSE("stdio"), 0);
    assert_int_equal(options.require_jail, POOL_JAIL_SECCOMP);
    setenv("VITRINE_REQUIRE_JAIL", "none", 1);
    setenv("VITRINE_ALLOW_HOST", "a.org\nb.org:8443", 1);
    assert_int_equal(PARSE("http", "--allow-origin", "https://a.org", "--allow-origin", "*"), 0);
    assert_int_equal(options.require_jail, POOL_JAIL_NONE);
    assert_int_equal(options.allow_hosts.count, 2);
    assert_string_equal(options.allow_origins.items[1], "*");
    unsetenv("VITRINE_REQUIRE_JAIL");
    unsetenv("VITRINE_ALLOW_HOST");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (PARSE("http", wrong[i][0], wrong[i][1]) == 0) {
            fail_msg("%s %s is taken", wrong[i][0], wrong[i][1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(measures_have_units),
        cmocka_unit_test(arguments_of_the_program_are_left_alone),
        cmocka_unit_test(lists_and_levels_add_up),
        cmocka_unit_test(requirements_are_taken_apart),
        cmocka_unit_test(requirements_have_limits),
        cmocka_unit_test(sources_are_folders_or_https),
        cmocka_unit_test(times_are_checked),
        cmocka_unit_test(lists_of_arguments_replace_those_of_variables),
        cmocka_unit_test(progress_lines_are_harmless),
        cmocka_unit_test(progress_is_one_line_of_a_terminal),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(environment_stands_behind_arguments),
        cmocka_unit_test(every_option_is_told_of),
        cmocka_unit_test(terminals_are_safe),
        cmocka_unit_test(options_may_stand_before_the_command),
        cmocka_unit_test(servers_have_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
