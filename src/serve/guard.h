/*
 * Which Host and Origin a request may name. Runs in `vitrine`.
 *
 * A browser lets any page send requests to this machine; a name that the page's owner points here
 * (DNS rebinding) even lets it read the answers. What such a request cannot choose is the name in
 * Host and the page in Origin, so both are checked (MCP 2025-11-25, basic/transports, "Security
 * Warning").
 *
 * Host: a name or address of the loopback, with any port; where the server is bound to another
 * address, any address too, since a name that is pointed here is none; and what --allow-host
 * lists. Origin: none at all, which is no browser; pages of the loopback where the server is bound
 * to it; and what --allow-origin lists. `null` is nobody's. Some requests of a page have no Origin,
 * those for a picture for instance; Sec-Fetch-Site tells that they are another site's (Fetch
 * Metadata).
 */
#ifndef SERVE_GUARD_H
#define SERVE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct guard {
    /* NULL-terminated, or NULL. "example.com" is it with any port, "example.com:8443" with that
     * one, "*" is every host. */
    const char *const *hosts;
    const char *const *origins; /* "https://example.com", "https://example.com:8443", or "*" */
    bool is_loopback;           /* the server is bound to it */
};

/* Whether an address or name to listen on is the loopback. */
bool guard_is_loopback(const char *host);

/* Values of the two fields; base NULL: there is none, which no Host may be. */
bool guard_allows_host(const struct guard *guard, struct span host);
bool guard_allows_origin(const struct guard *guard, struct span origin);

/* The value of Sec-Fetch-Site, of a request without Origin. */
bool guard_allows_site(struct span site);

/* One number for an address as text: of IPv6 its first half, which one client has to itself. */
uint64_t guard_client(struct span address);

#endif
