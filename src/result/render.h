/*
 * The only place that turns an outcome and what was printed into something to be read: the text
 * that mcp-run-python's clients know, its JSON mode, and structured content. Runs in `vitrine`.
 *
 * Text ("xml" mode): <status>, <dependencies>, <output>, <return_value>, <error>, <limits>, each on
 * lines of its own, joined by newlines; empty ones are left out. <limits> has sentences about
 * limits that were reached, and that the error does not tell. Dependencies are a JSON array of the
 * names of what was installed, on one line. A return value is JSON with an indent of two; a str is
 * printed raw. The error of an installation has its log before it. The insides go through
 * escape_append().
 *
 * JSON mode: {"status", "output": [lines], "return_value"} or {"status", "output", "error"}, with
 * "dependencies" behind the status, and "limits" (sentences) at the end, where there are any.
 *
 * Structured content: one JSON object, as result_schema_json describes it.
 */
#ifndef RESULT_RENDER_H
#define RESULT_RENDER_H

#include "base/buf.h"
#include "pool/outcome.h"
#include "result/files.h"
#include "result/transcript.h"

enum result_mode { RESULT_XML, RESULT_JSON };

/* Borrows both. The guest's value is checked here, once: what is no JSON is left out. */
struct result {
    const struct outcome *outcome;
    const struct transcript *transcript; /* finished */
    struct span value;                   /* checked; empty when there is none */
    struct span value_note;
    const struct result_files *files; /* what the program made; NULL: nobody asked. Set it behind
                                         result_open */
    bool has_content;         /* pictures go there, and structured content tells where. Settable */
    size_t picture_bytes_max; /* of one in the content, as base64. Settable */
};
void result_open(struct result *result, const struct outcome *outcome,
                 const struct transcript *transcript);

/* Each appends and returns 0, or -1 as buf_append. */
int result_append_text(struct buf *out, enum result_mode mode, const struct result *result);
int result_append_structured(struct buf *out, const struct result *result);

/* The items of MCP's content, with commas between them: the text first, then the pictures in order
 * (result/display.h). */
int result_append_content(struct buf *out, enum result_mode mode, const struct result *result);

/* Adds to the files the pictures that were made smaller, whole: display-1.png belongs to the first
 * display. Before result.files is used; structured content then names them. */
void result_add_wholes(struct result_files *files, const struct transcript *transcript);

/* What to say of an outcome that is no success: the traceback, or a sentence. Borrowed. */
struct span result_error_text(const struct outcome *outcome);

/* The traceback that the guest gave, without the pool's own sentence below it. Borrowed. */
struct span result_guest_traceback(const struct outcome *outcome);

/* The JSON Schema (2020-12) of the structured content. */
extern const char result_schema_json[];

#endif
