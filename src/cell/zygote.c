#include "cell/zygote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cell/children.h"
#include "cell/forks.h"
#include "cell/life.h"
#include "cell/words.h"
#include "jail/ask.h"
#include "jail/jail.h"
#include "wire/wire.h"

enum { COMMAND_BYTES_MAX = 64 };

struct zygote {
    struct life life;
    int signals_fd;
    struct children children;
    struct forks forks;
    struct jail_report report;
    const struct cell_options *options;
};

/* There is one in a process; its two steps run on different stacks. */
static struct zygote zygote;

/* ---- Words to the pool ----------------------------------------------------------------------- */

static int ready_send(const struct zygote *self, uint64_t started_us)
{
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_CONTROL_FRAME_BYTES_MAX);
    const struct guest *guest = self->life.guest;
    if (wire_put(&record, WIRE_READY_PYTHON, span_of(guest_python_version(guest))) != 0 ||
        wire_put(&record, WIRE_READY_ENGINE, span_of(guest_engine_version())) != 0 ||
        wire_put_u64(&record, WIRE_READY_BOOT_US, clock_monotonic_us() - started_us) != 0 ||
        wire_put_u32(&record, WIRE_READY_SNAPSHOT, guest_is_restored(guest) ? 1 : 0) != 0) {
        return -1;
    }
    return words_send(WIRE_READY, buf_span(&record));
}

static int missing_put(struct buf *record, uint32_t part, const char *reason)
{
    cleanup_buf struct buf value;
    buf_init(&value, sizeof part + JAIL_REASON_MAX);
    return buf_append_u32(&value, part) != 0 || buf_append_text(&value, reason) != 0
               ? -1
               : wire_put(record, WIRE_JAILED_MISSING, buf_span(&value));
}

static int jailed_send(const struct jail_report *report)
{
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_CONTROL_FRAME_BYTES_MAX);
    int result = wire_put_u32(&record, WIRE_JAILED_PARTS, report->parts);
    for (unsigned i = 0; i < WIRE_JAIL_PARTS_COUNT && result == 0; i++) {
        if ((report->parts & 1U << i) == 0) {
            result = missing_put(&record, 1U << i, report->reasons[i]);
        }
    }
    return result == 0 ? words_send(WIRE_JAILED, buf_span(&record)) : -1;
}

/* ---- Children -------------------------------------------------------------------------------- */

static int child_fork(struct zygote *self, uint32_t number, int socket_fd, bool stays)
{
    if (self->children.count == LIMIT_ZYGOTE_CHILDREN_MAX) {
        return words_exited(number, WIRE_EXITED_NOT_FORKED);
    }
    pid_t pid = fork();
    if (pid == 0) {
        self->life.number = number;
        life_begin(&self->life, socket_fd, stays);
    }
    if (pid < 0) {
        log_error("fork: %s", strerror(errno));
        return words_exited(number, WIRE_EXITED_NOT_FORKED);
    }
    return children_add(&self->children,
                        &(struct child){.number = number, .pid = pid, .stays = stays});
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* `socket_fd` is taken. */
static int split_order(struct zygote *self, struct span payload, int socket_fd)
{
    uint32_t number;
    uint32_t parent;
    if (payload.len != 8 || wire_get_u32((struct span){payload.base, 4}, &number) != 0 ||
        wire_get_u32((struct span){payload.base + 4, 4}, &parent) != 0 || socket_fd < 0) {
        fd_close(&socket_fd);
        return -1;
    }
    return forks_order(&self->forks, number, parent, socket_fd);
}

static int command_obey(struct zygote *self, const struct wire_frame *frame, int *socket_fd)
{
    uint32_t number;
    if (frame->type == WIRE_SPLIT_CELL) {
        return split_order(self, frame->payload, steal_fd(socket_fd));
    }
    if (wire_get_u32(frame->payload, &number) != 0) {
        return -1;
    }
    if (frame->type == WIRE_FORK || frame->type == WIRE_FORK_SESSION) {
        return *socket_fd >= 0
                   ? child_fork(self, number, *socket_fd, frame->type == WIRE_FORK_SESSION)
                   : -1;
    }
    const struct child *child = children_find(&self->children, number);
    if (child == NULL) { /* it has ended, and the pool is about to read so; or is not born */
        return frame->type == WIRE_KILL ? forks_drop(&self->forks, number) : 0;
    }
    (void)kill(child->pid, frame->type == WIRE_KILL ? SIGKILL : SIGUSR1);
    /* From here on the signal is taken before anything that the pool sends to the cell. */
    return child->stays && frame->type == WIRE_INTERRUPT ? words_number(WIRE_INTERRUPTED, number)
                                                         : 0;
}

/* Receives one packet and at most one descriptor. Returns its length, 0 at the end, or -1. */
static ssize_t packet_receive(char *bytes, size_t len, int *attached_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } attached;
    struct iovec part = {.iov_base = bytes, .iov_len = len};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = attached.bytes,
        .msg_controllen = sizeof attached.bytes,
    };
    ssize_t n;
    do {
        n = recvmsg(CONTROL_FD, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(attached_fd, CMSG_DATA(header), sizeof *attached_fd);
    }
    return (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? -1 : n;
}

/* 1 to go on, 0 at the end of the pool, -1 when it does not keep to the rules. */
static int command_take(struct zygote *self)
{
    char bytes[COMMAND_BYTES_MAX];
    cleanup_fd int attached_fd = -1;
    ssize_t n = packet_receive(bytes, sizeof bytes, &attached_fd);
    if (n <= 0) {
        return (int)n;
    }
    struct wire_frame frame;
    size_t frame_bytes;
    struct err err;
    if (wire_take((struct span){bytes, (size_t)n}, WIRE_TO_ZYGOTE, &frame, &frame_bytes, &err) !=
            1 ||
        frame_bytes != (size_t)n || command_obey(self, &frame, &attached_fd) != 0) {
        return -1;
    }
    return 1;
}

static void signals_drain(const struct zygote *self)
{
    struct signalfd_siginfo info[16];
    while (read(self->signals_fd, info, sizeof info) > 0) {
    }
}

static int serve(struct zygote *self)
{
    static struct pollfd watched[2 + LIMIT_ZYGOTE_CHILDREN_MAX + 1];
    for (;;) {
        int timeout_ms = -1;
        watched[0] = (struct pollfd){.fd = CONTROL_FD, .events = POLLIN};
        watched[1] = (struct pollfd){.fd = self->signals_fd, .events = POLLIN};
        size_t asking = forks_watch(&self->forks, watched + 2, &timeout_ms);
        if (poll(watched, 2 + asking, timeout_ms) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return 1;
        }
        if ((watched[1].revents & POLLIN) != 0) {
            signals_drain(self);
            if (children_reap(&self->children) != 0) {
                return 0;
            }
        }
        if (watched[0].revents != 0) {
            int more = command_take(self);
            if (more <= 0) {
                return more == 0 ? 0 : 1;
            }
        } else if (forks_serve(&self->forks, watched + 2, asking) != 0) {
            return 0; /* questions wait until all orders are read */
        }
    }
}

/* ---- The life -------------------------------------------------------------------------------- */

static int signals_open(struct zygote *self, struct err *err)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    self->signals_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signals_fd < 0) {
        return err_system(err, "signalfd");
    }
    if (life_prepare_signals(self->life.guest) != 0) {
        return err_system(err, "sigaction");
    }
    return 0;
}

