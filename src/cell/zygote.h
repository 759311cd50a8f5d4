/* The first life of vitrine-cell: private to src/cell. */
#ifndef CELL_ZYGOTE_H
#define CELL_ZYGOTE_H

#include <stdint.h>

#include "cell/cell.h"
#include "cell/options.h"

/* Boots the guest and serves the control socket until the pool closes it. Runs on the stack that
 * the guest is to have. Returns the exit status. */
int zygote_live(const struct cell_options *options, enum cell_jail jail, uint64_t started_us);

#endif
