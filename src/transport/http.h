/*
 * An HTTP/1.1 server (RFC 9110, RFC 9112) on the caller's libuv loop, made for the open internet.
 * Runs in `vitrine`. It knows nothing of what is served.
 *
 * A request is given when all of it has come, body included; until it is answered the connection
 * is watched, so that a client's going is seen. Pipelined requests wait for the answer before.
 * What is malformed or ambiguous, too large or too slow is answered with a 4xx (where that makes
 * sense) and its connection closed; the caller never sees it. Deadlines are absolute: a byte now
 * and then buys no time. The caps are in limits.h; what the caller may set is in struct
 * http_config.
 *
 * An exchange is one request and its answer. It is valid from `request` until http_answer,
 * http_stream_end or `gone`, whichever comes first. Callbacks come from the loop, never from inside
 * a function of this header. SIGPIPE must be ignored by the program.
 */
#ifndef TRANSPORT_HTTP_H
#define TRANSPORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct http_server;
struct http_exchange;

/* What http_open takes; 0 and NULL are the defaults of limits.h. Borrowed until it returns. */
struct http_config {
    const char *host;     /* a name, an IPv4 or IPv6 address; NULL: 127.0.0.1 */
    uint16_t port;        /* 0: one that is free */
    const char *tls_cert; /* a file: PEM, the server's certificate first; NULL: no TLS */
    const char *tls_key;  /* a file: PEM */
    uint64_t head_ms;     /* from accept, or a request's first byte, to the end of its head */
    uint64_t body_ms;     /* then to the end of its body */
    uint64_t idle_ms;     /* between an answer and the next request's first byte */
    uint64_t stall_ms;    /* a client that takes nothing of what waits for it */
    size_t head_bytes_max;
    size_t body_bytes_max;
    size_t held_bytes_max;    /* of all connections: bodies, and what waits to be sent. Past it, who
                                 holds most is sent away */
    unsigned connections_max; /* in all */
    unsigned client_connections_max; /* of one IPv4 address, or one /64 of IPv6 */
};

struct http_events {
    void *context;
    /* A whole request. May be answered at once or later. */
    void (*request)(void *context, struct http_exchange *exchange);
    /* The client went, or was sent away, before its answer was complete; the exchange ends when
     * this returns. Not after http_answer or http_stream_end. */
    void (*gone)(void *context, struct http_exchange *exchange);
    /* More than LIMIT_HTTP_CONGESTED_BYTES of a stream wait for its client, or no longer.
     * The end is told even of what was too short for its beginning to be told. May be NULL. */
    void (*congested)(void *context, struct http_exchange *exchange, bool is_congested);
};

/*
 * Listens on every address that `host` stands for. ERR_USAGE for what the caller can mend (address
 * in use, unknown host, a certificate that cannot be used), with what to do. The caller owns *out
 * until http_close.
 */
int http_open(uv_loop_t *loop, const struct http_config *config, const struct http_events *events,
              struct http_server **out, struct err *err);

/* The port that is listened on. */
uint16_t http_port(const struct http_server *server);

/* Listens no more; each connection ends with the answer that is under way, idle ones at once. */
void http_drain(struct http_server *server);

/*
 * Ends everything, frees, then calls `closed`. `gone` comes for each exchange that is open; answers
 * that are complete get LIMIT_HTTP_CLOSE_MS to reach their clients.
 */
void http_close(struct http_server *server, void (*closed)(void *context), void *context);

/* The request; all of it is borrowed and lives as long as the exchange. */
struct span http_method(const struct http_exchange *exchange); /* "POST" */
struct span http_path(const struct http_exchange *exchange);   /* as sent, without query; "/..." */
struct span http_query(const struct http_exchange *exchange);  /* without "?"; base NULL: none */
struct span http_body(const struct http_exchange *exchange);
struct span http_peer(const struct http_exchange *exchange); /* the client's address, as text */

/* The first field of that name (given in lower case), without white space around it; base NULL
 * when there is none. A value has no control characters; bytes above 0x7e are as they came. */
struct span http_header(const struct http_exchange *exchange, const char *name);

/* How many fields have that name. */
size_t http_header_count(const struct http_exchange *exchange, const char *name);

/* Frees the body before the exchange ends; http_body is empty from then on. */
void http_release_body(struct http_exchange *exchange);

/* A pointer of the caller's, NULL at first. */
void *http_context(const struct http_exchange *exchange);
void http_set_context(struct http_exchange *exchange, void *context);

/* A field of an answer. A name that is no token, or a value with control characters, is a mistake
 * of the caller's and asserted: check what comes from outside. */
struct http_field {
    const char *name;
    struct span value;
};

/*
 * Answers and ends the exchange. Takes the contents of `body` (may be NULL). Date, Content-Length
 * and Connection are added. Answering twice is a mistake and asserted.
 */
void http_answer(struct http_exchange *exchange, int status, const struct http_field *fields,
                 size_t count, struct buf *body);

/* An answer that comes in pieces: chunked, or for HTTP/1.0 until the connection is closed. */
void http_stream_begin(struct http_exchange *exchange, int status, const struct http_field *fields,
                       size_t count);

/* Takes the contents of `bytes`. Past LIMIT_HTTP_WAITING_BYTES_MAX of what waits, the connection is
 * given up and `gone` follows. */
void http_stream_send(struct http_exchange *exchange, struct buf *bytes);
bool http_stream_is_congested(const struct http_exchange *exchange);
void http_stream_end(struct http_exchange *exchange);

/* Why connections were sent away. */
enum http_refusal {
    HTTP_REFUSED_CONNECTIONS, /* a cap on connections */
    HTTP_REFUSED_MEMORY,      /* a cap on what is held for all connections */
    HTTP_REFUSED_DEADLINE,    /* too slow to send */
    HTTP_REFUSED_STALL,       /* too slow to take */
    HTTP_REFUSED_MALFORMED,
    HTTP_REFUSED_SIZE,        /* head, target or body too large */
    HTTP_REFUSED_TLS,         /* a handshake or a record that failed */
    HTTP_REFUSED_DESCRIPTORS, /* the system has none left */
    HTTP_REFUSALS             /* how many there are */
};
const char *http_refusal_name(enum http_refusal refusal); /* one lower-case word */

/* For metrics; all but the first two only grow. */
struct http_counts {
    uint64_t open_connections;
    uint64_t open_exchanges;
    uint64_t accepted;
    uint64_t refused[HTTP_REFUSALS];
    uint64_t requests[4]; /* given to the caller: GET, POST, DELETE, others */
    uint64_t answers[6];  /* by status / 100; 0 is unused */
    uint64_t gone;        /* clients that went before their answer was complete */
    uint64_t bytes_in;    /* after TLS */
    uint64_t bytes_out;   /* before TLS */
    uint64_t bytes_held;  /* now: bodies and what waits to be sent */
};
struct http_counts http_counts(const struct http_server *server);

#endif
