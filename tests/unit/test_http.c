/* The HTTP server over real sockets: answers, streams, clients that go, caps, ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "http_fixture.h"
#include "transport/http_server.h"

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

static const struct http_config plain = {.port = 0};

static void assert_span(struct span span, const char *text)
{
    assert_true(span_equal(span, span_of(text)));
}

/* What a fresh connection reads to its end after it has said `text`. */
static const char *reply_to(const char *text)
{
    int fd = client_open();
    client_say(fd, text);
    const char *reply = client_read(fd, NULL);
    close(fd);
    return reply;
}

static void a_request_is_given_and_answered(void **state)
{
    (void)state;
    host_open(&plain);
    int fd = client_open();
    client_say(fd, "POST /mcp?x=1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n"
                   "Content-Length: 5\r\n\r\nhello");
    host_until(&host.requests, 1);
    struct http_exchange *exchange = host.open[0];
    assert_span(http_method(exchange), "POST");
    assert_span(http_path(exchange), "/mcp");
    assert_span(http_query(exchange), "x=1");
    assert_span(http_body(exchange), "hello");
    assert_span(http_peer(exchange), "127.0.0.1");
    assert_span(http_header(exchange, "x-a"), "1");
    assert_int_equal(http_header_count(exchange, "x-a"), 2);
    assert_null(http_header(exchange, "x-b").base);
    assert_null(http_context(exchange));
    http_set_context(exchange, &host);
    assert_ptr_equal(http_context(exchange), &host);
    assert_int_equal(http_counts(host.server).open_exchanges, 1);
    assert_true(http_counts(host.server).bytes_held > 0);
    http_release_body(exchange);
    assert_int_equal(http_body(exchange).len, 0);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    host_answer(200, "world");
    const char *reply = client_read(fd, "world");
    assert_has(reply, "HTTP/1.1 200 OK\r\nDate: ");
    assert_has(reply, " GMT\r\n");
    assert_has(reply, "Content-Length: 5\r\n\r\nworld");
    assert_lacks(reply, "Connection:");
    client_say(fd, GET);
    host_until(&host.requests, 2);
    assert_null(http_query(host.open[0]).base);
    assert_null(http_context(host.open[0]));
    host_answer(404, "none");
    assert_has(client_read(fd, "none"), "404 Not Found");
    struct http_counts counts = http_counts(host.server);
    assert_int_equal(counts.requests[0], 1);
    assert_int_equal(counts.requests[1], 1);
    assert_int_equal(counts.answers[2], 1);
    assert_int_equal(counts.answers[4], 1);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.open_exchanges, 0);
    close(fd);
    host_close();
}

