#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "fetch/job.h"
#include "jail/fetch.h"

enum { FETCH_SOCKET = 3, EXIT_BAD_CONFIG = 2, READ_BYTES = 64 * 1024 };

/* Answers and lines that the peer has not read yet. */
#define OUT_BYTES_MAX (4 * LIMIT_FETCH_ANSWER_BYTES_MAX)
#define IN_BYTES_MAX  (2 * (LIMIT_FETCH_ASK_BYTES_MAX + WIRE_HEADER_BYTES))

/* What this program gives up before it reads anything. */
static int limit_itself(struct err *err)
{
    struct rlimit no_core = {0, 0};
    struct rlimit file = {LIMIT_FETCH_WHEEL_BYTES_MAX, LIMIT_FETCH_WHEEL_BYTES_MAX};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0 ||
        setrlimit(RLIMIT_FSIZE, &file) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0 ||
        sigaction(SIGXFSZ, &ignore, NULL) != 0) {
        return err_system(err, "give up privileges");
    }
    return 0;
}

/* --- questions --- */

struct ask {
    uint32_t id;
    uint32_t what;
    struct span names[LIMIT_FETCH_ASKS_MAX];
    size_t name_count;
};

static int ask_read(struct span record, struct ask *out, struct err *err)
{
    struct wire_field field;
    int more;
    *out = (struct ask){0};
    while ((more = wire_next(&record, &field)) > 0) {
        int status = -1;
        if (field.number == WIRE_FETCH_ID) {
            status = wire_get_u32(field.value, &out->id);
        } else if (field.number == WIRE_FETCH_WHAT) {
            status = wire_get_u32(field.value, &out->what);
        } else if (field.number == WIRE_FETCH_NAME) {
            status = 0;
            /* Names past the cap are wanted next, no more than that. */
            if (out->name_count < LIMIT_FETCH_ASKS_MAX) {
                out->names[out->name_count++] = field.value;
            }
        }
        if (status != 0) {
            return err_set(err, ERR_PROTOCOL, "a question has a bad field %u", field.number);
        }
    }
    if (more < 0 || out->id == 0 || out->name_count == 0) {
        return err_set(err, ERR_PROTOCOL, "a question is no record, or lacks its id or name");
    }
    return 0;
}

/* The job's kind and key for one name. False: the name is none. */
static bool ask_key(uint32_t what, struct span name, enum job_kind *kind, char *key,
                    size_t key_bytes)
{
    struct name_sum sum;
    if (what == WIRE_FETCH_PAGE) {
        *kind = JOB_PAGE;
        key_bytes = key_bytes < LIMIT_FETCH_NAME_BYTES_MAX ? key_bytes : LIMIT_FETCH_NAME_BYTES_MAX;
        return name_read_project(name, key, key_bytes);
    }
    *kind = what == WIRE_FETCH_METADATA ? JOB_METADATA : JOB_WHEEL;
    if (!name_read_sum(name, &sum)) {
        return false;
    }
    memcpy(key, sum.hex, sizeof sum.hex);
    return true;
}

static void answer_now(struct fetch *fetch, uint32_t id, enum wire_fetch_status status,
                       const char *text)
{
    if (wire_append_header(&fetch->out, WIRE_FETCH_ANSWER, (uint32_t)(8 + strlen(text))) != 0 ||
        buf_append_u32(&fetch->out, id) != 0 ||
        buf_append_u32(&fetch->out, (uint32_t)status) != 0 ||
        buf_append_text(&fetch->out, text) != 0) {
        fetch->is_out_full = true;
    }
}

