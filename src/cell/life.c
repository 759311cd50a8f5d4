#include "cell/life.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "cell/outlet.h"
#include "cell/state.h"
#include "jail/ask.h"
#include "wire/wire.h"

enum {
    STATUS_NOT_JAILED = 70, /* sysexits.h: EX_SOFTWARE */
    STATUS_NOT_REHEARSED = 70,
    STATUS_BAD_REQUEST = 76, /* EX_PROTOCOL */

    REQUEST_CHUNK_BYTES = 65536,
    REQUEST_TOUCHED_BYTES = 8192,

    SPLIT_TRIES = 200,
    SPLIT_PAUSE_NS = 1000000,
};

#define IN_BYTES_MAX (WIRE_HEADER_BYTES + LIMIT_REQUEST_FRAME_BYTES_MAX + REQUEST_CHUNK_BYTES)

/* What a request allows, as far as the cell itself sees to it. */
struct allowance {
    uint64_t wall_ms;
    uint64_t cpu_ms; /* one thread runs, so the wall time limits it as well */
    uint64_t memory_bytes;
    uint64_t output_bytes;
    uint64_t file_bytes;
    uint64_t file_count;
    uint32_t may_fetch;
    bool tells_files;
    uint64_t made_bytes;
};

/* A session's cell, or one for a single request. */
struct stay {
    bool stays;
    int can_fork; /* the kernel asks the zygote about it */
    bool is_copy; /* of another cell, since the last request */
};

/* ---- Signals --------------------------------------------------------------------------------- */

static struct guest *interruptible_guest;

static void on_interrupt(int number)
{
    (void)number;
    int saved = errno;
    guest_interrupt(interruptible_guest);
    errno = saved;
}

int life_prepare_signals(struct guest *guest)
{
    interruptible_guest = guest;
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART | SA_ONSTACK};
    return sigaction(SIGUSR1, &action, NULL) != 0 ? -1 : outlet_prepare_signals(guest);
}

/* The zygote keeps its signals blocked; handlers are inherited. */
static void signals_open(void)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- The request ----------------------------------------------------------------------------- */

/*
 * Waits for what the pool wants. 1 and its frame, which borrows `in`; 0 when the pool has closed
 * its end, as it does with a spare cell that it does not need; -1 on anything else.
 */
static int request_read(struct buf *in, struct wire_frame *frame)
{
    for (;;) {
        size_t frame_bytes;
        int taken = wire_take(buf_span(in), WIRE_TO_CELL, frame, &frame_bytes, NULL);
        if (taken > 0) {
            return frame_bytes == in->len || frame->type == WIRE_RESTORE ? 1 : -1;
        }
        if (taken < 0 || buf_reserve(in, REQUEST_CHUNK_BYTES) != 0) {
            return -1;
        }
        ssize_t n = read(JAIL_SOCKET_FD, in->base + in->len, REQUEST_CHUNK_BYTES);
        if (n > 0) {
            in->len += (size_t)n;
        } else if (n == 0) {
            return in->len == 0 ? 0 : -1;
        } else if (errno != EINTR) {
            return -1;
        }
    }
}

/* The whole record is walked, so that guest_run gets nothing but well-formed fields. */
static int allowance_read(struct span record, struct allowance *out)
{
    *out = (struct allowance){
        .wall_ms = LIMIT_WALL_MS_DEFAULT,
        .cpu_ms = LIMIT_WALL_MS_MAX,
        .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT,
        .output_bytes = LIMIT_OUTPUT_BYTES_DEFAULT,
        .file_bytes = LIMIT_FILE_BYTES_DEFAULT,
        .file_count = LIMIT_FILE_COUNT_DEFAULT,
    };
    struct wire_field field;
    int more;
    while ((more = wire_next(&record, &field)) > 0) {
        int result = 0;
        switch (field.number) {
        case WIRE_REQUEST_WALL_MS: result = wire_get_u64(field.value, &out->wall_ms); break;
        case WIRE_REQUEST_CPU_MS: result = wire_get_u64(field.value, &out->cpu_ms); break;
        case WIRE_REQUEST_MEMORY_BYTES:
            result = wire_get_u64(field.value, &out->memory_bytes);
            break;
        case WIRE_REQUEST_OUTPUT_BYTES:
            result = wire_get_u64(field.value, &out->output_bytes);
            break;
        case WIRE_REQUEST_FILE_BYTES: result = wire_get_u64(field.value, &out->file_bytes); break;
        case WIRE_REQUEST_FILE_COUNT: result = wire_get_u64(field.value, &out->file_count); break;
        case WIRE_REQUEST_MADE_BYTES:
            out->tells_files = true;
            result = wire_get_u64(field.value, &out->made_bytes);
            break;
        case WIRE_REQUEST_MAY_FETCH: result = wire_get_u32(field.value, &out->may_fetch); break;
        default: break;
        }
        if (result != 0) {
            return -1;
        }
    }
    return more;
}

