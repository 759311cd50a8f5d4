#include "mcp/content.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/jtext.h"
#include "base/limits.h"
#include "base/media.h"
#include "base/utf8.h"
#include "mcp/internal.h"

void content_init(struct content *content, const struct mcp_call *call)
{
    *content = (struct content){.era = call->era, .role = "user"};
    buf_init(&content->items, LIMIT_RESPONSE_BYTES_MAX);
    buf_init(&content->structured, LIMIT_RESPONSE_BYTES_MAX);
    buf_init(&content->meta, LIMIT_RESPONSE_BYTES_MAX);
    content->is_bare = call->kind == CALL_RESOURCE;
    content->has_roles = call->kind == CALL_PROMPT;
}

void content_free(struct content *content)
{
    buf_free(&content->items);
    buf_free(&content->structured);
    buf_free(&content->meta);
}

/* Between begin and end a piece is appended. */
static void begin(struct content *content)
{
    struct buf *out = &content->items;
    int failed = out->len > 0 ? buf_append_char(out, ',') : 0;
    if (content->has_roles) {
        failed |= buf_append_format(out, "{\"role\":\"%s\",\"content\":", content->role);
    }
    content->has_failed |= failed != 0;
}

static void end(struct content *content, int failed)
{
    if (content->has_roles) {
        failed |= buf_append_char(&content->items, '}');
    }
    content->has_failed |= failed != 0;
}

static int append_member(struct buf *out, const char *key, struct span text)
{
    if (text.base == NULL) {
        return 0;
    }
    return buf_append_format(out, ",\"%s\":", key) != 0 ? -1 : jtext_append_string(out, text);
}

static int append_base64(struct buf *out, const char *key, struct span bytes)
{
    return buf_append_format(out, ",\"%s\":\"", key) != 0 || base64_encode(out, bytes) != 0
               ? -1
               : buf_append_char(out, '"');
}

void content_text(struct content *content, struct span text)
{
    begin(content);
    int failed = buf_append_text(&content->items, "{\"type\":\"text\",\"text\":");
    failed |= jtext_append_string(&content->items, text);
    failed |= buf_append_char(&content->items, '}');
    end(content, failed);
}

static void append_media(struct content *content, const char *type, struct span bytes,
                         const char *mime_type)
{
    begin(content);
    int failed = buf_append_format(&content->items, "{\"type\":\"%s\"", type);
    failed |= append_base64(&content->items, "data", bytes);
    failed |= append_member(&content->items, "mimeType", span_of(mime_type));
    failed |= buf_append_char(&content->items, '}');
    end(content, failed);
}

void content_image(struct content *content, struct span bytes, const char *mime_type)
{
    append_media(content, "image", bytes, mime_type);
}

void content_audio(struct content *content, struct span bytes, const char *mime_type)
{
    if (content->era >= ERA_2025_03_26) {
        append_media(content, "audio", bytes, mime_type);
        return;
    }
    struct content_resource resource = {
        .uri = span_of("audio:result"), .mime_type = mime_type, .bytes = bytes};
    content_resource(content, &resource);
}

void content_resource(struct content *content, const struct content_resource *resource)
{
    struct buf *out = &content->items;
    begin(content);
    int failed =
        content->is_bare ? 0 : buf_append_text(out, "{\"type\":\"resource\",\"resource\":");
    failed |= buf_append_text(out, "{\"uri\":");
    failed |= jtext_append_string(out, resource->uri);
    failed |= append_member(out, "mimeType", span_of(resource->mime_type));
    failed |= resource->text.base != NULL ? append_member(out, "text", resource->text)
                                          : append_base64(out, "blob", resource->bytes);
    failed |= buf_append_text(out, content->is_bare ? "}" : "}}");
    end(content, failed);
}

void content_file(struct content *content, struct span uri, const char *mime_type,
                  struct span bytes)
{
    const bool is_text = media_is_text(mime_type) && utf8_valid(bytes);
    const struct content_resource resource = {
        .uri = uri,
        .mime_type = mime_type,
        .text = is_text ? bytes : (struct span){NULL, 0},
        .bytes = is_text ? (struct span){NULL, 0} : bytes,
    };
    content_resource(content, &resource);
}

static void link_as_text(struct content *content, const struct content_link *link)
{
    cleanup_buf struct buf text;
    buf_init(&text, LIMIT_RESPONSE_BYTES_MAX);
    int failed = buf_append(&text, link->name.base, link->name.len);
    failed |= buf_append_text(&text, ": ");
    failed |= buf_append(&text, link->uri.base, link->uri.len);
    content->has_failed |= failed != 0;
    content_text(content, buf_span(&text));
}

void content_link(struct content *content, const struct content_link *link)
{
    struct buf *out = &content->items;
    if (content->era < ERA_2025_06_18) {
        link_as_text(content, link);
        return;
    }
    begin(content);
    int failed = buf_append_text(out, "{\"type\":\"resource_link\"");
    failed |= append_member(out, "uri", link->uri);
    failed |= append_member(out, "name", link->name);
    failed |= append_member(out, "title", span_of(link->title));
    failed |= append_member(out, "description", span_of(link->description));
    failed |= append_member(out, "mimeType", span_of(link->mime_type));
    if (link->size > 0) {
        failed |= buf_append_format(out, ",\"size\":%" PRId64, link->size);
    }
    failed |= buf_append_char(out, '}');
    end(content, failed);
}

void content_raw(struct content *content, struct span items)
{
    if (items.len > 0) {
        begin(content);
        end(content, buf_append(&content->items, items.base, items.len));
    }
}

void content_structured(struct content *content, struct span value)
{
    buf_clear(&content->structured);
    if (content->era >= ERA_2025_06_18) {
        content->has_failed |= buf_append(&content->structured, value.base, value.len) != 0;
    }
}

void content_meta(struct content *content, const char *key, struct span value)
{
    struct buf *out = &content->meta;
    int failed = out->len > 0 ? buf_append_char(out, ',') : 0;
    failed |= jtext_append_string(out, span_of(key));
    failed |= buf_append_char(out, ':');
    failed |= buf_append(out, value.base, value.len);
    content->has_failed |= failed != 0;
}
