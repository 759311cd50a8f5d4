/* Listening sockets, and what happens before a connection is one. */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "transport/http_server.h"

enum { BACKLOG = 511, WARNING_MS = 60000 };

/* For a client that is one too many: nothing is kept of it, and nothing waited for. */
static const char sent_away[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                "Content-Length: 0\r\n"
                                "Retry-After: 5\r\n"
                                "Connection: close\r\n\r\n";

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void start_accepting(struct http_server *server)
{
    for (unsigned i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].is_open) {
            uv_poll_start(&server->listeners[i].poll, UV_READABLE, on_acceptable);
        }
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    start_accepting(timer->data);
}

/* A system without descriptors or memory would call us again and again for the same connection. */
static void pause_accepting(struct http_server *server, int failure)
{
    uint64_t now_ms = uv_now(server->loop);
    server->counts.refused[HTTP_REFUSED_DESCRIPTORS]++;
    if (server->warned_ms == 0 || now_ms - server->warned_ms > WARNING_MS) {
        server->warned_ms = now_ms;
        log_warning("no connection can be accepted: %s; trying again", strerror(failure));
    }
    for (unsigned i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].is_open) {
            uv_poll_stop(&server->listeners[i].poll);
        }
    }
    uv_timer_start(&server->pause, on_pause_over, LIMIT_HTTP_ACCEPT_PAUSE_MS, 0);
}

static void send_away(struct http_server *server, int fd)
{
    server->counts.refused[HTTP_REFUSED_CONNECTIONS]++;
    if (server->tls == NULL) {
        (void)send(fd, sent_away, sizeof sent_away - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
    }
    fd_close(&fd);
}

/* False when there is nothing more to accept for now. */
static bool accept_one(struct http_listener *listener)
{
    struct http_server *server = listener->server;
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof peer;
    int fd = accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        int failure = errno;
        if (failure == EMFILE || failure == ENFILE || failure == ENOBUFS || failure == ENOMEM) {
            pause_accepting(server, failure);
        }
        /* What remains is about one connection that has gone already (accept(2)). */
        return failure == ECONNABORTED || failure == EINTR || failure == EPROTO;
    }
    if (server->counts.open_connections >= server->config.connections_max ||
        http_client_is_full(server, &peer)) {
        send_away(server, fd);
    } else {
        server->counts.accepted++;
        http_connection_open(server, fd, &peer);
    }
    return true;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct http_listener *listener = poll->data;
    (void)events;
    if (status < 0) {
        pause_accepting(listener->server, -status);
        return;
    }
    for (unsigned i = 0; i < LIMIT_HTTP_ACCEPTS_MAX && listener->is_open && accept_one(listener);
         i++) {
    }
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        return 0;
    }
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)address)->sin_port = htons(port);
    }
}

static int fail_binding(const char *host, uint16_t port, struct err *err)
{
    const char *hint = "";
    if (errno == EADDRINUSE) {
        hint = "; another program listens there: end it, or choose another port (0: any)";
    } else if (errno == EACCES) {
        hint = "; ports below 1024 are for root: choose another port";
    } else if (errno == EADDRNOTAVAIL) {
        hint = "; no network interface of this machine has that address";
    }
    return err_set(err, ERR_USAGE, "cannot listen on %s, port %u: %s%s", host, (unsigned)port,
                   strerror(errno), hint);
}

/* A socket that listens on one address; -1 with errno. */
static int open_socket(struct addrinfo *address)
{
    const int yes = 1;
    const int no = 0;
    cleanup_fd int fd =
        socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        (address->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) != 0) ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        return -1;
    }
    return steal_fd(&fd);
}

static int add_listener(struct http_server *server, struct addrinfo *address)
{
    struct http_listener *listener = &server->listeners[server->listener_count];
    set_port(address->ai_addr, server->port);
    int fd = open_socket(address);
    if (fd < 0) {
        return -1;
    }
    int failed = uv_poll_init(server->loop, &listener->poll, fd);
    if (failed != 0) {
        fd_close(&fd);
        errno = -failed;
        return -1;
    }
    listener->server = server;
    listener->fd = fd;
    listener->is_open = true;
    listener->poll.data = listener;
    server->listener_count++;
    server->open_handles++;
    server->port = port_of(fd);
    return 0;
}

/* A name may stand for addresses of a family that this machine lacks; one that works is enough. */
static int listen_on_all(struct http_server *server, struct addrinfo *addresses, const char *host,
                         struct err *err)
{
    int failure = 0;
    uint16_t port = server->port;
    for (struct addrinfo *address = addresses;
         address != NULL && server->listener_count < LIMIT_HTTP_LISTENERS_MAX;
         address = address->ai_next) {
        if (add_listener(server, address) != 0) {
            failure = errno;
            if (failure != EADDRNOTAVAIL && failure != EAFNOSUPPORT) {
                break;
            }
        }
    }
    if (server->listener_count == 0 || failure == EADDRINUSE || failure == EACCES) {
        errno = failure;
        return fail_binding(host, port, err);
    }
    return 0;
}

int http_listen(struct http_server *server, const char *host, uint16_t port, struct err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int failed = getaddrinfo(host, NULL, &hints, &addresses);
    if (failed != 0) {
        return err_set(err, ERR_USAGE, "cannot listen on %s: %s", host, gai_strerror(failed));
    }
    server->port = port;
    failed = listen_on_all(server, addresses, host, err);
    freeaddrinfo(addresses);
    if (failed == 0) {
        start_accepting(server);
    }
    return failed;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_listener *listener = handle->data;
    fd_close(&listener->fd);
    listener->server->open_handles--;
    http_server_finish_closing(listener->server);
}

void http_listen_stop(struct http_server *server)
{
    for (unsigned i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].is_open) {
            server->listeners[i].is_open = false;
            uv_close((uv_handle_t *)&server->listeners[i].poll, on_listener_closed);
        }
    }
    uv_timer_stop(&server->pause);
}