/* ---- The sink -------------------------------------------------------------------------------- */

static int sink_output(void *context, int is_stderr, struct span bytes)
{
    (void)context;
    return outlet_output(is_stderr, bytes);
}

static int sink_result(void *context, struct span record)
{
    (void)context;
    return outlet_result(record);
}

static int sink_display(void *context, struct span bundle)
{
    (void)context;
    return outlet_display(bundle);
}

static void sink_flush(void *context)
{
    (void)context;
    (void)outlet_flush(); /* the next output is told when it failed */
}

/* Reads one FETCHED from the socket, and appends its payload to `answer`. The deadline is the
 * pool's; an interrupt has to wait for the answer. */
static int fetched_read(struct buf *answer)
{
    char header[WIRE_HEADER_BYTES];
    struct wire_frame frame;
    size_t frame_bytes;
    uint32_t len;
    if (fd_read_full(JAIL_SOCKET_FD, header, sizeof header) != sizeof header ||
        wire_take((struct span){header, sizeof header}, WIRE_TO_CELL, &frame, &frame_bytes, NULL) <
            0 ||
        header[4] != WIRE_FETCHED || wire_get_u32((struct span){header, 4}, &len) != 0 ||
        len < sizeof(uint32_t) || buf_reserve(answer, len) != 0 ||
        fd_read_full(JAIL_SOCKET_FD, answer->base + answer->len, len) != (ssize_t)len) {
        return -1;
    }
    answer->len += len;
    return 0;
}

static int sink_fetch(void *context, struct span question, struct buf *answer)
{
    (void)context;
    return outlet_flush() == 0 && wire_send(JAIL_SOCKET_FD, WIRE_FETCH, question) == 0
               ? fetched_read(answer)
               : -1;
}

static int made_send(void *context, const struct guest_made *file)
{
    (void)context;
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_PATH_BYTES_MAX + LIMIT_CONTROL_FRAME_BYTES_MAX);
    if (wire_put(&record, WIRE_FILE_NAME, file->name) != 0 ||
        wire_put_u64(&record, WIRE_FILE_SIZE, file->size) != 0 ||
        (file->has_content && wire_put_u64(&record, WIRE_FILE_CONTENT, file->content.len) != 0)) {
        return -1;
    }
    return outlet_file(buf_span(&record), file->content);
}

static uint64_t cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Returns the reason that it gave. */
static uint32_t end_send(const struct guest_end *end, uint64_t used_cpu_us, uint64_t wall_us,
                         uint32_t files_left, bool stays)
{
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_CONTROL_FRAME_BYTES_MAX);
    uint32_t limits = outlet_limits_hit();
    const bool is_cut = (limits & WIRE_LIMIT_OUTPUT) != 0 && !stays;
    uint32_t reason = is_cut ? (uint32_t)WIRE_END_LIMIT : end->reason;
    if (wire_put_u32(&record, WIRE_END_REASON, reason) == 0 &&
        wire_put_u32(&record, WIRE_END_EXIT_CODE, (uint32_t)end->exit_code) == 0 &&
        wire_put_u32(&record, WIRE_END_LIMITS, end->limits | limits) == 0 &&
        wire_put(&record, WIRE_END_DETAIL, span_of(end->detail)) == 0 &&
        wire_put_u64(&record, WIRE_END_CPU_US, used_cpu_us) == 0 &&
        wire_put_u64(&record, WIRE_END_WALL_US, wall_us) == 0 &&
        wire_put_u64(&record, WIRE_END_MEMORY_BYTES, end->memory_bytes) == 0 &&
        (files_left == 0 || wire_put_u32(&record, WIRE_END_FILES_LEFT, files_left) == 0)) {
        outlet_end(buf_span(&record));
        return reason;
    }
    return WIRE_END_PROTOCOL; /* no memory: the pool sees a cell that died without END */
}

/* ---- The life -------------------------------------------------------------------------------- */

static struct jail_limits limits_of(const struct allowance *allowance, size_t request_bytes)
{
    return (struct jail_limits){
        .data_bytes = allowance->memory_bytes + allowance->file_bytes + request_bytes +
                      LIMIT_CELL_OVERHEAD_BYTES,
        .cpu_s = (allowance->cpu_ms < allowance->wall_ms ? allowance->cpu_ms : allowance->wall_ms) /
                     1000 +
                 LIMIT_CELL_CPU_MARGIN_S,
    };
}

