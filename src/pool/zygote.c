/* The process that cells are forked from: its start, its control socket, its last words. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "pool/state.h"

enum { STDIO_COUNT = 4, PACKET_BYTES_MAX = WIRE_HEADER_BYTES + LIMIT_CONTROL_FRAME_BYTES_MAX };

static void on_control(uv_poll_t *poll, int status, int events);
static void on_patience_over(uv_timer_t *timer);

/* ---- Handles --------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct zygote *zygote = handle->data;
    if (--zygote->handles > 0) {
        return;
    }
    struct environment *environment = zygote->environment;
    TAILQ_REMOVE(&zygote->pool->zygotes, zygote, link);
    free(zygote);
    environment->zygote_count--;
    environment_part_freed(environment);
}

static void handle_close(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_handle_closed);
    }
}

static void control_close(struct zygote *zygote)
{
    handle_close((uv_handle_t *)&zygote->control);
    fd_close(&zygote->fd);
}

/* ---- Last words ------------------------------------------------------------------------------ */

/* Standard error of the zygote and of its cells. The latter are not trusted: lines are short, and
 * there are not many. */
static void line_end(struct zygote *zygote)
{
    zygote->line[zygote->line_len] = '\0';
    if (zygote->line_len > 0 && zygote->lines <= LIMIT_ZYGOTE_LOG_LINES_MAX) {
        const char *text = zygote->lines < LIMIT_ZYGOTE_LOG_LINES_MAX
                               ? zygote->line
                               : "vitrine-cell: further messages are dropped";
        zygote->lines++;
        /* While it boots, code of others may print; what went wrong is told in the end. */
        log_write(zygote->environment->is_base || zygote->is_ready ? LOG_LEVEL_WARNING
                                                                   : LOG_LEVEL_INFO,
                  "%s", text);
    }
    if (zygote->line_len > 0 && !zygote->is_fatal && !zygote->is_ready) {
        snprintf(zygote->why, sizeof zygote->why, "%s", zygote->line);
    }
    zygote->line_len = 0;
}

static void log_take(struct zygote *zygote, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.base[i] == '\n') {
            line_end(zygote);
        } else if (zygote->line_len + 1 < sizeof zygote->line) {
            zygote->line[zygote->line_len++] = bytes.base[i];
        }
    }
}

static void log_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct zygote *zygote = handle->data;
    *out = uv_buf_init(zygote->pool->chunk, sizeof zygote->pool->chunk);
}

static void on_log(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct zygote *zygote = stream->data;
    if (n > 0) {
        log_take(zygote, (struct span){bytes->base, (size_t)n});
    } else if (n < 0) {
        (void)uv_read_stop(stream);
    }
}

/* What was written before the process ended; cells that end with it may have the pipe open still.
 */
static void log_drain(struct zygote *zygote)
{
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&zygote->log, &fd) != 0) {
        return;
    }
    char bytes[ZYGOTE_LINE_MAX];
    for (unsigned i = 0; i < LIMIT_ZYGOTE_LOG_LINES_MAX; i++) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0) {
            break;
        }
        log_take(zygote, (struct span){bytes, (size_t)n});
    }
    line_end(zygote);
}

/* ---- The control socket ---------------------------------------------------------------------- */

static int command_send(struct zygote *zygote, enum wire_type type, struct span payload,
                        int attached_fd)
{
    if (zygote->fd < 0) {
        return -1;
    }
    struct buf packet;
    buf_init(&packet, WIRE_HEADER_BYTES + payload.len);
    if (wire_append_frame(&packet, type, payload) != 0) {
        buf_free(&packet);
        return 0; /* no memory now; the next flush tries again */
    }
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } attached = {{0}};
    struct iovec part = {.iov_base = packet.base, .iov_len = packet.len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (attached_fd >= 0) {
        message.msg_control = attached.bytes;
        message.msg_controllen = sizeof attached.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof attached_fd);
        memcpy(CMSG_DATA(header), &attached_fd, sizeof attached_fd);
    }
    ssize_t n = sendmsg(zygote->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    bool is_full = n < 0 && (errno == EAGAIN || errno == EINTR || errno == ETOOMANYREFS);
    buf_free(&packet);
    if (is_full) {
        (void)uv_poll_start(&zygote->control, UV_READABLE | UV_WRITABLE, on_control);
        return 0;
    }
    return n < 0 ? -1 : 1;
}

int zygote_command_pair(struct zygote *zygote, enum wire_type type, uint32_t number,
                        uint32_t second, int attached_fd)
{
    struct buf payload;
    buf_init(&payload, 2 * sizeof number);
    int sent = 0;
    if (buf_append_u32(&payload, number) == 0 &&
        (second == 0 || buf_append_u32(&payload, second) == 0)) {
        sent = command_send(zygote, type, buf_span(&payload), attached_fd);
    }
    buf_free(&payload);
    return sent;
}

