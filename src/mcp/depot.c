#include "mcp/depot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/limits.h"
#include "mcp/uri.h"

/* A URI's fixed beginning, and how many characters of a name are shown in it. */
#define URI_HEAD "vitrine://files/"
enum { RANDOM_BYTES = 16, RANDOM_CHARS = 22, NAME_CHARS_MAX = 72 };

struct kept {
    TAILQ_ENTRY(kept) link; /* the oldest first */
    char id[RANDOM_CHARS + 1];
    uint64_t client_number;
    struct buf principal;
    const char *media_type; /* static */
    struct buf bytes;
    uint64_t since_ms;
};

struct depot {
    TAILQ_HEAD(kept_list, kept) all;
    uint64_t bytes;
    unsigned count;
};

struct depot *depot_new(void)
{
    struct depot *depot = calloc(1, sizeof *depot);
    if (depot != NULL) {
        TAILQ_INIT(&depot->all);
    }
    return depot;
}

static void kept_free(struct kept *kept)
{
    buf_free(&kept->principal);
    buf_free(&kept->bytes);
    free(kept);
}

static void drop(struct depot *depot, struct kept *kept)
{
    TAILQ_REMOVE(&depot->all, kept, link);
    depot->bytes -= kept->bytes.len;
    depot->count--;
    kept_free(kept);
}

void depot_free(struct depot *depot)
{
    while (depot != NULL && !TAILQ_EMPTY(&depot->all)) {
        drop(depot, TAILQ_FIRST(&depot->all));
    }
    free(depot);
}

static void drop_old(struct depot *depot, uint64_t now_ms)
{
    struct kept *first;
    while ((first = TAILQ_FIRST(&depot->all)) != NULL &&
           now_ms - first->since_ms >= LIMIT_KEPT_MS) {
        drop(depot, first);
    }
}

static bool is_of(const struct kept *kept, const struct mcp_client *client)
{
    return kept->client_number == client->number &&
           span_equal(buf_span(&kept->principal), client->principal);
}

/* Makes room for `len` bytes of one more file: of the client's own, then of all. */
static void make_room(struct depot *depot, const struct mcp_client *client, size_t len)
{
    uint64_t bytes = len;
    unsigned count = 1;
    struct kept *kept;
    struct kept *next;
    TAILQ_FOREACH(kept, &depot->all, link)
    {
        bytes += is_of(kept, client) ? kept->bytes.len : 0;
        count += is_of(kept, client) ? 1 : 0;
    }
    for (kept = TAILQ_FIRST(&depot->all);
         kept != NULL && (bytes > LIMIT_KEPT_CLIENT_BYTES || count > LIMIT_KEPT_CLIENT_FILES);
         kept = next) {
        next = TAILQ_NEXT(kept, link);
        if (is_of(kept, client)) {
            bytes -= kept->bytes.len;
            count--;
            drop(depot, kept);
        }
    }
    while (!TAILQ_EMPTY(&depot->all) &&
           (depot->bytes + len > LIMIT_KEPT_BYTES || depot->count >= LIMIT_KEPT_FILES)) {
        drop(depot, TAILQ_FIRST(&depot->all));
    }
}

/* 128 random bits: whoever does not know them does not find the file. */
static int id_make(char id[RANDOM_CHARS + 1])
{
    uint8_t random[RANDOM_BYTES];
    cleanup_buf struct buf text;
    buf_init(&text, RANDOM_CHARS + 3);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random ||
        base64_encode_url(&text, (struct span){(const char *)random, sizeof random}) != 0 ||
        text.len != RANDOM_CHARS) {
        return -1;
    }
    memcpy(id, text.base, RANDOM_CHARS);
    id[RANDOM_CHARS] = '\0';
    return 0;
}

/* The end of the last part of a name, percent-encoded (RFC 3986): its extension is there. */
static void uri_make(char uri[DEPOT_URI_BYTES_MAX], const char *id, struct span name)
{
    static const char digits[] = "0123456789ABCDEF";
    char text[NAME_CHARS_MAX + 1];
    size_t start = NAME_CHARS_MAX;
    text[start] = '\0';
    for (size_t i = name.len; i-- > 0 && name.base[i] != '/';) {
        const char c = name.base[i];
        const size_t len = uri_is_unreserved(c) ? 1 : 3;
        if (len > start) {
            break;
        }
        start -= len;
        text[start] = len == 1 ? c : '%';
        if (len == 3) {
            text[start + 1] = digits[(unsigned char)c >> 4];
            text[start + 2] = digits[(unsigned char)c & 15];
        }
    }
    snprintf(uri, DEPOT_URI_BYTES_MAX, URI_HEAD "%s/%s", id, text + start);
}

