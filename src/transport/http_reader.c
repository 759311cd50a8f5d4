#include "transport/http_reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEAD_KEEP_BYTES = 4096,
    LENGTH_DIGITS_MAX = 18,
    SIZE_DIGITS_MAX = 15,
    METHOD_CHARS_MAX = 24
};

static bool refuse(struct http_reader *reader, int status, const char *reason)
{
    if (reader->state != HTTP_HAS_REFUSED) {
        reader->state = HTTP_HAS_REFUSED;
        reader->status = status;
        reader->reason = reason;
        buf_free(&reader->body);
    }
    return false;
}

void http_reader_init(struct http_reader *reader, size_t head_bytes_max, size_t body_bytes_max)
{
    *reader = (struct http_reader){.state = HTTP_READS_HEAD};
    buf_init(&reader->head, head_bytes_max);
    buf_init(&reader->body, body_bytes_max);
}

void http_reader_reset(struct http_reader *reader)
{
    struct buf head = reader->head;
    struct buf body = reader->body;
    buf_clear(&head);
    if (head.capacity > HEAD_KEEP_BYTES) {
        buf_free(&head);
    }
    buf_free(&body);
    *reader = (struct http_reader){.state = HTTP_READS_HEAD, .head = head, .body = body};
}

void http_reader_free(struct http_reader *reader)
{
    buf_free(&reader->head);
    buf_free(&reader->body);
}

struct span http_reader_part(const struct http_reader *reader, struct http_part part)
{
    return (struct span){reader->head.base + part.at, part.len};
}

size_t http_reader_find(const struct http_reader *reader, const char *name, size_t from)
{
    size_t i = from;
    while (i < reader->line_count &&
           !span_equal(http_reader_part(reader, reader->lines[i].name), span_of(name))) {
        i++;
    }
    return i;
}

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool http_is_token(struct span text)
{
    size_t i = 0;
    while (i < text.len && is_token_char(text.base[i])) {
        i++;
    }
    return i == text.len && i > 0;
}

static bool is_text(struct span part, const char *text)
{
    return part.len == strlen(text) && strncasecmp(part.base, text, part.len) == 0;
}

static struct http_part part_of(const struct http_reader *reader, const char *from, const char *to)
{
    return (struct http_part){(uint32_t)(from - reader->head.base), (uint32_t)(to - from)};
}

