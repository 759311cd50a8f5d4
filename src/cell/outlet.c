#include "cell/outlet.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "jail/jail.h"
#include "wire/wire.h"

/* So many bytes are written at once; what comes on top of them still finds room. */
#define GATHERED_BYTES   (64 * KIB)
#define FRAMES_BYTES_MAX (GATHERED_BYTES + LIMIT_OUTPUT_FRAME_BYTES_MAX + 4 * KIB)

static struct outlet {
    struct buf frames; /* whole frames that wait */
    size_t last_at;    /* where the header of the last frame lies, */
    int last_type;     /* and its type; 0 when nothing can be added to it */
    uint64_t output_bytes_left;
    bool keeps_guest;
    struct guest *guest;

    /* Shared with the handlers. They touch the frames only while the program that they interrupt
     * does not; what they find to be done meanwhile it does itself, afterwards. */
    atomic_bool is_busy;
    atomic_bool is_due;    /* the frames are to be written */
    atomic_bool is_over;   /* the process is to end */
    atomic_bool is_timed;  /* the timer runs */
    atomic_bool is_broken; /* the pool does not read any more */
    atomic_uint limits;    /* bits of enum wire_limit */
} outlet;

/* ---- Writing --------------------------------------------------------------------------------- */

static int frames_write(void)
{
    if (outlet.frames.len > 0) {
        if (fd_write_full(JAIL_SOCKET_FD, outlet.frames.base, outlet.frames.len) != 0) {
            outlet.is_broken = true;
        }
        buf_clear(&outlet.frames);
        outlet.last_type = 0;
    }
    return outlet.is_broken ? -1 : 0;
}

/* There is no END: what the guest would still have to say could not be waited for. */
_Noreturn static void cpu_over(void)
{
    (void)frames_write();
    _exit(WIRE_EXIT_CPU);
}

static void enter(void)
{
    outlet.is_busy = true;
}

/* Passes on `result`, unless what the handlers have left to do fails. */
static int leave(int result)
{
    outlet.is_busy = false;
    while (atomic_exchange(&outlet.is_due, false)) {
        enter();
        result = frames_write() != 0 ? -1 : result;
        outlet.is_busy = false;
    }
    if (outlet.is_over) {
        cpu_over();
    }
    return result;
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static void timer_start(int which, uint64_t ms, uint64_t interval_ms)
{
    const struct itimerval timer = {
        .it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)},
        .it_interval = {.tv_sec = (time_t)(interval_ms / 1000),
                        .tv_usec = (suseconds_t)(interval_ms % 1000 * 1000)},
    };
    (void)setitimer((__itimer_which_t)which, &timer, NULL);
}

static void on_delay(int number)
{
    (void)number;
    int saved = errno;
    outlet.is_timed = false;
    if (outlet.is_busy) {
        outlet.is_due = true;
    } else {
        (void)frames_write();
    }
    errno = saved;
}

/* The first time the guest is asked, the second time it is not. */
static void on_cpu_time(int number)
{
    (void)number;
    int saved = errno;
    if ((atomic_fetch_or(&outlet.limits, WIRE_LIMIT_CPU) & WIRE_LIMIT_CPU) == 0) {
        guest_interrupt(outlet.guest);
    } else if (outlet.is_busy) {
        outlet.is_over = true;
    } else {
        cpu_over();
    }
    errno = saved;
}

int outlet_prepare_signals(struct guest *guest)
{
    struct sigaction delay = {.sa_handler = on_delay, .sa_flags = SA_RESTART | SA_ONSTACK};
    struct sigaction cpu_time = {.sa_handler = on_cpu_time, .sa_flags = SA_RESTART | SA_ONSTACK};
    outlet.guest = guest;
    /* One at a time. */
    sigaddset(&delay.sa_mask, SIGPROF);
    sigaddset(&cpu_time.sa_mask, SIGALRM);
    return sigaction(SIGALRM, &delay, NULL) != 0 ? -1 : sigaction(SIGPROF, &cpu_time, NULL);
}

/* ---- The outlet ------------------------------------------------------------------------------ */

void outlet_open(const struct outlet_limits *limits)
{
    if (outlet.frames.bytes_max == 0) { /* else it is not the first run */
        buf_init(&outlet.frames, FRAMES_BYTES_MAX);
    }
    outlet.limits = 0;
    outlet.output_bytes_left = limits->output_bytes;
    outlet.keeps_guest = limits->keeps_guest;
    if (limits->cpu_ms > 0) {
        timer_start(ITIMER_PROF, limits->cpu_ms, LIMIT_GRACE_MS);
    }
}

