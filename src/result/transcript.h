/*
 * What a program wrote to stdout and stderr, collected for a result. Runs in `vitrine`.
 *
 * Bytes come in pieces that may be cut anywhere. They are kept by stream, so a character that was
 * cut in two is whole again; and the order in which lines were completed is kept beside them, so
 * the two streams can be shown line by line as they were produced. Nothing of them is decoded here.
 *
 * What display() showed stands between the lines (result/display.h). What is no bundle is left out;
 * the rest is kept as JSON without white space, so each is a line too.
 */
#ifndef RESULT_TRANSCRIPT_H
#define RESULT_TRANSCRIPT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "pool/outcome.h"

struct transcript {
    struct buf bytes[3];  /* by enum run_stream, as written; of displays one a line */
    size_t line_start[2]; /* where each stream's unfinished line begins */
    struct buf order;     /* one byte for each line: its enum run_stream */
    bool truncated[3];    /* more came than there was room for */
    void (*line)(void *context, enum run_stream stream, struct span line); /* may be NULL */
    void *context;
};

/* Collects up to bytes_max of each stream. Set `line` and `context` afterwards to hear of each
 * line, without its end, when it is complete. */
void transcript_init(struct transcript *transcript, size_t bytes_max);
void transcript_free(struct transcript *transcript);

void transcript_add(struct transcript *transcript, enum run_stream stream, struct span bytes);

/* The program has ended: what stands there without a newline becomes a line, stdout's first. */
void transcript_finish(struct transcript *transcript);

/* Walks over the lines in order. */
struct transcript_cursor {
    size_t line;
    size_t at[3];
};
bool transcript_next(const struct transcript *transcript, struct transcript_cursor *cursor,
                     enum run_stream *stream, struct span *line);

#endif
