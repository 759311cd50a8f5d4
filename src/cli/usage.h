/*
 * What is told of the command line: help texts, the manual page, shell completion. All of it is
 * made from the tables of cli/options.h, so that it cannot fall behind them. Runs in `vitrine`.
 */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include "base/buf.h"
#include "cli/options.h"

/* Each appends and returns 0, or -1 as buf_append. */
int usage_append_overview(struct buf *out);
int usage_append_command(struct buf *out, enum command command);
int usage_append_man(struct buf *out);

/* `shell` is bash, zsh or fish; ERR_USAGE for another. */
int usage_append_completion(struct buf *out, const char *shell, struct err *err);

#endif
