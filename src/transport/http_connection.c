/* One connection: what is read, how long it may take, and when it ends. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "transport/http_server.h"

enum { KEEPALIVE_S = 60 };

/* The client's address: IPv4 also where it comes as IPv6, and a /64 of IPv6 as one client. */

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct http_client client_of(const struct sockaddr_storage *peer)
{
    struct http_client client = {{0}};
    if (peer->ss_family == AF_INET) {
        memcpy(client.key, mapped, sizeof mapped);
        memcpy(client.key + sizeof mapped, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    } else if (peer->ss_family == AF_INET6) {
        const struct in6_addr *address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
        memcpy(client.key, address, IN6_IS_ADDR_V4MAPPED(address) ? 16 : 8);
    }
    return client;
}

static void write_peer(const struct sockaddr_storage *peer, char *out, size_t size)
{
    struct http_client client = client_of(peer);
    if (memcmp(client.key, mapped, sizeof mapped) == 0) {
        inet_ntop(AF_INET, client.key + sizeof mapped, out, (socklen_t)size);
    } else if (peer->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)peer)->sin6_addr, out, (socklen_t)size);
    }
}

/* FNV-1a. Who fills one bucket on purpose makes it as slow as no buckets at all, which is a
 * thousand comparisons. */
static size_t bucket_of(const struct http_client *client)
{
    uint32_t sum = 2166136261U;
    for (unsigned i = 0; i < sizeof client->key; i++) {
        sum = (sum ^ client->key[i]) * 16777619U;
    }
    return sum % HTTP_BUCKETS;
}

bool http_client_is_full(const struct http_server *server, const struct sockaddr_storage *peer)
{
    struct http_client client = client_of(peer);
    unsigned count = 0;
    for (const struct http_connection *connection = server->clients[bucket_of(&client)];
         connection != NULL; connection = connection->next_client) {
        count += memcmp(&connection->client, &client, sizeof client) == 0;
    }
    return count >= server->config.client_connections_max;
}

static void enlist(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_connection **bucket = &server->clients[bucket_of(&connection->client)];
    connection->next_client = *bucket;
    *bucket = connection;
    connection->next = server->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    server->connections = connection;
    server->counts.open_connections++;
}

static void delist(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_connection **link = &server->clients[bucket_of(&connection->client)];
    while (*link != connection) {
        link = &(*link)->next_client;
    }
    *link = connection->next_client;
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        server->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    server->counts.open_connections--;
}

/* Ending. */

static void forget_memory(struct http_connection *connection)
{
    connection->server->counts.bytes_held -= connection->body_held;
    connection->body_held = 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_connection *connection = handle->data;
    struct http_server *server = connection->server;
    if (--connection->open_handles > 0) {
        return;
    }
    assert(connection->writes == 0);
    delist(connection);
    forget_memory(connection);
    http_reader_free(&connection->reader);
    buf_free(&connection->pending);
    if (connection->tls != NULL) {
        tls_free(connection->tls);
    }
    free(connection);
    http_server_finish_closing(server);
}

void http_connection_close(struct http_connection *connection)
{
    if (connection->phase == HTTP_PHASE_CLOSING) {
        return;
    }
    connection->phase = HTTP_PHASE_CLOSING;
    if (connection->exchange.is_open) {
        struct http_server *server = connection->server;
        server->counts.gone++;
        server->events.gone(server->events.context, &connection->exchange);
        connection->exchange.is_open = false;
        server->counts.open_exchanges--;
    }
    int fd = -1;
    if (connection->is_reset && uv_fileno((uv_handle_t *)&connection->tcp, &fd) == 0) {
        struct linger none = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    uv_close((uv_handle_t *)&connection->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&connection->deadline, on_handle_closed);
    uv_close((uv_handle_t *)&connection->soon, on_handle_closed);
}

void http_connection_break(struct http_connection *connection)
{
    if (connection->phase != HTTP_PHASE_BROKEN && connection->phase != HTTP_PHASE_CLOSING) {
        connection->phase = HTTP_PHASE_BROKEN;
        uv_read_stop((uv_stream_t *)&connection->tcp);
        http_connection_set_deadline(connection, 0);
    }
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status;
}

/* The last answer is written. The connection stays a little, because closing it while the client
 * still sends would take the answer from it (RFC 9112, 9.6). */
static void linger(struct http_connection *connection)
{
    if (connection->has_ended) {
        http_connection_close(connection);
        return;
    }
    if (connection->tls != NULL) {
        tls_end(connection->tls);
        http_send_cipher(connection);
    }
    if (connection->phase == HTTP_PHASE_BROKEN) {
        return;
    }
    connection->phase = HTTP_PHASE_LINGERING;
    uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, on_shutdown);
    http_connection_set_deadline(connection, LIMIT_HTTP_LINGER_MS);
}

