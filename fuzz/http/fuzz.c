/*
 * A hostile client: the first byte says how the rest is cut into pieces. Requests are read one
 * after the other, once from the whole and once from the pieces: both must take the same bytes and
 * find the same. What is taken must be as plain as http_reader.h promises.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/http_reader.h"

enum { HEAD_MAX = 4096, BODY_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_going(const struct http_reader *reader)
{
    return reader->state == HTTP_READS_HEAD || reader->state == HTTP_READS_BODY;
}

/* Reads one request from memory that ends where the piece does; the bytes that were taken. */
static size_t feed(struct http_reader *reader, const char *bytes, size_t len, unsigned cut)
{
    size_t at = 0;
    while (at < len && is_going(reader)) {
        size_t most = cut == 0 ? len : 1 + (at * 7 + cut) % (cut % 32 + 1);
        size_t some = len - at < most ? len - at : most;
        char *piece = malloc(some);
        assert(piece != NULL);
        memcpy(piece, bytes + at, some);
        size_t taken = http_reader_take(reader, piece, some);
        free(piece);
        assert(taken <= some &&
               (taken == some || !is_going(reader) || reader->state == HTTP_READS_BODY));
        at += taken;
    }
    return at;
}

static void check_same(const struct http_reader *a, const struct http_reader *b)
{
    assert(a->state == b->state && a->status == b->status && a->line_count == b->line_count);
    if (a->state == HTTP_HAS_WHOLE) {
        bool is_same = span_equal(buf_span(&a->head), buf_span(&b->head)) &&
                       span_equal(buf_span(&a->body), buf_span(&b->body));
        assert(is_same);
    }
}

static void check_text(struct span text, bool is_target)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];
        assert(c != 0x7f && (c >= ' ' || c == '\t'));
        assert(!is_target || (c > ' ' && c < 0x7f));
    }
}

static size_t count_of(const struct http_reader *reader, const char *name)
{
    size_t count = 0;
    for (size_t i = http_reader_find(reader, name, 0); i < reader->line_count;
         i = http_reader_find(reader, name, i + 1)) {
        count++;
    }
    return count;
}

static void check_request(const struct http_reader *reader)
{
    struct span path = http_reader_part(reader, reader->path);
    assert(http_is_token(http_reader_part(reader, reader->method)));
    assert(path.len > 0 && path.base[0] == '/');
    check_text(path, true);
    check_text(http_reader_part(reader, reader->query), true);
    for (size_t i = 0; i < reader->line_count; i++) {
        assert(http_is_token(http_reader_part(reader, reader->lines[i].name)));
        check_text(http_reader_part(reader, reader->lines[i].value), false);
    }
    size_t hosts = count_of(reader, "host");
    size_t lengths = count_of(reader, "content-length");
    size_t codings = count_of(reader, "transfer-encoding");
    assert(hosts == 1 || (hosts == 0 && reader->is_1_0));
    assert(lengths + codings <= 1 && reader->is_chunked == (codings == 1));
    assert(reader->body.len <= BODY_MAX);
    assert(reader->is_chunked || reader->body.len == reader->content_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_reader whole;
    struct http_reader cut;
    http_reader_init(&whole, HEAD_MAX, BODY_MAX);
    http_reader_init(&cut, HEAD_MAX, BODY_MAX);
    size_t at = 1;
    while (at < size && whole.state != HTTP_HAS_REFUSED) {
        const char *rest = (const char *)data + at;
        size_t taken = feed(&whole, rest, size - at, 0);
        size_t taken_too = feed(&cut, rest, size - at, data[0]);
        check_same(&whole, &cut);
        assert(taken == taken_too || whole.state == HTTP_HAS_REFUSED);
        at += taken;
        if (whole.state == HTTP_HAS_WHOLE) {
            check_request(&whole);
            http_reader_reset(&whole);
            http_reader_reset(&cut);
        }
    }
    http_reader_free(&whole);
    http_reader_free(&cut);
    return 0;
}
