/* Sorted names: how link records order them, and looking one up. */
#ifndef GUEST_DYLINK_NAMES_H
#define GUEST_DYLINK_NAMES_H

#include "base/buf.h"

/* The order of names: as memcmp, a prefix first. */
int names_compare(struct span a, struct span b);

/* An array of struct span in a buffer: sorts it, and asks whether a sorted one has a name. */
void names_sort(struct buf *names);
bool names_have(const struct buf *names, struct span name);

#endif
