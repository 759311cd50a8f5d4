#include "jail/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/landlock.h"

enum { TOP_MAX = 64, GRANTS_MAX = TOP_MAX + JAIL_FETCH_READABLE_MAX + 1 };

#define ACCESS_READ     (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_NO_START (~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE)

struct grants {
    struct landlock_grant items[GRANTS_MAX];
    size_t count;
};

/* What is not there cannot be granted. A file has no right to be listed. */
static void grant(struct grants *grants, const char *path, uint64_t access)
{
    struct stat status;
    if (grants->count == GRANTS_MAX) {
        return;
    }
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        fd_close(&fd);
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    }
    grants->items[grants->count++] = (struct landlock_grant){.fd = fd, .access = access};
}

/* Where secrets are; all other folders of the root hold libraries, certificates, configuration. */
static bool is_private(const char *name)
{
    static const char *const names[] = {".", "..", "home", "root", "proc", "sys", "boot", "Users"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void grant_top(struct grants *grants)
{
    DIR *top = opendir("/");
    const struct dirent *entry;
    while (top != NULL && grants->count < TOP_MAX && (entry = readdir(top)) != NULL) {
        char path[sizeof entry->d_name + 2];
        snprintf(path, sizeof path, "/%s", entry->d_name);
        if (!is_private(entry->d_name)) {
            grant(grants, path, ACCESS_READ);
        }
    }
    if (top != NULL) {
        (void)closedir(top);
    }
}

static int files_restrict(const char *cache, const char *const *readable, size_t count)
{
    static struct grants grants;
    grants.count = 0;
    grant(&grants, cache, ACCESS_NO_START);
    grant_top(&grants);
    for (size_t i = 0; i < count; i++) {
        grant(&grants, readable[i], ACCESS_READ);
    }
    const int result = landlock_enter_with_network(grants.items, grants.count);
    const int failure = errno;
    while (grants.count > 0) {
        fd_close(&grants.items[--grants.count].fd);
    }
    errno = failure;
    return result;
}

/* All but the one that lets root write in a user's cache. */
static int capabilities_lower(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
        syscall(SYS_capget, &header, caps) != 0) {
        return -1;
    }
    caps[0].permitted &= 1U << CAP_DAC_OVERRIDE;
    caps[0].effective = caps[0].permitted;
    caps[0].inheritable = 0;
    caps[1] = (struct __user_cap_data_struct){0};
    return (int)syscall(SYS_capset, &header, caps);
}

int jail_fetch_enter(const char *cache, const char *const *readable, size_t count, struct err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
        capabilities_lower() != 0) {
        return err_system(err, "giving up privileges");
    }
    if (files_restrict(cache, readable, count) != 0 && errno != ENOSYS && errno != EOPNOTSUPP) {
        return err_system(err, "landlock");
    }
    return 0;
}
