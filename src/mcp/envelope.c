/* What a request says beside its method: the revision and more in params._meta (2026-07-28,
 * basic/index), and over HTTP the headers that must agree with it (basic/transports/
 * streamable-http, "Request Metadata"). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "mcp/internal.h"

static const struct span none = {NULL, 0};

/* 2026-07-28, streamable-http: an unknown method is 404, what the headers or _meta have wrong 400;
 * a request that is in order has been received. The older revisions say nothing of the kind. */
int envelope_status(enum mcp_era era, int code)
{
    if (!era_is_modern(era)) {
        return 200;
    }
    switch (code) {
    case RPC_METHOD_NOT_FOUND: return 404;
    case RPC_HEADER_MISMATCH:
    case RPC_MISSING_CAPABILITY:
    case RPC_UNSUPPORTED_VERSION:
    case RPC_INVALID_REQUEST: return 400;
    default: return 200;
    }
}

void request_refuse(const struct mcp_request *request, int code, const char *text)
{
    request_refuse_with(request, code, text, none);
}

void request_refuse_with(const struct mcp_request *request, int code, const char *text,
                         struct span data)
{
    delivery_answer_error(request->delivery, request->rpc.id, code,
                          envelope_status(request->era, code), text, data);
}

void request_refuse_malformed(const struct mcp_request *request, int code, const char *text,
                              struct span data)
{
    delivery_answer_error(request->delivery, request->rpc.id, code, 400, text, data);
}

static int refuse_meta(const struct mcp_request *request, const char *text)
{
    request_refuse_malformed(request, RPC_INVALID_PARAMS, text, none);
    return -1;
}

static int refuse_header(const struct mcp_request *request, const char *text)
{
    request_refuse_malformed(request, RPC_HEADER_MISMATCH, text, none);
    return -1;
}

/* `version` is text, not JSON. */
static int refuse_version(const struct mcp_request *request, struct span version)
{
    cleanup_buf struct buf data;
    buf_init(&data, LIMIT_MESSAGE_BYTES_MAX);
    if (buf_append_format(&data, "{\"supported\":%s,\"requested\":", era_modern_json) == 0 &&
        jtext_append_string(&data, version) == 0 && buf_append_char(&data, '}') == 0) {
        request_refuse_malformed(request, RPC_UNSUPPORTED_VERSION, "Unsupported protocol version",
                                 buf_span(&data));
    } else {
        request_refuse(request, RPC_INTERNAL_ERROR, "Out of memory");
    }
    return -1;
}

/* A request without a revision in its body is one of the old ones, unless its header says it was
 * meant to be a new one. */
static int read_legacy(struct mcp_request *request)
{
    const struct mcp_envelope *envelope = request->envelope;
    const struct mcp_session *session = request->session;
    enum mcp_era era;
    if (!envelope->is_http) {
        return 0;
    }
    if (envelope->protocol_version.base == NULL) {
        if (!session->is_initialized) {
            request->era = ERA_2025_03_26; /* 2025-06-18, "Protocol Version Header" */
        }
        return 0;
    }
    if (!era_from_text(envelope->protocol_version, &era)) {
        return refuse_version(request, envelope->protocol_version);
    }
    if (era_is_modern(era)) {
        return refuse_meta(request, "params._meta must name " MCP_META "protocolVersion");
    }
    if (!session->is_initialized) {
        request->era = era;
    }
    return 0;
}

/* A header as text: as it is, or out of its base64 ("Value Encoding"). 0, or -1 when it has
 * characters that no header may have, or is no base64. */
static int decode_header(struct buf *out, struct span header)
{
    static const char head[] = "=?base64?";
    static const char tail[] = "?=";
    const size_t head_len = sizeof head - 1;
    const size_t tail_len = sizeof tail - 1;
    if (header.len >= head_len + tail_len && memcmp(header.base, head, head_len) == 0 &&
        memcmp(header.base + header.len - tail_len, tail, tail_len) == 0) {
        struct span text = {header.base + head_len, header.len - head_len - tail_len};
        return base64_decode(out, text);
    }
    for (size_t i = 0; i < header.len; i++) {
        unsigned char c = (unsigned char)header.base[i];
        if ((c < 0x20 && c != '\t') || c > 0x7E) {
            return -1;
        }
    }
    return buf_append(out, header.base, header.len);
}

/* Whether text is what a string of the body says. */
static bool text_equals(struct span text, struct span string)
{
    cleanup_buf struct buf meant;
    buf_init(&meant, LIMIT_MESSAGE_BYTES_MAX);
    return jtext_string_decode(&meant, string) == 0 && span_equal(text, buf_span(&meant));
}

