/* A stand-in for the pool (pool/pool.h) that runs nothing: tests look at what was asked of it and
 * say themselves what the program printed and how it ended. */
#ifndef TESTS_FAKE_POOL_H
#define TESTS_FAKE_POOL_H

#include "pool/pool.h"

enum { FAKE_RUNS_MAX = 64, FAKE_TEXT_MAX = 4096 };

struct fake_run {
    char code[FAKE_TEXT_MAX];
    char globals[FAKE_TEXT_MAX];
    struct run_events events;
    struct run_limits limits;
    char environment[FAKE_TEXT_MAX]; /* its id; empty: the base */
    char resolved[FAKE_TEXT_MAX];
    char dependencies[FAKE_TEXT_MAX]; /* each with a newline behind it */
    char fetched[FAKE_TEXT_MAX];      /* what the last question was answered with */
    uint32_t fetched_status;
    unsigned fetched_count;
    bool finds_needs;
    bool may_fetch;
    bool want_value;
    bool cancelled;
    bool done;
};

/* Runs in the order they came. */
extern struct fake_run fake_runs[FAKE_RUNS_MAX];
extern unsigned fake_run_count;
extern bool fake_is_full;               /* pool_run refuses */
extern bool fake_is_drained;            /* pool_drain was called */
extern char fake_warmed[FAKE_TEXT_MAX]; /* ids given to pool_warm, each with a newline */

struct pool *fake_pool_reset(void);
void fake_print(unsigned run, enum run_stream stream, const char *text);
void fake_ask(unsigned run, struct span question);
void fake_end(unsigned run, const struct outcome *outcome);

#endif
