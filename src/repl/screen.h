/*
 * The text that is being typed, as it stands on a terminal: prompts, lines that wrap, the cursor.
 * Runs in `vitrine`. Makes bytes; whoever calls writes them.
 *
 * Everything is drawn anew at each change, from the row where the prompt began: a few hundred
 * bytes, and nothing to get out of step. What does not fit is shown around the cursor. Characters
 * are as wide as wcwidth() says (setlocale(LC_CTYPE) has been called); what would steer the
 * terminal, or the direction of text, is shown as U+FFFD.
 */
#ifndef REPL_SCREEN_H
#define REPL_SCREEN_H

#include "base/buf.h"
#include "base/span.h"

struct screen {
    unsigned columns; /* of the terminal */
    unsigned rows;
    unsigned cursor_row; /* where the cursor was left, counted from the first row drawn */
    unsigned drawn_rows;
};

/* What stands in front of the first line, and of the others: printable ASCII. */
struct screen_prompt {
    const char *first;
    const char *more;
    const char *color; /* a sequence that sets it, or "" */
};

/* Appends what turns the terminal from the last drawing to this one. `cursor` is an offset into
 * `text`. 0 or -1 as buf_append. */
int screen_draw(struct buf *out, struct screen *screen, const struct screen_prompt *prompt,
                struct span text, size_t cursor);

/* Appends what leaves the drawing as it is and goes to a new line behind it. */
int screen_leave(struct buf *out, struct screen *screen);

/* The same, but takes the drawing away. */
int screen_erase(struct buf *out, struct screen *screen);

#endif
