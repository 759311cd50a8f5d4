/* What is written: bytes are handed to libuv at once, and watched until the client has them. */
#include <assert.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "transport/http_server.h"

struct write {
    uv_write_t request;
    struct http_connection *connection;
    char *bytes; /* owned */
    size_t held; /* of server->counts.bytes_held */
    char before[];
};

size_t http_waiting_bytes(const struct http_connection *connection)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&connection->tcp);
}

uint64_t http_taken_bytes(const struct http_connection *connection)
{
    int in_kernel = 0;
    int fd = -1;
    if (uv_fileno((const uv_handle_t *)&connection->tcp, &fd) != 0 ||
        ioctl(fd, SIOCOUTQ, &in_kernel) != 0 || in_kernel < 0) {
        in_kernel = 0;
    }
    uint64_t waiting = http_waiting_bytes(connection) + (uint64_t)in_kernel;
    return waiting > connection->sent_bytes ? 0 : connection->sent_bytes - waiting;
}

void http_watch_stall(struct http_connection *connection)
{
    bool is_writing =
        connection->phase == HTTP_PHASE_ANSWERING || connection->phase == HTTP_PHASE_FLUSHING;
    if (is_writing && !uv_is_active((uv_handle_t *)&connection->deadline)) {
        uint64_t taken = http_taken_bytes(connection);
        uint64_t waiting = connection->sent_bytes - taken;
        connection->stall_goal =
            taken + (waiting < LIMIT_HTTP_STALL_BYTES ? waiting : LIMIT_HTTP_STALL_BYTES);
        http_connection_set_deadline(connection, connection->server->config.stall_ms);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct write *write = (struct write *)request;
    struct http_connection *connection = write->connection;
    connection->server->counts.bytes_held -= write->held;
    free(write->bytes);
    free(write);
    connection->writes--;
    if (status != 0) {
        http_connection_break(connection);
    } else if (connection->writes == 0) {
        http_connection_written(connection);
    } else {
        http_exchange_tell_congestion(connection);
    }
}

enum { PARTS = 3 }; /* of one write: what stands before a body, the body, what stands after it */

/* How much the kernel takes at once; -1 when the connection is lost. */
static ssize_t try_write(struct http_connection *connection, const struct span *parts)
{
    uv_buf_t bytes[PARTS];
    unsigned count = 0;
    for (unsigned i = 0; i < PARTS; i++) {
        if (parts[i].len > 0) {
            bytes[count++] = (uv_buf_t){(char *)(uintptr_t)parts[i].base, parts[i].len};
        }
    }
    if (connection->writes > 0 || count == 0) {
        return 0;
    }
    int written = uv_try_write((uv_stream_t *)&connection->tcp, bytes, count);
    return written == UV_EAGAIN ? 0 : written < 0 ? -1 : written;
}

/* Leaves the rest, from `written` on, to libuv. Takes the contents of `body`. */
static void queue(struct http_connection *connection, struct span *parts, size_t written,
                  struct buf *body)
{
    uv_buf_t bytes[PARTS];
    unsigned count = 0;
    for (unsigned i = 0; i < PARTS; i++) {
        size_t skipped = written < parts[i].len ? written : parts[i].len;
        written -= skipped;
        parts[i].base += skipped;
        parts[i].len -= skipped;
    }
    struct write *write = calloc(1, sizeof *write + parts[0].len);
    if (write == NULL) {
        buf_free(body);
        http_connection_break(connection);
        return;
    }
    write->connection = connection;
    write->bytes = body->base;
    write->held = parts[0].len + body->len;
    memcpy(write->before, parts[0].base, parts[0].len);
    *body = (struct buf){.bytes_max = body->bytes_max};
    parts[0].base = write->before;
    for (unsigned i = 0; i < PARTS; i++) { /* libuv takes an empty one for work to be done */
        if (parts[i].len > 0) {
            bytes[count++] = (uv_buf_t){(char *)(uintptr_t)parts[i].base, parts[i].len};
        }
    }
    connection->server->counts.bytes_held += write->held;
    connection->writes++;
    int failed =
        uv_write(&write->request, (uv_stream_t *)&connection->tcp, bytes, count, on_written);
    if (failed != 0) {
        on_written(&write->request, failed);
    } else {
        http_watch_stall(connection);
        http_server_make_room(connection->server);
    }
}

/* Takes the contents of `body`. */
static void hand_over(struct http_connection *connection, struct span before, struct buf *body,
                      struct span after)
{
    struct span parts[PARTS] = {before, buf_span(body), after};
    size_t len = before.len + body->len + after.len;
    connection->sent_bytes += len;
    ssize_t written = try_write(connection, parts);
    if (written < 0) {
        buf_free(body);
        http_connection_break(connection);
    } else if ((size_t)written == len) {
        buf_free(body);
    } else {
        queue(connection, parts, (size_t)written, body);
    }
}

static bool is_writable(const struct http_connection *connection)
{
    return connection->phase != HTTP_PHASE_BROKEN && connection->phase != HTTP_PHASE_CLOSING &&
           connection->phase != HTTP_PHASE_LINGERING;
}

size_t http_send_cipher(struct http_connection *connection)
{
    static const struct span nothing = {"", 0};
    struct buf cipher;
    size_t len = 0;
    buf_init(&cipher, SIZE_MAX / 2);
    if (!is_writable(connection) || tls_move_cipher(connection->tls, &cipher) != 0) {
        buf_free(&cipher);
        http_connection_break(connection);
    } else if (cipher.len > 0) {
        len = cipher.len;
        hand_over(connection, nothing, &cipher, nothing);
    }
    return len;
}

void http_send(struct http_connection *connection, struct span before, struct buf *body,
               struct span after)
{
    struct buf none;
    buf_init(&none, 0);
    body = body == NULL ? &none : body;
    if (!is_writable(connection)) {
        buf_free(body);
        return;
    }
    connection->server->counts.bytes_out += before.len + body->len + after.len;
    if (connection->tls == NULL) {
        hand_over(connection, before, body, after);
        return;
    }
    int failed = tls_write(connection->tls, before);
    failed = failed != 0 ? failed : tls_write(connection->tls, buf_span(body));
    failed = failed != 0 ? failed : tls_write(connection->tls, after);
    buf_free(body);
    if (failed != 0) {
        http_connection_break(connection);
    } else {
        http_send_cipher(connection);
    }
}
