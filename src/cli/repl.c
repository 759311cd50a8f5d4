/* vitrine repl: Python at a prompt, behind glass. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jtext.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/mounts.h"
#include "cli/option_values.h"
#include "cli/parts.h"
#include "cli/progress.h"
#include "cli/repl_show.h"
#include "pool/session.h"
#include "repl/line.h"
#include "result/render.h"

enum { SIGNAL_COUNT = 3, READ_BYTES = 4096 };

/* What the prompt waits for. Keys that come meanwhile are kept for later, but for Ctrl-C. */
enum state {
    STATE_STARTING,
    STATE_EDITING,
    STATE_CHECKING,   /* whether an input is complete */
    STATE_COMPLETING, /* how a word goes on */
    STATE_RUNNING,
    STATE_ENDING,
};

struct repl {
    const struct options *options;
    uv_loop_t loop;
    uv_tty_t terminal;
    uv_timer_t soon;
    uv_signal_t signals[SIGNAL_COUNT];
    struct pool *pool;
    struct packages *packages;
    struct pool_session *session;
    bool has_told; /* the last outcome said that the session has ended */
    enum state state;
    struct keys keys;
    struct line line;
    struct buf ahead; /* what was typed and not looked at yet */
    size_t ahead_at;
    struct buf out; /* what is to be written to the terminal */
    struct packages_run *current;
    unsigned interrupts; /* of the program that runs */
    unsigned input_count;
    struct progress progress;
    struct repl_show show;
    const char *env[LIMIT_ENV_COUNT_MAX + 1];
    char history_path[PATH_MAX];
    char chunk[READ_BYTES];
};

static const char begins_anew[] = "its variables and files are gone; what follows begins anew";

static void edit_on(struct repl *repl);
static void open_session(struct repl *repl);

/* ---- The terminal ---------------------------------------------------------------------------- */

static void flush(struct repl *repl)
{
    if (fd_write_full(STDOUT_FILENO, repl->out.base, repl->out.len) != 0) {
        repl->state = STATE_ENDING; /* nobody is there any more */
    }
    buf_clear(&repl->out);
}

static void measure(struct repl *repl)
{
    int columns = 0;
    int rows = 0;
    if (uv_tty_get_winsize(&repl->terminal, &columns, &rows) != 0 || columns <= 0 || rows <= 0) {
        columns = 80;
        rows = 24;
    }
    repl->line.screen.columns = (unsigned)columns;
    repl->line.screen.rows = (unsigned)rows;
}

static void draw(struct repl *repl)
{
    (void)line_draw(&repl->line, &repl->out); /* without memory, it is drawn at the next key */
    flush(repl);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void save_history(struct repl *repl)
{
    struct err err;
    if (*repl->history_path != '\0' &&
        history_save(&repl->line.history, repl->history_path, &err) != 0) {
        log_warning("the history could not be saved: %s", err.text);
    }
}

_Noreturn static void leave(struct repl *repl, int status)
{
    (void)buf_append_text(&repl->out, "\x1B[?2004l");
    flush(repl);
    (void)uv_tty_reset_mode();
    save_history(repl);
    _exit(status); /* the zygotes end with their sockets */
}

/* ---- Programs of ours, beside ---------------------------------------------------------------- */

static void answer_check(struct repl *repl, const struct outcome *outcome);
static void answer_complete(struct repl *repl, const struct outcome *outcome);

static void on_aside_done(void *context, const struct outcome *outcome)
{
    struct repl *repl = context;
    if (repl->state == STATE_CHECKING) {
        answer_check(repl, outcome);
    } else if (repl->state == STATE_COMPLETING) {
        answer_complete(repl, outcome);
    }
    edit_on(repl);
}

/* Asks python/vitrine/repl.py about a text. Where the session's variables matter, and it has some,
 * the question is run beside its program. -1 when that cannot be done now. */
static int ask_aside(struct repl *repl, const char *code, struct span text, bool of_session)
{
    cleanup_buf struct buf globals;
    struct pool_run *run;
    struct err err;
    buf_init(&globals, LIMIT_GLOBALS_BYTES_MAX);
    if (buf_append_text(&globals, "{\"text\":") != 0 || jtext_append_string(&globals, text) != 0 ||
        buf_append_char(&globals, '}') != 0) {
        return -1;
    }
    const bool is_there = of_session && pool_session_has_state(repl->session);
    struct run_request request = {.code = span_of(code),
                                  .filename = "<repl>",
                                  .globals_json = buf_span(&globals),
                                  .want_value = true,
                                  .limits = repl->options->limits,
                                  .session = is_there ? repl->session : NULL,
                                  .is_aside = is_there,
                                  .client = POOL_CLIENT_OWN};
    request.limits.wall_ms = LIMIT_REPL_ASIDE_MS;
    request.limits.grace_ms = LIMIT_REPL_ASIDE_MS; /* to be killed would end the session */
    const struct run_events events = {.context = repl, .done = on_aside_done};
    return pool_run(repl->pool, &request, &events, &run, &err);
}

/* ---- Input that is complete ------------------------------------------------------------------ */

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    struct repl *repl = context;
    progress_clear(&repl->progress);
    repl_show_output(&repl->show, stream, bytes);
}

