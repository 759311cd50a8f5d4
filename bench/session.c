/*
 * bench-session: a session of a pool, from step to step, with the real cells in their jail.
 *
 *   bench-session CELL GUESTDIR STEP...
 *
 * A step is in=FOLDER (the environment from here on; before the session begins, or is restored),
 * run=CODE, save=FILE, restore=FILE, move=FOLDER (the session
 * goes on in another environment), or new (another session). What programs print goes to standard
 * error, as does why something did not work. Prints how long each step took, as a line of JSON.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pool/durable.h"
#include "pool/pool.h"

enum { ID_BYTES = 65 };

static struct {
    uv_loop_t *loop;
    struct pool *pool;
    struct pool_session *session;
    struct pool_environment environment;
    char id[ID_BYTES];
    bool is_done;
    bool has_failed;
} bench;

static int fail(const char *step, const char *why)
{
    fprintf(stderr, "bench-session: %s: %s\n", step, why);
    return -1;
}

static void on_output(void *context, enum run_stream stream, struct span bytes)
{
    (void)context;
    (void)stream;
    (void)fwrite(bytes.base, 1, bytes.len, stderr);
}

static void on_done(void *context, const struct outcome *outcome)
{
    bench.is_done = true;
    if (outcome->status != OUTCOME_SUCCESS) {
        bench.has_failed = true;
        fprintf(stderr, "%.*s%.*s", (int)outcome->error_traceback.len,
                outcome->error_traceback.base, (int)outcome->error_message.len,
                outcome->error_message.base);
        (void)fail(context, outcome_status_name(outcome->status));
    }
}

static void on_transferred(void *context, const struct err *err)
{
    bench.is_done = true;
    if (err != NULL) {
        bench.has_failed = true;
        (void)fail(context, err->text);
    }
}

static void on_saved(void *context, uint64_t bytes, const struct err *err)
{
    (void)bytes;
    on_transferred(context, err);
}

static int wait_for_it(void)
{
    while (!bench.is_done) {
        (void)uv_run(bench.loop, UV_RUN_ONCE);
    }
    return bench.has_failed ? -1 : 0;
}

static const struct pool_environment *where(void)
{
    return bench.environment.dir == NULL ? NULL : &bench.environment;
}

static int step_run(char *step, const char *code, struct err *err)
{
    struct pool_run *run;
    const struct run_request request = {.code = span_of(code),
                                        .want_value = true,
                                        .limits = run_limits_default(),
                                        .environment = where(),
                                        .client = POOL_CLIENT_OWN,
                                        .session = bench.session};
    const struct run_events events = {.context = step, .output = on_output, .done = on_done};
    return pool_run(bench.pool, &request, &events, &run, err) != 0 ? -1 : wait_for_it();
}

static int step_transfer(char *step, const char *path, struct err *err)
{
    const bool saves = step[0] == 's';
    const int fd = open(path, (saves ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY) | O_CLOEXEC, 0600);
    const struct pool_save save = {.fd = fd, .context = step, .done = on_saved};
    const struct pool_restore restore = {.fd = fd,
                                         .environment = where(),
                                         .file_bytes = LIMIT_FILE_BYTES_DEFAULT,
                                         .file_count = LIMIT_FILE_COUNT_DEFAULT,
                                         .context = step,
                                         .done = on_transferred};
    int result = fd < 0  ? err_system(err, "open %s", path)
                 : saves ? pool_session_save(bench.session, &save, err)
                         : pool_session_restore(bench.session, &restore, NULL, err);
    if (result == 0) {
        result = wait_for_it();
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return result;
}

static int step_in(char *folder)
{
    const char *slash = strrchr(folder, '/');
    snprintf(bench.id, sizeof bench.id, "%s", slash == NULL ? folder : slash + 1);
    bench.environment = (struct pool_environment){.id = bench.id, .dir = folder};
    return 0;
}

static int step_move(char *step, char *folder, struct err *err)
{
    (void)step_in(folder);
    const struct pool_move move = {.environment = where(),
                                   .file_bytes = LIMIT_FILE_BYTES_DEFAULT,
                                   .file_count = LIMIT_FILE_COUNT_DEFAULT,
                                   .context = step,
                                   .done = on_transferred};
    return pool_session_move(bench.session, &move, err) != 0 ? -1 : wait_for_it();
}

static int step_new(struct err *err)
{
    const struct pool_session_config config = {.client = POOL_CLIENT_OWN,
                                               .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT};
    const struct pool_session_events events = {.context = NULL};
    if (bench.session != NULL) {
        pool_session_close(bench.session);
    }
    return pool_session_open(bench.pool, &config, &events, &bench.session, err);
}

static int step_take(char *step)
{
    struct err err = {0};
    char *value = strchr(step, '=');
    value = value == NULL ? step + strlen(step) : value + 1;
    bench.is_done = false;
    const int result = strncmp(step, "in=", 3) == 0     ? step_in(value)
                       : strncmp(step, "run=", 4) == 0  ? step_run(step, value, &err)
                       : strncmp(step, "move=", 5) == 0 ? step_move(step, value, &err)
                       : strcmp(step, "new") == 0       ? step_new(&err)
                       : strncmp(step, "save=", 5) == 0 || strncmp(step, "restore=", 8) == 0
                           ? step_transfer(step, value, &err)
                           : err_set(&err, ERR_USAGE, "there is no such step");
    return result != 0 && err.code != ERR_NONE ? fail(step, err.text) : result;
}

static void on_closed(void *context)
{
    (void)context;
}

int main(int argc, char **argv)
{
    struct err err;
    if (argc < 4) {
        fprintf(stderr, "usage: see bench/session.c\n");
        return 2;
    }
    const struct pool_config config = {
        .cell_path = argv[1],
        .guest_dir = argv[2],
        .spare_cells = LIMIT_SPARE_CELLS_DEFAULT,
        .cells_max = LIMIT_CELLS_DEFAULT,
        .warm = true,
        .memory_bytes_max = LIMIT_MEMORY_BYTES_DEFAULT,
    };
    bench.loop = uv_default_loop();
    if (pool_new(bench.loop, &config, &bench.pool, &err) != 0 || step_new(&err) != 0) {
        fprintf(stderr, "bench-session: %s\n", err.text);
        return 1;
    }
    int result = 0;
    printf("[");
    for (int i = 3; i < argc && result == 0; i++) {
        const uint64_t start_us = clock_monotonic_us();
        result = step_take(argv[i]);
        printf("%s%.1f", i > 3 ? ", " : "", (double)(clock_monotonic_us() - start_us) / 1000.0);
    }
    printf("]\n");
    pool_session_close(bench.session);
    pool_close(bench.pool, on_closed, NULL);
    (void)uv_run(bench.loop, UV_RUN_DEFAULT);
    return result == 0 ? 0 : 1;
}
