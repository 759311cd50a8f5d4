/*
 * Pyodide's bridge to JavaScript. There is no JavaScript here: what Python's own start-up needs of
 * the bridge gets an empty answer; everything else stops the guest by name (abi_call_missing).
 */
#include "guest/abi/abi.h"

/* __hiwire_deduplicate_new: the bridge's constructors make a map of references and never look. */
static int answer_null(void *context, union engine_value *values)
{
    (void)context;
    values[0] = (union engine_value){0};
    return 0;
}

static int do_nothing(void *context, union engine_value *values)
{
    (void)context;
    (void)values;
    return 0;
}

const struct abi_row abi_bridge[] = {
    {"__hiwire_deduplicate_new", ":e", answer_null},
    {"_Py_emscripten_runtime", ":i", answer_null}, /* NULL: sys._emscripten_info.runtime is None */
    {"emscripten_runtime_keepalive_push", ":", do_nothing},
    {"emscripten_runtime_keepalive_pop", ":", do_nothing},
    {"_emscripten_runtime_keepalive_clear", ":", do_nothing},
    {"emscripten_debugger", ":", do_nothing},
    {"emscripten_log_impl_js", "i:", do_nothing},
    {"_emscripten_log_formatted", "ii:", do_nothing},
    {"emscripten_set_up_async_input_device_js", ":i", answer_null},
    {"_maybe_connect_async", "iii:e", answer_null},
    {"_maybe_recvfrom_async", "iii:e", answer_null},
    {"_maybe_sendto_async", "iii:e", answer_null},
    {"_maybe_poll_async", "iii:e", answer_null},
    {"_try_fcntl64", "iiii:i", answer_null}, /* 0: "not one of my sockets" */
    {"_try_shutdown", "iii:i", answer_null},
    {NULL, NULL, NULL},
};
