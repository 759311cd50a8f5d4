/* Sessions that are saved to a file and brought back: pool/durable.h, pool/state_file.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "pool/durable.h"
#include "pool/state.h"
#include "pool/state_file.h"
#include "pool_fixture.h"

struct told {
    bool is_done;
    unsigned count;
    bool is_error;
    struct err err;
    uint64_t bytes;
    struct pool_session *close; /* what is closed then, or NULL */
};

static void note(struct told *told, const struct err *err)
{
    told->count++;
    told->is_error = err != NULL;
    if (err != NULL) {
        told->err = *err;
    }
    if (told->close != NULL) {
        pool_session_close(told->close);
    }
    flag_set(&told->is_done);
}

static void on_saved(void *context, uint64_t bytes, const struct err *err)
{
    struct told *told = context;
    told->bytes = bytes;
    note(told, err);
}

static void on_restored(void *context, const struct err *err)
{
    note(context, err);
}

static struct pool_session *session_open(void)
{
    struct pool_session *session;
    struct err err;
    const struct pool_session_events events = {0};
    const struct pool_session_config config = {.client = 7,
                                               .memory_bytes = LIMIT_MEMORY_BYTES_DEFAULT};
    if (pool_session_open(pool, &config, &events, &session, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return session;
}

static void in_session(struct pool_session *session, const char *code, struct seen *seen)
{
    struct run_request request = request_make(code);
    request.session = session;
    run_request_whole(&request, seen);
}

static void assert_prints(struct pool_session *session, const char *code, const char *text)
{
    cleanup_seen struct seen seen;
    in_session(session, code, &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_SUCCESS);
    assert_text(&seen.out, text);
}

static int file_new(void)
{
    const int fd = memfd_create("state", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int save_begin(struct pool_session *session, int fd, uint64_t bytes_max, struct told *told,
                      struct err *err)
{
    const struct pool_save how = {.fd = fd,
                                  .bytes_max = bytes_max,
                                  .about = span_of("what it is"),
                                  .context = told,
                                  .done = on_saved};
    return pool_session_save(session, &how, err);
}

static void save(struct pool_session *session, int fd, uint64_t bytes_max, struct told *told)
{
    struct err err;
    if (save_begin(session, fd, bytes_max, told, &err) != 0) {
        fail_msg("%s", err.text);
    }
    loop_until(&told->is_done);
    assert_int_equal(told->count, 1);
}

static int restore_begin(struct pool_session *session, int fd, struct told *told, struct err *err)
{
    const struct pool_restore how = {
        .fd = fd, .file_bytes = MIB, .file_count = 100, .context = told, .done = on_restored};
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return pool_session_restore(session, &how, NULL, err);
}

static void restore(struct pool_session *session, int fd, struct told *told)
{
    struct err err;
    if (restore_begin(session, fd, told, &err) != 0) {
        fail_msg("%s", err.text);
    }
    loop_until(&told->is_done);
    assert_int_equal(told->count, 1);
}

static void assert_good(const struct told *told)
{
    if (told->is_error) {
        fail_msg("%s", told->err.text);
    }
}

/* ---- There and back -------------------------------------------------------------------------- */

static void a_session_is_saved_and_goes_on_elsewhere(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    pool_start("ok", 1, 4);
    struct pool_session *first = session_open();
    assert_prints(first, "remember of the first", "");
    save(first, fd, 0, &told);
    assert_good(&told);
    assert_int_equal(told.bytes, lseek(fd, 0, SEEK_END));
    assert_prints(first, "recall", "of the first\n"); /* it goes on as well */
    pool_session_close(first);
    pool_end();

    pool_start("ok", 1, 4); /* another server */
    struct pool_session *second = session_open();
    told = (struct told){0};
    restore(second, fd, &told);
    assert_good(&told);
    assert_true(pool_session_has_state(second));
    assert_prints(second, "recall", "of the first\n");
    assert_prints(second, "remember of the second", "");
    struct pool_session *third = session_open();
    told = (struct told){0};
    restore(third, fd, &told);
    assert_good(&told);
    assert_prints(third, "recall", "of the first\n");
    assert_prints(second, "recall", "of the second\n");
    assert_next_run_is_clean();
    pool_session_close(second);
    pool_session_close(third);
    pool_end();
}

static void a_large_state(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember much\nweigh 400", "");
    save(session, fd, 0, &told);
    assert_good(&told);
    assert_true(told.bytes > 400 * LIMIT_STATE_PIECE_BYTES);
    struct pool_session *other = session_open();
    told = (struct told){0};
    restore(other, fd, &told);
    assert_good(&told);
    assert_prints(other, "recall", "much\n");
    pool_session_close(session);
    pool_session_close(other);
    pool_end();
}

/* It takes its turn among the runs of the session. */
static void saving_waits_for_what_runs(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    struct err err;
    cleanup_seen struct seen before;
    cleanup_seen struct seen after;
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember early", "");
    struct run_request request = request_make("sleep 50\nremember late");
    request.session = session;
    seen_init(&before);
    run_start(&request, &before);
    assert_int_equal(save_begin(session, fd, 0, &told, &err), 0);
    request = request_make("remember too late");
    request.session = session;
    seen_init(&after);
    run_start(&request, &after);
    loop_until(&told.is_done);
    assert_true(before.is_done);
    loop_until(&after.is_done);
    pool_session_close(session);
    session = session_open();
    told = (struct told){0};
    restore(session, fd, &told);
    assert_prints(session, "recall", "late\n");
    pool_session_close(session);
    pool_end();
}

static void what_is_said_about_it(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    cleanup_buf struct buf about;
    struct err err;
    struct told told = {0};
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember it", "");
    save(session, fd, 0, &told);
    pool_session_close(session);
    pool_end();
    buf_init(&about, KIB);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(pool_state_about(fd, &about, &err), 0);
    assert_text(&about, "what it is");
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
}

/* ---- Into another environment ---------------------------------------------------------------- */

static int move_begin(struct pool_session *session, const char *dir, struct told *told,
                      struct err *err)
{
    const struct pool_environment environment = {.id = "larger", .dir = dir};
    const struct pool_move how = {.environment = &environment,
                                  .file_bytes = MIB,
                                  .file_count = 100,
                                  .context = told,
                                  .done = on_restored};
    return pool_session_move(session, &how, err);
}

static void environment_write(char dir[64])
{
    char path[128];
    struct err err;
    snprintf(dir, 64, "/tmp/test_pool_durable.XXXXXX");
    assert_non_null(mkdtemp(dir));
    const char *const names[] = {"packages.img", "modules"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(fd_write_file(path, span_of("ok"), &err), 0);
    }
}

static void environment_remove(const char *dir)
{
    char path[128];
    const char *const names[] = {"packages.img", "modules"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void a_session_moves(void **state)
{
    (void)state;
    char dir[64];
    struct told told = {0};
    struct err err;
    cleanup_seen struct seen later;
    environment_write(dir);
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember it", "");
    assert_int_equal(move_begin(session, dir, &told, &err), 0);
    struct run_request request = request_make("recall\nremember more");
    request.session = session;
    seen_init(&later);
    run_start(&request, &later); /* it waits, and runs where the session is then */
    loop_until(&told.is_done);
    assert_good(&told);
    loop_until(&later.is_done);
    assert_text(&later.out, "it\n");
    assert_string_equal(pool_session_environment(session), "larger");
    assert_prints(session, "recall", "more\n");
    assert_int_equal(pool->session_count, 1);
    pool_session_close(session);
    assert_next_run_is_clean();
    pool_end();
    environment_remove(dir);
}

static void one_that_cannot_move_stays(void **state)
{
    (void)state;
    struct told told = {0};
    struct err err;
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_int_equal(move_begin(session, "/nowhere", &told, &err), -1);
    assert_int_equal(err.code, ERR_USAGE); /* it has no state */
    assert_prints(session, "remember it", "");
    assert_int_equal(move_begin(session, "/nowhere", &told, &err), 0);
    loop_until(&told.is_done);
    assert_true(told.is_error);
    assert_string_equal(pool_session_environment(session), "base");
    assert_prints(session, "recall", "it\n");
    assert_prints(session, "remember nothing that can be saved", "");
    told = (struct told){0};
    assert_int_equal(move_begin(session, "/nowhere", &told, &err), 0);
    loop_until(&told.is_done);
    assert_contains(told.err.text, "too much of it");
    assert_prints(session, "recall", "nothing that can be saved\n");
    pool_session_close(session);
    pool_end();
}

static void one_that_is_closed_on_the_way(void **state)
{
    (void)state;
    char dir[64];
    struct told told = {0};
    struct err err;
    environment_write(dir);
    pool_start("ok", 1, 4);
    for (uint64_t ms = 0; ms < 30; ms += 3) {
        struct pool_session *session = session_open();
        assert_prints(session, "remember it\nweigh 40", "");
        told = (struct told){0};
        assert_int_equal(move_begin(session, dir, &told, &err), 0);
        loop_for(ms);
        pool_session_close(session);
        loop_until(&told.is_done);
        assert_int_equal(told.count, 1);
    }
    struct pool_session *session = session_open();
    assert_prints(session, "remember it\nweigh 40", "");
    told = (struct told){0};
    assert_int_equal(move_begin(session, dir, &told, &err), 0);
    loop_for(5);
    pool_end(); /* the same for the pool */
    assert_int_equal(told.count, 1);
    pool_session_close(session);
    environment_remove(dir);
}

/* ---- What does not work ---------------------------------------------------------------------- */

static void what_has_no_state_is_not_saved(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    struct err err;
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_int_equal(save_begin(session, fd, 0, &told, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_prints(session, "remember it", "");
    assert_int_equal(restore_begin(session, fd, &told, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    pool_session_close(session);
    pool_end();
    assert_false(told.is_done);
}

/* No room, or a guest that cannot be saved: the session goes on. */
static void a_session_outlives_what_cannot_be_saved(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember it\nweigh 20", "");
    save(session, fd, MIB, &told);
    assert_true(told.is_error);
    assert_int_equal(told.err.code, ERR_LIMIT);
    assert_prints(session, "recall", "it\n");
    assert_prints(session, "remember nothing that can be saved\nweigh 0", "");
    cleanup_fd int other = file_new();
    told = (struct told){0};
    save(session, other, 0, &told);
    assert_contains(told.err.text, "too much of it");
    assert_prints(session, "recall", "nothing that can be saved\n");
    pool_session_close(session);
    pool_end();
}

static void a_cell_that_dies_while_it_saves(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember death", "");
    save(session, fd, 0, &told);
    assert_true(told.is_error);
    assert_int_equal(told.err.code, ERR_GONE);
    assert_true(pool_session_has_ended(session));
    pool_session_close(session);
    assert_next_run_is_clean();
    pool_end();
}

/* The cell says no before all has been sent; the session is as new. */
static void a_state_that_is_refused(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct state_file file;
    struct told told = {0};
    struct err err;
    static const char zeros[LIMIT_STATE_PIECE_BYTES];
    assert_int_equal(state_file_begin(&file, fd, GIB, span_of(""), &err), 0);
    assert_int_equal(state_file_put(&file, span_of("refuse me"), &err), 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(state_file_put(&file, (struct span){zeros, sizeof zeros}, &err), 0);
    }
    assert_int_equal(state_file_end(&file, &err), 0);
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    restore(session, fd, &told);
    assert_true(told.is_error);
    assert_contains(told.err.text, "this is no state");
    assert_false(pool_session_has_ended(session));
    assert_false(pool_session_has_state(session));
    assert_prints(session, "remember it", "");
    assert_prints(session, "recall", "it\n");
    pool_session_close(session);
    pool_end();
}

/* Every part of a file is needed, and nothing behind it: no session comes out of another one. */
static void files_that_are_damaged(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    struct err err;
    char bytes[KIB];
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember it", "");
    save(session, fd, 0, &told);
    pool_session_close(session);
    assert_true(told.bytes < sizeof bytes);
    assert_int_equal(pread(fd, bytes, sizeof bytes, 0), told.bytes);
    const size_t len = (size_t)told.bytes;
    for (size_t i = 0; i <= 2 * len; i++) {
        cleanup_fd int damaged = file_new();
        const size_t at = i / 2 < len ? i / 2 : len - 1;
        bytes[at] = (char)(bytes[at] ^ 1);
        const size_t part = i % 2 == 0 ? len : at;
        assert_int_equal(
            fd_write_full(damaged, i == 2 * len ? "x" : bytes, i == 2 * len ? 1 : part), 0);
        bytes[at] = (char)(bytes[at] ^ 1);
        session = session_open();
        told = (struct told){0};
        if (restore_begin(session, damaged, &told, &err) == 0) {
            loop_until(&told.is_done);
            assert_true(told.is_error);
            err = told.err;
        }
        assert_true(err.code == ERR_FORMAT);
        assert_false(pool_session_has_state(session));
        pool_session_close(session);
    }
    assert_int_equal(lseek(fd, 0, SEEK_END), len);
    assert_int_equal(fd_write_full(fd, "x", 1), 0);
    session = session_open();
    told = (struct told){0};
    restore(session, fd, &told);
    assert_contains(told.err.text, "checksum");
    pool_session_close(session);
    pool_end();
}

static void closing_ends_it(void **state)
{
    (void)state;
    cleanup_fd int fd = file_new();
    struct told told = {0};
    struct err err;
    pool_start("ok", 1, 4);
    struct pool_session *session = session_open();
    assert_prints(session, "remember it\nweigh 400", "");
    assert_int_equal(save_begin(session, fd, 0, &told, &err), 0);
    pool_session_close(session);
    loop_until(&told.is_done); /* it may have been quicker */
    assert_int_equal(told.count, 1);
    session = session_open();
    assert_prints(session, "remember it", "");
    told = (struct told){.close = session};
    cleanup_fd int other = file_new();
    save(session, other, 0, &told); /* closed from `done` */
    assert_false(told.is_error);
    told = (struct told){0};
    session = session_open();
    assert_int_equal(restore_begin(session, other, &told, &err), 0);
    pool_end();
    assert_int_equal(told.count, 1);
    pool_session_close(session);
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        pool_test(a_session_is_saved_and_goes_on_elsewhere),
        pool_test(a_large_state),
        pool_test(saving_waits_for_what_runs),
        pool_test(what_is_said_about_it),
        pool_test(a_session_moves),
        pool_test(one_that_cannot_move_stays),
        pool_test(one_that_is_closed_on_the_way),
        pool_test(what_has_no_state_is_not_saved),
        pool_test(a_session_outlives_what_cannot_be_saved),
        pool_test(a_cell_that_dies_while_it_saves),
        pool_test(a_state_that_is_refused),
        pool_test(files_that_are_damaged),
        pool_test(closing_ends_it),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
