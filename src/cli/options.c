#include "cli/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/option_values.h"

enum { ROWS_MAX = 128, CODE_FIRST = 256, CODE_VERSION = CODE_FIRST + ROWS_MAX };

void option_variable(const struct option_row *row, char out[OPTION_VARIABLE_MAX])
{
    static const char prefix[] = "VITRINE_";
    size_t len = sizeof prefix - 1;
    if (row->variable != NULL) {
        snprintf(out, OPTION_VARIABLE_MAX, "%s", row->variable);
        return;
    }
    memcpy(out, prefix, len);
    for (const char *p = row->name; *p != '\0' && len < OPTION_VARIABLE_MAX - 1; p++) {
        out[len++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    }
    out[len] = '\0';
}

struct unit {
    const char *name;
    double factor;
};

/* A decimal number and one of the units, the last of which ends the table with a NULL name. */
static int parse_measure(const char *text, const struct unit *units, double *out)
{
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)*text) && *text != '.') {
        return -1; /* strtod also takes signs, white space, hex and "inf" */
    }
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        return -1;
    }
    double number = strtod(text, &end);
    if (end == text || errno != 0) {
        return -1;
    }
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcasecmp(end, unit->name) == 0) {
            *out = number * unit->factor;
            return *out < 1e18 ? 0 : -1;
        }
    }
    return -1;
}

int option_parse_bytes(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"K", (double)KIB},
        {"KB", (double)KIB},
        {"KiB", (double)KIB},
        {"M", (double)MIB},
        {"MB", (double)MIB},
        {"MiB", (double)MIB},
        {"G", (double)GIB},
        {"GB", (double)GIB},
        {"GiB", (double)GIB},
        {NULL, 0},
    };
    double bytes;
    if (parse_measure(text, units, &bytes) != 0) {
        return -1;
    }
    *out = (uint64_t)bytes;
    return 0;
}

int option_parse_duration(const char *text, uint64_t *out_ms)
{
    static const struct unit units[] = {
        {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {NULL, 0},
    };
    double ms;
    if (parse_measure(text, units, &ms) != 0) {
        return -1;
    }
    *out_ms = (uint64_t)(ms + 0.5);
    return 0;
}

static int parse_count(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)*text)) {
        return -1;
    }
    *out = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0 ? 0 : -1;
}

static int set_number(const struct option_row *row, const char *text, uint64_t *out,
                      struct err *err)
{
    uint64_t value;
    int failed = row->kind == OPTION_BYTES      ? option_parse_bytes(text, &value)
                 : row->kind == OPTION_DURATION ? option_parse_duration(text, &value)
                                                : parse_count(text, &value);
    if (failed != 0) {
        return err_set(err, ERR_USAGE, "\"%s\" is no %s", text, row->argument);
    }
    if (value < row->min || value > row->max) {
        const char *unit = row->kind == OPTION_BYTES      ? " bytes"
                           : row->kind == OPTION_DURATION ? " ms"
                                                          : "";
        return err_set(err, ERR_USAGE, "\"%s\" is outside of %llu to %llu%s", text,
                       (unsigned long long)row->min, (unsigned long long)row->max, unit);
    }
    *out = value;
    return 0;
}

static int set_choice(const struct option_row *row, const char *text, int *out, struct err *err)
{
    size_t len = strlen(text);
    int index = 0;
    for (const char *word = row->argument; word != NULL; index++) {
        const char *bar = strchr(word, '|');
        size_t word_len = bar == NULL ? strlen(word) : (size_t)(bar - word);
        if (word_len == len && memcmp(word, text, len) == 0) {
            *out = index;
            return 0;
        }
        word = bar == NULL ? NULL : bar + 1;
    }
    return err_set(err, ERR_USAGE, "\"%s\" is not one of %s", text, row->argument);
}

