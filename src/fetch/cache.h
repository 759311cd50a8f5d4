/*
 * What `vitrine-fetch` keeps on disk, in the cache folder:
 *
 *   wheels/SHA256/FILENAME          wheels
 *   archives/SHA256                 archives that carry wheels, where a server sends no ranges
 *   metadata/SHA256                 METADATA of the wheel with that sum, its own sum in front
 *   pages/INDEX/PROJECT             pages as the index sent them, with their validity
 *   fetching/                       what is under way; a killed program's are removed at the next
 * start downloads/SHA256/FILENAME       what set-up keeps; only read
 *
 * Nothing is believed because it lies there: wheels, archives and METADATA are checked against
 * their sums each time they are read, and removed when they are wrong. Everything is put in place
 * by rename.
 */
#ifndef FETCH_CACHE_H
#define FETCH_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "fetch/name.h"

struct cache {
    char root[LIMIT_PATH_BYTES_MAX / 2];
};

/* Makes the folders that are missing, and removes what killed programs left. */
int cache_open(struct cache *cache, const char *root, struct err *err);

/* A file that is being written. It is gone unless it was put in place. */
struct cache_file {
    int fd; /* -1: none */
    char path[LIMIT_PATH_BYTES_MAX];
};
int cache_file_new(const struct cache *cache, struct cache_file *out, struct err *err);
void cache_file_drop(struct cache_file *file);

/* Writes bytes that are in memory, and gives their sum. */
int cache_file_fill(struct cache_file *file, struct span bytes, struct name_sum *sum,
                    struct err *err);

/* Puts the file in place as a wheel, and drops it otherwise. Its sum has been checked. */
int cache_wheel_keep(const struct cache *cache, const char *sum, const char *filename,
                     struct cache_file *file, struct err *err);

/* Replaces `path` by a wheel's path (NUL after it, not counted), its sum just checked. `filename`
 * may be NULL: whatever it is called. False: there is none. */
bool cache_wheel_find(const struct cache *cache, const char *sum, const char *filename,
                      struct buf *path);

/* The same for archives. cache_archive_open returns a descriptor, -1 when there is none; an archive
 * that set-up has downloaded counts, and only that is not checked as a whole: each wheel in it is.
 */
int cache_archive_keep(const struct cache *cache, const char *sum, struct cache_file *file,
                       struct err *err);
int cache_archive_open(const struct cache *cache, const char *sum, const char *filename);

/* METADATA of a wheel; appended. False: there is none. Keeping is best effort. */
bool cache_metadata_find(const struct cache *cache, const char *sum, struct buf *out);
void cache_metadata_keep(const struct cache *cache, const char *sum, struct span metadata);

/* A page as it came. */
struct cache_page {
    struct buf url; /* texts with a NUL behind them, not counted */
    struct buf content_type;
    struct buf etag;
    struct buf body;
    uint64_t fetched_s; /* since 1970 */
    uint64_t max_age_s;
};
void cache_page_init(struct cache_page *page);
void cache_page_free(struct cache_page *page);
bool cache_page_find(const struct cache *cache, const char *index, const char *project,
                     struct cache_page *out);
void cache_page_keep(const struct cache *cache, const char *index, const char *project,
                     const struct cache_page *page);

/* Copies a file of a folder (a mirror's) to `out` and gives its sum. ERR_MISSING when it is not
 * there; ERR_LIMIT past LIMIT_FETCH_WHEEL_BYTES_MAX. */
int cache_copy(const char *folder, const char *filename, struct cache_file *out,
               struct name_sum *sum, struct err *err);

#endif
