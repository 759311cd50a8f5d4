/* The commands of `vitrine`. Each returns the program's exit status. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/options.h"

enum exit_status {
    EXIT_MISTAKE = 2,       /* in the command line */
    EXIT_OURS = 125,        /* vitrine itself could not do its work */
    EXIT_INTERRUPTED = 130, /* 128 + SIGINT */
    EXIT_UNREAD = 141,      /* 128 + SIGPIPE */
    EXIT_TERMINATED = 143,  /* 128 + SIGTERM */
};

int command_repl(const struct options *options);
int command_run(const struct options *options);
int command_stdio(const struct options *options);
int command_http(const struct options *options);
int command_example(const struct options *options);
int command_warmup(const struct options *options);
int command_doctor(const struct options *options);
int command_version(const struct options *options);

#endif