/* The first line: method, target, version; `end` is its CR. */
static bool read_request_line(struct http_reader *reader, const char *line, const char *end)
{
    const char *space = memchr(line, ' ', (size_t)(end - line));
    const char *version = space == NULL ? NULL : memchr(space + 1, ' ', (size_t)(end - space - 1));
    if (version == NULL) {
        return refuse(reader, 400, "the request line is not METHOD TARGET VERSION");
    }
    const char *target = space + 1;
    struct span said = {version + 1, (size_t)(end - version - 1)};
    struct span method = {line, (size_t)(space - line)};
    if (!http_is_token(method) || method.len > METHOD_CHARS_MAX) {
        return refuse(reader, 400, "the method is no token");
    }
    if (span_equal(method, span_of("CONNECT"))) {
        return refuse(reader, 501, "there are no tunnels here");
    }
    if (said.len != 8 || memcmp(said.base, "HTTP/", 5) != 0) {
        return refuse(reader, 400, "the version is not HTTP/1.1");
    }
    reader->is_1_0 = memcmp(said.base + 5, "1.0", 3) == 0;
    if (!reader->is_1_0 && memcmp(said.base + 5, "1.1", 3) != 0) {
        return refuse(reader, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    if ((size_t)(version - target) > LIMIT_HTTP_TARGET_BYTES_MAX) {
        return refuse(reader, 414, "the target is too long");
    }
    if (*target != '/') {
        return refuse(reader, 400, "the target is no path");
    }
    for (const char *at = target; at < version; at++) {
        if (*at < '!' || *at > '~' || *at == '#') {
            return refuse(reader, 400, "a character that cannot be in a target");
        }
    }
    const char *mark = memchr(target, '?', (size_t)(version - target));
    const char *path_end = mark == NULL ? version : mark;
    reader->method = part_of(reader, line, space);
    reader->path = part_of(reader, target, path_end);
    if (mark != NULL) {
        reader->query = part_of(reader, mark + 1, version);
    }
    return true;
}

/* One field; its name becomes lower case in place. */
static bool read_field(struct http_reader *reader, char *line, const char *end)
{
    if (*line == ' ' || *line == '\t') {
        return refuse(reader, 400, "a folded line");
    }
    const char *colon = memchr(line, ':', (size_t)(end - line));
    if (colon == NULL || !http_is_token((struct span){line, (size_t)(colon - line)})) {
        return refuse(reader, 400, "a field without a name");
    }
    if (reader->line_count == LIMIT_HTTP_FIELDS_MAX) {
        return refuse(reader, 431, "too many fields");
    }
    for (char *at = line; at < colon; at++) {
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
    }
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    reader->lines[reader->line_count++] = (struct http_line){
        .name = part_of(reader, line, colon),
        .value = part_of(reader, value, end),
    };
    return true;
}

/* The value of a field that may be there once; *count says how often it is. */
static struct span only_field(const struct http_reader *reader, const char *name, size_t *count)
{
    struct span value = {NULL, 0};
    *count = 0;
    size_t i = http_reader_find(reader, name, 0);
    while (i < reader->line_count) {
        value = http_reader_part(reader, reader->lines[i].value);
        ++*count;
        i = http_reader_find(reader, name, i + 1);
    }
    return value;
}

static bool read_length(struct http_reader *reader, struct span digits)
{
    if (digits.len == 0 || strspn(digits.base, "0123456789") < digits.len) {
        return refuse(reader, 400, "Content-Length is no number");
    }
    uint64_t length = 0;
    for (size_t i = 0; i < digits.len; i++) {
        length = length * 10 + (uint64_t)(digits.base[i] - '0');
        if (length > reader->body.bytes_max) {
            return refuse(reader, 413, "the body is too large");
        }
    }
    reader->content_length = length;
    return true;
}

/* How long the body is, and that it can be said in one way only (RFC 9112, 6.3). */
static bool check_framing(struct http_reader *reader)
{
    size_t lengths = 0;
    size_t codings = 0;
    struct span length = only_field(reader, "content-length", &lengths);
    struct span coding = only_field(reader, "transfer-encoding", &codings);
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0)) {
        return refuse(reader, 400, "the length of the body is said twice");
    }
    if (codings == 1 && (reader->is_1_0 || !is_text(coding, "chunked"))) {
        return refuse(reader, 400, "Transfer-Encoding is not \"chunked\"");
    }
    reader->is_chunked = codings == 1;
    return lengths == 0 || read_length(reader, length);
}

static bool check_fields(struct http_reader *reader)
{
    size_t count = 0;
    struct span host = only_field(reader, "host", &count);
    if (count > 1 || (count == 0 && !reader->is_1_0)) {
        return refuse(reader, 400, "there must be one Host");
    }
    for (size_t i = 0; i < host.len; i++) {
        if (host.base[i] < '!' || host.base[i] > '~' || strchr("/\\?#@,\"<>", host.base[i])) {
            return refuse(reader, 400, "a character that cannot be in a Host");
        }
    }
    struct span expect = only_field(reader, "expect", &count);
    if (count > 1 || (count == 1 && !is_text(expect, "100-continue"))) {
        return refuse(reader, 417, "nothing but 100-continue can be expected");
    }
    reader->expects_continue = count == 1 && !reader->is_1_0;
    return check_framing(reader);
}

