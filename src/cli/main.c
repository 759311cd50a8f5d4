/* vitrine: the program that people and MCP clients start. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/usage.h"

/* Large: it holds the room for LIMIT_ENV_COUNT_MAX variables. */
static struct options options;

enum { USAGE_BYTES_MAX = 256 * 1024 };

static int print_text(const struct buf *text)
{
    if (fd_write_full(STDOUT_FILENO, text->base, text->len) != 0) {
        return EXIT_UNREAD;
    }
    return 0;
}

static int refuse_usage(const struct err *err)
{
    log_error("%s", err->text);
    return EXIT_MISTAKE;
}

static int show_command(enum command command)
{
    cleanup_buf struct buf text;
    buf_init(&text, USAGE_BYTES_MAX);
    return usage_append_command(&text, command) == 0 ? print_text(&text) : EXIT_OURS;
}

static int command_help(void)
{
    cleanup_buf struct buf text;
    buf_init(&text, USAGE_BYTES_MAX);
    if (options.operand_count == 0) {
        int failed = options.man ? usage_append_man(&text) : usage_append_overview(&text);
        return failed == 0 ? print_text(&text) : EXIT_OURS;
    }
    for (size_t i = 0; i < command_row_count; i++) {
        if (strcmp(command_rows[i].name, options.operands[0]) == 0) {
            return show_command(command_rows[i].command);
        }
    }
    log_error("there is no command \"%s\" (see: vitrine help)", options.operands[0]);
    return EXIT_MISTAKE;
}

static int command_completion(void)
{
    cleanup_buf struct buf text;
    struct err err;
    buf_init(&text, USAGE_BYTES_MAX);
    const char *shell = options.operand_count == 1 ? options.operands[0] : "";
    if (usage_append_completion(&text, shell, &err) != 0) {
        return refuse_usage(&err);
    }
    return print_text(&text);
}

int main(int argc, char **argv)
{
    struct err err;
    signal(SIGPIPE, SIG_IGN); /* a reader that is gone shows as EPIPE */
    if (options_parse(argc, argv, &options, &err) != 0) {
        return refuse_usage(&err);
    }
    log_set_level(options.verbosity < 0    ? LOG_LEVEL_ERROR
                  : options.verbosity == 0 ? LOG_LEVEL_WARNING
                  : options.verbosity == 1 ? LOG_LEVEL_INFO
                                           : LOG_LEVEL_DEBUG);
    if (options.help) {
        return show_command(options.command);
    }
    switch (options.command) {
    case COMMAND_REPL: return command_repl(&options);
    case COMMAND_RUN: return command_run(&options);
    case COMMAND_STDIO: return command_stdio(&options);
    case COMMAND_HTTP: return command_http(&options);
    case COMMAND_EXAMPLE: return command_example(&options);
    case COMMAND_WARMUP: return command_warmup(&options);
    case COMMAND_DOCTOR: return command_doctor(&options);
    case COMMAND_VERSION: return command_version(&options);
    case COMMAND_COMPLETION: return command_completion();
    case COMMAND_HELP:
    case COMMAND_NONE: break;
    }
    return command_help();
}
