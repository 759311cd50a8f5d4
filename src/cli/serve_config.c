#include "cli/serve_config.h"

#include "cli/mounts.h"

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
                 .sessions_max = (unsigned)options->python_sessions,
                 .client_sessions_max = (unsigned)options->client_python_sessions,
                 .environment_memory_bytes = options->environment_memory_bytes},
        .packages = parts_packages_config(options, parts, NULL),
        .limits = options->limits,
        .return_mode = (enum result_mode)options->return_mode,
        .approves = options->approves,
        .has_sessions = !options->no_sessions,
        .session_dir = options->session_dir,
        .python_session_idle_ms = options->python_session_idle_ms,
        .python_session_life_ms = options->python_session_life_ms,
        .drain_ms = options->drain_ms};
}

static const char *const *items_of(const struct option_list *list)
{
    return list->count == 0 ? NULL : list->items;
}

static struct serve_http_config http_config_of(const struct options *options)
{
    return (struct serve_http_config){.host = options->host,
                                      .port = (uint16_t)options->port,
                                      .path = options->path,
                                      .is_stateless = options->is_stateless,
                                      .is_sse = options->is_sse,
                                      .tls_cert = options->tls_cert,
                                      .tls_key = options->tls_key,
                                      .allow_hosts = items_of(&options->allow_hosts),
                                      .allow_origins = items_of(&options->allow_origins),
                                      .session_idle_ms = options->session_idle_ms,
                                      .sessions_max = (unsigned)options->sessions_max,
                                      .client_sessions_max = (unsigned)options->client_sessions,
                                      .connections_max = (unsigned)options->connections_max,
                                      .client_connections_max =
                                          (unsigned)options->client_connections,
                                      .request_ms = options->request_ms,
                                      .stall_ms = options->stall_ms,
                                      .has_metrics = !options->no_metrics};
}

int serve_config_from(const struct options *options, struct parts *parts, struct serve_config *out,
                      struct err *err)
{
    static struct mounts mounts; /* open as long as the server lives */
    if (parts_find(options, parts, err) != 0 || mounts_open(&options->mounts, &mounts, err) != 0) {
        return -1;
    }
    *out = config_of(options, parts);
    out->pool.mounts = mounts.items;
    out->pool.mount_count = mounts.count;
    out->http = http_config_of(options);
    out->pool.is_shared = options->command == COMMAND_HTTP;
    return 0;
}
