/* MCP's content: what a model reads, then what it and people look at. */
#include "base/jtext.h"
#include "result/display.h"
#include "result/render.h"

static int append_pictures(struct buf *out, const struct result *result)
{
    struct span rest = buf_span(&result->transcript->bytes[RUN_DISPLAY]);
    struct display_room room;
    display_room_init(&room, result->picture_bytes_max);
    for (unsigned number = 1; rest.len > 0; number++) {
        const char *newline = memchr(rest.base, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.base);
        struct display_view view;
        display_look((struct span){rest.base, len}, &room, &view);
        if (display_append_content(out, &view, number) != 0) {
            return -1;
        }
        len += newline == NULL ? 0 : 1;
        rest = (struct span){rest.base + len, rest.len - len};
    }
    return 0;
}

int result_append_content(struct buf *out, enum result_mode mode, const struct result *result)
{
    cleanup_buf struct buf text;
    buf_init(&text, out->bytes_max);
    if (result_append_text(&text, mode, result) != 0 ||
        buf_append_text(out, "{\"type\":\"text\",\"text\":") != 0 ||
        jtext_append_string(out, buf_span(&text)) != 0 || buf_append_char(out, '}') != 0) {
        return -1;
    }
    return append_pictures(out, result);
}
