/*
 * The pages that were read, and which wheels they list: what may be asked for by its sum. Used by
 * `vitrine-fetch`. Holds at most LIMIT_FETCH_KNOWN_BYTES_MAX; the page that was not used for the
 * longest time goes first.
 */
#ifndef FETCH_KNOWN_H
#define FETCH_KNOWN_H

#include "base/err.h"
#include "fetch/page.h"

struct known;

int known_new(struct known **out, struct err *err);
void known_free(struct known *known);

/* Takes a page; one of the same project is replaced. What known_page and known_file gave before may
 * be gone afterwards. */
int known_add(struct known *known, struct page *page, struct err *err);

/* The page of a normalized name, or NULL; borrowed until the next known_add. */
const struct page *known_page(struct known *known, const char *project);

/* A file with this sum, or NULL; borrowed likewise. Files that are too new are found only when
 * `also_too_new`. */
const struct page_file *known_file(struct known *known, const char *sum, bool also_too_new);

#endif
