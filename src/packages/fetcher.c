#include "packages/fetcher.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"

enum { LINE_MAX_BYTES = 512, CHUNK_BYTES = 256 * 1024, ENVIRONMENT_MAX = 16 };

struct fetch {
    TAILQ_ENTRY(fetch) link; /* in waiting, asked or failed of its fetcher */
    struct fetcher *fetcher;
    struct fetch_list *list;
    uint32_t id;
    struct buf record; /* the question */
    struct fetch_events events;
    char *failure; /* why it cannot be answered; owned */
};
TAILQ_HEAD(fetch_list, fetch);

/* One process. It outlives its usefulness by the time that libuv takes to let go of it. */
struct helper {
    struct fetcher *fetcher;
    uv_process_t process;
    uv_pipe_t socket;
    uv_pipe_t log;
    uv_timer_t patience; /* after its socket was closed */
    unsigned handles;
    bool is_gone;
    bool is_released; /* another one may be started */
    struct buf in;    /* a frame that has not arrived whole */
    char line[LINE_MAX_BYTES];
    size_t line_len;
    char last_line[LINE_MAX_BYTES];
};

struct fetcher {
    uv_loop_t *loop;
    char *program;
    struct buf config;
    struct helper *helper; /* the one that is asked, or NULL */
    unsigned helper_count; /* not freed yet */
    uint32_t last_id;
    struct fetch_list waiting; /* not sent yet */
    struct fetch_list asked;
    struct fetch_list failed; /* to be answered from the loop */
    size_t asked_count;
    uv_timer_t soon;
    uv_timer_t idle;
    unsigned deaths; /* in a row, without an answer between them */
    uint64_t death_us;
    unsigned handles; /* our own timers, while we close */
    bool is_closing;
    void (*closed)(void *context);
    void *closed_context;
    char chunk[CHUNK_BYTES];
};

static void helper_stop(struct helper *helper);

/* ---- Lists ----------------------------------------------------------------------------------- */

static void move_to(struct fetch *fetch, struct fetch_list *list)
{
    struct fetcher *fetcher = fetch->fetcher;
    if (fetch->list != NULL) {
        TAILQ_REMOVE(fetch->list, fetch, link);
        fetcher->asked_count -= fetch->list == &fetcher->asked ? 1 : 0;
    }
    fetch->list = list;
    if (list != NULL) {
        TAILQ_INSERT_TAIL(list, fetch, link);
        fetcher->asked_count += list == &fetcher->asked ? 1 : 0;
    }
}

static void fetch_free(struct fetch *fetch)
{
    move_to(fetch, NULL);
    buf_free(&fetch->record);
    free(fetch->failure);
    free(fetch);
}

static void answer(struct fetch *fetch, uint32_t status, struct span bytes)
{
    struct fetch_events events = fetch->events;
    fetch_free(fetch);
    events.answered(events.context, status, bytes);
}

static void on_soon(uv_timer_t *timer)
{
    struct fetcher *fetcher = timer->data;
    struct fetch *fetch;
    while ((fetch = TAILQ_FIRST(&fetcher->failed)) != NULL) {
        char text[ERR_TEXT_MAX];
        (void)snprintf(text, sizeof text, "%s",
                       fetch->failure != NULL ? fetch->failure : "vitrine-fetch has ended");
        answer(fetch, WIRE_FETCH_FAILED, span_of(text));
    }
}

/* Everything that was asked or waits fails, from the loop. */
static void fail_all(struct fetcher *fetcher, const char *why)
{
    struct fetch_list *const lists[] = {&fetcher->asked, &fetcher->waiting};
    for (unsigned i = 0; i < 2; i++) {
        struct fetch *fetch;
        while ((fetch = TAILQ_FIRST(lists[i])) != NULL) {
            fetch->failure = strdup(why);
            move_to(fetch, &fetcher->failed);
        }
    }
    if (!TAILQ_EMPTY(&fetcher->failed) && !fetcher->is_closing) {
        (void)uv_timer_start(&fetcher->soon, on_soon, 0, 0);
    }
}

/* ---- The socket ------------------------------------------------------------------------------ */

struct writing {
    uv_write_t request;
    struct buf bytes;
};

