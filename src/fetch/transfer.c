#include "fetch/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "fetch/address.h"
#include "fetch/proxy.h"
#include "fetch/url.h"

struct named_host {
    struct url_origin origin;
    char *user; /* owned; NULL: none */
    char *password;
    bool is_resolved;
    struct addrinfo *addresses; /* owned; looked up when they matter */
};

struct transfers {
    CURLM *multi;
    struct transfer *list; /* in the order in which they were asked for */
    unsigned active_count;
    bool has_news; /* something ended before it began; nothing of libcurl's will wake us for it */
    char *certificates;
    char *certificate_dir;
    char *proxy;
    struct named_host named[2 * LIMIT_FETCH_SOURCES_MAX];
    size_t named_count;
};

struct transfer {
    struct transfers *transfers;
    struct transfer *next;
    struct transfer_ask ask; /* its texts are owned */
    CURL *easy;              /* NULL while it waits for its turn */
    struct curl_slist *headers;
    EVP_MD_CTX *digest;
    struct buf url; /* of this hop, without user */
    struct buf body;
    struct buf content_type;
    struct buf etag;
    uint64_t body_bytes;
    uint64_t header_bytes;
    uint64_t range_total;
    uint64_t max_age_s;
    uint64_t started_us; /* of all hops and tries */
    uint64_t begin_at_us;
    unsigned hop_count;
    bool was_repeated;
    bool is_private_allowed; /* on this hop: the user has named this host, or there is a proxy */
    enum transfer_end stop;  /* why we stopped it ourselves; WHOLE: we did not */
    char stop_text[ERR_TEXT_MAX];
    char curl_text[CURL_ERROR_SIZE];
};

static void stop_with(struct transfer *transfer, enum transfer_end end, const char *text)
{
    if (transfer->stop == TRANSFER_WHOLE) {
        struct err err;
        err_set(&err, ERR_NONE, "%s", text);
        transfer->stop = end;
        memcpy(transfer->stop_text, err.text, sizeof transfer->stop_text);
    }
}

/* --- what libcurl calls --- */

static bool is_same_endpoint(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family) {
        return false;
    }
    if (a->sa_family == AF_INET) {
        struct sockaddr_in left;
        struct sockaddr_in right;
        memcpy(&left, a, sizeof left);
        memcpy(&right, b, sizeof right);
        return left.sin_port == right.sin_port && left.sin_addr.s_addr == right.sin_addr.s_addr;
    }
    struct sockaddr_in6 left;
    struct sockaddr_in6 right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return a->sa_family == AF_INET6 && left.sin6_port == right.sin6_port &&
           memcmp(&left.sin6_addr, &right.sin6_addr, sizeof left.sin6_addr) == 0;
}

static void resolve_named(struct named_host *named)
{
    char host[sizeof named->origin.host];
    size_t len = strlen(named->origin.host);
    bool has_brackets = named->origin.host[0] == '[';
    memcpy(host, named->origin.host + has_brackets, len + 1 - has_brackets);
    host[len - 2 * has_brackets] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    named->is_resolved = true;
    if (getaddrinfo(host, named->origin.port, &hints, &named->addresses) != 0) {
        named->addresses = NULL;
    }
}

/* Where a network sends all its traffic through a gateway of its own, the host of an index's files
 * has the gateway's address, as the index has. What the index's own name leads to is no new
 * place to go. */
static bool is_named_endpoint(struct transfers *transfers, const struct sockaddr *address)
{
    for (size_t i = 0; i < transfers->named_count; i++) {
        struct named_host *named = &transfers->named[i];
        if (!named->is_resolved) {
            resolve_named(named);
        }
        for (struct addrinfo *at = named->addresses; at != NULL; at = at->ai_next) {
            if (is_same_endpoint(at->ai_addr, address)) {
                return true;
            }
        }
    }
    return false;
}

