/* Our own Python, run in a cell of the resolver's environment (GUESTDIR/resolver). What it answers
 * was made of hostile input, so it is not trusted. */
#ifndef PACKAGES_TASK_H
#define PACKAGES_TASK_H

#include <stdbool.h>

#include "base/err.h"
#include "packages/state.h"
#include "wire/wire.h"

struct task;

struct task_events {
    void *context;
    /* It asks for something: answered by task_fetched, now or later. NULL: it may not ask. */
    void (*fetch)(void *context, struct span question);
    /* Exactly once, last, unless it was cancelled: the value of its last expression as JSON, or why
     * there is none. */
    void (*done)(void *context, struct span value_json, const struct err *err);
};

/* `code` and `globals_json` are copied. NULL with *err. */
struct task *task_start(struct packages *packages, const char *code, struct span globals_json,
                        const struct task_events *events, struct err *err);
void task_fetched(struct task *task, enum wire_fetch_status status, struct span bytes);

/* No event comes any more. */
void task_cancel(struct task *task);

#endif
