#include "jail/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* Rights that are younger than the headers this may be compiled with. */
#define ACCESS_FS_ABI_1     ((1ULL << 13) - 1)
#define ACCESS_FS_IOCTL_DEV (1ULL << 15) /* since ABI 5 */
#define ACCESS_NET_TCP      3ULL         /* bind and connect; since ABI 4 */
#define SCOPE_ALL           3ULL         /* abstract sockets and signals; since ABI 6 */

/* As the kernel has it since ABI 6; an older one is given less of it. */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

static size_t attr_size(long abi)
{
    size_t members = abi >= 6 ? 3 : abi >= 4 ? 2 : 1;
    return members * sizeof(uint64_t);
}

static int rules_add(int ruleset, const struct landlock_grant *grants, size_t count,
                     uint64_t handled)
{
    for (size_t i = 0; i < count; i++) {
        const struct landlock_path_beneath_attr beneath = {
            .allowed_access = grants[i].access & handled,
            .parent_fd = grants[i].fd,
        };
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0u) !=
            0) {
            return -1;
        }
    }
    return 0;
}

static long abi_get(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
}

static int enter(long abi, const struct landlock_grant *grants, size_t count, bool keeps_network)
{
    if (abi < 1) {
        return -1;
    }
    const struct ruleset_attr attr = {
        .handled_access_fs = ACCESS_FS_ABI_1 | (abi >= 2 ? LANDLOCK_REFER : 0) |
                             (abi >= 3 ? LANDLOCK_TRUNCATE : 0) |
                             (abi >= 5 ? ACCESS_FS_IOCTL_DEV : 0),
        .handled_access_net = keeps_network ? 0 : ACCESS_NET_TCP,
        .scoped = SCOPE_ALL,
    };
    cleanup_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, attr_size(abi), 0u);
    if (ruleset < 0 || rules_add(ruleset, grants, count, attr.handled_access_fs) != 0) {
        return -1;
    }
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0u);
}

int landlock_enter(const struct landlock_grant *grants, size_t count)
{
    return enter(abi_get(), grants, count, false);
}

int landlock_enter_with_network(const struct landlock_grant *grants, size_t count)
{
    const long abi = abi_get();
    if (abi == 1) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return enter(abi, grants, count, true);
}
