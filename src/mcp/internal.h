/*
 * What the files of this folder share. A message is received (session.c), taken apart and given to
 * its method (dispatch.c) once its revision and headers are known to be in order (envelope.c). What
 * is answered at once is in general.c and lists.c; tools/call, resources/read and prompts/get make
 * a call (rows.c, call.c), which may ask the client something (ask.c). Changes are told by
 * subscriptions.c.
 */
#ifndef MCP_INTERNAL_H
#define MCP_INTERNAL_H

#include <sys/queue.h>

#include "base/limits.h"
#include "mcp/call.h"
#include "mcp/era.h"
#include "mcp/keep.h"
#include "mcp/kept.h"
#include "mcp/registry.h"
#include "mcp/rpc.h"
#include "mcp/server.h"
#include "mcp/session.h"

#define MCP_META "io.modelcontextprotocol/"

enum { MCP_LIST_COUNT = MCP_RESOURCES + 1 };

struct mcp_registry {
    struct mcp_server *server;
    struct mcp_tool tools[LIMIT_TOOLS_MAX];
    struct mcp_resource resources[LIMIT_RESOURCES_MAX];
    struct mcp_family families[LIMIT_FAMILIES_MAX];
    struct mcp_prompt prompts[LIMIT_PROMPTS_MAX];
    unsigned tool_count;
    unsigned resource_count;
    unsigned family_count;
    unsigned prompt_count;
    bool may_change[MCP_LIST_COUNT];
};

struct mcp_server {
    struct mcp_config config;
    struct mcp_registry registry;
    struct depot *depot;         /* files of results */
    uint8_t key[KEEP_KEY_BYTES]; /* of the states that travel through clients */
    TAILQ_HEAD(mcp_sessions, mcp_session) sessions;
    uint64_t session_serial; /* of the last session */
    struct kept_sessions kept;
};

/* One message as it was received, for as long as something of it is open: its requests, or the
 * reading of it. */
struct mcp_delivery {
    TAILQ_ENTRY(mcp_delivery) link; /* in session->deliveries */
    struct mcp_session *session;
    void *route;
    bool has_left;  /* the route is not to be used any more */
    bool is_modern; /* a request in it is */
    bool is_batch;  /* one array, answered by one array (2025-03-26) */
    struct buf answers;
    unsigned open;
};

/* Texts, each with a NUL behind it. */
struct uri_set {
    struct buf texts;
    unsigned count;
};

struct mcp_session {
    TAILQ_ENTRY(mcp_session) link; /* in server->sessions */
    struct mcp_server *server;
    uint64_t serial; /* not 0, and of no other session */
    uint64_t client_number;
    struct buf principal;
    struct mcp_events events;
    bool is_initialized;
    bool is_ready;          /* the client has said notifications/initialized */
    enum mcp_era era;       /* for requests that name none */
    enum mcp_level level;   /* of logs, for requests that name none */
    bool can_answer[3];     /* enum mcp_ask, by what `initialize` said */
    struct uri_set watched; /* resources/subscribe */
    TAILQ_HEAD(mcp_calls, mcp_call) calls;
    unsigned call_count;
    unsigned asked_count; /* the last number of a question */
    TAILQ_HEAD(mcp_subscriptions, mcp_subscription) subscriptions;
    unsigned subscription_count;
    TAILQ_HEAD(mcp_deliveries, mcp_delivery) deliveries;
    unsigned entered; /* our functions that are on the stack and use it afterwards */
    bool is_freed;    /* nothing is told any more; the memory stays while it is used */
};

/* A request with what its params._meta said. */
struct mcp_request {
    struct mcp_session *session;
    struct mcp_delivery *delivery;
    const struct mcp_envelope *envelope;
    struct rpc_message rpc;
    enum mcp_era era;
    enum mcp_level level;
    struct span progress_token; /* or empty */
    struct span meta;           /* or empty */
    bool can_answer[3];         /* enum mcp_ask */
};

enum call_kind { CALL_TOOL, CALL_RESOURCE, CALL_PROMPT };

/* A question in the old way: a request of ours that the client has yet to answer. */
struct asked {
    char key[64];
    unsigned number;
    bool is_answered;
    bool is_error;
    struct buf reply; /* JSON */
};

