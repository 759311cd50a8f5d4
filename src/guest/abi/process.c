/* The process as the guest sees it: its end, its environment at start, its user, its signals. */
#include <string.h>

#include "guest/abi/abi.h"
#include "guest/abi/outside.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"
#include "guest/vfs/vfs.h"
#include "wire/wire.h"

/* What a fresh interpreter finds; a request adds to os.environ from Python. */
static const char *const first_environment[] = {
    "HOME=" VFS_HOME,   "USER=vitrine", "LOGNAME=vitrine", "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
    "LC_CTYPE=C.UTF-8", "TMPDIR=/tmp",  "PWD=" VFS_HOME,   "TERM=dumb",
};
enum {
    FIRST_ENVIRONMENT_COUNT = sizeof first_environment / sizeof *first_environment,
    ABORT_EXIT_CODE = 134,
};

static int process_exit(void *context, union engine_value *values)
{
    return guest_stop(context, WIRE_END_EXITED, abi_i32(values[0]),
                      "the program ended its process");
}

static int process_abort(void *context, union engine_value *values)
{
    (void)values;
    return guest_stop(context, WIRE_END_TRAPPED, ABORT_EXIT_CODE, "the interpreter called abort()");
}

/* environ_sizes_get(*count, *bytes) */
static int environ_sizes_get(void *context, union engine_value *values)
{
    struct guest *guest = context;
    uint32_t bytes = 0;
    for (size_t i = 0; i < FIRST_ENVIRONMENT_COUNT; i++) {
        bytes += (uint32_t)strlen(first_environment[i]) + 1;
    }
    int failed =
        guest_memory_write_u32(guest, guest_addr(values[0].i32), FIRST_ENVIRONMENT_COUNT) != 0 ||
        guest_memory_write_u32(guest, guest_addr(values[1].i32), bytes) != 0;
    return abi_return(values, failed ? GUEST_EFAULT : 0);
}

/* environ_get(*pointers, *bytes) */
static int environ_get(void *context, union engine_value *values)
{
    struct guest *guest = context;
    uint32_t pointers = values[0].i32;
    uint32_t text = values[1].i32;
    for (uint32_t i = 0; i < FIRST_ENVIRONMENT_COUNT; i++) {
        uint32_t len = (uint32_t)strlen(first_environment[i]) + 1;
        if (guest_memory_write_u32(guest, guest_addr(pointers + 4 * i), text) != 0 ||
            guest_memory_write(guest, guest_addr(text), first_environment[i], len) != 0) {
            return abi_return(values, GUEST_EFAULT);
        }
        text += len;
    }
    return abi_return(values, 0);
}

/* _emscripten_get_progname(*bytes, len) */
static int program_name(void *context, union engine_value *values)
{
    static const char name[] = "/usr/bin/python3";
    if (values[1].i32 >= sizeof name) {
        (void)guest_memory_write(context, guest_addr(values[0].i32), name, sizeof name);
    }
    return 0;
}

static int get_uid(void *context, union engine_value *values)
{
    (void)context;
    return abi_return(values, VFS_UID);
}

static int set_umask(void *context, union engine_value *values)
{
    const struct guest *guest = context;
    return abi_return(values, vfs_umask(guest->vfs, values[0].i32));
}

/* random_get(*bytes, len) */
static int random_get(void *context, union engine_value *values)
{
    uint32_t len = values[1].i32;
    void *bytes = guest_memory_at(context, guest_addr(values[0].i32), len);
    if (bytes == NULL) {
        return abi_return(values, GUEST_EFAULT);
    }
    outside_random(bytes, len);
    return abi_return(values, 0);
}

/* There are no other programs. */
static int refuse_system(void *context, union engine_value *values)
{
    (void)context;
    /* system(NULL) asks whether there is a shell: no. */
    return abi_return(values, values[0].i32 == 0 ? 0 : -GUEST_ENOSYS);
}

/* _Py_CheckEmscriptenSignals_Helper: the signal that waits, taken by one exchange so that one that
 * arrives meanwhile is not lost. */
static int take_signal(void *context, union engine_value *values)
{
    struct guest *guest = context;
    return abi_return(values, atomic_exchange(&guest->pending_signal, 0));
}

/* __call_sighandler(handler, signal): raise(3) came to a handler in the guest. */
static int call_handler(void *context, union engine_value *values)
{
    struct guest *guest = context;
    union engine_value arguments[1] = {{.i32 = values[1].i32}};
    struct err err;
    if (engine_call_table(guest->store, &guest->table, values[0].i32, "i:", arguments, &err) != 0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    return 0;
}

/* _PyEM_TrampolineCall_JS(function, a, b, c): only reached when the fast trampoline is not in
 * place, and then only functions of three parameters can be called. */
static int trampoline_call(void *context, union engine_value *values)
{
    struct guest *guest = context;
    union engine_value arguments[3] = {values[1], values[2], values[3]};
    struct err err;
    if (engine_call_table(guest->store, &guest->table, values[0].i32, "iii:i", arguments, &err) !=
        0) {
        return guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
    }
    values[0] = arguments[0];
    return 0;
}

const struct abi_row abi_process[] = {
    {"proc_exit", "i:", process_exit},
    {"exit", "i:", process_exit},
    {"_abort_js", ":", process_abort},
    {"environ_sizes_get", "ii:i", environ_sizes_get},
    {"environ_get", "ii:i", environ_get},
    {"_emscripten_get_progname", "ii:", program_name},
    {"__syscall_getuid32_js", ":i", get_uid},
    {"__syscall_umask_js", "i:i", set_umask},
    {"random_get", "ii:i", random_get},
    {"_emscripten_system", "i:i", refuse_system},
    {"_Py_CheckEmscriptenSignals_Helper", ":i", take_signal},
    {"__call_sighandler", "ii:", call_handler},
    {"_PyEM_TrampolineCall_JS", "iiii:i", trampoline_call},
    {NULL, NULL, NULL},
};
