#include "repl/screen.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

enum { TAB_COLUMNS = 8, COLUMNS_MIN = 20, ROWS_MIN = 2 };

static const char replacement[] = "\xEF\xBF\xBD";

/* One character as it is shown. */
struct glyph {
    size_t len;       /* bytes of the text */
    unsigned columns; /* that it takes */
    bool is_tab;
    bool is_replaced;
};

static bool is_reordering(wchar_t c)
{
    return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x2028 ||
           c == 0x2029;
}

static wchar_t decode(struct span text, size_t *len)
{
    const unsigned char *b = (const unsigned char *)text.base;
    *len = b[0] < 0x80 ? 1 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
    if (*len > text.len) {
        *len = text.len;
        return 0;
    }
    switch (*len) {
    case 1: return b[0];
    case 2: return (wchar_t)((b[0] & 0x1FU) << 6 | (b[1] & 0x3FU));
    case 3: return (wchar_t)((b[0] & 0x0FU) << 12 | (b[1] & 0x3FU) << 6 | (b[2] & 0x3FU));
    default:
        return (wchar_t)((b[0] & 0x07U) << 18 | (b[1] & 0x3FU) << 12 | (b[2] & 0x3FU) << 6 |
                         (b[3] & 0x3FU));
    }
}

static struct glyph glyph_at(struct span text, unsigned column)
{
    struct glyph glyph = {.len = 1};
    if (*text.base == '\t') {
        glyph.is_tab = true;
        glyph.columns = TAB_COLUMNS - column % TAB_COLUMNS;
        return glyph;
    }
    const wchar_t c = decode(text, &glyph.len);
    const int width = c == 0 || is_reordering(c) ? -1 : wcwidth(c);
    glyph.is_replaced = width < 0;
    glyph.columns = width < 0 ? 1 : (unsigned)width;
    return glyph;
}

/* Walks through the text as it wraps; draws rows [first, last) when there is an `out`. */
struct walk {
    const struct screen_prompt *prompt;
    unsigned columns;
    unsigned row;
    unsigned column;
    struct buf *out;
    unsigned first;
    unsigned last;
    int failed;
};

static bool is_visible(const struct walk *walk)
{
    return walk->out != NULL && walk->row >= walk->first && walk->row < walk->last;
}

static void put(struct walk *walk, const char *bytes, size_t len)
{
    if (is_visible(walk)) {
        walk->failed |= buf_append(walk->out, bytes, len);
    }
}

static void new_row(struct walk *walk)
{
    walk->row++;
    walk->column = 0;
    if (is_visible(walk) && walk->row > walk->first) {
        put(walk, "\r\n", 2);
    }
}

static void put_prompt(struct walk *walk, const char *text)
{
    const char *color = walk->prompt->color;
    put(walk, color, strlen(color));
    put(walk, text, strlen(text));
    put(walk, "\x1B[0m", *color == '\0' ? 0 : 4);
    walk->column += (unsigned)strlen(text);
}

static void put_glyph(struct walk *walk, struct span text, const struct glyph *glyph)
{
    static const char spaces[TAB_COLUMNS + 1] = "        ";
    if (glyph->is_tab) {
        put(walk, spaces, glyph->columns);
    } else if (glyph->is_replaced) {
        put(walk, replacement, sizeof replacement - 1);
    } else {
        put(walk, text.base, glyph->len);
    }
    walk->column += glyph->columns;
}

/* Where the walk stands in front of offset `until`. */
static void walk_text(struct walk *walk, struct span text, size_t until)
{
    put_prompt(walk, walk->prompt->first);
    for (size_t i = 0; i < until;) {
        const struct span rest = {text.base + i, text.len - i};
        if (*rest.base == '\n') {
            new_row(walk);
            put_prompt(walk, walk->prompt->more);
            i++;
            continue;
        }
        struct glyph glyph = glyph_at(rest, walk->column);
        if (walk->column + glyph.columns >= walk->columns) {
            new_row(walk);
            glyph = glyph_at(rest, walk->column);
        }
        put_glyph(walk, rest, &glyph);
        i += glyph.len;
    }
}

static struct walk walk_begin(const struct screen *screen, const struct screen_prompt *prompt)
{
    return (struct walk){
        .prompt = prompt,
        .columns = screen->columns < COLUMNS_MIN ? COLUMNS_MIN : screen->columns,
    };
}

/* To the first row of the drawing, and nothing below it any more. */
static int go_back(struct buf *out, const struct screen *screen)
{
    int failed = buf_append_char(out, '\r');
    if (screen->cursor_row > 0) {
        failed |= buf_append_format(out, "\x1B[%uA", screen->cursor_row);
    }
    return failed | buf_append_text(out, "\x1B[J");
}

int screen_draw(struct buf *out, struct screen *screen, const struct screen_prompt *prompt,
                struct span text, size_t cursor)
{
    struct walk to_cursor = walk_begin(screen, prompt);
    struct walk all = walk_begin(screen, prompt);
    walk_text(&to_cursor, text, cursor);
    walk_text(&all, text, text.len);
    const unsigned height = screen->rows < ROWS_MIN ? ROWS_MIN : screen->rows;
    const unsigned count = all.row + 1;

    struct walk walk = walk_begin(screen, prompt);
    walk.out = out;
    walk.first = count <= height || to_cursor.row < height / 2 ? 0 : to_cursor.row - height / 2;
    if (count > height && walk.first + height > count) {
        walk.first = count - height;
    }
    walk.last = walk.first + height < count ? walk.first + height : count;

    int failed = go_back(out, screen);
    walk_text(&walk, text, text.len);
    const unsigned up = walk.last - 1 - to_cursor.row;
    if (up > 0) {
        failed |= buf_append_format(out, "\x1B[%uA", up);
    }
    failed |= buf_append_char(out, '\r');
    if (to_cursor.column > 0) {
        failed |= buf_append_format(out, "\x1B[%uC", to_cursor.column);
    }
    screen->cursor_row = to_cursor.row - walk.first;
    screen->drawn_rows = walk.last - walk.first;
    return failed | walk.failed;
}

int screen_leave(struct buf *out, struct screen *screen)
{
    int failed = 0;
    if (screen->drawn_rows > screen->cursor_row + 1) {
        failed |= buf_append_format(out, "\x1B[%uB", screen->drawn_rows - 1 - screen->cursor_row);
    }
    failed |= buf_append_text(out, "\r\n");
    screen->cursor_row = 0;
    screen->drawn_rows = 0;
    return failed;
}

int screen_erase(struct buf *out, struct screen *screen)
{
    const int failed = go_back(out, screen);
    screen->cursor_row = 0;
    screen->drawn_rows = 0;
    return failed;
}