struct mcp_call {
    TAILQ_ENTRY(mcp_call) link; /* in session->calls */
    struct mcp_session *session;
    struct mcp_delivery *delivery; /* held */
    enum call_kind kind;
    const struct mcp_tool *tool; /* one of these, by its kind; NULL family: a fixed resource */
    const struct mcp_prompt *prompt;
    const struct mcp_resource *resource;
    const struct mcp_family *family;
    enum mcp_era era;
    enum mcp_level level;
    bool can_answer[3];
    struct buf id;             /* JSON text */
    struct buf progress_token; /* JSON text, or empty */
    double progress;           /* the last that was shown */
    struct buf params;         /* JSON: of the request, where it is needed again */
    struct span arguments;     /* JSON, in `params`, or the request's own while it is read */
    struct span replies;       /* inputResponses, likewise; or empty */
    struct buf uri;            /* text */
    struct buf variables;      /* of the template: name NUL value NUL ... */
    struct buf kept;
    struct asked *asked; /* LIMIT_QUESTIONS_MAX of them, or NULL */
    unsigned asked_count;
    uv_timer_t timer; /* how long the client may take to answer */
    bool has_timer;
    void *state; /* the holder's */
    void (*cancel)(struct mcp_call *call);
    bool is_told;      /* the holder knows that it is to end */
    bool is_cancelled; /* nothing is sent for it any more */
    bool is_installing;
};

/* session.c: around what may end a session that is still looked at. It may be gone afterwards. */
void session_enter(struct mcp_session *session);
void session_leave(struct mcp_session *session);

/* A delivery is held by whoever will still send for it. */
void delivery_hold(struct mcp_delivery *delivery);
void delivery_release(struct mcp_delivery *delivery);
bool delivery_is_congested(const struct mcp_delivery *delivery);

/* Each takes the message's contents. An answer goes into its batch, if there is one. */
void delivery_send(struct mcp_delivery *delivery, enum mcp_sent kind, struct buf *message);
void delivery_answer(struct mcp_delivery *delivery, struct buf *message);
void delivery_answer_error(struct mcp_delivery *delivery, struct span id, int code, int http_status,
                           const char *text, struct span data);

/* What belongs to no request. */
void session_notify(struct mcp_session *session, struct buf *message);

/* dispatch.c: one message, checked to be JSON. */
void dispatch_message(struct mcp_session *session, struct mcp_delivery *delivery,
                      const struct mcp_envelope *envelope, struct span value);

/* envelope.c: reads params._meta and compares the headers with it. 0; or -1, and the request has
 * been answered. */
int envelope_read(struct mcp_request *request);

/* The same for the headers that repeat a tool's arguments. */
int envelope_compare_arguments(const struct mcp_request *request, const struct mcp_tool *tool,
                               struct span arguments);

/* Which questions a client that has these capabilities can be asked. */
void envelope_read_capabilities(struct span capabilities, bool can_answer[3]);

/* What HTTP says with an error of this code. */
int envelope_status(enum mcp_era era, int code);

/* Answers with an error; HTTP says what the revision wants for this code. */
void request_refuse(const struct mcp_request *request, int code, const char *text);
void request_refuse_with(const struct mcp_request *request, int code, const char *text,
                         struct span data);

/* The same for what is wrong before a method is found: HTTP says 400 in every revision. */
void request_refuse_malformed(const struct mcp_request *request, int code, const char *text,
                              struct span data);

/* general.c: Appends a result up to its members: "{" and what every result of the revision begins
 * with, `meta` (members of _meta) included. The caller appends its members, a comma by result_next
 * before the first, and "}}". */
int result_begin(struct buf *out, enum mcp_era era, struct span id, const char *result_type,
                 struct span meta);
int result_next(struct buf *out);

/* Answers with a result of these members: JSON, with commas between them. Takes them. */
void request_answer(const struct mcp_request *request, struct buf *members, int failed);
void request_answer_empty(const struct mcp_request *request);

/* Whether text is `head` and a number of at most nine digits behind it: names that we give out. */
bool read_numbered(struct span text, const char *head, unsigned *number);

void handle_initialize(const struct mcp_request *request);
void handle_discover(const struct mcp_request *request);
void handle_ping(const struct mcp_request *request);
void handle_set_level(const struct mcp_request *request);

