/*
 * A guest whose "Python" is one command a line, for tests of the cell and the pool around it:
 *
 *   print TEXT | stderr TEXT     a line of output          flood N        N bytes of output
 *   display TEXT                 a bundle
 *   request                      prints what came with the request
 *   sleep MS | spin              until interrupted         hang           cannot be interrupted
 *   value JSON | value-of N      the result's value        raise TYPE     ends with an exception
 *   limits BITS                  limits to report          junk-text      ill-formed UTF-8 in it
 *   end-process N                the cell's own process ends
 *   exit N | trap TEXT | silent | no-record | twice        other ends
 *   junk | more-after-end        forged frames             stay-after-end  forged END, and no end
 *                                                          segv | abort | connect | open   crimes
 *   ask TEXT | forge-ask TEXT    a question, and the answer; the same as a frame of its own making
 *   ask-and-print | ask-twice    forged: more behind a question
 *   remember TEXT | recall       for the next run in the same cell; prints it
 *   weigh N                      its state has so many pieces before what is remembered
 *   fork | join                  crimes: a copy that nobody has ordered, and what one asks
 *   false-rest                   forged: a result and an end, and after a while more
 *   need JSON | need-of N        ends with a need          environment    prints what it is made of
 *   made NAME TEXT | made-of N   a file at the end         forge-made WHAT  forged frames of files
 *
 * The core "module" is a file with one line too: ok, fatal TEXT, exit TEXT, slow MS, or forge TYPE,
 * which sends an empty frame on the control socket; so is each image, which may also hold "memory
 * BYTES", to be used. Among the modules to import ahead, "hang",
 * "crash" and "noise" do so.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/guest.h"
#include "jail/ask.h"
#include "wire/wire.h"

enum { LINE_MAX_BYTES = 4096, CELL_FD = 3, FLOOD_CHUNK_BYTES = 8192 };

struct guest {
    const struct guest_sink *sink;
    struct guest_end *end;
    struct span request;
    atomic_int interrupted;
    bool is_over;
    bool has_snapshot;
    bool is_silent;
    bool is_twice;
    bool has_junk;
    char error[64];
    struct buf value;
    struct buf need;
    char environment[LINE_MAX_BYTES];
    char memory[LINE_MAX_BYTES];
    unsigned state_pieces; /* of zeros, before it, when the state is saved */
    const char *preload;
    struct buf made; /* "NAME TEXT" and NUL, for each file */
    size_t made_len; /* of one more file, of so many bytes */
};

static void sleep_ms(unsigned ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* ---- Boot ------------------------------------------------------------------------------------ */

/* Does what a file's line says. */
static int file_boot(const char *path, struct err *err)
{
    cleanup_buf struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    if (fd_read_file(path, &line, err) != 0 || buf_append_char(&line, '\0') != 0) {
        return -1;
    }
    line.base[strcspn(line.base, "\n")] = '\0';
    if (strncmp(line.base, "fatal ", 6) == 0) {
        return err_set(err, ERR_FORMAT, "%s", line.base + 6);
    }
    if (strncmp(line.base, "exit ", 5) == 0) {
        dprintf(STDERR_FILENO, "%s\n", line.base + 5);
        _exit(3);
    }
    if (strncmp(line.base, "slow ", 5) == 0) {
        sleep_ms((unsigned)strtoul(line.base + 5, NULL, 10));
    }
    if (strncmp(line.base, "forge ", 6) == 0) {
        const char frame[WIRE_HEADER_BYTES] = {[4] = (char)strtol(line.base + 6, NULL, 10)};
        (void)send(CELL_FD, frame, sizeof frame, MSG_NOSIGNAL);
    }
    if (strncmp(line.base, "memory ", 7) == 0) {
        size_t len = (size_t)strtoull(line.base + 7, NULL, 10);
        void *bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (bytes == MAP_FAILED) {
            return err_system(err, "mmap");
        }
        memset(bytes, 1, len);
    }
    return 0;
}

static void import_ahead(const char *names)
{
    if (strstr(names, "noise") != NULL) {
        for (int i = 0; i < 5000; i++) {
            dprintf(STDERR_FILENO, "noise %d\x1b[2J\n", i);
        }
    }
    if (strstr(names, "crash") != NULL) {
        (void)raise(SIGKILL);
    }
    while (strstr(names, "hang") != NULL) {
        sleep_ms(1000);
    }
}

int guest_load(const struct guest_config *config, struct guest **out, struct err *err)
{
    if (file_boot(config->core_path, err) != 0) {
        return -1;
    }
    const char *last = "";
    for (size_t i = 0; config->image_paths[i] != NULL; i++) {
        last = config->image_paths[i];
        if (file_boot(last, err) != 0) {
            return -1;
        }
    }
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return err_set(err, ERR_MEMORY, "no memory");
    }
    snprintf((*out)->environment, sizeof(*out)->environment, "image=%s modules=%s preload=%s", last,
             config->modules_path != NULL ? config->modules_path : "",
             config->preload != NULL ? config->preload : "");
    (*out)->preload = config->preload;
    (*out)->has_snapshot = config->snapshot_path != NULL;
    return 0;
}