void http_connection_refuse(struct http_connection *connection, enum http_refusal refusal,
                            int status, const char *reason)
{
    static const struct span nothing = {"", 0};
    const struct http_field fields[] = {
        {"Content-Type", span_of("text/plain; charset=utf-8")},
        {"Retry-After", span_of("5")},
    };
    struct buf body;
    struct buf head;
    buf_init(&body, 1024);
    buf_init(&head, 1024);
    connection->server->counts.refused[refusal]++;
    connection->ends = true;
    buf_free(&connection->reader.body);
    forget_memory(connection);
    if (buf_append_format(&body, "%s\n", reason) == 0 &&
        http_append_head(connection, &head, status, fields, status == 503 ? 2 : 1) == 0 &&
        buf_append_format(&head, "Content-Length: %zu\r\n\r\n", body.len) == 0) {
        connection->server->counts.answers[status / 100]++;
        http_send(connection, buf_span(&head), &body, nothing);
    }
    buf_free(&body);
    buf_free(&head);
    if (connection->phase != HTTP_PHASE_BROKEN) {
        linger(connection);
    }
}

size_t http_connection_held(const struct http_connection *connection)
{
    bool is_answered =
        connection->phase == HTTP_PHASE_ANSWERING || connection->phase == HTTP_PHASE_FLUSHING;
    if (connection->phase == HTTP_PHASE_BODY) {
        return connection->body_held;
    }
    return is_answered ? http_waiting_bytes(connection) : 0;
}

size_t http_connection_give_up(struct http_connection *connection)
{
    size_t waiting = http_waiting_bytes(connection);
    if (connection->phase == HTTP_PHASE_BODY) {
        http_connection_refuse(connection, HTTP_REFUSED_MEMORY, 503,
                               "too much is being received at this moment");
        return 0;
    }
    connection->server->counts.refused[HTTP_REFUSED_MEMORY]++;
    connection->is_reset = true;
    http_connection_break(connection);
    return waiting;
}

/* Deadlines. */

static void on_stall(struct http_connection *connection)
{
    if (http_waiting_bytes(connection) == 0) {
        return;
    }
    if (http_taken_bytes(connection) >= connection->stall_goal) {
        http_watch_stall(connection);
        return;
    }
    connection->server->counts.refused[HTTP_REFUSED_STALL]++;
    connection->is_reset = true;
    http_connection_close(connection);
}

static void on_deadline(uv_timer_t *timer)
{
    struct http_connection *connection = timer->data;
    struct http_server *server = connection->server;
    switch (connection->phase) {
    case HTTP_PHASE_HEAD:
        if (connection->reader.has_begun) {
            http_connection_refuse(connection, HTTP_REFUSED_DEADLINE, 408,
                                   "the request's head took too long");
            return;
        }
        server->counts.refused[HTTP_REFUSED_DEADLINE]++;
        break;
    case HTTP_PHASE_BODY:
        http_connection_refuse(connection, HTTP_REFUSED_DEADLINE, 408,
                               "the request's body took too long");
        return;
    case HTTP_PHASE_ANSWERING:
    case HTTP_PHASE_FLUSHING:
        if (!server->is_closing) {
            on_stall(connection);
            return;
        }
        break;
    case HTTP_PHASE_IDLE:
    case HTTP_PHASE_LINGERING:
    case HTTP_PHASE_BROKEN:
    case HTTP_PHASE_CLOSING: break;
    }
    http_connection_close(connection);
}

void http_connection_set_deadline(struct http_connection *connection, uint64_t ms)
{
    uv_timer_start(&connection->deadline, on_deadline, ms, 0);
}

static void on_soon(uv_timer_t *timer)
{
    struct http_connection *connection = timer->data;
    http_exchange_tell_congestion(connection);
    if (connection->phase == HTTP_PHASE_FLUSHING && connection->writes == 0) {
        http_connection_written(connection);
    }
}

void http_connection_look_soon(struct http_connection *connection)
{
    uv_timer_start(&connection->soon, on_soon, 0, 0);
}

/* Reading. */

static bool is_taking(const struct http_connection *connection)
{
    return connection->phase == HTTP_PHASE_IDLE || connection->phase == HTTP_PHASE_HEAD ||
           connection->phase == HTTP_PHASE_BODY;
}

/* An answer is written: whether there will be another. */
static void finish_answer(struct http_connection *connection)
{
    http_reader_reset(&connection->reader);
    forget_memory(connection);
    if (connection->ends || connection->server->is_draining) {
        linger(connection);
    } else {
        connection->phase = HTTP_PHASE_IDLE;
        http_connection_set_deadline(connection, connection->server->config.idle_ms);
    }
}

