/*
 * The bytes of a terminal, in `vitrine repl`: whatever is typed or pasted, the text stays UTF-8
 * without controls, the cursor at the border of a character, and what is drawn steers the terminal
 * by the screen's own sequences alone. The first two bytes are the size of the terminal.
 */
#include <assert.h>
#include <locale.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "repl/line.h"

enum { INPUT_BYTES_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct edit *edit)
{
    const struct span text = buf_span(&edit->text);
    assert(edit->cursor <= text.len);
    assert(utf8_valid(text));
    assert(utf8_valid((struct span){text.base, edit->cursor}));
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.base[i];
        assert((c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t');
    }
}

/* ESC [ number letter, of the few that the screen has; no other control. */
static void check_drawing(struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        const unsigned char c = (unsigned char)bytes.base[i];
        if (c != 0x1B) {
            assert((c >= 0x20 && c != 0x7F) || c == '\r' || c == '\n');
            continue;
        }
        i++;
        assert(i < bytes.len && bytes.base[i] == '[');
        do {
            i++;
            assert(i < bytes.len);
        } while (strchr("0123456789;", bytes.base[i]) != NULL);
        assert(strchr("ABCJm", bytes.base[i]) != NULL);
    }
}

static void draw(struct line *line)
{
    cleanup_buf struct buf out;
    buf_init(&out, 1U << 24);
    const int failed = line_draw(line, &out);
    assert(failed == 0);
    check_drawing(buf_span(&out));
    assert(line->screen.cursor_row < line->screen.drawn_rows);
}

static void on_key(void *context, const struct key *key)
{
    struct line *line = context;
    static const struct span words[] = {{"print", 5}, {"property", 8}};
    cleanup_buf struct buf out;
    cleanup_buf struct buf input;
    buf_init(&out, 1U << 24);
    buf_init(&input, 1U << 24);
    switch (line_take(line, key)) {
    case LINE_ENTER:
        if (line->edit.text.len % 2 == 0) {
            (void)line_submit(line, &input, &out);
        } else {
            (void)line_newline(line, &out);
        }
        break;
    case LINE_TAB: (void)line_complete(line, line->edit.cursor / 2, words, 2, &out); break;
    case LINE_INTERRUPT: (void)line_drop(line, &out); break;
    case LINE_NOTHING:
    case LINE_END:
    case LINE_CLEAR: break;
    }
    check_text(&line->edit);
    check_drawing(buf_span(&out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line line;
    struct keys keys = {0};
    if (size < 2 || size > INPUT_BYTES_MAX) {
        return 0;
    }
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    line_init(&line, data[0] % 2 == 1);
    line.screen.columns = data[0];
    line.screen.rows = data[1];
    const struct span bytes = {(const char *)data + 2, size - 2};
    const size_t half = bytes.len / 2;
    keys_feed(&keys, (struct span){bytes.base, half}, on_key, &line);
    draw(&line);
    keys_feed(&keys, (struct span){bytes.base + half, bytes.len - half}, on_key, &line);
    draw(&line);
    line_free(&line);
    return 0;
}