int zygote_command(struct zygote *zygote, enum wire_type type, uint32_t number, int attached_fd)
{
    return zygote_command_pair(zygote, type, number, 0, attached_fd);
}

static void copy_text(char *out, size_t size, struct span text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    memcpy(out, text.base, len);
    out[len] = '\0';
}

/* What the zygote says of itself, into `info`. */
static int ready_read(struct span record, struct pool_info *info)
{
    struct wire_field field;
    int more;
    while ((more = wire_next(&record, &field)) > 0) {
        int result = 0;
        switch (field.number) {
        case WIRE_READY_PYTHON:
            copy_text(info->python_version, sizeof info->python_version, field.value);
            break;
        case WIRE_READY_ENGINE:
            copy_text(info->engine_version, sizeof info->engine_version, field.value);
            break;
        case WIRE_READY_BOOT_US: result = wire_get_u64(field.value, &info->boot_us); break;
        case WIRE_READY_SNAPSHOT: result = wire_get_u32(field.value, &info->has_snapshot); break;
        default: result = -1;
        }
        if (result != 0) {
            return -1;
        }
    }
    return more;
}

/* Comes before anything of a guest's has run, so it can be believed. One that is not enough ends
 * the zygote, which never gets a cell to fork. */
static int jailed_take(struct zygote *zygote, struct span record)
{
    struct pool *pool = zygote->pool;
    struct pool_jail jail;
    struct err err;
    if (zygote->is_jailed || zygote->is_fatal || pool_jail_read(record, &jail) != 0) {
        return -1;
    }
    if (zygote->environment->is_base || !pool->info.ready) {
        pool->info.jail = jail;
    }
    if (pool_jail_check(pool->require_jail, &jail, &err) != 0) {
        zygote->is_fatal = true;
        snprintf(zygote->why, sizeof zygote->why, "%s", err.text);
        return -1;
    }
    zygote->is_jailed = true;
    return 0;
}

static int ready_take(struct zygote *zygote, struct span record)
{
    struct pool_info read = {
        .ready = true, .jail = zygote->pool->info.jail, .cgroup = zygote->pool->info.cgroup};
    if (ready_read(record, &read) != 0 || zygote->is_ready || !zygote->is_jailed) {
        return -1;
    }
    (void)uv_timer_stop(&zygote->timer);
    zygote->is_ready = true;
    zygote->ready_us = clock_monotonic_us();
    if (zygote->environment->is_base || !zygote->pool->info.ready) {
        zygote->pool->info = read;
    }
    log_debug("environment %s: a zygote is ready after %llu ms%s", zygote->environment->id,
              (unsigned long long)read.boot_us / 1000,
              read.has_snapshot != 0 ? ", from a snapshot" : "");
    environment_zygote_ready(zygote->environment, zygote);
    return 0;
}

static int exited_take(struct zygote *zygote, struct span payload)
{
    uint32_t number;
    uint32_t status;
    if (payload.len != 8 || wire_get_u32((struct span){payload.base, 4}, &number) != 0 ||
        wire_get_u32((struct span){payload.base + 4, 4}, &status) != 0) {
        return -1;
    }
    struct cell *cell;
    TAILQ_FOREACH(cell, &zygote->pool->cells, link)
    {
        if (cell->zygote == zygote && cell->number == number && !cell->is_gone) {
            int wait_status = (int)status;
            cell_gone(cell, status == WIRE_EXITED_NOT_FORKED ? NULL : &wait_status, NULL);
            return 0;
        }
    }
    return -1;
}

/* One that has ended meanwhile is nobody's concern. */
static int interrupted_take(struct zygote *zygote, struct span payload)
{
    uint32_t number;
    struct cell *cell;
    if (wire_get_u32(payload, &number) != 0) {
        return -1;
    }
    TAILQ_FOREACH(cell, &zygote->pool->cells, link)
    {
        if (cell->zygote == zygote && cell->number == number) {
            if (cell->interrupts_under_way == 0) {
                return -1;
            }
            cell->interrupts_under_way--;
            pool_settle_soon(zygote->pool); /* its next run may have waited for this */
            return 0;
        }
    }
    return 0;
}

static int born_take(struct zygote *zygote, struct span payload)
{
    uint32_t number;
    struct cell *cell;
    if (wire_get_u32(payload, &number) != 0) {
        return -1;
    }
    TAILQ_FOREACH(cell, &zygote->pool->cells, link)
    {
        if (cell->zygote == zygote && cell->number == number && cell->copy_of != 0) {
            cell_born(cell);
            return 0;
        }
    }
    return -1;
}

