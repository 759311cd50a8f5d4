/*
 * The distribution's lock file (GUESTDIR/pyodide-lock.json): which wheels it has, and which modules
 * each brings. It came with the guest and is pinned by a sum, but is read as carefully as anything.
 */
#ifndef PACKAGES_LOCK_H
#define PACKAGES_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "packages/plan.h"

struct lock;

/* Reads the whole file. *out is owned by the caller until lock_free. */
int lock_load(const char *path, struct lock **out, struct err *err);
void lock_free(struct lock *lock);

/* Its wheels, in the order of the file; borrowed. */
size_t lock_count(const struct lock *lock);
const struct plan_package *lock_package(const struct lock *lock, size_t index);

bool lock_has_sum(const struct lock *lock, const char *sum);

/* Appends the modules of the wheel with this sum that are worth importing ahead, with commas
 * between them: those that the lock file names. Nothing for a sum that is not of the lock. */
int lock_append_preload(struct buf *out, const struct lock *lock, const char *sum);

#endif