static void pipelined_requests_wait_for_their_turn(void **state)
{
    (void)state;
    host_open(&plain);
    int fd = client_open();
    client_say(fd, GET "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy"
                       "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    host_until(&host.requests, 1);
    for (unsigned i = 0; i < 20; i++) {
        host_turn();
    }
    assert_int_equal(host.requests, 1);
    host_answer(200, "first.");
    host_until(&host.requests, 2);
    assert_span(http_body(host.open[0]), "xy");
    host_answer(200, "second.");
    host_until(&host.requests, 3);
    assert_span(http_path(host.open[0]), "/c");
    host_answer(200, "third.");
    const char *reply = client_read(fd, NULL);
    assert_has(reply, "first.HTTP");
    assert_has(reply, "second.HTTP");
    assert_has(reply, "Connection: close\r\nContent-Length: 6\r\n\r\nthird.");
    close(fd);
    host_close();
}

static void answers_have_the_bodies_they_may_have(void **state)
{
    (void)state;
    host_open(&plain);
    host.answers_at_once = true;
    const char *reply = reply_to("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                                 "Content-Length: 3\r\n\r\nabc");
    assert_has(reply, "Content-Length: 3\r\n\r\n");
    assert_lacks(reply, "abc");
    reply = reply_to("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_has(reply, "Connection: close\r\nContent-Length: 0\r\n\r\n");
    reply = reply_to("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n"
                     "Expect: 100-continue\r\n\r\nx");
    assert_has(reply, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
    host.answers_at_once = false;
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 4);
    http_answer(host_take(), 204, NULL, 0, NULL);
    assert_lacks(client_read(fd, "\r\n\r\n"), "Content-Length");
    close(fd);
    host_close();
}

static void what_is_malformed_is_refused_and_closed(void **state)
{
    (void)state;
    host_open(&plain);
    const char *reply = reply_to("GET / HTTP/1.1\nHost: h\n\n");
    assert_has(reply, "HTTP/1.1 400 Bad Request\r\n");
    assert_has(reply, "Connection: close\r\n");
    assert_lacks(reply, "RESET");
    assert_has(reply_to("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n" GET), "a folded line\n");
    assert_has(reply_to("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "HTTP/1.1 505 ");
    assert_has(reply_to("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 501 ");
    assert_int_equal(host.requests, 0);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_MALFORMED], 4);
    host_until_connections(0);
    host_close();
}

/* The client sends much more than is taken, and reads only then. */
static void an_answer_survives_what_the_client_still_sends(void **state)
{
    const struct http_config small = {.body_bytes_max = 1000};
    static char more[4 * 1024 * 1024];
    (void)state;
    host_open(&small);
    int fd = client_open();
    client_say(fd, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_say(fd, "400000\r\n");
    client_send(fd, more, sizeof more);
    const char *reply = client_read(fd, NULL);
    assert_has(reply, "HTTP/1.1 413 ");
    assert_lacks(reply, "RESET");
    close(fd);
    host_until_connections(0);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_SIZE], 1);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    host_close();
}

static void send_text(struct http_exchange *exchange, const char *text)
{
    struct buf bytes;
    buf_init(&bytes, strlen(text));
    buf_append_text(&bytes, text);
    http_stream_send(exchange, &bytes);
}

static void a_stream_comes_in_pieces(void **state)
{
    static const struct http_field fields[] = {{"Content-Type", {"text/event-stream", 17}}};
    (void)state;
    host_open(&plain);
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    struct http_exchange *exchange = host_take();
    http_stream_begin(exchange, 200, fields, 1);
    send_text(exchange, "data: 1\n\n");
    const char *reply = client_read(fd, "9\r\ndata: 1\n\n\r\n");
    assert_has(reply, "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_text(exchange, "");
    send_text(exchange, "data: 2\n\n");
    assert_has(client_read(fd, "\n\n\r\n"), "9\r\ndata: 2");
    http_stream_end(exchange);
    client_read(fd, "0\r\n\r\n");
    client_say(fd, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    host_until(&host.requests, 2);
    exchange = host_take();
    http_stream_begin(exchange, 200, NULL, 0);
    http_stream_end(exchange);
    assert_has(client_read(fd, NULL), "\r\n\r\n0\r\n\r\n");
    close(fd);
    fd = client_open();
    client_say(fd, "GET / HTTP/1.0\r\n\r\n");
    host_until(&host.requests, 3);
    exchange = host_take();
    http_stream_begin(exchange, 200, NULL, 0);
    send_text(exchange, "old");
    http_stream_end(exchange);
    reply = client_read(fd, NULL);
    assert_has(reply, "Connection: close\r\n\r\nold");
    assert_lacks(reply, "chunked");
    close(fd);
    assert_int_equal(host.gone, 0);
    host_close();
}

static void send_many(struct http_exchange *exchange, size_t bytes)
{
    struct buf piece;
    buf_init(&piece, bytes);
    assert_int_equal(buf_reserve(&piece, bytes), 0);
    memset(piece.base, 'x', bytes);
    piece.len = bytes;
    http_stream_send(exchange, &piece);
}

static void a_stream_tells_of_congestion(void **state)
{
    (void)state;
    host_open(&plain);
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    struct http_exchange *exchange = host_take();
    http_stream_begin(exchange, 200, NULL, 0);
    while (!http_stream_is_congested(exchange)) {
        send_many(exchange, 256 * KIB);
    }
    assert_int_equal(host.congested, 0); /* never from inside */
    host_until(&host.congested, 1);
    for (unsigned i = 0; i < 50; i++) {
        host_turn();
    }
    assert_int_equal(host.relieved, 0);
    client_read(fd, "x\r\n");
    host_until(&host.relieved, 1);
    send_text(exchange, "end");
    http_stream_end(exchange);
    client_read(fd, "\r\n0\r\n\r\n");
    close(fd);
    host_close();
}

static void a_stream_that_nobody_takes_is_given_up(void **state)
{
    (void)state;
    host_open(&plain);
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    struct http_exchange *exchange = host_take();
    http_stream_begin(exchange, 200, NULL, 0);
    for (unsigned i = 0; i < 100 && host.gone == 0; i++) {
        send_many(exchange, MIB);
        assert_true(http_counts(host.server).bytes_held < LIMIT_HTTP_WAITING_BYTES_MAX + 16 * MIB);
    }
    assert_int_equal(host.gone, 0); /* never from inside */
    host_until(&host.gone, 1);
    host_until_connections(0);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_STALL], 1);
    close(fd);
    host_close();
}

static void clients_that_go_are_noticed(void **state)
{
    static const struct linger none = {.l_onoff = 1, .l_linger = 0};
    static char more[LIMIT_HTTP_PIPELINE_BYTES_MAX + 200 * 1024];
    (void)state;
    host_open(&plain);
    memset(more, 'G', sizeof more);
    for (unsigned way = 0; way < 4; way++) {
        int fd = client_open();
        client_say(fd, GET);
        host_until(&host.requests, way + 1);
        if (way == 1) {
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none); /* a reset */
        } else if (way == 2) {
            shutdown(fd, SHUT_WR);
        } else if (way == 3) { /* behind more than is kept */
            client_send(fd, more, sizeof more);
        }
        if (way != 2) {
            close(fd);
        }
        host_until(&host.gone, way + 1);
        if (way == 2) {
            close(fd);
        }
    }
    host_until_connections(0);
    assert_int_equal(http_counts(host.server).gone, 4);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    host_close();
}

/* Too much of later requests: this answer is the last. */
static void who_pipelines_too_much_is_served_once(void **state)
{
    static char more[LIMIT_HTTP_PIPELINE_BYTES_MAX * 2];
    (void)state;
    host_open(&plain);
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    for (size_t i = 0; i + sizeof GET <= sizeof more; i += sizeof GET - 1) {
        memcpy(more + i, GET, sizeof GET - 1);
    }
    client_send(fd, more, sizeof more);
    for (unsigned i = 0; i < 20; i++) {
        host_turn();
    }
    host_answer(200, "only");
    assert_has(client_read(fd, NULL), "Connection: close\r\nContent-Length: 4\r\n\r\nonly");
    assert_int_equal(host.requests, 1);
    close(fd);
    host_close();
}

/* Half a close right behind the request: an answer that is there is still delivered. */
static void half_a_close_lets_an_answer_through(void **state)
{
    (void)state;
    host_open(&plain);
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    shutdown(fd, SHUT_WR);
    host_answer(200, "answer");
    assert_has(client_read(fd, NULL), "answer");
    close(fd);
    assert_int_equal(host.gone, 0);
    host_close();
}

static void connections_have_caps(void **state)
{
    const struct http_config caps = {.connections_max = 3, .client_connections_max = 2};
    int fds[2];
    (void)state;
    host_open(&caps);
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = client_open();
        host_until_connections(i + 1);
    }
    int third = client_open();
    const char *reply = client_read(third, NULL);
    assert_has(reply, "HTTP/1.1 503 ");
    assert_has(reply, "Retry-After: ");
    close(third);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_CONNECTIONS], 1);
    close(fds[0]);
    host_until_connections(1);
    host.answers_at_once = true;
    assert_has(reply_to("GET / HTTP/1.0\r\n\r\n"), "200 OK");
    close(fds[1]);
    host_close();
}

