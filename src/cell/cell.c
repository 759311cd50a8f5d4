#include "cell/cell.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "cell/options.h"
#include "cell/zygote.h"
#include "jail/jail.h"

/* Beyond the guest's own stack: frames of the engine, of the platform and of this program. */
#define HOST_STACK_BYTES (8 * MIB)

#define HEAP_BYTES       (16 * MIB)
#define HEAP_PIECE_BYTES (4 * MIB)
#define PAGE_BYTES       (4 * KIB)

struct job {
    uint64_t started_us;
    int status;
};

static void *job_run(void *context)
{
    struct job *job = context;
    job->status = zygote_live(job->started_us);
    return NULL;
}

/*
 * The pool decides when this program ends; what a terminal or a service manager sends to a whole
 * group of processes is for the pool. SIGCHLD is read by signalfd, SIGUSR1 is for children.
 */
static void signals_prepare(void)
{
    static const int ignored[] = {
        SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
        SIGPIPE, SIGTSTP, SIGXFSZ}; /* a file of the host that is too large: EFBIG */
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        (void)signal(ignored[i], SIG_IGN);
    }
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGUSR1);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
}

/* fork copies the calling thread alone, so the guest boots, and its children run, on the one
 * thread whose stack is large enough; the main thread only waits. */
static int run_on_large_stack(struct job *job, struct err *err)
{
    pthread_attr_t attributes;
    pthread_t thread;
    (void)pthread_attr_init(&attributes);
    int failed = pthread_attr_setstacksize(&attributes, LIMIT_GUEST_STACK_BYTES + HOST_STACK_BYTES);
    if (failed == 0) {
        failed = pthread_create(&thread, &attributes, job_run, job);
    }
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0) {
        errno = failed;
        return err_system(err, "starting the thread of the guest");
    }
    (void)pthread_join(thread, NULL);
    return 0;
}

static int groups_join(const struct cell_options *options, struct err *err)
{
    for (size_t i = 0; i < options->group_count; i++) {
        if (jail_join(options->groups[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

/*
 * Opening a guest's modules makes up to ten megabytes of small things: thousands of page faults
 * here, and as many entries to copy for each child. So the heap begins with HEAP_BYTES on huge
 * pages; larger pieces lie in it too, and what is freed stays. There is one for both threads, as a
 * second one would reserve 64 MiB of its own.
 */
static void heap_prepare(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_TOP_PAD, (int)HEAP_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, (int)HEAP_PIECE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    char *before = sbrk(0);
    void *volatile first = malloc(1);
    free(first);
    const size_t len = (size_t)((char *)sbrk(0) - before);
    if (len >= HEAP_BYTES) { /* else it is another allocator's */
        char *start = (char *)(((uintptr_t)before + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
        (void)madvise(start, HEAP_BYTES - PAGE_BYTES, MADV_HUGEPAGE);
    }
}

int cell_main(int argc, char **argv, enum cell_jail jail)
{
    struct job job = {.started_us = clock_monotonic_us(), .status = 1};
    struct cell_options options;
    struct err err;
    log_set_program("vitrine-cell");
    heap_prepare();
    signals_prepare();
    if (cell_options_parse(argc, argv, &options, &err) != 0 || groups_join(&options, &err) != 0 ||
        jail_begin(&options.grants, &err) != 0) {
        log_error("%s", err.text);
        return err.code == ERR_USAGE ? 2 : 1;
    }
    if (zygote_load(&options, jail) != 0) {
        return 1;
    }
    if (run_on_large_stack(&job, &err) != 0) {
        log_error("%s", err.text);
        return 1;
    }
    /* Nothing is torn down: that would cost more than the kernel takes to do it. */
    _exit(job.status);
}
