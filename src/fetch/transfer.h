/*
 * Downloads: many at once, each under every rule of the network that fetch.h names. Used by
 * `vitrine-fetch`; the only file that talks to libcurl's transfers.
 *
 * Redirects are followed here, hop by hop, so that each one is judged like a first address. A
 * connection that breaks, and an answer of 5xx, is tried once more after a pause.
 */
#ifndef FETCH_TRANSFER_H
#define FETCH_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "fetch/name.h"

struct transfers;
struct transfer;

struct transfer_config {
    const char
        *certificates; /* file of roots, or NULL: SSL_CERT_FILE, SSL_CERT_DIR, the system's */
    const char *proxy; /* or NULL: the variables */
    const char *const *named; /* NULL-terminated addresses of indexes and mirrors: their hosts, with
                                 these ports, may be private; their users and passwords are sent */
};

/* Everything is copied. *out is owned by the caller until transfers_free. */
int transfers_new(const struct transfer_config *config, struct transfers **out, struct err *err);
void transfers_free(struct transfers *transfers); /* `done` of what is under way is not called */

enum transfer_end {
    TRANSFER_WHOLE,     /* the body came, all of it */
    TRANSFER_UNCHANGED, /* 304: the caller's copy is still right */
    TRANSFER_NO_RANGE,  /* the server sends the whole file instead of the range; stopped */
    TRANSFER_ABSENT,    /* 404 or 410 */
    TRANSFER_REFUSED,   /* a rule of ours forbids it */
    TRANSFER_FAILED,    /* network, server or disk */
};

struct transfer_result {
    enum transfer_end end;
    char text[ERR_TEXT_MAX]; /* what happened, when it is not WHOLE */
    const char *url;         /* after redirects; without user */
    const char *content_type;
    const char *etag; /* empty when there is none */
    uint64_t max_age_s;
    uint64_t bytes;       /* of the body */
    uint64_t total_bytes; /* of the whole file, of a range */
    uint64_t elapsed_us;
    struct name_sum sum; /* of the body */
    struct buf *body;    /* when it did not go to a file; may be taken over (buf_init afterwards) */
};

struct transfer_ask {
    const char *url;
    const char *accept; /* or NULL */
    const char *etag;   /* of the copy that the caller has, or NULL */
    bool is_range;
    uint64_t range_at; /* UINT64_MAX: the last range_bytes of the file */
    uint64_t range_bytes;
    uint64_t body_bytes_max; /* after decompression */
    uint64_t wall_ms_max;
    bool may_be_compressed; /* on the way; never for files with a sum */
    int fd;                 /* borrowed, the body goes there; -1: to memory */
    void *context;
    void (*done)(void *context, struct transfer_result *result);           /* once; all borrowed */
    void (*progress)(void *context, uint64_t bytes, uint64_t bytes_total); /* or NULL */
};

/* Copies the ask; begins as soon as fewer than LIMIT_FETCH_PARALLEL_MAX are under way. */
int transfer_start(struct transfers *transfers, const struct transfer_ask *ask,
                   struct transfer **out, struct err *err);

/* Ends it without `done`. */
void transfer_cancel(struct transfer *transfer);

/* Waits until there is something to do for a transfer or on `fd` (`events` as in poll), does it,
 * and says which events `fd` has; a hang-up counts as POLLIN. */
int transfers_wait(struct transfers *transfers, int fd, short events, short *revents,
                   struct err *err);

#endif
