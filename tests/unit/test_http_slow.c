/* The HTTP server's deadlines: a byte now and then buys no time, and others are served meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "http_fixture.h"

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

/* Much more than the deadline under test, so that no other one is taken for it. */
enum { LONG_MS = 60000, SHORT_MS = 200, STEP_MS = 20 };

static const struct http_config patient = {
    .head_ms = LONG_MS, .body_ms = LONG_MS, .idle_ms = LONG_MS, .stall_ms = LONG_MS};

/* Sends a byte of `text` every STEP_MS, from its start again at its end, until the server has
 * refused; how long that took. */
static uint64_t drip(int fd, const char *text)
{
    uint64_t begun = now_ms();
    uint64_t next = begun;
    size_t i = 0;
    while (http_counts(host.server).refused[HTTP_REFUSED_DEADLINE] == 0) {
        if (now_ms() >= next) {
            (void)send(fd, &text[i], 1, MSG_DONTWAIT | MSG_NOSIGNAL);
            i = text[i + 1] == '\0' ? 0 : i + 1;
            next += STEP_MS;
        }
        host_turn();
        assert_true(now_ms() - begun < 20 * SHORT_MS);
    }
    return now_ms() - begun;
}

static void others_are_served(void)
{
    host.answers_at_once = true;
    int fd = client_open();
    client_say(fd, "GET /a HTTP/1.0\r\n\r\n");
    assert_has(client_read(fd, NULL), "200 OK");
    close(fd);
    host.answers_at_once = false;
}

static void a_slow_head_is_cut_off(void **state)
{
    struct http_config config = patient;
    (void)state;
    config.head_ms = SHORT_MS;
    host_open(&config);
    int fd = client_open();
    client_say(fd, "GET / HTTP/1.1\r\nA: ");
    others_are_served();
    assert_true(drip(fd, "a") >= SHORT_MS / 2);
    const char *reply = client_read(fd, NULL);
    assert_has(reply, "HTTP/1.1 408 ");
    assert_has(reply, "the request's head took too long");
    close(fd);
    host_until_connections(0);
    host_close();
}

static void a_connection_that_says_nothing_is_closed(void **state)
{
    struct http_config config = patient;
    (void)state;
    config.head_ms = SHORT_MS;
    host_open(&config);
    int fd = client_open();
    uint64_t begun = now_ms();
    assert_string_equal(client_read(fd, NULL), "");
    assert_true(now_ms() - begun >= SHORT_MS / 2);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_DEADLINE], 1);
    close(fd);
    host_close();
}

/* The head's time begins with its first byte, where the connection has been used before. */
static void a_slow_second_head_is_cut_off(void **state)
{
    struct http_config config = patient;
    (void)state;
    config.head_ms = SHORT_MS;
    host_open(&config);
    host.answers_at_once = true;
    int fd = client_open();
    client_say(fd, GET);
    client_read(fd, "\r\n\r\n");
    uint64_t begun = now_ms();
    while (now_ms() - begun < 2 * SHORT_MS) {
        host_turn();
    }
    client_say(fd, "\r\nGET / HTTP/1.1\r\nA: ");
    drip(fd, "a");
    assert_has(client_read(fd, NULL), "HTTP/1.1 408 ");
    close(fd);
    host_close();
}

static void a_slow_body_is_cut_off(void **state)
{
    struct http_config config = patient;
    (void)state;
    config.body_ms = SHORT_MS;
    host_open(&config);
    int fd = client_open();
    client_say(fd, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    others_are_served();
    drip(fd, "1\r\nx\r\n");
    assert_has(client_read(fd, NULL), "the request's body took too long");
    close(fd);
    host_until_connections(0);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    host_close();
}

static void an_idle_connection_is_closed(void **state)
{
    struct http_config config = patient;
    (void)state;
    config.idle_ms = SHORT_MS;
    host_open(&config);
    host.answers_at_once = true;
    int fd = client_open();
    client_say(fd, GET);
    client_read(fd, "\r\n\r\n");
    assert_string_equal(client_read(fd, NULL), "");
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_DEADLINE], 0);
    close(fd);
    host_close();
}