static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct transfer *transfer = context;
    if (purpose != CURLSOCKTYPE_IPCXN) {
        return CURL_SOCKET_BAD;
    }
    if (!transfer->is_private_allowed && !address_is_public(&address->addr) &&
        !is_named_endpoint(transfer->transfers, &address->addr)) {
        stop_with(transfer, TRANSFER_REFUSED,
                  "the host's address is not public, and the configuration does not name the host");
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->ask.is_range && status == 200) {
        stop_with(transfer, TRANSFER_NO_RANGE, "the server does not send ranges");
        return 0;
    }
    if (status < 200 || status > 299) {
        /* The body of an error or a redirect is read, within the same cap, but not kept. */
        transfer->body_bytes += len;
        if (transfer->body_bytes > LIMIT_FETCH_HEADER_BYTES_MAX) {
            bool is_absent = status == 404 || status == 410;
            stop_with(transfer, is_absent ? TRANSFER_ABSENT : TRANSFER_FAILED,
                      "the server answers with an error, and at great length");
            return 0;
        }
        return len;
    }
    if (len > transfer->ask.body_bytes_max - transfer->body_bytes) {
        struct err err;
        err_set(&err, ERR_LIMIT, "the answer is larger than %llu bytes",
                (unsigned long long)transfer->ask.body_bytes_max);
        stop_with(transfer, TRANSFER_REFUSED, err.text);
        return 0;
    }
    transfer->body_bytes += len;
    if (EVP_DigestUpdate(transfer->digest, bytes, len) != 1) {
        return 0;
    }
    if (transfer->ask.fd < 0) {
        return buf_append(&transfer->body, bytes, len) == 0 ? len : 0;
    }
    if (fd_write_full(transfer->ask.fd, bytes, len) != 0) {
        struct err err;
        err_system(&err, "write to the cache");
        stop_with(transfer, TRANSFER_FAILED, err.text);
        return 0;
    }
    return len;
}

static bool header_value(struct span line, const char *name, struct span *value)
{
    size_t len = strlen(name);
    if (line.len <= len || strncasecmp(line.base, name, len) != 0 || line.base[len] != ':') {
        return false;
    }
    *value = (struct span){line.base + len + 1, line.len - len - 1};
    while (value->len > 0 && strchr(" \t", value->base[0]) != NULL) {
        value->base++;
        value->len--;
    }
    while (value->len > 0 && strchr(" \t\r\n", value->base[value->len - 1]) != NULL) {
        value->len--;
    }
    return true;
}

/* The digits at the front; 0 when there are none, a large number when there are too many. */
static uint64_t leading_number(struct span text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len && text.base[i] >= '0' && text.base[i] <= '9'; i++) {
        number = i >= 18 ? UINT64_MAX / 2 : number * 10 + (uint64_t)(text.base[i] - '0');
    }
    return number;
}

static struct span after(struct span text, const char *mark)
{
    const char *found = text.len == 0 ? NULL : memmem(text.base, text.len, mark, strlen(mark));
    if (found == NULL) {
        return (struct span){text.base, 0};
    }
    found += strlen(mark);
    return (struct span){found, text.len - (size_t)(found - text.base)};
}

/* "bytes 100-199/1000": it has to begin where we asked. */
static void check_content_range(struct transfer *transfer, struct span value)
{
    struct span first = after(value, "bytes ");
    transfer->range_total = leading_number(after(value, "/"));
    uint64_t wanted = transfer->ask.range_at;
    if (wanted == UINT64_MAX) {
        uint64_t total = transfer->range_total;
        wanted = total < transfer->ask.range_bytes ? 0 : total - transfer->ask.range_bytes;
    }
    if (transfer->ask.is_range && leading_number(first) != wanted) {
        stop_with(transfer, TRANSFER_FAILED,
                  "the server sends another range than it was asked for");
    }
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct span line = {bytes, size * count};
    struct span value;
    transfer->header_bytes += line.len;
    if (transfer->header_bytes > LIMIT_FETCH_HEADER_BYTES_MAX) {
        stop_with(transfer, TRANSFER_REFUSED, "the answer's headers are too large");
        return 0;
    }
    if (header_value(line, "content-type", &value)) {
        buf_clear(&transfer->content_type);
        (void)buf_append(&transfer->content_type, value.base, value.len);
    } else if (header_value(line, "etag", &value)) {
        buf_clear(&transfer->etag);
        (void)buf_append(&transfer->etag, value.base, value.len);
    } else if (header_value(line, "cache-control", &value)) {
        transfer->max_age_s = leading_number(after(value, "max-age=")); /* no-cache: 0 */
    } else if (header_value(line, "content-range", &value)) {
        check_content_range(transfer, value);
    }
    return transfer->stop == TRANSFER_WHOLE ? line.len : 0;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t upload_total,
                       curl_off_t upload_now)
{
    (void)upload_total;
    (void)upload_now;
    struct transfer *transfer = context;
    if (transfer->ask.progress != NULL && now > 0 && transfer->body_bytes > 0) {
        transfer->ask.progress(transfer->ask.context, (uint64_t)now, (uint64_t)total);
    }
    return 0;
}

