/*
 * The pages that a process's memory lies on, before it forks: private to src/engine.
 */
#ifndef ENGINE_PAGES_H
#define ENGINE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Lays private memory at [base, base + len) anew: as one anonymous mapping on huge pages where the
 * system has them (on small ones where not), with the same contents at the same place, and without
 * the pages that hold nothing. `protection` is what it has, as for mmap. What is touched later gets
 * small pages. With `must_be_huge` nothing changes where not all of it would lie on huge pages:
 * fork copies the table of private pages, but not that of a file's. Nothing else may run meanwhile.
 * -1 when there is no memory for it; the old mapping is then still there.
 */
int pages_settle(void *base, size_t len, int protection, bool must_be_huge, struct err *err);

/* What is made of [base, base + len) from now on lies on huge pages, as far as these are whole in
 * it and the system has them: fork copies the table of a private page, and these have few. */
void pages_prefer_huge(void *base, size_t len);

#endif
