#include "repl/edit.h"

#include <ctype.h>
#include <string.h>

#include "base/limits.h"

enum { INDENT = 4 };

void edit_init(struct edit *edit)
{
    *edit = (struct edit){0};
    buf_init(&edit->text, LIMIT_REPL_INPUT_BYTES_MAX);
    buf_init(&edit->cut, LIMIT_REPL_INPUT_BYTES_MAX);
}

void edit_free(struct edit *edit)
{
    buf_free(&edit->text);
    buf_free(&edit->cut);
}

/* ---- Places ---------------------------------------------------------------------------------- */

static char at(const struct edit *edit, size_t place)
{
    return edit->text.base[place];
}

static size_t line_start(const struct edit *edit, size_t place)
{
    while (place > 0 && at(edit, place - 1) != '\n') {
        place--;
    }
    return place;
}

static size_t line_end(const struct edit *edit, size_t place)
{
    while (place < edit->text.len && at(edit, place) != '\n') {
        place++;
    }
    return place;
}

static bool is_inside(char byte) /* of a character */
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

static size_t before(const struct edit *edit, size_t place)
{
    while (place > 0 && is_inside(at(edit, --place))) {
    }
    return place;
}

static size_t after(const struct edit *edit, size_t place)
{
    if (place < edit->text.len) {
        place++;
    }
    while (place < edit->text.len && is_inside(at(edit, place))) {
        place++;
    }
    return place;
}

static bool is_word(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || (unsigned char)byte >= 0x80;
}

static size_t word_before(const struct edit *edit, size_t place)
{
    while (place > 0 && !is_word(at(edit, place - 1))) {
        place--;
    }
    while (place > 0 && is_word(at(edit, place - 1))) {
        place--;
    }
    return place;
}

static size_t word_after(const struct edit *edit, size_t place)
{
    while (place < edit->text.len && !is_word(at(edit, place))) {
        place++;
    }
    while (place < edit->text.len && is_word(at(edit, place))) {
        place++;
    }
    return place;
}

/* How many characters stand before it on its line. */
static size_t column_of(const struct edit *edit, size_t place)
{
    size_t column = 0;
    for (size_t i = line_start(edit, place); i < place; i++) {
        column += is_inside(at(edit, i)) ? 0 : 1;
    }
    return column;
}

/* The place with `column` characters before it, on the line that begins at `start`. */
static size_t place_at(const struct edit *edit, size_t start, size_t column)
{
    const size_t end = line_end(edit, start);
    while (column > 0 && start < end) {
        start = after(edit, start);
        column--;
    }
    return start;
}

static void move_to(struct edit *edit, size_t place)
{
    edit->cursor = place;
    edit->has_column = false;
}

/* ---- Changes --------------------------------------------------------------------------------- */

static int put(struct edit *edit, const char *bytes, size_t len)
{
    if (buf_append(&edit->text, bytes, len) != 0) {
        return -1;
    }
    char *place = edit->text.base + edit->cursor;
    memmove(place + len, place, edit->text.len - len - edit->cursor);
    memcpy(place, bytes, len);
    move_to(edit, edit->cursor + len);
    return 0;
}

/* Takes out [from, to); the cursor ends at `from`. */
static void take_out(struct edit *edit, size_t from, size_t to)
{
    if (from < to) {
        memmove(edit->text.base + from, edit->text.base + to, edit->text.len - to);
        edit->text.len -= to - from;
    }
    move_to(edit, from);
}

static void cut_out(struct edit *edit, size_t from, size_t to)
{
    if (from < to) {
        buf_clear(&edit->cut);
        (void)buf_append(&edit->cut, edit->text.base + from,
                         to - from); /* or it cannot be got back */
        take_out(edit, from, to);
    }
}

int edit_set(struct edit *edit, struct span text)
{
    const size_t len = edit->text.len;
    if (buf_append(&edit->text, text.base, text.len) != 0) {
        return -1;
    }
    buf_consume(&edit->text, len);
    move_to(edit, edit->text.len);
    return 0;
}

