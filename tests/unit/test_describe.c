/* mcp: what a model is told of the tool is true of the server, and short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/limits.h"
#include "mcp/describe.h"

enum { DESCRIPTION_CHARS_MAX = 2500 };

static const char *const names[] = {"numpy", "pandas>=2 </b> \"x\"", NULL};

static struct mcp_config config_with(bool installs, bool is_offline, bool has_allow_list)
{
    return (struct mcp_config){.installs = installs,
                               .is_offline = is_offline,
                               .has_allow_list = has_allow_list,
                               .limits = {.wall_ms = 60000,
                                          .memory_bytes = 512 * MIB,
                                          .output_bytes = 1 * MIB,
                                          .result_bytes = 1000,
                                          .file_bytes = 256 * MIB,
                                          .display_count = 7,
                                          .picture_bytes = 128 * KIB}};
}

/* The caller owns it. */
static json_t *told(const struct mcp_config *config,
                    int (*append)(struct buf *, const struct mcp_config *))
{
    cleanup_buf struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(append(&out, config), 0);
    json_t *value = json_loadb(out.base, out.len, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static void each_way_to_packages_has_its_words(void **state)
{
    (void)state;
    static const struct {
        bool installs;
        bool is_offline;
        bool has_allow_list;
        bool is_open;
        const char *words;
    } rows[] = {
        {true, false, false, true, "Just import them"},
        {true, true, false, false, "nothing is downloaded"},
        {true, false, true, true, "only those that this server allows"},
        {false, false, false, false, "no packages can be installed here"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mcp_config config =
            config_with(rows[i].installs, rows[i].is_offline, rows[i].has_allow_list);
        json_t *text = told(&config, describe_append_tool);
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            assert_int_equal(strstr(json_string_value(text), rows[j].words) != NULL, i == j);
        }
        assert_true(json_string_length(text) < DESCRIPTION_CHARS_MAX);
        assert_int_equal(strstr(json_string_value(text), "plt.show()") != NULL, rows[i].installs);
        json_decref(text);
        json_t *hints = told(&config, describe_append_annotations);
        assert_int_equal(json_is_true(json_object_get(hints, "openWorldHint")), rows[i].is_open);
        assert_true(json_is_true(json_object_get(hints, "readOnlyHint")));
        json_decref(hints);
    }
}

static void limits_are_the_servers_own(void **state)
{
    (void)state;
    struct mcp_config config = config_with(true, false, false);
    config.limits.wall_ms = 2500;
    json_t *text = told(&config, describe_append_tool);
    static const char *const words[] = {"2.5 seconds",     "512 MiB of memory",
                                        "1 MiB of output", "1000 bytes of return value",
                                        "7 displays",      "than 128 KiB are"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_non_null(strstr(json_string_value(text), words[i]));
    }
    json_decref(text);
}

static void what_is_installed_is_named(void **state)
{
    (void)state;
    struct mcp_config config = config_with(true, false, false);
    config.dependencies = names;
    json_t *text = told(&config, describe_append_tool);
    assert_non_null(
        strstr(json_string_value(text), "- Installed already: numpy, pandas>=2 </b> \"x\".\n"));
    json_decref(text);
}

static void mounts_are_told(void **state)
{
    (void)state;
    static const struct pool_mount mounts[] = {{-1, "/work", POOL_MOUNT_OVERLAY},
                                               {-1, "/data", POOL_MOUNT_RO},
                                               {-1, "/out", POOL_MOUNT_RW}};
    struct mcp_config config = config_with(true, false, false);
    config.mounts = mounts;
    config.mount_count = 2;
    json_t *text = told(&config, describe_append_tool);
    assert_non_null(strstr(json_string_value(text),
                           "- /work is a directory of the user's: changes end with the call. The "
                           "code starts in it.\n- /data is a directory of the user's: it can be "
                           "read.\n"));
    assert_null(strstr(json_string_value(text), "no access to the host's files"));
    json_decref(text);
    json_t *hints = told(&config, describe_append_annotations);
    assert_true(json_is_true(json_object_get(hints, "readOnlyHint")));
    json_decref(hints);
    config.mount_count = 3;
    hints = told(&config, describe_append_annotations);
    assert_true(json_is_false(json_object_get(hints, "readOnlyHint")));
    assert_true(json_is_true(json_object_get(hints, "destructiveHint")));
    json_decref(hints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_to_packages_has_its_words),
        cmocka_unit_test(limits_are_the_servers_own),
        cmocka_unit_test(what_is_installed_is_named),
        cmocka_unit_test(mounts_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
