/* The first life of vitrine-cell: private to src/cell. */
#ifndef CELL_ZYGOTE_H
#define CELL_ZYGOTE_H

#include <stdint.h>

#include "cell/cell.h"
#include "cell/options.h"

/* Enters the jail and loads the guest's files. In a process with one thread; returns in a child of
 * it. -1 when it has told the pool why it cannot go on. */
int zygote_load(const struct cell_options *options, enum cell_jail jail);

/* Boots the guest and serves the control socket until the pool closes it. Runs on the stack that
 * the guest is to have. Returns the exit status. */
int zygote_live(uint64_t started_us);

#endif
