#include "mcp/era.h"

#include "base/jtext.h"

static const char *const era_names[ERA_LATEST + 1] = {
    [ERA_2024_11_05] = "2024-11-05", [ERA_2025_03_26] = "2025-03-26",
    [ERA_2025_06_18] = "2025-06-18", [ERA_2025_11_25] = "2025-11-25",
    [ERA_2026_07_28] = "2026-07-28",
};

const char era_modern_json[] = "[\"2026-07-28\"]";

static const char *const level_names[LEVEL_SILENT] = {
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency",
};

const char *era_name(enum mcp_era era)
{
    return era_names[era];
}

bool era_from_string(struct span version, enum mcp_era *out)
{
    for (int i = 0; i <= ERA_LATEST; i++) {
        if (jtext_string_is(version, era_names[i])) {
            *out = (enum mcp_era)i;
            return true;
        }
    }
    return false;
}

bool era_from_text(struct span version, enum mcp_era *out)
{
    for (int i = 0; i <= ERA_LATEST; i++) {
        if (span_equal(version, span_of(era_names[i]))) {
            *out = (enum mcp_era)i;
            return true;
        }
    }
    return false;
}

const char *level_name(enum mcp_level level)
{
    return level_names[level];
}

bool level_from_value(struct span name, enum mcp_level *out)
{
    if (name.len == 0 || jtext_type(name) != JTEXT_STRING) {
        return false;
    }
    for (int i = 0; i < LEVEL_SILENT; i++) {
        if (jtext_string_is(name, level_names[i])) {
            *out = (enum mcp_level)i;
            return true;
        }
    }
    return false;
}
