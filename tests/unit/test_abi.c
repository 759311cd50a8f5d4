/*
 * guest/abi: every import of the platform with hostile arguments (attacks 2 to 4). A booted guest
 * stands behind them; what must never happen is a host read or write outside its memory, which
 * ends in SIGSEGV (the memory's surroundings are not mapped) or a sanitizer's report.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "guest/abi/abi.h"
#include "guest/abi/control.h"
#include "guest/dylink/loader.h"
#include "guest/guest.h"
#include "guest/run_on_stack.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"

enum { RANDOM_ROUNDS = 400, ARGUMENTS_MAX = 8 };

static struct guest *guest;
/* The engine's handlers, which turn a guest's bad access or division into a trap; cmocka puts its
 * own before them. A bad access of the host's is still the end of the program. */
static const int trap_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
static struct sigaction engine_handlers[sizeof trap_signals / sizeof *trap_signals];

/* What a guest with spoilt memory writes is of no interest. */
static int drop_output(void *context, int is_stderr, struct span bytes)
{
    (void)context;
    (void)is_stderr;
    (void)bytes;
    return 0;
}

static const struct guest_sink nowhere = {.output = drop_output};

static void traps_catch(void)
{
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], &engine_handlers[i], NULL);
    }
}

/* Imports that end the guest, by design, whatever their arguments are. */
static bool ends_guest(const char *name)
{
    return strcmp(name, "proc_exit") == 0 || strcmp(name, "exit") == 0 ||
           strcmp(name, "_abort_js") == 0;
}

static uint32_t next_random(void)
{
    static uint64_t seed = 88172645463325252ull;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* Numbers around every border that a pointer, length, descriptor or flag word has. */
static uint32_t hostile_number(void)
{
    uint32_t size = (uint32_t)engine_memory(guest->store, &guest->memory).len;
    const uint32_t numbers[] = {
        0,          1,          2,           3,           7,          0xFFu,
        size - 1,   size,       size + 1,    size - 8,    size - 280, 0x7FFFFFFF,
        0x80000000, 0xFFFFFFFF, 0xFFFFFFF0u, 0xFFFFFF9Cu, 1000000,    1000001,
        4096,       0xFFFFu,    65536,       1u << 20,    1u << 28,   next_random()};
    return numbers[next_random() % (sizeof numbers / sizeof *numbers)];
}

static void row_call(const struct abi_row *row)
{
    union engine_value values[ARGUMENTS_MAX] = {{0}};
    for (size_t i = 0; row->signature[i] != ':'; i++) {
        assert_true(i < ARGUMENTS_MAX);
        values[i].i64 = row->signature[i] == 'j'
                            ? ((uint64_t)hostile_number() << 32 | hostile_number())
                            : hostile_number();
    }
    /* With an interrupt pending nothing waits. */
    guest_interrupt(guest);
    (void)row->fn(guest, values);
    /* An indirect call may trap the guest; the platform must be callable all the same. */
    guest->ended = false;
}

static void imports_survive_hostile_arguments(void **state)
{
    (void)state;
    static const struct abi_row *const families[] = {
        abi_files,   abi_paths,  abi_memory, abi_time,   abi_process,
        abi_network, abi_bridge, abi_ffi,    abi_dlopen,
    };
    size_t rows = 0;
    traps_catch();
    guest->sink = &nowhere;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        for (const struct abi_row *row = families[f]; row->name != NULL; row++) {
            for (int i = 0; !ends_guest(row->name) && i < RANDOM_ROUNDS; i++) {
                row_call(row);
            }
            rows++;
        }
    }
    assert_true(rows > 90);
}

