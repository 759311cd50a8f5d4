/*
 * guest/snapshot: a guest that is saved goes on in another process as it was, and a file that does
 * not fit, or is damaged, is passed over.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/limits.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"
#include "guest/snapshot.h"
#include "guest/state.h"

enum { PATH_MAX_OF_TEST = 4096, DAMAGES = 150 };

/* The engine's handlers; cmocka puts its own before them. */
static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
static struct sigaction trap_handlers[sizeof trap_signals / sizeof *trap_signals];

static char folder[] = "/tmp/test_snapshot.XXXXXX";
static char core[PATH_MAX_OF_TEST];
static char library[PATH_MAX_OF_TEST];
static char made[PATH_MAX_OF_TEST];    /* a snapshot of a guest that has done something */
static char damaged[PATH_MAX_OF_TEST]; /* what a test makes of it */

/* What the guest has done before it was saved, and what is to be found afterwards. */
#define BEFORE                                                                                     \
    "import ctypes, json, os, time, random\n"                                                      \
    "kept = {'a': [1, 2.5, 'three']}\n"                                                            \
    "os.makedirs('/tmp/made/deep')\n"                                                              \
    "open('/tmp/made/deep/file', 'w').write('contents')\n"                                         \
    "os.symlink('deep/file', '/tmp/made/link')\n"                                                  \
    "compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),"                  \
    " ctypes.POINTER(ctypes.c_int))\n"                                                             \
    "compare = compare_type(lambda a, b: a[0] - b[0])\n"                                           \
    "gone = compare_type(lambda a, b: 0)\n"                                                        \
    "c = ctypes.CDLL(None)\n"                                                                      \
    "del gone\n"                                                                                   \
    "os.environ['TZ'] = 'EST5EDT'\n"                                                               \
    "time.tzset()\n"
#define AFTER                                                                                      \
    "assert kept == {'a': [1, 2.5, 'three']}\n"                                                    \
    "assert open('/tmp/made/link').read() == 'contents'\n"                                         \
    "assert sorted(os.listdir('/tmp/made')) == ['deep', 'link']\n"                                 \
    "numbers = (ctypes.c_int * 5)(3, 1, 2, 5, 4)\n"                                                \
    "c.qsort(numbers, 5, 4, compare)\n"                                                            \
    "assert list(numbers) == [1, 2, 3, 4, 5]\n"                                                    \
    "back = compare_type(lambda a, b: b[0] - a[0])\n"                                              \
    "c.qsort(numbers, 5, 4, back)\n"                                                               \
    "assert list(numbers) == [5, 4, 3, 2, 1]\n"                                                    \
    "assert time.tzname == ('EST', 'EDT'), time.tzname\n"                                          \
    "assert time.localtime(0).tm_hour == 19\n"                                                     \
    "assert os.getcwd() == '/home/vitrine' and os.urandom(8) != os.urandom(8)\n"                   \
    "import wave, decimal\n"                                                                       \
    "assert decimal.Decimal(1) / 3\n"

static int guest_start(const char *snapshot, int warm, uint64_t memory_bytes_max,
                       struct guest **out, struct err *err)
{
    const char *const images[] = {library, NULL};
    const struct guest_config config = {
        .core_path = core,
        .image_paths = images,
        .memory_bytes_max = memory_bytes_max,
        .warm = warm,
        .snapshot_path = snapshot,
    };
    if (guest_load(&config, out, err) != 0) {
        return -1;
    }
    if (guest_boot(*out, err) != 0) {
        guest_free(*out);
        return -1;
    }
    return 0;
}

