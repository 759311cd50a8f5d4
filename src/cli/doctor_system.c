#include "cli/doctor_system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"

enum { FACT_BYTES_MAX = 256 };

static const char group[] = "System";

/* A file of /proc or /sys in one line; false when there is none. */
static bool fact_read(const char *path, char out[FACT_BYTES_MAX])
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, FACT_BYTES_MAX - 1);
    if (n < 0) {
        return false;
    }
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static void kernel_add(struct findings *findings)
{
    struct utsname name;
    if (uname(&name) == 0) {
        findings_add(findings, group, "kernel", FINDING_INFO, NULL, "%s %s %s", name.sysname,
                     name.release, name.machine);
    }
    findings_add(findings, group, "user", FINDING_INFO, NULL, "%u%s", geteuid(),
                 geteuid() == 0 ? " (root)" : "");
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) {
        findings_add(findings, group, "Landlock", FINDING_INFO, NULL, "none: %s", strerror(errno));
    } else {
        findings_add(findings, group, "Landlock", FINDING_INFO, NULL, "version %ld%s", abi,
                     abi < 6 ? "; signals and abstract sockets are seen to since 6" : "");
    }
}

/* What decides whether an ordinary user may make namespaces; of each distribution some. */
static void switches_add(struct findings *findings)
{
    static const struct {
        const char *name;
        const char *path;
    } switches[] = {
        {"seccomp actions", "/proc/sys/kernel/seccomp/actions_avail"},
        {"user namespaces", "/proc/sys/user/max_user_namespaces"},
        {"... of users", "/proc/sys/kernel/unprivileged_userns_clone"},
        {"... by AppArmor", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"},
        {"huge pages", "/sys/kernel/mm/transparent_hugepage/enabled"},
    };
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        char text[FACT_BYTES_MAX];
        if (fact_read(switches[i].path, text)) {
            findings_add(findings, group, switches[i].name, FINDING_INFO, NULL, "%s (%s)", text,
                         switches[i].path);
        }
    }
}

static void machine_add(struct findings *findings)
{
    struct sysinfo info;
    cpu_set_t processors;
    if (sysinfo(&info) == 0) {
        const unsigned long long unit = info.mem_unit;
        findings_add(findings, group, "memory", FINDING_INFO, NULL,
                     "%llu MiB, of which %llu MiB are unused", info.totalram * unit / MIB,
                     info.freeram * unit / MIB);
    }
    if (sched_getaffinity(0, sizeof processors, &processors) == 0) {
        findings_add(findings, group, "processors", FINDING_INFO, NULL, "%d",
                     CPU_COUNT(&processors));
    }
}

void doctor_system(struct findings *findings)
{
    kernel_add(findings);
    switches_add(findings);
    machine_add(findings);
}
