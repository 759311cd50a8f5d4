/*
 * Descriptors that are no entries of the descriptor table, so that a program can neither close them
 * nor find them by opening files; what is written there is checked like everything else from the
 * guest.
 *
 * The runner's own: reading gives the request, one write gives the result; before a program runs, a
 * write names objects to make immortal.
 *
 * The one for questions: one write is one question (a record of enum wire_fetch_field), and returns
 * when it has been answered; reads then give the answer, u32 status and bytes, until they give
 * nothing. The next question drops what is left of the last answer. EPERM where a program may not
 * ask, which is the rule.
 *
 * The one for what display() shows: one write is one bundle. EMSGSIZE when it is too large, ENOSPC
 * when the limit of bundles, or of their bytes, is reached.
 */
#ifndef GUEST_ABI_CONTROL_H
#define GUEST_ABI_CONTROL_H

#include <stddef.h>
#include <stdint.h>

struct guest;

/* The numbers that python/vitrine knows. */
#define GUEST_CONTROL_FD 1000000
#define GUEST_FETCH_FD   1000001
#define GUEST_DISPLAY_FD 1000002

/* As read(2) and write(2): a count, or a negated guest errno. */
int64_t control_read(struct guest *guest, void *bytes, size_t len);
int64_t control_write(struct guest *guest, const void *bytes, size_t len);
int64_t fetch_read(struct guest *guest, void *bytes, size_t len);
int64_t fetch_write(struct guest *guest, const void *bytes, size_t len);
int64_t display_write(struct guest *guest, const void *bytes, size_t len);

#endif
