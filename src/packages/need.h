/*
 * What a program needs: requirements (asked for by name) and guesses (inferred from imports, which
 * may turn out not to exist). Written by the guest (wire.h, WIRE_RESULT_NEED), so not trusted: it
 * is read strictly, and each text must be a requirement by the grammar of names.h.
 */
#ifndef PACKAGES_NEED_H
#define PACKAGES_NEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "packages/sum.h"

struct text_list {
    char **items; /* owned, sorted, no two alike */
    size_t count;
};

struct need {
    struct text_list requirements;
    struct text_list guesses;
};

/* An empty need is {0}. Each may fail with ERR_USAGE (a text is no requirement), ERR_FORMAT (not
 * the JSON that it must be), ERR_LIMIT or ERR_MEMORY; the need is to be freed all the same. */
int need_parse(struct need *need, struct span json, struct err *err);
int need_add_requirements(struct need *need, const char *const *texts, struct err *err);

/* Only looks whether each text is a requirement; the list is NULL-terminated, or NULL. */
int need_check_requirements(const char *const *texts, struct err *err);

void need_free(struct need *need);

/* {"requirements":[...],"guesses":[...]} */
int need_append_json(struct buf *out, const struct need *need);

/* Into a digest. */
void need_sum(struct sum *sum, const struct need *need);

/* The same names the other way round, requirements as guesses or guesses as requirements: false
 * unless all are plain names of one kind. *out borrows. */
bool need_swap(struct need *out, const struct need *need);

/* Whether a later resolution would come to the same: every text names one version. */
bool need_is_pinned(const struct need *need);

bool need_is_empty(const struct need *need);

#define cleanup_need __attribute__((cleanup(need_free)))

#endif
