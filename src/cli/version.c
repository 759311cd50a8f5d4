/* vitrine version: ours, and what a started zygote says of its Python and its engine. */
#include <stdio.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/parts.h"

struct inquiry {
    struct pool *pool;
    int exit_status;
};

static void on_closed(void *context)
{
    (void)context;
}

static void on_ready(void *context, const struct err *err)
{
    struct inquiry *inquiry = context;
    if (err != NULL && err->code != ERR_NONE) {
        log_error("%s", err->text);
        inquiry->exit_status = EXIT_OURS;
    } else {
        struct pool_info info = pool_info(inquiry->pool);
        printf("Python %s\n%s\n", info.python_version, info.engine_version);
    }
    pool_close(inquiry->pool, on_closed, inquiry);
}

int command_version(const struct options *options)
{
    struct parts parts;
    struct err err;
    struct inquiry inquiry = {0};
    uv_loop_t loop;
    printf("vitrine %s\n", VITRINE_VERSION);
    fflush(stdout);
    if (parts_find(options, &parts, &err) != 0) {
        log_error("%s", err.text);
        return EXIT_OURS;
    }
    struct pool_config config = {.cell_path = parts.cell_path,
                                 .guest_dir = parts.guest_dir,
                                 .cells_max = 1,
                                 .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
                                 .require_jail = POOL_JAIL_NONE /* nothing is run */};
    uv_loop_init(&loop);
    if (pool_new(&loop, &config, &inquiry.pool, &err) != 0) {
        log_error("%s", err.text);
        return EXIT_OURS;
    }
    pool_on_ready(inquiry.pool, on_ready, &inquiry);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return fflush(stdout) == 0 ? inquiry.exit_status : EXIT_UNREAD;
}
