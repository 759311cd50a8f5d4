/*
 * What was typed before: blocks of one or more lines, kept in a file from one `vitrine repl` to the
 * next. Runs in `vitrine`.
 *
 * The file is text: a block is its lines, each but the last with a backslash and its line's end
 * ("\\\n") as separator; a backslash in a line is doubled. Its folder is for its
 * owner alone, since people type secrets. The oldest blocks are dropped past
 * LIMIT_REPL_HISTORY_COUNT_MAX.
 */
#ifndef REPL_HISTORY_H
#define REPL_HISTORY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

struct history {
    char *blocks[LIMIT_REPL_HISTORY_COUNT_MAX]; /* NUL-terminated; owned; the oldest first */
    unsigned count;
    unsigned at; /* what is shown; `count`: what is being typed */
};

void history_init(struct history *history);
void history_free(struct history *history);

/* Adds the blocks of a file; 0 also when there is none. ERR_LIMIT past
 * LIMIT_REPL_HISTORY_BYTES_MAX. */
int history_load(struct history *history, const char *path, struct err *err);
int history_save(const struct history *history, const char *path, struct err *err);

/* Adds a block, unless it is empty, begins with a space, or is the last one again. */
void history_add(struct history *history, struct span block);

/* The block before or after the one that is shown; NULL when there is none, or (after the last)
 * when what is being typed comes next. */
const char *history_previous(struct history *history);
const char *history_next(struct history *history);

/* The youngest block before `before` that has `text` in it; its index, or -1. */
int history_search(const struct history *history, struct span text, unsigned before);

/* Back to what is being typed. */
void history_rewind(struct history *history);

#endif
