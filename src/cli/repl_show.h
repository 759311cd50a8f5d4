/*
 * What a program at the prompt gives back, on the terminal: output, errors, pictures. Runs in
 * `vitrine`. Nothing of it steers the terminal but colours, and a picture's own bytes.
 */
#ifndef CLI_REPL_SHOW_H
#define CLI_REPL_SHOW_H

#include <stdbool.h>

#include "cli/terminal.h"
#include "pool/outcome.h"
#include "repl/graphics.h"

struct repl_show {
    struct terminal_filter filters[2]; /* by enum run_stream */
    enum graphics way;
    unsigned picture_count; /* saved so far */
    bool has_color;
    bool is_in_line; /* the last output had no newline at its end */
};

void repl_show_init(struct repl_show *show, bool has_color);

/* Output as it comes; RUN_DISPLAY is a whole bundle. */
void repl_show_output(struct repl_show *show, enum run_stream stream, struct span bytes);

/* The end of a program: the rest of its output, and what went wrong. */
void repl_show_end(struct repl_show *show, const struct outcome *outcome);

/* A line of ours. */
void repl_show_note(struct repl_show *show, const char *text);

#endif