static struct guest *booted_from(const char *snapshot)
{
    struct guest *guest;
    struct err err;
    if (guest_start(snapshot, 0, LIMIT_MEMORY_BYTES_DEFAULT, &guest, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return guest;
}

static void file_read(const char *path, struct buf *out)
{
    struct err err;
    buf_init(out, GIB);
    assert_int_equal(fd_read_file(path, out, &err), 0);
}

static void file_write(struct span bytes)
{
    struct err err;
    (void)unlink(damaged);
    assert_int_equal(fd_write_file(damaged, bytes, &err), 0);
}

static void assert_passed_over(const char *path)
{
    struct err err;
    struct guest *guest = booted_from(path);
    assert_false(guest_is_restored(guest));
    assert_int_equal(guest_execute(guest, "import json; assert json.loads('1') == 1", &err), 0);
    guest_free(guest);
}

/* ---- What a guest was ------------------------------------------------------------------------ */

static void a_guest_goes_on_as_it_was(void **state)
{
    (void)state;
    struct err err;
    struct guest *guest = booted_from(made);
    assert_true(guest_is_restored(guest));
    assert_memory_equal(guest_python_version(guest), "3.14.", 5);
    if (guest_execute(guest, AFTER, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(guest_rehearse(guest, true, &err), 0);
    guest_free(guest);
}

/* Two guests of one file share no memory. */
static void guests_do_not_see_each_other(void **state)
{
    (void)state;
    struct err err;
    struct guest *first = booted_from(made);
    assert_int_equal(guest_execute(first, "kept['a'] = 'changed'", &err), 0);
    guest_free(first);
    struct guest *second = booted_from(made);
    assert_int_equal(guest_execute(second, "assert kept['a'][0] == 1", &err), 0);
    guest_free(second);
}

/* And once more, from a guest that came from a snapshot itself. */
static void a_snapshot_of_a_restored_guest(void **state)
{
    (void)state;
    struct err err;
    struct guest *guest = booted_from(made);
    assert_int_equal(guest_snapshot_write(guest, damaged, &err), 0);
    guest_free(guest);
    guest = booted_from(damaged);
    assert_true(guest_is_restored(guest));
    assert_int_equal(guest_execute(guest, AFTER, &err), 0);
    guest_free(guest);
}

static void what_a_snapshot_cannot_hold(void **state)
{
    (void)state;
    struct err err;
    struct guest *guest = booted_from(made);
    (void)unlink(damaged);
    assert_int_equal(guest_execute(guest, "f = open('/tmp/made/link')", &err), 0);
    assert_int_equal(guest_snapshot_write(guest, damaged, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(access(damaged, F_OK), -1);
    guest_free(guest);

    guest = booted_from(NULL); /* a cold one */
    assert_int_equal(guest_snapshot_write(guest, damaged, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    guest_free(guest);
}

/* ---- What does not fit ----------------------------------------------------------------------- */

static void a_file_that_is_not_there(void **state)
{
    (void)state;
    (void)unlink(damaged);
    assert_passed_over(damaged);
    file_write((struct span){"VITRSNP", 8});
    assert_passed_over(damaged);
    assert_passed_over(core);
}

/* The same bytes with another time of change are another file. */
static void a_snapshot_of_other_files(void **state)
{
    (void)state;
    char kept[PATH_MAX_OF_TEST];
    cleanup_buf struct buf image;
    struct err err;
    memcpy(kept, library, sizeof kept);
    file_read(library, &image);
    snprintf(library, sizeof library, "%s/stdlib.img", folder);
    assert_int_equal(fd_write_file(library, buf_span(&image), &err), 0);
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, library, times, 0), 0);
    assert_passed_over(made);
    (void)unlink(library);
    memcpy(library, kept, sizeof kept);
}

static void a_guest_that_may_have_less_memory(void **state)
{
    (void)state;
    struct err err;
    struct guest *guest = booted_from(made);
    const uint64_t size = engine_memory(guest->store, &guest->memory).len;
    guest_free(guest);
    if (guest_start(made, 0, size - 1, &guest, &err) == 0) {
        assert_false(guest_is_restored(guest));
        guest_free(guest);
    }
    assert_int_equal(guest_start(made, 0, size, &guest, &err), 0);
    assert_true(guest_is_restored(guest));
    guest_free(guest);
}

static void a_snapshot_that_is_cut_off(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    file_read(made, &bytes);
    const size_t cuts[] = {1, 4096, bytes.len / 2, bytes.len - 1000,
                           bytes.len - SNAPSHOT_HEADER_BYTES};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        file_write((struct span){bytes.base, bytes.len - cuts[i]});
        assert_passed_over(damaged);
    }
}

/* A pseudo-random number, the same ones in each run. */
static uint32_t dice(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/*
 * One byte of header or record is made another. A guest boots in any case. When it is the one of
 * the snapshot, what was damaged is what only code of the guest's own relies on; it may trap then.
 */
static void a_snapshot_that_is_damaged(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    uint32_t seed = 1;
    uint32_t record_bytes;
    unsigned passed_over = 0;
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        assert_int_equal(sigaction(trap_signals[i], &trap_handlers[i], NULL), 0);
    }
    file_read(made, &bytes);
    memcpy(&record_bytes, bytes.base + 12, sizeof record_bytes);
    for (unsigned i = 0; i < DAMAGES; i++) {
        struct err err;
        const size_t at =
            i < SNAPSHOT_HEADER_BYTES ? i : SNAPSHOT_HEADER_BYTES + dice(&seed) % record_bytes;
        const char was = bytes.base[at];
        bytes.base[at] = (char)(was ^ (1 << dice(&seed) % 8));
        file_write(buf_span(&bytes));
        bytes.base[at] = was;
        struct guest *guest = booted_from(damaged);
        passed_over += guest_is_restored(guest) ? 0 : 1;
        (void)guest_execute(guest, "print(end='')", &err);
        guest_free(guest);
    }
    assert_true(passed_over > DAMAGES / 3);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int body(void *context, struct err *err)
{
    (void)context;
    struct guest *guest;
    if (guest_start(NULL, 1, LIMIT_MEMORY_BYTES_DEFAULT, &guest, err) != 0) {
        return -1;
    }
    if (guest_execute(guest, BEFORE, err) != 0 || guest_snapshot_write(guest, made, err) != 0) {
        guest_free(guest);
        return -1;
    }
    guest_free(guest);
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], NULL, &trap_handlers[i]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_goes_on_as_it_was),
        cmocka_unit_test(guests_do_not_see_each_other),
        cmocka_unit_test(a_snapshot_of_a_restored_guest),
        cmocka_unit_test(what_a_snapshot_cannot_hold),
        cmocka_unit_test(a_file_that_is_not_there),
        cmocka_unit_test(a_snapshot_of_other_files),
        cmocka_unit_test(a_guest_that_may_have_less_memory),
        cmocka_unit_test(a_snapshot_that_is_cut_off),
        cmocka_unit_test(a_snapshot_that_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const char *dir = getenv("VITRINE_GUEST_DIR");
    struct err err = {0};
    if (dir == NULL || mkdtemp(folder) == NULL) {
        fprintf(stderr, "test_snapshot: VITRINE_GUEST_DIR names no folder, or there is no /tmp\n");
        return 1;
    }
    snprintf(core, sizeof core, "%s/core.cwasm", dir);
    snprintf(library, sizeof library, "%s/stdlib.img", dir);
    snprintf(made, sizeof made, "%s/made", folder);
    snprintf(damaged, sizeof damaged, "%s/damaged", folder);
    int result = run_on_stack(body, NULL, &err);
    if (result < 0) {
        fprintf(stderr, "test_snapshot: %s\n", err.text);
    }
    (void)unlink(made);
    (void)unlink(damaged);
    (void)rmdir(folder);
    return result == 0 ? 0 : 1;
}