static int jail_enter(const struct life *life, int socket_fd, struct jail_limits *ceilings,
                      struct stay *stay)
{
    struct err err;
    const struct allowance most = {
        .wall_ms = LIMIT_WALL_MS_MAX,
        .cpu_ms = LIMIT_WALL_MS_MAX,
        .memory_bytes = life->memory_bytes_max,
        .file_bytes = LIMIT_FILE_BYTES_MAX,
    };
    *ceilings = limits_of(&most, LIMIT_REQUEST_FRAME_BYTES_MAX);
    int result;
    if (life->jail != CELL_JAIL_FULL) {
        result = jail_enter_cell_bare(socket_fd, life->zygote, life->grants, &err);
    } else if (stay->stays) {
        guest_prepare_copies(life->guest);
        const struct jail_session session = {.number = life->number, .can_fork = &stay->can_fork};
        result = jail_enter_session(socket_fd, life->zygote, &session, ceilings, life->filter,
                                    life->grants, &err);
    } else {
        result =
            jail_enter_cell(socket_fd, life->zygote, ceilings, life->filter, life->grants, &err);
    }
    if (result != 0 && err.code != ERR_GONE) {
        log_error("%s", err.text);
    }
    return result;
}

/* Returns the reason of its end. */
static uint32_t request_run(const struct life *life, struct span record,
                            const struct allowance *allowance, bool stays)
{
    uint64_t start_us = clock_monotonic_us();
    uint64_t start_cpu_us = cpu_us();
    const struct outlet_limits limits = {
        .output_bytes = allowance->output_bytes,
        .cpu_ms = allowance->cpu_ms < allowance->wall_ms ? allowance->cpu_ms : 0,
        .keeps_guest = stays,
    };
    const struct guest_sink sink = {
        .output = sink_output,
        .result = sink_result,
        .display = sink_display,
        .flush = sink_flush,
        .fetch = allowance->may_fetch == 1 ? sink_fetch : NULL,
    };
    struct guest_end end;
    outlet_open(&limits);
    guest_run(life->guest, record, &sink, &end);
    if (stays) {
        outlet_rest();
    }
    uint32_t files_left = 0;
    if (allowance->tells_files) {
        const struct guest_made_events made = {.file = made_send};
        (void)guest_made_files(life->guest, allowance->made_bytes, &made, &files_left);
        if (stays) {
            outlet_rest();
        }
    }
    return end_send(&end, cpu_us() - start_cpu_us, clock_monotonic_us() - start_us, files_left,
                    stays);
}

/* Whether the pool sends something within a moment. When it does, cells are used as fast as they
 * are made, and a rehearsal would cost the calls that wait more than it saves this one. */
static bool is_needed_now(int socket_fd)
{
    struct pollfd watched = {.fd = socket_fd, .events = POLLIN};
    return poll(&watched, 1, LIMIT_REHEARSAL_DELAY_MS) != 0;
}

static void rehearse(const struct life *life)
{
    struct err err;
    if (guest_rehearse(life->guest, false, &err) != 0) {
        log_error("%s", err.text);
        _exit(STATUS_NOT_REHEARSED);
    }
}

/* Makes a copy of this process, and says so. In the copy the zygote has put another socket in the
 * place of this one. When others of the same origin do the same, it has to wait for them. */
