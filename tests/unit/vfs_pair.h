/* A real directory of the host and the guest's file system side by side, for test_vfs_random. */
#ifndef TESTS_UNIT_VFS_PAIR_H
#define TESTS_UNIT_VFS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest/vfs/image.h"
#include "guest/vfs/vfs.h"

/* Both sides work at the bottom of a nest this deep, so that ".." stays inside it. */
enum { NEST_DEPTH = 100, SLOT_COUNT = 12, STEPS = 400, RUNS_DEFAULT = 60, BLOCK_MAX = 140000 };

struct slot {
    int host; /* -1 when closed */
    int guest;
};

struct pair {
    struct vfs *vfs;
    struct buf images[2];
    char host_top[64]; /* the temporary directory */
    int host_bottom;   /* descriptors of the nest's bottom */
    int guest_bottom;
    struct slot slots[SLOT_COUNT];
    uint64_t random;
    uint64_t seed;
    unsigned step;
};

/* A random number below `below`. */
unsigned pick(struct pair *pair, unsigned below);

/* What the guest would see for the host's result: a count, or the error in its numbers. */
int64_t as_guest(int64_t host_result);

/* Fails the test, naming seed and step, unless both results are the same. */
void expect_same(const struct pair *pair, int64_t host, int64_t guest, const char *what,
                 const char *path);

/* The guest's path of the nest's bottom. */
void nest_path(char *path);

/* Both sides start from the same tree. */
void make_images(struct pair *pair);
void make_host(struct pair *pair);
void make_guest(struct pair *pair);

/* Random arguments. */
void random_path(struct pair *pair, char *out, size_t size);
struct slot *random_slot(struct pair *pair);
struct slot random_dir(struct pair *pair);

#endif