static int packet_take(struct zygote *zygote, struct span packet)
{
    struct wire_frame frame;
    struct err err;
    size_t frame_bytes;
    if (wire_take(packet, WIRE_FROM_ZYGOTE, &frame, &frame_bytes, &err) != 1 ||
        frame_bytes != packet.len) {
        return -1;
    }
    if (frame.type == WIRE_JAILED) {
        return jailed_take(zygote, frame.payload);
    }
    if (frame.type == WIRE_READY) {
        return ready_take(zygote, frame.payload);
    }
    if (frame.type == WIRE_FATAL) {
        if (zygote->is_fatal) {
            return -1;
        }
        zygote->is_fatal = true;
        copy_text(zygote->why, sizeof zygote->why, frame.payload);
        return 0;
    }
    if (frame.type == WIRE_BORN) {
        return born_take(zygote, frame.payload);
    }
    return frame.type == WIRE_INTERRUPTED ? interrupted_take(zygote, frame.payload)
                                          : exited_take(zygote, frame.payload);
}

/* The sender's process, which the kernel vouches for, in our numbers: between us and the zygote
 * there is its launcher, and the zygote itself does not know them. */
static void sender_note(struct zygote *zygote, struct msghdr *message)
{
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_CREDENTIALS) {
        struct ucred sender;
        memcpy(&sender, CMSG_DATA(header), sizeof sender);
        zygote->pid = sender.pid;
    }
}

/* 1 for a packet, 0 when there is none, -1 when the socket was misused; the end of the socket is a
 * packet without bytes. */
static int packet_read(struct zygote *zygote, char bytes[PACKET_BYTES_MAX], struct span *packet)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } attached;
    struct iovec part = {.iov_base = bytes, .iov_len = PACKET_BYTES_MAX};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = attached.bytes,
        .msg_controllen = sizeof attached.bytes,
    };
    ssize_t n;
    do {
        n = recvmsg(zygote->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? 0 : -1;
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return -1;
    }
    sender_note(zygote, &message);
    *packet = (struct span){bytes, (size_t)n};
    return 1;
}

/* Reads every packet that is there. -1 when the socket was misused; it is closed at its end. */
static int packets_read(struct zygote *zygote)
{
    char bytes[PACKET_BYTES_MAX];
    while (zygote->fd >= 0) {
        struct span packet;
        int result = packet_read(zygote, bytes, &packet);
        if (result <= 0) {
            return result;
        }
        if (packet.len == 0) {
            control_close(zygote);
        } else if (packet_take(zygote, packet) != 0) {
            return -1;
        }
    }
    return 0;
}

static void commands_flush(struct zygote *zygote)
{
    struct cell *cell;
    (void)uv_poll_start(&zygote->control, UV_READABLE, on_control);
    TAILQ_FOREACH(cell, &zygote->pool->cells, link)
    {
        if (cell->zygote == zygote && !cell->is_gone && cell_flush_commands(cell) <= 0) {
            return;
        }
    }
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct zygote *zygote = poll->data;
    if (status != 0 || ((events & UV_READABLE) != 0 && packets_read(zygote) != 0)) {
        control_close(zygote);
        zygote_kill(zygote);
    } else if (zygote->fd < 0) {
        /* It has ended, and how we are about to learn. */
        (void)uv_timer_start(&zygote->timer, on_patience_over, LIMIT_ZYGOTE_STOP_MS, 0);
    } else if ((events & UV_WRITABLE) != 0) {
        commands_flush(zygote);
    }
}

/* ---- Start and end --------------------------------------------------------------------------- */

/* Cells die with their zygote; their runs end here. */
static void cells_lose(struct zygote *zygote, const char *breakage)
{
    struct cell *cell;
    TAILQ_FOREACH(cell, &zygote->pool->cells, link)
    {
        if (cell->zygote == zygote) {
            cell_gone(cell, NULL, breakage);
        }
    }
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct zygote *zygote = process->data;
    char breakage[ERR_TEXT_MAX];
    (void)packets_read(zygote);
    log_drain(zygote);
    zygote->is_gone = true;
    if (signal_number != 0) {
        snprintf(breakage, sizeof breakage, "the sandbox process died (signal %d)", signal_number);
    } else {
        snprintf(breakage, sizeof breakage, "the sandbox process died (status %d)", (int)status);
    }
    if (!zygote->is_fatal) {
        char last[ERR_TEXT_MAX / 2];
        snprintf(last, sizeof last, "%.*s", (int)sizeof last - 1, zygote->why);
        snprintf(zygote->why, sizeof zygote->why, "%.128s%s%s", breakage,
                 last[0] == '\0' ? "" : "; its last words: ", last);
    }
    control_close(zygote);
    /* Its group is its own; where there is no pid namespace, a copy of a cell that never asked to
     * be taken in would be left of it. */
    (void)kill(-uv_process_get_pid(&zygote->process), SIGKILL);
    handle_close((uv_handle_t *)&zygote->process);
    handle_close((uv_handle_t *)&zygote->log);
    handle_close((uv_handle_t *)&zygote->timer);
    environment_zygote_ended(zygote->environment, zygote);
    cells_lose(zygote, breakage);
}