static void split(struct stay *stay)
{
    pid_t pid = -1;
    errno = ENOSYS;
    for (unsigned i = 0; stay->can_fork && i < SPLIT_TRIES; i++) {
        pid = jail_ask_fork();
        if (pid >= 0 || errno != EAGAIN) {
            break;
        }
        const struct timespec pause = {.tv_nsec = SPLIT_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
    }
    if (pid == 0) {
        if (jail_ask_join() != 0) {
            _exit(STATUS_NOT_JAILED);
        }
        stay->is_copy = true;
        return;
    }
    cleanup_buf struct buf payload;
    buf_init(&payload, sizeof(uint32_t));
    if (buf_append_u32(&payload, pid > 0 ? 0 : (uint32_t)errno) != 0 ||
        wire_send(JAIL_SOCKET_FD, WIRE_SPLIT_DONE, buf_span(&payload)) != 0) {
        _exit(0); /* the pool is gone */
    }
}

/* Behind which the record's own fields come. */
static int reseed_put(struct buf *in, struct span *record)
{
    cleanup_buf struct buf whole;
    buf_init(&whole, record->len + 2 * WIRE_HEADER_BYTES);
    if (wire_put_u32(&whole, WIRE_REQUEST_RESEED, 1) != 0 ||
        buf_append(&whole, record->base, record->len) != 0) {
        return -1;
    }
    buf_free(in);
    *in = whole;
    whole = (struct buf){0};
    in->bytes_max = IN_BYTES_MAX;
    *record = buf_span(in);
    return 0;
}

/* The request, from the socket. Ends the process when there is none. A session's cell may be asked
 * for its state, or for a copy of itself, and one that has no state yet be given one. */
static struct wire_frame request_take(struct buf *in, struct allowance *allowance,
                                      struct stay *stay)
{
    struct wire_frame frame;
    for (;;) {
        int got = request_read(in, &frame);
        if (got == 0) {
            _exit(0);
        }
        if (got < 0 || (frame.type != WIRE_REQUEST && !stay->stays)) {
            _exit(STATUS_BAD_REQUEST);
        }
        if (frame.type != WIRE_SPLIT) {
            break;
        }
        buf_clear(in);
        split(stay);
    }
    if (!(frame.type == WIRE_REQUEST || frame.type == WIRE_SAVE || frame.type == WIRE_RESTORE) ||
        allowance_read(frame.payload, allowance) != 0 ||
        (frame.type == WIRE_REQUEST && stay->is_copy && reseed_put(in, &frame.payload) != 0)) {
        _exit(STATUS_BAD_REQUEST);
    }
    stay->is_copy = stay->is_copy && frame.type != WIRE_REQUEST;
    return frame;
}

/* CPU time is counted from the start of the process; each request has its own. The first one says
 * how much memory there may be, then and later. */
static int limits_lower(struct jail_limits *ceilings, const struct allowance *allowance,
                        size_t request_bytes, bool stays)
{
    struct jail_limits wanted = limits_of(allowance, request_bytes);
    if (stays) {
        wanted.cpu_s += cpu_us() / 1000000;
        ceilings->data_bytes =
            wanted.data_bytes < ceilings->data_bytes ? wanted.data_bytes : ceilings->data_bytes;
        return jail_set_limits(ceilings, &wanted);
    }
    return jail_lower_limits(ceilings, &wanted);
}

/* For saving, which is bounded by what there is to be saved. */
static int limits_keep(const struct jail_limits *ceilings)
{
    const struct jail_limits wanted = {
        .data_bytes = ceilings->data_bytes,
        .cpu_s = cpu_us() / 1000000 + LIMIT_STATE_MS / 1000,
    };
    return jail_set_limits(ceilings, &wanted);
}

/* Whether the cell takes another one afterwards. */
static bool frame_serve(const struct life *life, const struct wire_frame *frame,
                        const struct allowance *allowance, struct buf *in, bool stays)
{
    if (frame->type == WIRE_SAVE) {
        return state_save(life->guest) == 0;
    }
    if (frame->type == WIRE_RESTORE) {
        const struct guest_state_room room = {
            .memory_bytes_max = allowance->memory_bytes,
            .file_bytes_max = allowance->file_bytes,
            .file_count_max = allowance->file_count,
        };
        buf_consume(in, WIRE_HEADER_BYTES + frame->payload.len);
        return state_restore(life->guest, &room, in) == 0;
    }
    const uint32_t reason = request_run(life, frame->payload, allowance, stays);
    return stays &&
           (reason == WIRE_END_RETURNED || reason == WIRE_END_LIMIT || reason == WIRE_END_REFUSED);
}

_Noreturn static void requests_serve(const struct life *life, struct jail_limits *ceilings,
                                     struct stay *stay)
{
    const bool stays = stay->stays;
    struct buf in;
    buf_init(&in, IN_BYTES_MAX);
    if (buf_reserve(&in, REQUEST_CHUNK_BYTES) == 0) {
        /* A spare cell has time; its first page faults are taken before the request comes. */
        memset(in.base, 0, REQUEST_TOUCHED_BYTES);
    }
    bool goes_on = false;
    do {
        struct allowance allowance;
        struct wire_frame frame = request_take(&in, &allowance, stay);
        size_t request_bytes = stays ? in.bytes_max : in.capacity;
        if (life->jail == CELL_JAIL_FULL &&
            (frame.type == WIRE_SAVE
                 ? limits_keep(ceilings)
                 : limits_lower(ceilings, &allowance, request_bytes, stays)) != 0) {
            _exit(STATUS_NOT_JAILED);
        }
        goes_on = frame_serve(life, &frame, &allowance, &in, stays);
        if (in.capacity > 2 * REQUEST_CHUNK_BYTES) {
            buf_free(&in); /* one large request is no reason to keep room for the next */
        }
        buf_clear(&in);
    } while (goes_on);
    _exit(0);
}

void life_begin(const struct life *life, int socket_fd, bool stays)
{
    struct jail_limits ceilings;
    struct stay stay = {.stays = stays};
    const bool has_time = life->rehearses && !is_needed_now(socket_fd);
    if (jail_enter(life, socket_fd, &ceilings, &stay) != 0) {
        _exit(STATUS_NOT_JAILED);
    }
    signals_open();
    if (has_time) {
        rehearse(life);
    }
    requests_serve(life, &ceilings, &stay);
}
