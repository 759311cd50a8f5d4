#include "transport/stdio.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"

enum { CHUNK_BYTES = 64 * 1024, LINE_KEEP_BYTES = 1024 * 1024 };

union channel {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tty_t tty;
    uv_tcp_t tcp;
};

struct stdio {
    uv_loop_t *loop;
    struct stdio_events events;
    union channel in;
    union channel out;
    bool in_is_file;
    bool out_is_file;
    int in_fd;
    int out_fd;
    uv_timer_t watch;     /* of the output, once the input has ended */
    uv_fs_t read_request; /* for a file */
    bool is_file_busy;
    bool is_reading;
    bool has_ended;
    bool has_told_failure;
    bool is_closing;
    bool is_skipping; /* inside a line that is too long */
    bool write_failed;
    bool has_told_congestion;
    struct buf line; /* the beginning of a line whose end has not come */
    size_t writes;   /* under way */
    unsigned open_handles;
    void (*closed)(void *context);
    void *closed_context;
    char chunk[CHUNK_BYTES];
};

struct write {
    uv_write_t request;
    struct stdio *stdio;
    char *bytes; /* owned */
};

static void read_file_on(struct stdio *stdio);

static void end_input(struct stdio *stdio, bool has_failed)
{
    bool is_news = !stdio->has_ended || (has_failed && !stdio->has_told_failure);
    if (is_news && !stdio->is_closing) {
        stdio->has_ended = true;
        stdio->has_told_failure = has_failed;
        stdio->events.ended(stdio->events.context, has_failed);
    }
}

static void stop_reading(struct stdio *stdio);

static void fail_writing(struct stdio *stdio)
{
    if (!stdio->write_failed) {
        stdio->write_failed = true;
        stop_reading(stdio);
        end_input(stdio, true);
    }
}

/* A client that has closed our input may wait for answers, or be gone. */
static void on_watch(uv_timer_t *timer)
{
    struct stdio *stdio = timer->data;
    struct pollfd out = {.fd = stdio->out_fd};
    if (poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0) {
        uv_timer_stop(timer);
        fail_writing(stdio);
    }
}

static void give_line(struct stdio *stdio, struct span line)
{
    while (line.len > 0 && (line.base[line.len - 1] == '\r' || line.base[line.len - 1] == ' ')) {
        line.len--;
    }
    if (line.len > 0) {
        stdio->events.message(stdio->events.context, line);
    }
}

/* Keeps bytes of an unfinished line, or gives the line up. */
static void keep_bytes(struct stdio *stdio, const char *bytes, size_t len)
{
    if (!stdio->is_skipping && buf_append(&stdio->line, bytes, len) != 0) {
        buf_free(&stdio->line);
        stdio->is_skipping = true;
        stdio->events.oversized(stdio->events.context);
    }
}

static void finish_line(struct stdio *stdio, const char *bytes, size_t len)
{
    if (stdio->line.len == 0 && !stdio->is_skipping) {
        give_line(stdio, (struct span){bytes, len});
        return;
    }
    keep_bytes(stdio, bytes, len);
    if (!stdio->is_skipping) {
        give_line(stdio, buf_span(&stdio->line));
    }
    stdio->is_skipping = false;
    buf_clear(&stdio->line);
    if (stdio->line.capacity > LINE_KEEP_BYTES) {
        buf_free(&stdio->line); /* one large message need not be paid for ever */
    }
}

static void take_bytes(struct stdio *stdio, const char *bytes, size_t len)
{
    const char *end = bytes + len;
    while (bytes < end && !stdio->is_closing) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        if (newline == NULL) {
            keep_bytes(stdio, bytes, (size_t)(end - bytes));
            return;
        }
        finish_line(stdio, bytes, (size_t)(newline - bytes));
        bytes = newline + 1;
    }
}

