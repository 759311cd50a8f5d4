#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "jail/ask.h"
#include "jail/jail.h"
#include "jail/tables.h"

/*
 * Everything a zygote may ask of the kernel while it loads the guest's files. Nothing of a guest's
 * runs yet, but what it reads may have been made of a hostile wheel. closed_filter.c comes on top
 * of this one, and filter.c on top of both: so what they let through stands here as well.
 */
static const struct rule rows[] = {
    /* The guest's files; the root and Landlock hold the others back, and in the end these too. */
    {SCMP_SYS(openat), ALLOW, {{0}}},
    {SCMP_SYS(read), ALLOW, {{0}}},
    {SCMP_SYS(pread64), ALLOW, {{0}}},
    {SCMP_SYS(lseek), ALLOW, {{0}}},
    {SCMP_SYS(fstat), ALLOW, {{0}}},
    {SCMP_SYS(newfstatat), ALLOW, {{0}}},
    {SCMP_SYS(statx), ALLOW, {{0}}},
    {SCMP_SYS(fcntl), ALLOW, {ARG_IS(1, F_GETFD)}},
    {SCMP_SYS(fcntl), ALLOW, {ARG_IS(1, F_SETFD)}},
    {SCMP_SYS(fcntl), ALLOW, {ARG_IS(1, F_GETFL)}},
    {SCMP_SYS(close), ALLOW, {{0}}},
    {SCMP_SYS(ioctl), ANSWER(ENOTTY), {ARG_IS(1, TCGETS)}}, /* is standard error a terminal? */
    {SCMP_SYS(write), ALLOW, {ARG_IS(0, STDERR_FILENO)}},
    {SCMP_SYS(writev), ALLOW, {ARG_IS(0, STDERR_FILENO)}},
    {SCMP_SYS(write), ALLOW, {ARG_IS(0, JAIL_SOCKET_FD)}}, /* a cell's, from here on */
    {SCMP_SYS(writev), ALLOW, {ARG_IS(0, JAIL_SOCKET_FD)}},

    /* Memory. Machine code is mapped from files and made executable while it is loaded. */
    {SCMP_SYS(brk), ALLOW, {{0}}},
    {SCMP_SYS(mmap), ALLOW, {IS_OWN_COPY}},
    {SCMP_SYS(mprotect), ALLOW, {{0}}},
    {SCMP_SYS(mremap), ALLOW, {ARG_IS(3, MREMAP_MAYMOVE)}},
    {SCMP_SYS(mremap), ALLOW, {ARG_IS(3, MREMAP_MAYMOVE | MREMAP_FIXED)}},
    {SCMP_SYS(munmap), ALLOW, {{0}}},
    {SCMP_SYS(madvise), ALLOW, {{0}}},
    {SCMP_SYS(sysinfo), ALLOW, {{0}}}, /* qsort asks how much there is */

    /* One thread with a large stack, and children that share nothing. clone3 hides its flags in
     * memory, so the C library is told that it does not exist. */
    {SCMP_SYS(clone), ALLOW, {ARG_IS(0, THREAD_FLAGS)}},
    {SCMP_SYS(clone), ALLOW, {ARG_IS(0, FORK_FLAGS)}},
    {SCMP_SYS(clone), ALLOW, {ARG_IS(0, SPLIT_FLAGS)}}, /* a session's cell */
    {SCMP_SYS(clone3), ANSWER(ENOSYS), {{0}}},
    {SCMP_SYS(set_robust_list), ALLOW, {{0}}},
    {SCMP_SYS(rseq), ALLOW, {{0}}},
    {SCMP_SYS(sigaltstack), ALLOW, {{0}}},
    {SCMP_SYS(sched_getaffinity), ALLOW, {{0}}},
    {SCMP_SYS(sched_yield), ALLOW, {{0}}},
    {SCMP_SYS(futex), ALLOW, {ARG_HAS(1, FUTEX_PRIVATE_FLAG)}},
    {SCMP_SYS(futex), ALLOW, {ARG_IS(1, FUTEX_WAIT)}}, /* the end of a thread */
    {SCMP_SYS(futex), ALLOW, {ARG_IS(1, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME)}},
    {SCMP_SYS(wait4), ALLOW, {{0}}},
    {SCMP_SYS(kill), ALLOW, {IS_ONE_PROCESS, ARG_IS(1, SIGKILL)}},
    {SCMP_SYS(kill), ALLOW, {IS_ONE_PROCESS, ARG_IS(1, SIGUSR1)}},

    /* The control socket. */
    {SCMP_SYS(recvmsg), ALLOW, {ARG_IS(0, JAIL_SOCKET_FD)}},
    {SCMP_SYS(sendto), ALLOW, {ARG_IS(0, JAIL_SOCKET_FD), ARG_IS(4, 0)}},

    /* What sessions' cells ask for (ask.h). */
    {SCMP_SYS(recvmsg), ALLOW, {ARG_IS(0, JAIL_HANDOVER_FD)}},
    {SCMP_SYS(sendmsg), ALLOW, {ARG_IS(0, JAIL_HANDOVER_CELL_FD)}},
    {SCMP_SYS(ioctl), ALLOW, {ARG_IS(1, SECCOMP_IOCTL_NOTIF_RECV)}},
    {SCMP_SYS(ioctl), ALLOW, {ARG_IS(1, SECCOMP_IOCTL_NOTIF_SEND)}},
    {SCMP_SYS(ioctl), ALLOW, {ARG_IS(1, SECCOMP_IOCTL_NOTIF_ADDFD)}},
    {SCMP_SYS(signalfd4), ALLOW, {{0}}},
    {SCMP_SYS(poll), ALLOW, {{0}}},

    /* What closes this jail, and a cell's own. Without privileges none of it opens anything. */
    {SCMP_SYS(seccomp), ALLOW, {ARG_IS(0, SECCOMP_SET_MODE_FILTER), ARG_IS(1, 0)}},
    {SCMP_SYS(seccomp),
     ALLOW,
     {ARG_IS(0, SECCOMP_SET_MODE_FILTER), ARG_IS(1, SECCOMP_FILTER_FLAG_NEW_LISTENER)}},
    {SCMP_SYS(landlock_create_ruleset), ALLOW, {{0}}},
    {SCMP_SYS(landlock_restrict_self), ALLOW, {{0}}},
    {SCMP_SYS(chroot), ALLOW, {{0}}},
    {SCMP_SYS(chdir), ALLOW, {{0}}},
    {SCMP_SYS(capset), ALLOW, {{0}}},
    {SCMP_SYS(prctl), ALLOW, {ARG_IS(0, PR_SET_PDEATHSIG), ARG_IS(1, SIGKILL)}},
    {SCMP_SYS(prctl), ALLOW, {ARG_IS(0, PR_CAP_AMBIENT), ARG_IS(1, PR_CAP_AMBIENT_CLEAR_ALL)}},
    {SCMP_SYS(prctl), ALLOW, {ARG_IS(0, PR_SET_DUMPABLE), ARG_IS(1, 0)}},
    {SCMP_SYS(prctl), ANSWER(EINVAL), {ARG_IS(0, PR_SET_NAME)}},
    {SCMP_SYS(prctl), ANSWER(EINVAL), {ARG_IS(0, PR_SET_VMA)}},
    {SCMP_SYS(prlimit64), ALLOW, {ARG_IS(0, 0)}},
    {SCMP_SYS(dup2), ALLOW, {ARG_IS(1, JAIL_SOCKET_FD)}},
    {SCMP_SYS(close_range), ALLOW, {{0}}},
    {SCMP_SYS(setitimer), ALLOW, {{0}}},

    /* Time and chance. */
    {SCMP_SYS(clock_gettime), ALLOW, {{0}}},
    {SCMP_SYS(clock_getres), ALLOW, {{0}}},
    {SCMP_SYS(clock_nanosleep), ALLOW, {{0}}},
    {SCMP_SYS(nanosleep), ALLOW, {{0}}},
    {SCMP_SYS(restart_syscall), ALLOW, {{0}}},
    {SCMP_SYS(getrandom), ALLOW, {{0}}},

    /* Signals that come in; an assertion that fails. */
    {SCMP_SYS(rt_sigreturn), ALLOW, {{0}}},
    {SCMP_SYS(rt_sigprocmask), ALLOW, {{0}}},
    {SCMP_SYS(rt_sigaction), ALLOW, {{0}}},
    {SCMP_SYS(tgkill), ALLOW, {ARG_IS(2, SIGABRT)}},
    {SCMP_SYS(getpid), ALLOW, {{0}}},
    {SCMP_SYS(getppid), ALLOW, {{0}}},
    {SCMP_SYS(gettid), ALLOW, {{0}}},

    {SCMP_SYS(exit), ALLOW, {{0}}},
    {SCMP_SYS(exit_group), ALLOW, {{0}}},
};

const struct rule_table jail_zygote_table = {
    .title = "A zygote that loads the guest's files",
    .rules = rows,
    .count = sizeof rows / sizeof *rows,
};
