#include "repl/line.h"

#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"

static const char color_prompt[] = "\x1B[1;35m"; /* as Python 3.14 has it */

void line_init(struct line *line, bool has_color)
{
    *line = (struct line){.has_color = has_color, .found = -1};
    edit_init(&line->edit);
    history_init(&line->history);
    buf_init(&line->typed, LIMIT_REPL_INPUT_BYTES_MAX);
    buf_init(&line->needle, LIMIT_REPL_INPUT_BYTES_MAX);
}

void line_free(struct line *line)
{
    edit_free(&line->edit);
    history_free(&line->history);
    buf_free(&line->typed);
    buf_free(&line->needle);
}

/* ---- History --------------------------------------------------------------------------------- */

static void show_previous(struct line *line)
{
    if (line->history.at == line->history.count) {
        buf_clear(&line->typed);
        (void)buf_append(&line->typed, line->edit.text.base, line->edit.text.len);
    }
    const char *block = history_previous(&line->history);
    if (block != NULL) {
        (void)edit_set(&line->edit, span_of(block));
    }
}

static void show_next(struct line *line)
{
    if (line->history.at == line->history.count) {
        return;
    }
    const char *block = history_next(&line->history);
    (void)edit_set(&line->edit, block != NULL ? span_of(block) : buf_span(&line->typed));
}

static void search_from(struct line *line, unsigned before)
{
    const int found = history_search(&line->history, buf_span(&line->needle), before);
    if (found >= 0) {
        line->found = found;
    }
}

static void search_begin(struct line *line)
{
    line->is_searching = true;
    line->found = -1;
    buf_clear(&line->needle);
}

static void search_end(struct line *line, bool takes)
{
    line->is_searching = false;
    if (takes && line->found >= 0) {
        line->history.at = (unsigned)line->found;
        (void)edit_set(&line->edit, span_of(line->history.blocks[line->found]));
    }
}

