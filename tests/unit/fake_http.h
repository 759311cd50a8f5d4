/* A stand-in for the HTTP server (transport/http.h) that has no connections: tests make requests
 * and look at what became of them. */
#ifndef TESTS_FAKE_HTTP_H
#define TESTS_FAKE_HTTP_H

#include "transport/http.h"

enum { FAKE_FIELDS_MAX = 16, FAKE_EXCHANGES_MAX = 512 };

struct fake_field {
    const char *name; /* lower case; NULL: the last */
    const char *value;
};

/* All of it must live as long as the exchange. */
struct fake_request {
    const char *method;
    const char *path;
    const char *query; /* or NULL */
    const char *peer;  /* NULL: 127.0.0.1 */
    struct span body;
    struct fake_field fields[FAKE_FIELDS_MAX];
};

struct http_exchange {
    struct fake_request request;
    void *context;
    bool is_open;      /* not answered, and the client is there */
    bool is_stream;    /* was begun as one */
    bool is_congested; /* for tests to set */
    bool has_body;     /* it was not released */
    int status;
    struct buf head; /* "Name: value\n" for each field */
    struct buf body;
};

/* Forgets all exchanges. */
void fake_http_reset(void);

/* Makes a request of the server that is open; returns the exchange, which stays to be looked at. */
struct http_exchange *fake_http_ask(const struct fake_request *request);
void fake_http_hang_up(struct http_exchange *exchange);

/* A field of the answer, or "". */
const char *fake_http_field(const struct http_exchange *exchange, const char *name);
/* The body as a string. */
const char *fake_http_text(struct http_exchange *exchange);

extern bool fake_http_is_drained;
extern bool fake_http_is_closed;

#endif
