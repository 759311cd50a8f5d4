/* completion/complete (server/utilities/completion). */
#include "base/jtext.h"
#include "mcp/internal.h"

struct mcp_completions {
    struct buf values; /* JSON, with commas */
    struct buf typed;  /* text: what they begin with */
    unsigned count;    /* all that fit, also those that are not sent */
    int failed;
};

void completions_add(struct mcp_completions *completions, const char *value)
{
    const struct buf *typed = &completions->typed;
    struct span text = span_of(value);
    if (text.len < typed->len ||
        (typed->len > 0 && memcmp(text.base, typed->base, typed->len) != 0)) {
        return;
    }
    if (completions->count++ < LIMIT_COMPLETIONS_MAX) {
        completions->failed |=
            completions->count > 1 ? buf_append_char(&completions->values, ',') : 0;
        completions->failed |= jtext_append_string(&completions->values, text);
    }
}

bool registry_has_completions(const struct mcp_registry *registry)
{
    for (unsigned i = 0; i < registry->prompt_count; i++) {
        if (registry->prompts[i].complete != NULL) {
            return true;
        }
    }
    for (unsigned i = 0; i < registry->family_count; i++) {
        if (registry->families[i].complete != NULL) {
            return true;
        }
    }
    return false;
}

struct reference {
    mcp_complete *complete; /* or NULL: nothing is known of its arguments */
    void *context;
};

static const struct mcp_family *find_template(const struct mcp_registry *registry, struct span uri)
{
    for (unsigned i = 0; i < registry->family_count; i++) {
        if (jtext_string_is(uri, registry->families[i].uri_template)) {
            return &registry->families[i];
        }
    }
    return NULL;
}

/* What params.ref names. False when it names nothing. */
static bool read_reference(const struct mcp_request *request, struct reference *out)
{
    const struct mcp_registry *registry = &request->session->server->registry;
    struct span ref;
    struct span type;
    struct span name;
    *out = (struct reference){0};
    if (!jtext_find(request->rpc.params, "ref", &ref) || !jtext_find(ref, "type", &type) ||
        jtext_type(type) != JTEXT_STRING) {
        return false;
    }
    if (jtext_string_is(type, "ref/prompt")) {
        const struct mcp_prompt *prompt =
            jtext_find(ref, "name", &name) && jtext_type(name) == JTEXT_STRING
                ? registry_prompt(registry, name)
                : NULL;
        if (prompt != NULL) {
            *out = (struct reference){prompt->complete, prompt->context};
        }
        return prompt != NULL;
    }
    const struct mcp_family *family = jtext_string_is(type, "ref/resource") &&
                                              jtext_find(ref, "uri", &name) &&
                                              jtext_type(name) == JTEXT_STRING
                                          ? find_template(registry, name)
                                          : NULL;
    if (family != NULL) {
        *out = (struct reference){family->complete, family->context};
    }
    return family != NULL;
}

static bool read_argument(const struct mcp_request *request, struct buf *name, struct buf *value)
{
    struct span argument;
    struct span item;
    return jtext_find(request->rpc.params, "argument", &argument) &&
           jtext_find(argument, "name", &item) && jtext_type(item) == JTEXT_STRING &&
           jtext_string_decode(name, item) == 0 && buf_append_char(name, '\0') == 0 &&
           jtext_find(argument, "value", &item) && jtext_type(item) == JTEXT_STRING &&
           jtext_string_decode(value, item) == 0;
}

void handle_complete(const struct mcp_request *request)
{
    struct reference reference;
    struct mcp_completions completions = {0};
    cleanup_buf struct buf name;
    buf_init(&name, 4 * KIB);
    buf_init(&completions.values, LIMIT_RESPONSE_BYTES_MAX);
    buf_init(&completions.typed, LIMIT_MESSAGE_BYTES_MAX);
    if (!read_reference(request, &reference)) {
        request_refuse(request, RPC_INVALID_PARAMS,
                       "ref must name a prompt (ref/prompt and name) or a resource template "
                       "(ref/resource and uri) that is there");
    } else if (!read_argument(request, &name, &completions.typed)) {
        request_refuse(request, RPC_INVALID_PARAMS, "argument must have a name and a value");
    } else {
        struct buf out;
        buf_init(&out, LIMIT_RESPONSE_BYTES_MAX);
        if (reference.complete != NULL) {
            reference.complete(&completions, name.base, reference.context);
        }
        int failed = completions.failed | buf_append_text(&out, "\"completion\":{\"values\":[");
        failed |= buf_append(&out, completions.values.base, completions.values.len);
        failed |= buf_append_format(&out, "],\"total\":%u,\"hasMore\":%s}", completions.count,
                                    completions.count > LIMIT_COMPLETIONS_MAX ? "true" : "false");
        request_answer(request, &out, failed);
    }
    buf_free(&completions.values);
    buf_free(&completions.typed);
}
