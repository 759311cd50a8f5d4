/* What the two readers of pages share: page.c gives it, page_json.c and page_html.c fill it. */
#ifndef FETCH_PAGE_READER_H
#define FETCH_PAGE_READER_H

#include "fetch/page.h"
#include "fetch/url.h"

/* A file as the page describes it; absent texts have a NULL base. */
struct page_entry {
    struct span filename; /* absent: the last component of the address */
    struct span href;
    struct span sum; /* absent: the fragment of the address may have it */
    struct span metadata_sum;
    struct span requires_python;
    struct span upload_time;
    struct span yanked;
    uint64_t size;
};

struct page_reader {
    const struct page_input *input;
    struct page *page;
    struct page_file **last; /* where the next file is linked */
    size_t file_count;
    struct url_base base;
    struct buf url;
    struct buf fragment;
    struct buf name;
};

/* Judges one entry: it becomes a file of the page or is counted as left out. -1: the page is too
 * large. */
int page_add(struct page_reader *reader, const struct page_entry *entry, struct err *err);

int page_read_json(struct page_reader *reader, struct err *err);
int page_read_html(struct page_reader *reader, struct err *err);

/* Whether the version of the interface is one that we know ("1.x", PEP 629). */
bool page_version_is_known(struct span version);

#endif
