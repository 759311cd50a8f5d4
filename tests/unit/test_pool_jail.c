/* pool: what it makes of a zygote's report of its jail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "pool_fixture.h"
#include "wire/wire.h"

#define SECCOMP                                                                                    \
    (WIRE_JAIL_NO_NEW_PRIVILEGES | WIRE_JAIL_NO_CAPABILITIES | WIRE_JAIL_RESOURCE_LIMITS |         \
     WIRE_JAIL_FILTER)

/* ---- The decision ---------------------------------------------------------------------------- */

static void everything_is_enough(void **state)
{
    (void)state;
    for (int level = POOL_JAIL_FULL; level <= POOL_JAIL_NONE; level++) {
        assert_int_equal(pool_jail_lacking((enum pool_jail_level)level, WIRE_JAIL_ALL), 0);
    }
    assert_int_equal(pool_jail_lacking(POOL_JAIL_NONE, 0), 0);
    assert_int_equal(pool_jail_lacking(POOL_JAIL_SECCOMP, SECCOMP), 0);
    assert_int_equal(pool_jail_lacking(POOL_JAIL_SECCOMP, 0), SECCOMP);
}

/* Each part that a level needs is missed when it alone is missing. */
static void each_part_is_missed(void **state)
{
    (void)state;
    const uint32_t spare = WIRE_JAIL_USER_NAMESPACE | WIRE_JAIL_MOUNT_NAMESPACE |
                           WIRE_JAIL_UTS_NAMESPACE | WIRE_JAIL_CGROUP_NAMESPACE |
                           WIRE_JAIL_EMPTY_ROOT | WIRE_JAIL_LANDLOCK;
    for (unsigned i = 0; i < WIRE_JAIL_PARTS_COUNT; i++) {
        const uint32_t part = 1U << i;
        assert_int_equal(pool_jail_lacking(POOL_JAIL_FULL, WIRE_JAIL_ALL & ~part),
                         (spare & part) != 0 ? 0 : part);
        assert_int_equal(pool_jail_lacking(POOL_JAIL_SECCOMP, WIRE_JAIL_ALL & ~part),
                         SECCOMP & part);
    }
    const uint32_t files = WIRE_JAIL_EMPTY_ROOT | WIRE_JAIL_LANDLOCK;
    assert_int_equal(pool_jail_lacking(POOL_JAIL_FULL, WIRE_JAIL_ALL & ~files), files);
}

/* ---- The record ------------------------------------------------------------------------------ */

static int read_record(const struct buf *record, struct pool_jail *jail)
{
    return pool_jail_read(buf_span(record), jail);
}

static void put_missing(struct buf *record, uint32_t part, const char *reason)
{
    cleanup_buf struct buf value;
    buf_init(&value, 4096);
    (void)buf_append_u32(&value, part);
    (void)buf_append_text(&value, reason);
    assert_int_equal(wire_put(record, WIRE_JAILED_MISSING, buf_span(&value)), 0);
}

static void records_are_checked(void **state)
{
    (void)state;
    static const uint32_t no_parts[] = {0, 3, WIRE_JAIL_ALL + 1, UINT32_MAX};
    struct pool_jail jail;
    for (size_t i = 0; i < sizeof no_parts / sizeof *no_parts; i++) {
        cleanup_buf struct buf record;
        buf_init(&record, 4096);
        put_missing(&record, no_parts[i], "why");
        assert_int_equal(read_record(&record, &jail), -1);
    }
    cleanup_buf struct buf record;
    buf_init(&record, 4096);
    assert_int_equal(wire_put(&record, WIRE_JAILED_MISSING, span_of("abc")), 0);
    assert_int_equal(read_record(&record, &jail), -1);
    buf_clear(&record);
    assert_int_equal(wire_put_u32(&record, WIRE_JAILED_PARTS, WIRE_JAIL_ALL + 1), 0);
    assert_int_equal(read_record(&record, &jail), -1);
    buf_clear(&record);
    assert_int_equal(wire_put_u32(&record, WIRE_JAILED_MISSING + 1, 0), 0);
    assert_int_equal(read_record(&record, &jail), -1);
    assert_int_equal(pool_jail_read(span_of("\x01"), &jail), -1);
}

