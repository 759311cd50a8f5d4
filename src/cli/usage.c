#include "cli/usage.h"

#include <stdio.h>
#include <string.h>

#include "cli/first_needs.h"

enum { HELP_COLUMN = 28, LINE_COLUMNS = 96 };

static const char summary[] =
    "Runs untrusted Python behind glass: each program gets a fresh CPython in a process of its\n"
    "own, without network, host files or other programs, and with limits on time and memory.\n";

/* Appends row->help with its default put in. */
static int append_help_text(struct buf *out, const struct option_row *row)
{
    const char *mark = strstr(row->help, "%s");
    if (mark == NULL) {
        return buf_append_text(out, row->help);
    }
    if (buf_append(out, row->help, (size_t)(mark - row->help)) != 0 ||
        buf_append_text(out, row->default_text) != 0) {
        return -1;
    }
    return buf_append_text(out, mark + 2);
}

/* Appends words, broken into lines that all start at HELP_COLUMN. */
static int append_wrapped(struct buf *out, const char *text)
{
    size_t column = HELP_COLUMN;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > HELP_COLUMN && column + word > LINE_COLUMNS) {
            if (buf_append_format(out, "\n%*s", HELP_COLUMN, "") != 0) {
                return -1;
            }
            column = HELP_COLUMN;
        }
        if ((column > HELP_COLUMN && buf_append_char(out, ' ') != 0) ||
            buf_append(out, text, word) != 0) {
            return -1;
        }
        column += word + 1;
        text += word + (text[word] == ' ' ? 1 : 0);
    }
    return buf_append_char(out, '\n');
}

static int append_option(struct buf *out, const struct option_row *row)
{
    char left[128];
    char letter[8] = "    ";
    cleanup_buf struct buf help;
    buf_init(&help, 4 * KIB);
    if (row->letter != 0) {
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    }
    int len =
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name,
                 row->argument == NULL ? "" : " ", row->argument == NULL ? "" : row->argument);
    if (append_help_text(&help, row) != 0 || buf_append_char(&help, '\0') != 0) {
        return -1;
    }
    if (buf_append_text(out, left) != 0) {
        return -1;
    }
    if (len >= HELP_COLUMN - 1) {
        len = 0;
        if (buf_append_char(out, '\n') != 0) {
            return -1;
        }
    }
    return buf_append_format(out, "%*s", HELP_COLUMN - len, "") != 0
               ? -1
               : append_wrapped(out, help.base);
}

static bool is_told(const struct option_row *row, enum command command)
{
    return !row->is_hidden && (row->commands & command) != 0;
}

int usage_append_overview(struct buf *out)
{
    if (buf_append_format(out, "Usage: vitrine COMMAND [OPTIONS] [ARGUMENTS]\n\n%s\nCommands:\n",
                          summary) != 0) {
        return -1;
    }
    for (size_t i = 0; i < command_row_count; i++) {
        if (buf_append_format(out, "  %-12s%s\n", command_rows[i].name, command_rows[i].summary) !=
            0) {
            return -1;
        }
    }
    return buf_append_text(out, "\nvitrine help COMMAND shows a command's options.\n");
}

static const struct command_row *command_row_of(enum command command)
{
    for (size_t i = 0; i < command_row_count; i++) {
        if (command_rows[i].command == command) {
            return &command_rows[i];
        }
    }
    return NULL;
}

static const char run_notes[] =
    "\nWhat follows FILE, - or CODE goes to the program as sys.argv. The exit status is the\n"
    "program's own: 1 after an exception, 124 when its time was up, 130 after Ctrl-C; 2 for a\n"
    "mistake in the command line, 125 when the program was not run, because packages could not be\n"
    "installed or vitrine itself could not do its work.\n";

static const char http_notes[] =
    "\nAll forms of MCP over HTTP are served on one port: streamable HTTP with sessions (protocol\n"
    "2025-03-26 to 2025-11-25) and without (2026-07-28) at --path, and the form of 2024-11-05 at\n"
    "/sse and /messages. /healthz says whether the server is ready, /metrics has figures for\n"
    "Prometheus. Other names of this command: sse, streamable-http, and streamable-http-stateless\n"
    "for --stateless. SIGTERM ends it when programs that run have finished (see --drain-time).\n";

static const char doctor_notes[] =
    "\nThe exit status is 0 when the jail is what --require-jail asks for and a program could be\n"
    "run, and 1 when not. Nothing is fetched.\n";

static const char warmup_notes[] =
    "\nThe exit status is 0 when everything asked for is ready, and 1 when something is not.\n"
    "Without --deps and --all it prepares what programs of AI clients use most:\n";

