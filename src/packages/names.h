/*
 * The words of packaging: project names, versions, sums, file names of wheels, requirements. All of
 * them come from outside; each has one grammar here, and what does not fit is refused.
 *
 * Sources: PEP 503 (normalized names), PEP 508 (names, requirements), PEP 440 (versions), PEP 427
 * (names of wheels). Narrower than PEP 508 on purpose: no addresses and no paths.
 */
#ifndef PACKAGES_NAMES_H
#define PACKAGES_NAMES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

/* With the final NUL. */
enum { NAME_SIZE = 129, VERSION_SIZE = 129, SUM_SIZE = 65, WHEEL_NAME_SIZE = 256 };

bool name_is_project(struct span text);
bool name_is_version(struct span text);
bool name_is_sum(struct span text); /* 64 digits of lower-case hex */

/* A wheel's file name whose first two parts are this project and version. */
bool name_is_wheel(struct span text, struct span project, struct span version);

/* PEP 503: lower case, runs of '-', '_', '.' as one '-'. `text` must be a project name. */
void name_normalize(struct span text, char out[NAME_SIZE]);
bool name_equal(struct span a, struct span b);

/* Whether two spellings are the same version: "1.0" and "1.0.0", "1.0-RC1" and "1.0rc1". Spellings
 * that are too odd for it count as different. */
bool name_version_equal(struct span a, struct span b);

/* PEP 508 without addresses: NAME[EXTRA,...] SPECIFIERS; MARKER. On success *name (may be NULL)
 * borrows the name. -1: ERR_USAGE, the text quotes the requirement and says what is wrong. */
int name_check_requirement(struct span text, struct span *name, struct err *err);

/* A requirement that allows one version: NAME==VERSION without a '*'. The parts are borrowed. */
bool name_is_pinned(struct span requirement, struct span *name, struct span *version);

#endif