static int take_ask(struct fetch *fetch, struct span record, struct err *err)
{
    struct ask ask;
    char key[NAME_SUM_CHARS * 2];
    enum job_kind kind;
    if (ask_read(record, &ask, err) != 0) {
        return -1;
    }
    if (ask.what < WIRE_FETCH_PAGE || ask.what > WIRE_FETCH_WHEEL) {
        return err_set(err, ERR_PROTOCOL, "a question is about nothing we know");
    }
    if (!ask_key(ask.what, ask.names[0], &kind, key, sizeof key)) {
        answer_now(fetch, ask.id, WIRE_FETCH_REFUSED,
                   ask.what == WIRE_FETCH_PAGE ? "this is not a name that a project can have"
                                               : "this is not a SHA-256 sum");
        return 0;
    }
    if (fetch->ask_count >= LIMIT_FETCH_ASKS_MAX) {
        answer_now(fetch, ask.id, WIRE_FETCH_FAILED, "too many questions at once");
        return 0;
    }
    if (job_ask(fetch, kind, key, true, ask.id, err) != 0) {
        return -1;
    }
    /* Begun only while there is room: nobody waits for these. */
    for (size_t i = 1; i < ask.name_count && fetch->job_count < LIMIT_FETCH_ASKS_MAX; i++) {
        if (ask_key(ask.what, ask.names[i], &kind, key, sizeof key) &&
            job_ask(fetch, kind, key, false, 0, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int take_frame(struct fetch *fetch, const struct wire_frame *frame, struct err *err)
{
    if (frame->type == WIRE_FETCH_ASK) {
        return take_ask(fetch, frame->payload, err);
    }
    uint32_t id;
    if (frame->type != WIRE_FETCH_CANCEL || wire_get_u32(frame->payload, &id) != 0) {
        return err_set(err, ERR_PROTOCOL, "a frame that has no place here");
    }
    job_cancel(fetch, id);
    return 0;
}

/* --- the socket --- */

/* Reads what is there. 1, 0 at the end, or -1. */
static int socket_read(struct buf *in, struct err *err)
{
    if (buf_reserve(in, READ_BYTES) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for questions");
    }
    ssize_t n = recv(FETCH_SOCKET, in->base + in->len, READ_BYTES, MSG_DONTWAIT);
    if (n < 0) {
        bool is_gone = errno == ECONNRESET;
        return errno == EAGAIN || errno == EINTR ? 1
               : is_gone                         ? 0
                                                 : err_system(err, "read from descriptor 3");
    }
    in->len += (size_t)n;
    return n > 0;
}

static int take_frames(struct fetch *fetch, struct buf *in, struct err *err)
{
    struct wire_frame frame;
    size_t bytes;
    int taken;
    while ((taken = wire_take(buf_span(in), WIRE_TO_FETCH, &frame, &bytes, err)) > 0) {
        if (take_frame(fetch, &frame, err) != 0) {
            return -1;
        }
        buf_consume(in, bytes);
    }
    return taken;
}

/* Writes what the socket takes. 0, or -1 when the peer is gone. */
static int socket_write(struct fetch *fetch)
{
    while (fetch->out_at < fetch->out.len) {
        ssize_t n = send(FETCH_SOCKET, fetch->out.base + fetch->out_at,
                         fetch->out.len - fetch->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        fetch->out_at += (size_t)n;
    }
    buf_free(&fetch->out); /* a large answer's memory is not kept */
    fetch->out_at = 0;
    return 0;
}

static int serve(struct fetch *fetch, struct buf *in, struct err *err)
{
    for (;;) {
        short events;
        short ready;
        if (take_frames(fetch, in, err) != 0) {
            return -1;
        }
        jobs_step(fetch);
        if (fetch->is_out_full) {
            return err_set(err, ERR_LIMIT, "vitrine does not read its answers");
        }
        if (socket_write(fetch) != 0) {
            return 0;
        }
        events = (short)(POLLIN | (fetch->out.len > 0 ? POLLOUT : 0));
        if (transfers_wait(fetch->transfers, FETCH_SOCKET, events, &ready, err) != 0) {
            return -1;
        }
        if ((ready & POLLIN) != 0) {
            int more = socket_read(in, err);
            if (more <= 0) {
                return more;
            }
        }
    }
}

/* --- start and end --- */

/* Waits for the first frame. 1, 0 when the peer has gone, or -1. */
static int read_config(struct fetch *fetch, struct buf *in, struct err *err)
{
    struct wire_frame frame;
    size_t bytes;
    int taken;
    while ((taken = wire_take(buf_span(in), WIRE_TO_FETCH, &frame, &bytes, err)) == 0) {
        struct pollfd wait = {.fd = FETCH_SOCKET, .events = POLLIN};
        (void)poll(&wait, 1, -1);
        int more = socket_read(in, err);
        if (more <= 0) {
            return more;
        }
    }
    if (taken < 0) {
        return -1;
    }
    if (frame.type != WIRE_FETCH_CONFIG) {
        return err_set(err, ERR_PROTOCOL, "the first frame is not the configuration");
    }
    if (config_read(frame.payload, &fetch->config, err) != 0) {
        return -1;
    }
    buf_consume(in, bytes);
    return 1;
}

static int read_lock(struct fetch *fetch, struct err *err)
{
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_FETCH_LOCK_BYTES_MAX);
    if (fetch->config.lock == NULL) {
        return 0;
    }
    if (fd_read_file(fetch->config.lock, &text, err) != 0) {
        return -1;
    }
    return lock_read(buf_span(&text), &fetch->lock, err);
}

static int start_downloads(struct fetch *fetch, struct err *err)
{
    const char *named[2 * LIMIT_FETCH_SOURCES_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < fetch->config.index_count; i++) {
        named[count++] = fetch->config.indexes[i];
    }
    for (size_t i = 0; i < fetch->config.mirror_count; i++) {
        if (fetch->config.mirrors[i].kind == MIRROR_HTTPS) {
            named[count++] = fetch->config.mirrors[i].address;
        }
    }
    named[count] = NULL;
    struct transfer_config config = {
        .certificates = fetch->config.certificates,
        .proxy = fetch->config.proxy,
        .named = named,
    };
    return transfers_new(&config, &fetch->transfers, err);
}

/* From here on there is the network, the cache, and what has to be read. */
static int restrict_itself(const struct fetch *fetch, struct err *err)
{
    const struct config *config = &fetch->config;
    const char *readable[JAIL_FETCH_READABLE_MAX];
    const char *certificates[] = {config->certificates, getenv("SSL_CERT_FILE"),
                                  getenv("SSL_CERT_DIR")};
    size_t count = 0;
    for (size_t i = 0; i < sizeof certificates / sizeof *certificates; i++) {
        if (certificates[i] != NULL) {
            readable[count++] = certificates[i];
        }
    }
    for (size_t i = 0; i < config->mirror_count && count < JAIL_FETCH_READABLE_MAX; i++) {
        if (config->mirrors[i].kind == MIRROR_FOLDER) {
            readable[count++] = config->mirrors[i].address;
        }
    }
    return jail_fetch_enter(config->cache, readable, count, err);
}

static int start(struct fetch *fetch, struct err *err)
{
    if (cache_open(&fetch->cache, fetch->config.cache, err) != 0 || read_lock(fetch, err) != 0 ||
        known_new(&fetch->known, err) != 0) {
        return -1;
    }
    return start_downloads(fetch, err) != 0 ? -1 : restrict_itself(fetch, err);
}

static void stop(struct fetch *fetch)
{
    jobs_free(fetch);
    for (size_t i = 0; i < LIMIT_FETCH_SOURCES_MAX; i++) {
        carrier_free(&fetch->carriers[i]);
    }
    transfers_free(fetch->transfers);
    known_free(fetch->known);
    lock_free(&fetch->lock);
    config_free(&fetch->config);
    buf_free(&fetch->out);
}

int fetch_main(int argc, char **argv)
{
    (void)argv;
    int type = 0;
    socklen_t type_len = sizeof type;
    struct err err;
    log_set_program("vitrine-fetch");
    if (argc != 1 || fcntl(FETCH_SOCKET, F_SETFD, FD_CLOEXEC) != 0 ||
        getsockopt(FETCH_SOCKET, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 ||
        type != SOCK_STREAM) {
        log_error("vitrine starts this program, with a socket as descriptor 3");
        return EXIT_BAD_CONFIG;
    }
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL || limit_itself(&err) != 0) {
        log_error("%s", fetch == NULL ? "no memory" : err.text);
        free(fetch);
        return EXIT_FAILURE;
    }
    cleanup_buf struct buf in;
    buf_init(&in, IN_BYTES_MAX + READ_BYTES);
    buf_init(&fetch->out, OUT_BYTES_MAX);
    int status = EXIT_SUCCESS;
    int has_config = read_config(fetch, &in, &err);
    if (has_config < 0 || (has_config > 0 && start(fetch, &err) != 0)) {
        log_error("%s", err.text);
        status = EXIT_BAD_CONFIG;
    } else if (has_config > 0 && serve(fetch, &in, &err) != 0) {
        log_error("%s", err.text);
        status = EXIT_FAILURE;
    }
    stop(fetch);
    free(fetch);
    return status;
}
