/* pages: memory that is laid out anew has the same contents, and is nobody else's. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "engine/pages.h"

enum { PAGE_BYTES = 4096 };

#define RESERVED_BYTES (64 * MIB)
#define FILE_BYTES     (3 * MIB)
#define LEN            (20 * MIB + 64 * KIB)
#define EMPTY_AT       (8 * MIB)
#define EMPTY_BYTES    (8 * MIB)

/* As the engine has it: a reservation, in it a private mapping of a file, and pages of its own
 * behind that; an empty piece in the middle. */
struct memory {
    char *base;
    int fd;
};

static void memory_make(struct memory *memory)
{
    char path[] = "/tmp/test_pages.XXXXXX";
    memory->fd = mkstemp(path);
    assert_true(memory->fd >= 0);
    unlink(path);
    for (size_t at = 0; at < FILE_BYTES; at += PAGE_BYTES) {
        char page[PAGE_BYTES];
        memset(page, (int)(at / PAGE_BYTES % 251), sizeof page);
        assert_int_equal(write(memory->fd, page, sizeof page), sizeof page);
    }
    memory->base = mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory->base, MAP_FAILED);
    assert_ptr_equal(mmap(memory->base, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                          memory->fd, 0),
                     memory->base);
    assert_int_equal(mprotect(memory->base + FILE_BYTES, LEN - FILE_BYTES, PROT_READ | PROT_WRITE),
                     0);
    for (size_t at = 64 * KIB; at < LEN; at += 3 * PAGE_BYTES) {
        if (at < EMPTY_AT || at >= EMPTY_AT + EMPTY_BYTES) {
            memory->base[at] = (char)(at / PAGE_BYTES % 127);
        }
    }
}

static void memory_free(struct memory *memory)
{
    munmap(memory->base, RESERVED_BYTES);
    close(memory->fd);
}

static size_t resident_pages(char *from, size_t len)
{
    static unsigned char pages[LEN / PAGE_BYTES];
    size_t count = 0;
    assert_int_equal(mincore(from, len, pages), 0);
    for (size_t i = 0; i < len / PAGE_BYTES; i++) {
        count += pages[i] & 1u;
    }
    return count;
}

static void settle(struct memory *memory)
{
    struct err err;
    char *before = malloc(LEN);
    assert_non_null(before);
    memcpy(before, memory->base, LEN);
    assert_int_equal(pages_settle(memory->base, LEN, PROT_READ | PROT_WRITE, false, &err), 0);
    /* A huge page may begin or end in what was empty; the rest of that is still not there. */
    assert_int_equal(resident_pages(memory->base + EMPTY_AT + 2 * MIB, EMPTY_BYTES - 4 * MIB), 0);
    assert_memory_equal(before, memory->base, LEN);
    free(before);
}

static void contents_stay_and_what_is_empty_takes_no_page(void **state)
{
    struct memory memory;
    char first;
    (void)state;
    memory_make(&memory);
    settle(&memory);
    memory.base[0] = 'x';
    assert_int_equal(pread(memory.fd, &first, 1, 0), 1);
    assert_int_equal(first, 0);
    memory_free(&memory);
}

/* In a process of its own, because it cannot be taken back. */
static void contents_stay_where_there_are_no_huge_pages(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct memory memory;
        memory_make(&memory);
        _exit(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 ? (settle(&memory), 0) : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* What does not change has the file behind it: the file's name is in the table of mappings. */
static bool has_file(const struct memory *memory)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    bool found = false;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        found = found || (strtoull(line, NULL, 16) == (uintptr_t)memory->base &&
                          strstr(line, "test_pages.") != NULL);
    }
    fclose(maps);
    return found;
}

static void nothing_changes_where_huge_pages_are_wanted_and_not_there(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct memory memory;
        struct err err;
        memory_make(&memory);
        if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0 ||
            pages_settle(memory.base, LEN, PROT_READ | PROT_WRITE, true, &err) != 0) {
            _exit(1);
        }
        _exit(has_file(&memory) ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void memory_behind_it_can_be_opened_later(void **state)
{
    struct memory memory;
    (void)state;
    memory_make(&memory);
    settle(&memory);
    assert_int_equal(mprotect(memory.base + LEN, 8 * MIB, PROT_READ | PROT_WRITE), 0);
    memset(memory.base + LEN, 1, 8 * MIB);
    assert_int_equal(mprotect(memory.base + LEN + 8 * MIB, MIB, PROT_READ | PROT_WRITE), 0);
    memory.base[LEN + 8 * MIB] = 1;
    memory_free(&memory);
}

static void children_write_to_pages_of_their_own(void **state)
{
    struct memory memory;
    (void)state;
    memory_make(&memory);
    settle(&memory);
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            for (size_t at = 0; at < LEN; at += 64 * PAGE_BYTES) {
                memory.base[at] ^= 1;
            }
            _exit(memory.base[0] == 1 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(memory.base[0], 0);
    }
    memory_free(&memory);
}

static void without_memory_for_it_nothing_changes(void **state)
{
    struct memory memory;
    struct err err;
    (void)state;
    memory_make(&memory);
    /* No system has so much room. */
    assert_int_equal(pages_settle(memory.base, (size_t)1 << 47, PROT_READ, false, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
    settle(&memory);
    memory_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_stay_and_what_is_empty_takes_no_page),
        cmocka_unit_test(contents_stay_where_there_are_no_huge_pages),
        cmocka_unit_test(nothing_changes_where_huge_pages_are_wanted_and_not_there),
        cmocka_unit_test(memory_behind_it_can_be_opened_later),
        cmocka_unit_test(children_write_to_pages_of_their_own),
        cmocka_unit_test(without_memory_for_it_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
