#include "jail/rules.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

int rules_fail(int result, const char *what, struct err *err)
{
    errno = -result;
    return err_system(err, "building the system call filter: %s", what);
}

static unsigned checks_count(const struct rule *rule)
{
    unsigned count = 0;
    while (count < RULE_CHECKS_MAX && rule->checks[count].op != 0) {
        count++;
    }
    return count;
}

/* `action` is in place of each row's own; 0: is not. */
static int rules_add(scmp_filter_ctx context, const struct rule *rules, size_t count,
                     uint32_t action)
{
    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = &rules[i];
        struct scmp_arg_cmp arguments[RULE_CHECKS_MAX];
        unsigned checks = checks_count(rule);
        for (unsigned j = 0; j < checks; j++) {
            const struct rule_check *check = &rule->checks[j];
            arguments[j] = (struct scmp_arg_cmp){
                .arg = check->arg,
                .op = check->op,
                .datum_a = check->datum_a,
                .datum_b = check->datum_b,
            };
        }
        int result = seccomp_rule_add_array(context, action != 0 ? action : rule->action,
                                            rule->call, checks, arguments);
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
        errno = ENOSYS;
        (void)err_system(err, "making a system call filter");
        return NULL;
    }
    /* The whole process ends, not one thread. */
    int result = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    const char *what = "other architectures";
    if (result == 0) {
        result = rules_add(context, rules, count, 0);
        what = "adding a rule";
    }
    if (result != 0) {
        (void)rules_fail(result, what, err);
        seccomp_release(context);
        return NULL;
    }
    return context;
}

int rules_load(const struct rule_table *table)
{
    struct err err;
    scmp_filter_ctx context = rules_compile(table->rules, table->count, &err);
    if (context == NULL) {
        return -1;
    }
    int result = seccomp_load(context);
    seccomp_release(context);
    if (result != 0) {
        errno = -result;
        return -1;
    }
    return 0;
}

/* The library writes BPF to a descriptor only; memory stands in for a file. */
static int context_export(scmp_filter_ctx context, struct buf *code, struct err *err)
{
    cleanup_fd int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0) {
        return err_system(err, "building the system call filter: memfd_create");
    }
    int result = seccomp_export_bpf(context, fd);
    if (result != 0) {
        return rules_fail(result, "exporting it", err);
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        return err_system(err, "building the system call filter: lseek");
    }
    return fd_read_all(fd, code, err);
}

int rules_export(const struct rule_table *table, struct buf *code, struct err *err)
{
    scmp_filter_ctx context = rules_compile(table->rules, table->count, err);
    if (context == NULL) {
        return -1;
    }
    int result = context_export(context, code, err);
    seccomp_release(context);
    return result;
}

int rules_export_both(const struct rule_table *first, const struct rule_table *second,
                      struct buf *code, struct err *err)
{
    scmp_filter_ctx context = rules_compile(first->rules, first->count, err);
    if (context == NULL) {
        return -1;
    }
    int result = rules_add(context, second->rules, second->count, 0);
    result =
        result != 0 ? rules_fail(result, "adding a rule", err) : context_export(context, code, err);
    seccomp_release(context);
    return result;
}

int rules_export_ask(const struct rule_table *table, struct buf *code, struct err *err)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    if (context == NULL) {
        errno = ENOSYS;
        return err_system(err, "making a system call filter");
    }
    /* Other numberings end the process in the filter that comes on top. */
    int result = rules_add(context, table->rules, table->count, SCMP_ACT_NOTIFY);
    result =
        result != 0 ? rules_fail(result, "adding a rule", err) : context_export(context, code, err);
    seccomp_release(context);
    return result;
}

static int code_load(const struct buf *code, unsigned flags)
{
    struct sock_fprog program = {
        .len = (unsigned short)(code->len / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(void *)code->base,
    };
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

int rules_load_code(const struct buf *code)
{
    return code_load(code, 0);
}

int rules_load_ask(const struct buf *code)
{
    return code_load(code, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

/* ---- For people ------------------------------------------------------------------------------ */

static void action_print(FILE *out, uint32_t action)
{
    int code = (int)(action & SECCOMP_RET_DATA);
    if (action == SCMP_ACT_ALLOW) {
        fputs("allowed", out);
    } else if (code == 0) {
        fputs("answered 0", out);
    } else {
        fprintf(out, "answered %s", strerrorname_np(code));
    }
}

/* A bar would end the cell of the Markdown table. */
static void name_print(FILE *out, const char *name)
{
    fputs(" (`", out);
    for (; *name != '\0'; name++) {
        fputs(*name == '|' ? "\\" : "", out);
        fputc(*name, out);
    }
    fputs("`)", out);
}

static void check_print(FILE *out, const struct rule_check *check)
{
    fprintf(out, "arg%u", check->arg);
    if (check->op == SCMP_CMP_EQ) {
        fprintf(out, " = %#" PRIx64, (uint64_t)check->datum_a);
    } else {
        fprintf(out, " & %#" PRIx64 " = %#" PRIx64, (uint64_t)check->datum_a,
                (uint64_t)check->datum_b);
    }
    if (check->value[0] < '0' || check->value[0] > '9') { /* a name, not the number again */
        name_print(out, check->value);
    }
}

void rules_print(FILE *out, const struct rule_table *table)
{
    fprintf(out, "\n## %s\n\n| call | answer | when |\n|---|---|---|\n", table->title);
    for (size_t i = 0; i < table->count; i++) {
        const struct rule *rule = &table->rules[i];
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, rule->call);
        fprintf(out, "| `%s` | ", name != NULL ? name : "?");
        free(name);
        action_print(out, rule->action);
        fputs(" | ", out);
        for (unsigned j = 0; j < checks_count(rule); j++) {
            fputs(j == 0 ? "" : ", ", out);
            check_print(out, &rule->checks[j]);
        }
        fputs(" |\n", out);
    }
}
