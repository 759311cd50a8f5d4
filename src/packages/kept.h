/* A request of one's own: it may have to be given to the pool again, long after its maker is gone.
 */
#ifndef PACKAGES_KEPT_H
#define PACKAGES_KEPT_H

#include "base/err.h"
#include "pool/pool.h"

struct kept {
    struct run_request request; /* its texts lie in `texts`, its lists in the others */
    char *texts;
    const char **lists;
    struct run_file *files;
};

/* Copies everything but the environment; `more` (NULL-terminated, or NULL) are put before the
 * request's own dependencies. kept_free frees it. */
int kept_copy(struct kept *kept, const struct run_request *request, char *const *more,
              struct err *err);
void kept_free(struct kept *kept);

#endif
