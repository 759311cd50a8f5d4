/*
 * Sessions in files: saved while they go on, and brought back in this process or another one, on
 * this machine or another one with the same build. Runs in `vitrine`, on the pool's loop.
 *
 * Both take their turn among the session's runs. They are done by its cell, in its jail; `vitrine`
 * passes the bytes on and adds up their SHA-256.
 */
#ifndef POOL_DURABLE_H
#define POOL_DURABLE_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "pool/pool.h"
#include "pool/session.h"

struct pool_save {
    int fd;             /* of an empty file, to write; borrowed until `done` */
    uint64_t bytes_max; /* of the file; 0: LIMIT_STATE_FILE_BYTES_MAX */
    struct span about;  /* kept in the file for whoever restores: LIMIT_STATE_ABOUT_BYTES_MAX */
    void *context;
    /* Once, from the loop. `err` is NULL when the file is whole, else the file is of no use.
     * Unless pool_session_has_ended, the session goes on, also after an error. */
    void (*done)(void *context, uint64_t bytes, const struct err *err);
};

/* -1 when it cannot begin, and `done` is not called: ERR_USAGE when the session has no state yet,
 * ERR_GONE, ERR_BUSY, ERR_SYSTEM. */
int pool_session_save(struct pool_session *session, const struct pool_save *how, struct err *err);

struct pool_restore {
    int fd; /* of the file, to read, from its beginning; borrowed until `done` */
    /* Where it goes on; NULL: the base. It needs what the state refers to, and may have more. */
    const struct pool_environment *environment;
    uint64_t file_bytes; /* quotas of what is in its files, as in run_limits */
    uint64_t file_count;
    void *context;
    /* Once, from the loop. After an error the session is as new. */
    void (*done)(void *context, const struct err *err);
};

/* For a session that has no state. What its file says about the state is appended to `about`
 * (may be NULL). -1 as above, and ERR_FORMAT. The file is not known to be whole before `done`. */
int pool_session_restore(struct pool_session *session, const struct pool_restore *how,
                         struct buf *about, struct err *err);

struct pool_move {
    /* Where the session goes on, with what it has and more; NULL: the base. Copied. */
    const struct pool_environment *environment;
    uint64_t file_bytes; /* quotas of what is in its files, as in run_limits */
    uint64_t file_count;
    void *context;
    /* Once, from the loop. Unless pool_session_has_ended, an error leaves the session where it was,
     * as it was. */
    void (*done)(void *context, const struct err *err);
};

/* Lets a session that has a state go on in a cell of another environment, because a cell gains no
 * machine code. It waits for its turn; programs that are begun later wait for it. -1 as above. */
int pool_session_move(struct pool_session *session, const struct pool_move *how, struct err *err);

/* What a file says about the state in it, appended; the descriptor is at its beginning before and
 * afterwards. Anybody may have written it. */
int pool_state_about(int fd, struct buf *about, struct err *err);

#endif
