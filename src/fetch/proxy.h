/*
 * Which proxy a host is reached through, by the usual variables. Used by `vitrine-fetch`, which
 * decides this itself because the address rules depend on it: behind a proxy, the proxy resolves
 * names, and the address that is connected to is the proxy's own, which the user has named.
 */
#ifndef FETCH_PROXY_H
#define FETCH_PROXY_H

#include <stdbool.h>

/* The proxy for an https address, or NULL for none; borrows from the configuration or environment.
 * `configured` (may be NULL) counts before HTTPS_PROXY and ALL_PROXY; NO_PROXY counts for all. */
const char *proxy_for(const char *configured, const char *host);

/* Whether NO_PROXY's list names a host: "*", the name itself, a domain it is in, with or without a
 * dot in front, each perhaps with a port, which is not looked at. */
bool proxy_is_bypassed(const char *no_proxy, const char *host);

#endif