int edit_insert(struct edit *edit, struct span text)
{
    for (size_t i = 0; i < text.len;) {
        size_t plain = i;
        while (plain < text.len && (unsigned char)text.base[plain] >= 0x20 &&
               text.base[plain] != 0x7F) {
            plain++;
        }
        if (plain > i && put(edit, text.base + i, plain - i) != 0) {
            return -1;
        }
        if (plain == text.len) {
            return 0;
        }
        const char control = text.base[plain];
        if ((control == '\n' || control == '\t') && put(edit, &control, 1) != 0) {
            return -1;
        }
        i = plain + 1;
    }
    return 0;
}

static size_t indentation(const struct edit *edit, size_t start)
{
    size_t end = start;
    while (end < edit->text.len && at(edit, end) == ' ') {
        end++;
    }
    return end - start;
}

int edit_newline(struct edit *edit)
{
    static const char spaces[] = "\n                                                            ";
    const size_t start = line_start(edit, edit->cursor);
    size_t indent = indentation(edit, start);
    if (indent > edit->cursor - start) {
        indent = edit->cursor - start;
    }
    size_t end = edit->cursor;
    while (end > start && at(edit, end - 1) == ' ') {
        end--;
    }
    if (end > start && at(edit, end - 1) == ':') {
        indent += INDENT;
    }
    const size_t most = sizeof spaces - 2;
    return put(edit, spaces, 1 + (indent < most ? indent : most));
}

bool edit_indent(struct edit *edit)
{
    const size_t start = line_start(edit, edit->cursor);
    if (edit->cursor - start > indentation(edit, start)) {
        return false;
    }
    const size_t column = edit->cursor - start;
    return put(edit, "    ", INDENT - column % INDENT) == 0;
}

void edit_backspace(struct edit *edit)
{
    const size_t start = line_start(edit, edit->cursor);
    const size_t column = edit->cursor - start;
    if (column > 0 && column <= indentation(edit, start)) {
        take_out(edit, start + (column - 1) / INDENT * INDENT, edit->cursor);
    } else {
        take_out(edit, before(edit, edit->cursor), edit->cursor);
    }
}

void edit_delete(struct edit *edit)
{
    take_out(edit, edit->cursor, after(edit, edit->cursor));
}

void edit_kill_to_end(struct edit *edit)
{
    const size_t end = line_end(edit, edit->cursor);
    cut_out(edit, edit->cursor, end > edit->cursor ? end : after(edit, end));
}

void edit_kill_to_start(struct edit *edit)
{
    cut_out(edit, line_start(edit, edit->cursor), edit->cursor);
}

void edit_kill_word(struct edit *edit)
{
    cut_out(edit, word_before(edit, edit->cursor), edit->cursor);
}

void edit_kill_word_ahead(struct edit *edit)
{
    cut_out(edit, edit->cursor, word_after(edit, edit->cursor));
}

int edit_yank(struct edit *edit)
{
    return edit->cut.len == 0 ? 0 : put(edit, edit->cut.base, edit->cut.len);
}

/* ---- Moves ----------------------------------------------------------------------------------- */

void edit_left(struct edit *edit)
{
    move_to(edit, before(edit, edit->cursor));
}

void edit_right(struct edit *edit)
{
    move_to(edit, after(edit, edit->cursor));
}

/* To the line that begins at `start`, as near to the column as it goes. */
static void move_to_line(struct edit *edit, size_t start)
{
    const size_t column = edit->has_column ? edit->column : column_of(edit, edit->cursor);
    edit->cursor = place_at(edit, start, column);
    edit->column = column;
    edit->has_column = true;
}

bool edit_up(struct edit *edit)
{
    const size_t start = line_start(edit, edit->cursor);
    if (start == 0) {
        return false;
    }
    move_to_line(edit, line_start(edit, start - 1));
    return true;
}

bool edit_down(struct edit *edit)
{
    const size_t end = line_end(edit, edit->cursor);
    if (end == edit->text.len) {
        return false;
    }
    move_to_line(edit, end + 1);
    return true;
}

void edit_word_left(struct edit *edit)
{
    move_to(edit, word_before(edit, edit->cursor));
}

void edit_word_right(struct edit *edit)
{
    move_to(edit, word_after(edit, edit->cursor));
}

void edit_home(struct edit *edit)
{
    move_to(edit, line_start(edit, edit->cursor));
}

void edit_end(struct edit *edit)
{
    move_to(edit, line_end(edit, edit->cursor));
}

void edit_first(struct edit *edit)
{
    move_to(edit, 0);
}

void edit_last(struct edit *edit)
{
    move_to(edit, edit->text.len);
}
