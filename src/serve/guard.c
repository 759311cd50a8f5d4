#include "serve/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { NAME_BYTES_MAX = 253, PORT_DIGITS_MAX = 5 };

/* What a Host names. */
struct authority {
    struct span name; /* of an IPv6 address without its brackets */
    struct span port; /* digits, or empty */
    bool is_ipv6;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_';
}

static bool is_address_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

static struct span rest_of(struct span text, size_t skipped)
{
    return (struct span){text.base + skipped, text.len - skipped};
}

/* name, name:port, [address] or [address]:port; nothing else. */
static bool read_authority(struct span text, struct authority *out)
{
    size_t at = 0;
    *out = (struct authority){0};
    out->is_ipv6 = text.len > 0 && text.base[0] == '[';
    if (out->is_ipv6) {
        text = rest_of(text, 1);
    }
    while (at < text.len &&
           (out->is_ipv6 ? is_address_char(text.base[at]) : is_name_char(text.base[at]))) {
        at++;
    }
    out->name = (struct span){text.base, at};
    if (at == 0 || at > NAME_BYTES_MAX) {
        return false;
    }
    text = rest_of(text, at);
    if (out->is_ipv6) {
        if (text.len == 0 || text.base[0] != ']') {
            return false;
        }
        text = rest_of(text, 1);
    }
    if (text.len == 0) {
        return true;
    }
    out->port = rest_of(text, 1);
    if (text.base[0] != ':' || out->port.len == 0 || out->port.len > PORT_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < out->port.len; i++) {
        if (!is_digit(out->port.base[i])) {
            return false;
        }
    }
    return true;
}

/* The address that a name is; 4 or 6, or 0 when it is none. */
static int read_address(struct span name, unsigned char out[16])
{
    char text[INET6_ADDRSTRLEN];
    if (name.len >= sizeof text) {
        return 0;
    }
    memcpy(text, name.base, name.len);
    text[name.len] = '\0';
    if (inet_pton(AF_INET, text, out) == 1) {
        return 4;
    }
    return inet_pton(AF_INET6, text, out) == 1 ? 6 : 0;
}

static bool is_text(struct span a, const char *b)
{
    return a.len == strlen(b) && strncasecmp(a.base, b, a.len) == 0;
}

static const unsigned char loopback[16] = {[15] = 1}; /* ::1 */

static bool is_loopback_name(const struct authority *authority)
{
    unsigned char address[16];
    switch (read_address(authority->name, address)) {
    case 4: return !authority->is_ipv6 && address[0] == 127;
    case 6: return authority->is_ipv6 && memcmp(address, loopback, sizeof loopback) == 0;
    default: return !authority->is_ipv6 && is_text(authority->name, "localhost");
    }
}

static bool is_address(const struct authority *authority)
{
    unsigned char address[16];
    return read_address(authority->name, address) == (authority->is_ipv6 ? 6 : 4);
}

bool guard_is_loopback(const char *host)
{
    struct authority authority = {.name = span_of(host), .is_ipv6 = strchr(host, ':') != NULL};
    return is_loopback_name(&authority);
}

/* Whether an entry of a list, which may leave out the port, names this host. */
static bool is_entry(const char *entry, const struct authority *authority)
{
    struct authority wanted;
    return read_authority(span_of(entry), &wanted) && wanted.is_ipv6 == authority->is_ipv6 &&
           wanted.name.len == authority->name.len &&
           strncasecmp(wanted.name.base, authority->name.base, wanted.name.len) == 0 &&
           (wanted.port.len == 0 || span_equal(wanted.port, authority->port));
}

bool guard_allows_host(const struct guard *guard, struct span host)
{
    struct authority authority;
    if (host.base == NULL || !read_authority(host, &authority)) {
        return false;
    }
    if (is_loopback_name(&authority) || (!guard->is_loopback && is_address(&authority))) {
        return true;
    }
    for (const char *const *entry = guard->hosts; entry != NULL && *entry != NULL; entry++) {
        if (strcmp(*entry, "*") == 0 || is_entry(*entry, &authority)) {
            return true;
        }
    }
    return false;
}

static bool is_page_of_loopback(struct span origin)
{
    static const char *const schemes[] = {"http://", "https://"};
    struct authority authority;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]);
        if (origin.len > len && strncasecmp(origin.base, schemes[i], len) == 0) {
            return read_authority(rest_of(origin, len), &authority) && is_loopback_name(&authority);
        }
    }
    return false;
}

/* Of what is told back to a browser. */
static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] <= ' ' || text.base[i] > '~') {
            return false;
        }
    }
    return true;
}

bool guard_allows_origin(const struct guard *guard, struct span origin)
{
    if (origin.base == NULL) {
        return true;
    }
    if (origin.len == 0 || is_text(origin, "null") || !is_visible(origin)) {
        return false;
    }
    if (guard->is_loopback && is_page_of_loopback(origin)) {
        return true;
    }
    for (const char *const *entry = guard->origins; entry != NULL && *entry != NULL; entry++) {
        if (strcmp(*entry, "*") == 0 || is_text(origin, *entry)) {
            return true;
        }
    }
    return false;
}

bool guard_allows_site(struct span site)
{
    return site.base == NULL || !is_text(site, "cross-site");
}

uint64_t guard_client(struct span address)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    unsigned char bytes[16] = {0};
    uint64_t number = 0;
    const char *zone = address.len == 0 ? NULL : memchr(address.base, '%', address.len);
    if (zone != NULL) {
        address.len = (size_t)(zone - address.base);
    }
    int version = read_address(address, bytes);
    bool is_mapped = version == 6 && memcmp(bytes, mapped, sizeof mapped) == 0;
    if (version == 6 && memcmp(bytes, loopback, sizeof loopback) == 0) {
        return guard_client(span_of("127.0.0.1")); /* "localhost" is both, now this, now that */
    }
    size_t from = is_mapped ? sizeof mapped : 0;
    size_t len = version == 4 || is_mapped ? 4 : 8;
    for (size_t i = 0; i < len; i++) {
        number = number << 8 | bytes[from + i];
    }
    return number;
}
