/*
 * The runner's own descriptor: reading gives the request, one write gives the result; before a
 * program runs, a write names objects to make immortal. It is no entry of the descriptor table, so
 * a program can neither close it nor find it by opening files; what is written there is checked
 * like everything else from the guest.
 */
#ifndef GUEST_ABI_CONTROL_H
#define GUEST_ABI_CONTROL_H

#include <stddef.h>
#include <stdint.h>

struct guest;

/* The number that python/vitrine/wire.py knows. */
#define GUEST_CONTROL_FD 1000000

/* As read(2) and write(2): a count, or a negated guest errno. */
int64_t control_read(struct guest *guest, void *bytes, size_t len);
int64_t control_write(struct guest *guest, const void *bytes, size_t len);

#endif