/* --- one hop --- */

static const struct named_host *find_named(const struct transfers *transfers,
                                           const struct url_origin *origin)
{
    for (size_t i = 0; i < transfers->named_count; i++) {
        if (url_origin_equal(&transfers->named[i].origin, origin)) {
            return &transfers->named[i];
        }
    }
    return NULL;
}

/* Judges the address of this hop and sets what depends on it. */
static bool set_host(struct transfer *transfer)
{
    struct transfers *transfers = transfer->transfers;
    struct url_origin origin;
    if (!url_read_origin(transfer->url.base, &origin)) {
        stop_with(transfer, TRANSFER_REFUSED, "the address is not an https address");
        return false;
    }
    const struct named_host *named = find_named(transfers, &origin);
    const char *proxy = proxy_for(transfers->proxy, origin.host);
    if (named == NULL && address_is_private_literal(origin.host)) {
        stop_with(transfer, TRANSFER_REFUSED,
                  "the address is not public, and the configuration does not name it");
        return false;
    }
    transfer->is_private_allowed = named != NULL || proxy != NULL;
    curl_easy_setopt(transfer->easy, CURLOPT_PROXY, proxy == NULL ? "" : proxy);
    curl_easy_setopt(transfer->easy, CURLOPT_NOPROXY, "");
    if (named != NULL && named->user != NULL) {
        curl_easy_setopt(transfer->easy, CURLOPT_USERNAME, named->user);
        curl_easy_setopt(transfer->easy, CURLOPT_PASSWORD,
                         named->password == NULL ? "" : named->password);
    }
    return true;
}

static void set_limits(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    uint64_t spent_ms = (clock_monotonic_us() - transfer->started_us) / 1000;
    uint64_t wall_ms = transfer->ask.wall_ms_max;
    uint64_t left_ms = spent_ms < wall_ms ? wall_ms - spent_ms : 1;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)LIMIT_FETCH_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->ask.body_bytes_max);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)KIB);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(LIMIT_FETCH_STALL_MS / 1000));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (transfer->transfers->certificates != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, transfer->transfers->certificates);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, transfer->transfers->certificates);
    }
    if (transfer->transfers->certificate_dir != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAPATH, transfer->transfers->certificate_dir);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, transfer->transfers->certificate_dir);
    }
}

static void set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
}

static bool add_header(struct transfer *transfer, const char *name, const char *value)
{
    cleanup_buf struct buf line;
    buf_init(&line, LIMIT_FETCH_URL_BYTES_MAX);
    if (buf_append_format(&line, "%s: %s", name, value) != 0 || buf_append_char(&line, '\0') != 0) {
        return false;
    }
    struct curl_slist *longer = curl_slist_append(transfer->headers, line.base);
    transfer->headers = longer == NULL ? transfer->headers : longer;
    return longer != NULL;
}

