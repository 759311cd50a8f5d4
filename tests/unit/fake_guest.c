/*
 * A guest whose "Python" is one command a line, for tests of the cell and the pool around it:
 *
 *   print TEXT | stderr TEXT     a line of output          flood N        N bytes of output
 *   request                      prints what came with the request
 *   sleep MS | spin              until interrupted         hang           cannot be interrupted
 *   value JSON | value-of N      the result's value        raise TYPE     ends with an exception
 *   limits BITS                  limits to report          junk-text      ill-formed UTF-8 in it
 *   exit N | trap TEXT | silent | no-record | twice        other ends
 *   junk | more-after-end        forged frames             segv | abort | connect | open   crimes
 *
 * The core "module" is a file with one line too: ok, fatal TEXT, exit TEXT, or slow MS.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/guest.h"
#include "wire/wire.h"

enum { LINE_MAX_BYTES = 4096, CELL_FD = 3, FLOOD_CHUNK_BYTES = 8192 };

struct guest {
    const struct guest_sink *sink;
    struct guest_end *end;
    struct span request;
    atomic_int interrupted;
    bool is_over;
    bool is_silent;
    bool is_twice;
    bool has_junk;
    char error[64];
    struct buf value;
};

static void sleep_ms(unsigned ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* ---- Boot ------------------------------------------------------------------------------------ */

int guest_boot(const struct guest_config *config, struct guest **out, struct err *err)
{
    cleanup_buf struct buf core;
    buf_init(&core, LINE_MAX_BYTES);
    if (fd_read_file(config->core_path, &core, err) != 0 || buf_append_char(&core, '\0') != 0) {
        return -1;
    }
    core.base[strcspn(core.base, "\n")] = '\0';
    if (strncmp(core.base, "fatal ", 6) == 0) {
        return err_set(err, ERR_FORMAT, "%s", core.base + 6);
    }
    if (strncmp(core.base, "exit ", 5) == 0) {
        dprintf(STDERR_FILENO, "%s\n", core.base + 5);
        _exit(3);
    }
    if (strncmp(core.base, "slow ", 5) == 0) {
        sleep_ms((unsigned)strtoul(core.base + 5, NULL, 10));
    }
    *out = calloc(1, sizeof **out);
    return *out != NULL ? 0 : err_set(err, ERR_MEMORY, "no memory");
}

void guest_free(struct guest *guest)
{
    free(guest);
}

const char *guest_python_version(const struct guest *guest)
{
    (void)guest;
    return "0.0.1";
}

const char *guest_engine_version(void)
{
    return "fake 1.0";
}

void guest_interrupt(struct guest *guest)
{
    atomic_store(&guest->interrupted, 1);
}

