/*
 * guest_state_write and guest_state_read: a guest that has run goes on in another process, with its
 * open files, pipes, callbacks and clocks; a state that is damaged, cut off or of something else is
 * refused.
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "guest/guest.h"
#include "guest/packed.h"
#include "guest/run_on_stack.h"
#include "guest/state.h"

enum { PATH_MAX_OF_TEST = 4096, DAMAGES = 120 };

/* The engine's handlers; cmocka puts its own before them. */
static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
static struct sigaction trap_handlers[sizeof trap_signals / sizeof *trap_signals];

static char folder[] = "/tmp/test_durable.XXXXXX";
static char core[PATH_MAX_OF_TEST];
static char library[PATH_MAX_OF_TEST];
static char snapshot[PATH_MAX_OF_TEST];
static char saved[PATH_MAX_OF_TEST]; /* where a state is passed on to another process */
static struct buf made;              /* the state of a guest that has done BEFORE */
static const char *own_path;

/* What the guest has done before it was saved, and what is to be found afterwards. */
#define BEFORE                                                                                     \
    "import ctypes, json, os, random, stat, sys, time, weakref, re, decimal\n"                     \
    "kept = {'a': [1, 2.5, 'three'], 'big': bytes(range(256)) * 40000}\n"                          \
    "kept['self'] = kept\n"                                                                        \
    "os.makedirs('/tmp/made/deep')\n"                                                              \
    "open('/tmp/made/deep/file', 'w').write('contents')\n"                                         \
    "os.symlink('deep/file', '/tmp/made/link')\n"                                                  \
    "os.chmod('/tmp/made/deep/file', 0o640)\n"                                                     \
    "os.utime('/tmp/made/deep/file', ns=(123, 456))\n"                                             \
    "library = os.path.dirname(os.__file__)\n"                                                     \
    "os.rename(library + '/this.py', '/tmp/moved.py') if os.path.exists(library + '/this.py')"     \
    " else None\n"                                                                                 \
    "os.chdir('/tmp/made/deep')\n"                                                                 \
    "half = open('file', 'rb+')\n"                                                                 \
    "assert half.read(3) == b'con'\n"                                                              \
    "unbuffered = open('/tmp/raw', 'wb+', buffering=0)\n"                                          \
    "unbuffered.write(b'0123456789'); unbuffered.seek(4)\n"                                        \
    "nameless = open('/tmp/nameless', 'w+'); nameless.write('still here'); nameless.flush()\n"     \
    "os.unlink('/tmp/nameless')\n"                                                                 \
    "holes = open('/tmp/holes', 'wb'); holes.seek(5 << 30); holes.write(b'end'); holes.flush()\n"  \
    "appended = os.open('/tmp/appended', os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)\n" \
    "shared = os.dup(unbuffered.fileno())\n"                                                       \
    "far = os.dup2(unbuffered.fileno(), 77)\n"                                                     \
    "read_end, write_end = os.pipe(); os.write(write_end, b'in the pipe')\n"                       \
    "of_image = open(os.__file__ if os.path.exists(os.__file__) else library + '/os.pyc', 'rb')\n" \
    "image_start = of_image.read(10)\n"                                                            \
    "listing = os.open('/tmp/made', os.O_RDONLY)\n"                                                \
    "os.makedirs('/tmp/removed/inside'); gone_dir = os.open('/tmp/removed/inside', os.O_RDONLY)\n" \
    "os.rmdir('/tmp/removed/inside'); os.rmdir('/tmp/removed')\n"                                  \
    "os.umask(0o077)\n"                                                                            \
    "inode, changed = os.stat('file').st_ino, os.stat('file').st_mtime_ns\n"                       \
    "room = bytearray(64 << 20)\n"                                                                 \
    "random.seed(5); random.random()\n"                                                            \
    "twin = random.Random(); twin.setstate(random.getstate()); expected = twin.random()\n"         \
    "compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),"                  \
    " ctypes.POINTER(ctypes.c_int))\n"                                                             \
    "compare = compare_type(lambda a, b: a[0] - b[0])\n"                                           \
    "c = ctypes.CDLL(None)\n"                                                                      \
    "def count():\n"                                                                               \
    "    n = 0\n"                                                                                  \
    "    while True:\n"                                                                            \
    "        n += 1\n"                                                                             \
    "        yield n\n"                                                                            \
    "counter = count(); next(counter); next(counter)\n"                                            \
    "hash_of = hash('a text')\n"                                                                   \
    "os.environ['TZ'] = 'EST5EDT'; time.tzset()\n"                                                 \
    "monotonic = time.monotonic_ns(); cpu = time.process_time_ns()\n"
