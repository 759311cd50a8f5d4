/*
 * One HTTP/1.1 request from bytes that come in any pieces (RFC 9112). Part of the server; no
 * sockets and no clock, so that it can be tested and fuzzed alone.
 *
 * Two readers have to agree: the http_parser library, and a strict look of our own at the raw bytes
 * of the head and of what frames chunks. What either refuses, and what they see differently, is
 * refused. The strict look takes no bare CR or LF, no control characters, no folded lines, no space
 * before a colon, no second Content-Length or Host, no Content-Length beside Transfer-Encoding, no
 * coding but "chunked", no chunk extensions, no trailers, no target but a path.
 */
#ifndef TRANSPORT_HTTP_READER_H
#define TRANSPORT_HTTP_READER_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/span.h"

enum http_reader_state {
    HTTP_READS_HEAD,
    HTTP_READS_BODY,
    HTTP_HAS_WHOLE,
    HTTP_HAS_REFUSED, /* for good; `status` and `reason` say why */
};

/* A part of the head, by place: the head may move while it grows. */
struct http_part {
    uint32_t at;
    uint32_t len;
};

struct http_line {
    struct http_part name; /* in lower case */
    struct http_part value;
};

enum http_framing { /* where the raw bytes of a chunked body are */
                    HTTP_CHUNK_SIZE,
                    HTTP_CHUNK_SIZE_LF,
                    HTTP_CHUNK_DATA,
                    HTTP_CHUNK_AFTER_DATA,
                    HTTP_CHUNK_DATA_LF,
                    HTTP_CHUNK_END_CR,
                    HTTP_CHUNK_END_LF,
                    HTTP_CHUNK_DONE,
};

struct http_reader {
    enum http_reader_state state;
    int status;         /* of the answer, once refused */
    const char *reason; /* one phrase, static */
    bool has_begun;     /* a byte of this request has come */
    /* Known once the head is whole. */
    bool is_1_0;
    bool keeps_alive;
    bool expects_continue;
    bool is_chunked;
    uint64_t content_length;
    struct http_part method;
    struct http_part path;
    struct http_part query; /* at is 0 when there is none */
    struct http_line lines[LIMIT_HTTP_FIELDS_MAX];
    size_t line_count;
    struct buf head;
    struct buf body;
    /* Private. */
    http_parser parser;
    size_t head_line_count; /* lines whose end has come */
    size_t head_line_at;    /* where the unfinished one begins */
    bool has_skipped_line;
    size_t parser_fields;
    enum http_framing framing;
    unsigned size_digits;
    bool size_is_zero;
    const char *frame_at; /* of the bytes being taken: the first that is not accounted for */
};

/* Makes it ready for the first request. */
void http_reader_init(struct http_reader *reader, size_t head_bytes_max, size_t body_bytes_max);

/* The same for the next one. */
void http_reader_reset(struct http_reader *reader);
void http_reader_free(struct http_reader *reader);

/* Takes bytes up to the end of the request, or of its head: returns how many. Stops when the state
 * changes, and takes none in the last two states. */
size_t http_reader_take(struct http_reader *reader, const char *bytes, size_t len);

/* Borrows a part of the head. */
struct span http_reader_part(const struct http_reader *reader, struct http_part part);

/* The first field with that name (lower case) from line `from` on; line_count when there is none.
 */
size_t http_reader_find(const struct http_reader *reader, const char *name, size_t from);

/* Whether it is a token of RFC 9110, as names of fields are. */
bool http_is_token(struct span text);

#endif
