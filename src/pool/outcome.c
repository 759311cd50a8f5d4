/* From a run's report to its outcome. */
#include "pool/outcome.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "pool/limit.h"
#include "pool/report.h"
#include "wire/wire.h"

enum {
    EXIT_OF_LIMIT = 1,
    EXIT_OF_TIME = 124,    /* as timeout(1) has it */
    EXIT_OF_SANDBOX = 125, /* as env(1), timeout(1) and others have it: not the program's doing */
    EXIT_OF_SIGNAL = 128,  /* and the signal's number, as a shell has it */
    EXIT_OF_CANCEL = 130,
    EXIT_OF_TRAP = 134, /* as a program that called abort() */
};

/* A text of the guest grows to at most three times its size when it is repaired. */
#define TEXT_BYTES_MAX (3 * LIMIT_RESULT_FRAME_BYTES_MAX)

const char *outcome_status_name(enum outcome_status status)
{
    static const char *const names[] = {
        [OUTCOME_SUCCESS] = "success",     [OUTCOME_RUN_ERROR] = "run-error",
        [OUTCOME_LIMIT] = "limit",         [OUTCOME_INSTALL_ERROR] = "install-error",
        [OUTCOME_CRASH] = "crash",         [OUTCOME_REFUSED] = "refused",
        [OUTCOME_CANCELLED] = "cancelled", [OUTCOME_NEED] = "need",
    };
    return names[status];
}

/* ---- The guest's record ---------------------------------------------------------------------- */

struct result_record {
    struct span status;
    uint32_t exit_code;
    struct span value;
    struct span note;
    struct span type;
    struct span message;
    struct span traceback;
    uint32_t line;
    struct span need;
};

static int result_field_read(struct result_record *out, const struct wire_field *field)
{
    switch (field->number) {
    case WIRE_RESULT_STATUS: out->status = field->value; return 0;
    case WIRE_RESULT_EXIT_CODE: return wire_get_u32(field->value, &out->exit_code);
    case WIRE_RESULT_VALUE: out->value = field->value; return 0;
    case WIRE_RESULT_VALUE_NOTE: out->note = field->value; return 0;
    case WIRE_RESULT_ERROR_TYPE: out->type = field->value; return 0;
    case WIRE_RESULT_ERROR_MESSAGE: out->message = field->value; return 0;
    case WIRE_RESULT_ERROR_TRACEBACK: out->traceback = field->value; return 0;
    case WIRE_RESULT_ERROR_LINE: return wire_get_u32(field->value, &out->line);
    case WIRE_RESULT_NEED: out->need = field->value; return 0;
    default: return -1;
    }
}

/* Packages are fetched for what it says, so it has to be of a form that can be shown and kept. */
static bool is_need(const struct result_record *record)
{
    return span_equal(record->status, span_of("need")) && record->need.len > 0 &&
           record->need.len <= LIMIT_NEED_BYTES_MAX && utf8_valid(record->need);
}

/* Each field at most once, none that is unknown, and a status that is one of two; or of three,
 * where it may be a need. */
static int result_read(struct span record, bool may_need, struct result_record *out)
{
    *out = (struct result_record){0};
    uint32_t seen = 0;
    struct wire_field field;
    int more;
    while ((more = wire_next(&record, &field)) > 0) {
        if (result_field_read(out, &field) != 0 || (seen & 1u << field.number) != 0) {
            return -1;
        }
        seen |= 1u << field.number;
    }
    bool is_known = span_equal(out->status, span_of("success")) ||
                    span_equal(out->status, span_of("run-error")) || (may_need && is_need(out));
    return more == 0 && is_known ? 0 : -1;
}

enum result_kind outcome_result_kind(struct span result, bool may_need)
{
    struct result_record record;
    if (result_read(result, may_need, &record) != 0) {
        return RESULT_INVALID;
    }
    return is_need(&record) ? RESULT_NEED : RESULT_RAN;
}

/* ---- The cell's record ----------------------------------------------------------------------- */

struct end_record {
    uint32_t reason;
    uint32_t exit_code;
    uint32_t limits;
    struct span detail;
    uint64_t cpu_us;
    uint64_t wall_us;
    uint64_t memory_bytes;
    uint32_t files_left;
};