static int add_env(struct options *out, const char *text, struct err *err)
{
    const char *equal = strchr(text, '=');
    if (equal == NULL || equal == text) {
        return err_set(err, ERR_USAGE, "\"%s\" is not of the form NAME=VALUE", text);
    }
    if (out->env_count == LIMIT_ENV_COUNT_MAX) {
        return err_set(err, ERR_USAGE, "more than %u variables", LIMIT_ENV_COUNT_MAX);
    }
    out->env[out->env_count++] = text;
    out->env[out->env_count] = NULL;
    return 0;
}

static int set_option(const struct option_row *row, const char *text, struct options *out,
                      struct err *err)
{
    void *member = (char *)out + row->offset;
    switch (row->kind) {
    case OPTION_FLAG: *(bool *)member = true; return 0;
    case OPTION_LESS: --*(int *)member; return 0;
    case OPTION_MORE: ++*(int *)member; return 0;
    case OPTION_TEXT: *(const char **)member = text; return 0;
    case OPTION_CHOICE: return set_choice(row, text, member, err);
    case OPTION_ENV: return add_env(out, text, err);
    case OPTION_REQUIREMENTS: return option_add_requirements(member, text, err);
    case OPTION_MIRROR: return option_add_mirror(member, text, err);
    case OPTION_URL: return option_add_url(member, text, err);
    case OPTION_TEXTS: return option_add_text(member, text, (unsigned)row->max, err);
    case OPTION_HOST: return option_add_host(member, text, err);
    case OPTION_ORIGIN: return option_add_origin(member, text, err);
    case OPTION_PATH: return option_set_path(member, text, err);
    case OPTION_TIME: return option_set_time(member, text, err);
    case OPTION_BYTES:
    case OPTION_DURATION:
    case OPTION_COUNT: return set_number(row, text, member, err);
    }
    return -1;
}

/* A variable of the environment that holds several entries, one a line. The lines are cut in a
 * copy that lives as long as the process. */
static int set_lines(const struct option_row *row, const char *text, struct options *out,
                     struct err *err)
{
    char *copy = option_keep(text);
    if (copy == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    for (char *line = copy; line != NULL;) {
        char *newline = strchr(line, '\n');
        if (newline != NULL) {
            *newline++ = '\0';
        }
        if (*line != '\0' && set_option(row, line, out, err) != 0) {
            return -1;
        }
        line = newline;
    }
    return 0;
}

static bool is_off(const char *text)
{
    return strcmp(text, "") == 0 || strcmp(text, "0") == 0 || strcasecmp(text, "false") == 0 ||
           strcasecmp(text, "no") == 0;
}

/* Whether an option gathers a list that the command line's entries replace. */
static bool is_list(const struct option_row *row)
{
    return row->kind == OPTION_REQUIREMENTS || row->kind == OPTION_MIRROR ||
           row->kind == OPTION_URL || row->kind == OPTION_TEXTS || row->kind == OPTION_HOST ||
           row->kind == OPTION_ORIGIN;
}

static bool is_empty_list(const struct option_row *row, const struct options *options)
{
    const struct option_list *list = (const void *)((const char *)options + row->offset);
    return list->count == 0;
}

/* Variables of lists are looked at behind the command line, as its entries replace them; all others
 * before it. */
static int apply_environment(struct options *out, bool lists, struct err *err)
{
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (is_list(row) != lists || (lists && !is_empty_list(row, out))) {
            continue;
        }
        char name[OPTION_VARIABLE_MAX];
        option_variable(row, name);
        const char *text =
            row->has_variable && (row->commands & out->command) != 0 ? getenv(name) : NULL;
        if (text == NULL || (row->argument == NULL && is_off(text)) ||
            (row->argument != NULL && *text == '\0')) {
            continue;
        }
        /* Requirements are taken apart elsewhere. */
        bool has_lines =
            row->kind == OPTION_ENV || (is_list(row) && row->kind != OPTION_REQUIREMENTS);
        int failed = has_lines ? set_lines(row, text, out, err) : set_option(row, text, out, err);
        if (failed != 0) {
            return err_prefix(err, "environment variable %s", name);
        }
    }
    return 0;
}

