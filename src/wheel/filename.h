/*
 * What the name of a wheel says: private to src/wheel.
 *
 * Sources: PyPA's binary distribution format (file name convention), name normalization, platform
 * compatibility tags; PEP 440 (versions), 783 (tags of this guest's platform).
 */
#ifndef WHEEL_FILENAME_H
#define WHEEL_FILENAME_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct filename {
    struct span name; /* all borrow the text that was read */
    struct span version;
    struct span tags[3]; /* python, abi, platform; each a list with "." between */
};

enum { FILENAME_TAG_CHARS = 96 };

/* ERR_FORMAT with a reason for people: no wheel, a source distribution, an impossible name. */
int filename_read(const char *text, struct filename *out, struct err *err);

/* The best tag of the name that this guest takes, as WHEEL would write it ("py3-none-any").
 * ERR_FORMAT with the reason: made for another system, another Python. */
int filename_tag(const struct filename *filename, char tag[FILENAME_TAG_CHARS], struct err *err);

/* Whether two project names are one: case, and runs of "-", "_" and ".", make no difference. */
bool filename_same_name(struct span a, struct span b);

/* Whether two versions are one: "1.0", "v1.0.0" and "01.0" are. False for what is no version. */
bool filename_same_version(struct span a, struct span b);

#endif
