/* The tables of system calls, for `jail-tables`, which prints docs/seccomp.md: private to src/jail.
 */
#ifndef JAIL_TABLES_H
#define JAIL_TABLES_H

#include "jail/rules.h"

extern const struct rule_table jail_cell_table;   /* filter.c */
extern const struct rule_table jail_zygote_table; /* zygote_filter.c */
extern const struct rule_table jail_build_table;  /* build_filter.c */

#endif