static bool set_request(struct transfer *transfer)
{
    const struct transfer_ask *ask = &transfer->ask;
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url.base);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "vitrine/" VITRINE_VERSION);
    if (ask->may_be_compressed) {
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    if ((ask->accept != NULL && !add_header(transfer, "Accept", ask->accept)) ||
        (ask->etag != NULL && !add_header(transfer, "If-None-Match", ask->etag))) {
        return false;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (ask->is_range) {
        cleanup_buf struct buf range;
        buf_init(&range, 64);
        unsigned long long at = ask->range_at;
        unsigned long long bytes = ask->range_bytes;
        (void)(ask->range_at == UINT64_MAX
                   ? buf_append_format(&range, "-%llu", bytes)
                   : buf_append_format(&range, "%llu-%llu", at, at + bytes - 1));
        return buf_append_char(&range, '\0') == 0 &&
               curl_easy_setopt(easy, CURLOPT_RANGE, range.base) == CURLE_OK;
    }
    return true;
}

/* Forgets what the hop or try before brought. */
static bool clear_answer(struct transfer *transfer)
{
    buf_clear(&transfer->body);
    buf_clear(&transfer->content_type);
    buf_clear(&transfer->etag);
    transfer->body_bytes = 0;
    transfer->header_bytes = 0;
    transfer->range_total = 0;
    transfer->max_age_s = LIMIT_FETCH_FRESH_MS / 1000; /* unless the server says something else */
    transfer->stop = TRANSFER_WHOLE;
    transfer->curl_text[0] = '\0';
    if (transfer->ask.fd >= 0 &&
        (ftruncate(transfer->ask.fd, 0) != 0 || lseek(transfer->ask.fd, 0, SEEK_SET) != 0)) {
        return false;
    }
    return EVP_DigestInit_ex(transfer->digest, EVP_sha256(), NULL) == 1;
}

static void hop_end(struct transfer *transfer)
{
    if (transfer->easy != NULL) {
        curl_multi_remove_handle(transfer->transfers->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
        transfer->easy = NULL;
        transfer->transfers->active_count--;
    }
}

/* False: it could not begin; transfer->stop says why. */
static bool hop_begin(struct transfer *transfer)
{
    if (!clear_answer(transfer)) {
        stop_with(transfer, TRANSFER_FAILED, "the file in the cache cannot be written");
        return false;
    }
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL) {
        stop_with(transfer, TRANSFER_FAILED, "no memory for a download");
        return false;
    }
    transfer->transfers->active_count++;
    set_callbacks(transfer);
    set_limits(transfer);
    if (!set_host(transfer)) {
        return false;
    }
    if (!set_request(transfer) ||
        curl_multi_add_handle(transfer->transfers->multi, transfer->easy) != CURLM_OK) {
        stop_with(transfer, TRANSFER_FAILED, "no memory for a download");
        return false;
    }
    return true;
}

/* --- all of them --- */

static char *copy_text(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : strdup(text);
}

int transfers_new(const struct transfer_config *config, struct transfers **out, struct err *err)
{
    struct transfers *transfers = calloc(1, sizeof *transfers);
    if (transfers == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (transfers->multi = curl_multi_init()) == NULL) {
        free(transfers);
        return err_set(err, ERR_MEMORY, "no memory for downloads");
    }
    const char *file = config->certificates;
    transfers->certificates = copy_text(file == NULL ? getenv("SSL_CERT_FILE") : file);
    transfers->certificate_dir = copy_text(getenv("SSL_CERT_DIR"));
    transfers->proxy = copy_text(config->proxy);
    for (size_t i = 0; config->named != NULL && config->named[i] != NULL; i++) {
        struct named_host *named = &transfers->named[transfers->named_count];
        if (transfers->named_count < sizeof transfers->named / sizeof *transfers->named &&
            url_read_origin(config->named[i], &named->origin) &&
            url_read_credentials(config->named[i], &named->user, &named->password)) {
            transfers->named_count++;
        }
    }
    curl_multi_setopt(transfers->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)LIMIT_FETCH_PARALLEL_MAX);
    *out = transfers;
    return 0;
}

static void transfer_free(struct transfer *transfer)
{
    hop_end(transfer);
    struct transfer **link = &transfer->transfers->list;
    while (*link != NULL && *link != transfer) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = transfer->next;
    }
    curl_slist_free_all(transfer->headers);
    EVP_MD_CTX_free(transfer->digest);
    buf_free(&transfer->url);
    buf_free(&transfer->body);
    buf_free(&transfer->content_type);
    buf_free(&transfer->etag);
    free((void *)(uintptr_t)transfer->ask.accept);
    free((void *)(uintptr_t)transfer->ask.etag);
    free(transfer);
}

void transfers_free(struct transfers *transfers)
{
    if (transfers == NULL) {
        return;
    }
    while (transfers->list != NULL) {
        transfer_free(transfers->list);
    }
    curl_multi_cleanup(transfers->multi);
    for (size_t i = 0; i < transfers->named_count; i++) {
        free(transfers->named[i].user);
        free(transfers->named[i].password);
        if (transfers->named[i].addresses != NULL) {
            freeaddrinfo(transfers->named[i].addresses);
        }
    }
    free(transfers->certificates);
    free(transfers->certificate_dir);
    free(transfers->proxy);
    free(transfers);
    curl_global_cleanup();
}