#define AFTER                                                                                      \
    "assert time.monotonic_ns() >= monotonic and time.process_time_ns() >= cpu\n"                  \
    "assert time.monotonic_ns() - monotonic < 300 * 10**9\n"                                       \
    "time.sleep(0.01)\n"                                                                           \
    "assert kept['a'] == [1, 2.5, 'three'] and kept['self'] is kept\n"                             \
    "assert kept['big'] == bytes(range(256)) * 40000\n"                                            \
    "assert hash('a text') == hash_of and random.random() == expected\n"                           \
    "assert next(counter) == 3\n"                                                                  \
    "assert os.getcwd() == '/tmp/made/deep' and os.umask(0o077) == 0o077\n"                        \
    "assert open('/tmp/made/link').read() == 'contents'\n"                                         \
    "status = os.stat('file')\n"                                                                   \
    "assert (status.st_ino, status.st_nlink, status.st_mtime_ns) == (inode, 1, changed), status\n" \
    "assert stat.S_IMODE(status.st_mode) == 0o640\n"                                               \
    "assert sorted(os.listdir('/tmp/made')) == ['deep', 'link']\n"                                 \
    "assert sorted(os.listdir(listing)) == ['deep', 'link']\n"                                     \
    "assert not os.path.exists(library + '/this.py')\n"                                            \
    "assert half.read() == b'tents'\n"                                                             \
    "half.write(b', and more'); half.flush()\n"                                                    \
    "assert open('/tmp/made/link').read() == 'contents, and more'\n"                               \
    "assert os.read(shared, 2) == b'45' and unbuffered.read(2) == b'67'\n"                         \
    "assert os.read(far, 9) == b'89'\n"                                                            \
    "nameless.seek(0); assert nameless.read() == 'still here'\n"                                   \
    "assert not os.path.exists('/tmp/nameless')\n"                                                 \
    "holes.write(b'!'); holes.close()\n"                                                           \
    "assert os.path.getsize('/tmp/holes') == (5 << 30) + 4\n"                                      \
    "with open('/tmp/holes', 'rb') as f:\n"                                                        \
    "    assert f.read(4) == bytes(4); f.seek(5 << 30); assert f.read() == b'end!'\n"              \
    "os.write(appended, b'one'); os.lseek(appended, 0, 0); os.write(appended, b'two')\n"           \
    "assert open('/tmp/appended').read() == 'onetwo'\n"                                            \
    "assert not os.get_inheritable(appended) and os.get_inheritable(far)\n"                        \
    "os.write(write_end, b', and this'); os.close(write_end)\n"                                    \
    "assert os.read(read_end, 99) == b'in the pipe, and this' and os.read(read_end, 1) == b''\n"   \
    "rest = of_image.read(); of_image.seek(0); assert of_image.read() == image_start + rest\n"     \
    "assert os.fstat(gone_dir).st_nlink == 0\n"                                                    \
    "numbers = (ctypes.c_int * 5)(3, 1, 2, 5, 4)\n"                                                \
    "c.qsort(numbers, 5, 4, compare)\n"                                                            \
    "assert list(numbers) == [1, 2, 3, 4, 5]\n"                                                    \
    "assert time.tzname == ('EST', 'EDT') and time.localtime(0).tm_hour == 19\n"                   \
    "import wave\n"                                                                                \
    "assert re.sub('b+', 'x', 'abba') == 'axa' and decimal.Decimal(1) / 3\n"                       \
    "print(end='', file=sys.stdout); sys.stdout.flush()\n"

static int guest_open(uint64_t memory_bytes_max, struct guest **out, struct err *err)
{
    const char *const images[] = {library, NULL};
    const struct guest_config config = {
        .core_path = core,
        .image_paths = images,
        .memory_bytes_max = memory_bytes_max,
        .warm = 0,
        .snapshot_path = snapshot,
    };
    return guest_load(&config, out, err);
}

/* ---- States in memory ------------------------------------------------------------------------ */

static int piece_append(void *context, struct span bytes, struct err *err)
{
    struct buf *out = context;
    if (bytes.len > LIMIT_STATE_PIECE_BYTES) {
        return err_set(err, ERR_LIMIT, "a piece of %zu bytes", bytes.len);
    }
    return buf_append(out, bytes.base, bytes.len) == 0 ? 0 : err_set(err, ERR_LIMIT, "full");
}