static int end_field_read(struct end_record *out, const struct wire_field *field)
{
    switch (field->number) {
    case WIRE_END_REASON: return wire_get_u32(field->value, &out->reason);
    case WIRE_END_EXIT_CODE: return wire_get_u32(field->value, &out->exit_code);
    case WIRE_END_LIMITS: return wire_get_u32(field->value, &out->limits);
    case WIRE_END_DETAIL: out->detail = field->value; return 0;
    case WIRE_END_CPU_US: return wire_get_u64(field->value, &out->cpu_us);
    case WIRE_END_WALL_US: return wire_get_u64(field->value, &out->wall_us);
    case WIRE_END_MEMORY_BYTES: return wire_get_u64(field->value, &out->memory_bytes);
    case WIRE_END_FILES_LEFT: return wire_get_u32(field->value, &out->files_left);
    default: return -1;
    }
}

static int end_read(struct span record, struct end_record *out)
{
    *out = (struct end_record){0};
    struct wire_field field;
    int more;
    while ((more = wire_next(&record, &field)) > 0) {
        if (end_field_read(out, &field) != 0) {
            return -1;
        }
    }
    return more;
}

int outcome_end_read(struct span end, struct end_facts *out)
{
    struct end_record record;
    if (end_read(end, &record) != 0) {
        return -1;
    }
    out->has_returned = record.reason == WIRE_END_RETURNED;
    out->has_not_run = record.reason == WIRE_END_LIMIT || record.reason == WIRE_END_REFUSED;
    out->memory_bytes = record.memory_bytes;
    return 0;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

/* The same text when it is UTF-8, else a repaired copy in `store`. */
static struct span text_check(struct buf *store, struct span text)
{
    if (utf8_valid(text)) {
        return text;
    }
    return utf8_append_lossy(store, text) == 0 ? buf_span(store) : (struct span){0};
}

static bool span_ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.base + text.len - len, end, len) == 0;
}

/* Our sentence is the message; below the guest's traceback it is also the last line. */
static void say(struct outcome *out, struct outcome_texts *texts)
{
    out->error_message = buf_span(&texts->message);
    struct span traceback = out->error_traceback;
    if (texts->traceback.len == 0) {
        (void)buf_append(&texts->traceback, traceback.base, traceback.len);
    }
    if (traceback.len > 0 && !span_ends_with(traceback, "\n")) {
        (void)buf_append_char(&texts->traceback, '\n');
    }
    (void)buf_append(&texts->traceback, texts->message.base, texts->message.len);
    out->error_traceback = buf_span(&texts->traceback);
}

/* One more line below what has been said. */
static void say_session_over(struct outcome_texts *texts, struct outcome *out)
{
    static const char sentence[] =
        "The session has ended with it: its variables, imports and files are lost.";
    const struct {
        struct buf *store;
        struct span *text;
    } rows[] = {
        {&texts->message, &out->error_message},
        {&texts->traceback, &out->error_traceback},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span text = *rows[i].text;
        if (rows[i].store->len == 0) {
            (void)buf_append(rows[i].store, text.base, text.len);
        }
        if (text.len > 0 && !span_ends_with(text, "\n")) {
            (void)buf_append_char(rows[i].store, '\n');
        }
        (void)buf_append_text(rows[i].store, sentence);
        *rows[i].text = buf_span(rows[i].store);
    }
}

