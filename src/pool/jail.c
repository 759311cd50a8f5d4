#include "pool/jail.h"

#include <string.h>

/* How much of a list of reasons an error has room for. */
enum { TEXT_BYTES_MAX = 1024, TEXT_SHOWN_MAX = 280 };

#define SECCOMP_PARTS                                                                              \
    (WIRE_JAIL_NO_NEW_PRIVILEGES | WIRE_JAIL_NO_CAPABILITIES | WIRE_JAIL_RESOURCE_LIMITS |         \
     WIRE_JAIL_FILTER)
#define FULL_PARTS                                                                                 \
    (SECCOMP_PARTS | WIRE_JAIL_PID_NAMESPACE | WIRE_JAIL_NETWORK_NAMESPACE |                       \
     WIRE_JAIL_IPC_NAMESPACE)
#define FILE_PARTS (WIRE_JAIL_EMPTY_ROOT | WIRE_JAIL_LANDLOCK) /* either holds files back */

static const char namespaces_advice[] =
    "allow user namespaces: sysctl user.max_user_namespaces above 0, "
    "kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 "
    "(Ubuntu); in a container, a seccomp profile that lets unshare and mount through";
static const char kernel_advice[] = "use a kernel that has it compiled in and switched on";

/* By the number of the bit. */
static const struct {
    const char *name;
    const char *advice;
} parts_table[WIRE_JAIL_PARTS_COUNT] = {
    {"user namespace", namespaces_advice},
    {"mount namespace", namespaces_advice},
    {"pid namespace", namespaces_advice},
    {"network namespace", namespaces_advice},
    {"IPC namespace", namespaces_advice},
    {"UTS namespace", namespaces_advice},
    {"cgroup namespace", namespaces_advice},
    {"empty root", namespaces_advice},
    {"Landlock", "use Linux 5.13 or later, with landlock in the kernel's list of security modules "
                 "(lsm=)"},
    {"no new privileges", kernel_advice},
    {"no capabilities", kernel_advice},
    {"resource limits", kernel_advice},
    {"system call filter", kernel_advice},
};

static const char *const level_names[] = {"full", "seccomp", "none"};

/* ---- The report ------------------------------------------------------------------------------ */

/* Nothing but what may stand in a log. */
static void reason_copy(char out[POOL_JAIL_REASON_MAX], struct span text)
{
    size_t len = text.len < POOL_JAIL_REASON_MAX - 1 ? text.len : POOL_JAIL_REASON_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        out[i] = text.base[i] >= ' ' && text.base[i] <= '~' ? text.base[i] : '?';
    }
    out[len] = '\0';
}

static int missing_read(struct span value, struct pool_jail *out)
{
    uint32_t part;
    if (value.len < sizeof part ||
        wire_get_u32((struct span){value.base, sizeof part}, &part) != 0 || part == 0 ||
        (part & (part - 1)) != 0 || (part & WIRE_JAIL_ALL) == 0) {
        return -1;
    }
    reason_copy(out->reasons[__builtin_ctz(part)],
                (struct span){value.base + sizeof part, value.len - sizeof part});
    return 0;
}

int pool_jail_read(struct span record, struct pool_jail *out)
{
    struct wire_field field;
    int more;
    *out = (struct pool_jail){.is_known = true};
    while ((more = wire_next(&record, &field)) > 0) {
        int result = -1;
        if (field.number == WIRE_JAILED_PARTS) {
            result = wire_get_u32(field.value, &out->parts);
        } else if (field.number == WIRE_JAILED_MISSING) {
            result = missing_read(field.value, out);
        }
        if (result != 0) {
            return -1;
        }
    }
    return more == 0 && (out->parts & ~WIRE_JAIL_ALL) == 0 ? 0 : -1;
}

/* ---- The decision ---------------------------------------------------------------------------- */

uint32_t pool_jail_lacking(enum pool_jail_level level, uint32_t parts)
{
    switch (level) {
    case POOL_JAIL_NONE: return 0;
    case POOL_JAIL_SECCOMP: return SECCOMP_PARTS & ~parts;
    case POOL_JAIL_FULL: break;
    }
    return (FULL_PARTS & ~parts) | ((parts & FILE_PARTS) == 0 ? FILE_PARTS : 0);
}

/* ---- For people ------------------------------------------------------------------------------ */

const char *pool_jail_name(uint32_t part)
{
    return parts_table[__builtin_ctz(part)].name;
}

const char *pool_jail_advice(uint32_t part)
{
    return parts_table[__builtin_ctz(part)].advice;
}

const char *pool_jail_level_name(enum pool_jail_level level)
{
    return level_names[level];
}

/* Whether one of the parts with a lower number gave the same reason. */
static bool is_said(const struct pool_jail *jail, uint32_t lacking, unsigned number)
{
    for (unsigned i = 0; i < number; i++) {
        if ((lacking & 1U << i) != 0 && strcmp(jail->reasons[i], jail->reasons[number]) == 0) {
            return true;
        }
    }
    return false;
}

static int reasons_append(struct buf *out, const struct pool_jail *jail, uint32_t lacking)
{
    const char *before = " (";
    int result = 0;
    for (unsigned i = 0; i < WIRE_JAIL_PARTS_COUNT && result == 0; i++) {
        if ((lacking & 1U << i) != 0 && jail->reasons[i][0] != '\0' && !is_said(jail, lacking, i)) {
            result =
                buf_append_text(out, before) != 0 || buf_append_text(out, jail->reasons[i]) != 0
                    ? -1
                    : 0;
            before = "; ";
        }
    }
    return result == 0 && before[0] == ';' ? buf_append_char(out, ')') : result;
}

/* "A, B (why; why)". */
static int lacking_append(struct buf *out, const struct pool_jail *jail, uint32_t lacking)
{
    const char *before = "";
    for (unsigned i = 0; i < WIRE_JAIL_PARTS_COUNT; i++) {
        if ((lacking & 1U << i) != 0) {
            if (buf_append_text(out, before) != 0 ||
                buf_append_text(out, parts_table[i].name) != 0) {
                return -1;
            }
            before = ", ";
        }
    }
    return reasons_append(out, jail, lacking);
}

int pool_jail_append(struct buf *out, const struct pool_jail *jail)
{
    uint32_t lacking = WIRE_JAIL_ALL & ~jail->parts;
    if (lacking == 0) {
        return buf_append_text(out, "complete");
    }
    return buf_append_text(out, "without ") != 0 || lacking_append(out, jail, lacking) != 0
               ? -1
               : buf_append_text(out, "; `vitrine doctor` says more");
}

int pool_jail_check(enum pool_jail_level level, const struct pool_jail *jail, struct err *err)
{
    uint32_t lacking = pool_jail_lacking(level, jail->parts);
    if (lacking == 0) {
        return 0;
    }
    cleanup_buf struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    if (lacking_append(&text, jail, lacking) != 0) {
        return err_set(err, ERR_MEMORY, "no memory for a message");
    }
    const char *less = pool_jail_lacking(POOL_JAIL_SECCOMP, jail->parts) == 0 ? "seccomp" : "none";
    return err_set(err, ERR_MISSING,
                   "--require-jail %s is not met; missing: %.*s. `vitrine doctor` says what to do; "
                   "--require-jail %s accepts less",
                   level_names[level], (int)(text.len < TEXT_SHOWN_MAX ? text.len : TEXT_SHOWN_MAX),
                   text.base, less);
}