/* Writes when there is much, else sees to it that it is written soon. */
static int frames_settle(void)
{
    if (outlet.frames.len >= GATHERED_BYTES) {
        return frames_write();
    }
    if (!outlet.is_timed && outlet.frames.len > 0) {
        outlet.is_timed = true;
        timer_start(ITIMER_REAL, LIMIT_OUTPUT_DELAY_MS, 0);
    }
    return 0;
}

/* A frame of its own, behind those that wait. What is too large to wait is written. */
static int frame_put(enum wire_type type, struct span payload)
{
    size_t at = outlet.frames.len;
    if (payload.len <= LIMIT_OUTPUT_FRAME_BYTES_MAX &&
        wire_append_frame(&outlet.frames, type, payload) == 0) {
        outlet.last_at = at;
        outlet.last_type = (int)type;
        return 0;
    }
    return frames_write() != 0 ? -1 : wire_send(JAIL_SOCKET_FD, type, payload);
}

static int frame_add(enum wire_type type, struct span payload)
{
    return frame_put(type, payload) != 0 ? -1 : frames_settle();
}

/* Bytes of the stream that wrote last lengthen its frame. */
static int output_add(enum wire_type type, struct span bytes)
{
    size_t payload_bytes = outlet.frames.len - outlet.last_at - WIRE_HEADER_BYTES + bytes.len;
    if (outlet.last_type != (int)type || payload_bytes > LIMIT_OUTPUT_FRAME_BYTES_MAX ||
        buf_append(&outlet.frames, bytes.base, bytes.len) != 0) {
        return frame_add(type, bytes);
    }
    wire_set_payload_bytes(outlet.frames.base + outlet.last_at, (uint32_t)payload_bytes);
    return frames_settle();
}

int outlet_output(int is_stderr, struct span bytes)
{
    assert(bytes.len <= LIMIT_OUTPUT_FRAME_BYTES_MAX);
    struct span part = bytes;
    int result = outlet.is_broken ? -1 : 0;
    if (part.len > outlet.output_bytes_left) {
        part.len = (size_t)outlet.output_bytes_left;
        const unsigned bits = (uint32_t)WIRE_LIMIT_OUTPUT | (is_stderr ? WIRE_LIMIT_STDERR : 0u);
        if ((atomic_fetch_or(&outlet.limits, bits) & WIRE_LIMIT_OUTPUT) == 0 &&
            outlet.keeps_guest) {
            guest_interrupt(outlet.guest);
        }
    }
    outlet.output_bytes_left -= part.len;
    if (part.len > 0 && result == 0) {
        enter();
        result = leave(output_add(is_stderr ? WIRE_STDERR : WIRE_STDOUT, part));
    }
    return part.len == bytes.len || outlet.keeps_guest ? result : -1;
}

int outlet_result(struct span record)
{
    enter();
    return leave(frame_put(WIRE_RESULT, record)); /* END is next, and is written at once */
}

int outlet_display(struct span bundle)
{
    enter();
    return leave(frame_add(WIRE_DISPLAY, bundle));
}

int outlet_file(struct span record, struct span content)
{
    enter();
    int result = frame_put(WIRE_FILE, record);
    while (result == 0 && content.len > 0) {
        const size_t len =
            content.len < LIMIT_OUTPUT_FRAME_BYTES_MAX ? content.len : LIMIT_OUTPUT_FRAME_BYTES_MAX;
        result = frame_put(WIRE_FILE_DATA, (struct span){content.base, len});
        content = (struct span){content.base + len, content.len - len};
    }
    return leave(result);
}

int outlet_flush(void)
{
    if (outlet.frames.len == 0) {
        return 0;
    }
    enter();
    return leave(frames_write());
}

void outlet_rest(void)
{
    timer_start(ITIMER_PROF, 0, 0);
    timer_start(ITIMER_REAL, 0, 0);
    outlet.is_timed = false;
}

uint32_t outlet_limits_hit(void)
{
    return outlet.limits;
}

void outlet_end(struct span record)
{
    enter();
    (void)frame_put(WIRE_END, record);
    (void)frames_write();
    (void)leave(0);
}
