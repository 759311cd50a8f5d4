#include "pool_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "cell/cell.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define UNDER_SANITIZER
#endif
#ifdef UNDER_SANITIZER
const bool is_jailed = false;
#else
const bool is_jailed = true;
#endif

/* ---- A pool on a loop ------------------------------------------------------------------------ */

uv_loop_t loop;
struct pool *pool;
char own_path[512];
char guest_dir[64];
bool is_closed;
uv_timer_t patience;

static void lose_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

void flag_set(bool *flag)
{
    *flag = true;
    uv_stop(&loop);
}

void loop_until(const bool *flag)
{
    (void)uv_timer_start(&patience, lose_patience, PATIENCE_MS, 0);
    while (!*flag) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&patience);
}

static void on_pause_over(uv_timer_t *timer)
{
    flag_set(timer->data);
}

void loop_for(uint64_t ms)
{
    bool is_over = false;
    uv_timer_t timer;
    (void)uv_timer_init(&loop, &timer);
    timer.data = &is_over;
    (void)uv_timer_start(&timer, on_pause_over, ms, 0);
    loop_until(&is_over);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

void core_write(const char *line)
{
    char path[128];
    struct err err;
    snprintf(path, sizeof path, "%s/core.cwasm", guest_dir);
    assert_int_equal(fd_write_file(path, span_of(line), &err), 0);
}

struct pool_config config_make(unsigned spare_cells, unsigned cells_max)
{
    return (struct pool_config){
        .cell_path = own_path,
        .guest_dir = guest_dir,
        .spare_cells = spare_cells,
        .cells_max = cells_max,
        .warm = true,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
        .require_jail = is_jailed ? POOL_JAIL_SECCOMP : POOL_JAIL_NONE,
    };
}

void pool_start(const char *core, unsigned spare_cells, unsigned cells_max)
{
    struct err err = {0};
    core_write(core);
    struct pool_config config = config_make(spare_cells, cells_max);
    if (pool_new(&loop, &config, &pool, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

void on_closed(void *context)
{
    flag_set(context);
}

void pool_end(void)
{
    is_closed = false;
    pool_close(pool, on_closed, &is_closed);
    loop_until(&is_closed);
    pool = NULL;
}

/* ---- A run and what was seen of it ----------------------------------------------------------- */

static void text_keep(char out[TEXT_MAX], struct span text)
{
    size_t len = text.len < TEXT_MAX - 1 ? text.len : TEXT_MAX - 1;
    if (len > 0) {
        memcpy(out, text.base, len);
    }
    out[len] = '\0';
}

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    struct seen *seen = context;
    assert_false(seen->is_done);
    (void)buf_append(stream == RUN_STDERR ? &seen->err : &seen->out, bytes.base, bytes.len);
    (void)buf_append_char(&seen->order, "oed"[stream]);
    (void)buf_append(&seen->order, bytes.base, bytes.len < 16 ? bytes.len : 16);
    if (seen->on_output != NULL) {
        seen->on_output(seen);
    }
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct seen *seen = context;
    flag_set(&seen->is_done);
    seen->done_count++;
    seen->outcome = *outcome;
    text_keep(seen->type, outcome->error_type);
    text_keep(seen->message, outcome->error_message);
    text_keep(seen->traceback, outcome->error_traceback);
    text_keep(seen->value, outcome->value_json);
    text_keep(seen->note, outcome->value_note);
    text_keep(seen->limits, outcome->limits_text);
    text_keep(seen->need, outcome->need_json);
    if (seen->then != NULL) {
        seen->then(seen);
    }
}

static void on_fetch(void *context, struct pool_run *run, struct span question)
{
    struct seen *seen = context;
    assert_false(seen->is_done);
    assert_ptr_equal(seen->run, run);
    seen->fetch_count++;
    text_keep(seen->question, question);
    seen->on_fetch(seen);
}

static void on_file(void *context, const struct run_made *file)
{
    struct seen *seen = context;
    const size_t len = strlen(seen->files);
    assert_false(seen->is_done);
    if (file->content.len > 64) {
        snprintf(seen->files + len, sizeof seen->files - len, "%.*s %llu %s %zu bytes\n",
                 (int)file->name.len, file->name.base, (unsigned long long)file->size,
                 file->media_type, file->content.len);
    } else {
        snprintf(seen->files + len, sizeof seen->files - len, "%.*s %llu %s %s%.*s\n",
                 (int)file->name.len, file->name.base, (unsigned long long)file->size,
                 file->media_type, file->has_content ? "" : "-", (int)file->content.len,
                 file->content.base);
    }
}

void seen_init(struct seen *seen)
{
    *seen = (struct seen){0};
    buf_init(&seen->out, 64 * MIB);
    buf_init(&seen->err, 64 * MIB);
    buf_init(&seen->order, 64 * MIB);
}

void seen_free(struct seen *seen)
{
    buf_free(&seen->out);
    buf_free(&seen->err);
    buf_free(&seen->order);
}

struct run_request request_make(const char *code)
{
    return (struct run_request){
        .code = span_of(code), .want_value = true, .limits = run_limits_default()};
}

int run_request_start(const struct run_request *request, struct seen *seen, struct err *err)
{
    const struct run_events events = {
        .context = seen, .fetch = on_fetch, .output = on_output, .file = on_file, .done = on_done};
    return pool_run(pool, request, &events, &seen->run, err);
}

void run_start(const struct run_request *request, struct seen *seen)
{
    struct err err = {0};
    if (run_request_start(request, seen, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

void run_request_whole(const struct run_request *request, struct seen *seen)
{
    seen_init(seen);
    run_start(request, seen);
    loop_until(&seen->is_done);
    assert_int_equal(seen->done_count, 1);
}

void run_whole(const char *code, struct seen *seen)
{
    struct run_request request = request_make(code);
    run_request_whole(&request, seen);
}

void assert_text(const struct buf *buf, const char *text)
{
    assert_int_equal(buf->len, strlen(text));
    if (buf->len > 0) {
        assert_memory_equal(buf->base, text, buf->len);
    }
}

void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, text);
    }
}

void assert_next_run_is_clean(void)
{
    cleanup_seen struct seen seen;
    run_whole("print clean\nvalue 1", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_text(&seen.out, "clean\n");
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* Pids in a file of /proc such as "12 34 ": the first or the last, or 0. */
static pid_t child_of(pid_t parent, pid_t thread, bool is_last)
{
    char path[64];
    char text[1024] = {0};
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, thread);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) {
        return 0;
    }
    pid_t pid = 0;
    for (char *at = text; *at != '\0' && (pid == 0 || is_last); at += *at == ' ' ? 1 : 0) {
        pid = (pid_t)strtol(at, &at, 10);
    }
    return pid;
}

static unsigned thread_count(pid_t pid)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    while (threads != NULL && readdir(threads) != NULL) {
        count++;
    }
    (void)closedir(threads);
    return count - 2; /* "." and ".." */
}

/* The newest child: cells whose zygote has died become children of ours before its successor. It
 * may be the launcher, whose child the zygote is then; a zygote has a thread for the guest. */
pid_t zygote_pid(void)
{
    pid_t pid = child_of(getpid(), getpid(), true);
    assert_true(pid > 0);
    pid_t below = thread_count(pid) == 1 ? child_of(pid, pid, true) : 0;
    return below > 0 ? below : pid;
}

/* The oldest child of any thread of the zygote. */
pid_t oldest_cell_pid(void)
{
    char path[64];
    pid_t zygote = zygote_pid();
    snprintf(path, sizeof path, "/proc/%d/task", zygote);
    DIR *threads = opendir(path);
    assert_non_null(threads);
    pid_t found = 0;
    const struct dirent *entry;
    while (found == 0 && (entry = readdir(threads)) != NULL) {
        found = child_of(zygote, (pid_t)strtol(entry->d_name, NULL, 10), false);
    }
    (void)closedir(threads);
    return found;
}

unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *stream = opendir("/proc/self/fd");
    assert_non_null(stream);
    while (readdir(stream) != NULL) {
        count++;
    }
    (void)closedir(stream);
    return count;
}

/* ---- Fixtures -------------------------------------------------------------------------------- */

static unsigned descriptors_before;

bool is_cell(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "--core") == 0;
}

