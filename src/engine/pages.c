#include "engine/pages.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

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

/* Whether all huge pages that [place, place + len) reaches into are such. It makes them so if it
 * can: memory may be scattered, or the system may not want to. */
static bool is_huge(char *place, size_t len)
{
    char *begin = place - (uintptr_t)place % HUGE_BYTES;
    const size_t reach = (size_t)(place - begin) + len + HUGE_BYTES - 1;
    return madvise(begin, reach - reach % HUGE_BYTES, MADV_COLLAPSE) == 0;
}

/* Moves what lies at `place` to `base`. It is never writable and executable at once. */
static int move(char *place, void *base, size_t len, int protection)
{
    /* What a child will touch first is seldom more than a few small pages. */
    (void)madvise(place, len, MADV_NOHUGEPAGE);
    if (protection != (PROT_READ | PROT_WRITE) && mprotect(place, len, protection) != 0) {
        return -1;
    }
    return mremap(place, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, base) == MAP_FAILED ? -1 : 0;
}

int pages_settle(void *base, size_t len, int protection, bool must_be_huge, struct err *err)
{
    assert((uintptr_t)base % PAGE_BYTES == 0 && len % PAGE_BYTES == 0);
    /* A place where huge pages begin as they will in the end, so that they can be moved whole; and
     * around it what makes its first and last bytes parts of huge pages too. */
    const size_t space_bytes = len + (size_t)3 * HUGE_BYTES;
    char *space = mmap(NULL, space_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        return err_system(err, "laying out memory");
    }
    (void)madvise(space, space_bytes, MADV_HUGEPAGE);
    char *place = space + ((uintptr_t)base - (uintptr_t)space) % HUGE_BYTES + HUGE_BYTES;
    char *end = place + len;
    copy_contents(place, base, len);
    int result = 0;
    if (must_be_huge && !is_huge(place, len)) {
        end = place; /* nothing moves, all goes */
    } else if (move(place, base, len, protection) != 0) {
        result = err_system(err, "laying out memory");
        end = place;
    }
    (void)munmap(space, (size_t)(place - space));
    (void)munmap(end, (size_t)(space + space_bytes - end));
    return result;
}

void pages_prefer_huge(void *base, size_t len)
{
    const size_t before = (HUGE_BYTES - (uintptr_t)base % HUGE_BYTES) % HUGE_BYTES;
    if (before < len) {
        (void)madvise((char *)base + before, len - before, MADV_HUGEPAGE);
    }
}
