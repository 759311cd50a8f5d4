/*
 * The other end of `vitrine-fetch`: starts it when something is asked, matches answers to askers,
 * starts another one when it dies, and lets it go when nothing was asked for a while.
 */
#ifndef PACKAGES_FETCHER_H
#define PACKAGES_FETCHER_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/span.h"
#include "wire/wire.h"

struct fetcher;
struct fetch;

struct fetch_events {
    void *context;
    /* Exactly once, from the loop, unless it is cancelled: status is of enum wire_fetch_status. */
    void (*answered)(void *context, uint32_t status, struct span bytes);
    /* A line about it; level 0 debug, 1 info, 2 warning. Not checked. May be NULL. */
    void (*log)(void *context, uint32_t level, struct span line);
};

/* `program` is copied. NULL without memory. Owned until fetcher_close. */
struct fetcher *fetcher_new(uv_loop_t *loop, const char *program);

/* The record of enum wire_fetch_config_field that each process gets first; copied. Before the first
 * question. */
int fetcher_configure(struct fetcher *fetcher, struct span record, struct err *err);

/* Asks for names[0]; the others are wanted next (count at least 1). NULL with *err when there is no
 * program to ask. The fetch is valid until it was answered or cancelled. */
struct fetch *fetcher_ask(struct fetcher *fetcher, enum wire_fetch_what what,
                          const struct span *names, size_t count, const struct fetch_events *events,
                          struct err *err);
void fetcher_cancel(struct fetch *fetch);

/* Ends the program; every fetch must be answered or cancelled. Then calls `closed`. */
void fetcher_close(struct fetcher *fetcher, void (*closed)(void *context), void *context);

#endif
