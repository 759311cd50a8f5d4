#include "fetch/known.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 16 };

struct entry {
    struct page *page;
    struct entry *next;
};

struct known {
    struct entry *entries; /* a few hundred in one resolution */
    struct page_file **buckets;
    size_t bytes;
    uint64_t clock; /* counts uses */
};

int known_new(struct known **out, struct err *err)
{
    struct known *known = calloc(1, sizeof *known);
    if (known != NULL) {
        known->buckets = calloc(BUCKETS, sizeof(struct page_file *));
    }
    if (known == NULL || known->buckets == NULL) {
        free(known);
        return err_set(err, ERR_MEMORY, "no memory for the table of pages");
    }
    *out = known;
    return 0;
}

/* A sum is as good as random already. */
static struct page_file **bucket_of(struct known *known, const char *sum)
{
    unsigned at = 0;
    for (unsigned i = 0; i < 4 && sum[i] != '\0'; i++) {
        unsigned char c = (unsigned char)sum[i];
        at = at << 4 | (c >= 'a' ? c - 'a' + 10u : c - (unsigned)'0');
    }
    return &known->buckets[at % BUCKETS];
}

/* Takes entry *at off the list, and its files off the table. Nothing is searched for: an index may
 * give all of its files sums that share a bucket. */
static void forget(struct known *known, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    for (struct page_file *file = entry->page->files; file != NULL; file = file->next) {
        *file->link_in_hash = file->next_in_hash;
        if (file->next_in_hash != NULL) {
            file->next_in_hash->link_in_hash = file->link_in_hash;
        }
    }
    known->bytes -= entry->page->bytes;
    page_free(entry->page);
    free(entry);
}

void known_free(struct known *known)
{
    if (known == NULL) {
        return;
    }
    while (known->entries != NULL) {
        forget(known, &known->entries);
    }
    free(known->buckets);
    free(known);
}

static struct entry **find(struct known *known, const char *project)
{
    struct entry **at = &known->entries;
    while (*at != NULL && strcmp((*at)->page->project, project) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void forget_oldest(struct known *known)
{
    struct entry **oldest = &known->entries;
    for (struct entry **at = &known->entries; *at != NULL; at = &(*at)->next) {
        if ((*at)->page->used < (*oldest)->page->used) {
            oldest = at;
        }
    }
    forget(known, oldest);
}

int known_add(struct known *known, struct page *page, struct err *err)
{
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL) {
        page_free(page);
        return err_set(err, ERR_MEMORY, "no memory for a page");
    }
    struct entry **same = find(known, page->project);
    if (*same != NULL) {
        forget(known, same);
    }
    while (known->entries != NULL && known->bytes + page->bytes > LIMIT_FETCH_KNOWN_BYTES_MAX) {
        forget_oldest(known);
    }
    for (struct page_file *file = page->files; file != NULL; file = file->next) {
        struct page_file **bucket = bucket_of(known, file->sum.hex);
        file->next_in_hash = *bucket;
        file->link_in_hash = bucket;
        if (*bucket != NULL) {
            (*bucket)->link_in_hash = &file->next_in_hash;
        }
        *bucket = file;
    }
    page->used = ++known->clock;
    known->bytes += page->bytes;
    *entry = (struct entry){page, known->entries};
    known->entries = entry;
    return 0;
}

const struct page *known_page(struct known *known, const char *project)
{
    struct entry *entry = *find(known, project);
    if (entry == NULL) {
        return NULL;
    }
    entry->page->used = ++known->clock;
    return entry->page;
}

const struct page_file *known_file(struct known *known, const char *sum, bool also_too_new)
{
    for (struct page_file *file = *bucket_of(known, sum); file != NULL; file = file->next_in_hash) {
        if (strcmp(file->sum.hex, sum) == 0 && (also_too_new || !file->is_too_new)) {
            return file;
        }
    }
    return NULL;
}
