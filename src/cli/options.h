/*
 * Arguments and environment -> struct options. Runs in `vitrine`.
 *
 * One table (option_rows) says all there is to know of an option; parsing, --help, the manual page
 * and shell completion are made from it. What is not on the command line is looked for in the
 * environment variable VITRINE_NAME, and then has its default. Of options that may be repeated, the
 * command line's replace the variable's, but for --env, which adds to it.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "pool/pool.h"

enum command {
    COMMAND_NONE = 0,
    COMMAND_RUN = 1 << 0,
    COMMAND_STDIO = 1 << 1,
    COMMAND_VERSION = 1 << 2,
    COMMAND_HELP = 1 << 3,
    COMMAND_COMPLETION = 1 << 4,
    COMMAND_WARMUP = 1 << 5,
    COMMAND_DOCTOR = 1 << 6,
    COMMAND_HTTP = 1 << 7,
    COMMAND_EXAMPLE = 1 << 8,
    COMMAND_REPL = 1 << 9,
};
enum {
    COMMANDS_THAT_SERVE = COMMAND_STDIO | COMMAND_HTTP,
    COMMANDS_WITH_PACKAGES =
        COMMAND_RUN | COMMAND_REPL | COMMANDS_THAT_SERVE | COMMAND_EXAMPLE | COMMAND_WARMUP,
    COMMANDS_WITH_POOL = COMMANDS_WITH_PACKAGES | COMMAND_VERSION | COMMAND_DOCTOR,
};

struct command_row {
    enum command command;
    const char *name;
    const char *operands;
    const char *summary;
};
extern const struct command_row command_rows[];
extern const size_t command_row_count;

/* Other names of commands: mcp-run-python's, so that its users change one word. */
struct command_alias {
    const char *name;
    enum command command;
    size_t flag; /* offset in struct options of a bool that it sets; 0: none */
};
extern const struct command_alias command_aliases[];
extern const size_t command_alias_count;

enum color_choice { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* What an option that may be repeated has gathered: NULL-terminated, in order. */
struct option_list {
    const char *items[LIMIT_REQUIREMENTS_MAX + 1];
    unsigned count;
};

enum { OPTION_TIME_MAX = 40 };

struct options {
    enum command command;
    bool help; /* --help was there: show it and do nothing else */
    bool man;
    bool json;
    bool asks;     /* before a program is run */
    bool approves; /* the same, through MCP clients */
    const char *code;
    struct run_limits limits;
    uint64_t spare_cells;
    uint64_t cells_max;
    uint64_t client_cells; /* 0: all */
    uint64_t client_queue; /* 0: all there may be */
    uint64_t spare_bytes;
    uint64_t drain_ms;
    uint64_t zygote_forks;
    const char *cell_path;
    const char *guest_dir;
    const char *env[LIMIT_ENV_COUNT_MAX + 1]; /* NAME=VALUE, NULL-terminated */
    unsigned env_count;
    struct option_list files;            /* NAME[=PATH] */
    struct option_list mounts;           /* HOST[:GUEST][:ro|rw|overlay] */
    struct option_list dependencies;     /* requirements (PEP 508) */
    struct option_list mirrors;          /* folders and https addresses */
    struct option_list index_urls;       /* https addresses */
    char exclude_newer[OPTION_TIME_MAX]; /* an RFC 3339 time, or empty */
    const char *allow_packages;          /* a file, or NULL */
    const char *cache_dir;               /* or NULL */
    bool is_offline;
    bool no_install;
    bool all; /* warmup of everything */
    uint64_t environment_memory_bytes;
    int require_jail;            /* enum pool_jail_level */
    const char *cgroup;          /* auto, off, or a folder */
    uint64_t total_memory_bytes; /* 0: the default */
    int color;                   /* enum color_choice */
    int return_mode;             /* enum result_mode */
    const char *host;            /* to listen on, as all up to no_metrics */
    uint64_t port;
    const char *path;
    bool is_stateless;
    bool is_sse; /* "sse" is the command's name */
    const char *tls_cert;
    const char *tls_key;
    struct option_list allow_hosts;
    struct option_list allow_origins;
    uint64_t session_idle_ms;
    uint64_t sessions_max;
    uint64_t client_sessions;
    uint64_t connections_max;    /* 0: the default */
    uint64_t client_connections; /* 0: the default */
    uint64_t request_ms;
    uint64_t stall_ms;
    bool no_metrics;
    bool no_sessions;
    uint64_t python_sessions;
    uint64_t client_python_sessions;
    const char *session_dir;
    uint64_t python_session_idle_ms;
    uint64_t python_session_life_ms;
    bool is_network_disabled; /* as it always is */
    int verbosity;            /* -q less than 0, -v more than 0 */
    char **operands;          /* what follows the options; operands[operand_count] is NULL */
    int operand_count;
};

enum option_kind {
    OPTION_FLAG,         /* bool */
    OPTION_TEXT,         /* const char * */
    OPTION_BYTES,        /* uint64_t: 4096, 64K, 512M, 1G */
    OPTION_DURATION,     /* uint64_t milliseconds: 1.5, 500ms, 30s, 2m, 1h */
    OPTION_COUNT,        /* uint64_t */
    OPTION_CHOICE,       /* int, the index of a word of `argument`, which is a|b|c */
    OPTION_ENV,          /* appends to env */
    OPTION_REQUIREMENTS, /* appends to a struct option_list: numpy,pandas>=2,<3,uvicorn[standard] */
    OPTION_MIRROR,       /* appends a folder or an https address to a struct option_list */
    OPTION_URL,          /* appends an https address to a struct option_list */
    OPTION_TEXTS,        /* appends a text to a struct option_list of at most row->max */
    OPTION_HOST,         /* appends a host to a struct option_list: example.com, [::1]:8443, * */
    OPTION_ORIGIN,       /* appends a page's origin to one: https://example.com, * */
    OPTION_PATH,         /* const char *, an absolute path of an address: /mcp */
    OPTION_TIME,         /* char[OPTION_TIME_MAX]: an RFC 3339 time, or a date, to its end */
    OPTION_LESS,         /* int, one less */
    OPTION_MORE,         /* int, one more */
};

struct option_row {
    const char *name; /* long name, without dashes */
    char letter;      /* or 0 */
    enum option_kind kind;
    const char *argument; /* NULL when it takes none */
    unsigned commands;    /* bits of enum command */
    bool is_hidden;       /* in no help text */
    bool has_variable;    /* VITRINE_NAME is looked at */
    const char *variable; /* the variable's name where it is another */
    size_t offset;        /* in struct options */
    uint64_t min;
    uint64_t max;
    const char *help; /* "%s" stands for the default */
    const char *default_text;
};
extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* "VITRINE_GUEST_DIR" for "guest-dir". */
enum { OPTION_VARIABLE_MAX = 64 };
void option_variable(const struct option_row *row, char out[OPTION_VARIABLE_MAX]);

/* Fills *out, which borrows from argv and the environment. 0, or -1 with ERR_USAGE. */
int options_parse(int argc, char **argv, struct options *out, struct err *err);

/* The units of OPTION_BYTES and OPTION_DURATION; 0 or -1. */
int option_parse_bytes(const char *text, uint64_t *out);
int option_parse_duration(const char *text, uint64_t *out_ms);

#endif