static void on_log(void *context, enum packages_level level, struct span line)
{
    struct repl *repl = context;
    progress_log(&repl->progress, level, line);
}

static void on_installing(void *context, bool is_installing)
{
    struct repl *repl = context;
    if (!is_installing) {
        progress_clear(&repl->progress);
    }
}

/* The session is still there. */
static void on_soon(uv_timer_t *timer)
{
    struct repl *repl = timer->data;
    repl->has_told = false;
    edit_on(repl);
}

/* Whether the session has ended with it is told next. */
static void on_done(void *context, const struct outcome *outcome)
{
    struct repl *repl = context;
    repl->current = NULL;
    progress_clear(&repl->progress);
    repl_show_end(&repl->show, outcome);
    if (span_equal(outcome->error_type, span_of("SystemExit"))) {
        leave(repl, outcome->exit_code);
    }
    repl->has_told = outcome->status != OUTCOME_SUCCESS && outcome->status != OUTCOME_RUN_ERROR;
    if (repl->has_told) {
        uv_timer_start(&repl->soon, on_soon, LIMIT_REPL_ENDED_MS, 0);
    } else {
        edit_on(repl);
    }
}

/* It comes after the outcome of the run that it ended with. */
static void on_session_ended(void *context, enum pool_session_end end, const char *why)
{
    struct repl *repl = context;
    (void)end;
    if (!repl->has_told) {
        (void)line_drop(&repl->line, &repl->out); /* it ended by itself, at the prompt */
        flush(repl);
        repl_show_note(&repl->show, why);
        repl_show_note(&repl->show, begins_anew);
    }
    uv_timer_stop(&repl->soon);
    repl->has_told = false;
    pool_session_close(repl->session);
    repl->session = NULL;
    open_session(repl);
    if (repl->current == NULL) {
        edit_on(repl);
    }
}

static void open_session(struct repl *repl)
{
    struct err err;
    const struct pool_session_config config = {.client = POOL_CLIENT_OWN,
                                               .memory_bytes = repl->options->limits.memory_bytes,
                                               .idle_ms = LIMIT_POOL_SESSION_MS_MAX,
                                               .life_ms = LIMIT_POOL_SESSION_MS_MAX};
    const struct pool_session_events events = {.context = repl, .ended = on_session_ended};
    if (pool_session_open(repl->pool, &config, &events, &repl->session, &err) != 0) {
        log_error("%s", err.text);
        leave(repl, EXIT_OURS);
    }
}

static void run_input(struct repl *repl, struct span input)
{
    char filename[48];
    struct err err;
    snprintf(filename, sizeof filename, "<python-input-%u>", repl->input_count++);
    struct run_request request = {.code = input,
                                  .filename = filename,
                                  .env = repl->env,
                                  .shows_value = true,
                                  .limits = repl->options->limits,
                                  .session = repl->session,
                                  .client = POOL_CLIENT_OWN};
    request.limits.cancel_grace_ms = LIMIT_GRACE_MS_MAX; /* a second Ctrl-C does not wait for it */
    const struct packages_events events = {.context = repl,
                                           .output = on_output,
                                           .log = on_log,
                                           .installing = on_installing,
                                           .done = on_done};
    repl->state = STATE_RUNNING;
    repl->interrupts = 0;
    if (packages_run(repl->packages, &request, &events, &repl->current, &err) != 0) {
        repl_show_note(&repl->show, err.text);
        repl->state = STATE_EDITING;
    }
}

