/*
 * What the parts of the HTTP server share; transport/http.h is what others use.
 *
 * http_server.c owns the server, http_listen.c its sockets, http_connection.c what is read and when
 * a connection ends, http_send.c what is written, http_exchange.c what the caller sees.
 */
#ifndef TRANSPORT_HTTP_SERVER_H
#define TRANSPORT_HTTP_SERVER_H

#include <netinet/in.h>
#include <uv.h>

#include "transport/http.h"
#include "transport/http_reader.h"
#include "transport/tls.h"

enum { HTTP_CHUNK_BYTES = 64 * 1024, HTTP_BUCKETS = 256 };

enum http_phase {
    HTTP_PHASE_IDLE, /* between requests */
    HTTP_PHASE_HEAD, /* also right after accept, and during a TLS handshake */
    HTTP_PHASE_BODY,
    HTTP_PHASE_ANSWERING, /* the caller has the exchange */
    HTTP_PHASE_FLUSHING,  /* the answer is complete, not all of it is written */
    HTTP_PHASE_LINGERING, /* nothing is written any more; the client may still read */
    HTTP_PHASE_BROKEN,    /* about to be closed, from the loop */
    HTTP_PHASE_CLOSING,   /* waits for its handles */
};

struct http_exchange {
    bool is_open;   /* the caller's */
    bool is_stream; /* http_stream_begin was called */
    bool is_chunked;
    bool has_no_body;         /* the answer to a HEAD */
    bool was_congested;       /* since the caller was last told that it is not */
    bool has_told_congestion; /* that it is */
    void *context;
};

/* Of an address, what the cap on connections goes by. */
struct http_client {
    unsigned char key[16];
};

struct http_connection {
    struct http_exchange exchange; /* first, so that one gives the other */
    struct http_server *server;
    struct http_connection *previous;
    struct http_connection *next;
    struct http_connection *next_client; /* in the same bucket */
    struct http_client client;
    char peer[INET6_ADDRSTRLEN];
    enum http_phase phase;
    uv_tcp_t tcp;
    uv_timer_t deadline; /* of the phase */
    uv_timer_t soon;     /* for what is to be told from the loop */
    uv_shutdown_t shutdown;
    unsigned open_handles;
    struct tls *tls; /* NULL: plain */
    struct http_reader reader;
    size_t body_held;   /* of server->counts.bytes_held */
    struct buf pending; /* of later requests */
    size_t pending_at;
    bool is_giving;   /* the caller is being told of a request */
    bool has_overrun; /* too many of them have come */
    bool ends;        /* with the answer that is under way */
    bool has_ended;   /* the client sends no more */
    bool is_reset;    /* nothing is to stay in the kernel */
    size_t dropped_bytes;
    size_t control_bytes; /* of what waits, what TLS has to say of itself */
    unsigned writes;      /* under way */
    uint64_t sent_bytes;  /* handed to libuv, as they go over the wire */
    uint64_t stall_goal;  /* so many the client must have acknowledged at the next deadline */
};

struct http_listener {
    struct http_server *server;
    uv_poll_t poll;
    int fd;
    bool is_open;
};

struct http_server {
    uv_loop_t *loop;
    struct http_config config; /* host and files NULL, all else set */
    struct http_events events;
    struct tls_context *tls;
    struct http_listener listeners[LIMIT_HTTP_LISTENERS_MAX];
    unsigned listener_count;
    uint16_t port;
    uv_timer_t pause; /* of accepting */
    uint64_t warned_ms;
    bool is_draining;
    bool is_closing;
    bool is_making_room;
    unsigned open_handles; /* listeners and pause */
    struct http_connection *connections;
    struct http_connection *clients[HTTP_BUCKETS]; /* the same, by address */
    struct http_counts counts;
    void (*closed)(void *context);
    void *closed_context;
    time_t date_s;
    char date[32];
    char chunk[HTTP_CHUNK_BYTES];
};

/* http_server.c */
void http_server_finish_closing(struct http_server *server); /* frees when nothing is open */
/* To be called when more is held: past the budget, sends away who holds most. */
void http_server_make_room(struct http_server *server);

/* http_listen.c */
int http_listen(struct http_server *server, const char *host, uint16_t port, struct err *err);
void http_listen_stop(struct http_server *server);

/* http_connection.c. http_connection_open takes the descriptor. */
void http_connection_open(struct http_server *server, int fd, const struct sockaddr_storage *peer);
bool http_client_is_full(const struct http_server *server, const struct sockaddr_storage *peer);
/* Sends an answer of our own and closes. */
void http_connection_refuse(struct http_connection *connection, enum http_refusal refusal,
                            int status, const char *reason);
/* How much would be free without it; 0 where its request is with the caller. */
size_t http_connection_held(const struct http_connection *connection);
/* Sends it away for what it holds; how much of that will be free only later. */
size_t http_connection_give_up(struct http_connection *connection);
/* Closes it soon, from the loop; safe from anywhere. */
void http_connection_break(struct http_connection *connection);
/* Closes it now; from the loop alone. `gone` is called if the caller has the exchange. */
void http_connection_close(struct http_connection *connection);
void http_connection_set_deadline(struct http_connection *connection, uint64_t ms);
/* Looks soon, from the loop, at what the caller is to be told and at what is complete already. */
void http_connection_look_soon(struct http_connection *connection);
/* All that was to be written is; from the loop. */
void http_connection_written(struct http_connection *connection);
/* The server drains or closes. */
void http_connection_drain(struct http_connection *connection);

/* http_send.c */
/* Takes the contents of `body` (may be NULL); copies `before`; `after` is static. */
void http_send(struct http_connection *connection, struct span before, struct buf *body,
               struct span after);
/* What TLS has to say; how many bytes that was. */
size_t http_send_cipher(struct http_connection *connection);
size_t http_waiting_bytes(const struct http_connection *connection);
/* Bytes that the client's side has acknowledged. */
uint64_t http_taken_bytes(const struct http_connection *connection);
void http_watch_stall(struct http_connection *connection);

/* http_exchange.c */
void http_exchange_begin(struct http_connection *connection);
/* Tells the caller when that has changed; from the loop. */
void http_exchange_tell_congestion(struct http_connection *connection);
/* The head of an answer. 0 or -1 as buf_append. */
int http_append_head(struct http_connection *connection, struct buf *out, int status,
                     const struct http_field *fields, size_t count);

#endif
