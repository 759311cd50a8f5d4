#include "cli/repl_show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fd.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "result/display.h"
#include "result/render.h"

void repl_show_init(struct repl_show *show, bool has_color)
{
    *show = (struct repl_show){.has_color = has_color, .way = graphics_of_terminal()};
}

static void write_all(struct span bytes)
{
    (void)fd_write_full(STDOUT_FILENO, bytes.base, bytes.len); /* nobody there: a read tells it */
}

static void show_text(struct repl_show *show, enum run_stream stream, struct span bytes)
{
    cleanup_buf struct buf safe;
    buf_init(&safe, 4 * bytes.len + 4 * TERMINAL_HELD_MAX);
    if (bytes.len == 0 || terminal_filter(&show->filters[stream], bytes, &safe) != 0) {
        return;
    }
    write_all(buf_span(&safe));
    show->is_in_line = bytes.base[bytes.len - 1] != '\n';
}

void repl_show_note(struct repl_show *show, const char *text)
{
    show_text(show, RUN_STDERR, span_of(show->has_color ? "\x1B[1;31m" : ""));
    show_text(show, RUN_STDERR, span_of(text));
    show_text(show, RUN_STDERR, span_of(show->has_color ? "\x1B[0m\n" : "\n"));
}

/* ---- Pictures -------------------------------------------------------------------------------- */

/* "png" for "image/png", "svg" for "image/svg+xml". */
static const char *suffix_of(const char *media_type)
{
    const char *kind = strchr(media_type, '/');
    kind = kind == NULL ? "bin" : kind + 1;
    return strncmp(kind, "svg", 3) == 0 ? "svg" : kind;
}

/* A file of the current folder that was not there before. */
static void save_picture(struct repl_show *show, const char *media_type, struct span bytes)
{
    char name[48];
    char note[128];
    cleanup_fd int fd = -1;
    while (fd < 0 && show->picture_count < LIMIT_REPL_PICTURES_MAX) {
        snprintf(name, sizeof name, "vitrine-%u.%.8s", ++show->picture_count,
                 suffix_of(media_type));
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) {
            break;
        }
    }
    if (fd < 0 || fd_write_full(fd, bytes.base, bytes.len) != 0) {
        snprintf(note, sizeof note, "a picture could not be saved: %s", strerror(errno));
        repl_show_note(show, note);
        return;
    }
    snprintf(note, sizeof note, "a picture was saved as %s\n", name);
    show_text(show, RUN_STDOUT, span_of(note));
}

/* False where the terminal shows no picture of that kind. */
static bool draw_picture(const struct repl_show *show, const char *media_type, struct span base64)
{
    cleanup_buf struct buf out;
    buf_init(&out, 2 * base64.len + 4 * KIB);
    int failed = -1;
    if (show->way == GRAPHICS_KITTY && strcmp(media_type, "image/png") == 0) {
        failed = graphics_append_kitty(&out, base64);
    } else if (show->way == GRAPHICS_ITERM) {
        failed = graphics_append_iterm(&out, base64);
    }
    if (failed == 0) {
        write_all(buf_span(&out));
    }
    return failed == 0;
}

static void show_picture(struct repl_show *show, const struct display_view *view)
{
    const bool is_svg = view->data.len > 0 && *view->data.base == '"';
    const bool has_whole = view->whole_media_type != NULL && view->whole_data.len > 0;
    const char *media_type = has_whole ? view->whole_media_type : view->media_type;
    const struct span data = has_whole ? view->whole_data : view->data;
    cleanup_buf struct buf bytes;
    buf_init(&bytes, LIMIT_REPL_PICTURE_BYTES_MAX);
    if (!is_svg && draw_picture(show, media_type, data)) {
        return;
    }
    if ((is_svg ? jtext_string_decode(&bytes, data) : base64_decode(&bytes, data)) == 0) {
        save_picture(show, media_type, buf_span(&bytes));
    }
}

static bool show_sixels(const struct repl_show *show, struct span display)
{
    struct span sixels;
    cleanup_buf struct buf text;
    cleanup_buf struct buf out;
    buf_init(&text, LIMIT_REPL_PICTURE_BYTES_MAX);
    buf_init(&out, LIMIT_REPL_PICTURE_BYTES_MAX + 64);
    if (show->way != GRAPHICS_SIXEL || !jtext_find(display, "image/sixel", &sixels) ||
        jtext_string_decode(&text, sixels) != 0 ||
        graphics_append_sixels(&out, buf_span(&text)) != 0) {
        return false;
    }
    write_all(buf_span(&out));
    return true;
}

static void show_display(struct repl_show *show, struct span bundle)
{
    struct span display;
    struct display_view view;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_DISPLAY_ITEM_BYTES_MAX + 1);
    if (!display_check(bundle, &display) || show_sixels(show, display)) {
        return;
    }
    display_look(display, NULL, &view);
    if (view.media_type != NULL) {
        show_picture(show, &view);
    } else if (!display_is_silent(&view) && display_append_text(&text, &view) == 0 &&
               buf_append_char(&text, '\n') == 0) {
        show_text(show, RUN_STDOUT, buf_span(&text));
    }
}

/* ---- Programs -------------------------------------------------------------------------------- */

void repl_show_output(struct repl_show *show, enum run_stream stream, struct span bytes)
{
    if (stream == RUN_DISPLAY) {
        show_display(show, bytes);
    } else {
        show_text(show, stream, bytes);
    }
}

static void finish_line(struct repl_show *show)
{
    cleanup_buf struct buf rest;
    buf_init(&rest, 16);
    for (unsigned i = 0; i < 2; i++) {
        (void)terminal_finish(&show->filters[i], &rest);
    }
    write_all(buf_span(&rest));
    if (show->is_in_line) {
        write_all(span_of("\n"));
        show->is_in_line = false;
    }
}

void repl_show_end(struct repl_show *show, const struct outcome *outcome)
{
    finish_line(show);
    if (outcome->status == OUTCOME_CANCELLED && outcome->error_traceback.len > 0) {
        show_text(show, RUN_STDERR, result_guest_traceback(outcome));
    } else if (outcome->status != OUTCOME_SUCCESS &&
               !span_equal(outcome->error_type, span_of("SystemExit"))) {
        show_text(show, RUN_STDERR, result_error_text(outcome));
    }
    show_text(show, RUN_STDERR, outcome->limits_text);
    finish_line(show);
}