/* The table as getopt_long wants it, with the rows of some commands. */
struct getopt_tables {
    struct option longs[ROWS_MAX + 2];
    char letters[2 * ROWS_MAX + 3];
};

static void fill_tables(unsigned commands, struct getopt_tables *tables)
{
    size_t count = 0;
    size_t letters = 0;
    assert(option_row_count <= ROWS_MAX);
    tables->letters[letters++] = '+'; /* stop at the first operand: the rest is the program's */
    tables->letters[letters++] = ':'; /* tell a missing argument from an unknown option */
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        if ((row->commands & commands) == 0) {
            continue;
        }
        tables->longs[count++] =
            (struct option){row->name, row->argument == NULL ? no_argument : required_argument,
                            NULL, CODE_FIRST + (int)i};
        if (row->letter != 0) {
            tables->letters[letters++] = row->letter;
            if (row->argument != NULL) {
                tables->letters[letters++] = ':';
            }
        }
    }
    tables->longs[count] = (struct option){"version", no_argument, NULL, CODE_VERSION};
    tables->longs[count + 1] = (struct option){0};
    tables->letters[letters] = '\0';
}

static const struct option_row *row_of(int code)
{
    if (code == CODE_VERSION) {
        return NULL;
    }
    if (code >= CODE_FIRST) {
        return &option_rows[code - CODE_FIRST];
    }
    for (size_t i = 0; i < option_row_count; i++) {
        if (option_rows[i].letter == code) {
            return &option_rows[i];
        }
    }
    return NULL;
}

static int refuse_option(int code, char **argv, const char *command, struct err *err)
{
    const char *text = argv[optind - 1];
    if (code == ':') {
        return err_set(err, ERR_USAGE, "option %s needs an argument", text);
    }
    if (optopt != 0 && optopt < CODE_FIRST) {
        return err_set(err, ERR_USAGE, "unknown option -%c (see: vitrine help %s)", optopt,
                       command);
    }
    return err_set(err, ERR_USAGE, "unknown option %s (see: vitrine help %s)", text, command);
}