int guest_boot(struct guest *guest, struct err *err)
{
    (void)err;
    if (guest->preload != NULL) {
        import_ahead(guest->preload);
    }
    return 0;
}

void guest_free(struct guest *guest)
{
    free(guest);
}

bool guest_is_restored(const struct guest *guest)
{
    return guest->has_snapshot;
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

void guest_prepare_copies(struct guest *guest)
{
    (void)guest;
}

int guest_settle(struct guest *guest, struct err *err)
{
    (void)guest;
    (void)err;
    return 0;
}

int guest_rehearse(struct guest *guest, bool will_fork, struct err *err)
{
    (void)guest;
    (void)will_fork;
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

static void command_display(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    (void)guest->sink->display(guest->sink->context, span_of(text));
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

static bool is_flag(uint8_t number)
{
    return number == WIRE_REQUEST_WANT_VALUE || number == WIRE_REQUEST_NEEDS ||
           number == WIRE_REQUEST_MAY_FETCH || number == WIRE_REQUEST_SESSION;
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
        bool is_limit =
            (field.number >= WIRE_REQUEST_WALL_MS && field.number <= WIRE_REQUEST_FILE_COUNT) ||
            (field.number >= WIRE_REQUEST_CPU_MS && field.number <= WIRE_REQUEST_MADE_BYTES) ||
            field.number == WIRE_REQUEST_PICTURE_BYTES;
        if (is_limit && wire_get_u64(field.value, &number) == 0) {
            snprintf(line, sizeof line, "%u=%" PRIu64, field.number, number);
        } else if (field.number == WIRE_REQUEST_FILE) {
            snprintf(line, sizeof line, "%u=%u %.*s", field.number,
                     (unsigned char)field.value.base[0], (int)field.value.len - 4,
                     field.value.base + 4);
        } else if (is_flag(field.number) && wire_get_u32(field.value, &flag) == 0) {
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
    if (is_sleep) {
        guest->sink->flush(guest->sink->context);
    }
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
    (void)text;
    guest->sink->flush(guest->sink->context);
    if (strcmp(name, "junk") == 0) {
        (void)fd_write_full(CELL_FD, "HTTP/1.1 200 OK\r\n", 17);
        return;
    }
    struct buf frames;
    buf_init(&frames, LINE_MAX_BYTES);
    (void)wire_append_frame(&frames, WIRE_END, (struct span){0});
    if (strcmp(name, "more-after-end") == 0) {
        (void)wire_append_frame(&frames, WIRE_STDOUT, span_of("more"));
    }
    (void)fd_write_full(CELL_FD, frames.base, frames.len);
    if (strcmp(name, "stay-after-end") == 0) {
        command_hang(guest, name, "");
    }
}

/* Prints the status and the answer: its text when it is short, else its length. */
static void command_ask(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    char line[LINE_MAX_BYTES];
    struct buf answer;
    uint32_t status = 0;
    buf_init(&answer, LIMIT_FETCH_ANSWER_BYTES_MAX);
    if (guest->sink->fetch == NULL) {
        command_output(guest, "print", "not permitted");
        return;
    }
    if (guest->sink->fetch(guest->sink->context, span_of(text), &answer) != 0) {
        stop(guest, WIRE_END_PROTOCOL, 1, "a question was not answered");
        return;
    }
    (void)wire_get_u32((struct span){answer.base, 4}, &status);
    int len = (int)answer.len - 4;
    if (len < 64) {
        snprintf(line, sizeof line, "%u %.*s", status, len, answer.base + 4);
    } else {
        bool is_whole = answer.base[4] == 'a' && answer.base[answer.len - 1] == 'z';
        snprintf(line, sizeof line, "%u %d bytes%s", status, len,
                 is_whole ? "" : ", but not whole");
    }
    buf_free(&answer);
    command_output(guest, "print", line);
}

static void command_forge_ask(struct guest *guest, const char *name, const char *text)
{
    struct buf frames;
    guest->sink->flush(guest->sink->context);
    buf_init(&frames, LINE_MAX_BYTES);
    (void)wire_append_frame(&frames, WIRE_FETCH, span_of(text));
    if (strcmp(name, "ask-twice") == 0) {
        (void)wire_append_frame(&frames, WIRE_FETCH, span_of(text));
    } else if (strcmp(name, "ask-and-print") == 0) {
        (void)fd_write_full(CELL_FD, frames.base, frames.len);
        sleep_ms(20);
        buf_clear(&frames);
        (void)wire_append_frame(&frames, WIRE_STDOUT, span_of("more"));
    }
    (void)fd_write_full(CELL_FD, frames.base, frames.len);
    buf_free(&frames);
    guest->is_silent = true;
    sleep_ms(1000);
}

static void command_need(struct guest *guest, const char *name, const char *text)
{
    buf_clear(&guest->need);
    if (strcmp(name, "need") == 0) {
        (void)buf_append_text(&guest->need, text);
        return;
    }
    size_t len = (size_t)strtoull(text, NULL, 10);
    if (buf_reserve(&guest->need, len) == 0) {
        memset(guest->need.base, '1', len);
        guest->need.len = len;
    }
}

static void command_made(struct guest *guest, const char *name, const char *text)
{
    if (strcmp(name, "made") != 0) {
        guest->made_len = (size_t)strtoull(text, NULL, 10);
        return;
    }
    (void)buf_append(&guest->made, text, strlen(text) + 1);
}

int guest_mount(struct guest *guest, int fd, const char *path, enum guest_grant how,
                struct err *err)
{
    (void)guest;
    (void)fd;
    (void)path;
    (void)how;
    (void)err;
    return 0;
}

int guest_made_files(struct guest *guest, uint64_t bytes_max,
                     const struct guest_made_events *events, uint32_t *left_out)
{
    for (size_t at = 0; at < guest->made.len;) {
        char *name = guest->made.base + at;
        at += strlen(name) + 1;
        char *space = strchr(name, ' ');
        *space = '\0';
        const struct span content = span_of(space + 1);
        const struct guest_made file = {span_of(name), content.len, true, content};
        if (events->file(events->context, &file) != 0) {
            return -1;
        }
    }
    if (guest->made_len > 0) {
        struct buf content;
        buf_init(&content, guest->made_len);
        (void)buf_reserve(&content, guest->made_len);
        memset(content.base, 'x', guest->made_len);
        const bool fits = guest->made_len <= bytes_max;
        const struct guest_made file = {span_of("large.bin"), guest->made_len, fits,
                                        fits ? (struct span){content.base, guest->made_len}
                                             : (struct span){0}};
        (void)events->file(events->context, &file);
        buf_free(&content);
    }
    *left_out = guest->made_len > 0 ? 3 : 0;
    return 0;
}

/* What a cell must not send of files. */
static void command_forge_made(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    struct buf frames;
    struct buf record;
    guest->sink->flush(guest->sink->context);
    buf_init(&frames, MIB);
    buf_init(&record, LINE_MAX_BYTES);
    const bool is_many = strcmp(text, "many") == 0;
    if (strcmp(text, "nameless") != 0) {
        (void)wire_put(&record, WIRE_FILE_NAME, span_of("a"));
    }
    (void)wire_put_u64(&record, WIRE_FILE_SIZE, strcmp(text, "other-size") == 0 ? 2 : 1);
    if (strcmp(text, "large") == 0) {
        buf_clear(&record);
        (void)wire_put(&record, WIRE_FILE_NAME, span_of("a"));
        (void)wire_put_u64(&record, WIRE_FILE_SIZE, LIMIT_MADE_BYTES_MAX + 1);
        (void)wire_put_u64(&record, WIRE_FILE_CONTENT, LIMIT_MADE_BYTES_MAX + 1);
    } else if (!is_many) {
        (void)wire_put_u64(&record, WIRE_FILE_CONTENT, 1);
    }
    if (strcmp(text, "twice") == 0) {
        (void)wire_put_u64(&record, WIRE_FILE_CONTENT, 1);
    }
    for (unsigned i = 0; i < (is_many ? LIMIT_MADE_COUNT_MAX + 1 : 1); i++) {
        if (strcmp(text, "data-alone") != 0) {
            (void)wire_append_frame(&frames, WIRE_FILE, buf_span(&record));
        }
    }
    (void)wire_append_frame(&frames,
                            strcmp(text, "other-frame") == 0 ? WIRE_STDOUT : WIRE_FILE_DATA,
                            span_of(strcmp(text, "too-much") == 0 ? "xx" : "x"));
    (void)fd_write_full(CELL_FD, frames.base, frames.len);
    sleep_ms(1000);
}

static void command_remember(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    snprintf(guest->memory, sizeof guest->memory, "%s", text);
}

static void command_recall(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    (void)text;
    command_output(guest, "print", guest->memory);
}

/* That its state is large. */
static void command_weigh(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    guest->state_pieces = (unsigned)strtoul(text, NULL, 10);
}

static void command_false_rest(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    (void)text;
    struct buf frames;
    struct buf record;
    guest->sink->flush(guest->sink->context);
    buf_init(&frames, LINE_MAX_BYTES);
    buf_init(&record, LINE_MAX_BYTES);
    (void)wire_put(&record, WIRE_RESULT_STATUS, span_of("success"));
    (void)wire_append_frame(&frames, WIRE_RESULT, buf_span(&record));
    (void)wire_append_frame(&frames, WIRE_END, (struct span){0});
    (void)fd_write_full(CELL_FD, frames.base, frames.len);
    sleep_ms(100);
    buf_clear(&frames);
    (void)wire_append_frame(&frames, WIRE_STDOUT, span_of("more"));
    (void)fd_write_full(CELL_FD, frames.base, frames.len);
    sleep_ms(10000);
}

static void command_environment(struct guest *guest, const char *name, const char *text)
{
    (void)name;
    (void)text;
    command_output(guest, "print", guest->environment);
}

static void command_fork(struct guest *guest, const char *name, const char *text)
{
    (void)text;
    char line[64];
    long came = strcmp(name, "fork") == 0 ? jail_ask_fork() : jail_ask_join();
    snprintf(line, sizeof line, "%s gave %s", name,
             came > 0    ? "a process"
             : came == 0 ? "0"
                         : "an error");
    command_output(guest, "print", line);
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

static void command_end_process(struct guest *guest, const char *name, const char *text)
{
    (void)guest;
    (void)name;
    _exit((int)strtol(text, NULL, 10));
}

static const struct command {
    const char *name;
    void (*run)(struct guest *guest, const char *name, const char *text);
} commands[] = {
    {"print", command_output},
    {"stderr", command_output},
    {"flood", command_flood},
    {"display", command_display},
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
    {"end-process", command_end_process},
    {"no-record", command_end},
    {"twice", command_end},
    {"junk", command_forge},
    {"more-after-end", command_forge},
    {"stay-after-end", command_forge},
    {"ask", command_ask},
    {"forge-ask", command_forge_ask},
    {"ask-twice", command_forge_ask},
    {"ask-and-print", command_forge_ask},
    {"need", command_need},
    {"need-of", command_need},
    {"environment", command_environment},
    {"made", command_made},
    {"made-of", command_made},
    {"forge-made", command_forge_made},
    {"remember", command_remember},
    {"recall", command_recall},
    {"weigh", command_weigh},
    {"false-rest", command_false_rest},
    {"fork", command_fork},
    {"join", command_fork},
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
    const char *status = is_error ? "run-error" : guest->need.len > 0 ? "need" : "success";
    (void)wire_put(&record, WIRE_RESULT_STATUS, span_of(status));
    if (guest->need.len > 0) {
        (void)wire_put(&record, WIRE_RESULT_NEED, buf_span(&guest->need));
    }
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
    guest->is_over = guest->is_silent = guest->is_twice = guest->has_junk = false;
    guest->error[0] = '\0';
    atomic_store(&guest->interrupted, 0);
    buf_init(&guest->value, LIMIT_RESULT_FRAME_BYTES_MAX);
    buf_init(&guest->need, LIMIT_RESULT_FRAME_BYTES_MAX);
    buf_init(&guest->made, MIB);
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
    buf_free(&guest->need);
}

/* ---- States: what it remembers ----------------------------------------------------------------
 */

int guest_state_write(struct guest *guest, const struct flow_out *out, struct err *err)
{
    static const char filling[LIMIT_STATE_PIECE_BYTES];
    if (strcmp(guest->memory, "nothing that can be saved") == 0) {
        return err_set(err, ERR_LIMIT, "saving the guest's state: too much of it");
    }
    if (strcmp(guest->memory, "death") == 0) {
        (void)flow_write(out, span_of("half of it"), err);
        abort();
    }
    for (unsigned i = 0; i < guest->state_pieces; i++) {
        if (flow_write(out, (struct span){filling, sizeof filling}, err) != 0) {
            return -1;
        }
    }
    return flow_write(out, span_of(guest->memory), err);
}

int guest_state_read(struct guest *guest, const struct flow_pieces *in,
                     const struct guest_state_room *room, struct err *err)
{
    struct span piece;
    (void)room;
    guest->memory[0] = '\0';
    do {
        if (in->next(in->context, &piece, err) != 0) {
            return -1;
        }
        if (span_equal(piece, span_of("refuse me"))) {
            return err_set(err, ERR_FORMAT, "restoring a guest: this is no state");
        }
        if (piece.len > 0 && piece.len < sizeof guest->memory) {
            snprintf(guest->memory, sizeof guest->memory, "%.*s", (int)piece.len, piece.base);
        }
    } while (piece.len > 0);
    return 0;
}
