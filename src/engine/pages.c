#include "engine/pages.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096, HUGE_BYTES = 2 << 20 };

static bool is_zero(const char *page)
{
    static const char zeros[PAGE_BYTES];
    return memcmp(page, zeros, PAGE_BYTES) == 0;
}

/* Writing makes pages; what has only zeros in it is left unmade. */
static void copy_contents(char *to, const char *from, size_t len)
{
    for (size_t at = 0; at < len; at += PAGE_BYTES) {
        if (!is_zero(from + at)) {
            memcpy(to + at, from + at, PAGE_BYTES);
        }
    }
}

int pages_settle(void *base, size_t len, struct err *err)
{
    assert((uintptr_t)base % PAGE_BYTES == 0 && len % PAGE_BYTES == 0);
    /* A place where huge pages begin as they will in the end, so that they can be moved whole. */
    char *space = mmap(NULL, len + HUGE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        return err_system(err, "laying out memory");
    }
    const size_t before = ((uintptr_t)base - (uintptr_t)space) % HUGE_BYTES;
    char *place = space + before;
    (void)madvise(place, len, MADV_HUGEPAGE);
    copy_contents(place, base, len);
    /* What a child will touch first is seldom more than a few small pages. */
    (void)madvise(place, len, MADV_NOHUGEPAGE);
    if (mremap(place, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, base) == MAP_FAILED) {
        (void)munmap(space, len + HUGE_BYTES);
        return err_system(err, "laying out memory");
    }
    if (before > 0) {
        (void)munmap(space, before);
    }
    (void)munmap(place + len, HUGE_BYTES - before);
    return 0;
}