static int apply_arguments(int argc, char **argv, struct options *out, struct err *err)
{
    struct getopt_tables tables;
    fill_tables(out->command, &tables);
    optind = 0;
    opterr = 0;
    int code;
    while ((code = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
        const struct option_row *row = row_of(code);
        if (row == NULL || code == ':' || code == '?') {
            return refuse_option(code, argv, argv[0], err);
        }
        if (set_option(row, optarg, out, err) != 0) {
            return err_prefix(err, "option --%s", row->name);
        }
    }
    out->operands = argv + optind;
    out->operand_count = argc - optind;
    return 0;
}

static enum command command_named(const char *name, struct options *out)
{
    for (size_t i = 0; i < command_row_count; i++) {
        if (strcmp(command_rows[i].name, name) == 0) {
            return command_rows[i].command;
        }
    }
    for (size_t i = 0; i < command_alias_count; i++) {
        const struct command_alias *alias = &command_aliases[i];
        if (strcmp(alias->name, name) == 0) {
            if (alias->flag != 0) {
                *(bool *)((char *)out + alias->flag) = true;
            }
            return alias->command;
        }
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        return COMMAND_VERSION;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return COMMAND_HELP;
    }
    return COMMAND_NONE;
}

/* Where the command stands: options may come before it, as mcp-run-python has them. What these
 * mean is looked at when it is known. 0 for --version. */
static int find_command(int argc, char **argv, struct err *err)
{
    struct getopt_tables tables;
    if (*argv[1] != '-' || strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "--help") == 0) {
        return 1;
    }
    fill_tables(~0U, &tables);
    optind = 0;
    opterr = 0;
    int code;
    while ((code = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
        if (code == CODE_VERSION) {
            return 0;
        }
        if (row_of(code) == NULL || code == ':' || code == '?') {
            return refuse_option(code, argv, "", err);
        }
    }
    return optind < argc ? optind : err_set(err, ERR_USAGE, "say what to do (see: vitrine help)");
}

/* Whether each command got what it needs, and nothing that it would silently drop. */
static int check_operands(struct options *out, struct err *err)
{
    if (out->help) {
        return 0;
    }
    if (out->command == COMMAND_RUN && out->operand_count == 0 && out->code == NULL) {
        return err_set(err, ERR_USAGE,
                       "nothing to run: give a FILE, - for standard input, or -c CODE");
    }
    if ((out->command & (COMMANDS_THAT_SERVE | COMMAND_EXAMPLE | COMMAND_WARMUP | COMMAND_VERSION |
                         COMMAND_DOCTOR)) != 0 &&
        out->operand_count > 0) {
        return err_set(err, ERR_USAGE, "\"%s\" is one argument too many", out->operands[0]);
    }
    if ((out->tls_cert == NULL) != (out->tls_key == NULL)) {
        return err_set(err, ERR_USAGE, "--tls-cert and --tls-key go together");
    }
    if (out->no_install && out->dependencies.count > 0) {
        return err_set(err, ERR_USAGE, "--no-install and --deps %s exclude each other",
                       out->dependencies.items[0]);
    }
    return 0;
}

int options_parse(int argc, char **argv, struct options *out, struct err *err)
{
    *out = (struct options){
        .limits = run_limits_default(),
        .spare_cells = LIMIT_SPARE_CELLS_DEFAULT,
        .cells_max = LIMIT_CELLS_DEFAULT,
        .require_jail = POOL_JAIL_SECCOMP,
        .cgroup = "auto",
        .spare_bytes = LIMIT_SPARE_MEMORY_DEFAULT,
        .drain_ms = LIMIT_DRAIN_MS_DEFAULT,
        .zygote_forks = LIMIT_ZYGOTE_FORKS_DEFAULT,
        .environment_memory_bytes = LIMIT_ENVIRONMENT_MEMORY_DEFAULT,
        .host = "127.0.0.1",
        .port = LIMIT_PORT_DEFAULT,
        .path = "/mcp",
        .python_sessions = LIMIT_POOL_SESSIONS_DEFAULT,
        .client_python_sessions = LIMIT_POOL_CLIENT_SESSIONS_DEFAULT,
        .python_session_idle_ms = LIMIT_POOL_SESSION_IDLE_MS_DEFAULT,
        .python_session_life_ms = LIMIT_POOL_SESSION_LIFE_MS_DEFAULT,
        .session_idle_ms = LIMIT_SESSION_IDLE_MS_DEFAULT,
        .sessions_max = LIMIT_SESSIONS_DEFAULT,
        .client_sessions = LIMIT_CLIENT_SESSIONS_DEFAULT,
        .request_ms = LIMIT_HTTP_BODY_MS_DEFAULT,
        .stall_ms = LIMIT_HTTP_STALL_MS_DEFAULT,
    };
    if (argc < 2) {
        return err_set(err, ERR_USAGE, "say what to do (see: vitrine help)");
    }
    int at = find_command(argc, argv, err);
    if (at < 0) {
        return -1;
    }
    out->command = at == 0 ? COMMAND_VERSION : command_named(argv[at], out);
    if (out->command == COMMAND_NONE) {
        return err_set(err, ERR_USAGE, "there is no command \"%s\" (see: vitrine help)", argv[at]);
    }
    if (at == 0) {
        return 0;
    }
    if (out->command == COMMAND_HTTP) {
        out->require_jail = POOL_JAIL_FULL; /* its clients are strangers, or may be */
    }
    if (apply_environment(out, false, err) != 0 || apply_arguments(at, argv, out, err) != 0 ||
        apply_arguments(argc - at, argv + at, out, err) != 0 ||
        apply_environment(out, true, err) != 0) {
        return -1;
    }
    return check_operands(out, err);
}
