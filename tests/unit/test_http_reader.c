/* Requests as bytes: what is taken, what is refused, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/http_reader.h"

enum { BODY_MAX = 1000, WHOLE = 0 };

struct sample {
    const char *name;
    const char *text;
    int status;       /* WHOLE, or of the refusal */
    const char *body; /* when whole */
};

#define GET     "GET /a HTTP/1.1\r\nHost: h\r\n"
#define POST    "POST /a HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct sample samples[] = {
    {"plain", GET "\r\n", WHOLE, ""},
    {"an empty line before", "\r\n" GET "\r\n", WHOLE, ""},
    {"two empty lines before", "\r\n\r\n" GET "\r\n", 400, NULL},
    {"1.0 without Host", "GET / HTTP/1.0\r\n\r\n", WHOLE, ""},
    {"a body", POST "Content-Length: 5\r\n\r\nhello", WHOLE, "hello"},
    {"a body of nothing", POST "Content-Length: 0\r\n\r\n", WHOLE, ""},
    {"chunks", CHUNKED "5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n", WHOLE, "hello0123456789"},
    {"no chunks", CHUNKED "0\r\n\r\n", WHOLE, ""},
    {"chunks that hold framing", CHUNKED "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", WHOLE, "0\r\n\r\n\r\n"},
    {"CHUNKED", POST "TRANSFER-ENCODING:\tChunked \r\n\r\n0\r\n\r\n", WHOLE, ""},
    {"white space around values", GET "A: \t x y \t\r\n\r\n", WHOLE, ""},
    {"bytes above ASCII in a value", GET "A: \xc3\xa4\r\n\r\n", WHOLE, ""},
    {"an empty value", GET "A:\r\n\r\n", WHOLE, ""},
    {"an upgrade that is passed over", GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", WHOLE,
     ""},
    {"the same with a body",
     POST "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab", WHOLE, "ab"},
    {"100-continue", POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na", WHOLE, "a"},

    {"LF", "GET / HTTP/1.1\nHost: h\n\n", 400, NULL},
    {"LF after a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400, NULL},
    {"LF for the end", GET "\n", 400, NULL},
    {"CR alone", GET "A: x\ry\r\n\r\n", 400, NULL},
    {"CR CR LF", GET "A: x\r\r\n\r\n", 400, NULL},
    {"NUL", "GET /\0 HTTP/1.1\r\n\r\n", 400, NULL},
    {"a control character", GET "A: \x01\r\n\r\n", 400, NULL},
    {"DEL", GET "A: \x7f\r\n\r\n", 400, NULL},
    {"a folded line", GET "A: x\r\n y\r\n\r\n", 400, NULL},
    {"a folded first line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400, NULL},
    {"space before the colon", GET "A : x\r\n\r\n", 400, NULL},
    {"no colon", GET "A\r\n\r\n", 400, NULL},
    {"no name", GET ": x\r\n\r\n", 400, NULL},
    {"a name that is no token", GET "A(b): x\r\n\r\n", 400, NULL},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400, NULL},
    {"two Hosts", GET "Host: h\r\n\r\n", 400, NULL},
    {"two in one Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, NULL},
    {"a path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, NULL},
    {"userinfo in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, NULL},
    {"two lengths", POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, NULL},
    {"two lengths in one", POST "Content-Length: 1, 1\r\n\r\na", 400, NULL},
    {"a length with a sign", POST "Content-Length: +1\r\n\r\na", 400, NULL},
    {"a negative length", POST "Content-Length: -1\r\n\r\na", 400, NULL},
    {"a length in hexadecimal", POST "Content-Length: 0x1\r\n\r\na", 400, NULL},
    {"no length in Content-Length", POST "Content-Length:\r\n\r\n", 400, NULL},
    {"a length past 64 bits", POST "Content-Length: 18446744073709551617\r\n\r\na", 413, NULL},
    {"a length past the limit", POST "Content-Length: 1001\r\n\r\n", 413, NULL},
    {"length and coding", POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     NULL},
    {"coding and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400,
     NULL},
    {"two codings", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, NULL},
    {"chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     NULL},
    {"identity", POST "Transfer-Encoding: identity\r\n\r\n", 400, NULL},
    {"xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", 400, NULL},
    {"a vertical tab before chunked",
     POST "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n",
     400, NULL},
    {"chunks in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL},
    {"a chunk extension", CHUNKED "1;a=b\r\nx\r\n0\r\n\r\n", 400, NULL},
    {"a chunk with space", CHUNKED "1 \r\nx\r\n0\r\n\r\n", 400, NULL},
    {"a chunk with LF", CHUNKED "1\nx\r\n0\r\n\r\n", 400, NULL},
    {"a chunk that ends with LF", CHUNKED "1\r\nx\n0\r\n\r\n", 400, NULL},
    {"a chunk longer than it says", CHUNKED "1\r\nxy\r\n0\r\n\r\n", 400, NULL},
    {"a chunk without size", CHUNKED "\r\nx\r\n0\r\n\r\n", 400, NULL},
    {"a negative chunk", CHUNKED "-1\r\nx\r\n0\r\n\r\n", 400, NULL},
    {"a chunk of 0x", CHUNKED "0x1\r\nx\r\n0\r\n\r\n", 400, NULL},
    {"a chunk size past 64 bits", CHUNKED "ffffffffffffffff0\r\nx", 400, NULL},
    {"a chunk size of 2^64 - 1", CHUNKED "ffffffffffffffff\r\nx", 400, NULL},
    {"a chunk size of many zeros", CHUNKED "0000000000000000001\r\nx\r\n0\r\n\r\n", 400, NULL},
    {"a trailer", CHUNKED "0\r\nA: b\r\n\r\n", 400, NULL},
    {"the end with LF", CHUNKED "0\r\n\n", 400, NULL},
    {"an unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501, NULL},
    {"a method in lower case", "get / HTTP/1.1\r\nHost: h\r\n\r\n", 501, NULL},
    {"no method", " / HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 501, NULL},
    {"CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", 501, NULL},
    {"an absolute target", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"the target *", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"no target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"a space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"bytes above ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"HTTP/0.9", "GET /\r\n\r\n", 400, NULL},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, NULL},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505, NULL},
    {"HTTP/1.10", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400, NULL},
    {"http/1.1", "GET / http/1.1\r\nHost: h\r\n\r\n", 400, NULL},
    {"a handshake of TLS", "\x16\x03\x01\x02\x00\x01", 400, NULL},
    {"another expectation", POST "Expect: 200-ok\r\n\r\n", 417, NULL},
};

/* From 1 to 9; the same each time the test is run. */
static size_t some_size(void)
{
    static uint32_t state = 1;
    state = state * 1103515245 + 12345;
    return (state >> 16) % 9 + 1;
}

/* Feeds text in pieces of `piece` bytes (0: of all sizes); the bytes that were taken. */
static size_t feed(struct http_reader *reader, const char *text, size_t len, size_t piece)
{
    size_t taken = 0;
    while (taken < len && (reader->state == HTTP_READS_HEAD || reader->state == HTTP_READS_BODY)) {
        size_t most = piece == 0 ? some_size() : piece;
        size_t some = len - taken < most ? len - taken : most;
        char *alone = malloc(some); /* so that reading past it is found */
        assert_non_null(alone);
        memcpy(alone, text + taken, some);
        size_t now = http_reader_take(reader, alone, some);
        free(alone);
        assert_true(now <= some);
        taken += now;
    }
    return taken;
}

/* The literal may hold a NUL; none does but one, which ends there. */
static size_t length_of(const struct sample *sample)
{
    return strcmp(sample->name, "NUL") == 0 ? 6 : strlen(sample->text);
}

static void check_sample(const struct sample *sample, size_t piece)
{
    struct http_reader reader;
    http_reader_init(&reader, 4096, BODY_MAX);
    size_t len = length_of(sample);
    size_t taken = feed(&reader, sample->text, len, piece);
    if (reader.status != sample->status) {
        print_error("%s: %d %s\n", sample->name, reader.status, reader.reason);
    }
    assert_int_equal(reader.status, sample->status);
    if (sample->status == WHOLE) {
        assert_int_equal(reader.state, HTTP_HAS_WHOLE);
        assert_int_equal(taken, len);
        assert_true(span_equal(buf_span(&reader.body), span_of(sample->body)));
    } else {
        assert_int_equal(reader.state, HTTP_HAS_REFUSED);
    }
    assert_int_equal(http_reader_take(&reader, "x", 1), 0);
    http_reader_free(&reader);
}

static void samples_are_taken_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        check_sample(&samples[i], 10000);
        check_sample(&samples[i], 1);
        for (unsigned again = 0; again < 20; again++) {
            check_sample(&samples[i], 0);
        }
    }
}

static void assert_part(const struct http_reader *reader, struct http_part part, const char *text)
{
    assert_true(span_equal(http_reader_part(reader, part), span_of(text)));
}

static void a_head_is_taken_apart(void **state)
{
    static const char text[] =
        "DELETE /a/b?c=d?e HTTP/1.1\r\nHOST:h:80\r\nX-Y:  z z\t\r\nx-y:2\r\n\r\n";
    struct http_reader reader;
    (void)state;
    http_reader_init(&reader, 4096, BODY_MAX);
    assert_int_equal(feed(&reader, text, strlen(text), 3), strlen(text));
    assert_part(&reader, reader.method, "DELETE");
    assert_part(&reader, reader.path, "/a/b");
    assert_part(&reader, reader.query, "c=d?e");
    assert_int_equal(reader.line_count, 3);
    assert_part(&reader, reader.lines[0].name, "host");
    assert_part(&reader, reader.lines[0].value, "h:80");
    size_t first = http_reader_find(&reader, "x-y", 0);
    assert_part(&reader, reader.lines[first].value, "z z");
    assert_int_equal(http_reader_find(&reader, "x-y", first + 1), 2);
    assert_int_equal(http_reader_find(&reader, "x", 0), 3);
    assert_true(reader.keeps_alive);
    http_reader_free(&reader);
}

/* Two requests in one piece: the second one is left. */
static void the_next_request_is_left(void **state)
{
    static const char text[] = POST "Content-Length: 2\r\n\r\nab" CHUNKED "1\r\nc\r\n0\r\n\r\n" GET
                                    "Connection: close\r\n\r\n";
    struct http_reader reader;
    size_t at = 0;
    (void)state;
    http_reader_init(&reader, 4096, BODY_MAX);
    at += feed(&reader, text, strlen(text), 10000);
    assert_true(span_equal(buf_span(&reader.body), span_of("ab")));
    assert_true(reader.keeps_alive);
    http_reader_reset(&reader);
    assert_false(reader.has_begun);
    at += feed(&reader, text + at, strlen(text) - at, 10000);
    assert_true(span_equal(buf_span(&reader.body), span_of("c")));
    http_reader_reset(&reader);
    at += feed(&reader, text + at, strlen(text) - at, 10000);
    assert_int_equal(reader.state, HTTP_HAS_WHOLE);
    assert_false(reader.keeps_alive);
    assert_int_equal(at, strlen(text));
    http_reader_free(&reader);
}

/* Feeds a beginning and then one text again and again; the status of the refusal. */
static int status_of_endless(const char *beginning, const char *again, size_t *fed)
{
    struct http_reader reader;
    http_reader_init(&reader, 16 * 1024, BODY_MAX);
    *fed = feed(&reader, beginning, strlen(beginning), 10000);
    while (reader.state != HTTP_HAS_REFUSED) {
        assert_int_not_equal(reader.state, HTTP_HAS_WHOLE);
        *fed += feed(&reader, again, strlen(again), 10000);
    }
    int status = reader.status;
    http_reader_free(&reader);
    return status;
}

static void what_has_no_end_is_refused(void **state)
{
    size_t fed = 0;
    (void)state;
    assert_int_equal(status_of_endless("GET /", "a", &fed), 414);
    assert_true(fed < 9000);
    assert_int_equal(status_of_endless("G", "G", &fed), 414);
    assert_int_equal(status_of_endless(GET "A: ", "a", &fed), 431);
    assert_true(fed < 17000);
    assert_int_equal(status_of_endless(GET, "A: b\r\n", &fed), 431);
    assert_true(fed < 1000);
    assert_int_equal(status_of_endless(CHUNKED, "1\r\nx\r\n", &fed), 413);
    assert_true(fed < 8 * BODY_MAX);
    assert_int_equal(status_of_endless(CHUNKED "fffffff\r\n", "x", &fed), 413);
    assert_int_equal(status_of_endless(CHUNKED, "0", &fed), 400);
}

static void limits_are_reached_exactly(void **state)
{
    struct http_reader reader;
    char text[4096];
    (void)state;
    http_reader_init(&reader, 4096, BODY_MAX);
    int len =
        snprintf(text, sizeof text, POST "Content-Length: %d\r\n\r\n%0*d", BODY_MAX, BODY_MAX, 0);
    assert_int_equal(feed(&reader, text, (size_t)len, 100), len);
    assert_int_equal(reader.state, HTTP_HAS_WHOLE);
    http_reader_reset(&reader);
    len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (unsigned i = 1; i < LIMIT_HTTP_FIELDS_MAX; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "a: b\r\n");
    }
    len += snprintf(text + len, sizeof text - (size_t)len, "\r\n");
    assert_int_equal(feed(&reader, text, (size_t)len, 100), len);
    assert_int_equal(reader.state, HTTP_HAS_WHOLE);
    http_reader_free(&reader);
}

static void tokens_are_told_apart(void **state)
{
    (void)state;
    assert_true(http_is_token(span_of("Content-Type")));
    assert_true(http_is_token(span_of("a!#$%&'*+-.^_`|~9")));
    assert_false(http_is_token(span_of("")));
    assert_false(http_is_token(span_of("a b")));
    assert_false(http_is_token(span_of("a:")));
    assert_false(http_is_token((struct span){"a\0b", 3}));
    assert_false(http_is_token(span_of("\xc3\xa4")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_taken_or_refused),
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(the_next_request_is_left),
        cmocka_unit_test(what_has_no_end_is_refused),
        cmocka_unit_test(limits_are_reached_exactly),
        cmocka_unit_test(tokens_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
