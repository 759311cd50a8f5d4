#include "mcp/uri.h"

#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 0, or -1 when an escape is broken, means NUL, or there is no room. */
static int append_decoded(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        if (c == '%') {
            int high = text.len - i > 2 ? hex_value(text.base[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.base[i + 2]) : -1;
            if (low < 0) {
                return -1;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0' || buf_append_char(out, c) != 0) {
            return -1;
        }
    }
    return buf_append_char(out, '\0');
}

/* The length of the value of a variable at the head of `rest`: up to what follows it in the
 * template, which is one literal character or the end. */
static size_t value_len(struct span rest, char next, bool takes_all)
{
    size_t len = 0;
    while (len < rest.len && (takes_all || (rest.base[len] != next && rest.base[len] != '/'))) {
        len++;
    }
    return len;
}

bool uri_matches(const char *uri_template, struct span uri, struct buf *variables)
{
    const char *at = uri_template;
    while (*at != '\0') {
        if (*at != '{') {
            if (uri.len == 0 || *uri.base != *at) {
                return false;
            }
            uri.base++;
            uri.len--;
            at++;
            continue;
        }
        const char *end = strchr(at, '}');
        bool takes_all = at[1] == '+';
        const char *name = at + 1 + takes_all;
        struct span value = {uri.base, value_len(uri, end[1], takes_all)};
        if (value.len == 0 || buf_append(variables, name, (size_t)(end - name)) != 0 ||
            buf_append_char(variables, '\0') != 0 || append_decoded(variables, value) != 0) {
            return false;
        }
        uri.base += value.len;
        uri.len -= value.len;
        at = end + 1;
    }
    return uri.len == 0;
}

struct span uri_variable(const struct buf *variables, const char *name)
{
    const char *at = variables->base;
    const char *end = at == NULL ? NULL : at + variables->len;
    while (at != end) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0) {
            return span_of(value);
        }
        at = value + strlen(value) + 1;
    }
    return (struct span){NULL, 0};
}

bool uri_is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}
