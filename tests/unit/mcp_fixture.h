/* A session of the protocol with the conformance fixtures registered and a stand-in for the
 * packages; what it sends is kept and read by jansson. */
#ifndef TESTS_MCP_FIXTURE_H
#define TESTS_MCP_FIXTURE_H

#include <stdbool.h>

#include <jansson.h>

#include "fake_packages.h"
#include "mcp/session.h"

enum { MCP_MESSAGES_MAX = 256 };

struct mcp_sent_message {
    json_t *json; /* owned */
    enum mcp_sent kind;
    void *route;
    int error_code;
    int http_status;
};

extern struct mcp_server *mcp_server;
extern struct mcp_session *mcp_session;
extern uv_loop_t mcp_loop;
extern struct mcp_sent_message mcp_sent[MCP_MESSAGES_MAX];
extern unsigned mcp_sent_count;
extern void *mcp_settled[MCP_MESSAGES_MAX]; /* routes, in the order they were settled */
extern unsigned mcp_settled_count;
extern unsigned mcp_let_go_count;
extern unsigned mcp_idle_count;
extern bool mcp_is_congested;

int mcp_set_up(void **state);
int mcp_tear_down(void **state);

/* Another session of the server, for `principal`; it sends to the same place. */
struct mcp_session *mcp_open_session(const char *principal);

/* Over stdio. */
void mcp_receive(const char *text);

/* The same, and returns the one message it was answered with. */
json_t *mcp_ask(const char *text);

/* Over HTTP, as a request of 2026-07-28 by the session `by`: params without _meta and braces. The
 * headers are what they must be, but for those in `envelope`, which may be NULL. */
void mcp_receive_http(struct mcp_session *by, const char *id, const char *method,
                      const char *params, const struct mcp_envelope *envelope, void *route);

/* Runs the loop until this many messages have been sent. */
void mcp_wait_for(unsigned count);

json_t *mcp_last(void);
const char *mcp_text_at(json_t *value, const char *key);
int mcp_error_code(json_t *answer);
json_t *mcp_result(json_t *answer);
json_t *mcp_initialize(const char *version, const char *capabilities);

/* params._meta of 2026-07-28, as a member. */
#define MCP_MODERN(capabilities)                                                                   \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                       \
    "\"io.modelcontextprotocol/clientCapabilities\":" capabilities "}"

#endif
