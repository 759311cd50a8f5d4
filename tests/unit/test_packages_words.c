/* What src/packages reads from outside: requirements, needs, plans, policies, the lock file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/limits.h"
#include "packages/hint.h"
#include "packages/memo.h"
#include "packages/names.h"
#include "packages/need.h"
#include "packages/plan.h"
#include "packages/policy.h"

#define SUM_1 "1100000000000000000000000000000000000000000000000000000000000000"
#define SUM_2 "2200000000000000000000000000000000000000000000000000000000000000"

/* ---- Names ----------------------------------------------------------------------------------- */

static void test_requirements(void **context)
{
    (void)context;
    static const char *const good[] = {
        "numpy",
        "Pillow>=10",
        "a.b_c-d == 1.0 , !=1.1",
        "pandas[excel, html]>=2,<3",
        "x[]",
        "x (>=1.0)",
        "x~=1.4.2; python_version < '3.15' and sys_platform != \"win32\"",
        "x===1.0+local.1",
        "x==1.*",
        " y ",
    };
    static const char *const bad[] = {
        "",
        " ",
        "-r /etc/passwd",
        "--index-url=http://evil.test/",
        "-e .",
        "x @ http://evil.test/x.whl",
        "x@file:///etc/passwd",
        "http://evil.test/x.whl",
        "../../x",
        "./x",
        "/etc/passwd",
        "x/y",
        "x\\y",
        "x y",
        "x>=",
        "x>=1,",
        "x[a",
        "x[a]]",
        "x;",
        "x; os_name == 'a' @ http://h",
        "x==1\n--index-url=http://h",
        "x\n",
        "-x",
        "x-",
        "_x",
        "x (>=1",
        "\xC3\xA9",
        "x==1 --hash=sha256:00",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err err;
        if (name_check_requirement(span_of(good[i]), NULL, &err) != 0) {
            fail_msg("'%s': %s", good[i], err.text);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err;
        if (name_check_requirement(span_of(bad[i]), NULL, &err) == 0) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_int_equal(err.code, ERR_USAGE);
        assert_null(strchr(err.text, '\n'));
    }
    struct span nul = {"x\0y", 3};
    assert_int_equal(name_check_requirement(nul, NULL, NULL), -1);
    char *lengthy = calloc(1, LIMIT_REQUIREMENT_BYTES_MAX + 2);
    memset(lengthy, ' ', LIMIT_REQUIREMENT_BYTES_MAX + 1);
    lengthy[0] = 'x';
    assert_int_equal(name_check_requirement(span_of(lengthy), NULL, NULL), -1);
    lengthy[LIMIT_REQUIREMENT_BYTES_MAX] = '\0';
    assert_int_equal(name_check_requirement(span_of(lengthy), NULL, NULL), 0);
    free(lengthy);
}

static void test_names(void **context)
{
    (void)context;
    char out[NAME_SIZE];
    name_normalize(span_of("Ruamel.__Yaml-"), out);
    assert_string_equal(out, "ruamel-yaml-");
    assert_true(name_equal(span_of("A.B"), span_of("a-_b")));
    assert_false(name_equal(span_of("ab"), span_of("a-b")));
    assert_false(name_is_project(span_of(".")));
    assert_true(name_is_project(span_of("7")));
    assert_true(name_is_sum(span_of(SUM_1)));
    assert_false(
        name_is_sum(span_of("AA00000000000000000000000000000000000000000000000000000000000000")));
}

static void test_versions(void **context)
{
    (void)context;
    static const struct {
        const char *a;
        const char *b;
        bool equal;
    } rows[] = {
        {"1.0", "1.0.0", true},       {"1", "1.0", true},
        {"1.0", "1.0.1", false},      {"2022.06.15", "2022.6.15", true},
        {"1.0.RC1", "1.0.rc1", true}, {"1.0-post1", "1.0.post1", true},
        {"10", "1", false},           {"1.10", "1.1", false},
        {"0", "0.0", true},           {"1.0rc10", "1.0rc1", false},
        {"1.0+1.2", "1.0+12", false}, {"1.0-1", "1.01", false},
        {"1!1.0", "1.0", false},      {"00", "0", true},
        {"../1", "../1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (name_version_equal(span_of(rows[i].a), span_of(rows[i].b)) != rows[i].equal) {
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        }
    }
}

static void test_wheel_names(void **context)
{
    (void)context;
    static const struct {
        const char *file;
        bool is_one;
    } rows[] = {
        {"a_b-1.0-py3-none-any.whl", true},
        {"A.B-1.0-1-cp314-cp314-pyemscripten_2026_0_wasm32.whl", true},
        {"a_b-1.0.0-py2.py3-none-any.whl", true},
        {"a_b-1.1-py3-none-any.whl", false},
        {"ab-1.0-py3-none-any.whl", false},
        {"a_b-1.0.tar.gz", false},
        {"a_b-1.0-py3-none.whl", false},
        {"a_b-1.0-py3-none-any.whl/", false},
        {"../a_b-1.0-py3-none-any.whl", false},
        {"a_b-1.0-1-2-py3-none-any.whl", false},
        {".whl", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (name_is_wheel(span_of(rows[i].file), span_of("a-b"), span_of("1.0")) !=
            rows[i].is_one) {
            fail_msg("%s", rows[i].file);
        }
    }
}

/* ---- Needs ----------------------------------------------------------------------------------- */

static void expect_need(const char *json, bool is_one)
{
    struct need need;
    struct err err;
    if ((need_parse(&need, span_of(json), &err) == 0) != is_one) {
        fail_msg("%s", json);
    }
    need_free(&need);
}

static void test_needs(void **context)
{
    (void)context;
    struct need need;
    struct need other;
    struct err err;
    cleanup_buf struct buf text;
    buf_init(&text, 4096);
    const char *json = "{\"requirements\":[\"b>=1\",\"a\",\"b>=1\"],\"guesses\":[\"num\\u0070y\"]}";
    assert_int_equal(need_parse(&need, span_of(json), &err), 0);
    assert_int_equal(need_append_json(&text, &need), 0);
    assert_int_equal(buf_append_char(&text, '\0'), 0);
    assert_string_equal(text.base, "{\"requirements\":[\"a\",\"b>=1\"],\"guesses\":[\"numpy\"]}");
    assert_false(need_is_pinned(&need));
    assert_false(need_swap(&other, &need));
    need_free(&need);
    expect_need("{\"requirements\":[],\"guesses\":[]}", true);
    expect_need("{\"requirements\":[]}", false);
    expect_need("{\"requirements\":[],\"guesses\":[],\"more\":1}", false);
    expect_need("{\"requirements\":{},\"guesses\":[]}", false);
    expect_need("{\"requirements\":[null],\"guesses\":[]}", false);
    expect_need("{\"requirements\":[\"\\u0000\"],\"guesses\":[]}", false);
    expect_need("{\"requirements\":[\"a\\nb\"],\"guesses\":[]}", false);
    expect_need("[]", false);
    expect_need("{\"requirements\":[],\"guesses\":[]", false);
    assert_int_equal(
        need_parse(&need, span_of("{\"requirements\":[\"a==1\"],\"guesses\":[]}"), &err), 0);
    assert_true(need_is_pinned(&need));
    need_free(&need);
    assert_int_equal(
        need_parse(&need, span_of("{\"requirements\":[\"a==1.*\"],\"guesses\":[]}"), &err), 0);
    assert_false(need_is_pinned(&need));
    need_free(&need);
}

static void test_too_many_needs(void **context)
{
    (void)context;
    struct need need;
    struct err err;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_NEED_BYTES_MAX);
    assert_int_equal(buf_append_text(&text, "{\"guesses\":[],\"requirements\":[\"x\""), 0);
    for (unsigned i = 0; i < LIMIT_REQUIREMENTS_MAX; i++) {
        assert_int_equal(buf_append_format(&text, ",\"x%u\"", i), 0);
    }
    assert_int_equal(buf_append_text(&text, "]}"), 0);
    assert_int_equal(need_parse(&need, buf_span(&text), &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    need_free(&need);
}

/* ---- Plans ----------------------------------------------------------------------------------- */

#define ENTRY(name, version, sum, file)                                                            \
    "{\"name\":\"" name "\",\"version\":\"" version "\",\"sha256\":\"" sum                         \
    "\",\"filename\":\"" file "\",\"requested\":true}"

static void expect_plan(const char *json, const char *words)
{
    struct plan plan;
    struct err err = {.text = ""};
    int result = plan_parse(&plan, span_of(json), &err);
    plan_free(&plan);
    if ((result == 0) != (words == NULL) || (words != NULL && strstr(err.text, words) == NULL)) {
        fail_msg("%s: %s", json, err.text);
    }
}

static void test_plans(void **context)
{
    (void)context;
    expect_plan("{\"packages\":[]}", NULL);
    expect_plan("{\"packages\":[" ENTRY("a", "1", SUM_1, "a-1-py3-none-any.whl") "]}", NULL);
    expect_plan("{\"packages\":[" ENTRY("a", "1", SUM_1, "b-1-py3-none-any.whl") "]}",
                "proper wheel");
    expect_plan("{\"packages\":[" ENTRY("a", "1", SUM_1, "a-2-py3-none-any.whl") "]}",
                "proper wheel");
    expect_plan("{\"packages\":[" ENTRY("a", "1", SUM_1, "a-1.tar.gz") "]}", "proper wheel");
    expect_plan("{\"packages\":[" ENTRY("a", "1", "11", "a-1-py3-none-any.whl") "]}", "SHA-256");
    expect_plan("{\"packages\":[" ENTRY("a", "", SUM_1, "a-1-py3-none-any.whl") "]}", "version");
    expect_plan("{\"packages\":[" ENTRY("../a", "1", SUM_1, "a-1-py3-none-any.whl") "]}", "name");
    expect_plan("{\"packages\":[" ENTRY("a\\u0000b", "1", SUM_1, "a-1-py3-none-any.whl") "]}",
                "name");
    expect_plan("{\"packages\":[" ENTRY("a.b", "1", SUM_1, "a_b-1-py3-none-any.whl") "," ENTRY(
                    "A-B", "1", SUM_2, "a_b-1-py3-none-any.whl") "]}",
                "twice");
    expect_plan("{\"packages\":{}}", "not an array");
    expect_plan("{\"packages\":[3]}", "name");
    expect_plan("{}", "no packages");
    expect_plan("{\"packages\":[],\"dropped\":[{}]}", "without a name");
    expect_plan("{\"packages\":[],\"log\":[1]}", "no text");
    expect_plan("{\"error\":1}", "no text");
    expect_plan("", "the plan");
}

static void test_plan_texts(void **context)
{
    (void)context;
    struct plan plan;
    struct err err;
    const char *json = "{\"error\":\"one\\ntwo\\u001b[31m\\ud800\",\"hint\":null,"
                       "\"log\":[\"a\\n  b\\u0000c\"]}";
    assert_int_equal(plan_parse(&plan, span_of(json), &err), 0);
    assert_string_equal(plan.error, "one\ntwo [31m\xEF\xBF\xBD");
    assert_null(plan.hint);
    assert_string_equal(plan.log[0], "a b c");
    plan_free(&plan);
    char *line = plan_text(span_of("ab\xFF"), 3, false);
    assert_string_equal(line, "ab\xEF\xBF\xBD");
    free(line);
}

/* ---- Policies -------------------------------------------------------------------------------- */

static char policy_path[] = "/tmp/vitrine-policy-XXXXXX";

static int load(const char *text, struct policy **policy, struct err *err)
{
    assert_int_equal(fd_write_file(policy_path, span_of(text), err), 0);
    return policy_load(policy_path, policy, err);
}

static int check(const struct policy *policy, const char *name, const char *version,
                 const char *sum, struct err *err)
{
    struct plan_package package = {0};
    (void)snprintf(package.name, sizeof package.name, "%s", name);
    (void)snprintf(package.version, sizeof package.version, "%s", version);
    (void)snprintf(package.sum, sizeof package.sum, "%s", sum);
    return policy_check_package(policy, &package, err);
}

static void test_policy(void **context)
{
    (void)context;
    struct policy *policy;
    struct err err;
    cleanup_buf struct buf json;
    buf_init(&json, 4096);
    const char *text = "# what we use\n\nAny_Name\nnumpy==2.4.3 # pinned\n"
                       "numpy==2.5\n  pandas==3.0.2 \\\n    --hash=sha256:" SUM_1
                       " \\\n    --hash=sha256:" SUM_2 "\r\nlast==1";
    assert_int_equal(load(text, &policy, &err), 0);
    assert_int_equal(check(policy, "any.name", "7", SUM_1, &err), 0);
    assert_int_equal(check(policy, "NumPy", "2.4.3", SUM_1, &err), 0);
    assert_int_equal(check(policy, "numpy", "2.5.0", SUM_1, &err), 0);
    assert_int_equal(check(policy, "numpy", "2.6", SUM_1, &err), -1);
    assert_non_null(strstr(err.text, policy_path));
    assert_non_null(strstr(err.text, "numpy==2.4.3"));
    assert_int_equal(check(policy, "pandas", "3.0.2", SUM_2, &err), 0);
    assert_int_equal(check(policy, "pandas", "3.0.2",
                           "3300000000000000000000000000000000000000000000000000000000000000",
                           &err),
                     -1);
    assert_non_null(strstr(err.text, "--hash=sha256:110000000000"));
    assert_int_equal(check(policy, "last", "1", SUM_1, &err), 0);
    assert_int_equal(check(policy, "other", "1", SUM_1, &err), -1);
    assert_int_equal(policy_check_project(policy, span_of("Pandas"), &err), 0);
    assert_int_equal(policy_check_project(policy, span_of("sha256"), &err), -1);
    assert_int_equal(policy_append_json(&json, policy), 0);
    assert_int_equal(buf_append_char(&json, '\0'), 0);
    assert_string_equal(json.base,
                        "[{\"name\":\"any-name\",\"versions\":[],\"sha256\":[]},"
                        "{\"name\":\"numpy\",\"versions\":[\"2.4.3\",\"2.5\"],\"sha256\":[]},"
                        "{\"name\":\"pandas\",\"versions\":[\"3.0.2\"],\"sha256\":[\"" SUM_1
                        "\",\"" SUM_2 "\"]},"
                        "{\"name\":\"last\",\"versions\":[\"1\"],\"sha256\":[]}]");
    policy_free(policy);
    assert_int_equal(check(NULL, "other", "1", SUM_1, &err), 0);
}

static void test_policy_mistakes(void **context)
{
    (void)context;
    static const char *const bad[][2] = {
        {"ok\nx>=1\n", "line 2"},
        {"x==1.*\n", "line 1"},
        {"x[extra]==1\n", "line 1"},
        {"--index-url=http://h\n", "line 1"},
        {"x==1 --hash=sha256:12\n", "64 hex digits"},
        {"x==1 --hash=md5:12\n", "64 hex digits"},
        {"x --hash=sha256:" SUM_1 "\n", "NAME==VERSION before it"},
        {"x==1 y==2\n", "64 hex digits"},
        {"x===1\n", "line 1"},
        {"a==1 \\\n --hash=sha256:" SUM_1 "\n\n!\n", "line 4"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct policy *policy;
        struct err err;
        if (load(bad[i][0], &policy, &err) == 0 || strstr(err.text, bad[i][1]) == NULL) {
            fail_msg("%s: %s", bad[i][0], err.text);
        }
        assert_int_equal(err.code, ERR_USAGE);
    }
}

/* ---- What is remembered ---------------------------------------------------------------------- */

static void key_of(const char *code, uint8_t key[SUM_BYTES])
{
    assert_true(hint_key(span_of(code), NULL, key));
}

static void test_hints(void **context)
{
    (void)context;
    uint8_t a[SUM_BYTES];
    uint8_t b[SUM_BYTES];
    key_of("import numpy\nprint(1)", a);
    key_of("x = 1\nimport numpy  \r\n\nprint(2)", b);
    assert_memory_equal(a, b, SUM_BYTES);
    key_of("import numpy\nimport pandas", b);
    assert_memory_not_equal(a, b, SUM_BYTES);
    key_of("# /// script\n# dependencies = ['a']\n# ///\n", a);
    key_of("# /// script\n# dependencies = ['b']\n# ///\n", b);
    assert_memory_not_equal(a, b, SUM_BYTES);
    assert_false(hint_key(span_of("print(1)"), NULL, a));
    assert_false(hint_key(span_of(""), NULL, a));
    static const char *const one[] = {"a", NULL};
    static const char *const two[] = {"a", "b", NULL};
    assert_true(hint_key(span_of("print(1)"), one, a));
    assert_true(hint_key(span_of("print(1)"), two, b));
    assert_memory_not_equal(a, b, SUM_BYTES);
}

static void test_memo(void **context)
{
    (void)context;
    struct memo *memo = memo_new();
    uint8_t key[SUM_BYTES] = {0};
    struct memo_entry entry = {.resolved = span_of("text"), .until = 100};
    for (unsigned i = 0; i < LIMIT_REMEMBERED_MAX + 10; i++) {
        key[2] = (uint8_t)i;
        key[3] = (uint8_t)(i >> 8);
        memo_put(memo, key, &entry);
        key[2] = key[3] = 0;
        assert_non_null(memo_find(memo, key, 99)); /* used again and again: it stays */
    }
    key[2] = 1;
    assert_null(memo_find(memo, key, 99));
    key[2] = 0;
    assert_true(span_equal(memo_find(memo, key, 99)->resolved, span_of("text")));
    assert_null(memo_find(memo, key, 100));
    assert_null(memo_find(memo, key, 99));
    memo_free(memo);
}

static int set_up(void **context)
{
    (void)context;
    int fd = mkstemp(policy_path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **context)
{
    (void)context;
    return unlink(policy_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requirements), cmocka_unit_test(test_names),
        cmocka_unit_test(test_versions),     cmocka_unit_test(test_wheel_names),
        cmocka_unit_test(test_needs),        cmocka_unit_test(test_too_many_needs),
        cmocka_unit_test(test_plans),        cmocka_unit_test(test_plan_texts),
        cmocka_unit_test(test_policy),       cmocka_unit_test(test_policy_mistakes),
        cmocka_unit_test(test_hints),        cmocka_unit_test(test_memo),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