int be_cell(int argc, char **argv)
{
    return cell_main(argc, argv, is_jailed ? CELL_JAIL_FULL : CELL_JAIL_BARE);
}

/* Once through, so that what libuv keeps for the whole process is there; then count. Orphans of a
 * zygote become our children, so that none can hide. */
int group_setup(void **state)
{
    (void)state;
    ssize_t len = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    assert_true(len > 0);
    snprintf(guest_dir, sizeof guest_dir, "/tmp/test_pool.XXXXXX");
    assert_non_null(mkdtemp(guest_dir));
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    uv_loop_init(&loop);
    uv_timer_init(&loop, &patience);
    pool_start("ok", 1, 1);
    pool_end();
    descriptors_before = open_descriptors();
    return 0;
}

/* True when there is no child left; reaps what was orphaned and has died. */
static bool has_no_child(void)
{
    for (unsigned i = 0; i < 200; i++) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD) {
            return true;
        }
        if (pid == 0) {
            usleep(10000);
        }
    }
    return false;
}

int nothing_is_left(void **state)
{
    (void)state;
    if (pool != NULL) {
        pool_end(); /* the test failed: the next one starts clean nevertheless */
    }
    assert_true(has_no_child());
    assert_int_equal(open_descriptors(), descriptors_before);
    return 0;
}

int group_teardown(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/core.cwasm", guest_dir);
    (void)unlink(path);
    (void)rmdir(guest_dir);
    uv_close((uv_handle_t *)&patience, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}