static bool is_blank(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" \t\n", text.base[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static void submit(struct repl *repl)
{
    cleanup_buf struct buf input;
    buf_init(&input, LIMIT_REPL_INPUT_BYTES_MAX);
    if (line_submit(&repl->line, &input, &repl->out) != 0) {
        repl->state = STATE_EDITING;
        return;
    }
    flush(repl);
    repl->state = STATE_EDITING;
    if (!is_blank(buf_span(&input))) {
        run_input(repl, buf_span(&input));
    }
}

static void answer_check(struct repl *repl, const struct outcome *outcome)
{
    const bool goes_on =
        outcome->status == OUTCOME_SUCCESS && span_equal(outcome->value_json, span_of("true"));
    if (goes_on) {
        (void)line_newline(&repl->line, &repl->out);
        flush(repl);
        repl->state = STATE_EDITING;
    } else {
        submit(repl);
    }
}

/* ---- Completion ------------------------------------------------------------------------------ */

/* The words of an answer; decoded into `texts`, each with a NUL behind it. */
static size_t read_words(struct span answer, size_t *start, struct span *words, struct buf *texts)
{
    struct span key;
    struct span value;
    size_t count = 0;
    if (!jtext_find(answer, "start", &value) || !jtext_is_integer(value) || value.len > 8) {
        return 0;
    }
    *start = strtoul(value.base, NULL, 10);
    if (!jtext_find(answer, "words", &value) || jtext_type(value) != JTEXT_ARRAY) {
        return 0;
    }
    size_t starts[LIMIT_REPL_COMPLETIONS_MAX + 1];
    struct jtext_cursor cursor = jtext_open(value);
    while (count < LIMIT_REPL_COMPLETIONS_MAX && jtext_next(&cursor, &key, &value)) {
        starts[count] = texts->len;
        if (jtext_type(value) != JTEXT_STRING || jtext_string_decode(texts, value) != 0) {
            return 0;
        }
        count++;
    }
    starts[count] = texts->len;
    for (size_t i = 0; i < count; i++) {
        words[i] = (struct span){texts->base + starts[i], starts[i + 1] - starts[i]};
    }
    return count;
}

/* A name holds nothing that steers a terminal; what does is no name. */
static bool is_name(struct span word)
{
    for (size_t i = 0; i < word.len; i++) {
        const unsigned char c = (unsigned char)word.base[i];
        if (c <= 0x20 || c >= 0x7F) {
            return false;
        }
    }
    return word.len > 0;
}

static void answer_complete(struct repl *repl, const struct outcome *outcome)
{
    struct span answer;
    struct span words[LIMIT_REPL_COMPLETIONS_MAX];
    size_t start = 0;
    cleanup_buf struct buf texts;
    buf_init(&texts, LIMIT_REPL_INPUT_BYTES_MAX);
    repl->state = STATE_EDITING;
    if (outcome->status != OUTCOME_SUCCESS ||
        jtext_check(outcome->value_json, JTEXT_LONE_SURROGATES, &answer, NULL) != 0 ||
        jtext_type(answer) != JTEXT_OBJECT) {
        return;
    }
    const size_t found = read_words(answer, &start, words, &texts);
    size_t count = 0;
    for (size_t i = 0; i < found; i++) {
        if (is_name(words[i])) {
            words[count++] = words[i];
        }
    }
    (void)line_complete(&repl->line, start, words, count, &repl->out);
    flush(repl);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void take_enter(struct repl *repl)
{
    const struct span text = buf_span(&repl->line.edit.text);
    repl->state = STATE_CHECKING;
    if (is_blank(text) ||
        ask_aside(repl, "from vitrine import repl\nrepl.wants_more(text)", text, false) != 0) {
        submit(repl);
    }
}

static void take_tab(struct repl *repl)
{
    repl->state = STATE_COMPLETING;
    if (ask_aside(repl, "from vitrine import repl\nrepl.complete(text)",
                  line_before_cursor(&repl->line), true) != 0) {
        repl->state = STATE_EDITING;
    }
}

static void take_interrupt(struct repl *repl)
{
    (void)line_drop(&repl->line, &repl->out);
    flush(repl);
    repl_show_note(&repl->show, "KeyboardInterrupt");
}

static void on_key(void *context, const struct key *key)
{
    struct repl *repl = context;
    switch (line_take(&repl->line, key)) {
    case LINE_NOTHING: break;
    case LINE_ENTER: take_enter(repl); break;
    case LINE_TAB: take_tab(repl); break;
    case LINE_INTERRUPT: take_interrupt(repl); break;
    case LINE_CLEAR:
        (void)buf_append_text(&repl->out, "\x1B[H\x1B[2J");
        repl->line.screen.cursor_row = 0;
        break;
    case LINE_END: (void)line_drop(&repl->line, &repl->out); leave(repl, 0);
    }
}

/* Takes what was typed, as far as the prompt is free; draws once. */
static void edit_on(struct repl *repl)
{
    if (repl->state == STATE_RUNNING && repl->current == NULL) {
        repl->state = STATE_EDITING;
    }
    while (repl->state == STATE_EDITING && repl->ahead_at < repl->ahead.len) {
        const struct span byte = {repl->ahead.base + repl->ahead_at++, 1};
        keys_feed(&repl->keys, byte, on_key, repl);
    }
    if (repl->ahead_at == repl->ahead.len) {
        buf_clear(&repl->ahead);
        repl->ahead_at = 0;
    }
    if (repl->state == STATE_EDITING) {
        draw(repl);
    }
}

static void interrupt_program(struct repl *repl)
{
    buf_clear(&repl->ahead);
    repl->ahead_at = 0;
    if (repl->current != NULL && ++repl->interrupts == 1) {
        packages_run_cancel(repl->current);
    } else if (repl->session != NULL && repl->interrupts > 1) {
        repl_show_note(&repl->show, "the program did not let itself be interrupted");
        pool_session_close(repl->session);
        repl->session = NULL;
        repl_show_note(&repl->show, begins_anew);
        open_session(repl);
    }
}

static void lend_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct repl *repl = handle->data;
    (void)suggested;
    *out = uv_buf_init(repl->chunk, sizeof repl->chunk);
}

static void on_typed(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
    struct repl *repl = stream->data;
    if (len < 0) {
        leave(repl, 0); /* the terminal is gone */
    }
    const bool is_busy = repl->state == STATE_RUNNING;
    if (is_busy && len > 0 && memchr(bytes->base, 3, (size_t)len) != NULL) {
        interrupt_program(repl);
        return;
    }
    (void)buf_append(&repl->ahead, bytes->base, (size_t)len); /* too much of it is dropped */
    if (repl->state == STATE_EDITING) {
        edit_on(repl);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct repl *repl = handle->data;
    if (number == SIGWINCH) {
        measure(repl);
        if (repl->state == STATE_EDITING) {
            draw(repl);
        }
        return;
    }
    leave(repl, 128 + number);
}

/* ---- The start ------------------------------------------------------------------------------- */

static void on_ready(void *context, const struct err *err)
{
    struct repl *repl = context;
    if (err != NULL && err->code != ERR_NONE) {
        log_error("%s", err->text);
        leave(repl, EXIT_OURS);
    }
    const struct pool_info info = pool_info(repl->pool);
    (void)buf_append_format(&repl->out,
                            "Python %s behind glass, vitrine " VITRINE_VERSION
                            ". exit() or Ctrl-D ends it.\n\x1B[?2004h",
                            info.python_version);
    flush(repl);
    repl->state = STATE_EDITING;
    edit_on(repl);
}

/* $XDG_STATE_HOME/vitrine/history, as the XDG Base Directory Specification has it. */
static void find_history(struct repl *repl)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    const bool has_state = state != NULL && *state == '/';
    char dir[PATH_MAX - 16];
    struct err err;
    if (!has_state && (home == NULL || *home != '/')) {
        return;
    }
    if (!has_state) {
        snprintf(dir, sizeof dir, "%s/.local", home);
        (void)mkdir(dir, 0700);
        snprintf(dir, sizeof dir, "%s/.local/state", home);
        (void)mkdir(dir, 0700);
    }
    const int len = has_state ? snprintf(dir, sizeof dir, "%s/vitrine", state)
                              : snprintf(dir, sizeof dir, "%s/.local/state/vitrine", home);
    if (len < 0 || (size_t)len >= sizeof dir) {
        return;
    }
    (void)mkdir(dir, 0700); /* when it fails, so does saving, which says why */
    snprintf(repl->history_path, sizeof repl->history_path, "%s/history", dir);
    if (history_load(&repl->line.history, repl->history_path, &err) != 0) {
        log_warning("the history could not be read: %s", err.text);
        *repl->history_path = '\0';
    }
}

static int open_pool(struct repl *repl, struct err *err)
{
    const struct options *options = repl->options;
    static struct parts parts;   /* the packages go on using its paths */
    static struct mounts mounts; /* open as long as the pool is */
    if (parts_find(options, &parts, err) != 0 || mounts_open(&options->mounts, &mounts, err) != 0) {
        return -1;
    }
    const struct pool_config config = {.cell_path = parts.cell_path,
                                       .guest_dir = parts.guest_dir,
                                       .spare_cells = 1,
                                       .cells_max = LIMIT_REPL_CELLS_MAX,
                                       .memory_bytes_max = parts_memory_bytes_max(options),
                                       .require_jail = (enum pool_jail_level)options->require_jail,
                                       .mounts = mounts.items,
                                       .mount_count = mounts.count,
                                       .cgroup = parts_cgroup(options),
                                       .cgroup_memory_bytes = options->total_memory_bytes,
                                       .environment_memory_bytes =
                                           options->environment_memory_bytes};
    if (pool_new(&repl->loop, &config, &repl->pool, err) != 0) {
        return -1;
    }
    pool_on_ready(repl->pool, on_ready, repl);
    const struct packages_config packages = parts_packages_config(options, &parts, repl->pool);
    return packages_new(&repl->loop, &packages, &repl->packages, err);
}

static int open_terminal(struct repl *repl, struct err *err)
{
    static const int numbers[SIGNAL_COUNT] = {SIGWINCH, SIGTERM, SIGHUP};
    int failed = uv_tty_init(&repl->loop, &repl->terminal, STDIN_FILENO, 0);
    if (failed == 0) {
        failed = uv_tty_set_mode(&repl->terminal, UV_TTY_MODE_RAW);
    }
    if (failed != 0) {
        return err_set(err, ERR_SYSTEM, "the terminal cannot be used: %s", uv_strerror(failed));
    }
    repl->terminal.data = repl;
    measure(repl);
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&repl->loop, &repl->signals[i]);
        repl->signals[i].data = repl;
        uv_signal_start(&repl->signals[i], on_signal, numbers[i]);
    }
    uv_read_start((uv_stream_t *)&repl->terminal, lend_chunk, on_typed);
    return 0;
}

