/*
 * The environment of a session that is saved, or brought back (pool/durable.h). Runs in `vitrine`.
 */
#ifndef PACKAGES_DURABLE_H
#define PACKAGES_DURABLE_H

#include <stdint.h>

#include "packages/packages.h"
#include "pool/durable.h"

/* Appends what the file is to say about the session: the packages of its environment, each in its
 * version. ERR_USAGE when it is nowhere yet, ERR_MISSING when its environment is kept no more. */
int packages_session_about(struct packages *packages, const struct pool_session *session,
                           struct buf *out, struct err *err);

struct packages_restore {
    int fd; /* as pool_restore */
    uint64_t file_bytes;
    uint64_t file_count;
    void *context;
    void (*done)(void *context, const struct err *err); /* once, from the loop; NULL: it worked */
};

/* Gets or makes an environment with these packages, and restores the session in it. The rules for
 * packages hold: what the file says is anybody's word. -1 when it cannot begin. */
int packages_session_restore(struct packages *packages, struct pool_session *session,
                             const struct packages_restore *how, struct err *err);

#endif
