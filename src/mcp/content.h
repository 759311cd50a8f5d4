/*
 * The content of an answer, put together piece by piece: of a tool's result, of a prompt's
 * messages, or of a resource. Runs in `vitrine`.
 *
 * A piece that a revision does not know is replaced by the nearest that it has. A failure (no
 * memory, too large) is kept until the content is used.
 */
#ifndef MCP_CONTENT_H
#define MCP_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "mcp/era.h"

struct mcp_call;

struct content {
    enum mcp_era era;
    struct buf items;        /* JSON: the pieces, with commas */
    struct buf structured;   /* JSON, or empty */
    struct buf meta;         /* JSON: members of _meta, with commas */
    const char *role;        /* of prompts' messages from here on */
    const char *description; /* of a prompt, or NULL */
    uint64_t ttl_ms;         /* of a resource: how long a client may keep it */
    bool is_shared;          /* of a resource: everybody gets the same */
    bool is_error;           /* of a tool */
    bool is_bare;            /* of a resource: pieces are resources and nothing else */
    bool has_roles;          /* of a prompt: each piece is a message */
    bool has_failed;
};

/* Empty, for a call's revision. */
void content_init(struct content *content, const struct mcp_call *call);
void content_free(struct content *content);

/* Pieces of a tool's result or a prompt's message. Bytes are sent as base64. */
void content_text(struct content *content, struct span text);
void content_image(struct content *content, struct span bytes, const char *mime_type);
void content_audio(struct content *content, struct span bytes, const char *mime_type);

/* A resource itself. In the answer to resources/read these are the only pieces. */
struct content_resource {
    struct span uri;
    const char *mime_type; /* or NULL */
    struct span text;      /* base NULL: `bytes` */
    struct span bytes;
};
void content_resource(struct content *content, const struct content_resource *resource);

/* The same for bytes of a file: as text where their type says that people read it, and they are
 * UTF-8. */
void content_file(struct content *content, struct span uri, const char *mime_type,
                  struct span bytes);

/* A link to a resource that can be read (from 2025-06-18 on; before, a line of text). */
struct content_link {
    struct span uri;
    struct span name;
    const char *title;       /* or NULL */
    const char *description; /* or NULL */
    const char *mime_type;   /* or NULL */
    int64_t size;            /* bytes; 0: not known */
};
void content_link(struct content *content, const struct content_link *link);

/* Pieces that are JSON already, with commas between them. */
void content_raw(struct content *content, struct span items);

/* structuredContent (from 2025-06-18 on), and a member of _meta; JSON. */
void content_structured(struct content *content, struct span value);
void content_meta(struct content *content, const char *key, struct span value);

#endif
