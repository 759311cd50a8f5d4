/* Prepares a module: prepare core IN.wasm OUT.wasm OUT.record NAME..., or
 * prepare side IN.wasm OUT.wasm OUT.record CORE.record. For the tests. */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/dylink/prepare.h"
#include "guest/dylink/record.h"

static int run_side(struct span wasm, const char *core_path, struct buf *module, struct buf *record,
                    struct err *err)
{
    static const char no_sum[RECORD_SUM_BYTES];
    cleanup_buf struct buf bytes;
    struct record core;
    buf_init(&bytes, LIMIT_RECORD_BYTES_MAX);
    if (fd_read_file(core_path, &bytes, err) != 0 ||
        record_open(buf_span(&bytes), &core, err) != 0) {
        return err_prefix(err, "%s", core_path);
    }
    return prepare_side(wasm, &core, (struct span){no_sum, sizeof no_sum}, module, record, err);
}

static int run(char **argv, struct err *err)
{
    cleanup_buf struct buf wasm;
    cleanup_buf struct buf module;
    cleanup_buf struct buf record;
    buf_init(&wasm, LIMIT_WASM_MODULE_BYTES_MAX);
    buf_init(&module, LIMIT_WASM_MODULE_BYTES_MAX);
    buf_init(&record, LIMIT_RECORD_BYTES_MAX);
    if (fd_read_file(argv[2], &wasm, err) != 0) {
        return -1;
    }
    int result =
        strcmp(argv[1], "core") == 0
            ? prepare_core(buf_span(&wasm), (const char *const *)(argv + 5), &module, &record, err)
            : run_side(buf_span(&wasm), argv[5], &module, &record, err);
    if (result != 0 || fd_write_file(argv[3], buf_span(&module), err) != 0) {
        return -1;
    }
    return fd_write_file(argv[4], buf_span(&record), err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc < 6) {
        fprintf(stderr, "usage: prepare-module core|side IN.wasm OUT.wasm OUT.record ...\n");
        return 2;
    }
    if (run(argv, &err) != 0) {
        fprintf(stderr, "prepare-module: %s\n", err.text);
        return 1;
    }
    return 0;
}
