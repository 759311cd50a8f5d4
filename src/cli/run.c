/* vitrine run: one program, its output as it is produced, its exit status as ours. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/option_values.h"
#include "cli/parts.h"
#include "cli/program.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "pool/jail_line.h"
#include "result/display.h"
#include "result/render.h"
#include "result/transcript.h"

enum { SIGNAL_COUNT = 3 };

struct stream {
    int fd;
    bool is_terminal;
    struct terminal_filter filter;
};

struct run {
    const struct options *options;
    struct program program; /* until it has been given to the packages */
    uv_loop_t loop;
    uv_signal_t signals[SIGNAL_COUNT];
    unsigned signal_count; /* how often we were asked to stop */
    struct pool *pool;
    struct packages *packages;
    struct ask *ask;              /* NULL unless a person is being asked */
    struct packages_run *current; /* NULL before it is started, and once it is done */
    struct progress progress;
    struct stream streams[2];     /* by enum run_stream */
    bool is_unread;               /* nobody reads our output any more */
    struct transcript transcript; /* with --json, as the files that it makes */
    struct result_files files;
    int exit_status;
};

static void write_stream(struct run *run, struct stream *stream, struct span bytes)
{
    if (run->is_unread || bytes.len == 0) {
        return;
    }
    progress_clear(&run->progress);
    if (fd_write_full(stream->fd, bytes.base, bytes.len) != 0) {
        run->is_unread = true;
        if (run->current != NULL) {
            packages_run_cancel(run->current);
        }
    }
}

/* Shows bytes of the program: to a pipe or a file as they are, to a terminal made safe. */
static void show(struct run *run, enum run_stream which, struct span bytes)
{
    struct stream *stream = &run->streams[which];
    if (!stream->is_terminal) {
        write_stream(run, stream, bytes);
        return;
    }
    cleanup_buf struct buf safe;
    buf_init(&safe, 4 * bytes.len + 4 * TERMINAL_HELD_MAX);
    if (terminal_filter(&stream->filter, bytes, &safe) == 0) {
        write_stream(run, stream, buf_span(&safe));
    }
}

static void finish_streams(struct run *run)
{
    cleanup_buf struct buf rest;
    buf_init(&rest, 16);
    for (unsigned i = 0; i < 2; i++) {
        buf_clear(&rest);
        if (terminal_finish(&run->streams[i].filter, &rest) == 0) {
            write_stream(run, &run->streams[i], buf_span(&rest));
        }
    }
}

/* A line of ours on standard error. The text comes from the pool and may quote the guest. */
static void say(struct run *run, struct span text)
{
    while (text.len > 0 && text.base[text.len - 1] == '\n') {
        text.len--;
    }
    bool color = run->progress.has_color;
    write_stream(run, &run->streams[RUN_STDERR],
                 span_of(color ? "\x1B[1;31mvitrine:\x1B[0m " : "vitrine: "));
    show(run, RUN_STDERR, text);
    write_stream(run, &run->streams[RUN_STDERR], span_of("\n"));
}

/* Sentences on lines of ours. */
static void say_lines(struct run *run, struct span lines)
{
    while (lines.len > 0) {
        const char *newline = memchr(lines.base, '\n', lines.len);
        size_t len = newline == NULL ? lines.len : (size_t)(newline - lines.base);
        say(run, (struct span){lines.base, len});
        len += newline == NULL ? 0 : 1;
        lines = (struct span){lines.base + len, lines.len - len};
    }
}

/* Packages are missing, and nothing was run: why, and what can be done. What led to it was said
 * line by line if it was asked for. */
static void say_install_error(struct run *run, const struct outcome *outcome)
{
    say(run, result_error_text(outcome));
    if (run->options->verbosity == 0) {
        say(run, span_of("the program was not run (-v shows the log of the installation, "
                         "--no-install runs without packages)"));
    }
}

/* What is left to be said when the output is complete. */
static void say_end(struct run *run, const struct outcome *outcome)
{
    switch (outcome->status) {
    case OUTCOME_SUCCESS: break;
    case OUTCOME_RUN_ERROR: show(run, RUN_STDERR, outcome->error_traceback); break;
    case OUTCOME_LIMIT:
        show(run, RUN_STDERR, result_guest_traceback(outcome));
        say(run, outcome->error_message);
        break;
    case OUTCOME_CANCELLED:
        if (run->signal_count == 0 && !run->is_unread) {
            say(run, result_error_text(outcome));
        }
        break;
    case OUTCOME_INSTALL_ERROR:
    case OUTCOME_NEED: say_install_error(run, outcome); break;
    case OUTCOME_CRASH:
    case OUTCOME_REFUSED: say(run, result_error_text(outcome)); break;
    }
    if (run->options->verbosity >= 0) {
        say_lines(run, outcome->limits_text);
    }
}