int depot_put(struct depot *depot, const struct mcp_client *client, struct span name,
              const char *media_type, struct span bytes, uint64_t now_ms,
              char uri[DEPOT_URI_BYTES_MAX])
{
    struct kept *kept = bytes.len > LIMIT_KEPT_CLIENT_BYTES ? NULL : calloc(1, sizeof *kept);
    if (kept == NULL) {
        return -1;
    }
    drop_old(depot, now_ms);
    make_room(depot, client, bytes.len);
    kept->client_number = client->number;
    kept->media_type = media_type;
    kept->since_ms = now_ms;
    buf_init(&kept->principal, client->principal.len);
    buf_init(&kept->bytes, bytes.len);
    if (id_make(kept->id) != 0 ||
        buf_append(&kept->principal, client->principal.base, client->principal.len) != 0 ||
        buf_append(&kept->bytes, bytes.base, bytes.len) != 0) {
        kept_free(kept);
        return -1;
    }
    uri_make(uri, kept->id, name);
    TAILQ_INSERT_TAIL(&depot->all, kept, link);
    depot->bytes += bytes.len;
    depot->count++;
    return 0;
}

/* All of it is looked at, wherever it differs. */
static bool is_same_id(const char *id, const char *other)
{
    unsigned char difference = 0;
    for (unsigned i = 0; i < RANDOM_CHARS; i++) {
        difference |= (unsigned char)(id[i] ^ other[i]);
    }
    return difference == 0;
}

bool depot_find(struct depot *depot, const struct mcp_client *client, struct span uri,
                uint64_t now_ms, struct depot_file *out)
{
    const size_t head_len = strlen(URI_HEAD);
    drop_old(depot, now_ms);
    if (uri.len < head_len + RANDOM_CHARS || memcmp(uri.base, URI_HEAD, head_len) != 0 ||
        (uri.len > head_len + RANDOM_CHARS && uri.base[head_len + RANDOM_CHARS] != '/')) {
        return false;
    }
    struct kept *kept;
    TAILQ_FOREACH(kept, &depot->all, link)
    {
        if (is_same_id(kept->id, uri.base + head_len) && is_of(kept, client)) {
            *out = (struct depot_file){buf_span(&kept->bytes), kept->media_type};
            return true;
        }
    }
    return false;
}

/* ---- The row --------------------------------------------------------------------------------- */

/* A number at the front of `text`, up to an '&' or the end. */
static int number_read(struct span *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text->len && text->base[i] != '&'; i++) {
        const char c = text->base[i];
        if (c < '0' || c > '9' || i > 15) {
            return -1;
        }
        value = value * 10 + (uint64_t)(c - '0');
    }
    const size_t used = i < text->len ? i + 1 : i;
    *text = (struct span){text->base + used, text->len - used};
    *out = value;
    return i > 0 ? 0 : -1;
}

static bool begins(struct span *text, const char *word)
{
    const size_t len = strlen(word);
    if (text->len < len || memcmp(text->base, word, len) != 0) {
        return false;
    }
    *text = (struct span){text->base + len, text->len - len};
    return true;
}

/* offset=N and length=N, in any order; nothing else. */
static int query_read(struct span query, uint64_t *offset, uint64_t *length)
{
    *offset = 0;
    *length = UINT64_MAX;
    while (query.len > 0) {
        uint64_t *number = begins(&query, "offset=")   ? offset
                           : begins(&query, "length=") ? length
                                                       : NULL;
        if (number == NULL || number_read(&query, number) != 0) {
            return -1;
        }
    }
    return 0;
}

static struct span part_of(struct span bytes, uint64_t offset, uint64_t length)
{
    const size_t from = offset < bytes.len ? (size_t)offset : bytes.len;
    const size_t left = bytes.len - from;
    return (struct span){bytes.base == NULL ? "" : bytes.base + from,
                         length < left ? (size_t)length : left};
}

static void answer(struct mcp_call *call, struct span uri, const struct depot_file *file,
                   struct span part)
{
    struct content content;
    content_init(&content, call);
    content_file(&content, uri, file->media_type, part);
    content.ttl_ms = LIMIT_KEPT_MS; /* it does not change */
    call_answer(call, &content);
}

static void start(struct mcp_call *call, struct span uri)
{
    struct depot *depot = call_depot(call);
    const struct mcp_client client = call_client(call);
    const char *mark = uri.len > 0 ? memchr(uri.base, '?', uri.len) : NULL;
    const size_t len = mark == NULL ? uri.len : (size_t)(mark - uri.base);
    const struct span query =
        mark == NULL ? (struct span){NULL, 0} : (struct span){mark + 1, uri.len - len - 1};
    struct depot_file file;
    uint64_t offset;
    uint64_t length;
    if (query_read(query, &offset, &length) != 0) {
        call_fail(call, RPC_INVALID_PARAMS,
                  "Of a file's URI only ?offset=N&length=N may follow, in bytes",
                  (struct span){NULL, 0});
    } else if (!depot_find(depot, &client, (struct span){uri.base, len},
                           clock_monotonic_us() / 1000, &file)) {
        call_fail(call, resource_not_found_code(call_era(call)),
                  "Resource not found: files are kept for a while, and for the client whose "
                  "program made them",
                  (struct span){NULL, 0});
    } else {
        answer(call, uri, &file, part_of(file.bytes, offset, length));
    }
}

const struct mcp_family depot_family = {
    .uri_template = URI_HEAD "{id}/{+name}",
    .name = "files",
    .words = {.title = "Files that programs made",
              .description = "Files of earlier results, by the links in those. ?offset=N&length=N "
                             "behind a link reads a part of it, in bytes."},
    .start = start,
};
