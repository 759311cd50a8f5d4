/* stdio: lines in and lines out over real pipes and files, in bounded memory. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/limits.h"
#include "transport/stdio.h"

struct host {
    uv_loop_t loop;
    struct stdio *stdio;
    struct buf lines; /* what came, each followed by '|' */
    unsigned line_count;
    size_t longest;
    unsigned oversized;
    unsigned ended;
    unsigned congestions; /* how often it began */
    bool is_congested;
    bool failed;
    bool closed;
};
static struct host host;

static void on_message(void *context, struct span line)
{
    (void)context;
    host.line_count++;
    host.longest = line.len > host.longest ? line.len : host.longest;
    if (line.len < 1000) {
        buf_append(&host.lines, line.base, line.len);
        buf_append_char(&host.lines, '|');
    }
}

static void on_oversized(void *context)
{
    (void)context;
    host.oversized++;
}

static void on_congested(void *context, bool is_congested)
{
    (void)context;
    assert_int_equal(is_congested, !host.is_congested);
    host.is_congested = is_congested;
    host.congestions += is_congested ? 1 : 0;
}

static void on_ended(void *context, bool has_failed)
{
    (void)context;
    host.ended++;
    host.failed = host.failed || has_failed;
    uv_stop(&host.loop);
}

static void on_closed(void *context)
{
    (void)context;
    host.closed = true;
}

static void open_host(int in_fd, int out_fd)
{
    struct err err;
    struct stdio_events events = {.message = on_message,
                                  .oversized = on_oversized,
                                  .congested = on_congested,
                                  .ended = on_ended};
    host = (struct host){0};
    buf_init(&host.lines, 1 << 20);
    uv_loop_init(&host.loop);
    assert_int_equal(stdio_open(&host.loop, in_fd, out_fd, &events, &host.stdio, &err), 0);
}

static void close_host(void)
{
    stdio_close(host.stdio, on_closed, NULL);
    uv_run(&host.loop, UV_RUN_DEFAULT);
    assert_true(host.closed);
    assert_int_equal(uv_loop_close(&host.loop), 0);
    buf_free(&host.lines);
}

static const char *lines(void)
{
    buf_append_char(&host.lines, '\0');
    return host.lines.base;
}

/* The loop runs until the input's end has been seen. */
static void run_to_end(void)
{
    while (host.ended == 0) {
        uv_run(&host.loop, UV_RUN_DEFAULT);
    }
}

static void pipes_carry_lines(void **state)
{
    (void)state;
    int in[2];
    int out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    open_host(in[0], out[1]);
    static const char text[] = "one\r\n\n  \ntwo\nthree";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(write(in[1], text + i, 1), 1);
        uv_run(&host.loop, UV_RUN_NOWAIT);
    }
    close(in[1]);
    run_to_end();
    assert_string_equal(lines(), "one|two|three|");
    assert_false(host.failed);
    struct buf message;
    buf_init(&message, 100);
    buf_append_text(&message, "{}");
    stdio_send(host.stdio, &message);
    assert_int_equal(message.len, 0);
    close_host();
    char bytes[10];
    assert_int_equal(read(out[0], bytes, sizeof bytes), 3);
    assert_memory_equal(bytes, "{}\n", 3);
    close(out[0]);
}

static void files_work_as_well(void **state)
{
    (void)state;
    FILE *in = tmpfile();
    FILE *out = tmpfile();
    fputs("a\nb\n", in);
    for (unsigned i = 0; i < 50000; i++) {
        fprintf(in, "line %u\n", i);
    }
    rewind(in);
    open_host(fileno(in), fileno(out));
    run_to_end();
    assert_int_equal(host.line_count, 50002);
    struct buf message;
    buf_init(&message, 100);
    buf_append_text(&message, "x");
    stdio_send(host.stdio, &message);
    close_host();
    rewind(out);
    assert_int_equal(fgetc(out), 'x');
    assert_int_equal(fgetc(out), '\n');
    fclose(in);
    fclose(out);
}

/* 100 MB in one line, written by a child so that both ends can wait. */
static void long_lines_are_skipped(void **state)
{
    (void)state;
    int in[2];
    int out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        static char block[1 << 20];
        memset(block, 'x', sizeof block);
        for (unsigned i = 0; i < 100; i++) {
            fd_write_full(in[1], block, sizeof block);
        }
        fd_write_full(in[1], "\nnext\n", 6);
        for (unsigned i = 0; i < 20; i++) {
            fd_write_full(in[1], block, sizeof block);
        }
        fd_write_full(in[1], "\n", 1);
        _exit(0);
    }
    close(in[1]);
    open_host(in[0], out[1]);
    run_to_end();
    assert_int_equal(host.oversized, 1);
    assert_int_equal(host.line_count, 2);
    assert_int_equal(host.longest, 20u << 20);
    assert_string_equal(lines(), "next|");
    close_host();
    close(out[0]);
}

static void order_is_kept_for_a_slow_reader(void **state)
{
    (void)state;
    int in[2];
    int out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    open_host(in[0], out[1]);
    size_t total = 0;
    for (unsigned i = 0; i < 100; i++) {
        struct buf message;
        buf_init(&message, 2 * MIB);
        buf_append_format(&message, "%02u", i);
        while (message.len < MIB - 1) {
            buf_append_text(&message, ".");
        }
        total += message.len + 1;
        stdio_send(host.stdio, &message);
    }
    assert_true(stdio_is_congested(host.stdio));
    assert_true(host.is_congested);
    /* Nothing is read while so much waits. */
    assert_int_equal(write(in[1], "later\n", 6), 6);
    for (unsigned i = 0; i < 5; i++) {
        uv_run(&host.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(host.line_count, 0);
    size_t got = 0;
    unsigned expected = 0;
    static char block[1 << 16];
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    while (got < total) {
        ssize_t len = read(out[0], block, sizeof block);
        for (ssize_t i = 0; i < len; i++) {
            if ((got + (size_t)i) % MIB == 0) {
                assert_int_equal(block[i], '0' + (int)(expected++ / 10));
            }
        }
        got += len > 0 ? (size_t)len : 0;
        uv_run(&host.loop, UV_RUN_NOWAIT);
    }
    uv_run(&host.loop, UV_RUN_NOWAIT);
    assert_int_equal(expected, 100);
    assert_int_equal(host.line_count, 1);
    assert_false(host.is_congested);
    assert_int_equal(host.congestions, 1);
    close_host();
    close(in[1]);
    close(out[0]);
}

static void a_client_that_is_gone_is_noticed(void **state)
{
    (void)state;
    int in[2];
    int out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
    open_host(in[0], out[1]);
    close(out[0]);
    struct buf message;
    buf_init(&message, 100);
    buf_append_text(&message, "x");
    stdio_send(host.stdio, &message);
    run_to_end();
    assert_true(host.failed);
    buf_init(&message, 100);
    buf_append_text(&message, "y");
    stdio_send(host.stdio, &message);
    assert_int_equal(host.ended, 1);
    close_host();
    close(in[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipes_carry_lines),
        cmocka_unit_test(files_work_as_well),
        cmocka_unit_test(long_lines_are_skipped),
        cmocka_unit_test(order_is_kept_for_a_slow_reader),
        cmocka_unit_test(a_client_that_is_gone_is_noticed),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
