/* Pictures that were made smaller for a result are kept whole, as files beside it. */
#include "base/base64.h"
#include "base/limits.h"
#include "result/display.h"
#include "result/render.h"

int display_append_whole_name(struct buf *out, const struct display_view *view, unsigned number)
{
    return buf_append_format(out, "display-%u.%s", number,
                             view->whole_media_type + sizeof "image/" - 1);
}

static void add_whole(struct result_files *files, const struct display_view *view, unsigned number)
{
    cleanup_buf struct buf name;
    cleanup_buf struct buf bytes;
    buf_init(&name, RESULT_URI_BYTES_MAX);
    buf_init(&bytes, LIMIT_DISPLAY_ITEM_BYTES_MAX);
    if (display_append_whole_name(&name, view, number) != 0 ||
        base64_decode(&bytes, view->whole_data) != 0) {
        files->left_out++;
        return;
    }
    struct run_made made = {.name = buf_span(&name),
                            .size = bytes.len,
                            .media_type = view->whole_media_type,
                            .has_content = true,
                            .content = buf_span(&bytes)};
    result_files_add(files, &made);
}

void result_add_wholes(struct result_files *files, const struct transcript *transcript)
{
    struct span rest = buf_span(&transcript->bytes[RUN_DISPLAY]);
    for (unsigned number = 1; rest.len > 0; number++) {
        const char *newline = memchr(rest.base, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.base);
        struct display_view view;
        display_look((struct span){rest.base, len}, NULL, &view);
        if (view.whole_media_type != NULL) {
            add_whole(files, &view, number);
        }
        len += newline == NULL ? 0 : 1;
        rest = (struct span){rest.base + len, rest.len - len};
    }
}
