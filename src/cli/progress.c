#include "cli/progress.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/terminal.h"

enum { COLUMNS_DEFAULT = 80, COLUMNS_MIN = 20, COLUMNS_MAX = 200, LINE_BYTES_MAX = 4096 };

static const char clear_line[] = "\r\x1B[K";

bool progress_wants_color(enum color_choice choice, bool is_terminal)
{
    switch (choice) {
    case COLOR_ALWAYS: return true;
    case COLOR_NEVER: return false;
    case COLOR_AUTO: break;
    }
    const char *none = getenv("NO_COLOR");
    return is_terminal && (none == NULL || *none == '\0');
}

void progress_init(struct progress *progress, const struct options *options)
{
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    *progress = (struct progress){
        .fd = is_terminal && options->verbosity == 0 ? STDERR_FILENO : -1,
        .has_color = progress_wants_color((enum color_choice)options->color, is_terminal),
        .is_verbose = options->verbosity > 0,
        .keeps_warnings = options->command != COMMAND_RUN || options->verbosity > 0};
    buf_init(&progress->last, LINE_BYTES_MAX);
}

static unsigned terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col < COLUMNS_MIN) {
        return COLUMNS_DEFAULT;
    }
    return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

/* A byte that starts a character, and not one that goes on with it. */
static bool is_first_byte(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

int progress_append_line(struct buf *out, struct span line, unsigned columns)
{
    cleanup_buf struct buf plain;
    cleanup_buf struct buf safe;
    struct terminal_filter filter = {0};
    buf_init(&plain, LINE_BYTES_MAX);
    buf_init(&safe, 4 * LINE_BYTES_MAX);
    size_t len = line.len < LINE_BYTES_MAX ? line.len : LINE_BYTES_MAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line.base[i];
        if (buf_append_char(&plain, c < 0x20 || c == 0x7F ? ' ' : (char)c) != 0) {
            return -1;
        }
    }
    if (terminal_filter(&filter, buf_span(&plain), &safe) != 0 ||
        terminal_finish(&filter, &safe) != 0) {
        return -1;
    }
    size_t end = 0;
    for (unsigned shown = 0; end < safe.len; end++) {
        if (is_first_byte(safe.base[end]) && shown++ == columns) {
            break;
        }
    }
    return buf_append(out, safe.base, end);
}

static void log_line(struct progress *progress, enum log_level level, struct span line)
{
    cleanup_buf struct buf text;
    buf_init(&text, (size_t)4 * LINE_BYTES_MAX);
    progress_clear(progress);
    if (progress_append_line(&text, line, LINE_BYTES_MAX) == 0) {
        log_write(level, "%.*s", (int)text.len, text.base);
        buf_clear(&progress->last);
        (void)buf_append(&progress->last, line.base, line.len);
    }
}

static void show_line(struct progress *progress, struct span line)
{
    static const char prefix[] = "vitrine: ";
    cleanup_buf struct buf text;
    buf_init(&text, (size_t)8 * LINE_BYTES_MAX);
    if (progress->column == 0) {
        progress->column = terminal_columns(progress->fd);
    }
    if (buf_append_text(&text, clear_line) == 0 &&
        buf_append_text(&text, progress->has_color ? "\x1B[2m" : "") == 0 &&
        buf_append_text(&text, prefix) == 0 &&
        progress_append_line(&text, line, progress->column - (unsigned)sizeof prefix) == 0 &&
        buf_append_text(&text, progress->has_color ? "\x1B[0m" : "") == 0 &&
        fd_write_full(progress->fd, text.base, text.len) == 0) {
        progress->is_shown = true;
    }
}

void progress_log(struct progress *progress, enum packages_level level, struct span line)
{
    bool is_kept = level == PACKAGES_WARNING && progress->keeps_warnings;
    if (is_kept) {
        log_line(progress, LOG_LEVEL_WARNING, line);
    } else if (progress->fd >= 0 && level != PACKAGES_DEBUG) {
        show_line(progress, line);
    } else if (level == PACKAGES_INFO || progress->is_verbose) {
        log_line(progress, LOG_LEVEL_INFO, line);
    }
}

bool progress_has_said(const struct progress *progress, struct span line)
{
    return line.len > 0 && progress->keeps_warnings && span_equal(buf_span(&progress->last), line);
}

void progress_clear(struct progress *progress)
{
    if (progress->is_shown) {
        progress->is_shown = false;
        (void)fd_write_full(progress->fd, clear_line, sizeof clear_line - 1);
    }
}
