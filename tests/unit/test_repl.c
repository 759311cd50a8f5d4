/* The line editor of `vitrine repl`: keys, text, history, and what a terminal shows of them. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "repl/line.h"

/* ---- A small terminal ------------------------------------------------------------------------ */

enum { ROWS = 12, COLUMNS = 40 };

/* What a terminal would show: it knows the sequences that the screen uses, and no others. */
struct terminal {
    char cells[ROWS][COLUMNS + 1];
    unsigned row;
    unsigned column;
};

static void terminal_clear_below(struct terminal *t)
{
    memset(t->cells[t->row] + t->column, ' ', COLUMNS - t->column);
    for (unsigned i = t->row + 1; i < ROWS; i++) {
        memset(t->cells[i], ' ', COLUMNS);
    }
}

static void terminal_init(struct terminal *t)
{
    memset(t, 0, sizeof *t);
    terminal_clear_below(t);
}

static size_t terminal_sequence(struct terminal *t, const char *p)
{
    unsigned count = 1;
    size_t len = 2;
    assert_int_equal(p[1], '[');
    if (p[len] >= '0' && p[len] <= '9') {
        count = (unsigned)strtoul(p + len, NULL, 10);
        len += strspn(p + len, "0123456789;");
    }
    switch (p[len]) {
    case 'A': t->row -= count; break;
    case 'B': t->row += count; break;
    case 'C': t->column += count; break;
    case 'J': terminal_clear_below(t); break;
    case 'm': break;
    default: fail_msg("an unknown sequence: ESC%s", p + 1);
    }
    assert_true(t->row < ROWS);
    assert_true(t->column < COLUMNS);
    return len + 1;
}

static void terminal_write(struct terminal *t, struct span bytes)
{
    for (size_t i = 0; i < bytes.len;) {
        const char c = bytes.base[i];
        if (c == '\x1B') {
            i += terminal_sequence(t, bytes.base + i);
            continue;
        }
        if (c == '\r') {
            t->column = 0;
        } else if (c == '\n') {
            t->row++;
            assert_true(t->row < ROWS);
        } else {
            assert_true(t->column < COLUMNS);
            t->cells[t->row][t->column++] = c;
        }
        i++;
    }
}

static const char *terminal_row(struct terminal *t, unsigned row)
{
    static char text[COLUMNS + 1];
    memcpy(text, t->cells[row], sizeof text);
    for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--) {
        text[len - 1] = '\0';
    }
    return text;
}

/* ---- One editor on it ------------------------------------------------------------------------ */

struct desk {
    struct keys keys;
    struct line line;
    struct terminal terminal;
    enum line_wish wish; /* of the last key */
};

static void desk_open(struct desk *desk)
{
    memset(desk, 0, sizeof *desk);
    line_init(&desk->line, false);
    desk->line.screen.columns = COLUMNS;
    desk->line.screen.rows = ROWS;
    terminal_init(&desk->terminal);
}

static void on_key(void *context, const struct key *key)
{
    struct desk *desk = context;
    desk->wish = line_take(&desk->line, key);
}

static void draw(struct desk *desk)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(line_draw(&desk->line, &out), 0);
    terminal_write(&desk->terminal, buf_span(&out));
    buf_free(&out);
}

static void type(struct desk *desk, const char *bytes)
{
    keys_feed(&desk->keys, span_of(bytes), on_key, desk);
    draw(desk);
}