/* The strict look at a head that is whole: lines end with CR LF, as take_head has seen. */
static bool look_at_head(struct http_reader *reader)
{
    char *line = reader->head.base;
    char *end = line + reader->head.len - 2; /* before the empty line */
    bool is_first = true;
    while (line < end) {
        char *line_end = memchr(line, '\r', (size_t)(end - line));
        assert(line_end != NULL);
        if (!(is_first ? read_request_line(reader, line, line_end)
                       : read_field(reader, line, line_end))) {
            return false;
        }
        is_first = false;
        line = line_end + 2;
    }
    return check_fields(reader);
}

/* The library's side. */

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    (void)at;
    (void)len;
    struct http_reader *reader = parser->data;
    reader->parser_fields++;
    return 0;
}

/* The two readers must agree on where this request ends. */
static int on_headers_complete(http_parser *parser)
{
    struct http_reader *reader = parser->data;
    uint64_t length = (parser->flags & F_CONTENTLENGTH) != 0 ? parser->content_length : 0;
    bool is_chunked = (parser->flags & F_CHUNKED) != 0;
    if (is_chunked != reader->is_chunked || length != reader->content_length ||
        reader->parser_fields != reader->line_count || parser->http_major != 1 ||
        parser->http_minor != (reader->is_1_0 ? 0 : 1)) {
        refuse(reader, 400, "the head can be read in two ways");
        return -1;
    }
    reader->keeps_alive = !reader->is_1_0 && http_should_keep_alive(parser) != 0;
    parser->upgrade = 0; /* an offer that a server may pass over */
    return 0;
}

