/*
 * What a hostile cell may say of the files that its program made: frames, one after the other, as
 * the pool takes them. Whatever they hold, what is told is whole, within the limits, and has a name
 * of UTF-8.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "pool/made.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
    unsigned count;
    uint64_t bytes;
};

static void on_file(void *context, const struct run_made *file)
{
    struct told *told = context;
    told->count++;
    told->bytes += file->content.len;
    assert(told->count <= LIMIT_MADE_COUNT_MAX && told->bytes <= LIMIT_MADE_BYTES_MAX);
    assert(utf8_valid(file->name) && file->name.len > 0);
    assert(file->media_type != NULL && file->media_type[0] != '\0');
    assert(!file->has_content || file->content.len == file->size);
    assert(file->has_content || file->content.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size};
    struct told told = {0};
    struct pool_run run = {
        .events = {.context = &told, .file = on_file},
        .wants_files = true,
        .made = {.bytes_left = LIMIT_MADE_BYTES_MAX},
    };
    buf_init(&run.made.name, 3 * LIMIT_PATH_BYTES_MAX);
    struct wire_frame frame;
    size_t frame_bytes;
    const char *mistake = NULL;
    while (mistake == NULL && wire_take(rest, WIRE_FROM_CELL, &frame, &frame_bytes, NULL) > 0) {
        rest = (struct span){rest.base + frame_bytes, rest.len - frame_bytes};
        if (made_is_open(&run) != (frame.type == WIRE_FILE_DATA)) {
            break; /* which cells.c does not let through */
        }
        mistake = frame.type == WIRE_FILE_DATA ? made_take_data(&run, frame.payload)
                  : frame.type == WIRE_FILE    ? made_take_file(&run, frame.payload)
                                               : "another frame";
    }
    buf_free(&run.made.name);
    buf_free(&run.made.content);
    return 0;
}