static void print_json(struct run *run, const struct outcome *outcome)
{
    struct result result;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_RESPONSE_BYTES_MAX);
    transcript_finish(&run->transcript);
    result_open(&result, outcome, &run->transcript);
    result.files = &run->files;
    result.has_content = false;
    if (result_append_structured(&text, &result) != 0 || buf_append_char(&text, '\n') != 0) {
        say(run, span_of("the result is too large to be printed as JSON"));
        run->exit_status = EXIT_OURS;
        return;
    }
    write_stream(run, &run->streams[RUN_STDOUT], buf_span(&text));
}

/* A value that the program displays: its plain text, between the lines of its output. */
static void show_display(struct run *run, struct span bundle)
{
    struct span display;
    struct display_view view;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_DISPLAY_ITEM_BYTES_MAX + 1);
    if (!display_check(bundle, &display)) {
        return;
    }
    display_look(display, NULL, &view);
    if (!display_is_silent(&view) && display_append_text(&text, &view) == 0 &&
        buf_append_char(&text, '\n') == 0) {
        show(run, RUN_STDOUT, buf_span(&text));
    }
}

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    struct run *run = context;
    if (run->options->json) {
        transcript_add(&run->transcript, stream, bytes);
    } else if (stream == RUN_DISPLAY) {
        show_display(run, bytes);
    } else {
        show(run, stream, bytes);
    }
}

static void on_file(void *context, const struct run_made *file)
{
    struct run *run = context;
    result_files_add(&run->files, file);
}

static void on_log(void *context, enum packages_level level, struct span line)
{
    struct run *run = context;
    if (!run->is_unread) {
        progress_log(&run->progress, level, line);
    }
}

static void on_installing(void *context, bool is_installing)
{
    struct run *run = context;
    if (!is_installing) {
        progress_clear(&run->progress);
    }
}

static void close_signals(struct run *run)
{
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_close((uv_handle_t *)&run->signals[i], NULL);
    }
}

static void on_closed(void *context)
{
    close_signals(context);
}

static void close_pool(void *context)
{
    struct run *run = context;
    pool_close(run->pool, on_closed, run);
}

/* A status for a run that was over before the program's own could be. */
static int exit_status_of(const struct outcome *outcome)
{
    switch (outcome->status) {
    case OUTCOME_REFUSED:
    case OUTCOME_INSTALL_ERROR:
    case OUTCOME_NEED: return EXIT_OURS;
    case OUTCOME_SUCCESS:
    case OUTCOME_RUN_ERROR:
    case OUTCOME_LIMIT:
    case OUTCOME_CRASH:
    case OUTCOME_CANCELLED: break;
    }
    return outcome->exit_code;
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct run *run = context;
    run->current = NULL;
    progress_clear(&run->progress);
    if (run->exit_status == 0) {
        run->exit_status = exit_status_of(outcome);
    }
    if (run->options->json) {
        print_json(run, outcome);
    } else {
        finish_streams(run);
        say_end(run, outcome);
    }
    if (run->is_unread) {
        run->exit_status = EXIT_UNREAD;
    }
    /* All is said. The zygote ends with its control socket and takes its cells along; to wait for
     * that, and to give memory back piece by piece, would keep the caller waiting for 10 ms. */
    _exit(run->exit_status);
}

/* The first signal asks the program to end, so that it can clean up; the second insists. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    run->exit_status = number == SIGINT ? EXIT_INTERRUPTED : 128 + number;
    if (run->current == NULL && run->ask == NULL) {
        return;
    }
    if (run->signal_count++ == 0 && run->ask == NULL) {
        packages_run_cancel(run->current);
    } else {
        progress_clear(&run->progress);
        _exit(run->exit_status); /* the cells end with us: their socket closes */
    }
}

static void watch_signals(struct run *run)
{
    static const int numbers[SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGHUP};
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&run->loop, &run->signals[i]);
        run->signals[i].data = run;
        uv_signal_start(&run->signals[i], on_signal, numbers[i]);
    }
}

static void on_ready(void *context, const struct err *err)
{
    const struct run *run = context;
    struct pool_info info = pool_info(run->pool);
    if (err == NULL || err->code == ERR_NONE) {
        jail_line_say(&info.jail, false);
    }
}

