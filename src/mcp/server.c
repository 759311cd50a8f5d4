#include "mcp/server.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "mcp/depot.h"
#include "mcp/internal.h"

int mcp_server_new(const struct mcp_config *config, struct mcp_server **out, struct err *err)
{
    struct mcp_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    server->config = *config;
    server->registry.server = server;
    TAILQ_INIT(&server->sessions);
    server->depot = depot_new();
    if (server->depot == NULL) {
        free(server);
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    TAILQ_INIT(&server->kept.list);
    server->kept.pool = config->sessions;
    server->kept.memory_bytes = config->limits.memory_bytes;
    server->kept.idle_ms = config->session_idle_ms;
    server->kept.life_ms = config->session_life_ms;
    if (getrandom(server->key, sizeof server->key, 0) != (ssize_t)sizeof server->key) {
        depot_free(server->depot);
        free(server);
        return err_system(err, "cannot get %d random bytes", KEEP_KEY_BYTES);
    }
    registry_add_tool(&server->registry, config->approves ? &approved_python_tool : &python_tool);
    registry_add_family(&server->registry, &depot_family);
    if (config->sessions != NULL) {
        session_tools_add(&server->registry);
        file_tools_add(&server->registry);
        if (config->session_dir != NULL) {
            durable_tools_add(&server->registry);
        }
    }
    if (config->register_more != NULL) {
        config->register_more(&server->registry, config->register_context);
    }
    *out = server;
    return 0;
}

void mcp_server_free(struct mcp_server *server)
{
    if (server != NULL) {
        assert(TAILQ_EMPTY(&server->sessions));
        kept_close_all(&server->kept);
        depot_free(server->depot);
        free(server);
    }
}
