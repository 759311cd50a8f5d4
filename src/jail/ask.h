/*
 * Forks that have to be asked for: a session's cell may make a copy of itself, but the kernel stops
 * each such call and asks the zygote, which lets it go on only if the pool has ordered it. So a
 * cell that was broken into cannot fork at its own wish, and what it forks has a pid that the
 * kernel has told, not the cell.
 *
 * Life: the zygote opens a handover before its jail closes. A session's cell, while it enters its
 * jail, gets a listener from the kernel and hands it over, with its number. Later it calls
 * jail_ask_fork, the zygote reads that from the listener and answers; the copy, a child of the
 * zygote's, calls jail_ask_join as the first thing, and the zygote gives it a socket of its own.
 */
#ifndef JAIL_ASK_H
#define JAIL_ASK_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "jail/jail.h"

/* The ends of the handover, by number: the filters know them. */
#define JAIL_HANDOVER_FD (JAIL_GRANT_FD + JAIL_GRANTS_MAX) /* the zygote's */
#define JAIL_HANDOVER_CELL_FD                                                                      \
    (JAIL_HANDOVER_FD + 1) /* its children's, until they are in their jail */

/* For the zygote, before jail_restrict: makes the handover. Nothing else may have these numbers. */
int jail_handover_open(struct err *err);

/* For a session's cell, before jail_enter_cell: from now on the two calls are asked about. `number`
 * goes along. 0, or -1 with errno: then it cannot fork, and all else is as it was. */
int jail_handover_give(const struct jail_filter *filter, uint32_t number);

/* For the zygote: a listener that was handed over, which the caller owns, and its number. -1: none.
 */
int jail_handover_take(uint32_t *number);

/* In a session's cell: a copy of this process, with its pid; 0 in the copy; -1 with errno. The copy
 * has the same descriptors, and must call jail_ask_join before it uses them: from the return on the
 * cell's socket is another one, and it dies with the zygote. */
pid_t jail_ask_fork(void);
int jail_ask_join(void);

/* One question, at a listener. */
enum jail_ask_what { JAIL_ASK_FORK, JAIL_ASK_JOIN };
struct jail_ask {
    uint64_t id;
    pid_t pid; /* who asks, in the reader's numbers */
    enum jail_ask_what what;
};

/* 1 and a question; 0 when it was taken back; -1 when nobody is left to ask. */
int jail_ask_read(int listener, struct jail_ask *out);

/* The call is made; or fails with an error number; or is made with a copy of `fd` in the place of
 * the cell's socket. -1: whoever asked is gone, or has taken it back. */
int jail_ask_allow(int listener, const struct jail_ask *ask);
int jail_ask_refuse(int listener, const struct jail_ask *ask, int error);
int jail_ask_give(int listener, const struct jail_ask *ask, int fd);

#endif
