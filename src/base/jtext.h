/*
 * JSON text (RFC 8259, "jtext") that is checked once, then read in place. Used by `vitrine`.
 *
 * There is no tree: a value is the span of its own text inside the message it came in. So a
 * message costs no memory beyond its bytes, and what is passed on - an id, a map of variables, a
 * number with forty digits - is passed on as it was written.
 *
 * Everything but jtext_check() expects text that jtext_check() has accepted.
 */
#ifndef BASE_JTEXT_H
#define BASE_JTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum jtext_rules {
    JTEXT_STRICT,          /* every \u escape is a character or a pair of surrogates */
    JTEXT_LONE_SURROGATES, /* as Python writes them; reading turns each into U+FFFD */
};

/*
 * Accepts exactly one value with white space around it, and gives its span. Refuses: anything
 * outside the grammar, ill-formed UTF-8, the same key twice in one object (after escapes), numbers
 * that overflow a double or are longer than LIMIT_JSON_NUMBER_CHARS_MAX, more than
 * LIMIT_JSON_DEPTH_MAX levels, more than LIMIT_JSON_KEYS_MAX keys in objects that are open at the
 * same time. ERR_FORMAT, ERR_LIMIT or ERR_MEMORY; the text names the byte.
 */
int jtext_check(struct span text, enum jtext_rules rules, struct span *value, struct err *err);

enum jtext_type {
    JTEXT_NULL,
    JTEXT_BOOLEAN,
    JTEXT_NUMBER,
    JTEXT_STRING,
    JTEXT_ARRAY,
    JTEXT_OBJECT
};

enum jtext_type jtext_type(struct span value);

/* A number without fraction and exponent. */
bool jtext_is_integer(struct span value);

/* Walks over the members of an object or the items of an array. */
struct jtext_cursor {
    const char *at;
    const char *end;
};
struct jtext_cursor jtext_open(struct span container);

/* False at the end. *key is a string's span, quotes included; empty for items of an array. */
bool jtext_next(struct jtext_cursor *cursor, struct span *key, struct span *value);

/* The member `key` of `object`; false when there is none (or `object` is no object). */
bool jtext_find(struct span object, const char *key, struct span *value);

/* Strings, by what they mean rather than how they are escaped. */
bool jtext_string_is(struct span string, const char *text);
bool jtext_string_equal(struct span a, struct span b);
int jtext_string_decode(struct buf *out, struct span string); /* appends; 0 or -1 as buf_append */

/*
 * Writing. jtext_append_string takes any bytes and makes one JSON string of them: ill-formed UTF-8
 * becomes U+FFFD; control characters and everything that some reader takes for the end of a line
 * (U+0085, U+2028, U+2029) is escaped, so that a message stays one line for every client.
 */
int jtext_append_string(struct buf *out, struct span text);

/* A checked value again, without white space, numbers as they were, strings as above. */
int jtext_append_compact(struct buf *out, struct span value);

/* The same on many lines, two spaces a level, as Python's json.dumps(indent=2) has it. */
int jtext_append_indented(struct buf *out, struct span value);

#endif