static void reasons_are_short_and_harmless(void **state)
{
    (void)state;
    char reason[1024];
    struct pool_jail jail;
    cleanup_buf struct buf record;
    buf_init(&record, 4096);
    memset(reason, 'x', sizeof reason);
    memcpy(reason, "\x1b[2J\n\xc3\xa4", 7);
    reason[sizeof reason - 1] = '\0';
    put_missing(&record, WIRE_JAIL_LANDLOCK, reason);
    assert_int_equal(read_record(&record, &jail), 0);
    const char *kept = jail.reasons[__builtin_ctz(WIRE_JAIL_LANDLOCK)];
    assert_int_equal(strlen(kept), POOL_JAIL_REASON_MAX - 1);
    assert_memory_equal(kept, "?[2J???xx", 9);
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void line_is(const struct pool_jail *jail, const char *expected)
{
    cleanup_buf struct buf line;
    buf_init(&line, 4096);
    assert_int_equal(pool_jail_append(&line, jail), 0);
    assert_text(&line, expected);
}

static void words_name_parts_and_each_reason_once(void **state)
{
    (void)state;
    struct pool_jail jail = {.is_known = true, .parts = WIRE_JAIL_ALL};
    struct err err;
    line_is(&jail, "complete");
    jail.parts &=
        ~(uint32_t)(WIRE_JAIL_PID_NAMESPACE | WIRE_JAIL_IPC_NAMESPACE | WIRE_JAIL_UTS_NAMESPACE);
    snprintf(jail.reasons[2], POOL_JAIL_REASON_MAX, "unshare: no");
    snprintf(jail.reasons[4], POOL_JAIL_REASON_MAX, "unshare: no");
    snprintf(jail.reasons[5], POOL_JAIL_REASON_MAX, "sethostname: no");
    line_is(&jail, "without pid namespace, IPC namespace, UTS namespace (unshare: no; sethostname: "
                   "no); `vitrine doctor` says more");
    assert_int_equal(pool_jail_check(POOL_JAIL_SECCOMP, &jail, &err), 0);
    assert_int_equal(pool_jail_check(POOL_JAIL_FULL, &jail, &err), -1);
    assert_string_equal(err.text,
                        "--require-jail full is not met; missing: pid namespace, IPC namespace "
                        "(unshare: no). `vitrine doctor` says what to do; --require-jail seccomp "
                        "accepts less");
    jail.parts = 0;
    for (unsigned i = 0; i < WIRE_JAIL_PARTS_COUNT; i++) {
        memset(jail.reasons[i], 'a' + (int)i, POOL_JAIL_REASON_MAX - 1);
        assert_non_null(pool_jail_advice(1U << i));
    }
    assert_int_equal(pool_jail_check(POOL_JAIL_SECCOMP, &jail, &err), -1);
    assert_contains(err.text, "--require-jail none accepts less"); /* the text is never cut */
}

/* ---- A pool ---------------------------------------------------------------------------------- */

static void pool_start_at(enum pool_jail_level level, const char *core)
{
    struct err err = {0};
    core_write(core);
    struct pool_config config = config_make(1, 1);
    config.require_jail = level;
    if (pool_new(&loop, &config, &pool, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void pool_knows_the_jail(void **state)
{
    (void)state;
    pool_start_at(is_jailed ? POOL_JAIL_SECCOMP : POOL_JAIL_NONE, "ok");
    assert_next_run_is_clean();
    struct pool_info info = pool_info(pool);
    assert_true(info.jail.is_known);
    assert_int_equal(info.jail.parts & SECCOMP, is_jailed ? SECCOMP : 0);
    pool_end();
}

static void forged_reports_end_a_zygote(void **state)
{
    (void)state;
    const int types[] = {WIRE_JAILED, WIRE_READY};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char core[32];
        cleanup_seen struct seen seen;
        snprintf(core, sizeof core, "forge %d", types[i]);
        pool_start_at(POOL_JAIL_NONE, core);
        run_whole("print no", &seen);
        assert_int_equal(seen.outcome.status, OUTCOME_REFUSED);
        pool_end();
    }
}

/* Nothing runs where too little holds, and the reason is told. The last test: it takes the right to
 * make namespaces from this process. */
static void too_little_is_refused(void **state)
{
    (void)state;
    const uint32_t refused = SCMP_ACT_ERRNO(EPERM);
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    assert_non_null(context);
    assert_int_equal(seccomp_rule_add(context, refused, SCMP_SYS(unshare), 0), 0);
    assert_int_equal(seccomp_load(context), 0);
    seccomp_release(context);

    cleanup_seen struct seen seen;
    pool_start_at(POOL_JAIL_FULL, "ok");
    run_whole("print no", &seen);
    assert_int_equal(seen.outcome.status, OUTCOME_REFUSED);
    assert_contains(seen.message, "--require-jail full is not met; missing: ");
    if (is_jailed) {
        assert_contains(seen.message, "pid namespace, network namespace, IPC namespace (unshare: "
                                      "Operation not permitted)");
    }
    assert_int_equal(seen.out.len, 0);
    assert_int_equal(pool_info(pool).jail.parts & WIRE_JAIL_PID_NAMESPACE, 0);
    pool_end();

    pool_knows_the_jail(state);
}

int main(int argc, char **argv)
{
    if (is_cell(argc, argv)) {
        return be_cell(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_enough),
        cmocka_unit_test(each_part_is_missed),
        cmocka_unit_test(records_are_checked),
        cmocka_unit_test(reasons_are_short_and_harmless),
        cmocka_unit_test(words_name_parts_and_each_reason_once),
        pool_test(pool_knows_the_jail),
        pool_test(forged_reports_end_a_zygote),
        pool_test(too_little_is_refused),
    };
    return cmocka_run_group_tests_name("pool_jail", tests, group_setup, group_teardown);
}