/* Descriptions of types and calls that are nearly right, and functions that exist (attack 6). */
static void libffi_survives_hostile_descriptions(void **state)
{
    (void)state;
    enum { ROUNDS = 20000, WORDS = 64, BYTES = WORDS * 4 };
    static const char *const names[] = {"strlen", "memcpy", "ldexp", "lldiv", "strtod", "abs"};
    const uint32_t bytes = BYTES;
    uint32_t at = 0;
    struct err err;
    traps_catch();
    guest->sink = &nowhere;
    assert_int_equal(guest_call(guest, GUEST_MALLOC, &bytes, 1, &at, &err), 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t words[WORDS];
        uint32_t function = 0;
        for (size_t w = 0; w < WORDS; w++) {
            /* Pointers into the same words, kinds and alignments of types, or anything. */
            uint32_t pick = next_random() % 8;
            words[w] = pick < 4    ? at + next_random() % WORDS * 4
                       : pick == 4 ? next_random() % 16 << 16 | 1u << next_random() % 6
                       : pick == 5 ? next_random() % 4
                                   : hostile_number();
        }
        words[1] = next_random() % 6; /* the count of arguments, and of those before the dots */
        words[6] = words[1] == 0 ? 0 : next_random() % (words[1] + 1);
        assert_int_equal(guest_memory_write(guest, guest_addr(at), words, sizeof words), 0);
        assert_true(loader_find(guest, LOADER_MAIN, span_of(names[next_random() % 6]), &function));
        const struct abi_row *row = &abi_ffi[next_random() % 4];
        union engine_value values[5] = {{.i32 = at},
                                        {.i32 = function},
                                        {.i32 = at + next_random() % BYTES},
                                        {.i32 = at + next_random() % BYTES},
                                        {.i32 = function + next_random() % 3}};
        if (strcmp(row->name, "ffi_prep_closure_loc_js") == 0) {
            values[1].i32 = at;
            values[4].i32 = engine_table_size(guest->store, &guest->table) - next_random() % 3;
        } else if (strcmp(row->name, "ffi_closure_alloc_js") == 0) {
            values[0].i32 = 32;
        }
        (void)row->fn(guest, values);
        guest->ended = false;
    }
}

static void pointers_at_the_border_are_refused(void **state)
{
    (void)state;
    uint32_t size = (uint32_t)engine_memory(guest->store, &guest->memory).len;
    struct span text;
    uint32_t word;
    assert_non_null(guest_memory_at(guest, guest_addr(size - 4), 4));
    assert_null(guest_memory_at(guest, guest_addr(size - 3), 4));
    assert_null(guest_memory_at(guest, guest_addr(0), (size_t)size + 1));
    assert_null(guest_memory_at(guest, guest_addr(UINT32_MAX), 2));
    assert_null(guest_memory_at(guest, guest_addr(1), SIZE_MAX));
    assert_int_equal(guest_memory_read_u32(guest, guest_addr(size), &word), -1);
    assert_int_equal(guest_memory_write(guest, guest_addr(size - 1), "\1", 1), 0);
    assert_int_equal(guest_memory_text(guest, guest_addr(size - 1), 10, &text), -1);
    assert_int_equal(guest_memory_text(guest, guest_addr(size), 10, &text), -1);
}

/* ---- Questions ------------------------------------------------------------------------------- */

static struct buf asked;
static bool is_answered;

static int take_question(void *context, struct span question, struct buf *answer)
{
    (void)context;
    buf_clear(&asked);
    (void)buf_append(&asked, question.base, question.len);
    return is_answered ? buf_append(answer, "\0\0\0\0page", 8) : -1;
}

/* fd_read or fd_write of `len` bytes at `at`; the errno, with the count in *done. */
static int transfer(const char *name, int fd, uint32_t at, uint32_t len, uint32_t *done)
{
    enum { VECTOR_AT = 4096, DONE_AT = 4104 };
    const uint32_t vector[] = {at, len};
    union engine_value values[ARGUMENTS_MAX] = {
        {.i32 = (uint32_t)fd}, {.i32 = VECTOR_AT}, {.i32 = 1}, {.i32 = DONE_AT}};
    assert_int_equal(guest_memory_write(guest, guest_addr(VECTOR_AT), vector, sizeof vector), 0);
    if (abi_find(span_of(name))->fn(guest, values) != 0) {
        return -1;
    }
    assert_int_equal(guest_memory_read_u32(guest, guest_addr(DONE_AT), done), 0);
    return (int)values[0].i32;
}

