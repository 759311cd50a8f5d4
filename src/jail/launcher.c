/* The process between the pool and the zygote. A pid namespace begins with the first child of the
 * process that made it, so somebody has to stay outside and wait. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/jail.h"
#include "jail/namespaces.h"

enum { STATUS_LOST = 71 }; /* sysexits.h: EX_OSERR */

/* Ends this process the way the child ended. */
static _Noreturn void end_as(int status)
{
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        sigset_t all;
        (void)signal(number, SIG_DFL);
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
        (void)raise(number);
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_LOST);
}

static _Noreturn void wait_for(pid_t child)
{
    int status;
    pid_t reaped;
    (void)syscall(SYS_close_range, 0u, ~0u, 0u);
    (void)jail_drop_privileges(NULL);
    do {
        reaped = waitpid(child, &status, 0);
    } while (reaped < 0 && errno == EINTR);
    if (reaped != child) {
        _exit(STATUS_LOST);
    }
    end_as(status);
}

int jail_leave_host(struct jail_report *report, struct err *err)
{
    namespaces_leave(report);
    pid_t child = fork();
    if (child < 0) {
        return err_system(err, "fork");
    }
    if (child > 0) {
        wait_for(child);
    }
    /* Should the other one have gone already, then the control socket is at its end as well. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return err_system(err, "prctl(PR_SET_PDEATHSIG)");
    }
    return 0;
}
