/*
 * lower-exceptions IN OUT: the lowering as a program, for tests and for looking at a module by
 * hand.
 */
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "guest/dylink/lower.h"

static int lower_file(const char *in, const char *out, struct err *err)
{
    cleanup_buf struct buf module;
    cleanup_buf struct buf lowered;
    buf_init(&module, LIMIT_WASM_MODULE_BYTES_MAX);
    buf_init(&lowered, 2 * LIMIT_WASM_MODULE_BYTES_MAX);
    if (fd_read_file(in, &module, err) != 0 ||
        lower_exceptions(buf_span(&module), &lowered, err) != 0) {
        return err_prefix(err, "%s", in);
    }
    return fd_write_file(out, buf_span(&lowered), err);
}

int main(int argc, char **argv)
{
    log_set_program("lower-exceptions");
    if (argc != 3) {
        fputs("usage: lower-exceptions IN.wasm OUT.wasm\n", stderr);
        return 2;
    }
    struct err err = {0};
    if (lower_file(argv[1], argv[2], &err) != 0) {
        log_error("%s", err.text);
        return 1;
    }
    return 0;
}