int transfer_start(struct transfers *transfers, const struct transfer_ask *ask,
                   struct transfer **out, struct err *err)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for a download");
    }
    transfer->transfers = transfers;
    transfer->ask = *ask;
    transfer->ask.url = NULL;
    transfer->ask.accept = copy_text(ask->accept);
    transfer->ask.etag = copy_text(ask->etag);
    transfer->digest = EVP_MD_CTX_new();
    buf_init(&transfer->url, LIMIT_FETCH_URL_BYTES_MAX + 1);
    buf_init(&transfer->body, ask->body_bytes_max);
    buf_init(&transfer->content_type, 1024);
    buf_init(&transfer->etag, 1024);
    if (transfer->digest == NULL || EVP_DigestInit_ex(transfer->digest, EVP_sha256(), NULL) != 1 ||
        !url_without_credentials(ask->url, &transfer->url)) {
        transfer_free(transfer);
        return err_set(err, ERR_USAGE, "the address is not an https address");
    }
    transfer->started_us = clock_monotonic_us();
    struct transfer **last = &transfers->list;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = transfer;
    *out = transfer;
    return 0;
}

void transfer_cancel(struct transfer *transfer)
{
    transfer_free(transfer);
}

/* Hands over what came and forgets the transfer. */
static void finish(struct transfer *transfer, enum transfer_end end, const char *text)
{
    hop_end(transfer);
    (void)buf_append_char(&transfer->content_type, '\0');
    (void)buf_append_char(&transfer->etag, '\0');
    struct transfer_result result = {
        .end = end,
        .url = transfer->url.base,
        .content_type = transfer->content_type.base == NULL ? "" : transfer->content_type.base,
        .etag = transfer->etag.base == NULL ? "" : transfer->etag.base,
        .max_age_s = transfer->max_age_s,
        .bytes = transfer->body_bytes,
        .total_bytes = transfer->range_total,
        .elapsed_us = clock_monotonic_us() - transfer->started_us,
        .body = &transfer->body,
    };
    struct err err;
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    if (EVP_DigestFinal_ex(transfer->digest, digest, NULL) != 1 && end == TRANSFER_WHOLE) {
        result.end = TRANSFER_FAILED;
        text = "the sum cannot be made";
    }
    result.sum = name_sum_of(digest);
    err_set(&err, ERR_NONE, "%s", text);
    memcpy(result.text, err.text, sizeof result.text);
    transfer->ask.done(transfer->ask.context, &result);
    transfer_free(transfer);
}

static void hop_start(struct transfer *transfer)
{
    if (!hop_begin(transfer)) {
        char text[ERR_TEXT_MAX];
        memcpy(text, transfer->stop_text, sizeof text);
        transfer->transfers->has_news = true;
        finish(transfer, transfer->stop, text);
    }
}

/* Waits for a pause, then for its turn. */
static bool repeat(struct transfer *transfer)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t left_us = LIMIT_FETCH_RETRY_MS * 1000;
    if (transfer->was_repeated ||
        now_us + left_us - transfer->started_us > transfer->ask.wall_ms_max * 1000) {
        return false;
    }
    hop_end(transfer);
    transfer->was_repeated = true;
    transfer->begin_at_us = now_us + left_us;
    return true;
}

static bool is_worth_repeating(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
           code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING ||
           code == CURLE_PARTIAL_FILE || code == CURLE_SSL_CONNECT_ERROR || code == CURLE_HTTP2 ||
           code == CURLE_HTTP2_STREAM || code == CURLE_COULDNT_RESOLVE_PROXY;
}

static void hop_too_large(struct transfer *transfer)
{
    long status = 0;
    struct err err;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->ask.is_range && status == 200) {
        finish(transfer, TRANSFER_NO_RANGE, "the server does not send ranges");
        return;
    }
    err_set(&err, ERR_LIMIT, "the answer is larger than %llu bytes",
            (unsigned long long)transfer->ask.body_bytes_max);
    finish(transfer, TRANSFER_REFUSED, err.text);
}

static void hop_broke(struct transfer *transfer, CURLcode code)
{
    struct err err;
    if (transfer->stop != TRANSFER_WHOLE) {
        err_set(&err, ERR_NONE, "%s", transfer->stop_text);
        finish(transfer, transfer->stop, err.text);
    } else if (code == CURLE_FILESIZE_EXCEEDED) {
        hop_too_large(transfer);
    } else if (!is_worth_repeating(code) || !repeat(transfer)) {
        const char *text = transfer->curl_text;
        err_set(&err, ERR_NONE, "%s", text[0] == '\0' ? curl_easy_strerror(code) : text);
        finish(transfer, TRANSFER_FAILED, err.text);
    }
}

