/* A server of src/transport/http.h and its clients in one thread: real sockets, one loop. */
#ifndef TEST_HTTP_FIXTURE_H
#define TEST_HTTP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "transport/http.h"

enum { HOST_OPEN_MAX = 8 };

/* What the server's callbacks do and have seen. */
struct host {
    uv_loop_t loop;
    struct http_server *server;
    bool answers_at_once; /* with the body that came */
    struct http_exchange *open[HOST_OPEN_MAX];
    unsigned open_count;
    unsigned requests;
    unsigned gone;
    unsigned congested;
    unsigned relieved;
    bool is_closed;
};
extern struct host host;

/* Opens with small deadlines where `config` has none; it must work. */
void host_open(const struct http_config *config);
/* Closes what is open and checks that nothing is left. */
void host_close(void);
/* Turns the loop a little. */
void host_turn(void);
/* Turns it until *counter is `wanted`, for ten seconds at most. */
void host_until(const unsigned *counter, unsigned wanted);
/* The same until a count of the server's is. */
void host_until_refused(enum http_refusal refusal, uint64_t wanted);
void host_until_connections(uint64_t wanted);

int client_open(void);
/* Sends all of it, turning the loop. */
void client_send(int fd, const char *bytes, size_t len);
void client_say(int fd, const char *text);
/* Reads until what came ends with `end`, or with NULL to the end of the connection. Static
 * storage; NUL-terminated. "RESET" is added when that is how it ended. */
const char *client_read(int fd, const char *end);
/* Answers the oldest open exchange. */
void host_answer(int status, const char *body);
struct http_exchange *host_take(void); /* the oldest open one; the caller ends it */
uint64_t now_ms(void);

void assert_has(const char *text, const char *part);
void assert_lacks(const char *text, const char *part);

#endif
