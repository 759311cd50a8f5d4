/*
 * The state of a guest that has run, as one flow of bytes, and a guest of it again: what guest.h
 * says of guest_state_write and guest_state_read.
 *
 * Packed (packed.h) are: a header: magic "VITRDUR" and NUL, u32 version, u32 bytes of the record,
 * u64 size of linear memory, u32 size of the function table, u32 zero; the record (base/save.h);
 * the contents of the guest's files; and linear memory, as runs of pages that hold something: u32
 * first page, u32 count, then the pages; a run of no pages is the last.
 *
 * The record begins with what the guest was made of: the engine, and the build of the guest's
 * folder. Files of packages are told by their paths and sums, so that an environment with the same
 * ones, and perhaps more, is as good.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/little.h"
#include "guest/abi/ffi.h"
#include "guest/abi/outside.h"
#include "guest/boot.h"
#include "guest/guest.h"
#include "guest/packed.h"
#include "guest/snapshot.h"
#include "guest/state.h"

enum {
    STATE_VERSION = 1,
    HEADER_BYTES = 32,
    RUN_BYTES = 8,
    PAGE_BYTES = 4096,
    RUN_PAGES_MAX = 4096,
    PART_PAGES = 64,
};

static const char magic[8] = "VITRDUR";

static bool is_zero(const char *page)
{
    static const char zeros[PAGE_BYTES];
    return memcmp(page, zeros, PAGE_BYTES) == 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void clocks_save(const struct guest *guest, struct saving *out)
{
    uint64_t ahead_ms;
    memcpy(&ahead_ms, &guest->now_ahead_ms, sizeof ahead_ms);
    save_u64(out, guest_clock_ns(guest, OUTSIDE_MONOTONIC));
    save_u64(out, guest_clock_ns(guest, OUTSIDE_CPU));
    save_u64(out, ahead_ms);
}

/* The layers of read-only files, as far as it takes to see whether they are others. */
static void images_save(const struct guest *guest, struct saving *out)
{
    save_u32(out, (uint32_t)guest->image_count);
    for (size_t i = 0; i < guest->image_count; i++) {
        save_u64(out, guest->images[i].len);
    }
}

static int record_make(struct guest *guest, struct saving *out, struct err *err)
{
    if (guest->build[0] == '\0') {
        return err_set(err, ERR_MISSING, "the guest's folder does not say which build it is");
    }
    save_bytes(out, span_of(engine_version()));
    save_bytes(out, span_of(guest->build));
    snapshot_save_python(guest, out);
    clocks_save(guest, out);
    images_save(guest, out);
    if (vfs_save_whole(guest->vfs, out, err) != 0 || snapshot_save_links(guest, out, err) != 0) {
        return -1;
    }
    return out->is_full ? err_set(err, ERR_LIMIT, "its record has more than %llu bytes",
                                  LIMIT_STATE_RECORD_BYTES_MAX)
                        : 0;
}

static int header_write(struct guest *guest, size_t record_bytes, const struct flow_out *flow,
                        struct err *err)
{
    cleanup_buf struct buf header;
    buf_init(&header, HEADER_BYTES);
    return buf_append(&header, magic, sizeof magic) != 0 ||
                   buf_append_u32(&header, STATE_VERSION) != 0 ||
                   buf_append_u32(&header, (uint32_t)record_bytes) != 0 ||
                   buf_append_u64(&header, engine_memory(guest->store, &guest->memory).len) != 0 ||
                   buf_append_u32(&header, engine_table_size(guest->store, &guest->table)) != 0 ||
                   buf_append_u32(&header, 0) != 0
               ? err_set(err, ERR_MEMORY, "no memory")
               : flow_write(flow, buf_span(&header), err);
}

static int run_write(struct span memory, size_t first, size_t count, const struct flow_out *flow,
                     struct err *err)
{
    cleanup_buf struct buf run;
    buf_init(&run, RUN_BYTES);
    if (buf_append_u32(&run, (uint32_t)first) != 0 || buf_append_u32(&run, (uint32_t)count) != 0) {
        return err_set(err, ERR_MEMORY, "no memory");
    }
    const struct span pages = {memory.base + first * PAGE_BYTES, count * PAGE_BYTES};
    return flow_write(flow, buf_span(&run), err) != 0 ? -1 : flow_write(flow, pages, err);
}

static int memory_write(struct span memory, const struct flow_out *flow, struct err *err)
{
    const size_t end = memory.len / PAGE_BYTES;
    size_t at = 0;
    while (at < end) {
        size_t count = 0;
        while (count < RUN_PAGES_MAX && at + count < end &&
               !is_zero(memory.base + (at + count) * PAGE_BYTES)) {
            count++;
        }
        if (count > 0 && run_write(memory, at, count, flow, err) != 0) {
            return -1;
        }
        at += count > 0 ? count : 1;
    }
    return run_write(memory, 0, 0, flow, err);
}

