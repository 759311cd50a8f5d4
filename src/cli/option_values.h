/*
 * Values of options that are more than a number or a word. Runs in `vitrine`; used by options.c.
 *
 * Each but option_keep returns 0, or -1 with ERR_USAGE and a sentence that quotes what is wrong.
 */
#ifndef CLI_OPTION_VALUES_H
#define CLI_OPTION_VALUES_H

#include "cli/options.h"

/* A copy that may be cut and lives as long as the process; NULL without memory. */
char *option_keep(const char *text);

/*
 * Appends the requirements (PEP 508) of a list such as "numpy, pandas>=2,<3, uvicorn[a,b]": one
 * ends at a newline, and at a comma that a name follows and that stands in no brackets or quotes.
 * Only their shape is looked at; pip reads them.
 */
int option_add_requirements(struct option_list *list, const char *text, struct err *err);

/* Each appends one: a folder (made absolute) or an https address; an https address. What needs no
 * change is borrowed. */
int option_add_mirror(struct option_list *list, const char *text, struct err *err);
int option_add_url(struct option_list *list, const char *text, struct err *err);

/* Appends a text as it is, borrowed, to a list of at most count_max. */
int option_add_text(struct option_list *list, const char *text, unsigned count_max,
                    struct err *err);

/* Each appends one, which is borrowed: a host with or without a port, or "*"; an origin as browsers
 * send it, or "*". */
int option_add_host(struct option_list *list, const char *text, struct err *err);
int option_add_origin(struct option_list *list, const char *text, struct err *err);

/* Takes a path that begins with a slash and does not end with one. */
int option_set_path(const char **out, const char *text, struct err *err);

/* Takes an RFC 3339 time, or a date, which means its last second in UTC. */
int option_set_time(char out[OPTION_TIME_MAX], const char *text, struct err *err);

/* The variables of --env, and PYTHON_COLORS=1 behind them where the program's errors go to a
 * terminal in colours, unless --env has it. `out` gets LIMIT_ENV_COUNT_MAX and a NULL at most;
 * borrows. */
void option_env_for(const struct options *options, bool has_color, const char **out);

/* Adds one more, which is borrowed; without effect when there are too many. */
void option_env_add(const char **env, const char *variable);

#endif
