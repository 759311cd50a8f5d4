/*
 * What all conversations of one program share: its configuration, and the registry of what clients
 * may use. Runs in `vitrine`.
 */
#ifndef MCP_SERVER_H
#define MCP_SERVER_H

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "packages/packages.h"
#include "result/render.h"

struct mcp_server;
struct mcp_registry;

/* Borrowed for the server's life. */
struct mcp_config {
    uv_loop_t *loop;
    struct packages *packages;
    /* What the tool's description says of packages: whether any are installed, from the network,
     * and all; and which are there for every program (NULL-terminated, or NULL). */
    bool installs;
    bool is_offline;
    bool has_allow_list;
    bool approves; /* a person is asked before each program */
    /* Where sessions of Python are offered; NULL: there are none. Their lifetimes: 0 for the
     * defaults. */
    struct pool *sessions;
    const char *session_dir; /* where they can be saved, or NULL */
    uint64_t session_idle_ms;
    uint64_t session_life_ms;
    const char *const *dependencies;
    const struct pool_mount *mounts; /* what every program sees of the host (--mount) */
    unsigned mount_count;
    struct run_limits limits;
    enum result_mode return_mode;
    /* Adds to the tools, resources and prompts that every server has (mcp/registry.h). May be
     * NULL. */
    void (*register_more)(struct mcp_registry *registry, void *context);
    void *register_context;
};

/* The caller owns *out until mcp_server_free, when every session has been freed and has ended. */
int mcp_server_new(const struct mcp_config *config, struct mcp_server **out, struct err *err);
void mcp_server_free(struct mcp_server *server);

/* Says that tools, prompts or resources have come or gone, to all who want to know. */
enum mcp_list { MCP_TOOLS, MCP_PROMPTS, MCP_RESOURCES };
void mcp_server_list_changed(struct mcp_server *server, enum mcp_list list);

/* Says that the resource's contents are others now, to all who have subscribed to it. */
void mcp_server_resource_updated(struct mcp_server *server, const char *uri);

#endif