/* Bytes that the library has taken for framing; false when the strict look does not. */
static bool follow_framing(struct http_reader *reader, const char *end)
{
    while (reader->frame_at < end) {
        char c = *reader->frame_at++;
        enum http_framing was = reader->framing;
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (was == HTTP_CHUNK_SIZE && is_hex && reader->size_digits < SIZE_DIGITS_MAX) {
            reader->size_digits++;
            reader->size_is_zero = reader->size_is_zero && c == '0';
        } else if (was == HTTP_CHUNK_SIZE && c == '\r' && reader->size_digits > 0) {
            reader->framing = HTTP_CHUNK_SIZE_LF;
        } else if (was == HTTP_CHUNK_SIZE_LF && c == '\n') {
            reader->framing = reader->size_is_zero ? HTTP_CHUNK_END_CR : HTTP_CHUNK_DATA;
        } else if (was == HTTP_CHUNK_AFTER_DATA && c == '\r') {
            reader->framing = HTTP_CHUNK_DATA_LF;
        } else if (was == HTTP_CHUNK_DATA_LF && c == '\n') {
            reader->framing = HTTP_CHUNK_SIZE;
            reader->size_digits = 0;
            reader->size_is_zero = true;
        } else if (was == HTTP_CHUNK_END_CR && c == '\r') {
            reader->framing = HTTP_CHUNK_END_LF;
        } else if (was == HTTP_CHUNK_END_LF && c == '\n') {
            reader->framing = HTTP_CHUNK_DONE;
        } else {
            return refuse(reader, 400, "a chunk that is not in the plainest form");
        }
    }
    return true;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http_reader *reader = parser->data;
    if (reader->is_chunked) {
        if (!follow_framing(reader, at)) {
            return -1;
        }
        if (reader->framing != HTTP_CHUNK_DATA && reader->framing != HTTP_CHUNK_AFTER_DATA) {
            refuse(reader, 400, "chunks can be read in two ways");
            return -1;
        }
        reader->framing = HTTP_CHUNK_AFTER_DATA;
        reader->frame_at = at + len;
    }
    if (buf_append(&reader->body, at, len) != 0) {
        refuse(reader, 413, "the body is too large");
        return -1;
    }
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct http_reader *reader = parser->data;
    reader->state = HTTP_HAS_WHOLE;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* Gives bytes to the library; how many it has taken. */
static size_t execute(struct http_reader *reader, const char *bytes, size_t len)
{
    size_t taken = http_parser_execute(&reader->parser, &settings, bytes, len);
    enum http_errno failure = HTTP_PARSER_ERRNO(&reader->parser);
    if (failure == HPE_INVALID_METHOD) {
        refuse(reader, 501, "a method that nobody has heard of");
    } else if (failure != HPE_OK && failure != HPE_PAUSED) {
        refuse(reader, 400, "the request is malformed");
    }
    return taken;
}

static void finish_head(struct http_reader *reader)
{
    if (!look_at_head(reader)) {
        return;
    }
    http_parser_init(&reader->parser, HTTP_REQUEST);
    reader->parser.data = reader;
    reader->framing = HTTP_CHUNK_SIZE;
    reader->size_is_zero = true;
    reader->state = HTTP_READS_BODY;
    size_t taken = execute(reader, reader->head.base, reader->head.len);
    bool has_body = reader->is_chunked || reader->content_length > 0;
    if (taken != reader->head.len || has_body != (reader->state == HTTP_READS_BODY)) {
        refuse(reader, 400, "the head can be read in two ways");
    }
}

/* The end of a line, which is at head.len. True when it was the head's last. */
static bool finish_line(struct http_reader *reader)
{
    size_t line_len = reader->head.len - reader->head_line_at - 2;
    reader->head_line_at = reader->head.len;
    if (line_len > 0) {
        reader->head_line_count++;
        if (reader->head_line_count > LIMIT_HTTP_FIELDS_MAX + 1) {
            refuse(reader, 431, "too many fields");
        }
        return false;
    }
    if (reader->head_line_count > 0) {
        return true;
    }
    if (reader->has_skipped_line) {
        refuse(reader, 400, "empty lines in the place of a request");
    }
    reader->has_skipped_line = true; /* RFC 9112, 2.2: one is to be forgiven */
    reader->head_line_at = 0;
    buf_clear(&reader->head);
    return false;
}

/* One byte of the head; false when it cannot be there. */
static bool take_head_byte(struct http_reader *reader, char c)
{
    bool is_after_cr = reader->head.len > 0 && reader->head.base[reader->head.len - 1] == '\r';
    if (is_after_cr != (c == '\n')) {
        return refuse(reader, 400, "a line does not end with CR LF");
    }
    if (((unsigned char)c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) {
        return refuse(reader, 400, "a control character");
    }
    bool is_in_first_line = reader->head_line_count == 0;
    if ((is_in_first_line &&
         reader->head.len > LIMIT_HTTP_TARGET_BYTES_MAX + 2 * METHOD_CHARS_MAX)) {
        return refuse(reader, 414, "the target is too long");
    }
    if (buf_append_char(&reader->head, c) != 0) {
        return refuse(reader, 431, "the head is too large");
    }
    return true;
}

static size_t take_head(struct http_reader *reader, const char *bytes, size_t len)
{
    size_t i = 0;
    reader->has_begun = reader->has_begun || len > 0;
    while (i < len && reader->state == HTTP_READS_HEAD) {
        char c = bytes[i++];
        if (take_head_byte(reader, c) && c == '\n' && finish_line(reader)) {
            finish_head(reader);
        }
    }
    return i;
}

static size_t take_body(struct http_reader *reader, const char *bytes, size_t len)
{
    reader->frame_at = bytes;
    size_t taken = execute(reader, bytes, len);
    if (reader->is_chunked && reader->state != HTTP_HAS_REFUSED &&
        follow_framing(reader, bytes + taken) &&
        (reader->state == HTTP_HAS_WHOLE) != (reader->framing == HTTP_CHUNK_DONE)) {
        refuse(reader, 400, "chunks can be read in two ways");
    }
    reader->frame_at = NULL;
    return taken;
}

size_t http_reader_take(struct http_reader *reader, const char *bytes, size_t len)
{
    switch (reader->state) {
    case HTTP_READS_HEAD: return take_head(reader, bytes, len);
    case HTTP_READS_BODY: return take_body(reader, bytes, len);
    case HTTP_HAS_WHOLE:
    case HTTP_HAS_REFUSED: break;
    }
    return 0;
}