static bool header_equals(struct span header, struct span string)
{
    cleanup_buf struct buf said;
    buf_init(&said, LIMIT_MESSAGE_BYTES_MAX);
    return decode_header(&said, header) == 0 && text_equals(buf_span(&said), string);
}

/* What Mcp-Name repeats: the name or the URI, for the methods that have one. */
static bool find_name(const struct mcp_request *request, struct span *name)
{
    struct span method = request->rpc.method;
    const char *key = NULL;
    if (jtext_string_is(method, "tools/call") || jtext_string_is(method, "prompts/get")) {
        key = "name";
    } else if (jtext_string_is(method, "resources/read")) {
        key = "uri";
    }
    return key != NULL && jtext_find(request->rpc.params, key, name) &&
           jtext_type(*name) == JTEXT_STRING;
}

static int compare_headers(const struct mcp_request *request)
{
    const struct mcp_envelope *envelope = request->envelope;
    struct span name;
    if (envelope->method.base == NULL) {
        return refuse_header(request, "The header Mcp-Method is missing");
    }
    if (!text_equals(envelope->method, request->rpc.method)) {
        return refuse_header(request, "The header Mcp-Method is not the body's method");
    }
    if (!find_name(request, &name)) {
        return 0; /* where there must be one, the method itself will miss it */
    }
    if (envelope->name.base == NULL) {
        return refuse_header(request, "The header Mcp-Name is missing");
    }
    if (!header_equals(envelope->name, name)) {
        return refuse_header(request, "The header Mcp-Name is not what the body names");
    }
    return 0;
}

void envelope_read_capabilities(struct span capabilities, bool can_answer[3])
{
    struct span value;
    struct span mode;
    /* Without a mode it is forms, which is all there once was. */
    can_answer[ASK_ELICITATION] =
        jtext_find(capabilities, "elicitation", &value) && jtext_type(value) == JTEXT_OBJECT &&
        (jtext_find(value, "form", &mode) || !jtext_find(value, "url", &mode));
    can_answer[ASK_SAMPLING] =
        jtext_find(capabilities, "sampling", &value) && jtext_type(value) == JTEXT_OBJECT;
    can_answer[ASK_ROOTS] =
        jtext_find(capabilities, "roots", &value) && jtext_type(value) == JTEXT_OBJECT;
}

static int read_modern(struct mcp_request *request, struct span meta, struct span version)
{
    const struct mcp_envelope *envelope = request->envelope;
    struct span value;
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_MESSAGE_BYTES_MAX);
    request->era = ERA_LATEST;
    request->delivery->is_modern = true;
    if (jtext_type(version) != JTEXT_STRING) {
        return refuse_meta(request, MCP_META "protocolVersion must be a string");
    }
    if (!jtext_find(meta, MCP_META "clientCapabilities", &value) ||
        jtext_type(value) != JTEXT_OBJECT) {
        return refuse_meta(request, MCP_META "clientCapabilities must be an object");
    }
    if (envelope->is_http && envelope->protocol_version.base == NULL) {
        return refuse_header(request, "The header MCP-Protocol-Version is missing");
    }
    if (envelope->is_http && !text_equals(envelope->protocol_version, version)) {
        return refuse_header(request,
                             "The header MCP-Protocol-Version is not the body's protocolVersion");
    }
    if (!era_from_string(version, &request->era) || !era_is_modern(request->era)) {
        request->era = ERA_LATEST;
        if (jtext_string_decode(&text, version) != 0) {
            buf_clear(&text);
        }
        return refuse_version(request, buf_span(&text));
    }
    if (envelope->is_http && compare_headers(request) != 0) {
        return -1;
    }
    jtext_find(meta, MCP_META "clientCapabilities", &value);
    envelope_read_capabilities(value, request->can_answer);
    request->level = LEVEL_SILENT;
    if (jtext_find(meta, MCP_META "logLevel", &value) &&
        !level_from_value(value, &request->level)) {
        return refuse_meta(request, MCP_META "logLevel is no log level");
    }
    return 0;
}

int envelope_read(struct mcp_request *request)
{
    struct span meta;
    struct span value;
    if (!jtext_find(request->rpc.params, "_meta", &meta)) {
        return read_legacy(request);
    }
    if (jtext_type(meta) != JTEXT_OBJECT) {
        return refuse_meta(request, "_meta must be an object");
    }
    request->meta = meta;
    if (jtext_find(meta, "progressToken", &value) && rpc_id_is_valid(value)) {
        request->progress_token = value;
    }
    if (jtext_find(meta, MCP_META "protocolVersion", &value)) {
        return read_modern(request, meta, value);
    }
    return read_legacy(request);
}

/* Whether a header says the same as an argument: strings as they are, integers by their value,
 * booleans as words. */
