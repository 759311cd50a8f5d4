#include "cli/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "cli/mounts.h"
#include "cli/progress.h"
#include "packages/survey.h"

struct ask {
    const struct options *options;
    struct ask_events events;
    struct span code;
    const char *filename;
    int tty_fd;
    uv_poll_t tty;
    struct survey *survey; /* NULL once it is done */
    struct buf answer;     /* what has been typed */
    bool has_color;
};

/* ---- The terminal ---------------------------------------------------------------------------- */

static void say(const struct ask *ask, const char *text)
{
    (void)fd_write_full(ask->tty_fd, text, strlen(text)); /* nobody there: no answer comes */
}

static void say_safe(const struct ask *ask, struct span text)
{
    cleanup_buf struct buf safe;
    buf_init(&safe, 4 * text.len + 1);
    if (utf8_append_plain(&safe, text) == 0) {
        (void)fd_write_full(ask->tty_fd, safe.base, safe.len);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct ask *ask = handle->data;
    close(ask->tty_fd);
    buf_free(&ask->answer);
    free(ask);
}

static void decide(struct ask *ask, bool may_run, const struct err *err)
{
    const struct ask_events events = ask->events;
    uv_close((uv_handle_t *)&ask->tty, on_handle_closed);
    events.decided(events.context, may_run, err);
}

static bool is_yes(struct span answer)
{
    while (answer.len > 0 && strchr(" \t\r\n", answer.base[answer.len - 1]) != NULL) {
        answer.len--;
    }
    static const char *const words[] = {"y", "Y", "yes", "Yes", "YES"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_equal(answer, span_of(words[i]))) {
            return true;
        }
    }
    return false;
}

static void on_typed(uv_poll_t *tty, int status, int events)
{
    struct ask *ask = tty->data;
    char bytes[256];
    (void)events;
    ssize_t len = status != 0 ? -1 : read(ask->tty_fd, bytes, sizeof bytes);
    if (len < 0 && (errno == EAGAIN || errno == EINTR) && status == 0) {
        return;
    }
    if (len <= 0 || buf_append(&ask->answer, bytes, (size_t)len) != 0) {
        say(ask, "\n");
        decide(ask, false, NULL); /* the terminal is at its end, or somebody leans on a key */
        return;
    }
    if (memchr(bytes, '\n', (size_t)len) != NULL) {
        decide(ask, is_yes(buf_span(&ask->answer)), NULL);
    }
}

/* ---- What is shown --------------------------------------------------------------------------- */

static void show_code(const struct ask *ask)
{
    struct span rest = ask->code;
    cleanup_buf struct buf line;
    buf_init(&line, LIMIT_CODE_BYTES_MAX + 64);
    say(ask, ask->has_color ? "\x1B[1m" : "");
    say_safe(ask, span_of(ask->filename));
    say(ask, ask->has_color ? "\x1B[0m\n" : "\n");
    for (unsigned number = 1; rest.len > 0; number++) {
        const char *newline = memchr(rest.base, '\n', rest.len);
        const size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.base);
        const size_t shown = len > 0 && rest.base[len - 1] == '\r' ? len - 1 : len;
        buf_clear(&line);
        if (buf_append_format(&line, "%5u  ", number) != 0 ||
            buf_append(&line, rest.base, shown) != 0 || buf_append_char(&line, '\n') != 0) {
            return;
        }
        say_safe(ask, buf_span(&line));
        const size_t used = newline == NULL ? len : len + 1;
        rest = (struct span){rest.base + used, rest.len - used};
    }
}

static void show_reach(const struct ask *ask)
{
    const struct options *options = ask->options;
    cleanup_buf struct buf text;
    buf_init(&text, 4 * KIB);
    int failed = buf_append_text(&text, "it could reach: no network, no other programs, ");
    failed |= mounts_describe(&options->mounts, &text);
    failed |= buf_append_format(&text, "; for %g seconds, with %llu MiB of memory\n",
                                (double)options->limits.wall_ms / 1e3,
                                (unsigned long long)(options->limits.memory_bytes / MIB));
    if (failed == 0) {
        say_safe(ask, buf_span(&text));
    }
}

static void on_surveyed(void *context, struct span lines, const struct err *err)
{
    struct ask *ask = context;
    ask->survey = NULL;
    if (err != NULL) {
        decide(ask, false, err);
        return;
    }
    show_code(ask);
    say(ask, "\n");
    say_safe(ask, lines);
    show_reach(ask);
    (void)tcflush(ask->tty_fd, TCIFLUSH); /* what was typed before the question is no answer */
    say(ask, ask->has_color ? "\x1B[1mRun it? [y/N]\x1B[0m " : "Run it? [y/N] ");
    uv_poll_start(&ask->tty, UV_READABLE, on_typed);
}

/* ---- Its life -------------------------------------------------------------------------------- */

int ask_start(uv_loop_t *loop, struct packages *packages, const struct options *options,
              struct span code, const char *filename, const struct ask_events *events,
              struct ask **out, struct err *err)
{
    cleanup_fd int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return err_set(err, ERR_USAGE, "--ask needs a terminal, and there is none (%s)",
                       strerror(errno));
    }
    struct ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    *ask = (struct ask){.options = options,
                        .events = *events,
                        .code = code,
                        .filename = filename,
                        .tty_fd = fd,
                        .has_color = progress_wants_color((enum color_choice)options->color, true)};
    buf_init(&ask->answer, LIMIT_ASK_ANSWER_BYTES_MAX);
    const struct survey_events survey_events = {.context = ask, .done = on_surveyed};
    ask->survey = survey_start(packages, code, options->dependencies.items, POOL_CLIENT_OWN,
                               &survey_events, err);
    if (ask->survey == NULL) {
        free(ask);
        return -1;
    }
    uv_poll_init(loop, &ask->tty, steal_fd(&fd));
    ask->tty.data = ask;
    *out = ask;
    return 0;
}

void ask_dismiss(struct ask *ask)
{
    if (ask->survey != NULL) {
        survey_cancel(ask->survey);
    }
    uv_close((uv_handle_t *)&ask->tty, on_handle_closed);
}
