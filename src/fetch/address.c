#include "fetch/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range4 {
    uint32_t base;
    unsigned prefix_bits;
};

#define IPV4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static const struct range4 not_public4[] = {
    {IPV4(0, 0, 0, 0), 8},       /* this network */
    {IPV4(10, 0, 0, 0), 8},      /* private */
    {IPV4(100, 64, 0, 0), 10},   /* shared, behind a carrier's NAT */
    {IPV4(127, 0, 0, 0), 8},     /* loopback */
    {IPV4(169, 254, 0, 0), 16},  /* link-local; the metadata services of clouds */
    {IPV4(172, 16, 0, 0), 12},   /* private */
    {IPV4(192, 0, 0, 0), 24},    /* protocol assignments */
    {IPV4(192, 0, 2, 0), 24},    /* documentation */
    {IPV4(192, 88, 99, 0), 24},  /* 6to4 relays, withdrawn */
    {IPV4(192, 168, 0, 0), 16},  /* private */
    {IPV4(198, 18, 0, 0), 15},   /* benchmarks */
    {IPV4(198, 51, 100, 0), 24}, /* documentation */
    {IPV4(203, 0, 113, 0), 24},  /* documentation */
    {IPV4(224, 0, 0, 0), 4},     /* multicast */
    {IPV4(240, 0, 0, 0), 4},     /* reserved, broadcast */
};

struct range6 {
    uint8_t base[16];
    unsigned prefix_bits;
};

/* Of 2000::/3, the only part of IPv6 that is given out. */
static const struct range6 not_public6[] = {
    {{0x20, 0x01}, 23},             /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff}, 20},             /* documentation */
};

static const struct range6 global6 = {{0x20}, 3};
static const struct range6 mapped6 = {{[10] = 0xff, 0xff}, 96};
static const struct range6 six_to_four6 = {{0x20, 0x02}, 16};
static const struct range6 nat64_6 = {{0x00, 0x64, 0xff, 0x9b}, 96};

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < sizeof not_public4 / sizeof *not_public4; i++) {
        unsigned shift = 32 - not_public4[i].prefix_bits;
        if (address >> shift == not_public4[i].base >> shift) {
            return false;
        }
    }
    return true;
}

static bool is_in6(const uint8_t address[16], const struct range6 *range)
{
    unsigned bytes = range->prefix_bits / 8;
    unsigned rest = 8 - range->prefix_bits % 8;
    return memcmp(address, range->base, bytes) == 0 &&
           (rest == 8 || address[bytes] >> rest == range->base[bytes] >> rest);
}

static uint32_t embedded4(const uint8_t bytes[4])
{
    return IPV4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

static bool is_public6(const uint8_t address[16])
{
    if (is_in6(address, &mapped6) || is_in6(address, &nat64_6)) {
        return is_public4(embedded4(address + 12));
    }
    if (is_in6(address, &six_to_four6)) {
        return is_public4(embedded4(address + 2));
    }
    for (size_t i = 0; i < sizeof not_public6 / sizeof *not_public6; i++) {
        if (is_in6(address, &not_public6[i])) {
            return false;
        }
    }
    return is_in6(address, &global6);
}

bool address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        return is_public6(in6.sin6_addr.s6_addr);
    }
    return false;
}

bool address_is_private_literal(const char *host)
{
    struct in_addr in;
    if (inet_pton(AF_INET, host, &in) == 1) {
        return !is_public4(ntohl(in.s_addr));
    }
    char text[INET6_ADDRSTRLEN];
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    size_t without_zone = strcspn(host, "%");
    len = without_zone < len ? without_zone : len;
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    struct in6_addr in6;
    return inet_pton(AF_INET6, text, &in6) == 1 && !is_public6(in6.s6_addr);
}
