/* The tool run_python_code: from its arguments to a run, and from its outcome to a result, with
 * logs and progress on the way. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/jtext.h"
#include "mcp/depot.h"
#include "mcp/internal.h"
#include "mcp/tool.h"

enum { PROGRESS_INTERVAL_MS = 1000 };

struct python_run {
    struct mcp_call *call;
    struct packages_run *run; /* NULL: there is none yet, or no more */
    struct transcript transcript;
    struct result_files files;
    uv_timer_t timer; /* shows progress; runs when somebody wants it */
    uint64_t started_us;
    bool is_installing; /* what it waits for now */
    bool was_installing;
    char session[KEPT_HANDLE_CHARS + 1]; /* empty: none */
    char stage[128];                     /* what the installation said last */
    double shown;                        /* the progress that was shown last */
};

/* A line of output as a log message: stdout is "info", stderr is "warning". */
static void on_line(void *context, enum run_stream stream, struct span line)
{
    struct python_run *run = context;
    bool is_stdout = stream == RUN_STDOUT;
    call_log(run->call, is_stdout ? LEVEL_INFO : LEVEL_WARNING, is_stdout ? "stdout" : "stderr",
             line);
}

static void on_progress(uv_timer_t *timer)
{
    struct python_run *run = timer->data;
    double elapsed = (double)(clock_monotonic_us() - run->started_us) / 1e6;
    double limit = (double)call_config(run->call)->limits.wall_ms / 1e3;
    char text[192];
    if (run->is_installing) {
        snprintf(text, sizeof text, "installing%s%s (%.0f s)", *run->stage == '\0' ? "" : ": ",
                 run->stage, elapsed);
    } else {
        snprintf(text, sizeof text, "running (%.0f s)", elapsed);
    }
    /* It has to grow with every stage, also with two in one millisecond. */
    run->shown = elapsed < run->shown + 0.001 ? run->shown + 0.001 : elapsed;
    /* How long an installation takes nobody knows, and the program's time begins after it. */
    call_progress(run->call, run->shown, run->was_installing ? 0 : limit, text);
}

/* What an installation says is its stage. */
static void on_log(void *context, enum packages_level level, struct span line)
{
    struct python_run *run = context;
    if (run->is_installing && level == PACKAGES_INFO) {
        snprintf(run->stage, sizeof run->stage, "%.*s", line.len > 120 ? 120 : (int)line.len,
                 line.base);
        on_progress(&run->timer);
    }
    call_log(run->call,
             level == PACKAGES_DEBUG  ? LEVEL_DEBUG
             : level == PACKAGES_INFO ? LEVEL_INFO
                                      : LEVEL_WARNING,
             "packages", line);
}

/* A stage is shown when it begins: the client may be about to lose patience. */
static void on_installing(void *context, bool is_installing)
{
    struct python_run *run = context;
    run->is_installing = is_installing;
    run->was_installing |= is_installing;
    call_set_installing(run->call, is_installing);
    on_progress(&run->timer);
}

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    struct python_run *run = context;
    transcript_add(&run->transcript, stream, bytes);
}

static void on_file(void *context, const struct run_made *file)
{
    struct python_run *run = context;
    result_files_add(&run->files, file);
    if (*run->session != '\0') {
        file_tools_changed(call_server(run->call), run->session, file->name);
    }
}

static void free_run(uv_handle_t *timer)
{
    struct python_run *run = timer->data;
    result_files_free(&run->files);
    transcript_free(&run->transcript);
    free(run);
}

/* Every file that is there can be read later; small ones come along. */
static void keep_files(struct python_run *run)
{
    const struct mcp_client client = call_client(run->call);
    for (size_t i = 0; i < run->files.count; i++) {
        struct result_file *file = &run->files.items[i];
        if (file->has_content &&
            depot_put(call_depot(run->call), &client, span_of(file->name), file->media_type,
                      buf_span(&file->content), clock_monotonic_us() / 1000, file->uri) != 0) {
            *file->uri = '\0';
        }
    }
}

static void add_file(struct content *content, const struct result_file *file)
{
    if (file->is_inline) {
        const struct content_resource resource = {
            .uri = span_of(file->uri),
            .mime_type = file->media_type,
            .text = file->is_text ? buf_span(&file->content) : (struct span){NULL, 0},
            .bytes = buf_span(&file->content),
        };
        content_resource(content, &resource);
    } else {
        const struct content_link link = {.uri = span_of(file->uri),
                                          .name = span_of(file->name),
                                          .mime_type = file->media_type,
                                          .size = (int64_t)file->size};
        content_link(content, &link);
    }
}

