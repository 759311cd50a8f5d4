#include "jail/rules.h"

#include <errno.h>

int rules_fail(int result, const char *what, struct err *err)
{
    errno = -result;
    return err_system(err, "building the system call filter: %s", what);
}

static int rules_add(scmp_filter_ctx context, const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = &rules[i];
        unsigned checks = 0;
        while (checks < RULE_CHECKS_MAX && rule->checks[checks].op != 0) {
            checks++;
        }
        int result =
            seccomp_rule_add_array(context, rule->action, rule->call, checks, rule->checks);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

scmp_filter_ctx rules_compile(const struct rule *rules, size_t count, struct err *err)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (context == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for the system call filter");
        return NULL;
    }
    /* The whole process ends, not one thread. */
    int result = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    const char *what = "other architectures";
    if (result == 0) {
        result = rules_add(context, rules, count);
        what = "adding a rule";
    }
    if (result != 0) {
        (void)rules_fail(result, what, err);
        seccomp_release(context);
        return NULL;
    }
    return context;
}
