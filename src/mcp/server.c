#include "mcp/server.h"

#include <assert.h>
#include <stdlib.h>

#include "mcp/internal.h"

int mcp_server_new(const struct mcp_config *config, struct mcp_server **out, struct err *err)
{
    struct mcp_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    server->config = *config;
    TAILQ_INIT(&server->sessions);
    *out = server;
    return 0;
}

void mcp_server_free(struct mcp_server *server)
{
    if (server != NULL) {
        assert(TAILQ_EMPTY(&server->sessions));
        free(server);
    }
}
