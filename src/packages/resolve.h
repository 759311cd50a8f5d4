/*
 * One resolution: pip in a cell (python/vitrine/resolve.py), its questions passed on to
 * vitrine-fetch, its plan read and checked against the policy.
 */
#ifndef PACKAGES_RESOLVE_H
#define PACKAGES_RESOLVE_H

#include "packages/state.h"

struct resolve;

struct resolve_events {
    void *context;
    void (*log)(void *context, enum packages_level level, struct span line);
    /* Exactly once, last, unless it was cancelled. `plan` (owned by the callee from now on) may be
     * one with an error; NULL when there is none at all, then *err says why. is_temporary: another
     * attempt may come to something else, because something could not be fetched. */
    void (*done)(void *context, struct plan *plan, bool is_temporary, const struct err *err);
};

/* The fetcher has been configured. NULL with *err. */
struct resolve *resolve_start(struct packages *packages, const struct need *need,
                              const struct resolve_events *events, struct err *err);
void resolve_cancel(struct resolve *resolve);

#endif
