/*
 * Compression of what flows (Zstandard, RFC 8878): one frame, with the format's own checksum.
 * Private to src/guest; runs in `vitrine-cell`, in its jail. What is unpacked may be anybody's: the
 * window is bounded, and nothing is allocated by what it says.
 */
#ifndef GUEST_PACKED_H
#define GUEST_PACKED_H

#include "base/flow.h"

struct packed_out;
struct packed_in;

/* Packs what is written to packed_out_flow and hands it to `below` (borrowed) in pieces of at most
 * LIMIT_STATE_PIECE_BYTES. Owned by the caller. */
int packed_out_open(const struct flow_out *below, struct packed_out **out, struct err *err);
struct flow_out packed_out_flow(struct packed_out *packed);
/* Writes what is left. Nothing may be written afterwards. */
int packed_out_finish(struct packed_out *packed, struct err *err);
void packed_out_free(struct packed_out *packed); /* may be NULL */

/* Unpacks the pieces of `below` (borrowed). Owned by the caller. */
int packed_in_open(const struct flow_pieces *below, struct packed_in **out, struct err *err);
struct flow_in packed_in_flow(struct packed_in *packed);
/* Whether that was all: -1 with ERR_FORMAT when there is more, packed or not. */
int packed_in_finish(struct packed_in *packed, struct err *err);
void packed_in_free(struct packed_in *packed); /* may be NULL */

#endif
