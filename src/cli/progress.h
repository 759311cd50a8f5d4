/*
 * How an installation is going, on standard error. Runs in `vitrine`.
 *
 * On a terminal it is one line that is written over, and gone before anything else is said. With
 * --verbose, or where standard error is no terminal, lines are log messages, which --verbose and
 * --quiet choose from. `vitrine run` says nothing that stays unless it is asked to: standard error
 * is the program's. The lines quote packages and pip: nothing in them reaches the terminal's
 * controls.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "cli/options.h"
#include "packages/packages.h"

struct progress {
    int fd;              /* of the terminal, or -1: log messages */
    bool has_color;      /* of all that we say on standard error */
    bool is_verbose;     /* every step is a message */
    bool keeps_warnings; /* as messages */
    bool is_shown;       /* a line is there to be cleared */
    unsigned column;     /* columns of the terminal; 0: to be asked for */
    struct buf last;     /* the last line that became a message */
};

/* Whether to write in colours, as the option and NO_COLOR have it. */
bool progress_wants_color(enum color_choice choice, bool is_terminal);

/* For standard error. */
void progress_init(struct progress *progress, const struct options *options);

void progress_log(struct progress *progress, enum packages_level level, struct span line);

/* Whether this line is the last that became a message, and need not be said again. */
bool progress_has_said(const struct progress *progress, struct span line);

/* Takes the line away. To be called before anything else is written to a terminal. */
void progress_clear(struct progress *progress);

/* Appends `line` as at most `columns` harmless characters; 0 or -1 as buf_append. */
int progress_append_line(struct buf *out, struct span line, unsigned columns);

#endif
