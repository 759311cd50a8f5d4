/*
 * Addresses, taken apart and put together by libcurl's own parser, so that what is checked is what
 * is connected to. Used by `vitrine-fetch`.
 */
#ifndef FETCH_URL_H
#define FETCH_URL_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/span.h"

/* The parts of an address that decide who is talked to; lower case. */
struct url_origin {
    char host[LIMIT_NAME_BYTES_MAX + 1]; /* IPv6 in brackets */
    char port[6];
};

bool url_origin_equal(const struct url_origin *a, const struct url_origin *b);

/* Takes an absolute address apart; false when it is none or is not https. */
bool url_read_origin(const char *url, struct url_origin *out);

/* The user and password in an address, percent-decoded; owned by the caller (free), NULL when there
 * are none. False when the address is none. */
bool url_read_credentials(const char *url, char **user, char **password);

/* Replaces `out` by the address without user, password and fragment, and a NUL that is not counted.
 * Also the form for messages. False when it is none. */
bool url_without_credentials(const char *url, struct buf *out);

/* Resolves many references against one base. */
struct url_base {
    CURLU *base; /* without credentials */
};
bool url_base_open(struct url_base *base, const char *url);
void url_base_close(struct url_base *base);

/* Replaces `out` by the absolute address (NUL after it, not counted) and `fragment` by what stood
 * behind the '#', percent-encoded as it was. False: the result is not https, carries a user, or is
 * no address. */
bool url_resolve(const struct url_base *base, struct span reference, struct buf *out,
                 struct buf *fragment);

/* Replaces `out` by the last component of the path, percent-decoded; false when that is empty or
 * holds a NUL or '/'. */
bool url_file_name(const char *url, struct buf *out);

#endif
