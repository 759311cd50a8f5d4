/* Landlock, the kernel's own access control that needs no privileges: private to src/jail. */
#ifndef JAIL_LANDLOCK_H
#define JAIL_LANDLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Rights that are younger than the headers this may be compiled with. */
#define LANDLOCK_REFER    (1ULL << 13) /* since ABI 2 */
#define LANDLOCK_TRUNCATE (1ULL << 14) /* since ABI 3 */

/* A folder, or a file, and what may be done in it. */
struct landlock_grant {
    int fd;
    uint64_t access; /* bits of LANDLOCK_ACCESS_FS_* */
};

/*
 * From the return on this thread, and what it starts, has no access to files but by the grants, and
 * to no TCP port, abstract socket or process outside, as far as the kernel knows these rights. What
 * is open stays open. Takes no_new_privs beforehand. -1 with errno: ENOSYS or EOPNOTSUPP where the
 * kernel has no Landlock.
 */
int landlock_enter(const struct landlock_grant *grants, size_t count);

/* The same, but TCP stays open. EOPNOTSUPP also where files could not be renamed between folders.
 */
int landlock_enter_with_network(const struct landlock_grant *grants, size_t count);

#endif
