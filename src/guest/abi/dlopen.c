/*
 * dlopen and dlsym below the C library: it keeps a struct for each library it has opened, and asks
 * the host for the rest. The struct's layout is Emscripten's (system/lib/libc/dynlink.c).
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "guest/abi/abi.h"
#include "guest/abi/dlopen.h"
#include "guest/dylink/loader.h"
#include "guest/state.h"
#include "wire/wire.h"

enum { DSO_FLAGS = 4, DSO_NAME = 36, GUEST_RTLD_GLOBAL = 256, STACK_ALIGN = 16 };

/* The name under which the C library opens the program itself. */
#define MAIN_NAME "__main__"

/* One struct of the C library's: by its address, which nobody else has while it exists. */
struct handle {
    uint32_t dso;
    uint32_t library;
};

/* What dlerror says. The C library takes it as a format. */
static int error_set(struct guest *guest, const char *text)
{
    char format[2 * ERR_TEXT_MAX];
    size_t len = 0;
    struct err err;
    for (; *text != '\0' && len < sizeof format - 2; text++) {
        if (*text == '%') {
            format[len++] = '%';
        }
        format[len++] = *text;
    }
    format[len++] = '\0';
    const uint32_t before = engine_global_get_i32(guest->store, &guest->stack_pointer);
    const uint32_t at = (before - (uint32_t)len) & ~(uint32_t)(STACK_ALIGN - 1);
    const uint32_t args[] = {at, 0};
    if (before <= len || guest_memory_write(guest, guest_addr(at), format, len) != 0) {
        return 0; /* no stack for it: the error stays without a text */
    }
    engine_global_set_i32(guest->store, &guest->stack_pointer, at);
    int failed = guest_call(guest, GUEST_DL_SETERR, args, 2, NULL, &err);
    engine_global_set_i32(guest->store, &guest->stack_pointer, before);
    return failed == 0 ? 0 : guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text);
}

static int fail(struct guest *guest, union engine_value *values, const char *text)
{
    if (error_set(guest, text) != 0) {
        return -1;
    }
    values[0].i32 = 0;
    return 0;
}

/* _dlopen_js(*dso): 1, or 0 after dlerror's text has been set. */
static int library_open(void *context, union engine_value *values)
{
    struct guest *guest = context;
    struct handle handle = {.dso = values[0].i32, .library = LOADER_MAIN};
    char path[LIMIT_PATH_BYTES_MAX];
    uint32_t flags;
    struct span name;
    struct err err;
    if (guest_memory_read_u32(guest, guest_addr(handle.dso + DSO_FLAGS), &flags) != 0 ||
        guest_memory_text(guest, guest_addr(handle.dso + DSO_NAME), sizeof path - 1, &name) != 0) {
        return fail(guest, values, "the name of the library is too long");
    }
    memcpy(path, name.base, name.len); /* guest memory moves while a library is loaded */
    name.base = path;
    if (!span_equal(name, span_of(MAIN_NAME)) &&
        loader_open(guest, name, (flags & GUEST_RTLD_GLOBAL) != 0, &handle.library, &err) != 0) {
        return err.code == ERR_TRAP ? guest_stop(guest, WIRE_END_TRAPPED, 1, "%s", err.text)
                                    : fail(guest, values, err.text);
    }
    if (buf_append(&guest->handles, &handle, sizeof handle) != 0) {
        return fail(guest, values, "too many libraries are open");
    }
    values[0].i32 = 1;
    return 0;
}

/* The library of a handle; the last one, as an address can be used again. */
static bool handle_find(const struct guest *guest, uint32_t dso, uint32_t *library)
{
    const struct handle *handles = (const struct handle *)(const void *)guest->handles.base;
    for (size_t i = guest->handles.len / sizeof *handles; i > 0; i--) {
        if (handles[i - 1].dso == dso) {
            *library = handles[i - 1].library;
            return true;
        }
    }
    *library = LOADER_MAIN;
    return dso == 0; /* RTLD_DEFAULT */
}

/* _dlsym_js(*dso, *name, *index): an address, or 0 after dlerror's text has been set. */
static int symbol_find(void *context, union engine_value *values)
{
    struct guest *guest = context;
    char text[ERR_TEXT_MAX];
    struct span name;
    uint32_t library;
    uint32_t address;
    if (!handle_find(guest, values[0].i32, &library)) {
        return fail(guest, values, "this is no open library");
    }
    if (guest_memory_text(guest, guest_addr(values[1].i32), LIMIT_PATH_BYTES_MAX, &name) != 0) {
        return fail(guest, values, "the name of the symbol is too long");
    }
    if (!loader_find(guest, library, name, &address)) {
        snprintf(text, sizeof text, "undefined symbol: %.*s",
                 (int)(name.len < 200 ? name.len : 200), name.base);
        return fail(guest, values, text);
    }
    values[0].i32 = address;
    return 0;
}

void handles_save(const struct guest *guest, struct saving *out)
{
    const struct handle *handles = (const struct handle *)(const void *)guest->handles.base;
    const uint32_t count = (uint32_t)(guest->handles.len / sizeof *handles);
    save_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        save_u32(out, handles[i].dso);
        save_u32(out, handles[i].library);
    }
}

int handles_load(struct guest *guest, struct loading *in, struct err *err)
{
    const uint32_t library_count = loader_count(guest->loader);
    const uint32_t count = load_count(in, LIMIT_HANDLES_BYTES_MAX / sizeof(struct handle));
    for (uint32_t i = 0; i < count && !in->is_bad; i++) {
        struct handle handle = {.dso = load_u32(in)};
        handle.library = load_u32(in);
        if ((handle.library >= library_count && handle.library != LOADER_MAIN) ||
            buf_append(&guest->handles, &handle, sizeof handle) != 0) {
            return err_set(err, ERR_FORMAT, "the list of open libraries is damaged");
        }
    }
    return 0;
}

const struct abi_row abi_dlopen[] = {
    {"_dlopen_js", "i:i", library_open},
    {"_dlsym_js", "iii:i", symbol_find},
    {NULL, NULL, NULL},
};
