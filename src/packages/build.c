#include "packages/build.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "packages/store.h"

enum { LINE_MAX_BYTES = 512 };

enum build_state {
    BUILD_LOCKING, /* asks for the lock, again and again */
    BUILD_QUEUED,  /* has the lock, waits for a core */
    BUILD_RUNNING,
    BUILD_OVER,
};

struct build {
    TAILQ_ENTRY(build) link; /* in builder->builds, oldest first */
    struct builder *builder;
    struct build_events events; /* done is NULL once it was left */
    enum build_state state;
    char dir[PATH_MAX];
    char temporary[PATH_MAX];
    char about_path[PATH_MAX];
    struct buf about;
    struct buf preload;
    char **args; /* owned; [0] is the program */
    int lock_fd;
    uv_timer_t timer; /* the next try, then the deadline */
    uv_process_t process;
    uv_pipe_t log;
    unsigned handles;
    bool has_told_elsewhere;
    bool is_out_of_time;
    uint64_t started_us;
    struct err failure;
    bool has_failed;
    char line[LINE_MAX_BYTES];
    size_t line_len;
    char last_line[LINE_MAX_BYTES];
};
TAILQ_HEAD(build_list, build);

struct builder {
    uv_loop_t *loop;
    char *program;
    unsigned running_max;
    unsigned running_count;
    struct build_list builds;
    bool is_closing;
    uv_timer_t soon;
    void (*closed)(void *context);
    void *closed_context;
    char chunk[4096];
};

static void start_next(struct builder *builder);

/* ---- The end of a build ---------------------------------------------------------------------- */

static void builder_freed_part(struct builder *builder);

static void args_free(char **args)
{
    for (size_t i = 0; args != NULL && args[i] != NULL; i++) {
        free(args[i]);
    }
    free(args);
}

static void build_free(struct build *build)
{
    struct builder *builder = build->builder;
    TAILQ_REMOVE(&builder->builds, build, link);
    fd_close(&build->lock_fd);
    args_free(build->args);
    buf_free(&build->about);
    buf_free(&build->preload);
    free(build);
    builder_freed_part(builder);
}

/* All handles are closed, so it is over. */
static void on_handle_closed(uv_handle_t *handle)
{
    struct build *build = handle->data;
    if (--build->handles > 0) {
        return;
    }
    struct build_events events = build->events;
    struct err failure = build->failure;
    bool has_failed = build->has_failed;
    uint64_t ms = build->started_us == 0 ? 0 : (clock_monotonic_us() - build->started_us) / 1000;
    build_free(build);
    if (events.done != NULL) {
        events.done(events.context, has_failed ? &failure : NULL, ms);
    }
}

static void handle_close(struct build *build, uv_handle_t *handle)
{
    handle->data = build;
    uv_close(handle, on_handle_closed);
}

static void build_end(struct build *build)
{
    build->state = BUILD_OVER;
    fd_close(&build->lock_fd);
    handle_close(build, (uv_handle_t *)&build->timer);
}

static void build_fail(struct build *build, const struct err *err)
{
    build->failure = *err;
    build->has_failed = true;
    build_end(build);
}

/* ---- The program ----------------------------------------------------------------------------- */

static void line_end(struct build *build)
{
    if (build->line_len > 0) {
        build->line[build->line_len] = '\0';
        log_debug("%s", build->line);
        memcpy(build->last_line, build->line, build->line_len + 1);
    }
    build->line_len = 0;
}

static void log_take(struct build *build, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            line_end(build);
        } else if (build->line_len + 1 < sizeof build->line) {
            build->line[build->line_len++] = bytes[i];
        }
    }
}

static void log_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct build *build = handle->data;
    *out = uv_buf_init(build->builder->chunk, sizeof build->builder->chunk);
}

static void on_log(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    if (n > 0) {
        log_take(stream->data, bytes->base, (size_t)n);
    } else if (n < 0) {
        (void)uv_read_stop(stream);
    }
}

static void log_drain(struct build *build)
{
    uv_os_fd_t fd;
    char bytes[LINE_MAX_BYTES];
    for (unsigned i = 0; i < 64 && uv_fileno((const uv_handle_t *)&build->log, &fd) == 0; i++) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0) {
            break;
        }
        log_take(build, bytes, (size_t)n);
    }
    line_end(build);
}

/* "vitrine-precompile: error: the reason" as "the reason". */
static const char *reason_of(const struct build *build)
{
    static const char *const fronts[] = {"vitrine-precompile: ", "error: "};
    const char *line = build->last_line;
    for (unsigned i = 0; i < 2; i++) {
        size_t len = strlen(fronts[i]);
        line += strncmp(line, fronts[i], len) == 0 ? len : 0;
    }
    return line;
}

