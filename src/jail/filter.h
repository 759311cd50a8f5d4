/* The seccomp filter: private to src/jail. */
#ifndef JAIL_FILTER_H
#define JAIL_FILTER_H

#include "base/err.h"
#include "jail/jail.h"

/* From here on this process makes the calls of the table alone: of a closed zygote's, and of a
 * cell's. */
int jail_filter_load_closed(const struct jail_filter *filter, struct err *err);
int jail_filter_load_cell(const struct jail_filter *filter, struct err *err);
int jail_filter_load_session(const struct jail_filter *filter, struct err *err);

/* From here on calls of jail_session_table are asked about: returns the listener that is asked, or
 * -1 with errno. */
int jail_filter_load_ask(const struct jail_filter *filter);

#endif
