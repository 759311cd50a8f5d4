/* What vitrine-fetch is told first: the frame WIRE_FETCH_CONFIG, checked. */
#ifndef FETCH_CONFIG_H
#define FETCH_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "fetch/name.h"

enum mirror_kind { MIRROR_FOLDER, MIRROR_HTTPS, MIRROR_CARRIER };

/* Texts are owned by the configuration; those of a carrier are parts of "index:PROJECT==VERSION/
 * FILENAME#SHA256/FOLDER". */
struct mirror {
    enum mirror_kind kind;
    const char *address; /* as it was given: folder, https address, or the whole text */
    char *parts;         /* owned; a carrier's text, cut into: */
    char project[LIMIT_FETCH_NAME_BYTES_MAX + 1];
    const char *filename;
    struct name_sum sum;
    const char *folder;
};

struct config {
    char *cache;
    char *lock; /* or NULL */
    char *certificates;
    char *proxy;
    char *indexes[LIMIT_FETCH_SOURCES_MAX + 1]; /* NULL-terminated; as given, for asking */
    char *index_names[LIMIT_FETCH_SOURCES_MAX]; /* without user and password, for people */
    char *mirror_texts[LIMIT_FETCH_SOURCES_MAX + 1];
    struct mirror mirrors[LIMIT_FETCH_SOURCES_MAX];
    size_t index_count;
    size_t mirror_count;
    bool is_offline;
    bool has_exclude_newer;
    int64_t exclude_newer_us;
};

/* Reads the record. *out needs config_free in any case. */
int config_read(struct span record, struct config *out, struct err *err);
void config_free(struct config *config);

#endif