__attribute__((format(printf, 5, 6))) static void conclude(struct outcome *out,
                                                           struct outcome_texts *texts,
                                                           enum outcome_status status,
                                                           int exit_code, const char *format, ...)
{
    char sentence[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    out->status = status;
    out->exit_code = exit_code;
    out->value_json = (struct span){0};
    out->value_note = (struct span){0};
    out->need_json = (struct span){0};
    buf_clear(&texts->message);
    (void)utf8_append_lossy(&texts->message, span_of(sentence));
    say(out, texts);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void conclude_limit(struct outcome *out, struct outcome_texts *texts, uint32_t bits,
                           const struct run_limits *limits)
{
    uint32_t bit = limit_first(bits);
    cleanup_buf struct buf sentence;
    buf_init(&sentence, ERR_TEXT_MAX);
    (void)limit_append(&sentence, bit, limits);
    out->limits |= bit;
    conclude(out, texts, OUTCOME_LIMIT,
             bit == WIRE_LIMIT_TIME || bit == WIRE_LIMIT_CPU ? EXIT_OF_TIME : EXIT_OF_LIMIT, "%.*s",
             (int)sentence.len, sentence.base);
}

/* An exception that a limit caused is the limit's doing; the guest may also have caught one and
 * failed of something else. */
static uint32_t limit_behind(const struct outcome *out)
{
    static const uint32_t files =
        WIRE_LIMIT_FILE_BYTES | WIRE_LIMIT_FILE_COUNT | WIRE_LIMIT_OPEN_FILES;
    if (span_ends_with(out->error_type, "MemoryError")) {
        return out->limits & WIRE_LIMIT_MEMORY;
    }
    if (span_equal(out->error_type, span_of("KeyboardInterrupt"))) {
        return out->limits & WIRE_LIMIT_OUTPUT; /* in a session the guest goes on */
    }
    return span_equal(out->error_type, span_of("OSError")) ? out->limits & files : 0;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

/* What the guest said, checked. Leaves the outcome without it when the record is none. */
static int result_take(const struct run_report *report, struct outcome_texts *texts,
                       struct outcome *out)
{
    struct result_record record;
    if (!report->has_result || result_read(report->result, report->may_need, &record) != 0) {
        return -1;
    }
    if (is_need(&record)) { /* nothing was run, so there is nothing else to say */
        out->status = OUTCOME_NEED;
        out->exit_code = EXIT_OF_SANDBOX;
        out->need_json = record.need;
        return 0;
    }
    /* A success has status 0, an error another one, whatever the guest claims. */
    out->exit_code = (int)(int32_t)record.exit_code;
    if (span_equal(record.status, span_of("success")) && out->exit_code == 0) {
        out->status = OUTCOME_SUCCESS;
    } else {
        out->status = OUTCOME_RUN_ERROR;
        out->exit_code = out->exit_code == 0 ? 1 : out->exit_code;
    }
    out->value_json = text_check(&texts->value, record.value);
    out->value_note = text_check(&texts->note, record.note);
    out->error_type = text_check(&texts->type, record.type);
    out->error_message = text_check(&texts->message, record.message);
    out->error_traceback = text_check(&texts->traceback, record.traceback);
    out->error_line = record.line;
    if (out->value_json.len > report->limits.result_bytes) {
        out->value_json = (struct span){0};
        out->value_note = span_of("truncated");
    }
    out->limits |= span_equal(out->value_note, span_of("truncated")) ? WIRE_LIMIT_RESULT : 0u;
    out->limits |=
        out->status == OUTCOME_RUN_ERROR && span_equal(out->error_type, span_of("RecursionError"))
            ? WIRE_LIMIT_RECURSION
            : 0u;
    return 0;
}

static void conclude_signal(struct outcome *out, struct outcome_texts *texts, int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGSYS, "SIGSYS, for a system call that the jail forbids"},
        {SIGKILL, "SIGKILL, not by Vitrine: the system may be out of memory"},
        {SIGSEGV, "SIGSEGV"},
        {SIGBUS, "SIGBUS"},
        {SIGILL, "SIGILL"},
        {SIGFPE, "SIGFPE"},
        {SIGABRT, "SIGABRT"},
        {SIGXCPU, "SIGXCPU"},
        {SIGTRAP, "SIGTRAP"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].number == number) {
            conclude(out, texts, OUTCOME_CRASH, EXIT_OF_SIGNAL + number,
                     "the sandbox process was killed by %s", names[i].name);
            return;
        }
    }
    conclude(out, texts, OUTCOME_CRASH, EXIT_OF_SIGNAL + number,
             "the sandbox process was killed by signal %d", number);
}

/* The process ended, and its END never came. */
static void conclude_exit(struct outcome *out, struct outcome_texts *texts, int wait_status)
{
    if (WIFSIGNALED(wait_status)) {
        conclude_signal(out, texts, WTERMSIG(wait_status));
    } else {
        conclude(out, texts, OUTCOME_CRASH, EXIT_OF_SANDBOX,
                 "the sandbox process ended with status %d before the program did",
                 WEXITSTATUS(wait_status));
    }
}

