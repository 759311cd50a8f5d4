/* The tables of system calls, for `jail-tables`, which prints docs/seccomp.md: private to src/jail.
 */
#ifndef JAIL_TABLES_H
#define JAIL_TABLES_H

#include <sched.h>
#include <signal.h>

#include "jail/rules.h"

/* How the C library makes a thread, and a process. */
#define THREAD_FLAGS                                                                               \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define FORK_FLAGS (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)

/* How a session's cell makes a copy of itself: a child of the zygote's. */
#define SPLIT_FLAGS (CLONE_PARENT | SIGCHLD)

extern const struct rule_table jail_cell_table;    /* filter.c */
extern const struct rule_table jail_session_table; /* session_filter.c */
extern const struct rule_table jail_closed_table;  /* closed_filter.c */
extern const struct rule_table jail_zygote_table;  /* zygote_filter.c */
extern const struct rule_table jail_build_table;   /* build_filter.c */
extern const struct rule_table jail_reader_table;  /* grants.c */
extern const struct rule_table jail_writer_table;  /* the same */

#endif
