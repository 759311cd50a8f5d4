/*
 * Which addresses of the network are public. Used by `vitrine-fetch` at the moment of connecting,
 * so that neither a name that resolves to the inside nor a redirect can reach it.
 *
 * Not public: loopback, private and shared networks, link-local, multicast, unspecified,
 * documentation and reserved ranges (IANA's special-purpose registries, RFC 6890), and the IPv6
 * forms that carry such an IPv4 address: mapped, 6to4, NAT64.
 */
#ifndef FETCH_ADDRESS_H
#define FETCH_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

bool address_is_public(const struct sockaddr *address);

/* A host that is written as an address (IPv6 with or without brackets), and not a public one. */
bool address_is_private_literal(const char *host);

#endif
