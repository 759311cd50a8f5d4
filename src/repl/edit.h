/*
 * The text that is being typed: one or more lines, a cursor, and what was cut last. Runs in
 * `vitrine`; knows nothing of terminals.
 *
 * Places are byte offsets at the border of a character; a character is one code point. Lines are
 * separated by "\n".
 */
#ifndef REPL_EDIT_H
#define REPL_EDIT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

struct edit {
    struct buf text;
    size_t cursor;
    struct buf cut;  /* what KEY_YANK gives back */
    bool has_column; /* moving up and down keeps to `column` */
    size_t column;
};

void edit_init(struct edit *edit);
void edit_free(struct edit *edit);

/* Replaces everything, cursor at the end. 0, or -1 as buf_append: then nothing has changed. */
int edit_set(struct edit *edit, struct span text);

/* At the cursor. `text` is UTF-8; controls but newlines and tabs are left
 * out. 0 or -1. */
int edit_insert(struct edit *edit, struct span text);

/* A new line, indented as the one before the cursor, and by four more behind a colon. */
int edit_newline(struct edit *edit);

/* In front of the line's text a Tab indents, to the next multiple of four. False elsewhere. */
bool edit_indent(struct edit *edit);

void edit_backspace(struct edit *edit); /* in an indentation: to the last multiple of four */
void edit_delete(struct edit *edit);
void edit_left(struct edit *edit);
void edit_right(struct edit *edit);
bool edit_up(struct edit *edit); /* false on the first line */
bool edit_down(struct edit *edit);
void edit_word_left(struct edit *edit);
void edit_word_right(struct edit *edit);
void edit_home(struct edit *edit);
void edit_end(struct edit *edit);
void edit_first(struct edit *edit);
void edit_last(struct edit *edit);

/* These cut. */
void edit_kill_to_end(struct edit *edit); /* of the line; at its end the newline */
void edit_kill_to_start(struct edit *edit);
void edit_kill_word(struct edit *edit);
void edit_kill_word_ahead(struct edit *edit);
int edit_yank(struct edit *edit);

#endif
