#include "guest/abi/abi.h"

#include <string.h>

#include "guest/state.h"
#include "wire/wire.h"

const struct abi_row *abi_find(struct span name)
{
    static const struct abi_row *const families[] = {
        abi_files,   abi_paths,  abi_memory, abi_time,   abi_process,
        abi_network, abi_bridge, abi_ffi,    abi_dlopen,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        for (const struct abi_row *row = families[f]; row->name != NULL; row++) {
            if (span_equal(span_of(row->name), name)) {
                return row;
            }
        }
    }
    return NULL;
}

int abi_call_missing(void *context, union engine_value *values)
{
    (void)values;
    const struct abi_missing *missing = context;
    return guest_stop(missing->guest, WIRE_END_TRAPPED, 1,
                      "the program called %s, which needs a JavaScript host; there is none here",
                      missing->name);
}
