/*
 * `vitrine run --ask`: shows a program, what it would import and what it could reach, and asks on
 * the terminal whether it may run. Runs in `vitrine`, on the caller's loop.
 *
 * Question and answer go over the terminal itself (/dev/tty), since standard input and output may
 * be the program's. What is shown is made harmless: no control sequence, no character that changes
 * the direction of text, so that what a person reads is what would run.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "base/span.h"
#include "cli/options.h"
#include "packages/packages.h"

struct ask;

struct ask_events {
    void *context;
    /* Exactly once, unless it was dismissed. *err is NULL, or says why nobody could be asked; then
     * may_run is false. */
    void (*decided)(void *context, bool may_run, const struct err *err);
};

/* `code` and `filename` are borrowed until `decided`. ERR_USAGE where there is no terminal. */
int ask_start(uv_loop_t *loop, struct packages *packages, const struct options *options,
              struct span code, const char *filename, const struct ask_events *events,
              struct ask **out, struct err *err);

/* Takes the question back; `decided` does not come any more. */
void ask_dismiss(struct ask *ask);

#endif
