/* The line about the jail at the start of a command. Runs in `vitrine`. */
#ifndef POOL_JAIL_LINE_H
#define POOL_JAIL_LINE_H

#include "pool/jail.h"

/*
 * Says what there is of the jail: with --verbose, and for a server also when a part is missing.
 */
void jail_line_say(const struct pool_jail *jail, bool is_server);

#endif
