#include "guest/packed.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/limits.h"

/* Level 1 packs a guest's memory to a fifth, as fast as it can be read; others gain little. The
 * window of any level up to 19 is within the maximum, and nothing larger is unpacked. */
enum { LEVEL = 1, WINDOW_LOG_MAX = 23 };

/* ---- Packing --------------------------------------------------------------------------------- */

struct packed_out {
    const struct flow_out *below;
    ZSTD_CCtx *context;
    char bytes[LIMIT_STATE_PIECE_BYTES];
};

int packed_out_open(const struct flow_out *below, struct packed_out **out, struct err *err)
{
    struct packed_out *packed = malloc(sizeof *packed);
    if (packed != NULL) {
        packed->below = below;
        packed->context = ZSTD_createCCtx();
    }
    if (packed == NULL || packed->context == NULL ||
        ZSTD_isError(ZSTD_CCtx_setParameter(packed->context, ZSTD_c_compressionLevel, LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(packed->context, ZSTD_c_checksumFlag, 1))) {
        packed_out_free(packed);
        return err_set(err, ERR_MEMORY, "no memory to pack the state");
    }
    *out = packed;
    return 0;
}

/* Until all of `bytes` are taken, or, at the end, all is written. */
static int pack(struct packed_out *packed, struct span bytes, bool is_last, struct err *err)
{
    ZSTD_inBuffer in = {bytes.base, bytes.len, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {packed->bytes, sizeof packed->bytes, 0};
        left = ZSTD_compressStream2(packed->context, &out, &in,
                                    is_last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            return err_set(err, ERR_MEMORY, "packing the state: %s", ZSTD_getErrorName(left));
        }
        if (out.pos > 0 &&
            flow_write(packed->below, (struct span){packed->bytes, out.pos}, err) != 0) {
            return -1;
        }
    } while (is_last ? left > 0 : in.pos < in.size);
    return 0;
}

static int write_packed(void *context, struct span bytes, struct err *err)
{
    return pack(context, bytes, false, err);
}

struct flow_out packed_out_flow(struct packed_out *packed)
{
    return (struct flow_out){packed, write_packed};
}

int packed_out_finish(struct packed_out *packed, struct err *err)
{
    return pack(packed, (struct span){"", 0}, true, err);
}

void packed_out_free(struct packed_out *packed)
{
    if (packed != NULL) {
        ZSTD_freeCCtx(packed->context);
        free(packed);
    }
}

/* ---- Unpacking ------------------------------------------------------------------------------- */

struct packed_in {
    const struct flow_pieces *below;
    ZSTD_DCtx *context;
    ZSTD_inBuffer piece;
    bool is_over; /* the frame has ended */
};

int packed_in_open(const struct flow_pieces *below, struct packed_in **out, struct err *err)
{
    struct packed_in *packed = calloc(1, sizeof *packed);
    if (packed != NULL) {
        packed->below = below;
        packed->context = ZSTD_createDCtx();
    }
    if (packed == NULL || packed->context == NULL ||
        ZSTD_isError(
            ZSTD_DCtx_setParameter(packed->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        packed_in_free(packed);
        return err_set(err, ERR_MEMORY, "no memory to unpack the state");
    }
    *out = packed;
    return 0;
}

/* 0 when there is something in the piece, also for the frame's end alone; -1 at the end of all. */
static int piece_next(struct packed_in *packed, struct err *err)
{
    struct span piece;
    if (packed->piece.pos < packed->piece.size) {
        return 0;
    }
    if (packed->below->next(packed->below->context, &piece, err) != 0) {
        return -1;
    }
    packed->piece = (ZSTD_inBuffer){piece.base, piece.len, 0};
    return piece.len > 0 ? 0 : err_set(err, ERR_FORMAT, "the state is cut off");
}

/* One step: some of a piece is used, or some of `out` is filled. */
static int unpack(struct packed_in *packed, ZSTD_outBuffer *out, struct err *err)
{
    const size_t left = ZSTD_decompressStream(packed->context, out, &packed->piece);
    if (ZSTD_isError(left)) {
        return err_set(err, ERR_FORMAT, "the state is damaged (%s)", ZSTD_getErrorName(left));
    }
    packed->is_over = left == 0;
    return 0;
}

static int read_packed(void *context, char *bytes, size_t len, struct err *err)
{
    struct packed_in *packed = context;
    ZSTD_outBuffer out = {bytes, len, 0};
    while (out.pos < out.size) {
        const size_t before = out.pos;
        if (packed->is_over) {
            return err_set(err, ERR_FORMAT, "the state is cut off");
        }
        if (unpack(packed, &out, err) != 0 ||
            (out.pos == before && !packed->is_over && piece_next(packed, err) != 0)) {
            return -1;
        }
    }
    return 0;
}

struct flow_in packed_in_flow(struct packed_in *packed)
{
    return (struct flow_in){packed, read_packed};
}

int packed_in_finish(struct packed_in *packed, struct err *err)
{
    char more;
    struct span piece;
    while (!packed->is_over) {
        ZSTD_outBuffer out = {&more, sizeof more, 0};
        if (piece_next(packed, err) != 0 || unpack(packed, &out, err) != 0) {
            return -1;
        }
        if (out.pos > 0) {
            return err_set(err, ERR_FORMAT, "the state has something behind its end");
        }
    }
    if (packed->piece.pos < packed->piece.size) {
        return err_set(err, ERR_FORMAT, "the state has something behind its end");
    }
    if (packed->below->next(packed->below->context, &piece, err) != 0) {
        return -1;
    }
    return piece.len == 0 ? 0 : err_set(err, ERR_FORMAT, "the state has something behind its end");
}

void packed_in_free(struct packed_in *packed)
{
    if (packed != NULL) {
        ZSTD_freeDCtx(packed->context);
        free(packed);
    }
}