static int place_text(char **place, const char *text, struct err *err)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a build");
    }
    free(*place);
    *place = copy;
    return 0;
}

/* Makes the temporary folder and the file beside it, and puts their names into the arguments. */
static int prepare(struct build *build, struct err *err)
{
    if (store_begin(build->dir, build->temporary, err) != 0) {
        return -1;
    }
    int len = snprintf(build->about_path, sizeof build->about_path, "%s.json", build->temporary);
    if (len < 0 || (size_t)len >= sizeof build->about_path) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", build->dir);
    }
    if (build->about.len > 0 &&
        fd_write_file(build->about_path, buf_span(&build->about), err) != 0) {
        return -1;
    }
    int result = 0;
    for (size_t i = 0; build->args[i] != NULL && result == 0; i++) {
        if (build->args[i][0] == '\0') {
            result = place_text(&build->args[i], build->temporary, err);
        } else if (strcmp(build->args[i], BUILD_ABOUT) == 0) {
            result = place_text(&build->args[i], build->about_path, err);
        }
    }
    return result;
}

/* The program did its part. */
static int finish(struct build *build, struct err *err)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/preload", build->temporary);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(err, ERR_USAGE, "the path %.64s... is too long", build->dir);
    }
    if (build->preload.len > 0 && fd_write_file(path, buf_span(&build->preload), err) != 0) {
        return -1;
    }
    return store_finish(build->temporary, build->dir, err);
}

static void clean(const struct build *build)
{
    store_remove(build->temporary);
    if (build->about.len > 0) {
        (void)unlink(build->about_path);
    }
}

/* What the program left: a folder to be put in its place, or a reason. */
static void judge(struct build *build, int64_t status, int signal_number)
{
    struct err err;
    if (build->is_out_of_time) {
        (void)err_set(&err, ERR_LIMIT, "it was not built within %llu s", LIMIT_BUILD_MS / 1000);
    } else if (signal_number != 0) {
        (void)err_set(&err, ERR_LIMIT, "the builder was killed (signal %d)%s%.256s", signal_number,
                      build->last_line[0] == '\0' ? "" : ": ", reason_of(build));
    } else if (status != 0) {
        (void)err_set(&err, ERR_FORMAT, "%.400s",
                      build->last_line[0] == '\0' ? "the builder gave no reason"
                                                  : reason_of(build));
    } else if (finish(build, &err) == 0) {
        clean(build);
        build_end(build);
        return;
    }
    clean(build);
    build_fail(build, &err);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct build *build = process->data;
    struct builder *builder = build->builder;
    log_drain(build);
    builder->running_count--;
    build->handles += 2;
    handle_close(build, (uv_handle_t *)&build->process);
    handle_close(build, (uv_handle_t *)&build->log);
    judge(build, status, signal_number);
    start_next(builder);
}

static void on_deadline(uv_timer_t *timer)
{
    struct build *build = timer->data;
    build->is_out_of_time = true;
    (void)uv_process_kill(&build->process, SIGKILL);
}

static int spawn(struct build *build)
{
    static char *no_environment[] = {NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE),
         .data.stream = (uv_stream_t *)&build->log},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = build->args[0],
        .args = build->args,
        .env = no_environment,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = sizeof stdio / sizeof *stdio,
        .stdio = stdio,
    };
    return uv_spawn(build->builder->loop, &build->process, &options);
}

static void run_program(struct build *build)
{
    struct builder *builder = build->builder;
    struct err err;
    if (prepare(build, &err) != 0) {
        clean(build);
        build_fail(build, &err);
        return;
    }
    (void)uv_pipe_init(builder->loop, &build->log, 0);
    build->log.data = build;
    int failed = spawn(build);
    build->process.data = build;
    if (failed != 0) {
        (void)err_set(&err, ERR_SYSTEM, "starting %s: %s", build->args[0], uv_strerror(failed));
        clean(build);
        build->handles += 2;
        handle_close(build, (uv_handle_t *)&build->process);
        handle_close(build, (uv_handle_t *)&build->log);
        build_fail(build, &err);
        return;
    }
    build->state = BUILD_RUNNING;
    build->started_us = clock_monotonic_us();
    builder->running_count++;
    (void)uv_read_start((uv_stream_t *)&build->log, log_alloc, on_log);
    (void)uv_timer_start(&build->timer, on_deadline, LIMIT_BUILD_MS, 0);
    if (build->events.started != NULL) {
        build->events.started(build->events.context, false);
    }
}

