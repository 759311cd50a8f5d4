/* The server as its caller holds it: made, drained, closed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "transport/http_server.h"

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value == 0 ? fallback : value;
}

/* Half of the descriptors are for what is served. */
static unsigned connections_within_descriptors(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur / 2 >= wanted) {
        return wanted;
    }
    return limit.rlim_cur < 2 ? 1 : (unsigned)(limit.rlim_cur / 2);
}

static unsigned connections_of(const struct http_config *config)
{
    unsigned wanted = (unsigned)or_default(config->connections_max, LIMIT_HTTP_CONNECTIONS_DEFAULT);
    wanted = wanted > LIMIT_HTTP_CONNECTIONS_MAX ? LIMIT_HTTP_CONNECTIONS_MAX : wanted;
    unsigned possible = connections_within_descriptors(wanted);
    if (possible < wanted && config->connections_max != 0) {
        log_warning("only %u connections at a time: the system allows this process few open files "
                    "(ulimit -n)",
                    possible);
    }
    return possible;
}

static struct http_config config_of(const struct http_config *config)
{
    size_t head = (size_t)or_default(config->head_bytes_max, LIMIT_HTTP_HEAD_BYTES_DEFAULT);
    return (struct http_config){
        .head_ms = or_default(config->head_ms, LIMIT_HTTP_HEAD_MS_DEFAULT),
        .body_ms = or_default(config->body_ms, LIMIT_HTTP_BODY_MS_DEFAULT),
        .idle_ms = or_default(config->idle_ms, LIMIT_HTTP_IDLE_MS_DEFAULT),
        .stall_ms = or_default(config->stall_ms, LIMIT_HTTP_STALL_MS_DEFAULT),
        .head_bytes_max = head > LIMIT_HTTP_HEAD_BYTES_MAX ? LIMIT_HTTP_HEAD_BYTES_MAX : head,
        .body_bytes_max = (size_t)or_default(config->body_bytes_max, LIMIT_MESSAGE_BYTES_MAX),
        .held_bytes_max = (size_t)or_default(config->held_bytes_max, LIMIT_HTTP_HELD_BYTES_MAX),
        .connections_max = connections_of(config),
        .client_connections_max = (unsigned)or_default(config->client_connections_max,
                                                       LIMIT_HTTP_CLIENT_CONNECTIONS_DEFAULT),
    };
}

static int load_tls(struct http_server *server, const struct http_config *config, struct err *err)
{
    if (config->tls_cert == NULL && config->tls_key == NULL) {
        return 0;
    }
    if (config->tls_cert == NULL || config->tls_key == NULL) {
        return err_set(err, ERR_USAGE, "TLS needs both a certificate and its key");
    }
    return tls_context_new(config->tls_cert, config->tls_key, &server->tls, err);
}

static void free_server(struct http_server *server)
{
    if (server->tls != NULL) {
        tls_context_free(server->tls);
    }
    free(server);
}

static void closed_for_nobody(void *context)
{
    (void)context;
}

int http_open(uv_loop_t *loop, const struct http_config *config, const struct http_events *events,
              struct http_server **out, struct err *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    server->loop = loop;
    server->events = *events;
    server->config = config_of(config);
    if (load_tls(server, config, err) != 0) {
        free_server(server);
        return -1;
    }
    uv_timer_init(loop, &server->pause);
    server->pause.data = server;
    server->open_handles = 1;
    const char *host = config->host == NULL ? "127.0.0.1" : config->host;
    if (http_listen(server, host, config->port, err) != 0) {
        http_close(server, closed_for_nobody, NULL); /* the loop has the handles */
        return -1;
    }
    *out = server;
    return 0;
}

uint16_t http_port(const struct http_server *server)
{
    return server->port;
}

struct http_counts http_counts(const struct http_server *server)
{
    return server->counts;
}

const char *http_refusal_name(enum http_refusal refusal)
{
    static const char *const names[] = {
        [HTTP_REFUSED_CONNECTIONS] = "connections",
        [HTTP_REFUSED_MEMORY] = "memory",
        [HTTP_REFUSED_DEADLINE] = "deadline",
        [HTTP_REFUSED_STALL] = "stall",
        [HTTP_REFUSED_MALFORMED] = "malformed",
        [HTTP_REFUSED_SIZE] = "size",
        [HTTP_REFUSED_TLS] = "tls",
        [HTTP_REFUSED_DESCRIPTORS] = "descriptors",
    };
    assert(refusal < HTTP_REFUSALS);
    return names[refusal];
}

static struct http_connection *find_greediest(struct http_server *server)
{
    struct http_connection *found = NULL;
    size_t most = LIMIT_HTTP_SMALL_BYTES;
    for (struct http_connection *connection = server->connections; connection != NULL;
         connection = connection->next) {
        size_t held = http_connection_held(connection);
        if (held > most) {
            most = held;
            found = connection;
        }
    }
    return found;
}

void http_server_make_room(struct http_server *server)
{
    size_t freed_later = 0;
    struct http_connection *greediest = NULL;
    if (server->is_making_room) {
        return;
    }
    server->is_making_room = true;
    while (server->counts.bytes_held > server->config.held_bytes_max + freed_later &&
           (greediest = find_greediest(server)) != NULL) {
        freed_later += http_connection_give_up(greediest);
    }
    server->is_making_room = false;
}

static void drain_connections(struct http_server *server)
{
    struct http_connection *connection = server->connections;
    while (connection != NULL) {
        /* Closing takes it off the list later, from the loop. */
        struct http_connection *next = connection->next;
        http_connection_drain(connection);
        connection = next;
    }
}

void http_drain(struct http_server *server)
{
    if (!server->is_draining) {
        server->is_draining = true;
        http_listen_stop(server);
        drain_connections(server);
    }
}

static void on_pause_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    server->open_handles--;
    http_server_finish_closing(server);
}

void http_server_finish_closing(struct http_server *server)
{
    if (!server->is_closing || server->open_handles > 0 || server->connections != NULL) {
        return;
    }
    void (*closed)(void *context) = server->closed;
    void *context = server->closed_context;
    free_server(server);
    closed(context);
}

void http_close(struct http_server *server, void (*closed)(void *context), void *context)
{
    assert(!server->is_closing);
    server->is_closing = true;
    server->is_draining = true;
    server->closed = closed;
    server->closed_context = context;
    http_listen_stop(server);
    drain_connections(server);
    uv_close((uv_handle_t *)&server->pause, on_pause_closed);
}
