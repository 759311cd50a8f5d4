/* What a run left behind, and what it means: private to src/pool. */
#ifndef POOL_REPORT_H
#define POOL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "pool/outcome.h"
#include "pool/pool.h"

/* Facts, as the pool noted them. The records come from the guest and from the cell, and are not
 * trusted. Exactly what is first in this order decides. */
struct run_report {
    bool is_cancelled;
    const char *refusal;  /* why it was never run, or NULL */
    const char *breakage; /* what the sandbox itself did wrong, or NULL */
    bool is_out_of_time;
    bool ends_session; /* its session has ended with it */
    bool may_need;     /* it was asked for its needs, and has said nothing else */
    bool has_end;
    struct span end; /* payload of END */
    bool has_result;
    struct span result; /* payload of RESULT */
    bool has_exit;
    int wait_status; /* of the cell's process, when it ended without END */

    struct run_limits limits;
    uint64_t queue_us;
    uint64_t wall_us;
};

/* Where an outcome's texts live when they are not the records' own. */
struct outcome_texts {
    struct buf value;
    struct buf note;
    struct buf type;
    struct buf message;
    struct buf traceback;
    struct buf limits;
};

/* Fills *out, which borrows the report's records and `texts` until outcome_texts_free. */
void outcome_compose(const struct run_report *report, struct outcome_texts *texts,
                     struct outcome *out);
void outcome_texts_free(struct outcome_texts *texts);

/* What a RESULT is, before anything is made of it. */
enum result_kind { RESULT_INVALID, RESULT_RAN, RESULT_NEED };
enum result_kind outcome_result_kind(struct span result, bool may_need);

/* What an END says that matters to a session. -1 when it is none. */
struct end_facts {
    bool has_returned; /* there is a result */
    bool has_not_run;  /* there is none, and the guest is as before */
    uint64_t memory_bytes;
};
int outcome_end_read(struct span end, struct end_facts *out);

#endif