static int state_of(struct guest *guest, struct buf *out, struct err *err)
{
    const struct flow_out flow = {out, piece_append};
    buf_init(out, GIB);
    return guest_state_write(guest, &flow, err);
}

enum { PIECE = 10007 }; /* what a sender makes of it is his affair */

static int piece_take(void *context, struct span *piece, struct err *err)
{
    struct span *rest = context;
    (void)err;
    *piece = (struct span){rest->base, rest->len < PIECE ? rest->len : PIECE};
    rest->base += piece->len;
    rest->len -= piece->len;
    return 0;
}

static int restore(struct span state, struct guest *guest, struct err *err)
{
    const struct flow_pieces flow = {&state, piece_take};
    const struct guest_state_room room = {UINT64_MAX, LIMIT_FILE_BYTES_DEFAULT,
                                          LIMIT_FILE_COUNT_DEFAULT};
    return guest_state_read(guest, &flow, &room, err);
}

static struct guest *restored(struct span state)
{
    struct guest *guest;
    struct err err;
    if (guest_open(LIMIT_MEMORY_BYTES_DEFAULT, &guest, &err) != 0 ||
        restore(state, guest, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return guest;
}

static void assert_does(struct guest *guest, const char *code)
{
    struct err err;
    if (guest_execute(guest, code, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void assert_refused(struct span state, const char *reason)
{
    struct guest *guest;
    struct err err;
    assert_int_equal(guest_open(LIMIT_MEMORY_BYTES_DEFAULT, &guest, &err), 0);
    assert_int_equal(restore(state, guest, &err), -1);
    if (strstr(err.text, reason) == NULL) {
        fail_msg("\"%s\" is not in: %s", reason, err.text);
    }
    guest_free(guest);
}

/* ---- What a guest was ------------------------------------------------------------------------ */

static void a_guest_goes_on_as_it_was(void **state)
{
    (void)state;
    struct guest *guest = restored(buf_span(&made));
    assert_does(guest, AFTER);
    guest_free(guest);
}

/* Its table and memory are those of a process that never was this one. */
static void it_goes_on_in_another_process(void **state)
{
    (void)state;
    struct err err;
    int status;
    (void)unlink(saved);
    assert_int_equal(fd_write_file(saved, buf_span(&made), &err), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        execl(own_path, own_path, saved, NULL);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* And once more, from a guest that was restored itself, and has gone on since. */
static void a_state_of_a_restored_guest(void **state)
{
    (void)state;
    cleanup_buf struct buf again;
    struct err err;
    struct guest *guest = restored(buf_span(&made));
    assert_does(guest, "kept['later'] = 1; os.write(write_end, b'')");
    assert_int_equal(state_of(guest, &again, &err), 0);
    assert_does(guest, AFTER); /* it has not changed by it */
    guest_free(guest);
    guest = restored(buf_span(&again));
    assert_does(guest, "assert kept['later'] == 1");
    assert_does(guest, AFTER);
    guest_free(guest);
}

/* The guest that runs already is replaced, whole. */
static void a_guest_that_runs_becomes_another(void **state)
{
    (void)state;
    struct guest *guest;
    struct err err;
    assert_int_equal(guest_open(LIMIT_MEMORY_BYTES_DEFAULT, &guest, &err), 0);
    assert_int_equal(guest_boot(guest, &err), 0);
    assert_does(guest, "import ctypes\nopen('/tmp/other', 'w').write('x')\n"
                       "f = ctypes.CFUNCTYPE(None)(print)\nother = bytearray(50 << 20)");
    assert_int_equal(restore(buf_span(&made), guest, &err), 0);
    assert_does(guest, AFTER);
    assert_does(guest, "assert 'other' not in globals() and not os.path.exists('/tmp/other')");
    guest_free(guest);
}

/* What is not there is not taken along: a state is not as large as the memory. */
static void a_state_is_small(void **state)
{
    (void)state;
    assert_true(made.len < 16 * MIB);
}

/* The clocks of the guest never go back, whatever those of the process say. */
static void clocks_go_on(void **state)
{
    (void)state;
    cleanup_buf struct buf later;
    struct err err;
    struct guest *guest = restored(buf_span(&made));
    guest->monotonic_ahead_ns += 3600ULL * 1000000000;
    guest->cpu_ahead_ns += 60ULL * 1000000000;
    assert_does(guest, "early, early_cpu = time.monotonic_ns(), time.process_time_ns()");
    assert_int_equal(state_of(guest, &later, &err), 0);
    guest_free(guest);
    guest = restored(buf_span(&later));
    assert_does(guest, "assert 0 <= time.monotonic_ns() - early < 60 * 10**9\n"
                       "assert 0 <= time.process_time_ns() - early_cpu < 60 * 10**9\n"
                       "import asyncio, threading\n"
                       "start = time.monotonic(); time.sleep(0.02)\n"
                       "assert 0.02 <= time.monotonic() - start < 30\n");
    guest_free(guest);
}

/* ---- What does not fit ----------------------------------------------------------------------- */

static void one_that_is_cut_off(void **state)
{
    (void)state;
    const size_t cuts[] = {1, 4096, made.len / 2, made.len - 40};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_refused((struct span){made.base, made.len - cuts[i]}, "the state");
    }
    assert_refused((struct span){"", 0}, "cut off");
    assert_refused(span_of("something else altogether"), "damaged");
}

static void one_with_more_behind_it(void **state)
{
    (void)state;
    cleanup_buf struct buf longer;
    buf_init(&longer, GIB);
    assert_int_equal(buf_append(&longer, made.base, made.len), 0);
    assert_int_equal(buf_append_char(&longer, 'x'), 0);
    assert_refused(buf_span(&longer), "behind its end");
}

static void a_guest_that_may_have_less(void **state)
{
    (void)state;
    struct guest *guest = restored(buf_span(&made));
    struct err err;
    const uint64_t size = engine_memory(guest->store, &guest->memory).len;
    guest_free(guest);
    assert_int_equal(guest_open(size - 1, &guest, &err), 0);
    assert_int_equal(restore(buf_span(&made), guest, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    guest_free(guest);

    const struct guest_state_room rooms[] = {{GIB, 20, 1000}, {GIB, MIB, 3}, {size - 1, MIB, 1000}};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        struct span rest = buf_span(&made);
        const struct flow_pieces flow = {&rest, piece_take};
        assert_int_equal(guest_open(size, &guest, &err), 0);
        assert_int_equal(guest_state_read(guest, &flow, &rooms[i], &err), -1);
        assert_int_equal(err.code, ERR_LIMIT);
        guest_free(guest);
    }
}

static void one_of_another_build(void **state)
{
    (void)state;
    cleanup_buf struct buf other;
    struct err err;
    struct guest *guest = restored(buf_span(&made));
    memcpy(guest->build, "another", sizeof "another");
    assert_int_equal(state_of(guest, &other, &err), 0);
    assert_refused(buf_span(&other), "another build of the guest (another;");
    guest->build[0] = '\0';
    buf_free(&other);
    assert_int_equal(state_of(guest, &other, &err), -1);
    assert_int_equal(err.code, ERR_MISSING);
    guest_free(guest);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* A pseudo-random number, the same ones in each run. */
static uint32_t dice(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* The packed bytes have a sum of their own; some of their header do not matter. */
static void one_that_is_damaged(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (unsigned i = 0; i < DAMAGES / 4; i++) {
        const size_t at = i < 8 ? i : dice(&seed) % made.len;
        const char was = made.base[at];
        struct guest *guest;
        struct err err;
        made.base[at] = (char)(was ^ (1 << dice(&seed) % 8));
        assert_int_equal(guest_open(LIMIT_MEMORY_BYTES_DEFAULT, &guest, &err), 0);
        const int result = restore(buf_span(&made), guest, &err);
        made.base[at] = was;
        assert_true(result != 0 || i < 8);
        guest_free(guest);
    }
}

static void unpack(struct span state, struct buf *out)
{
    struct packed_in *packed;
    struct err err;
    const struct flow_pieces flow = {&state, piece_take};
    buf_init(out, GIB);
    assert_int_equal(packed_in_open(&flow, &packed, &err), 0);
    const struct flow_in in = packed_in_flow(packed);
    char byte;
    while (flow_read(&in, &byte, 1, &err) == 0) {
        assert_int_equal(buf_append(out, &byte, 1), 0);
    }
    packed_in_free(packed);
}

static void pack(struct span bytes, struct buf *out)
{
    struct packed_out *packed;
    struct err err;
    const struct flow_out below = {out, piece_append};
    buf_init(out, GIB);
    assert_int_equal(packed_out_open(&below, &packed, &err), 0);
    const struct flow_out flow = packed_out_flow(packed);
    assert_int_equal(flow_write(&flow, bytes, &err), 0);
    assert_int_equal(packed_out_finish(packed, &err), 0);
    packed_out_free(packed);
}

/*
 * One byte of header or record is made another, and all is packed again, as by somebody who wants
 * to do harm. It is refused, or what was damaged is what only code of the guest's own relies on; it
 * may trap then.
 */
static void one_that_lies(void **state)
{
    (void)state;
    cleanup_buf struct buf bytes;
    uint32_t seed = 1;
    uint32_t record_bytes;
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        assert_int_equal(sigaction(trap_signals[i], &trap_handlers[i], NULL), 0);
    }
    unpack(buf_span(&made), &bytes);
    memcpy(&record_bytes, bytes.base + 12, sizeof record_bytes);
    for (unsigned i = 0; i < DAMAGES; i++) {
        struct guest *guest;
        struct err err;
        cleanup_buf struct buf lie;
        const size_t at = i < 32 ? i : 32 + dice(&seed) % record_bytes;
        const char was = bytes.base[at];
        bytes.base[at] = (char)(was ^ (1 << dice(&seed) % 8));
        pack(buf_span(&bytes), &lie);
        bytes.base[at] = was;
        assert_int_equal(guest_open(LIMIT_MEMORY_BYTES_DEFAULT, &guest, &err), 0);
        if (restore(buf_span(&lie), guest, &err) != 0) {
            refused++;
        } else {
            (void)guest_execute(guest, "print(end='')", &err);
        }
        guest_free(guest);
    }
    assert_true(refused > DAMAGES / 3);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int make(struct err *err)
{
    struct guest *guest;
    if (guest_open(LIMIT_MEMORY_BYTES_DEFAULT, &guest, err) != 0) {
        return -1;
    }
    const int result = guest_boot(guest, err) != 0 || guest_execute(guest, BEFORE, err) != 0 ||
                               state_of(guest, &made, err) != 0
                           ? -1
                           : 0;
    guest_free(guest);
    return result;
}

static int body(void *context, struct err *err)
{
    (void)context;
    if (make(err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], NULL, &trap_handlers[i]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_goes_on_as_it_was),
        cmocka_unit_test(it_goes_on_in_another_process),
        cmocka_unit_test(a_state_of_a_restored_guest),
        cmocka_unit_test(a_guest_that_runs_becomes_another),
        cmocka_unit_test(a_state_is_small),
        cmocka_unit_test(clocks_go_on),
        cmocka_unit_test(one_that_is_cut_off),
        cmocka_unit_test(one_with_more_behind_it),
        cmocka_unit_test(a_guest_that_may_have_less),
        cmocka_unit_test(one_of_another_build),
        cmocka_unit_test(one_that_is_damaged),
        cmocka_unit_test(one_that_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* As another process: restores what is in the file, and goes on. */
static int go_on(void *context, struct err *err)
{
    struct guest *guest;
    cleanup_buf struct buf state;
    buf_init(&state, GIB);
    if (fd_read_file(context, &state, err) != 0 ||
        guest_open(LIMIT_MEMORY_BYTES_DEFAULT, &guest, err) != 0) {
        return -1;
    }
    const int result =
        restore(buf_span(&state), guest, err) != 0 ? -1 : guest_execute(guest, AFTER, err);
    guest_free(guest);
    return result;
}

int main(int argc, char **argv)
{
    const char *dir = getenv("VITRINE_GUEST_DIR");
    struct err err = {0};
    own_path = argv[0];
    if (dir == NULL) {
        fprintf(stderr, "test_durable: VITRINE_GUEST_DIR names no folder\n");
        return 1;
    }
    snprintf(core, sizeof core, "%s/core.cwasm", dir);
    snprintf(library, sizeof library, "%s/stdlib.img", dir);
    snprintf(snapshot, sizeof snapshot, "%s/snapshot", dir);
    if (argc == 2) {
        const int failed = run_on_stack(go_on, argv[1], &err);
        if (failed != 0) {
            fprintf(stderr, "test_durable: %s\n", err.text);
        }
        return failed != 0;
    }
    if (mkdtemp(folder) == NULL) {
        perror("test_durable: mkdtemp");
        return 1;
    }
    snprintf(saved, sizeof saved, "%s/saved", folder);
    const int result = run_on_stack(body, NULL, &err);
    if (result < 0) {
        fprintf(stderr, "test_durable: %s\n", err.text);
    }
    buf_free(&made);
    (void)unlink(saved);
    (void)rmdir(folder);
    return result == 0 ? 0 : 1;
}
