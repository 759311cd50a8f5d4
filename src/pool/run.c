#include "pool/run.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pool/report.h"
#include "pool/request.h"

static struct pool_run *make(struct pool *pool, const struct run_request *request,
                             const struct run_events *events, struct err *err)
{
    struct pool_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        err_set(err, ERR_MEMORY, "no memory for a run");
        return NULL;
    }
    run->pool = pool;
    run->events = *events;
    run->session = request->session;
    run->limits = request->limits;
    run->finds_needs = request->finds_needs;
    run->may_fetch = request->may_fetch;
    run->wants_files = request->wants_files;
    run->made.bytes_left = request_made_bytes(request);
    run->queued_us = clock_monotonic_us();
    buf_init(&run->down, WIRE_HEADER_BYTES + LIMIT_REQUEST_FRAME_BYTES_MAX);
    buf_init(&run->result, LIMIT_RESULT_FRAME_BYTES_MAX);
    buf_init(&run->made.name, 3 * LIMIT_PATH_BYTES_MAX);
    return run;
}

/* What it sends first is there. */
static void complete(struct pool_run *run)
{
    if (run->session != NULL) {
        session_run_joins(run->session);
    }
    run->request_bytes = run->down.len;
}

int run_new(struct pool *pool, const struct run_request *request, const struct run_events *events,
            struct pool_run **out, struct err *err)
{
    struct pool_run *run = make(pool, request, events, err);
    if (run == NULL) {
        return -1;
    }
    if (request_encode(request, pool->memory_bytes_max, &run->down, err) != 0) {
        run_free(run);
        return -1;
    }
    complete(run);
    *out = run;
    return 0;
}

int run_new_transfer(struct pool *pool, const struct run_request *request,
                     const struct run_events *events, struct transfer *transfer, struct span frame,
                     struct pool_run **out, struct err *err)
{
    struct pool_run *run = make(pool, request, events, err);
    if (run == NULL) {
        free(transfer);
        return -1;
    }
    run->transfer = transfer;
    if (buf_append(&run->down, frame.base, frame.len) != 0) {
        run_free(run);
        return err_set(err, ERR_MEMORY, "no memory for a run");
    }
    complete(run);
    *out = run;
    return 0;
}

void run_free(struct pool_run *run)
{
    queue_leave(&run->pool->queue, run);
    if (run->session != NULL && run->request_bytes > 0) {
        session_run_leaves(run->session);
    }
    buf_free(&run->down);
    buf_free(&run->result);
    buf_free(&run->made.name);
    buf_free(&run->made.content);
    free(run->transfer);
    free(run);
}

void run_finish(struct pool_run *run, const struct run_end *how)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t sent_us = run->sent_us != 0 ? run->sent_us : now_us;
    struct run_report report = {
        .is_cancelled = run->is_cancelled,
        .refusal = run->refusal,
        .breakage = how->breakage,
        .is_out_of_time = run->is_out_of_time,
        .ends_session = how->ends_session,
        .may_need = run->finds_needs && run->output_bytes == 0 && run->display_count == 0 &&
                    run->made.count == 0,
        .has_end = how->end != NULL,
        .has_result = run->has_result,
        .result = buf_span(&run->result),
        .has_exit = how->wait_status != NULL,
        .limits = run->limits,
        .queue_us = sent_us - run->queued_us,
        .wall_us = now_us - sent_us,
    };
    if (how->end != NULL) {
        report.end = *how->end;
    }
    if (how->wait_status != NULL) {
        report.wait_status = *how->wait_status;
    }
    struct outcome_texts texts;
    struct outcome outcome;
    outcome_compose(&report, &texts, &outcome);
    run->events.done(run->events.context, &outcome);
    outcome_texts_free(&texts);
    struct environment *environment = run->environment;
    run_free(run);
    struct pool *pool = environment->pool;
    environment->run_count--;
    if (--pool->run_count == 0 && pool->is_draining) {
        pool_settle_soon(pool);
    }
    environment->used_us = now_us;
    environment_part_freed(environment);
}

/* The frame of an answer, or -1 when it is too large or there is no memory. */
static int answer_encode(struct buf *out, uint32_t status, struct span bytes)
{
    buf_init(out, WIRE_HEADER_BYTES + LIMIT_FETCH_ANSWER_BYTES_MAX);
    if (bytes.len > LIMIT_FETCH_ANSWER_BYTES_MAX - sizeof status ||
        buf_reserve(out, WIRE_HEADER_BYTES + sizeof status + bytes.len) != 0) {
        return -1;
    }
    (void)wire_append_header(out, WIRE_FETCHED, (uint32_t)(sizeof status + bytes.len));
    (void)buf_append_u32(out, status); /* reserved above, as is the next */
    return buf_append(out, bytes.base, bytes.len);
}

void pool_run_fetched(struct pool_run *run, uint32_t status, struct span bytes)
{
    assert(run->is_fetching && run->down.len == 0);
    run->is_fetching = false;
    if (answer_encode(&run->down, status, bytes) != 0 &&
        answer_encode(&run->down, WIRE_FETCH_FAILED, span_of("the answer is too large")) != 0) {
        pool_run_cancel(run); /* not even room for a sentence */
        return;
    }
    cell_send_down(run->cell);
}
