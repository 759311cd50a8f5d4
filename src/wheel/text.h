/*
 * The texts in a wheel's dist-info folder: private to src/wheel, except that the builder reads
 * METADATA with it. METADATA and WHEEL are headers as e-mail has them (PyPA's core metadata);
 * RECORD is lines of values with commas between and quotes where needed (PEP 376).
 */
#ifndef WHEEL_TEXT_H
#define WHEEL_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Walks over the headers; start with `rest` as the whole text. A value that goes on over several
 * lines is borrowed with its line ends in it. False at the end of the headers. */
struct text_header {
    struct span name;
    struct span value; /* without white space around it */
};
bool text_header_next(struct span *rest, struct text_header *out);
bool text_header_is(const struct text_header *header, const char *name); /* in any case */

/* The value of the header `name`, which must be there exactly once. ERR_FORMAT. */
int text_header_find(struct span text, const char *name, struct span *value, struct err *err);

/* Walks over the lines of RECORD. `values` receives three; quoted ones are unquoted into `scratch`,
 * which is emptied first. 1, 0 at the end, -1 with ERR_FORMAT or ERR_MEMORY. */
enum { TEXT_VALUES = 3 };
int text_record_next(struct span *rest, struct span values[TEXT_VALUES], struct buf *scratch,
                     struct err *err);

#endif
