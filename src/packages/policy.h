/*
 * --allow-packages FILE: which packages may be installed. One rule a line:
 *   NAME                                  any version
 *   NAME==VERSION                         this one; several lines allow several
 *   NAME==VERSION --hash=sha256:HEX ...   these wheels of it
 * Names count as PEP 503 has them. Empty lines and what follows a '#' (at the start of a line, or
 * after a blank) say nothing; a backslash at a line's end joins the next one, so that files made by
 * pip-compile can be used as they are.
 */
#ifndef PACKAGES_POLICY_H
#define PACKAGES_POLICY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "packages/plan.h"
#include "packages/sum.h"

struct policy;

/* Reads and checks the file. ERR_MISSING, ERR_SYSTEM, ERR_LIMIT, or ERR_USAGE with the line. *out
 * is owned by the caller until policy_free. */
int policy_load(const char *path, struct policy **out, struct err *err);
void policy_free(struct policy *policy);

/* `policy` may be NULL: then everything is allowed. -1: ERR_USAGE, the text names the file and what
 * it allows instead. */
int policy_check_project(const struct policy *policy, struct span name, struct err *err);
int policy_check_package(const struct policy *policy, const struct plan_package *package,
                         struct err *err);

/* The rules as the resolver takes them (python/vitrine/resolve.py): null, or a JSON array of
 * {"name", "versions": [...], "sha256": [...]}, where an empty list allows any. What it makes of
 * them is checked again by policy_check_package. */
int policy_append_json(struct buf *out, const struct policy *policy);

/* Into a digest: another policy may have other results. */
void policy_sum(struct sum *sum, const struct policy *policy);

#endif
