/*
 * What became of a run: made by the pool from a cell's frames, turned into text and JSON by
 * src/result alone. Nothing in it has been escaped, and all text is valid UTF-8.
 */
#ifndef POOL_OUTCOME_H
#define POOL_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Where a program writes; and what it shows with display(). */
enum run_stream { RUN_STDOUT, RUN_STDERR, RUN_DISPLAY };

enum outcome_status {
    OUTCOME_SUCCESS,
    OUTCOME_RUN_ERROR,     /* the program raised, or ended with a status other than 0 */
    OUTCOME_INSTALL_ERROR, /* packages could not be installed */
    OUTCOME_LIMIT,         /* a limit ended it; `limits` says which */
    OUTCOME_CRASH,         /* a trap, os._exit, abort, or a cell that died */
    OUTCOME_REFUSED,       /* it was never run */
    OUTCOME_CANCELLED,     /* the client took it back */
    OUTCOME_NEED,          /* it was not run: its environment lacks packages; see `need_json`. Only
                              for requests with `finds_needs`; src/packages acts on it */
};

/* "success", "run-error", "install-error", "limit", "crash", "refused", "cancelled",
 * "need". */
const char *outcome_status_name(enum outcome_status status);

/* How a limit (one bit of enum wire_limit) is called, and the option that sets it. */
struct outcome_limit {
    uint32_t bit;
    const char *name;
    const char *option;
};
extern const struct outcome_limit outcome_limits[]; /* the one to be told first is first */
extern const size_t outcome_limit_count;

/* A package of the environment that a program ran in. Texts are NUL-terminated. */
struct outcome_package {
    const char *name;    /* as the project spells it */
    const char *version; /* PEP 440 */
    const char *sha256;  /* of the wheel, in hex */
};

/* A file that a program made or changed. Its name is a relative path of valid UTF-8, as the guest
 * chose it, ".." and control characters included: it names nothing outside of the guest. */
struct run_made {
    struct span name;
    uint64_t size;
    const char *media_type; /* static (base/media.h) */
    bool has_content;       /* all of it; none when all of them together were too large */
    struct span content;
};

struct outcome {
    enum outcome_status status;
    int exit_code; /* what a shell should see: 0, 1, sys.exit's number, 124 for time ... */
    uint64_t retry_after_ms; /* with OUTCOME_REFUSED: when to try again; 0: that is of no use */
    uint32_t limits;         /* bits of enum wire_limit */
    struct span limits_text; /* what of them `error_message` does not say, a sentence a line */
    bool output_truncated;
    bool stderr_truncated;  /* the output that is missing is of stderr */
    struct span value_json; /* empty when None or not asked for */
    struct span value_note; /* "", "truncated" or "repr" */
    struct span error_type; /* e.g. "ValueError"; "" when there was no exception */
    struct span error_message;
    struct span
        error_traceback; /* as CPython prints it; or one sentence of ours for crash, limit */
    uint32_t error_line; /* of the user's file; 0 when unknown */
    uint64_t queue_us;   /* waited for a cell */
    uint64_t wall_us;    /* from request sent to end seen */
    uint64_t cpu_us;
    uint64_t memory_bytes;
    uint32_t files_left_out; /* files that were made, and not told because there are too many */
    struct span need_json;   /* with OUTCOME_NEED: wire.h, WIRE_RESULT_NEED; written by the guest */
    /* Filled by src/packages: what was installed for the program, sorted by name; borrowed. */
    const struct outcome_package *packages;
    size_t package_count;
    struct span install_log; /* with OUTCOME_INSTALL_ERROR: what led to it, in lines */
    uint64_t install_us;     /* time spent on getting the environment */
};

#endif
