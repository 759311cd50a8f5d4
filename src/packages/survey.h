/*
 * What a program would import, and which packages it would get, told to the person who is to say
 * whether it may run (`vitrine run --ask`, and --approve). Runs in `vitrine`.
 *
 * The source is parsed in a cell of the base environment (python/vitrine/survey.py), never run.
 * What the cell answers was made of the program's text, so it is not trusted: the lines that come
 * of it are valid UTF-8, but their characters are the program's, and it is for whoever shows them
 * to make them harmless.
 */
#ifndef PACKAGES_SURVEY_H
#define PACKAGES_SURVEY_H

#include "base/err.h"
#include "packages/packages.h"

struct survey;

struct survey_events {
    void *context;
    /* Exactly once, last, unless it was cancelled. `lines` are for a person, each with its end, and
     * are borrowed until it returns; at most LIMIT_SURVEY_TEXT_BYTES_MAX. *err is NULL, or says why
     * nothing is known. */
    void (*done)(void *context, struct span lines, const struct err *err);
};

/* `code` and `dependencies` (NULL-terminated, may be NULL) are copied; `client` as in run_request.
 * NULL with *err. */
struct survey *survey_start(struct packages *packages, struct span code,
                            const char *const *dependencies, uint64_t client,
                            const struct survey_events *events, struct err *err);

/* No event comes any more. */
void survey_cancel(struct survey *survey);

#endif
