/* A folder with a cache, a guest's folder and a builder for tests of src/packages, all of them
 * small fakes. */
#ifndef TESTS_PACKAGES_FIXTURE_H
#define TESTS_PACKAGES_FIXTURE_H

#include <limits.h>
#include <stdbool.h>
#include <uv.h>

#include "base/span.h"

/* Sums that the fake vitrine-fetch serves. */
#define SUM_A "aa00000000000000000000000000000000000000000000000000000000000001"
#define SUM_B "aa00000000000000000000000000000000000000000000000000000000000002"

struct fixture {
    char root[64];
    char cache[PATH_MAX];
    char guest[PATH_MAX];
    char precompile[PATH_MAX]; /* a script, see packages_fixture.c */
    const char *fetch;         /* the fake program */
};

void fixture_make(struct fixture *fixture);
void fixture_remove(struct fixture *fixture);

/* Writes a text file below the root. */
void fixture_write(const struct fixture *fixture, const char *name, const char *text);

/* The text of a file below the root; empty when there is none. Valid until the next call. */
const char *fixture_read(const struct fixture *fixture, const char *name);
bool fixture_has(const struct fixture *fixture, const char *name);

/* How many files and folders a folder has. */
unsigned fixture_entries(const struct fixture *fixture, const char *name);

/* How often a line of the file begins with these words. */
unsigned fixture_count(const struct fixture *fixture, const char *name, const char *words);

/* Runs the loop until *flag is set; fails the test after ten seconds. */
void fixture_wait(uv_loop_t *loop, const bool *flag);
/* Runs the loop for so long. */
void fixture_run_ms(uv_loop_t *loop, unsigned ms);

#endif
