/* One request: limits, sinks, the call, and what became of it. */
#include "guest/run.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/exchange.h"
#include "guest/guest.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"
#include "wire/wire.h"

enum { TRAP_EXIT_CODE = 134 };

int guest_call(struct guest *guest, enum guest_function function, const uint32_t *args,
               size_t count, uint32_t *result, struct err *err)
{
    union engine_value values[ENGINE_VALUES_MAX] = {{0}};
    assert(count < ENGINE_VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        values[i].i32 = args[i];
    }
    if (engine_call(guest->store, &guest->functions[function], values, count > 0 ? count : 1,
                    err) != 0) {
        return -1;
    }
    if (result != NULL) {
        *result = values[0].i32;
    }
    return 0;
}

int guest_stop(struct guest *guest, uint32_t reason, int32_t exit_code, const char *format, ...)
{
    if (guest->ended) {
        return -1;
    }
    guest->ended = true;
    if (guest->end != NULL) {
        guest->end->reason = reason;
        guest->end->exit_code = exit_code;
        va_list args;
        va_start(args, format);
        vsnprintf(guest->end->detail, sizeof guest->end->detail, format, args);
        va_end(args);
    }
    return -1;
}

/* Chunks, so that one huge write cannot make one huge frame. */
static int64_t write_output(struct guest *guest, int is_stderr, const char *bytes, size_t len)
{
    if (guest->sink == NULL) {
        return fd_write_full(STDERR_FILENO, bytes, len) == 0 ? (int64_t)len : -GUEST_EIO;
    }
    size_t done = 0;
    while (done < len) {
        size_t n =
            len - done < LIMIT_OUTPUT_FRAME_BYTES_MAX ? len - done : LIMIT_OUTPUT_FRAME_BYTES_MAX;
        if (guest->sink->output(guest->sink->context, is_stderr, (struct span){bytes + done, n}) !=
            0) {
            guest->limits_hit |= WIRE_LIMIT_OUTPUT;
            return guest_stop(guest, WIRE_END_LIMIT, 1, "the output limit was reached");
        }
        done += n;
    }
    return (int64_t)len;
}

int64_t guest_write_stdout(void *context, const char *bytes, size_t len)
{
    return write_output(context, 0, bytes, len);
}

int64_t guest_write_stderr(void *context, const char *bytes, size_t len)
{
    return write_output(context, 1, bytes, len);
}

void guest_flush(const struct guest *guest)
{
    if (guest->sink != NULL && guest->sink->flush != NULL) {
        guest->sink->flush(guest->sink->context);
    }
}

/* The limits that the platform itself holds; the rest are the cell's and the runner's. */
static void limits_set(struct guest *guest, struct span request)
{
    struct vfs_quota quota = vfs_quota_default();
    guest->display_count_left = LIMIT_DISPLAY_COUNT_DEFAULT;
    guest->display_bytes_left = LIMIT_DISPLAY_BYTES_MAX;
    struct wire_field field;
    while (wire_next(&request, &field) > 0) {
        uint64_t value;
        if (wire_get_u64(field.value, &value) != 0) {
            continue;
        }
        switch (field.number) {
        case WIRE_REQUEST_MEMORY_BYTES:
            guest->memory_bytes_max =
                value < guest->memory_bytes_max ? value : guest->memory_bytes_max;
            break;
        case WIRE_REQUEST_FILE_BYTES: quota.bytes_max = value; break;
        case WIRE_REQUEST_FILE_COUNT: quota.count_max = value; break;
        case WIRE_REQUEST_DISPLAY_COUNT: guest->display_count_left = value; break;
        case WIRE_REQUEST_OPEN_FILES:
            quota.open_files_max =
                value < LIMIT_OPEN_FILES_MAX ? (uint32_t)value : LIMIT_OPEN_FILES_MAX;
            break;
        default: break;
        }
    }
    vfs_set_quota(guest->vfs, &quota);
}

/* The bits of vfs.h in wire.h's order. */
static uint32_t file_limits(const struct guest *guest)
{
    uint32_t hit = vfs_limits_hit(guest->vfs);
    return ((hit & VFS_LIMIT_BYTES) != 0 ? WIRE_LIMIT_FILE_BYTES : 0u) |
           ((hit & VFS_LIMIT_COUNT) != 0 ? WIRE_LIMIT_FILE_COUNT : 0u) |
           ((hit & VFS_LIMIT_OPEN_FILES) != 0 ? WIRE_LIMIT_OPEN_FILES : 0u);
}

/* Signal handlers need the switch's host address: linear memory is reserved whole, so it does not
 * move for as long as this process runs the guest. */
