/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

bool utf8_valid(struct span text);

/* Bytes of the longest prefix that is valid and ends between characters. */
size_t utf8_valid_prefix(struct span text);

/* Appends `text` with each ill-formed sequence replaced by U+FFFD (one for each maximal subpart,
 * as the Unicode Standard 3.9 recommends). 0 or -1 as buf_append. */
int utf8_append_lossy(struct buf *out, struct span text);

/* Appends `text` so that what a person reads is what there is: ill-formed UTF-8, every control but
 * newlines and tabs, and what changes the direction of text or ends a line in disguise, become
 * U+FFFD. 0 or -1 as buf_append. */
int utf8_append_plain(struct buf *out, struct span text);

#endif
