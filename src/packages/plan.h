/*
 * A plan: the packages of an environment, by name, version, sum and file. Made by pip in a cell
 * (python/vitrine/resolve.py), so not trusted: it is read strictly, and whoever acts on it asks
 * the policy and lets vitrine-fetch find the wheels by their sums.
 *
 * The program's value is one of
 *   {"packages": [{"name", "version", "sha256", "filename", "requested": bool}...],
 *    "dropped": [{"name", "reason", "temporary": bool}...], "log": [text...]}
 *   {"error": text, "hint": text, "log": [text...]}
 * Other members are ignored.
 */
#ifndef PACKAGES_PLAN_H
#define PACKAGES_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "packages/names.h"

struct plan_package {
    char name[NAME_SIZE]; /* as the project spells it */
    char version[VERSION_SIZE];
    char sum[SUM_SIZE];
    char filename[WHEEL_NAME_SIZE];
    bool is_requested; /* asked for, not only depended on */
};

struct plan_dropped {
    char *name; /* owned texts of one line */
    char *reason;
    bool is_temporary; /* it may be there the next time */
};

struct plan {
    struct plan_package *packages; /* owned; sorted by normalized name, no two alike */
    size_t package_count;
    struct plan_dropped *dropped;
    size_t dropped_count;
    char **log; /* lines */
    size_t log_count;
    char *error; /* NULL for a plan; otherwise the rest is empty, but for the log. May have lines */
    char *hint;  /* what to do about the error; may be NULL, may have lines */
};

/* ERR_FORMAT, ERR_LIMIT or ERR_MEMORY; the plan is to be freed all the same. */
int plan_parse(struct plan *plan, struct span json, struct err *err);
void plan_free(struct plan *plan);

/* Puts the packages in their order; -1 with ERR_FORMAT when a project is there twice. */
int plan_sort(struct plan *plan, struct err *err);

/* Text from outside as one that is safe to show: valid UTF-8, no control characters (but for
 * newlines, with has_lines), at most bytes_max of it. NULL without memory. Owned by the caller. */
char *plan_text(struct span text, size_t bytes_max, bool has_lines);

#define cleanup_plan __attribute__((cleanup(plan_free)))

#endif