/* The input is over: a last line may lack its newline. */
static void take_end(struct stdio *stdio)
{
    if (stdio->line.len > 0 || stdio->is_skipping) {
        finish_line(stdio, "", 0);
    }
    if (!stdio->is_closing) {
        uv_timer_start(&stdio->watch, on_watch, 0, LIMIT_OUTPUT_WATCH_MS);
    }
    end_input(stdio, false);
}

static void lend_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct stdio *stdio = handle->data;
    (void)suggested;
    *out = uv_buf_init(stdio->chunk, sizeof stdio->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
    struct stdio *stdio = stream->data;
    if (len > 0) {
        take_bytes(stdio, bytes->base, (size_t)len);
    } else if (len < 0) {
        uv_read_stop(stream);
        stdio->is_reading = false;
        take_end(stdio);
    }
}

static void finish_closing(struct stdio *stdio);

static void on_file_read(uv_fs_t *request)
{
    struct stdio *stdio = request->data;
    ssize_t len = request->result;
    uv_fs_req_cleanup(request);
    stdio->is_file_busy = false;
    if (stdio->is_closing) {
        finish_closing(stdio);
    } else if (len > 0) {
        take_bytes(stdio, stdio->chunk, (size_t)len);
        read_file_on(stdio);
    } else {
        stdio->is_reading = false;
        take_end(stdio);
    }
}

static void read_file_on(struct stdio *stdio)
{
    if (!stdio->is_reading || stdio->is_file_busy || stdio->is_closing) {
        return;
    }
    uv_buf_t bytes = uv_buf_init(stdio->chunk, sizeof stdio->chunk);
    stdio->read_request.data = stdio;
    stdio->is_file_busy = true;
    uv_fs_read(stdio->loop, &stdio->read_request, stdio->in_fd, &bytes, 1, -1, on_file_read);
}

static void start_reading(struct stdio *stdio)
{
    if (stdio->is_reading || stdio->has_ended || stdio->is_closing) {
        return;
    }
    stdio->is_reading = true;
    if (stdio->in_is_file) {
        read_file_on(stdio);
    } else {
        uv_read_start(&stdio->in.stream, lend_chunk, on_read);
    }
}

static void stop_reading(struct stdio *stdio)
{
    if (stdio->is_reading && !stdio->in_is_file) {
        uv_read_stop(&stdio->in.stream);
    }
    stdio->is_reading = false;
}

/* Opens one end; *is_file when it is to be read and written by other means. */
static int open_channel(struct stdio *stdio, union channel *channel, int fd, bool readable,
                        bool *is_file, struct err *err)
{
    int failed = 0;
    uv_handle_type type = uv_guess_handle(fd);
    if (type == UV_NAMED_PIPE) {
        failed = uv_pipe_init(stdio->loop, &channel->pipe, 0);
        failed = failed != 0 ? failed : uv_pipe_open(&channel->pipe, fd);
    } else if (type == UV_TTY) {
        failed = uv_tty_init(stdio->loop, &channel->tty, fd, 0);
    } else if (type == UV_TCP) {
        failed = uv_tcp_init(stdio->loop, &channel->tcp);
        failed = failed != 0 ? failed : uv_tcp_open(&channel->tcp, fd);
    } else {
        *is_file = true;
        return type == UV_FILE ? 0
                               : err_set(err, ERR_SYSTEM, "standard %s cannot be used",
                                         readable ? "input" : "output");
    }
    if (failed != 0) {
        return err_set(err, ERR_SYSTEM, "standard %s: %s", readable ? "input" : "output",
                       uv_strerror(failed));
    }
    channel->handle.data = stdio;
    stdio->open_handles++;
    return 0;
}