static void conclude_end(const struct run_report *report, const struct end_record *end,
                         bool has_result, struct outcome_texts *texts, struct outcome *out)
{
    int exit_code = (int)(int32_t)end->exit_code;
    struct span detail = end->detail.len < ERR_TEXT_MAX / 2
                             ? end->detail
                             : (struct span){end->detail.base, ERR_TEXT_MAX / 2};
    switch (end->reason) {
    case WIRE_END_RETURNED:
        if (!has_result) {
            conclude(out, texts, OUTCOME_CRASH, EXIT_OF_SANDBOX,
                     "the program ended without a result that can be read");
        } else if (out->status == OUTCOME_RUN_ERROR && limit_behind(out) != 0) {
            conclude_limit(out, texts, limit_behind(out), &report->limits);
        }
        return;
    case WIRE_END_EXITED:
        conclude(out, texts, OUTCOME_CRASH, exit_code,
                 "the program ended itself with os._exit(%d) before it returned", exit_code);
        return;
    case WIRE_END_TRAPPED:
        conclude(out, texts, OUTCOME_CRASH, EXIT_OF_TRAP, "the program crashed: %.*s",
                 (int)detail.len, detail.base);
        return;
    case WIRE_END_REFUSED:
        if (detail.len == 0 || detail.base[0] == '\0') { /* a hostile cell's */
            detail = span_of("the sandbox refused the program without a reason");
        }
        conclude(out, texts, OUTCOME_REFUSED, EXIT_OF_SANDBOX, "%.*s", (int)detail.len,
                 detail.base);
        return;
    case WIRE_END_LIMIT: conclude_limit(out, texts, end->limits, &report->limits); return;
    default:
        conclude(out, texts, OUTCOME_CRASH, EXIT_OF_SANDBOX,
                 "the program broke the rules of its sandbox: %.*s", (int)detail.len, detail.base);
        return;
    }
}

/* The guest was interrupted when its CPU time was over, or its process has ended itself. */
static bool is_out_of_cpu(const struct run_report *report, const struct outcome *out)
{
    return report->limits.cpu_ms > 0 &&
           ((out->limits & WIRE_LIMIT_CPU) != 0 ||
            (!report->has_end && report->has_exit && WIFEXITED(report->wait_status) &&
             WEXITSTATUS(report->wait_status) == WIRE_EXIT_CPU));
}

/* What of the limits is not said yet. */
static void limits_say(const struct run_report *report, struct outcome_texts *texts,
                       struct outcome *out)
{
    uint32_t told = out->status == OUTCOME_LIMIT ? limit_first(out->limits) : 0;
    (void)limit_append_all(&texts->limits, out->limits & ~told, &report->limits);
    out->limits_text = buf_span(&texts->limits);
}

void outcome_compose(const struct run_report *report, struct outcome_texts *texts,
                     struct outcome *out)
{
    struct buf *const all[] = {&texts->value,   &texts->note,      &texts->type,
                               &texts->message, &texts->traceback, &texts->limits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        buf_init(all[i], TEXT_BYTES_MAX + ERR_TEXT_MAX);
    }
    *out = (struct outcome){.queue_us = report->queue_us, .wall_us = report->wall_us};
    struct end_record end = {0};
    bool has_end = report->has_end && end_read(report->end, &end) == 0;
    out->limits = end.limits;
    out->cpu_us = end.cpu_us;
    out->memory_bytes = end.memory_bytes;
    out->files_left_out = end.files_left;
    bool has_result = result_take(report, texts, out) == 0;
    out->output_truncated = (out->limits & WIRE_LIMIT_OUTPUT) != 0;
    out->stderr_truncated = out->output_truncated && (out->limits & WIRE_LIMIT_STDERR) != 0;
    out->limits &= ~(uint32_t)WIRE_LIMIT_STDERR; /* no limit of its own */

    if (report->is_cancelled) {
        conclude(out, texts, OUTCOME_CANCELLED, EXIT_OF_CANCEL, "the run was cancelled");
    } else if (report->refusal != NULL) {
        conclude(out, texts, OUTCOME_REFUSED, EXIT_OF_SANDBOX, "%s", report->refusal);
    } else if (report->breakage != NULL || (report->has_end && !has_end)) {
        conclude(out, texts, OUTCOME_CRASH, EXIT_OF_SANDBOX, "%s",
                 report->breakage != NULL ? report->breakage
                                          : "the sandbox process sent an end that is none");
    } else if (report->is_out_of_time) {
        conclude_limit(out, texts, WIRE_LIMIT_TIME, &report->limits);
    } else if (is_out_of_cpu(report, out)) {
        conclude_limit(out, texts, WIRE_LIMIT_CPU, &report->limits);
    } else if (has_end) {
        conclude_end(report, &end, has_result, texts, out);
    } else {
        conclude_exit(out, texts, report->wait_status);
    }
    if (report->ends_session) {
        say_session_over(texts, out);
    }
    limits_say(report, texts, out);
}

void outcome_texts_free(struct outcome_texts *texts)
{
    buf_free(&texts->value);
    buf_free(&texts->note);
    buf_free(&texts->type);
    buf_free(&texts->message);
    buf_free(&texts->traceback);
    buf_free(&texts->limits);
}
