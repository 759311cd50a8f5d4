/*
 * Messages over standard input and output, one a line (MCP specification 2026-07-28,
 * basic/transports/stdio). Runs in `vitrine`, on the caller's libuv loop.
 *
 * Pipes, sockets and terminals are read as they come; a file is read in turns of the loop. A line
 * of more than LIMIT_MESSAGE_BYTES_MAX is skipped to its end in bounded memory and reported.
 * Messages are written in the order they were given. While more than LIMIT_WRITE_QUEUE_BYTES_MAX
 * wait for a slow reader, nothing is read; what was read before may still have large answers, so
 * whoever makes them is told.
 */
#ifndef TRANSPORT_STDIO_H
#define TRANSPORT_STDIO_H

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct stdio;

struct stdio_events {
    void *context;
    /* One line without its end; never empty. Borrowed until it returns. */
    void (*message)(void *context, struct span line);
    /* A line was too long and has been dropped. */
    void (*oversized)(void *context);
    /* The output is congested, or no longer. From inside stdio_send, or from the loop. */
    void (*congested)(void *context, bool is_congested);
    /* Input has ended (has_failed: and the client reads no more). At most once each way. */
    void (*ended)(void *context, bool has_failed);
};

/* Takes both descriptors, files excepted, and makes them non-blocking. The caller owns *out until
 * stdio_close. */
int stdio_open(uv_loop_t *loop, int in_fd, int out_fd, const struct stdio_events *events,
               struct stdio **out, struct err *err);

/* Sends the message's bytes and a newline; takes the contents of `message`, which must hold none.
 */
void stdio_send(struct stdio *stdio, struct buf *message);

/* Whether so much waits to be written that what can be left out should be. */
bool stdio_is_congested(const struct stdio *stdio);

/* Writes what waits, closes, frees, then calls `closed`. Nothing is read any more. */
void stdio_close(struct stdio *stdio, void (*closed)(void *context), void *context);

#endif
