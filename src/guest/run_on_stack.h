/*
 * Guests run on a stack of their own size: Python's recursion lives there, and the engine checks
 * against LIMIT_GUEST_STACK_BYTES, so the host must really have that much and some to spare. Used
 * by the mains of `vitrine-cell` and `vitrine-precompile`.
 */
#ifndef GUEST_RUN_ON_STACK_H
#define GUEST_RUN_ON_STACK_H

#include "base/err.h"

/* Calls `body` on a thread with that stack, waits for it, and passes its result and error on. A
 * fork inside `body` leaves only that thread in the child, which must end with _exit. */
int run_on_stack(int (*body)(void *context, struct err *err), void *context, struct err *err);

#endif
