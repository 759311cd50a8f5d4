/*
 * A booted guest as a file: private to src/guest, which is why guest.h has the public half.
 *
 * The file is a header (SNAPSHOT_HEADER_BYTES), a record, and linear memory from a page's border
 * on: header: magic "VITRSNP" and NUL, u32 version, u32 bytes of the record, u64 offset of the
 * memory, u64 bytes of it in the file (the rest is zeros), u64 size of linear memory, u32 size of
 * the function table, zeros; integers are little-endian; record (base/save.h): the key, the
 * runner's two functions, the core's variables, then what each part of the guest saves of itself.
 *
 * The key tells what the guest was made of: the engine, this format, and the size and time of
 * change of each file. A snapshot with another key is one of another guest. Everything else in the
 * file is as trustworthy as the code that ran in the guest: lengths, places and numbers are checked
 * as outside bytes are, and memory is what that guest could have written there itself.
 */
#ifndef GUEST_SNAPSHOT_H
#define GUEST_SNAPSHOT_H

#include "base/err.h"
#include "base/save.h"
#include "guest/guest.h"

enum { SNAPSHOT_VERSION = 2, SNAPSHOT_HEADER_BYTES = 64 };

/* Maps the configured file, if it is there, and notes the key that would fit. Nothing in the file
 * is looked at yet. -1 without memory. */
int snapshot_map(struct guest *guest, const struct guest_config *config, struct err *err);
void snapshot_unmap(struct guest *guest);

/* Makes the guest that was saved, of one that was loaded with a file that is there. After -1
 * nothing of its store can be used any more. */
int snapshot_restore(struct guest *guest, struct err *err);

/*
 * Parts that the state of a guest that has run consists of too (durable.c), in this order: what
 * Python and the core have outside of linear memory; then room, at least as much, because libraries
 * need their places before they are linked; then libraries, callbacks and the time zone.
 */
void snapshot_save_python(struct guest *guest, struct saving *out);
int snapshot_load_python(struct guest *guest, struct loading *in, struct err *err);
int snapshot_make_room(struct guest *guest, uint64_t memory_size, uint32_t table_size,
                       struct err *err);
int snapshot_save_links(struct guest *guest, struct saving *out, struct err *err);
int snapshot_load_links(struct guest *guest, struct loading *in, struct err *err);

#endif