static void give_request(struct http_connection *connection)
{
    connection->ends = connection->server->is_draining || !connection->reader.keeps_alive;
    uv_timer_stop(&connection->deadline);
    connection->is_giving = true;
    http_exchange_begin(connection);
    connection->is_giving = false;
    if (connection->phase == HTTP_PHASE_FLUSHING && connection->writes == 0) {
        finish_answer(connection);
    }
}

/* What the body takes of what all connections may hold; who holds most may be sent away. */
static void hold_body(struct http_connection *connection)
{
    struct http_counts *counts = &connection->server->counts;
    size_t held = connection->reader.body.capacity;
    counts->bytes_held = counts->bytes_held - connection->body_held + held;
    bool has_grown = held > connection->body_held;
    connection->body_held = held;
    if (has_grown) {
        http_server_make_room(connection->server);
    }
}

static void begin_body(struct http_connection *connection)
{
    static const struct span go_on = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    static const struct span nothing = {"", 0};
    connection->phase = HTTP_PHASE_BODY;
    http_connection_set_deadline(connection, connection->server->config.body_ms);
    if (connection->reader.expects_continue) {
        http_send(connection, go_on, NULL, nothing);
    }
}

static void refuse_request(struct http_connection *connection)
{
    const struct http_reader *reader = &connection->reader;
    bool is_size = reader->status == 413 || reader->status == 414 || reader->status == 431;
    http_connection_refuse(connection, is_size ? HTTP_REFUSED_SIZE : HTTP_REFUSED_MALFORMED,
                           reader->status, reader->reason);
}

/* Bytes have been taken: what is known now? */
static void go_on(struct http_connection *connection)
{
    switch (connection->reader.state) {
    case HTTP_READS_HEAD:
        if (connection->phase == HTTP_PHASE_IDLE) {
            connection->phase = HTTP_PHASE_HEAD;
            http_connection_set_deadline(connection, connection->server->config.head_ms);
        }
        break;
    case HTTP_READS_BODY:
        if (connection->phase != HTTP_PHASE_BODY) {
            begin_body(connection);
        }
        hold_body(connection);
        break;
    case HTTP_HAS_WHOLE:
        connection->phase = HTTP_PHASE_ANSWERING;
        hold_body(connection);
        give_request(connection);
        break;
    case HTTP_HAS_REFUSED: refuse_request(connection); break;
    }
}

/* Takes bytes until a request is whole; how many. */
static size_t take(struct http_connection *connection, const char *bytes, size_t len)
{
    size_t taken = 0;
    while (taken < len && is_taking(connection)) {
        taken += http_reader_take(&connection->reader, bytes + taken, len - taken);
        go_on(connection);
    }
    return taken;
}

/* Bytes that nobody will look at. Reading them is how the client's end is seen. */
static void drop(struct http_connection *connection, size_t len)
{
    connection->dropped_bytes += len;
    if (connection->dropped_bytes > LIMIT_HTTP_DROPPED_BYTES_MAX) {
        http_connection_break(connection);
    }
}

/* Bytes of later requests wait while one is answered. Whoever sends too much of them gets this
 * answer and no other; a client that pipelines knows that this may happen (RFC 9112, 9.3.2). */
static void keep(struct http_connection *connection, const char *bytes, size_t len)
{
    buf_consume(&connection->pending, connection->pending_at);
    connection->pending_at = 0;
    if (!connection->has_overrun && buf_append(&connection->pending, bytes, len) != 0) {
        connection->has_overrun = true;
        connection->ends = true;
        buf_free(&connection->pending);
    }
    if (connection->has_overrun) {
        drop(connection, len);
    }
}

static void take_plain(struct http_connection *connection, const char *bytes, size_t len)
{
    connection->server->counts.bytes_in += len;
    size_t taken = take(connection, bytes, len);
    if (connection->phase == HTTP_PHASE_LINGERING) {
        drop(connection, len - taken);
    } else if (taken < len && (connection->phase == HTTP_PHASE_ANSWERING ||
                               connection->phase == HTTP_PHASE_FLUSHING)) {
        keep(connection, bytes + taken, len - taken);
    }
}

/* The client sends no more. An answer that is complete may still reach it. */
static void take_end(struct http_connection *connection, bool is_error)
{
    if (connection->phase == HTTP_PHASE_CLOSING || connection->phase == HTTP_PHASE_BROKEN) {
        return;
    }
    connection->has_ended = true;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    if (connection->phase == HTTP_PHASE_FLUSHING && !is_error) {
        connection->ends = true;
    } else {
        http_connection_close(connection);
    }
}

