/* One child of a zygote: its socket, its deadline, and the run that it was given. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "pool/made.h"
#include "pool/run.h"
#include "pool/state.h"
#include "pool/transfer.h"

/* A result may be larger than its value by its error texts. */
#define RESULT_EXTRA_BYTES (LIMIT_RESULT_FRAME_BYTES_MAX - LIMIT_RESULT_BYTES_MAX)

static void on_socket(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* ---- Life ------------------------------------------------------------------------------------ */

static void on_handle_closed(uv_handle_t *handle)
{
    struct cell *cell = handle->data;
    if (--cell->handles > 0) {
        return;
    }
    assert(cell->is_gone && cell->run == NULL);
    struct pool *pool = cell->pool;
    TAILQ_REMOVE(&pool->cells, cell, link);
    buf_free(&cell->in);
    free(cell);
    pool_part_freed(pool);
}

/* Closes our ends. The cell reads the end of its socket, unless it is beyond reading. */
static void abandon(struct cell *cell)
{
    if (cell->fd >= 0) {
        uv_close((uv_handle_t *)&cell->poll, on_handle_closed);
        fd_close(&cell->fd);
    }
    fd_close(&cell->child_fd);
    buf_free(&cell->in);
}

static void spares_change(struct cell *cell, int by)
{
    cell->environment->spare_count += (unsigned)by;
    cell->pool->spare_count += (unsigned)by;
}

static struct cell *make(struct pool *pool, struct zygote *zygote, bool stays)
{
    struct cell *cell = calloc(1, sizeof *cell);
    int ends[2];
    if (cell == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(cell);
        return NULL;
    }
    if (uv_poll_init(pool->loop, &cell->poll, ends[0]) != 0) {
        fd_close(&ends[0]);
        fd_close(&ends[1]);
        free(cell);
        return NULL;
    }
    cell->pool = pool;
    cell->zygote = zygote;
    cell->environment = zygote->environment;
    cell->stays = stays;
    cell->number = ++pool->cell_number;
    cell->fd = ends[0];
    cell->child_fd = ends[1];
    buf_init(&cell->in, POOL_CHUNK_BYTES);
    (void)uv_timer_init(pool->loop, &cell->timer);
    cell->poll.data = cell->timer.data = cell;
    cell->handles = 2;
    TAILQ_INSERT_TAIL(&pool->cells, cell, link);
    spares_change(cell, +1);
    if (++zygote->fork_count == pool->zygote_forks_max) {
        pool_settle_soon(pool);
    }
    (void)uv_poll_start(&cell->poll, UV_READABLE, on_socket);
    return cell;
}

static struct cell *make_now(struct pool *pool, struct zygote *zygote, bool stays)
{
    struct cell *cell = make(pool, zygote, stays);
    if (cell != NULL) {
        (void)cell_flush_commands(cell);
    }
    return cell;
}

struct cell *cell_new(struct pool *pool, struct zygote *zygote)
{
    return make_now(pool, zygote, false);
}

struct cell *cell_new_session(struct pool *pool, struct zygote *zygote)
{
    return make_now(pool, zygote, true);
}

struct cell *cell_new_copy(struct cell *original)
{
    assert(original->state == CELL_RESTING);
    struct cell *cell = make(original->pool, original->zygote, true);
    if (cell != NULL) {
        spares_change(cell, -1);
        cell->state = CELL_UNBORN;
        cell->copy_of = original->number;
        original->is_splitting = true;
    }
    return cell;
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* The loop's clock has whole milliseconds; one more, so that no deadline comes early. */
static void timer_set(struct cell *cell, uint64_t ms)
{
    if (!cell->is_gone) {
        uv_update_time(cell->pool->loop);
        (void)uv_timer_start(&cell->timer, on_timer, ms + 1, 0);
    }
}

/* To the one that is to be copied, when the zygote has been told. A cell that rests has room in its
 * socket; one that is gone is found by reading. */
static void split_send(struct cell *copy)
{
    static const char frame[WIRE_HEADER_BYTES] = {[4] = WIRE_SPLIT};
    struct cell *original;
    TAILQ_FOREACH(original, &copy->pool->cells, link)
    {
        if (original->number == copy->copy_of && original->state == CELL_RESTING) {
            (void)send(original->fd, frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL);
            timer_set(original, 2 * LIMIT_BIRTH_MS);
        }
    }
}

int cell_flush_commands(struct cell *cell)
{
    struct zygote *zygote = cell->zygote;
    if (cell->child_fd >= 0) {
        enum wire_type type = cell->copy_of != 0 ? WIRE_SPLIT_CELL
                              : cell->stays      ? WIRE_FORK_SESSION
                                                 : WIRE_FORK;
        int sent = zygote_command_pair(zygote, type, cell->number, cell->copy_of, cell->child_fd);
        if (sent <= 0) {
            return sent;
        }
        fd_close(&cell->child_fd);
        if (cell->copy_of != 0) {
            split_send(cell);
        }
    }
    if (cell->wants_interrupt) {
        int sent = zygote_command(zygote, WIRE_INTERRUPT, cell->number, -1);
        if (sent <= 0) {
            return sent;
        }
        cell->wants_interrupt = false;
        cell->interrupts_under_way += cell->stays ? 1 : 0;
    }
    if (cell->wants_kill) {
        int sent = zygote_command(zygote, WIRE_KILL, cell->number, -1);
        if (sent <= 0) {
            return sent;
        }
        cell->wants_kill = false;
    }
    return 1;
}

static void interrupt(struct cell *cell)
{
    cell->is_interrupted = true;
    cell->wants_interrupt = true;
    (void)cell_flush_commands(cell);
}

/* After this only the zygote's word that the process is reaped is expected. */
static void kill_now(struct cell *cell)
{
    if (!cell->is_killed && !cell->is_gone) {
        cell->is_killed = true;
        cell->wants_kill = true;
        (void)cell_flush_commands(cell);
    }
    timer_set(cell, LIMIT_CELL_END_MS);
}

/* It is of no use to anybody. Its run ends when it is gone. */
static void give_up(struct cell *cell)
{
    cell->is_interrupted = true;
    kill_now(cell);
}

/* ---- The end of a run ------------------------------------------------------------------------ */

/* The process has LIMIT_CELL_END_MS to be over too. */
static void conclude_cell(struct cell *cell, struct pool_run *run, const struct run_end *how)
{
    cell->state = CELL_ENDING;
    if (!cell->is_gone) {
        cell->lingers = true;
        cell->pool->lingering_count++;
    }
    run_finish(run, how);
    abandon(cell);
    timer_set(cell, LIMIT_CELL_END_MS);
    zygote_let_go(cell->zygote);
}

/* The same of a session's, which may go on. */
static void conclude_session(struct cell *cell, struct pool_run *run, const struct run_end *how)
{
    struct pool_session *session = cell->session;
    struct run_end known = *how;
    pool_session_ref(session); /* whoever is told may close it */
    if (session_keeps_cell(session, run, how, &known.ends_session)) {
        cell->state = CELL_RESTING;
        (void)uv_timer_stop(&cell->timer);
        run_finish(run, &known);
        buf_free(&cell->in); /* the end, which was the last */
    } else {
        conclude_cell(cell, run, &known);
    }
    if (known.ends_session) {
        session_lost(session, NULL);
    } else {
        session_look(session);
    }
    pool_session_unref(session);
}

static void conclude(struct cell *cell, const struct run_end *how)
{
    assert(cell->state == CELL_RUNNING);
    struct pool *pool = cell->pool;
    struct pool_run *run = cell->run;
    cell->run = NULL;
    pool->running_count--;
    run->client->running_count--;
    cell->zygote->running_count--;
    if (how->end != NULL) {
        cell->environment->spare_deaths = 0;
    }
    if (cell->session != NULL) {
        conclude_session(cell, run, how);
    } else {
        conclude_cell(cell, run, how);
    }
    pool_run_ended(pool);
}

static void violation(struct cell *cell, const char *what)
{
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "the sandbox process broke the protocol: it sent %.256s", what);
    renewal_suspect(cell->zygote, text);
    kill_now(cell);
    conclude(cell, &(struct run_end){.breakage = text});
}

void cell_retire(struct cell *cell)
{
    assert(cell->state == CELL_SPARE || cell->state == CELL_RESTING || cell->state == CELL_UNBORN);
    if (cell->state == CELL_SPARE) {
        spares_change(cell, -1);
    }
    cell->state = CELL_ENDING;
    abandon(cell);
    timer_set(cell, LIMIT_CELL_END_MS);
}

/* Signals that no program should be able to bring upon its process. SIGKILL is ours, or comes from
 * a system that is out of memory; a limit has SIGXCPU. */
static void signal_look(struct cell *cell, int wait_status)
{
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGKILL &&
        WTERMSIG(wait_status) != SIGXCPU) {
        char text[ERR_TEXT_MAX];
        snprintf(text, sizeof text, "a sandbox process was killed by signal %d",
                 WTERMSIG(wait_status));
        renewal_suspect(cell->zygote, text);
    }
}

