/*
 * Makes a program's bytes safe for a terminal (attack 32). Runs in `vitrine`.
 *
 * Through go: text, newline, tab, carriage return, and the sequences that set colours (ESC [ ...
 * m). Every other control character, C1 controls, overrides of text direction and ill-formed UTF-8
 * become U+FFFD, so nothing can retitle the window, move the cursor, or make the terminal answer.
 * Pieces may be cut anywhere.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "base/buf.h"
#include "base/span.h"

enum { TERMINAL_HELD_MAX = 32 }; /* the longest colour sequence that is let through */

struct terminal_filter {
    char held[TERMINAL_HELD_MAX]; /* a beginning that the next piece decides on */
    size_t held_len;
};

/* Appends what `piece` comes to; 0 or -1 as buf_append. */
int terminal_filter(struct terminal_filter *filter, struct span piece, struct buf *out);

/* Appends what is still held, at the end of the stream. */
int terminal_finish(struct terminal_filter *filter, struct buf *out);

#endif
