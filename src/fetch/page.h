/*
 * A project's page of a simple index, read and checked. Used by `vitrine-fetch`.
 *
 * Sources: PEP 503 (HTML), 691 (JSON), 592 (yanked), 629 (version of the interface), 658 and 714
 * (METADATA beside a wheel), 700 (size, upload time).
 */
#ifndef FETCH_PAGE_H
#define FETCH_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "fetch/name.h"

/* One wheel. Texts are NUL-terminated and lie behind the struct; an absent one is NULL. */
struct page_file {
    struct page_file *next;          /* in its page, as the index has them */
    struct page_file *next_in_hash;  /* belongs to known.c */
    struct page_file **link_in_hash; /* what points to it */
    struct name_sum sum;
    struct name_sum metadata_sum; /* empty: the index has no METADATA with a sum */
    bool is_too_new;              /* by exclude_newer: not to be served */
    uint64_t size;                /* 0: not told */
    const char *filename;
    const char *url; /* https, absolute, without user and fragment */
    const char *requires_python;
    const char *upload_time;
    const char *yanked; /* the reason, perhaps empty */
};

struct page {
    char project[LIMIT_FETCH_NAME_BYTES_MAX + 1]; /* normalized */
    unsigned index;                               /* which of the configured indexes */
    struct page_file *files;                      /* wheels alone */
    size_t bytes;                                 /* of memory, about */
    uint64_t fresh_until_us;                      /* belongs to the caller */
    uint64_t used;                                /* belongs to known.c */
    struct {
        uint64_t sdist, native, no_hash, too_new, other;
    } left_out;
};

struct page_input {
    struct span body;
    const char *content_type; /* of the answer, with or without parameters */
    const char *url;          /* that the body came from at last; https */
    const char *project;      /* normalized */
    unsigned index;
    bool has_exclude_newer;
    int64_t exclude_newer_us;
};

/* Reads a page. A file that is not as it should be is counted in left_out; a page that is not one
 * is ERR_FORMAT. *out is owned by the caller until page_free. */
int page_read(const struct page_input *input, struct page **out, struct err *err);
void page_free(struct page *page);

/* Appends the answer to a PAGE (see fetch.h). 0, or -1 when it does not fit. */
int page_write(const struct page *page, struct buf *out);

#endif