static struct sockaddr_storage peer_of(const char *address)
{
    struct sockaddr_storage peer = {.ss_family = AF_INET6};
    if (strchr(address, ':') == NULL) {
        peer.ss_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, address, &((struct sockaddr_in *)&peer)->sin_addr), 1);
    } else {
        assert_int_equal(inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&peer)->sin6_addr),
                         1);
    }
    return peer;
}

static bool is_full(const char *address)
{
    struct sockaddr_storage peer = peer_of(address);
    return http_client_is_full(host.server, &peer);
}

/* Gives the server a connection as if it came from there. */
static void pretend(const char *address)
{
    struct sockaddr_storage peer = peer_of(address);
    int pair[2];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    assert_int_equal(bind(listener, (struct sockaddr *)&here, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&here, &len), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&here, len), 0);
    pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(pair[1] >= 0);
    http_connection_open(host.server, pair[1], &peer);
    close(pair[0]);
    close(listener);
}

/* IPv4 by its address, however it comes; IPv6 by what one customer gets. */
static void a_client_is_an_address_or_a_network(void **state)
{
    const struct http_config caps = {.client_connections_max = 1};
    (void)state;
    host_open(&caps);
    pretend("192.0.2.1");
    pretend("2001:db8:0:1::1");
    pretend("::ffff:192.0.2.3");
    assert_true(is_full("192.0.2.1"));
    assert_true(is_full("::ffff:192.0.2.1"));
    assert_false(is_full("192.0.2.2"));
    assert_true(is_full("192.0.2.3"));
    assert_true(is_full("2001:db8:0:1:ffff::2"));
    assert_false(is_full("2001:db8:0:2::1"));
    host_until_connections(0);
    assert_false(is_full("192.0.2.1"));
    assert_false(is_full("2001:db8:0:1::1"));
    host_close();
}