/* "  matplotlib, numpy, pandas  charts of them" for each first need. */
static int append_first_needs(struct buf *out)
{
    for (size_t i = 0; i < first_need_count; i++) {
        char names[HELP_COLUMN] = "";
        size_t len = 0;
        for (const char *const *name = first_needs[i].requirements; *name != NULL; name++) {
            int added =
                snprintf(names + len, sizeof names - len, "%s%s", len == 0 ? "" : ", ", *name);
            len += added > 0 ? (size_t)added : 0;
            len = len < sizeof names ? len : sizeof names - 1;
        }
        if (buf_append_format(out, "  %-*s%s\n", HELP_COLUMN - 2, names, first_needs[i].why) != 0) {
            return -1;
        }
    }
    return 0;
}

int usage_append_command(struct buf *out, enum command command)
{
    const struct command_row *row = command_row_of(command);
    if (buf_append_format(out, "Usage: vitrine %s [OPTIONS]%s%s\n\nvitrine %s: %s\n\nOptions:\n",
                          row->name, *row->operands == '\0' ? "" : " ", row->operands, row->name,
                          row->summary) != 0) {
        return -1;
    }
    for (size_t i = 0; i < option_row_count; i++) {
        if (is_told(&option_rows[i], command) && append_option(out, &option_rows[i]) != 0) {
            return -1;
        }
    }
    if (command == COMMAND_RUN && buf_append_text(out, run_notes) != 0) {
        return -1;
    }
    if (command == COMMAND_HTTP && buf_append_text(out, http_notes) != 0) {
        return -1;
    }
    if (command == COMMAND_DOCTOR && buf_append_text(out, doctor_notes) != 0) {
        return -1;
    }
    if (command == COMMAND_WARMUP &&
        (buf_append_text(out, warmup_notes) != 0 || append_first_needs(out) != 0)) {
        return -1;
    }
    return buf_append_text(out, "\nEvery long option but --code and --help can also be set as an "
                                "environment variable,\nsuch as VITRINE_TIMEOUT or "
                                "VITRINE_GUEST_DIR.\n");
}

/* Text for roff: dashes are minus signs, backslashes are backslashes, a dot or an apostrophe in
 * front of a line is no request. */
static int append_roff(struct buf *out, const char *text)
{
    if ((*text == '.' || *text == '\'') && buf_append_text(out, "\\&") != 0) {
        return -1;
    }
    for (; *text != '\0'; text++) {
        int failed = *text == '-'    ? buf_append_text(out, "\\-")
                     : *text == '\\' ? buf_append_text(out, "\\e")
                                     : buf_append_char(out, *text);
        if (failed != 0) {
            return -1;
        }
    }
    return 0;
}

static int append_man_option(struct buf *out, const struct option_row *row)
{
    cleanup_buf struct buf line;
    buf_init(&line, 4 * KIB);
    if (buf_append_text(out, ".TP\n.B ") != 0 ||
        (row->letter != 0 && buf_append_format(out, "\\-%c, ", row->letter) != 0) ||
        buf_append_format(&line, "--%s%c", row->name, '\0') != 0 ||
        append_roff(out, line.base) != 0) {
        return -1;
    }
    if (row->argument != NULL && buf_append_format(out, "\\fR \\fI%s\\fR", row->argument) != 0) {
        return -1;
    }
    buf_clear(&line);
    if (buf_append_char(out, '\n') != 0 || append_help_text(&line, row) != 0 ||
        buf_append_char(&line, '\0') != 0 || append_roff(out, line.base) != 0 ||
        buf_append_text(out, ".\n") != 0) {
        return -1;
    }
    if (!row->has_variable) {
        return 0;
    }
    char variable[OPTION_VARIABLE_MAX];
    option_variable(row, variable);
    return buf_append_format(out, "Environment: \\fB%s\\fR.\n", variable);
}

static int append_man_command(struct buf *out, const struct command_row *row)
{
    if (buf_append_format(out, ".SS vitrine %s [OPTIONS]%s", row->name,
                          *row->operands == '\0' ? "" : " ") != 0 ||
        append_roff(out, row->operands) != 0 || buf_append_char(out, '\n') != 0 ||
        append_roff(out, row->summary) != 0 || buf_append_text(out, ".\n") != 0) {
        return -1;
    }
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *option = &option_rows[i];
        /* Every command has --help; it is told once, in the DESCRIPTION. */
        bool is_help = strcmp(option->name, "help") == 0;
        if (is_told(option, row->command) && !is_help && append_man_option(out, option) != 0) {
            return -1;
        }
    }
    return 0;
}

static const char man_head[] =
    ".TH VITRINE 1 \"\" \"vitrine " VITRINE_VERSION "\"\n"
    ".SH NAME\nvitrine \\- run untrusted Python behind glass\n"
    ".SH SYNOPSIS\n.B vitrine\n.I COMMAND\n[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n"
    ".SH DESCRIPTION\n";