static void questions_are_answered_where_they_may_be_asked(void **state)
{
    (void)state;
    enum { AT = 8192 };
    const struct guest_sink mute = {0};
    const struct guest_sink asks = {.fetch = take_question};
    uint32_t done = 0;
    buf_init(&asked, LIMIT_FETCH_ASK_BYTES_MAX);
    is_answered = true;
    assert_int_equal(transfer("fd_write", GUEST_FETCH_FD, AT, 5, &done), GUEST_EPERM);
    guest->sink = &mute;
    assert_int_equal(transfer("fd_write", GUEST_FETCH_FD, AT, 5, &done), GUEST_EPERM);
    assert_int_equal(transfer("fd_read", GUEST_FETCH_FD, AT, 5, &done), GUEST_EPERM);

    guest->sink = &asks;
    assert_int_equal(transfer("fd_read", GUEST_FETCH_FD, AT, 5, &done), 0);
    assert_int_equal(done, 0);
    for (int i = 0; i < 2; i++) { /* the second drops what is left of the first one's answer */
        char text[8];
        assert_int_equal(guest_memory_write(guest, guest_addr(AT), "numpy", 5), 0);
        assert_int_equal(transfer("fd_write", GUEST_FETCH_FD, AT, 5, &done), 0);
        assert_int_equal(done, 5);
        assert_int_equal(asked.len, 5);
        assert_memory_equal(asked.base, "numpy", 5);
        assert_int_equal(transfer("fd_read", GUEST_FETCH_FD, AT, 6, &done), 0);
        assert_int_equal(done, 6);
        assert_int_equal(guest_memory_read(guest, guest_addr(AT), text, 6), 0);
        assert_memory_equal(text, "\0\0\0\0pa", 6);
    }
    assert_int_equal(transfer("fd_read", GUEST_FETCH_FD, AT, 6, &done), 0);
    assert_int_equal(done, 2);
    assert_int_equal(transfer("fd_read", GUEST_FETCH_FD, AT, 6, &done), 0);
    assert_int_equal(done, 0);

    assert_int_equal(transfer("fd_write", GUEST_FETCH_FD, AT, LIMIT_FETCH_ASK_BYTES_MAX + 1, &done),
                     GUEST_EMSGSIZE);
    is_answered = false;
    assert_int_equal(transfer("fd_write", GUEST_FETCH_FD, AT, 5, &done), -1);
    assert_true(guest->ended);
    assert_int_equal(transfer("fd_write", GUEST_FETCH_FD, AT, 5, &done), -1);
    guest->ended = false;
    guest->sink = NULL;
    buf_free(&asked);
}

static int body(void *context, struct err *err)
{
    const char *const images[] = {context, NULL};
    char core[4096];
    const char *dir = getenv("VITRINE_GUEST_DIR");
    snprintf(core, sizeof core, "%s/core.cwasm", dir);
    const struct guest_config config = {
        .core_path = core, .image_paths = images, .memory_bytes_max = 128 * MIB};
    if (guest_load(&config, &guest, err) != 0 || guest_boot_bare(guest, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof trap_signals / sizeof *trap_signals; i++) {
        sigaction(trap_signals[i], NULL, &engine_handlers[i]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointers_at_the_border_are_refused),
        cmocka_unit_test(questions_are_answered_where_they_may_be_asked),
        /* These two spoil the guest's memory. */
        cmocka_unit_test(libffi_survives_hostile_descriptions),
        cmocka_unit_test(imports_survive_hostile_arguments),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guest_free(guest);
    return failed;
}

int main(void)
{
    const char *dir = getenv("VITRINE_GUEST_DIR");
    char image[4096];
    struct err err = {0};
    if (dir == NULL) {
        fprintf(stderr, "test_abi: VITRINE_GUEST_DIR names no folder with the precompiled guest\n");
        return 1;
    }
    snprintf(image, sizeof image, "%s/stdlib.img", dir);
    int result = run_on_stack(body, image, &err);
    if (result < 0) {
        fprintf(stderr, "test_abi: %s\n", err.text);
    }
    return result == 0 ? 0 : 1;
}