static void on_written(uv_write_t *request, int status)
{
    struct writing *writing = (struct writing *)request;
    (void)status; /* a socket that broke is seen by its reader */
    buf_free(&writing->bytes);
    free(writing);
}

static int send_frame(struct helper *helper, enum wire_type type, struct span payload)
{
    struct writing *writing = calloc(1, sizeof *writing);
    if (writing == NULL) {
        return -1;
    }
    buf_init(&writing->bytes, WIRE_HEADER_BYTES + payload.len);
    if (wire_append_frame(&writing->bytes, type, payload) != 0) {
        buf_free(&writing->bytes);
        free(writing);
        return -1;
    }
    uv_buf_t part = uv_buf_init(writing->bytes.base, (unsigned)writing->bytes.len);
    if (uv_write(&writing->request, (uv_stream_t *)&helper->socket, &part, 1, on_written) != 0) {
        buf_free(&writing->bytes);
        free(writing);
        return -1;
    }
    return 0;
}

/* Half of what vitrine-fetch lets wait is ours, so that it never refuses a question. */
static void send_waiting(struct fetcher *fetcher)
{
    struct fetch *fetch;
    while (fetcher->helper != NULL && fetcher->asked_count < LIMIT_FETCH_ASKS_MAX / 2 &&
           (fetch = TAILQ_FIRST(&fetcher->waiting)) != NULL) {
        move_to(fetch, &fetcher->asked);
        if (send_frame(fetcher->helper, WIRE_FETCH_ASK, buf_span(&fetch->record)) != 0) {
            helper_stop(fetcher->helper);
            return;
        }
        buf_free(&fetch->record);
    }
}

static struct fetch *find_asked(const struct fetcher *fetcher, uint32_t id)
{
    struct fetch *fetch;
    TAILQ_FOREACH(fetch, &fetcher->asked, link)
    {
        if (fetch->id == id) {
            return fetch;
        }
    }
    return NULL;
}

static void on_idle(uv_timer_t *timer)
{
    struct fetcher *fetcher = timer->data;
    if (fetcher->helper != NULL && fetcher->asked_count == 0) {
        helper_stop(fetcher->helper);
    }
}

/* Two numbers of a frame, and what follows them. */
static int numbers_take(struct span *payload, uint32_t *first, uint32_t *second)
{
    if (payload->len < 8 || wire_get_u32((struct span){payload->base, 4}, first) != 0 ||
        wire_get_u32((struct span){payload->base + 4, 4}, second) != 0) {
        return -1;
    }
    *payload = (struct span){payload->base + 8, payload->len - 8};
    return 0;
}

static int frame_take(struct helper *helper, const struct wire_frame *frame)
{
    struct fetcher *fetcher = helper->fetcher;
    struct span rest = frame->payload;
    uint32_t id;
    uint32_t number;
    if (numbers_take(&rest, &id, &number) != 0) {
        return -1;
    }
    struct fetch *fetch = id == 0 ? NULL : find_asked(fetcher, id);
    if (frame->type == WIRE_FETCH_LOG) {
        if (fetch != NULL && fetch->events.log != NULL) {
            fetch->events.log(fetch->events.context, number, rest);
        }
        return 0;
    }
    if (number > WIRE_FETCH_OFFLINE) {
        return -1;
    }
    fetcher->deaths = 0;
    (void)uv_timer_start(&fetcher->idle, on_idle, LIMIT_FETCHER_IDLE_MS, 0);
    if (fetch != NULL) { /* one that was cancelled may still be answered */
        answer(fetch, number, rest);
    }
    return 0;
}

/* Takes the frames that have arrived. A callback may stop the helper; its buffer stays. */
static int frames_take(struct helper *helper)
{
    struct err err;
    struct wire_frame frame;
    size_t frame_bytes;
    size_t used = 0;
    int more = 0;
    while (!helper->is_released) {
        struct span in = {helper->in.base + used, helper->in.len - used};
        more = wire_take(in, WIRE_FROM_FETCH, &frame, &frame_bytes, &err);
        if (more <= 0) {
            break;
        }
        if (frame_take(helper, &frame) != 0) {
            more = -1;
            break;
        }
        used += frame_bytes;
    }
    buf_consume(&helper->in, used);
    return more < 0 ? -1 : 0;
}

