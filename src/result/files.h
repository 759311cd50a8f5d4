/*
 * The files that a program made, collected for a result. Runs in `vitrine`.
 *
 * A file's contents are kept until the list is freed. In a result small ones stand themselves, as
 * text or base64; a larger one has a uri when somebody keeps it (file->uri), else its size alone.
 */
#ifndef RESULT_FILES_H
#define RESULT_FILES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/limits.h"
#include "pool/outcome.h"

enum { RESULT_URI_BYTES_MAX = 128 };

struct result_file {
    char *name; /* owned, NUL-terminated, UTF-8 */
    uint64_t size;
    const char *media_type; /* static */
    bool has_content;
    bool is_inline; /* small, and there is room: it stands in the result itself */
    bool is_text;   /* the content is UTF-8 of a kind that people read */
    struct buf content;
    char uri[RESULT_URI_BYTES_MAX]; /* empty: nobody keeps it */
};

struct result_files {
    struct result_file *items; /* owned */
    size_t count;
    size_t capacity;
    uint64_t left_out; /* more files than these */
    size_t inline_bytes;
};

/* Frees the contents and names; the list is empty then, as one of zeros is. */
void result_files_free(struct result_files *files);

/* Adds a copy; what finds no memory counts as left out. */
void result_files_add(struct result_files *files, const struct run_made *made);

/* Appends [{"name","size","media_type"[,"text" or "blob"][,"uri"]},...]. 0, or -1 as buf_append. */
int result_append_files(struct buf *out, const struct result_files *files);

#endif