/* Whether the key was one of the search's own; any other ends it, and then does what it does. */
static bool search_take(struct line *line, const struct key *key)
{
    switch ((int)key->code) {
    case KEY_TEXT:
        if ((unsigned char)*key->text.base >= 0x20) {
            (void)buf_append(&line->needle, key->text.base, key->text.len);
        }
        search_from(line, line->history.count);
        return true;
    case KEY_BACKSPACE:
        while (line->needle.len > 0 &&
               ((unsigned char)line->needle.base[--line->needle.len] & 0xC0) == 0x80) {
        }
        search_from(line, line->history.count);
        return true;
    case KEY_SEARCH:
        search_from(line, line->found < 0 ? line->history.count : (unsigned)line->found);
        return true;
    case KEY_CANCEL:
    case KEY_INTERRUPT: search_end(line, false); return true;
    default: search_end(line, true); return false;
    }
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static enum line_wish take_text(struct line *line, const struct key *key)
{
    (void)edit_insert(&line->edit, key->text); /* no room: nothing happens */
    return LINE_NOTHING;
}

static bool edit_take(struct edit *edit, enum key_code code)
{
    switch ((int)code) {
    case KEY_NEWLINE: (void)edit_newline(edit); return true;
    case KEY_BACKSPACE: edit_backspace(edit); return true;
    case KEY_DELETE: edit_delete(edit); return true;
    case KEY_LEFT: edit_left(edit); return true;
    case KEY_RIGHT: edit_right(edit); return true;
    case KEY_WORD_LEFT: edit_word_left(edit); return true;
    case KEY_WORD_RIGHT: edit_word_right(edit); return true;
    case KEY_HOME: edit_home(edit); return true;
    case KEY_END: edit_end(edit); return true;
    case KEY_FIRST: edit_first(edit); return true;
    case KEY_LAST: edit_last(edit); return true;
    case KEY_KILL_TO_END: edit_kill_to_end(edit); return true;
    case KEY_KILL_TO_START: edit_kill_to_start(edit); return true;
    case KEY_KILL_WORD: edit_kill_word(edit); return true;
    case KEY_KILL_WORD_AHEAD: edit_kill_word_ahead(edit); return true;
    case KEY_YANK: (void)edit_yank(edit); return true;
    default: return false;
    }
}

enum line_wish line_take(struct line *line, const struct key *key)
{
    struct edit *edit = &line->edit;
    if ((line->is_searching && search_take(line, key)) || edit_take(edit, key->code)) {
        return LINE_NOTHING;
    }
    switch ((int)key->code) {
    case KEY_TEXT: return take_text(line, key);
    case KEY_ENTER: return LINE_ENTER;
    case KEY_TAB: return edit_indent(edit) ? LINE_NOTHING : LINE_TAB;
    case KEY_UP:
        if (!edit_up(edit)) {
            show_previous(line);
        }
        return LINE_NOTHING;
    case KEY_DOWN:
        if (!edit_down(edit)) {
            show_next(line);
        }
        return LINE_NOTHING;
    case KEY_PREVIOUS: show_previous(line); return LINE_NOTHING;
    case KEY_NEXT: show_next(line); return LINE_NOTHING;
    case KEY_SEARCH: search_begin(line); return LINE_NOTHING;
    case KEY_CLEAR_SCREEN: return LINE_CLEAR;
    case KEY_INTERRUPT: return LINE_INTERRUPT;
    case KEY_END_OF_FILE:
        if (edit->text.len == 0) {
            return LINE_END;
        }
        edit_delete(edit);
        return LINE_NOTHING;
    default: return LINE_NOTHING;
    }
}

/* ---- Drawing --------------------------------------------------------------------------------- */

static int draw_search(struct line *line, struct buf *out)
{
    const struct screen_prompt prompt = {
        .first = "(search) ", .more = "         ", .color = line->has_color ? color_prompt : ""};
    cleanup_buf struct buf text;
    buf_init(&text, 2 * LIMIT_REPL_INPUT_BYTES_MAX + 64);
    int failed = buf_append(&text, line->needle.base, line->needle.len);
    if (line->found >= 0) {
        failed |= buf_append_char(&text, '\n');
        failed |= buf_append_text(&text, line->history.blocks[line->found]);
    }
    return failed | screen_draw(out, &line->screen, &prompt, buf_span(&text), line->needle.len);
}

int line_draw(struct line *line, struct buf *out)
{
    const struct screen_prompt prompt = {
        .first = ">>> ", .more = "... ", .color = line->has_color ? color_prompt : ""};
    if (line->is_searching) {
        return draw_search(line, out);
    }
    return screen_draw(out, &line->screen, &prompt, buf_span(&line->edit.text), line->edit.cursor);
}

int line_newline(struct line *line, struct buf *out)
{
    return edit_newline(&line->edit) != 0 ? -1 : line_draw(line, out);
}

static int begin_anew(struct line *line, struct buf *out)
{
    edit_last(&line->edit);
    const int failed = line_draw(line, out) | screen_leave(out, &line->screen);
    buf_clear(&line->edit.text);
    edit_last(&line->edit);
    history_rewind(&line->history);
    return failed;
}

int line_submit(struct line *line, struct buf *input, struct buf *out)
{
    struct span text = buf_span(&line->edit.text);
    if (buf_append(input, text.base, text.len) != 0) {
        return -1;
    }
    while (text.len > 0 && (text.base[text.len - 1] == '\n' || text.base[text.len - 1] == ' ')) {
        text.len--; /* the history needs no blank lines at the end */
    }
    history_add(&line->history, text);
    return begin_anew(line, out);
}

int line_drop(struct line *line, struct buf *out)
{
    line->is_searching = false;
    return begin_anew(line, out);
}

struct span line_before_cursor(const struct line *line)
{
    return (struct span){line->edit.text.base, line->edit.cursor};
}

/* ---- Completion ------------------------------------------------------------------------------ */

/* The offset of the text's character number `count`; past the cursor, the cursor's. */
static size_t offset_of(const struct line *line, size_t count)
{
    size_t offset = 0;
    while (count > 0 && offset < line->edit.cursor) {
        offset++;
        while (offset < line->edit.cursor &&
               ((unsigned char)line->edit.text.base[offset] & 0xC0) == 0x80) {
            offset++;
        }
        count--;
    }
    return offset;
}

/* What all words begin with; of the first one. */
static struct span common_prefix(const struct span *words, size_t count)
{
    struct span common = words[0];
    for (size_t i = 1; i < count; i++) {
        size_t len = 0;
        while (len < common.len && len < words[i].len && common.base[len] == words[i].base[len]) {
            len++;
        }
        common.len = len;
    }
    common.len = utf8_valid_prefix(common);
    return common;
}

/* Below the input, in rows; the input is drawn again after them. */
static int list_words(struct line *line, const struct span *words, size_t count, struct buf *out)
{
    size_t width = 1;
    for (size_t i = 0; i < count; i++) {
        width = words[i].len + 2 > width ? words[i].len + 2 : width;
    }
    size_t in_row = line->screen.columns / width;
    in_row = in_row == 0 ? 1 : in_row;
    int failed = screen_leave(out, &line->screen);
    for (size_t i = 0; i < count; i++) {
        const bool is_last = i + 1 == count || (i + 1) % in_row == 0;
        failed |= buf_append(out, words[i].base, words[i].len);
        failed |= is_last ? buf_append_text(out, "\r\n")
                          : buf_append_format(out, "%*s", (int)(width - words[i].len), "");
    }
    return failed | line_draw(line, out);
}

int line_complete(struct line *line, size_t start, const struct span *words, size_t count,
                  struct buf *out)
{
    const size_t from = offset_of(line, start);
    const struct span part = {line->edit.text.base + from, line->edit.cursor - from};
    if (count == 0) {
        return 0;
    }
    const struct span common = common_prefix(words, count);
    if (common.len > part.len && memcmp(common.base, part.base, part.len) == 0) {
        const struct span rest = {common.base + part.len, common.len - part.len};
        return edit_insert(&line->edit, rest) | line_draw(line, out);
    }
    return count == 1 ? 0 : list_words(line, words, count, out);
}
