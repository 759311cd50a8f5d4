#include "pool/run.h"

#include <stdlib.h>

#include "base/clock.h"
#include "pool/report.h"
#include "pool/request.h"

int run_new(struct pool *pool, const struct run_request *request, const struct run_events *events,
            struct pool_run **out, struct err *err)
{
    struct pool_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a run");
    }
    run->pool = pool;
    run->events = *events;
    run->limits = request->limits;
    run->queued_us = clock_monotonic_us();
    buf_init(&run->request, WIRE_HEADER_BYTES + LIMIT_REQUEST_FRAME_BYTES_MAX);
    buf_init(&run->result, LIMIT_RESULT_FRAME_BYTES_MAX);
    if (request_encode(request, pool->memory_bytes_max, &run->request, err) != 0) {
        run_free(run);
        return -1;
    }
    run->request_bytes = run->request.len;
    *out = run;
    return 0;
}

void run_free(struct pool_run *run)
{
    buf_free(&run->request);
    buf_free(&run->result);
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
    run_free(run);
}
