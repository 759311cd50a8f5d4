/*
 * What kind of data a file has, told from its first bytes and its name. Used by `vitrine`.
 *
 * The bytes decide where they say clearly what they are; else the name's extension does, where
 * nothing speaks against it; else it is text or it is not.
 */
#ifndef BASE_MEDIA_H
#define BASE_MEDIA_H

#include <stdbool.h>

#include "base/span.h"

/* A media type without parameters; static, never NULL. `content` may be empty: not known. */
const char *media_type(struct span name, struct span content);

/* Whether data of the type is text that a person can read, and that is UTF-8 as a rule. */
bool media_is_text(const char *type);

#endif
