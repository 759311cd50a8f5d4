#include "http_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"

enum { PATIENCE_MS = 10000, READ_MAX = 8 * 1024 * 1024 };

struct host host;
static char read_bytes[READ_MAX];

void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_error("%.300s\n", text);
        fail_msg("which lacks \"%s\"", part);
    }
}

void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) {
        print_error("%.300s\n", text);
        fail_msg("which has \"%s\"", part);
    }
}

uint64_t now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

struct http_exchange *host_take(void)
{
    assert_true(host.open_count > 0);
    struct http_exchange *oldest = host.open[0];
    host.open_count--;
    memmove(host.open, host.open + 1, host.open_count * sizeof *host.open);
    return oldest;
}

static void answer(struct http_exchange *exchange, int status, struct span text)
{
    struct buf body;
    buf_init(&body, text.len);
    buf_append(&body, text.base, text.len);
    http_answer(exchange, status, NULL, 0, &body);
}

void host_answer(int status, const char *body)
{
    answer(host_take(), status, span_of(body));
}

static void on_request(void *context, struct http_exchange *exchange)
{
    assert_ptr_equal(context, &host);
    host.requests++;
    if (host.answers_at_once) {
        answer(exchange, 200, http_body(exchange));
    } else {
        assert_true(host.open_count < HOST_OPEN_MAX);
        host.open[host.open_count++] = exchange;
    }
}

static void on_gone(void *context, struct http_exchange *exchange)
{
    unsigned i = 0;
    assert_ptr_equal(context, &host);
    host.gone++;
    while (i < host.open_count && host.open[i] != exchange) {
        i++;
    }
    if (i < host.open_count) { /* one that a test has taken is not in the list */
        host.open_count--;
        memmove(host.open + i, host.open + i + 1, (host.open_count - i) * sizeof *host.open);
    }
}

static void on_congested(void *context, struct http_exchange *exchange, bool is_congested)
{
    assert_ptr_equal(context, &host);
    assert_int_equal(http_stream_is_congested(exchange), is_congested);
    *(is_congested ? &host.congested : &host.relieved) += 1;
}

void host_open(const struct http_config *config)
{
    const struct http_events events = {&host, on_request, on_gone, on_congested};
    struct http_config used = *config;
    struct err err = {.text = ""};
    signal(SIGPIPE, SIG_IGN);
    memset(&host, 0, sizeof host);
    uv_loop_init(&host.loop);
    if (http_open(&host.loop, &used, &events, &host.server, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void on_closed(void *context)
{
    *(bool *)context = true;
}

void host_close(void)
{
    http_close(host.server, on_closed, &host.is_closed);
    uint64_t begun = now_ms();
    while (!host.is_closed) {
        assert_true(now_ms() - begun < PATIENCE_MS);
        uv_run(&host.loop, UV_RUN_ONCE);
    }
    assert_int_equal(host.open_count, 0);
    assert_int_equal(uv_loop_close(&host.loop), 0);
}

void host_turn(void)
{
    uv_run(&host.loop, UV_RUN_NOWAIT);
    usleep(200);
}

void host_until(const unsigned *counter, unsigned wanted)
{
    uint64_t begun = now_ms();
    while (*counter < wanted && now_ms() - begun < PATIENCE_MS) {
        host_turn();
    }
    assert_int_equal(*counter, wanted);
}

void host_until_refused(enum http_refusal refusal, uint64_t wanted)
{
    uint64_t begun = now_ms();
    while (http_counts(host.server).refused[refusal] < wanted && now_ms() - begun < PATIENCE_MS) {
        host_turn();
    }
    assert_int_equal(http_counts(host.server).refused[refusal], wanted);
}

void host_until_connections(uint64_t wanted)
{
    uint64_t begun = now_ms();
    while (http_counts(host.server).open_connections != wanted && now_ms() - begun < PATIENCE_MS) {
        host_turn();
    }
    assert_int_equal(http_counts(host.server).open_connections, wanted);
}

int client_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http_port(host.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void client_send(int fd, const char *bytes, size_t len)
{
    uint64_t begun = now_ms();
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            len -= (size_t)sent;
        } else {
            assert_int_equal(errno, EAGAIN);
        }
        host_turn();
        assert_true(now_ms() - begun < PATIENCE_MS);
    }
}

void client_say(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

static bool ends_with(size_t len, const char *end)
{
    size_t end_len = end == NULL ? 0 : strlen(end);
    return end != NULL && len >= end_len && memcmp(read_bytes + len - end_len, end, end_len) == 0;
}

const char *client_read(int fd, const char *end)
{
    uint64_t begun = now_ms();
    size_t len = 0;
    read_bytes[0] = '\0';
    while (!ends_with(len, end)) {
        ssize_t read = recv(fd, read_bytes + len, READ_MAX - 16 - len, MSG_DONTWAIT);
        if (read == 0) {
            break;
        }
        if (read < 0 && errno != EAGAIN) {
            memcpy(read_bytes + len, "RESET", 6);
            return read_bytes;
        }
        len += read > 0 ? (size_t)read : 0;
        read_bytes[len] = '\0';
        host_turn();
        assert_true(now_ms() - begun < PATIENCE_MS);
    }
    return read_bytes;
}