int guest_rehearse(struct guest *guest, struct err *err)
{
    (void)guest;
    (void)err;
    return 0;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void stop(struct guest *guest, uint32_t reason, int exit_code, const char *detail)
{
    guest->end->reason = reason;
    guest->end->exit_code = exit_code;
    snprintf(guest->end->detail, sizeof guest->end->detail, "%s", detail);
    guest->is_over = true;
    guest->is_silent = true;
}

static void output(struct guest *guest, int is_stderr, struct span bytes)
{
    if (!guest->is_over && guest->sink->output(guest->sink->context, is_stderr, bytes) != 0) {
        stop(guest, WIRE_END_LIMIT, 1, "the sink is closed");
    }
}

static void command_output(struct guest *guest, const char *name, const char *text)
{
    char line[LINE_MAX_BYTES + 1];
    int len = snprintf(line, sizeof line, "%s\n", text);
    output(guest, strcmp(name, "stderr") == 0, (struct span){line, (size_t)len});
}

static void command_flood(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    char chunk[FLOOD_CHUNK_BYTES];
    memset(chunk, 'x', sizeof chunk);
    uint64_t left = strtoull(text, NULL, 10);
    while (left > 0 && !guest->is_over) {
        size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        output(guest, 0, (struct span){chunk, n});
        left -= n;
    }
}

static void command_request(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    (void)text;
    struct span cursor = guest->request;
    struct wire_field field;
    while (wire_next(&cursor, &field) > 0) {
        char line[LINE_MAX_BYTES];
        uint64_t number;
        uint32_t flag;
        if (field.number == WIRE_REQUEST_CODE) {
            continue;
        }
        if (wire_get_u64(field.value, &number) == 0 && field.number >= WIRE_REQUEST_WALL_MS) {
            snprintf(line, sizeof line, "%u=%" PRIu64, field.number, number);
        } else if (field.number == WIRE_REQUEST_WANT_VALUE &&
                   wire_get_u32(field.value, &flag) == 0) {
            snprintf(line, sizeof line, "%u=%u", field.number, flag);
        } else {
            snprintf(line, sizeof line, "%u=%.*s", field.number, (int)field.value.len,
                     field.value.base);
        }
        command_output(guest, "print", line);
    }
}

static void command_wait(struct guest *guest, const char *name, const char *text)
{
    bool is_sleep = strcmp(name, "sleep") == 0;
    unsigned left_ms = is_sleep ? (unsigned)strtoul(text, NULL, 10) : 1;
    while (left_ms > 0) {
        if (atomic_exchange(&guest->interrupted, 0) != 0) {
            snprintf(guest->error, sizeof guest->error, "KeyboardInterrupt");
            guest->is_over = true;
            return;
        }
        if (is_sleep) {
            sleep_ms(1);
            left_ms--;
        }
    }
}

static void command_hang(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    (void)text;
    for (;;) {
        if (atomic_load(&guest->interrupted) == 2) {
            return; /* never: the compiler must not know */
        }
    }
}

static void command_value(struct guest *guest, const char *name, const char *text)
{
    buf_clear(&guest->value);
    if (strcmp(name, "value") == 0) {
        (void)buf_append_text(&guest->value, text);
        return;
    }
    size_t len = (size_t)strtoull(text, NULL, 10);
    if (len >= 2 && buf_reserve(&guest->value, len) == 0) {
        memset(guest->value.base, '1', len);
        guest->value.len = len;
    }
}

static void command_raise(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    snprintf(guest->error, sizeof guest->error, "%s", text);
    guest->is_over = true;
}

static void command_limits(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    guest->end->limits = (uint32_t)strtoul(text, NULL, 10);
}

static void command_end(struct guest *guest, const char *name, const char *text)
{
    if (strcmp(name, "exit") == 0) {
        stop(guest, WIRE_END_EXITED, (int)strtol(text, NULL, 10), "");
    } else if (strcmp(name, "trap") == 0) {
        stop(guest, WIRE_END_TRAPPED, 134, text);
    } else if (strcmp(name, "silent") == 0) {
        stop(guest, WIRE_END_RETURNED, 0, "");
    } else if (strcmp(name, "no-record") == 0) {
        (void)guest->sink->result(guest->sink->context, span_of("this is no record"));
        stop(guest, WIRE_END_RETURNED, 0, "");
    } else if (strcmp(name, "twice") == 0) {
        guest->is_twice = true;
    } else {
        guest->has_junk = true;
    }
}

static void command_forge(struct guest *guest, const char *name, const char *text)
{
    (void)guest;
    (void)text;
    if (strcmp(name, "junk") == 0) {
        (void)fd_write_full(CELL_FD, "HTTP/1.1 200 OK\r\n", 17);
        return;
    }
    struct buf frames;
    buf_init(&frames, LINE_MAX_BYTES);
    (void)wire_append_frame(&frames, WIRE_END, (struct span){0});
    (void)wire_append_frame(&frames, WIRE_STDOUT, span_of("more"));
    (void)fd_write_full(CELL_FD, frames.base, frames.len);
}

static void command_crime(struct guest *guest, const char *name, const char *text)
{
    (void)guest;
    (void)text;
    if (strcmp(name, "segv") == 0) {
        volatile int *volatile nowhere = NULL;
        *nowhere = 1;
    } else if (strcmp(name, "abort") == 0) {
        abort();
    } else if (strcmp(name, "connect") == 0) {
        (void)socket(AF_INET, SOCK_STREAM, 0);
    } else {
        (void)open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    }
}

static const struct command {
    const char *name;
    void (*run)(struct guest *guest, const char *name, const char *text);
} commands[] = {
    {"print", command_output},
    {"stderr", command_output},
    {"flood", command_flood},
    {"request", command_request},
    {"sleep", command_wait},
    {"spin", command_wait},
    {"hang", command_hang},
    {"value", command_value},
    {"value-of", command_value},
    {"raise", command_raise},
    {"limits", command_limits},
    {"junk-text", command_end},
    {"exit", command_end},
    {"trap", command_end},
    {"silent", command_end},
    {"no-record", command_end},
    {"twice", command_end},
    {"junk", command_forge},
    {"more-after-end", command_forge},
    {"segv", command_crime},
    {"abort", command_crime},
    {"connect", command_crime},
    {"open", command_crime},
};

static void line_run(struct guest *guest, char *line)
{
    char *space = strchr(line, ' ');
    const char *text = space != NULL ? space + 1 : "";
    if (space != NULL) {
        *space = '\0';
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, line) == 0) {
            commands[i].run(guest, line, text);
            return;
        }
    }
    if (line[0] != '\0' && line[0] != '#') {
        command_raise(guest, line, "SyntaxError");
    }
}

