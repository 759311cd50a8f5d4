#include "pool/durable.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/little.h"
#include "base/utf8.h"
#include "pool/run.h"
#include "pool/state.h"
#include "pool/state_file.h"
#include "pool/transfer.h"

/* Pieces that are on their way down at one time. */
enum { PIECES_DOWN = 4 };

struct transfer {
    bool is_restore;
    bool is_sent;  /* restoring: all of it is on its way */
    bool has_end;  /* the cell has said how it went */
    bool has_done; /* and it went well */
    struct state_file file;
    struct pool_save save;
    struct pool_restore restore;
    struct err err; /* the first error; code 0: none */
};

bool transfer_is_restore(const struct transfer *transfer)
{
    return transfer->is_restore;
}

enum transfer_end transfer_end(const struct transfer *transfer)
{
    return !transfer->has_end   ? TRANSFER_BROKEN
           : transfer->has_done ? TRANSFER_DONE
                                : TRANSFER_REFUSED;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* When there is no room for it, what still comes is dropped: the cell goes on being the session's.
 */
static const char *state_take(struct transfer *transfer, struct span piece)
{
    struct err err;
    if (transfer->is_restore) {
        return "a state when it was to take one";
    }
    if (transfer->err.code == ERR_NONE && state_file_put(&transfer->file, piece, &err) != 0) {
        transfer->err = err;
    }
    return NULL;
}

static const char *end_take(struct transfer *transfer, struct span payload)
{
    if (payload.len < sizeof(uint32_t)) {
        return "an end of a state that is none";
    }
    const uint32_t code = get_u32(payload.base);
    const struct span text = {payload.base + sizeof code, payload.len - sizeof code};
    if (code > ERR_GONE || !utf8_valid(text)) {
        return "an end of a state that is none";
    }
    if (code == ERR_NONE && transfer->is_restore && !transfer->is_sent) {
        return "the end of a state before it was there";
    }
    transfer->has_end = true;
    transfer->has_done = code == ERR_NONE;
    if (code != ERR_NONE && transfer->err.code == ERR_NONE) {
        err_set(&transfer->err, (enum err_code)code, "%.*s",
                (int)(text.len < ERR_TEXT_MAX ? text.len : ERR_TEXT_MAX), text.base);
    }
    return NULL;
}

const char *transfer_take(struct pool_run *run, const struct wire_frame *frame, bool *is_over)
{
    *is_over = frame->type == WIRE_STATE_END;
    return frame->type == WIRE_STATE       ? state_take(run->transfer, frame->payload)
           : frame->type == WIRE_STATE_END ? end_take(run->transfer, frame->payload)
                                           : "something that is no state";
}

/* 1, 0 at the end, -1 with transfer->err. */
static int piece_append(struct transfer *transfer, struct buf *out)
{
    cleanup_buf struct buf piece;
    buf_init(&piece, LIMIT_STATE_PIECE_BYTES);
    int more = state_file_next(&transfer->file, &piece, &transfer->err);
    if (more >= 0 && wire_append_frame(out, WIRE_STATE_PART, buf_span(&piece)) != 0) {
        more = err_set(&transfer->err, ERR_MEMORY, "no memory for a piece of a saved session");
    }
    return more;
}

int transfer_refill(struct pool_run *run)
{
    struct transfer *transfer = run->transfer;
    int more = transfer->is_restore && !transfer->is_sent && transfer->err.code == ERR_NONE;
    for (unsigned i = 0; i < PIECES_DOWN && more > 0; i++) {
        more = piece_append(transfer, &run->down);
        transfer->is_sent = more == 0;
    }
    if (more < 0) {
        buf_free(&run->down);
        return -1;
    }
    return 0;
}

/* ---- Runs without a program ------------------------------------------------------------------ */

static void tell(const struct transfer *transfer, const struct err *err)
{
    if (transfer->is_restore) {
        transfer->restore.done(transfer->restore.context, err);
    } else {
        transfer->save.done(transfer->save.context, transfer->file.bytes, err);
    }
}

/* Why, when neither the file nor the cell has said so. */
static void reason_find(struct err *err, const struct outcome *outcome)
{
    const struct span text = outcome->error_message;
    if (outcome->status == OUTCOME_REFUSED) {
        err_set(err, ERR_GONE, "%.*s", (int)text.len, text.base);
    } else if (outcome->status == OUTCOME_CANCELLED) {
        err_set(err, ERR_GONE, "the session was closed meanwhile");
    } else if ((outcome->limits & WIRE_LIMIT_TIME) != 0) {
        err_set(err, ERR_LIMIT, "it took more than %llu s", LIMIT_STATE_MS / 1000);
    } else {
        err_set(err, ERR_GONE, "the session's process has ended meanwhile");
    }
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct transfer *transfer = context;
    if (transfer->err.code == ERR_NONE && transfer->has_done && !transfer->is_restore) {
        struct err err;
        if (state_file_end(&transfer->file, &err) != 0) {
            transfer->err = err;
        }
    }
    if (transfer->err.code == ERR_NONE && !transfer->has_done) {
        reason_find(&transfer->err, outcome);
    }
    tell(transfer, transfer->err.code == ERR_NONE ? NULL : &transfer->err);
}

/* What the cell is told, as a frame. */
static int frame_make(struct buf *out, const struct pool_session *session,
                      const struct pool_restore *restore)
{
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_CONTROL_FRAME_BYTES_MAX);
    if (restore == NULL) {
        return wire_append_frame(out, WIRE_SAVE, buf_span(&record));
    }
    return wire_put_u64(&record, WIRE_REQUEST_WALL_MS, LIMIT_STATE_MS) != 0 ||
                   wire_put_u64(&record, WIRE_REQUEST_MEMORY_BYTES, session->config.memory_bytes) !=
                       0 ||
                   wire_put_u64(&record, WIRE_REQUEST_FILE_BYTES, restore->file_bytes) != 0 ||
                   wire_put_u64(&record, WIRE_REQUEST_FILE_COUNT, restore->file_count) != 0
               ? -1
               : wire_append_frame(out, WIRE_RESTORE, buf_span(&record));
}

