#include "pool/limit.h"

#include <inttypes.h>

#include "base/limits.h"
#include "pool/outcome.h"
#include "wire/wire.h"

/* In the order in which they are told. */
const struct outcome_limit outcome_limits[] = {
    {WIRE_LIMIT_TIME, "time", "--timeout"},
    {WIRE_LIMIT_CPU, "cpu", "--cpu-time"},
    {WIRE_LIMIT_OUTPUT, "output", "--output-limit"},
    {WIRE_LIMIT_MEMORY, "memory", "--memory"},
    {WIRE_LIMIT_FILE_BYTES, "file-bytes", "--file-bytes"},
    {WIRE_LIMIT_FILE_COUNT, "file-count", "--file-count"},
    {WIRE_LIMIT_OPEN_FILES, "open-files", "--open-files"},
    {WIRE_LIMIT_RESULT, "result", "--result-limit"},
    {WIRE_LIMIT_DISPLAY, "display", "--display-count"},
    {WIRE_LIMIT_RECURSION, "recursion", "--recursion-limit"},
};
const size_t outcome_limit_count = sizeof outcome_limits / sizeof *outcome_limits;

static const struct outcome_limit *limit_find(uint32_t bit)
{
    for (size_t i = 0; i < outcome_limit_count; i++) {
        if (outcome_limits[i].bit == bit) {
            return &outcome_limits[i];
        }
    }
    return NULL;
}

uint32_t limit_first(uint32_t bits)
{
    for (size_t i = 0; i < outcome_limit_count; i++) {
        if ((bits & outcome_limits[i].bit) != 0) {
            return outcome_limits[i].bit;
        }
    }
    return 0;
}

static int append_what(struct buf *out, enum wire_limit bit, const struct run_limits *limits)
{
    switch (bit) {
    case WIRE_LIMIT_TIME:
        return buf_append_format(out, "the time limit of %g s", (double)limits->wall_ms / 1000);
    case WIRE_LIMIT_CPU:
        return buf_append_format(out, "the CPU time limit of %g s", (double)limits->cpu_ms / 1000);
    case WIRE_LIMIT_MEMORY:
        return buf_append_format(out, "the memory limit of %llu MiB", limits->memory_bytes / MIB);
    case WIRE_LIMIT_OUTPUT:
        return buf_append_format(out, "the output limit of %" PRIu64 " bytes",
                                 limits->output_bytes);
    case WIRE_LIMIT_RESULT:
        return buf_append_format(out, "the result limit of %" PRIu64 " bytes",
                                 limits->result_bytes);
    case WIRE_LIMIT_FILE_BYTES:
        return buf_append_format(out, "the file size limit of %" PRIu64 " bytes in all",
                                 limits->file_bytes);
    case WIRE_LIMIT_FILE_COUNT:
        return buf_append_format(out, "the file count limit of %" PRIu64 " files",
                                 limits->file_count);
    case WIRE_LIMIT_OPEN_FILES:
        return buf_append_format(out, "the open files limit of %" PRIu64 " files",
                                 limits->open_files);
    case WIRE_LIMIT_DISPLAY:
        return buf_append_format(out, "the display limit of %" PRIu64 " items and %llu MiB",
                                 limits->display_count, LIMIT_DISPLAY_BYTES_MAX / MIB);
    case WIRE_LIMIT_RECURSION:
        return buf_append_format(out, "the recursion limit, %" PRIu64 " calls at the start,",
                                 limits->recursion);
    case WIRE_LIMIT_STDERR: break; /* no limit of its own */
    }
    return buf_append_text(out, "a limit");
}

int limit_append(struct buf *out, uint32_t bit, const struct run_limits *limits)
{
    const struct outcome_limit *limit = limit_find(bit);
    if (limit == NULL) { /* a cell that makes up a limit */
        return buf_append_text(out, "a limit was reached");
    }
    return append_what(out, limit->bit, limits) != 0
               ? -1
               : buf_append_format(out, " was reached (see %s)", limit->option);
}

int limit_append_all(struct buf *out, uint32_t bits, const struct run_limits *limits)
{
    for (uint32_t bit = limit_first(bits); bit != 0; bit = limit_first(bits)) {
        bits &= ~bit;
        if ((out->len > 0 && buf_append_char(out, '\n') != 0) ||
            limit_append(out, bit, limits) != 0) {
            return -1;
        }
    }
    return 0;
}