/* Past the budget of all connections, who holds most is sent away, and nobody else. */
static void who_holds_most_makes_room(void **state)
{
    const struct http_config budget = {.held_bytes_max = 10 * MIB};
    static char bytes[6 * MIB];
    struct buf body;
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    host_open(&budget);
    int modest = client_open();
    client_say(modest, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3145728\r\n\r\n");
    client_send(modest, bytes, 3 * MIB - 1);
    int greedy = client_open();
    client_say(greedy, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
    client_send(greedy, bytes, sizeof bytes);
    assert_has(client_read(greedy, NULL), "HTTP/1.1 503 ");
    close(greedy);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_MEMORY], 1);
    assert_int_equal(host.requests, 0);
    client_say(modest, "x");
    host_until(&host.requests, 1);
    int reader = client_open();
    client_say(reader, GET);
    host_until(&host.requests, 2);
    struct http_exchange *last = host.open[1];
    host.open_count = 1;
    buf_init(&body, 30 * MIB);
    assert_int_equal(buf_reserve(&body, 30 * MIB), 0);
    memset(body.base, 'y', 30 * MIB);
    body.len = 30 * MIB;
    http_answer(last, 200, NULL, 0, &body);
    host_until_refused(HTTP_REFUSED_MEMORY, 2);
    host_until_connections(1);
    host_answer(200, "modest");
    client_read(modest, "modest");
    assert_int_equal(host.gone, 0);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    close(reader);
    close(modest);
    host_close();
}