static void alloc_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct helper *helper = handle->data;
    *out = uv_buf_init(helper->fetcher->chunk, sizeof helper->fetcher->chunk);
}

static void on_socket(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct helper *helper = stream->data;
    if (n == 0 || helper->is_released) {
        return;
    }
    if (n < 0 || buf_append(&helper->in, bytes->base, (size_t)n) != 0 || frames_take(helper) != 0) {
        if (n > 0) {
            log_warning("vitrine-fetch answered what is no answer; it is ended");
        }
        helper_stop(helper);
        return;
    }
    send_waiting(helper->fetcher);
}

/* ---- Its standard error ---------------------------------------------------------------------- */

static void line_end(struct helper *helper)
{
    if (helper->line_len > 0) {
        helper->line[helper->line_len] = '\0';
        log_info("vitrine-fetch: %s", helper->line);
        memcpy(helper->last_line, helper->line, helper->line_len + 1);
    }
    helper->line_len = 0;
}

static void on_log(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct helper *helper = stream->data;
    for (ssize_t i = 0; i < n; i++) {
        if (bytes->base[i] == '\n') {
            line_end(helper);
        } else if (helper->line_len + 1 < sizeof helper->line) {
            helper->line[helper->line_len++] = bytes->base[i];
        }
    }
    if (n < 0) {
        (void)uv_read_stop(stream);
        line_end(helper);
    }
}

/* ---- The process ----------------------------------------------------------------------------- */

static void fetcher_freed_part(struct fetcher *fetcher);

static void on_handle_closed(uv_handle_t *handle)
{
    struct helper *helper = handle->data;
    if (--helper->handles > 0) {
        return;
    }
    struct fetcher *fetcher = helper->fetcher;
    buf_free(&helper->in);
    free(helper);
    fetcher->helper_count--;
    fetcher_freed_part(fetcher);
}

static void handle_close(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_handle_closed);
    }
}

static void on_impatience(uv_timer_t *timer)
{
    struct helper *helper = timer->data;
    if (!helper->is_gone) {
        (void)uv_process_kill(&helper->process, SIGKILL);
    }
}

/* Asks nothing of it any more: it ends when its socket does. What it was asked fails. */
static void helper_stop(struct helper *helper)
{
    struct fetcher *fetcher = helper->fetcher;
    if (helper->is_released) {
        return;
    }
    helper->is_released = true;
    fetcher->helper = NULL;
    handle_close((uv_handle_t *)&helper->socket);
    if (!helper->is_gone) {
        (void)uv_timer_start(&helper->patience, on_impatience, LIMIT_FETCHER_STOP_MS, 0);
    }
    if (fetcher->asked_count > 0 || !TAILQ_EMPTY(&fetcher->waiting)) {
        char why[ERR_TEXT_MAX];
        (void)snprintf(why, sizeof why, "vitrine-fetch ended unexpectedly%s%.256s",
                       helper->last_line[0] == '\0' ? "" : ": ", helper->last_line);
        fetcher->deaths++;
        fetcher->death_us = clock_monotonic_us();
        fail_all(fetcher, why);
    }
}

/* Its last words may still be in the pipe. */
static void log_drain(struct helper *helper)
{
    uv_os_fd_t fd;
    char bytes[LINE_MAX_BYTES];
    if (uv_fileno((const uv_handle_t *)&helper->log, &fd) == 0) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        uv_buf_t part = uv_buf_init(bytes, sizeof bytes);
        on_log((uv_stream_t *)&helper->log, n > 0 ? n : -1, &part);
    }
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct helper *helper = process->data;
    helper->is_gone = true;
    log_drain(helper);
    if (signal_number != 0 || status != 0) {
        log_debug("vitrine-fetch ended (status %d, signal %d)", (int)status, signal_number);
    }
    helper_stop(helper);
    handle_close((uv_handle_t *)&helper->process);
    handle_close((uv_handle_t *)&helper->log);
    handle_close((uv_handle_t *)&helper->patience);
}