/* Whether the pool has closed its end. It does so before it ends the launcher, whose end this
 * process may have missed, if it came before it could ask to be told. */
static bool pool_is_gone(void)
{
    struct pollfd control = {.fd = CONTROL_FD};
    return poll(&control, 1, 0) == 1 && (control.revents & POLLHUP) != 0;
}

/* Where the system has no filters, cells have none either; the report says so. */
static int jail_enter(const struct cell_options *options, struct err *err)
{
    struct jail_filter *filter = NULL;
    struct err no_filter;
    if (jail_leave_host(&zygote.report, err) != 0) {
        return -1;
    }
    if (pool_is_gone()) {
        _exit(0);
    }
    int result = jail_filter_build(&options->grants, &filter, &no_filter);
    if (jail_handover_open(err) != 0) {
        return -1;
    }
    zygote.forks.has_handover = true;
    if (jail_restrict(&zygote.report, options->folders, options->folder_count, &options->grants,
                      err) != 0) {
        return -1;
    }
    const bool has_filter = (zygote.report.parts & WIRE_JAIL_FILTER) != 0;
    if (has_filter && result != 0) {
        *err = no_filter;
        return -1;
    }
    zygote.life.filter = has_filter ? filter : NULL;
    return 0;
}

int zygote_load(const struct cell_options *options, enum cell_jail jail)
{
    struct err err;
    zygote.forks.children = &zygote.children;
    zygote.life = (struct life){
        .jail = jail,
        .memory_bytes_max = options->guest.memory_bytes_max,
        .rehearses = options->guest.warm != 0,
        .grants = &options->grants,
    };
    zygote.options = options;
    if ((jail == CELL_JAIL_FULL && jail_enter(options, &err) != 0) ||
        guest_load(&options->guest, &zygote.life.guest, &err) != 0 ||
        (jail == CELL_JAIL_FULL &&
         jail_close(&zygote.report, zygote.life.filter, &options->grants, &err) != 0)) {
        (void)words_send(WIRE_FATAL, span_of(err.text));
        return -1;
    }
    if (jailed_send(&zygote.report) != 0) {
        return -1;
    }
    zygote.life.zygote = getpid();
    return 0;
}

/* Behind the boot, whose files these are not. */
static int mounts_make(struct guest *guest, const struct cell_options *options, struct err *err)
{
    for (unsigned i = 0; i < options->grants.count; i++) {
        if (guest_mount(guest, JAIL_GRANT_FD + (int)i, options->mounts[i].path,
                        options->mounts[i].how, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int zygote_live(uint64_t started_us)
{
    struct err err;
    /* Everything that can fail fails here, before READY. */
    if (guest_boot(zygote.life.guest, &err) != 0 ||
        mounts_make(zygote.life.guest, zygote.options, &err) != 0 ||
        signals_open(&zygote, &err) != 0) {
        (void)words_send(WIRE_FATAL, span_of(err.text));
        return 1;
    }
    if (zygote.life.rehearses && guest_settle(zygote.life.guest, &err) != 0) {
        log_error("%s; cells will take longer to start", err.text);
    }
    int status = ready_send(&zygote, started_us) == 0 ? serve(&zygote) : 0;
    children_kill(&zygote.children);
    return status;
}