static int all_write(struct guest *guest, const struct flow_out *flow, struct err *err)
{
    struct saving record = {.is_full = false};
    buf_init(&record.bytes, LIMIT_STATE_RECORD_BYTES_MAX);
    const int result =
        record_make(guest, &record, err) != 0 ||
                header_write(guest, record.bytes.len, flow, err) != 0 ||
                flow_write(flow, buf_span(&record.bytes), err) != 0 ||
                vfs_write_contents(guest->vfs, flow, err) != 0 ||
                memory_write(engine_memory(guest->store, &guest->memory), flow, err) != 0
            ? -1
            : 0;
    buf_free(&record.bytes);
    return result;
}

int guest_state_write(struct guest *guest, const struct flow_out *out, struct err *err)
{
    struct packed_out *packed = NULL;
    if (packed_out_open(out, &packed, err) != 0) {
        return -1;
    }
    const struct flow_out flow = packed_out_flow(packed);
    const int result = all_write(guest, &flow, err) != 0 ? -1 : packed_out_finish(packed, err);
    packed_out_free(packed);
    return result == 0 ? 0 : err_prefix(err, "saving the guest's state");
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct header {
    uint32_t record_bytes;
    uint64_t memory_size;
    uint32_t table_size;
};

static int damaged(struct err *err)
{
    return err_set(err, ERR_FORMAT, "the state is damaged");
}

static int header_read(const struct flow_in *flow, struct header *out, struct err *err)
{
    char bytes[HEADER_BYTES];
    if (flow_read(flow, bytes, sizeof bytes, err) != 0) {
        return -1;
    }
    if (memcmp(bytes, magic, sizeof magic) != 0) {
        return err_set(err, ERR_FORMAT, "this is no state of a guest");
    }
    if (get_u32(bytes + 8) != STATE_VERSION) {
        return err_set(err, ERR_FORMAT, "a state of version %u, not %d", get_u32(bytes + 8),
                       STATE_VERSION);
    }
    out->record_bytes = get_u32(bytes + 12);
    out->memory_size = get_u64(bytes + 16);
    out->table_size = get_u32(bytes + 24);
    return out->record_bytes <= LIMIT_STATE_RECORD_BYTES_MAX &&
                   out->memory_size % PAGE_BYTES == 0 &&
                   out->memory_size <= LIMIT_MEMORY_BYTES_MAX &&
                   out->table_size <= LIMIT_GUEST_TABLE_ENTRIES_MAX && get_u32(bytes + 28) == 0
               ? 0
               : damaged(err);
}

/* Room for the record is made as it comes: what the header says of it may be a lie. */
static int record_read(const struct flow_in *flow, uint32_t len, struct buf *out, struct err *err)
{
    while (out->len < len) {
        const size_t left = len - out->len;
        const size_t part = left < LIMIT_STATE_PIECE_BYTES ? left : LIMIT_STATE_PIECE_BYTES;
        if (buf_reserve(out, part) != 0) {
            return err_set(err, ERR_MEMORY, "no memory for the record");
        }
        if (flow_read(flow, out->base + out->len, part, err) != 0) {
            return -1;
        }
        out->len += part;
    }
    return 0;
}

static int build_check(const struct guest *guest, struct loading *in, struct err *err)
{
    const struct span engine = load_bytes(in, ERR_TEXT_MAX);
    const struct span build = load_bytes(in, GUEST_BUILD_CHARS_MAX);
    if (in->is_bad) {
        return damaged(err);
    }
    if (!span_equal(engine, span_of(engine_version()))) {
        return err_set(err, ERR_FORMAT, "the state was saved with another engine (this is %s)",
                       engine_version());
    }
    return span_equal(build, span_of(guest->build))
               ? 0
               : err_set(err, ERR_FORMAT,
                         "the state is one of another build of the guest (%.*s; "
                         "this is %s)",
                         (int)(build.len < 64 ? build.len : 64), build.base, guest->build);
}

static void clocks_load(struct guest *guest, struct loading *in)
{
    guest->monotonic_ahead_ns = guest->cpu_ahead_ns = 0;
    guest->monotonic_ahead_ns = load_u64(in) - guest_clock_ns(guest, OUTSIDE_MONOTONIC);
    guest->cpu_ahead_ns = load_u64(in) - guest_clock_ns(guest, OUTSIDE_CPU);
    const uint64_t ahead_ms = load_u64(in);
    memcpy(&guest->now_ahead_ms, &ahead_ms, sizeof ahead_ms);
    guest->now_asked_ns = 0;
    guest->now_jumps = 0;
}

static bool images_differ(const struct guest *guest, struct loading *in)
{
    const uint32_t count = load_count(in, LIMIT_IMAGE_COUNT_MAX);
    bool differ = count != guest->image_count;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t len = load_u64(in);
        differ = differ || len != guest->images[i].len;
    }
    return differ;
}

