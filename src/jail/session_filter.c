#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>

#include "jail/tables.h"

/*
 * What a session's cell may ask of the kernel besides: to make a copy of itself, and, as that copy,
 * to be taken in. Neither is granted by this table alone: a filter below it has the zygote asked
 * each time (ask.h).
 */
static const struct rule rows[] = {
    {SCMP_SYS(clone), ALLOW, {ARG_IS(0, SPLIT_FLAGS)}},
    {SCMP_SYS(prctl), ALLOW, {ARG_IS(0, PR_SET_PDEATHSIG), ARG_IS(1, SIGKILL)}},
};

const struct rule_table jail_session_table = {
    .title = "A session's cell, besides",
    .rules = rows,
    .count = sizeof rows / sizeof *rows,
};
