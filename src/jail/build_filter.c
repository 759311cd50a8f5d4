#include "jail/build_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "jail/rules.h"
#include "jail/tables.h"

/* No file that runs as somebody else comes out of a build. */
#define SPECIAL_MODES (S_ISUID | S_ISGID | S_ISVTX)

/*
 * Everything a build may ask of the kernel: memory, threads for the compiler, files, its end. All
 * else is a wheel that broke the reader or the compiler.
 */
static const struct rule table[] = {
    /* Files below the one folder; the root and Landlock hold the others back. */
    {SCMP_SYS(openat), ALLOW, {ARG_LACKS(3, SPECIAL_MODES)}},
    {SCMP_SYS(read), ALLOW, {{0}}},
    {SCMP_SYS(write), ALLOW, {{0}}},
    {SCMP_SYS(writev), ALLOW, {{0}}},
    {SCMP_SYS(close), ALLOW, {{0}}},
    {SCMP_SYS(fstat), ALLOW, {{0}}},
    {SCMP_SYS(newfstatat), ALLOW, {{0}}},
    {SCMP_SYS(statx), ALLOW, {{0}}},
    {SCMP_SYS(lseek), ALLOW, {{0}}},
    {SCMP_SYS(ftruncate), ALLOW, {{0}}},
    {SCMP_SYS(fchmod), ALLOW, {ARG_LACKS(1, SPECIAL_MODES)}},
    {SCMP_SYS(fsync), ALLOW, {{0}}},
    {SCMP_SYS(fdatasync), ALLOW, {{0}}},
    {SCMP_SYS(rename), ALLOW, {{0}}},
    {SCMP_SYS(unlink), ALLOW, {{0}}},
    {SCMP_SYS(readlink), ANSWER(ENOENT), {{0}}},
    {SCMP_SYS(ioctl), ANSWER(ENOTTY), {{0}}}, /* is standard error a terminal? */

    /* Memory, never executable. The engine makes what it has compiled executable before it hands
     * the bytes out; it is told that this is done, and nobody ever runs them here. */
    {SCMP_SYS(brk), ALLOW, {{0}}},
    {SCMP_SYS(mmap), ALLOW, {IS_OWN_MEMORY}},
    {SCMP_SYS(mprotect), ALLOW, {ARG_LACKS(2, PROT_EXEC)}},
    {SCMP_SYS(mprotect), ANSWER(0), {ARG_HAS(2, PROT_EXEC)}},
    {SCMP_SYS(mremap), ALLOW, {ARG_IS(3, MREMAP_MAYMOVE)}},
    {SCMP_SYS(mremap), ALLOW, {ARG_IS(3, MREMAP_MAYMOVE | MREMAP_FIXED)}},
    {SCMP_SYS(munmap), ALLOW, {{0}}},
    {SCMP_SYS(madvise), ALLOW, {{0}}},
    {SCMP_SYS(sysinfo), ALLOW, {{0}}}, /* qsort asks how much there is */

    /* Threads, which share everything; clone3 hides its flags in memory, so the C library is told
     * that it does not exist. */
    {SCMP_SYS(clone), ALLOW, {ARG_HAS(0, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)}},
    {SCMP_SYS(clone3), ANSWER(ENOSYS), {{0}}},
    {SCMP_SYS(set_robust_list), ALLOW, {{0}}},
    {SCMP_SYS(rseq), ALLOW, {{0}}},
    {SCMP_SYS(sigaltstack), ALLOW, {{0}}},
    {SCMP_SYS(prctl), ANSWER(EINVAL), {{0}}}, /* names of threads */
    {SCMP_SYS(sched_getaffinity), ALLOW, {{0}}},
    {SCMP_SYS(sched_yield), ALLOW, {{0}}},
    {SCMP_SYS(futex), ALLOW, {ARG_HAS(1, FUTEX_PRIVATE_FLAG)}},
    {SCMP_SYS(futex), ALLOW, {ARG_IS(1, FUTEX_WAIT)}}, /* the end of a thread */
    {SCMP_SYS(futex), ALLOW, {ARG_IS(1, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME)}},
    {SCMP_SYS(getpid), ALLOW, {{0}}},
    {SCMP_SYS(gettid), ALLOW, {{0}}},
    {SCMP_SYS(membarrier), ALLOW, {{0}}},

    /* Time and chance. */
    {SCMP_SYS(clock_gettime), ALLOW, {{0}}},
    {SCMP_SYS(clock_nanosleep), ALLOW, {{0}}},
    {SCMP_SYS(nanosleep), ALLOW, {{0}}},
    {SCMP_SYS(restart_syscall), ALLOW, {{0}}},
    {SCMP_SYS(getrandom), ALLOW, {{0}}},

    /* Signals that come in; an assertion that fails. */
    {SCMP_SYS(rt_sigreturn), ALLOW, {{0}}},
    {SCMP_SYS(rt_sigprocmask), ALLOW, {{0}}},
    {SCMP_SYS(rt_sigaction), ALLOW, {{0}}},
    {SCMP_SYS(tgkill), ALLOW, {ARG_IS(2, SIGABRT)}},

    /* The child that makes bytecode, and the end. */
    {SCMP_SYS(wait4), ALLOW, {{0}}},
    {SCMP_SYS(exit), ALLOW, {{0}}},
    {SCMP_SYS(exit_group), ALLOW, {{0}}},
};

const struct rule_table jail_build_table = {
    .title = "The process that builds a wheel",
    .rules = table,
    .count = sizeof table / sizeof *table,
};

int jail_build_filter_load(struct err *err)
{
    return rules_load(&jail_build_table) == 0 ? 0
                                              : err_system(err, "loading the system call filter");
}