/* Written where it is sent from: a result may have 18 MiB of escapes in each of its parts. */
static void add_result(struct content *content, const struct python_run *run,
                       const struct outcome *outcome)
{
    const struct mcp_config *config = call_config(run->call);
    struct result result;
    result_open(&result, outcome, &run->transcript);
    result.files = &run->files;
    result.picture_bytes_max = config->limits.picture_bytes;
    if (result_append_content(&content->items, config->return_mode, &result) != 0 ||
        (content->era >= ERA_2025_06_18 &&
         result_append_structured(&content->structured, &result) != 0)) {
        content->has_failed = true;
    }
    for (size_t i = 0; i < run->files.count; i++) {
        if (*run->files.items[i].uri != '\0') {
            add_file(content, &run->files.items[i]);
        }
    }
    content->is_error = outcome->status != OUTCOME_SUCCESS;
}

/* The result; the call and the run are over. */
static void finish(struct python_run *run, const struct outcome *outcome)
{
    struct mcp_call *call = run->call;
    struct content content;
    transcript_finish(&run->transcript);
    if (outcome->status == OUTCOME_INSTALL_ERROR) {
        call_log(call, LEVEL_ERROR, "packages", outcome->error_message);
    }
    content_init(&content, call);
    result_add_wholes(&run->files, &run->transcript);
    keep_files(run);
    add_result(&content, run, outcome);
    uv_close((uv_handle_t *)&run->timer, free_run);
    call_answer(call, &content);
}

static void on_done(void *context, const struct outcome *outcome)
{
    finish(context, outcome);
}

/* An answer without a run, in the form that every result of the tool has. */
static void refuse(struct python_run *run, const struct err *err)
{
    struct outcome outcome = {.status = OUTCOME_REFUSED,
                              .exit_code = 125,
                              .error_message = span_of(err->text),
                              .retry_after_ms = err->retry_after_ms};
    finish(run, &outcome);
}

static void on_cancel(struct mcp_call *call)
{
    struct python_run *run = call_state(call);
    if (run->run != NULL) {
        packages_run_cancel(run->run);
    }
}

/* NULL without memory. */
static struct python_run *new_run(struct mcp_call *call)
{
    struct python_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return NULL;
    }
    run->call = call;
    run->started_us = clock_monotonic_us();
    transcript_init(&run->transcript,
                    call_config(call)->limits.output_bytes + LIMIT_OUTPUT_FRAME_BYTES_MAX);
    run->transcript.line = on_line;
    run->transcript.context = run;
    uv_timer_init(call_loop(call), &run->timer);
    run->timer.data = run;
    call_hold(call, run, on_cancel);
    return run;
}

static void begin(struct python_run *run, const struct tool_arguments *arguments)
{
    const struct mcp_config *config = call_config(run->call);
    struct err err;
    struct run_request request = {
        .code = buf_span(&arguments->code),
        .filename = "main.py",
        .globals_json = arguments->globals,
        .want_value = true,
        .dependencies = arguments->dependency_count == 0 ? NULL : arguments->dependencies,
        .files = arguments->files,
        .file_count = arguments->file_count,
        .wants_files = true,
        .limits = config->limits,
        .client = call_client(run->call).number};
    struct packages_events events = {.context = run,
                                     .output = on_output,
                                     .file = on_file,
                                     .log = on_log,
                                     .installing = on_installing,
                                     .done = on_done};
    if (call_wants_progress(run->call)) {
        uv_timer_start(&run->timer, on_progress, PROGRESS_INTERVAL_MS, PROGRESS_INTERVAL_MS);
    }
    const struct kept_session *kept = NULL;
    if (arguments->session.len > 0) {
        kept = kept_find_open(run->call, arguments->session, &err);
        if (kept == NULL || kept->is_checkpoint) {
            if (kept != NULL) {
                (void)err_set(&err, ERR_USAGE,
                              "this is a checkpoint: rollback brings a session back to it");
            }
            refuse(run, &err);
            return;
        }
        request.session = kept->session;
        memcpy(run->session, kept->handle, sizeof run->session);
    }
    if (packages_run(config->packages, &request, &events, &run->run, &err) != 0) {
        run->run = NULL;
        refuse(run, &err);
    } else {
        on_progress(&run->timer);
    }
}

static void start(struct mcp_call *call, struct span members)
{
    struct tool_arguments arguments;
    struct err err;
    int failed = tool_read_arguments(members, call_config(call), &arguments, &err);
    struct python_run *run = NULL;
    if (failed != 0 && call_era(call) < ERA_2025_11_25) {
        call_fail(call, RPC_INVALID_PARAMS, err.text, (struct span){NULL, 0});
    } else if ((run = new_run(call)) == NULL) {
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
    } else if (failed != 0) {
        refuse(run, &err); /* the model reads it, and can do better */
    } else {
        begin(run, &arguments);
    }
    tool_arguments_free(&arguments);
}

void python_refuse(struct mcp_call *call, const struct err *err)
{
    struct python_run *run = new_run(call);
    if (run == NULL) {
        call_fail(call, RPC_INTERNAL_ERROR, "Out of memory", (struct span){NULL, 0});
    } else {
        refuse(run, err);
    }
}

const struct mcp_tool python_tool = {
    .name = "run_python_code", .append_definition = tool_append_definition, .start = start};
