/*
 * Clients of the HTTP server, from a request's fields to the last event: everything but the
 * connections, the packages and the pool, which are stand-ins. The input is steps, one a line with
 * what follows it, until a line "%":
 *
 *     METHOD PATH[?QUERY]     a request, with lines "name: value", an empty line, and its body;
 *                             a value "$" is the id of the session begun last
 *     !hang N, !print N, !end N, !tick MS, !slow N
 *
 * The stand-in for the transport asserts what its header asks for: one answer for each request,
 * no control characters in what is answered, nothing after the end.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../tests/unit/serve_fixture.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { STEPS_MAX = 64, RUNS_MAX = FAKE_RUNS_MAX - 1 };

struct text {
    char *at;
    char *end;
};

static struct http_exchange *asked[STEPS_MAX];
static unsigned asked_count;
static char session_id[64];

/* The next line, which is ended by NUL in place; NULL at the end. */
static char *next_line(struct text *text)
{
    if (text->at >= text->end) {
        return NULL;
    }
    char *line = text->at;
    char *newline = memchr(line, '\n', (size_t)(text->end - line));
    char *end = newline == NULL ? text->end : newline;
    text->at = newline == NULL ? text->end : newline + 1;
    *end = '\0';
    return line;
}

/* What the transport would have refused: it gives no field with control characters. */
static bool is_plain(const char *value)
{
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F) {
            return false;
        }
    }
    return true;
}

static void read_fields(struct text *text, struct fake_request *request)
{
    char *line;
    unsigned count = 0;
    while ((line = next_line(text)) != NULL && *line != '\0') {
        char *value = strstr(line, ": ");
        if (value == NULL || count == FAKE_FIELDS_MAX - 1) {
            continue;
        }
        *value = '\0';
        value += 2;
        if (is_plain(line) && is_plain(value)) {
            request->fields[count++] =
                (struct fake_field){line, strcmp(value, "$") == 0 ? session_id : value};
        }
    }
}

/* Up to a line "%". */
static struct span read_body(struct text *text)
{
    char *start = text->at;
    while (text->at < text->end) {
        char *line = text->at;
        char *newline = memchr(line, '\n', (size_t)(text->end - line));
        text->at = newline == NULL ? text->end : newline + 1;
        if (*line == '%' && (newline == line + 1 || newline == NULL)) {
            return (struct span){start, (size_t)(line - start)};
        }
    }
    return (struct span){start, (size_t)(text->end - start)};
}

static void ask(char *line, struct text *text)
{
    struct fake_request request = {.method = line};
    char *path = strchr(line, ' ');
    if (path == NULL || asked_count == STEPS_MAX || fake_run_count >= RUNS_MAX) {
        return;
    }
    *path++ = '\0';
    char *query = strchr(path, '?');
    if (query != NULL) {
        *query++ = '\0';
    }
    request.path = path;
    request.query = query;
    read_fields(text, &request);
    request.body = read_body(text);
    if (request.body.len > 3000 || *path != '/' || !is_plain(path)) {
        return; /* the stand-in for the packages keeps no more */
    }
    struct http_exchange *exchange = fake_http_ask(&request);
    asked[asked_count++] = exchange;
    const char *id = fake_http_field(exchange, "mcp-session-id");
    if (*id != '\0') {
        snprintf(session_id, sizeof session_id, "%s", id);
    }
}

static void act(const char *step)
{
    char name[16] = "";
    unsigned number = 0;
    if (sscanf(step, "!%15s %u", name, &number) < 1) {
        return;
    }
    struct http_exchange *exchange = number < asked_count ? asked[number] : NULL;
    bool is_run = number < fake_run_count && !fake_runs[number].done;
    struct outcome outcome = {.status = OUTCOME_SUCCESS};
    if (strcmp(name, "hang") == 0 && exchange != NULL && exchange->is_open) {
        fake_http_hang_up(exchange);
    } else if (strcmp(name, "slow") == 0 && exchange != NULL) {
        exchange->is_congested = !exchange->is_congested;
    } else if (strcmp(name, "print") == 0 && is_run) {
        fake_print(number, RUN_STDOUT, "printed\n");
    } else if (strcmp(name, "end") == 0 && is_run) {
        fake_end(number, &outcome);
    } else if (strcmp(name, "tick") == 0) {
        sessions_tick(&fixture_serve.sessions, uv_now(&fixture_serve.core.loop) + number);
    }
}

/* Nothing is left over of what came to an end. */
static void check(void)
{
    const struct sessions *sessions = &fixture_serve.sessions;
    const struct session *session;
    size_t bytes = 0;
    TAILQ_FOREACH(session, &sessions->list, link)
    {
        bytes += session->events.bytes;
        assert(session->stream_count <= LIMIT_SESSION_STREAMS_MAX);
        assert(session->kind == SESSION_ONCE || strlen(session->id) == 2 * SESSION_ID_BYTES);
    }
    assert(bytes == sessions->budget.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *copy = malloc(len + 1);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    struct text text = {copy, copy + len};
    char *line;
    asked_count = 0;
    session_id[0] = '\0';
    fixture_init();
    fixture_config.http.is_stateless = len > 0 && copy[0] == '~';
    fixture_open();
    for (unsigned i = 0; i < STEPS_MAX && (line = next_line(&text)) != NULL; i++) {
        if (*line == '!') {
            act(line);
        } else {
            ask(line, &text);
        }
        check();
    }
    fixture_close();
    free(copy);
    return 0;
}
