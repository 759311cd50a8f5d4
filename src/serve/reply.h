/*
 * Answers over HTTP: the fields that go with each kind, and what a browser's page may see of them
 * (CORS). Runs in `vitrine`.
 *
 * A request's Origin has been checked before, so it may be told that it is allowed.
 */
#ifndef SERVE_REPLY_H
#define SERVE_REPLY_H

#include "base/buf.h"
#include "transport/http.h"

/* JSON-RPC's codes for what is wrong before a message has been looked at. */
enum reply_code { REPLY_ERROR = -32000, REPLY_NO_SESSION = -32001 };

/* One JSON text; takes it. `session_id` may be NULL. */
void reply_json(struct http_exchange *exchange, int status, struct buf *json,
                const char *session_id);

/* A JSON-RPC error without id. With 429 and 503 it says when to come back. */
void reply_error(struct http_exchange *exchange, int status, int code, const char *text);

/* The same without a word for a browser: the page that asked may know nothing. */
void reply_refusal(struct http_exchange *exchange, int status, const char *text);

/* No body. */
void reply_empty(struct http_exchange *exchange, int status);

/* 405, with what may be asked: "GET, POST". */
void reply_wrong_method(struct http_exchange *exchange, const char *allowed);

/* What a browser asks before it lets a page send a request. */
void reply_preflight(struct http_exchange *exchange, const char *allowed);

/* Text of some other type; takes it. */
void reply_text(struct http_exchange *exchange, int status, const char *type, struct buf *text);

/* Begins a stream of events. */
void reply_begin_stream(struct http_exchange *exchange, const char *session_id);

#endif