void cell_begin_copy(struct cell *copy)
{
    timer_set(copy, 2 * LIMIT_BIRTH_MS);
    (void)cell_flush_commands(copy);
}

void cell_born(struct cell *cell)
{
    if (cell->state == CELL_UNBORN) { /* else nobody wants it any more */
        cell->state = CELL_RESTING;
        (void)uv_timer_stop(&cell->timer);
        session_born(cell->session);
    }
}

/* A spare cell that ended, or spoke, before it was asked. */
static void spare_died(struct cell *cell)
{
    cell_retire(cell);
    kill_now(cell);
    spares_died(cell->environment);
}

/* A session's cell that ended, or spoke, between two runs. */
static void resting_died(struct cell *cell, const char *why)
{
    struct pool_session *session = cell->session;
    cell_retire(cell);
    kill_now(cell);
    session_lost(session, why);
}

void cell_gone(struct cell *cell, const int *wait_status, const char *breakage)
{
    static const char not_forked[] =
        "the system refuses to start another process: it may have too many, or too little memory";
    if (cell->is_gone) {
        return;
    }
    cell->is_gone = true;
    if (cell->lingers) {
        cell->pool->lingering_count--;
        pool_settle_soon(cell->pool); /* a run may have waited for this */
    }
    if (wait_status != NULL) {
        signal_look(cell, *wait_status);
    }
    while (cell->state == CELL_RUNNING && cell->fd >= 0 && cell_read(cell)) {
    }
    if (cell->state == CELL_RUNNING) {
        if (wait_status == NULL && breakage == NULL) {
            cell->run->refusal = not_forked;
        }
        conclude(cell, &(struct run_end){.wait_status = wait_status, .breakage = breakage});
    } else if (cell->state == CELL_RESTING) {
        resting_died(cell, "the session has ended: its process died between two programs");
    } else if (cell->state == CELL_UNBORN) {
        resting_died(cell, "the session could not be copied: the system refuses another process, "
                           "or cannot say whose a process is");
    } else if (cell->state == CELL_SPARE && breakage == NULL) {
        spare_died(cell);
    } else if (cell->state == CELL_SPARE) {
        cell_retire(cell);
    }
    abandon(cell);
    uv_close((uv_handle_t *)&cell->timer, on_handle_closed);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static void output_take(struct cell *cell, enum run_stream stream, struct span bytes)
{
    struct pool_run *run = cell->run;
    run->output_bytes += bytes.len;
    if (run->output_bytes > run->limits.output_bytes) {
        violation(cell, "more output than its limit allows");
    } else if (run->events.output != NULL && bytes.len > 0) {
        run->events.output(run->events.context, stream, bytes);
    }
}

static void display_take(struct cell *cell, struct span bundle)
{
    struct pool_run *run = cell->run;
    run->display_count++;
    run->display_bytes += bundle.len;
    if (run->display_count > run->limits.display_count ||
        run->display_bytes > LIMIT_DISPLAY_BYTES_MAX) {
        violation(cell, "more to display than its limit allows");
    } else if (run->events.output != NULL) {
        run->events.output(run->events.context, RUN_DISPLAY, bundle);
    }
}

static void result_take(struct cell *cell, struct span record)
{
    struct pool_run *run = cell->run;
    if (run->has_result) {
        violation(cell, "a second result");
    } else if (buf_append(&run->result, record.base, record.len) != 0) {
        violation(cell, "a result too large to keep");
    } else {
        run->has_result = true;
    }
}

static void fetch_take(struct cell *cell, struct span question, size_t bytes_after)
{
    struct pool_run *run = cell->run;
    if (!run->may_fetch) {
        violation(cell, "a question that it may not ask");
    } else if (bytes_after > 0) {
        violation(cell, "more before its question was answered");
    } else if (run->fetch_count == LIMIT_RESOLVE_FETCHES_MAX) {
        violation(cell, "more questions than there may be");
    } else {
        run->fetch_count++;
        run->is_fetching = true;
        run->events.fetch(run->events.context, run, question);
    }
}

static void file_take(struct cell *cell, const struct wire_frame *frame)
{
    const bool is_data = frame->type == WIRE_FILE_DATA;
    const char *mistake = is_data ? made_take_data(cell->run, frame->payload)
                                  : made_take_file(cell->run, frame->payload);
    if (mistake != NULL) {
        violation(cell, mistake);
    }
}

static void state_take(struct cell *cell, const struct wire_frame *frame, size_t bytes_after)
{
    bool is_over;
    const char *mistake = transfer_take(cell->run, frame, &is_over);
    if (mistake == NULL && is_over && bytes_after > 0) {
        mistake = "more after its end";
    }
    if (mistake != NULL) {
        violation(cell, mistake);
    } else if (is_over) {
        conclude(cell, &(struct run_end){0});
    }
}

/* `bytes_after` have arrived behind this frame. */
static void frame_take(struct cell *cell, const struct wire_frame *frame, size_t bytes_after)
{
    if (cell->run->transfer != NULL) {
        state_take(cell, frame, bytes_after);
    } else if (cell->run->is_fetching || cell->run->down.len > 0) {
        violation(cell, "something when it was to listen");
    } else if (made_is_open(cell->run) != (frame->type == WIRE_FILE_DATA)) {
        violation(cell, "bytes of a file where there is none, or something else in one");
    } else if (frame->type == WIRE_FILE || frame->type == WIRE_FILE_DATA) {
        file_take(cell, frame);
    } else if (frame->type == WIRE_FETCH) {
        fetch_take(cell, frame->payload, bytes_after);
    } else if (frame->type == WIRE_STDOUT) {
        output_take(cell, RUN_STDOUT, frame->payload);
    } else if (frame->type == WIRE_STDERR) {
        output_take(cell, RUN_STDERR, frame->payload);
    } else if (frame->type == WIRE_DISPLAY) {
        display_take(cell, frame->payload);
    } else if (frame->type == WIRE_RESULT) {
        result_take(cell, frame->payload);
    } else if (frame->type != WIRE_END) {
        violation(cell, "what nobody has asked it for");
    } else if (bytes_after > 0) {
        violation(cell, "more after its end");
    } else {
        conclude(cell, &(struct run_end){.end = &frame->payload});
    }
}

/* Takes whole frames in place; only a frame that is cut is kept for later. */
static void bytes_take(struct cell *cell, struct span bytes)
{
    bool is_kept = cell->in.len > 0;
    if (is_kept && buf_append(&cell->in, bytes.base, bytes.len) != 0) {
        violation(cell, "a frame larger than its limit allows");
        return;
    }
    struct span rest = is_kept ? buf_span(&cell->in) : bytes;
    struct wire_frame frame;
    struct err err;
    size_t frame_bytes;
    int taken = 0;
    while (cell->state == CELL_RUNNING &&
           (taken = wire_take(rest, WIRE_FROM_CELL, &frame, &frame_bytes, &err)) > 0) {
        rest.base += frame_bytes;
        rest.len -= frame_bytes;
        frame_take(cell, &frame, rest.len);
    }
    if (cell->state != CELL_RUNNING) {
        return; /* concluded; `in` is freed */
    }
    if (taken < 0) {
        violation(cell, err.text);
    } else if (is_kept) {
        buf_consume(&cell->in, cell->in.len - rest.len);
    } else if (buf_append(&cell->in, rest.base, rest.len) != 0) {
        violation(cell, "a frame larger than its limit allows");
    }
}

/* The other end is closed. What became of the process is the zygote's to say; it has no longer
 * any reason to live. */
static void silence_take(struct cell *cell)
{
    if (cell->state == CELL_SPARE) {
        spare_died(cell);
        return;
    }
    if (cell->state == CELL_RESTING) {
        resting_died(cell, "the session has ended: its process died between two programs");
        return;
    }
    abandon(cell);
    if (cell->state == CELL_UNBORN) {
        return; /* the zygote is about to say why */
    }
    cell->is_interrupted = true;
    kill_now(cell);
}

/* It has made its copy, or could not: the zygote, which waits for one, is told. False when it says
 * anything else. */
static bool split_done(struct cell *cell, struct span bytes)
{
    struct wire_frame frame;
    struct err err;
    size_t frame_bytes;
    uint32_t error;
    if (wire_take(bytes, WIRE_FROM_CELL, &frame, &frame_bytes, &err) != 1 ||
        frame_bytes != bytes.len || frame.type != WIRE_SPLIT_DONE ||
        wire_get_u32(frame.payload, &error) != 0) {
        return false;
    }
    cell->is_splitting = false;
    (void)uv_timer_stop(&cell->timer);
    pool_settle_soon(cell->pool);
    struct cell *copy;
    TAILQ_FOREACH(copy, &cell->pool->cells, link)
    {
        if (error != 0 && copy->copy_of == cell->number && copy->state == CELL_UNBORN) {
            log_warning("a session cannot be copied: %s", strerror((int)error));
            copy->wants_kill = true;
            (void)cell_flush_commands(copy);
        }
    }
    return true;
}

bool cell_read(struct cell *cell)
{
    struct pool *pool = cell->pool;
    ssize_t n = recv(cell->fd, pool->chunk, sizeof pool->chunk, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        silence_take(cell);
        return false;
    }
    if (cell->state == CELL_SPARE) {
        renewal_suspect(cell->zygote, "a sandbox process spoke before it was asked");
        spare_died(cell);
        return false;
    }
    if (cell->state == CELL_RESTING && cell->is_splitting &&
        split_done(cell, (struct span){pool->chunk, (size_t)n})) {
        return false;
    }
    if (cell->state == CELL_RESTING || cell->state == CELL_UNBORN) {
        renewal_suspect(cell->zygote, "a sandbox process spoke when it was to listen");
        resting_died(cell, "the session has ended: its process broke the protocol");
        return false;
    }
    bytes_take(cell, (struct span){pool->chunk, (size_t)n});
    return cell->state == CELL_RUNNING && (size_t)n == sizeof pool->chunk;
}

/* ---- The way down ---------------------------------------------------------------------------- */

/* Sends what the socket takes. -1 when the other end is closed. */
static int down_send(struct cell *cell)
{
    struct pool_run *run = cell->run;
    struct span rest = buf_span(&run->down);
    rest.base += run->down_sent_bytes;
    rest.len -= run->down_sent_bytes;
    ssize_t n = send(cell->fd, rest.base, rest.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return -1;
    }
    run->down_sent_bytes += n > 0 ? (size_t)n : 0;
    if (run->down_sent_bytes == run->down.len) {
        buf_free(&run->down);
        run->down_sent_bytes = 0;
        if (run->transfer != NULL && transfer_refill(run) != 0) {
            give_up(cell);
        }
    }
    return run->down.len == 0 ? 0
                              : uv_poll_start(&cell->poll, UV_READABLE | UV_WRITABLE, on_socket);
}

/* A cell that is gone is found by reading, which also finds what it said before. */
void cell_send_down(struct cell *cell)
{
    if (cell->state == CELL_RUNNING && cell->fd >= 0) {
        (void)down_send(cell);
    }
}

bool cell_give(struct cell *cell, struct pool_run *run)
{
    assert(cell->state == CELL_SPARE || cell->state == CELL_RESTING);
    struct pool *pool = cell->pool;
    cell->run = run;
    run->sent_us = clock_monotonic_us();
    /* Whether one that rested is gone is found by reading. */
    if (down_send(cell) != 0 && cell->state == CELL_SPARE) {
        cell->run = NULL;
        run->sent_us = 0;
        run->down_sent_bytes = 0;
        spare_died(cell);
        return false;
    }
    run->cell = cell;
    if (cell->state == CELL_SPARE) {
        spares_change(cell, -1);
    }
    cell->state = CELL_RUNNING;
    cell->turn++;
    cell->is_interrupted = cell->is_reminded = cell->is_cancelled = false;
    if (run->session != NULL) {
        if (run->session->cell == NULL) {
            session_attach(run->session, cell);
        }
        run->session->run = run;
    }
    cell->in.bytes_max =
        (size_t)run->limits.result_bytes + RESULT_EXTRA_BYTES + 2 * POOL_CHUNK_BYTES;
    pool->running_count++;
    run->client->running_count++;
    cell->zygote->running_count++;
    timer_set(cell, run->limits.wall_ms);
    return true;
}

/* The grace of a session's is in two halves, and at the end of the first it is interrupted again:
 * it has more to lose. */
static uint64_t first_grace_ms(const struct cell *cell, uint64_t ms)
{
    return cell->session != NULL ? ms / 2 : ms;
}

/* Also one whose time is over already, and that has its grace: this one is shorter. */
void cell_cancel(struct cell *cell)
{
    if (!cell->is_cancelled && !cell->is_killed) {
        cell->is_cancelled = true;
        interrupt(cell);
        timer_set(cell, first_grace_ms(cell, cell->run->limits.cancel_grace_ms));
    }
}

/* ---- The loop's side ------------------------------------------------------------------------- */

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct cell *cell = poll->data;
    if (status == 0 && (events & UV_WRITABLE) != 0 && cell->state == CELL_RUNNING) {
        if (down_send(cell) != 0) {
            events |= UV_READABLE; /* what it may have said before it went */
        } else if (cell->run->down.len == 0) {
            (void)uv_poll_start(&cell->poll, UV_READABLE, on_socket);
        }
    }
    if (status != 0 || (events & UV_READABLE) != 0) {
        (void)cell_read(cell);
    }
}

