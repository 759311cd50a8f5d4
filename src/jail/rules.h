/* Tables of system calls, and the seccomp filters made from them: private to src/jail. */
#ifndef JAIL_RULES_H
#define JAIL_RULES_H

#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/err.h"

enum { RULE_CHECKS_MAX = 3 };

/* What an argument has to be, and the name of that value as the source has it. */
struct rule_check {
    unsigned arg;
    enum scmp_compare op;
    scmp_datum_t datum_a; /* the value of an equality, else the mask */
    scmp_datum_t datum_b;
    const char *value;
};

/* One call and what it is answered: let through, or an error number without the kernel having done
 * a thing. A call with several rows is answered by the one that holds. */
struct rule {
    int call;
    uint32_t action;
    struct rule_check checks[RULE_CHECKS_MAX]; /* up to the first whose op is 0 */
};

struct rule_table {
    const char *title;
    const struct rule *rules;
    size_t count;
};

#define ALLOW        SCMP_ACT_ALLOW
#define ANSWER(code) SCMP_ACT_ERRNO(code)
#define ARG_IS(number, datum)                                                                      \
    {                                                                                              \
        .arg = (number), .op = SCMP_CMP_EQ, .datum_a = (datum), .value = #datum                    \
    }
#define ARG_LACKS(number, bits)                                                                    \
    {                                                                                              \
        .arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .value = #bits               \
    }
#define ARG_HAS(number, bits)                                                                      \
    {                                                                                              \
        .arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = (bits),           \
        .value = #bits                                                                             \
    }

#define ARG_UNDER(number, bits, datum)                                                             \
    {                                                                                              \
        .arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = (datum),          \
        .value = #datum                                                                            \
    }

/* Memory that counts as the process's own, of files or of nothing: RLIMIT_DATA does not see what is
 * shared or grows down, and huge pages come from a store of their own. */
#define COPY_BITS   (0xF | MAP_GROWSDOWN | MAP_HUGETLB | MAP_LOCKED)
#define IS_OWN_COPY ARG_LACKS(2, PROT_EXEC), ARG_UNDER(3, COPY_BITS, MAP_PRIVATE)
#define IS_OWN_MEMORY                                                                              \
    ARG_LACKS(2, PROT_EXEC), ARG_UNDER(3, COPY_BITS | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS)

/* For kill: one process, not a group and not everybody. */
#define IS_ONE_PROCESS ARG_LACKS(0, 1U << 31)

/* A filter that ends the process at every call that no row answers, and at calls by another
 * numbering (i386, x32). Owned by the caller until seccomp_release; NULL on failure, with ENOSYS
 * where the system has no filters. */
scmp_filter_ctx rules_compile(const struct rule *rules, size_t count, struct err *err);

/* From the return on this process makes the calls of the table alone. -1 with errno. */
int rules_load(const struct rule_table *table);

/* The same in two steps, of which the second needs no call but seccomp: `code` is filled with
 * struct sock_filter, one after the other. */
int rules_export(const struct rule_table *table, struct buf *code, struct err *err);
int rules_load_code(const struct buf *code);

/* `first`, and the rows of `second` besides. */
int rules_export_both(const struct rule_table *first, const struct rule_table *second,
                      struct buf *code, struct err *err);

/* A filter that lets everything through, but has a listener asked about the rows of the table; and
 * the same as rules_load_code for it, which returns the listener. */
int rules_export_ask(const struct rule_table *table, struct buf *code, struct err *err);
int rules_load_ask(const struct buf *code);

/* Writes the table in Markdown: a row for each rule. */
void rules_print(FILE *out, const struct rule_table *table);

/* libseccomp says what failed as a negative errno. Returns -1. */
int rules_fail(int result, const char *what, struct err *err);

#endif