/* Up to where the contents of files come, which libraries may be linked from. */
static int record_begin(struct guest *guest, const struct header *header, struct loading *in,
                        bool *is_elsewhere, struct err *err)
{
    if (build_check(guest, in, err) != 0 || snapshot_load_python(guest, in, err) != 0) {
        return -1;
    }
    clocks_load(guest, in);
    *is_elsewhere = images_differ(guest, in);
    return snapshot_make_room(guest, header->memory_size, header->table_size, err) != 0
               ? -1
               : vfs_load_whole(guest->vfs, in, err);
}

static int record_end(struct guest *guest, struct loading *in, struct err *err)
{
    if (snapshot_load_links(guest, in, err) != 0) {
        return -1;
    }
    return in->is_bad || in->rest.len != 0 ? damaged(err) : 0;
}

/* What is not in the state was empty. */
static void pages_clear(char *memory, size_t from, size_t to)
{
    for (size_t at = from; at < to; at++) {
        if (!is_zero(memory + at * PAGE_BYTES)) {
            memset(memory + at * PAGE_BYTES, 0, PAGE_BYTES);
        }
    }
}

/* A page that is the same already, because this process was forked from one that has it, goes on
 * being shared with that one. */
static int pages_read(char *memory, size_t first, size_t count, const struct flow_in *flow,
                      struct buf *pages, struct err *err)
{
    const size_t end = first + count;
    while (first < end) {
        const size_t part = end - first < PART_PAGES ? end - first : PART_PAGES;
        if (flow_read(flow, pages->base, part * PAGE_BYTES, err) != 0) {
            return -1;
        }
        for (size_t i = 0; i < part; i++) {
            char *place = memory + (first + i) * PAGE_BYTES;
            const char *page = pages->base + i * PAGE_BYTES;
            if (memcmp(place, page, PAGE_BYTES) != 0) {
                memcpy(place, page, PAGE_BYTES);
            }
        }
        first += part;
    }
    return 0;
}

static int runs_read(struct guest *guest, const struct flow_in *flow, struct buf *pages,
                     struct err *err)
{
    const size_t len = engine_memory(guest->store, &guest->memory).len;
    char *memory = guest_memory_at(guest, guest_addr(0), len);
    const size_t end = len / PAGE_BYTES;
    size_t at = 0;
    for (;;) {
        char run[RUN_BYTES];
        if (flow_read(flow, run, sizeof run, err) != 0) {
            return -1;
        }
        const size_t first = get_u32(run);
        const size_t count = get_u32(run + 4);
        if (count == 0) {
            pages_clear(memory, at, end);
            return 0;
        }
        if (first < at || first > end || count > end - first) {
            return damaged(err);
        }
        pages_clear(memory, at, first);
        if (pages_read(memory, first, count, flow, pages, err) != 0) {
            return -1;
        }
        at = first + count;
    }
}

static int memory_read(struct guest *guest, const struct flow_in *flow, struct err *err)
{
    cleanup_buf struct buf pages;
    buf_init(&pages, PART_PAGES * PAGE_BYTES);
    return buf_reserve(&pages, PART_PAGES * PAGE_BYTES) != 0
               ? err_set(err, ERR_MEMORY, "no memory to unpack pages")
               : runs_read(guest, flow, &pages, err);
}

static int all_read(struct guest *guest, const struct flow_in *flow, bool *is_elsewhere,
                    struct err *err)
{
    struct header header = {.record_bytes = 0};
    cleanup_buf struct buf record;
    buf_init(&record, LIMIT_STATE_RECORD_BYTES_MAX);
    if (header_read(flow, &header, err) != 0 ||
        record_read(flow, header.record_bytes, &record, err) != 0) {
        return -1;
    }
    struct loading in = {.rest = buf_span(&record)};
    return record_begin(guest, &header, &in, is_elsewhere, err) != 0 ||
                   vfs_read_contents(guest->vfs, flow, err) != 0 ||
                   record_end(guest, &in, err) != 0 || memory_read(guest, flow, err) != 0
               ? -1
               : 0;
}

int guest_state_read(struct guest *guest, const struct flow_pieces *in,
                     const struct guest_state_room *room, struct err *err)
{
    struct packed_in *packed = NULL;
    if (room->memory_bytes_max < guest->memory_bytes_max) {
        guest->memory_bytes_max = room->memory_bytes_max;
    }
    const struct vfs_quota quota = {.bytes_max = room->file_bytes_max,
                                    .count_max = room->file_count_max,
                                    .open_files_max = LIMIT_OPEN_FILES_MAX};
    if (boot_clear(guest, err) != 0 || packed_in_open(in, &packed, err) != 0) {
        return err_prefix(err, "restoring a guest");
    }
    vfs_set_quota(guest->vfs, &quota);
    bool is_elsewhere = false;
    const struct flow_in flow = packed_in_flow(packed);
    const int result =
        all_read(guest, &flow, &is_elsewhere, err) != 0 ? -1 : packed_in_finish(packed, err);
    packed_in_free(packed);
    /* It also finds out, before anybody waits for it, whether the guest runs at all. */
    return result != 0 || boot_read_version(guest, err) != 0 ||
                   (is_elsewhere && boot_look_again(guest, err) != 0)
               ? err_prefix(err, "restoring a guest")
               : 0;
}
