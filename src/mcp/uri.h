/*
 * Templates of URIs, as families of resources have them (RFC 6570, what is said in registry.h).
 * Runs in `vitrine`.
 */
#ifndef MCP_URI_H
#define MCP_URI_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/*
 * Whether the text follows the template; each variable then has at least one character. Appends
 * the variables' names and values, percent-decoded, each with a NUL behind it; a value that would
 * have a NUL inside does not match.
 */
bool uri_matches(const char *uri_template, struct span uri, struct buf *variables);

/* A value out of what uri_matches has appended; empty when there is none. */
struct span uri_variable(const struct buf *variables, const char *name);

/* Whether a character stands for itself in every part of a URI (RFC 3986, 2.3). */
bool uri_is_unreserved(char c);

#endif
