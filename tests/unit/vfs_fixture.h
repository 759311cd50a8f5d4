/* The file system that the tests of vfs start from: one small image, devices that answer. */
#ifndef TESTS_UNIT_VFS_FIXTURE_H
#define TESTS_UNIT_VFS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "guest/vfs/image.h"
#include "guest/vfs/vfs.h"

enum { CWD = VFS_AT_FDCWD };

struct fixture {
    struct vfs *vfs;
    struct buf image;
    struct buf written[3]; /* what reached standard output (1) and error (2) */
    uint64_t now;
};

static inline struct span s(const char *text)
{
    return span_of(text);
}

/* For cmocka_unit_test_setup_teardown. */
int set_up(void **state);
int tear_down(void **state);
#define VFS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A clock that moves on at each look. */
uint64_t tick(void *fixture);
struct vfs *vfs_of(void **state);
void set_quota(struct vfs *vfs, uint64_t bytes, uint64_t count, uint32_t files);
int open_file(struct vfs *vfs, const char *path, int flags);
int open_new(struct vfs *vfs, const char *path);
void expect_contents(struct vfs *vfs, const char *path, const char *expected);
struct vfs_stat stat_of(struct vfs *vfs, const char *path);

#endif