/* Gives what waits for an answer, of so many bytes. */
static void answer_many(size_t bytes)
{
    struct buf body;
    buf_init(&body, bytes);
    assert_int_equal(buf_reserve(&body, bytes), 0);
    memset(body.base, 'x', bytes);
    body.len = bytes;
    http_answer(host_take(), 200, NULL, 0, &body);
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    struct http_config config = patient;
    (void)state;
    config.stall_ms = SHORT_MS;
    host_open(&config);
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    answer_many(32 * MIB);
    others_are_served();
    host_until_refused(HTTP_REFUSED_STALL, 1);
    host_until_connections(0);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    assert_int_equal(host.gone, 0); /* the answer was complete */
    close(fd);
    host_close();
}

static void a_stream_that_is_not_read_is_cut_off(void **state)
{
    struct http_config config = patient;
    struct buf piece;
    (void)state;
    config.stall_ms = SHORT_MS;
    host_open(&config);
    int fd = client_open();
    client_say(fd, GET);
    host_until(&host.requests, 1);
    struct http_exchange *exchange = host_take();
    http_stream_begin(exchange, 200, NULL, 0);
    while (!http_stream_is_congested(exchange)) {
        buf_init(&piece, 64 * KIB);
        assert_int_equal(buf_reserve(&piece, 64 * KIB), 0);
        memset(piece.base, 'x', 64 * KIB);
        piece.len = 64 * KIB;
        http_stream_send(exchange, &piece);
    }
    host_until(&host.gone, 1);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_STALL], 1);
    close(fd);
    host_close();
}

/* One that reads slowly, but reads, has all the time it needs. */
static void a_client_that_reads_slowly_is_waited_for(void **state)
{
    struct http_config config = patient;
    static char bytes[64 * 1024];
    size_t read = 0;
    (void)state;
    config.stall_ms = SHORT_MS;
    host_open(&config);
    int fd = client_open();
    int small = 64 * 1024;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_say(fd, GET);
    host_until(&host.requests, 1);
    answer_many(8 * MIB);
    uint64_t begun = now_ms();
    while (now_ms() - begun < 5 * SHORT_MS) {
        ssize_t now = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        read += now > 0 ? (size_t)now : 0;
        uint64_t next = now_ms() + STEP_MS;
        while (now_ms() < next) {
            host_turn();
        }
    }
    assert_true(read < 8 * MIB);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_STALL], 0);
    close(fd);
    host_until_connections(0);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    host_close();
}

/* An exchange that takes long to answer, or a stream that says nothing, has no deadline here. */
static void an_answer_may_take_its_time(void **state)
{
    const struct http_config config = {
        .head_ms = SHORT_MS, .body_ms = SHORT_MS, .idle_ms = SHORT_MS, .stall_ms = SHORT_MS};
    (void)state;
    host_open(&config);
    int fd = client_open();
    client_say(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    host_until(&host.requests, 1);
    http_stream_begin(host.open[0], 200, NULL, 0);
    uint64_t begun = now_ms();
    while (now_ms() - begun < 3 * SHORT_MS) {
        host_turn();
    }
    assert_int_equal(host.gone, 0);
    http_stream_end(host_take());
    assert_has(client_read(fd, "0\r\n\r\n"), "200 OK");
    close(fd);
    host_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_head_is_cut_off),
        cmocka_unit_test(a_connection_that_says_nothing_is_closed),
        cmocka_unit_test(a_slow_second_head_is_cut_off),
        cmocka_unit_test(a_slow_body_is_cut_off),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(a_client_that_does_not_read_is_cut_off),
        cmocka_unit_test(a_stream_that_is_not_read_is_cut_off),
        cmocka_unit_test(a_client_that_reads_slowly_is_waited_for),
        cmocka_unit_test(an_answer_may_take_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