/* Takes the transfer, also when it fails. */
static int begin(struct pool_session *session, struct transfer *transfer, struct err *err)
{
    const bool is_restore = transfer->is_restore;
    struct run_request request = {
        .session = session,
        .limits = run_limits_default(),
        .environment = is_restore ? transfer->restore.environment : NULL,
    };
    request.limits.wall_ms = LIMIT_STATE_MS;
    cleanup_buf struct buf frame;
    buf_init(&frame, LIMIT_CONTROL_FRAME_BYTES_MAX);
    const struct run_events events = {.context = transfer, .done = on_done};
    if (frame_make(&frame, session, is_restore ? &transfer->restore : NULL) != 0) {
        free(transfer);
        return err_set(err, ERR_MEMORY, "no memory");
    }
    return pool_run_transfer(session->pool, &request, &events, transfer, buf_span(&frame), err);
}

static struct transfer *transfer_new(struct err *err)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        err_set(err, ERR_MEMORY, "no memory");
    }
    return transfer;
}

int pool_session_save(struct pool_session *session, const struct pool_save *how, struct err *err)
{
    if (!session->has_state || session->cell == NULL) {
        return err_set(err, ERR_USAGE, "nothing has run in the session yet, so there is no state");
    }
    struct transfer *transfer = transfer_new(err);
    if (transfer == NULL) {
        return -1;
    }
    transfer->save = *how;
    const uint64_t bytes_max =
        how->bytes_max != 0 ? how->bytes_max : (uint64_t)LIMIT_STATE_FILE_BYTES_MAX;
    if (state_file_begin(&transfer->file, how->fd, bytes_max, how->about, err) != 0) {
        free(transfer);
        return -1;
    }
    return begin(session, transfer, err);
}

int pool_session_restore(struct pool_session *session, const struct pool_restore *how,
                         struct buf *about, struct err *err)
{
    cleanup_buf struct buf ignored;
    buf_init(&ignored, LIMIT_STATE_ABOUT_BYTES_MAX + 1);
    if (session->has_state || session->cell != NULL || session->run_count > 0) {
        return err_set(err, ERR_USAGE, "the session has a state already");
    }
    struct transfer *transfer = transfer_new(err);
    if (transfer == NULL) {
        return -1;
    }
    transfer->is_restore = true;
    transfer->restore = *how;
    if (state_file_open(&transfer->file, how->fd, about != NULL ? about : &ignored, err) != 0) {
        free(transfer);
        return -1;
    }
    return begin(session, transfer, err);
}

int pool_state_about(int fd, struct buf *about, struct err *err)
{
    struct state_file file;
    if (state_file_open(&file, fd, about, err) != 0) {
        return -1;
    }
    return lseek(fd, 0, SEEK_SET) == 0 ? 0 : err_system(err, "reading the saved session");
}
