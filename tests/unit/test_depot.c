/* mcp: files that are kept for clients: by whom they are found, how long, and how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "mcp/depot.h"

static const struct mcp_client anna = {.number = 1, .principal = {"anna", 4}};
static struct depot *depot;

static int set_up(void **state)
{
    (void)state;
    depot = depot_new();
    return depot == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    depot_free(depot);
    return 0;
}

static void put(const struct mcp_client *client, const char *name, struct span bytes, uint64_t now,
                char uri[DEPOT_URI_BYTES_MAX])
{
    assert_int_equal(depot_put(depot, client, span_of(name), "text/plain", bytes, now, uri), 0);
}

static bool has(const struct mcp_client *client, const char *uri, uint64_t now)
{
    struct depot_file file;
    return depot_find(depot, client, span_of(uri), now, &file);
}

static void a_file_is_found_by_its_own_client(void **state)
{
    (void)state;
    const struct mcp_client others[] = {
        {.number = 2, .principal = {"anna", 4}},
        {.number = 1, .principal = {"ann", 3}},
        {.number = 1, .principal = {NULL, 0}},
        {.number = 0, .principal = {"anna", 4}},
    };
    char uri[DEPOT_URI_BYTES_MAX];
    char second[DEPOT_URI_BYTES_MAX];
    struct depot_file file;
    put(&anna, "d/a.txt", span_of("hello"), 0, uri);
    put(&anna, "d/a.txt", span_of("hello"), 0, second);
    assert_true(strcmp(uri, second) != 0);
    assert_true(depot_find(depot, &anna, span_of(uri), 0, &file));
    assert_true(span_equal(file.bytes, span_of("hello")));
    assert_string_equal(file.media_type, "text/plain");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(has(&others[i], uri, 0));
    }
}

static void names_are_shown_in_part(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *end;
    } rows[] = {
        {"a.csv", "/a.csv"}, {"x/y/a b.csv", "/a%20b.csv"},       {"..", "/.."}, {"", "/"},
        {"a/", "/"},         {"\xC3\xA9?#%", "/%C3%A9%3F%23%25"},
    };
    char uri[DEPOT_URI_BYTES_MAX];
    static char long_name[5000];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put(&anna, rows[i].name, span_of("x"), 0, uri);
        assert_int_equal(strncmp(uri, "vitrine://files/", 16), 0);
        assert_string_equal(uri + 16 + 22, rows[i].end);
        assert_true(has(&anna, uri, 0));
    }
    memset(long_name, '\xE9', sizeof long_name - 1);
    put(&anna, long_name, span_of("x"), 0, uri);
    assert_int_equal(strlen(uri), 16 + 22 + 1 + 72);
    assert_true(has(&anna, uri, 0));
}

static void other_uris_name_nothing(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "",
        "vitrine://files/",
        "vitrine://files/a/b",
        "vitrine://file/0123456789012345678901/a",
        "vitrine://files/0123456789012345678901",
        "vitrine://files/0123456789012345678901/a",
    };
    char uri[DEPOT_URI_BYTES_MAX];
    put(&anna, "a", span_of("x"), 0, uri);
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        assert_false(has(&anna, uris[i], 0));
    }
    for (size_t i = 16; i < 16 + 22; i++) {
        char changed[DEPOT_URI_BYTES_MAX];
        memcpy(changed, uri, sizeof changed);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_false(has(&anna, changed, 0));
    }
    uri[16 + 22] = 'x';
    assert_false(has(&anna, uri, 0));
    uri[16 + 22] = '\0';
    assert_true(has(&anna, uri, 0));
}

static void files_go_after_their_time(void **state)
{
    (void)state;
    char first[DEPOT_URI_BYTES_MAX];
    char second[DEPOT_URI_BYTES_MAX];
    put(&anna, "a", span_of("1"), 100, first);
    put(&anna, "b", span_of("2"), 200, second);
    assert_true(has(&anna, first, LIMIT_KEPT_MS + 99));
    assert_false(has(&anna, first, LIMIT_KEPT_MS + 100));
    assert_true(has(&anna, second, LIMIT_KEPT_MS + 100));
}

static void a_client_pushes_out_its_own(void **state)
{
    (void)state;
    static char part[LIMIT_KEPT_CLIENT_BYTES / 4];
    const struct mcp_client bert = {.number = 2};
    char uris[5][DEPOT_URI_BYTES_MAX];
    char other[DEPOT_URI_BYTES_MAX];
    put(&bert, "b", span_of("b"), 0, other);
    for (unsigned i = 0; i < 5; i++) {
        put(&anna, "a", (struct span){part, sizeof part}, 0, uris[i]);
    }
    assert_false(has(&anna, uris[0], 0));
    for (unsigned i = 1; i < 5; i++) {
        assert_true(has(&anna, uris[i], 0));
    }
    assert_true(has(&bert, other, 0));
    static char whole[LIMIT_KEPT_CLIENT_BYTES + 1];
    assert_int_equal(depot_put(depot, &anna, span_of("a"), "text/plain",
                               (struct span){whole, sizeof whole}, 0, uris[0]),
                     -1);
    assert_true(has(&anna, uris[4], 0));
    for (unsigned i = 0; i < LIMIT_KEPT_CLIENT_FILES; i++) {
        put(&anna, "a", (struct span){0}, 0, uris[i == 0 ? 0 : 1]);
    }
    assert_true(has(&anna, uris[0], 0));
    put(&anna, "a", (struct span){0}, 0, uris[1]);
    assert_false(has(&anna, uris[0], 0));
    assert_true(has(&bert, other, 0));
}

/* What is kept of all has a maximum too. */
static void all_clients_share_the_room(void **state)
{
    (void)state;
    static char half[LIMIT_KEPT_CLIENT_BYTES / 2];
    char first[DEPOT_URI_BYTES_MAX];
    char last[DEPOT_URI_BYTES_MAX];
    enum { COUNT = LIMIT_KEPT_BYTES / (LIMIT_KEPT_CLIENT_BYTES / 2) };
    for (uint64_t i = 0; i < COUNT; i++) {
        const struct mcp_client client = {.number = i};
        put(&client, "a", (struct span){half, sizeof half}, 0, i == 0 ? first : last);
    }
    const struct mcp_client zero = {.number = 0};
    assert_true(has(&zero, first, 0));
    put(&anna, "a", span_of("one more"), 0, last);
    assert_false(has(&zero, first, 0));
    assert_true(has(&anna, last, 0));
}

#define DEPOT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEPOT_TEST(a_file_is_found_by_its_own_client), DEPOT_TEST(names_are_shown_in_part),
        DEPOT_TEST(other_uris_name_nothing),           DEPOT_TEST(files_go_after_their_time),
        DEPOT_TEST(a_client_pushes_out_its_own),       DEPOT_TEST(all_clients_share_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