int stdio_open(uv_loop_t *loop, int in_fd, int out_fd, const struct stdio_events *events,
               struct stdio **out, struct err *err)
{
    struct stdio *stdio = calloc(1, sizeof *stdio);
    if (stdio == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    stdio->loop = loop;
    stdio->events = *events;
    stdio->in_fd = in_fd;
    stdio->out_fd = out_fd;
    buf_init(&stdio->line, LIMIT_MESSAGE_BYTES_MAX);
    if (open_channel(stdio, &stdio->in, in_fd, true, &stdio->in_is_file, err) != 0 ||
        open_channel(stdio, &stdio->out, out_fd, false, &stdio->out_is_file, err) != 0) {
        /* A handle that was opened first would have to be closed by the loop; the caller is about
         * to exit, so the little memory is left to it. */
        return -1;
    }
    uv_timer_init(loop, &stdio->watch);
    stdio->watch.data = stdio;
    stdio->open_handles++;
    start_reading(stdio);
    *out = stdio;
    return 0;
}

bool stdio_is_congested(const struct stdio *stdio)
{
    return !stdio->out_is_file &&
           uv_stream_get_write_queue_size(&stdio->out.stream) > LIMIT_WRITE_QUEUE_BYTES_MAX;
}

static void tell_congestion(struct stdio *stdio)
{
    bool is_congested = stdio_is_congested(stdio);
    if (is_congested != stdio->has_told_congestion && !stdio->is_closing) {
        stdio->has_told_congestion = is_congested;
        stdio->events.congested(stdio->events.context, is_congested);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct write *write = (struct write *)request;
    struct stdio *stdio = write->stdio;
    free(write->bytes);
    free(write);
    stdio->writes--;
    if (status != 0) {
        fail_writing(stdio);
    }
    if (stdio->is_closing) {
        finish_closing(stdio);
    } else if (!stdio->write_failed && !stdio_is_congested(stdio)) {
        start_reading(stdio);
        tell_congestion(stdio);
    }
}

static void write_to_file(struct stdio *stdio, struct buf *message)
{
    if (fd_write_full(stdio->out_fd, message->base, message->len) != 0) {
        fail_writing(stdio);
    }
    buf_free(message);
}

void stdio_send(struct stdio *stdio, struct buf *message)
{
    if (stdio->write_failed || buf_append_char(message, '\n') != 0) {
        buf_free(message);
        return;
    }
    if (stdio->out_is_file) {
        write_to_file(stdio, message);
        return;
    }
    struct write *write = calloc(1, sizeof *write);
    if (write == NULL) {
        fail_writing(stdio);
        buf_free(message);
        return;
    }
    write->stdio = stdio;
    write->bytes = message->base;
    uv_buf_t bytes = uv_buf_init(message->base, (unsigned)message->len);
    *message = (struct buf){.bytes_max = message->bytes_max};
    stdio->writes++;
    int failed = uv_write(&write->request, &stdio->out.stream, &bytes, 1, on_written);
    if (failed != 0) {
        on_written(&write->request, failed);
    } else if (stdio_is_congested(stdio)) {
        stop_reading(stdio);
        tell_congestion(stdio);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct stdio *stdio = handle->data;
    stdio->open_handles--;
    finish_closing(stdio);
}

static void close_channel(union channel *channel, bool is_file)
{
    if (!is_file && !uv_is_closing(&channel->handle)) {
        uv_close(&channel->handle, on_handle_closed);
    }
}

/* One step nearer to the end: writes first, then the handles, then the memory. */
static void finish_closing(struct stdio *stdio)
{
    if (stdio->writes > 0 || stdio->is_file_busy) {
        return;
    }
    close_channel(&stdio->in, stdio->in_is_file);
    close_channel(&stdio->out, stdio->out_is_file);
    if (!uv_is_closing((uv_handle_t *)&stdio->watch)) {
        uv_close((uv_handle_t *)&stdio->watch, on_handle_closed);
    }
    if (stdio->open_handles > 0) {
        return;
    }
    void (*closed)(void *context) = stdio->closed;
    void *context = stdio->closed_context;
    buf_free(&stdio->line);
    free(stdio);
    closed(context);
}

void stdio_close(struct stdio *stdio, void (*closed)(void *context), void *context)
{
    assert(!stdio->is_closing);
    stdio->is_closing = true;
    stdio->closed = closed;
    stdio->closed_context = context;
    stop_reading(stdio);
    finish_closing(stdio);
}