static void start_next(struct builder *builder)
{
    struct build *build = TAILQ_FIRST(&builder->builds);
    while (build != NULL && builder->running_count < builder->running_max && !builder->is_closing) {
        struct build *next = TAILQ_NEXT(build, link);
        if (build->state == BUILD_QUEUED) {
            run_program(build);
        }
        build = next;
    }
}

/* ---- Its start ------------------------------------------------------------------------------- */

/* Takes the lock if it can be had; looks whether there is anything to do. */
static void on_try(uv_timer_t *timer)
{
    struct build *build = timer->data;
    struct err err;
    if (store_is_whole(build->dir)) {
        build_end(build);
        return;
    }
    build->lock_fd = store_lock(build->dir, &err);
    if (build->lock_fd < 0 && err.code != ERR_NONE) {
        build_fail(build, &err);
        return;
    }
    if (build->lock_fd < 0) {
        (void)uv_timer_start(&build->timer, on_try, LIMIT_LOCK_POLL_MS, 0);
        if (!build->has_told_elsewhere && build->events.started != NULL) {
            build->has_told_elsewhere = true;
            build->events.started(build->events.context, true);
        }
        return;
    }
    if (store_is_whole(build->dir)) { /* made while we asked for the lock */
        build_end(build);
        return;
    }
    build->state = BUILD_QUEUED;
    start_next(build->builder);
}

static char **args_copy(const char *program, const char *const *args)
{
    size_t count = 0;
    while (args[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 2, sizeof *copy);
    if (copy == NULL || (copy[0] = strdup(program)) == NULL) {
        free(copy);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        copy[i + 1] = strdup(args[i]);
        if (copy[i + 1] == NULL) {
            args_free(copy);
            return NULL;
        }
    }
    return copy;
}

static int texts_copy(struct build *build, const struct build_order *order)
{
    buf_init(&build->about, order->about.len);
    buf_init(&build->preload, order->preload.len);
    build->args = args_copy(build->builder->program, order->args);
    if (build->args == NULL ||
        buf_append(&build->about, order->about.base, order->about.len) != 0 ||
        buf_append(&build->preload, order->preload.base, order->preload.len) != 0) {
        args_free(build->args);
        buf_free(&build->about);
        return -1;
    }
    return 0;
}

struct build *build_start(struct builder *builder, const struct build_order *order,
                          const struct build_events *events, struct err *err)
{
    struct build *build = calloc(1, sizeof *build);
    if (build != NULL) {
        build->builder = builder;
    }
    if (build == NULL || texts_copy(build, order) != 0) {
        free(build);
        (void)err_set(err, ERR_MEMORY, "no memory for a build");
        return NULL;
    }
    build->events = *events;
    build->lock_fd = -1;
    (void)snprintf(build->dir, sizeof build->dir, "%s", order->dir);
    (void)uv_timer_init(builder->loop, &build->timer);
    build->timer.data = build;
    build->handles = 1;
    TAILQ_INSERT_TAIL(&builder->builds, build, link);
    (void)uv_timer_start(&build->timer, on_try, 0, 0);
    return build;
}

void build_leave(struct build *build)
{
    build->events = (struct build_events){0};
    if (build->state == BUILD_LOCKING || build->state == BUILD_QUEUED) {
        build_end(build);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct builder *builder_new(uv_loop_t *loop, const char *program)
{
    struct builder *builder = calloc(1, sizeof *builder);
    if (builder == NULL || (builder->program = strdup(program)) == NULL) {
        free(builder);
        return NULL;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    builder->loop = loop;
    builder->running_max = cores < 1 ? 1 : (unsigned)cores;
    TAILQ_INIT(&builder->builds);
    (void)uv_timer_init(loop, &builder->soon);
    builder->soon.data = builder;
    return builder;
}

static void on_closed(uv_handle_t *handle)
{
    struct builder *builder = handle->data;
    void (*closed)(void *) = builder->closed;
    void *context = builder->closed_context;
    free(builder->program);
    free(builder);
    closed(context);
}

static void builder_freed_part(struct builder *builder)
{
    if (builder->is_closing && TAILQ_EMPTY(&builder->builds) &&
        !uv_is_closing((uv_handle_t *)&builder->soon)) {
        uv_close((uv_handle_t *)&builder->soon, on_closed);
    }
}

void builder_close(struct builder *builder, void (*closed)(void *context), void *context)
{
    builder->is_closing = true;
    builder->closed = closed;
    builder->closed_context = context;
    struct build *build;
    TAILQ_FOREACH(build, &builder->builds, link)
    {
        if (build->state == BUILD_RUNNING) {
            (void)uv_process_kill(&build->process, SIGKILL);
        }
    }
    builder_freed_part(builder);
}
