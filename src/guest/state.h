/*
 * All of one guest's state, private to src/guest. Everything that the guest can see hangs from
 * here, by number where it would have to survive a move (DESIGN: a guest's state is one value).
 */
#ifndef GUEST_STATE_H
#define GUEST_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "guest/guest.h"
#include "guest/memory.h"
#include "guest/vfs/vfs.h"

/* The C functions of the guest that the host calls, resolved once at boot. */
enum guest_function {
    GUEST_CALL_CTORS,
    GUEST_MALLOC,
    GUEST_FREE,
    GUEST_MEMALIGN,
    GUEST_MALLINFO,
    GUEST_SBRK,
    GUEST_DL_SETERR,
    GUEST_PYINITCONFIG_CREATE,
    GUEST_PYINITCONFIG_FREE,
    GUEST_PYINITCONFIG_SETINT,
    GUEST_PYINITCONFIG_SETSTR,
    GUEST_PYINITCONFIG_SETSTRLIST,
    GUEST_PYINITCONFIG_GETERROR,
    GUEST_PY_INITIALIZE,
    GUEST_PYIMPORT_IMPORTMODULE,
    GUEST_PYOBJECT_GETATTRSTRING,
    GUEST_PYOBJECT_CALLNOARGS,
    GUEST_PYOBJECT_CALLONEARG,
    GUEST_PYBOOL_FROMLONG,
    GUEST_PYERR_PRINT,
    GUEST_PY_GETVERSION,
    GUEST_PYRUN_SIMPLESTRING,
    GUEST_PYLIST_NEW,
    GUEST_PYLIST_SETITEM,
    GUEST_PYERR_GETRAISEDEXCEPTION,
    GUEST_PY_DECREF,
    GUEST_PYERR_SETINTERRUPTEX,
    GUEST_FUNCTION_COUNT,
};

/* The zone that local time is in; see abi/timezone.h. */
struct guest_zone_rule {
    int kind; /* 0: day of year from 1, no leap day; 1: from 0, with it; 2: month, week, weekday */
    int day;
    int month;
    int week;
    int time_s;
};

enum { GUEST_BUILD_CHARS_MAX = 127 };

enum { GUEST_ZONE_NAME_MAX = 16, GUEST_ZONE_TEXT_MAX = 64 };

struct guest_zone {
    char standard_name[GUEST_ZONE_NAME_MAX + 1];
    char daylight_name[GUEST_ZONE_NAME_MAX + 1];
    int standard_east_s; /* seconds east of Greenwich */
    int daylight_east_s;
    bool has_daylight;
    struct guest_zone_rule start;
    struct guest_zone_rule end;
};

struct guest {
    struct engine *engine;
    struct engine_module *core;
    struct engine_module *trampoline;
    struct engine_store *store;
    struct engine_extern memory;
    size_t core_instance;
    struct engine_extern table;
    uint32_t table_own; /* how many of its entries are the core's; those of libraries follow */
    struct engine_extern stack_pointer; /* a global: the end of the C stack in use */
    struct engine_extern functions[GUEST_FUNCTION_COUNT];
    struct engine_extern variables[LIMIT_CORE_VARIABLES_MAX]; /* the core's mutable globals */
    size_t variable_count;
    struct vfs *vfs;
    struct span *images; /* mapped files */
    size_t image_count;
    struct guest_zone zone;
    char zone_text[GUEST_ZONE_TEXT_MAX]; /* TZ as `zone` was made from it */
    struct guest_addr zone_names_at[2];  /* where the C library keeps tzname[0] and [1] */
    struct guest_addr signal_switch_at;
    struct guest_addr environ_at; /* the C library's variable `environ` */
    struct abi_missing *missing;  /* one for each import that the platform does not have */
    struct loader *loader;        /* side modules (dylink/loader.h) */
    struct buf handles;           /* what dlopen gave out (abi/dlopen.c) */
    struct ffi *ffi;              /* callbacks (abi/ffi.h); NULL while there are none */

    char build[GUEST_BUILD_CHARS_MAX + 1]; /* which the guest is of; empty: not known */
    struct span snapshot;                  /* a mapped file, or empty: there is none */
    struct buf snapshot_key; /* what a snapshot has to be made of to fit (snapshot.c) */
    bool is_restored;        /* it did */

    bool is_warm;  /* as configured */
    char *preload; /* likewise, or NULL; owned */

    uint64_t memory_bytes_max; /* of the request under way; at boot the ceiling */
    uint32_t step_function;    /* PyObject * of vitrine.runner.step */
    uint32_t rewind_function;  /* PyObject * of vitrine.rehearsal.rewind; 0 in a cold guest */
    struct guest_addr none;    /* the object None */
    char python_version[32];

    /* The run under way. */
    const struct guest_sink *sink;
    struct span request;                  /* borrowed from guest_run's caller; without its files */
    size_t request_consumed;              /* bytes of it that the runner has read */
    struct guest_end *end;                /* filled by whoever stops the guest first */
    char begin_dir[LIMIT_PATH_BYTES_MAX]; /* the working directory it began in */
    size_t begin_dir_len;
    bool ended;
    bool result_written;
    bool has_run;           /* an interrupt that came before this request is not for it */
    struct buf answer;      /* to the last question (abi/control.h) */
    size_t answer_consumed; /* bytes of it that the program has read */
    /* How far the guest's monotonic clock and its CPU time are ahead of this process's: it may have
     * begun in another one (durable.c). Modulo 2^64. */
    uint64_t monotonic_ahead_ns;
    uint64_t cpu_ahead_ns;
    uint64_t now_asked_ns; /* when the C library last asked for the time (abi/time.c) */
    double now_ahead_ms;   /* how far that clock has been put ahead to end sleeps */
    int now_jumps;         /* how often it is still to be put ahead */
    uint64_t display_count_left;
    uint64_t display_bytes_left;
    uint32_t limits_hit; /* bits of enum wire_limit that the platform itself ran into */

    /* Shared with signal handlers. */
    atomic_int pending_signal;                  /* number to be raised in the guest, or 0 */
    _Atomic(volatile uint32_t *) signal_switch; /* Py_EMSCRIPTEN_SIGNAL_HANDLING in guest memory */
};

/* Calls a function of the guest with i32 arguments; *result may be NULL. -1: ERR_TRAP. */
int guest_call(struct guest *guest, enum guest_function function, const uint32_t *args,
               size_t count, uint32_t *result, struct err *err);

/* Hands a signal that waits to the interpreter, which looks at it when the call under way returns.
 * For host functions in which the guest sleeps. True when there was one. */
bool guest_take_interrupt(struct guest *guest);

/* Sends off what the program has written. For host functions in which the guest sleeps. */
void guest_flush(const struct guest *guest);

/* Notes why the guest has to stop; only the first reason counts. Returns -1, for the host function
 * that unwinds the guest with it. */
int guest_stop(struct guest *guest, uint32_t reason, int32_t exit_code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
