#include "jail/filter.h"

#include <errno.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "jail/grants.h"
#include "jail/rules.h"
#include "jail/tables.h"

enum { FILTER_BYTES_MAX = 65536 };

/*
 * Everything a cell may ask of the kernel. It takes one request, grows memory, looks at clocks,
 * draws random bytes, sleeps, writes frames and ends; all else is a guest that broke out.
 */
static const struct rule allowed[] = {
    /* Frames, and last words of an assertion on standard error. */
    {SCMP_SYS(read), ALLOW, {ARG_IS(0, JAIL_SOCKET_FD)}},
    {SCMP_SYS(write), ALLOW, {ARG_IS(0, JAIL_SOCKET_FD)}},
    {SCMP_SYS(write), ALLOW, {ARG_IS(0, STDERR_FILENO)}},
    {SCMP_SYS(writev), ALLOW, {ARG_IS(0, JAIL_SOCKET_FD)}},
    {SCMP_SYS(writev), ALLOW, {ARG_IS(0, STDERR_FILENO)}},

    /* Memory, never executable; no file can be mapped. */
    {SCMP_SYS(brk), ALLOW, {{0}}},
    {SCMP_SYS(mmap), ALLOW, {IS_OWN_MEMORY}},
    {SCMP_SYS(mprotect), ALLOW, {ARG_LACKS(2, PROT_EXEC)}},
    {SCMP_SYS(mremap), ALLOW, {ARG_IS(3, MREMAP_MAYMOVE)}},
    {SCMP_SYS(munmap), ALLOW, {{0}}},
    {SCMP_SYS(madvise), ALLOW, {ARG_IS(2, MADV_DONTNEED)}},
    {SCMP_SYS(madvise), ALLOW, {ARG_IS(2, MADV_FREE)}},

    /* Time and chance. clock_gettime is a true call for CPU clocks alone. */
    {SCMP_SYS(clock_gettime), ALLOW, {{0}}},
    {SCMP_SYS(clock_getres), ALLOW, {{0}}},
    {SCMP_SYS(clock_nanosleep), ALLOW, {{0}}},
    {SCMP_SYS(nanosleep), ALLOW, {{0}}},
    {SCMP_SYS(restart_syscall), ALLOW, {{0}}},
    {SCMP_SYS(getrandom), ALLOW, {{0}}},
    {SCMP_SYS(setitimer), ALLOW, {ARG_IS(0, ITIMER_REAL)}}, /* output that waits */
    {SCMP_SYS(setitimer), ALLOW, {ARG_IS(0, ITIMER_PROF)}}, /* CPU time */

    /* Signals that come in: the interrupt, a trap of the engine. A fault that is no
     * trap is given back to the kernel by the engine's handler. */
    {SCMP_SYS(rt_sigreturn), ALLOW, {{0}}},
    {SCMP_SYS(rt_sigprocmask), ALLOW, {{0}}},
    {SCMP_SYS(rt_sigaction), ALLOW, {ARG_IS(0, SIGSEGV)}},
    {SCMP_SYS(rt_sigaction), ALLOW, {ARG_IS(0, SIGBUS)}},
    {SCMP_SYS(rt_sigaction), ALLOW, {ARG_IS(0, SIGILL)}},
    {SCMP_SYS(rt_sigaction), ALLOW, {ARG_IS(0, SIGFPE)}},

    /* Locks of the C library and the engine, which nobody else holds. */
    {SCMP_SYS(futex), ALLOW, {ARG_IS(1, FUTEX_WAIT_PRIVATE)}},
    {SCMP_SYS(futex), ALLOW, {ARG_IS(1, FUTEX_WAKE_PRIVATE)}},
    {SCMP_SYS(futex), ALLOW, {ARG_IS(1, FUTEX_WAIT_BITSET_PRIVATE)}},
    {SCMP_SYS(sched_yield), ALLOW, {{0}}},
    {SCMP_SYS(getpid), ALLOW, {{0}}},
    {SCMP_SYS(gettid), ALLOW, {{0}}},

    /* Lowering its own backstops; without capabilities they never go up again. */
    {SCMP_SYS(prlimit64), ALLOW, {ARG_IS(0, 0), ARG_IS(1, RLIMIT_DATA), ARG_IS(3, 0)}},
    {SCMP_SYS(prlimit64), ALLOW, {ARG_IS(0, 0), ARG_IS(1, RLIMIT_CPU), ARG_IS(3, 0)}},

    {SCMP_SYS(exit), ALLOW, {{0}}},
    {SCMP_SYS(exit_group), ALLOW, {{0}}},
};

const struct rule_table jail_cell_table = {
    .title = "A cell",
    .rules = allowed,
    .count = sizeof allowed / sizeof *allowed,
};

struct jail_filter {
    struct buf closed; /* for the zygote, when its jail closes */
    struct buf cell;
    struct buf session; /* for a session's cell in the place of that, */
    struct buf ask;     /* and below it; empty where the system has no such filters */
};

static int table_export(const struct jail_grants *grants, const struct rule_table *table,
                        struct buf *code, struct err *err)
{
    struct rule rows[GRANTS_RULES_MAX];
    struct rule_table joined;
    grants_join(grants, table, rows, &joined);
    return rules_export(&joined, code, err);
}

static int session_export(const struct jail_grants *grants, struct buf *code, struct err *err)
{
    struct rule rows[GRANTS_RULES_MAX];
    struct rule_table joined;
    grants_join(grants, &jail_cell_table, rows, &joined);
    return rules_export_both(&joined, &jail_session_table, code, err);
}

int jail_filter_build(const struct jail_grants *grants, struct jail_filter **out, struct err *err)
{
    struct jail_filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the system call filter");
    }
    buf_init(&filter->closed, FILTER_BYTES_MAX);
    buf_init(&filter->cell, FILTER_BYTES_MAX);
    buf_init(&filter->session, FILTER_BYTES_MAX);
    buf_init(&filter->ask, FILTER_BYTES_MAX);
    if (table_export(grants, &jail_closed_table, &filter->closed, err) != 0 ||
        table_export(grants, &jail_cell_table, &filter->cell, err) != 0 ||
        session_export(grants, &filter->session, err) != 0) {
        jail_filter_free(filter);
        return -1;
    }
    (void)rules_export_ask(&jail_session_table, &filter->ask, NULL);
    *out = filter;
    return 0;
}

void jail_filter_free(struct jail_filter *filter)
{
    if (filter != NULL) {
        buf_free(&filter->closed);
        buf_free(&filter->cell);
        buf_free(&filter->session);
        buf_free(&filter->ask);
        free(filter);
    }
}

static int load(const struct buf *code, struct err *err)
{
    return rules_load_code(code) == 0 ? 0 : err_system(err, "loading the system call filter");
}

int jail_filter_load_closed(const struct jail_filter *filter, struct err *err)
{
    return load(&filter->closed, err);
}

int jail_filter_load_cell(const struct jail_filter *filter, struct err *err)
{
    return load(&filter->cell, err);
}

int jail_filter_load_session(const struct jail_filter *filter, struct err *err)
{
    return load(&filter->session, err);
}

int jail_filter_load_ask(const struct jail_filter *filter)
{
    if (filter->ask.len == 0) {
        errno = ENOSYS;
        return -1;
    }
    return rules_load_ask(&filter->ask);
}