/* lists.c */
void handle_list_tools(const struct mcp_request *request);
void handle_list_resources(const struct mcp_request *request);
void handle_list_templates(const struct mcp_request *request);
void handle_list_prompts(const struct mcp_request *request);

/* complete.c */
void handle_complete(const struct mcp_request *request);
bool registry_has_completions(const struct mcp_registry *registry);

/* rows.c */
void handle_call_tool(const struct mcp_request *request);
void handle_read_resource(const struct mcp_request *request);
void handle_get_prompt(const struct mcp_request *request);

/* registry.c: by JSON strings. NULL when there is none. */
const struct mcp_tool *registry_tool(const struct mcp_registry *registry, struct span name);
const struct mcp_prompt *registry_prompt(const struct mcp_registry *registry, struct span name);
/* By text. Of a family, `variables` is filled. */
const struct mcp_resource *registry_resource(const struct mcp_registry *registry, struct span uri);
const struct mcp_family *registry_family(const struct mcp_registry *registry, struct span uri,
                                         struct buf *variables);
bool registry_has_watched(const struct mcp_registry *registry);
bool registry_is_watched(const struct mcp_registry *registry, struct span uri);

/* call.c: NULL without memory, which has been answered. */
struct mcp_call *call_new(const struct mcp_request *request, enum call_kind kind);
void call_run(struct mcp_call *call);
/* The end of every call: it is not there afterwards. */
void call_finish(struct mcp_call *call);
bool call_is_running(const struct mcp_session *session, struct span id);
/* notifications/cancelled: ends the call with this id; nothing is sent for it any more. */
void call_cancel(struct mcp_session *session, struct span id);
void call_cancel_of(struct mcp_session *session, const struct mcp_delivery *delivery);
void call_set_installing(struct mcp_call *call, bool is_installing);

/* ask.c */
void ask_receive(struct mcp_session *session, const struct rpc_message *response);
/* Tells the client that it need not answer any more. */
void ask_withdraw(struct mcp_call *call);
void ask_free(struct mcp_call *call);

/* Reads inputResponses and requestState. 0; or -1, and the request has been answered. */
int ask_read(struct mcp_call *call, const struct mcp_request *request);

/* subscriptions.c */
void handle_subscribe(const struct mcp_request *request);
void handle_unsubscribe(const struct mcp_request *request);
void handle_listen(const struct mcp_request *request);
bool subscription_is_open(const struct mcp_session *session, struct span id);
/* By its id, by its delivery; or all, and their clients are told. */
void subscription_cancel(struct mcp_session *session, struct span id);
void subscription_cancel_of(struct mcp_session *session, const struct mcp_delivery *delivery);
void subscription_end_all(struct mcp_session *session);
bool uri_set_add(struct uri_set *set, struct span uri);
bool uri_set_has(const struct uri_set *set, struct span uri);
void uri_set_remove(struct uri_set *set, struct span uri);

/* session_tools.c: rows; and a call's copy is there, or has ended. */
void session_tools_add(struct mcp_registry *registry);
void session_tools_forked(struct mcp_call *call, struct kept_session *copy);

/* For other tools of sessions: answers, JSON objects (taken); the strings of the arguments, each of
 * which has to be there; the session that can be used, or NULL and the call is answered. */
void session_tools_answer(struct mcp_call *call, struct buf *json);
void session_tools_answer_session(struct mcp_call *call, const struct kept_session *kept);
void session_tools_fail(struct mcp_call *call, const struct err *err);
int session_tools_arguments(struct span arguments, const char *const *names, struct span *values,
                            struct err *err);
struct kept_session *session_tools_named(struct mcp_call *call, struct span arguments);

/* file_tools.c: rows; and a program of a session has changed a file. */
void file_tools_add(struct mcp_registry *registry);
void file_tools_changed(struct mcp_server *server, const char *session, struct span name);

/* durable_tools.c: rows. */
void durable_tools_add(struct mcp_registry *registry);

/* python.c: the row of run_python_code. */
extern const struct mcp_tool python_tool;

/* Answers a call of that tool in its form, without a run. */
void python_refuse(struct mcp_call *call, const struct err *err);

/* The same tool, which asks a person before each program. */
extern const struct mcp_tool approved_python_tool;

#endif