static void signals_connect(struct guest *guest)
{
    volatile uint32_t *host = guest_memory_at(guest, guest->signal_switch_at, sizeof(uint32_t));
    atomic_store(&guest->signal_switch, host);
    if (atomic_load(&guest->pending_signal) != 0) { /* it came before the switch was known */
        *host = 1;
    }
}

static int raised_drop(struct guest *guest, struct err *err)
{
    uint32_t raised = 0;
    return guest_call(guest, GUEST_PYERR_GETRAISEDEXCEPTION, NULL, 0, &raised, err) != 0 ||
                   (raised != 0 && guest_call(guest, GUEST_PY_DECREF, &raised, 1, NULL, err) != 0)
               ? -1
               : 0;
}

/* Tells the runner what came of a step, as a list of its value and exception (references that are
 * given away; 0 is None); *next is what to call now, 0 when the runner itself raised. */
static int step_report(struct guest *guest, uint32_t value, uint32_t error, uint32_t *next,
                       struct err *err)
{
    uint32_t list = 0;
    const uint32_t count = 2;
    if (guest_call(guest, GUEST_PYLIST_NEW, &count, 1, &list, err) != 0) {
        return -1;
    }
    if (list == 0) {
        *next = 0;
        return 0;
    }
    const uint32_t items[] = {list, 0, value != 0 ? value : guest->none.at,
                              list, 1, error != 0 ? error : guest->none.at};
    const uint32_t args[] = {guest->step_function, list};
    if (guest_call(guest, GUEST_PYLIST_SETITEM, items, 3, NULL, err) != 0 ||
        guest_call(guest, GUEST_PYLIST_SETITEM, items + 3, 3, NULL, err) != 0 ||
        guest_call(guest, GUEST_PYOBJECT_CALLONEARG, args, 2, next, err) != 0) {
        return -1;
    }
    if (*next == 0) {
        /* A tracer that the program left behind raised; the runner has taken it off by now. */
        if (raised_drop(guest, err) != 0 ||
            guest_call(guest, GUEST_PYOBJECT_CALLONEARG, args, 2, next, err) != 0) {
            return -1;
        }
    }
    return guest_call(guest, GUEST_PY_DECREF, &list, 1, NULL, err);
}

/* The runner's first step. An interrupt that came too late for the request before is raised here,
 * and forgotten. */
static int steps_begin(struct guest *guest, uint32_t *next, struct err *err)
{
    const uint32_t *step = &guest->step_function;
    if (guest_call(guest, GUEST_PYOBJECT_CALLNOARGS, step, 1, next, err) != 0 || *next != 0) {
        return *next != 0 ? 0 : -1;
    }
    return raised_drop(guest, err) != 0 ||
                   guest_call(guest, GUEST_PYOBJECT_CALLNOARGS, step, 1, next, err) != 0
               ? -1
               : 0;
}

/*
 * Drives the runner (python/vitrine/runner.py, step): it says what to call, and the program's code
 * is called from here, so that no frame of the runner is below the program's own.
 */
static int steps_run(struct guest *guest, struct err *err)
{
    uint32_t next = 0;
    if (steps_begin(guest, &next, err) != 0) {
        return -1;
    }
    while (next != 0 && next != guest->none.at) {
        uint32_t value = 0;
        uint32_t error = 0;
        /* The step holds the program's variables; they are to end with the program. */
        if (guest_call(guest, GUEST_PYOBJECT_CALLNOARGS, &next, 1, &value, err) != 0 ||
            (value == 0 &&
             guest_call(guest, GUEST_PYERR_GETRAISEDEXCEPTION, NULL, 0, &error, err) != 0) ||
            guest_call(guest, GUEST_PY_DECREF, &next, 1, NULL, err) != 0 ||
            step_report(guest, value, error, &next, err) != 0) {
            return -1;
        }
    }
    if (next == 0) { /* the runner itself raised; its traceback goes to the program's stderr */
        return guest_call(guest, GUEST_PYERR_PRINT, NULL, 0, NULL, err);
    }
    return 0;
}

/* What the request before has left. An interrupt that came too late for that one is not for this.
 */
static void run_forget(struct guest *guest)
{
    guest->ended = false;
    guest->result_written = false;
    guest->limits_hit = 0;
    if (guest->has_run) {
        atomic_store(&guest->pending_signal, 0);
    }
    guest->has_run = true;
}

void guest_run(struct guest *guest, struct span request, const struct guest_sink *sink,
               struct guest_end *end)
{
    *end = (struct guest_end){.reason = WIRE_END_RETURNED};
    run_forget(guest);
    guest->sink = sink;
    guest->end = end;
    limits_set(guest, request);
    signals_connect(guest);