static void take_cipher(struct http_connection *connection, const char *bytes, size_t len)
{
    char plain[16 * 1024];
    enum tls_read result = TLS_READ_FAILED;
    if (tls_take(connection->tls, bytes, len) == 0) {
        size_t read = 0;
        while ((result = tls_read(connection->tls, plain, sizeof plain, &read)) == TLS_READ_SOME) {
            take_plain(connection, plain, read);
        }
    }
    if (connection->phase == HTTP_PHASE_CLOSING || connection->phase == HTTP_PHASE_BROKEN) {
        return;
    }
    if (connection->phase != HTTP_PHASE_LINGERING) {
        size_t sent = http_send_cipher(connection);
        bool waits = http_waiting_bytes(connection) > 0;
        connection->control_bytes = waits ? connection->control_bytes + sent : 0;
    }
    if (connection->control_bytes > LIMIT_HTTP_CONTROL_BYTES_MAX) {
        result = TLS_READ_FAILED;
    }
    if (result == TLS_READ_FAILED) {
        connection->server->counts.refused[HTTP_REFUSED_TLS]++;
        take_end(connection, true);
    } else if (result == TLS_READ_END) {
        take_end(connection, false);
    }
}

static void lend_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct http_connection *connection = handle->data;
    (void)suggested;
    *out = uv_buf_init(connection->server->chunk, sizeof connection->server->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
    struct http_connection *connection = stream->data;
    if (len < 0) {
        take_end(connection, len != UV_EOF);
    } else if (len > 0 && connection->tls != NULL) {
        take_cipher(connection, bytes->base, (size_t)len);
    } else if (len > 0) {
        take_plain(connection, bytes->base, (size_t)len);
    }
}

static void take_pending(struct http_connection *connection)
{
    struct buf *pending = &connection->pending;
    size_t at = connection->pending_at;
    if (at < pending->len) {
        connection->pending_at = at + take(connection, pending->base + at, pending->len - at);
    }
    if (connection->pending_at == pending->len) {
        connection->pending_at = 0;
        buf_free(pending);
    }
}

void http_connection_written(struct http_connection *connection)
{
    http_exchange_tell_congestion(connection);
    if (connection->phase == HTTP_PHASE_ANSWERING) {
        uv_timer_stop(&connection->deadline);
    }
    if (connection->phase == HTTP_PHASE_FLUSHING) {
        finish_answer(connection);
        take_pending(connection);
    }
}

void http_connection_drain(struct http_connection *connection)
{
    bool is_closing = connection->server->is_closing;
    switch (connection->phase) {
    case HTTP_PHASE_HEAD:
    case HTTP_PHASE_BODY:
    case HTTP_PHASE_ANSWERING:
        if (is_closing || (connection->phase == HTTP_PHASE_HEAD && !connection->reader.has_begun)) {
            http_connection_break(connection);
        }
        connection->ends = true;
        break;
    case HTTP_PHASE_IDLE: http_connection_break(connection); break;
    case HTTP_PHASE_FLUSHING:
    case HTTP_PHASE_LINGERING:
        connection->ends = true;
        if (is_closing) {
            http_connection_set_deadline(connection, LIMIT_HTTP_CLOSE_MS);
        }
        break;
    case HTTP_PHASE_BROKEN:
    case HTTP_PHASE_CLOSING: break;
    }
}

/* Beginning. */

void http_connection_open(struct http_server *server, int fd, const struct sockaddr_storage *peer)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    struct tls *tls = server->tls == NULL ? NULL : tls_new(server->tls);
    if (connection == NULL || (server->tls != NULL && tls == NULL)) {
        server->counts.refused[HTTP_REFUSED_MEMORY]++;
        free(connection);
        tls_free(tls);
        fd_close(&fd);
        return;
    }
    *connection = (struct http_connection){
        .server = server,
        .client = client_of(peer),
        .phase = HTTP_PHASE_HEAD,
        .open_handles = 3,
        .tls = tls,
    };
    write_peer(peer, connection->peer, sizeof connection->peer);
    http_reader_init(&connection->reader, server->config.head_bytes_max,
                     server->config.body_bytes_max);
    buf_init(&connection->pending, LIMIT_HTTP_PIPELINE_BYTES_MAX);
    enlist(connection);
    uv_timer_init(server->loop, &connection->deadline);
    uv_timer_init(server->loop, &connection->soon);
    uv_tcp_init(server->loop, &connection->tcp);
    connection->deadline.data = connection;
    connection->soon.data = connection;
    connection->tcp.data = connection;
    if (uv_tcp_open(&connection->tcp, fd) != 0) {
        fd_close(&fd);
        http_connection_break(connection);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_tcp_keepalive(&connection->tcp, 1, KEEPALIVE_S);
    http_connection_set_deadline(connection, server->config.head_ms);
    uv_read_start((uv_stream_t *)&connection->tcp, lend_chunk, on_read);
}
