/*
 * Files that are kept for clients who may want them later: what programs made, as resources
 * (resources/read). Runs in `vitrine`, in memory.
 *
 * A file is read by its URI alone, which cannot be guessed, and by the client alone for whom it was
 * kept. It goes after LIMIT_KEPT_MS, or earlier when there is not enough room for newer ones: of
 * the same client, or of all, the oldest first.
 */
#ifndef MCP_DEPOT_H
#define MCP_DEPOT_H

#include <stdint.h>

#include "base/buf.h"
#include "mcp/call.h"
#include "mcp/registry.h"
#include "mcp/session.h"

struct depot;

/* NULL without memory. */
struct depot *depot_new(void);
void depot_free(struct depot *depot);

enum { DEPOT_URI_BYTES_MAX = 128 };

/*
 * Keeps a copy of the bytes and writes the URI, with a NUL: vitrine://files/RANDOM/NAME, where NAME
 * is the last part of `name`, for people to read. -1 when it cannot be kept: larger than
 * LIMIT_KEPT_CLIENT_BYTES, or without memory.
 */
int depot_put(struct depot *depot, const struct mcp_client *client, struct span name,
              const char *media_type, struct span bytes, uint64_t now_ms,
              char uri[DEPOT_URI_BYTES_MAX]);

struct depot_file {
    struct span bytes;
    const char *media_type;
};

/* Finds what a URI names, borrowed until the next call; what follows a '?' is the caller's. False
 * when it is not there, or another client's. */
bool depot_find(struct depot *depot, const struct mcp_client *client, struct span uri,
                uint64_t now_ms, struct depot_file *out);

/* The row: resources whose URIs depot_put has made. "?offset=N" and "&length=N" at a URI's end ask
 * for a part of the bytes. Its context is the depot. */
extern const struct mcp_family depot_family;

#endif