int command_repl(const struct options *options)
{
    static struct repl repl;
    struct err err;
    if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1) {
        log_error("repl needs a terminal; `vitrine run -` runs what is on standard input");
        return EXIT_MISTAKE;
    }
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for the widths of characters */
    repl = (struct repl){.options = options};
    progress_init(&repl.progress, options);
    line_init(&repl.line, repl.progress.has_color);
    buf_init(&repl.ahead, LIMIT_REPL_AHEAD_BYTES_MAX);
    buf_init(&repl.out, 8 * LIMIT_REPL_INPUT_BYTES_MAX);
    option_env_for(options, repl.progress.has_color, repl.env);
    repl_show_init(&repl.show, repl.progress.has_color);
    if (repl.show.way == GRAPHICS_SIXEL) {
        option_env_add(repl.env, "VITRINE_GRAPHICS=sixel");
    }
    find_history(&repl);
    uv_loop_init(&repl.loop);
    uv_timer_init(&repl.loop, &repl.soon);
    repl.soon.data = &repl;
    if (open_pool(&repl, &err) != 0) {
        log_error("%s", err.text);
        return EXIT_OURS;
    }
    open_session(&repl);
    if (open_terminal(&repl, &err) != 0) {
        log_error("%s", err.text);
        return EXIT_OURS;
    }
    uv_run(&repl.loop, UV_RUN_DEFAULT);
    leave(&repl, 0);
}
