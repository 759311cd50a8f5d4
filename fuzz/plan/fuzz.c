/*
 * What the resolver's cell answers. A plan that is taken has names that are safe in paths, on a
 * command line and in JSON; the environment's own file made of it reads as the same plan.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "packages/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *line)
{
    assert(utf8_valid(span_of(line)));
    for (; *line != '\0'; line++) {
        assert((unsigned char)*line >= ' ' && *line != 0x7F);
    }
}

static void check_package(const struct plan_package *package)
{
    assert(strpbrk(package->filename, "/\\\"\n ") == NULL && package->filename[0] != '.' &&
           package->filename[0] != '-');
    assert(strpbrk(package->name, "/\\\"\n ") == NULL && package->name[0] != '-');
    assert(strpbrk(package->version, "/\\\"\n ") == NULL);
    assert(strlen(package->sum) == 64);
}

static void check_again(const struct plan *plan)
{
    struct err err;
    cleanup_buf struct buf text;
    cleanup_plan struct plan again = {0};
    buf_init(&text, LIMIT_PACKAGES_MAX * KIB);
    int made = store_environment_json(plan, &text);
    int parsed = plan_parse(&again, buf_span(&text), &err);
    assert(made == 0 && parsed == 0 && again.package_count == plan->package_count);
    assert(plan->package_count == 0 || memcmp(again.packages, plan->packages,
                                              plan->package_count * sizeof *plan->packages) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    cleanup_plan struct plan plan = {0};
    if (plan_parse(&plan, (struct span){(const char *)data, size}, &err) != 0) {
        assert(err.text[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < plan.log_count; i++) {
        check_line(plan.log[i]);
    }
    for (size_t i = 0; i < plan.dropped_count; i++) {
        check_line(plan.dropped[i].name);
        check_line(plan.dropped[i].reason);
    }
    for (size_t i = 0; i < plan.package_count; i++) {
        check_package(&plan.packages[i]);
    }
    check_again(&plan);
    return 0;
}
