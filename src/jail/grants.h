/* What cells may do in directories of the host that they are granted: private to src/jail. */
#ifndef JAIL_GRANTS_H
#define JAIL_GRANTS_H

#include "jail/jail.h"
#include "jail/landlock.h"
#include "jail/tables.h"

enum { GRANTS_RULES_MAX = 160 };

/* Whether there are any, and whether one can be written to. `grants` may be NULL. */
unsigned grants_count(const struct jail_grants *grants);
bool grants_write(const struct jail_grants *grants);

/* Fills *out: the table alone, or its rows in `rows` behind those that directories need. A call of
 * theirs is answered as they say. */
void grants_join(const struct jail_grants *grants, const struct rule_table *table,
                 struct rule rows[GRANTS_RULES_MAX], struct rule_table *out);

/* Landlock's rights in each of them. Returns how many there are. */
size_t grants_rights(const struct jail_grants *grants, struct landlock_grant out[JAIL_GRANTS_MAX]);

#endif