static void submit(struct desk *desk, const char *expected)
{
    struct buf input;
    struct buf out;
    buf_init(&input, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(line_submit(&desk->line, &input, &out), 0);
    terminal_write(&desk->terminal, buf_span(&out));
    assert_int_equal(input.len, strlen(expected));
    assert_memory_equal(input.base, expected, input.len);
    buf_free(&input);
    buf_free(&out);
}

static void assert_text(const struct desk *desk, const char *before, const char *behind)
{
    const struct edit *edit = &desk->line.edit;
    assert_int_equal(edit->text.len, strlen(before) + strlen(behind));
    assert_int_equal(edit->cursor, strlen(before));
    if (edit->text.len > 0) {
        assert_memory_equal(edit->text.base, before, edit->cursor);
        assert_memory_equal(edit->text.base + edit->cursor, behind, strlen(behind));
    }
}

/* ---- Editing --------------------------------------------------------------------------------- */

static void moves_and_deletes(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    type(&desk, "one two three");
    type(&desk, "\x1B[1;5D\x1B[1;5D");
    assert_text(&desk, "one ", "two three");
    type(&desk, "\x0B");
    assert_text(&desk, "one ", "");
    type(&desk, "\x19\x19");
    assert_text(&desk, "one two threetwo three", "");
    type(&desk, "\x17\x01\x1B[C\x04");
    assert_text(&desk, "o", "e two threetwo ");
    type(&desk, "\x1B[H\x1B[3~\x05\x7F");
    assert_text(&desk, "e two threetwo", "");
    type(&desk, "\x15");
    assert_text(&desk, "", "");
    assert_int_equal(desk.wish, LINE_NOTHING);
    type(&desk, "\x04");
    assert_int_equal(desk.wish, LINE_END);
    line_free(&desk.line);
}

static void characters_are_whole(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    type(&desk, "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x90\x8D");
    type(&desk, "\x1B[D\x1B[D");
    assert_text(&desk, "a\xC3\xA4", "\xE2\x82\xAC\xF0\x9F\x90\x8D");
    type(&desk, "\x7F\x04");
    assert_text(&desk, "a", "\xF0\x9F\x90\x8D");
    type(&desk, "\xFF\xC3(\x05"); /* what is no UTF-8 is left out */
    assert_text(&desk, "a\xF0\x9F\x90\x8D", "");
    line_free(&desk.line);
}

static void indents_and_dedents(void **state)
{
    struct desk desk;
    struct buf out;
    (void)state;
    desk_open(&desk);
    buf_init(&out, 1 << 16);
    type(&desk, "if x:\r");
    assert_int_equal(desk.wish, LINE_ENTER);
    assert_int_equal(line_newline(&desk.line, &out), 0);
    terminal_write(&desk.terminal, buf_span(&out));
    assert_text(&desk, "if x:\n    ", "");
    type(&desk, "for y in z: \x1B\r");
    assert_text(&desk, "if x:\n    for y in z: \n        ", "");
    type(&desk, "\x7F");
    assert_text(&desk, "if x:\n    for y in z: \n    ", "");
    type(&desk, "  \t");
    assert_text(&desk, "if x:\n    for y in z: \n        ", "");
    type(&desk, "q\t");
    assert_int_equal(desk.wish, LINE_TAB);
    buf_free(&out);
    line_free(&desk.line);
}

static void lines_are_walked(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    type(&desk, "\x1B[200~long line\nab\r\nlonger line\x1B[201~");
    assert_text(&desk, "long line\nab\nlonger line", "");
    type(&desk, "\x1B[A");
    assert_text(&desk, "long line\nab", "\nlonger line");
    type(&desk, "\x1B[A");
    assert_text(&desk, "long line", "\nab\nlonger line");
    type(&desk, "\x1B[B\x1B[B");
    assert_text(&desk, "long line\nab\nlonger line", "");
    type(&desk, "\x1B<");
    assert_text(&desk, "", "long line\nab\nlonger line");
    line_free(&desk.line);
}

static void pasted_bytes_are_no_keys(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    type(&desk, "\x1B[200~a\x03\x1B[A\tb\x1B[20");
    type(&desk, "1~c");
    /* Of a sequence its ESC is dropped with what might have been the end of the paste. */
    assert_int_equal(desk.line.edit.text.base[0], 'a');
    assert_null(memchr(desk.line.edit.text.base, '\x1B', desk.line.edit.text.len));
    assert_null(memchr(desk.line.edit.text.base, '\x03', desk.line.edit.text.len));
    assert_int_equal(desk.line.edit.text.base[desk.line.edit.text.len - 1], 'c');
    assert_false(desk.keys.is_pasting);
    line_free(&desk.line);
}

static void unknown_sequences_do_nothing(void **state)
{
    struct desk desk;
    char longest[200];
    (void)state;
    desk_open(&desk);
    type(&desk, "a\x1B[99;99~\x1B[?1;2c\x1BOP\x1Bx\x1B\x1B[D");
    assert_text(&desk, "", "a");
    memset(longest, '1', sizeof longest);
    memcpy(longest, "\x1B[", 2);
    longest[sizeof longest - 2] = 'z';
    longest[sizeof longest - 1] = '\0';
    type(&desk, longest);
    assert_text(&desk, "", "a");
    type(&desk, "b");
    assert_text(&desk, "b", "a");
    line_free(&desk.line);
}

/* ---- The screen ------------------------------------------------------------------------------ */

static void shows_what_was_typed(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    draw(&desk);
    assert_string_equal(terminal_row(&desk.terminal, 0), ">>>");
    assert_int_equal(desk.terminal.column, 4);
    type(&desk, "\x1B[200~def f():\n    return 1\x1B[201~");
    assert_string_equal(terminal_row(&desk.terminal, 0), ">>> def f():");
    assert_string_equal(terminal_row(&desk.terminal, 1), "...     return 1");
    assert_int_equal(desk.terminal.row, 1);
    assert_int_equal(desk.terminal.column, 16);
    type(&desk, "\x1B[A\x1B[D");
    assert_int_equal(desk.terminal.row, 0);
    submit(&desk, "def f():\n    return 1");
    draw(&desk);
    assert_string_equal(terminal_row(&desk.terminal, 2), ">>>");
    assert_int_equal(desk.terminal.row, 2);
    line_free(&desk.line);
}

static void long_lines_wrap(void **state)
{
    struct desk desk;
    char text[COLUMNS * 2 + 1];
    (void)state;
    desk_open(&desk);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    type(&desk, text);
    assert_int_equal(desk.terminal.row, 2);
    type(&desk, "\x01");
    assert_int_equal(desk.terminal.row, 0);
    assert_int_equal(desk.terminal.column, 4);
    type(&desk, "\x0B");
    assert_string_equal(terminal_row(&desk.terminal, 0), ">>>");
    assert_string_equal(terminal_row(&desk.terminal, 1), "");
    line_free(&desk.line);
}

static void more_lines_than_rows_are_cut(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    for (int i = 0; i < 3 * ROWS; i++) {
        type(&desk, "x\x1B\r");
    }
    assert_int_equal(desk.terminal.row, ROWS - 1);
    type(&desk, "\x1B<");
    assert_int_equal(desk.terminal.row, 0);
    type(&desk, "\x1B>");
    assert_int_equal(desk.terminal.row, ROWS - 1);
    line_free(&desk.line);
}

/* ---- History --------------------------------------------------------------------------------- */

static void enter(struct desk *desk, const char *text)
{
    type(desk, text);
    submit(desk, text);
}

static void history_is_walked(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    enter(&desk, "first");
    enter(&desk, "second");
    enter(&desk, "second");
    enter(&desk, " secret");
    type(&desk, "thi\x1B[A");
    assert_text(&desk, "second", "");
    type(&desk, "\x1B[A\x1B[A");
    assert_text(&desk, "first", "");
    type(&desk, "\x1B[B\x1B[B\x1B[B");
    assert_text(&desk, "thi", "");
    line_free(&desk.line);
}

static void history_is_searched(void **state)
{
    struct desk desk;
    (void)state;
    desk_open(&desk);
    enter(&desk, "alpha = 1");
    enter(&desk, "beta = 2");
    enter(&desk, "alphabet");
    type(&desk, "\x12"
                "alp");
    assert_string_equal(terminal_row(&desk.terminal, 3), "(search) alp");
    assert_string_equal(terminal_row(&desk.terminal, 4), "         alphabet");
    type(&desk, "\x12\x05");
    assert_text(&desk, "alpha = 1", "");
    type(&desk, "\x12"
                "beta\x07");
    assert_text(&desk, "alpha = 1", "");
    line_free(&desk.line);
}

static void history_survives_in_a_file(void **state)
{
    struct history one;
    struct history two;
    struct err err;
    char path[] = "/tmp/vitrine-history-XXXXXX";
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    history_init(&one);
    history_init(&two);
    history_add(&one, span_of("if x:\n    print('\\n')"));
    history_add(&one, span_of("\\"));
    assert_int_equal(history_save(&one, path, &err), 0);
    assert_int_equal(history_load(&two, path, &err), 0);
    assert_int_equal(two.count, 2);
    assert_string_equal(two.blocks[0], "if x:\n    print('\\n')");
    assert_string_equal(two.blocks[1], "\\");
    unlink(path);
    assert_int_equal(history_load(&two, path, &err), 0); /* none is no mistake */
    for (unsigned i = 0; i < 2 * LIMIT_REPL_HISTORY_COUNT_MAX; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        history_add(&one, span_of(text));
    }
    assert_int_equal(one.count, LIMIT_REPL_HISTORY_COUNT_MAX);
    history_free(&one);
    history_free(&two);
}

/* ---- Completion ------------------------------------------------------------------------------ */

static void words_are_completed(void **state)
{
    struct desk desk;
    struct buf out;
    const struct span words[] = {{"isinstance", 10}, {"issubclass", 10}};
    (void)state;
    desk_open(&desk);
    buf_init(&out, 1 << 16);
    type(&desk, "\xC3\xA4 = i");
    assert_int_equal(line_complete(&desk.line, 4, words, 2, &out), 0);
    assert_text(&desk, "\xC3\xA4 = is", "");
    assert_int_equal(line_complete(&desk.line, 4, words, 2, &out), 0);
    terminal_write(&desk.terminal, buf_span(&out));
    assert_string_equal(terminal_row(&desk.terminal, 1), "isinstance  issubclass");
    assert_int_equal(line_complete(&desk.line, 4, words, 1, &out), 0);
    assert_text(&desk, "\xC3\xA4 = isinstance", "");
    assert_int_equal(line_complete(&desk.line, 4, words, 0, &out), 0);
    assert_int_equal(line_complete(&desk.line, 1000, words, 1, &out), 0); /* a lie is no matter */
    buf_free(&out);
    line_free(&desk.line);
}

int main(void)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_and_deletes),
        cmocka_unit_test(characters_are_whole),
        cmocka_unit_test(indents_and_dedents),
        cmocka_unit_test(lines_are_walked),
        cmocka_unit_test(pasted_bytes_are_no_keys),
        cmocka_unit_test(unknown_sequences_do_nothing),
        cmocka_unit_test(shows_what_was_typed),
        cmocka_unit_test(long_lines_wrap),
        cmocka_unit_test(more_lines_than_rows_are_cut),
        cmocka_unit_test(history_is_walked),
        cmocka_unit_test(history_is_searched),
        cmocka_unit_test(history_survives_in_a_file),
        cmocka_unit_test(words_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
