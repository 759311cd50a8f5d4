#include "engine/pages.h"

#include <assert.h>
#include <errno.h>
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

/* Fills the memory at `place` and moves it to `base`. It is never writable and executable at once.
 */
static int lay(char *place, void *base, size_t len, int protection)
{
    copy_contents(place, base, len);
    /* What a child will touch first is seldom more than a few small pages. */
    (void)madvise(place, len, MADV_NOHUGEPAGE);
    if (protection != (PROT_READ | PROT_WRITE) && mprotect(place, len, protection) != 0) {
        return -1;
    }
    return mremap(place, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, base) == MAP_FAILED ? -1 : 0;
}

int pages_settle(void *base, size_t len, int protection, struct err *err)
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
    const size_t before = ((uintptr_t)base - (uintptr_t)space) % HUGE_BYTES + HUGE_BYTES;
    const int result = lay(space + before, base, len, protection);
    const int saved = errno;
    (void)munmap(space, result == 0 ? before : space_bytes);
    if (result != 0) {
        errno = saved;
        return err_system(err, "laying out memory");
    }
    (void)munmap(space + before + len, space_bytes - before - len);
    return 0;
}