/* A system that has no descriptors: nothing spins, and connections wait until there are some. */
static void a_lack_of_descriptors_is_waited_for(void **state)
{
    struct rlimit before;
    struct rlimit none;
    (void)state;
    host_open(&plain);
    host.answers_at_once = true;
    int fd = client_open();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    host_until_refused(HTTP_REFUSED_DESCRIPTORS, 1);
    uint64_t begun = now_ms();
    while (now_ms() - begun < 3 * LIMIT_HTTP_ACCEPT_PAUSE_MS) {
        host_turn();
    }
    assert_true(http_counts(host.server).refused[HTTP_REFUSED_DESCRIPTORS] < 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_say(fd, "GET / HTTP/1.0\r\n\r\n");
    assert_has(client_read(fd, NULL), "200 OK");
    close(fd);
    host_close();
}

static void a_server_drains(void **state)
{
    (void)state;
    host_open(&plain);
    int idle = client_open();
    int busy = client_open();
    int half = client_open();
    client_say(half, "GET / HTTP/1.1\r\n");
    client_say(busy, GET);
    host_until(&host.requests, 1);
    host_until_connections(3);
    http_drain(host.server);
    assert_string_equal(client_read(idle, NULL), "");
    host_answer(200, "last");
    assert_has(client_read(busy, NULL), "Connection: close\r\nContent-Length: 4\r\n\r\nlast");
    client_say(half, "Host: h\r\n\r\n");
    host_until(&host.requests, 2);
    host_answer(200, "very last");
    assert_has(client_read(half, NULL), "very last");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http_port(host.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(late);
    close(idle);
    close(busy);
    close(half);
    host_close();
}

static void closing_ends_all(void **state)
{
    (void)state;
    host_open(&plain);
    int idle = client_open();
    int half = client_open();
    int busy = client_open();
    int streaming = client_open();
    int answered = client_open();
    client_say(half, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    client_say(busy, GET);
    host_until(&host.requests, 1);
    client_say(streaming, GET);
    host_until(&host.requests, 2);
    http_stream_begin(host.open[1], 200, NULL, 0);
    client_say(answered, GET);
    host_until(&host.requests, 3);
    struct http_exchange *last = host.open[2];
    host.open_count = 2;
    struct buf body;
    buf_init(&body, 2 * MIB);
    buf_reserve(&body, 2 * MIB);
    memset(body.base, 'y', 2 * MIB);
    body.len = 2 * MIB;
    http_answer(last, 200, NULL, 0, &body);
    http_close(host.server, (void (*)(void *))uv_stop, &host.loop);
    assert_int_equal(host.gone, 0); /* never from inside */
    size_t read = strlen(client_read(answered, NULL));
    assert_true(read > 2 * MIB);
    uv_run(&host.loop, UV_RUN_DEFAULT);
    assert_int_equal(host.gone, 2);
    assert_int_equal(host.open_count, 0);
    uv_run(&host.loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&host.loop), 0);
    close(idle);
    close(half);
    close(busy);
    close(streaming);
    close(answered);
}

static void nothing(void *context)
{
    (void)context;
}

static void addresses_are_listened_on(void **state)
{
    const struct http_events events = {.context = NULL};
    struct http_server *other = NULL;
    struct err err = {.text = ""};
    (void)state;
    const struct http_config any = {.host = "::"};
    host_open(&any); /* IPv4 comes to it as well, and is called so */
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    assert_span(http_peer(host.open[0]), "127.0.0.1");
    host_answer(200, "");
    struct http_config taken = {.host = "127.0.0.1", .port = http_port(host.server)};
    assert_int_equal(http_open(&host.loop, &taken, &events, &other, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_has(err.text, "another program listens there");
    const struct http_config unknown = {.host = "no such host."};
    assert_int_equal(http_open(&host.loop, &unknown, &events, &other, &err), -1);
    assert_has(err.text, "cannot listen on no such host.: ");
    const struct http_config foreign = {.host = "192.0.2.1"};
    assert_int_equal(http_open(&host.loop, &foreign, &events, &other, &err), -1);
    assert_has(err.text, "no network interface");
    const struct http_config half_tls = {.tls_cert = "/nowhere"};
    assert_int_equal(http_open(&host.loop, &half_tls, &events, &other, &err), -1);
    assert_has(err.text, "both");
    const struct http_config name = {.host = "localhost"};
    assert_int_equal(http_open(&host.loop, &name, &events, &other, &err), 0);
    assert_true(http_port(other) > 0);
    http_close(other, nothing, NULL);
    close(fd);
    host_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_given_and_answered),
        cmocka_unit_test(pipelined_requests_wait_for_their_turn),
        cmocka_unit_test(answers_have_the_bodies_they_may_have),
        cmocka_unit_test(what_is_malformed_is_refused_and_closed),
        cmocka_unit_test(an_answer_survives_what_the_client_still_sends),
        cmocka_unit_test(a_stream_comes_in_pieces),
        cmocka_unit_test(a_stream_tells_of_congestion),
        cmocka_unit_test(a_stream_that_nobody_takes_is_given_up),
        cmocka_unit_test(clients_that_go_are_noticed),
        cmocka_unit_test(who_pipelines_too_much_is_served_once),
        cmocka_unit_test(half_a_close_lets_an_answer_through),
        cmocka_unit_test(connections_have_caps),
        cmocka_unit_test(a_client_is_an_address_or_a_network),
        cmocka_unit_test(who_holds_most_makes_room),
        cmocka_unit_test(a_lack_of_descriptors_is_waited_for),
        cmocka_unit_test(a_server_drains),
        cmocka_unit_test(closing_ends_all),
        cmocka_unit_test(addresses_are_listened_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
