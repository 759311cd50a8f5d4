/* --allow-packages: a file that is taken says of each of its rules that it is allowed, and comes
 * out as JSON. */
#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "packages/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct policy *policy)
{
    struct err err;
    struct span value;
    cleanup_buf struct buf json;
    buf_init(&json, 64 * MIB);
    int made = policy_append_json(&json, policy);
    int checked = jtext_check(buf_span(&json), JTEXT_STRICT, &value, &err);
    assert(made == 0 && checked == 0 && jtext_type(value) == JTEXT_ARRAY);
    struct jtext_cursor cursor = jtext_open(value);
    struct span key;
    struct span rule;
    while (jtext_next(&cursor, &key, &rule)) {
        struct span name;
        bool has_name = jtext_find(rule, "name", &name);
        assert(has_name && name.len > 2);
        struct span inner = {name.base + 1, name.len - 2};
        int allowed = policy_check_project(policy, inner, &err);
        assert(allowed == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct policy *policy;
    struct err err;
    if (fd < 0) {
        fd = memfd_create("policy", MFD_CLOEXEC);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    int cut = ftruncate(fd, 0);
    off_t start = lseek(fd, 0, SEEK_SET);
    assert(cut == 0 && start == 0 && fd_write_full(fd, data, size) == 0);
    if (policy_load(path, &policy, &err) == 0) {
        check(policy);
        policy_free(policy);
    }
    return 0;
}
