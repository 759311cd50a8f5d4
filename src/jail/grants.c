#include "jail/grants.h"

#include <assert.h>
#include <linux/landlock.h>

enum { SPECIAL_MODES = 07000 };

/*
 * Everything more that a cell asks for when it is granted directories, and nothing of it else. What
 * these calls can reach is not theirs to say: openat2 has its rules in memory, which a filter does
 * not see. Landlock and the mount that the descriptor is of hold back what the guest's platform
 * does not.
 */
static const struct rule reader_rows[] = {
    {SCMP_SYS(openat2), ALLOW, {{0}}},    {SCMP_SYS(fstat), ALLOW, {{0}}},
    {SCMP_SYS(readlinkat), ALLOW, {{0}}}, {SCMP_SYS(getdents64), ALLOW, {{0}}},
    {SCMP_SYS(pread64), ALLOW, {{0}}},    {SCMP_SYS(close), ALLOW, {{0}}},
};

static const struct rule writer_rows[] = {
    {SCMP_SYS(openat2), ALLOW, {{0}}},
    {SCMP_SYS(fstat), ALLOW, {{0}}},
    {SCMP_SYS(readlinkat), ALLOW, {{0}}},
    {SCMP_SYS(getdents64), ALLOW, {{0}}},
    {SCMP_SYS(pread64), ALLOW, {{0}}},
    {SCMP_SYS(close), ALLOW, {{0}}},
    {SCMP_SYS(pwrite64), ALLOW, {{0}}},
    {SCMP_SYS(ftruncate), ALLOW, {{0}}},
    {SCMP_SYS(fsync), ALLOW, {{0}}},
    {SCMP_SYS(mkdirat), ALLOW, {ARG_LACKS(2, SPECIAL_MODES)}},
    {SCMP_SYS(unlinkat), ALLOW, {{0}}},
    {SCMP_SYS(renameat), ALLOW, {{0}}},
    {SCMP_SYS(fchmod), ALLOW, {ARG_LACKS(1, SPECIAL_MODES)}},
    {SCMP_SYS(utimensat), ALLOW, {ARG_IS(1, 0), ARG_IS(3, 0)}}, /* of what is open */
};

const struct rule_table jail_reader_table = {
    .title = "A cell with directories to read, besides",
    .rules = reader_rows,
    .count = sizeof reader_rows / sizeof *reader_rows,
};

const struct rule_table jail_writer_table = {
    .title = "A cell with directories to write to, besides",
    .rules = writer_rows,
    .count = sizeof writer_rows / sizeof *writer_rows,
};

unsigned grants_count(const struct jail_grants *grants)
{
    return grants == NULL ? 0 : grants->count;
}

bool grants_write(const struct jail_grants *grants)
{
    bool found = false;
    for (unsigned i = 0; i < grants_count(grants); i++) {
        found = found || grants->is_writable[i];
    }
    return found;
}

static bool has_call(const struct rule_table *table, int call)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rules[i].call == call) {
            return true;
        }
    }
    return false;
}

void grants_join(const struct jail_grants *grants, const struct rule_table *table,
                 struct rule rows[GRANTS_RULES_MAX], struct rule_table *out)
{
    const struct rule_table *more = grants_write(grants) ? &jail_writer_table : &jail_reader_table;
    *out = *table;
    if (grants_count(grants) == 0) {
        return;
    }
    assert(table->count + more->count < GRANTS_RULES_MAX);
    size_t count = 0;
    for (size_t i = 0; i < more->count; i++) {
        rows[count++] = more->rules[i];
    }
    for (size_t i = 0; i < table->count; i++) {
        if (!has_call(more, table->rules[i].call)) {
            rows[count++] = table->rules[i];
        }
    }
    if (table == &jail_zygote_table) { /* which has none to add where there are no directories */
        rows[count++] = (struct rule){SCMP_SYS(landlock_add_rule), ALLOW, {{0}}};
    }
    out->rules = rows;
    out->count = count;
}

size_t grants_rights(const struct jail_grants *grants, struct landlock_grant out[JAIL_GRANTS_MAX])
{
    static const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    static const uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_REFER |
                                    LANDLOCK_TRUNCATE;
    for (unsigned i = 0; i < grants_count(grants); i++) {
        out[i].fd = JAIL_GRANT_FD + (int)i;
        out[i].access = reading | (grants->is_writable[i] ? writing : 0);
    }
    return grants_count(grants);
}
