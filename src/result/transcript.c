#include "result/transcript.h"

#include <string.h>

#include "base/jtext.h"
#include "base/limits.h"
#include "result/display.h"

void transcript_init(struct transcript *transcript, size_t bytes_max)
{
    *transcript = (struct transcript){0};
    buf_init(&transcript->bytes[RUN_STDOUT], bytes_max);
    buf_init(&transcript->bytes[RUN_STDERR], bytes_max);
    /* What is escaped anew takes twice the room at most. */
    buf_init(&transcript->bytes[RUN_DISPLAY],
             2 * LIMIT_DISPLAY_BYTES_MAX + LIMIT_DISPLAY_COUNT_MAX);
    /* A line has a newline, but for the last one of each stream. */
    buf_init(&transcript->order, 2 * bytes_max + 2 + LIMIT_DISPLAY_COUNT_MAX);
}

void transcript_free(struct transcript *transcript)
{
    buf_free(&transcript->bytes[RUN_STDOUT]);
    buf_free(&transcript->bytes[RUN_STDERR]);
    buf_free(&transcript->bytes[RUN_DISPLAY]);
    buf_free(&transcript->order);
}

static void end_line(struct transcript *t, enum run_stream stream, size_t end)
{
    size_t start = t->line_start[stream];
    if (buf_append_char(&t->order, (char)stream) != 0) {
        t->truncated[stream] = true;
    }
    if (t->line != NULL) {
        t->line(t->context, stream, (struct span){t->bytes[stream].base + start, end - start});
    }
}

static void add_display(struct transcript *t, struct span json)
{
    struct buf *all = &t->bytes[RUN_DISPLAY];
    size_t before = all->len;
    struct span display;
    if (!display_check(json, &display)) {
        return;
    }
    if (jtext_append_compact(all, display) != 0 || buf_append_char(all, '\n') != 0 ||
        buf_append_char(&t->order, (char)RUN_DISPLAY) != 0) {
        all->len = before;
        t->truncated[RUN_DISPLAY] = true;
    }
}

void transcript_add(struct transcript *transcript, enum run_stream stream, struct span bytes)
{
    if (stream == RUN_DISPLAY) {
        add_display(transcript, bytes);
        return;
    }
    struct buf *all = &transcript->bytes[stream];
    size_t searched = all->len;
    size_t room = all->bytes_max - all->len;
    if (bytes.len > room) {
        bytes.len = room;
        transcript->truncated[stream] = true;
    }
    if (buf_append(all, bytes.base, bytes.len) != 0) {
        transcript->truncated[stream] = true;
        return;
    }
    while (searched < all->len) {
        const char *newline = memchr(all->base + searched, '\n', all->len - searched);
        if (newline == NULL) {
            break;
        }
        size_t end = (size_t)(newline - all->base);
        end_line(transcript, stream, end);
        searched = end + 1;
        transcript->line_start[stream] = searched;
    }
}

void transcript_finish(struct transcript *transcript)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t len = transcript->bytes[i].len;
        if (transcript->line_start[i] < len) {
            end_line(transcript, (enum run_stream)i, len);
            transcript->line_start[i] = len;
        }
    }
}

bool transcript_next(const struct transcript *transcript, struct transcript_cursor *cursor,
                     enum run_stream *stream, struct span *line)
{
    if (cursor->line == transcript->order.len) {
        return false;
    }
    *stream = (enum run_stream)transcript->order.base[cursor->line++];
    const struct buf *all = &transcript->bytes[*stream];
    const char *start = all->base + cursor->at[*stream];
    size_t left = all->len - cursor->at[*stream];
    const char *newline = memchr(start, '\n', left);
    line->base = start;
    line->len = newline == NULL ? left : (size_t)(newline - start);
    cursor->at[*stream] += line->len + (newline == NULL ? 0 : 1);
    return true;
}
