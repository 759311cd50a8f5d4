/* A stand-in for the packages (packages/packages.h) that runs and installs nothing: tests look at
 * what was asked of it and say themselves what happened. */
#ifndef TESTS_FAKE_PACKAGES_H
#define TESTS_FAKE_PACKAGES_H

#include "packages/packages.h"

enum { FAKE_RUNS_MAX = 16, FAKE_TEXT_MAX = 4096 };

struct fake_run {
    char code[FAKE_TEXT_MAX];
    char globals[FAKE_TEXT_MAX];
    char dependencies[FAKE_TEXT_MAX]; /* each with a newline behind it, as many as fit */
    unsigned dependency_count;
    struct packages_events events;
    struct run_limits limits;
    bool want_value;
    bool cancelled;
    bool done;
};

/* Runs in the order they came. */
extern struct fake_run fake_runs[FAKE_RUNS_MAX];
extern unsigned fake_run_count;
extern bool fake_is_full; /* packages_run refuses */

struct packages *fake_packages_reset(void);
void fake_print(unsigned run, enum run_stream stream, const char *text);
void fake_log(unsigned run, enum packages_level level, const char *line);
void fake_install(unsigned run, bool is_installing);
void fake_end(unsigned run, const struct outcome *outcome);

#endif