static int open_pool(struct run *run, struct err *err)
{
    const struct options *options = run->options;
    static struct parts parts; /* the packages go on using its paths */
    if (parts_find(options, &parts, err) != 0) {
        return -1;
    }
    /* A single program: nothing is made ahead that it may not need. */
    struct pool_config config = {.cell_path = parts.cell_path,
                                 .guest_dir = parts.guest_dir,
                                 .cells_max = 1,
                                 .is_lazy = true,
                                 .mounts = run->program.mounts.items,
                                 .mount_count = run->program.mounts.count,
                                 .memory_bytes_max = parts_memory_bytes_max(options),
                                 .require_jail = (enum pool_jail_level)options->require_jail};
    if (pool_new(&run->loop, &config, &run->pool, err) != 0) {
        return -1;
    }
    pool_on_ready(run->pool, on_ready, run);
    struct packages_config packages = parts_packages_config(options, &parts, run->pool);
    return packages_new(&run->loop, &packages, &run->packages, err);
}

static int launch(struct run *run, struct err *err)
{
    const struct options *options = run->options;
    const struct program *program = &run->program;
    const char *env[LIMIT_ENV_COUNT_MAX + 1];
    option_env_for(options, run->streams[RUN_STDERR].is_terminal && run->progress.has_color, env);
    struct run_request request = {.code = buf_span(&program->code),
                                  .filename = program->filename,
                                  .argv = program->argv,
                                  .env = env,
                                  .want_value = options->json,
                                  .files = program->files,
                                  .file_count = program->file_count,
                                  .wants_files = options->json,
                                  .limits = options->limits};
    /* Who presses Ctrl-C wants to see what the program makes of it. */
    request.limits.cancel_grace_ms = request.limits.grace_ms;
    struct packages_events events = {.context = run,
                                     .output = on_output,
                                     .file = on_file,
                                     .log = on_log,
                                     .installing = on_installing,
                                     .done = on_done};
    const int failed = packages_run(run->packages, &request, &events, &run->current, err);
    program_free(&run->program); /* all of it has been copied */
    return failed;
}

/* What cannot be run: why, and the end. */
static void give_up(struct run *run, const struct err *err)
{
    log_error("%s", err->text);
    run->exit_status = err->code == ERR_USAGE ? EXIT_MISTAKE : EXIT_OURS;
    if (run->packages != NULL) {
        packages_close(run->packages, close_pool, run);
    } else if (run->pool != NULL) {
        close_pool(run);
    } else {
        close_signals(run);
    }
}

static void on_decided(void *context, bool may_run, const struct err *why_not)
{
    struct run *run = context;
    struct err err;
    run->ask = NULL;
    if (why_not != NULL) {
        give_up(run, why_not);
    } else if (!may_run) {
        (void)err_set(&err, ERR_GONE, "the program was not run");
        give_up(run, &err);
    } else if (launch(run, &err) != 0) {
        give_up(run, &err);
    }
}

static int start(struct run *run, struct err *err)
{
    const struct program *program = &run->program;
    const struct ask_events events = {.context = run, .decided = on_decided};
    if (open_pool(run, err) != 0) {
        return -1;
    }
    return run->options->asks
               ? ask_start(&run->loop, run->packages, run->options, buf_span(&program->code),
                           program->filename, &events, &run->ask, err)
               : launch(run, err);
}

static int refuse(const struct err *err)
{
    log_error("%s", err->text);
    return err->code == ERR_USAGE ? EXIT_MISTAKE : EXIT_OURS;
}

int command_run(const struct options *options)
{
    static struct run run;
    struct err err;
    run = (struct run){.options = options};
    run.streams[RUN_STDOUT] = (struct stream){.fd = STDOUT_FILENO};
    run.streams[RUN_STDERR] = (struct stream){.fd = STDERR_FILENO};
    run.streams[RUN_STDOUT].is_terminal = isatty(STDOUT_FILENO) == 1;
    run.streams[RUN_STDERR].is_terminal = isatty(STDERR_FILENO) == 1;
    progress_init(&run.progress, options);
    transcript_init(&run.transcript, options->limits.output_bytes + LIMIT_OUTPUT_FRAME_BYTES_MAX);
    if (program_load(options, &run.program, &err) != 0) {
        return refuse(&err);
    }
    uv_loop_init(&run.loop);
    watch_signals(&run);
    if (start(&run, &err) != 0) {
        give_up(&run, &err);
    }
    uv_run(&run.loop, UV_RUN_DEFAULT);
    uv_loop_close(&run.loop);
    program_free(&run.program);
    transcript_free(&run.transcript);
    result_files_free(&run.files);
    return run.exit_status;
}
