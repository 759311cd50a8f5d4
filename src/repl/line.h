/*
 * A line editor: keys in, what is to be done out. Joins text, screen and history. Runs in
 * `vitrine`; makes bytes for the terminal, and writes none.
 */
#ifndef REPL_LINE_H
#define REPL_LINE_H

#include <stdbool.h>

#include "base/buf.h"
#include "repl/edit.h"
#include "repl/history.h"
#include "repl/keys.h"
#include "repl/screen.h"

struct line {
    struct edit edit;
    struct screen screen;
    struct history history;
    struct buf typed; /* what was being typed when the history was opened */
    bool has_color;
    bool is_searching;
    struct buf needle; /* what is searched for */
    int found;         /* its block in the history, or -1 */
};

/* What a key asks for. After each, line_draw shows what there is now. */
enum line_wish {
    LINE_NOTHING,
    LINE_ENTER, /* the input may be complete: line_newline, or line_submit */
    LINE_TAB,   /* the word in front of the cursor may go on: line_complete */
    LINE_INTERRUPT,
    LINE_END,   /* there is no more input */
    LINE_CLEAR, /* the screen is to be cleared first */
};

void line_init(struct line *line, bool has_color);
void line_free(struct line *line);

enum line_wish line_take(struct line *line, const struct key *key);

/* Appends the drawing. 0 or -1 as buf_append; so do the following. */
int line_draw(struct line *line, struct buf *out);

/* After LINE_ENTER: the input goes on in a new line. */
int line_newline(struct line *line, struct buf *out);

/* After LINE_ENTER: appends the whole input to `input`, keeps it in the history, and begins anew
 * below it. */
int line_submit(struct line *line, struct buf *input, struct buf *out);

/* Leaves what stands there and begins anew below it. */
int line_drop(struct line *line, struct buf *out);

/* The text in front of the cursor; borrowed. */
struct span line_before_cursor(const struct line *line);

/*
 * After LINE_TAB: `words` (UTF-8) could stand in front of the cursor from character `start` of the
 * text on. What all of them begin with is put there; when that is nothing new, they are listed.
 */
int line_complete(struct line *line, size_t start, const struct span *words, size_t count,
                  struct buf *out);

#endif
