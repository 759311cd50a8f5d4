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
#include "guest/guest.h"
#include "guest/run_on_stack.h"
#include "guest/state.h"
#include "guest/vfs/errno.h"

enum { RANDOM_ROUNDS = 400, ARGUMENTS_MAX = 8 };

static struct guest *guest;
/* The engine's handler, which turns a guest's bad access into a trap; cmocka puts its own before
 * it. A bad access of the host's is still the end of the program. */
static struct sigaction engine_handler;

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
    sigaction(SIGSEGV, &engine_handler, NULL);
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
    if (guest_boot_bare(&config, &guest, err) != 0) {
        return -1;
    }
    sigaction(SIGSEGV, NULL, &engine_handler);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointers_at_the_border_are_refused),
        cmocka_unit_test(questions_are_answered_where_they_may_be_asked),
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