/* ---- The run --------------------------------------------------------------------------------- */

static void result_write(struct guest *guest)
{
    struct buf record;
    buf_init(&record, LIMIT_RESULT_FRAME_BYTES_MAX);
    bool is_error = guest->error[0] != '\0';
    (void)wire_put(&record, WIRE_RESULT_STATUS, span_of(is_error ? "run-error" : "success"));
    (void)wire_put_u32(&record, WIRE_RESULT_EXIT_CODE, is_error ? 1 : 0);
    if (guest->value.len > 0) {
        (void)wire_put(&record, WIRE_RESULT_VALUE, buf_span(&guest->value));
    }
    if (is_error) {
        char text[LINE_MAX_BYTES];
        snprintf(text, sizeof text, "Traceback (most recent call last):\n%s\n", guest->error);
        (void)wire_put(&record, WIRE_RESULT_ERROR_TYPE, span_of(guest->error));
        (void)wire_put(&record, WIRE_RESULT_ERROR_MESSAGE,
                       span_of(guest->has_junk ? "a\xFFz" : "it failed"));
        (void)wire_put(&record, WIRE_RESULT_ERROR_TRACEBACK, span_of(text));
        (void)wire_put_u32(&record, WIRE_RESULT_ERROR_LINE, 7);
    }
    for (int i = 0; i < (guest->is_twice ? 2 : 1); i++) {
        (void)guest->sink->result(guest->sink->context, buf_span(&record));
    }
    buf_free(&record);
}

void guest_run(struct guest *guest, struct span request, const struct guest_sink *sink,
               struct guest_end *end)
{
    *end = (struct guest_end){.reason = WIRE_END_RETURNED, .memory_bytes = 12345678};
    guest->sink = sink;
    guest->end = end;
    guest->request = request;
    buf_init(&guest->value, LIMIT_RESULT_FRAME_BYTES_MAX);
    struct span code = {0};
    struct wire_field field;
    while (wire_next(&request, &field) > 0) {
        code = field.number == WIRE_REQUEST_CODE ? field.value : code;
    }
    while (code.len > 0 && !guest->is_over) {
        const char *newline = memchr(code.base, '\n', code.len);
        size_t len = newline != NULL ? (size_t)(newline - code.base) : code.len;
        char line[LINE_MAX_BYTES];
        snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1),
                 code.base);
        line_run(guest, line);
        code.base += len + (newline != NULL ? 1 : 0);
        code.len -= len + (newline != NULL ? 1 : 0);
    }
    if (!guest->is_silent) {
        result_write(guest);
    }
    buf_free(&guest->value);
}
