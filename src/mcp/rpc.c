#include "mcp/rpc.h"

#include "base/jtext.h"
#include "base/limits.h"

bool rpc_id_is_valid(struct span id)
{
    if (id.len == 0 || id.len > LIMIT_REQUEST_ID_CHARS_MAX) {
        return false;
    }
    enum jtext_type type = jtext_type(id);
    return type == JTEXT_STRING || (type == JTEXT_NUMBER && jtext_is_integer(id));
}

bool rpc_id_equal(struct span a, struct span b)
{
    if (a.len == 0 || b.len == 0 || jtext_type(a) != jtext_type(b)) {
        return false;
    }
    return jtext_type(a) == JTEXT_STRING ? jtext_string_equal(a, b) : span_equal(a, b);
}

struct envelope {
    struct span version;
    struct span id;
    struct span method;
    struct span params;
    struct span result;
    struct span error;
};

static void read_members(struct span value, struct envelope *out)
{
    struct jtext_cursor cursor = jtext_open(value);
    struct span key;
    struct span member;
    while (jtext_next(&cursor, &key, &member)) {
        if (jtext_string_is(key, "jsonrpc")) {
            out->version = member;
        } else if (jtext_string_is(key, "id")) {
            out->id = member;
        } else if (jtext_string_is(key, "method")) {
            out->method = member;
        } else if (jtext_string_is(key, "params")) {
            out->params = member;
        } else if (jtext_string_is(key, "result")) {
            out->result = member;
        } else if (jtext_string_is(key, "error")) {
            out->error = member;
        }
    }
}

static int refuse(enum rpc_code code, struct err *err, const char *text)
{
    err_set(err, ERR_PROTOCOL, "%s", text);
    return code;
}

int rpc_read(struct span value, struct rpc_message *out, struct err *err)
{
    *out = (struct rpc_message){0};
    if (jtext_type(value) != JTEXT_OBJECT) {
        return refuse(RPC_INVALID_REQUEST, err, "A message must be a JSON object");
    }
    struct envelope e = {0};
    read_members(value, &e);
    if (e.id.len > 0) {
        if (!rpc_id_is_valid(e.id)) {
            return refuse(RPC_INVALID_REQUEST, err, "The id must be a string or an integer");
        }
        out->id = e.id;
    }
    if (e.version.len == 0 || jtext_type(e.version) != JTEXT_STRING ||
        !jtext_string_is(e.version, "2.0")) {
        return refuse(RPC_INVALID_REQUEST, err, "jsonrpc must be \"2.0\"");
    }
    if (e.method.len == 0 && (e.result.len > 0 || e.error.len > 0)) {
        out->result = e.result;
        out->error = e.error;
        out->kind = RPC_RESPONSE;
        return 0;
    }
    if (e.method.len == 0 || jtext_type(e.method) != JTEXT_STRING) {
        return refuse(RPC_INVALID_REQUEST, err, "method must be a string");
    }
    out->kind = e.id.len > 0 ? RPC_REQUEST : RPC_NOTIFICATION;
    out->method = e.method;
    if (e.params.len > 0 && jtext_type(e.params) != JTEXT_OBJECT) {
        return refuse(RPC_INVALID_PARAMS, err, "params must be an object");
    }
    out->params = e.params;
    return 0;
}

int rpc_append_result_head(struct buf *out, struct span id)
{
    if (buf_append_text(out, "{\"jsonrpc\":\"2.0\",\"id\":") != 0 ||
        buf_append(out, id.base, id.len) != 0) {
        return -1;
    }
    return buf_append_text(out, ",\"result\":");
}

int rpc_append_error(struct buf *out, struct span id, int code, const char *message,
                     struct span data)
{
    if (buf_append_text(out, "{\"jsonrpc\":\"2.0\",\"id\":") != 0 ||
        (id.len == 0 ? buf_append_text(out, "null") : buf_append(out, id.base, id.len)) != 0 ||
        buf_append_format(out, ",\"error\":{\"code\":%d,\"message\":", code) != 0 ||
        jtext_append_string(out, span_of(message)) != 0) {
        return -1;
    }
    if (data.len > 0 &&
        (buf_append_text(out, ",\"data\":") != 0 || buf_append(out, data.base, data.len) != 0)) {
        return -1;
    }
    return buf_append_text(out, "}}");
}
