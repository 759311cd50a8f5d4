#include "jail/ask.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/filter.h"
#include "jail/tables.h"

/* ---- The handover ---------------------------------------------------------------------------- */

int jail_handover_open(struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return err_system(err, "making the handover");
    }
    /* Grants may lie where the system has put these. */
    int result = dup2(ends[0], JAIL_HANDOVER_FD) < 0 || dup2(ends[1], JAIL_HANDOVER_CELL_FD) < 0
                     ? err_system(err, "making the handover")
                     : 0;
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    return result;
}

union attached {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

int jail_handover_give(const struct jail_filter *filter, uint32_t number)
{
    cleanup_fd int listener = jail_filter_load_ask(filter);
    if (listener < 0) {
        return -1;
    }
    union attached attached = {{0}};
    struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = attached.bytes,
        .msg_controllen = sizeof attached.bytes,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof listener);
    memcpy(CMSG_DATA(header), &listener, sizeof listener);
    return sendmsg(JAIL_HANDOVER_CELL_FD, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int jail_handover_take(uint32_t *number)
{
    union attached attached;
    struct iovec part = {.iov_base = number, .iov_len = sizeof *number};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = attached.bytes,
        .msg_controllen = sizeof attached.bytes,
    };
    int listener = -1;
    ssize_t n = recvmsg(JAIL_HANDOVER_FD, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(&listener, CMSG_DATA(header), sizeof listener);
    }
    if (n != (ssize_t)sizeof *number) {
        fd_close(&listener);
    }
    return listener;
}

/* ---- Who asks -------------------------------------------------------------------------------- */

/* Past the C library, whose fork has other flags. There is one thread, and no lock is held. */
pid_t jail_ask_fork(void)
{
    return (pid_t)syscall(SYS_clone, SPLIT_FLAGS, NULL, NULL, NULL, NULL);
}

int jail_ask_join(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* ---- Who answers ----------------------------------------------------------------------------- */

int jail_ask_read(int listener, struct jail_ask *out)
{
    struct seccomp_notif asked;
    memset(&asked, 0, sizeof asked); /* the kernel insists */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
        return errno == ENOENT || errno == EINTR ? 0 : -1;
    }
    *out = (struct jail_ask){
        .id = asked.id,
        .pid = (pid_t)asked.pid,
        .what = asked.data.nr == SYS_clone ? JAIL_ASK_FORK : JAIL_ASK_JOIN,
    };
    return 1;
}

static int answer(int listener, uint64_t id, int error, uint32_t flags)
{
    struct seccomp_notif_resp response = {.id = id, .error = error, .flags = flags};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

/* The kernel makes the call with the arguments that it showed: they are in registers, which nobody
 * can change meanwhile. */
int jail_ask_allow(int listener, const struct jail_ask *ask)
{
    return answer(listener, ask->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

int jail_ask_refuse(int listener, const struct jail_ask *ask, int error)
{
    return answer(listener, ask->id, -error, 0);
}

int jail_ask_give(int listener, const struct jail_ask *ask, int fd)
{
    struct seccomp_notif_addfd gift = {
        .id = ask->id,
        .flags = SECCOMP_ADDFD_FLAG_SETFD,
        .srcfd = (uint32_t)fd,
        .newfd = JAIL_SOCKET_FD,
    };
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &gift) < 0 ? -1
                                                                 : jail_ask_allow(listener, ask);
}