/* An end that is already in the socket counts: it was there in time. */
static bool is_over(struct cell *cell)
{
    const uint32_t turn = cell->turn;
    while (cell->state == CELL_RUNNING && cell->turn == turn && cell->fd >= 0 && cell_read(cell)) {
    }
    return cell->state != CELL_RUNNING || cell->turn != turn;
}

static void on_timer(uv_timer_t *timer)
{
    struct cell *cell = timer->data;
    if (cell->state == CELL_RUNNING && is_over(cell)) {
        return;
    }
    if (cell->state == CELL_RESTING) { /* it did not make its copy */
        resting_died(cell, "the session has ended: its process did not answer");
        return;
    }
    if (cell->is_killed) {
        zygote_kill(cell->zygote); /* it does not obey */
    } else if (cell->state == CELL_RUNNING && cell->is_interrupted && cell->session != NULL &&
               !cell->is_reminded && cell->fd >= 0) {
        cell->is_reminded = true;
        interrupt(cell);
        timer_set(cell, (cell->is_cancelled ? cell->run->limits.cancel_grace_ms
                                            : cell->run->limits.grace_ms) /
                            2);
    } else if (cell->state != CELL_RUNNING || cell->is_interrupted) {
        kill_now(cell);
    } else if (cell->run->transfer != NULL) {
        cell->run->is_out_of_time = true;
        give_up(cell);
    } else {
        cell->run->is_out_of_time = true;
        interrupt(cell);
        timer_set(cell, first_grace_ms(cell, cell->run->limits.grace_ms));
    }
}
