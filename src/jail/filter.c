#include "jail/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
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
    {SCMP_SYS(mmap), ALLOW, {ARG_LACKS(2, PROT_EXEC), ARG_HAS(3, MAP_ANONYMOUS)}},
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
    struct buf code; /* struct sock_filter, one after the other */
};

/* ---- Building -------------------------------------------------------------------------------- */

/* The library writes BPF to a descriptor only; memory stands in for a file. */
static int bpf_export(scmp_filter_ctx context, struct buf *code, struct err *err)
{
    cleanup_fd int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0) {
        return err_system(err, "building the system call filter: memfd_create");
    }
    int result = seccomp_export_bpf(context, fd);
    if (result != 0) {
        return rules_fail(result, "exporting it", err);
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        return err_system(err, "building the system call filter: lseek");
    }
    return fd_read_all(fd, code, err);
}

static int filter_fill(struct jail_filter *filter, struct err *err)
{
    scmp_filter_ctx context = rules_compile(allowed, sizeof allowed / sizeof *allowed, err);
    if (context == NULL) {
        return -1;
    }
    int result = bpf_export(context, &filter->code, err);
    seccomp_release(context);
    return result;
}

int jail_filter_build(struct jail_filter **out, struct err *err)
{
    struct jail_filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the system call filter");
    }
    buf_init(&filter->code, FILTER_BYTES_MAX);
    if (filter_fill(filter, err) != 0) {
        jail_filter_free(filter);
        return -1;
    }
    *out = filter;
    return 0;
}

void jail_filter_free(struct jail_filter *filter)
{
    if (filter != NULL) {
        buf_free(&filter->code);
        free(filter);
    }
}

/* ---- Loading --------------------------------------------------------------------------------- */

int jail_filter_load(const struct jail_filter *filter, struct err *err)
{
    struct sock_fprog program = {
        .len = (unsigned short)(filter->code.len / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(void *)filter->code.base,
    };
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, &program) != 0) {
        return err_system(err, "loading the system call filter");
    }
    return 0;
}