static bool argument_equals(struct span header, struct span argument)
{
    cleanup_buf struct buf said;
    buf_init(&said, LIMIT_MESSAGE_BYTES_MAX);
    if (jtext_type(argument) == JTEXT_STRING) {
        return header_equals(header, argument);
    }
    if (decode_header(&said, header) != 0) {
        return false;
    }
    if (span_equal(buf_span(&said), argument)) {
        return true;
    }
    struct span number;
    if (jtext_type(argument) != JTEXT_NUMBER ||
        jtext_check(buf_span(&said), JTEXT_STRICT, &number, NULL) != 0 ||
        jtext_type(number) != JTEXT_NUMBER || buf_append_char(&said, '\0') != 0) {
        return false;
    }
    char text[64];
    snprintf(text, sizeof text, "%.*s", argument.len > 63 ? 63 : (int)argument.len, argument.base);
    double difference = strtod(said.base, NULL) - strtod(text, NULL);
    return !(difference < 0) && !(difference > 0);
}

static int compare_argument(const struct mcp_request *request, struct span header_name,
                            struct span argument)
{
    const struct mcp_envelope *envelope = request->envelope;
    char name[160];
    char text[224];
    cleanup_buf struct buf suffix;
    buf_init(&suffix, 128);
    if (jtext_string_decode(&suffix, header_name) != 0 || buf_append_char(&suffix, '\0') != 0) {
        return 0;
    }
    snprintf(name, sizeof name, "mcp-param-%s", suffix.base);
    for (char *c = name; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    struct span header =
        envelope->header == NULL ? none : envelope->header(envelope->carrier, name);
    bool is_given = argument.len > 0 && jtext_type(argument) != JTEXT_NULL;
    if (is_given ? header.base != NULL && argument_equals(header, argument) : header.base == NULL) {
        return 0;
    }
    snprintf(text, sizeof text, "The header Mcp-Param-%s %s", suffix.base,
             header.base == NULL ? "is missing" : "is not what the body's argument is");
    return refuse_header(request, text);
}

int envelope_compare_arguments(const struct mcp_request *request, const struct mcp_tool *tool,
                               struct span arguments)
{
    struct span properties;
    struct span key;
    struct span property;
    struct span header_name;
    if (!request->envelope->is_http || !era_is_modern(request->era) || tool->input_schema == NULL ||
        !jtext_find(span_of(tool->input_schema), "properties", &properties)) {
        return 0;
    }
    struct jtext_cursor cursor = jtext_open(properties);
    while (jtext_next(&cursor, &key, &property)) {
        struct span argument;
        cleanup_buf struct buf name;
        buf_init(&name, 4 * KIB);
        if (!jtext_find(property, "x-mcp-header", &header_name)) {
            continue;
        }
        if (jtext_string_decode(&name, key) != 0 || buf_append_char(&name, '\0') != 0 ||
            !jtext_find(arguments, name.base, &argument)) {
            argument = none;
        }
        if (compare_argument(request, header_name, argument) != 0) {
            return -1;
        }
    }
    return 0;
}

static void peek_at(struct span value, struct mcp_peek *out)
{
    struct rpc_message rpc;
    struct span meta;
    struct span version;
    int code = rpc_read(value, &rpc, NULL);
    out->has_request |= code != 0 || rpc.kind == RPC_REQUEST;
    if (code != 0) {
        return;
    }
    out->is_initialize |= rpc.kind == RPC_REQUEST && jtext_string_is(rpc.method, "initialize");
    out->is_modern |= jtext_find(rpc.params, "_meta", &meta) && jtext_type(meta) == JTEXT_OBJECT &&
                      jtext_find(meta, MCP_META "protocolVersion", &version);
}

struct mcp_peek mcp_peek(struct span message, const struct mcp_envelope *envelope)
{
    struct mcp_peek peek = {0};
    struct span value;
    struct span key;
    struct span item;
    enum mcp_era era;
    if (envelope != NULL && envelope->protocol_version.base != NULL) {
        peek.is_modern = !era_from_text(envelope->protocol_version, &era) || era_is_modern(era);
    }
    if (jtext_check(message, JTEXT_STRICT, &value, NULL) != 0) {
        peek.has_request = true; /* it is answered */
        return peek;
    }
    peek.is_valid = jtext_type(value) == JTEXT_OBJECT || jtext_type(value) == JTEXT_ARRAY;
    if (jtext_type(value) != JTEXT_ARRAY) {
        peek_at(value, &peek);
        return peek;
    }
    struct jtext_cursor cursor = jtext_open(value);
    unsigned count = 0;
    while (count < LIMIT_BATCH_MESSAGES_MAX && jtext_next(&cursor, &key, &item)) {
        peek_at(item, &peek);
        count++;
    }
    peek.has_request |= count == 0; /* which is an error, and answered */
    return peek;
}
