/* What a guest from a snapshot has in common with one that boots: private to src/guest. */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include "base/err.h"

struct guest;

/* Asks Python for its version. */
int boot_read_version(struct guest *guest, struct err *err);

/* Lets Python forget which modules there are, in a guest whose packages may be others now. What the
 * program has made of the import system may raise; that is its own affair. -1: ERR_TRAP. */
int boot_look_again(struct guest *guest, struct err *err);

/* Takes away from a guest all that came after guest_load, but for what is in linear memory and in
 * the core's variables, and for the sizes of memory and table. The store and the core's instance
 * stay, because a cell could not make others: it maps no files. Libraries' instances stay behind
 * where nothing leads to them. After -1 it is good for guest_free alone. */
int boot_clear(struct guest *guest, struct err *err);

#endif
