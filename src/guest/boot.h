/* What a guest from a snapshot has in common with one that boots: private to src/guest. */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include "base/err.h"

struct guest;

/* Asks Python for its version. */
int boot_read_version(struct guest *guest, struct err *err);

#endif
