/*
 * The start tags of an HTML text, as far as the page of a simple index needs them (PEP 503). Used
 * by `vitrine-fetch`.
 *
 * A page is 64 MiB of somebody else's making, and all that is wanted of it is a flat list of links.
 * So this is the tokenizer of the HTML standard (13.2.5) without its tree: it needs no memory, no
 * recursion and one pass, whatever the text is.
 */
#ifndef FETCH_HTML_H
#define FETCH_HTML_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

struct html_tag {
    struct span name;       /* as written; compare with html_tag_is */
    struct span attributes; /* as written, up to the '>' */
};

/* Takes the next start tag off the front of *rest; false at the end. Comments, declarations, end
 * tags and the contents of elements that hold text alone (script, style, ...) are passed over. */
bool html_next_tag(struct span *rest, struct html_tag *out);

bool html_tag_is(const struct html_tag *tag, const char *name);

/* Replaces `out` by the value of the first attribute of that name (lower case), its character
 * references decoded; a value that does not fit is as absent. True also when the value is empty. */
bool html_attribute(const struct html_tag *tag, const char *name, struct buf *out);

#endif
