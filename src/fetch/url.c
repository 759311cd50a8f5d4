#include "fetch/url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void url_free(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void curl_text_free(char **text)
{
    curl_free(*text);
}

#define cleanup_url       __attribute__((cleanup(url_free)))
#define cleanup_curl_text __attribute__((cleanup(curl_text_free)))

static CURLU *url_parse(const char *text)
{
    CURLU *url = curl_url();
    if (url == NULL || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK) {
        curl_url_cleanup(url);
        return NULL;
    }
    return url;
}

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool is_https(CURLU *url)
{
    cleanup_curl_text char *scheme = url_part(url, CURLUPART_SCHEME, 0);
    return scheme != NULL && strcmp(scheme, "https") == 0;
}

static void drop_credentials(CURLU *url)
{
    (void)curl_url_set(url, CURLUPART_USER, NULL, 0);
    (void)curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    (void)curl_url_set(url, CURLUPART_OPTIONS, NULL, 0);
}

static bool replace_text(struct buf *out, const char *text)
{
    buf_clear(out);
    if (buf_append(out, text, strlen(text) + 1) != 0) {
        return false;
    }
    out->len--;
    return true;
}

/* Text of at most max - 1 bytes in lower case; false when it is longer. */
static bool copy_lower(char *out, size_t max, const char *text)
{
    size_t len = strlen(text);
    if (len >= max) {
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    return true;
}

bool url_origin_equal(const struct url_origin *a, const struct url_origin *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

bool url_read_origin(const char *text, struct url_origin *out)
{
    cleanup_url CURLU *url = url_parse(text);
    if (url == NULL || !is_https(url)) {
        return false;
    }
    cleanup_curl_text char *host = url_part(url, CURLUPART_HOST, 0);
    cleanup_curl_text char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    return host != NULL && port != NULL && copy_lower(out->host, sizeof out->host, host) &&
           copy_lower(out->port, sizeof out->port, port);
}

bool url_read_credentials(const char *text, char **user, char **password)
{
    cleanup_url CURLU *url = url_parse(text);
    if (url == NULL) {
        return false;
    }
    cleanup_curl_text char *user_text = url_part(url, CURLUPART_USER, CURLU_URLDECODE);
    cleanup_curl_text char *password_text = url_part(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    *user = user_text == NULL ? NULL : strdup(user_text);
    *password = password_text == NULL ? NULL : strdup(password_text);
    return true;
}

bool url_without_credentials(const char *text, struct buf *out)
{
    cleanup_url CURLU *url = url_parse(text);
    if (url == NULL) {
        return false;
    }
    drop_credentials(url);
    (void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    cleanup_curl_text char *plain = url_part(url, CURLUPART_URL, 0);
    return plain != NULL && replace_text(out, plain);
}

bool url_base_open(struct url_base *base, const char *text)
{
    base->base = url_parse(text);
    if (base->base == NULL || !is_https(base->base)) {
        url_base_close(base);
        return false;
    }
    drop_credentials(base->base);
    return true;
}

void url_base_close(struct url_base *base)
{
    curl_url_cleanup(base->base);
    base->base = NULL;
}

bool url_resolve(const struct url_base *base, struct span reference, struct buf *out,
                 struct buf *fragment)
{
    buf_clear(fragment);
    if (reference.len == 0 || reference.len >= LIMIT_FETCH_URL_BYTES_MAX ||
        memchr(reference.base, '\0', reference.len) != NULL) {
        return false;
    }
    char text[LIMIT_FETCH_URL_BYTES_MAX];
    memcpy(text, reference.base, reference.len);
    text[reference.len] = '\0';
    cleanup_url CURLU *url = curl_url_dup(base->base);
    if (url == NULL ||
        curl_url_set(url, CURLUPART_URL, text, CURLU_URLENCODE | CURLU_DISALLOW_USER) !=
            CURLUE_OK ||
        !is_https(url)) {
        return false;
    }
    cleanup_curl_text char *anchor = url_part(url, CURLUPART_FRAGMENT, 0);
    if (anchor != NULL && !replace_text(fragment, anchor)) {
        return false;
    }
    (void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    cleanup_curl_text char *whole = url_part(url, CURLUPART_URL, 0);
    return whole != NULL && strlen(whole) < LIMIT_FETCH_URL_BYTES_MAX && replace_text(out, whole);
}

bool url_file_name(const char *text, struct buf *out)
{
    cleanup_url CURLU *url = url_parse(text);
    cleanup_curl_text char *path = url == NULL ? NULL : url_part(url, CURLUPART_PATH, 0);
    const char *slash = path == NULL ? NULL : strrchr(path, '/');
    if (slash == NULL) {
        return false;
    }
    int len = 0;
    char *name = curl_easy_unescape(NULL, slash + 1, 0, &len);
    bool is_name = name != NULL && len > 0 && strlen(name) == (size_t)len &&
                   strchr(name, '/') == NULL && replace_text(out, name);
    curl_free(name);
    return is_name;
}
