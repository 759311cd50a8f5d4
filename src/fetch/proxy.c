#include "fetch/proxy.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The small name counts first, as in curl. An empty value is as none. */
static const char *variable(const char *lower, const char *upper)
{
    const char *value = getenv(lower);
    if (value == NULL || value[0] == '\0') {
        value = getenv(upper);
    }
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool item_names(const char *item, size_t len, const char *host)
{
    size_t host_len = strlen(host);
    if (len == 1 && item[0] == '*') {
        return true;
    }
    if (len > 0 && item[0] != '[') {
        const char *colon = memchr(item, ':', len);
        /* Two colons are an IPv6 address without brackets. */
        if (colon != NULL && memchr(colon + 1, ':', len - (size_t)(colon - item) - 1) == NULL) {
            len = (size_t)(colon - item);
        }
    }
    if (host_len > 2 && host[0] == '[' && len > 0 && item[0] != '[') {
        host++;
        host_len -= 2;
    }
    if (len > 0 && item[0] == '.') {
        item++;
        len--;
    }
    if (len == 0 || len > host_len) {
        return false;
    }
    const char *end = host + host_len - len;
    return strncasecmp(end, item, len) == 0 && (len == host_len || end[-1] == '.');
}

bool proxy_is_bypassed(const char *no_proxy, const char *host)
{
    static const char separators[] = ", \t";
    while (no_proxy != NULL && *no_proxy != '\0') {
        size_t len = strcspn(no_proxy, separators);
        if (item_names(no_proxy, len, host)) {
            return true;
        }
        no_proxy += len;
        no_proxy += strspn(no_proxy, separators);
    }
    return false;
}

const char *proxy_for(const char *configured, const char *host)
{
    const char *proxy = configured;
    if (proxy == NULL) {
        proxy = variable("https_proxy", "HTTPS_PROXY");
    }
    if (proxy == NULL) {
        proxy = variable("all_proxy", "ALL_PROXY");
    }
    return proxy != NULL && proxy_is_bypassed(variable("no_proxy", "NO_PROXY"), host) ? NULL
                                                                                      : proxy;
}