static void on_patience_over(uv_timer_t *timer)
{
    struct zygote *zygote = timer->data;
    if (!zygote->is_ready && !zygote->is_stopped) {
        zygote->is_fatal = true;
        snprintf(zygote->why, sizeof zygote->why, "it was not ready within %llu s",
                 (unsigned long long)zygote->boot_ms_max / 1000);
    }
    zygote_kill(zygote);
}

void zygote_kill(struct zygote *zygote)
{
    if (!zygote->is_gone) {
        (void)uv_process_kill(&zygote->process, SIGKILL);
    }
}

void zygote_stop(struct zygote *zygote)
{
    if (zygote->is_gone || zygote->is_stopped) {
        return;
    }
    zygote->is_stopped = true;
    control_close(zygote);
    if (zygote->is_ready) {
        (void)uv_timer_start(&zygote->timer, on_patience_over, LIMIT_ZYGOTE_STOP_MS, 0);
    } else {
        zygote_kill(zygote); /* it does not listen while it boots */
    }
}

void zygote_let_go(struct zygote *zygote)
{
    if (zygote->is_retired && zygote->running_count == 0 && zygote->session_count == 0) {
        zygote_stop(zygote);
    }
}

/* Descriptors of the child: nothing to read, nowhere to print, our log, the control socket, and the
 * directories that programs are granted. Its
 * environment is empty, and it is in no terminal's session. */
static int spawn(struct zygote *zygote, char **args, int control_fd)
{
    static char *no_environment[] = {NULL};
    const struct pool *pool = zygote->pool;
    uv_stdio_container_t stdio[STDIO_COUNT + LIMIT_MOUNTS_MAX] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE),
         .data.stream = (uv_stream_t *)&zygote->log},
        {.flags = UV_INHERIT_FD, .data.fd = control_fd},
    };
    for (unsigned i = 0; i < pool->mount_count; i++) {
        stdio[STDIO_COUNT + i].flags = UV_INHERIT_FD;
        stdio[STDIO_COUNT + i].data.fd = pool->mount_fds[i];
    }
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = args[0],
        .args = args,
        .env = no_environment,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = STDIO_COUNT + (int)pool->mount_count,
        .stdio = stdio,
    };
    return uv_spawn(zygote->pool->loop, &zygote->process, &options);
}

/* Our end comes first; it is told who writes to it. */
static int control_pair(int ends[2])
{
    const int yes = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0) {
        fd_close(&ends[0]);
        fd_close(&ends[1]);
        return -1;
    }
    return 0;
}

struct zygote *zygote_new(struct environment *environment, char **args, uint64_t boot_ms_max,
                          struct err *err)
{
    struct pool *pool = environment->pool;
    struct zygote *zygote = calloc(1, sizeof *zygote);
    int ends[2];
    if (zygote == NULL || control_pair(ends) != 0) {
        free(zygote);
        (void)err_system(err, "making the control socket");
        return NULL;
    }
    zygote->pool = pool;
    zygote->environment = environment;
    zygote->boot_ms_max = boot_ms_max;
    zygote->fd = ends[0];
    if (uv_poll_init(pool->loop, &zygote->control, zygote->fd) != 0) {
        fd_close(&ends[0]);
        fd_close(&ends[1]);
        free(zygote);
        (void)err_set(err, ERR_SYSTEM, "watching the control socket");
        return NULL;
    }
    (void)uv_pipe_init(pool->loop, &zygote->log, 0);
    (void)uv_timer_init(pool->loop, &zygote->timer);
    zygote->control.data = zygote->log.data = zygote->timer.data = zygote;
    zygote->handles = 4;
    TAILQ_INSERT_TAIL(&pool->zygotes, zygote, link);
    environment->zygote_count++;
    int failed = spawn(zygote, args, ends[1]);
    zygote->process.data = zygote;
    fd_close(&ends[1]);
    if (failed != 0) {
        (void)err_set(err, ERR_SYSTEM, "starting %s: %s", args[0], uv_strerror(failed));
        zygote->is_gone = true;
        control_close(zygote);
        handle_close((uv_handle_t *)&zygote->process);
        handle_close((uv_handle_t *)&zygote->log);
        handle_close((uv_handle_t *)&zygote->timer);
        return NULL;
    }
    (void)uv_poll_start(&zygote->control, UV_READABLE, on_control);
    (void)uv_read_start((uv_stream_t *)&zygote->log, log_alloc, on_log);
    (void)uv_timer_start(&zygote->timer, on_patience_over, boot_ms_max, 0);
    return zygote;
}
