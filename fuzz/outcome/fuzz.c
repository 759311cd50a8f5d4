/*
 * What a hostile guest and cell may say at the end of a run. The first byte sets the facts that the
 * pool knows itself, the second splits the rest into RESULT and END. Whatever they hold, the
 * outcome is whole: UTF-8, within its limits, and never a success by accident.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "pool/report.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FACT_CANCELLED = 1 << 0,
    FACT_REFUSED = 1 << 1,
    FACT_BROKEN = 1 << 2,
    FACT_OUT_OF_TIME = 1 << 3,
    FACT_END = 1 << 4,
    FACT_RESULT = 1 << 5,
    FACT_KILLED = 1 << 6,
    FACT_MAY_NEED = 1 << 7,
    HEAD_BYTES = 2,
    RESULT_BYTES_MAX = 64,
};

static void outcome_check(const struct run_report *report, const struct outcome *outcome)
{
    assert(utf8_valid(outcome->value_json) && utf8_valid(outcome->value_note));
    assert(utf8_valid(outcome->error_type) && utf8_valid(outcome->error_message));
    assert(utf8_valid(outcome->error_traceback));
    assert(outcome_status_name(outcome->status) != NULL);
    if (outcome->status == OUTCOME_SUCCESS) {
        assert(outcome->exit_code == 0 && report->has_end && report->has_result);
        assert(!report->is_cancelled && !report->is_out_of_time);
        assert(report->refusal == NULL && report->breakage == NULL);
    } else if (outcome->status == OUTCOME_NEED) {
        assert(report->may_need && report->has_end && report->has_result);
        assert(!report->is_cancelled && !report->is_out_of_time);
        assert(utf8_valid(outcome->need_json) && outcome->need_json.len > 0);
        assert(outcome->value_json.len == 0 && outcome->error_message.len == 0);
    } else if (outcome->status != OUTCOME_RUN_ERROR) {
        assert(outcome->error_message.len > 0 && outcome->error_traceback.len > 0);
    }
    if (outcome->status == OUTCOME_RUN_ERROR) {
        assert(outcome->exit_code != 0);
    }
    if (outcome->status != OUTCOME_NEED) {
        assert(outcome->need_json.len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES) {
        return 0;
    }
    uint8_t facts = data[0];
    struct span rest = {(const char *)data + HEAD_BYTES, size - HEAD_BYTES};
    size_t split = data[1] < rest.len ? data[1] : rest.len;
    struct run_report report = {
        .is_cancelled = (facts & FACT_CANCELLED) != 0,
        .refusal = (facts & FACT_REFUSED) != 0 ? "refused" : NULL,
        .breakage = (facts & FACT_BROKEN) != 0 ? "broken" : NULL,
        .is_out_of_time = (facts & FACT_OUT_OF_TIME) != 0,
        .may_need = (facts & FACT_MAY_NEED) != 0,
        .has_end = (facts & FACT_END) != 0,
        .end = {rest.base, split},
        .has_result = (facts & FACT_RESULT) != 0,
        .result = {rest.base + split, rest.len - split},
        .has_exit = true,
        .wait_status = (facts & FACT_KILLED) != 0 ? 9 : 3 << 8,
        .limits = run_limits_default(),
    };
    report.limits.result_bytes = RESULT_BYTES_MAX;
    struct outcome_texts texts;
    struct outcome outcome;
    outcome_compose(&report, &texts, &outcome);
    outcome_check(&report, &outcome);
    outcome_texts_free(&texts);
    return 0;
}