/* Proxies and certificates, and nothing else of our environment. */
static void environment_fill(char *texts[ENVIRONMENT_MAX])
{
    static const char *const names[] = {"HTTPS_PROXY",   "https_proxy", "ALL_PROXY",
                                        "all_proxy",     "NO_PROXY",    "no_proxy",
                                        "SSL_CERT_FILE", "SSL_CERT_DIR"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && asprintf(&texts[count], "%s=%s", names[i], value) > 0) {
            count++;
        }
    }
    texts[count] = NULL;
}

static int spawn(struct helper *helper, int socket_fd)
{
    char *environment[ENVIRONMENT_MAX];
    char *args[] = {helper->fetcher->program, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE),
         .data.stream = (uv_stream_t *)&helper->log},
        {.flags = UV_INHERIT_FD, .data.fd = socket_fd},
    };
    environment_fill(environment);
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = args[0],
        .args = args,
        .env = environment,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = sizeof stdio / sizeof *stdio,
        .stdio = stdio,
    };
    int failed = uv_spawn(helper->fetcher->loop, &helper->process, &options);
    helper->process.data = helper;
    for (size_t i = 0; environment[i] != NULL; i++) {
        free(environment[i]);
    }
    return failed;
}

static struct helper *helper_new(struct fetcher *fetcher)
{
    struct helper *helper = calloc(1, sizeof *helper);
    if (helper == NULL) {
        return NULL;
    }
    helper->fetcher = fetcher;
    buf_init(&helper->in, 2 * (LIMIT_FETCH_ANSWER_BYTES_MAX + WIRE_HEADER_BYTES));
    (void)uv_pipe_init(fetcher->loop, &helper->socket, 0);
    (void)uv_pipe_init(fetcher->loop, &helper->log, 0);
    (void)uv_timer_init(fetcher->loop, &helper->patience);
    helper->socket.data = helper->log.data = helper->patience.data = helper;
    helper->handles = 4;
    fetcher->helper_count++;
    return helper;
}

static int helper_start(struct fetcher *fetcher, struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return err_system(err, "making a socket for vitrine-fetch");
    }
    struct helper *helper = helper_new(fetcher);
    if (helper == NULL) {
        fd_close(&ends[0]);
        fd_close(&ends[1]);
        return err_set(err, ERR_MEMORY, "no memory for vitrine-fetch");
    }
    int failed = spawn(helper, ends[1]);
    fd_close(&ends[1]);
    if (failed == 0 && (failed = uv_pipe_open(&helper->socket, ends[0])) == 0) {
        ends[0] = -1;
    }
    fd_close(&ends[0]);
    if (failed != 0) {
        bool is_running = uv_is_active((const uv_handle_t *)&helper->process) != 0;
        helper->is_released = true;
        handle_close((uv_handle_t *)&helper->socket);
        if (is_running) {
            (void)uv_process_kill(&helper->process, SIGKILL);
        } else {
            handle_close((uv_handle_t *)&helper->process);
            handle_close((uv_handle_t *)&helper->log);
            handle_close((uv_handle_t *)&helper->patience);
        }
        return err_set(err, ERR_SYSTEM, "starting %s: %s", fetcher->program, uv_strerror(failed));
    }
    (void)uv_read_start((uv_stream_t *)&helper->socket, alloc_chunk, on_socket);
    (void)uv_read_start((uv_stream_t *)&helper->log, alloc_chunk, on_log);
    fetcher->helper = helper;
    (void)uv_timer_start(&fetcher->idle, on_idle, LIMIT_FETCHER_IDLE_MS, 0);
    if (send_frame(helper, WIRE_FETCH_CONFIG, buf_span(&fetcher->config)) != 0) {
        helper_stop(helper);
        return err_set(err, ERR_MEMORY, "no memory for vitrine-fetch");
    }
    return 0;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

int fetcher_configure(struct fetcher *fetcher, struct span record, struct err *err)
{
    buf_clear(&fetcher->config);
    return buf_append(&fetcher->config, record.base, record.len) == 0
               ? 0
               : err_set(err, ERR_LIMIT, "the configuration for vitrine-fetch is too large");
}

static int question_put(struct fetch *fetch, enum wire_fetch_what what, const struct span *names,
                        size_t count)
{
    if (wire_put_u32(&fetch->record, WIRE_FETCH_ID, fetch->id) != 0 ||
        wire_put_u32(&fetch->record, WIRE_FETCH_WHAT, (uint32_t)what) != 0 ||
        wire_put(&fetch->record, WIRE_FETCH_NAME, names[0]) != 0) {
        return -1;
    }
    for (size_t i = 1; i < count; i++) {
        if (wire_put(&fetch->record, WIRE_FETCH_NAME, names[i]) != 0) {
            break; /* what does not fit is not fetched ahead */
        }
    }
    return 0;
}