static const char man_tail[] =
    ".SH EXIT STATUS\n"
    "\\fBvitrine run\\fR ends with the program's own status: what it gave to sys.exit, or 1 after\n"
    "an exception. Besides:\n"
    ".TP\n.B 2\nthe command line was wrong.\n"
    ".TP\n.B 124\nthe program's time was up.\n"
    ".TP\n.B 125\nthe program was not run: packages could not be installed, or vitrine itself "
    "could\n"
    "not do its work, for example because a part is missing.\n"
    ".TP\n.B 130\nthe run was interrupted from the keyboard (143: ended by SIGTERM).\n"
    ".TP\n.B 141\nnobody reads the output any more.\n"
    "\\fBvitrine warmup\\fR ends with 1 when something could not be prepared, \\fBvitrine "
    "doctor\\fR\n"
    "when the jail is less than \\fB\\-\\-require\\-jail\\fR asks for or no program can be run.\n"
    ".SH EXAMPLES\n"
    ".nf\n"
    "vitrine run \\-c 'print(6 * 7)'\n"
    "vitrine run \\-\\-timeout 5 script.py one two\n"
    "vitrine run \\-\\-deps 'numpy,pandas>=2' table.py\n"
    "vitrine warmup \\-\\-deps scipy\n"
    "curl \\-s https://example.com/x.py | vitrine run \\-\\-json \\-\n"
    ".fi\n"
    ".SH SEE ALSO\n.BR python3 (1)\n";

int usage_append_man(struct buf *out)
{
    if (buf_append_text(out, man_head) != 0 || append_roff(out, summary) != 0 ||
        buf_append_text(out, "Every command has \\fB\\-\\-help\\fR.\n.SH COMMANDS\n") != 0) {
        return -1;
    }
    for (size_t i = 0; i < command_row_count; i++) {
        if (append_man_command(out, &command_rows[i]) != 0) {
            return -1;
        }
    }
    return buf_append_text(out, man_tail);
}

/* The long options of a command in one string: " --a --b". */
static int append_option_names(struct buf *out, enum command command)
{
    for (size_t i = 0; i < option_row_count; i++) {
        if (is_told(&option_rows[i], command) &&
            buf_append_format(out, " --%s", option_rows[i].name) != 0) {
            return -1;
        }
    }
    return 0;
}

static int append_command_names(struct buf *out)
{
    for (size_t i = 0; i < command_row_count; i++) {
        if (buf_append_format(out, "%s%s", i == 0 ? "" : " ", command_rows[i].name) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Used for zsh as well, whose bashcompinit understands it. */
static int append_bash(struct buf *out)
{
    if (buf_append_text(out, "_vitrine() {\n"
                             "    local word=${COMP_WORDS[COMP_CWORD]}\n"
                             "    COMPREPLY=()\n"
                             "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
                             "        COMPREPLY=($(compgen -W \"") != 0 ||
        append_command_names(out) != 0 ||
        buf_append_text(out, " --help --version\" -- \"$word\"))\n"
                             "        return\n"
                             "    fi\n"
                             "    case $word in -*) ;; *) return ;; esac\n"
                             "    case ${COMP_WORDS[1]} in\n") != 0) {
        return -1;
    }
    for (size_t i = 0; i < command_row_count; i++) {
        if (buf_append_format(out, "    %s) COMPREPLY=($(compgen -W \"", command_rows[i].name) !=
                0 ||
            append_option_names(out, command_rows[i].command) != 0 ||
            buf_append_text(out, "\" -- \"$word\")) ;;\n") != 0) {
            return -1;
        }
    }
    return buf_append_text(out, "    esac\n}\ncomplete -o default -F _vitrine vitrine\n");
}

static int append_fish_option(struct buf *out, const char *command, const struct option_row *row)
{
    cleanup_buf struct buf help;
    buf_init(&help, 4 * KIB);
    if (append_help_text(&help, row) != 0 || buf_append_char(&help, '\0') != 0) {
        return -1;
    }
    if (buf_append_format(
            out, "complete -c vitrine -n '__fish_seen_subcommand_from %s' -l %s%s -d \"%s\"\n",
            command, row->name, row->argument == NULL ? "" : " -r", help.base) != 0) {
        return -1;
    }
    return 0;
}

static int append_fish(struct buf *out)
{
    for (size_t i = 0; i < command_row_count; i++) {
        const struct command_row *row = &command_rows[i];
        if (buf_append_format(out, "complete -c vitrine -n __fish_use_subcommand -a %s -d \"%s\"\n",
                              row->name, row->summary) != 0) {
            return -1;
        }
        for (size_t k = 0; k < option_row_count; k++) {
            if (is_told(&option_rows[k], row->command) &&
                append_fish_option(out, row->name, &option_rows[k]) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

int usage_append_completion(struct buf *out, const char *shell, struct err *err)
{
    int failed;
    if (strcmp(shell, "bash") == 0) {
        failed = append_bash(out);
    } else if (strcmp(shell, "zsh") == 0) {
        failed = buf_append_text(out, "autoload -U +X bashcompinit && bashcompinit\n") != 0 ||
                 append_bash(out) != 0;
    } else if (strcmp(shell, "fish") == 0) {
        failed = append_fish(out);
    } else {
        return err_set(err, ERR_USAGE, "no completion for \"%s\": bash, zsh or fish", shell);
    }
    return failed ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}
