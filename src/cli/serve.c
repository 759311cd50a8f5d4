/* vitrine stdio: what the options say, as the server's configuration. */
#include "serve/serve.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/parts.h"

static struct serve_config config_of(const struct options *options, const struct parts *parts)
{
    return (struct serve_config){
        .pool = {.cell_path = parts->cell_path,
                 .guest_dir = parts->guest_dir,
                 .spare_cells = (unsigned)options->spare_cells,
                 .cells_max = (unsigned)options->cells_max,
                 .client_cells_max = (unsigned)options->client_cells,
                 .client_queue_max = (unsigned)options->client_queue,
                 .warm = true,
                 .spare_bytes_max = options->spare_bytes,
                 .zygote_forks_max = options->zygote_forks,
                 .memory_bytes_max = parts_memory_bytes_max(options),
                 .require_jail = (enum pool_jail_level)options->require_jail,
                 .cgroup = parts_cgroup(options),
                 .cgroup_memory_bytes = options->total_memory_bytes,
                 .environment_memory_bytes = options->environment_memory_bytes},
        .packages = parts_packages_config(options, parts, NULL),
        .limits = options->limits,
        .return_mode = (enum result_mode)options->return_mode,
        .drain_ms = options->drain_ms};
}

int command_stdio(const struct options *options)
{
    static struct parts parts; /* the packages go on using its paths */
    struct err err;
    if (parts_find(options, &parts, &err) == 0) {
        struct serve_config config = config_of(options, &parts);
        if (serve_stdio(&config, &err) == 0) {
            return 0;
        }
    }
    log_error("%s", err.text);
    return EXIT_OURS;
}
