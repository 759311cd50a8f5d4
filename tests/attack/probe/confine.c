/*
 * `confine [--no-filters|--no-landlock] PROGRAM ARG...`: runs a program under what Docker's default
 * profile of system calls denies to a container without CAP_SYS_ADMIN, as far as it matters here:
 * what makes or changes namespaces and mounts, keys, tracing of the kernel. Denied is EPERM;
 * clone3, whose flags no filter can see, does not exist. With --no-filters instead as on a kernel
 * without seccomp, with --no-landlock as on one without Landlock. For tests: a container without a
 * container engine.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { STATUS_FAILED = 125 };

static const int denied[] = {
    SCMP_SYS(unshare),         SCMP_SYS(setns),
    SCMP_SYS(mount),           SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),      SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),      SCMP_SYS(mount_setattr),
    SCMP_SYS(fsopen),          SCMP_SYS(fsmount),
    SCMP_SYS(fsconfig),        SCMP_SYS(fspick),
    SCMP_SYS(keyctl),          SCMP_SYS(add_key),
    SCMP_SYS(request_key),     SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),  SCMP_SYS(open_by_handle_at),
    SCMP_SYS(quotactl),        SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),   SCMP_SYS(swapon),
    SCMP_SYS(syslog),          SCMP_SYS(reboot),
    SCMP_SYS(init_module),     SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),      SCMP_SYS(acct),
};

static int rules_add(scmp_filter_ctx context)
{
    const int namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                           CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    int result = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    for (size_t i = 0; i < sizeof denied / sizeof *denied && result == 0; i++) {
        result = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
    }
    /* One bit at a time, because a rule says what bits are, and not that some are. */
    for (int bit = 0; bit < 31 && result == 0; bit++) {
        const scmp_datum_t flag = 1U << bit;
        if ((namespaces & (int)flag) != 0) {
            result = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
        }
    }
    return result;
}

static int filters_deny(scmp_filter_ctx context)
{
    const struct scmp_arg_cmp is_filter = {
        .arg = 0, .op = SCMP_CMP_EQ, .datum_a = PR_SET_SECCOMP, .datum_b = 0};
    int result = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0);
    return result != 0 ? result
                       : seccomp_rule_add_array(context, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                                                &is_filter);
}

static int landlock_deny(scmp_filter_ctx context)
{
    return seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *option;
        int (*add)(scmp_filter_ctx context);
    } others[] = {{"--no-filters", filters_deny}, {"--no-landlock", landlock_deny}};
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    int (*add)(scmp_filter_ctx) = rules_add;
    for (size_t i = 0; i < sizeof others / sizeof *others && add == rules_add; i++) {
        if (argc > 1 && strcmp(argv[1], others[i].option) == 0) {
            add = others[i].add;
            argc--;
            argv++;
        }
    }
    if (argc < 2 || context == NULL || add(context) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_load(context) != 0) {
        fprintf(stderr, "confine: no filter\n");
        return STATUS_FAILED;
    }
    seccomp_release(context);
    execvp(argv[1], argv + 1);
    perror("confine");
    return STATUS_FAILED;
}