    struct err err;
    int result = exchange_begin(guest, &request);
    guest->request = request;
    guest->request_consumed = 0;
    if (result != 0) {
        (void)err_set(&err, ERR_LIMIT, "the files that were given"); /* the end has been noted */
    } else {
        result = steps_run(guest, &err);
    }
    if (result != 0) {
        (void)guest_stop(guest, WIRE_END_TRAPPED, TRAP_EXIT_CODE, "%s", err.text);
    } else if (!guest->result_written) {
        (void)guest_stop(guest, WIRE_END_PROTOCOL, 1, "the program took the runner down with it");
    }
    guest->ended = true;
    atomic_store(&guest->signal_switch, NULL);
    end->limits = guest->limits_hit | file_limits(guest);
    end->memory_bytes = engine_memory(guest->store, &guest->memory).len;
}

/* ---- Rehearsal ------------------------------------------------------------------------------ */

static int drop_output(void *context, int is_stderr, struct span bytes)
{
    (void)context;
    (void)is_stderr;
    (void)bytes;
    return 0;
}

static int drop_result(void *context, struct span record)
{
    (void)context;
    (void)record;
    return 0;
}

/* What nearly every program does: imports, defines, calls, formats, prints, and has a value. */
#define REHEARSAL_CODE                                                                             \
    "import sys, vitrine.rehearsal\n"                                                              \
    "def f(x):\n    return [x, {'a': 1.5}]\n"                                                      \
    "print(f'{f(1)}')\n"                                                                           \
    "vitrine.rehearsal.use_packages()\n"                                                           \
    "f(2), 1 + 1, len(sys.argv)\n"

/* With the fields that the pool's requests have: what is not rehearsed takes its time later. */
static int rehearsal_request(struct buf *record)
{
    return wire_put(record, WIRE_REQUEST_CODE, span_of(REHEARSAL_CODE)) != 0 ||
                   wire_put(record, WIRE_REQUEST_FILENAME, span_of("main.py")) != 0 ||
                   wire_put(record, WIRE_REQUEST_ARG, span_of("main.py")) != 0 ||
                   wire_put_u32(record, WIRE_REQUEST_WANT_VALUE, 1) != 0 ||
                   wire_put_u64(record, WIRE_REQUEST_RESULT_BYTES, KIB) != 0 ||
                   wire_put_u64(record, WIRE_REQUEST_RECURSION, LIMIT_RECURSION_DEFAULT) != 0 ||
                   wire_put_u32(record, WIRE_REQUEST_NEEDS, 1) != 0
               ? -1
               : 0;
}

int guest_rehearse(struct guest *guest, bool will_fork, struct err *err)
{
    static const struct guest_sink nowhere = {.output = drop_output, .result = drop_result};
    const uint64_t memory_bytes_max = guest->memory_bytes_max;
    struct guest_end end;
    uint32_t done = 0;
    cleanup_buf struct buf record;
    buf_init(&record, KIB);
    if (guest->rewind_function == 0 || rehearsal_request(&record) != 0) {
        return err_set(err, ERR_USAGE, "this guest has no rehearsal");
    }
    guest_run(guest, buf_span(&record), &nowhere, &end);
    if (end.reason != WIRE_END_RETURNED) {
        return err_set(err, ERR_TRAP, "the rehearsal failed: %s", end.detail);
    }
    guest->sink = NULL;
    guest->request = (struct span){NULL, 0};
    guest->end = NULL;
    guest->ended = false;
    guest->has_run = false;
    guest->memory_bytes_max = memory_bytes_max;
    const uint32_t truth = will_fork ? 1 : 0;
    uint32_t args[] = {guest->rewind_function, 0};
    if (guest_call(guest, GUEST_PYBOOL_FROMLONG, &truth, 1, &args[1], err) != 0 ||
        guest_call(guest, GUEST_PYOBJECT_CALLONEARG, args, 2, &done, err) != 0) {
        return -1;
    }
    return done != 0 ? 0 : err_set(err, ERR_TRAP, "the rehearsal left something behind");
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

bool guest_take_interrupt(struct guest *guest)
{
    uint32_t number = (uint32_t)atomic_exchange(&guest->pending_signal, 0);
    struct err err;
    /* Made for signal handlers, so it may be called here, in the middle of anything. */
    return number != 0 &&
           guest_call(guest, GUEST_PYERR_SETINTERRUPTEX, &number, 1, NULL, &err) == 0;
}

void guest_interrupt(struct guest *guest)
{
    atomic_store(&guest->pending_signal, SIGINT);
    volatile uint32_t *host = atomic_load(&guest->signal_switch);
    if (host != NULL) {
        *host = 1;
    }
}