static void hop_redirected(struct transfer *transfer)
{
    char *target = NULL;
    curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &target);
    if (target == NULL) {
        finish(transfer, TRANSFER_FAILED, "the server redirects to nowhere");
        return;
    }
    if (++transfer->hop_count > LIMIT_FETCH_REDIRECTS_MAX) {
        finish(transfer, TRANSFER_REFUSED, "the server redirects too often");
        return;
    }
    cleanup_buf struct buf url;
    buf_init(&url, LIMIT_FETCH_URL_BYTES_MAX + 1);
    bool is_url = url_without_credentials(target, &url);
    hop_end(transfer);
    struct url_origin origin;
    if (!is_url || !url_read_origin(url.base, &origin)) {
        finish(transfer, TRANSFER_REFUSED, "the server redirects to something that is not https");
        return;
    }
    struct buf old = transfer->url;
    transfer->url = url;
    url = old;
    hop_start(transfer);
}

static void hop_answered(struct transfer *transfer)
{
    long status = 0;
    struct err err;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    err_set(&err, ERR_NONE, "the server answers with status %ld", status);
    if (status == (transfer->ask.is_range ? 206 : 200)) {
        finish(transfer, TRANSFER_WHOLE, "");
    } else if (status == 200) {
        finish(transfer, TRANSFER_NO_RANGE, "the server does not send ranges");
    } else if (status == 304 && transfer->ask.etag != NULL) {
        finish(transfer, TRANSFER_UNCHANGED, "");
    } else if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
        hop_redirected(transfer);
    } else if (status == 404 || status == 410) {
        finish(transfer, TRANSFER_ABSENT, err.text);
    } else if (status < 500 || !repeat(transfer)) {
        finish(transfer, TRANSFER_FAILED, err.text);
    }
}

/* Begins what may begin. Returns the milliseconds until the next one may. */
static int start_waiting(struct transfers *transfers)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t wait_us = 3600ULL * 1000 * 1000; /* libcurl has timers of its own */
    transfers->has_news = false;
    struct transfer *next;
    for (struct transfer *transfer = transfers->list; transfer != NULL; transfer = next) {
        next = transfer->next;
        if (transfer->easy != NULL || transfers->active_count >= LIMIT_FETCH_PARALLEL_MAX) {
            continue;
        }
        if (transfer->begin_at_us <= now_us) {
            /* The time in the queue is not the download's. */
            transfer->started_us =
                transfer->was_repeated || transfer->hop_count > 0 ? transfer->started_us : now_us;
            hop_start(transfer);
        } else if (transfer->begin_at_us - now_us < wait_us) {
            wait_us = transfer->begin_at_us - now_us;
        }
    }
    return transfers->has_news ? 0 : (int)(wait_us / 1000) + 1;
}

/* Whether there was one. */
static bool take_finished(struct transfers *transfers)
{
    int left;
    bool was_any = false;
    CURLMsg *message;
    while ((message = curl_multi_info_read(transfers->multi, &left)) != NULL) {
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;
        was_any = true;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        if (code == CURLE_OK) {
            hop_answered(transfer);
        } else {
            hop_broke(transfer, code);
        }
    }
    return was_any;
}

int transfers_wait(struct transfers *transfers, int fd, short events, short *revents,
                   struct err *err)
{
    int running;
    int wait_ms = start_waiting(transfers);
    struct curl_waitfd extra = {.fd = fd};
    extra.events = (short)(((events & POLLIN) != 0 ? CURL_WAIT_POLLIN : 0) |
                           ((events & POLLOUT) != 0 ? CURL_WAIT_POLLOUT : 0));
    if (curl_multi_perform(transfers->multi, &running) != CURLM_OK) {
        return err_set(err, ERR_SYSTEM, "the downloads cannot go on");
    }
    if (take_finished(transfers)) {
        wait_ms = 0; /* the caller has something to do */
    }
    if (curl_multi_poll(transfers->multi, &extra, 1, wait_ms, NULL) != CURLM_OK) {
        return err_set(err, ERR_SYSTEM, "poll");
    }
    *revents = (short)(((extra.revents & CURL_WAIT_POLLIN) != 0 ? POLLIN : 0) |
                       ((extra.revents & CURL_WAIT_POLLOUT) != 0 ? POLLOUT : 0));
    return 0;
}
