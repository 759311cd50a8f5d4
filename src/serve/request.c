/* What a request's fields say of media types (RFC 9110, 8.3 and 12.5.1). */
#include <strings.h>

#include "serve/http.h"

static struct span trim(struct span text)
{
    while (text.len > 0 && (text.base[0] == ' ' || text.base[0] == '\t')) {
        text = (struct span){text.base + 1, text.len - 1};
    }
    while (text.len > 0 && (text.base[text.len - 1] == ' ' || text.base[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* Cuts off what stands before `mark`; false when nothing is left. A mark in a quoted text is taken
 * for one too: no media type that matters here has any. */
static bool next_part(struct span *rest, char mark, struct span *part)
{
    if (rest->base == NULL) {
        return false;
    }
    const char *at = rest->len == 0 ? NULL : memchr(rest->base, mark, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->base);
    *part = trim((struct span){rest->base, len});
    *rest = at == NULL ? (struct span){NULL, 0} : (struct span){at + 1, rest->len - len - 1};
    return true;
}

static bool is_text(struct span text, const char *wanted, size_t len)
{
    return text.len == len && strncasecmp(text.base, wanted, len) == 0;
}

/* "q=0", "q=0.000": what stands before it is not wanted. */
static bool is_zero_quality(struct span parameter)
{
    if (parameter.len < 3 || strncasecmp(parameter.base, "q=", 2) != 0) {
        return false;
    }
    for (size_t i = 2; i < parameter.len; i++) {
        if (parameter.base[i] != '0' && parameter.base[i] != '.') {
            return false;
        }
    }
    return true;
}

/* Whether a range, which may have a star behind or on both sides of its slash, has the type. */
static bool is_range_of(struct span range, const char *type)
{
    size_t family = strcspn(type, "/") + 1;
    return is_text(range, type, strlen(type)) || is_text(range, "*/*", 3) ||
           (range.len == family + 1 && strncasecmp(range.base, type, family) == 0 &&
            range.base[family] == '*');
}

bool request_has_json(const struct http_exchange *exchange)
{
    struct span rest = http_header(exchange, "content-type");
    struct span type;
    return next_part(&rest, ';', &type) && is_text(type, "application/json", 16);
}

bool request_accepts(const struct http_exchange *exchange, const char *type)
{
    struct span rest = http_header(exchange, "accept");
    struct span item;
    bool is_wanted = rest.base == NULL; /* who says nothing takes everything */
    while (!is_wanted && next_part(&rest, ',', &item)) {
        struct span range;
        struct span parameter;
        bool is_refused = false;
        (void)next_part(&item, ';', &range);
        while (next_part(&item, ';', &parameter)) {
            is_refused |= is_zero_quality(parameter);
        }
        is_wanted = !is_refused && is_range_of(range, type);
    }
    return is_wanted;
}
