/*
 * Programs with the same imports and dependencies need the same environment, so they can go there
 * at once. Only a hint: the guest still compares the need, and says so when it is another one.
 */
#ifndef PACKAGES_HINT_H
#define PACKAGES_HINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "packages/sum.h"

/* A digest of the lines of `code` that say what it imports or declares (PEP 723), and of the
 * dependencies given beside it (NULL-terminated, or NULL). False when there are none of both: such
 * a program needs nothing. */
bool hint_key(struct span code, const char *const *dependencies, uint8_t key[SUM_BYTES]);

#endif
