/*
 * Writes a module anew as its linkage says (linkage.h): imports that stand for own functions are
 * taken out and all that names them names the own function; functions that got places behind the
 * others get an element segment there; the core's table starts larger by as many. Custom sections
 * are left out: the engine has no use for them, and those about code would lie.
 */
#ifndef GUEST_DYLINK_REWRITE_H
#define GUEST_DYLINK_REWRITE_H

#include "guest/dylink/linkage.h"

/* Appends the module to `out`. `relative`: the new element segment begins `entries` behind
 * env.__table_base, and that and the table become imports if they are none yet; else it begins at
 * the literal place `entries`.
 * -1: ERR_FORMAT, ERR_LIMIT, ERR_MEMORY; `out` is then as it was. */
int rewrite_module(const struct linkage *linkage, bool relative, uint32_t entries, struct buf *out,
                   struct err *err);

#endif
