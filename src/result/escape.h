/*
 * Keeps a program's text inside the element it is shown in. Runs in `vitrine`.
 *
 * The text result is a few elements, such as <output>, that a model or a regular expression reads;
 * it is no XML. As mcp-run-python has it, only what looks like a tag of the enclosing element is
 * changed, everything else is shown as it was printed. What looks like one is judged widely:
 *
 *   '<', then any run of blanks and slashes, then the element's name in either case.
 *
 * Blanks are white space and control characters, and Unicode's spaces and invisible characters;
 * invisible ones count for nothing inside the name, too. Of such a tag every '<' becomes "&lt;",
 * and if it is closed on the same line, everything up to its '>' is treated so and the '>' becomes
 * "&gt;". So no text can end its own element, and the element's first end tag is its real one.
 */
#ifndef RESULT_ESCAPE_H
#define RESULT_ESCAPE_H

#include "base/buf.h"
#include "base/span.h"

/* Appends `text` (UTF-8) as the inside of <element>; 0 or -1 as buf_append. `element` is
 * lower-case ASCII. */
int escape_append(struct buf *out, const char *element, struct span text);

#endif
