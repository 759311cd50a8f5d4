/*
 * What `vitrine doctor` found out, and how it is shown: a table for people, or one JSON document.
 * Runs in `vitrine`.
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdbool.h>

#include "base/buf.h"
#include "pool/jail.h"

enum finding_state {
    FINDING_INFO, /* neither good nor bad */
    FINDING_GOOD,
    FINDING_BAD, /* missing, or broken */
};

enum { FINDING_TEXT_MAX = 640, FINDINGS_MAX = 64 };

struct finding {
    const char *group; /* static, as all but text */
    const char *name;
    enum finding_state state;
    char text[FINDING_TEXT_MAX];
    const char *advice; /* what to do, or NULL */
};

struct findings {
    struct finding items[FINDINGS_MAX]; /* those of a group one after the other */
    unsigned count;
    enum pool_jail_level required;
    enum pool_jail_level reached; /* the highest level that is met */
    bool is_run_good;
    uint64_t start_us; /* from nothing to an interpreter that is ready; 0: it never was */
    uint64_t run_us;   /* the first program */
};

/* Adds one; past the maximum it is dropped. */
void findings_add(struct findings *findings, const char *group, const char *name,
                  enum finding_state state, const char *advice, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Whether the level that is required is met, and a program ran. */
bool findings_are_good(const struct findings *findings);

/* Each appends all of it; 0 or -1 as buf_append. */
int findings_append_text(struct buf *out, const struct findings *findings, bool has_color);
int findings_append_json(struct buf *out, const struct findings *findings);

#endif
