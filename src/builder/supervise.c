#include "builder/supervise.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "jail/build.h"

unsigned supervise_cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1U : (unsigned)count;
}

static bool has_jail = true;

void supervise_without_jail(void)
{
    has_jail = false;
}

bool supervise_has_jail(void)
{
    return has_jail;
}

int supervise_enter_jail(const char *out_dir, const char **out_path, struct err *err)
{
    const struct jail_build_limits limits = {
        .data_bytes = LIMIT_BUILD_MEMORY_BYTES,
        .cpu_s = LIMIT_BUILD_MS / 1000 * supervise_cores(),
        .file_bytes = LIMIT_BUILD_FILE_BYTES,
    };
    *out_path = out_dir;
    return has_jail ? jail_build_enter(out_dir, &limits, out_path, err) : 0;
}

/* True when the child has ended in time. */
static bool wait_for(pid_t child, uint64_t ms_max)
{
    cleanup_fd int fd = (int)syscall(SYS_pidfd_open, child, 0u);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    if (fd < 0) {
        return true; /* an old kernel: waitpid waits, without the limit */
    }
    int ready;
    do {
        ready = poll(&end, 1, (int)ms_max);
    } while (ready < 0 && errno == EINTR);
    return ready != 0;
}

/* What the child's end means. Its error is memory that it could write to. */
static int child_result(int status, struct err *from_child, struct err *err)
{
    if (WIFEXITED(status)) {
        from_child->text[sizeof from_child->text - 1] = '\0';
        return WEXITSTATUS(status) == 0
                   ? 0
                   : err_set(err, from_child->code == ERR_NONE ? ERR_SYSTEM : from_child->code,
                             "%s",
                             from_child->text[0] == '\0' ? "it failed without a reason"
                                                         : from_child->text);
    }
    switch (WTERMSIG(status)) {
    case SIGXCPU: return err_set(err, ERR_LIMIT, "it used more processor time than a build may");
    case SIGXFSZ: return err_set(err, ERR_LIMIT, "it wrote a larger file than a build may");
    case SIGSYS:
        return err_set(err, ERR_SYSTEM,
                       "it was stopped, because it made a system call that a "
                       "build does not make");
    default: return err_set(err, ERR_SYSTEM, "it was killed by signal %d", WTERMSIG(status));
    }
}

/* In a pid namespace of its own the child cannot see by getppid whether its parent died before
 * there was a signal for that; a descriptor of the parent says so. */
static int follow(pid_t parent, int parent_fd, struct err *err)
{
    struct pollfd end = {.fd = parent_fd, .events = POLLIN};
    if (jail_build_follow(parent, err) != 0) {
        return -1;
    }
    return poll(&end, 1, 0) == 0 ? 0 : err_set(err, ERR_GONE, "the builder is gone");
}

static int supervise_with(struct err *from_child, int (*body)(void *context, struct err *err),
                          void *context, uint64_t ms_max, struct err *err)
{
    pid_t self = getpid();
    cleanup_fd int self_fd = (int)syscall(SYS_pidfd_open, self, 0u); /* -1: poll passes over it */
    pid_t child = fork();
    if (child < 0) {
        return err_system(err, "fork");
    }
    if (child == 0) {
        struct err own = {0};
        int result = follow(self, self_fd, &own) != 0 ? -1 : body(context, &own);
        *from_child = own;
        _exit(result == 0 ? 0 : 1);
    }
    bool in_time = wait_for(child, ms_max);
    if (!in_time) {
        kill(child, SIGKILL);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return err_system(err, "waitpid");
        }
    }
    return in_time ? child_result(status, from_child, err)
                   : err_set(err, ERR_LIMIT, "it took longer than %llu seconds",
                             (unsigned long long)ms_max / 1000);
}

int supervise_part(int (*body)(void *context, struct err *err), void *context, uint64_t ms_max,
                   struct err *err)
{
    struct err *from_child =
        mmap(NULL, sizeof *from_child, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (from_child == MAP_FAILED) {
        return err_system(err, "mmap");
    }
    int result = supervise_with(from_child, body, context, ms_max, err);
    munmap(from_child, sizeof *from_child);
    return result;
}

int supervise(int (*body)(void *context, struct err *err), void *context, struct err *err)
{
    if (has_jail) {
        jail_build_isolate();
    }
    return supervise_part(body, context, LIMIT_BUILD_MS, err);
}