/* A program that dies each time it is asked gets a rest. */
static int helper_ensure(struct fetcher *fetcher, struct err *err)
{
    if (fetcher->helper != NULL) {
        return 0;
    }
    uint64_t rested_us = clock_monotonic_us() - fetcher->death_us;
    if (fetcher->deaths >= LIMIT_FETCHER_DEATHS_MAX && rested_us < LIMIT_FETCHER_REST_MS * 1000) {
        return err_set(err, ERR_GONE, "vitrine-fetch ended %u times in a row; see its messages",
                       fetcher->deaths);
    }
    return helper_start(fetcher, err);
}

struct fetch *fetcher_ask(struct fetcher *fetcher, enum wire_fetch_what what,
                          const struct span *names, size_t count, const struct fetch_events *events,
                          struct err *err)
{
    assert(count > 0);
    if (helper_ensure(fetcher, err) != 0) {
        return NULL;
    }
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a question");
        return NULL;
    }
    fetch->fetcher = fetcher;
    fetch->events = *events;
    fetch->id = ++fetcher->last_id == 0 ? ++fetcher->last_id : fetcher->last_id;
    buf_init(&fetch->record, LIMIT_FETCH_ASK_BYTES_MAX);
    if (question_put(fetch, what, names, count) != 0) {
        fetch_free(fetch);
        (void)err_set(err, ERR_LIMIT, "the question is too large");
        return NULL;
    }
    move_to(fetch, &fetcher->waiting);
    send_waiting(fetcher);
    return fetch;
}

void fetcher_cancel(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;
    if (fetch->list == &fetcher->asked && fetcher->helper != NULL) {
        char id[4];
        for (unsigned i = 0; i < sizeof id; i++) {
            id[i] = (char)(uint8_t)(fetch->id >> (8 * i));
        }
        (void)send_frame(fetcher->helper, WIRE_FETCH_CANCEL, (struct span){id, sizeof id});
    }
    fetch_free(fetch);
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct fetcher *fetcher_new(uv_loop_t *loop, const char *program)
{
    struct fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (fetcher == NULL || (fetcher->program = strdup(program)) == NULL) {
        free(fetcher);
        return NULL;
    }
    fetcher->loop = loop;
    buf_init(&fetcher->config, LIMIT_FETCH_ASK_BYTES_MAX);
    TAILQ_INIT(&fetcher->waiting);
    TAILQ_INIT(&fetcher->asked);
    TAILQ_INIT(&fetcher->failed);
    (void)uv_timer_init(loop, &fetcher->soon);
    (void)uv_timer_init(loop, &fetcher->idle);
    fetcher->soon.data = fetcher->idle.data = fetcher;
    return fetcher;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fetcher *fetcher = handle->data;
    if (--fetcher->handles > 0) {
        return;
    }
    void (*closed)(void *) = fetcher->closed;
    void *context = fetcher->closed_context;
    buf_free(&fetcher->config);
    free(fetcher->program);
    free(fetcher);
    closed(context);
}

static void fetcher_freed_part(struct fetcher *fetcher)
{
    if (fetcher->is_closing && fetcher->helper_count == 0 && fetcher->handles == 0) {
        fetcher->handles = 2;
        uv_close((uv_handle_t *)&fetcher->soon, on_timer_closed);
        uv_close((uv_handle_t *)&fetcher->idle, on_timer_closed);
    }
}

void fetcher_close(struct fetcher *fetcher, void (*closed)(void *context), void *context)
{
    assert(TAILQ_EMPTY(&fetcher->asked) && TAILQ_EMPTY(&fetcher->waiting) &&
           TAILQ_EMPTY(&fetcher->failed));
    fetcher->is_closing = true;
    fetcher->closed = closed;
    fetcher->closed_context = context;
    if (fetcher->helper != NULL) {
        helper_stop(fetcher->helper);
    }
    fetcher_freed_part(fetcher);
}
